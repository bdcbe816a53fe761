//! TLS in front of a server, with a certificate authority of the test's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use daybook_shared::time::Date;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The name in every certificate.
pub const HOST: &str = "localhost";

/// A certificate authority, and the years it is good for.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new(from: Date, to: Date) -> anyhow::Result<Self> {
        let mut params = params(Vec::new(), from, to)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// What clients trust.
    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// A server's certificate for [`HOST`], from the beginning of one day to that of another.
    pub fn server(&self, from: Date, to: Date) -> anyhow::Result<ServerConfig> {
        let key = KeyPair::generate()?;
        let certificate = params(vec![HOST.to_owned()], from, to)?.signed_by(&key, &self.issuer)?;
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        config.with_no_client_auth().with_single_cert(chain, key).context("a certificate and its key")
    }
}

fn params(names: Vec<String>, from: Date, to: Date) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    let instant = |date: Date| {
        let (year, month, day) = date.ymd();
        Ok::<_, anyhow::Error>(date_time_ymd(i32::from(year), u8::try_from(month)?, u8::try_from(day)?))
    };
    (params.not_before, params.not_after) = (instant(from)?, instant(to)?);
    Ok(params)
}

/// What ends TLS in front of a server. It ends when it is dropped.
#[derive(Debug)]
pub struct Terminator {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Terminator {
    /// In front of this server, on a port of its own.
    pub async fn start(server: SocketAddr, config: ServerConfig) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { address, task: tokio::spawn(accept(listener, acceptor, server)) })
    }

    /// Its address, as phones know it.
    pub fn url(&self) -> String {
        format!("https://{HOST}:{}", self.address.port())
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, server: SocketAddr) {
    loop {
        let Ok((phone, _)) = listener.accept().await else { return };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A phone that does not believe the certificate breaks off: that is its answer.
            let mut phone = acceptor.accept(phone).await?;
            let mut upstream = TcpStream::connect(server).await?;
            tokio::io::copy_bidirectional(&mut phone, &mut upstream).await
        });
    }
}
