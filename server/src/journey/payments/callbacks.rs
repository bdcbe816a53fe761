//! What gateways say by themselves. It is never believed: it brings about a question, by whoever does what is due.
//!
//! A callback that is signed wrongly is refused and leaves nothing. One that is taken has a row by the gateway's own
//! id of the event, or by its hash, so that the same twice is once; its body, which may name people, is not kept.
//! Those that come while a commit is under way share the next.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use daybook_shared::ids::{Hash, PaymentId, sha256};
use daybook_shared::time::{DAY_MS, Timestamp};
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::rows;
use crate::app::App;
use crate::batch_row;
use crate::db::{self, Db, batch};
use crate::gateways::{CallbackError, GatewayName, Hint, Inbound};
use crate::http::extract::{Path, RawBody};
use crate::http::problem::{Code, Problem};
use crate::on_db;
use crate::spelled::spelled;

/// Callbacks about one payment that are kept, and some more that share the commit of the last; those after bring
/// about nothing.
const CALLBACKS_MAX: i64 = 50;
/// The longest id of an event and reference that are kept.
const TEXT_BYTES_MAX: usize = 128;
/// Callbacks of one commit.
const GROUP_MAX: usize = 64;
/// Callbacks that may wait; beyond it the gateway is told to come again.
const QUEUE_MAX: usize = 1_024;
/// How often a transaction that met another is run again.
const RETRIES_MAX: usize = 20;

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
    keep(&app, Said::of(now, name, (hint, trust), &body.bytes)).await?;
    Ok(StatusCode::OK)
}

spelled! {
    /// What is known of who sent a callback.
    Trust {
        /// The gateway.
        Verified = "verified",
        /// Perhaps anybody.
        Untrusted = "untrusted",
    }
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

/// A callback that is to be kept.
#[derive(Debug)]
struct Said {
    at: Timestamp,
    gateway: GatewayName,
    reference: String,
    /// Whose id the reference is, if it is one.
    payment: Option<PaymentId>,
    event: String,
    trust: Trust,
}

impl Said {
    fn of(at: Timestamp, gateway: GatewayName, (hint, trust): (Hint, Trust), body: &[u8]) -> Self {
        let Hint { event, reference } = hint;
        let event = event.unwrap_or_else(|| Hash(sha256(&[body])).to_string());
        Self { at, gateway, payment: reference.parse().ok(), reference, event, trust }
    }
}

type Waiting = (Said, oneshot::Sender<sqlx::Result<()>>);

/// Callbacks on their way into the database. Part of [`App`]; what empties it starts with the first and ends with
/// the app.
#[derive(Debug, Default)]
pub struct Inbox {
    queue: OnceLock<mpsc::Sender<Waiting>>,
}

/// Keeps a callback that is new, and waits until that is durable.
async fn keep(app: &Arc<App>, said: Said) -> Result<(), Problem> {
    let queue = app.callbacks.queue.get_or_init(|| {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(keep_in_groups(Arc::downgrade(app), receiver));
        sender
    });
    let (reply, kept) = oneshot::channel();
    let busy = || Problem::unavailable("Too many callbacks come at once.");
    queue.try_send((said, reply)).map_err(|_| busy())?;
    Ok(kept.await.map_err(|_| busy())??)
}

/// Everything that waits goes into the next commit; one by one when that fails, so that nobody suffers for a
/// neighbour.
async fn keep_in_groups(app: Weak<App>, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(GROUP_MAX);
    while queue.recv_many(&mut waiting, GROUP_MAX).await > 0 {
        let Some(app) = app.upgrade() else { return };
        let (group, replies): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        // What panics answers nobody, who then comes again; those after it are kept.
        let kept = AssertUnwindSafe(keep_all(&app, &group)).catch_unwind().await;
        match kept {
            // Who asked may have gone; what was kept stays kept.
            Ok(Ok(())) => replies.into_iter().for_each(|reply| drop(reply.send(Ok(())))),
            Ok(Err(_)) => {
                for (said, reply) in group.iter().zip(replies) {
                    drop(reply.send(alone(&app, said).await));
                }
            }
            Err(_) => tracing::error!(callbacks = group.len(), "a panic: callbacks are not kept"),
        }
    }
}

async fn alone(app: &App, said: &Said) -> sqlx::Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        match keep_all(app, std::slice::from_ref(said)).await {
            Err(error) if db::is_transient(&error) && tries < RETRIES_MAX => {}
            other => return other,
        }
    }
}

batch_row! {
    struct NewCallback {
        gateway: GatewayName => "text",
        event: String => "text",
        reference: String => "text",
        payment: Option<PaymentId> => "uuid",
        trust: Trust => "text",
        received_at: Timestamp => "timestamptz",
        most: i64 => "int8",
    }
}

/// Of what anybody may have made up nothing is kept, unless it is about a payment that is here.
const INSERT: &str = "insert into gateway_callback (gateway, event, reference, trust, received_at, handled_at)
     select v.gateway, v.event, v.reference, v.trust, v.received_at,
       case when b.payment_uid is null then null else v.received_at end
     from v left join app_payment b on b.payment_uid = v.payment and b.gateway = v.gateway
     where (b.payment_uid is not null or v.trust = 'verified')
       and (select count(*) from gateway_callback c where c.reference = v.reference) < v.most
     on conflict do nothing returning reference, gateway, handled_at";

/// Keeps callbacks that are new; the payments they are about are looked at, by this server if it has room.
async fn keep_all(app: &App, said: &[Said]) -> sqlx::Result<()> {
    let now = app.now();
    let mut tx = app.db.write().await?;
    let mut said: Vec<&Said> = said.iter().collect();
    // Two replicas that are told the same at once wait for each other in one order.
    said.sort_by_key(|said| (said.gateway, &said.event));
    let rows = said.iter().map(|said| NewCallback {
        gateway: said.gateway,
        event: said.event.clone(),
        reference: said.reference.clone(),
        payment: said.payment,
        trust: said.trust,
        received_at: said.at,
        most: CALLBACKS_MAX,
    });
    let new: Vec<(String, GatewayName, Option<Timestamp>)> =
        batch::insert(&mut tx, &rows.collect::<Vec<_>>(), INSERT).await?;
    for (_, gateway, _) in new.iter().filter(|(.., handled_at)| handled_at.is_none()) {
        tracing::warn!(%gateway, "a gateway's callback is about a payment that is not here");
    }
    let known = new.iter().filter(|(.., handled_at)| handled_at.is_some());
    let hinted: BTreeSet<PaymentId> = known.filter_map(|(reference, ..)| reference.parse().ok()).collect();
    let hinted: Vec<_> = hinted.into_iter().collect();
    if hinted.is_empty() {
        return tx.commit().await;
    }
    let Some(room) = app.payments_due.room(hinted.len()) else {
        rows::hint(&mut tx, &hinted, now).await?;
        tx.commit().await?;
        app.payments_due.look();
        return Ok(());
    };
    let taken = rows::take_hinted(&mut tx, &hinted, now).await?;
    tx.commit().await?;
    room.zip(taken).for_each(|(room, taken)| room.send(taken));
    Ok(())
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
