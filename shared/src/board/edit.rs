//! Local edits: on the phone, and on the server for a user who edits online.
//!
//! An edit is packed into as few changes as the limits of a change allow; most need one, a pasted
//! paragraph a few. All of them would pass [`super::admit`].

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ObjId, ObjType, ROOT, ReadDoc};

use super::actor::ActorId;
use super::admit::AdmittedChange;
use super::confirmed::{Confirmed, guarded};
use super::genesis::root_object;
use super::keys::{BoardKey, BoardKind, BoardRole, CHANGE_BYTES_MAX, CHANGE_OPS_MAX, CHANGE_PREDS_MAX, Limits};
use super::plan::{Edit, EditError, Step, plan};
use super::prescan::prescan;
use crate::ids::ChangeHash;
use crate::time::Timestamp;

/// Packing stays a little below the limits, as dependencies, other actors and concurrent values
/// come on top.
const PACK_OPS_MAX: usize = 240;
const _: () = assert!(PACK_OPS_MAX as u64 + 16 <= CHANGE_OPS_MAX && CHANGE_OPS_MAX <= CHANGE_PREDS_MAX);
/// Bytes of a change that is packed.
const PACK_BYTES_MAX: usize = CHANGE_BYTES_MAX - 4096;

/// What an edit made.
#[derive(Debug, Clone)]
pub struct Edited {
    changes: Vec<AdmittedChange>,
    board: Confirmed,
}

impl Edited {
    /// The changes, in order; none if the board already was as asked.
    pub fn changes(&self) -> &[AdmittedChange] {
        &self.changes
    }

    /// The board after the edit.
    pub fn board(&self) -> &Confirmed {
        &self.board
    }

    /// The saved document after the edit.
    pub fn doc_bytes(&self) -> &[u8] {
        self.board.doc_bytes()
    }

    /// The heads of the document after the edit.
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.board.heads()
    }

    /// The changes and the board after them.
    pub fn into_parts(self) -> (Vec<AdmittedChange>, Confirmed) {
        (self.changes, self.board)
    }
}

/// Makes edits on a saved board. The document must hold every earlier change of this actor, sent or
/// not: the library would number a second chain from the same point, and nobody would take it.
pub fn edit(
    doc_bytes: &[u8],
    actor: ActorId,
    role: BoardRole,
    edits: &[Edit],
    time: Timestamp,
) -> Result<Edited, EditError> {
    Confirmed::load(doc_bytes)?.edited(actor, role, edits, time)
}

impl Confirmed {
    /// Makes edits on this board: see [`edit`].
    pub fn edited(
        &self,
        actor: ActorId,
        role: BoardRole,
        edits: &[Edit],
        time: Timestamp,
    ) -> Result<Edited, EditError> {
        let steps = plan(self, role, edits)?;
        let mut doc = self.doc.clone();
        doc.set_actor(actor.into());
        let mut changes = Vec::new();
        for steps in packs(&steps) {
            let made = guarded(|| commit(&mut doc, self.kind, steps, time.seconds()));
            let bytes = made.and_then(Result::ok).ok_or(EditError::Apply)?;
            changes.extend(bytes.map(|bytes| passed(actor, bytes)).transpose()?);
        }
        if changes.is_empty() {
            return Ok(Edited { changes, board: self.clone() });
        }
        let board = Confirmed::saved(self.kind, &doc)?;
        if board.is_over(&Limits::default()) { Err(EditError::BoardFull) } else { Ok(Edited { changes, board }) }
    }
}

/// The steps in runs, each of which fits one change.
fn packs(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
    let mut rest = steps;
    std::iter::from_fn(move || {
        let (mut ops, mut bytes) = (0, 0);
        let fits = |step: &&Step| {
            ops += step.weight();
            bytes += step.bytes();
            ops <= PACK_OPS_MAX && bytes <= PACK_BYTES_MAX
        };
        let len = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (pack, left) = rest.split_at(len);
        rest = left;
        (!pack.is_empty()).then_some(pack)
    })
}

/// Makes one change; its uncompressed chunk, or None if there was nothing to do.
fn commit(
    doc: &mut Automerge,
    kind: BoardKind,
    steps: &[Step],
    seconds: i64,
) -> Result<Option<Vec<u8>>, AutomergeError> {
    let mut tx = doc.transaction();
    for step in steps {
        make(&mut tx, kind, step)?;
    }
    let Some(hash) = tx.commit_with(CommitOptions::default().with_time(seconds)).0 else { return Ok(None) };
    Ok(doc.get_change_by_hash(&hash).map(|change| change.raw_bytes().to_vec()))
}

fn make(tx: &mut Transaction<'_>, kind: BoardKind, step: &Step) -> Result<(), AutomergeError> {
    let object = |key| root_object(kind, key).unwrap_or(ROOT);
    match step {
        Step::Splice { key, at, delete, insert } => tx.splice_text(object(*key), *at, delete.cast_signed(), insert),
        Step::AddTag(tag) => tx.put(object(BoardKey::Tags), tag, true),
        Step::RemoveTag(tag) => tx.delete(object(BoardKey::Tags), tag.as_str()),
        Step::AddTask(task) => {
            let object = tx.put_object(object(BoardKey::Tasks), task.id.to_string(), ObjType::Map)?;
            tx.put(&object, "text", task.text.as_str())?;
            tx.put(&object, "by", task.by.as_str())?;
            tx.put(&object, "done", task.done)
        }
        Step::SetTaskDone(id, done) => match tx.get(object(BoardKey::Tasks), id.to_string())? {
            Some((_, task)) => tx.put::<ObjId, _, _>(task, "done", *done),
            None => Ok(()),
        },
        Step::OfficerSeq(order) => tx.put(ROOT, BoardKey::OfficerSeq.name(), order.as_str()),
    }
}

/// Checks our own change as far as it costs nothing: one that nobody would take must not be sent.
fn passed(actor: ActorId, bytes: Vec<u8>) -> Result<AdmittedChange, EditError> {
    match prescan(&bytes, &Limits::default()) {
        Ok(scan) if scan.actor == actor => Ok(AdmittedChange::new(scan.hash, bytes)),
        _ => Err(EditError::Apply),
    }
}
