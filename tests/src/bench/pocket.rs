//! A phone in the bench: the real store and the real session, joined to the server by a function
//! call that counts what passes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::http::Request;
use daybook_mobile_sync::session::HttpRequest;
use daybook_mobile_sync::store::KeptInMemory;
use daybook_mobile_sync::{Effect, Event, Moment, Session, Store, SyncEnd, enrol};
use daybook_server::testing::TestServer;
use daybook_shared::ids::BootId;
use daybook_shared::wire::exchange::Frame;
use daybook_shared::wire::framing::FrameReader;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::cpu;

/// The key that the host app's keystore would hold.
pub(super) const STORE_KEY: [u8; 32] = [7; 32];
const BOOT: BootId = BootId([9; 8]);

/// A phone.
pub struct Pocket {
    /// Its store.
    pub store: Store,
    /// Its randomness.
    pub rng: ChaCha20Rng,
    path: PathBuf,
    keeper: KeptInMemory,
}

/// What passed between a phone and the server in one sync.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests.
    pub round_trips: usize,
    /// Bytes of request bodies.
    pub up: usize,
    /// Bytes of response bodies.
    pub down: usize,
    /// Bytes of request lines and headers.
    pub header_up: usize,
    /// Bytes of status lines and headers.
    pub header_down: usize,
    /// Processor time of the server.
    pub server_ns: u64,
    /// What came, in its order.
    pub frames: Vec<Frame>,
    /// Response bodies, as they came.
    pub bodies: Vec<Vec<u8>>,
    /// Bytes of the first response, by itself.
    pub largest_down: usize,
}

impl Traffic {
    /// The raw bytes of the entries that came.
    pub fn entry_bytes(&self) -> Vec<u8> {
        let deltas = self.frames.iter().flat_map(|frame| frame.deltas.iter().flatten());
        deltas.flat_map(|delta| delta.entries.iter()).flat_map(|entry| entry.bytes.iter().copied()).collect()
    }

    /// How many entries came.
    pub fn entries(&self) -> usize {
        let deltas = self.frames.iter().flat_map(|frame| frame.deltas.iter().flatten());
        deltas.map(|delta| delta.entries.len()).sum()
    }
}

/// What zstd makes of bytes at level 3: the floor of whatever carries them.
pub fn floor(bytes: &[u8]) -> usize {
    zstd::bulk::compress(bytes, 3).map_or(usize::MAX, |compressed| compressed.len())
}

/// What moment it is on a phone whose clock is right.
pub fn moment(server: &TestServer) -> Moment {
    let now = server.now();
    Moment { wall: now, boot_id: BOOT, boot_ms: u64::try_from(now.millis()).unwrap_or(0) % 1_000_000_000 }
}

impl Pocket {
    /// A phone with an empty store.
    pub fn new(server: &TestServer, dir: &Path, name: &str, seed: u64) -> anyhow::Result<Self> {
        let (path, keeper) = (dir.join(name), KeptInMemory::default());
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let store = Store::open(&path, &STORE_KEY, Box::new(keeper.clone()), moment(server), &mut rng)?;
        Ok(Self { store, rng, path, keeper })
    }

    /// Kills the app and opens its store again.
    pub fn reopen(mut self, server: &TestServer) -> anyhow::Result<Self> {
        drop(self.store);
        let keeper = Box::new(self.keeper.clone());
        self.store = Store::open(&self.path, &STORE_KEY, keeper, moment(server), &mut self.rng)?;
        Ok(self)
    }

    /// A copy of its store's file as it is now, which the app is closed for.
    pub fn copied(self, server: &TestServer, name: &str) -> anyhow::Result<(Self, PathBuf)> {
        let copy = self.path.with_file_name(name);
        drop(self.store);
        std::fs::copy(&self.path, &copy)?;
        let keeper = Box::new(self.keeper.clone());
        let (path, keeper, mut rng) = (self.path, keeper, self.rng);
        let store = Store::open(&path, &STORE_KEY, keeper.clone(), moment(server), &mut rng)?;
        Ok((Self { store, rng, path, keeper: *keeper }, copy))
    }

    /// Makes it a device of the user who was handed this code.
    pub async fn enrol(&mut self, server: &TestServer, code: &str) -> anyhow::Result<()> {
        let request = enrol::enrolment_request(&self.store, code, "bench")?;
        let answer = server.send(http_request(&request)?).await;
        let status = answer.status.as_u16();
        enrol::accept_enrolment(&mut self.store, (status, &answer.body), moment(server), &mut self.rng)?;
        Ok(())
    }

    /// Syncs until the phone is up to date.
    pub async fn sync(&mut self, server: &TestServer) -> anyhow::Result<Traffic> {
        let mut traffic = Traffic::default();
        let mut session = Session::new();
        let mut effects = session.handle(&mut self.store, moment(server), &mut self.rng, Event::Start)?;
        loop {
            let request = match effects.pop().context("a session always says what is next")? {
                Effect::Finished(report) => {
                    anyhow::ensure!(report.end == SyncEnd::UpToDate, "the sync ended otherwise: {report:?}");
                    anyhow::ensure!(report.retries == 0, "the sync had to retry: {report:?}");
                    return Ok(traffic);
                }
                Effect::Wait { .. } => anyhow::bail!("the session wants to wait: {session:?}"),
                Effect::Send(request) => request,
            };
            let answer = exchange(server, &request, &mut traffic).await?;
            let mut handle = |event| session.handle(&mut self.store, moment(server), &mut self.rng, event);
            handle(Event::Status { status: answer.status.as_u16(), retry_after_ms: None })?;
            effects = handle(Event::BodyBytes(&answer.body))?;
            if effects.is_empty() {
                effects = handle(Event::BodyEnd)?;
            }
        }
    }
}

async fn exchange(
    server: &TestServer,
    request: &HttpRequest,
    traffic: &mut Traffic,
) -> anyhow::Result<daybook_server::testing::Answer> {
    let outgoing = http_request(request)?;
    let before = cpu::own_ns()?;
    let answer = server.send(outgoing).await;
    traffic.server_ns += cpu::own_ns()?.saturating_sub(before);
    traffic.round_trips += 1;
    traffic.up += request.body.len();
    traffic.down += answer.body.len();
    traffic.largest_down = traffic.largest_down.max(answer.body.len());
    traffic.header_up += request_head(request);
    traffic.header_down += response_head(&answer);
    traffic.bodies.push(answer.body.clone());
    traffic.frames.extend(FrameReader::new().push(&answer.body)?);
    Ok(answer)
}

fn http_request(request: &HttpRequest) -> anyhow::Result<Request<axum::body::Body>> {
    let builder = Request::builder().method(request.method).uri(&*request.path);
    let builder = request.headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
    Ok(builder.body(request.body.clone().into())?)
}

/// Bytes of the request's head as HTTP/1.1 writes it, with `host` and `content-length`.
fn request_head(request: &HttpRequest) -> usize {
    let line = format!("{} {} HTTP/1.1\r\nhost: daybook.example.com\r\n", request.method, request.path);
    let length = format!("content-length: {}\r\n\r\n", request.body.len());
    let headers = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
    line.len() + headers.sum::<usize>() + length.len()
}

/// Bytes of the response's head, with `content-length` and `date`.
fn response_head(answer: &daybook_server::testing::Answer) -> usize {
    const DATE: &str = "date: Tue, 15 Nov 1994 08:12:31 GMT\r\n";
    let length = format!("content-length: {}\r\n\r\n", answer.body.len());
    let headers = answer.headers.iter().filter(|(name, _)| *name != "content-length" && *name != "date");
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 4);
    "HTTP/1.1 200 OK\r\n".len() + headers.sum::<usize>() + DATE.len() + length.len()
}
