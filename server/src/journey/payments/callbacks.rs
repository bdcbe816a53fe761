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

use crate::app::App;
use crate::batch_row;
use crate::db::{self, Db, Tx, batch};
use crate::gateways::{CallbackError, GatewayName, Hint, Inbound};
use crate::http::extract::{Path, RawBody};
use crate::http::problem::{Code, Problem};
use crate::on_db;

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
        let kept = AssertUnwindSafe(keep_all(&app.db, &group)).catch_unwind().await;
        match kept {
            // Who asked may have gone; what was kept stays kept.
            Ok(Ok(())) => replies.into_iter().for_each(|reply| drop(reply.send(Ok(())))),
            Ok(Err(_)) => {
                for (said, reply) in group.iter().zip(replies) {
                    drop(reply.send(alone(&app.db, said).await));
                }
            }
            Err(_) => tracing::error!(callbacks = group.len(), "a panic: callbacks are not kept"),
        }
        app.payments_due.notify_one();
    }
}

async fn alone(db: &Db, said: &Said) -> sqlx::Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        match keep_all(db, std::slice::from_ref(said)).await {
            Err(error) if db::is_transient(&error) && tries < RETRIES_MAX => {}
            other => return other,
        }
    }
}

batch_row! {
    struct Named { payment: PaymentId => "uuid", gateway: GatewayName => "text" }
}
batch_row! {
    struct NewCallback {
        gateway: GatewayName => "text",
        event: String => "text",
        reference: String => "text",
        trust: String => "text",
        received_at: Timestamp => "timestamptz",
        handled_at: Option<Timestamp> => "timestamptz",
        most: i64 => "int8",
    }
}
batch_row! {
    struct DueAt { payment: PaymentId => "uuid", gateway: GatewayName => "text", at: Timestamp => "timestamptz" }
}

const SELECT_KNOWN: &str = "select b.payment_uid, b.gateway from v join app_payment b on b.payment_uid = v.payment
       and b.gateway = v.gateway";
/// In the order in which others lock them that are about several.
const KNOWN_LOCKED: &str = " order by b.payment_uid for no key update of b";
const INSERT: &str = "insert into gateway_callback (gateway, event, reference, trust, received_at, handled_at)
     select gateway, event, reference, trust, received_at, handled_at from v
     where (select count(*) from gateway_callback c where c.reference = v.reference) < v.most
     on conflict do nothing returning gateway, event";
const HINT: &str = "update app_payment set next_at = v.at, tries = 0 from v
     where app_payment.payment_uid = v.payment and app_payment.gateway = v.gateway and app_payment.stage <> 'created'";

/// Keeps callbacks that are new; the payments they are about are due at once.
async fn keep_all(db: &Db, said: &[Said]) -> sqlx::Result<()> {
    let mut tx = db.write().await?;
    let known = known(&mut tx, said).await?;
    let is_known = |said: &Said| said.payment.filter(|payment| known.contains(&(*payment, said.gateway)));
    let mut new = Vec::with_capacity(said.len());
    for said in said {
        let payment = is_known(said);
        if payment.is_none() {
            let (gateway, trust) = (said.gateway, said.trust);
            tracing::warn!(%gateway, ?trust, "a gateway's callback is about a payment that is not here");
            // Of what anybody may have made up nothing is kept.
            if trust == Trust::Untrusted {
                continue;
            }
        }
        new.push(NewCallback {
            gateway: said.gateway,
            event: said.event.clone(),
            reference: said.reference.clone(),
            trust: if said.trust == Trust::Verified { "verified" } else { "untrusted" }.to_owned(),
            received_at: said.at,
            handled_at: payment.map(|_| said.at),
            most: CALLBACKS_MAX,
        });
    }
    let inserted: Vec<(GatewayName, String)> = batch::insert(&mut tx, &new, INSERT).await?;
    let inserted: BTreeSet<_> = inserted.into_iter().collect();
    let hints = said.iter().filter_map(|said| {
        let payment = is_known(said).filter(|_| inserted.contains(&(said.gateway, said.event.clone())))?;
        Some(DueAt { payment, gateway: said.gateway, at: said.at })
    });
    batch::execute(&mut tx, &hints.collect::<Vec<_>>(), HINT).await?;
    tx.commit().await
}

/// The payments that callbacks are about, as far as they are here and the gateway's.
async fn known(tx: &mut Tx, said: &[Said]) -> sqlx::Result<BTreeSet<(PaymentId, GatewayName)>> {
    let named: BTreeSet<_> = said.iter().filter_map(|said| Some((said.payment?, said.gateway))).collect();
    let named: Vec<_> = named.into_iter().map(|(payment, gateway)| Named { payment, gateway }).collect();
    let select = if tx.is_postgres() { format!("{SELECT_KNOWN}{KNOWN_LOCKED}") } else { SELECT_KNOWN.to_owned() };
    let known: Vec<(PaymentId, GatewayName)> = batch::fetch(tx, &named, &select).await?;
    Ok(known.into_iter().collect())
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
