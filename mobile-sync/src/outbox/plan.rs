//! Which item goes into which envelope: a pure function of their sizes.

use std::collections::BTreeMap;

use daybook_shared::wire::limits::{
    DOSSIER_BOARD_CHANGES_MAX, ENVELOPE_BOARD_CHANGES_MAX, ENVELOPE_BYTES_AIM, ENVELOPE_ITEMS_MAX,
};

/// An item, by its place in the list it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Entry(usize),
    Change(usize),
}

/// What an item costs an envelope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Its length.
    pub bytes: usize,
    /// For a board change, which board.
    pub board: Option<usize>,
}

#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    bytes: usize,
    changes: BTreeMap<usize, usize>,
}

impl Batch {
    fn takes(&self, load: Load) -> bool {
        let board_has_room = load.board.is_none_or(|board| {
            self.changes.values().sum::<usize>() < ENVELOPE_BOARD_CHANGES_MAX
                && self.changes.get(&board).copied().unwrap_or(0) < DOSSIER_BOARD_CHANGES_MAX
        });
        let bytes = self.bytes.saturating_add(load.bytes);
        self.items.is_empty()
            || (self.items.len() < ENVELOPE_ITEMS_MAX && bytes <= ENVELOPE_BYTES_AIM && board_has_room)
    }

    fn add(&mut self, item: Item, load: Load) {
        self.items.push(item);
        self.bytes = self.bytes.saturating_add(load.bytes);
        if let Some(board) = load.board {
            *self.changes.entry(board).or_insert(0) += 1;
        }
    }
}

/// Packs items in their order: a new envelope begins where the next item does not fit.
pub(super) fn plan(items: &[(Item, Load)]) -> Vec<Vec<Item>> {
    let mut batches = vec![];
    let mut batch = Batch::default();
    for (item, load) in items {
        if !batch.takes(*load) {
            batches.push(std::mem::take(&mut batch).items);
        }
        batch.add(*item, *load);
    }
    if !batch.items.is_empty() {
        batches.push(batch.items);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize, bytes: usize) -> Vec<(Item, Load)> {
        (0..count).map(|index| (Item::Entry(index), Load { bytes, board: None })).collect()
    }

    fn changes(count: usize, boards: usize) -> Vec<(Item, Load)> {
        (0..count).map(|index| (Item::Change(index), Load { bytes: 100, board: Some(index % boards) })).collect()
    }

    /// What, the items, how many go into each envelope.
    type Case<'a> = (&'a str, Vec<(Item, Load)>, &'a [usize]);

    #[test]
    fn every_limit_begins_a_new_envelope_and_nothing_is_reordered() {
        let cases: &[Case<'_>] = &[
            ("nothing", vec![], &[]),
            ("one", entries(1, 100), &[1]),
            ("as many as fit", entries(1000, 100), &[1000]),
            ("one more", entries(1001, 100), &[1000, 1]),
            ("bytes", entries(65, 4096), &[64, 1]),
            ("one too large for the aim alone", entries(2, 300 * 1024), &[1, 1]),
            ("a board's changes", changes(33, 1), &[32, 1]),
            ("an envelope's changes", changes(201, 10), &[200, 1]),
            ("entries first", [entries(2, 100), changes(2, 1)].concat(), &[4]),
        ];
        for (what, items, expected) in cases {
            let batches = plan(items);
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), *expected, "{what}");
            let order: Vec<_> = items.iter().map(|(item, _)| *item).collect();
            assert_eq!(batches.concat(), order, "{what}");
        }
    }
}
