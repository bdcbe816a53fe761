//! The keys of a board, who owns them, and how much they hold.

/// The longest change chunk, in bytes.
pub const CHANGE_BYTES_MAX: usize = 16 * 1024;
/// The most operations in one change: what a decoder would expand.
pub const CHANGE_OPS_MAX: u64 = 256;
/// The most predecessors in one change.
pub const CHANGE_PREDS_MAX: u64 = 256;
/// How far a change's first operation number may run ahead of the board's last one.
pub const START_OP_AHEAD_MAX: u64 = 10_000;
/// The largest board, saved, in bytes.
pub const BOARD_BYTES_MAX: usize = 256 * 1024;
/// The most changes a board is made of. Loading one takes 20 us a change, and a saved change may
/// compress to next to nothing, so the size alone bounds no cost.
pub const BOARD_CHANGES_MAX: u64 = 4096;
/// The most operations a board holds, what was deleted included.
pub const BOARD_OPS_MAX: u64 = 64 * 1024;

/// The longest note, in characters (Unicode scalar values, as all limits below).
pub const NOTE_CHARS_MAX: usize = 4000;
/// The longest instruction.
pub const INSTRUCTION_CHARS_MAX: usize = 2000;
/// The longest tag.
pub const TAG_CHARS_MAX: usize = 40;
/// The most tags on a board.
pub const TAGS_MAX: usize = 30;
/// The longest text of a task.
pub const TASK_TEXT_CHARS_MAX: usize = 200;
/// The longest name of who is to do a task.
pub const TASK_BY_CHARS_MAX: usize = 80;
/// The most tasks on a board.
pub const TASKS_MAX: usize = 100;
/// The longest order of stops: about a hundred ids.
pub const OFFICER_SEQ_CHARS_MAX: usize = 4000;

/// What admission takes at most; the lender may lower or raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest change chunk.
    pub change_bytes_max: usize,
    /// The most operations of a change.
    pub ops_max: u64,
    /// The most predecessors of a change.
    pub preds_max: u64,
    /// How far `start_op` may run ahead.
    pub start_op_ahead_max: u64,
    /// The largest saved board.
    pub board_bytes_max: usize,
    /// The most changes of a board.
    pub board_changes_max: u64,
    /// The most operations of a board.
    pub board_ops_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            change_bytes_max: CHANGE_BYTES_MAX,
            ops_max: CHANGE_OPS_MAX,
            preds_max: CHANGE_PREDS_MAX,
            start_op_ahead_max: START_OP_AHEAD_MAX,
            board_bytes_max: BOARD_BYTES_MAX,
            board_changes_max: BOARD_CHANGES_MAX,
            board_ops_max: BOARD_OPS_MAX,
        }
    }
}

/// Which kind of dossier a board belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoardKind {
    /// An own-book account.
    Case,
    /// An officer's business date.
    Day,
    /// A mobile-money agent's quarter.
    Agent,
}

impl BoardKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Case, Self::Day, Self::Agent];

    /// The root keys of a board of this kind, in the order its genesis makes them.
    pub fn keys(self) -> &'static [BoardKey] {
        match self {
            Self::Case => &[BoardKey::Note, BoardKey::Tags, BoardKey::Tasks, BoardKey::Instruction],
            Self::Day => &[BoardKey::OfficerSeq],
            Self::Agent => &[BoardKey::ScNote],
        }
    }
}

/// In which capacity someone edits a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoardRole {
    /// The field officer who holds the dossier.
    Officer,
    /// An officer who calls.
    CallOfficer,
    /// Their supervisor, an area's coordinator for an agent.
    Supervisor,
}

impl BoardRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Officer, Self::CallOfficer, Self::Supervisor];

    /// Whether this role may change the key. A supervisor may change whatever an officer may, and an
    /// officer whatever a call officer may: of somebody with two roles the higher one says it all,
    /// whoever asks.
    pub fn owns(self, key: BoardKey) -> bool {
        match key {
            BoardKey::Note | BoardKey::Tags | BoardKey::Tasks => true,
            BoardKey::Instruction => self == Self::Supervisor,
            BoardKey::OfficerSeq | BoardKey::ScNote => matches!(self, Self::Officer | Self::Supervisor),
        }
    }
}

/// A root key of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoardKey {
    /// The shared note, a Text.
    Note,
    /// A set of tags in which adding wins: a map of tag to true.
    Tags,
    /// A map of task id to task.
    Tasks,
    /// The supervisor's instruction, a Text.
    Instruction,
    /// The order in which the officer wants his stops, a string.
    OfficerSeq,
    /// The coordinator's note on an agent, a Text.
    ScNote,
}

/// What a root key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// An Automerge Text with at most so many characters.
    Text(usize),
    Tags,
    Tasks,
    /// A string of at most so many characters.
    Scalar(usize),
}

impl BoardKey {
    /// The key as it stands in the document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Tags => "tags",
            Self::Tasks => "tasks",
            Self::Instruction => "instruction",
            Self::OfficerSeq => "officer_seq",
            Self::ScNote => "sc_note",
        }
    }

    pub(super) fn shape(self) -> Shape {
        match self {
            Self::Note | Self::ScNote => Shape::Text(NOTE_CHARS_MAX),
            Self::Instruction => Shape::Text(INSTRUCTION_CHARS_MAX),
            Self::Tags => Shape::Tags,
            Self::Tasks => Shape::Tasks,
            Self::OfficerSeq => Shape::Scalar(OFFICER_SEQ_CHARS_MAX),
        }
    }
}

impl std::fmt::Display for BoardKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a board may hold this character: no control character but a line break and a tab, as
/// not every database can store them.
pub(super) fn is_text(c: char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\t')
}

/// Whether this is a short text of at most `chars_max` characters on one line.
pub(super) fn is_line(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max && !text.contains(char::is_control)
}

/// Whether this is a tag: a line, not empty, without blanks around it.
pub(super) fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && is_line(text, TAG_CHARS_MAX)
}

/// The task id that this map key spells, if it is spelt the one way we write it.
pub(super) fn task_id(text: &str) -> Option<uuid::Uuid> {
    uuid::Uuid::try_parse(text).ok().filter(|id| id.to_string() == text)
}
