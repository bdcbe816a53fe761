//! Files that own entries name: sealed in the store until the server has had them for a while.
//!
//! The bytes are kept once a file, in pieces, so that no more than one of them is in memory beside what is
//! being sent. A file goes up only after its entry has its verdict, or on a locked phone, which gets none, after
//! the server holds it; it outlives an entry that leaves the phone before, because the server waits for it.

use daybook_shared::ids::{EntryId, Hash};
use daybook_shared::time::{DAY_MS, Timestamp};
use rand::Rng;
use rusqlite::params;

use super::{Db, Place, StoreError, bytes};

const TABLE: &str = "attachment";
const PIECE: &str = "attachment_piece";
/// Bytes of a file that are sealed together.
const PIECE_SIZE: usize = 64 * 1024;
/// Days a file stays on the phone once the server has it.
const ATTACHMENT_KEPT_DAYS: i64 = 7;
/// Times the server may refuse to go on with a file before the phone leaves it to people.
const TRIES_MAX: i64 = 5;

/// Whether the server cannot have a file's entry yet, for `attachment a`.
macro_rules! entry_waits {
    () => {
        "exists (select 1 from entry e, phone p where e.id = a.entry and e.state < 2 \
            and not (p.state <> 0 and e.state = 1 and e.envelope <= p.acked_number))"
    };
}

/// A file that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DueFile {
    pub sha256: Hash,
    pub size: u32,
    /// Bytes the server said it holds.
    pub sent: u32,
}

/// A file as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The entry that names it.
    pub entry: EntryId,
    /// Its hash.
    pub sha256: Hash,
    /// Its length.
    pub size: u32,
    /// Bytes the server said it holds.
    pub sent: u32,
    /// Why the server will not take it, by the code of its answer.
    pub refused: Option<String>,
}

impl Db<'_> {
    /// Keeps a file of a new entry.
    pub(crate) fn insert_file(
        self,
        entry: EntryId,
        sha256: Hash,
        file: &[u8],
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into attachment (entry, sha256, size) values (?1, ?2, ?3) \
            on conflict (entry, sha256) do nothing";
        const INSERT_PIECE: &str = "insert into attachment_piece (sha256, place, bytes) values (?1, ?2, ?3) \
            on conflict (sha256, place) do nothing";
        let size = i64::try_from(file.len()).unwrap_or(i64::MAX);
        self.execute(INSERT, params![entry.as_bytes(), sha256.0, size])?;
        for (place, piece) in (0_i64..).zip(file.chunks(PIECE_SIZE)) {
            let sealed = self.vault.seal(piece_place(&row_of(sha256, place)), piece, rng);
            self.execute(INSERT_PIECE, params![sha256.0, place, sealed])?;
        }
        Ok(())
    }

    /// The next file to send, but for these: of an entry that has its verdict, or that left with it.
    pub(crate) fn due_file(self, but: &[Hash]) -> Result<Option<DueFile>, StoreError> {
        Ok(self.due_files()?.into_iter().find(|file| !but.contains(&file.sha256)))
    }

    fn due_files(self) -> Result<Vec<DueFile>, StoreError> {
        const SQL: &str = concat!(
            "select a.sha256, a.size, a.sent from attachment a where a.state = 0 and not ",
            entry_waits!(),
            " order by a.rowid"
        );
        self.all(SQL, [], |row| {
            Ok(DueFile { sha256: Hash(bytes(row, 0, TABLE)?), size: row.get(1)?, sent: row.get(2)? })
        })
    }

    /// Files that have not arrived, in the order of capture; the ones the server will not take among them.
    pub(crate) fn unsent_files(self) -> Result<Vec<StoredFile>, StoreError> {
        const SQL: &str = "select entry, sha256, size, sent, refused from attachment where state <> 1 order by rowid";
        self.all(SQL, [], |row| {
            Ok(StoredFile {
                entry: bytes(row, 0, TABLE)?.into(),
                sha256: Hash(bytes(row, 1, TABLE)?),
                size: row.get(2)?,
                sent: row.get(3)?,
                refused: row.get(4)?,
            })
        })
    }

    /// How many files, and bytes of them, have not arrived.
    pub(crate) fn count_unsent_files(self) -> Result<(u64, u64), StoreError> {
        const SQL: &str = "select count(*), coalesce(sum(size - sent), 0) from attachment where state = 0";
        let counted = self.first(SQL, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let (files, left) = counted.unwrap_or_default();
        Ok((files.cast_unsigned(), left.cast_unsigned()))
    }

    /// Bytes of all files that are kept here.
    pub(crate) fn kept_file_bytes(self) -> Result<u64, StoreError> {
        let sum = self.first("select coalesce(sum(length(bytes)), 0) from attachment_piece", [], |row| {
            Ok(row.get::<_, i64>(0)?)
        })?;
        Ok(sum.unwrap_or(0).cast_unsigned())
    }

    /// Bytes of a file from a place on, at most so many.
    pub(crate) fn file_bytes(self, sha256: Hash, from: u32, length: usize) -> Result<Vec<u8>, StoreError> {
        const SQL: &str = "select bytes from attachment_piece where sha256 = ?1 and place = ?2";
        let (mut at, mut found) = (from as usize, Vec::new());
        while found.len() < length {
            let place = i64::try_from(at / PIECE_SIZE).unwrap_or(i64::MAX);
            let sealed = self.first(SQL, params![sha256.0, place], |row| Ok(row.get::<_, Vec<u8>>(0)?))?;
            let Some(sealed) = sealed else { break };
            let piece = self.open(piece_place(&row_of(sha256, place)), &sealed)?;
            let rest = piece.get(at % PIECE_SIZE..).unwrap_or_default();
            let taken = &rest[..rest.len().min(length - found.len())];
            if taken.is_empty() {
                break;
            }
            found.extend_from_slice(taken);
            at += taken.len();
        }
        Ok(found)
    }

    /// Every file here, whole.
    pub(super) fn every_file(self) -> Result<Vec<Vec<u8>>, StoreError> {
        let files =
            self.all("select distinct sha256 from attachment_piece", [], |row| Ok(Hash(bytes(row, 0, PIECE)?)))?;
        files.into_iter().map(|sha256| self.file_bytes(sha256, 0, usize::MAX)).collect()
    }

    /// Notes how many bytes of a file the server holds.
    pub(crate) fn set_file_sent(self, sha256: Hash, size: u32, sent: u32) -> Result<(), StoreError> {
        const SQL: &str = "update attachment set sent = min(?3, size) where sha256 = ?1 and size = ?2 and state = 0";
        self.execute(SQL, params![sha256.0, size, sent])
    }

    /// The server has a file; so do all entries that were answered by then and name it.
    pub(crate) fn set_file_done(self, sha256: Hash, size: u32, at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = concat!(
            "update attachment as a set state = 1, sent = size, done_at = ?3 \
             where sha256 = ?1 and size = ?2 and state = 0 and not ",
            entry_waits!()
        );
        self.execute(SQL, params![sha256.0, size, at.micros()])
    }

    /// The server would not go on with a file: it is tried again from its beginning, a few times.
    pub(crate) fn set_file_failed(self, sha256: Hash, size: u32, code: &str) -> Result<(), StoreError> {
        const SQL: &str = "update attachment set sent = 0, tries = tries + 1, \
            state = case when tries + 1 >= ?4 then 2 else 0 end, refused = case when tries + 1 >= ?4 then ?3 end \
            where sha256 = ?1 and size = ?2 and state = 0";
        self.execute(SQL, params![sha256.0, size, code, TRIES_MAX])
    }

    /// Another history of the server's database may lack what an older one had: all that is here goes again.
    pub(crate) fn send_files_again(self) -> Result<(), StoreError> {
        self.execute("update attachment set state = 0, sent = 0, tries = 0, refused = null, done_at = null", [])
    }

    /// Drops what the server has had for a while, and what belongs to nothing here.
    pub(super) fn drop_old_files(self, now: Timestamp) -> Result<(), StoreError> {
        let before = now.plus_ms(-ATTACHMENT_KEPT_DAYS * DAY_MS).micros();
        self.execute("delete from attachment where state = 1 and done_at < ?1", params![before])?;
        self.drop_files_of_nobody()
    }

    /// With an entry goes what the server has of its files; what it waits for stays.
    pub(super) fn drop_files_of_nobody(self) -> Result<(), StoreError> {
        self.execute(
            "delete from attachment where state <> 0 and not exists (select 1 from entry e where e.id = attachment.entry)",
            [],
        )?;
        self.execute("delete from attachment_piece where sha256 not in (select sha256 from attachment)", [])
    }
}

fn row_of(sha256: Hash, place: i64) -> Vec<u8> {
    [sha256.0.as_slice(), &place.to_be_bytes()].concat()
}

fn piece_place(row: &[u8]) -> Place<'_> {
    Place { table: PIECE, row }
}
