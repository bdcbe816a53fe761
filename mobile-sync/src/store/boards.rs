//! Boards: what the server admitted, this device's own changes on top, and words that were refused.

use daybook_shared::board::{AdmittedChange, BoardKind, BoardRole, BoardView, Confirmed, Edit, device_actor};
use daybook_shared::cbor;
use daybook_shared::ids::{ChangeHash, DossierId, InstallId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::exchange::Audience;
use minicbor::{Decode, Encode};
use rand::Rng;
use rusqlite::params;
use uuid::Uuid;

use super::{Db, Place, StoreError, bytes};

const BOARD: &str = "board";
const CHANGE: &str = "board_change";
const EDITS: &str = "board_change.edits";
const DRAFT: &str = "draft";

/// The officer's words on a board that the server did not merge. Kept until dismissed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Names the draft, for dismissing it.
    pub number: i64,
    /// The board's dossier.
    pub dossier: DossierId,
    /// What the officer had written or marked, one line an edit.
    pub words: String,
    /// The stable code of the reason.
    pub reason: String,
    /// When the phone learnt it.
    pub at: Timestamp,
}

/// A board as the officer sees it: what the server admitted, and his own changes on top.
#[derive(Debug, Clone)]
pub struct WorkingBoard {
    /// The board.
    pub board: Confirmed,
    /// How many own changes have no verdict yet.
    pub pending: usize,
}

/// An own change to pack.
pub(crate) struct PendingChange {
    pub seq: i64,
    pub dossier: DossierId,
    pub n: u32,
    pub bytes: Vec<u8>,
}

impl Db<'_> {
    /// The board the server admitted; a new one for a dossier whose kind is known and that nobody has
    /// written to; `None` otherwise.
    pub(crate) fn confirmed_board(self, dossier: DossierId) -> Result<Option<Confirmed>, StoreError> {
        let sealed = self.first("select doc from board where dossier = ?1", params![dossier.as_bytes()], |row| {
            Ok(row.get::<_, Vec<u8>>(0)?)
        })?;
        let Some(sealed) = sealed else { return Ok(self.dossier_kind(dossier)?.map(Confirmed::genesis)) };
        let doc = self.open(place(BOARD, dossier.as_bytes()), &sealed)?;
        Confirmed::load(&doc).map(Some).map_err(|_| StoreError::BadRow { table: BOARD })
    }

    pub(crate) fn set_confirmed_board(
        self,
        dossier: DossierId,
        board: &Confirmed,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "insert into board (dossier, doc) values (?1, ?2) on conflict (dossier) do update set doc = ?2, stale = 0";
        let sealed = self.vault.seal(place(BOARD, dossier.as_bytes()), board.doc_bytes(), rng);
        self.execute_one(SQL, params![dossier.as_bytes(), sealed])
    }

    /// The board with this device's own changes on top.
    pub(crate) fn working_board(self, dossier: DossierId) -> Result<Option<WorkingBoard>, StoreError> {
        let Some(confirmed) = self.confirmed_board(dossier)? else { return Ok(None) };
        let changes = self.change_bytes(dossier)?;
        let pending = changes.len();
        // Changes that would not fit became drafts when the confirmed board came.
        let board = if changes.is_empty() {
            confirmed
        } else {
            confirmed.merged(&changes).map_err(|_| StoreError::BadRow { table: CHANGE })?
        };
        Ok(Some(WorkingBoard { board, pending }))
    }

    /// The n of this install's actor on a board.
    pub(crate) fn board_n(self, dossier: DossierId) -> Result<u32, StoreError> {
        const SQL: &str = "select n from board_actor where dossier = ?1";
        Ok(self.first(SQL, params![dossier.as_bytes()], |row| Ok(row.get(0)?))?.unwrap_or(0))
    }

    /// In which capacity this phone edits a board: what the audience of the dossier's caseload says.
    pub(crate) fn board_role(self, dossier: DossierId) -> Result<BoardRole, StoreError> {
        Ok(match self.audience_of(dossier)? {
            None | Some(Audience::Officer) => BoardRole::Officer,
            Some(Audience::CallOfficer) => BoardRole::CallOfficer,
            Some(Audience::Supervisor) => BoardRole::Supervisor,
        })
    }

    /// Keeps the changes an edit made; the edits themselves beside the last of them.
    pub(crate) fn insert_board_changes(
        self,
        dossier: DossierId,
        n: u32,
        changes: &[AdmittedChange],
        edits: &[Edit],
        at: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "insert into board_change (dossier, n, hash, bytes, edits, made_at) values (?1, ?2, ?3, ?4, ?5, ?6)";
        let stored: Vec<StoredEdit> = edits.iter().map(StoredEdit::from).collect();
        for (index, change) in changes.iter().enumerate() {
            let hash = change.hash();
            let sealed = self.vault.seal(place(CHANGE, &hash.0), change.bytes(), rng);
            let is_last = index + 1 == changes.len();
            let edits = is_last.then(|| self.vault.seal(place(EDITS, &hash.0), &cbor::to_vec(&stored), rng));
            self.execute_one(SQL, params![dossier.as_bytes(), n, hash.0, sealed, edits, at.micros()])?;
        }
        Ok(())
    }

    /// Own changes to pack, in the order they were made.
    pub(crate) fn pending_changes(self) -> Result<Vec<PendingChange>, StoreError> {
        const SQL: &str =
            "select seq, dossier, n, hash, bytes from board_change where envelope is null and again = 0 order by seq";
        self.all(SQL, [], |row| {
            let hash: [u8; 32] = bytes(row, 3, CHANGE)?;
            Ok(PendingChange {
                seq: row.get(0)?,
                dossier: bytes(row, 1, CHANGE)?.into(),
                n: row.get(2)?,
                bytes: self.open(place(CHANGE, &hash), &row.get::<_, Vec<u8>>(4)?)?,
            })
        })
    }

    pub(crate) fn set_change_sealed(self, seq: i64, envelope: u64) -> Result<(), StoreError> {
        const SQL: &str = "update board_change set envelope = ?2 where seq = ?1 and envelope is null";
        self.execute_one(SQL, params![seq, envelope.cast_signed()])
    }

    /// Own changes without a verdict, all boards.
    pub(crate) fn count_board_changes(self) -> Result<u64, StoreError> {
        let count = self.first("select count(*) from board_change", [], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }

    pub(crate) fn count_pending_changes(self) -> Result<u64, StoreError> {
        const SQL: &str = "select count(*) from board_change where envelope is null and again = 0";
        Ok(self.first(SQL, [], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0).cast_unsigned())
    }

    /// The server merged one of our changes: it becomes part of the confirmed board.
    pub(crate) fn confirm_change(
        self,
        dossier: DossierId,
        hash: ChangeHash,
        change: &[u8],
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        self.execute("delete from board_change where dossier = ?1 and hash = ?2", params![dossier.as_bytes(), hash.0])?;
        if !self.holds(dossier)? {
            return Ok(());
        }
        let Some(board) = self.confirmed_board(dossier)? else { return Ok(()) };
        match board.merged(&[change]) {
            Ok(merged) => self.set_confirmed_board(dossier, &merged, rng),
            // What builds on a change this phone has not got comes whole with the feed.
            Err(_) => Ok(()),
        }
    }

    /// The server put a change of actor `n` aside: every own change of that board is dropped, the
    /// officer's words become a draft, and the next edit begins with another actor. Once for each n:
    /// what follows from the same n is the echo of the first. True when this was the first.
    pub(crate) fn quarantine_board(
        self,
        dossier: DossierId,
        n: u32,
        reason: &str,
        at: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<bool, StoreError> {
        if n < self.board_n(dossier)? {
            return Ok(false);
        }
        let edits: Vec<_> = self.take_edits(dossier)?.into_iter().map(|(edit, _)| edit).collect();
        self.insert_draft(dossier, &edits, reason, at, rng)?;
        self.raise_board_n(dossier, n)?;
        Ok(true)
    }

    /// The next edit of a board begins with another actor than `n`.
    pub(super) fn raise_board_n(self, dossier: DossierId, n: u32) -> Result<(), StoreError> {
        const RAISE: &str =
            "insert into board_actor (dossier, n) values (?1, ?2) on conflict (dossier) do update set n = ?2";
        self.execute_one(RAISE, params![dossier.as_bytes(), n.saturating_add(1)])
    }

    pub(super) fn dossiers_with_changes(self) -> Result<Vec<DossierId>, StoreError> {
        self.all("select distinct dossier from board_change order by dossier", [], |row| {
            Ok(bytes(row, 0, CHANGE)?.into())
        })
    }

    /// Removes the own changes of a board and gives back what the officer had done, oldest first, each
    /// with whether it was packed into an envelope.
    pub(super) fn take_edits(self, dossier: DossierId) -> Result<Vec<(Edit, bool)>, StoreError> {
        const SQL: &str = "select hash, edits, envelope is not null from board_change \
            where dossier = ?1 and edits is not null order by seq";
        let mut edits = Vec::new();
        for (stored, is_sealed) in self.all(SQL, params![dossier.as_bytes()], |row| {
            let hash: [u8; 32] = bytes(row, 0, EDITS)?;
            let plain = self.open(place(EDITS, &hash), &row.get::<_, Vec<u8>>(1)?)?;
            let stored: Vec<StoredEdit> = minicbor::decode(&plain).map_err(|_| StoreError::BadRow { table: EDITS })?;
            Ok((stored, row.get(2)?))
        })? {
            edits.extend(stored.into_iter().map(|stored| (Edit::from(stored), is_sealed)));
        }
        self.execute("delete from board_change where dossier = ?1", params![dossier.as_bytes()])?;
        Ok(edits)
    }

    pub(super) fn insert_draft(
        self,
        dossier: DossierId,
        edits: &[Edit],
        reason: &str,
        at: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const SQL: &str = "insert into draft (dossier, words, reason, at) values (?1, ?2, ?3, ?4)";
        if edits.is_empty() {
            return Ok(());
        }
        let words = edits.iter().map(words_of).collect::<Vec<_>>().join("\n");
        let sealed = self.vault.seal(place(DRAFT, dossier.as_bytes()), words.as_bytes(), rng);
        self.execute_one(SQL, params![dossier.as_bytes(), sealed, reason, at.micros()])
    }

    pub(crate) fn drafts(self) -> Result<Vec<Draft>, StoreError> {
        self.all("select seq, dossier, words, reason, at from draft order by seq", [], |row| {
            let dossier = DossierId::from(bytes(row, 1, DRAFT)?);
            Ok(Draft {
                number: row.get(0)?,
                dossier,
                words: self.open_text(place(DRAFT, dossier.as_bytes()), &row.get::<_, Vec<u8>>(2)?)?,
                reason: row.get(3)?,
                at: Timestamp::from_micros(row.get(4)?),
            })
        })
    }

    pub(crate) fn delete_draft(self, number: i64) -> Result<(), StoreError> {
        self.execute("delete from draft where seq = ?1", params![number])
    }

    /// Whether this device's own changes of a board can be made on top of this one.
    pub(crate) fn own_changes_fit(self, dossier: DossierId, board: &Confirmed) -> Result<bool, StoreError> {
        let changes = self.change_bytes(dossier)?;
        Ok(changes.is_empty() || board.merged(&changes).is_ok())
    }

    fn change_bytes(self, dossier: DossierId) -> Result<Vec<Vec<u8>>, StoreError> {
        const SQL: &str = "select hash, bytes from board_change where dossier = ?1 order by seq";
        self.all(SQL, params![dossier.as_bytes()], |row| {
            let hash: [u8; 32] = bytes(row, 0, CHANGE)?;
            self.open(place(CHANGE, &hash), &row.get::<_, Vec<u8>>(1)?)
        })
    }
}

impl super::Store {
    /// Makes edits on a board: one local transaction, durable when it returns. Nothing to do is fine.
    pub(crate) fn insert_edit(
        &mut self,
        dossier: DossierId,
        (working, n): (&WorkingBoard, u32),
        edits: &[Edit],
        at: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<BoardView, crate::capture::EditBoardError> {
        let (device, install): (_, InstallId) = {
            let phone = self.read().phone()?;
            (phone.device, phone.install)
        };
        let role = self.read().board_role(dossier)?;
        let edited = working.board.edited(device_actor(device, install, dossier, n), role, edits, at)?;
        self.write(|db| db.insert_board_changes(dossier, n, edited.changes(), edits, at, rng))?;
        Ok(edited.board().view())
    }
}

fn place<'a>(table: &'static str, row: &'a [u8]) -> Place<'a> {
    Place { table, row }
}

/// The kind of a board, as a number in the file.
pub(super) fn kind_number(kind: BoardKind) -> i64 {
    match kind {
        BoardKind::Case => 0,
        BoardKind::Day => 1,
        BoardKind::Agent => 2,
    }
}

pub(super) fn kind_of(number: i64) -> Option<BoardKind> {
    BoardKind::ALL.into_iter().find(|kind| kind_number(*kind) == number)
}

/// An edit in one line, for its author.
fn words_of(edit: &Edit) -> String {
    match edit {
        Edit::NoteSplice { insert, .. } if insert.is_empty() => "note: some words removed".to_owned(),
        Edit::NoteSplice { insert: text, .. } | Edit::NoteReplace(text) => format!("note: {text}"),
        Edit::AddTag(tag) => format!("tag: {tag}"),
        Edit::RemoveTag(tag) => format!("tag removed: {tag}"),
        Edit::AddTask { text, by, .. } if by.is_empty() => format!("task: {text}"),
        Edit::AddTask { text, by, .. } => format!("task for {by}: {text}"),
        Edit::SetTaskDone { done: true, .. } => "a task marked done".to_owned(),
        Edit::SetTaskDone { done: false, .. } => "a task marked not done".to_owned(),
        Edit::Instruction(text) => format!("instruction: {text}"),
        Edit::OfficerSeq(_) => "the order of the stops".to_owned(),
        Edit::ScNote(text) => format!("coordinator's note: {text}"),
    }
}

/// An edit as the file holds it, so that it can be made again.
#[derive(Encode, Decode)]
enum StoredEdit {
    #[n(0)]
    NoteSplice(#[n(0)] u64, #[n(1)] u64, #[n(2)] String),
    #[n(1)]
    NoteReplace(#[n(0)] String),
    #[n(2)]
    AddTag(#[n(0)] String),
    #[n(3)]
    RemoveTag(#[n(0)] String),
    #[n(4)]
    AddTask(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16], #[n(1)] String, #[n(2)] String),
    #[n(5)]
    SetTaskDone(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16], #[n(1)] bool),
    #[n(6)]
    Instruction(#[n(0)] String),
    #[n(7)]
    OfficerSeq(#[n(0)] String),
    #[n(8)]
    ScNote(#[n(0)] String),
}

impl From<&Edit> for StoredEdit {
    fn from(edit: &Edit) -> Self {
        match edit.clone() {
            Edit::NoteSplice { at, delete, insert } => Self::NoteSplice(at as u64, delete as u64, insert),
            Edit::NoteReplace(text) => Self::NoteReplace(text),
            Edit::AddTag(tag) => Self::AddTag(tag),
            Edit::RemoveTag(tag) => Self::RemoveTag(tag),
            Edit::AddTask { id, text, by } => Self::AddTask(id.into_bytes(), text, by),
            Edit::SetTaskDone { id, done } => Self::SetTaskDone(id.into_bytes(), done),
            Edit::Instruction(text) => Self::Instruction(text),
            Edit::OfficerSeq(order) => Self::OfficerSeq(order),
            Edit::ScNote(text) => Self::ScNote(text),
        }
    }
}

impl From<StoredEdit> for Edit {
    fn from(stored: StoredEdit) -> Self {
        let index = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        match stored {
            StoredEdit::NoteSplice(at, delete, insert) => {
                Self::NoteSplice { at: index(at), delete: index(delete), insert }
            }
            StoredEdit::NoteReplace(text) => Self::NoteReplace(text),
            StoredEdit::AddTag(tag) => Self::AddTag(tag),
            StoredEdit::RemoveTag(tag) => Self::RemoveTag(tag),
            StoredEdit::AddTask(id, text, by) => Self::AddTask { id: Uuid::from_bytes(id), text, by },
            StoredEdit::SetTaskDone(id, done) => Self::SetTaskDone { id: Uuid::from_bytes(id), done },
            StoredEdit::Instruction(text) => Self::Instruction(text),
            StoredEdit::OfficerSeq(order) => Self::OfficerSeq(order),
            StoredEdit::ScNote(text) => Self::ScNote(text),
        }
    }
}
