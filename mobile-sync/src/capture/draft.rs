//! What an app hands over to be recorded.
//!
//! A draft is also read from JSON, for host apps in other languages: one object, with the code of its type
//! under `type`, codes and texts as they are stored, and money as `{"minor": 25000, "currency": "KES"}`. A
//! field that no draft of the type has is an error, and so is a code that this build does not know, so that a slip of the pen is no silent loss.

use daybook_shared::entry::{
    AgentRegistration, Attachment, AttachmentKind, Body, CallAttempt, CaseHandover, CashHandover, Channel, Complaint,
    ContactUpdate, Correction, CustomerAck, DeviceEvent, FloatCheck, Gps, IssueEvent, IssueReport, Promise,
    ReceiptNumber, Repayment, StopEvent, Training, TransactionCheck, Visit, WeeklyContact,
};
use daybook_shared::ids::{AccountId, DossierId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::time::Date;
use serde::Deserialize;

/// Something to record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Draft {
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// Where. A field visit needs it, or a reason why not.
    pub gps: Option<Gps>,
    /// Files that belong to it and travel apart.
    #[serde(skip)]
    pub attachments: Vec<Attachment>,
    /// The phone's offset from universal time in minutes; the lender's zone when absent.
    pub offset_min: Option<i16>,
}

/// A file to attach to a capture: a photo, a signature, a receipt. Sealed with it, sent after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its media type, for example `image/jpeg`.
    pub mime: String,
    /// What it shows.
    pub kind: AttachmentKind,
}

impl From<What> for Draft {
    /// A draft without position and attachments.
    fn from(what: What) -> Self {
        Self { what, gps: None, attachments: Vec::new(), offset_min: None }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum What {
    /// A visit about an account.
    Visit {
        /// The account.
        account: AccountId,
        /// The visit.
        visit: Visit,
    },
    /// Money a customer gave, or proof of money sent.
    Repayment(RepaymentDraft),
    /// A promise to pay towards an account.
    Promise {
        /// The account.
        account: AccountId,
        /// The promise.
        promise: Promise,
    },
    /// A request to undo or change an earlier entry.
    Correction {
        /// The target's dossier; looked up on this phone when absent.
        dossier: Option<DossierId>,
        /// The correction.
        correction: Correction,
    },
    /// Cash given to a cashier, a bank or an agent. Belongs to the officer's day.
    CashHandover(CashHandover),
    /// A look at one of an agent's transactions. Belongs to the agent's present quarter.
    TransactionCheck(TransactionCheck),
    /// An attempt to reach a customer about an account.
    CallAttempt {
        /// The account.
        account: AccountId,
        /// The attempt.
        call: CallAttempt,
    },
    /// Where the customer of an account can be reached.
    ContactUpdate {
        /// The account.
        account: AccountId,
        /// The proposal.
        update: ContactUpdate,
    },
    /// A customer objects. Belongs to the case, or, when it is confidential, to the officer's day.
    Complaint(Complaint),
    /// A case should go to another level.
    CaseHandover {
        /// The account.
        account: AccountId,
        /// The request.
        handover: CaseHandover,
    },
    /// What became of a stop. Belongs to the officer's day, as do the next two.
    StopEvent(StopEvent),
    /// Something about this phone.
    DeviceEvent(DeviceEvent),
    /// Somebody wants to become an agent.
    AgentRegistration(AgentRegistration),
    /// A contact with an agent. Belongs to the agent's present quarter, as do the next four.
    WeeklyContact(WeeklyContact),
    /// What an agent has at hand.
    FloatCheck(FloatCheck),
    /// An issue of an agent; to the officer's day when it is confidential.
    IssueReport(IssueReport),
    /// What happened to an issue; to the officer's day beside a confidential one.
    IssueEvent(IssueEvent),
    /// Somebody at an agent's was taught.
    Training(Training),
}

impl What {
    /// What an entry says. A repayment takes its receipt number first, elsewhere.
    pub(super) fn into_body(self) -> Body {
        match self {
            Self::Visit { visit, .. } => Body::Visit(visit),
            Self::Repayment(_) => unreachable!("a repayment is made with its receipt number"),
            Self::Promise { promise, .. } => Body::Promise(promise),
            Self::Correction { correction, .. } => Body::Correction(correction),
            Self::CashHandover(handover) => Body::CashHandover(handover),
            Self::TransactionCheck(check) => Body::TransactionCheck(check),
            Self::CallAttempt { call, .. } => Body::CallAttempt(call),
            Self::ContactUpdate { update, .. } => Body::ContactUpdate(update),
            Self::Complaint(complaint) => Body::Complaint(complaint),
            Self::CaseHandover { handover, .. } => Body::CaseHandover(handover),
            Self::StopEvent(event) => Body::StopEvent(event),
            Self::DeviceEvent(event) => Body::DeviceEvent(event),
            Self::AgentRegistration(registration) => Body::AgentRegistration(registration),
            Self::WeeklyContact(contact) => Body::WeeklyContact(contact),
            Self::FloatCheck(check) => Body::FloatCheck(check),
            Self::IssueReport(report) => Body::IssueReport(report),
            Self::IssueEvent(event) => Body::IssueEvent(event),
            Self::Training(training) => Body::Training(training),
        }
    }
}

/// A repayment before it has its receipt number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepaymentDraft {
    /// The account it is for.
    pub account: AccountId,
    /// How much.
    pub amount: Money,
    /// How it came.
    #[serde(deserialize_with = "daybook_shared::codes::known")]
    pub channel: Channel,
    /// The number of a paper receipt; absent, cash gets the phone's next number.
    pub paper_receipt: Option<ReceiptNumber>,
    /// Provider code and reference; required for anything but cash.
    pub external_ref: Option<String>,
    /// The day the money counts for; today when absent.
    pub value_date: Option<Date>,
    /// Who paid, when it was not the customer.
    pub payer_name: Option<String>,
    /// The payer's phone.
    pub payer_phone: Option<String>,
    /// The visit it belongs to.
    pub visit: Option<EntryId>,
    /// How the customer confirmed it.
    #[serde(deserialize_with = "daybook_shared::codes::known", default = "unconfirmed")]
    pub customer_ack: CustomerAck,
    /// Used only when the cash is beyond what this phone may take.
    pub over_limit: Option<Override>,
}

fn unconfirmed() -> CustomerAck {
    CustomerAck::None
}

/// What lets cash be recorded beyond the allowance or the lease.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    /// The supervisor's offline code.
    Code(String),
    /// The officer's statement that the cash is in his hand already.
    CashInHand,
}

impl Override {
    /// What an entry says for [`Override::CashInHand`].
    pub const CASH_IN_HAND: &'static str = "CASH_IN_HAND";

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Code(code) => code,
            Self::CashInHand => Self::CASH_IN_HAND,
        }
    }
}

impl RepaymentDraft {
    /// Notes and coins, confirmed by nobody, for today.
    pub fn cash(account: AccountId, amount: Money) -> Self {
        Self {
            account,
            amount,
            channel: Channel::Cash,
            paper_receipt: None,
            external_ref: None,
            value_date: None,
            payer_name: None,
            payer_phone: None,
            visit: None,
            customer_ack: CustomerAck::None,
            over_limit: None,
        }
    }

    pub(super) fn is_cash(&self) -> bool {
        self.channel == Channel::Cash
    }

    pub(super) fn into_repayment(
        self,
        value_date: Date,
        receipt: Option<ReceiptNumber>,
        over_limit: Option<String>,
    ) -> Repayment {
        Repayment {
            account: self.account,
            amount: self.amount,
            channel: self.channel,
            receipt,
            external_ref: self.external_ref,
            value_date,
            payer_name: self.payer_name,
            payer_phone: self.payer_phone,
            visit: self.visit,
            customer_ack: self.customer_ack,
            over_limit,
        }
    }
}
