//! The accept loop: hyper's HTTP/1 with bounds on connections and headers, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::names;
use super::peer::Remote;

/// Connections at one time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4096;
/// How long a connection may take to send a request's headers, or be idle between two.
const HEADER_WAIT: Duration = Duration::from_secs(75);
/// How long requests in flight may go on once the server stops.
const DRAIN_WAIT: Duration = Duration::from_secs(30);
/// How often the histograms' samples are folded, scraped or not.
const UPKEEP: Duration = Duration::from_secs(10);
/// What to wait after an error of the listener itself, such as no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A bound address, not yet served.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Binds. Port 0 takes a free one, see [`Server::address`].
    pub async fn bind(address: &str) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// The address it is bound to.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done, then finishes what is in flight.
    pub async fn run(self, router: Router, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut upkeep = tokio::time::interval(UPKEEP);
        tokio::pin!(stop);
        loop {
            let accept = async {
                let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
                (self.listener.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                () = &mut stop => break,
                _ = upkeep.tick() => {
                    names::recorder().run_upkeep();
                    continue;
                }
                accepted = accept => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let connection = connection(stream, Remote(address), router.clone());
                    let watched = graceful.watch(connection);
                    tokio::spawn(async move {
                        // A connection that breaks is the client's affair.
                        if let Err(error) = watched.await {
                            tracing::debug!(%error, "a connection broke");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    // Mostly the process is out of file descriptors: asking again at once would only spin.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        tracing::info!(connections = graceful.count(), "stopping: requests in flight are finished");
        if tokio::time::timeout(DRAIN_WAIT, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests that did not finish are cut off");
        }
    }
}

fn connection(stream: TcpStream, remote: Remote, router: Router) -> impl GracefulConnection<Error = hyper::Error> {
    // Frames of a response are flushed one by one: none should wait for the next.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let from = move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(remote);
        request
    };
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WAIT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.map_request(from)))
}

/// Listens for SIGTERM and SIGINT from now on; what it returns is done at the first of them.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        // Without a handler the program ends at once, which is what the user asked for.
        let _ = tokio::signal::ctrl_c().await;
    })
}
