//! All payments in the app that are due: what the request that began them did not get to, what waits for its payer,
//! what a gateway hinted at. Of all replicas one does each: who takes a callback has its payment in hand with it
//! ([`Hinted`]), the others are found ([`super::rows::take_due`]).
//!
//! Gateways are asked side by side. What they answer while one transaction is written shares the next
//! ([`drive::apply`]): the more comes in, the less each costs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::{self, PermitIterator, Receiver};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::drive::{self, InHand, Told};
use super::rows::Taken;
use crate::app::App;

/// How often a server looks by itself. Where nothing is due that is one read.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many payments are asked about at a time: half of what a gateway is asked at once, the rest is for customers
/// who begin to pay.
const AT_ONCE: usize = 16;
/// Payments that are taken in hand together. The last of them waits for as many calls as fit behind each other: four,
/// which are over before the time for which it is in hand.
const TAKEN_MAX: usize = 64;
/// Payments that callbacks hinted at and that wait to be asked about. More are found when these are done.
pub const HINTED_MAX: usize = 1_024;
/// Answers of one transaction: phones wait for it.
const GROUP_MAX: usize = 64;

/// Payments that gateways hinted at, on their way from who took the callback, and in hand already, to who asks. Part
/// of [`App`].
#[derive(Debug)]
pub struct Hinted {
    queue: mpsc::Sender<Taken>,
    /// For one at a time; others look for themselves.
    taken: Mutex<Receiver<Taken>>,
    /// There is something that is not in the queue.
    look: Notify,
    /// What comes now is to be found after what came before, which is not in the queue.
    is_closed: AtomicBool,
}

impl Default for Hinted {
    fn default() -> Self {
        let (queue, taken) = mpsc::channel(HINTED_MAX);
        Self { queue, taken: Mutex::new(taken), look: Notify::new(), is_closed: AtomicBool::new(false) }
    }
}

impl Hinted {
    /// Room for so many, if there is. Where there is none, there is none either for what comes after it, until it was
    /// looked for.
    pub fn room(&self, count: usize) -> Option<PermitIterator<'_, Taken>> {
        if self.is_closed() {
            return None;
        }
        let room = self.queue.try_reserve_many(count).ok();
        if room.is_none() {
            self.is_closed.store(true, Ordering::Relaxed);
        }
        room
    }

    /// Something is due that nobody has in hand.
    pub fn look(&self) {
        self.look.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    fn open(&self) {
        self.is_closed.store(false, Ordering::Relaxed);
    }
}

/// Does what is due again and again, as soon as somebody says that there is something, until the task is ended.
pub async fn keep(app: Arc<App>) {
    let mut hinted = app.payments_due.taken.lock().await;
    let mut ticks = ticks(Instant::now());
    loop {
        let (first, looks) = tokio::select! {
            _ = ticks.tick() => (None, true),
            () = app.payments_due.look.notified() => (None, true),
            first = hinted.recv() => (first, false),
        };
        if let Err(error) = round(&app, (first, looks), Some(&mut hinted)).await {
            tracing::warn!(%error, "payments in the app could not be looked for");
        }
    }
}

/// When a server looks by itself.
fn ticks(first: Instant) -> Interval {
    let mut ticks = tokio::time::interval_at(first, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Does what is due until nothing is; returns how many payments were. One that fails is logged, and due again soon.
pub async fn what_is_due(app: &App) -> sqlx::Result<usize> {
    let mut hinted = app.payments_due.taken.try_lock().ok();
    round(app, (None, true), hinted.as_deref_mut()).await
}

/// Does what is hinted at, meanwhile too, and, if it `looks`, what is found.
async fn round(
    app: &App,
    (first, looks): (Option<Taken>, bool),
    hinted: Option<&mut Receiver<Taken>>,
) -> sqlx::Result<usize> {
    let (told, answers) = mpsc::channel(GROUP_MAX);
    let mut due = Due { app, hinted, taken: Vec::from_iter(first), looks, waiting: VecDeque::new() };
    let (asked, done) = tokio::join!(ask(&mut due, told), apply(app, answers));
    asked.map(|()| done)
}

/// Asks about all of them.
async fn ask(due: &mut Due<'_>, told: mpsc::Sender<Told>) -> sqlx::Result<()> {
    let app = due.app;
    let (mut asked, mut failed) = (FuturesUnordered::new(), None);
    let mut ticks = ticks(Instant::now() + LOOK_EVERY);
    loop {
        if due.waiting.is_empty()
            && failed.is_none()
            && let Err(error) = due.more().await
        {
            // What was asked is waited for.
            failed = Some(error);
        }
        while asked.len() < AT_ONCE
            && let Some(row) = due.waiting.pop_front()
        {
            asked.push(drive::ask(app, row));
        }
        if asked.is_empty() {
            return failed.map_or(Ok(()), Err);
        }
        let has_room = asked.len() < AT_ONCE && failed.is_none();
        tokio::select! {
            // Who applies it is there as long as this is.
            Some(answer) = asked.next() => { told.send(answer).await.ok(); }
            () = due.hint(), if has_room => {}
            _ = ticks.tick() => due.looks = true,
            () = app.payments_due.look.notified() => due.looks = true,
        }
    }
}

/// What is due, in the order in which it came to be.
struct Due<'a> {
    app: &'a App,
    /// What is hinted at, if it is not another's to ask about.
    hinted: Option<&'a mut Receiver<Taken>>,
    /// Those of them that are next.
    taken: Vec<Taken>,
    /// Whether it is looked for what is not in hand.
    looks: bool,
    /// In hand.
    waiting: VecDeque<InHand>,
}

impl Due<'_> {
    /// Takes some, if there are: of what was hinted at and of what is found by looking, what came to be due first.
    async fn more(&mut self) -> sqlx::Result<()> {
        while self.waiting.is_empty() {
            // What did not find room came after what did; what is due by the clock waits for neither.
            let found_is_last = self.hinted.is_some() && self.app.payments_due.is_closed();
            if !self.looks || found_is_last {
                self.pull();
            }
            if !self.taken.is_empty() {
                self.read().await?;
            } else if self.looks {
                self.find().await?;
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    fn pull(&mut self) {
        while self.taken.len() < TAKEN_MAX
            && let Some(next) = self.hinted.as_mut().and_then(|hinted| hinted.try_recv().ok())
        {
            self.taken.push(next);
        }
    }

    async fn read(&mut self) -> sqlx::Result<()> {
        let in_hand = drive::in_hand(self.app, &self.taken).await?;
        // Who came too late for one finds it, if it is due again.
        self.looks |= in_hand.len() < self.taken.len();
        self.taken.clear();
        self.waiting.extend(in_hand);
        Ok(())
    }

    async fn find(&mut self) -> sqlx::Result<()> {
        let due = drive::take_due(self.app, TAKEN_MAX).await?;
        self.looks = due.len() == TAKEN_MAX;
        self.waiting.extend(due);
        if self.hinted.is_some() && !self.looks {
            self.app.payments_due.open();
        }
        Ok(())
    }

    /// When something is hinted at.
    async fn hint(&mut self) {
        if self.taken.is_empty()
            && let Some(hinted) = self.hinted.as_mut()
            && let Some(next) = hinted.recv().await
        {
            self.taken.push(next);
        } else {
            std::future::pending::<()>().await;
        }
    }
}

/// Applies answers, as many together as there are.
async fn apply(app: &App, mut answers: Receiver<Told>) -> usize {
    let (mut done, mut group) = (0, Vec::with_capacity(GROUP_MAX));
    loop {
        match answers.recv_many(&mut group, GROUP_MAX).await {
            0 => return done,
            count => done += count,
        }
        drive::apply(app, std::mem::take(&mut group)).await;
    }
}
