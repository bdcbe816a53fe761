//! All payments in the app that are due: what the request that began them did not get to, what waits for its payer,
//! what a gateway hinted at. Of all replicas one does each ([`super::rows::take_due`]).
//!
//! Gateways are asked side by side. What they answer while one transaction is written shares the next
//! ([`drive::apply`]): the more comes in, the less each costs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::drive::{self, Told};
use crate::app::App;

/// How often a server looks by itself. Where nothing is due that is one read.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many payments are asked about at a time: half of what a gateway is asked at once, the rest is for customers
/// who begin to pay.
const AT_ONCE: usize = 16;
/// Payments that are taken in hand together. The last of them waits for as many calls as fit behind each other: four,
/// which are over before the time for which it is in hand.
const TAKEN_MAX: i64 = 64;
/// Answers of one transaction: phones wait for it.
const GROUP_MAX: usize = 64;

/// Does what is due again and again, as soon as somebody says that there is something, until the task is ended.
pub async fn keep(app: Arc<App>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = app.payments_due.notified() => {}
        }
        if let Err(error) = what_is_due(&app).await {
            tracing::warn!(%error, "payments in the app could not be looked for");
        }
    }
}

/// Does what is due until nothing is; returns how many payments were. One that fails is logged, and due again soon.
pub async fn what_is_due(app: &App) -> sqlx::Result<usize> {
    let (told, answers) = mpsc::channel(GROUP_MAX);
    let (asked, done) = tokio::join!(ask(app, told), apply(app, answers));
    asked.map(|()| done)
}

/// Asks about all that is due. Rows are taken when half of those that are asked about at a time are answered, and no
/// answer waits to be applied: then there are some to take together, and the slowest gateway does not make the others
/// wait.
async fn ask(app: &App, told: mpsc::Sender<Told>) -> sqlx::Result<()> {
    let (mut taken, mut asked) = (VecDeque::new(), FuturesUnordered::new());
    let mut failed = None;
    loop {
        let takes = failed.is_none() && taken.is_empty() && asked.len() <= AT_ONCE / 2;
        let waits = !asked.is_empty() && told.capacity() < told.max_capacity();
        if takes && !waits {
            match drive::take_due(app, TAKEN_MAX).await {
                Ok(due) => taken.extend(due),
                // What was asked is waited for.
                Err(error) => failed = Some(error),
            }
        }
        while asked.len() < AT_ONCE
            && let Some(row) = taken.pop_front()
        {
            asked.push(drive::ask(app, row));
        }
        tokio::select! {
            answer = asked.next() => {
                let Some(answer) = answer else { return failed.map_or(Ok(()), Err) };
                // Who applies it is there as long as this is.
                told.send(answer).await.ok();
            }
            // All that was told is being applied.
            _ = told.reserve_many(told.max_capacity()), if takes && waits => {}
        }
    }
}

/// Applies answers, as many together as there are.
async fn apply(app: &App, mut answers: mpsc::Receiver<Told>) -> usize {
    let (mut done, mut group) = (0, Vec::with_capacity(GROUP_MAX));
    loop {
        match answers.recv_many(&mut group, GROUP_MAX).await {
            0 => return done,
            count => done += count,
        }
        drive::apply(app, std::mem::take(&mut group)).await;
    }
}
