//! Entries: what a device captures, one file a type.
//!
//! An entry is immutable and kept for ever as the bytes the phone made. It is one CBOR map with
//! small integer keys: the common fields of [`Head`] under 0 to 12, the fields of its type, a map
//! of its own, under 13. A key or code that this build does not know stays in the bytes and is
//! shown as OTHER, so an older or newer app never loses a record.
//!
//! [`Entry::decode`] is the only way from bytes to an entry; it enforces the limits before it looks
//! at any field. [`Entry::check`] holds the rules that need nothing but the entry; the phone runs
//! them before it stores, the server before it judges. Rules that need the server's rows (who was
//! assigned, which account, which currency) live with the server's admission.

mod agent_registration;
mod call_attempt;
mod case_handover;
mod cash_handover;
mod complaint;
mod contact_update;
mod correction;
mod device_event;
mod float_check;
mod issue;
mod personal;
mod promise;
mod repayment;
mod stop_event;
mod training;
mod transaction_check;
mod visit;
mod weekly_contact;

pub use agent_registration::{AgentRegistration, IdKind};
pub use call_attempt::{CALL_SECONDS_MAX, CallAttempt, CallChannel, Disposition, NumberRef};
pub use case_handover::{Attempts, CaseHandover, CaseHandoverReason, CaseLevel};
pub use cash_handover::{CashHandover, HANDOVER_REPAYMENTS_MAX, HandoverTo};
pub use complaint::{Complaint, ComplaintKind};
pub use contact_update::{ContactChange, ContactField, ContactSource, ContactUpdate};
pub use correction::{Correction, CorrectionKind, Proposed};
pub use device_event::{DeviceEvent, DeviceEventKind, ReceiptRange};
pub use float_check::{FloatCheck, FloatSource, Rebalancing, RebalancingDirection};
pub use issue::{ISSUE_TXN_REFS_MAX, IssueCategory, IssueEvent, IssueEventKind, IssueReport};
pub use personal::{Personal, masked};
pub use promise::{PROMISE_DAYS_MAX, Promise, PromiseChannel};
pub use repayment::{Channel, CustomerAck, ReceiptNumber, Repayment};
pub use stop_event::{SkipReason, StopEvent, StopEventKind};
pub use training::Training;
pub use transaction_check::{CheckResult, CheckedTransaction, TransactionCheck};
pub use visit::{NextAction, PersonMet, Visit, VisitKind, VisitOutcome, VisitReason};
pub use weekly_contact::{AgentMet, CheckAnswer, Checklist, WeeklyContact, WeeklyMode};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::cbor;
use crate::ids::{AckHash, BootId, DeviceId, DossierId, EntryId, Hash};
use crate::time::Timestamp;

/// The longest entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 8 * 1024;
/// How deep maps and arrays may nest, the entry's own map included.
pub const ENTRY_DEPTH_MAX: usize = 4;
/// The most attachments one entry names.
pub const ATTACHMENTS_MAX: usize = 8;
/// The version of the shapes in this module.
pub const SCHEMA_VERSION: u16 = 1;

crate::codes! {
    /// The type of an entry.
    EntryType {
        /// A visit to a customer.
        Visit = "VISIT",
        /// Money a customer gave or showed.
        Repayment = "REPAYMENT",
        /// A customer's promise to pay.
        Promise = "PROMISE",
        /// A request to undo or change an earlier entry.
        Correction = "CORRECTION",
        /// Cash declared to a cashier or bank.
        CashHandover = "CASH_HANDOVER",
        /// A look at one of an agent's transactions.
        TransactionCheck = "TRANSACTION_CHECK",
        /// An attempt to reach a customer.
        CallAttempt = "CALL_ATTEMPT",
        /// Where a customer can be reached.
        ContactUpdate = "CONTACT_UPDATE",
        /// A customer objects to us.
        Complaint = "COMPLAINT",
        /// A case should go to another level.
        CaseHandover = "CASE_HANDOVER",
        /// What became of a stop of a day plan.
        StopEvent = "STOP_EVENT",
        /// Something about the phone itself.
        DeviceEvent = "DEVICE_EVENT",
        /// A contact with an agent.
        WeeklyContact = "WEEKLY_CONTACT",
        /// What an agent has at hand.
        FloatCheck = "FLOAT_CHECK",
        /// An issue of an agent.
        IssueReport = "ISSUE_REPORT",
        /// What happened to an issue.
        IssueEvent = "ISSUE_EVENT",
        /// Somebody at an agent's was taught.
        Training = "TRAINING",
        /// Somebody wants to become an agent.
        AgentRegistration = "AGENT_REGISTRATION",
    }

    /// What an attachment shows.
    AttachmentKind {
        /// A photo taken on the spot.
        Photo = "PHOTO",
        /// A receipt or deposit slip.
        Receipt = "RECEIPT",
        /// A signature.
        Signature = "SIGNATURE",
    }
}

/// Where and how well a position was fixed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct Gps {
    /// Latitude in millionths of a degree, north positive.
    #[n(0)]
    pub lat_e6: i32,
    /// Longitude in millionths of a degree, east positive.
    #[n(1)]
    pub lon_e6: i32,
    /// Radius of 68 % confidence, in metres.
    #[n(2)]
    pub accuracy_m: u32,
    /// Seconds between the fix and the capture.
    #[n(3)]
    pub age_s: u32,
    /// The platform said that the position was simulated.
    #[n(4)]
    pub mock: bool,
}

/// A file that belongs to an entry and travels apart from it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(array)]
pub struct Attachment {
    /// SHA-256 of the file.
    #[n(0)]
    pub sha256: Hash,
    /// Media type, for example `image/jpeg`.
    #[n(1)]
    pub mime: String,
    /// Length in bytes.
    #[n(2)]
    pub bytes: u32,
    /// What it shows.
    #[n(3)]
    pub kind: AttachmentKind,
}

/// The fields that every entry carries.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(map)]
pub struct Head {
    /// UUIDv7 made on the phone.
    #[n(0)]
    pub id: EntryId,
    /// The type, which names the body's shape.
    #[n(1)]
    pub entry_type: EntryType,
    /// The version of the shapes the app knew.
    #[n(2)]
    pub schema_version: u16,
    /// The dossier this entry belongs to.
    #[n(3)]
    pub dossier: DossierId,
    /// What the phone's clock said.
    #[n(4)]
    pub captured_at: Timestamp,
    /// Offset of the phone's zone from universal time, in minutes.
    #[n(5)]
    pub offset_min: i16,
    /// The run of the device between two boots.
    #[n(6)]
    pub boot_id: BootId,
    /// Milliseconds since that boot; it never jumps.
    #[n(7)]
    pub boot_ms: u64,
    /// The newest acknowledgement the phone held.
    #[n(8)]
    pub after: AckHash,
    /// The capturing device.
    #[n(9)]
    pub device: DeviceId,
    /// The dossier version whose facts the officer saw.
    #[n(10)]
    pub basis: u64,
    /// Where it was captured.
    #[n(11)]
    pub gps: Option<Gps>,
    /// Files that belong to it.
    #[n(12)]
    pub attachments: Option<Vec<Attachment>>,
}

/// Declares [`Body`]: a type's name is that of its body.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What was captured. As JSON it is the type's own fields, and null for a type that is not known.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Body {
            $($(#[$doc])* $name($name),)+
            /// A type this build does not know: kept, shown as OTHER.
            Unknown,
        }

        impl Body {
            fn decode(entry_type: &EntryType, bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
                match entry_type {
                    $(EntryType::$name => minicbor::decode(bytes).map(Self::$name),)+
                    EntryType::Other(_) => Ok(Self::Unknown),
                }
            }

            fn encode(&self) -> Vec<u8> {
                match self {
                    $(Self::$name(body) => cbor::to_vec(body),)+
                    Self::Unknown => unreachable!("a phone never makes an entry of a type it does not know"),
                }
            }

            /// The type of such an entry; none for a type this build does not know.
            pub fn entry_type(&self) -> Option<EntryType> {
                match self {
                    $(Self::$name(_) => Some(EntryType::$name),)+
                    Self::Unknown => None,
                }
            }
        }
    };
}

bodies! {
    /// A visit.
    Visit,
    /// A repayment.
    Repayment,
    /// A promise.
    Promise,
    /// A correction.
    Correction,
    /// A cash hand-over.
    CashHandover,
    /// A transaction check.
    TransactionCheck,
    /// A call attempt.
    CallAttempt,
    /// A contact update.
    ContactUpdate,
    /// A complaint.
    Complaint,
    /// A case hand-over.
    CaseHandover,
    /// A stop event.
    StopEvent,
    /// A device event.
    DeviceEvent,
    /// A weekly contact.
    WeeklyContact,
    /// A float check.
    FloatCheck,
    /// An issue report.
    IssueReport,
    /// An issue event.
    IssueEvent,
    /// A training.
    Training,
    /// An agent registration.
    AgentRegistration,
}

/// A decoded entry. The bytes it came from stay the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Common fields.
    pub head: Head,
    /// The type's own fields.
    pub body: Body,
}

/// Why bytes are not an entry, or an entry breaks a rule that needs nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Longer than [`ENTRY_BYTES_MAX`].
    #[error("an entry has at most {ENTRY_BYTES_MAX} bytes")]
    TooLong,
    /// Not one well-formed CBOR item.
    #[error("an entry is one CBOR map: {0}")]
    Malformed(#[from] cbor::Malformed),
    /// A field is missing or of another type.
    #[error("a field is missing or of another type: {0}")]
    Shape(String),
    /// The amount is zero, negative or too large for any book.
    #[error("the amount must be above zero and at most 2^53 - 1 minor units")]
    Amount,
    /// A field breaks its rule.
    #[error("{field}: {rule}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// The rule in words.
        rule: &'static str,
    },
}

impl Entry {
    /// Reads an entry from the bytes a phone made.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLong);
        }
        cbor::check(bytes, ENTRY_DEPTH_MAX)?;
        let shape = |error: minicbor::decode::Error| EntryError::Shape(error.to_string());
        let head: Head = minicbor::decode(bytes).map_err(shape)?;
        let raw: BodyBytes = minicbor::decode(bytes).map_err(shape)?;
        let body = Body::decode(&head.entry_type, raw.body.0).map_err(shape)?;
        Ok(Self { head, body })
    }

    /// The entry as bytes: the one time it is encoded, on the phone that made it.
    ///
    /// # Panics
    /// On a body of an unknown type, which only [`Entry::decode`] makes.
    pub fn encode(&self) -> Vec<u8> {
        append_body(&self.head, &self.body.encode())
    }

    /// The rules that need nothing but the entry.
    pub fn check(&self) -> Result<(), EntryError> {
        let attachments = self.head.attachments.as_deref().unwrap_or_default();
        if attachments.len() > ATTACHMENTS_MAX {
            return Err(field("attachments", "at most 8"));
        }
        for attachment in attachments {
            text("attachments.mime", &attachment.mime, 100)?;
        }
        if let Some(gps) = &self.head.gps
            && (gps.lat_e6.unsigned_abs() > 90_000_000 || gps.lon_e6.unsigned_abs() > 180_000_000)
        {
            return Err(field("gps", "latitude within 90 and longitude within 180 degrees"));
        }
        let gps = self.head.gps.as_ref();
        match &self.body {
            Body::Visit(body) => body.check(gps),
            Body::Repayment(body) => body.check(),
            Body::Promise(body) => body.check(),
            Body::Correction(body) => body.check(),
            Body::CashHandover(body) => body.check(),
            Body::TransactionCheck(body) => body.check(),
            Body::CallAttempt(body) => body.check(),
            Body::ContactUpdate(body) => body.check(gps),
            Body::Complaint(body) => body.check(),
            Body::CaseHandover(body) => body.check(),
            Body::StopEvent(body) => body.check(),
            Body::DeviceEvent(body) => body.check(),
            Body::WeeklyContact(body) => body.check(gps),
            Body::FloatCheck(body) => body.check(),
            Body::IssueReport(body) => body.check(),
            Body::IssueEvent(body) => body.check(),
            Body::Training(body) => body.check(),
            Body::AgentRegistration(body) => body.check(gps),
            Body::Unknown => Ok(()),
        }
    }

    /// Whether nobody but its author and those who review may read it, whoever holds its dossier. Such
    /// an entry belongs to its author's own day, and no feed gives it to anybody else.
    pub fn is_confidential(&self) -> bool {
        match &self.body {
            Body::Complaint(complaint) => complaint.is_confidential(),
            Body::IssueReport(report) => report.is_confidential(),
            _ => false,
        }
    }
}

/// The head's map with the body's map added under key 13: one map, keys ascending.
fn append_body(head: &Head, body: &[u8]) -> Vec<u8> {
    let head = cbor::to_vec(head);
    let mut bytes = Vec::with_capacity(head.len() + body.len() + 2);
    // A map of at most 13 fields has a one-byte header (0xa0 + number of fields).
    assert!((0xa0..0xb7).contains(&head[0]), "the head is a map with a one-byte header");
    bytes.push(head[0] + 1);
    bytes.extend_from_slice(&head[1..]);
    bytes.push(13);
    bytes.extend_from_slice(body);
    bytes
}

#[derive(Decode)]
#[cbor(map)]
struct BodyBytes<'b> {
    #[b(13)]
    body: RawItem<'b>,
}

/// One CBOR item, not looked into.
struct RawItem<'b>(&'b [u8]);

impl<'b, C> Decode<'b, C> for RawItem<'b> {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let start = d.position();
        d.skip()?;
        Ok(Self(&d.input()[start..d.position()]))
    }
}

fn field(field: &'static str, rule: &'static str) -> EntryError {
    EntryError::Field { field, rule }
}

/// A text of at most `chars_max` characters.
fn text(name: &'static str, value: &str, chars_max: usize) -> Result<(), EntryError> {
    if value.chars().count() > chars_max { Err(field(name, "the text is too long")) } else { Ok(()) }
}

fn optional_text(name: &'static str, value: Option<&String>, chars_max: usize) -> Result<(), EntryError> {
    value.map_or(Ok(()), |value| text(name, value, chars_max))
}

/// An amount above zero that JSON clients can hold.
fn amount(minor: i64) -> Result<(), EntryError> {
    if (1..=crate::money::Money::MINOR_MAX).contains(&minor) { Ok(()) } else { Err(EntryError::Amount) }
}

#[cfg(test)]
pub(crate) mod record_tests;
#[cfg(test)]
pub(crate) mod tests;
