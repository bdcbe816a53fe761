//! The one writer: takes requests' envelopes in transactions.
//!
//! SQLite has one writer, so requests that wait for it share the next commit. PostgreSQL takes each
//! on its own and runs it again after a serialization failure or a deadlock. A group that fails is
//! taken one by one, so that nobody suffers for a neighbour.
//!
//! Transactions that need not see each other run side by side ([`Beside`]). A capture and the line that confirms it
//! have to: whoever comes second must find the first, so of one reference there is one at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};

use daybook_shared::ids::{AckHash, DeviceId, DossierId, InstallId, sha256};
use daybook_shared::wire::exchange::Answer;
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::boards;
use super::finish::{self, Ending, Finish, Finished};
use super::install::{self, Begun};
use super::take::{self, Exclusion, Item, Taken};
use super::world::LineKey;
use crate::app::App;
use crate::db::{self, Db, Tx};
use crate::on_db;

/// Jobs of one commit. More would only make the last of them wait.
const GROUP_MAX: usize = 64;
/// Jobs that may wait; beyond it the server says that it is busy.
const QUEUE_MAX: usize = 1_024;
/// How often a transaction is run again after a serialization failure.
const RETRIES_MAX: usize = 20;
/// Failures after which an envelope is taken item by item.
const FAILURES_MAX: i64 = 3;
/// Failing entries of an envelope that are looked for one by one.
const FAILING_MAX: usize = 16;

/// A step of a request: its beginning, an envelope, its end, or all of them.
#[derive(Debug)]
pub struct Job {
    /// The device's row key.
    pub device_id: i64,
    /// The device.
    pub device: DeviceId,
    /// The install that asks.
    pub install: InstallId,
    /// The request's number, with its first job.
    pub request_number: Option<i64>,
    /// The newest acknowledgement that the device knows, with its request's first job: nothing is done if
    /// the server has not got it.
    pub after: Option<AckHash>,
    /// An envelope, if there is one.
    pub item: Option<Item>,
    /// What ends the request, with its last job.
    pub finish: Option<Finish>,
}

impl Job {
    /// What ends with this job, if it has begun and is its request's last.
    fn ending(&self, begun: Begun) -> Option<Ending<'_>> {
        let (Begun::Open(install_id), Some(finish)) = (begun, &self.finish) else { return None };
        let Self { device_id, device, install, .. } = *self;
        Some(Ending { device_id, device, install_id, install, finish })
    }

    fn boards(&self) -> impl Iterator<Item = DossierId> + '_ {
        self.item.iter().flat_map(|item| item.arrived.envelope.body.board.iter().map(|change| change.dossier))
    }
}

/// What became of a job.
#[derive(Debug)]
pub enum Done {
    /// The request number is not above the last; nothing was done.
    Stale {
        /// The last number.
        last: u64,
    },
    /// The device has opened too many installs; nothing was done.
    InstallLimit,
    /// The device has to show its newest acknowledgement; nothing was done.
    Behind,
    /// Done.
    Done {
        /// The install's row key.
        install_id: i64,
        /// What became of the envelope.
        taken: Option<Taken>,
        /// What the response begins with, if this was the last job.
        finished: Option<Box<Finished>>,
    },
}

/// Why a job was not done. Nothing was consumed: the phone sends it again.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// Too many requests wait.
    #[error("too many requests wait for the writer")]
    Busy,
    /// A bug: the transaction was rolled back.
    #[error("the envelope could not be taken: a panic, see the log")]
    Panicked,
}

impl WriteError {
    /// Whether the envelope itself may be at fault: a constraint with a healthy database, or a panic.
    fn blames_the_envelope(&self) -> bool {
        match self {
            Self::Sql(error) => db::is_constraint_violation(error),
            Self::Panicked => true,
            Self::Busy => false,
        }
    }
}

/// Entries that are not taken like the others, by their position.
type Excluded = BTreeMap<usize, Exclusion>;
type Reply = Result<Done, WriteError>;
type Waiting = (Job, oneshot::Sender<Reply>);

/// Hands jobs to the writer. Part of [`App`]; on SQLite it starts with the first job and ends with
/// the app.
#[derive(Debug, Default)]
pub struct Writer {
    queue: OnceLock<mpsc::Sender<Waiting>>,
}

/// Does a job and waits until it is durable. Its board changes are judged before the writer is taken.
pub async fn write(app: &Arc<App>, mut job: Job) -> Reply {
    if let Some(item) = job.item.as_mut().filter(|item| item.has_boards()) {
        let mut tx = app.db.read().await?;
        boards::prepare(&mut tx, item).await?;
    }
    if matches!(app.db, Db::Postgres(_)) {
        return alone(app, &mut job).await;
    }
    let queue = app.writer.queue.get_or_init(|| {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(group_commits(Arc::downgrade(app), receiver));
        sender
    });
    let (reply, done) = oneshot::channel();
    queue.try_send((job, reply)).map_err(|_| WriteError::Busy)?;
    done.await.map_err(|_| WriteError::Busy)?
}

/// SQLite's writer: everything that waits goes into the next commit, but never two changes of one
/// board.
async fn group_commits(app: Weak<App>, mut queue: mpsc::Receiver<Waiting>) {
    let mut later: VecDeque<Waiting> = VecDeque::new();
    loop {
        if later.is_empty() {
            let Some(first) = queue.recv().await else { return };
            later.push_back(first);
        }
        while later.len() < GROUP_MAX {
            let Ok(next) = queue.try_recv() else { break };
            later.push_back(next);
        }
        let Some(app) = app.upgrade() else { return };
        let (mut group, mut replies, mut boards) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (job, reply) in std::mem::take(&mut later) {
            if job.boards().any(|board| boards.contains(&board)) {
                later.push_back((job, reply));
                continue;
            }
            boards.extend(job.boards());
            group.push(job);
            replies.push(reply);
        }
        match attempt(&app, &mut group).await {
            Ok(done) => replies.into_iter().zip(done).for_each(|(reply, done)| answer(reply, Ok(done))),
            Err(error) => {
                tracing::warn!(jobs = group.len(), %error, "a group of envelopes failed and is taken one by one");
                for (mut job, reply) in group.into_iter().zip(replies) {
                    answer(reply, alone(&app, &mut job).await);
                }
            }
        }
    }
}

/// The asker may have gone; what was done stays done, and he will ask again.
fn answer(reply: oneshot::Sender<Reply>, done: Reply) {
    drop(reply.send(done));
}

/// One job in a transaction of its own, again after a serialization failure, item by item after
/// three failures of its own.
async fn alone(app: &App, job: &mut Job) -> Reply {
    let mut last = None;
    for _ in 0..RETRIES_MAX {
        match attempt(app, std::slice::from_mut(job)).await {
            Ok(mut done) => return done.pop().ok_or(WriteError::Panicked),
            Err(WriteError::Sql(error)) if db::is_transient(&error) => last = Some(WriteError::Sql(error)),
            Err(error) if error.blames_the_envelope() && job.item.is_some() => {
                tracing::error!(%error, device = %job.device, "an envelope failed");
                return if count_failure(app, job).await? < FAILURES_MAX {
                    Err(error)
                } else {
                    item_by_item(app, job).await
                };
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(WriteError::Busy))
}

/// A failing envelope is taken without what makes it fail: its board changes are put aside, and each
/// entry that does not go with the ones before it is held without effect, or refused where not even
/// that can be written. After [`FAILING_MAX`] of them the rest is held unseen: everybody waits for the
/// writer.
async fn item_by_item(app: &App, job: &mut Job) -> Reply {
    let count = job.item.as_ref().map_or(0, |item| item.arrived.entries.len());
    let mut excluded: Excluded = (0..count).map(|at| (at, Exclusion::Refused)).collect();
    exclude(job, excluded.clone(), false);
    let boards_fail = fails(app, job).await?;
    let (mut next, mut failing) = (0, 0);
    while next < count && failing < FAILING_MAX {
        next = first_failing(app, job, &mut excluded, boards_fail, next..count).await?;
        if next < count {
            failing += 1;
            hold(app, job, &mut excluded, boards_fail, next..next + 1).await?;
            next += 1;
        }
    }
    if next < count {
        hold(app, job, &mut excluded, boards_fail, next..count).await?;
    }
    tracing::error!(device = %job.device, ?excluded, boards_fail, "an envelope is taken without what fails in it");
    exclude(job, excluded, boards_fail);
    let mut done = attempt(app, std::slice::from_mut(job)).await?;
    done.pop().ok_or(WriteError::Panicked)
}

/// Takes in as many entries of a range as go with what is in already, by halving; gives the first that
/// does not, or the range's end.
async fn first_failing(
    app: &App,
    job: &mut Job,
    excluded: &mut Excluded,
    boards_fail: bool,
    range: Range<usize>,
) -> Result<usize, WriteError> {
    // Everything before `goes` goes; nothing beyond `fails_at` was found to go.
    let (mut goes, mut fails_at, mut tried) = (range.start, range.end + 1, range.end);
    while goes + 1 < fails_at {
        let mut with = excluded.clone();
        with.retain(|at, _| !(range.start..tried).contains(at));
        exclude(job, with, boards_fail);
        if fails(app, job).await? {
            fails_at = tried;
        } else {
            goes = tried;
        }
        tried = goes.midpoint(fails_at);
    }
    excluded.retain(|at, _| !(range.start..goes).contains(at));
    Ok(goes)
}

/// Holds entries without effect, or refuses them where not even that can be written.
async fn hold(
    app: &App,
    job: &mut Job,
    excluded: &mut Excluded,
    boards_fail: bool,
    range: Range<usize>,
) -> Result<(), WriteError> {
    excluded.extend(range.clone().map(|at| (at, Exclusion::Held)));
    exclude(job, excluded.clone(), boards_fail);
    if fails(app, job).await? {
        excluded.extend(range.map(|at| (at, Exclusion::Refused)));
    }
    Ok(())
}

fn exclude(job: &mut Job, entries: Excluded, boards: bool) {
    if let Some(item) = &mut job.item {
        item.excluded = entries;
        item.boards_excluded = boards;
    }
}

/// Whether a job fails by its own fault. The database's own trouble says nothing about it, and takes
/// nothing: the phone sends it all again.
async fn fails(app: &App, job: &mut Job) -> Result<bool, WriteError> {
    match trial(app, job).await {
        Ok(()) => Ok(false),
        Err(error) if error.blames_the_envelope() => Ok(true),
        Err(error) => Err(error),
    }
}

const COUNT_FAILURE: &str =
    "update install set failures = failures + 1 where device_id = $1 and uid = $2 returning failures";

/// Counts a failure of an install's envelope, in a transaction of its own. The install of a first
/// envelope was rolled back with it, and opens here.
async fn count_failure(app: &App, job: &Job) -> Result<i64, WriteError> {
    let mut tx = app.db.write().await?;
    let begun = install::open(&mut tx, job, app.now()).await?;
    let (device, install) = (job.device_id, job.install);
    let failures: Option<i64> = on_db!(&mut tx, conn => {
        sqlx::query_scalar(COUNT_FAILURE).bind(device).bind(install).fetch_optional(conn).await
    })?;
    tx.commit().await?;
    Ok(failures.filter(|_| begun.is_ok()).unwrap_or(0))
}

/// Runs a job and leaves nothing behind.
async fn trial(app: &App, job: &mut Job) -> Result<(), WriteError> {
    let mut tx = app.db.write().await?;
    let done = run_caught(&mut tx, app, std::slice::from_mut(job)).await;
    tx.rollback().await?;
    done.map(drop)
}

/// Runs jobs in one transaction.
async fn attempt(app: &App, jobs: &mut [Job]) -> Result<Vec<Done>, WriteError> {
    let mut tx = app.db.write().await?;
    let done = run_caught(&mut tx, app, jobs).await?;
    tx.commit().await?;
    Ok(done)
}

async fn run_caught(tx: &mut Tx, app: &App, jobs: &mut [Job]) -> Result<Vec<Done>, WriteError> {
    match AssertUnwindSafe(run(tx, app, jobs)).catch_unwind().await {
        Ok(done) => Ok(done?),
        Err(_) => Err(WriteError::Panicked),
    }
}

/// PostgreSQL only. Reading and writing the table goes on beside the first, only reading beside the second.
const LOCK_SHARED: &str = "lock table waiting in row share mode";
const LOCK_ALONE: &str = "lock table waiting in exclusive mode";
/// PostgreSQL only, until the transaction ends; in the order of the keys.
const LOCK_SUBJECTS: &str = "select count(pg_advisory_xact_lock(key)) from unnest($1::int8[]) as v (key)";

/// Subjects of one transaction; beyond it the transaction is alone, which takes less of the database's memory.
const SUBJECTS_MAX: usize = 256;

/// What two transactions are not about at the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Money that has this reference.
    Reference(LineKey),
    /// What the account with this number, which need not have begun, is paid in the app.
    Account(String),
}

/// What a transaction may run beside, on PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// Envelopes and what gateways say, as far as they are not about one of these.
    Others(BTreeSet<Subject>),
    /// None: what acts on another entry, or on one that may be arriving.
    None,
}

/// Takes the locks that say what this transaction may run beside, before any other; SQLite has one writer.
pub async fn lock(tx: &mut Tx, beside: &Beside) -> sqlx::Result<()> {
    let Tx::Postgres(tx) = tx else { return Ok(()) };
    let subjects = match beside {
        Beside::Others(subjects) if subjects.len() <= SUBJECTS_MAX => Some(subjects),
        Beside::Others(_) | Beside::None => None,
    };
    sqlx::query(if subjects.is_some() { LOCK_SHARED } else { LOCK_ALONE }).execute(&mut **tx).await?;
    let keys: BTreeSet<_> = subjects.into_iter().flatten().map(lock_key).collect();
    if !keys.is_empty() {
        sqlx::query(LOCK_SUBJECTS).bind(keys.into_iter().collect::<Vec<_>>()).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Two subjects of one key only wait for each other.
fn lock_key(subject: &Subject) -> i64 {
    let hash = match subject {
        Subject::Reference((channel, reference)) => {
            sha256(&[b"reference ", channel.to_string().as_bytes(), b" ", reference.as_bytes()])
        }
        Subject::Account(number) => sha256(&[b"account ", number.as_bytes()]),
    };
    i64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"))
}

/// The order within a transaction: request numbers, envelopes, ends of requests.
async fn run(tx: &mut Tx, app: &App, jobs: &mut [Job]) -> sqlx::Result<Vec<Done>> {
    let now = app.now();
    // What acts on another entry is alone among envelopes: else neither it nor the one that it waits for
    // would see the other.
    let items = jobs.iter().filter_map(|job| job.item.as_ref());
    let beside = if items.clone().any(Item::acts_on_others) {
        Beside::None
    } else {
        Beside::Others(items.flat_map(Item::references).map(Subject::Reference).collect())
    };
    lock(tx, &beside).await?;
    let begun = install::begin(tx, jobs, now).await?;
    let going = jobs.iter_mut().zip(&begun).filter(|(_, begun)| matches!(begun, Begun::Open(_)));
    let mut items: Vec<&mut Item> = going.filter_map(|(job, _)| job.item.as_mut()).collect();
    let mut taken = take::take(tx, app, &mut items, now).await?.into_iter();
    let endings: Vec<_> = jobs.iter().zip(&begun).filter_map(|(job, begun)| job.ending(*begun)).collect();
    let mut finished = finish::finish(tx, app, &endings, now).await?.into_iter();
    let done = jobs.iter().zip(begun).map(|(job, begun)| match begun {
        Begun::Stale(last) => Done::Stale { last },
        Begun::Limit => Done::InstallLimit,
        Begun::Behind => Done::Behind,
        Begun::Unknown => {
            let answer = Answer::Refused { code: "install_unknown".to_owned() };
            Done::Done { install_id: 0, taken: Some(Taken::Not(answer)), finished: None }
        }
        Begun::Open(install_id) => {
            let taken = job.item.is_some().then(|| taken.next()).flatten();
            let finished = job.finish.is_some().then(|| finished.next()).flatten().map(Box::new);
            Done::Done { install_id, taken, finished }
        }
    });
    Ok(done.collect())
}

#[cfg(test)]
mod tests;
