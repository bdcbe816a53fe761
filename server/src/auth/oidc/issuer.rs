//! What an identity provider publishes: its metadata, and the keys it signs with.
//!
//! Metadata and keys are fetched when they are first needed, one fetch at a time, and kept for an hour. A
//! token with a key that is not among them makes one fetch a minute at most; a fetch that failed is not
//! tried again for some seconds, so a provider that is down costs nobody more than one wait.

use std::sync::Arc;

use daybook_shared::time::Timestamp;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::fetch::{self, FetchError};
use super::id_token::{self, Expected, IdTokenError, Person};
use super::{OidcError, is_address};

/// How long metadata and keys are believed.
const KEPT_MS: i64 = 3_600_000;
/// How often keys are fetched for a token that names another.
const UNKNOWN_KEY_MS: i64 = 60_000;
/// How long a failed fetch is not tried again.
const FAILED_MS: i64 = 10_000;
/// Keys of a provider that are kept.
const KEYS_MAX: usize = 64;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The provider cannot be asked, or does not speak the protocol.
    #[error("the identity provider: {0}")]
    Fetch(#[from] FetchError),
    /// It could not be asked just now.
    #[error("the identity provider could not be asked a moment ago")]
    JustFailed,
    /// It does not take the code.
    #[error("the identity provider does not take the code")]
    Code,
    /// What it says is no identity token.
    #[error("the identity token: {0}")]
    IdToken(#[from] IdTokenError),
}

/// Who makes identity tokens.
pub(super) struct Issuer {
    /// Its name, as tokens say it.
    pub name: String,
    /// What asks it.
    pub http: reqwest::Client,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    known: Option<Known>,
    failed_at: Option<Timestamp>,
}

/// What it published, and when it was asked.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub metadata: Arc<Metadata>,
    keys: Arc<Vec<Jwk>>,
    at: Timestamp,
}

/// What a provider says of itself (OpenID Connect Discovery 1.0). One whose tokens an app brings needs no
/// endpoints of ours.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    jwks_uri: String,
    code_challenge_methods_supported: Option<Vec<String>>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Issuer {
    /// The issuer at this address.
    pub fn new(name: &str) -> Result<Self, OidcError> {
        let http = fetch::client(name.starts_with("http:"), fetch::WHOLE)?;
        Ok(Self { name: name.to_owned(), http, cache: Mutex::default() })
    }

    /// Whose an identity token is. What is known of the keys is `known`'s, or newer.
    pub async fn verify(&self, token: &str, known: &Known, expected: Expected<'_>) -> Result<Person, SignInError> {
        match id_token::verify(token, &known.keys, expected) {
            Err(IdTokenError::UnknownKey) => {
                let newer = self.known(expected.now, Some(known)).await?;
                Ok(id_token::verify(token, &newer.keys, expected)?)
            }
            verified => Ok(verified?),
        }
    }

    /// Metadata and keys: kept ones while they are fresh, and newer than `stale` if that lacks a key.
    pub async fn known(&self, now: Timestamp, stale: Option<&Known>) -> Result<Known, SignInError> {
        let mut cache = self.cache.lock().await;
        let kept_ms = if stale.is_some() { UNKNOWN_KEY_MS } else { KEPT_MS };
        if let Some(known) = &cache.known {
            let is_newer = stale.is_some_and(|stale| known.at > stale.at);
            if is_newer || (0..kept_ms).contains(&now.ms_since(known.at)) {
                return Ok(known.clone());
            }
        }
        if cache.failed_at.is_some_and(|at| (0..FAILED_MS).contains(&now.ms_since(at))) {
            return Err(SignInError::JustFailed);
        }
        match self.fetch(now).await {
            Ok(known) => {
                *cache = Cache { known: Some(known.clone()), failed_at: None };
                Ok(known)
            }
            Err(error) => {
                cache.failed_at = Some(now);
                Err(error.into())
            }
        }
    }

    async fn fetch(&self, now: Timestamp) -> Result<Known, FetchError> {
        let url = format!("{}/.well-known/openid-configuration", self.name.trim_end_matches('/'));
        let metadata: Metadata = fetch::json(&fetch::ask(self.http.get(url)).await?)?;
        if metadata.issuer != self.name {
            return Err(FetchError::Shape("its metadata is another issuer's".to_owned()));
        }
        let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint];
        if !is_address(&metadata.jwks_uri) || !endpoints.into_iter().flatten().all(|url| is_address(url)) {
            return Err(FetchError::Shape("an endpoint is not https".to_owned()));
        }
        let methods = metadata.code_challenge_methods_supported.as_ref();
        if methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(FetchError::Shape("it has no PKCE with S256".to_owned()));
        }
        let set: KeySet = fetch::json(&fetch::ask(self.http.get(&metadata.jwks_uri)).await?)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<_> = keys.take(KEYS_MAX).collect();
        Ok(Known { metadata: Arc::new(metadata), keys: Arc::new(keys), at: now })
    }
}
