//! The end of a lost phone's store, by the server's signed order.
//!
//! First what is pending is in envelopes that only the server can read, and everything else is erased in the
//! same transaction: dossiers, facts, boards, drafts, receipts, names, the lease. The signing key stays with
//! the envelopes until the server has them, and so do the certificate, by which a server that was set back
//! knows the device again, and its acknowledgements, by which it knows what it had and when. Then they go too, and the row is a new device's: another id,
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
        const PHONE: &str = "update phone set user_name = null, lease = null, lease_exp = null, \
            officer = null, caseloads_hash = 0, news_seen = 0, send_cursors = 0, send_have = 0, relearn = 0, rewound = 0, \
            show_acknowledgement = 0, synced_at = null, state = 2, wiped_at = ?1";
        self.seal_pending(now, rng)?;
        let phone = self.phone()?;
        // Those that the server has, too: one that is set back meanwhile has to be given them again.
        for (install, number) in self.kept_envelopes()? {
            let kept = self.envelope(install, number)?.ok_or(StoreError::BadRow { table: "envelope" })?;
            let bytes = sealed_to(envelope_key, &kept.bytes, rng);
            let bytes = bytes.ok().flatten().ok_or(StoreError::BadRow { table: "envelope" })?;
            self.replace_envelope(install, number, &bytes, rng)?;
        }
        self.erase_rows()?;
        self.execute_one(PHONE, params![phone.trusted(now).micros()])
    }

    /// The server has everything: the key and the envelopes go too, and the row becomes a new device's.
    pub(crate) fn finish_wipe(self, now: Moment, rng: &mut dyn Rng) -> Result<(), StoreError> {
        let phone = self.phone()?;
        self.erase_rows()?;
        self.execute("delete from anchor", [])?;
        self.execute("delete from envelope", [])?;
        self.execute_one("delete from phone", [])?;
        self.insert_phone(phone.generation, now, rng)?;
        self.execute_one("update phone set wiped_at = ?1", params![phone.wiped_at.map(Timestamp::micros)])
    }

    /// Empties every table but those of the phone itself, its envelopes and their acknowledgements, for who goes or who comes. Files that were not sent go too:
    /// their entries say by hash what is missing.
    pub(super) fn erase_rows(self) -> Result<(), StoreError> {
        ERASED.iter().try_for_each(|sql| self.execute(sql, []))
    }
}

const ERASED: [&str; 20] = [
    "delete from entry",
    "delete from attachment",
    "delete from attachment_piece",
    "delete from dossier",
    "delete from membership",
    "delete from section",
    "delete from board",
    "delete from board_actor",
    "delete from board_change",
    "delete from draft",
    "delete from receipt_block",
    "delete from caseload",
    "delete from cursor",
    "delete from purged",
    "delete from relisted",
    "delete from kept_cash",
    "delete from kept_handover",
    "delete from erasing",
    "delete from catalogue",
    "delete from offer",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use daybook_shared::ids::Epoch;

    use super::ERASED;
    use crate::store::{KeptInMemory, WayOut};
    use crate::testing::{Phone, Server, listed, present};

    /// Tables that are treated on their own: the phone's row is cleared, envelopes are sealed to the server, what it
    /// acknowledged says no more than when this phone was heard.
    const KEPT: [&str; 3] = ["phone", "envelope", "anchor"];

    #[test]
    fn every_table_of_the_phone_is_erased_or_kept_on_purpose() {
        let phone = Phone::enrolled(&mut Server::new());
        let all = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'";
        let mut statement = phone.store.conn.prepare(all).unwrap();
        let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let tables: BTreeSet<_> = names.map(Result::unwrap).collect();
        let erased = ERASED.iter().map(|sql| sql.trim_start_matches("delete from "));
        let known: BTreeSet<_> = erased.chain(KEPT).map(str::to_owned).collect();
        assert_eq!(tables, known);
    }

    /// Goal: what only a wiped store has outlives everything but the server's word that it is there. Method: an app
    /// whose keystore has forgotten the store's generation, numbers that somebody else uses, and a server that
    /// was set back before everything it had been given.
    #[test]
    fn what_a_store_sealed_when_it_erased_itself_stays_whatever_happens_to_it() {
        let mut server = Server::new();
        let mut phone = Phone::enrolled(&mut server);
        server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
        phone.cash(1, 100);
        phone.sync(&mut server);
        phone.cash(1, 200);
        let (now, rng) = (phone.now, &mut phone.rng);
        phone.store.write(|db| db.wipe(&[9; 32], now, rng)).unwrap();
        let sealed = phone.store.read().kept_envelopes().unwrap();
        assert_eq!(sealed.len(), 2, "the one that the server has too");
        phone.keeper = KeptInMemory::default();
        phone.reopen();
        assert_eq!(phone.store.read().kept_envelopes().unwrap(), sealed, "a generation that is not known");
        let (now, rng) = (phone.now, &mut phone.rng);
        phone.store.write(|db| db.begin_install(WayOut::Numbering, now, rng)).unwrap();
        assert_eq!(phone.store.read().kept_envelopes().unwrap(), sealed, "numbers that others use");
        phone.store.write(|db| db.rewind(Epoch([9; 8]))).unwrap();
        let (install, number) = sealed[0];
        let kept = phone.store.read().envelope(install, number).unwrap().unwrap();
        phone.store.read().acknowledgements_named(&[kept]).unwrap();
        let rng = &mut phone.rng;
        phone.store.write(|db| db.repack_kept(install, rng)).unwrap();
        assert_eq!(phone.store.read().count_envelopes_again().unwrap(), 1, "it is still to be handed in again");
    }
}
