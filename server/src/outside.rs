//! Asking other people's servers over HTTP: an identity provider, a gateway of messages. No redirects, an end
//! in time, and TLS with the authorities that this system lists.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};

/// How long one question may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until there is a connection.
    pub connect: Duration,
    /// In all.
    pub whole: Duration,
}

/// There is no TLS on this system.
#[derive(Debug, thiserror::Error)]
#[error("others cannot be asked safely: {0}")]
pub struct NoTls(String);

/// A client that trusts the system's authorities; for plain HTTP on this machine, nobody.
pub fn client(is_plain: bool, patience: Patience) -> Result<reqwest::Client, NoTls> {
    let tls = |error: &dyn std::fmt::Display| NoTls(error.to_string());
    let mut roots = RootCertStore::empty();
    if !is_plain {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(NoTls("this system lists no certificate authorities".to_owned()));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .connect_timeout(patience.connect)
        .timeout(patience.whole)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| tls(&error))
}

/// What went wrong, without the address, which may hold a secret.
pub fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { innermost.to_string() }
}
