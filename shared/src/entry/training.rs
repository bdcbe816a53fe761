//! A training: somebody at an agent's was taught, and perhaps examined.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::personal::check_said;
use super::{EntryError, Personal, field, text};
use crate::ids::AgentId;
use crate::time::Date;

/// A training of one attendee. A signature is an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Training {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// What was taught, as a code of the lender's, 1 to 60 characters.
    #[n(1)]
    pub module: String,
    /// Who taught, at most 100 characters.
    #[n(2)]
    pub trainer: Personal,
    /// Who was taught, at most 100 characters.
    #[n(3)]
    pub attendee: Personal,
    /// The day.
    #[n(4)]
    pub held_on: Date,
    /// The result of an examination, 0 to 100 percent.
    #[n(5)]
    pub score: Option<u8>,
    /// Whether the attendee may do now what was taught.
    #[n(6)]
    pub passed: bool,
    /// Until when it counts, of a training that was passed; not before its day.
    #[n(7)]
    pub valid_to: Option<Date>,
}

impl Training {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        if self.module.trim().is_empty() {
            return Err(field("module", "it has to be named"));
        }
        text("module", &self.module, 60)?;
        if self.score.is_some_and(|score| score > 100) {
            return Err(field("score", "0 to 100 percent"));
        }
        if self.valid_to.is_some_and(|until| until < self.held_on || !self.passed) {
            return Err(field("valid_to", "of a training that was passed, and not before its day"));
        }
        check_said("trainer", &self.trainer, 100)?;
        check_said("attendee", &self.attendee, 100)
    }
}
