//! What an edit comes to: the limits, and the small steps that changes are packed from.

use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, Patch, PatchAction, ROOT, TextEncoding};
use uuid::Uuid;

use super::confirmed::{BoardError, Confirmed};
use super::keys::{
    BoardKey, BoardRole, CHANGE_OPS_MAX, OFFICER_SEQ_CHARS_MAX, Shape, TAGS_MAX, TASK_BY_CHARS_MAX,
    TASK_TEXT_CHARS_MAX, TASKS_MAX, is_line, is_tag, is_text,
};
use super::view::{BoardView, Task};

/// One edit of a board. Positions and lengths count characters (Unicode scalar values).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Deletes `delete` characters of the note at `at` and inserts `insert` there.
    NoteSplice {
        /// Where.
        at: usize,
        /// How many characters go.
        delete: usize,
        /// What comes.
        insert: String,
    },
    /// Makes the note this text; only what differs is changed.
    NoteReplace(String),
    /// Adds a tag. Against a concurrent removal, adding wins.
    AddTag(String),
    /// Removes a tag.
    RemoveTag(String),
    /// Adds a task.
    AddTask {
        /// Its id, drawn by the caller.
        id: Uuid,
        /// What to do.
        text: String,
        /// Who is to do it; may be empty.
        by: String,
    },
    /// Marks a task done or not done.
    SetTaskDone {
        /// Which.
        id: Uuid,
        /// Whether it is done.
        done: bool,
    },
    /// Makes the instruction this text.
    Instruction(String),
    /// Gives the order of the stops.
    OfficerSeq(String),
    /// Makes the coordinator's note this text.
    ScNote(String),
}

/// Why an edit cannot be made. Nothing of the batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The saved board is of no use.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The role does not own the key, or this kind of board has no such key.
    #[error("the key {0} is not this role's")]
    KeyNotOwned(BoardKey),
    /// A text under this key would become longer than allowed, or has a character it may not have.
    #[error("the text for {0} is too long, empty, or has a control character")]
    Text(BoardKey),
    /// The board has as many tags or tasks as it may have.
    #[error("the board holds as many {0} as it may")]
    TooMany(BoardKey),
    /// A splice reaches past the end.
    #[error("the position is past the end of the note")]
    OutOfRange,
    /// A task of this id exists.
    #[error("there is a task of this id")]
    TaskExists,
    /// No task of this id exists.
    #[error("there is no task of this id")]
    NoSuchTask,
    /// The board would become larger than it may be.
    #[error("the board is full")]
    BoardFull,
    /// The library would not make the change, or made one that no admission would take.
    #[error("the change cannot be made")]
    Apply,
}

impl EditError {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Board(_) => "BOARD_DAMAGED",
            Self::KeyNotOwned(_) => "KEY_NOT_OWNED",
            Self::Text(_) => "TEXT",
            Self::TooMany(_) => "TOO_MANY",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::TaskExists => "TASK_EXISTS",
            Self::NoSuchTask => "NO_SUCH_TASK",
            Self::BoardFull => "BOARD_FULL",
            Self::Apply => "APPLY",
        }
    }
}

/// The least that is never divided over two changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Splice { key: BoardKey, at: usize, delete: usize, insert: String },
    AddTag(String),
    RemoveTag(String),
    AddTask(Task),
    SetTaskDone(Uuid, bool),
    OfficerSeq(String),
}

/// A splice longer than this is cut; four pieces make a change.
const SPLICE_CHARS_MAX: usize = 60;
const _: () = assert!(SPLICE_CHARS_MAX as u64 * 4 + 16 <= CHANGE_OPS_MAX);

impl Step {
    /// How many operations or predecessors this makes at most. A key of a map may hold several
    /// concurrent values, all of which a put replaces; they are counted as four.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Splice { delete, insert, .. } => delete + insert.chars().count(),
            _ => 4,
        }
    }

    /// About how many bytes of a change this fills.
    pub(super) fn bytes(&self) -> usize {
        let text = match self {
            Self::Splice { insert: text, .. } | Self::AddTag(text) | Self::RemoveTag(text) | Self::OfficerSeq(text) => {
                text.len()
            }
            Self::AddTask(task) => task.text.len() + task.by.len() + 36,
            Self::SetTaskDone(..) => 4,
        };
        text + self.weight() * 16
    }
}

/// The steps that the edits come to on this board, in order.
pub(super) fn plan(board: &Confirmed, role: BoardRole, edits: &[Edit]) -> Result<Vec<Step>, EditError> {
    let mut planner = Planner { now: board.view(), steps: Vec::new() };
    for edit in edits {
        let key = key_of(edit);
        if !board.kind.keys().contains(&key) || !role.owns(key) {
            return Err(EditError::KeyNotOwned(key));
        }
        planner.edit(key, edit)?;
    }
    Ok(planner.steps)
}

fn key_of(edit: &Edit) -> BoardKey {
    match edit {
        Edit::NoteSplice { .. } | Edit::NoteReplace(_) => BoardKey::Note,
        Edit::AddTag(_) | Edit::RemoveTag(_) => BoardKey::Tags,
        Edit::AddTask { .. } | Edit::SetTaskDone { .. } => BoardKey::Tasks,
        Edit::Instruction(_) => BoardKey::Instruction,
        Edit::OfficerSeq(_) => BoardKey::OfficerSeq,
        Edit::ScNote(_) => BoardKey::ScNote,
    }
}

struct Planner {
    /// What the board shows after the steps so far.
    now: BoardView,
    steps: Vec<Step>,
}

impl Planner {
    fn edit(&mut self, key: BoardKey, edit: &Edit) -> Result<(), EditError> {
        match edit {
            Edit::NoteSplice { at, delete, insert } => self.splice(key, *at, *delete, insert),
            Edit::NoteReplace(text) | Edit::Instruction(text) | Edit::ScNote(text) => self.replace(key, text),
            Edit::AddTag(tag) => self.add_tag(tag),
            Edit::RemoveTag(tag) => {
                self.now.tags.retain(|other| other != tag);
                self.steps.push(Step::RemoveTag(tag.clone()));
                Ok(())
            }
            Edit::AddTask { id, text, by } => {
                self.add_task(Task { id: *id, text: text.clone(), by: by.clone(), done: false })
            }
            Edit::SetTaskDone { id, done } => {
                let task = self.now.tasks.iter_mut().find(|task| task.id == *id).ok_or(EditError::NoSuchTask)?;
                task.done = *done;
                self.steps.push(Step::SetTaskDone(*id, *done));
                Ok(())
            }
            Edit::OfficerSeq(order) => {
                if !is_line(order, OFFICER_SEQ_CHARS_MAX) {
                    return Err(EditError::Text(key));
                }
                self.steps.push(Step::OfficerSeq(order.clone()));
                Ok(())
            }
        }
    }

    fn add_tag(&mut self, tag: &str) -> Result<(), EditError> {
        if !is_tag(tag) {
            return Err(EditError::Text(BoardKey::Tags));
        }
        if !self.now.tags.iter().any(|other| other == tag) {
            if self.now.tags.len() >= TAGS_MAX {
                return Err(EditError::TooMany(BoardKey::Tags));
            }
            self.now.tags.push(tag.to_owned());
        }
        self.steps.push(Step::AddTag(tag.to_owned()));
        Ok(())
    }

    fn add_task(&mut self, task: Task) -> Result<(), EditError> {
        if task.text.is_empty() || !is_line(&task.text, TASK_TEXT_CHARS_MAX) || !is_line(&task.by, TASK_BY_CHARS_MAX) {
            return Err(EditError::Text(BoardKey::Tasks));
        }
        if self.now.tasks.iter().any(|other| other.id == task.id) {
            return Err(EditError::TaskExists);
        }
        if self.now.tasks.len() >= TASKS_MAX {
            return Err(EditError::TooMany(BoardKey::Tasks));
        }
        self.now.tasks.push(task.clone());
        self.steps.push(Step::AddTask(task));
        Ok(())
    }

    fn replace(&mut self, key: BoardKey, text: &str) -> Result<(), EditError> {
        // Carriage returns and the like come with pasted text; nobody misses them.
        let text: String = text.chars().filter(|c| is_text(*c)).collect();
        let before = std::mem::take(self.text(key));
        fits(key, before.chars().count(), text.chars().count())?;
        for Splice { at, delete, insert } in difference(&before, &text) {
            self.cut(key, at, delete, &insert);
        }
        *self.text(key) = text;
        Ok(())
    }

    fn splice(&mut self, key: BoardKey, at: usize, delete: usize, insert: &str) -> Result<(), EditError> {
        let insert: Vec<char> = insert.chars().filter(|c| is_text(*c)).collect();
        let mut chars: Vec<char> = self.text(key).chars().collect();
        let before = chars.len();
        let end = at.checked_add(delete).filter(|end| *end <= before).ok_or(EditError::OutOfRange)?;
        chars.splice(at..end, insert.iter().copied());
        fits(key, before, chars.len())?;
        *self.text(key) = chars.into_iter().collect();
        self.cut(key, at, delete, &insert);
        Ok(())
    }

    /// Pushes a splice in pieces: first what goes, then what comes, left to right.
    fn cut(&mut self, key: BoardKey, at: usize, delete: usize, insert: &[char]) {
        let mut left = delete;
        while left > 0 {
            let piece = left.min(SPLICE_CHARS_MAX);
            self.steps.push(Step::Splice { key, at, delete: piece, insert: String::new() });
            left -= piece;
        }
        for (index, piece) in insert.chunks(SPLICE_CHARS_MAX).enumerate() {
            let at = at + index * SPLICE_CHARS_MAX;
            self.steps.push(Step::Splice { key, at, delete: 0, insert: piece.iter().collect() });
        }
    }

    fn text(&mut self, key: BoardKey) -> &mut String {
        match key {
            BoardKey::Instruction => &mut self.now.instruction,
            BoardKey::ScNote => &mut self.now.sc_note,
            _ => &mut self.now.note,
        }
    }
}

struct Splice {
    at: usize,
    delete: usize,
    insert: Vec<char>,
}

/// Concurrent edits may have made a text longer than allowed; making it no longer is always right.
fn fits(key: BoardKey, before: usize, after: usize) -> Result<(), EditError> {
    match key.shape() {
        Shape::Text(chars_max) if after > chars_max && after > before => Err(EditError::Text(key)),
        _ => Ok(()),
    }
}

/// The splices, to be made one after the other, that turn one text into the other. The library's
/// own difference is taken from a scratch document, so that a long one can be cut into changes.
fn difference(before: &str, after: &str) -> Vec<Splice> {
    let splices = scratch_difference(before, after).unwrap_or_default();
    let mut chars: Vec<char> = before.chars().collect();
    for Splice { at, delete, insert } in &splices {
        let (at, end) = ((*at).min(chars.len()), at.saturating_add(*delete).min(chars.len()));
        chars.splice(at..end, insert.iter().copied());
    }
    if chars.into_iter().eq(after.chars()) {
        return splices;
    }
    vec![Splice { at: 0, delete: before.chars().count(), insert: after.chars().collect() }]
}

fn scratch_difference(before: &str, after: &str) -> Option<Vec<Splice>> {
    let mut doc = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint);
    let mut tx = doc.transaction();
    let text = tx.put_object(ROOT, "text", ObjType::Text).ok()?;
    tx.splice_text(&text, 0, 0, before).ok()?;
    tx.commit();
    let heads_before = doc.get_heads();
    let mut tx = doc.transaction();
    tx.update_text(&text, after).ok()?;
    tx.commit();
    let patches = doc.diff(&heads_before, &doc.get_heads());
    let splice = |patch: Patch| match patch.action {
        PatchAction::SpliceText { index, value, .. } => {
            Some(Splice { at: index, delete: 0, insert: value.make_string().chars().collect() })
        }
        PatchAction::DeleteSeq { index, length } => Some(Splice { at: index, delete: length, insert: Vec::new() }),
        _ => None,
    };
    patches.into_iter().map(splice).collect()
}
