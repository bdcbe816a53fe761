//! What people see of a board.

use std::ops::RangeFull;

use automerge::{ObjId, ROOT, ReadDoc};
use uuid::Uuid;

use super::confirmed::{BoardError, Confirmed};
use super::genesis::root_object;
use super::keys::{BoardKey, task_id};

/// A board as it is shown and compared. A key that this kind of board lacks is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoardView {
    /// The shared note.
    pub note: String,
    /// The tags, sorted.
    pub tags: Vec<String>,
    /// The tasks, sorted by id.
    pub tasks: Vec<Task>,
    /// The supervisor's instruction.
    pub instruction: String,
    /// The order of stops an officer gave.
    pub officer_seq: String,
    /// The coordinator's note.
    pub sc_note: String,
}

/// Something to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// Its id, made by who adds it.
    pub id: Uuid,
    /// What to do.
    pub text: String,
    /// Who is to do it.
    pub by: String,
    /// Whether it is done.
    pub done: bool,
}

/// What people see of a saved board.
pub fn view(doc_bytes: &[u8]) -> Result<BoardView, BoardError> {
    Confirmed::load(doc_bytes).map(|board| board.view())
}

pub(super) fn of(board: &Confirmed) -> BoardView {
    BoardView {
        note: text(board, BoardKey::Note),
        tags: tags(board),
        tasks: tasks(board),
        instruction: text(board, BoardKey::Instruction),
        officer_seq: string(board, &ROOT, BoardKey::OfficerSeq.name()),
        sc_note: text(board, BoardKey::ScNote),
    }
}

fn text(board: &Confirmed, key: BoardKey) -> String {
    root_object(board.kind, key).and_then(|object| board.doc.text(object).ok()).unwrap_or_default()
}

fn tags(board: &Confirmed) -> Vec<String> {
    let Some(object) = root_object(board.kind, BoardKey::Tags) else { return Vec::new() };
    let mut tags: Vec<_> = board.doc.keys(object).collect();
    tags.sort_unstable();
    tags
}

fn tasks(board: &Confirmed) -> Vec<Task> {
    let Some(object) = root_object(board.kind, BoardKey::Tasks) else { return Vec::new() };
    let mut tasks: Vec<_> = board
        .doc
        .map_range(object, RangeFull)
        .filter_map(|item| Some((task_id(&item.key)?, item.id())))
        .map(|(id, task)| Task {
            id,
            text: string(board, &task, "text"),
            by: string(board, &task, "by"),
            done: matches!(board.doc.get(&task, "done"), Ok(Some((value, _))) if value.as_bool() == Some(true)),
        })
        .collect();
    tasks.sort_unstable_by_key(|task| task.id);
    tasks
}

fn string(board: &Confirmed, object: &ObjId, key: &str) -> String {
    match board.doc.get(object, key) {
        Ok(Some((value, _))) => value.as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
