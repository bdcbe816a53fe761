//! A correction: a request to undo or change an earlier entry. A supervisor decides.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, amount, text};
use crate::ids::{AccountId, EntryId};
use crate::time::Date;

crate::codes! {
    /// What was wrong.
    CorrectionKind {
        /// It never happened.
        Void = "VOID",
        /// Another amount.
        WrongAmount = "WRONG_AMOUNT",
        /// Another account.
        WrongAccount = "WRONG_ACCOUNT" | "WRONG_LOAN",
        /// Another day.
        WrongDate = "WRONG_DATE",
        /// Another channel.
        WrongChannel = "WRONG_CHANNEL",
        /// Recorded twice.
        Duplicate = "DUPLICATE",
    }
}

/// What should stand instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Proposed {
    /// Minor units in the target's currency.
    #[n(0)]
    pub amount_minor: Option<i64>,
    /// The right account.
    #[n(1)]
    pub account: Option<AccountId>,
    /// The right day.
    #[n(2)]
    pub value_date: Option<Date>,
}

/// A request to undo or change an entry. The target itself never changes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Correction {
    /// The entry that was wrong; unknown to the server, it holds this one with MISSING_REF.
    #[n(0)]
    pub target: EntryId,
    /// What was wrong.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub kind: CorrectionKind,
    /// What should stand instead.
    #[n(2)]
    pub proposed: Option<Proposed>,
    /// Why, in the officer's words, at most 500 characters.
    #[n(3)]
    pub reason: String,
}

impl Correction {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        if let Some(minor) = self.proposed.as_ref().and_then(|proposed| proposed.amount_minor) {
            amount(minor)?;
        }
        text("reason", &self.reason, 500)
    }
}
