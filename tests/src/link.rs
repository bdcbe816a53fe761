//! A bad network between one phone and the server: a TCP proxy that decides by seed what happens to
//! each connection. The same seed gives the n-th connection the same fate.
//!
//! It knows as much of HTTP/1.1 as it takes to hold a whole request (one a connection), so that it
//! can send it twice, cut it at a byte, or take the server away right after it was answered.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::process::Server;

/// The longest request that is held. Beyond the server's own limit.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The longest delay: long enough for two phones to overtake each other.
const DELAY_MS_MAX: u64 = 20;
/// Bytes of a response after which it may be cut.
const CUT_RESPONSE_MAX: usize = 6 * 1024;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Pass,
    /// It comes late.
    Delay {
        /// By so much.
        ms: u64,
    },
    /// It is closed before a byte has left.
    Drop,
    /// The request breaks off.
    CutRequest {
        /// After so many thousandths of it.
        permille: usize,
    },
    /// The response breaks off.
    CutResponse {
        /// After so many bytes.
        bytes: usize,
    },
    /// The server has answered, and the phone never hears of it.
    AnswerLost,
    /// The server gets the request twice; the phone gets the first answer, or the second.
    Twice {
        /// The second.
        second: bool,
    },
    /// The server is killed while it works on the request.
    KillDuring {
        /// After so long.
        micros: u64,
    },
    /// The server is killed right after the phone has its answer.
    KillAfter,
    /// The request is read and nothing ever comes back; the connection stays open.
    Silence,
    /// The response comes byte by byte, so slowly that it is of no use.
    Trickle {
        /// From one byte to the next.
        ms: u64,
    },
    /// The response stops, and the connection stays open.
    StopResponse {
        /// After so many bytes.
        bytes: usize,
    },
}

/// How bad a link is: of 1000 connections, how many meet each fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Badness {
    /// Late.
    pub delay: u32,
    /// Dropped.
    pub drop: u32,
    /// Request cut.
    pub cut_request: u32,
    /// Response cut.
    pub cut_response: u32,
    /// Answer lost.
    pub answer_lost: u32,
    /// Sent twice.
    pub twice: u32,
    /// Server killed while it works.
    pub kill_during: u32,
    /// Server killed after its answer.
    pub kill_after: u32,
}

impl Badness {
    /// A link in the field: a third of all connections meet something.
    pub const FIELD: Self = Self {
        delay: 60,
        drop: 60,
        cut_request: 60,
        cut_response: 60,
        answer_lost: 60,
        twice: 40,
        kill_during: 8,
        kill_after: 4,
    };

    /// The fate of a connection.
    pub fn fate(&self, seed: u64, connection: u64) -> Fate {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        rng.set_stream(connection);
        let mut left = rng.random_range(0..1000);
        let mut hit = |share: u32| {
            let hit = left < share;
            left = left.saturating_sub(share);
            // What is left of a hit must not hit again.
            if hit {
                left = u32::MAX;
            }
            hit
        };
        if hit(self.delay) {
            Fate::Delay { ms: rng.random_range(1..=DELAY_MS_MAX) }
        } else if hit(self.drop) {
            Fate::Drop
        } else if hit(self.cut_request) {
            Fate::CutRequest { permille: rng.random_range(0..1000) }
        } else if hit(self.cut_response) {
            Fate::CutResponse { bytes: rng.random_range(0..CUT_RESPONSE_MAX) }
        } else if hit(self.answer_lost) {
            Fate::AnswerLost
        } else if hit(self.twice) {
            Fate::Twice { second: rng.random() }
        } else if hit(self.kill_during) {
            Fate::KillDuring { micros: rng.random_range(0..4000) }
        } else if hit(self.kill_after) {
            Fate::KillAfter
        } else {
            Fate::Pass
        }
    }
}

/// A link. It ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What decides about each connection.
#[derive(Debug)]
enum Course {
    Seeded(Badness, u64),
    /// The fates of the first connections, in their order. Nothing happens to the others.
    Listed(Vec<Fate>),
}

impl Course {
    fn fate(&self, connection: u64) -> Fate {
        match self {
            Self::Seeded(badness, seed) => badness.fate(*seed, connection),
            Self::Listed(fates) => {
                let fate = usize::try_from(connection).ok().and_then(|index| fates.get(index));
                fate.copied().unwrap_or(Fate::Pass)
            }
        }
    }
}

#[derive(Debug)]
struct Shared {
    server: Arc<Server>,
    course: Course,
    calm: AtomicBool,
    connections: AtomicU64,
    harmed: AtomicU64,
}

impl Link {
    /// A link to a server, on a port of its own.
    pub async fn start(server: Arc<Server>, badness: Badness, seed: u64) -> std::io::Result<Self> {
        Self::on_course(server, Course::Seeded(badness, seed)).await
    }

    /// A link whose first connections meet these fates, in this order.
    pub async fn with_fates(server: Arc<Server>, fates: Vec<Fate>) -> std::io::Result<Self> {
        Self::on_course(server, Course::Listed(fates)).await
    }

    async fn on_course(server: Arc<Server>, course: Course) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (calm, connections, harmed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { server, course, calm, connections, harmed });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Where phones reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing happens to any connection.
    pub fn calm(&self) {
        self.shared.calm.store(true, Ordering::Relaxed);
    }

    /// Connections that met a fate other than [`Fate::Pass`].
    pub fn harmed(&self) -> u64 {
        self.shared.harmed.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((phone, _)) = listener.accept().await else { return };
        let connection = shared.connections.fetch_add(1, Ordering::Relaxed);
        let calm = shared.calm.load(Ordering::Relaxed);
        let fate = if calm { Fate::Pass } else { shared.course.fate(connection) };
        shared.harmed.fetch_add(u64::from(fate != Fate::Pass), Ordering::Relaxed);
        let server = Arc::clone(&shared.server);
        tokio::spawn(async move {
            // A broken connection is what this is about.
            drop(meet(phone, &server, fate).await);
        });
    }
}

/// Carries one connection to its fate. Both ends are closed when it returns.
async fn meet(mut phone: TcpStream, server: &Server, fate: Fate) -> std::io::Result<()> {
    if fate == Fate::Drop {
        return Ok(());
    }
    let request = read_request(&mut phone).await?;
    match fate {
        Fate::Pass | Fate::Drop => carry(&mut phone, server, &request, usize::MAX).await.map(drop),
        Fate::Delay { ms } => {
            // The delay is the fault itself; nothing waits here for something to have happened.
            tokio::time::sleep(Duration::from_millis(ms)).await;
            carry(&mut phone, server, &request, usize::MAX).await.map(drop)
        }
        Fate::CutRequest { permille } => {
            let cut = request.len() * permille / 1000;
            TcpStream::connect(server.address()).await?.write_all(&request[..cut]).await
        }
        Fate::CutResponse { bytes } => carry(&mut phone, server, &request, bytes).await.map(drop),
        Fate::AnswerLost => {
            let mut upstream = send(server, &request).await?;
            upstream.read_u8().await.map(drop)
        }
        Fate::Twice { second } => {
            let mut first = send(server, &request).await?;
            if second {
                // The first is answered before the second is sent: otherwise it is a race.
                first.read_u8().await?;
                return carry(&mut phone, server, &request, usize::MAX).await.map(drop);
            }
            forward(&mut first, &mut phone, usize::MAX).await?;
            send(server, &request).await?.read_u8().await.map(drop)
        }
        Fate::KillDuring { micros } => {
            let upstream = send(server, &request).await?;
            // Where in its work the server dies is the seed's choice; what is asserted holds wherever it is.
            tokio::time::sleep(Duration::from_micros(micros)).await;
            server.kill_and_restart().await.map_err(std::io::Error::other)?;
            drop(upstream);
            Ok(())
        }
        Fate::KillAfter => {
            let mut upstream = send(server, &request).await?;
            let response = read_response(&mut upstream).await?;
            server.kill_and_restart().await.map_err(std::io::Error::other)?;
            phone.write_all(&response).await
        }
        Fate::Silence => until_gone(&mut phone).await,
        Fate::Trickle { ms } => {
            let mut upstream = send(server, &request).await?;
            while let Ok(byte) = upstream.read_u8().await {
                phone.write_u8(byte).await?;
                // The slowness is the fault itself.
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            Ok(())
        }
        Fate::StopResponse { bytes } => {
            carry(&mut phone, server, &request, bytes).await?;
            until_gone(&mut phone).await
        }
    }
}

/// Keeps the connection open until the phone has enough of it.
async fn until_gone(phone: &mut TcpStream) -> std::io::Result<()> {
    while phone.read_u8().await.is_ok() {}
    Ok(())
}

async fn send(server: &Server, request: &[u8]) -> std::io::Result<TcpStream> {
    let mut upstream = TcpStream::connect(server.address()).await?;
    upstream.set_nodelay(true)?;
    upstream.write_all(request).await?;
    Ok(upstream)
}

/// Sends the request and gives the phone at most so many bytes of the response.
async fn carry(phone: &mut TcpStream, server: &Server, request: &[u8], bytes_max: usize) -> std::io::Result<usize> {
    let mut upstream = send(server, request).await?;
    forward(&mut upstream, phone, bytes_max).await
}

/// Forwards a response as it comes, until it is over, the phone has gone, or so many bytes have
/// passed.
async fn forward(upstream: &mut TcpStream, phone: &mut TcpStream, bytes_max: usize) -> std::io::Result<usize> {
    let (mut passed, mut buffer, mut gone) = (0, vec![0; 16 * 1024], [0]);
    while passed < bytes_max {
        let read = tokio::select! {
            read = upstream.read(&mut buffer) => read?,
            // A phone says nothing after its request: whatever comes is its end.
            _ = phone.read(&mut gone) => 0,
        };
        if read == 0 {
            break;
        }
        let take = read.min(bytes_max - passed);
        phone.write_all(&buffer[..take]).await?;
        passed += take;
    }
    Ok(passed)
}

/// A whole request, made to be the last of its connection.
async fn read_request(phone: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = read_message(phone).await?;
    let first_line = request.windows(2).position(|window| window == b"\r\n").map_or(0, |at| at + 2);
    request.splice(first_line..first_line, *b"connection: close\r\n");
    Ok(request)
}

async fn read_response(upstream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    read_message(upstream).await
}

/// A whole message: its head, and as much body as `content-length` says.
async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    let mut whole = None;
    while whole.is_none_or(|whole| message.len() < whole) {
        if stream.read_buf(&mut message).await? == 0 || message.len() > REQUEST_BYTES_MAX {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        whole = whole.or_else(|| Some(head_len(&message)? + content_length(&message)));
    }
    Ok(message)
}

fn head_len(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn content_length(message: &[u8]) -> usize {
    let head = String::from_utf8_lossy(message).to_ascii_lowercase();
    let value = head.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_each_connection_the_same_fate() {
        let fates = |seed| (0..2000).map(|n| Badness::FIELD.fate(seed, n)).collect::<Vec<_>>();
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
        let passed = fates(7).iter().filter(|fate| **fate == Fate::Pass).count();
        assert!((1100..1500).contains(&passed), "{passed} of 2000 pass");
        for missing in [Fate::Drop, Fate::AnswerLost, Fate::KillAfter] {
            assert!(fates(7).contains(&missing), "{missing:?}");
        }
    }

    #[test]
    fn a_message_is_as_long_as_it_says() {
        let message = b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\nhello";
        assert_eq!(head_len(message), Some(message.len() - 5));
        assert_eq!(content_length(message), 12);
        assert_eq!(head_len(b"POST / HTTP/1.1\r\n"), None);
        assert_eq!(content_length(b"GET / HTTP/1.1\r\n\r\n"), 0);
    }
}
