//! The way out: one message at once, after the commit of what it tells of, and the job that is the net.
//!
//! No transaction is open while a gateway is asked.

use std::sync::Arc;
use std::time::Duration;

use daybook_shared::messages::{self, Param};

use super::State;
use super::after::{After, Tried, after};
use super::gateway::{Gateway, SendError};
use super::outbox::{self, Claimed};
use crate::app::App;
use crate::auth::units;
use crate::db::Tx;
use crate::http::names;

/// How often what waits is looked for.
pub const EVERY: Duration = Duration::from_secs(5);
/// How often what was sent long ago is forgotten.
pub const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Requests that may wait for the gateway at one time; whatever comes beyond them is the job's.
pub const AT_ONCE_MAX: usize = 32;
/// Messages that one turn asks the gateway for at one time.
const WIDTH: usize = 8;
/// Messages of one turn: other jobs wait meanwhile.
const TURN_MAX: i64 = 64;

/// Sends a message now, if there is room for one more; else the job does. It goes on if the caller is gone.
pub async fn send_now(app: &Arc<App>, id: i64) {
    let Ok(permit) = Arc::clone(&app.message_room).try_acquire_owned() else { return };
    let app = Arc::clone(app);
    let task = tokio::spawn(async move {
        let _permit = permit;
        if let Some(gateway) = &app.messages
            && let Err(error) = send(&app, gateway, id).await
        {
            tracing::warn!(%error, "a message could not be claimed or noted");
        }
    });
    // A panic in there was logged, and the message waits for the job.
    task.await.ok();
}

/// Sends what waits; returns how many were sent, or given up. A gateway that does not take a single one of some
/// is left alone until the next turn.
pub async fn send_due(app: &App) -> sqlx::Result<u64> {
    let now = app.now();
    let mut tx = app.db.write().await?;
    let mut done = outbox::end_stale(&mut tx, now).await?;
    tx.commit().await?;
    let Some(gateway) = &app.messages else { return Ok(done) };
    let mut tx = app.db.read().await?;
    let due = outbox::due(&mut tx, now, TURN_MAX).await?;
    drop(tx);
    for some in due.chunks(WIDTH) {
        let sent = futures_util::future::join_all(some.iter().map(|id| send(app, gateway, *id))).await;
        let mut taken = 0;
        for over in sent {
            taken += u64::from(over?);
        }
        done += taken;
        if taken == 0 {
            break;
        }
    }
    Ok(done)
}

/// Claims a message, asks the gateway, and notes what came of it; whether it is over.
async fn send(app: &App, gateway: &Gateway, id: i64) -> sqlx::Result<bool> {
    let mut tx = app.db.write().await?;
    let Some(claimed) = outbox::claim(&mut tx, app.now(), id).await? else { return Ok(false) };
    let addressed = addressed(app, &mut tx, &claimed).await?;
    tx.commit().await?;
    let (after, outcome) = match addressed {
        Some((to, text)) => {
            let outcome = gateway.send(&to, &text).await;
            let Claimed { tries, may_repeat, expires_at, .. } = claimed;
            (after(Tried { tries, may_repeat, expires_at }, app.now(), &outcome), outcome)
        }
        None => (After::Over(State::GivenUp), Err(SendError::NotSent("there is nobody to send it to".to_owned()))),
    };
    if let Err(error) = &outcome {
        tracing::warn!(message = %claimed.uid, template = claimed.template.code(), %error, "a message was not sent");
    }
    let word = match after {
        After::Again(_) => "again",
        After::Over(state) => state.code(),
    };
    metrics::counter!(names::MESSAGES, "template" => claimed.template.code(), "outcome" => word).increment(1);
    let mut tx = app.db.write().await?;
    outbox::note(&mut tx, app.now(), &claimed, (after, &outcome)).await?;
    tx.commit().await?;
    Ok(matches!(after, After::Over(_)))
}

/// Number and words; none when the customer has no number, or the key for what was sealed is gone.
async fn addressed(app: &App, tx: &mut Tx, claimed: &Claimed) -> sqlx::Result<Option<(String, String)>> {
    let Some(opened) = claimed.open(app) else { return Ok(None) };
    let number = match (&opened.to, claimed.customer_id) {
        (Some(number), _) => Some(number.clone()),
        (None, Some(customer)) => outbox::number_of(tx, customer).await?,
        (None, None) => None,
    };
    let Some(number) = number else { return Ok(None) };
    let lender = units::root(tx).await?.map(|unit| unit.name).unwrap_or_default();
    let params: Vec<_> = opened.params().chain([("lender", Param::Text(&lender))]).collect();
    let text = messages::message(claimed.language(), &claimed.template.message_id(), &params);
    Ok(text.map(|text| (number, text)))
}
