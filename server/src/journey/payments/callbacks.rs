//! What gateways say by themselves. It is never believed: it brings about a question, by whoever does what is due.
//!
//! A callback that is signed wrongly is refused and leaves nothing. One that is taken has a row by the gateway's own
//! id of the event, or by its hash, so that the same twice is once; its body, which may name people, is not kept.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use daybook_shared::ids::{Hash, PaymentId, sha256};
use daybook_shared::time::{DAY_MS, Timestamp};

use crate::app::App;
use crate::db::{Db, Tx};
use crate::gateways::{CallbackError, GatewayName, Hint, Inbound};
use crate::http::extract::{Path, RawBody};
use crate::http::problem::{Code, Problem};
use crate::on_db;

/// Callbacks about one payment that are kept; those after bring about nothing.
const CALLBACKS_MAX: i64 = 50;
/// The longest id of an event and reference that are kept.
const TEXT_BYTES_MAX: usize = 128;

/// A gateway says that something happened to a payment.
///
/// Signed as was agreed with the gateway, its time within five minutes of ours. Nothing secret may be in the address:
/// one with a query is refused.
#[utoipa::path(
    post,
    path = "/v1/gateways/{gateway}/callbacks",
    tag = "gateways",
    params(("gateway" = String, Path, description = "mobile_money or card.", example = "mobile_money")),
    request_body(
        content = Object,
        description = "As the gateway makes it, at most 64 KiB.",
        content_type = "application/json",
        example = json!({ "event": "ev-000123", "reference": "019cad21-cf00-7000-8000-c11e00000004" }),
    ),
    responses((status = 200, description = "It is taken; the payment will be looked at."))
)]
pub async fn take(
    State(app): State<Arc<App>>,
    Path(gateway): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: RawBody,
) -> Result<StatusCode, Problem> {
    let name: GatewayName = gateway.parse().map_err(|_| Problem::not_found())?;
    let gateway = app.gateways.get(name).ok_or_else(Problem::not_found)?;
    if uri.query().is_some() {
        return Err(Problem::new(Code::MalformedRequest, "The address of callbacks has no query."));
    }
    let now = app.now();
    let inbound = gateway.adapter.callback(&headers, &body.bytes, now).map_err(refused)?;
    let (hint, trust) = match inbound {
        Inbound::Verified(hint) => (hint, Trust::Verified),
        Inbound::Untrusted(hint) => (hint, Trust::Untrusted),
    };
    if hint.reference.len() > TEXT_BYTES_MAX || hint.event.as_ref().is_some_and(|event| event.len() > TEXT_BYTES_MAX) {
        return Err(refused(CallbackError::Shape));
    }
    let mut tx = app.db.write().await?;
    keep(&mut tx, now, name, (&hint, trust), &body.bytes).await?;
    tx.commit().await?;
    Ok(StatusCode::OK)
}

/// What is known of who sent a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Verified,
    Untrusted,
}

fn refused(error: CallbackError) -> Problem {
    match error {
        CallbackError::Signature => {
            tracing::warn!("a gateway's callback is not signed as agreed");
            Problem::new(Code::Unauthenticated, "The callback is not signed as agreed, or not now.")
        }
        CallbackError::Shape => Problem::validation("The callback names no payment."),
    }
}

const HINT: &str = "update app_payment set next_at = $3, tries = 0
     where payment_uid = $1 and gateway = $2 and stage <> 'created'";
const INSERT: &str = "insert into gateway_callback (gateway, event, reference, trust, received_at, handled_at)
     select $1, $2, $3, $4, $5, $6
     where (select count(*) from gateway_callback c where c.reference = $3) < $7
     on conflict do nothing";
const IS_KNOWN: &str = "select cast(count(*) as bigint) from app_payment where payment_uid = $1 and gateway = $2";

/// Keeps a callback that is new; the payment it is about is due at once.
async fn keep(
    tx: &mut Tx,
    now: Timestamp,
    gateway: GatewayName,
    (hint, trust): (&Hint, Trust),
    body: &[u8],
) -> sqlx::Result<()> {
    let payment: Option<PaymentId> = hint.reference.parse().ok();
    let known: i64 = match payment {
        Some(payment) => on_db!(&mut *tx, conn => {
            sqlx::query_scalar(IS_KNOWN).bind(payment).bind(gateway).fetch_one(conn).await
        })?,
        None => 0,
    };
    let payment = payment.filter(|_| known == 1);
    if payment.is_none() {
        tracing::warn!(%gateway, ?trust, "a gateway's callback is about a payment that is not here");
        // Of what anybody may have made up nothing is kept.
        if trust == Trust::Untrusted {
            return Ok(());
        }
    }
    let event = hint.event.clone().unwrap_or_else(|| Hash(sha256(&[body])).to_string());
    let trust = if trust == Trust::Verified { "verified" } else { "untrusted" };
    let handled_at = payment.map(|_| now);
    let inserted = on_db!(&mut *tx, conn => {
        sqlx::query(INSERT)
            .bind(gateway)
            .bind(&event)
            .bind(&hint.reference)
            .bind(trust)
            .bind(now)
            .bind(handled_at)
            .bind(CALLBACKS_MAX)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    let Some(payment) = payment.filter(|_| inserted == 1) else { return Ok(()) };
    on_db!(tx, conn => sqlx::query(HINT).bind(payment).bind(gateway).bind(now).execute(conn).await.map(|_| ()))
}

/// How often callbacks are forgotten.
pub const EVERY: Duration = Duration::from_hours(6);
/// How many days a callback is kept: longer than any gateway sends one again.
const KEPT_DAYS: i64 = 90;
/// Rows of one transaction: others wait for the writer meanwhile.
const FORGET_ROWS_MAX: i64 = 1_000;
const FORGET: &str = "delete from gateway_callback where id in
     (select o.id from gateway_callback o where o.received_at < $1 order by o.id limit $2)";

/// Forgets old callbacks; returns how many.
pub async fn forget(db: &Db, now: Timestamp) -> sqlx::Result<u64> {
    let before = now.plus_ms(-KEPT_DAYS * DAY_MS);
    let mut gone = 0;
    loop {
        let mut tx = db.write().await?;
        let deleted = on_db!(&mut tx, conn => {
            sqlx::query(FORGET).bind(before).bind(FORGET_ROWS_MAX).execute(conn).await.map(|done| done.rows_affected())
        })?;
        tx.commit().await?;
        gone += deleted;
        if deleted < FORGET_ROWS_MAX.unsigned_abs() {
            return Ok(gone);
        }
    }
}
