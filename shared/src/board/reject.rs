//! Why a change does not get into a board.

/// The reason a change is quarantined. No retry of the same bytes helps, but for
/// [`Reject::MissingDep`], when what it builds on arrives later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// Longer than a change may be.
    #[error("the change is longer than allowed")]
    TooLong,
    /// Not a change chunk as it is written.
    #[error("the bytes are no well-formed change chunk")]
    Malformed,
    /// The checksum is not that of the bytes.
    #[error("the checksum does not match")]
    Checksum,
    /// A deflated chunk or column.
    #[error("the change or one of its columns is deflated")]
    Deflated,
    /// A column no board's change has.
    #[error("the change has an unknown column")]
    UnknownColumn,
    /// More operations or predecessors than allowed.
    #[error("the change claims too many operations or predecessors")]
    TooManyOps,
    /// Another spelling of what it says: the document would not load again.
    #[error("the change is not encoded the one canonical way")]
    NotCanonical,
    /// Not made by the expected actor.
    #[error("the change is not by the expected actor")]
    Actor,
    /// Not the next number of its actor.
    #[error("the change is not the next one of its actor")]
    SeqGap,
    /// Operation numbers too far ahead, or not after what it builds on.
    #[error("the change's operation numbers are out of order or too far ahead")]
    StartOp,
    /// Builds on a change this board does not have.
    #[error("the change builds on one that is not known")]
    MissingDep,
    /// A message or bytes after the end.
    #[error("the change carries a message or extra bytes")]
    Extra,
    /// The clock reading is not within the years 1970 to 9999.
    #[error("the change's time is out of range")]
    Time,
    /// Touches a key that its author's role does not own.
    #[error("the change touches a key its author does not own")]
    KeyNotOwned,
    /// An operation that no board has a place for: another value, another object, a text too long.
    #[error("the change holds an operation that a board has no place for")]
    Shape,
    /// The library would not take it, or took something else.
    #[error("the change cannot be applied")]
    Apply,
    /// The board is as large as it may be.
    #[error("the board is full")]
    BoardFull,
}

impl Reject {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::TooLong,
        Self::Malformed,
        Self::Checksum,
        Self::Deflated,
        Self::UnknownColumn,
        Self::TooManyOps,
        Self::NotCanonical,
        Self::Actor,
        Self::SeqGap,
        Self::StartOp,
        Self::MissingDep,
        Self::Extra,
        Self::Time,
        Self::KeyNotOwned,
        Self::Shape,
        Self::Apply,
        Self::BoardFull,
    ];

    /// The stable code, as it is stored and shown.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "TOO_LONG",
            Self::Malformed => "MALFORMED",
            Self::Checksum => "CHECKSUM",
            Self::Deflated => "DEFLATED",
            Self::UnknownColumn => "UNKNOWN_COLUMN",
            Self::TooManyOps => "TOO_MANY_OPS",
            Self::NotCanonical => "NOT_CANONICAL",
            Self::Actor => "ACTOR",
            Self::SeqGap => "SEQ_GAP",
            Self::StartOp => "START_OP",
            Self::MissingDep => "MISSING_DEP",
            Self::Extra => "EXTRA",
            Self::Time => "TIME",
            Self::KeyNotOwned => "KEY_NOT_OWNED",
            Self::Shape => "SHAPE",
            Self::Apply => "APPLY",
            Self::BoardFull => "BOARD_FULL",
        }
    }
}
