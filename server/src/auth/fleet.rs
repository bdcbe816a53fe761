//! Lists of devices: whose each is, what became of it, and how it does.

use daybook_shared::ids::{DeviceId, UserId};
use daybook_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::device::DeviceStatus;
use super::roles::Permission;
use super::users::User;
use crate::app::App;
use crate::db::Tx;
use crate::sync::health::{self, Health};
use crate::{device_seen, on_db, visible_units};

#[derive(sqlx::FromRow)]
struct Row {
    uid: DeviceId,
    user_uid: UserId,
    login: String,
    user_active: bool,
    state: DeviceStatus,
    state_at: Timestamp,
    enrolled_at: Timestamp,
    platform: Option<String>,
    series: String,
    last_sync_at: Option<Timestamp>,
    unsent_count: i64,
    unsent_oldest_at: Option<Timestamp>,
    bytes_up: i64,
    bytes_down: i64,
    wiped_at: Option<Timestamp>,
    held: i64,
}

/// A device, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeviceView {
    /// The device.
    pub id: DeviceId,
    /// Whose it is.
    pub user: UserId,
    /// His login.
    #[serde(skip)]
    pub login: String,
    /// active, retired or lost.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Since when.
    pub state_at: Timestamp,
    /// When a lost one said that it has erased itself by order.
    pub wiped_at: Option<Timestamp>,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// ok (synced within a day), late, silent (not within the lender's limit) or never; null for a device that
    /// is not in use, or whose user is not active.
    #[schema(value_type = Option<String>, example = "ok")]
    pub health: Option<&'static str>,
    /// Its last exchange.
    pub last_sync_at: Option<Timestamp>,
    /// What it said then that it still holds.
    pub unsent: UnsentView,
    /// Its captures that wait for a person.
    pub held: i64,
    /// Bytes of its requests so far.
    pub bytes_up: i64,
    /// Bytes of the answers to them. The newest are added with its next request.
    pub bytes_down: i64,
    /// What it said it runs on.
    pub platform: Option<String>,
    /// The letters and digits in front of its receipt numbers.
    #[schema(example = "D01")]
    pub receipt_series: String,
}

/// What a phone said at its last request that it still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnsentView {
    /// How many captures.
    pub count: i64,
    /// When the oldest of them was captured, by the phone's clock.
    pub oldest_at: Option<Timestamp>,
}

/// Which devices of a list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Those that do so; all without it.
    pub health: Option<Health>,
    /// Those after this one.
    pub after: Option<DeviceId>,
    /// At most so many.
    pub limit: i64,
}

// $1, $2: whose reach; $8: the operator's, who has the database itself. The health of $4 is that of
// `Health::of`; only devices in use have one.
const PAGE: &str = concat!(
    visible_units!(),
    "select d.uid, u.uid as user_uid, u.login, u.active as user_active, d.state, d.state_at, d.enrolled_at,
            d.platform, d.series, d.last_sync_at, d.unsent_count, d.unsent_oldest_at, d.bytes_up, d.bytes_down, d.wiped_at,
            (select cast(count(*) as bigint) from entry e where e.device_id = d.id and e.outcome = 'held') as held
     from device d join app_user u on u.id = d.user_id
     where d.id > coalesce((select id from device where uid = $3), 0)
       and ($4 = '' or (d.state = 'active' and u.active and $4 =
            case when d.last_sync_at is null then 'never' when d.last_sync_at > $5 then 'ok'
                 when d.last_sync_at > $6 then 'late' else 'silent' end))
       and ($8 or ",
    device_seen!(),
    ") order by d.id limit $7"
);

/// A page of the devices that a user reaches with this permission, or of all for the operator at the machine,
/// in the order they were enrolled.
pub async fn page(
    tx: &mut Tx,
    app: &App,
    by: Option<(&User, Permission)>,
    wanted: Wanted,
) -> sqlx::Result<Vec<DeviceView>> {
    let now = app.now();
    let (ok_since, silent_since) = health::bounds(now, app.settings.silent_device_days);
    let (user, roles) = by.map_or((0, String::new()), |(user, permission)| (user.id, permission.role_list()));
    let rows: Vec<Row> = on_db!(tx, conn => {
        sqlx::query_as(PAGE)
            .bind(user)
            .bind(roles)
            .bind(wanted.after)
            .bind(wanted.health.map_or("", Health::code))
            .bind(ok_since)
            .bind(silent_since)
            .bind(wanted.limit)
            .bind(by.is_none())
            .fetch_all(conn)
            .await
    })?;
    Ok(rows.into_iter().map(|row| view(row, now, app.settings.silent_device_days)).collect())
}

fn view(row: Row, now: Timestamp, silent_days: i64) -> DeviceView {
    let in_use = row.state == DeviceStatus::Active && row.user_active;
    DeviceView {
        id: row.uid,
        user: row.user_uid,
        login: row.login,
        state: row.state.code(),
        state_at: row.state_at,
        wiped_at: row.wiped_at,
        enrolled_at: row.enrolled_at,
        health: in_use.then(|| Health::of(row.last_sync_at, now, silent_days).code()),
        last_sync_at: row.last_sync_at,
        unsent: UnsentView { count: row.unsent_count, oldest_at: row.unsent_oldest_at },
        held: row.held,
        bytes_up: row.bytes_up,
        bytes_down: row.bytes_down,
        platform: row.platform,
        receipt_series: row.series,
    }
}
