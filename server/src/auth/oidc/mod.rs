//! Sign-in with an identity provider: OpenID Connect. Staff by authorization code with PKCE (S256), customers by
//! an identity token that their app brings.
//!
//! * [`browser`]: what ties a sign-in to the browser that began it. Nothing is kept here meanwhile.
//! * [`issuer`]: a provider's metadata and keys, fetched within bounds and kept for a while. [`fetch`]: how it
//!   is asked. [`provider`]: that of staff, and the exchange of a code. [`customers`]: that of customers.
//! * [`id_token`]: what makes an identity token, pure. [`link`]: whose it is here.
//!
//! The provider says who somebody is and never what he may do: roles are given here. Its tokens are
//! looked at once and not kept.
//!
//! Written on jsonwebtoken and reqwest, which are here anyway: the client crate of the protocol brings
//! another HTTP client and its own cryptography for the same checks.

pub mod browser;
pub mod customers;
mod fetch;
mod id_token;
mod issuer;
pub mod link;
mod provider;
#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use crate::outside::NoTls;

pub use id_token::{IdTokenError, Person};
pub use issuer::SignInError;
pub use provider::Provider;

/// What this server shows a provider to be believed. Debug says nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret in this text; spaces and the end of its line are not of it.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }
}

impl Secret {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Why the settings of a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// Half a setting.
    #[error("oidc_issuer is set: oidc_client_id and oidc_redirect_url are needed too (`daybook settings set`)")]
    Incomplete,
    /// Half a setting for customers.
    #[error("customer_oidc_issuer is set: customer_oidc_audience is needed too (`daybook settings set`)")]
    NoAudience,
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] NoTls),
}

/// Whether this is an address that may be asked or sent to: https, or http on this machine, without a name,
/// a password or a fragment in it.
pub fn is_address(text: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else { return false };
    let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && here);
    scheme && url.has_host() && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}
