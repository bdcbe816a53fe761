//! Background work: what is done again and again, by one replica at a time.
//!
//! A job is claimed by moving its `next_at` ahead, before the work: of all replicas the one whose update
//! finds it due does it. A replica that ends in the middle leaves it to the next turn, so each job may be
//! done twice and cut anywhere: they work in small transactions, each of which stands by itself.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use daybook_shared::time::Timestamp;

use crate::app::App;
use crate::attachments;
use crate::auth::{one_time, upkeep};
use crate::db::Tx;
use crate::erasure::{self, envelopes, retention};
use crate::http::{idempotency, names};
use crate::journey;
use crate::journey::payments::callbacks;
use crate::messages::{outbox, send};
use crate::on_db;
use crate::portfolio::earning;
use crate::sync::{compact, health};

/// What a turn came to: how many things it did, or why it could not.
pub type Outcome = Result<u64, sqlx::Error>;
/// A turn under way.
pub type Turn<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Something that is done again and again.
pub struct Job {
    /// Its name, in the table, the log and the metrics.
    pub name: &'static str,
    /// What it does, for people.
    pub what: &'static str,
    /// From the beginning of one turn to the next.
    pub every: Duration,
    /// Does it.
    pub turn: for<'a> fn(&'a App) -> Turn<'a>,
}

/// Every job.
pub static JOBS: &[Job] = &[
    Job {
        name: "compact_feeds",
        what: "removes rows of feeds that no phone needs any more",
        every: compact::EVERY,
        turn: |app| Box::pin(compact::compact(&app.db, app.now())),
    },
    Job {
        name: "forget_sessions",
        what: "forgets sign-ins that ended long ago",
        every: upkeep::FORGET_EVERY,
        turn: |app| Box::pin(upkeep::forget_sessions(app)),
    },
    Job {
        name: "forget_attachments",
        what: "forgets files that stopped arriving a week ago",
        every: attachments::EVERY,
        turn: |app| Box::pin(attachments::forget_partial(app)),
    },
    Job {
        name: "expire_applications",
        what: "ends applications that nobody signed or decided in time",
        every: journey::upkeep::EVERY,
        turn: |app| Box::pin(journey::upkeep::turn(app)),
    },
    Job {
        name: "earn_profit",
        what: "books the profit of instalments whose day has come",
        every: earning::EVERY,
        turn: |app| Box::pin(earning::turn(app)),
    },
    Job {
        name: "charge_late_fees",
        what: "charges what being late costs by an offer's terms, and takes back what was not late after all",
        every: journey::late_fees::EVERY,
        turn: |app| Box::pin(journey::late_fees::turn(app)),
    },
    Job {
        name: "escalate_complaints",
        what: "raises the level of complaints that were not answered in time",
        every: journey::complaints::EVERY,
        turn: |app| Box::pin(journey::complaints::escalate(app)),
    },
    Job {
        name: "purge_answers",
        what: "removes kept answers of writes after idempotency_days",
        every: idempotency::EVERY,
        turn: |app| Box::pin(idempotency::purge(&app.db, app.now(), app.settings.idempotency_days)),
    },
    Job {
        name: "forget_callbacks",
        what: "forgets what gateways said three months ago",
        every: callbacks::EVERY,
        turn: |app| Box::pin(callbacks::forget(&app.db, app.now())),
    },
    Job {
        name: "watch_devices",
        what: "raises the alarm about devices that fell silent",
        every: health::WATCH_EVERY,
        turn: |app| Box::pin(health::watch(app)),
    },
    Job {
        name: "order_erasures",
        what: "orders the erasure of customers after closed_customer_days",
        every: retention::EVERY,
        turn: |app| Box::pin(retention::order_forgotten(app)),
    },
    Job {
        name: "erase_customers",
        what: "erases customers as ordered, and what came late about them",
        every: erasure::EVERY,
        turn: |app| Box::pin(erasure::carry_out(app)),
    },
    Job {
        name: "empty_envelopes",
        what: "empties envelopes after envelope_days",
        every: envelopes::EVERY,
        turn: |app| Box::pin(envelopes::empty_old(app)),
    },
    Job {
        name: "send_messages",
        what: "sends messages to customers that wait",
        every: send::EVERY,
        turn: |app| Box::pin(send::send_due(app)),
    },
    Job {
        name: "forget_messages",
        what: "forgets messages to customers 90 days after they were sent",
        every: send::FORGET_EVERY,
        turn: |app| Box::pin(outbox::forget(app)),
    },
    Job {
        name: "forget_codes",
        what: "forgets one-time codes a day after they were asked for",
        every: one_time::FORGET_EVERY,
        turn: |app| Box::pin(one_time::forget(app)),
    },
];

/// How often a server looks for jobs that are due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Characters of a failure that are kept.
const FAILURE_CHARS_MAX: usize = 200;

/// Does what is due, again and again, until the task is ended.
pub async fn keep(app: Arc<App>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = what_is_due(&app).await {
            tracing::warn!(%error, "jobs could not be claimed or noted");
        }
    }
}

const SELECT_WAITING: &str = "select name from job where next_at > $1";

/// Does the jobs that are due and that nobody else claims. The error is of a claim or of the note about it;
/// one of the work itself is noted.
pub async fn what_is_due(app: &App) -> sqlx::Result<()> {
    let mut tx = app.db.read().await?;
    let waiting: Vec<String> =
        on_db!(&mut tx, conn => sqlx::query_scalar(SELECT_WAITING).bind(app.now()).fetch_all(conn).await)?;
    drop(tx);
    for job in JOBS.iter().filter(|job| !waiting.iter().any(|name| name == job.name)) {
        let mut tx = app.db.write().await?;
        let claimed = claim(&mut tx, job, app.now()).await?;
        tx.commit().await?;
        if claimed {
            run(app, job).await?.ok();
        }
    }
    Ok(())
}

/// Does a job now and notes what it came to.
pub async fn run(app: &App, job: &Job) -> sqlx::Result<Outcome> {
    let outcome = (job.turn)(app).await;
    let word = if outcome.is_ok() { "done" } else { "failed" };
    metrics::counter!(names::JOB_RUNS, "job" => job.name, "outcome" => word).increment(1);
    match &outcome {
        Ok(0) => {}
        Ok(items) => tracing::info!(job = job.name, items, "a job is done"),
        Err(error) => tracing::error!(job = job.name, %error, "a job failed"),
    }
    let mut tx = app.db.write().await?;
    note(&mut tx, job, app.now(), &outcome).await?;
    tx.commit().await?;
    app.hints.nudge();
    Ok(outcome)
}

const CLAIM: &str = "
    insert into job (name, next_at, started_at, items) values ($1, $2, $3, 0)
    on conflict (name) do update set next_at = excluded.next_at, started_at = excluded.started_at
    where job.next_at <= $3";

async fn claim(tx: &mut Tx, job: &Job, now: Timestamp) -> sqlx::Result<bool> {
    let every = i64::try_from(job.every.as_millis()).unwrap_or(i64::MAX);
    on_db!(tx, conn => {
        sqlx::query(CLAIM)
            .bind(job.name)
            .bind(now.plus_ms(every))
            .bind(now)
            .execute(conn)
            .await
            .map(|done| done.rows_affected() == 1)
    })
}

// A job that a person runs was perhaps never claimed.
const DONE: &str = "
    insert into job (name, next_at, done_at, items) values ($1, $2, $2, $3)
    on conflict (name) do update set done_at = excluded.done_at, items = excluded.items";
const FAILED: &str = "
    insert into job (name, next_at, failed_at, failure, items) values ($1, $2, $2, $3, 0)
    on conflict (name) do update set failed_at = excluded.failed_at, failure = excluded.failure";

async fn note(tx: &mut Tx, job: &Job, now: Timestamp, outcome: &Outcome) -> sqlx::Result<()> {
    match outcome {
        Ok(items) => {
            let items = i64::try_from(*items).unwrap_or(i64::MAX);
            on_db!(tx, conn => {
                sqlx::query(DONE).bind(job.name).bind(now).bind(items).execute(conn).await.map(|_| ())
            })
        }
        Err(error) => {
            let failure: String = error.to_string().chars().take(FAILURE_CHARS_MAX).collect();
            on_db!(tx, conn => {
                sqlx::query(FAILED).bind(job.name).bind(now).bind(failure).execute(conn).await.map(|_| ())
            })
        }
    }
}

/// When a job was last done, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow, serde::Serialize)]
pub struct Status {
    /// The job.
    pub name: String,
    /// When it is due again.
    pub next_at: Timestamp,
    /// When its last turn began.
    pub started_at: Option<Timestamp>,
    /// When a turn last ended well.
    pub done_at: Option<Timestamp>,
    /// When a turn last failed.
    pub failed_at: Option<Timestamp>,
    /// Why it failed then.
    pub failure: Option<String>,
    /// What the last turn that ended well came to.
    pub items: i64,
}

const SELECT: &str = "select name, next_at, started_at, done_at, failed_at, failure, items from job order by name";

/// Every job that was ever claimed.
pub async fn status(tx: &mut Tx) -> sqlx::Result<Vec<Status>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).fetch_all(conn).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::for_each_engine;

    async fn claimed(app: &App, job: &Job, now: Timestamp) -> bool {
        let mut tx = app.db.write().await.unwrap();
        let claimed = claim(&mut tx, job, now).await.unwrap();
        tx.commit().await.unwrap();
        claimed
    }

    /// Two replicas look at the same moment: one does the job; nobody does it again before it is due.
    #[tokio::test]
    async fn of_all_replicas_one_does_a_job_and_again_when_it_is_due() {
        for_each_engine(async |server| {
            let app = &server.app;
            let works =
                Job { name: "test", what: "", every: Duration::from_mins(10), turn: |_| Box::pin(async { Ok(3) }) };
            let now = app.now();
            assert!(claimed(app, &works, now).await);
            assert!(!claimed(app, &works, now).await);
            assert!(!claimed(app, &works, now.plus_ms(599_999)).await);
            assert!(claimed(app, &works, now.plus_ms(600_000)).await);
            let unclaimed = Job { name: "test_of_a_person", ..works };
            for job in [&works, &unclaimed] {
                assert_eq!(run(app, job).await.unwrap().unwrap(), 3);
            }
            let fails = Job { turn: |_| Box::pin(async { Err(sqlx::Error::RowNotFound) }), ..works };
            run(app, &fails).await.unwrap().unwrap_err();
            let status = status(&mut app.db.read().await.unwrap()).await.unwrap();
            let of = |name| status.iter().find(|status| status.name == name).unwrap();
            assert_eq!((of("test").items, of("test").failure.is_some()), (3, true));
            assert_eq!((of("test_of_a_person").items, of("test_of_a_person").failure.as_deref()), (3, None));
        })
        .await;
    }

    #[tokio::test]
    async fn every_job_is_done_once_when_a_server_starts() {
        for_each_engine(async |server| {
            what_is_due(&server.app).await.unwrap();
            let first = status(&mut server.app.db.read().await.unwrap()).await.unwrap();
            assert_eq!(first.len(), JOBS.len());
            assert!(first.iter().all(|job| job.done_at.is_some() && job.failed_at.is_none()), "{first:?}");
            what_is_due(&server.app).await.unwrap();
            assert_eq!(status(&mut server.app.db.read().await.unwrap()).await.unwrap(), first);
        })
        .await;
    }
}
