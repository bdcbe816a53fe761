//! A board as loaded from its saved bytes, and putting admitted changes on top of one.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, Change, LoadOptions, ReadDoc, TextEncoding};

use super::genesis::{genesis, genesis_hash};
use super::keys::{BoardKind, Limits};
use super::prescan::prescan;
use super::reject::Reject;
use super::view::{self, BoardView};
use crate::ids::ChangeHash;

/// Why a board's bytes, or changes the server handed out, are of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// The saved bytes do not load.
    #[error("the saved board does not load")]
    Damaged,
    /// An Automerge document, but none of our boards.
    #[error("the document does not start from a board's genesis")]
    NotABoard,
    /// A change whose bytes are damaged.
    #[error("a change's bytes are damaged: {0}")]
    Change(Reject),
    /// A change came before one it builds on.
    #[error("change {0} builds on one that is missing")]
    MissingDep(ChangeHash),
    /// A change is not the next one of its author: two histories have been mixed.
    #[error("change {0} contradicts another change of its author")]
    Contradiction(ChangeHash),
    /// The library would not apply the changes.
    #[error("the changes cannot be applied")]
    Apply,
}

/// A board that loads, with the bytes it is saved as.
#[derive(Debug, Clone)]
pub struct Confirmed {
    pub(super) kind: BoardKind,
    pub(super) doc: Automerge,
    bytes: Vec<u8>,
}

impl Confirmed {
    /// The board of a dossier that nobody has written to yet.
    pub fn genesis(kind: BoardKind) -> Self {
        let doc = genesis_doc(kind);
        let bytes = doc.save();
        Self { kind, doc, bytes }
    }

    /// Loads a board; its genesis says which kind it is.
    pub fn load(bytes: &[u8]) -> Result<Self, BoardError> {
        let doc = load_doc(bytes)?;
        let kind = BoardKind::ALL.into_iter().find(|kind| has_change(&doc, &genesis_hash(*kind)));
        Ok(Self { kind: kind.ok_or(BoardError::NotABoard)?, doc, bytes: bytes.to_vec() })
    }

    /// Saves a document that was changed in memory, and proves that it loads with the same heads.
    pub(super) fn saved(kind: BoardKind, doc: &Automerge) -> Result<Self, BoardError> {
        let bytes = guarded(|| doc.save()).ok_or(BoardError::Damaged)?;
        let loaded = load_doc(&bytes)?;
        if loaded.get_heads() != doc.get_heads() {
            return Err(BoardError::Damaged);
        }
        Ok(Self { kind, doc: loaded, bytes })
    }

    /// Whether the board is larger than the limits allow.
    pub(super) fn is_over(&self, limits: &Limits) -> bool {
        let stats = self.doc.stats();
        self.bytes.len() > limits.board_bytes_max
            || stats.num_changes > limits.board_changes_max
            || stats.num_ops > limits.board_ops_max
    }

    /// Which kind of dossier this board belongs to.
    pub fn kind(&self) -> BoardKind {
        self.kind
    }

    /// The saved document.
    pub fn doc_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The changes that no other builds on, ascending.
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.doc.get_heads().into_iter().map(|hash| ChangeHash(hash.0)).collect()
    }

    /// Whether the board holds this change.
    pub fn has(&self, change: &ChangeHash) -> bool {
        has_change(&self.doc, change)
    }

    /// What people see.
    pub fn view(&self) -> BoardView {
        view::of(self)
    }

    /// This board with changes that the server admitted, in causal order; known ones are skipped.
    /// All or nothing. What a stranger sent goes through [`super::admit`] instead.
    pub fn merged(&self, changes: &[impl AsRef<[u8]>]) -> Result<Self, BoardError> {
        let mut doc = self.doc.clone();
        let fresh = checked(&doc, changes)?;
        if fresh.is_empty() {
            return Ok(self.clone());
        }
        let hashes: Vec<_> = fresh.iter().map(Change::hash).collect();
        guarded(|| doc.apply_changes(fresh)).and_then(Result::ok).ok_or(BoardError::Apply)?;
        // The library parks what it cannot apply yet and says Ok.
        if !hashes.iter().all(|hash| has_change(&doc, &ChangeHash(hash.0))) {
            return Err(BoardError::Apply);
        }
        // No proof that it loads again: the server has proved that before it handed them out.
        let bytes = guarded(|| doc.save()).ok_or(BoardError::Apply)?;
        Ok(Self { kind: self.kind, doc, bytes })
    }
}

/// The heads of a saved board, ascending.
pub fn heads(doc_bytes: &[u8]) -> Result<Vec<ChangeHash>, BoardError> {
    Confirmed::load(doc_bytes).map(|board| board.heads())
}

/// A saved board with changes that the server admitted, in causal order: see [`Confirmed::merged`].
pub fn merge(doc_bytes: &[u8], changes: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, BoardError> {
    Confirmed::load(doc_bytes)?.merged(changes).map(|board| board.bytes)
}

/// The changes not yet in the document, each whole and after everything it builds on.
fn checked(doc: &Automerge, changes: &[impl AsRef<[u8]>]) -> Result<Vec<Change>, BoardError> {
    // The server's limits may be wider than ours; what it admitted is taken whatever its size.
    let limits = Limits { change_bytes_max: usize::MAX, ops_max: u64::MAX, preds_max: u64::MAX, ..Limits::default() };
    let (mut hashes, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    let mut fresh = Vec::new();
    for bytes in changes {
        let scan = prescan(bytes.as_ref(), &limits).map_err(BoardError::Change)?;
        if has_change(doc, &scan.hash) || hashes.contains(&scan.hash) {
            continue;
        }
        if !scan.deps.iter().all(|dep| hashes.contains(dep) || has_change(doc, dep)) {
            return Err(BoardError::MissingDep(scan.hash));
        }
        if !numbers.insert((scan.actor, scan.seq)) {
            return Err(BoardError::Contradiction(scan.hash));
        }
        hashes.insert(scan.hash);
        fresh.push(parse(bytes.as_ref()).map_err(BoardError::Change)?);
    }
    Ok(fresh)
}

/// Parses a pre-scanned change.
pub(super) fn parse(bytes: &[u8]) -> Result<Change, Reject> {
    guarded(|| Change::try_from(bytes)).and_then(Result::ok).ok_or(Reject::Malformed)
}

pub(super) fn has_change(doc: &Automerge, hash: &ChangeHash) -> bool {
    doc.get_change_meta_by_hash(&automerge::ChangeHash(hash.0)).is_some()
}

/// Runs what may panic on hostile bytes, on values that are thrown away when it does.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

fn genesis_doc(kind: BoardKind) -> Automerge {
    load_doc(genesis(kind)).expect("invariant: genesis is a constant that a test loads")
}

fn load_doc(bytes: &[u8]) -> Result<Automerge, BoardError> {
    // The library takes no bytes at all for an empty document.
    if bytes.is_empty() {
        return Err(BoardError::Damaged);
    }
    let options = LoadOptions::new().text_encoding(TextEncoding::UnicodeCodePoint);
    let doc =
        guarded(|| Automerge::load_with_options(bytes, options)).and_then(Result::ok).ok_or(BoardError::Damaged)?;
    // Changes behind the document chunk whose dependencies are missing wait in a queue, silently.
    if doc.get_missing_deps(&[]).is_empty() { Ok(doc) } else { Err(BoardError::Damaged) }
}
