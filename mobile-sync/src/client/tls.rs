//! TLS whose time is the phone's trusted time.
//!
//! Trusted time is the earliest instant it can be now, not the instant it is: after a boot it stands
//! still. So a certificate that ended before it is expired, but one that begins after it may well be
//! valid: it is then judged at its own beginning.

use std::sync::Arc;
use std::time::Duration;

use daybook_shared::time::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Certificates in a chain that may each begin after trusted time.
const BEGINNINGS_MAX: usize = 4;

/// Which certificate authorities are trusted.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// The operating system's.
    #[default]
    Native,
    /// These alone (DER), for a lender with its own authority and for tests.
    These(Vec<Vec<u8>>),
    /// Nobody: plain HTTP only.
    None,
}

#[derive(Debug)]
struct TrustedTime(UnixTime);

impl TimeProvider for TrustedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// A configuration that believes it is `trusted` or later.
pub(super) fn config(roots: &Roots, trusted: Timestamp) -> Result<ClientConfig, String> {
    let seconds = u64::try_from(trusted.seconds()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(TrustedTime(time)))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let roots = store_of(roots)?;
    if roots.is_empty() {
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let verifier = LowerBound::new(roots, provider)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

pub(super) fn store_of(roots: &Roots) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::None => {}
        Roots::These(certificates) => {
            for certificate in certificates {
                store.add(CertificateDer::from(certificate.clone())).map_err(|error| error.to_string())?;
            }
        }
        Roots::Native => {
            let loaded = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(loaded.certs);
            if store.is_empty() {
                return Err("this system lists no certificate authorities".to_owned());
            }
        }
    }
    Ok(store)
}

/// The usual verifier, asked again at a certificate's beginning when that lies ahead.
#[derive(Debug)]
pub(super) struct LowerBound(Arc<WebPkiServerVerifier>);

impl LowerBound {
    pub(super) fn new(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        verifier.map(Self).map_err(|error| error.to_string())
    }
}

impl ServerCertVerifier for LowerBound {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |at| self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at);
        let mut at = now;
        for _ in 0..BEGINNINGS_MAX {
            match verify(at) {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }))
                    if not_before.as_secs() > at.as_secs() =>
                {
                    at = not_before;
                }
                verdict => return verdict,
            }
        }
        verify(at)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
