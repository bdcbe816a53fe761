//! Where a request comes from: the address of the connection, or what a proxy on this machine says.
//!
//! `X-Forwarded-For` is anybody's to write. It is believed of a connection from this machine only, where
//! the proxy is that TLS needs; its last entry is the one that proxy wrote. A proxy on another machine is
//! one address to us, whose guesses count together.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::app::App;

/// In a request's extensions: the other end of its connection.
#[derive(Debug, Clone, Copy)]
pub struct Remote(pub SocketAddr);

/// Where a request comes from; unknown when it came without a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(Option<IpAddr>);

impl Peer {
    fn new(remote: Option<SocketAddr>, headers: &HeaderMap) -> Self {
        let Some(remote) = remote.map(|remote| remote.ip().to_canonical()) else { return Self(None) };
        let told = if remote.is_loopback() { forwarded(headers) } else { None };
        Self(Some(told.unwrap_or(remote)))
    }

    /// What attempts from there are counted under: an IPv4 address, or the network of an IPv6 one, of
    /// which everybody has very many.
    pub fn name(&self) -> Option<String> {
        Some(match self.0? {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        })
    }
}

fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

impl FromRequestParts<Arc<App>> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        let remote = parts.extensions.get::<Remote>().map(|remote| remote.0);
        Ok(Self::new(remote, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_on_this_machine_alone_and_in_its_last_word() {
        let cases = [
            (None, "9.9.9.9", None),
            (Some("7.7.7.7:1"), "", Some("7.7.7.7")),
            (Some("7.7.7.7:1"), "9.9.9.9", Some("7.7.7.7")),
            (Some("127.0.0.1:1"), "", Some("127.0.0.1")),
            (Some("127.0.0.1:1"), "9.9.9.9", Some("9.9.9.9")),
            (Some("127.0.0.1:1"), "1.1.1.1, 9.9.9.9", Some("9.9.9.9")),
            (Some("127.0.0.1:1"), "9.9.9.9, nonsense", Some("127.0.0.1")),
            (Some("[::1]:1"), "9.9.9.9", Some("9.9.9.9")),
            (Some("[::ffff:7.7.7.7]:1"), "", Some("7.7.7.7")),
            (Some("[2001:db8:1:2:3:4:5:6]:1"), "", Some("2001:db8:1:2::/64")),
        ];
        for (remote, header, expected) in cases {
            let mut headers = HeaderMap::new();
            if !header.is_empty() {
                headers.insert("x-forwarded-for", header.parse().unwrap());
            }
            let peer = Peer::new(remote.map(|remote: &str| remote.parse().unwrap()), &headers);
            assert_eq!(peer.name().as_deref(), expected, "{remote:?} {header}");
        }
    }
}
