//! Dossiers that the server ordered to be erased: with them goes what a purge leaves, kept envelopes, drafts
//! and files, and what was captured about them after they had left. Drain first: nothing unanswered is ever
//! deleted, and what a hand-over needs of the cash the officer holds stays.

use daybook_shared::ids::{DossierId, EntryId};
use rusqlite::params;

use super::{Db, StoreError, bytes};

const TABLE: &str = "erasing";

impl Db<'_> {
    /// Notes the order.
    pub(crate) fn order_erasure(self, dossier: DossierId) -> Result<(), StoreError> {
        const SQL: &str = "insert into erasing (dossier) values (?1) on conflict do nothing";
        self.execute(SQL, params![dossier.as_bytes()])
    }

    /// Dossiers to be erased that no caseload holds and of which nothing waits for a verdict, by id.
    pub(crate) fn erasable(self) -> Result<Vec<DossierId>, StoreError> {
        const SQL: &str = "select dossier from erasing o \
            where not exists (select 1 from membership m where m.dossier = o.dossier) \
            and not exists (select 1 from entry e where e.dossier = o.dossier and e.state < 2) \
            and not exists (select 1 from board_change c where c.dossier = o.dossier) order by dossier";
        self.all(SQL, [], |row| Ok(bytes(row, 0, TABLE)?.into()))
    }

    /// Erases a dossier but for kept envelopes; whether it was here.
    pub(crate) fn erase_dossier(self, dossier: DossierId) -> Result<bool, StoreError> {
        const FILES: &str =
            "delete from attachment where entry in (select id from entry where dossier = ?1 and state = 2)";
        const DRAFTS: &str = "delete from draft where dossier = ?1";
        const ENTRIES: &str = "delete from entry where dossier = ?1 and state = 2";
        const DONE: &str = "delete from erasing where dossier = ?1";
        let is_here = self.holds(dossier)?;
        self.execute(FILES, params![dossier.as_bytes()])?;
        self.execute(DRAFTS, params![dossier.as_bytes()])?;
        if is_here {
            self.purge(dossier)?;
        } else {
            self.keep_cash_of(dossier)?;
            self.execute(ENTRIES, params![dossier.as_bytes()])?;
            self.drop_files_of_nobody()?;
        }
        self.execute(DONE, params![dossier.as_bytes()])?;
        Ok(is_here)
    }

    /// Erases an entry that has its verdict with its files, sent or not, by the server's order. An unanswered
    /// one stays.
    pub(crate) fn erase_entry_with_files(self, id: EntryId) -> Result<(), StoreError> {
        const FILES: &str = "delete from attachment where entry = ?1 \
            and exists (select 1 from entry e where e.id = attachment.entry and e.state = 2)";
        self.execute(FILES, params![id.as_bytes()])?;
        self.erase_entry(id)
    }
}
