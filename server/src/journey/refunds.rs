//! Refunds: money that goes back to a customer, for goods that came back or because he paid too much.
//!
//! A refund is owed before it is paid: it begins with the journal that owes it, and ends with the one that pays it
//! (line 13b). One that failed is replaced by another, at most once. All that an account's refunds pay or may still
//! pay is never more than what was paid on it; it is asked under the account's lock when a refund is made and again
//! before it is paid, as a payment may have been taken back in between.
//!
//! A customer's credit that is paid out is a line of the schedule: he is owed less, as if he had bought money with it.
//! So should the payment that made the credit turn out to be none, he owes what he was given.

use daybook_shared::entry::Channel;
use daybook_shared::ids::{AccountId, CustomerId, DossierId, PaymentId, RefundId, ReturnId};
use daybook_shared::money::Currency;
use daybook_shared::schedule::DueLine;
use daybook_shared::time::Timestamp;

use super::returns;
use crate::app::App;
use crate::db::Tx;
use crate::http::problem::{Code, Problem};
use crate::ledger::posting::{Event, GlAccount, JournalKind, Line};
use crate::ledger::{after_sale, journal};
use crate::portfolio::account::{self, Lock};
use crate::portfolio::settlement;
use crate::portfolio::versions::{self, Planned};
use crate::spelled::spelled;
use crate::sync::effects::Effects;
use crate::sync::load::{self, Needs};
use crate::sync::{judge, money, persist};
use crate::{on_db, visible_units};

spelled! {
    /// How far a refund is.
    RefundState {
        /// Owed, and nobody paid it.
        Pending = "pending",
        /// On its way.
        Submitted = "submitted",
        /// The customer has it.
        Succeeded = "succeeded",
        /// He does not have it and will not; another takes its place.
        Failed = "failed",
        /// Nobody knows; to be asked.
        Unknown = "unknown",
    }
}

impl RefundState {
    /// Whether it may become another: what is known stays, and what was sent is not unsent.
    pub fn may_become(self, other: Self) -> bool {
        match (self, other) {
            (Self::Pending, other) => other != Self::Pending,
            (Self::Submitted, other) => matches!(other, Self::Succeeded | Self::Failed | Self::Unknown),
            (Self::Unknown, other) => matches!(other, Self::Succeeded | Self::Failed),
            (Self::Succeeded | Self::Failed, _) => false,
        }
    }
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RefundRow {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: RefundId,
    /// Key of the account.
    pub account_id: i64,
    /// The account.
    pub account: AccountId,
    /// Key of the customer.
    pub customer_id: i64,
    /// The customer.
    pub customer: CustomerId,
    /// Key of the return it is for.
    pub return_id: Option<i64>,
    /// The return it is for.
    pub goods_return: Option<ReturnId>,
    /// Key of the refund it takes the place of.
    pub replaces_id: Option<i64>,
    /// The refund it takes the place of.
    pub replaces: Option<RefundId>,
    /// How much.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
    /// How far it is.
    pub state: RefundState,
    /// How it was paid.
    pub channel: Option<String>,
    /// The bank's or operator's reference.
    pub reference: Option<String>,
    /// The payment through whose gateway it goes back.
    pub through: Option<PaymentId>,
    /// Its version.
    pub row_version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Key of who made it.
    pub created_by: i64,
    /// When it succeeded or failed.
    pub ended_at: Option<Timestamp>,
}

macro_rules! columns {
    () => {
        "select f.id, f.uid, f.account_id, a.uid as account, a.customer_id, k.uid as customer, f.return_id,
           r.uid as goods_return, f.replaces_id, p.uid as replaces, f.amount_minor, f.currency, f.state, f.channel,
           f.reference, c.payment_uid as through, f.row_version, f.created_at, f.created_by, f.ended_at
         from refund f join account a on a.id = f.account_id join customer k on k.id = a.customer_id
           left join goods_return r on r.id = f.return_id left join refund p on p.id = f.replaces_id
           left join refund_call c on c.refund_id = f.id "
    };
}
const SELECT: &str = concat!(columns!(), "where f.uid = $1");
const OF_RETURN: &str = "select uid from refund where return_id = $1 order by id desc limit 1";
const REACHED: &str =
    concat!(visible_units!(), columns!(), "where f.uid = $3 and a.unit_id in (select id from visible)");
const PAGE: &str = concat!(
    visible_units!(),
    columns!(),
    "where a.unit_id in (select id from visible)
       and f.id < coalesce((select id from refund where uid = $3), 9223372036854775807) order by f.id desc limit $4"
);
const INSERT: &str = "insert into refund (uid, account_id, return_id, replaces_id, amount_minor, currency, state,
       row_version, created_at, created_by)
     values ($1, $2, $3, $4, $5, $6, 'pending', 1, $7, $8) on conflict do nothing";

/// The refund with this id, whoever's.
pub async fn find(tx: &mut Tx, id: RefundId) -> sqlx::Result<Option<RefundRow>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(id).fetch_optional(conn).await)
}

/// The newest refund for a return.
pub async fn of_return(tx: &mut Tx, return_id: i64) -> sqlx::Result<Option<RefundId>> {
    on_db!(tx, conn => sqlx::query_scalar(OF_RETURN).bind(return_id).fetch_optional(conn).await)
}

/// The refund with this id, if these roles reach it.
pub async fn reached(tx: &mut Tx, (by, roles): (i64, String), id: RefundId) -> sqlx::Result<Option<RefundRow>> {
    on_db!(tx, conn => sqlx::query_as(REACHED).bind(by).bind(roles).bind(id).fetch_optional(conn).await)
}

/// Refunds that these roles reach, the newest first.
pub async fn page(
    tx: &mut Tx,
    (by, roles): (i64, String),
    (after, limit): (Option<RefundId>, i64),
) -> sqlx::Result<Vec<RefundRow>> {
    on_db!(tx, conn => sqlx::query_as(PAGE).bind(by).bind(roles).bind(after).bind(limit).fetch_all(conn).await)
}

/// A refund to be written down.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// Id.
    pub uid: RefundId,
    /// Key of the account.
    pub account_id: i64,
    /// Key of the return it is for.
    pub return_id: Option<i64>,
    /// Key of the refund it takes the place of.
    pub replaces_id: Option<i64>,
    /// How much.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
    /// Key of who makes it.
    pub by_user: i64,
}

/// Writes a refund down, as far as what was paid on the account reaches. The account is locked.
pub async fn insert(tx: &mut Tx, now: Timestamp, new: &NewRefund) -> Result<(), Problem> {
    must_reach(tx, new.account_id, new.amount_minor).await?;
    let inserted = on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(new.uid)
            .bind(new.account_id)
            .bind(new.return_id)
            .bind(new.replaces_id)
            .bind(new.amount_minor)
            .bind(new.currency)
            .bind(now)
            .bind(new.by_user)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    if inserted == 1 { Ok(()) } else { Err(Problem::met_another()) }
}

const CAPTURED: &str = "select cast(a.paid_minor + a.credit_minor + coalesce(o.down_payment_minor, 0) as bigint)
     from account a left join account_origin o on o.account_id = a.id and o.activated_at is not null where a.id = $1";
const LIVE: &str = "select cast(coalesce(sum(amount_minor), 0) as bigint) from refund
     where account_id = $1 and state <> 'failed'";

/// Refuses more than was paid: `more` beside all refunds that are paid or may be.
async fn must_reach(tx: &mut Tx, account_id: i64, more: i64) -> Result<(), Problem> {
    let captured: i64 = on_db!(&mut *tx, conn => sqlx::query_scalar(CAPTURED).bind(account_id).fetch_one(conn).await)?;
    let live: i64 = on_db!(tx, conn => sqlx::query_scalar(LIVE).bind(account_id).fetch_one(conn).await)?;
    if i128::from(live) + i128::from(more) > i128::from(captured) {
        let detail = "More would go back than was paid on the account.";
        return Err(Problem::new(Code::LimitExceeded, detail).with("limit", captured).with("used", live));
    }
    Ok(())
}

/// Owes a customer his credit, or a part of it, and writes the refund down.
pub async fn of_credit(tx: &mut Tx, app: &App, account: AccountId, new: &NewRefund) -> Result<(), Problem> {
    let broken = |error: &dyn std::fmt::Display| Problem::internal(error);
    let now = app.now();
    let today = app.settings.zone.date_of(now);
    let mut needs = Needs::default();
    needs.dossier(DossierId::case(account));
    let mut world = load::world(tx, &needs).await?;
    let account = world.accounts.get_mut(&new.account_id).ok_or_else(Problem::not_found)?;
    if new.amount_minor > account.row.credit_minor {
        let detail = "The customer has not so much credit on this plan.";
        let credit = account.row.credit_minor;
        return Err(Problem::new(Code::LimitExceeded, detail).with("limit", credit).with("used", 0));
    }
    insert(tx, now, new).await?;
    let (id, customer) = (account.row.id, account.row.customer_id);
    let earned = versions::load_earned(tx, &[(id, account.row.schedule_version)]).await?.remove(&id);
    let earned = earned.unwrap_or_default();
    account.payments = Some(account::load_payments(tx, &[id]).await?.remove(&id).unwrap_or_default());
    let mut planned = versions::plan_of(&account.instalments, &earned);
    let n = versions::next_n(&account.instalments).ok_or_else(|| broken(&"a schedule of too many lines"))?;
    let line = DueLine { n, due_date: today, principal: new.amount_minor, interest: 0, fee: 0, penalty: 0 };
    planned.push(Planned { line, earned_minor: 0 });
    let moved = money::reschedule(account, &earned, &planned).map_err(|error| broken(&error))?;
    let booked_on = judge::booked_on(&app.settings, today);
    let event = Event { id: new.uid.0, correlation: new.uid.0, booked_on, currency: new.currency };
    let owed = vec![Line { account: GlAccount::refund_payable(customer), minor: -new.amount_minor }];
    let journals = after_sale::changed(JournalKind::RefundOwed, event, (id, customer), moved, owed);
    let effects = Effects { journals: journals.map_err(|error| broken(&error))?, ..Effects::default() };
    world.tell_schedule(id);
    settlement::set_current(tx, id, None).await?;
    persist::persist(tx, &mut world, effects, now).await?;
    Ok(())
}

/// Writes a refund down in place of one that failed. What is owed stays owed.
pub async fn replace(tx: &mut Tx, now: Timestamp, failed: &RefundRow, uid: RefundId, by: i64) -> Result<(), Problem> {
    account::load_accounts(tx, &[failed.account_id], Lock::ForUpdate).await?;
    if failed.state != RefundState::Failed {
        let detail = format!("The refund is {}: nothing takes its place.", failed.state);
        let problem = Problem::new(Code::IllegalTransition, detail);
        return Err(problem.with("from", failed.state.code()).with("event", "replace"));
    }
    let new = NewRefund {
        uid,
        account_id: failed.account_id,
        return_id: failed.return_id,
        replaces_id: Some(failed.id),
        amount_minor: failed.amount_minor,
        currency: failed.currency,
        by_user: by,
    };
    insert(tx, now, &new).await
}

/// What came of paying a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payout {
    /// It is on its way.
    Submitted,
    /// The customer has it; under this reference, from where this channel's money is.
    Succeeded {
        /// How.
        channel: Channel,
        /// The bank's, operator's or gateway's reference.
        reference: String,
    },
    /// The customer does not have it and will not.
    Failed,
    /// Nobody knows.
    Unknown,
}

const HEARD: &str = "update refund set state = $2, channel = $3, reference = $4, ended_at = $5, paid_by = $6,
       row_version = row_version + 1 where id = $1 and row_version = $7";

/// Before it is paid: what was paid on the account still reaches. Locks the account.
pub async fn must_be_payable(tx: &mut Tx, known: &RefundRow) -> Result<(), Problem> {
    account::load_accounts(tx, &[known.account_id], Lock::ForUpdate).await?;
    must_reach(tx, known.account_id, 0).await
}

/// Writes down what came of paying; line 13b when the customer has it.
pub async fn heard(tx: &mut Tx, app: &App, known: &RefundRow, (by, paid): (i64, Payout)) -> Result<(), Problem> {
    let now = app.now();
    let (state, channel, reference) = match &paid {
        Payout::Submitted => (RefundState::Submitted, None, None),
        Payout::Succeeded { channel, reference } => (RefundState::Succeeded, Some(channel), Some(reference.as_str())),
        Payout::Failed => (RefundState::Failed, None, None),
        Payout::Unknown => (RefundState::Unknown, None, None),
    };
    if !known.state.may_become(state) {
        let detail = format!("The refund is {}: it does not become {state}.", known.state);
        let problem = Problem::new(Code::IllegalTransition, detail);
        return Err(problem.with("from", known.state.code()).with("event", state.code()));
    }
    let ended_at = matches!(state, RefundState::Succeeded | RefundState::Failed).then_some(now);
    let changed = on_db!(&mut *tx, conn => {
        sqlx::query(HEARD)
            .bind(known.id)
            .bind(state)
            .bind(channel.map(|channel| channel.code().to_owned()))
            .bind(reference)
            .bind(ended_at)
            .bind(by)
            .bind(known.row_version)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    if changed != 1 {
        return Err(Problem::met_another());
    }
    let Some(channel) = channel else { return Ok(()) };
    let booked_on = judge::booked_on(&app.settings, app.settings.zone.date_of(now));
    let correlation = known.goods_return.map_or(known.uid.0, |goods_return| goods_return.0);
    let event = Event { id: known.uid.0, correlation, booked_on, currency: known.currency };
    let source = money::source_of(channel, by);
    let booked = after_sale::refund_paid(event, known.customer_id, source, known.amount_minor);
    journal::insert(tx, &[booked.map_err(|error| Problem::internal(&error))?], now).await?;
    if let Some(return_id) = known.return_id {
        returns::close(tx, return_id).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_refund_stays() {
        use RefundState as S;
        for from in S::ALL {
            for to in S::ALL {
                let order = [S::Pending, S::Submitted, S::Unknown];
                let place = |state| order.iter().position(|one| *one == state).unwrap_or(order.len());
                let expected = place(*from) < order.len() && place(*to) > place(*from);
                assert_eq!(from.may_become(*to), expected, "{from} to {to}");
            }
        }
    }
}
