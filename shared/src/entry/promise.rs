//! A promise: a customer says how much he will pay and when.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, amount};
use crate::ids::EntryId;
use crate::money::Money;
use crate::time::Date;

crate::codes! {
    /// How the customer means to pay.
    PromiseChannel {
        /// In cash to the officer.
        Cash = "CASH",
        /// By mobile money.
        MobileMoney = "MOBILE_MONEY",
        /// By bank transfer.
        BankTransfer = "BANK_TRANSFER",
        /// At a branch.
        Branch = "BRANCH",
    }
}

/// The latest day a promise may name, counted from its capture.
pub const PROMISE_DAYS_MAX: i32 = 30;

/// A promise to pay. The server decides its status: of an account's promises the latest captured
/// is ACTIVE, the others are SUPERSEDED.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Promise {
    /// How much, above zero.
    #[n(0)]
    pub amount: Money,
    /// The promised day: the day of capture to 30 days later.
    #[n(1)]
    pub promised_date: Date,
    /// How the customer means to pay.
    #[n(2)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub channel: PromiseChannel,
    /// The visit or call it was made at; a link that never holds anything.
    #[n(3)]
    pub contact_ref: Option<EntryId>,
}

impl Promise {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        amount(self.amount.minor)
    }
}
