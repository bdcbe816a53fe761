//! Boards: the shared, editable part of a dossier, and the admission of a stranger's change.
//!
//! A board is a small Automerge document of its own beside the entries of its dossier, so that
//! checking a change by applying it to a copy stays cheap. Every phone and the server start from
//! the same constant [`genesis`] change of its kind, hence any two copies of a board merge. Money
//! never lives here.
//!
//! * [`prescan`] reads a change chunk's frame without expanding anything in it.
//! * [`admit`] is the only way a change from elsewhere gets into a board the server keeps. It takes
//!   the change apart, compares each operation with the closed grammar of a board (which operation
//!   may sit where, by whom), and proves on a copy that the result saves and loads.
//! * [`edit`] makes the local changes, on the phone and for a user who edits online.
//! * [`merge`] puts changes that the server admitted on top of a phone's copy.
//! * [`view`] is what people see.
//!
//! Between uses a board is kept as its saved bytes. Changes are kept and sent uncompressed (chunk
//! type 1), so the deflated chunk (type 2) is always refused. Nothing of Automerge is in this
//! module's public types: who stores or shows a board needs no CRDT library.
//!
//! What this module does not do: it stores nothing, keeps no quarantine, and does not decide
//! whether a device may touch the dossier at all.

mod actor;
mod admit;
mod confirmed;
mod edit;
mod genesis;
mod grammar;
mod keys;
mod plan;
mod prescan;
mod reject;
mod view;

#[cfg(test)]
mod admit_tests;
#[cfg(test)]
mod edit_tests;
#[cfg(test)]
mod harm_tests;
#[cfg(test)]
mod hostile;

pub use actor::{ActorId, device_actor, user_actor};
pub use admit::{Admitted, AdmittedChange, Expected, Verdict, admit};
pub use confirmed::{BoardError, Confirmed, heads, merge};
pub use edit::{Edited, edit};
pub use genesis::genesis;
pub use keys::{
    BOARD_BYTES_MAX, BOARD_CHANGES_MAX, BOARD_OPS_MAX, BoardKey, BoardKind, BoardRole, CHANGE_BYTES_MAX,
    CHANGE_OPS_MAX, CHANGE_PREDS_MAX, INSTRUCTION_CHARS_MAX, Limits, NOTE_CHARS_MAX, OFFICER_SEQ_CHARS_MAX,
    START_OP_AHEAD_MAX, TAG_CHARS_MAX, TAGS_MAX, TASK_BY_CHARS_MAX, TASK_TEXT_CHARS_MAX, TASKS_MAX,
};
pub use plan::{Edit, EditError};
pub use prescan::{Scan, prescan};
pub use reject::Reject;
pub use view::{BoardView, Task, view};
