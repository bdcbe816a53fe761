//! Keep-alive connections over plain HTTP/1.1, one request at a time on each: what measures should cost little.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use futures_util::future::try_join_all;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A connection to a server.
pub struct Connection {
    sender: SendRequest<Body>,
    host: header::HeaderValue,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Vec<u8>,
}

impl Connection {
    /// A connection.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_string().parse()? })
    }

    /// So many.
    pub async fn open_many(address: SocketAddr, count: usize) -> anyhow::Result<Vec<Self>> {
        try_join_all((0..count).map(|_| Self::open(address))).await
    }

    /// Sends a request and reads its answer.
    pub async fn send(&mut self, mut request: Request<Body>) -> anyhow::Result<Answer> {
        request.headers_mut().insert(header::HOST, self.host.clone());
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Answer {
    /// Its body, if it has this status; nothing where there is none.
    pub fn expect(&self, status: u16) -> anyhow::Result<Value> {
        let text = || String::from_utf8_lossy(&self.body);
        ensure!(self.status == status, "{} instead of {status}: {}", self.status, text());
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", text()))
    }
}

/// Sends the items over the connections, on each in their order; gives what each came to.
pub async fn deal<T, R>(
    connections: &mut [Connection],
    items: Vec<T>,
    each: impl AsyncFn(&mut Connection, T) -> anyhow::Result<R>,
) -> anyhow::Result<Vec<R>> {
    let items = std::sync::Mutex::new(items.into_iter());
    let next = || items.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let (next, each) = (&next, &each);
    let sent = connections.iter_mut().map(async |connection| {
        let mut done = Vec::new();
        while let Some(item) = next() {
            done.push(each(connection, item).await?);
        }
        anyhow::Ok(done)
    });
    Ok(try_join_all(sent).await?.into_iter().flatten().collect())
}
