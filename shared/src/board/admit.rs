//! Admission of a stranger's change to a board.

use automerge::{Automerge, Change, ExpandedChange, ReadDoc};

use super::actor::ActorId;
use super::confirmed::{Confirmed, guarded, parse};
use super::grammar;
use super::keys::{BoardRole, Limits};
use super::prescan::{Scan, prescan};
use super::reject::Reject;
use crate::ids::ChangeHash;

/// Who the change must be by, and what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The actor that the sender's device (or user) and the dossier make.
    pub actor: ActorId,
    /// The sender's role, which owns some keys.
    pub role: BoardRole,
    /// The limits.
    pub limits: Limits,
}

impl Expected {
    /// An expectation within the usual limits.
    pub fn new(actor: ActorId, role: BoardRole) -> Self {
        Self { actor, role, limits: Limits::default() }
    }
}

/// A change that has passed: made by [`admit`] or by [`super::edit`], and by nothing else. What
/// stores board changes takes this type only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedChange {
    hash: ChangeHash,
    bytes: Vec<u8>,
}

impl AdmittedChange {
    pub(super) fn new(hash: ChangeHash, bytes: Vec<u8>) -> Self {
        Self { hash, bytes }
    }

    /// The change's hash.
    pub fn hash(&self) -> ChangeHash {
        self.hash
    }

    /// The change's chunk, uncompressed, as its author made it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The change's chunk.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A change that has passed, and the board with it.
#[derive(Debug, Clone)]
pub struct Admitted {
    change: AdmittedChange,
    board: Confirmed,
}

impl Admitted {
    /// The change.
    pub fn change(&self) -> &AdmittedChange {
        &self.change
    }

    /// The board after the change: what the author's next change is admitted to.
    pub fn board(&self) -> &Confirmed {
        &self.board
    }

    /// The change's hash.
    pub fn hash(&self) -> ChangeHash {
        self.change.hash
    }

    /// The change's chunk.
    pub fn bytes(&self) -> &[u8] {
        &self.change.bytes
    }

    /// The saved document with the change.
    pub fn doc_bytes(&self) -> &[u8] {
        self.board.doc_bytes()
    }

    /// The heads of the document with the change.
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.board.heads()
    }

    /// The change and the board after it.
    pub fn into_parts(self) -> (AdmittedChange, Confirmed) {
        (self.change, self.board)
    }
}

/// What becomes of a change that is not refused.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is new and good.
    Admitted(Box<Admitted>),
    /// The board has it already.
    Duplicate,
}

/// Judges a change that someone sent for a board. The board itself is not touched; whoever commits
/// the result must see to it that the board is still the one that was judged against.
pub fn admit(board: &Confirmed, change: &[u8], expected: &Expected) -> Result<Verdict, Reject> {
    let scan = prescan(change, &expected.limits)?;
    if board.has(&scan.hash) {
        return Ok(Verdict::Duplicate);
    }
    let (parsed, expanded) = canonical(change)?;
    let mut copy = board.doc.clone();
    chain(&mut copy, &scan, expected)?;
    guarded(|| grammar::check(board, &expanded, expected.role)).ok_or(Reject::Apply)??;
    let board = apply(board, copy, parsed, &expected.limits)?;
    let change = AdmittedChange::new(scan.hash, change.to_vec());
    Ok(Verdict::Admitted(Box::new(Admitted { change, board })))
}

/// Parses a change and proves that its operations, encoded anew, are the same bytes.
fn canonical(bytes: &[u8]) -> Result<(Change, ExpandedChange), Reject> {
    let change = parse(bytes)?;
    let expanded = guarded(|| change.decode()).ok_or(Reject::Malformed)?;
    let again = guarded(|| Change::from(expanded.clone())).ok_or(Reject::NotCanonical)?;
    if again.raw_bytes() == bytes { Ok((change, expanded)) } else { Err(Reject::NotCanonical) }
}

/// The change is its author's next one, builds on what the board has, and counts on from there.
fn chain(copy: &mut Automerge, scan: &Scan, expected: &Expected) -> Result<(), Reject> {
    if scan.actor != expected.actor {
        return Err(Reject::Actor);
    }
    let own_last = copy.set_actor(expected.actor.into()).get_last_local_change();
    if scan.seq != own_last.as_ref().map_or(0, Change::seq) + 1 {
        return Err(Reject::SeqGap);
    }
    // Also the author's own last change must be among them; the library always names it.
    let names_own_last = own_last.is_none_or(|own| scan.deps.contains(&ChangeHash(own.hash().0)));
    if scan.deps.is_empty() || !names_own_last {
        return Err(Reject::MissingDep);
    }
    let max_op = |hash: &automerge::ChangeHash| copy.get_change_meta_by_hash(hash).map(|meta| meta.max_op);
    // Each change counts on from its dependencies, so the newest number of all is at a head.
    let known_max = copy.get_heads().iter().filter_map(max_op).max().unwrap_or(0);
    let mut dep_max = 0;
    for dep in &scan.deps {
        dep_max = dep_max.max(max_op(&automerge::ChangeHash(dep.0)).ok_or(Reject::MissingDep)?);
    }
    if scan.start_op <= dep_max || scan.start_op > known_max + expected.limits.start_op_ahead_max {
        return Err(Reject::StartOp);
    }
    if scan.ops == 0 { Err(Reject::Shape) } else { Ok(()) }
}

/// Applies the change to the copy; proves that the copy gives it back, saves, and loads again.
fn apply(board: &Confirmed, mut copy: Automerge, change: Change, limits: &Limits) -> Result<Confirmed, Reject> {
    let hash = change.hash();
    let bytes = change.raw_bytes().to_vec();
    let given_back = guarded(|| {
        copy.apply_changes([change]).ok()?;
        copy.get_change_by_hash(&hash)
    });
    if given_back.flatten().is_none_or(|given_back| given_back.raw_bytes() != bytes) {
        return Err(Reject::Apply);
    }
    let after = Confirmed::saved(board.kind, &copy).map_err(|_| Reject::Apply)?;
    if !copy.get_heads().contains(&hash) {
        return Err(Reject::Apply);
    }
    if after.is_over(limits) { Err(Reject::BoardFull) } else { Ok(after) }
}
