//! From captures to envelopes.
//!
//! Everything pending is packed in the order of capture and sealed in one local transaction, before
//! the first byte of it leaves. An envelope is encoded once and never repacked: whatever happens to
//! the connection, the same bytes are sent again until the server has given a verdict on every item.
//! The one exception is a new install ([`crate::store`]), which the server tells apart by its id.
//!
//! Entries wait for no board: the plan puts all entries before the board changes.

mod plan;

use std::collections::BTreeMap;

use daybook_shared::wire::envelope::{BoardChange, Body, FORMAT, Header, seal};
use daybook_shared::wire::limits::BOARD_CHANGE_BYTES_MAX;
use rand::Rng;

use crate::Moment;
use crate::store::{Db, Enrolment, KeptEnvelope, PendingChange, Store, StoreError, StoredEntry};
use plan::{Item, Load, plan};

impl Store {
    /// Seals everything pending without sending it, and says how many envelopes that made. A session
    /// does it by itself; a bench and a host that is about to be killed may do it ahead.
    ///
    /// # Errors
    /// What the store says. A phone that is not enrolled seals nothing and says so with 0.
    pub fn seal_pending(&mut self, now: Moment, rng: &mut dyn Rng) -> Result<u32, StoreError> {
        let (sealed, generation) = self.write(|db| db.seal_pending(now, rng))?;
        if let Some(generation) = generation {
            self.keep_generation(generation)?;
        }
        Ok(sealed)
    }
}

impl Db<'_> {
    /// Seals everything pending. If there was anything, the generation moves on, so that a copy of the
    /// file made before is known as old; the caller tells the host once the transaction is durable.
    pub(crate) fn seal_pending(self, now: Moment, rng: &mut dyn Rng) -> Result<(u32, Option<u64>), StoreError> {
        let phone = self.phone()?;
        let Some(enrolment) = phone.enrolment else { return Ok((0, None)) };
        let (entries, changes) = (self.pending_entries()?, self.pending_changes()?);
        let batches = plan(&items_of(&entries, &changes));
        if batches.is_empty() {
            return Ok((0, None));
        }
        let mut sealed = 0;
        for batch in batches {
            self.seal_batch(&enrolment, (&entries, &changes), &batch, now, rng)?;
            sealed += 1;
        }
        let generation = phone.generation.saturating_add(1);
        self.set_generation(generation)?;
        Ok((sealed, Some(generation)))
    }

    fn seal_batch(
        self,
        enrolment: &Enrolment,
        (entries, changes): (&[StoredEntry], &[PendingChange]),
        batch: &[Item],
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        let phone = self.phone()?;
        let number = phone.number_last.checked_add(1).expect("fewer than 2^64 envelopes");
        let header = Header {
            format: FORMAT,
            deployment: enrolment.deployment,
            device: phone.device,
            install: phone.install,
            number,
            previous: phone.envelope_last,
            after: phone.after,
            sealed_at: now,
            anchors: self.anchors()?,
        };
        let mut body = Body::default();
        for item in batch {
            match *item {
                Item::Entry(index) => {
                    let entry = &entries[index];
                    body.entries.push(entry.bytes.clone().into());
                    self.set_sealed(entry.id, number)?;
                }
                Item::Change(index) => {
                    let PendingChange { seq, dossier, n, ref bytes } = changes[index];
                    body.board.push(BoardChange { dossier, n, change: bytes.clone() });
                    self.set_change_sealed(seq, number)?;
                }
            }
        }
        let (id, bytes) = seal(&self.signer()?, &header, &body);
        self.insert_envelope(phone.install, &KeptEnvelope { number, id, bytes }, rng)
    }
}

fn items_of(entries: &[StoredEntry], changes: &[PendingChange]) -> Vec<(Item, Load)> {
    let entries = entries.iter().enumerate();
    let entries = entries.map(|(index, entry)| (Item::Entry(index), Load { bytes: entry.bytes.len(), board: None }));
    // Boards are numbered as they first appear, so that the plan needs no ids.
    let mut boards = BTreeMap::new();
    let changes: Vec<_> = changes
        .iter()
        .enumerate()
        .map(|(index, change)| {
            assert!(change.bytes.len() <= BOARD_CHANGE_BYTES_MAX, "invariant: an edit makes changes that fit");
            let next = boards.len();
            let board = *boards.entry(change.dossier).or_insert(next);
            (Item::Change(index), Load { bytes: change.bytes.len(), board: Some(board) })
        })
        .collect();
    entries.chain(changes).collect()
}

#[cfg(test)]
mod tests;
