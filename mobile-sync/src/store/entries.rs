//! Entries: own captures on their way, and what colleagues captured.

use daybook_shared::cbor;
use daybook_shared::entry::Head;
use daybook_shared::ids::{DossierId, EntryId};
use daybook_shared::wire::exchange::Unsent;
use daybook_shared::wire::outcome::{Outcome, OutcomeState};
use rand::Rng;
use rusqlite::{Row, params};

use super::{Db, Place, StoreError, bytes};
use crate::view::cash;

const TABLE: &str = "entry";
const AUTHOR: &str = "entry.author";
/// The statement for the entries that meet a condition.
macro_rules! entries {
    ($condition:literal) => {
        concat!(
            "select id, dossier, own, bytes, author, state, envelope, outcome, unconfirmed from entry where ",
            $condition
        )
    };
}

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// Captured, not packed yet.
    Pending,
    /// In the envelope of this number, without a verdict.
    Sealed {
        /// The envelope's number in this install.
        envelope: u64,
    },
    /// The server's verdict is here.
    Answered(Outcome),
}

impl EntryState {
    /// The verdict, once there is one.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Answered(outcome) => Some(outcome),
            Self::Pending | Self::Sealed { .. } => None,
        }
    }
}

/// An entry as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its id.
    pub id: EntryId,
    /// Its dossier.
    pub dossier: DossierId,
    /// Captured by this device.
    pub own: bool,
    /// The bytes its phone made.
    pub bytes: Vec<u8>,
    /// The colleague who captured it; `None` for an own one.
    pub author: Option<String>,
    /// Where it stands.
    pub state: EntryState,
    /// The verdict is of a database of which a part was lost, and was not said again since.
    pub unconfirmed: bool,
}

/// An own capture to insert.
pub(crate) struct NewEntry<'a> {
    pub id: EntryId,
    pub dossier: DossierId,
    pub bytes: &'a [u8],
    pub is_cash: bool,
}

impl Db<'_> {
    pub(crate) fn insert_capture(self, entry: &NewEntry<'_>, rng: &mut dyn Rng) -> Result<(), StoreError> {
        const SQL: &str = "insert into entry (id, dossier, own, bytes, state, uncounted) values (?1, ?2, 1, ?3, 0, ?4)";
        let sealed = self.vault.seal(place(&entry.id), entry.bytes, rng);
        self.execute_one(SQL, params![entry.id.as_bytes(), entry.dossier.as_bytes(), sealed, entry.is_cash])
    }

    /// Inserts what a colleague captured, or an own entry this store no longer had. Own ones become
    /// answered; of one id the bytes here stand.
    pub(crate) fn insert_fed(
        self,
        (id, dossier, own): (EntryId, DossierId, bool),
        bytes: &[u8],
        author: &str,
        outcome: &Outcome,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const SQL: &str = "insert into entry (id, dossier, own, bytes, author, state, outcome, attention) \
            values (?1, ?2, ?3, ?4, ?5, 2, ?6, ?7) on conflict (id) do nothing";
        if self.set_outcome(id, outcome)? {
            return Ok(());
        }
        self.forget_kept_cash(id)?;
        let sealed = self.vault.seal(place(&id), bytes, rng);
        let author = self.vault.seal(Place { table: AUTHOR, row: id.as_bytes() }, author.as_bytes(), rng);
        let author = (!own).then_some(author);
        let attention = own && needs_attention(outcome);
        self.execute_one(
            SQL,
            params![id.as_bytes(), dossier.as_bytes(), own, sealed, author, cbor::to_vec(outcome), attention],
        )
    }

    /// Writes a verdict beside its entry, or beside what outlived it. False if there is no such entry
    /// here.
    pub(crate) fn set_outcome(self, id: EntryId, outcome: &Outcome) -> Result<bool, StoreError> {
        const SQL: &str = "update entry set state = 2, outcome = ?2, attention = own * ?3, \
            uncounted = uncounted * ?4, unconfirmed = 0 where id = ?1";
        let in_hand = cash::is_in_hand(outcome);
        let params = params![id.as_bytes(), cbor::to_vec(outcome), needs_attention(outcome), in_hand];
        if self.conn.prepare_cached(SQL)?.execute(params)? > 0 {
            return Ok(true);
        }
        self.set_kept_outcome(id, outcome)?;
        Ok(false)
    }

    /// Own entries to pack, in the order of capture.
    pub(crate) fn pending_entries(self) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("state = 0 order by seq"), [])
    }

    pub(crate) fn set_sealed(self, id: EntryId, envelope: u64) -> Result<(), StoreError> {
        const SQL: &str = "update entry set state = 1, envelope = ?2 where id = ?1 and state = 0";
        self.execute_one(SQL, params![id.as_bytes(), envelope.cast_signed()])
    }

    /// Own entries without a verdict, in the order of capture.
    pub(crate) fn open_entries(self) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("state < 2 order by seq"), [])
    }

    /// Own cash the server's figure does not hold, in the order of capture.
    pub(crate) fn uncounted_entries(self) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("uncounted = 1 order by seq"), [])
    }

    /// Own entries that were held or refused, in the order of capture.
    pub(crate) fn entries_needing_attention(self) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("attention = 1 order by seq"), [])
    }

    /// Own entries whose verdict nobody has said again since the server was set back, in the order of capture.
    pub(super) fn unconfirmed_own_entries(self) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("unconfirmed = 1 and own = 1 and state = 2 order by seq"), [])
    }

    /// Every own entry here, in the order of capture.
    pub(crate) fn own_entries(self) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("own = 1 order by seq"), [])
    }

    /// Every entry here, whoever captured it.
    pub(super) fn every_entry(self) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("seq > 0 order by seq"), [])
    }

    pub(crate) fn entries_of(self, dossier: DossierId) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("dossier = ?1 order by seq"), params![dossier.as_bytes()])
    }

    pub(super) fn own_entries_of(self, dossier: DossierId) -> Result<Vec<StoredEntry>, StoreError> {
        self.entries(entries!("dossier = ?1 and own = 1 order by seq"), params![dossier.as_bytes()])
    }

    pub(crate) fn entry(self, id: EntryId) -> Result<Option<StoredEntry>, StoreError> {
        Ok(self.entries(entries!("id = ?1"), params![id.as_bytes()])?.pop())
    }

    /// How many own captures wait for a verdict.
    pub(crate) fn count_open_entries(self) -> Result<u64, StoreError> {
        let count = self.first("select count(*) from entry where state < 2", [], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    /// Own captures that no envelope up to this number carries; none when there are none.
    pub(crate) fn unsent_beyond(self, number: u64) -> Result<Option<Unsent>, StoreError> {
        const COUNT: &str = "select count(*) from entry where state < 2 and (state = 0 or envelope > ?1)";
        const OLDEST: &str = entries!("state < 2 and (state = 0 or envelope > ?1) order by seq limit 1");
        let count = self.first(COUNT, params![number.cast_signed()], |row| Ok(row.get::<_, u32>(0)?))?.unwrap_or(0);
        if count == 0 {
            return Ok(None);
        }
        let oldest = self.entries(OLDEST, params![number.cast_signed()])?.pop();
        let head: Option<Head> = oldest.and_then(|entry| minicbor::decode(&entry.bytes).ok());
        let head = head.ok_or(StoreError::BadRow { table: TABLE })?;
        Ok(Some(Unsent { count, oldest_at: head.captured_at }))
    }

    /// How many own captures of a dossier wait for a verdict.
    pub(crate) fn count_open_entries_of(self, dossier: DossierId) -> Result<usize, StoreError> {
        const SQL: &str = "select count(*) from entry where dossier = ?1 and state < 2";
        let count = self.first(SQL, params![dossier.as_bytes()], |row| Ok(row.get::<_, u32>(0)?))?;
        Ok(count.unwrap_or(0) as usize)
    }

    pub(crate) fn count_pending_entries(self) -> Result<u64, StoreError> {
        let count = self.first("select count(*) from entry where state = 0", [], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    /// Erases an entry that has its verdict, by the server's order. An unanswered one stays.
    pub(crate) fn erase_entry(self, id: EntryId) -> Result<(), StoreError> {
        if let Some(entry) = self.entry(id)? {
            self.keep_cash(&entry)?;
        }
        self.execute("delete from entry where id = ?1 and state = 2", params![id.as_bytes()])?;
        self.drop_files_of_nobody()
    }

    /// Settled captures about dossiers that are not here, whose ids are below `before`.
    pub(super) fn entries_nobody_asks_for(self, before: &[u8]) -> Result<Vec<StoredEntry>, StoreError> {
        const CONDITION: &str = entries!(
            "state = 2 and uncounted = 0 and id < ?1 and dossier not in (select id from dossier) order by seq"
        );
        self.entries(CONDITION, params![before])
    }

    /// Runs a statement of [`entries!`].
    fn entries(self, sql: &'static str, params: impl rusqlite::Params) -> Result<Vec<StoredEntry>, StoreError> {
        self.all(sql, params, |row| self.entry_of(row))
    }

    fn entry_of(self, row: &Row<'_>) -> Result<StoredEntry, StoreError> {
        let id = EntryId::from(bytes(row, 0, TABLE)?);
        let sealed: Vec<u8> = row.get(3)?;
        let author: Option<Vec<u8>> = row.get(4)?;
        let author = author.map(|sealed| self.open_text(Place { table: AUTHOR, row: id.as_bytes() }, &sealed));
        Ok(StoredEntry {
            id,
            dossier: bytes(row, 1, TABLE)?.into(),
            own: row.get(2)?,
            bytes: self.open(place(&id), &sealed)?,
            author: author.transpose()?,
            state: state_of(row)?,
            unconfirmed: row.get(8)?,
        })
    }
}

fn state_of(row: &Row<'_>) -> Result<EntryState, StoreError> {
    let bad = StoreError::BadRow { table: TABLE };
    match row.get::<_, i64>(5)? {
        0 => Ok(EntryState::Pending),
        1 => Ok(EntryState::Sealed { envelope: row.get::<_, i64>(6)?.cast_unsigned() }),
        _ => minicbor::decode(&row.get::<_, Vec<u8>>(7)?).map(EntryState::Answered).map_err(|_| bad),
    }
}

fn needs_attention(outcome: &Outcome) -> bool {
    matches!(outcome.state, OutcomeState::Held | OutcomeState::Refused)
}

fn place(id: &EntryId) -> Place<'_> {
    Place { table: TABLE, row: id.as_bytes() }
}
