//! The end of a lost phone's store, by the server's signed order.
//!
//! First what is pending is in envelopes that only the server can read, and everything else is erased in the
//! same transaction: dossiers, facts, boards, drafts, receipts, names, the lease. The signing key stays with
//! the envelopes until the server has them. Then they go too, and the row is a new device's: another id,
//! another key, not enrolled. It still says that it was wiped, until somebody enrols it anew.
//!
//! What the order is worth is judged in [`crate::session`]; here it is carried out.

use daybook_shared::time::Timestamp;
use daybook_shared::wire::envelope::sealed_to;
use rand::Rng;
use rusqlite::params;

use super::{Db, Store, StoreError};
use crate::Moment;

impl Store {
    /// When this store erased itself by the server's order; none once it is enrolled anew.
    pub fn wiped_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read().phone().map(|phone| phone.wiped_at)
    }

    /// Has the log of writes forget what was erased, so that nothing of it is left in any file.
    pub(crate) fn forget_writes(&self) -> Result<(), StoreError> {
        self.conn.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).map_err(StoreError::from)
    }
}

impl Db<'_> {
    /// Erases everything but the signing key and what the server has not got, sealed to its key.
    pub(crate) fn wipe(self, envelope_key: &[u8; 32], now: Moment, rng: &mut dyn Rng) -> Result<(), StoreError> {
        const PHONE: &str = "update phone set user_name = null, certificate = null, lease = null, lease_exp = null, \
            officer = null, caseloads_hash = 0, news_seen = 0, send_cursors = 0, send_have = 0, synced_at = null, \
            state = 2, wiped_at = ?1";
        self.seal_pending(now, rng)?;
        let phone = self.phone()?;
        self.execute(
            "delete from envelope where install <> ?1 or number <= ?2",
            params![phone.install.as_bytes(), phone.acked_number.cast_signed()],
        )?;
        for envelope in self.envelopes_to_send(phone.install, 0, (usize::MAX, usize::MAX))? {
            let bytes = sealed_to(envelope_key, &envelope.bytes, rng);
            let bytes = bytes.ok().flatten().ok_or(StoreError::BadRow { table: "envelope" })?;
            self.replace_envelope(phone.install, envelope.number, &bytes, rng)?;
        }
        self.erase_rows()?;
        self.execute_one(PHONE, params![phone.trusted(now).micros()])
    }

    /// The server has everything: the key and the envelopes go too, and the row becomes a new device's.
    pub(crate) fn finish_wipe(self, now: Moment, rng: &mut dyn Rng) -> Result<(), StoreError> {
        let phone = self.phone()?;
        self.erase_rows()?;
        self.execute("delete from envelope", [])?;
        self.execute_one("delete from phone", [])?;
        self.insert_phone(phone.generation, now, rng)?;
        self.execute_one("update phone set wiped_at = ?1", params![phone.wiped_at.map(Timestamp::micros)])
    }

    /// Empties every table but those of the phone itself and of its envelopes.
    fn erase_rows(self) -> Result<(), StoreError> {
        const STATEMENTS: [&str; 16] = [
            "delete from entry",
            "delete from dossier",
            "delete from membership",
            "delete from section",
            "delete from board",
            "delete from board_actor",
            "delete from board_change",
            "delete from draft",
            "delete from anchor",
            "delete from receipt_block",
            "delete from caseload",
            "delete from cursor",
            "delete from purged",
            "delete from relisted",
            "delete from kept_cash",
            "delete from kept_handover",
        ];
        STATEMENTS.iter().try_for_each(|sql| self.execute(sql, []))
    }
}
