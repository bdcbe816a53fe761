//! Sealed envelopes: kept until every item has its verdict, and 30 days after.

use std::collections::BTreeSet;

use daybook_shared::entry::Head;
use daybook_shared::ids::{DossierId, EntryId, EnvelopeId, InstallId};
use daybook_shared::time::{DAY_MS, Timestamp};
use daybook_shared::wire::envelope::Envelope;
use daybook_shared::wire::limits::ENVELOPE_KEPT_DAYS;
use rand::Rng;
use rusqlite::{Row, params};

use super::{Db, Place, StoreError, bytes};

const TABLE: &str = "envelope";
/// What `answered` is of an envelope of an officer before, whose device's key is gone: it is kept as long as any
/// other, and never handed in again.
const OF_FORMER_HANDS: i64 = 2;

/// An envelope as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct KeptEnvelope {
    pub number: u64,
    pub id: EnvelopeId,
    pub bytes: Vec<u8>,
}

impl Db<'_> {
    /// Keeps an envelope just sealed and moves the install's chain on.
    pub(crate) fn insert_envelope(
        self,
        install: InstallId,
        envelope: &KeptEnvelope,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into envelope (install, number, id, bytes) values (?1, ?2, ?3, ?4)";
        const CHAIN: &str = "update phone set number_last = ?1, envelope_last = ?2 where number_last = ?1 - 1";
        let number = envelope.number.cast_signed();
        let sealed = self.vault.seal(place(&row_of(install, envelope.number)), &envelope.bytes, rng);
        self.execute_one(INSERT, params![install.as_bytes(), number, envelope.id.0, sealed])?;
        self.execute_one(CHAIN, params![number, envelope.id.0])
    }

    /// Keeps an envelope in another wrapping.
    pub(super) fn replace_envelope(
        self,
        install: InstallId,
        number: u64,
        bytes: &[u8],
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const SQL: &str = "update envelope set bytes = ?3 where install = ?1 and number = ?2";
        let sealed = self.vault.seal(place(&row_of(install, number)), bytes, rng);
        self.execute_one(SQL, params![install.as_bytes(), number.cast_signed(), sealed])
    }

    /// Envelopes of the install without a verdict, or to be handed in again, from this number on, oldest first: whole ones as
    /// long as they fit `bytes_max`, but at least one, and at most `count_max`.
    pub(crate) fn envelopes_to_send(
        self,
        install: InstallId,
        from_number: u64,
        (count_max, bytes_max): (usize, usize),
    ) -> Result<Vec<KeptEnvelope>, StoreError> {
        const SQL: &str = "select number, id, bytes from envelope \
            where install = ?1 and (answered = 0 or again = 1) and number >= ?2 order by number limit ?3";
        let mut statement = self.conn.prepare_cached(SQL)?;
        let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![install.as_bytes(), from_number.cast_signed(), limit])?;
        let (mut envelopes, mut total) = (Vec::new(), 0_usize);
        while let Some(row) = rows.next()? {
            let envelope = self.envelope_of(install, row)?;
            total = total.saturating_add(envelope.bytes.len());
            if total > bytes_max && !envelopes.is_empty() {
                break;
            }
            envelopes.push(envelope);
        }
        Ok(envelopes)
    }

    /// A kept envelope, answered or not.
    pub(crate) fn envelope(self, install: InstallId, number: u64) -> Result<Option<KeptEnvelope>, StoreError> {
        const SQL: &str = "select number, id, bytes from envelope where install = ?1 and number = ?2";
        self.first(SQL, params![install.as_bytes(), number.cast_signed()], |row| self.envelope_of(install, row))
    }

    /// Every envelope that is kept, by install and number, in the order they were sealed.
    pub(super) fn kept_envelopes(self) -> Result<Vec<(InstallId, u64)>, StoreError> {
        self.all("select install, number from envelope order by rowid", [], |row| {
            Ok((bytes(row, 0, TABLE)?.into(), row.get::<_, i64>(1)?.cast_unsigned()))
        })
    }

    /// How many envelopes of the install wait for a verdict.
    pub(crate) fn count_unanswered_envelopes(self, install: InstallId) -> Result<u64, StoreError> {
        const SQL: &str = "select count(*) from envelope where install = ?1 and answered = 0";
        let count = self.first(SQL, params![install.as_bytes()], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    pub(crate) fn set_envelope_answered(self, install: InstallId, number: u64) -> Result<(), StoreError> {
        const SQL: &str =
            "update envelope set answered = 1, again = 0, refused = null where install = ?1 and number = ?2";
        self.execute_one(SQL, params![install.as_bytes(), number.cast_signed()])
    }

    pub(crate) fn set_envelope_refused(self, install: InstallId, number: u64, code: &str) -> Result<(), StoreError> {
        const SQL: &str = "update envelope set refused = ?3 where install = ?1 and number = ?2";
        self.execute_one(SQL, params![install.as_bytes(), number.cast_signed(), code])
    }

    /// The server holds every envelope of this install up to a number.
    pub(crate) fn set_acked_up_to(self, install: InstallId, number: u64, at: Timestamp) -> Result<(), StoreError> {
        const ENVELOPES: &str =
            "update envelope set acked_at = ?3 where install = ?1 and number <= ?2 and acked_at is null";
        const PHONE: &str = "update phone set acked_number = ?2, acked_envelope = \
            (select id from envelope where install = ?1 and number = ?2) \
            where exists (select 1 from envelope where install = ?1 and number = ?2)";
        let number = number.cast_signed();
        self.execute(ENVELOPES, params![install.as_bytes(), number, at.micros()])?;
        self.execute(PHONE, params![install.as_bytes(), number])
    }

    /// The server asks for everything from this number again: verdicts are awaited once more.
    pub(crate) fn reopen_envelopes(self, install: InstallId, from_number: u64) -> Result<(), StoreError> {
        const ENVELOPES: &str = "update envelope set again = 1 where install = ?1 and number >= ?2 and answered = 1";
        const PHONE: &str = "update phone set acked_number = min(acked_number, ?1)";
        let number = from_number.cast_signed();
        self.execute(ENVELOPES, params![install.as_bytes(), number])?;
        self.execute_one(PHONE, params![number - 1])
    }

    /// Keeps every envelope for its time, as one that nobody can hand in any more.
    pub(super) fn keep_envelopes_of_former_hands(self, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "update envelope set answered = ?1, again = 0, acked_at = coalesce(acked_at, ?2)";
        self.execute(SQL, params![OF_FORMER_HANDS, now.micros()])
    }

    /// Drops answered envelopes whose time has passed, and with them settled captures about dossiers
    /// that are not here: recorded after a purge, or about a case the phone never held.
    pub(crate) fn drop_old(self, now: Timestamp) -> Result<(), StoreError> {
        let before = now.plus_ms(-ENVELOPE_KEPT_DAYS * DAY_MS);
        self.execute(
            "delete from envelope where answered <> 0 and again = 0 and acked_at < ?1",
            params![before.micros()],
        )?;
        // Ids are UUIDv7: their first 48 bits are the milliseconds they were made at.
        let oldest_kept = before.millis().cast_unsigned().to_be_bytes();
        let old = self.entries_nobody_asks_for(&oldest_kept[2..])?;
        old.iter().try_for_each(|entry| self.erase_entry(entry.id))?;
        self.drop_old_files(now)?;
        self.forget_settled_cash(&oldest_kept[2..])
    }

    /// Drops the kept envelopes that carry one of these entries, when they have to be erased: an
    /// envelope cannot be changed without breaking its signature. Unanswered ones stay.
    pub(crate) fn drop_envelopes_with(self, entries: &BTreeSet<EntryId>) -> Result<(), StoreError> {
        self.drop_envelopes(|envelope| {
            envelope.body.entries.iter().filter_map(|entry| entry_id(entry)).any(|id| entries.contains(&id))
        })
    }

    /// Drops the kept envelopes that carry anything about these dossiers. Unanswered ones stay.
    pub(crate) fn drop_envelopes_about(self, dossiers: &BTreeSet<DossierId>) -> Result<(), StoreError> {
        self.drop_envelopes(|envelope| {
            let heads = envelope.body.entries.iter().filter_map(|entry| minicbor::decode::<Head>(entry).ok());
            heads.map(|head| head.dossier).any(|of| dossiers.contains(&of))
                || envelope.body.board.iter().any(|change| dossiers.contains(&change.dossier))
        })
    }

    fn drop_envelopes(self, goes: impl Fn(&Envelope) -> bool) -> Result<(), StoreError> {
        const SELECT: &str = "select number, id, bytes, install from envelope where answered <> 0";
        const DELETE: &str = "delete from envelope where install = ?1 and number = ?2";
        let kept = self.all(SELECT, [], |row| {
            let install = InstallId::from(bytes(row, 3, TABLE)?);
            Ok((install, self.envelope_of(install, row)?))
        })?;
        for (install, kept) in kept {
            let envelope = Envelope::decode(&kept.bytes).map_err(|_| StoreError::BadRow { table: TABLE })?;
            if goes(&envelope) {
                self.execute_one(DELETE, params![install.as_bytes(), kept.number.cast_signed()])?;
            }
        }
        Ok(())
    }

    fn envelope_of(self, install: InstallId, row: &Row<'_>) -> Result<KeptEnvelope, StoreError> {
        let number = row.get::<_, i64>(0)?.cast_unsigned();
        let sealed: Vec<u8> = row.get(2)?;
        let bytes_sent = self.open(place(&row_of(install, number)), &sealed)?;
        Ok(KeptEnvelope { number, id: EnvelopeId(bytes(row, 1, TABLE)?), bytes: bytes_sent })
    }
}

fn row_of(install: InstallId, number: u64) -> Vec<u8> {
    [install.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

fn place(row: &[u8]) -> Place<'_> {
    Place { table: TABLE, row }
}

/// The id in an entry's bytes; `None` only if they are no entry at all.
pub(crate) fn entry_id(bytes: &[u8]) -> Option<EntryId> {
    minicbor::decode::<Head>(bytes).ok().map(|head| head.id)
}
