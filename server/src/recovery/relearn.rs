//! What a restored server learns again from phones: what it had signed itself (the certificate of a device,
//! its blocks of receipt numbers, its acknowledgements), and, on the device's word, which dossiers it held.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::ids::{AckHash, DeviceId, DossierId, EnvelopeId, InstallId, UserId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::envelope::Envelope;
use daybook_shared::wire::exchange::Request;
use daybook_shared::wire::limits::{HELD_DOSSIERS_MAX, SHOWN_ACKNOWLEDGEMENTS_MAX, SHOWN_BLOCKS_MAX};
use daybook_shared::wire::sign::{Acknowledgement, Certificate, Context, ReceiptBlock, RequestProof, Signed};
use serde_json::json;

use crate::app::App;
use crate::audit::{self, Actor};
use crate::auth::device::{self, DeviceRequest, GrantError};
use crate::auth::{Role, enrolment, units};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;
use crate::sync::effects::AcknowledgementRow;

/// The certificate in the header `daybook-certificate`, if this server signed it for the device that
/// made the proof, with the device's key over this very request.
pub fn certificate(
    app: &App,
    headers: &HeaderMap,
    proof: &RequestProof,
    (method, path, body): (&str, &str, &[u8]),
) -> Option<Certificate> {
    let bytes = URL_SAFE_NO_PAD.decode(headers.get(Certificate::HEADER)?.as_bytes()).ok()?;
    let signed: Signed = minicbor::decode(&bytes).ok()?;
    let deployment = app.deployment.id;
    let certificate: Certificate = signed.open(&app.keys.public(), Context::Certificate, deployment).ok()?;
    let fits = certificate.device == proof.device
        && certificate.key.id() == proof.key
        && proof.verify(&certificate.key, deployment, method, path, body);
    fits.then_some(certificate)
}

const SELECT_USER: &str = "select id from app_user where uid = $1";
const INSERT_USER: &str = "
    insert into app_user (uid, login, name, password_hash, active, deactivated_at, created_at)
    values ($1, $2, $3, 'none', false, $4, $5) returning id";
const INSERT_ROLE: &str = "insert into user_role (user_id, role, unit_id, granted_at) values ($1, $2, $3, $4)";

/// Adds a device that was enrolled after the backup, and, if he was added after it too, its user: one who
/// may not sign in, so that all his captures wait for a person, seen by whoever reaches the whole lender.
pub async fn device(app: &App, certificate: &Certificate) -> sqlx::Result<()> {
    let now = app.now();
    let mut tx = app.db.write().await?;
    if device::find(&mut tx, certificate.device).await?.is_some() {
        return Ok(());
    }
    let known: Option<i64> =
        on_db!(&mut tx, conn => sqlx::query_scalar(SELECT_USER).bind(certificate.user).fetch_optional(conn).await)?;
    let user_id = match known {
        Some(user_id) => user_id,
        None => stand_in(&mut tx, now, certificate.user).await?,
    };
    let made = enrolment::insert_device(&mut tx, certificate.issued_at, user_id, certificate).await?;
    if let Some((device_id, series)) = made {
        let detail = json!({ "series": series, "user": certificate.user, "user_known": known.is_some() });
        let actor = Actor::device(user_id, device_id);
        audit::record(&mut tx, now, actor, "device.relearned", certificate.device, detail).await?;
    }
    tx.commit().await?;
    tracing::warn!(device = %certificate.device, user = %certificate.user, "a device is known again by its certificate");
    Ok(())
}

async fn stand_in(tx: &mut Tx, now: Timestamp, user: UserId) -> sqlx::Result<i64> {
    let login = format!("lost-{user}");
    let user_id: i64 = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(INSERT_USER)
            .bind(user)
            .bind(&login)
            .bind("Added after the backup")
            .bind(Timestamp::EPOCH)
            .bind(now)
            .fetch_one(conn)
            .await
    })?;
    if let Some(root) = units::root(tx).await? {
        on_db!(&mut *tx, conn => {
            sqlx::query(INSERT_ROLE).bind(user_id).bind(Role::Officer).bind(root.id).bind(now).execute(conn).await
                .map(|_| ())
        })?;
    }
    audit::record(tx, now, Actor { user_id: None, device_id: None }, "user.relearned", user, json!({})).await?;
    Ok(user_id)
}

/// An acknowledgement of another epoch, given to the device that shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    hash: AckHash,
    said: Acknowledgement,
}

/// Acknowledgements of other epochs that a request shows: moments that captures name as `after`, anchors in
/// time, and when envelopes that are handed in again had been taken.
pub fn acknowledgements(app: &App, device: &DeviceRequest, request: &Request) -> Vec<Shown> {
    let (key, epoch) = (app.keys.public(), app.epoch());
    let shown = request.acknowledgements.iter().flatten().take(SHOWN_ACKNOWLEDGEMENTS_MAX);
    let opened = shown.filter_map(|signed| {
        let said: Acknowledgement = signed.open(&key, Context::Acknowledgement, app.deployment.id).ok()?;
        let ours = said.device == device.device.uid && said.epoch != epoch;
        ours.then(|| Shown { hash: Acknowledgement::hash(signed), said })
    });
    opened.collect()
}

/// Since when an envelope with this one's number was held in histories of the database that were lost, as far as it
/// is shown. It was another one only if two phones are one install.
pub fn held_since(shown: &[Shown], envelope: &Envelope) -> Vec<Timestamp> {
    let header = &envelope.header;
    let speaks_of_it = |said: &&Acknowledgement| {
        let is_another = said.number == header.number && said.envelope != envelope.id;
        said.install == header.install && !is_another
    };
    let said = shown.iter().map(|shown| &shown.said).filter(speaks_of_it);
    said.filter_map(|said| said.held_since(header.number)).collect()
}

/// Takes in what a request shows of other epochs. Only what this server signed for this very device
/// counts, but for the dossiers, which count once an epoch.
pub async fn take_in(app: &App, device: &DeviceRequest, request: &Request, shown: &[Shown]) -> sqlx::Result<()> {
    let row = |shown: &Shown| AcknowledgementRow { device_id: device.device.id, hash: shown.hash, at: shown.said.at };
    let acknowledgements: Vec<_> = shown.iter().map(row).collect();
    let blocks = blocks(app, device, request);
    let rewinds = request.blocks.is_some();
    if acknowledgements.is_empty() && !rewinds {
        return Ok(());
    }
    let mut tx = app.db.write().await?;
    if !super::ever(&mut tx).await? {
        return Ok(());
    }
    batch::execute(&mut tx, &acknowledgements, INSERT_ACKNOWLEDGEMENTS).await?;
    if rewinds {
        receipt_blocks(&mut tx, app, device, blocks).await?;
        holdings(&mut tx, app, device, request).await?;
    }
    tx.commit().await
}

const INSERT_ACKNOWLEDGEMENTS: &str = "insert into acknowledgement (device_id, hash, at)
     select device_id, hash, at from v where true on conflict do nothing";

fn blocks(app: &App, device: &DeviceRequest, request: &Request) -> Vec<ReceiptBlock> {
    let shown = request.blocks.iter().flatten().take(SHOWN_BLOCKS_MAX);
    let opened = shown
        .filter_map(|signed| signed.open::<ReceiptBlock>(&app.keys.public(), Context::Block, app.deployment.id).ok());
    opened.filter(|block| block.device == device.device.uid && block.first.number() <= block.last).collect()
}

batch_row! {
    struct BlockRow {
        device_id: i64 => "bigint",
        install_id: i64 => "bigint",
        series: String => "text",
        first_number: i64 => "bigint",
        last_number: i64 => "bigint",
        granted_at: Timestamp => "timestamptz",
        closed_at: Option<Timestamp> => "timestamptz",
    }
}

const INSERT_BLOCKS: &str =
    "insert into receipt_block (device_id, install_id, series, first_number, last_number, granted_at, closed_at)
     select device_id, install_id, series, first_number, last_number, granted_at, closed_at from v where true
     on conflict do nothing";
const LOCK_DEVICE: &str = "update device set state = state where id = $1 returning series";
const COUNT_BLOCKS: &str = "select cast(count(*) as bigint) from receipt_block where device_id = $1";
const SET_SERIES: &str = "update device set series = $1 where id = $2
     and not exists (select 1 from device o where o.series = $1 and o.id <> $2)";
const RAISE_NEXT: &str = "update device set receipt_next = $1 where id = $2 and series = $3 and receipt_next < $1";

/// Blocks that were granted after the backup. No number is ever granted twice: what a phone holds moves
/// its series ahead.
async fn receipt_blocks(
    tx: &mut Tx,
    app: &App,
    request: &DeviceRequest,
    blocks: Vec<ReceiptBlock>,
) -> sqlx::Result<()> {
    let (now, device) = (app.now(), &request.device);
    let own: Option<String> =
        on_db!(&mut *tx, conn => sqlx::query_scalar(LOCK_DEVICE).bind(device.id).fetch_optional(conn).await)?;
    let Some(newest) = blocks.iter().max_by_key(|block| block.granted_at) else { return Ok(()) };
    let series = newest.first.series().to_owned();
    let known: i64 = on_db!(&mut *tx, conn => sqlx::query_scalar(COUNT_BLOCKS).bind(device.id).fetch_one(conn).await)?;
    if known == 0 && own.as_ref() != Some(&series) {
        // A device that was added again by its certificate goes on with the series it had.
        let set = on_db!(&mut *tx, conn => {
            sqlx::query(SET_SERIES).bind(&series).bind(device.id).execute(conn).await.map(|done| done.rows_affected())
        })?;
        if set == 0 {
            tracing::error!(device = %device.uid, series, "another device has the series of this one's receipts");
        }
    }
    let mut installs = BTreeMap::new();
    for block in &blocks {
        if let Entry::Vacant(missing) = installs.entry(block.install) {
            missing.insert(install(tx, now, request, block.install).await?);
        }
    }
    let rows = blocks.iter().filter_map(|block| {
        let install_id = installs.get(&block.install).copied().flatten()?;
        Some(BlockRow {
            device_id: device.id,
            install_id,
            series: block.first.series().to_owned(),
            first_number: i64::from(block.first.number()),
            last_number: i64::from(block.last),
            granted_at: block.granted_at,
            closed_at: (block.install != request.install).then_some(now),
        })
    });
    let rows: Vec<_> = rows.collect();
    batch::execute(tx, &rows, INSERT_BLOCKS).await?;
    for row in rows {
        let (next, series) = (row.last_number + 1, row.series);
        on_db!(&mut *tx, conn => {
            sqlx::query(RAISE_NEXT).bind(next).bind(device.id).bind(series).execute(conn).await.map(|_| ())
        })?;
    }
    Ok(())
}

/// The row of an install, opened if the backup has not got it: the present one as every request opens it,
/// an older one as ended. None when the device has opened too many.
async fn install(
    tx: &mut Tx,
    now: Timestamp,
    request: &DeviceRequest,
    install: InstallId,
) -> sqlx::Result<Option<i64>> {
    let device = (request.device.id, request.device.uid);
    if let Some(known) = device::install(tx, device.0, install).await? {
        return Ok(Some(known.id));
    }
    if install != request.install {
        return ended_install(tx, now, device, install).await.map(Some);
    }
    match device::open_install(tx, now, device, install).await {
        Ok(opened) => Ok(Some(opened.id)),
        Err(GrantError::Sql(error)) => Err(error),
        Err(GrantError::TooManyInstalls | GrantError::SeriesUsedUp) => Ok(None),
    }
}

const INSERT_ENDED: &str = "
    insert into install (uid, device_id, opened_at, closed_at, last_number, last_envelope, last_request, failures)
    values ($1, $2, $3, $4, 0, $5, 0, 0) returning id";

/// Adds an install that was opened and ended after the backup. It counts for the month's installs by
/// the time in its id, which its phone drew.
pub async fn ended_install(
    tx: &mut Tx,
    now: Timestamp,
    (device_id, device): (i64, DeviceId),
    install: InstallId,
) -> sqlx::Result<i64> {
    let opened_at = drawn_at(install).min(now);
    let id = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(INSERT_ENDED)
            .bind(install)
            .bind(device_id)
            .bind(opened_at)
            .bind(now)
            .bind(EnvelopeId::NONE)
            .fetch_one(conn)
            .await
    })?;
    let actor = Actor { user_id: None, device_id: Some(device_id) };
    audit::record(tx, now, actor, "install.relearned", device, json!({ "install": install })).await?;
    Ok(id)
}

/// When an id was drawn: the first 48 bits of a UUIDv7 are milliseconds.
fn drawn_at(install: InstallId) -> Timestamp {
    let ms = install.as_bytes()[..6].iter().fold(0, |ms, byte| (ms << 8) | i64::from(*byte));
    Timestamp::from_millis(ms)
}

batch_row! {
    struct HoldingRow { user_id: i64 => "bigint", dossier_uid: DossierId => "uuid", at: Timestamp => "timestamptz" }
}

const INSERT_REWOUND: &str =
    "insert into rewound_device (device_id, epoch, at) values ($1, $2, $3) on conflict do nothing";
const INSERT_HOLDINGS: &str = "insert into rewound_holding (user_id, dossier_uid, at)
     select user_id, dossier_uid, at from v where true on conflict do nothing";

/// What the device holds may have been given to it after the backup.
async fn holdings(tx: &mut Tx, app: &App, request: &DeviceRequest, asked: &Request) -> sqlx::Result<()> {
    let (now, device) = (app.now(), &request.device);
    let first = on_db!(&mut *tx, conn => {
        sqlx::query(INSERT_REWOUND).bind(device.id).bind(app.epoch()).bind(now).execute(conn).await
            .map(|done| done.rows_affected())
    })?;
    if first == 0 {
        return Ok(());
    }
    let held = asked.have.iter().flatten().take(HELD_DOSSIERS_MAX);
    let rows: Vec<_> =
        held.map(|held| HoldingRow { user_id: device.user_id, dossier_uid: held.dossier, at: now }).collect();
    batch::execute(tx, &rows, INSERT_HOLDINGS).await?;
    let detail = json!({ "epoch": app.epoch().to_string(), "dossiers": rows.len() });
    audit::record(tx, now, Actor::device(device.user_id, device.id), "device.rewound", device.uid, detail).await
}
