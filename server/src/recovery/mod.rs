//! When a part of the database's history was lost: a restored backup, a file or a machine set back.
//!
//! The database has an `epoch`, which everything that only holds within one history carries: cursors,
//! versions, acknowledgements. [`begin_epoch`] draws a new one, by which phones learn that they have to
//! rewind (`mobile_sync::session`): they hand in again what they keep, and bring what this server signed and
//! lost ([`relearn`]). [`rollback`] finds out by itself that the database was set back.
//!
//! What people decided online after the backup is nowhere else and lost. So payouts and exports ask
//! [`may_pay_out`], and it says no until a person has looked and confirmed.

pub mod relearn;
pub mod rollback;
pub mod routes;

use daybook_shared::ids::{Epoch, UserId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::limits::RECEIPT_BLOCK_SIZE;
use rand::{Rng as _, RngExt as _};
use serde_json::json;

use crate::app::SharedRng;
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::on_db;
use crate::spelled::spelled;

spelled! {
    /// Why an epoch began.
    Cause {
        /// A backup was restored.
        Restore = "restore",
        /// A phone showed what this server had signed and did not have.
        Rollback = "rollback",
    }
}

/// Receipt numbers that every device's series jumps ahead when an epoch begins: whole blocks, and more
/// than an officer gives out between two backups. Blocks that phones show move it further.
const RECEIPT_JUMP: i64 = 100 * RECEIPT_BLOCK_SIZE as i64;
/// How far the series of devices to come jump ahead, at least and below. Drawn, because nobody knows how
/// many devices were enrolled and lost, nor whether the same backup is restored twice.
const SERIES_JUMP: std::ops::Range<i64> = 1 << 20..1 << 28;

/// A history that began because the one before was lost in part.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Recovery {
    /// The epoch it began.
    pub epoch: Epoch,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
    /// When the backup was taken.
    pub backup_at: Option<Timestamp>,
    /// When a person confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// Who.
    pub confirmed_by: Option<UserId>,
}

/// What makes an epoch begin.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// Why.
    pub cause: Cause,
    /// The epoch that was lost in part. Of two that find out at the same time one begins the new one.
    pub before: Epoch,
    /// When the backup was taken.
    pub backup_at: Option<Timestamp>,
    /// Row key of the device that showed it.
    pub device_id: Option<i64>,
}

const SET_EPOCH: &str = "update deployment set epoch = $1 where id = 1 and epoch = $2";
const INSERT: &str = "insert into recovery (epoch, epoch_before, cause, at, backup_at, device_id, series_from)
     values ($1, $2, $3, $4, $5, $6, $7)";
const JUMP_RECEIPTS: &str = "update device set receipt_next = receipt_next + $1";
const DELETE_CURSORS: &str = "delete from device_cursor";
const END_CODES: &str = "update enrolment_code set expires_at = $1 where expires_at > $1";
const SERIES_FROM: &str = "select coalesce(max(series_from), 0) from recovery";

/// Begins a new epoch: cursors of the old one go, receipt numbers jump ahead, enrolment codes end (a lost
/// device may have used them). None when another has begun one meanwhile.
pub async fn begin_epoch(
    tx: &mut Tx,
    (now, rng): (Timestamp, &SharedRng),
    beginning: Beginning,
) -> sqlx::Result<Option<Epoch>> {
    let Beginning { cause, before, backup_at, device_id } = beginning;
    let mut epoch = Epoch([0; 8]);
    rng.with(|rng| rng.fill_bytes(&mut epoch.0));
    let begun = on_db!(&mut *tx, conn => {
        sqlx::query(SET_EPOCH).bind(epoch).bind(before).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if begun == 0 {
        return Ok(None);
    }
    let series_from = series_from(tx).await? + rng.with(|rng| rng.random_range(SERIES_JUMP));
    on_db!(&mut *tx, conn => {
        sqlx::query(INSERT)
            .bind(epoch)
            .bind(before)
            .bind(cause)
            .bind(now)
            .bind(backup_at)
            .bind(device_id)
            .bind(series_from)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    on_db!(&mut *tx, conn => sqlx::query(JUMP_RECEIPTS).bind(RECEIPT_JUMP).execute(conn).await.map(|_| ()))?;
    on_db!(&mut *tx, conn => sqlx::query(DELETE_CURSORS).execute(conn).await.map(|_| ()))?;
    on_db!(&mut *tx, conn => sqlx::query(END_CODES).bind(now).execute(conn).await.map(|_| ()))?;
    let actor = Actor { user_id: None, device_id };
    let detail = json!({ "cause": cause.code(), "before": before.to_string(), "backup_at": backup_at });
    audit::record(tx, now, actor, "recovery.began", epoch, detail).await?;
    Ok(Some(epoch))
}

/// What is added to a device's key for the series of its receipt numbers.
pub async fn series_from(tx: &mut Tx) -> sqlx::Result<i64> {
    on_db!(tx, conn => sqlx::query_scalar(SERIES_FROM).fetch_one(conn).await)
}

const EPOCH: &str = "select epoch from deployment where id = 1";
const ANY: &str = "select cast(count(*) as bigint) from (select 1 from recovery limit 1) found";
const LIST: &str = "select r.epoch, r.cause, r.at, r.backup_at, r.confirmed_at, u.uid as confirmed_by
     from recovery r left join app_user u on u.id = r.confirmed_by order by r.id";
const UNCONFIRMED: &str = "select min(at) from recovery where confirmed_at is null";
const CONFIRM: &str = "update recovery set confirmed_at = $1, confirmed_by = $2 where confirmed_at is null";

/// The epoch as the database has it.
pub async fn epoch(tx: &mut Tx) -> sqlx::Result<Epoch> {
    on_db!(tx, conn => sqlx::query_scalar(EPOCH).fetch_one(conn).await)
}

/// Whether a part of this database's history was ever lost.
pub async fn ever(tx: &mut Tx) -> sqlx::Result<bool> {
    let found: i64 = on_db!(tx, conn => sqlx::query_scalar(ANY).fetch_one(conn).await)?;
    Ok(found > 0)
}

/// Every recovery, oldest first.
pub async fn list(tx: &mut Tx) -> sqlx::Result<Vec<Recovery>> {
    on_db!(tx, conn => sqlx::query_as(LIST).fetch_all(conn).await)
}

/// Since when a recovery waits for a person, if one does.
pub async fn unconfirmed_since(tx: &mut Tx) -> sqlx::Result<Option<Timestamp>> {
    on_db!(tx, conn => sqlx::query_scalar(UNCONFIRMED).fetch_one(conn).await)
}

/// Payouts and exports are stopped.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// Nobody has confirmed a recovery yet.
    #[error("a part of the database was lost and recovered on {0}; somebody has to look at it and confirm it first")]
    Unconfirmed(Timestamp),
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// Whether money may leave and figures may be handed to others. Whatever pays out or exports asks this in
/// the transaction in which it does so.
pub async fn may_pay_out(tx: &mut Tx) -> Result<(), Stopped> {
    match unconfirmed_since(tx).await? {
        None => Ok(()),
        Some(at) => Err(Stopped::Unconfirmed(at)),
    }
}

/// A person has looked at what was lost. Returns how many recoveries that confirmed.
pub async fn confirm(tx: &mut Tx, now: Timestamp, actor: Actor) -> sqlx::Result<u64> {
    let confirmed = on_db!(&mut *tx, conn => {
        sqlx::query(CONFIRM).bind(now).bind(actor.user_id).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if confirmed > 0 {
        let epoch = epoch(tx).await?;
        audit::record(tx, now, actor, "recovery.confirmed", epoch, json!({ "recoveries": confirmed })).await?;
    }
    Ok(confirmed)
}
