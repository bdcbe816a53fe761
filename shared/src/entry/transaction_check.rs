//! A transaction check: somebody compared one of an agent's transactions with the agent's book.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, amount, text};
use crate::ids::AgentId;
use crate::money::Money;
use crate::time::Timestamp;

crate::codes! {
    /// What kind of transaction was checked.
    CheckedTransaction {
        /// Cash in.
        CashIn = "CASH_IN",
        /// Cash out.
        CashOut = "CASH_OUT",
        /// A transfer.
        Transfer = "TRANSFER",
        /// A bill.
        Bill = "BILL",
        /// Airtime.
        Airtime = "AIRTIME",
        /// A repayment of a customer's account.
        AccountRepayment = "ACCOUNT_REPAYMENT" | "LOAN_REPAYMENT",
    }

    /// What the comparison found.
    CheckResult {
        /// Book and message agree.
        Match = "MATCH",
        /// The amounts differ.
        AmountDiff = "AMOUNT_DIFF",
        /// Not in the book.
        NotFound = "NOT_FOUND",
        /// In the book twice.
        Duplicate = "DUPLICATE",
        /// Taken back.
        Reversed = "REVERSED",
        /// Looks wrong; a suspicion, which people decide about.
        Suspect = "SUSPECT",
    }
}

/// One checked transaction of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct TransactionCheck {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// The operator's reference, at most 60 characters.
    #[n(1)]
    pub txn_ref: String,
    /// What kind it was.
    #[n(2)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub txn_type: CheckedTransaction,
    /// The amount in the operator's message.
    #[n(3)]
    pub amount: Money,
    /// When it took place.
    #[n(4)]
    pub txn_at: Timestamp,
    /// The amount in the agent's book, in minor units of the same currency.
    #[n(5)]
    pub book_amount_minor: Option<i64>,
    /// The customer was asked and confirmed it.
    #[n(6)]
    pub customer_confirmed: Option<bool>,
    /// What the comparison found.
    #[n(7)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub result: CheckResult,
}

impl TransactionCheck {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        amount(self.amount.minor)?;
        text("txn_ref", &self.txn_ref, 60)
    }
}
