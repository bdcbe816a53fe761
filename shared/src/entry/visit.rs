//! A visit: an officer went to see a customer.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, Gps, field, optional_text};
use crate::ids::EntryId;
use crate::time::{Date, Timestamp};

crate::codes! {
    /// How the customer was seen.
    VisitKind {
        /// At the customer's place.
        Field = "FIELD",
        /// By phone.
        Phone = "PHONE",
        /// At a branch.
        Branch = "BRANCH",
    }

    /// Who was met.
    PersonMet {
        /// The customer.
        Customer = "CUSTOMER",
        /// The spouse.
        Spouse = "SPOUSE",
        /// A guarantor.
        Guarantor = "GUARANTOR",
        /// Another member of the family.
        Family = "FAMILY",
        /// A neighbour.
        Neighbour = "NEIGHBOUR",
        /// Nobody.
        Nobody = "NOBODY",
    }

    /// What came of it: exactly one a visit.
    VisitOutcome {
        /// Paid all that was due.
        PaidFull = "PAID_FULL",
        /// Paid a part.
        PaidPartial = "PAID_PARTIAL",
        /// Promised to pay.
        Ptp = "PTP",
        /// Refused to pay.
        Refused = "REFUSED",
        /// Says it was paid already.
        ClaimsPaid = "CLAIMS_PAID",
        /// Disputes what is owed.
        Dispute = "DISPUTE",
        /// Not at home.
        NotHome = "NOT_HOME",
        /// The place could not be reached.
        NoAccess = "NO_ACCESS",
        /// Moved away.
        Moved = "MOVED",
        /// Cannot be traced.
        NotTraceable = "NOT_TRACEABLE",
        /// The address is wrong.
        WrongAddress = "WRONG_ADDRESS",
        /// Died.
        Deceased = "DECEASED",
        /// Ill.
        Ill = "ILL",
        /// In hardship.
        Hardship = "HARDSHIP",
        /// The financed device does not work.
        DeviceFault = "DEVICE_FAULT",
        /// The financed device was lost or stolen.
        DeviceLostStolen = "DEVICE_LOST_STOLEN",
        /// The financed device was taken back.
        DeviceRecovered = "DEVICE_RECOVERED",
        /// A message was left with somebody else, without naming the debt.
        ThirdPartyMessage = "THIRD_PARTY_MESSAGE",
        /// It was not safe.
        Unsafe = "UNSAFE",
        /// To be called back.
        Callback = "CALLBACK",
        /// Another outcome, said in the note.
        OtherOutcome = "OTHER",
    }

    /// Why the customer is behind.
    VisitReason {
        /// Lost work.
        JobLoss = "JOB_LOSS",
        /// Income comes with the season.
        SeasonalIncome = "SEASONAL_INCOME",
        /// Illness.
        Illness = "ILLNESS",
        /// The product is faulty.
        ProductFault = "PRODUCT_FAULT",
        /// The price.
        Price = "PRICE",
        /// Did not know.
        Unaware = "UNAWARE",
        /// The network failed the payment.
        NetworkPaymentFail = "NETWORK_PAYMENT_FAIL",
        /// Owes too many.
        OverIndebted = "OVER_INDEBTED",
        /// Travels.
        Travel = "TRAVEL",
        /// A death in the family.
        Bereavement = "BEREAVEMENT",
        /// Claims fraud.
        FraudClaim = "FRAUD_CLAIM",
        /// Does not want to pay.
        Unwilling = "UNWILLING",
        /// Another reason, said in the note.
        OtherReason = "OTHER",
    }
}

/// What is to happen next, and when.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct NextAction {
    /// What is to happen, as a code of the lender's.
    #[n(0)]
    pub action: String,
    /// When.
    #[n(1)]
    pub on: Date,
}

/// A visit (domain: "visit", "field visit").
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Visit {
    /// How the customer was seen.
    #[n(0)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub kind: VisitKind,
    /// When it began, by the phone's clock.
    #[n(1)]
    pub started_at: Timestamp,
    /// When it ended, at most 8 hours later.
    #[n(2)]
    pub ended_at: Timestamp,
    /// Who was met.
    #[n(3)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub person_met: PersonMet,
    /// The person proved to be the customer or an authorised payer.
    #[n(4)]
    pub identity_verified: bool,
    /// What came of it.
    #[n(5)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub outcome: VisitOutcome,
    /// Why the customer is behind, at most three.
    #[n(6)]
    #[serde(deserialize_with = "crate::codes::known", default)]
    pub reasons: Option<Vec<VisitReason>>,
    /// The officer's words, at most 1,000 characters.
    #[n(7)]
    pub note: Option<String>,
    /// What is to happen next.
    #[n(8)]
    pub next_action: Option<NextAction>,
    /// Why a field visit has no position.
    #[n(9)]
    pub no_fix_reason: Option<String>,
    /// The stop of the day plan; a link that never holds anything.
    #[n(10)]
    pub stop: Option<EntryId>,
    /// Who else saw it.
    #[n(11)]
    pub witness: Option<String>,
    /// The officer showed his identity card.
    #[n(12)]
    pub id_shown: Option<bool>,
    /// The customer asked for the visit, outside permitted hours.
    #[n(13)]
    pub customer_invited: Option<bool>,
}

impl Visit {
    pub(super) fn check(&self, gps: Option<&Gps>) -> Result<(), EntryError> {
        let duration_ms = self.ended_at.ms_since(self.started_at);
        if !(0..=8 * 3_600_000).contains(&duration_ms) {
            return Err(field("ended_at", "not before the start and at most 8 hours after it"));
        }
        if self.kind == VisitKind::Field && gps.is_none() && self.no_fix_reason.is_none() {
            return Err(field("gps", "a field visit has a position, or a reason why not"));
        }
        if self.reasons.as_ref().is_some_and(|reasons| reasons.len() > 3) {
            return Err(field("reasons", "at most three"));
        }
        optional_text("note", self.note.as_ref(), 1000)?;
        optional_text("no_fix_reason", self.no_fix_reason.as_ref(), 100)?;
        optional_text("witness", self.witness.as_ref(), 100)?;
        optional_text("next_action", self.next_action.as_ref().map(|next| &next.action), 40)
    }
}
