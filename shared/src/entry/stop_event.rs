//! A stop event: what became of a stop of an officer's day plan.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, field, optional_text};
use crate::ids::{AccountId, EntryId};

crate::codes! {
    /// What became of the stop.
    StopEventKind {
        /// The officer is there.
        Arrived = "ARRIVED",
        /// The officer did not go, or went on.
        Skipped = "SKIPPED",
        /// What was to be done is done.
        Done = "DONE",
    }

    /// Why a stop was skipped.
    SkipReason {
        /// No time was left.
        NoTime = "NO_TIME",
        /// There was no way to get there.
        NoTransport = "NO_TRANSPORT",
        /// It was not safe.
        Unsafe = "UNSAFE",
        /// The weather.
        Weather = "WEATHER",
        /// The customer had paid.
        Paid = "PAID",
        /// The customer asked for another day.
        Postponed = "POSTPONED",
        /// Another reason, said in the note.
        OtherReason = "OTHER",
    }
}

/// What became of a stop. Stop and visit are links that never hold anything.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct StopEvent {
    /// The stop of the day plan.
    #[n(0)]
    pub stop: EntryId,
    /// What became of it.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub kind: StopEventKind,
    /// Why, of a stop that was skipped, and only of one.
    #[n(2)]
    #[serde(deserialize_with = "crate::codes::known", default)]
    pub reason: Option<SkipReason>,
    /// The visit that was made, of a stop that is done.
    #[n(3)]
    pub visit: Option<EntryId>,
    /// The account whose case the stop is about.
    #[n(4)]
    pub account: Option<AccountId>,
    /// The officer's words, at most 200 characters.
    #[n(5)]
    pub note: Option<String>,
}

impl StopEvent {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        if (self.kind == StopEventKind::Skipped) != self.reason.is_some() {
            return Err(field("reason", "of a stop that was skipped, and only of one"));
        }
        if self.kind != StopEventKind::Done && self.visit.is_some() {
            return Err(field("visit", "only of a stop that is done"));
        }
        optional_text("note", self.note.as_ref(), 200)
    }
}
