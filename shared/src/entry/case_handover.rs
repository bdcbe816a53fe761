//! A case hand-over (domain: "HandOver"): somebody says that a case should go to another level, and why.
//! A person assigns; a hand-over moves nothing by itself.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::personal::check_said;
use super::{EntryError, Personal, field};

crate::codes! {
    /// Who works a case.
    CaseLevel {
        /// The call centre.
        CallCentre = "CALL_CENTRE" | "CALL",
        /// The field.
        Field = "FIELD",
        /// The city manager.
        CityManager = "CITY_MANAGER",
        /// The lawyers.
        Legal = "LEGAL",
    }

    /// Why it should go on.
    CaseHandoverReason {
        /// Too long overdue for this level.
        DaysPastDue = "DPD",
        /// Promises were broken.
        BrokenPromises = "BROKEN_PTP",
        /// The customer was not reached in several attempts.
        NoContact = "NO_RPC",
        /// The customer has gone.
        NotTraceable = "NOT_TRACEABLE",
        /// It was not safe.
        Unsafe = "UNSAFE",
        /// The customer asked for it.
        Requested = "REQUESTED",
        /// Another reason, said in the summary.
        OtherReason = "OTHER",
    }
}

/// What was tried, as the phone knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct Attempts {
    /// Calls and messages.
    #[n(0)]
    pub calls: u32,
    /// Visits.
    #[n(1)]
    pub visits: u32,
    /// How many of both reached the customer.
    #[n(2)]
    pub reached: u32,
    /// Promises that were not kept.
    #[n(3)]
    pub broken_promises: u32,
}

/// A request to give one case to another level.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct CaseHandover {
    /// Who works it now.
    #[n(0)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub from: CaseLevel,
    /// Who should.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub to: CaseLevel,
    /// Why: one to three, each once.
    #[n(2)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub reasons: Vec<CaseHandoverReason>,
    /// What the next one should know, at most 1,000 characters.
    #[n(3)]
    pub summary: Personal,
    /// What was tried.
    #[n(4)]
    pub attempts: Option<Attempts>,
}

impl CaseHandover {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        if self.from == self.to {
            return Err(field("to", "another level than the one it is at"));
        }
        let distinct: BTreeSet<_> = self.reasons.iter().collect();
        if !(1..=3).contains(&self.reasons.len()) || distinct.len() != self.reasons.len() {
            return Err(field("reasons", "one to three, each once"));
        }
        if self
            .attempts
            .is_some_and(|tried| u64::from(tried.reached) > u64::from(tried.calls) + u64::from(tried.visits))
        {
            return Err(field("attempts", "no more reached than were tried"));
        }
        check_said("summary", &self.summary, 1000)
    }
}
