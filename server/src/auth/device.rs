//! Devices: enrolled phones, their installs, their receipt numbers, and how a request proves which
//! device it comes from.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::board::BoardRole;
use daybook_shared::entry::ReceiptNumber;
use daybook_shared::ids::{DeviceId, EnvelopeId, Epoch, Hash, InstallId, UserId};
use daybook_shared::time::{DAY_MS, Timestamp};
use daybook_shared::wire::limits::{INSTALLS_A_MONTH_MAX, RECEIPT_BLOCK_SIZE};
use daybook_shared::wire::sign::{Algorithm, Context, DeviceState, PublicKey, ReceiptBlock, RequestProof, Signed};
use serde_json::json;

use super::alarm;
use super::lease::{self, Holder, Lease};
use super::roles::{Permission, board_role};
use super::users::User;
use crate::app::App;
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::http::problem::{Code, Problem};
use crate::recovery::relearn;
use crate::spelled::spelled;
use crate::{on_db, visible_units};

spelled! {
    /// What became of a device.
    DeviceStatus {
        /// In use.
        Active = "active",
        /// Given back.
        Retired = "retired",
        /// Lost or stolen: nothing of it is believed without a person.
        Lost = "lost",
    }
}

/// A device and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Device {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: DeviceId,
    /// Key of the user.
    pub user_id: i64,
    /// The user.
    pub user_uid: UserId,
    /// Whether the user may still sign in.
    pub user_active: bool,
    /// Since when he may not.
    pub user_deactivated_at: Option<Timestamp>,
    /// The device's public key.
    public_key: Vec<u8>,
    /// What became of it.
    pub state: DeviceStatus,
    /// Since when.
    pub state_at: Timestamp,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// The series of its receipt numbers.
    pub series: String,
    /// What it said it runs on.
    pub platform: Option<String>,
    /// Its last exchange.
    pub last_sync_at: Option<Timestamp>,
    /// The roles its user has now.
    roles: Option<String>,
}

impl Device {
    /// The device's public key; none if the row is damaged.
    pub fn key(&self) -> Option<PublicKey> {
        let bytes = Hash(self.public_key.as_slice().try_into().ok()?);
        Some(PublicKey { algorithm: Algorithm::Ed25519, bytes })
    }

    /// What an acknowledgement says of it.
    pub fn standing(&self) -> DeviceState {
        match (self.state, self.user_active) {
            (DeviceStatus::Lost, _) => DeviceState::Wipe,
            (DeviceStatus::Retired, _) | (DeviceStatus::Active, false) => DeviceState::Revoked,
            (DeviceStatus::Active, true) => DeviceState::Ok,
        }
    }

    /// In which capacity its user edits boards.
    pub fn board_role(&self) -> BoardRole {
        board_role(self.roles.iter().flat_map(|roles| roles.split(' ')).filter_map(|code| code.parse().ok()))
    }

    /// Whom a lease of this device is for.
    pub fn holder(&self) -> Option<Holder> {
        Some(Holder { user: self.user_uid, device: self.uid, key: self.key()?.id() })
    }
}

/// One life of a device's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Install {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: InstallId,
    /// When another took its place.
    pub closed_at: Option<Timestamp>,
    /// The number of the last envelope taken.
    pub last_number: i64,
    /// The last envelope taken.
    pub last_envelope: EnvelopeId,
    /// The number of the last request answered.
    pub last_request: i64,
}

/// A request whose device is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The device.
    pub device: Device,
    /// The install it says it is; it may be a new one.
    pub install: InstallId,
    /// The request's number. Whether it goes up is checked where the install's row is locked.
    pub number: u64,
    /// What the lease is worth.
    pub lease: Lease,
}

impl DeviceRequest {
    /// Whether it gets more than an answer to what it hands in.
    pub fn may_read(&self) -> bool {
        matches!(self.lease, Lease::Valid { .. }) && self.device.standing() == DeviceState::Ok
    }
}

macro_rules! columns {
    () => {
        " d.id, d.uid, d.user_id, u.uid as user_uid, u.active as user_active,
          u.deactivated_at as user_deactivated_at, d.public_key, d.state, d.state_at, d.enrolled_at, d.series,
          d.platform, d.last_sync_at,
          (select string_agg(r.role, ' ') from user_role r where r.user_id = u.id and r.ended_at is null) as roles
          from device d join app_user u on u.id = d.user_id "
    };
}

const SELECT: &str = concat!("select", columns!(), "where d.uid = $1");
/// With the epoch, so that every request of a phone knows it.
const SELECT_ASKING: &str =
    concat!("select (select p.epoch from deployment p where p.id = 1) as epoch,", columns!(), "where d.uid = $1");
/// A device is reached through its user, by the rule of [`super::users::page`].
#[macro_export]
macro_rules! device_seen {
    () => {
        "exists (select 1 from user_role r join visible v on v.id = r.unit_id
                 where r.user_id = d.user_id and r.ended_at is null)"
    };
}
const ONE_SEEN: &str = concat!(visible_units!(), "select", columns!(), "where d.uid = $3 and ", device_seen!());
const SET_STATE: &str = "update device set state = $1, state_at = $2 where id = $3";
const SELECT_INSTALL: &str = "
    select id, uid, closed_at, last_number, last_envelope, last_request from install
    where device_id = $1 and uid = $2";
const COUNT_INSTALLS: &str = "select cast(count(*) as bigint) from install where device_id = $1 and opened_at > $2";
const CLOSE_INSTALLS: &str = "update install set closed_at = $1 where device_id = $2 and closed_at is null";
const CLOSE_BLOCKS: &str = "update receipt_block set closed_at = $1 where device_id = $2 and closed_at is null";
const INSERT_INSTALL: &str = "
    insert into install (uid, device_id, opened_at, last_number, last_envelope, last_request, failures)
    values ($1, $2, $3, 0, $4, 0, 0)
    returning id, uid, closed_at, last_number, last_envelope, last_request";
const TAKE_NUMBERS: &str =
    "update device set receipt_next = receipt_next + $1 where id = $2 returning receipt_next - $1, series";
const INSERT_BLOCK: &str = "
    insert into receipt_block (device_id, install_id, series, first_number, last_number, granted_at)
    values ($1, $2, $3, $4, $5, $6)";

/// The device with this id.
pub async fn find(tx: &mut Tx, device: DeviceId) -> sqlx::Result<Option<Device>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(device).fetch_optional(conn).await)
}

/// A device, if `by` reaches its user with this permission.
pub async fn find_seen(
    tx: &mut Tx,
    by: &User,
    permission: Permission,
    device: DeviceId,
) -> sqlx::Result<Option<Device>> {
    on_db!(tx, conn => {
        sqlx::query_as(ONE_SEEN).bind(by.id).bind(permission.role_list()).bind(device).fetch_optional(conn).await
    })
}

/// A device that asks, and the epoch of the database.
#[derive(Debug, sqlx::FromRow)]
struct Asking {
    epoch: Epoch,
    #[sqlx(flatten)]
    device: Device,
}

/// Finds the device that made a request and checks its signature over method, path and the body as
/// sent, before anything is inflated. An unknown device and a wrong signature are the same answer.
///
/// A device that is retired or lost, or whose user is no longer active, passes: it may always hand
/// in. What it gets is up to [`Device::standing`] and the lease. One that is not known, because it was
/// enrolled after the backup that was restored, is added again by its certificate.
pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    (method, path): (&str, &str),
    body: &[u8],
) -> Result<DeviceRequest, Problem> {
    let proof = proof_of(headers).ok_or_else(Problem::unauthenticated)?;
    let mut asking = asking(app, proof.device).await?;
    if asking.is_none()
        && let Some(certificate) = relearn::certificate(app, headers, &proof, (method, path, body))
    {
        relearn::device(app, &certificate).await?;
        asking = self::asking(app, proof.device).await?;
    }
    let known = asking.and_then(|Asking { device, .. }| device.key().map(|key| (device, key)));
    let Some((device, key)) = known else { return Err(Problem::unauthenticated()) };
    if proof.key != key.id() || !proof.verify(&key, app.deployment.id, method, path, body) {
        alarm::wrong_signature(app, device.uid, "request_signature");
        return Err(Problem::unauthenticated());
    }
    let holder = Holder { user: device.user_uid, device: device.uid, key: key.id() };
    let lease = bearer(headers).map_or(Lease::Invalid, |token| lease::check(app, token, holder, app.now()));
    Ok(DeviceRequest { device, install: proof.install, number: proof.number, lease })
}

const RAISE_REQUEST: &str =
    "update install set last_request = $1 where device_id = $2 and uid = $3 and last_request < $1";
const SELECT_LAST_REQUEST: &str = "select last_request from install where device_id = $1 and uid = $2";

/// Takes the number of a request beside the exchange: numbers only go up, so that what was overheard cannot
/// be sent again. An install that never synced is not known yet.
pub async fn take_number(tx: &mut Tx, request: &DeviceRequest) -> sqlx::Result<Result<(), Problem>> {
    let number = i64::try_from(request.number).unwrap_or(i64::MAX);
    let (device_id, install) = (request.device.id, request.install);
    let raised = on_db!(&mut *tx, conn => {
        sqlx::query(RAISE_REQUEST).bind(number).bind(device_id).bind(install).execute(conn).await
            .map(|done| done.rows_affected())
    })?;
    if raised == 1 {
        return Ok(Ok(()));
    }
    let last: Option<i64> = on_db!(tx, conn => {
        sqlx::query_scalar(SELECT_LAST_REQUEST).bind(device_id).bind(install).fetch_optional(conn).await
    })?;
    Ok(Err(match last {
        None => Problem::not_found(),
        Some(last) => Problem::new(Code::StaleRequest, "Go on with a request number above `last`.").with("last", last),
    }))
}

/// The device with this id; the epoch that was read with it is the server's from now on.
async fn asking(app: &App, device: DeviceId) -> sqlx::Result<Option<Asking>> {
    let mut tx = app.db.look().await?;
    let asking: Option<Asking> =
        on_db!(&mut tx, conn => sqlx::query_as(SELECT_ASKING).bind(device).fetch_optional(conn).await)?;
    if let Some(Asking { epoch, .. }) = &asking {
        app.set_epoch(*epoch);
    }
    Ok(asking)
}

/// The proof in the header `daybook-device`.
pub fn proof_of(headers: &HeaderMap) -> Option<RequestProof> {
    let bytes = URL_SAFE_NO_PAD.decode(headers.get(RequestProof::HEADER)?.as_bytes()).ok()?;
    let mut decoder = minicbor::Decoder::new(&bytes);
    let proof = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(proof)
}

/// The token of the header `Authorization: Bearer`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What stops a device from taking part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Given back: what it captures from now on waits for a person.
    Retirement,
    /// Lost or stolen: all that comes from it waits for a person.
    Loss,
}

/// Retires a device or notes its loss. A lost one stays lost; what is so already stays as it is.
pub async fn end(tx: &mut Tx, now: Timestamp, actor: Actor, device: &Device, ending: Ending) -> sqlx::Result<()> {
    let (state, action) = match (ending, device.state) {
        (Ending::Retirement, DeviceStatus::Active) => (DeviceStatus::Retired, "device.retired"),
        (Ending::Loss, DeviceStatus::Active | DeviceStatus::Retired) => (DeviceStatus::Lost, "device.lost"),
        (_, DeviceStatus::Retired | DeviceStatus::Lost) => return Ok(()),
    };
    on_db!(&mut *tx, conn => {
        sqlx::query(SET_STATE).bind(state).bind(now).bind(device.id).execute(conn).await.map(|_| ())
    })?;
    audit::record(tx, now, actor, action, device.uid, json!({ "was": device.state.code() })).await
}

/// Why an install cannot be opened or a block granted.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// More installs in a month than a device may open without a person.
    #[error("the device opened {INSTALLS_A_MONTH_MAX} installs in 30 days; a person has to look at it")]
    TooManyInstalls,
    /// The series has no numbers left.
    #[error("the device's series of receipt numbers is used up; enrol it anew")]
    SeriesUsedUp,
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// The install with this id, if it was opened.
pub async fn install(tx: &mut Tx, device_id: i64, install: InstallId) -> sqlx::Result<Option<Install>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_INSTALL).bind(device_id).bind(install).fetch_optional(conn).await)
}

/// Opens an install: the device's older ones end, and so do their receipt blocks. The caller holds
/// the device's row, and has looked whether the install is there.
pub async fn open_install(
    tx: &mut Tx,
    now: Timestamp,
    device: (i64, DeviceId),
    install: InstallId,
) -> Result<Install, GrantError> {
    let (device_id, device) = device;
    let month_ago = now.plus_ms(-30 * DAY_MS);
    let opened: i64 = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(COUNT_INSTALLS).bind(device_id).bind(month_ago).fetch_one(conn).await
    })?;
    if opened >= INSTALLS_A_MONTH_MAX {
        return Err(GrantError::TooManyInstalls);
    }
    for close in [CLOSE_INSTALLS, CLOSE_BLOCKS] {
        on_db!(&mut *tx, conn => sqlx::query(close).bind(now).bind(device_id).execute(conn).await.map(|_| ()))?;
    }
    let row: Install = on_db!(&mut *tx, conn => {
        sqlx::query_as(INSERT_INSTALL)
            .bind(install)
            .bind(device_id)
            .bind(now)
            .bind(EnvelopeId::NONE)
            .fetch_one(conn)
            .await
    })?;
    let actor = Actor { user_id: None, device_id: Some(device_id) };
    audit::record(tx, now, actor, "install.opened", device, json!({ "install": install })).await?;
    Ok(row)
}

/// Grants the next 50 receipt numbers of the device's series to an install. No number is ever
/// granted twice.
pub async fn grant_block(
    tx: &mut Tx,
    now: Timestamp,
    app: &App,
    (device_id, device): (i64, DeviceId),
    (install_id, install): (i64, InstallId),
) -> Result<Signed, GrantError> {
    let size = i64::from(RECEIPT_BLOCK_SIZE);
    let (first, series): (i64, String) = on_db!(&mut *tx, conn => {
        sqlx::query_as(TAKE_NUMBERS).bind(size).bind(device_id).fetch_one(conn).await
    })?;
    let last = first + size - 1;
    let number = |n: i64| u32::try_from(n).ok().and_then(|n| ReceiptNumber::new(&series, n));
    let (Some(first_number), Some(last_number)) = (number(first), number(last)) else {
        return Err(GrantError::SeriesUsedUp);
    };
    on_db!(&mut *tx, conn => {
        sqlx::query(INSERT_BLOCK)
            .bind(device_id)
            .bind(install_id)
            .bind(&series)
            .bind(first)
            .bind(last)
            .bind(now)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    let last = last_number.number();
    Ok(signed_block(app, &ReceiptBlock { device, install, first: first_number, last, granted_at: now }))
}

/// A block as the phone keeps it.
pub fn signed_block(app: &App, block: &ReceiptBlock) -> Signed {
    Signed::seal(&app.keys.server, Context::Block, app.deployment.id, block)
}
