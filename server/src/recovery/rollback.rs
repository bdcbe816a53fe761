//! Finds out that the database was set back: a device shows an acknowledgement of the present epoch that
//! this server signed and does not have.
//!
//! Every acknowledgement is written in the transaction of what it acknowledges, before it leaves, and is
//! never deleted. So one of this very epoch that is missing proves that what was written with it is missing
//! too. It takes the server's own signature: nothing that a device says by itself begins an epoch.

use daybook_shared::ids::{AckHash, Epoch};
use daybook_shared::wire::exchange::Request;
use daybook_shared::wire::sign::{Acknowledgement, Context};

use super::{Beginning, Cause, begin_epoch};
use crate::app::App;
use crate::auth::device::DeviceRequest;
use crate::db::Tx;
use crate::http::names;
use crate::on_db;

const HELD: &str = "select cast(count(*) as bigint) from acknowledgement where device_id = $1 and hash = $2";

/// Whether the server remembers an acknowledgement it gave to a device.
pub async fn is_held(tx: &mut Tx, device_id: i64, hash: AckHash) -> sqlx::Result<bool> {
    let held: i64 = on_db!(tx, conn => sqlx::query_scalar(HELD).bind(device_id).bind(hash).fetch_one(conn).await)?;
    Ok(held > 0)
}

/// Begins a new epoch if an acknowledgement of this request proves that the database was set back, and
/// raises the alarm.
pub async fn find(app: &App, device: &DeviceRequest, request: &Request) -> sqlx::Result<Option<Epoch>> {
    let epoch = app.epoch();
    let signed = request.acknowledgements.iter().flatten().find(|signed| {
        let opened = signed.open::<Acknowledgement>(&app.keys.public(), Context::Acknowledgement, app.deployment.id);
        opened.is_ok_and(|ack| ack.epoch == epoch && ack.device == device.device.uid)
    });
    let Some(hash) = signed.map(Acknowledgement::hash) else { return Ok(None) };
    let mut tx = app.db.write().await?;
    if is_held(&mut tx, device.device.id, hash).await? {
        return Ok(None);
    }
    let device_id = Some(device.device.id);
    let beginning = Beginning { cause: Cause::Rollback, before: epoch, backup_at: None, device_id };
    let begun = begin_epoch(&mut tx, (app.now(), &app.rng), beginning).await?;
    tx.commit().await?;
    let Some(begun) = begun else { return Ok(None) };
    app.set_epoch(begun);
    metrics::counter!(names::RECOVERIES).increment(1);
    tracing::error!(
        device = %device.device.uid, before = %epoch, epoch = %begun,
        "the database was set back: it lacks what this server signed. A new epoch begins, phones hand in again \
         what they keep, payouts and exports stop until `daybook recovery confirm`"
    );
    Ok(Some(begun))
}
