//! A card page: a session is made, the payer's browser goes to its page and comes back, and we ask what it came to.
//!
//! JSON, a bearer secret, amounts in minor units, our payment id as the merchant's reference. Callbacks are Standard
//! Webhooks; without a secret for them they are hints. What the acquirer keeps is taken off his payout, not here.

use axum::http::{HeaderMap, Method, Request, header};
use daybook_shared::ids::{PaymentId, RefundId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answered, CallError, CallbackError, Gateway, GatewayName, Hint, Inbound, Paid, RefundRequest, RefundState, Remote,
    RemoteState, Secrets, StartRequest, answered, error_of, failure, read, signature,
};
use crate::auth::oidc::is_address;
use crate::portfolio::payment::plain_reference;

/// The adapter.
#[derive(Debug, Clone)]
pub struct CardPage {
    /// Where the gateway is.
    pub url: String,
    /// The acquirer's code, as our references to its payments begin with.
    pub code: String,
    /// How many minutes a payer has.
    pub minutes: i64,
    /// What is shown to it, and what it signs with.
    pub secrets: Secrets,
}

/// A session as it is told.
#[derive(Deserialize)]
struct Session {
    merchant_reference: String,
    status: String,
    url: Option<String>,
    payment: Option<Payment>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Payment {
    id: String,
    amount_minor: i64,
    currency: Currency,
    captured_at: Timestamp,
}

#[derive(Deserialize)]
struct Found {
    sessions: Vec<Session>,
}

#[derive(Deserialize)]
struct ToldRefund {
    merchant_reference: String,
    status: String,
}

#[derive(Deserialize)]
struct Called {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    merchant_reference: String,
}

impl CardPage {
    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Request<Vec<u8>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url.trim_end_matches('/')))
            .header(header::AUTHORIZATION, self.secrets.bearer())
            .header(header::ACCEPT, "application/json");
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string().into_bytes()),
            None => request.body(Vec::new()),
        };
        request.expect("the address and the secret were looked at when the server started")
    }

    fn remote(&self, reference: PaymentId, session: &Session) -> Result<Remote, CallError> {
        if session.merchant_reference != reference.to_string() {
            return Err(CallError::Unknown("its answer is about another payment".to_owned()));
        }
        let state = match (session.status.as_str(), &session.payment) {
            ("open", _) => RemoteState::Waiting,
            ("paid", Some(payment)) if payment.amount_minor > 0 && (1..=60).contains(&payment.id.trim().len()) => {
                RemoteState::Paid(Paid {
                    amount: Money::new(payment.amount_minor, payment.currency),
                    external_ref: self.external_ref(&payment.id),
                    at: payment.captured_at,
                    fee_minor: None,
                })
            }
            ("declined", _) => RemoteState::Declined(failure(session.reason.as_deref())),
            ("expired", _) => RemoteState::Expired,
            (other, _) => {
                let status = other.get(..32).unwrap_or(other);
                return Err(CallError::Unknown(format!("its status is {status:?}, with what does not fit")));
            }
        };
        let external_ref = session.payment.as_ref().map(|payment| self.external_ref(&payment.id));
        Ok(Remote { state, external_ref, redirect_url: session.url.clone().filter(|url| is_address(url)) })
    }

    fn external_ref(&self, id: &str) -> String {
        format!("{}:{}", self.code, plain_reference(id))
    }
}

impl Gateway for CardPage {
    fn name(&self) -> GatewayName {
        GatewayName::Card
    }

    fn increment_minor(&self, _: Currency) -> i64 {
        1
    }

    fn minutes(&self) -> i64 {
        self.minutes
    }

    fn start(&self, start: &StartRequest) -> Request<Vec<u8>> {
        let body = json!({
            "merchant_reference": start.reference,
            "amount_minor": start.amount.minor,
            "currency": start.amount.currency,
            "description": start.account_number,
            "return_url": start.payer,
            "expires_at": start.expires_at,
        });
        self.request(Method::POST, "/v1/sessions", Some(&body))
    }

    fn started(&self, reference: PaymentId, status: u16, body: &[u8]) -> Result<Remote, CallError> {
        if answered(status) != Answered::Body {
            return Err(error_of(status, body));
        }
        let remote = self.remote(reference, &read(body)?)?;
        match (&remote.state, &remote.redirect_url) {
            (RemoteState::Waiting, None) => Err(CallError::Unknown("its session has no page".to_owned())),
            _ => Ok(remote),
        }
    }

    fn fetch(&self, reference: PaymentId) -> Request<Vec<u8>> {
        self.request(Method::GET, &format!("/v1/sessions?merchant_reference={reference}"), None)
    }

    fn fetched(&self, reference: PaymentId, status: u16, body: &[u8]) -> Result<Option<Remote>, CallError> {
        if answered(status) != Answered::Body {
            return Err(error_of(status, body));
        }
        let Found { sessions } = read(body)?;
        match sessions.as_slice() {
            [] => Ok(None),
            [session] => self.remote(reference, session).map(Some),
            // It takes a reference once; which of two counts is not for us to guess.
            _ => Err(CallError::Unknown("it has several sessions of one reference".to_owned())),
        }
    }

    fn refund(&self, refund: &RefundRequest) -> Request<Vec<u8>> {
        let body = json!({
            "merchant_reference": refund.reference, "session_reference": refund.payment,
            "amount_minor": refund.amount.minor, "currency": refund.amount.currency,
        });
        self.request(Method::POST, "/v1/refunds", Some(&body))
    }

    fn refunded(&self, reference: RefundId, status: u16, body: &[u8]) -> Result<RefundState, CallError> {
        if answered(status) != Answered::Body {
            return Err(error_of(status, body));
        }
        let told: ToldRefund = read(body)?;
        match told.status.as_str() {
            _ if told.merchant_reference != reference.to_string() => {
                Err(CallError::Unknown("its answer is about another refund".to_owned()))
            }
            "pending" => Ok(RefundState::Pending),
            "succeeded" => Ok(RefundState::Succeeded),
            "failed" => Ok(RefundState::Failed),
            other => Err(CallError::Unknown(format!("its status is {:?}", other.get(..32).unwrap_or(other)))),
        }
    }

    fn callback(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Inbound, CallbackError> {
        let secrets = &self.secrets.callback;
        let event =
            if secrets.is_empty() { None } else { Some(signature::standard_webhook(secrets, headers, body, now)?) };
        let Called { data } = serde_json::from_slice(body).map_err(|_| CallbackError::Shape)?;
        let is_verified = event.is_some();
        let hint = Hint { event, reference: data.merchant_reference };
        Ok(if is_verified { Inbound::Verified(hint) } else { Inbound::Untrusted(hint) })
    }
}
