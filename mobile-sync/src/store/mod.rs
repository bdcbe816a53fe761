//! The phone's own file: SQLite, durable before a call returns, sealed at rest.
//!
//! One [`Store`] is one file and one writer. It runs in WAL mode with `synchronous = FULL`, so a
//! write transaction is one fsync, and what a call returned survives a power cut. Rows with personal
//! data (entries, facts, boards, envelopes, names) are sealed one by one under the host app's key;
//! opening reads one row and unseals nothing else, so it stays quick however much the phone holds.
//!
//! **Restored or cloned files.** The host app keeps a generation counter outside what its backups
//! hold ([`GenerationKeeper`]). The store moves both on when it is opened, whenever it seals an
//! envelope, and whenever it gives a receipt number away. A file that is behind the host's counter is
//! an old copy, and so is an enrolled one whose host has no counter: it was put onto another handset.
//! It gets a new install at once, and everything unanswered in it is packed again.
//!
//! In daily use the store moves first and the host is told once that is durable: a kill between the
//! two leaves the host behind, which is no sign of an old copy. An old copy is dealt with the other
//! way round: a kill between the two leaves it as old as it was, so that it is noticed once, not twice
//! and not never.
//!
//! The functions of this module know rows, not rules: what may be captured is decided in
//! [`crate::capture`], what a frame means in [`crate::session`].

mod attachments;
mod boards;
mod catalogue;
mod dossiers;
mod entries;
mod envelopes;
mod erasing;
mod error;
mod feeds;
mod generation;
mod hands;
mod inspect;
mod install;
mod kept_cash;
mod phone;
mod receipts;
mod rewind;
mod room;
mod vault;
mod wipe;

use std::path::Path;
use std::time::Duration;

use daybook_shared::ids::{DeviceId, InstallId};
use daybook_shared::messages::Language;
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;
use daybook_shared::wire::limits::BUDGET_BYTES_MIN;
use daybook_shared::wire::sign::Signer;
use rand::Rng;
use rusqlite::{Connection, OptionalExtension, Params, Row, RowIndex, TransactionBehavior, params};

pub(crate) use attachments::DueFile;
pub use attachments::StoredFile;
pub(crate) use boards::PendingChange;
pub use boards::{Draft, WorkingBoard};
pub(crate) use catalogue::PageTaken;
pub(crate) use entries::NewEntry;
pub use entries::{EntryState, StoredEntry};
pub(crate) use envelopes::{KeptEnvelope, entry_id};
pub use error::StoreError;
pub use generation::{GenerationKeeper, KeptInMemory};
pub use hands::ChangeHandsError;
pub use inspect::EntryRow;
pub(crate) use install::WayOut;
pub(crate) use phone::{Enrolment, Phone};
pub(crate) use room::Reserve;
pub(crate) use vault::{Place, Vault};

use crate::Moment;
use crate::time::build_time;

/// Migrations, oldest first; a file's `user_version` says how many it has had. Never edited once
/// released: add one.
const MIGRATIONS: [&str; 9] = [
    include_str!("../../../migrations/device/0001_store.sql"),
    include_str!("../../../migrations/device/0002_upload_budget.sql"),
    include_str!("../../../migrations/device/0003_envelope_key.sql"),
    include_str!("../../../migrations/device/0004_kept_cash.sql"),
    include_str!("../../../migrations/device/0005_recovery.sql"),
    include_str!("../../../migrations/device/0006_attachments.sql"),
    include_str!("../../../migrations/device/0007_wiped.sql"),
    include_str!("../../../migrations/device/0008_erasure.sql"),
    include_str!("../../../migrations/device/0009_catalogue.sql"),
];
const CHECK_VALUE: &[u8] = b"daybook/device/store/1";
/// What a phone asks for at first, in bytes of compressed response.
const BUDGET_BYTES_AT_FIRST: u32 = 256 * 1024;
const _: () = assert!(BUDGET_BYTES_AT_FIRST >= BUDGET_BYTES_MIN);
/// How long a second process waits for the file before it is told that it is in use.
const BUSY_MS: u64 = 2000;

/// The phone's store. Dropping it is all there is to closing it.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    vault: Vault,
    keeper: Box<dyn GenerationKeeper>,
    /// Own cash the server's figure does not hold yet, by currency; `None` when it has to be summed
    /// again. Only so that the hundredth capture of a day costs what the first did.
    pub(crate) uncounted_cash: Option<Vec<Money>>,
    began_new_install: bool,
    built: Timestamp,
    language: Language,
    pub(crate) reserve: Reserve,
}

/// The rows within one transaction, or outside of one for reading.
#[derive(Clone, Copy)]
pub(crate) struct Db<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) vault: &'a Vault,
    /// No instant is before it: see [`crate::time`].
    pub(crate) built: Timestamp,
    /// What views are told in.
    pub(crate) language: Language,
}

impl Store {
    /// Opens the store in this file, or makes one.
    ///
    /// `key` seals its rows and comes from the host's keystore; `keeper` holds the generation outside
    /// of backups. A file behind the kept generation, or enrolled without one, starts a new install:
    /// [`Self::began_new_install`].
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::Corrupt`], [`StoreError::InUse`],
    /// [`StoreError::TooNew`], and what the disk says.
    pub fn open(
        path: &Path,
        key: &[u8; 32],
        mut keeper: Box<dyn GenerationKeeper>,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Self, StoreError> {
        let mut conn = connect(path)?;
        migrate(&mut conn)?;
        let vault = Vault::new(key);
        let kept = keeper.load().map_err(StoreError::Keeper)?;
        let built = build_time();
        let language = Language::default();
        let db = Db { conn: &conn, vault: &vault, built, language };
        let generation = db.check_key()?;
        let reserve = Reserve::beside(path);
        let mut store =
            Self { conn, vault, keeper, uncounted_cash: None, began_new_install: false, built, language, reserve };
        let next = match generation {
            None => {
                let next = kept.saturating_add(1);
                store.write_in_need(now, StoreError::is_full, |db| db.insert_phone(next, now, rng))?;
                next
            }
            Some(generation) => {
                let next = generation.max(kept).saturating_add(1);
                let phone = store.read().phone()?;
                let behind = is_old_copy(generation, kept, phone.enrolment.is_some());
                if behind {
                    store.keep_generation(next)?;
                }
                store.write_in_need(now, StoreError::is_full, |db| {
                    if behind {
                        db.begin_install(WayOut::OldCopy, now, rng)?;
                    }
                    db.keep_trusted(&phone, now)?;
                    db.set_generation(next)
                })?;
                store.began_new_install = behind;
                next
            }
        };
        store.keep_generation(next)?;
        store.reserve.fill();
        Ok(store)
    }

    /// Whether opening found an old copy of the store and began a new install.
    pub fn began_new_install(&self) -> bool {
        self.began_new_install
    }

    /// Says since when phones with this build exist, until the store is closed. Only for tests that
    /// live in the past, such as the replay of real payments: no phone can be before its build.
    pub fn set_build_time(&mut self, at: Timestamp) {
        self.built = at;
    }

    /// Tells the views in this language from now on; English at first.
    pub fn speak(&mut self, language: Language) {
        self.language = language;
    }

    /// This device's id: drawn with the store, the same until it is wiped or goes to another officer.
    pub fn device(&self) -> Result<DeviceId, StoreError> {
        self.read().phone().map(|phone| phone.device)
    }

    /// The present install.
    pub fn install(&self) -> Result<InstallId, StoreError> {
        self.read().phone().map(|phone| phone.install)
    }

    /// The device's signing key.
    pub fn signer(&self) -> Result<Signer, StoreError> {
        self.read().signer()
    }

    /// The server's X25519 key, for what somebody else carries to it; none before enrolment.
    pub fn envelope_key(&self) -> Result<Option<[u8; 32]>, StoreError> {
        self.read().phone().map(|phone| phone.enrolment.and_then(|enrolment| enrolment.envelope_key))
    }

    /// Tells the host the generation, so that a copy of the file made before is known as old. Called
    /// once the write that moved the store's own is durable.
    pub(crate) fn keep_generation(&mut self, generation: u64) -> Result<(), StoreError> {
        self.keeper.save(generation).map_err(StoreError::Keeper)
    }

    pub(crate) fn read(&self) -> Db<'_> {
        Db { conn: &self.conn, vault: &self.vault, built: self.built, language: self.language }
    }

    /// One durable transaction: all of `run` or nothing.
    pub(crate) fn write<T, E: From<StoreError>>(&mut self, run: impl FnOnce(Db<'_>) -> Result<T, E>) -> Result<T, E> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let done = run(Db { conn: &tx, vault: &self.vault, built: self.built, language: self.language })?;
        tx.commit().map_err(StoreError::from)?;
        Ok(done)
    }

    /// Bounds the file to so many pages of 4 KiB, so that a test can fill the disk.
    #[cfg(test)]
    pub(crate) fn limit_pages(&mut self, pages: u32) {
        self.conn.pragma_update(None, "max_page_count", pages).unwrap();
    }
}

/// Whether a store with this generation is an old copy, for a host that kept that one. A store that
/// was opened once told its host, and only an open one can be enrolled: enrolled and nothing kept is
/// another handset. One that was killed before it could tell is not enrolled, and nothing is lost.
fn is_old_copy(generation: u64, kept: u64, enrolled: bool) -> bool {
    generation < kept || (kept == 0 && enrolled)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
    // Exclusive before WAL: no shared-memory file, and a second process is told instead of mixed in.
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "secure_delete", "ON")?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(conn)
}

fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = tx.query_row("pragma user_version", [], |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).expect("a handful of migrations");
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    if found < known {
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            tx.execute_batch(migration)?;
        }
        tx.pragma_update(None, "user_version", known)?;
    }
    tx.commit()?;
    Ok(())
}

impl Db<'_> {
    /// The generation of a store that has one, once the key is proven.
    fn check_key(self) -> Result<Option<u64>, StoreError> {
        const SQL: &str = "select check_value, generation from phone";
        let row: Option<(Vec<u8>, i64)> =
            self.conn.query_row(SQL, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((sealed, generation)) = row else { return Ok(None) };
        match self.vault.open(phone::CHECK, &sealed) {
            Some(value) if value == CHECK_VALUE => Ok(Some(generation.cast_unsigned())),
            _ => Err(StoreError::WrongKey),
        }
    }

    pub(crate) fn set_generation(self, generation: u64) -> Result<(), StoreError> {
        self.execute("update phone set generation = ?1", params![generation.cast_signed()])
    }

    /// Runs a statement, cached.
    pub(crate) fn execute(self, sql: &str, params: impl Params) -> Result<(), StoreError> {
        self.conn.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }

    /// Runs a statement that must touch exactly one row; another number is a bug of ours.
    pub(crate) fn execute_one(self, sql: &str, params: impl Params) -> Result<(), StoreError> {
        let rows = self.conn.prepare_cached(sql)?.execute(params)?;
        assert_eq!(rows, 1, "invariant: exactly one row is written by {sql}");
        Ok(())
    }

    /// All rows of a query, mapped.
    pub(crate) fn all<T>(
        self,
        sql: &str,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut mapped = Vec::new();
        while let Some(row) = rows.next()? {
            mapped.push(map(row)?);
        }
        Ok(mapped)
    }

    /// The first row of a query, mapped.
    pub(crate) fn first<T>(
        self,
        sql: &str,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(&mut map).transpose()
    }

    /// Unseals a value.
    pub(crate) fn open(self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.vault.open(place, sealed).ok_or(StoreError::BadRow { table: place.table })
    }

    /// Unseals a text.
    pub(crate) fn open_text(self, place: Place<'_>, sealed: &[u8]) -> Result<String, StoreError> {
        String::from_utf8(self.open(place, sealed)?).map_err(|_| StoreError::BadRow { table: place.table })
    }
}

/// A fixed-size blob of a row.
pub(crate) fn bytes<const N: usize>(
    row: &Row<'_>,
    index: impl RowIndex,
    table: &'static str,
) -> Result<[u8; N], StoreError> {
    let blob = row.get_ref(index)?.as_blob().map_err(|_| StoreError::BadRow { table })?;
    blob.try_into().map_err(|_| StoreError::BadRow { table })
}

/// A fixed-size blob that may be null.
pub(crate) fn bytes_or_null<const N: usize>(
    row: &Row<'_>,
    index: impl RowIndex,
    table: &'static str,
) -> Result<Option<[u8; N]>, StoreError> {
    let blob = row.get_ref(index)?.as_blob_or_null().map_err(|_| StoreError::BadRow { table })?;
    blob.map(|blob| blob.try_into().map_err(|_| StoreError::BadRow { table })).transpose()
}

#[cfg(test)]
mod tests;
