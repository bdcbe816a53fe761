//! The dull loop that drives a session over HTTP.
//!
//! It sends what the session says, feeds it the body as it comes, and waits when told to. TLS is
//! judged by trusted time, never by the wall clock: a phone whose clock says 1970 or 2030 connects.

mod hints;
mod tls;

use std::time::Duration;

use daybook_shared::time::Timestamp;
use rand::Rng;
use reqwest::header::RETRY_AFTER;

use crate::Moment;
use crate::enrol::{self, EnrolError};
use crate::session::{Effect, Event, GaveUp, HttpRequest, Session, SessionError, SyncReport};
use crate::store::{Store, StoreError};
pub use tls::Roots;

/// How long a client waits for a server that does nothing: a connection may be open at this end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// No connection within this: try again later.
    pub connect: Duration,
    /// No byte within this: the connection is as good as dead.
    pub silence: Duration,
    /// A request and its response are not over within this, however steadily bytes trickle. What came by
    /// then counts. A server gives a request as long.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), silence: Duration::from_secs(45), whole: Duration::from_mins(15) }
    }
}

/// How a client reaches its server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which certificate authorities are trusted.
    pub roots: Roots,
    /// Allow plain HTTP to other hosts than this one. For test networks only: the lease travels in
    /// the open.
    pub plain_http: bool,
    /// How long it waits for a server that does nothing.
    pub timeouts: Timeouts,
}

/// Why nothing was exchanged, or an exchange could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error("{0:?} is not the address of a server: it looks like https://daybook.example.com")]
    Address(String),
    /// Plain HTTP to a host that is not this one.
    #[error("{0:?} is not encrypted: use https (plain http is for 127.0.0.1 and localhost)")]
    PlainHttp(String),
    /// TLS could not be set up.
    #[error("encryption cannot be set up: {0}")]
    Tls(String),
    /// The connection failed; for enrolment and login, which do not retry by themselves.
    #[error("the server cannot be reached: {0}. Check the address and the connection, then try again")]
    Transport(String),
    /// The exchange itself failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Enrolment or login failed.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        Self::Session(error.into())
    }
}

/// A server's address and how to get there. One client serves any number of stores.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    options: Options,
    /// For plain HTTP one client is enough; with TLS each exchange has its own trusted time.
    plain: Option<reqwest::Client>,
}

impl Client {
    /// A client of the server at this address, for example `https://daybook.example.com`.
    ///
    /// # Errors
    /// [`ClientError::Address`], [`ClientError::PlainHttp`].
    pub fn new(base: &str, options: Options) -> Result<Self, ClientError> {
        let address = reqwest::Url::parse(base).map_err(|_| ClientError::Address(base.to_owned()))?;
        let host = address.host_str().ok_or_else(|| ClientError::Address(base.to_owned()))?;
        let is_this_host = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        let plain = match address.scheme() {
            "https" => None,
            "http" if is_this_host || options.plain_http => {
                let config = tls::config(&Roots::None, Timestamp::EPOCH).map_err(ClientError::Tls)?;
                Some(builder(config, options.timeouts).build().map_err(|error| ClientError::Tls(error.to_string()))?)
            }
            "http" => return Err(ClientError::PlainHttp(base.to_owned())),
            _ => return Err(ClientError::Address(base.to_owned())),
        };
        Ok(Self { base: base.trim_end_matches('/').to_owned(), options, plain })
    }

    /// Syncs a store until there is nothing left to do, or no use in trying.
    ///
    /// `clock` says what moment it is, each time it is asked.
    ///
    /// # Errors
    /// [`ClientError::Session`]: the store failed or the phone is not enrolled. That the server could
    /// not be reached is not an error but the report's end.
    pub async fn sync(
        &self,
        store: &mut Store,
        clock: &(impl Fn() -> Moment + Sync),
        rng: &mut (impl Rng + Send),
    ) -> Result<SyncReport, ClientError> {
        self.sync_telling(store, clock, rng, &|_, _| ()).await
    }

    /// Syncs like [`Self::sync`], and tells each time it has failed and waits before it tries again:
    /// why, and for how many milliseconds.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub async fn sync_telling(
        &self,
        store: &mut Store,
        clock: &(impl Fn() -> Moment + Sync),
        rng: &mut (impl Rng + Send),
        tell: &(impl Fn(GaveUp, u64) + Sync),
    ) -> Result<SyncReport, ClientError> {
        self.run(Session::new(), store, clock, rng, tell).await
    }

    async fn run(
        &self,
        mut session: Session,
        store: &mut Store,
        clock: &(impl Fn() -> Moment + Sync),
        rng: &mut (impl Rng + Send),
        tell: &(impl Fn(GaveUp, u64) + Sync),
    ) -> Result<SyncReport, ClientError> {
        let http = self.http(store, clock())?;
        self.drive(&http, &mut |event| {
            let effects = session.handle(store, clock(), rng, event)?;
            if let Some(Effect::Wait { ms }) = effects.first() {
                tell(session.last_failure(), *ms);
            }
            Ok(effects)
        })
        .await
    }

    /// Carries out what a session asks for until it is over. `handle` feeds it an event; nothing of it is
    /// held on to while the network is waited for, so that a host may lock its store for each event alone.
    ///
    /// # Errors
    /// What `handle` says.
    pub async fn drive(
        &self,
        http: &Connections,
        handle: &mut impl FnMut(Event<'_>) -> Result<Vec<Effect>, SessionError>,
    ) -> Result<SyncReport, ClientError> {
        let mut effects = handle(Event::Start)?;
        loop {
            effects = match effects.pop() {
                Some(Effect::Finished(report)) => return Ok(report),
                Some(Effect::Wait { ms }) => {
                    // The session's own backoff, carried out: it alone decides how long.
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    handle(Event::TimerFired)?
                }
                Some(Effect::Send(request)) => exchange(&http.0, &self.base, request, handle).await?,
                None => unreachable!("invariant: every effect is followed by events until the next"),
            };
        }
    }

    /// Enrols this phone with the office's code. Safe to repeat after a lost answer.
    ///
    /// On a phone that is enrolled already, the code is another officer's, who takes the handset over: what
    /// the one before captured is handed in first, and then all that was his leaves the phone.
    ///
    /// # Errors
    /// [`ClientError::Transport`], [`ClientError::Enrol`]; in particular
    /// [`ChangeHandsError::NotHandedIn`](crate::store::ChangeHandsError), and then nothing was changed.
    pub async fn enrol(
        &self,
        store: &mut Store,
        (code, platform): (&str, &str),
        clock: &(impl Fn() -> Moment + Sync),
        rng: &mut (impl Rng + Send),
    ) -> Result<(), ClientError> {
        let is_enrolled = store.read().phone()?.enrolment.is_some();
        match self.enrol_device(store, (code, platform), clock, rng).await {
            // The server has looked at the code by then: it is a good one.
            Err(ClientError::Enrol(refused)) if is_enrolled && refused.needs_change_of_hands() => {
                // Everything goes, however many bytes of photos it is.
                self.run(Session::with_files(u64::MAX), store, clock, rng, &|_, _| ()).await?;
                store.change_hands(clock(), rng).map_err(EnrolError::from)?;
                self.enrol_device(store, (code, platform), clock, rng).await
            }
            enrolled => enrolled,
        }
    }

    async fn enrol_device(
        &self,
        store: &mut Store,
        (code, platform): (&str, &str),
        clock: &(impl Fn() -> Moment + Sync),
        rng: &mut (impl Rng + Send),
    ) -> Result<(), ClientError> {
        let request = enrol::enrolment_request(store, code, platform)?;
        let (status, body) = self.ask(store, request, clock()).await?;
        Ok(enrol::accept_enrolment(store, (status, &body), clock(), rng)?)
    }

    /// Logs in for a new lease, which opens the views again.
    ///
    /// # Errors
    /// [`ClientError::Transport`], [`ClientError::Enrol`].
    pub async fn login(
        &self,
        store: &mut Store,
        (login, password): (&str, &str),
        clock: &(impl Fn() -> Moment + Sync),
        rng: &mut (impl Rng + Send),
    ) -> Result<(), ClientError> {
        let request = enrol::lease_request(store, login, password)?;
        let (status, body) = self.ask(store, request, clock()).await?;
        Ok(enrol::accept_lease(store, (status, &body), rng)?)
    }

    async fn ask(&self, store: &Store, request: HttpRequest, now: Moment) -> Result<(u16, Vec<u8>), ClientError> {
        let failed = |error: reqwest::Error| ClientError::Transport(cause(&error));
        let http = self.http(store, now)?;
        let response = outgoing(&http.0, &self.base, request).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        Ok((status, response.bytes().await.map_err(failed)?.to_vec()))
    }

    /// Connections whose TLS believes in the store's trusted time.
    ///
    /// # Errors
    /// [`ClientError::Tls`].
    pub fn http(&self, store: &Store, now: Moment) -> Result<Connections, ClientError> {
        if let Some(plain) = &self.plain {
            return Ok(Connections(plain.clone()));
        }
        let trusted = store.read().phone()?.trusted(now);
        let config = tls::config(&self.options.roots, trusted).map_err(ClientError::Tls)?;
        let http = builder(config, self.options.timeouts).build();
        http.map(Connections).map_err(|error| ClientError::Tls(error.to_string()))
    }
}

/// The connections of one exchange.
#[derive(Debug, Clone)]
pub struct Connections(reqwest::Client);

fn builder(config: rustls::ClientConfig, timeouts: Timeouts) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.silence)
        .timeout(timeouts.whole)
        .redirect(reqwest::redirect::Policy::none())
}

fn outgoing(http: &reqwest::Client, base: &str, request: HttpRequest) -> reqwest::RequestBuilder {
    let HttpRequest { method, path, headers, body } = request;
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a session's methods are HTTP's");
    let outgoing = http.request(method, format!("{base}{path}")).body(body);
    headers.into_iter().fold(outgoing, |outgoing, (name, value)| outgoing.header(name, value))
}

/// One request and its response, fed to the session as they come; gives what it wants next.
async fn exchange(
    http: &reqwest::Client,
    base: &str,
    request: HttpRequest,
    handle: &mut impl FnMut(Event<'_>) -> Result<Vec<Effect>, SessionError>,
) -> Result<Vec<Effect>, SessionError> {
    let mut response = match outgoing(http, base, request).send().await {
        Ok(response) => response,
        Err(error) => return handle(if error.is_connect() { Event::NotSent } else { Event::TransportFailed }),
    };
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let status = response.status().as_u16();
    let retry_after_ms = retry_after.map(|seconds| seconds.saturating_mul(1000));
    handle(Event::Status { status, retry_after_ms })?;
    loop {
        let effects = match response.chunk().await {
            Ok(Some(bytes)) => handle(Event::BodyBytes(&bytes))?,
            Ok(None) => return handle(Event::BodyEnd),
            Err(_) => return handle(Event::TransportFailed),
        };
        if !effects.is_empty() {
            return Ok(effects);
        }
    }
}

/// The innermost reason, which says more to people than "error sending request".
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
