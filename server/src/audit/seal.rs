//! The job that seals audit rows: gives each its place in the chain, in order of their keys.
//!
//! A row is written unsealed in the transaction of its effect, so that no capture waits for another's
//! place. `serve` seals every few seconds, in batches, by whoever holds the head's row; with several
//! replicas one seals and the others wait for it. Until then a row is in the window: who can write to the
//! database can still change it unseen. [`super::check`] says how many rows are in it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use daybook_shared::ids::{DeploymentId, Hash};
use daybook_shared::time::Timestamp;

use super::chain::{Head, Written};
use crate::app::App;
use crate::db::{Db, Tx, batch};
use crate::{batch_row, on_db};

/// How often a server seals: the window of a row is this and a batch.
const EVERY: Duration = Duration::from_secs(5);
/// Rows of one transaction: phones wait for SQLite's writer meanwhile.
const ROWS_MAX: i64 = 500;

/// The chain's head as this replica last saw it: what acknowledgements say.
#[derive(Debug, Default)]
pub struct KnownHead(RwLock<Option<Head>>);

impl KnownHead {
    /// The newest sealed row, if there is one.
    pub fn get(&self) -> Option<Head> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, head: Head) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (head.seq > 0).then_some(head);
    }
}

batch_row! {
    struct Placed {
        id: i64 => "int8",
        seq: i64 => "int8",
        previous: Hash => "bytea",
        hash: Hash => "bytea",
        sealed_at: Timestamp => "timestamptz",
    }
}

const LOCK: &str = "update audit_head set seq = seq where id = 1";
const SELECT_HEAD: &str = "select seq, hash from audit_head where id = 1";
const SET_HEAD: &str = "update audit_head set seq = $1, hash = $2 where id = 1";
const COUNT: &str = "select cast(count(*) as bigint) from (select 1 from audit where seq is null limit 1) found";
const UNSEALED: &str = "
    select id, at, user_id, device_id, action, subject, detail from audit where seq is null order by id limit $1";
const SEAL: &str = "
    update audit set seq = v.seq, previous = v.previous, hash = v.hash, sealed_at = v.sealed_at
    from v where audit.id = v.id and audit.seq is null";

/// The chain's head in the database.
pub async fn head(tx: &mut Tx) -> sqlx::Result<Head> {
    let (seq, hash) = on_db!(tx, conn => sqlx::query_as(SELECT_HEAD).fetch_one(conn).await)?;
    Ok(Head { seq, hash })
}

/// Seals again and again, until the task is ended.
pub async fn keep_sealed(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        match seal_all(&app).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "audit rows were sealed"),
            Err(error) => tracing::warn!(%error, "the audit trail was not sealed"),
        }
    }
}

/// Seals all there is, and notes the head; returns how many rows were sealed.
pub async fn seal_all(app: &App) -> sqlx::Result<u64> {
    let mut sealed = 0;
    loop {
        let (rows, head) = seal(&app.db, app.deployment.id, app.now()).await?;
        sealed += rows;
        if rows < ROWS_MAX.unsigned_abs() {
            app.audit_head.set(head);
            return Ok(sealed);
        }
    }
}

/// Seals a batch; returns how many rows it had, and the head. Nothing is written where nothing waits.
async fn seal(db: &Db, deployment: DeploymentId, now: Timestamp) -> sqlx::Result<(u64, Head)> {
    let mut tx = db.read().await?;
    let waiting: i64 = on_db!(&mut tx, conn => sqlx::query_scalar(COUNT).fetch_one(conn).await)?;
    if waiting == 0 {
        return Ok((0, head(&mut tx).await?));
    }
    drop(tx);
    let mut tx = db.write().await?;
    on_db!(&mut tx, conn => sqlx::query(LOCK).execute(conn).await.map(|_| ()))?;
    let mut newest = head(&mut tx).await?;
    let rows: Vec<Written> = on_db!(&mut tx, conn => sqlx::query_as(UNSEALED).bind(ROWS_MAX).fetch_all(conn).await)?;
    let sealed = rows.iter().map(|row| {
        let previous = newest.hash;
        newest = newest.followed_by(deployment, now, row);
        Placed { id: row.id, seq: newest.seq, previous, hash: newest.hash, sealed_at: now }
    });
    let sealed: Vec<_> = sealed.collect();
    let touched = batch::execute(&mut tx, &sealed, SEAL).await?;
    assert_eq!(touched, sealed.len() as u64, "only who holds the head's row seals");
    on_db!(&mut tx, conn => sqlx::query(SET_HEAD).bind(newest.seq).bind(newest.hash).execute(conn).await.map(|_| ()))?;
    tx.commit().await?;
    Ok((touched, newest))
}
