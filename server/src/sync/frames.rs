//! Packs a response into frames: tables of ids, a size each frame aims at, the budget.

use std::collections::BTreeMap;

use daybook_shared::ids::{CaseloadId, DossierId, EntryId, UserId};
use daybook_shared::wire::exchange::{Delta, Drop, End, Frame, Gone, NewCursor, Person};
use daybook_shared::wire::framing::FrameWriter;
use daybook_shared::wire::limits::FRAME_BYTES_AIM;

use super::catalogue::Lacking;
use super::cursor::Cursor;
use super::read::Item;
use crate::batch_row;
use crate::db::{Tx, batch};

/// A response being written.
#[derive(Debug)]
pub struct Frames {
    writer: FrameWriter,
    frame: Frame,
    size: usize,
    budget_end: usize,
    names: BTreeMap<i64, (UserId, String)>,
    people: BTreeMap<i64, u16>,
    dossiers: BTreeMap<DossierId, u16>,
    caseloads: BTreeMap<CaseloadId, u16>,
}

batch_row! {
    struct Key { id: i64 => "bigint" }
}

const SELECT_PEOPLE: &str = "select u.id, u.uid, u.name from v join app_user u on u.id = v.id";

impl Frames {
    /// A response whose first frame says what the request is answered with; the budget counts from
    /// the caseload list on.
    pub fn begin(head: &Frame, rest: Frame, budget_bytes: usize) -> Self {
        let mut writer = FrameWriter::new();
        writer.push(head);
        let budget_end = writer.len().saturating_add(budget_bytes);
        Self {
            writer,
            frame: rest,
            size: 0,
            budget_end,
            names: BTreeMap::new(),
            people: BTreeMap::new(),
            dossiers: BTreeMap::new(),
            caseloads: BTreeMap::new(),
        }
    }

    /// Loads the names of the people who captured these items.
    pub async fn people(&mut self, tx: &mut Tx, items: impl Iterator<Item = &Item>) -> sqlx::Result<()> {
        let unknown: std::collections::BTreeSet<i64> =
            items.filter_map(Item::author).filter(|id| !self.names.contains_key(id)).collect();
        let keys: Vec<_> = unknown.into_iter().map(|id| Key { id }).collect();
        let rows: Vec<(i64, UserId, String)> = batch::fetch(tx, &keys, SELECT_PEOPLE).await?;
        self.names.extend(rows.into_iter().map(|(id, uid, name)| (id, (uid, name))));
        Ok(())
    }

    /// The frame's number of a person.
    pub fn person(&mut self, id: i64) -> u16 {
        if let Some(number) = self.people.get(&id) {
            return *number;
        }
        let (uid, name) = self.names.get(&id).cloned().expect("names are loaded before their items are sent");
        let table = self.frame.people.get_or_insert_default();
        let number = u16::try_from(table.len()).expect("a frame names few people");
        self.size += name.len() + 20;
        table.push(Person { id: uid, name });
        self.people.insert(id, number);
        number
    }

    /// The frame's number of a dossier.
    pub fn dossier(&mut self, id: DossierId) -> u16 {
        let table = self.frame.dossiers.get_or_insert_default();
        *self.dossiers.entry(id).or_insert_with(|| {
            table.push(id);
            u16::try_from(table.len() - 1).expect("a frame names few dossiers")
        })
    }

    /// The frame's number of a caseload.
    pub fn caseload(&mut self, id: CaseloadId) -> u16 {
        let table = self.frame.feeds.get_or_insert_default();
        *self.caseloads.entry(id).or_insert_with(|| {
            table.push(id);
            u16::try_from(table.len() - 1).expect("a frame names few caseloads")
        })
    }

    /// An empty delta of a dossier in this frame.
    pub fn delta(&mut self, caseload: CaseloadId, dossier: DossierId, epoch: u64, version: u64) -> Delta {
        let (dossier, caseload) = (self.dossier(dossier), self.caseload(caseload));
        let (facts, entries, outcomes, board) = (Vec::new(), Vec::new(), Vec::new(), None);
        Delta { dossier, caseload, epoch, version, facts, entries, outcomes, board }
    }

    /// What a delta weighs before compression.
    pub fn size_of(delta: &Delta) -> usize {
        let facts: usize = delta.facts.iter().map(|section| section.bytes.len() + 4).sum();
        let entries: usize = delta.entries.iter().map(|entry| entry.bytes.len() + 8).sum();
        let board = delta.board.as_ref().map_or(0, |board| daybook_shared::cbor::to_vec(board).len());
        facts + entries + delta.outcomes.len() * 32 + board
    }

    /// Whether so much more would pass what a frame aims at.
    pub fn would_overflow(&self, bytes: usize) -> bool {
        self.size + bytes > FRAME_BYTES_AIM
    }

    /// Sends what there is of a dossier so far as a part, and begins the next; false when the
    /// budget ended.
    pub fn part(
        &mut self,
        caseload: CaseloadId,
        dossier: DossierId,
        delta: &mut Delta,
        cursor: &mut Cursor,
        dossier_id: i64,
    ) -> bool {
        let (epoch, version) = (delta.epoch, delta.version);
        let sent = std::mem::replace(delta, self.delta(caseload, dossier, epoch, version));
        cursor.reached(dossier_id, i64::try_from(version).unwrap_or(i64::MAX));
        self.push_delta(sent);
        let goes_on = self.close(caseload, cursor);
        // The tables begin anew with the frame.
        *delta = self.delta(caseload, dossier, epoch, version);
        goes_on
    }

    /// Adds a delta.
    pub fn push_delta(&mut self, delta: Delta) {
        self.size += Self::size_of(&delta) + 24;
        self.frame.deltas.get_or_insert_default().push(delta);
    }

    /// Adds a departure.
    pub fn gone(&mut self, gone: Gone) {
        self.size += 24;
        self.frame.gone.get_or_insert_default().push(gone);
    }

    /// Adds entries that are to be erased.
    pub fn erased(&mut self, dossier: DossierId, entries: Vec<EntryId>) {
        self.size += 8 + entries.len() * 17;
        let dossier = self.dossier(dossier);
        self.frame.drop.get_or_insert_default().push(Drop { dossier, entries });
    }

    /// Adds what a phone lacks of the catalogue, a page a frame; `More` when the budget ended before that did. One
    /// page goes whatever the budget, once nothing else is to be sent.
    pub fn catalogue(&mut self, mut lacking: Lacking) -> End {
        let mut first = true;
        while let Some(page) = lacking.next_page(FRAME_BYTES_AIM, first) {
            if self.size > 0 {
                if self.writer.len() + self.size / 4 >= self.budget_end {
                    return End::More;
                }
                self.flush();
            }
            self.size += 32 + page.offers.iter().map(|offer| offer.len() + 3).sum::<usize>();
            self.frame.catalogue = Some(page);
            first = false;
        }
        End::Complete
    }

    /// Says how far a caseload is read once this frame is applied.
    pub fn cursor(&mut self, caseload: CaseloadId, cursor: &Cursor) {
        let number = self.caseload(caseload);
        let table = self.frame.cursors.get_or_insert_default();
        table.retain(|known| known.caseload != number);
        table.push(NewCursor { caseload: number, cursor: cursor.encode() });
    }

    /// Closes the frame if it is as large as a frame aims to be; false when the budget ended.
    pub fn close_if_full(&mut self, caseload: CaseloadId, cursor: &Cursor) -> bool {
        self.size < FRAME_BYTES_AIM || self.close(caseload, cursor)
    }

    fn close(&mut self, caseload: CaseloadId, cursor: &Cursor) -> bool {
        self.cursor(caseload, cursor);
        if self.writer.len() + self.size / 4 >= self.budget_end {
            // The last frame is written by `finish`, which says that there is more.
            return false;
        }
        self.flush();
        self.writer.len() < self.budget_end
    }

    fn flush(&mut self) {
        self.writer.push(&std::mem::take(&mut self.frame));
        self.size = 0;
        self.people.clear();
        self.dossiers.clear();
        self.caseloads.clear();
    }

    /// The response's body.
    pub fn finish(mut self, end: End) -> Vec<u8> {
        self.frame.end = Some(end);
        self.flush();
        self.writer.finish()
    }
}
