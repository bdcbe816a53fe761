//! A phone for tests: the real store and session over real HTTP, on a clock of the test's, that can
//! be killed at any step of a session.
//!
//! Waits that a session asks for are not slept: they pass on the phone's own clock, which is the
//! test's. Each request has a connection of its own, so that a [`crate::link`] decides about each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, bail};
use daybook_mobile_sync::enrol;
use daybook_mobile_sync::session::HttpRequest;
use daybook_mobile_sync::store::KeptInMemory;
use daybook_mobile_sync::{Effect, Event, Moment, Session, Store, SyncEnd};
use daybook_shared::ids::BootId;
use daybook_shared::time::Timestamp;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// No byte within this: the connection is as good as dead.
const SILENCE: Duration = Duration::from_mins(1);
/// Attempts to enrol or to log in over a bad link.
const ATTEMPTS_MAX: u32 = 100;

/// What a phone's exchanges cost, over its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Costs {
    /// Sessions begun.
    pub syncs: u64,
    /// Requests sent.
    pub round_trips: u64,
    /// Bytes of request bodies.
    pub bytes_up: u64,
    /// Bytes of response bodies.
    pub bytes_down: u64,
    /// Times the phone was killed.
    pub kills: u64,
    /// Times its user had to log in again.
    pub logins: u64,
}

impl std::ops::AddAssign for Costs {
    fn add_assign(&mut self, other: Self) {
        self.syncs += other.syncs;
        self.round_trips += other.round_trips;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.kills += other.kills;
        self.logins += other.logins;
    }
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synced {
    /// The session was carried to its end, which brought something new or not.
    Ended {
        /// How.
        end: SyncEnd,
        /// Whether an entry was answered, or anything came down.
        news: bool,
    },
    /// The phone was killed before.
    Killed,
}

/// A phone.
#[derive(Debug)]
pub struct Phone {
    /// What its exchanges cost so far.
    pub costs: Costs,
    /// How often each HTTP status came, over its life.
    pub statuses: BTreeMap<u16, u64>,
    /// Its randomness.
    pub rng: ChaCha20Rng,
    /// None only while it is off.
    store: Option<Store>,
    path: PathBuf,
    key: [u8; 32],
    keeper: KeptInMemory,
    boot: BootId,
    booted_at: Timestamp,
    /// By how much its wall clock is ahead.
    skew_ms: i64,
    built: Timestamp,
    server: SocketAddr,
    http: reqwest::Client,
}

impl Phone {
    /// A new phone at a moment, not enrolled, with its store in this file and this server's address.
    pub fn new(path: PathBuf, server: SocketAddr, now: Timestamp, seed: u64) -> anyhow::Result<Self> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let mut phone = Self {
            costs: Costs::default(),
            statuses: BTreeMap::new(),
            rng,
            store: None,
            path,
            key,
            keeper: KeptInMemory::default(),
            boot: BootId([0; 8]),
            booted_at: now,
            skew_ms: 0,
            built: now,
            server,
            http: http_client(),
        };
        phone.boot(now)?;
        Ok(phone)
    }

    /// Sets its wall clock ahead, or back.
    pub fn set_skew_ms(&mut self, skew_ms: i64) {
        self.skew_ms = skew_ms;
    }

    /// From now on it reaches this server.
    pub fn set_server(&mut self, server: SocketAddr) {
        self.server = server;
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("invariant: a phone is off only inside of its own functions")
    }

    /// Its store and its randomness, for a capture.
    pub fn store_mut(&mut self) -> (&mut Store, &mut ChaCha20Rng) {
        (self.store.as_mut().expect("invariant: a phone is off only inside of its own functions"), &mut self.rng)
    }

    /// What the phone's clocks say at an instant.
    pub fn moment(&self, at: Timestamp) -> Moment {
        let boot_ms = u64::try_from(at.ms_since(self.booted_at)).unwrap_or(0);
        Moment { wall: at.plus_ms(self.skew_ms), boot_id: self.boot, boot_ms }
    }

    /// The app is killed and opened again. What was not in the file is gone.
    pub fn restart(&mut self, now: Timestamp) -> anyhow::Result<()> {
        self.store = None;
        self.costs.kills += 1;
        self.open(now)
    }

    /// The phone goes off and on again: the count since boot begins anew.
    pub fn reboot(&mut self, now: Timestamp) -> anyhow::Result<()> {
        self.store = None;
        self.costs.kills += 1;
        self.boot(now)
    }

    fn boot(&mut self, now: Timestamp) -> anyhow::Result<()> {
        self.rng.fill_bytes(&mut self.boot.0);
        self.booted_at = now;
        self.open(now)
    }

    fn open(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let (moment, keeper) = (self.moment(now), Box::new(self.keeper.clone()));
        let mut store = Store::open(&self.path, &self.key, keeper, moment, &mut self.rng)?;
        store.set_build_time(self.built);
        self.store = Some(store);
        Ok(())
    }

    /// Becomes the device of the user to whom the office gave this code.
    pub async fn enrol(&mut self, code: &str, now: Timestamp) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            let request = enrol::enrolment_request(self.store(), code, "replay")?;
            let Some((status, body)) = self.ask(request).await else { continue };
            let moment = self.moment(now);
            let (store, rng) = self.store_mut();
            return Ok(enrol::accept_enrolment(store, (status, &body), moment, rng)?);
        }
        bail!("the phone cannot be enrolled: no answer came through in {ATTEMPTS_MAX} attempts")
    }

    /// The user logs in for a new lease.
    pub async fn login(&mut self, login: &str, password: &str) -> anyhow::Result<()> {
        let mut last = None;
        for _ in 0..ATTEMPTS_MAX {
            let request = enrol::lease_request(self.store_mut().0, login, password)?;
            let Some((status, body)) = self.ask(request).await else { continue };
            let (store, rng) = self.store_mut();
            match enrol::accept_lease(store, (status, &body), rng) {
                Ok(()) => {
                    self.costs.logins += 1;
                    return Ok(());
                }
                // A request that was doubled on its way is a stale one the second time.
                Err(error) if status == 409 || status >= 500 => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        bail!("{login} cannot log in: {last:?}")
    }

    /// Syncs until the session says that it is over; with `steps`, until the phone is killed after so
    /// many events of it.
    pub async fn sync(&mut self, now: Timestamp, steps: Option<u32>) -> anyhow::Result<Synced> {
        self.costs.syncs += 1;
        let mut run = Run { session: Session::new(), steps_left: steps.unwrap_or(u32::MAX) };
        let mut effect = self.feed(&mut run, now, Event::Start)?;
        loop {
            effect = match effect {
                Fed::Do(Effect::Finished(report)) => {
                    let news = report.entries_answered > 0 || report.deltas > 0 || !report.purged.is_empty();
                    return Ok(Synced::Ended { end: report.end, news });
                }
                Fed::Do(Effect::Wait { .. }) => self.feed(&mut run, now, Event::TimerFired)?,
                Fed::Do(Effect::Send(request)) => self.exchange(&mut run, now, request).await?,
                Fed::Nothing => bail!("a session waits for nothing"),
                Fed::Killed => {
                    self.restart(now)?;
                    return Ok(Synced::Killed);
                }
            };
        }
    }

    fn feed(&mut self, run: &mut Run, now: Timestamp, event: Event<'_>) -> anyhow::Result<Fed> {
        if run.steps_left == 0 {
            return Ok(Fed::Killed);
        }
        run.steps_left -= 1;
        let moment = self.moment(now);
        let (store, rng) = self.store_mut();
        let mut effects = run.session.handle(store, moment, rng, event)?;
        Ok(effects.pop().map_or(Fed::Nothing, Fed::Do))
    }

    /// One request and its response, fed to the session as they come.
    async fn exchange(&mut self, run: &mut Run, now: Timestamp, request: HttpRequest) -> anyhow::Result<Fed> {
        self.costs.round_trips += 1;
        self.costs.bytes_up += request.body.len() as u64;
        let Ok(mut response) = self.outgoing(request).send().await else {
            return self.feed(run, now, Event::TransportFailed);
        };
        let status = response.status().as_u16();
        *self.statuses.entry(status).or_default() += 1;
        let mut fed = self.feed(run, now, Event::Status { status, retry_after_ms: None })?;
        while matches!(fed, Fed::Nothing) {
            fed = match response.chunk().await {
                Ok(Some(bytes)) => {
                    self.costs.bytes_down += bytes.len() as u64;
                    self.feed(run, now, Event::BodyBytes(&bytes))?
                }
                Ok(None) => return self.feed(run, now, Event::BodyEnd),
                Err(_) => return self.feed(run, now, Event::TransportFailed),
            };
        }
        Ok(fed)
    }

    async fn ask(&mut self, request: HttpRequest) -> Option<(u16, Vec<u8>)> {
        let response = self.outgoing(request).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.bytes().await.ok()?.to_vec()))
    }

    fn outgoing(&self, request: HttpRequest) -> reqwest::RequestBuilder {
        let HttpRequest { method, path, headers, body } = request;
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a session's methods are HTTP's");
        let outgoing = self.http.request(method, format!("http://{}{path}", self.server)).body(body);
        headers.into_iter().fold(outgoing, |outgoing, (name, value)| outgoing.header(name, value))
    }
}

/// A session and how many events it may still see.
struct Run {
    session: Session,
    steps_left: u32,
}

/// What came of an event.
enum Fed {
    Do(Effect),
    Nothing,
    Killed,
}

/// A client without TLS that uses each connection once.
pub fn http_client() -> reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let make = || {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("ring has the default protocol versions");
        let config = config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let builder = reqwest::Client::builder().tls_backend_preconfigured(config).pool_max_idle_per_host(0);
        let builder = builder.no_proxy().read_timeout(SILENCE).redirect(reqwest::redirect::Policy::none());
        builder.build().context("a client without TLS").expect("nothing is left to fail")
    };
    CLIENT.get_or_init(make).clone()
}
