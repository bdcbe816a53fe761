//! Facts: what the server tells a phone about a dossier. Read-only on the phone, in sections of
//! which only newer ones travel. Nothing here changes only because a day passed: the phone derives
//! days past due from the schedule and [`State::oldest_unmet_due`] with the shared rule.

use minicbor::{Decode, Encode};

use crate::ids::{AccountId, AgentId, CustomerId, EntryId};
use crate::money::Currency;
use crate::schedule::{DueLine, Portions};
use crate::time::{Date, Timestamp};

/// The sections of a dossier's facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SectionKind {
    /// Who and where: [`Profile`] of a case, [`AgentProfile`] of an agent.
    Profile,
    /// What is due when: [`ScheduleFacts`].
    Schedule,
    /// Where the account stands: [`State`].
    State,
    /// What was promised: [`Promises`].
    Promises,
    /// What happened online: [`Timeline`].
    Timeline,
}

impl SectionKind {
    /// All sections, in the order they travel.
    pub const ALL: [Self; 5] = [Self::Profile, Self::Schedule, Self::State, Self::Promises, Self::Timeline];

    /// The section's number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The section with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// Who the customer is and where to find him.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Profile {
    /// The account.
    #[n(0)]
    pub account: AccountId,
    /// The customer, by whom a phone joins several accounts.
    #[n(1)]
    pub customer: CustomerId,
    /// The number the customer knows the account by.
    #[n(2)]
    pub account_number: String,
    /// The customer's name.
    #[n(3)]
    pub customer_name: String,
    /// Phone numbers, best first.
    #[n(4)]
    pub phones: Vec<String>,
    /// National id, all but the last digits hidden.
    #[n(5)]
    pub national_id_masked: Option<String>,
    /// The customer's language (ISO 639-1).
    #[n(6)]
    pub language: Option<String>,
    /// Where the customer lives, in words.
    #[n(7)]
    pub address: Option<String>,
    /// Latitude in millionths of a degree.
    #[n(8)]
    pub lat_e6: Option<i32>,
    /// Longitude in millionths of a degree.
    #[n(9)]
    pub lon_e6: Option<i32>,
    /// What was sold.
    #[n(10)]
    pub product: String,
    /// The account's currency.
    #[n(11)]
    pub currency: Currency,
}

/// What is due when. Changes only with a new schedule version.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ScheduleFacts {
    /// 1 for the first; more when the account was restructured.
    #[n(0)]
    pub version: u32,
    /// When the account began.
    #[n(1)]
    pub disbursed_on: Date,
    /// The lines, oldest first.
    #[n(2)]
    pub lines: Vec<DueLine>,
}

/// Where the account stands after all postings so far.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct State {
    /// The stored status: `active`, `closed(paid)` and so on.
    #[n(0)]
    pub status: String,
    /// What is owed in all, by component.
    #[n(1)]
    pub outstanding: Portions,
    /// What was paid towards the schedule.
    #[n(2)]
    pub paid_minor: i64,
    /// What was paid beyond it: the customer's credit.
    #[n(3)]
    pub credit_minor: i64,
    /// The due date of the oldest instalment not fully paid. Overdue since then, once it has passed.
    #[n(4)]
    pub oldest_unmet_due: Option<Date>,
    /// The value date of the last payment.
    #[n(5)]
    pub last_paid_on: Option<Date>,
    /// Its amount, in minor units.
    #[n(6)]
    pub last_paid_minor: Option<i64>,
    /// CALL, FIELD, LEGAL or WRITE_OFF_REVIEW.
    #[n(7)]
    pub stage: String,
}

/// One promise with its status.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PromiseFact {
    /// The promise.
    #[n(0)]
    pub id: EntryId,
    /// Minor units of the account's currency.
    #[n(1)]
    pub amount_minor: i64,
    /// The promised day.
    #[n(2)]
    pub promised_date: Date,
    /// ACTIVE or SUPERSEDED.
    #[n(3)]
    pub status: String,
}

/// The last promises, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Promises(#[n(0)] pub Vec<PromiseFact>);

/// Something that was done online.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct TimelineEvent {
    /// When.
    #[n(0)]
    pub at: Timestamp,
    /// What: a stable code such as `REVERSED`, `ASSIGNED`.
    #[n(1)]
    pub code: String,
    /// Minor units of the account's currency, where there is an amount.
    #[n(2)]
    pub amount_minor: Option<i64>,
    /// Who did it, by the name colleagues see.
    #[n(3)]
    pub by: Option<String>,
}

/// The last that happened beside payments and promises, newest first by when it happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Timeline(#[n(0)] pub Vec<TimelineEvent>);

/// Who an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AgentProfile {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// The agent's code.
    #[n(1)]
    pub code: String,
    /// The agent's name.
    #[n(2)]
    pub name: String,
    /// The outlet.
    #[n(3)]
    pub outlet: Option<String>,
}
