//! Mobile money: a push to the payer's phone, which he confirms with his PIN.
//!
//! JSON, a bearer secret, amounts as decimal texts in whole units, our payment id as the reference under which the
//! gateway takes a request once. A callback is signed in `X-Signature`; without a secret for callbacks it is a hint.

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
use crate::portfolio::payment::plain_reference;

/// The adapter.
#[derive(Debug, Clone)]
pub struct Momo {
    /// Where the gateway is.
    pub url: String,
    /// The operator's code, as references on its statements begin with.
    pub code: String,
    /// Where it sends callbacks to; it is told with each request, where there is one.
    pub callback_url: Option<String>,
    /// How many minutes a payer has.
    pub minutes: i64,
    /// What is shown to it, and what it signs with.
    pub secrets: Secrets,
}

/// A payment as it is told.
#[derive(Deserialize)]
struct Told {
    reference: String,
    status: String,
    transaction: Option<String>,
    amount: Option<String>,
    currency: Option<String>,
    completed_at: Option<String>,
    fee: Option<String>,
    reason: Option<String>,
}

/// What says that there is nothing.
#[derive(Deserialize)]
struct Absent {
    error: String,
}

#[derive(Deserialize)]
struct ToldRefund {
    reference: String,
    status: String,
}

#[derive(Deserialize)]
struct Called {
    event: Option<String>,
    reference: Option<String>,
}

impl Momo {
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

    fn remote(&self, reference: PaymentId, told: &Told) -> Result<Remote, CallError> {
        if told.reference != reference.to_string() {
            return Err(CallError::Unknown("its answer is about another payment".to_owned()));
        }
        let state = match told.status.as_str() {
            "pending" => RemoteState::Waiting,
            "paid" => RemoteState::Paid(self.paid(told)?),
            "declined" => RemoteState::Declined(failure(told.reason.as_deref())),
            "expired" => RemoteState::Expired,
            other => return Err(CallError::Unknown(format!("its status is {:?}", other.get(..32).unwrap_or(other)))),
        };
        let external_ref = told.transaction.as_deref().map(|text| self.external_ref(text));
        Ok(Remote { state, external_ref, redirect_url: None })
    }

    fn external_ref(&self, transaction: &str) -> String {
        format!("{}:{}", self.code, plain_reference(transaction))
    }

    fn paid(&self, told: &Told) -> Result<Paid, CallError> {
        let missing = |what: &str| CallError::Unknown(format!("what it says is paid has no {what}"));
        let currency: Currency =
            told.currency.as_deref().and_then(|text| text.parse().ok()).ok_or_else(|| missing("currency"))?;
        let exact = |text: &str| Money::parse(text, currency).map(|money| money.minor).ok();
        let amount =
            told.amount.as_deref().and_then(exact).filter(|minor| *minor > 0).ok_or_else(|| missing("amount"))?;
        let transaction = told.transaction.as_deref().filter(|text| (1..=60).contains(&text.trim().len()));
        let at = told.completed_at.as_deref().and_then(|text| text.parse().ok()).ok_or_else(|| missing("time"))?;
        Ok(Paid {
            amount: Money::new(amount, currency),
            external_ref: self.external_ref(transaction.ok_or_else(|| missing("transaction"))?),
            at,
            fee_minor: told.fee.as_deref().and_then(exact).filter(|minor| (1..=amount).contains(minor)),
        })
    }
}

/// Whole units as a text, exactly: amounts were looked at before they come here.
fn whole(amount: Money) -> String {
    let unit = 10_i64.pow(amount.currency.exponent());
    assert!(amount.minor % unit == 0, "an amount of mobile money is whole");
    (amount.minor / unit).to_string()
}

impl Gateway for Momo {
    fn name(&self) -> GatewayName {
        GatewayName::MobileMoney
    }

    fn increment_minor(&self, currency: Currency) -> i64 {
        10_i64.pow(currency.exponent())
    }

    fn minutes(&self) -> i64 {
        self.minutes
    }

    fn start(&self, start: &StartRequest) -> Request<Vec<u8>> {
        let mut body = json!({
            "reference": start.reference,
            "amount": whole(start.amount),
            "currency": start.amount.currency,
            "payer": start.payer,
            "account": start.account_number,
            "expires_at": start.expires_at,
        });
        if let Some(callback_url) = &self.callback_url {
            body["callback_url"] = json!(callback_url);
        }
        self.request(Method::POST, "/v1/payments", Some(&body))
    }

    fn started(&self, reference: PaymentId, status: u16, body: &[u8]) -> Result<Remote, CallError> {
        match answered(status) {
            Answered::Body => self.remote(reference, &read(body)?),
            _ => Err(error_of(status, body)),
        }
    }

    fn fetch(&self, reference: PaymentId) -> Request<Vec<u8>> {
        self.request(Method::GET, &format!("/v1/payments/{reference}"), None)
    }

    fn fetched(&self, reference: PaymentId, status: u16, body: &[u8]) -> Result<Option<Remote>, CallError> {
        match answered(status) {
            Answered::Body => self.remote(reference, &read(body)?).map(Some),
            // A proxy's 404 is not the gateway's word.
            Answered::Absent if read::<Absent>(body)?.error == "not_found" => Ok(None),
            _ => Err(error_of(status, body)),
        }
    }

    fn refund(&self, refund: &RefundRequest) -> Request<Vec<u8>> {
        let amount = whole(refund.amount);
        let body = json!({
            "reference": refund.reference, "payment": refund.payment,
            "amount": amount, "currency": refund.amount.currency,
        });
        self.request(Method::POST, "/v1/refunds", Some(&body))
    }

    fn refunded(&self, reference: RefundId, status: u16, body: &[u8]) -> Result<RefundState, CallError> {
        if answered(status) != Answered::Body {
            return Err(error_of(status, body));
        }
        let told: ToldRefund = read(body)?;
        match told.status.as_str() {
            _ if told.reference != reference.to_string() => {
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
        if !secrets.is_empty() {
            signature::timed_header(secrets, signature::header(headers, "x-signature")?, body, now)?;
        }
        let Called { event, reference } = serde_json::from_slice(body).map_err(|_| CallbackError::Shape)?;
        let hint = Hint { event, reference: reference.ok_or(CallbackError::Shape)? };
        Ok(if secrets.is_empty() { Inbound::Untrusted(hint) } else { Inbound::Verified(hint) })
    }
}
