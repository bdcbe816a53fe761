//! One step of payments in the app: take them in hand, ask their gateways, write down what follows.
//!
//! Each of the three is durable before the next begins, so a server may stop between any two. A row whose call was
//! begun says so before the call: whoever finds it later asks what the gateway has, and never for money again.
//!
//! What several were answered is written in one transaction, or one by one when that fails, so that nobody suffers
//! for a neighbour. Money is apart from what only moves rows: its locks come in the order of
//! [`receive`](crate::import::receive), the others' in the order of payments.

use std::collections::BTreeSet;

use daybook_shared::ids::PaymentId;
use daybook_shared::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::rows::{self, AppPayment, Move, Rest, Taken, channel_of};
use super::state::{Purpose, Stage, Step, after_fetch, after_start, pay_until};
use crate::app::App;
use crate::audit::{self, Actor};
use crate::db::{self, Tx};
use crate::gateways::{CallError, Connected, Failure, Paid, Remote};
use crate::import::money_in::{Confirmed, Line};
use crate::import::receive::receive;
use crate::import::{ImportError, Scope};
use crate::ledger::journal;
use crate::ledger::posting::{self, Event, JournalKind};
use crate::portfolio::payment::PaymentSource;
use crate::sync::{judge, money};

/// How often a transaction that met another is run again.
const RETRIES_MAX: usize = 20;
/// How long a payment waits whose gateway is not configured any more.
const ABSENT_MS: i64 = 3_600_000;

/// A payment in hand.
#[derive(Debug)]
pub struct InHand {
    /// The payment.
    pub row: AppPayment,
    /// Until when.
    pub until: Timestamp,
}

/// What its gateway said of a payment in hand.
#[derive(Debug)]
pub struct Told {
    row: AppPayment,
    in_hand: Timestamp,
    step: Step,
    /// What else was said.
    news: Option<Remote>,
}

/// Does the next step of a payment, if it is due and nobody else does it.
pub async fn step(app: &App, payment: PaymentId) -> Result<(), ImportError> {
    let mut tx = app.db.write().await?;
    let Some(row) = rows::find(&mut tx, payment).await? else { return Ok(()) };
    let Some(until) = rows::take(&mut tx, &row, app.now()).await? else { return Ok(()) };
    tx.commit().await?;
    alone(app, &ask(app, InHand { row, until }).await).await
}

/// Those of them that are still in hand.
pub async fn in_hand(app: &App, taken: &[Taken]) -> sqlx::Result<Vec<InHand>> {
    let mut tx = app.db.look().await?;
    let rows = rows::find_taken(&mut tx, taken).await?;
    Ok(rows.into_iter().filter_map(|row| Some(InHand { until: row.next_at?, row })).collect())
}

/// Takes some of the payments in hand that are due.
pub async fn take_due(app: &App, limit: usize) -> sqlx::Result<Vec<InHand>> {
    let mut tx = app.db.write().await?;
    let (taken, until) = rows::take_due(&mut tx, app.now(), limit).await?;
    tx.commit().await?;
    Ok(taken.into_iter().map(|row| InHand { row, until }).collect())
}

/// Asks its gateway for the money, or for what there is.
pub async fn ask(app: &App, InHand { row, until }: InHand) -> Told {
    let (step, news) = match app.gateways.get(row.gateway) {
        Some(gateway) => asked(app, gateway, &row).await,
        None => (absent(app, &row), None),
    };
    Told { row, in_hand: until, step, news }
}

async fn asked(app: &App, gateway: &Connected, row: &AppPayment) -> (Step, Option<Remote>) {
    if row.stage == Stage::Created {
        let course = super::state::Course { stage: Stage::Starting, ..row.course() };
        let start = row.start_request().filter(|_| app.now() < pay_until(row.expires_at));
        let Some(start) = start else { return (Step::Fail(Failure::Unreachable), None) };
        let told = gateway.start(&start).await;
        log(row, "start", told.as_ref().err());
        return (after_start(course, app.now(), &told), told.ok());
    }
    let told = gateway.fetch(row.payment).await;
    log(row, "fetch", told.as_ref().err());
    (after_fetch(row.course(), app.now(), &told), told.ok().flatten())
}

fn log(row: &AppPayment, call: &str, error: Option<&CallError>) {
    let (payment, gateway) = (row.payment, row.gateway);
    match error {
        None => tracing::debug!(%payment, %gateway, call, "a gateway answered"),
        Some(error @ CallError::Refused(_)) => tracing::error!(%payment, %gateway, call, %error, "a gateway refuses"),
        Some(error) => tracing::warn!(%payment, %gateway, call, %error, "a call of a gateway has no answer"),
    }
}

/// Nothing was asked, so nothing changed: a start goes back to where it was.
fn absent(app: &App, row: &AppPayment) -> Step {
    tracing::warn!(payment = %row.payment, gateway = %row.gateway, "a payment's gateway is not configured");
    let at = app.now().plus_ms(ABSENT_MS);
    match row.stage {
        Stage::Created if at >= pay_until(row.expires_at) => Step::Fail(Failure::Unreachable),
        stage => Step::Ask { stage, tries: row.tries, at },
    }
}

/// Writes down what follows from what was said. What cannot be written is logged, and asked for again when nobody has
/// it in hand any more.
pub async fn apply(app: &App, told: Vec<Told>) {
    // Of two under one reference, or with which an account may begin, the second finds what became of the first.
    let (mut references, mut begun) = (BTreeSet::new(), BTreeSet::new());
    let (paid, rest): (Vec<_>, Vec<_>) = told.into_iter().partition(|told| match &told.step {
        Step::Pay(paid) => {
            let is_first = told.row.purpose != Purpose::DownPayment || begun.insert(told.row.account_number.clone());
            references.insert((told.row.gateway, paid.external_ref.clone())) && is_first
        }
        _ => false,
    });
    let (twice, mut moved): (Vec<_>, Vec<_>) = rest.into_iter().partition(|told| matches!(told.step, Step::Pay(_)));
    moved.sort_by_key(|told| told.row.payment);
    for group in [paid, moved] {
        together(app, &group).await;
    }
    for told in &twice {
        together(app, std::slice::from_ref(told)).await;
    }
}

/// In one transaction; one by one when it fails.
async fn together(app: &App, told: &[Told]) {
    if told.len() > 1 {
        match once(app, told).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(payments = told.len(), %error, "steps of payments failed and are done one by one");
            }
        }
    }
    for one in told {
        if let Err(error) = alone(app, one).await {
            tracing::error!(payment = %one.row.payment, %error, "a step of a payment in the app failed");
        }
    }
}

async fn alone(app: &App, told: &Told) -> Result<(), ImportError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match once(app, std::slice::from_ref(told)).await {
            Err(ImportError::Sql(error)) if db::is_transient(&error) && tries < RETRIES_MAX => {}
            other => return other,
        }
    }
}

async fn once(app: &App, told: &[Told]) -> Result<(), ImportError> {
    if told.is_empty() {
        return Ok(());
    }
    let mut tx = app.db.write().await?;
    let paid: Vec<_> = told.iter().filter_map(Told::paid).collect();
    if !paid.is_empty() {
        confirm(&mut tx, app, &paid).await?;
    }
    for one in told {
        one.move_on(&mut tx, app.now()).await?;
    }
    tx.commit().await?;
    app.hints.nudge();
    Ok(())
}

impl Told {
    fn paid(&self) -> Option<(&Self, &Paid)> {
        if let Step::Pay(paid) = &self.step { Some((self, paid)) } else { None }
    }

    fn rest(&self) -> Rest {
        Rest { payment: self.row.payment, in_hand: self.in_hand }
    }

    /// Where its row goes; what was paid is not here.
    async fn move_on(&self, tx: &mut Tx, now: Timestamp) -> sqlx::Result<()> {
        let Self { row, in_hand, step, news } = self;
        let to = |to, next_at, tries, failure| Move {
            payment: row.payment,
            // What was created was taken in hand as starting.
            from: if row.stage == Stage::Created { Stage::Starting } else { row.stage },
            to,
            in_hand: *in_hand,
            next_at,
            tries,
            failure,
            redirect_url: news.as_ref().and_then(|news| news.redirect_url.clone()),
            external_ref: news.as_ref().and_then(|news| news.external_ref.clone()),
            at: now,
        };
        match step {
            Step::Ask { stage, tries, at } => {
                rows::move_on(tx, &to(*stage, Some(*at), *tries, None)).await?;
            }
            Step::Fail(failure) => {
                if rows::move_on(tx, &to(Stage::Failed, None, 0, Some(*failure))).await? {
                    let note = self.note(now, "payment.failed", json!({ "failure": failure.code() }));
                    audit::record_all(tx, &[note]).await?;
                }
            }
            Step::Expire(look_again_at) => {
                if rows::move_on(tx, &to(Stage::Expired, Some(*look_again_at), 0, None)).await? {
                    audit::record_all(tx, &[self.note(now, "payment.expired", json!({}))]).await?;
                }
            }
            Step::Rest => rows::rest(tx, &[self.rest()]).await?,
            Step::Pay(_) => {}
        }
        Ok(())
    }

    fn note(&self, now: Timestamp, action: &str, mut detail: serde_json::Value) -> audit::Record {
        detail["gateway"] = json!(self.row.gateway.code());
        audit::Record::new(now, Actor::OPERATOR, action, self.row.payment, &detail)
    }
}

/// The money is there: it is booked like lines of a statement, each once.
async fn confirm(tx: &mut Tx, app: &App, paid: &[(&Told, &Paid)]) -> Result<(), ImportError> {
    let now = app.now();
    let lines: Vec<_> = paid.iter().zip(0..).map(|((told, paid), n)| line_of(app, n, told, paid)).collect();
    let results = receive(tx, app, &Scope::OPERATOR, &lines).await?;
    book_fees(tx, app, paid, &lines).await?;
    rows::rest(tx, &paid.iter().map(|(told, _)| told.rest()).collect::<Vec<_>>()).await?;
    let news = paid.iter().zip(results).filter(|((told, _), _)| told.row.stage != Stage::Paid);
    let notes = news.map(|((told, paid), result)| {
        let detail = json!({ "came": result.came, "asked_minor": told.row.amount_minor,
                             "paid_minor": paid.amount.minor, "was": told.row.stage.code() });
        told.note(now, "payment.paid", detail)
    });
    audit::record_all(tx, &notes.collect::<Vec<_>>()).await?;
    Ok(())
}

fn line_of(app: &App, line: u64, Told { row, in_hand, .. }: &Told, paid: &Paid) -> Line {
    let day = |at| app.settings.zone.date_of(at);
    // The gateway's clock is its own: no day after today, and none before the payment was begun.
    let value_date = day(paid.at).min(day(app.now())).max(day(row.begun_at).plus_days(-1));
    Line {
        line,
        source: PaymentSource::App,
        channel: channel_of(row.gateway),
        external_ref: paid.external_ref.clone(),
        amount: paid.amount,
        value_date,
        at: Some(paid.at),
        payer: None,
        account_number: Some(row.account_number.clone()),
        cashier: None,
        confirms: Some(Confirmed { payment: row.payment, in_hand: *in_hand }),
    }
}

/// What gateways keep, once for each payment.
async fn book_fees(tx: &mut Tx, app: &App, paid: &[(&Told, &Paid)], lines: &[Line]) -> Result<(), ImportError> {
    let kept =
        paid.iter().zip(lines).filter_map(|((told, paid), line)| Some((told.row.payment.0, line, paid.fee_minor?)));
    let kept: Vec<_> = kept.collect();
    let events: Vec<_> = kept.iter().map(|(id, ..)| *id).collect();
    let booked = journal::read_many(tx, &events).await?;
    let is_booked = |id: &Uuid| {
        let journals = booked.get(id).into_iter().flatten();
        journals.into_iter().any(|journal| journal.kind() == JournalKind::ChannelCost)
    };
    let mut journals = Vec::new();
    for (id, line, fee_minor) in kept.into_iter().filter(|(id, ..)| !is_booked(id)) {
        let booked_on = judge::booked_on(&app.settings, line.value_date);
        let event = Event { id, correlation: id, booked_on, currency: line.amount.currency };
        journals.push(posting::channel_cost(event, money::source_of(&line.channel, 0), fee_minor)?);
    }
    journal::insert(tx, &journals, app.now()).await?;
    Ok(())
}
