//! A complaint: a customer objects to us (domain: "dispute").

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::personal::{check_optional, check_said};
use super::{EntryError, Personal, amount};
use crate::ids::AccountId;
use crate::money::Money;

crate::codes! {
    /// What it is about.
    ComplaintKind {
        /// The balance is wrong.
        Balance = "BALANCE",
        /// A payment is not on the account.
        PaidNotCredited = "PAID_NOT_CREDITED",
        /// The product is faulty.
        Product = "PRODUCT",
        /// A fee.
        Fee = "FEE",
        /// How somebody of ours behaved: confidential.
        Conduct = "CONDUCT",
        /// Fraud by somebody of ours: confidential.
        Fraud = "FRAUD",
        /// The customer says it is not his account.
        Identity = "IDENTITY",
        /// A returned product.
        Return = "RETURN",
    }
}

/// A complaint as it was taken down. One that is confidential belongs to its author's own day; any other
/// to the case.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Complaint {
    /// The account, and by it the customer.
    #[n(0)]
    pub account: AccountId,
    /// What it is about.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub kind: ComplaintKind,
    /// The customer's words, at most 1,000 characters.
    #[n(2)]
    pub text: Personal,
    /// The amount in dispute.
    #[n(3)]
    pub amount: Option<Money>,
    /// What the customer wants, at most 300 characters.
    #[n(4)]
    pub desired: Option<Personal>,
}

impl Complaint {
    /// Whether whoever else holds the case may not read it.
    pub fn is_confidential(&self) -> bool {
        matches!(self.kind, ComplaintKind::Conduct | ComplaintKind::Fraud)
    }

    pub(super) fn check(&self) -> Result<(), EntryError> {
        if let Some(disputed) = &self.amount {
            amount(disputed.minor)?;
        }
        check_said("text", &self.text, 1000)?;
        check_optional("desired", self.desired.as_ref(), 300)
    }
}
