//! Enrolment: how a phone becomes a user's device.
//!
//! A person hands out a code; the phone makes its key pair and id, and shows the code with a proof
//! that it holds the key. The code is hashed at rest, expires, and serves one device: the same one
//! may show it again with the same key, because an answer can be lost.

use daybook_shared::ids::{DeploymentId, DeviceId, Hash, InstallId, sha256};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::sign::{Certificate, Context, DeviceState, PublicKey, ReceiptBlock, RequestProof, Signed};
use serde_json::json;

use super::codes;
use super::device::{self, Device, GrantError, Install};
use super::lease::{self, Holder};
use super::users::UserRow;
use crate::app::App;
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::{on_db, recovery};

/// A code as it is handed to a person: shown once, kept as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCode {
    /// Twelve characters in groups of four.
    pub code: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a phone sends to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The code, as the person typed it.
    pub code: String,
    /// The id the phone made for itself.
    pub device: DeviceId,
    /// The id of its store's life.
    pub install: InstallId,
    /// Its public key.
    pub key: PublicKey,
    /// What it says it runs on.
    pub platform: Option<String>,
}

/// What an enrolled phone is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The device.
    pub device: Device,
    /// The name of its user.
    pub user_name: String,
    /// Its lease.
    pub lease: String,
    /// Its certificate.
    pub certificate: Signed,
    /// Its receipt numbers.
    pub receipt_block: Signed,
}

/// Why a phone is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such code.
    #[error("no such code")]
    UnknownCode,
    /// Its time is over.
    #[error("the code has expired")]
    Expired,
    /// Another device, or another key, used it.
    #[error("the code was used by another device")]
    CodeUsed,
    /// The id is another device's.
    #[error("the device's id is in use")]
    DeviceTaken,
    /// The user or the device is no longer active.
    #[error("the user or the device is no longer active")]
    Revoked,
    /// Installs or receipt numbers.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

#[derive(sqlx::FromRow)]
struct CodeRow {
    user_id: i64,
    user_name: String,
    user_active: bool,
    expires_at: Timestamp,
    device_uid: Option<DeviceId>,
}

const INSERT_CODE: &str =
    "insert into enrolment_code (hash, user_id, created_by, created_at, expires_at) values ($1, $2, $3, $4, $5)";
const LOCK_CODE: &str = "update enrolment_code set expires_at = expires_at where hash = $1";
const SELECT_CODE: &str = "
    select c.user_id, u.name as user_name, u.active as user_active, c.expires_at, c.device_uid
    from enrolment_code c join app_user u on u.id = c.user_id where c.hash = $1";
const USE_CODE: &str = "update enrolment_code set device_uid = $1 where hash = $2 and device_uid is null";
const INSERT_DEVICE: &str = "
    insert into device (uid, user_id, public_key, platform, state, state_at, enrolled_at, series, receipt_next,
                        allowance_minor, quarantined_bytes, news_seq, caseloads_hash)
    values ($1, $2, $3, $4, 'active', $5, $5, $6, 1, 0, 0, 0, 0) on conflict do nothing returning id";
const SET_SERIES: &str = "update device set series = $1 where id = $2";
const SELECT_BLOCK: &str = "
    select series, first_number, last_number, granted_at from receipt_block
    where device_id = $1 and install_id = $2 and closed_at is null order by first_number limit 1";

/// A new code for a user.
pub async fn issue_code(
    tx: &mut Tx,
    now: Timestamp,
    app: &App,
    actor: Actor,
    user: &UserRow,
) -> sqlx::Result<IssuedCode> {
    let code = codes::grouped::<12>(&app.rng);
    let expires_at = now.plus_ms(app.settings.enrolment_code_hours * 3_600_000);
    on_db!(&mut *tx, conn => {
        sqlx::query(INSERT_CODE)
            .bind(code_hash(&code))
            .bind(user.id)
            .bind(actor.user_id)
            .bind(now)
            .bind(expires_at)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    audit::record(tx, now, actor, "enrolment_code.issued", user.uid, json!({ "expires_at": expires_at })).await?;
    Ok(IssuedCode { code, expires_at })
}

/// Whether the proof was made with the candidate's own key, over this very request.
pub fn proof_fits(candidate: &Candidate, proof: &RequestProof, path: &str, body: &[u8]) -> bool {
    let nobody = DeploymentId::from([0; 16]);
    proof.device == candidate.device
        && proof.install == candidate.install
        && proof.number == 1
        && proof.key == candidate.key.id()
        && proof.verify(&candidate.key, nobody, "POST", path, body)
}

/// Enrols a phone whose proof fits, or answers again what it was given.
pub async fn enrol(tx: &mut Tx, now: Timestamp, app: &App, candidate: &Candidate) -> Result<Enrolled, EnrolError> {
    let hash = code_hash(&candidate.code);
    on_db!(&mut *tx, conn => sqlx::query(LOCK_CODE).bind(hash).execute(conn).await.map(|_| ()))?;
    let code: Option<CodeRow> =
        on_db!(&mut *tx, conn => sqlx::query_as(SELECT_CODE).bind(hash).fetch_optional(conn).await)?;
    let code = code.ok_or(EnrolError::UnknownCode)?;
    if now >= code.expires_at {
        return Err(EnrolError::Expired);
    }
    if !code.user_active {
        return Err(EnrolError::Revoked);
    }
    let receipt_block = match code.device_uid {
        None => first_time(tx, now, app, candidate, (hash, code.user_id)).await?,
        Some(device) if device == candidate.device => again(tx, app, candidate).await?,
        Some(_) => return Err(EnrolError::CodeUsed),
    };
    let device = device::find(tx, candidate.device).await?.ok_or(sqlx::Error::RowNotFound)?;
    let key = candidate.key;
    let certificate = Certificate { device: device.uid, user: device.user_uid, key, issued_at: device.enrolled_at };
    let certificate = Signed::seal(&app.keys.server, Context::Certificate, app.deployment.id, &certificate);
    let lease = lease::issue(app, Holder { user: device.user_uid, device: device.uid, key: key.id() }, now);
    Ok(Enrolled { device, user_name: code.user_name, lease, certificate, receipt_block })
}

async fn first_time(
    tx: &mut Tx,
    now: Timestamp,
    app: &App,
    candidate: &Candidate,
    (hash, user_id): (Hash, i64),
) -> Result<Signed, EnrolError> {
    let device = candidate.device;
    let new = (device, candidate.key, candidate.platform.as_deref());
    let (id, series) = insert_row(tx, now, user_id, new).await?.ok_or(EnrolError::DeviceTaken)?;
    let used = on_db!(&mut *tx, conn => {
        sqlx::query(USE_CODE).bind(device).bind(hash).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if used != 1 {
        return Err(EnrolError::CodeUsed);
    }
    let detail = json!({ "series": series, "platform": candidate.platform });
    audit::record(tx, now, Actor::device(user_id, id), "device.enrolled", device, detail).await?;
    let Install { id: install_id, uid, .. } = device::open_install(tx, now, (id, device), candidate.install).await?;
    Ok(device::grant_block(tx, now, app, (id, device), (install_id, uid)).await?)
}

/// Adds the row of a device that this server enrolled and lost: its key and the series it has from now on.
pub async fn insert_device(
    tx: &mut Tx,
    enrolled_at: Timestamp,
    user_id: i64,
    certificate: &Certificate,
) -> sqlx::Result<Option<(i64, String)>> {
    insert_row(tx, enrolled_at, user_id, (certificate.device, certificate.key, None)).await
}

/// Adds a device's row; none if the id is taken.
async fn insert_row(
    tx: &mut Tx,
    now: Timestamp,
    user_id: i64,
    (device, key, platform): (DeviceId, PublicKey, Option<&str>),
) -> sqlx::Result<Option<(i64, String)>> {
    // The series is made of the row's key, which the row must have first: its id stands in.
    let id: Option<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(INSERT_DEVICE)
            .bind(device)
            .bind(user_id)
            .bind(key.bytes)
            .bind(platform)
            .bind(now)
            .bind(device.to_string())
            .fetch_optional(conn)
            .await
    })?;
    let Some(id) = id else { return Ok(None) };
    let series = series(id + recovery::series_from(tx).await?);
    on_db!(&mut *tx, conn => sqlx::query(SET_SERIES).bind(&series).bind(id).execute(conn).await.map(|_| ()))?;
    Ok(Some((id, series)))
}

/// The first receipt block of a device that shows its code again.
async fn again(tx: &mut Tx, app: &App, candidate: &Candidate) -> Result<Signed, EnrolError> {
    let device = device::find(tx, candidate.device).await?.ok_or(EnrolError::CodeUsed)?;
    if device.key() != Some(candidate.key) {
        return Err(EnrolError::CodeUsed);
    }
    if device.standing() != DeviceState::Ok {
        return Err(EnrolError::Revoked);
    }
    let install = device::install(tx, device.id, candidate.install).await?.ok_or(EnrolError::CodeUsed)?;
    let block: Option<(String, i64, i64, Timestamp)> = on_db!(&mut *tx, conn => {
        sqlx::query_as(SELECT_BLOCK).bind(device.id).bind(install.id).fetch_optional(conn).await
    })?;
    let (series, first, last, granted_at) = block.ok_or(EnrolError::CodeUsed)?;
    let number = |n: i64| u32::try_from(n).ok().and_then(|n| daybook_shared::entry::ReceiptNumber::new(&series, n));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Err(EnrolError::Sql(sqlx::Error::Decode(format!("receipt_block of device {}", device.uid).into())));
    };
    let last = last.number();
    Ok(device::signed_block(app, &ReceiptBlock { device: device.uid, install: install.uid, first, last, granted_at }))
}

/// The receipt series of a device's number, which is its key before the first recovery: `D` and the number
/// in base32, so never one of the provisional ones, which begin with `P`.
fn series(device_id: i64) -> String {
    format!("D{}", codes::of_number(device_id.unsigned_abs()))
}

fn code_hash(code: &str) -> Hash {
    Hash(sha256(&[b"daybook/enrolment-code", codes::normalised(code).as_bytes()]))
}

#[cfg(test)]
mod tests {
    use daybook_shared::entry::ReceiptNumber;

    use super::*;

    #[test]
    fn every_series_is_one_of_receipts() {
        for (id, expected) in [(1, "D01"), (32, "D10"), (1_048_575, "DZZZZ"), (34_359_738_367, "DZZZZZZZ")] {
            assert_eq!(series(id), expected);
            assert!(ReceiptNumber::new(&series(id), 1).is_some());
        }
    }
}
