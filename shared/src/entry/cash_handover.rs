//! A cash hand-over: the officer declares the cash he gives to a cashier, a bank or an agent.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, amount, field, optional_text};
use crate::ids::EntryId;
use crate::money::Money;

crate::codes! {
    /// Who takes the cash.
    HandoverTo {
        /// A cashier of the lender.
        Cashier = "CASHIER",
        /// A bank branch.
        Bank = "BANK",
        /// An agent.
        Agent = "AGENT",
    }
}

/// The most repayments one hand-over names.
pub const HANDOVER_REPAYMENTS_MAX: usize = 200;

/// A declared hand-over. It moves no money: a cashier's count does (posting line 4b).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct CashHandover {
    /// Who takes the cash.
    #[n(0)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub to: HandoverTo,
    /// What the officer says it is.
    #[n(1)]
    pub declared: Money,
    /// The repayments it holds; one unknown to the server holds the hand-over with MISSING_REF.
    #[n(2)]
    pub repayments: Vec<EntryId>,
    /// The deposit slip's number.
    #[n(3)]
    pub slip: Option<String>,
}

impl CashHandover {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        amount(self.declared.minor)?;
        if self.repayments.len() > HANDOVER_REPAYMENTS_MAX {
            return Err(field("repayments", "at most 200"));
        }
        let distinct: std::collections::BTreeSet<_> = self.repayments.iter().collect();
        if distinct.len() != self.repayments.len() {
            return Err(field("repayments", "each once"));
        }
        optional_text("slip", self.slip.as_ref(), 40)
    }
}
