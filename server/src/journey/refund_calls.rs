//! Refunds that go back the way the money came: through the gateway that took a payment of the customer's.
//!
//! That a refund is on its way is durable before its gateway is asked, and a gateway takes a refund's id once. So a
//! server may stop anywhere: whoever finds the call later makes it again, under the same id, and hears what became of
//! it. While a gateway is asked nobody pays the refund by hand.

use std::sync::Arc;
use std::time::Duration;

use daybook_shared::ids::{PaymentId, RefundId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::Timestamp;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::payments::rows::channel_of;
use super::refunds::{self, Payout, RefundRow, RefundState};
use crate::app::App;
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::gateways::{self, CallError, GatewayName, RefundRequest};
use crate::http::problem::{Code, Problem};
use crate::{on_db, recovery};

/// How long whoever takes a call has it: longer than any answer.
const IN_HAND_MS: i64 = 60_000;
/// How long until a gateway is asked again, by how often it was; the last from there on.
const AGAIN_MS: [i64; 5] = [5_000, 300_000, 1_800_000, 7_200_000, 43_200_000];
/// How often it is asked: over about two weeks. Then a person is to find out.
const TRIES_MAX: i64 = 32;
/// How often a server looks. Where nothing is due that is one read.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Calls of one look, and at a time.
const DUE_MAX: i64 = 64;
const AT_ONCE: usize = 4;

/// A refund that goes back through a gateway.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RefundCall {
    refund_id: i64,
    refund: RefundId,
    payment: PaymentId,
    gateway: GatewayName,
    amount_minor: i64,
    currency: Currency,
    tries: i64,
    next_at: Timestamp,
    sent_by: i64,
}

/// A payment that money may go back through: its gateway, how much came, how much of it went back or may have.
#[derive(Debug, sqlx::FromRow)]
struct Taken {
    gateway: GatewayName,
    amount_minor: i64,
    currency: Currency,
    given_back_minor: i64,
}

const TAKEN: &str = "select b.gateway, p.amount_minor, p.currency,
       (select cast(coalesce(sum(f.amount_minor), 0) as bigint) from refund_call c join refund f on f.id = c.refund_id
        where c.payment_uid = b.payment_uid and f.state <> 'failed') as given_back_minor
     from app_payment b join payment p on p.uid = b.payment_uid
     where b.payment_uid = $1 and b.account_id = $2 and b.stage = 'paid' and (p.state = 'posted' or p.state = 'matched')";
const INSERT: &str = "insert into refund_call (refund_id, payment_uid, tries, next_at, sent_at, sent_by)
     values ($1, $2, 0, $3, $3, $4)";

/// Lets a refund go back through the gateway of a payment; the gateway is asked by [`keep`]. The account is locked
/// ([`refunds::must_be_payable`]).
pub async fn send(tx: &mut Tx, app: &App, known: &RefundRow, (by, payment): (i64, PaymentId)) -> Result<(), Problem> {
    let taken: Option<Taken> = on_db!(&mut *tx, conn => {
        sqlx::query_as(TAKEN).bind(payment).bind(known.account_id).fetch_optional(conn).await
    })?;
    let taken = taken.filter(|taken| taken.currency == known.currency);
    let detail = "No gateway took such a payment on the refund's plan, or it was taken back.";
    let taken = taken.ok_or_else(|| Problem::invalid("/payment", "unknown", detail))?;
    let Some(gateway) = app.gateways.get(taken.gateway) else {
        let detail = format!("This server has no {} gateway. Pay the refund by hand.", taken.gateway);
        return Err(Problem::invalid("/payment", "unavailable", &detail));
    };
    if known.amount_minor % gateway.adapter.increment_minor(known.currency) != 0 {
        let detail = format!("{} takes whole amounts only. Pay the refund by hand.", taken.gateway);
        return Err(Problem::invalid("/payment", "increment", &detail));
    }
    if known.amount_minor > taken.amount_minor - taken.given_back_minor {
        let detail = "More would go back through the payment than came by it.";
        let problem = Problem::new(Code::LimitExceeded, detail);
        return Err(problem.with("limit", taken.amount_minor).with("used", taken.given_back_minor));
    }
    refunds::heard(tx, app, known, (by, Payout::Submitted)).await?;
    let now = app.now();
    on_db!(tx, conn => {
        sqlx::query(INSERT).bind(known.id).bind(payment).bind(now).bind(by).execute(conn).await.map(|_| ())
    })?;
    Ok(())
}

const IS_ASKED: &str = "select refund_id from refund_call where refund_id = $1 and next_at is not null";

/// Whether a gateway is still asked what became of a refund.
pub async fn is_asked(tx: &mut Tx, refund_id: i64) -> sqlx::Result<bool> {
    let asked: Option<i64> =
        on_db!(tx, conn => sqlx::query_scalar(IS_ASKED).bind(refund_id).fetch_optional(conn).await)?;
    Ok(asked.is_some())
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It has ended.
    End(RefundState),
    /// The gateway is asked again after so long.
    Again(i64),
}

/// The gateway was asked for the `tries`-th time. Only its own word ends a refund; after the last time a person finds
/// out what became of it.
fn after(tries: i64, told: &Result<gateways::RefundState, CallError>) -> Next {
    match told {
        Ok(gateways::RefundState::Succeeded) => return Next::End(RefundState::Succeeded),
        Ok(gateways::RefundState::Failed) | Err(CallError::Declined(_)) => return Next::End(RefundState::Failed),
        Ok(gateways::RefundState::Pending)
        | Err(CallError::NotSent(_) | CallError::Refused(_) | CallError::Unknown(_)) => {}
    }
    if tries >= TRIES_MAX {
        return Next::End(RefundState::Unknown);
    }
    let place = usize::try_from(tries - 1).unwrap_or_default().min(AGAIN_MS.len() - 1);
    Next::Again(AGAIN_MS[place])
}

/// Does what is due again and again, until the task is ended.
pub async fn keep(app: Arc<App>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = what_is_due(&app).await {
            tracing::warn!(%error, "refunds through gateways could not be looked for");
        }
    }
}

const DUE: &str =
    "select c.refund_id, f.uid as refund, c.payment_uid as payment, b.gateway, f.amount_minor, f.currency,
       c.tries, c.next_at, c.sent_by
     from refund_call c join refund f on f.id = c.refund_id join app_payment b on b.payment_uid = c.payment_uid
     where c.next_at <= $1 order by c.next_at, c.refund_id limit $2";

/// Asks the gateways of all refunds that are due; returns how many were. One that fails is logged, and due again soon.
pub async fn what_is_due(app: &App) -> sqlx::Result<usize> {
    let mut tx = app.db.read().await?;
    // A lost part of the database may know better what was paid.
    if recovery::may_pay_out(&mut tx).await.is_err() {
        return Ok(0);
    }
    let now = app.now();
    let due: Vec<RefundCall> =
        on_db!(&mut tx, conn => sqlx::query_as(DUE).bind(now).bind(DUE_MAX).fetch_all(conn).await)?;
    drop(tx);
    let steps = stream::iter(&due).for_each_concurrent(AT_ONCE, async |call| {
        if let Err(problem) = step(app, call).await {
            tracing::error!(refund = %call.refund, ?problem, "a step of a refund through a gateway failed");
        }
    });
    steps.await;
    Ok(due.len())
}

/// Takes the call in hand, asks, and writes down what follows: each is durable before the next.
async fn step(app: &App, call: &RefundCall) -> Result<(), Problem> {
    let mut tx = app.db.write().await?;
    let Some(in_hand) = take(&mut tx, call, app.now()).await? else { return Ok(()) };
    tx.commit().await?;
    let told = ask(app, call).await;
    let next = after(call.tries + 1, &told);
    let (refund, gateway) = (call.refund, call.gateway);
    match &told {
        Ok(_) => tracing::debug!(%refund, %gateway, "a gateway answered"),
        Err(error @ CallError::Refused(_)) => tracing::error!(%refund, %gateway, %error, "a gateway refuses a refund"),
        Err(error) => tracing::warn!(%refund, %gateway, %error, "a gateway does not say what became of a refund"),
    }
    let mut tx = app.db.write().await?;
    match next {
        Next::Again(ms) => set_next(&mut tx, call, in_hand, Some(app.now().plus_ms(ms))).await?,
        Next::End(state) => end(&mut tx, app, call, (in_hand, state)).await?,
    }
    tx.commit().await?;
    Ok(())
}

async fn ask(app: &App, call: &RefundCall) -> Result<gateways::RefundState, CallError> {
    let Some(gateway) = app.gateways.get(call.gateway) else {
        return Err(CallError::NotSent("it is not configured any more".to_owned()));
    };
    let amount = Money::new(call.amount_minor, call.currency);
    gateway.refund(&RefundRequest { reference: call.refund, payment: call.payment, amount }).await
}

async fn end(
    tx: &mut Tx,
    app: &App,
    call: &RefundCall,
    (in_hand, state): (Timestamp, RefundState),
) -> Result<(), Problem> {
    let known = refunds::find(tx, call.refund).await?.ok_or_else(Problem::met_another)?;
    let paid = match state {
        RefundState::Succeeded => {
            Payout::Succeeded { channel: channel_of(call.gateway), reference: call.refund.to_string() }
        }
        RefundState::Failed => Payout::Failed,
        RefundState::Unknown | RefundState::Pending | RefundState::Submitted => Payout::Unknown,
    };
    refunds::heard(tx, app, &known, (call.sent_by, paid)).await?;
    set_next(tx, call, in_hand, None).await?;
    let detail = json!({ "outcome": state.code(), "gateway": call.gateway.code() });
    audit::record(tx, app.now(), Actor::OPERATOR, "refund.paid", call.refund, detail).await?;
    Ok(())
}

const TAKE: &str = "update refund_call set next_at = $2 where refund_id = $1 and next_at = $3";

/// Takes a call in hand, if nobody has: until when.
async fn take(tx: &mut Tx, call: &RefundCall, now: Timestamp) -> sqlx::Result<Option<Timestamp>> {
    let until = now.plus_ms(IN_HAND_MS);
    let taken = on_db!(tx, conn => {
        sqlx::query(TAKE).bind(call.refund_id).bind(until).bind(call.next_at).execute(conn).await
            .map(|done| done.rows_affected())
    })?;
    Ok((taken == 1).then_some(until))
}

const SET_NEXT: &str = "update refund_call set tries = tries + 1, next_at = $2 where refund_id = $1 and next_at = $3";

/// When it is asked next. Whoever had it in hand too long changes nothing.
async fn set_next(tx: &mut Tx, call: &RefundCall, in_hand: Timestamp, next_at: Option<Timestamp>) -> sqlx::Result<()> {
    on_db!(tx, conn => {
        sqlx::query(SET_NEXT).bind(call.refund_id).bind(next_at).bind(in_hand).execute(conn).await.map(|_| ())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::Failure;

    #[test]
    fn only_the_gateways_word_ends_a_refund() {
        use RefundState as S;
        let unknown = || Err(CallError::Unknown(String::new()));
        let cases = [
            (1, Ok(gateways::RefundState::Succeeded), Next::End(S::Succeeded)),
            (1, Ok(gateways::RefundState::Failed), Next::End(S::Failed)),
            (1, Err(CallError::Declined(Failure::Refused)), Next::End(S::Failed)),
            (1, Ok(gateways::RefundState::Pending), Next::Again(5_000)),
            (1, Err(CallError::NotSent(String::new())), Next::Again(5_000)),
            (2, Err(CallError::Refused(String::new())), Next::Again(300_000)),
            (4, unknown(), Next::Again(7_200_000)),
            (5, unknown(), Next::Again(43_200_000)),
            (TRIES_MAX - 1, unknown(), Next::Again(43_200_000)),
            (TRIES_MAX, unknown(), Next::End(S::Unknown)),
            (TRIES_MAX, Ok(gateways::RefundState::Pending), Next::End(S::Unknown)),
            (TRIES_MAX, Ok(gateways::RefundState::Succeeded), Next::End(S::Succeeded)),
        ];
        for (tries, told, next) in cases {
            assert_eq!(after(tries, &told), next, "{tries} {told:?}");
        }
    }
}
