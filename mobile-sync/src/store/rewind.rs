//! When the server is the one that was lost: what this phone holds stays, marked as not confirmed, until
//! the server of the new epoch has spoken of it (sync.md 9).
//!
//! Everything that only held within the old epoch is set back: cursors, versions, how far later verdicts
//! were applied. What was answered is handed in again, the same bytes. Marks go one by one as the server
//! says the same again, or something else; what it says nothing of, although all was handed in and the feed
//! was read from its start, is in [`Db::finish_rewind`] and [`Db::settle`].

use std::collections::BTreeMap;

use daybook_shared::board::{Confirmed, Edit, device_actor};
use daybook_shared::cbor;
use daybook_shared::entry::Entry;
use daybook_shared::ids::{AckHash, DossierId, EnvelopeId, Epoch, InstallId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::envelope::Envelope;
use daybook_shared::wire::limits::SHOWN_BLOCKS_MAX;
use daybook_shared::wire::sign::{Acknowledgement, Signed};
use rand::Rng;
use rusqlite::params;

use super::{Db, KeptEnvelope, NewEntry, StoreError, bytes};
use crate::view::cash;

impl Db<'_> {
    /// The database has another epoch. Nothing leaves the phone.
    pub(crate) fn rewind(self, epoch: Epoch) -> Result<(), StoreError> {
        const MARKS: [&str; 6] = [
            "update entry set unconfirmed = 1 where state = 2",
            "update membership set epoch = 0, stale = 1",
            "update section set stale = 1",
            "update board set stale = 1",
            "update envelope set again = 1 where answered = 1",
            "update phone set acked_number = 0, relearn = 1, rewound = 1, send_have = 1, show_acknowledgement = 0",
        ];
        self.set_epoch(epoch)?;
        MARKS.iter().try_for_each(|sql| self.execute(sql, []))?;
        self.forget_cursors()?;
        self.forget_versions()?;
        self.set_caseloads_hash(0)?;
        self.set_news_seen(0)
    }

    /// What the server has to learn again travels with the next request, or has arrived.
    pub(crate) fn set_relearn(self, relearn: bool) -> Result<(), StoreError> {
        self.execute_one("update phone set relearn = ?1", params![relearn])
    }

    /// The server asked for the newest acknowledgement, or has it.
    pub(crate) fn set_show_acknowledgement(self, show: bool) -> Result<(), StoreError> {
        self.execute_one("update phone set show_acknowledgement = ?1", params![show])
    }

    /// The certificate of this phone's enrolment, as the server signed it.
    pub(crate) fn certificate(self) -> Result<Option<Vec<u8>>, StoreError> {
        const SQL: &str = "select certificate from phone where certificate is not null";
        self.first(SQL, [], |row| Ok(row.get(0)?))
    }

    /// The newest acknowledgement of this epoch that is here as it was signed. Of an epoch that had ended and is back,
    /// it is an old one: by it the server finds out that it was set back once more.
    pub(crate) fn newest_acknowledgement(self) -> Result<Option<(AckHash, Signed)>, StoreError> {
        const SQL: &str = "select a.ack, a.signed from anchor a join phone p on p.epoch = a.epoch \
            where a.signed is not null order by a.seq desc limit 1";
        self.first(SQL, [], |row| Ok((AckHash(bytes(row, 0, "anchor")?), signed_of(row, 1, "anchor")?)))
    }

    /// The acknowledgements of other epochs that first spoke of these envelopes of an install: what they carry was
    /// captured by then, however far ahead the phone's clock was. One that speaks of an envelope which is not here may
    /// be a clone's.
    pub(crate) fn first_acknowledgements(
        self,
        install: InstallId,
        envelopes: &[KeptEnvelope],
    ) -> Result<Vec<Signed>, StoreError> {
        const KEPT: &str = "select number, id from envelope where install = ?1";
        const GIVEN: &str = "select a.signed from anchor a join phone p on p.epoch <> a.epoch \
            where a.signed is not null";
        let kept = self.all(KEPT, params![install.as_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), EnvelopeId(bytes(row, 1, "envelope")?)))
        })?;
        let kept: BTreeMap<u64, EnvelopeId> = kept.into_iter().collect();
        let mut given = self.all(GIVEN, [], |row| {
            let signed = signed_of(row, 0, "anchor")?;
            let ack: Acknowledgement =
                minicbor::decode(&signed.payload).map_err(|_| StoreError::BadRow { table: "anchor" })?;
            Ok((ack, signed))
        })?;
        given.retain(|(ack, _)| ack.install == install && kept.get(&ack.number) == Some(&ack.envelope));
        let first = |number| {
            let since = |(ack, signed)| Some((Acknowledgement::held_since(ack, number)?, signed));
            let spoken = given.iter().map(|(ack, signed)| (ack, signed)).filter_map(since);
            spoken.min_by_key(|(since, _)| *since).map(|(_, signed): (_, &Signed)| signed.clone())
        };
        let mut found: Vec<_> = envelopes.iter().filter_map(|kept| first(kept.number)).collect();
        found.dedup();
        Ok(found)
    }

    /// The acknowledgements of other epochs that these envelopes name: without them the server could not
    /// tell when their entries were captured.
    pub(crate) fn acknowledgements_named(self, envelopes: &[KeptEnvelope]) -> Result<Vec<Signed>, StoreError> {
        const ANY: &str = "select 1 from anchor a join phone p on p.epoch <> a.epoch limit 1";
        const SQL: &str = "select a.signed from anchor a join phone p on p.epoch <> a.epoch \
            where a.ack = ?1 and a.signed is not null";
        if self.first(ANY, [], |_| Ok(()))?.is_none() {
            return Ok(Vec::new());
        }
        let mut named = std::collections::BTreeSet::new();
        for kept in envelopes {
            // Those of a store that erased itself are sealed: only the server reads what they name.
            let Ok(envelope) = Envelope::decode(&kept.bytes) else { continue };
            named.insert(envelope.header.after);
            named.extend(envelope.header.anchors.iter().map(|anchor| anchor.ack));
            let entries = envelope.body.entries.iter().filter_map(|entry| Entry::decode(entry).ok());
            named.extend(entries.map(|entry| entry.head.after));
        }
        let mut found = Vec::new();
        for hash in named {
            found.extend(self.first(SQL, params![hash.0], |row| signed_of(row, 0, "anchor"))?);
        }
        Ok(found)
    }

    /// The newest blocks of receipt numbers that the server granted to this device.
    pub(crate) fn newest_blocks(self) -> Result<Vec<Signed>, StoreError> {
        let limit = i64::try_from(SHOWN_BLOCKS_MAX).expect("a handful");
        self.all("select signed from receipt_block order by seq desc limit ?1", params![limit], |row| {
            signed_of(row, 0, "receipt_block")
        })
    }

    /// An older install of which envelopes are to be handed in again, the oldest first.
    pub(crate) fn older_install_again(self, present: InstallId) -> Result<Option<InstallId>, StoreError> {
        const SQL: &str = "select install from envelope where again = 1 and install <> ?1 order by rowid limit 1";
        self.first(SQL, params![present.as_bytes()], |row| Ok(InstallId::from(bytes(row, 0, "envelope")?)))
    }

    /// How many envelopes are to be handed in again, of all installs.
    pub(crate) fn count_envelopes_again(self) -> Result<u64, StoreError> {
        let count = self.first("select count(*) from envelope where again = 1", [], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    /// The server holds the envelopes of an install up to this number again.
    pub(crate) fn set_held_again(self, install: InstallId, number: u64) -> Result<(), StoreError> {
        const SQL: &str = "update envelope set again = 0 where install = ?1 and number <= ?2";
        self.execute(SQL, params![install.as_bytes(), number.cast_signed()])
    }

    /// The server cannot take an install's envelopes again, because it lacks some that are not kept any
    /// more: their entries are packed anew, same ids, same bytes.
    pub(crate) fn repack_kept(self, install: InstallId, rng: &mut dyn Rng) -> Result<(), StoreError> {
        const SELECT: &str = "select number from envelope where install = ?1 and again = 1 order by number";
        const DONE: &str = "update envelope set again = 0 where install = ?1";
        // A store that erased itself cannot read them: they stay, with the key, until the server takes them.
        if self.phone()?.wiped_at.is_some() {
            return Ok(());
        }
        let numbers = self.all(SELECT, params![install.as_bytes()], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?;
        for number in numbers {
            let kept = self.envelope(install, number)?.ok_or(StoreError::BadRow { table: "envelope" })?;
            let envelope = Envelope::decode(&kept.bytes).map_err(|_| StoreError::BadRow { table: "envelope" })?;
            for raw in &envelope.body.entries {
                let Ok(entry) = Entry::decode(raw) else { continue };
                if self.entry(entry.head.id)?.is_none() {
                    self.forget_kept_cash(entry.head.id)?;
                    let is_cash = cash::of(&entry.body).is_some();
                    let (id, dossier) = (entry.head.id, entry.head.dossier);
                    self.insert_capture(&NewEntry { id, dossier, bytes: raw, is_cash }, rng)?;
                } else {
                    self.capture_again(&entry)?;
                }
            }
        }
        self.execute(DONE, params![install.as_bytes()])
    }

    /// An own entry of which the server knows nothing any more waits to be packed again.
    fn capture_again(self, entry: &Entry) -> Result<(), StoreError> {
        const SQL: &str = "update entry set state = 0, envelope = null, unconfirmed = 0, attention = 0, uncounted = ?2 \
            where id = ?1 and own = 1 and state = 2";
        let is_cash = cash::of(&entry.body).is_some();
        self.execute(SQL, params![entry.head.id.as_bytes(), is_cash])
    }

    /// All is handed in and the feed has been read to its end. Facts and boards that did not come are not the
    /// server's any more; own entries that it said nothing of it has lost, with envelopes older than
    /// those that are kept: they are packed again.
    pub(crate) fn finish_rewind(self, at: Timestamp, rng: &mut dyn Rng) -> Result<(), StoreError> {
        const OF_HELD: &str =
            "delete from section where stale = 1 and dossier in (select dossier from membership where stale = 0)";
        const BOARDS: &str = "select dossier from board where stale = 1 \
            and dossier in (select dossier from membership where stale = 0) order by dossier";
        self.execute(OF_HELD, [])?;
        for dossier in self.all(BOARDS, [], |row| Ok(DossierId::from(bytes(row, 0, "board")?)))? {
            self.execute("delete from board where dossier = ?1", params![dossier.as_bytes()])?;
            self.redo_on_new_board(dossier, at, rng)?;
        }
        for dossier in self.dossiers_with_changes()? {
            self.redo_on_new_board(dossier, at, rng)?;
        }
        for stored in self.unconfirmed_own_entries()? {
            let entry = Entry::decode(&stored.bytes).map_err(|_| StoreError::BadRow { table: "entry" })?;
            self.capture_again(&entry)?;
        }
        self.execute_one("update phone set rewound = 0", [])
    }

    /// Whether something is here of which the server of this epoch has said nothing.
    pub(crate) fn is_unsettled(self) -> Result<bool, StoreError> {
        const MEMBERSHIP: &str = "select 1 from membership where stale = 1 limit 1";
        const ENTRY: &str = "select 1 from entry where unconfirmed = 1 and own = 0 limit 1";
        Ok(self.first(MEMBERSHIP, [], |_| Ok(()))?.is_some() || self.first(ENTRY, [], |_| Ok(()))?.is_some())
    }

    /// People have looked at what was lost: what the server said nothing of is not this phone's any more.
    pub(crate) fn settle(self) -> Result<(), StoreError> {
        self.execute("delete from membership where stale = 1", [])?;
        self.execute("delete from entry where unconfirmed = 1 and own = 0", [])
    }

    /// The restored server put a change of actor `n` aside: it lacks what the change was made on. Own
    /// changes of that board are made again once the server's board is here, by another actor; once
    /// for each n. Words that were merged before cannot be: the note as it was stays as a draft.
    pub(crate) fn redo_later(
        self,
        dossier: DossierId,
        n: u32,
        reason: &str,
        at: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<bool, StoreError> {
        const MARK: &str = "update board_change set again = 1, envelope = null where dossier = ?1";
        if n < self.board_n(dossier)? {
            return Ok(false);
        }
        let has_own = self.dossiers_with_changes()?.contains(&dossier);
        self.raise_board_n(dossier, n)?;
        if has_own {
            self.execute(MARK, params![dossier.as_bytes()])?;
        } else if let Some(board) = self.confirmed_board(dossier)? {
            let note = board.view().note;
            let edits = (!note.is_empty()).then_some(Edit::NoteReplace(note));
            self.insert_draft(dossier, edits.as_slice(), reason, at, rng)?;
        }
        Ok(true)
    }

    /// The server's board is here: own changes that waited for it, or do not fit on it, are made again.
    pub(crate) fn redo_on_new_board(
        self,
        dossier: DossierId,
        at: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const WAITING: &str = "select 1 from board_change where dossier = ?1 and again = 1 limit 1";
        let words = |edits: Vec<(Edit, bool)>| edits.into_iter().map(|(edit, _)| edit).collect::<Vec<_>>();
        let Some(board) = self.confirmed_board(dossier)? else {
            let edits = words(self.take_edits(dossier)?);
            return self.insert_draft(dossier, &edits, "BOARD_UNKNOWN", at, rng);
        };
        let waiting = self.first(WAITING, params![dossier.as_bytes()], |_| Ok(()))?.is_some();
        if !waiting && self.own_changes_fit(dossier, &board)? {
            return Ok(());
        }
        if !waiting {
            let n = self.board_n(dossier)?;
            self.raise_board_n(dossier, n)?;
        }
        // What is on its way in an envelope has no verdict yet, and may be merged: it is not made twice.
        let (sealed, edits): (Vec<_>, Vec<_>) = self.take_edits(dossier)?.into_iter().partition(|(_, sealed)| *sealed);
        self.insert_draft(dossier, &words(sealed), "MAY_HAVE_ARRIVED", at, rng)?;
        let (phone, n, role) = (self.phone()?, self.board_n(dossier)?, self.board_role(dossier)?);
        let actor = device_actor(phone.device, phone.install, dossier, n);
        let mut board = board;
        for edit in words(edits) {
            match board.edited(actor, role, std::slice::from_ref(&edit), at) {
                Ok(edited) => {
                    self.insert_board_changes(dossier, n, edited.changes(), &[edit], at, rng)?;
                    board = Confirmed::clone(edited.board());
                }
                Err(error) => self.insert_draft(dossier, &[edit], error.code(), at, rng)?,
            }
        }
        Ok(())
    }
}

fn signed_of(row: &rusqlite::Row<'_>, index: usize, table: &'static str) -> Result<Signed, StoreError> {
    minicbor::decode(&row.get::<_, Vec<u8>>(index)?).map_err(|_| StoreError::BadRow { table })
}

/// A signed value as the file keeps it.
pub(super) fn signed_bytes(signed: &Signed) -> Vec<u8> {
    cbor::to_vec(signed)
}
