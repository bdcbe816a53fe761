//! Who finances a purchase: instalment providers, and the lender's own book as one of them.
//!
//! [`Provider`] is small and has no default that succeeds. An answer that is not understood is
//! [`CallError::Unknown`], never a guess: it may have had its effect, so nobody else is asked meanwhile, or one
//! customer gets two live credits. What a provider tells unasked is at most a hint to ask him.
//!
//! Not here: which provider is asked when, and what becomes of an application (`journey::decide`).

pub mod own_book;

use std::pin::Pin;

use axum::http::HeaderMap;
use daybook_shared::ids::ApplicationId;
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::Timestamp;
use uuid::Uuid;

use crate::journey::states::{AttemptState, Reason};

/// A call under way.
pub type Calling<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

/// What a provider can do.
#[expect(clippy::struct_excessive_bools, reason = "each says of one thing whether it can be done")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Its code, in rows and settings.
    pub code: &'static str,
    /// Currencies; all when empty.
    pub currencies: Vec<Currency>,
    /// It answers from what the caller has, without a network, in the caller's transaction.
    pub local: bool,
    /// It can be asked by our reference for what it has.
    pub lookup_by_reference: bool,
    /// A part can be refunded.
    pub partial_refund: bool,
    /// An action that is sent again under its key has its effect once.
    pub idempotent_actions: bool,
}

/// What every call carries.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Now.
    pub now: Timestamp,
    /// Nothing is begun that cannot end before it.
    pub deadline: Timestamp,
}

/// A new asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRequest {
    /// The attempt: our reference with the provider.
    pub reference: Uuid,
    /// The application.
    pub application: ApplicationId,
    /// What is to be financed.
    pub financed: Money,
    /// What the customer would owe in all.
    pub owed: Money,
    /// In how many instalments.
    pub instalments: u16,
}

/// What a provider has under a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// How far it is.
    pub state: AttemptState,
    /// Why not, where it was declined.
    pub reason: Option<Reason>,
    /// The provider's own word for it.
    pub raw_code: Option<String>,
    /// Until when an approval holds, if the provider says so.
    pub expires_at: Option<Timestamp>,
}

/// What to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// By our reference.
    Reference(Uuid),
    /// By the provider's id.
    Remote(&'a str),
}

/// What to do with something a provider has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The customer signed.
    Confirm {
        /// Our reference.
        reference: Uuid,
    },
    /// The goods are on their way.
    Capture {
        /// Our reference.
        reference: Uuid,
        /// How much.
        amount: Money,
    },
    /// Take it back before anything was captured.
    Void {
        /// Our reference.
        reference: Uuid,
    },
    /// Give money back.
    Refund {
        /// Our reference.
        reference: Uuid,
        /// The refund: the key under which it has its effect once.
        refund: Uuid,
        /// How much.
        amount: Money,
    },
}

/// How a call failed. What to do about it depends on nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The provider never got it: safe to send again, or to ask another.
    #[error("it was not sent: {0}")]
    NotSent(String),
    /// The provider says no.
    #[error("declined: {0}")]
    Declined(Reason),
    /// The provider says that we asked wrongly: nobody else is asked, a person looks.
    #[error("refused: {0}")]
    Refused(String),
    /// It may have had its effect: it is looked up before anything else is done.
    #[error("nobody knows what came of it: {0}")]
    Unknown(String),
}

/// What a provider sent unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// Proved to be the provider's.
    Verified(Hint),
    /// Not proved: it can only bring a look-up about.
    Untrusted(Hint),
}

/// What something unasked is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Our reference, if it is named.
    pub reference: Option<Uuid>,
    /// The provider's id of the event, under which it is taken once.
    pub event: Option<String>,
}

/// Why something unasked is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The provider sends nothing.
    #[error("this provider sends nothing")]
    NotOffered,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Malformed(String),
}

/// A line of a provider's settlement file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementLine {
    /// Our reference, or the order's.
    pub reference: String,
    /// What was sold.
    pub gross: Money,
    /// What the provider keeps.
    pub fee: Money,
    /// What it pays out.
    pub net: Money,
}

/// Why a settlement file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The provider settles nothing by file.
    #[error("this provider has no settlement files")]
    NotOffered,
    /// A line is wrong.
    #[error("line {line}: {why}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// Why.
        why: String,
    },
}

/// Who finances a purchase.
pub trait Provider: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> &Capabilities;
    /// Asks it to finance a purchase.
    fn start<'a>(&'a self, call: &'a Call, request: &'a StartRequest) -> Calling<'a, Remote>;
    /// What it has; none when it has nothing of the kind.
    fn fetch<'a>(&'a self, call: &'a Call, by: Lookup<'a>) -> Calling<'a, Option<Remote>>;
    /// Does something with what it has.
    fn act<'a>(&'a self, call: &'a Call, action: &'a Action) -> Calling<'a, Remote>;
    /// Reads what it sent unasked.
    fn webhook(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Inbound, WebhookError>;
    /// Reads a settlement file.
    fn settlement(&self, name: &str, bytes: &[u8]) -> Result<Vec<SettlementLine>, ParseError>;
}
