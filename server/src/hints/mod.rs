//! Live hints: who is online is told that a caseload of his moved, and nothing else; what moved he reads by
//! a sync.
//!
//! A request that may have moved something nudges the hub after its commit. One task a replica
//! ([`keep`]) then looks where the caseloads stand, once for all nudges of a moment, and shows it to the
//! streams ([`routes`]), each of which knows where its own caseloads stood. On PostgreSQL it also tells the
//! other replicas, by NOTIFY on the connection it listens on: never in a transaction that captures, where
//! NOTIFY would make all commits wait for each other. Nobody is promised a hint: each stream also looks by
//! itself once a minute, which finds what another program moved.

pub mod routes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, Semaphore, watch};

use crate::app::App;
use crate::db::Db;
use crate::on_db;

/// Streams at one time; the next one is answered 503, and its phone syncs by the clock.
pub const STREAMS_MAX: usize = 2_048;
/// Nudges within so long are one look.
const TOGETHER_WAIT: Duration = Duration::from_millis(200);
/// After how long a connection to PostgreSQL that was lost is tried again.
const CONNECT_EVERY: Duration = Duration::from_secs(5);
/// On what replicas tell each other that something moved.
const CHANNEL: &str = "daybook_moved";

/// Where caseloads stand.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// By the caseload's key.
    seqs: Arc<BTreeMap<i64, i64>>,
    /// The server stops: streams end.
    closed: bool,
}

/// What the streams of a replica share.
#[derive(Debug)]
pub struct Hub {
    nudged: Notify,
    /// This replica moved something and has not told the others.
    untold: AtomicBool,
    seen: watch::Sender<Seen>,
    streams: Arc<Semaphore>,
    /// The newest stream of each device: an older one ends.
    newest: Mutex<HashMap<i64, u64>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            nudged: Notify::new(),
            untold: AtomicBool::new(false),
            seen: watch::Sender::new(Seen::default()),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            newest: Mutex::default(),
        }
    }
}

impl Hub {
    /// Something may have moved, and is committed.
    pub fn nudge(&self) {
        self.untold.store(true, Ordering::Relaxed);
        self.nudged.notify_one();
    }

    /// The server stops: every stream ends, so that it is not waited for.
    pub fn close(&self) {
        self.seen.send_modify(|seen| seen.closed = true);
    }

    /// Numbers a device's stream; the one before is not its newest any more.
    fn enter(&self, device_id: i64) -> u64 {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = newest.entry(device_id).or_default();
        *serial += 1;
        *serial
    }

    fn is_newest(&self, device_id: i64, serial: u64) -> bool {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.get(&device_id) == Some(&serial)
    }
}

/// Looks when something moved, here or on another replica, until the task is ended.
pub async fn keep(app: Arc<App>) {
    let mut listener = None;
    let mut connect = tokio::time::interval(CONNECT_EVERY);
    connect.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.hints.nudged.notified() => {}
            is_lost = heard(&mut listener) => {
                if is_lost {
                    listener = None;
                    continue;
                }
            }
            _ = connect.tick(), if listener.is_none() => {
                listener = listen(&app.db).await;
                if listener.is_none() {
                    continue;
                }
            }
        }
        // What moves meanwhile is told with it; who is online hears of it so much later, and loses nothing.
        tokio::time::sleep(TOGETHER_WAIT).await;
        if app.hints.untold.swap(false, Ordering::Relaxed) && tell_others(&mut listener).await.is_err() {
            listener = None;
        }
        if let Err(error) = look(&app).await {
            tracing::warn!(%error, "where caseloads stand cannot be seen: no hints now");
        }
    }
}

/// Waits for another replica; true when the connection is lost. On SQLite, for ever.
async fn heard(listener: &mut Option<PgListener>) -> bool {
    match listener {
        None => std::future::pending().await,
        Some(listener) => listener.try_recv().await.ok().flatten().is_none(),
    }
}

async fn listen(db: &Db) -> Option<PgListener> {
    let Db::Postgres(pool) = db else { return None };
    let connected = async {
        // A connection of its own: a pool's is given back when it is idle.
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    connected.await.inspect_err(|error| tracing::warn!(%error, "other replicas are not heard")).ok()
}

async fn tell_others(listener: &mut Option<PgListener>) -> sqlx::Result<()> {
    let Some(listener) = listener else { return Ok(()) };
    listener.execute("notify daybook_moved").await.map(drop)
}

const SELECT_SEQS: &str = "select id, seq from caseload";

/// Shows the streams where the caseloads stand, if there are any.
async fn look(app: &App) -> sqlx::Result<()> {
    if app.hints.seen.receiver_count() == 0 {
        return Ok(());
    }
    let mut tx = app.db.read().await?;
    let seqs: Vec<(i64, i64)> = on_db!(&mut tx, conn => sqlx::query_as(SELECT_SEQS).fetch_all(conn).await)?;
    drop(tx);
    let seqs = Arc::new(seqs.into_iter().collect());
    app.hints.seen.send_modify(|seen| seen.seqs = seqs);
    Ok(())
}
