//! The closed grammar of a board: which operation may sit where, and by whom.
//!
//! The library takes any well-formed operation, and some that are not leave a document whose copies
//! drift apart. So each operation of a stranger's change must be one that [`super::edit`] could have
//! made at the change's dependencies:
//!
//! * in a Text: insert one character, or delete one element;
//! * in `tags`: put true, or delete;
//! * in `tasks`: make a map under a new task id; in a new task put text, by and done, in an old one
//!   done;
//! * at the root: put a string on a scalar key. The other root keys are never put or deleted.
//!
//! In maps the predecessors must be exactly the values that were visible, and no operation refers to
//! one with a number as high as its own. That elements and predecessors exist where the operation
//! says is shown by applying the change (see [`super::admit`]).

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{Automerge, ChangeHash, ExpandedChange, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue};

use super::confirmed::Confirmed;
use super::genesis::{key_of_object, root_object};
use super::keys::{
    BoardKey, BoardKind, BoardRole, OFFICER_SEQ_CHARS_MAX, Shape, TASK_BY_CHARS_MAX, TASK_TEXT_CHARS_MAX, is_line,
    is_tag, is_text, task_id,
};
use super::reject::Reject;

/// Checks every operation of a change against the board it is to join.
pub(super) fn check(board: &Confirmed, change: &ExpandedChange, role: BoardRole) -> Result<(), Reject> {
    let mut checker = Checker {
        doc: &board.doc,
        kind: board.kind,
        role,
        deps: &change.deps,
        visible: BTreeMap::new(),
        new_tasks: BTreeSet::new(),
    };
    let numbers = change.start_op.get()..;
    for (number, op) in numbers.zip(&change.operations) {
        checker.op(&OpId::new(number, &change.actor_id), op)?;
    }
    Ok(())
}

/// Where an operation acts.
enum Place {
    Root,
    Text,
    Tags,
    Tasks,
    NewTask,
    OldTask,
}

struct Checker<'a> {
    doc: &'a Automerge,
    kind: BoardKind,
    role: BoardRole,
    deps: &'a [ChangeHash],
    /// What is visible under the map keys this change has touched so far. None is the root.
    visible: BTreeMap<(Option<OpId>, String), Vec<OpId>>,
    new_tasks: BTreeSet<OpId>,
}

impl Checker<'_> {
    fn op(&mut self, id: &OpId, op: &Op) -> Result<(), Reject> {
        let element = match &op.key {
            Key::Seq(ElementId::Id(element)) => Some(element),
            _ => None,
        };
        let object = match &op.obj {
            ObjectId::Root => None,
            ObjectId::Id(object) => Some(object),
        };
        let mut referred = object.into_iter().chain(element).chain(op.pred.iter());
        if referred.any(|other| other.counter() >= id.counter()) {
            return Err(Reject::Shape);
        }
        match (self.place(object)?, &op.key) {
            (Place::Text, Key::Seq(_)) => text(op, element),
            (Place::Text, _) | (_, Key::Seq(_)) => Err(Reject::Shape),
            (place, Key::Map(key)) => self.map(&place, id, object, key, op),
        }
    }

    /// Where an object is, if its root key is the role's.
    fn place(&self, object: Option<&OpId>) -> Result<Place, Reject> {
        let Some(object) = object else { return Ok(Place::Root) };
        let (place, key) = if let Some(key) = key_of_object(self.kind, object.counter(), object.actor()) {
            let place = match key.shape() {
                Shape::Text(_) => Place::Text,
                Shape::Tags => Place::Tags,
                Shape::Tasks => Place::Tasks,
                Shape::Scalar(_) => return Err(Reject::Shape),
            };
            (place, key)
        } else if self.new_tasks.contains(object) {
            (Place::NewTask, BoardKey::Tasks)
        } else if self.is_old_task(object) {
            (Place::OldTask, BoardKey::Tasks)
        } else {
            return Err(Reject::Shape);
        };
        if self.role.owns(key) { Ok(place) } else { Err(Reject::KeyNotOwned) }
    }

    fn is_old_task(&self, object: &OpId) -> bool {
        let object = object_id(object);
        let is_map = matches!(self.doc.object_type(&object), Ok(ObjType::Map));
        let parent = self.doc.parents(&object).ok().and_then(|mut parents| parents.next());
        is_map && parent.is_some_and(|parent| root_object(self.kind, BoardKey::Tasks) == Some(parent.obj))
    }

    fn map(&mut self, place: &Place, id: &OpId, object: Option<&OpId>, key: &str, op: &Op) -> Result<(), Reject> {
        if matches!(place, Place::Root) {
            self.root_key(key)?;
        }
        if op.insert || !map_value(place, key, &op.action) {
            return Err(Reject::Shape);
        }
        if matches!(op.action, OpType::Make(_)) {
            // A second map under one id would hide the first, so the id must be new to the board too.
            if !self.visible_in(&[], object, key)?.is_empty() {
                return Err(Reject::Shape);
            }
            self.new_tasks.insert(id.clone());
        }
        let slot = (object.cloned(), key.to_owned());
        let before = match self.visible.get(&slot) {
            Some(visible) => visible.clone(),
            None => self.visible_in(self.deps, object, key)?,
        };
        let after = after(place, &before, id, op).ok_or(Reject::Shape)?;
        self.visible.insert(slot, after);
        Ok(())
    }

    fn root_key(&self, key: &str) -> Result<(), Reject> {
        let key = self.kind.keys().iter().find(|known| known.name() == key).ok_or(Reject::KeyNotOwned)?;
        let is_scalar = matches!(key.shape(), Shape::Scalar(_));
        if is_scalar && self.role.owns(*key) { Ok(()) } else { Err(Reject::KeyNotOwned) }
    }

    /// The operations whose values are visible under a map's key at `heads`, or now if there are none.
    fn visible_in(&self, heads: &[ChangeHash], object: Option<&OpId>, key: &str) -> Result<Vec<OpId>, Reject> {
        if object.is_some_and(|object| self.new_tasks.contains(object)) {
            return Ok(Vec::new());
        }
        let (object, key) = (object.map_or(ROOT, object_id), Prop::from(key));
        let values =
            if heads.is_empty() { self.doc.get_all(object, key) } else { self.doc.get_all_at(object, key, heads) };
        let ids = values.map_err(|_| Reject::Shape)?.into_iter().filter_map(|(_, id)| match id {
            ObjId::Id(number, actor, _) => Some(OpId::new(number, &actor)),
            ObjId::Root => None,
        });
        Ok(ids.collect())
    }
}

/// An operation in a Text: one character in, or one element out.
fn text(op: &Op, element: Option<&OpId>) -> Result<(), Reject> {
    let preds = op.pred.iter();
    let fits = match &op.action {
        OpType::Put(ScalarValue::Str(text)) => op.insert && is_character(text) && op.pred.is_empty(),
        OpType::Delete => !op.insert && element.is_some() && preds.eq(element),
        _ => false,
    };
    if fits { Ok(()) } else { Err(Reject::Shape) }
}

fn is_character(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_text) && chars.next().is_none()
}

/// Whether this action may stand under this key of a map.
fn map_value(place: &Place, key: &str, action: &OpType) -> bool {
    match (place, key, action) {
        (Place::Root, _, OpType::Put(ScalarValue::Str(text))) => is_line(text, OFFICER_SEQ_CHARS_MAX),
        (Place::Tags, tag, OpType::Put(ScalarValue::Boolean(true)) | OpType::Delete) => is_tag(tag),
        (Place::Tasks, task, OpType::Make(ObjType::Map)) => task_id(task).is_some(),
        (Place::NewTask, "text", OpType::Put(ScalarValue::Str(text))) => {
            !text.is_empty() && is_line(text, TASK_TEXT_CHARS_MAX)
        }
        (Place::NewTask, "by", OpType::Put(ScalarValue::Str(by))) => is_line(by, TASK_BY_CHARS_MAX),
        (Place::NewTask | Place::OldTask, "done", OpType::Put(ScalarValue::Boolean(_)) | OpType::Delete)
        | (Place::Root, _, OpType::Delete) => true,
        _ => false,
    }
}

/// What is visible under a key after an operation on it; None if the operation does not fit what was.
fn after(place: &Place, before: &[OpId], id: &OpId, op: &Op) -> Option<Vec<OpId>> {
    let replaces = |count| op.pred.len() == count && op.pred.iter().all(|pred| before.contains(pred));
    if op.action != OpType::Delete {
        return (replaces(before.len())).then(|| vec![id.clone()]);
    }
    // Putting the value that already wins only deletes those it won over. Nothing but a tag may
    // go altogether.
    let left: Vec<_> = before.iter().filter(|id| !op.pred.iter().any(|pred| pred == *id)).cloned().collect();
    let deletes = !op.pred.is_empty() && replaces(before.len() - left.len());
    (deletes && (matches!(place, Place::Tags) || !left.is_empty())).then_some(left)
}

fn object_id(id: &OpId) -> ObjId {
    ObjId::Id(id.counter(), id.actor().clone(), 0)
}
