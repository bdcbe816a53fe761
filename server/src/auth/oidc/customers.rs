//! The identity provider of customers: a shop's app has a login of its own, and brings an identity token.
//!
//! Nothing was begun here, so there is no nonce; the token must be fresh, of this issuer, for this audience.

use daybook_shared::time::Timestamp;

use super::OidcError;
use super::id_token::{Expected, Person};
use super::issuer::{Issuer, SignInError};
use crate::settings::Settings;

/// The identity provider whose tokens customers may bring.
pub struct CustomerProvider {
    issuer: Issuer,
    audience: String,
}

impl std::fmt::Debug for CustomerProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomerProvider").field("issuer", &self.issuer.name).finish_non_exhaustive()
    }
}

impl CustomerProvider {
    /// The provider of the settings, if there is one.
    pub fn new(settings: &Settings) -> Result<Option<Self>, OidcError> {
        let Settings { customer_oidc_issuer, customer_oidc_audience, .. } = settings;
        if customer_oidc_issuer.is_empty() {
            return Ok(None);
        }
        if customer_oidc_audience.is_empty() {
            return Err(OidcError::NoAudience);
        }
        let issuer = Issuer::new(customer_oidc_issuer)?;
        Ok(Some(Self { issuer, audience: customer_oidc_audience.clone() }))
    }

    /// Its name, as tokens say it.
    pub fn issuer(&self) -> &str {
        &self.issuer.name
    }

    /// Whose an identity token is.
    pub async fn person(&self, token: &str, now: Timestamp) -> Result<Person, SignInError> {
        let known = self.issuer.known(now, None).await?;
        let expected = Expected { issuer: &self.issuer.name, client_id: &self.audience, nonce: None, now };
        self.issuer.verify(token, &known, expected).await
    }
}
