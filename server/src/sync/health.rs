//! How the phones in the field do: when each was last heard of, what it still holds, and what of theirs
//! waits for a person.
//!
//! A phone keeps what it captures until it reaches a server, so one that falls silent holds money that is in
//! nobody's book. That is what this is for: to see it before the cash has grown old.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_shared::ids::DeviceId;
use daybook_shared::time::{DAY_MS, Timestamp};
use serde_json::json;

use crate::app::App;
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::http::names;
use crate::on_db;
use crate::spelled::spelled;

/// A device that synced within so long is well.
const OK_MS_MAX: i64 = DAY_MS;
/// How old the numbers of the metrics may be, so that scraping costs the database little.
const FLEET_MS_MAX: i64 = 15_000;

spelled! {
    /// How a device in use does.
    Health {
        /// It synced within a day.
        Ok = "ok",
        /// It did not, but within the lender's limit.
        Late = "late",
        /// It did not within the limit: the alarm.
        Silent = "silent",
        /// It was enrolled and never synced.
        Never = "never",
    }
}

impl Health {
    /// How a device does that last synced then; `silent_days` is the lender's limit.
    pub fn of(last_sync: Option<Timestamp>, now: Timestamp, silent_days: i64) -> Self {
        match last_sync {
            None => Self::Never,
            Some(at) if at > now.plus_ms(-OK_MS_MAX) => Self::Ok,
            Some(at) if at > now.plus_ms(-silent_days * DAY_MS) => Self::Late,
            Some(_) => Self::Silent,
        }
    }
}

/// Since when a device must have synced to be well, and since when not to be silent.
pub fn bounds(now: Timestamp, silent_days: i64) -> (Timestamp, Timestamp) {
    let ok_since = now.plus_ms(-OK_MS_MAX);
    (ok_since, now.plus_ms(-silent_days * DAY_MS).min(ok_since))
}

/// Bytes of exchanges, for the totals of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// Of requests.
    pub up: i64,
    /// Of answers.
    pub down: i64,
}

/// Devices whose answers are remembered at one time.
const ANSWERED_MAX: usize = 65_536;

/// Bytes of answers that are not in their devices' totals yet. An answer is made after its transaction, and
/// counting it must not cost another: the next request of the device counts it. In memory, so what was
/// answered last before a restart, or by another replica than the next time, is counted later or never: the
/// totals are of use to see who pays for much data, not to bill by.
#[derive(Debug, Default)]
pub struct Answered(Mutex<HashMap<i64, i64>>);

impl Answered {
    fn by_device(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer of so many bytes was made. Not remembered when there are too many devices already.
    pub fn note(&self, device_id: i64, bytes: usize) {
        let mut by_device = self.by_device();
        if by_device.len() < ANSWERED_MAX || by_device.contains_key(&device_id) {
            let sum = by_device.entry(device_id).or_default();
            *sum = sum.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// What a request of so many bytes adds to its device's totals.
    pub fn take(&self, device_id: i64, bytes_up: usize) -> Bytes {
        let down = self.by_device().remove(&device_id).unwrap_or_default();
        Bytes { up: i64::try_from(bytes_up).unwrap_or(i64::MAX), down }
    }
}

/// All devices in use, by health, and what waits for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Fleet {
    ok: i64,
    late: i64,
    silent: i64,
    never: i64,
    held: i64,
    quarantined: i64,
}

const SELECT_FLEET: &str = "
    select cast(count(*) filter (where d.last_sync_at > $1) as bigint) as ok,
           cast(count(*) filter (where d.last_sync_at <= $1 and d.last_sync_at > $2) as bigint) as late,
           cast(count(*) filter (where d.last_sync_at <= $2) as bigint) as silent,
           cast(count(*) filter (where d.last_sync_at is null) as bigint) as never,
           (select cast(count(*) as bigint) from entry where outcome = 'held') as held,
           (select cast(count(*) as bigint) from quarantine where resolved_at is null) as quarantined
    from device d join app_user u on u.id = d.user_id
    where d.state = 'active' and u.active";

/// Counts all devices in use.
pub async fn fleet(tx: &mut Tx, now: Timestamp, silent_days: i64) -> sqlx::Result<Fleet> {
    let (ok_since, silent_since) = bounds(now, silent_days);
    on_db!(tx, conn => sqlx::query_as(SELECT_FLEET).bind(ok_since).bind(silent_since).fetch_one(conn).await)
}

/// When the metrics last had these numbers.
#[derive(Debug, Default)]
pub struct FleetAge(Mutex<Option<Timestamp>>);

impl FleetAge {
    /// Whether they are too old; who is told so brings new ones.
    fn is_over(&self, now: Timestamp) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = last.is_none_or(|at| now >= at.plus_ms(FLEET_MS_MAX));
        if over {
            *last = Some(now);
        }
        over
    }
}

/// Brings the numbers into the metrics, if those there are too old.
pub async fn measure(app: &App) -> sqlx::Result<()> {
    let now = app.now();
    if !app.fleet_age.is_over(now) {
        return Ok(());
    }
    let fleet = fleet(&mut app.db.read().await?, now, app.settings.silent_device_days).await?;
    for (health, count) in [
        (Health::Ok, fleet.ok),
        (Health::Late, fleet.late),
        (Health::Silent, fleet.silent),
        (Health::Never, fleet.never),
    ] {
        metrics::gauge!(names::DEVICES, "health" => health.code()).set(gauge(count));
    }
    metrics::gauge!(names::ENTRIES_HELD).set(gauge(fleet.held));
    metrics::gauge!(names::BOARD_CHANGES_QUARANTINED).set(gauge(fleet.quarantined));
    Ok(())
}

fn gauge(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// How often a server looks for devices that fell silent.
pub const WATCH_EVERY: Duration = Duration::from_mins(10);
/// Devices of one transaction: phones wait for their rows meanwhile.
const SILENT_MAX: i64 = 200;

// A silence ends with a sync, in the moment it was told or later, and the next one is told again. A device that
// never synced is silent from its enrolment: what is captured on it is in nobody's book either.
const NOTE_SILENT: &str = "
    update device set silence_noted_at = $1 where id in (
        select d.id from device d join app_user u on u.id = d.user_id
        where d.state = 'active' and u.active and coalesce(d.last_sync_at, d.enrolled_at) <= $2
          and (d.silence_noted_at is null or d.silence_noted_at <= coalesce(d.last_sync_at, d.enrolled_at))
        order by d.id limit $3)
    returning uid, last_sync_at, unsent_count";

#[derive(sqlx::FromRow)]
struct Silent {
    uid: DeviceId,
    last_sync_at: Option<Timestamp>,
    unsent_count: i64,
}

/// Raises the alarm about devices that fell silent, once a silence: a row of the audit trail and a line of
/// the log each. Returns how many.
pub async fn watch(app: &App) -> sqlx::Result<u64> {
    let (now, mut noted) = (app.now(), 0);
    let (_, since) = bounds(now, app.settings.silent_device_days);
    loop {
        let mut tx = app.db.write().await?;
        let silent: Vec<Silent> = on_db!(&mut tx, conn => {
            sqlx::query_as(NOTE_SILENT).bind(now).bind(since).bind(SILENT_MAX).fetch_all(conn).await
        })?;
        for Silent { uid, last_sync_at, unsent_count } in &silent {
            let detail = json!({ "last_sync_at": last_sync_at, "unsent": unsent_count });
            audit::record(&mut tx, now, Actor::OPERATOR, "device.silent", uid, detail).await?;
        }
        tx.commit().await?;
        for Silent { uid, unsent_count, .. } in &silent {
            tracing::warn!(device = %uid, unsent = unsent_count, "a device is silent: what it holds is in nobody's book");
        }
        noted += silent.len() as u64;
        if silent.len() < usize::try_from(SILENT_MAX).unwrap_or(usize::MAX) {
            return Ok(noted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_once_and_memory_is_bounded() {
        let answered = Answered::default();
        answered.note(1, 300);
        answered.note(1, 50);
        assert_eq!(answered.take(1, 20), Bytes { up: 20, down: 350 });
        assert_eq!(answered.take(1, 20), Bytes { up: 20, down: 0 });
        for device in 0..70_000 {
            answered.note(device, 1);
        }
        assert_eq!(answered.by_device().len(), ANSWERED_MAX);
        answered.note(0, 1);
        assert_eq!((answered.take(0, 0).down, answered.take(69_999, 0).down), (2, 0));
    }

    #[test]
    fn a_device_is_silent_after_the_lenders_days() {
        let now: Timestamp = "2026-03-10T08:00:00Z".parse().unwrap();
        for (last, silent_days, expected) in [
            (None, 3, Health::Never),
            (Some("2026-03-10T08:00:00Z"), 3, Health::Ok),
            (Some("2026-03-09T08:00:01Z"), 3, Health::Ok),
            (Some("2026-03-09T08:00:00Z"), 3, Health::Late),
            (Some("2026-03-07T08:00:01Z"), 3, Health::Late),
            (Some("2026-03-07T08:00:00Z"), 3, Health::Silent),
            (Some("2026-03-09T08:00:00Z"), 1, Health::Silent),
            // A device that is ahead of the server's clock was just here.
            (Some("2026-03-11T08:00:00Z"), 3, Health::Ok),
        ] {
            let last = last.map(|at| at.parse().unwrap());
            assert_eq!(Health::of(last, now, silent_days), expected, "{last:?} {silent_days}");
        }
    }
}
