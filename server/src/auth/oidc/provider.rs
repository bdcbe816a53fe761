//! The identity provider of staff: where browsers are sent, and what becomes of a code they bring back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_shared::time::Timestamp;
use reqwest::Url;
use serde::Deserialize;

use super::browser::Browser;
use super::fetch::{self, FetchError};
use super::id_token::{Expected, Person};
use super::issuer::{Issuer, SignInError};
use super::link::FirstLink;
use super::{OidcError, Secret};
use crate::settings::Settings;

/// The longest code.
const CODE_BYTES_MAX: usize = 4 * 1024;

/// An identity provider that staff may sign in with.
pub struct Provider {
    issuer: Issuer,
    client_id: String,
    redirect_url: String,
    secret: Option<Secret>,
    first_link: FirstLink,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer.name).finish_non_exhaustive()
    }
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
            issuer: Issuer::new(oidc_issuer)?,
            client_id: oidc_client_id.clone(),
            redirect_url: oidc_redirect_url.clone(),
            secret,
            first_link: if *oidc_link_by_email { FirstLink::ByEmail } else { FirstLink::ByHand },
        }))
    }

    /// Its name, as tokens say it.
    pub fn issuer(&self) -> &str {
        &self.issuer.name
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
        let known = self.issuer.known(now, None).await?;
        let endpoint = endpoint(known.metadata.authorization_endpoint.as_deref())?;
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
        let known = self.issuer.known(now, None).await?;
        let endpoint = endpoint(known.metadata.token_endpoint.as_deref())?;
        let methods = known.metadata.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let answer = fetch::ask(self.exchange((endpoint, methods), code, browser)).await;
        let body = answer.map_err(|error| match error {
            FetchError::Status(400..=499) => SignInError::Code,
            error => error.into(),
        })?;
        let TokenAnswer { id_token } = fetch::json(&body)?;
        let nonce = browser.nonce();
        let expected = Expected { issuer: &self.issuer.name, client_id: &self.client_id, nonce: Some(&nonce), now };
        self.issuer.verify(&id_token, &known, expected).await
    }

    fn exchange(
        &self,
        (endpoint, methods): (&str, &[String]),
        code: &str,
        browser: &Browser,
    ) -> reqwest::RequestBuilder {
        let verifier = browser.verifier();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_url.as_str()),
            ("code_verifier", verifier.as_str()),
        ];
        let mut request = self.issuer.http.post(endpoint);
        let basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        match &self.secret {
            Some(secret) if basic => {
                let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret.reveal()));
                request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
            }
            Some(secret) => form.extend([("client_id", self.client_id.as_str()), ("client_secret", secret.reveal())]),
            None => form.push(("client_id", &self.client_id)),
        }
        request.header("content-type", "application/x-www-form-urlencoded").body(urlencoded(&form))
    }
}

/// An endpoint that the sign-in of staff needs.
fn endpoint(url: Option<&str>) -> Result<&str, FetchError> {
    url.ok_or_else(|| FetchError::Shape("its metadata lacks an endpoint".to_owned()))
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
