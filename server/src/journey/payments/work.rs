//! All payments in the app that are due: what the request that began them did not get to, what waits for its payer,
//! what a gateway hinted at. Of all replicas one does each ([`super::rows::take`]).

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::{drive, rows};
use crate::app::App;

/// How often a server looks. Where nothing is due that is one read.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Payments of one look.
const DUE_MAX: i64 = 256;
/// Of those, how many at a time.
const AT_ONCE: usize = 8;

/// Does what is due again and again, until the task is ended.
pub async fn keep(app: Arc<App>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = what_is_due(&app).await {
            tracing::warn!(%error, "payments in the app could not be looked for");
        }
    }
}

/// Does what is due; returns how many payments were. One that fails is logged, and due again soon.
pub async fn what_is_due(app: &App) -> sqlx::Result<usize> {
    let mut tx = app.db.read().await?;
    let due = rows::due(&mut tx, app.now(), DUE_MAX).await?;
    drop(tx);
    let steps = stream::iter(&due).for_each_concurrent(AT_ONCE, async |row| {
        if let Err(error) = drive::step(app, row.payment).await {
            tracing::error!(payment = %row.payment, %error, "a step of a payment in the app failed");
        }
    });
    steps.await;
    Ok(due.len())
}
