//! Asking a gateway: which there are, the secrets they are asked with, deadlines, and what may be done after a call
//! that has no answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request};
use daybook_shared::ids::{PaymentId, RefundId};
use serde::Deserialize;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::card::CardPage;
use super::momo::Momo;
use super::{CallError, Gateway, GatewayName, RefundRequest, RefundState, Remote, StartRequest};
use crate::auth::oidc::Secret;
use crate::config::ConfigError;
use crate::outside::{self, Patience};
use crate::settings::Settings;

/// Calls of one gateway at a time; one more is not made.
const CALLS_MAX: usize = 32;
/// Bytes of an answer.
const BYTES_MAX: usize = 64 * 1024;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How long calls may take in all.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// To ask for money: the customer waits.
    pub start: Duration,
    /// To ask what there is.
    pub fetch: Duration,
    /// To give money back: nobody waits.
    pub refund: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { start: Duration::from_secs(8), fetch: Duration::from_secs(5), refund: Duration::from_secs(20) }
    }
}

/// What one gateway is shown, and what it signs with. Debug says nothing of it.
#[derive(Debug, Clone)]
pub struct Secrets {
    bearer: Secret,
    /// It signs callbacks with one of these, the newest first; with none, callbacks are only hints.
    pub callback: Vec<Secret>,
}

impl Secrets {
    /// These. None where the first cannot be a header's value.
    pub fn new(bearer: &str, callback: &[&str]) -> Option<Self> {
        let bearer = Secret::new(bearer);
        let fits = !bearer.reveal().is_empty() && HeaderValue::from_str(bearer.reveal()).is_ok();
        let callback = callback.iter().map(|text| Secret::new(text)).collect();
        fits.then_some(Self { bearer, callback })
    }

    /// Reads a file: TOML, `bearer = "..."` and `callback = ["...", "..."]`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            bearer: String,
            #[serde(default)]
            callback: Vec<String>,
        }
        let broken = |error: std::io::Error| ConfigError::Read { path: path.to_owned(), error };
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(broken)?);
        // An error of the parser would quote what is there.
        let odd = || broken(std::io::Error::other("it is not TOML with bearer and callback"));
        let File { bearer, callback } = toml::from_str(&text).map_err(|_| odd())?;
        let (bearer, callback) = (Zeroizing::new(bearer), Zeroizing::new(callback));
        Self::new(&bearer, &callback.iter().map(String::as_str).collect::<Vec<_>>()).ok_or_else(odd)
    }

    /// The value of `Authorization`, marked as a secret.
    pub(super) fn bearer(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.bearer.reveal())).expect("looked at by new");
        value.set_sensitive(true);
        value
    }
}

/// What a server is told of its gateways beside the settings; never in the database.
#[derive(Debug, Clone, Default)]
pub struct GatewayOptions {
    /// Of mobile money.
    pub momo: Option<Secrets>,
    /// Of the card page.
    pub card: Option<Secrets>,
    /// Deadlines.
    pub deadlines: Deadlines,
}

/// Why gateways cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Half a setting.
    #[error("{0}_url is set: {0}_code is needed too (`daybook settings set`)")]
    Incomplete(&'static str),
    /// No TLS.
    #[error("gateways cannot be reached safely: {0}")]
    Tls(String),
}

/// The gateways that this server asks.
#[derive(Debug, Default)]
pub struct Gateways(Vec<Arc<Connected>>);

impl Gateways {
    /// Those of the settings whose secrets are here.
    pub fn new(settings: &Settings, options: &GatewayOptions) -> Result<Self, GatewayError> {
        let Settings { momo_url, momo_code, momo_minutes, card_url, card_code, card_minutes, .. } = settings;
        let mut gateways = Self::default();
        if let Some(secrets) = options.momo.clone().filter(|_| !momo_url.is_empty()) {
            let code = known("momo", momo_code)?;
            let base = &settings.gateway_callback_url;
            let callback_url = (!base.is_empty())
                .then(|| format!("{}/v1/gateways/{}/callbacks", base.trim_end_matches('/'), GatewayName::MobileMoney));
            let adapter = Momo { url: momo_url.clone(), code, callback_url, minutes: *momo_minutes, secrets };
            gateways.add(momo_url, Box::new(adapter), options.deadlines)?;
        }
        if let Some(secrets) = options.card.clone().filter(|_| !card_url.is_empty()) {
            let code = known("card", card_code)?;
            let adapter = CardPage { url: card_url.clone(), code, minutes: *card_minutes, secrets };
            gateways.add(card_url, Box::new(adapter), options.deadlines)?;
        }
        Ok(gateways)
    }

    fn add(&mut self, url: &str, adapter: Box<dyn Gateway>, deadlines: Deadlines) -> Result<(), GatewayError> {
        let whole = deadlines.start.max(deadlines.fetch).max(deadlines.refund);
        let http = outside::client(url.starts_with("http:"), Patience { connect: CONNECT, whole });
        let http = http.map_err(|error| GatewayError::Tls(error.to_string()))?;
        self.0.push(Arc::new(Connected { adapter, deadlines, http, room: Semaphore::new(CALLS_MAX) }));
        Ok(())
    }

    /// The gateway of a method, if it is offered.
    pub fn get(&self, name: GatewayName) -> Option<&Arc<Connected>> {
        self.0.iter().find(|gateway| gateway.adapter.name() == name)
    }
}

fn known(name: &'static str, code: &str) -> Result<String, GatewayError> {
    if code.is_empty() { Err(GatewayError::Incomplete(name)) } else { Ok(code.to_owned()) }
}

/// A gateway that can be asked.
pub struct Connected {
    /// What is its own.
    pub adapter: Box<dyn Gateway>,
    deadlines: Deadlines,
    http: reqwest::Client,
    room: Semaphore,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connected").field("name", &self.adapter.name()).finish_non_exhaustive()
    }
}

impl Connected {
    /// Asks for money, once.
    pub async fn start(&self, start: &StartRequest) -> Result<Remote, CallError> {
        let (status, body) = self.call(self.adapter.start(start), self.deadlines.start).await?;
        self.adapter.started(start.reference, status, &body)
    }

    /// Asks what there is of a payment.
    pub async fn fetch(&self, reference: PaymentId) -> Result<Option<Remote>, CallError> {
        let (status, body) = self.call(self.adapter.fetch(reference), self.deadlines.fetch).await?;
        self.adapter.fetched(reference, status, &body)
    }

    /// Gives money back.
    pub async fn refund(&self, refund: &RefundRequest) -> Result<RefundState, CallError> {
        let (status, body) = self.call(self.adapter.refund(refund), self.deadlines.refund).await?;
        self.adapter.refunded(RefundId(refund.reference.0), status, &body)
    }

    async fn call(&self, request: Request<Vec<u8>>, deadline: Duration) -> Result<(u16, Vec<u8>), CallError> {
        let room = self.room.try_acquire();
        let _room = room.map_err(|_| CallError::NotSent("too many calls at once".to_owned()))?;
        let request = reqwest::Request::try_from(request).map_err(|error| CallError::NotSent(error.to_string()))?;
        let answer = tokio::time::timeout(deadline, self.answer(request)).await;
        answer.unwrap_or_else(|_| Err(CallError::Unknown("no answer in time".to_owned())))
    }

    async fn answer(&self, request: reqwest::Request) -> Result<(u16, Vec<u8>), CallError> {
        let mut response = self.http.execute(request).await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BYTES_MAX {
                return Err(CallError::Unknown(format!("its answer has more than {BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status().as_u16(), body))
    }
}

/// Without a connection (no name, no route, no TLS) nothing was sent; after that nobody knows.
fn failed(error: reqwest::Error) -> CallError {
    let is_connect = error.is_connect();
    let text = outside::cause(error);
    if is_connect { CallError::NotSent(text) } else { CallError::Unknown(text) }
}
