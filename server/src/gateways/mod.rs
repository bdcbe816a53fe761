//! Gateways: who takes a customer's money in his app for us, by mobile money or on a card page.
//!
//! An adapter ([`momo`], [`card`]) is pure: it says what to ask ([`Gateway::start`] and the like make requests),
//! what an answer means, and whether a callback is the gateway's own. [`client`] asks, within deadlines, and says
//! of a call that failed what may be done now. [`signature`] checks who signed a callback.
//!
//! What is deliberately not here: what becomes of a payment. That is `journey::payments`, which believes what a
//! gateway answers when it is asked, and takes whatever it says by itself as a hint to ask.

pub mod card;
pub mod client;
pub mod momo;
pub mod signature;
#[cfg(test)]
mod tests;

use axum::http::{HeaderMap, Request};
use daybook_shared::ids::{PaymentId, RefundId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::Timestamp;

pub use client::{Connected, Deadlines, GatewayError, GatewayOptions, Gateways, Secrets};

use crate::spelled::spelled;

spelled! {
    /// A gateway, by the method that a customer pays with.
    GatewayName {
        /// A push to the payer's phone.
        MobileMoney = "mobile_money",
        /// The card page of an acquirer.
        Card = "card",
    }

    /// Why a payment came to nothing.
    Failure {
        /// The payer said no.
        Cancelled = "cancelled",
        /// Not enough money.
        InsufficientFunds = "insufficient_funds",
        /// Above what the payer may pay.
        Limit = "limit",
        /// The payer did not answer.
        NoAnswer = "no_answer",
        /// Declined, and nobody says why.
        Undisclosed = "undisclosed",
        /// The gateway does not take the request: the fault is ours.
        Refused = "refused",
        /// The gateway was never reached.
        Unreachable = "unreachable",
    }
}

/// What a customer is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRequest {
    /// Our id of the payment: the gateway knows it by this, and twice the same is once.
    pub reference: PaymentId,
    /// How much.
    pub amount: Money,
    /// The account's number, which the payer sees.
    pub account_number: String,
    /// The phone that is asked (mobile money), or where the browser goes back to (card).
    pub payer: String,
    /// When it is too late to pay.
    pub expires_at: Timestamp,
}

/// What is to be given back of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundRequest {
    /// Our id of the refund.
    pub reference: RefundId,
    /// Of which payment.
    pub payment: PaymentId,
    /// How much.
    pub amount: Money,
}

/// A payment as its gateway has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// How far it is.
    pub state: RemoteState,
    /// What statements will call it, with the gateway's code, where that is known.
    pub external_ref: Option<String>,
    /// Where the payer goes on.
    pub redirect_url: Option<String>,
}

/// How far a payment is at its gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteState {
    /// The payer has not answered.
    Waiting,
    /// The money is there.
    Paid(Paid),
    /// It came to nothing.
    Declined(Failure),
    /// The payer's time is over.
    Expired,
}

/// Money that a gateway has for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// How much.
    pub amount: Money,
    /// What statements call it, with the gateway's code.
    pub external_ref: String,
    /// When.
    pub at: Timestamp,
    /// What the gateway keeps of it, minor units.
    pub fee_minor: Option<i64>,
}

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    /// It is under way.
    Pending,
    /// The money is with the payer.
    Succeeded,
    /// It came to nothing.
    Failed,
}

/// Why a call has no answer that says where the payment is. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The gateway has nothing of it: the call may be made again.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The gateway says no, for good.
    #[error("declined: {0}")]
    Declined(Failure),
    /// The gateway does not take the call: the fault is ours.
    #[error("refused: {0}")]
    Refused(String),
    /// Nobody knows whether it was done. It is never made again: the gateway is asked what it has.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// What a gateway says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// Signed by it.
    Verified(Hint),
    /// By whomever: nobody agreed on a secret. It can only bring about a question.
    Untrusted(Hint),
}

/// That a payment may be worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The id of the event, where the gateway gives it one.
    pub event: Option<String>,
    /// Which payment, as the gateway spells our reference.
    pub reference: String,
}

/// Why a callback is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// It is not signed with a secret of ours, or not now.
    #[error("the signature does not fit")]
    Signature,
    /// It names no payment.
    #[error("it names no payment")]
    Shape,
}

/// An adapter: requests, answers and callbacks of one gateway, without input or output.
pub trait Gateway: Send + Sync {
    /// Which method it serves.
    fn name(&self) -> GatewayName;
    /// The smallest step of an amount, minor units.
    fn increment_minor(&self, currency: Currency) -> i64;
    /// How many minutes a payer has.
    fn minutes(&self) -> i64;
    /// The request that asks a customer for money.
    fn start(&self, start: &StartRequest) -> Request<Vec<u8>>;
    /// What its answer means.
    fn started(&self, reference: PaymentId, status: u16, body: &[u8]) -> Result<Remote, CallError>;
    /// The request for what there is of a payment.
    fn fetch(&self, reference: PaymentId) -> Request<Vec<u8>>;
    /// What its answer means; none: the gateway has nothing of it.
    fn fetched(&self, reference: PaymentId, status: u16, body: &[u8]) -> Result<Option<Remote>, CallError>;
    /// The request that gives money back.
    fn refund(&self, refund: &RefundRequest) -> Request<Vec<u8>>;
    /// What its answer means.
    fn refunded(&self, reference: RefundId, status: u16, body: &[u8]) -> Result<RefundState, CallError>;
    /// What a callback says, and whether it is the gateway's own.
    fn callback(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Inbound, CallbackError>;
}

/// What a status says before the body is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    /// The body says it.
    Body,
    /// The body says it, if it says that there is nothing.
    Absent,
    /// It was declined; the body may say why.
    Declined,
    /// The gateway did nothing and may be asked again.
    NotSent,
    /// The request is at fault.
    Refused,
    /// Anything may have happened.
    Unknown,
}

/// Total, and what is not understood is unknown: never a guess.
fn answered(status: u16) -> Answered {
    match status {
        200..=202 => Answered::Body,
        402 => Answered::Declined,
        404 => Answered::Absent,
        // Turned away before anything was done.
        429 => Answered::NotSent,
        400 | 401 | 403 | 405 | 406 | 411 | 413 | 414 | 415 | 422 => Answered::Refused,
        // Not least 409: it has the payment already.
        _ => Answered::Unknown,
    }
}

/// JSON of a shape, or nobody knows.
fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| CallError::Unknown(format!("its answer is no such JSON: {error}")))
}

/// A gateway's word for why, as ours.
fn failure(reason: Option<&str>) -> Failure {
    match reason {
        Some("cancelled" | "user_cancelled") => Failure::Cancelled,
        Some("insufficient_funds") => Failure::InsufficientFunds,
        Some("limit_exceeded") => Failure::Limit,
        Some("timeout" | "no_answer") => Failure::NoAnswer,
        _ => Failure::Undisclosed,
    }
}

/// The error of an answer whose status says that nothing was done, or that nobody knows.
fn error_of(status: u16, body: &[u8]) -> CallError {
    #[derive(serde::Deserialize)]
    struct Reason {
        reason: Option<String>,
    }
    let said = format!("it answers {status}");
    match answered(status) {
        Answered::Declined => match read::<Reason>(body) {
            Ok(Reason { reason }) => CallError::Declined(failure(reason.as_deref())),
            Err(error) => error,
        },
        Answered::NotSent => CallError::NotSent(said),
        Answered::Refused => CallError::Refused(said),
        Answered::Body | Answered::Absent | Answered::Unknown => CallError::Unknown(said),
    }
}
