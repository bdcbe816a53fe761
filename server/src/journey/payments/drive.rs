//! One step of a payment in the app: take it in hand, ask its gateway, write down what follows.
//!
//! Each of the three is durable before the next begins, so a server may stop between any two. A row whose call was
//! begun says so before the call: whoever finds it later asks what the gateway has, and never for money again.

use daybook_shared::ids::PaymentId;
use daybook_shared::time::Timestamp;
use serde_json::json;

use super::rows::{self, AppPayment, Move, channel_of};
use super::state::{Stage, Step, after_fetch, after_start, pay_until};
use crate::app::App;
use crate::audit::{self, Actor};
use crate::db::{self, Tx};
use crate::gateways::{CallError, Connected, Failure, Paid, Remote};
use crate::import::money_in::Line;
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

/// Does the next step of a payment, if it is due and nobody else does it.
pub async fn step(app: &App, payment: PaymentId) -> Result<(), ImportError> {
    let mut tx = app.db.write().await?;
    let Some(row) = rows::find(&mut tx, payment).await? else { return Ok(()) };
    let Some(in_hand) = rows::take(&mut tx, &row, app.now()).await? else { return Ok(()) };
    tx.commit().await?;
    let Some(gateway) = app.gateways.get(row.gateway) else {
        tracing::warn!(%payment, gateway = %row.gateway, "a payment's gateway is not configured");
        return absent(app, &row, in_hand).await;
    };
    let (step, news) = ask(app, gateway, &row).await;
    apply(app, &row, in_hand, step, news).await
}

/// Asks for money, or for what there is; what follows, and what else was told.
async fn ask(app: &App, gateway: &Connected, row: &AppPayment) -> (Step, Option<Remote>) {
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
async fn absent(app: &App, row: &AppPayment, in_hand: Timestamp) -> Result<(), ImportError> {
    let at = app.now().plus_ms(ABSENT_MS);
    let step = match row.stage {
        Stage::Created if at >= pay_until(row.expires_at) => Step::Fail(Failure::Unreachable),
        stage => Step::Ask { stage, tries: row.tries, at },
    };
    apply(app, row, in_hand, step, None).await
}

async fn apply(
    app: &App,
    row: &AppPayment,
    in_hand: Timestamp,
    step: Step,
    news: Option<Remote>,
) -> Result<(), ImportError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match once(app, row, in_hand, &step, news.as_ref()).await {
            Err(ImportError::Sql(error)) if db::is_transient(&error) && tries < RETRIES_MAX => {}
            other => return other,
        }
    }
}

async fn once(
    app: &App,
    row: &AppPayment,
    in_hand: Timestamp,
    step: &Step,
    news: Option<&Remote>,
) -> Result<(), ImportError> {
    let now = app.now();
    // What was created was taken in hand as starting.
    let from = if row.stage == Stage::Created { Stage::Starting } else { row.stage };
    let to = |to, next_at, tries, failure| Move {
        payment: row.payment,
        from,
        to,
        in_hand,
        next_at,
        tries,
        failure,
        redirect_url: news.and_then(|news| news.redirect_url.clone()),
        external_ref: news.and_then(|news| news.external_ref.clone()),
        at: now,
    };
    let mut tx = app.db.write().await?;
    match step {
        Step::Ask { stage, tries, at } => {
            rows::move_on(&mut tx, &to(*stage, Some(*at), *tries, None)).await?;
        }
        Step::Fail(failure) => {
            if rows::move_on(&mut tx, &to(Stage::Failed, None, 0, Some(*failure))).await? {
                note(&mut tx, now, row, "payment.failed", json!({ "failure": failure.code() })).await?;
            }
        }
        Step::Expire(look_again_at) => {
            if rows::move_on(&mut tx, &to(Stage::Expired, Some(*look_again_at), 0, None)).await? {
                note(&mut tx, now, row, "payment.expired", json!({})).await?;
            }
        }
        Step::Pay(paid) => confirm(&mut tx, app, row, paid, in_hand).await?,
        Step::Rest => rows::rest(&mut tx, row.payment, in_hand).await?,
    }
    tx.commit().await?;
    app.hints.nudge();
    Ok(())
}

async fn note(
    tx: &mut Tx,
    now: Timestamp,
    row: &AppPayment,
    action: &str,
    mut detail: serde_json::Value,
) -> sqlx::Result<()> {
    detail["gateway"] = json!(row.gateway.code());
    audit::record(tx, now, Actor::OPERATOR, action, row.payment, detail).await
}

/// The money is there: it is booked like a line of a statement, once.
async fn confirm(tx: &mut Tx, app: &App, row: &AppPayment, paid: &Paid, in_hand: Timestamp) -> Result<(), ImportError> {
    let now = app.now();
    let line = line_of(app, row, paid);
    let results = receive(tx, app, &Scope::OPERATOR, std::slice::from_ref(&line)).await?;
    let came = results.first().map(|result| result.came);
    book_fee(tx, app, row, &line, paid).await?;
    rows::rest(tx, row.payment, in_hand).await?;
    if row.stage != Stage::Paid {
        let detail = json!({ "came": came, "asked_minor": row.amount_minor, "paid_minor": paid.amount.minor,
                             "was": row.stage.code() });
        note(tx, now, row, "payment.paid", detail).await?;
    }
    Ok(())
}

fn line_of(app: &App, row: &AppPayment, paid: &Paid) -> Line {
    let day = |at| app.settings.zone.date_of(at);
    // The gateway's clock is its own: no day after today, and none before the payment was begun.
    let value_date = day(paid.at).min(day(app.now())).max(day(row.begun_at).plus_days(-1));
    Line {
        line: 0,
        source: PaymentSource::App,
        channel: channel_of(row.gateway),
        external_ref: paid.external_ref.clone(),
        amount: paid.amount,
        value_date,
        at: Some(paid.at),
        payer: None,
        account_number: Some(row.account_number.clone()),
        cashier: None,
        begun: Some(row.payment),
    }
}

/// What the gateway keeps, once.
async fn book_fee(tx: &mut Tx, app: &App, row: &AppPayment, line: &Line, paid: &Paid) -> Result<(), ImportError> {
    let Some(fee_minor) = paid.fee_minor else { return Ok(()) };
    let booked = journal::read(tx, row.payment.0).await?;
    if booked.iter().any(|journal| journal.kind() == JournalKind::ChannelCost) {
        return Ok(());
    }
    let booked_on = judge::booked_on(&app.settings, line.value_date);
    let (id, currency) = (row.payment.0, paid.amount.currency);
    let event = Event { id, correlation: id, booked_on, currency };
    let source = money::source_of(&line.channel, 0);
    journal::insert(tx, &[posting::channel_cost(event, source, fee_minor)?], app.now()).await?;
    Ok(())
}
