//! How the phones in the field do: when each was last heard of, and what of theirs waits for a person.
//!
//! A phone keeps what it captures until it reaches a server, so one that falls silent holds money that is in
//! nobody's book. That is what this is for: to see it before the cash has grown old.

use std::sync::Mutex;

use daybook_shared::time::{DAY_MS, Timestamp};

use crate::app::App;
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
    let ok_since = now.plus_ms(-OK_MS_MAX);
    let silent_since = now.plus_ms(-silent_days * DAY_MS).min(ok_since);
    on_db!(tx, conn => sqlx::query_as(SELECT_FLEET).bind(ok_since).bind(silent_since).fetch_one(conn).await)
}

/// When the metrics last had these numbers.
#[derive(Debug, Default)]
pub struct FleetAge(Mutex<Option<Timestamp>>);

impl FleetAge {
    /// Whether they are too old; who is told so brings new ones.
    fn is_over(&self, now: Timestamp) -> bool {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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

#[cfg(test)]
mod tests {
    use super::*;

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
