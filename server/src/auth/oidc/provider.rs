//! The provider itself: where it is asked, with which keys it signs, and what becomes of a code.
//!
//! Metadata and keys are fetched when they are first needed, one fetch at a time, and kept for an hour. A
//! token with a key that is not among them makes one fetch a minute at most; a fetch that failed is not
//! tried again for some seconds, so a provider that is down costs nobody more than one wait.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_shared::time::Timestamp;
use jsonwebtoken::jwk::Jwk;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::browser::Browser;
use super::fetch::{self, FetchError};
use super::id_token::{self, Expected, IdTokenError, Person};
use super::link::FirstLink;
use super::{OidcError, Secret, is_address};
use crate::settings::Settings;

/// How long metadata and keys are believed.
const KEPT_MS: i64 = 3_600_000;
/// How often keys are fetched for a token that names another.
const UNKNOWN_KEY_MS: i64 = 60_000;
/// How long a failed fetch is not tried again.
const FAILED_MS: i64 = 10_000;
/// Keys of a provider that are kept.
const KEYS_MAX: usize = 64;
/// The longest code.
const CODE_BYTES_MAX: usize = 4 * 1024;

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

/// An identity provider that staff may sign in with.
pub struct Provider {
    issuer: String,
    client_id: String,
    redirect_url: String,
    secret: Option<Secret>,
    first_link: FirstLink,
    http: reqwest::Client,
    cache: Mutex<Cache>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Cache {
    known: Option<Known>,
    failed_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Known {
    metadata: Arc<Metadata>,
    keys: Arc<Vec<Jwk>>,
    at: Timestamp,
}

/// What a provider says of itself (OpenID Connect Discovery 1.0).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

impl Provider {
    /// The provider of the settings, if there is one.
    pub fn new(settings: &Settings, secret: Option<Secret>) -> Result<Option<Self>, OidcError> {
        let Settings { oidc_issuer, oidc_client_id, oidc_redirect_url, oidc_link_by_email, .. } = settings;
        if oidc_issuer.is_empty() {
            return Ok(None);
        }
        if oidc_client_id.is_empty() || oidc_redirect_url.is_empty() {
            return Err(OidcError::Incomplete);
        }
        Ok(Some(Self {
            http: fetch::client(oidc_issuer.starts_with("http:"), fetch::CONNECT, fetch::WHOLE)?,
            issuer: oidc_issuer.clone(),
            client_id: oidc_client_id.clone(),
            redirect_url: oidc_redirect_url.clone(),
            secret,
            first_link: if *oidc_link_by_email { FirstLink::ByEmail } else { FirstLink::ByHand },
            cache: Mutex::default(),
        }))
    }

    /// Its name, as tokens say it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What may link somebody who comes for the first time.
    pub fn first_link(&self) -> FirstLink {
        self.first_link
    }

    /// Whether browsers come back over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.redirect_url.starts_with("https:")
    }

    /// Where a browser goes to sign in.
    pub async fn authorization_url(&self, browser: &Browser, now: Timestamp) -> Result<String, SignInError> {
        let known = self.known(now, None).await?;
        let endpoint = &known.metadata.authorization_endpoint;
        let mut url = Url::parse(endpoint).map_err(|error| FetchError::Shape(error.to_string()))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_url)
            .append_pair("scope", "openid email")
            .append_pair("state", &browser.state())
            .append_pair("nonce", &browser.nonce())
            .append_pair("code_challenge", &browser.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Who the browser's code is of.
    pub async fn redeem(&self, code: &str, browser: &Browser, now: Timestamp) -> Result<Person, SignInError> {
        if code.is_empty() || code.len() > CODE_BYTES_MAX {
            return Err(SignInError::Code);
        }
        let known = self.known(now, None).await?;
        let answer = fetch::ask(self.exchange(&known.metadata, code, browser)).await;
        let body = answer.map_err(|error| match error {
            FetchError::Status(400..=499) => SignInError::Code,
            error => error.into(),
        })?;
        let TokenAnswer { id_token } = fetch::json(&body)?;
        let nonce = browser.nonce();
        let expected = Expected { issuer: &self.issuer, client_id: &self.client_id, nonce: &nonce, now };
        match id_token::verify(&id_token, &known.keys, expected) {
            Err(IdTokenError::UnknownKey) => {
                let newer = self.known(now, Some(&known)).await?;
                Ok(id_token::verify(&id_token, &newer.keys, expected)?)
            }
            verified => Ok(verified?),
        }
    }

    fn exchange(&self, metadata: &Metadata, code: &str, browser: &Browser) -> reqwest::RequestBuilder {
        let verifier = browser.verifier();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_url.as_str()),
            ("code_verifier", verifier.as_str()),
        ];
        let mut request = self.http.post(&metadata.token_endpoint);
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        match &self.secret {
            Some(secret) if basic => {
                let pair = format!("{}:{}", encoded(&self.client_id), encoded(&secret.0));
                request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
            }
            Some(secret) => form.extend([("client_id", self.client_id.as_str()), ("client_secret", &secret.0)]),
            None => form.push(("client_id", &self.client_id)),
        }
        request.header("content-type", "application/x-www-form-urlencoded").body(urlencoded(&form))
    }

    /// Metadata and keys: kept ones while they are fresh, and newer than `stale` if that lacks a key.
    async fn known(&self, now: Timestamp, stale: Option<&Known>) -> Result<Known, SignInError> {
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
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let metadata: Metadata = fetch::json(&fetch::ask(self.http.get(url)).await?)?;
        let Metadata { issuer, authorization_endpoint, token_endpoint, jwks_uri, .. } = &metadata;
        if *issuer != self.issuer {
            return Err(FetchError::Shape("its metadata is another issuer's".to_owned()));
        }
        if ![authorization_endpoint, token_endpoint, jwks_uri].into_iter().all(|url| is_address(url)) {
            return Err(FetchError::Shape("an endpoint is not https".to_owned()));
        }
        let methods = metadata.code_challenge_methods_supported.as_ref();
        if methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
            return Err(FetchError::Shape("it has no PKCE with S256".to_owned()));
        }
        let set: KeySet = fetch::json(&fetch::ask(self.http.get(jwks_uri)).await?)?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<_> = keys.take(KEYS_MAX).collect();
        Ok(Known { metadata: Arc::new(metadata), keys: Arc::new(keys), at: now })
    }
}

/// A form's body.
fn urlencoded(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("form:").expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// One value, as a form has it (RFC 6749, section 2.3.1).
fn encoded(text: &str) -> String {
    urlencoded(&[("", text)])[1..].to_owned()
}
