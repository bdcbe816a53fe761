//! Returns: goods that a customer gives back. One person says that they may come back, another that they are here;
//! only then the books move, by what [`crate::portfolio::returning`] makes of it.
//!
//! How much comes back is shared among the stored lines of the order and never worked out from prices again; what is
//! asked for is at most what is left of them, returns under way included.

use daybook_shared::ids::{AccountId, CustomerId, DossierId, Hash, RefundId, ReturnId};
use daybook_shared::money::Currency;
use daybook_shared::quote::refund::{Asked, CapturedLine, Refund, RefundError};
use daybook_shared::time::Timestamp;

use super::offers::{self, Offer};
use super::quotes::{self, Made};
use super::refunds::{self, NewRefund};
use super::{late_fees, orders};
use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::http::problem::{Code, Problem};
use crate::ledger::after_sale;
use crate::ledger::posting::{Event, JournalKind};
use crate::portfolio::account::{self, AccountStatus, ClosedAs};
use crate::portfolio::returning::{self, Goods, Undone};
use crate::portfolio::{settlement, versions};
use crate::spelled::spelled;
use crate::sync::effects::Effects;
use crate::sync::load::{self, Needs};
use crate::sync::{judge, money, persist};
use crate::{on_db, visible_units};

spelled! {
    /// How far a return is.
    ReturnState {
        /// The customer asks for it.
        Requested = "requested",
        /// The goods may come back.
        Approved = "approved",
        /// They are here, and money is on its way back.
        Received = "received",
        /// All is done.
        Closed = "closed",
        /// They may not come back.
        Rejected = "rejected",
    }

    /// What is ruled on a return.
    Ruling {
        /// The goods may come back.
        Approve = "approve",
        /// They may not, or never came.
        Reject = "reject",
        /// They are here.
        Receive = "receive",
    }
}

impl ReturnState {
    /// What it is after a ruling; none when it cannot be ruled.
    pub fn after(self, ruling: Ruling) -> Option<Self> {
        match (self, ruling) {
            (Self::Requested, Ruling::Approve) => Some(Self::Approved),
            (Self::Requested | Self::Approved, Ruling::Reject) => Some(Self::Rejected),
            (Self::Approved, Ruling::Receive) => Some(Self::Received),
            _ => None,
        }
    }
}

/// A return.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct GoodsReturn {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: ReturnId,
    /// Key of the account.
    pub account_id: i64,
    /// The account.
    pub account: AccountId,
    /// Key of the customer.
    pub customer_id: i64,
    /// The customer.
    pub customer: CustomerId,
    /// How much of the price comes back.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
    /// The hash of what was asked for.
    pub content: Hash,
    /// Why, in the customer's words.
    pub reason: Option<String>,
    /// How far it is.
    pub state: ReturnState,
    /// What goes back to the customer, once it is known.
    pub refund_minor: Option<i64>,
    /// Its version.
    pub row_version: i64,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Key of who asked.
    pub requested_by: i64,
    /// When it was approved or rejected.
    pub decided_at: Option<Timestamp>,
    /// Key of who did.
    pub decided_by: Option<i64>,
    /// When the goods were here.
    pub received_at: Option<Timestamp>,
}

macro_rules! columns {
    () => {
        "select r.id, r.uid, r.account_id, a.uid as account, a.customer_id, k.uid as customer, r.amount_minor, r.currency,
           r.content, r.reason, r.state, r.refund_minor, r.row_version, r.requested_at, r.requested_by, r.decided_at,
           r.decided_by, r.received_at
         from goods_return r join account a on a.id = r.account_id join customer k on k.id = a.customer_id "
    };
}
const SELECT: &str = concat!(columns!(), "where r.uid = $1");
const SELECT_BY_KEY: &str = concat!(columns!(), "where r.id = $1");
const PAGE_OPEN: &str = concat!(
    visible_units!(),
    columns!(),
    "where r.state in ('requested', 'approved') and a.unit_id in (select id from visible)
       and r.id > coalesce((select id from goods_return where uid = $3), 0) order by r.id limit $4"
);
const REACHED: &str =
    concat!(visible_units!(), columns!(), "where r.uid = $3 and a.unit_id in (select id from visible)");
const INSERT: &str = "insert into goods_return (uid, account_id, amount_minor, currency, content, reason, state,
       row_version, requested_at, requested_by)
     values ($1, $2, $3, $4, $5, $6, 'requested', 1, $7, $8) on conflict (uid) do nothing returning id";

/// The return with this id, whoever's.
pub async fn find(tx: &mut Tx, id: ReturnId) -> sqlx::Result<Option<GoodsReturn>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(id).fetch_optional(conn).await)
}

/// The return with this key.
pub async fn by_key(tx: &mut Tx, id: i64) -> sqlx::Result<GoodsReturn> {
    on_db!(tx, conn => sqlx::query_as(SELECT_BY_KEY).bind(id).fetch_one(conn).await)
}

/// The return with this id, if these roles reach it.
pub async fn reached(tx: &mut Tx, (by, roles): (i64, String), id: ReturnId) -> sqlx::Result<Option<GoodsReturn>> {
    on_db!(tx, conn => sqlx::query_as(REACHED).bind(by).bind(roles).bind(id).fetch_optional(conn).await)
}

/// Returns that wait for a ruling and that these roles reach, the oldest first.
pub async fn page_open(
    tx: &mut Tx,
    (by, roles): (i64, String),
    (after, limit): (Option<ReturnId>, i64),
) -> sqlx::Result<Vec<GoodsReturn>> {
    on_db!(tx, conn => {
        sqlx::query_as(PAGE_OPEN).bind(by).bind(roles).bind(after).bind(limit).fetch_all(conn).await
    })
}

/// What an account was sold under.
#[derive(Debug, Clone)]
pub struct Sale {
    /// The quote.
    pub made: Made,
    /// The offer.
    pub offer: Offer,
}

const SALE: &str = "select quote_id, offer_id from account_origin where account_id = $1";

/// What an account was sold under; none of one that was taken over.
pub async fn sale(tx: &mut Tx, account_id: i64) -> sqlx::Result<Option<Sale>> {
    let keys: Option<(i64, i64)> = on_db!(&mut *tx, conn => {
        sqlx::query_as(SALE).bind(account_id).fetch_optional(conn).await
    })?;
    let Some((quote, offer)) = keys else { return Ok(None) };
    Ok(Some(Sale { made: quotes::by_key(tx, quote).await?, offer: offers::by_key(tx, offer).await? }))
}

const GIVEN: &str = "select l.n, cast(sum(l.amount_minor) as bigint) from goods_return_line l
     join goods_return r on r.id = l.return_id where r.account_id = $1 and r.state <> 'rejected' group by l.n";

/// The lines of a sale, with what comes back of them already; line 0 where there was no order.
pub async fn lines(tx: &mut Tx, account_id: i64, made: &Made) -> sqlx::Result<Vec<(i64, CapturedLine)>> {
    let given: Vec<(i64, i64)> =
        on_db!(&mut *tx, conn => sqlx::query_as(GIVEN).bind(account_id).fetch_all(conn).await)?;
    let of_order = match made.order_id {
        Some(order) => orders::lines(tx, order).await?,
        None => Vec::new(),
    };
    let mut sold: Vec<(i64, i64)> = (1..).zip(of_order).map(|(n, line)| (n, line.amount_minor)).collect();
    // An order is not always told by its lines, and they need not be all of its price.
    let rest = made.quote.price_minor - sold.iter().map(|line| line.1).sum::<i64>();
    if rest > 0 {
        sold.push((0, rest));
    }
    let line = |(n, captured_minor)| {
        let refunded_minor = given.iter().find(|line| line.0 == n).map_or(0, |line| line.1);
        (n, CapturedLine { captured_minor, refunded_minor })
    };
    Ok(sold.into_iter().map(line).collect())
}

/// How what is asked for falls on the lines.
pub fn share(asked: Asked, lines: &[(i64, CapturedLine)]) -> Result<Vec<(i64, i64)>, RefundError> {
    let captured: Vec<_> = lines.iter().map(|line| line.1).collect();
    let shared = Refund::of(asked, &captured)?;
    Ok(lines.iter().zip(shared.lines).filter(|(_, minor)| *minor > 0).map(|(line, minor)| (line.0, minor)).collect())
}

/// A return to be written down.
#[derive(Debug, Clone)]
pub struct NewReturn {
    /// Id, which its maker chose.
    pub uid: ReturnId,
    /// Key of the account.
    pub account_id: i64,
    /// The currency.
    pub currency: Currency,
    /// How much of which line.
    pub lines: Vec<(i64, i64)>,
    /// The hash of what was asked for.
    pub content: Hash,
    /// Why.
    pub reason: String,
    /// Key of who asks.
    pub by_user: i64,
}

batch_row! {
    struct LineRow { return_id: i64 => "int8", n: i64 => "int8", amount_minor: i64 => "int8" }
}
const INSERT_LINES: &str = "insert into goods_return_line (return_id, n, amount_minor)
     select return_id, n, amount_minor from v where true";

/// Writes a return down; its key, or none when its id came to be in use meanwhile.
pub async fn insert(tx: &mut Tx, now: Timestamp, new: &NewReturn) -> sqlx::Result<Option<i64>> {
    let amount_minor: i64 = new.lines.iter().map(|line| line.1).sum();
    let id: Option<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(INSERT)
            .bind(new.uid)
            .bind(new.account_id)
            .bind(amount_minor)
            .bind(new.currency)
            .bind(new.content)
            .bind(&new.reason)
            .bind(now)
            .bind(new.by_user)
            .fetch_optional(conn)
            .await
    })?;
    let Some(return_id) = id else { return Ok(None) };
    let rows = new.lines.iter().map(|&(n, amount_minor)| LineRow { return_id, n, amount_minor });
    batch::execute(tx, &rows.collect::<Vec<_>>(), INSERT_LINES).await?;
    Ok(Some(return_id))
}

const DECIDE: &str =
    "update goods_return set state = $2, decided_at = $3, decided_by = $4, row_version = row_version + 1
     where id = $1 and row_version = $5";

/// Approves or rejects; false when somebody was before.
pub async fn decide(
    tx: &mut Tx,
    known: &GoodsReturn,
    state: ReturnState,
    (by, now): (i64, Timestamp),
) -> sqlx::Result<bool> {
    on_db!(tx, conn => {
        let decide = sqlx::query(DECIDE).bind(known.id).bind(state).bind(now).bind(by).bind(known.row_version);
        decide.execute(conn).await.map(|done| done.rows_affected() == 1)
    })
}

const RECEIVE: &str =
    "update goods_return set state = $2, received_at = $3, received_by = $4, profit_minor = $5, cut_minor = $6,
       refund_minor = $7, row_version = row_version + 1 where id = $1 and state = 'approved'";
const BEFORE: &str =
    "select cast(coalesce(sum(amount_minor), 0) as bigint), cast(coalesce(sum(profit_minor), 0) as bigint)
     from goods_return where account_id = $1 and received_at is not null";

/// The goods are here: the sale is undone as far as they go, in the books and in the schedule, and a refund waits
/// for what was paid of it. The refund's id is drawn by the caller.
pub async fn receive(tx: &mut Tx, app: &App, known: &GoodsReturn, by: i64, refund: RefundId) -> Result<(), Problem> {
    let broken = |error: &dyn std::fmt::Display| Problem::internal(error);
    let now = app.now();
    let mut needs = Needs::default();
    needs.dossier(DossierId::case(known.account));
    let mut world = load::world(tx, &needs).await?;
    let sale = sale(tx, known.account_id).await?.ok_or_else(|| broken(&"a return without a sale"))?;
    let account = world.accounts.get_mut(&known.account_id).ok_or_else(|| broken(&"an account without a case"))?;
    let agreed = settled_rebate(tx, &account.row).await?;
    let before: (i64, i64) =
        on_db!(&mut *tx, conn => sqlx::query_as(BEFORE).bind(known.account_id).fetch_one(conn).await)?;
    let goods = goods(known.amount_minor, before, (&sale, agreed));
    let version = (known.account_id, account.row.schedule_version);
    let earned = versions::load_earned(tx, &[version]).await?.remove(&known.account_id).unwrap_or_default();
    let customer = account.row.customer_id;
    let returned = returning::give_back((&account.instalments, &earned), customer, goods)
        .map_err(|error| Problem::new(Code::Conflict, format!("{error}.")))?;
    let payments = account::load_payments(tx, &[known.account_id]).await?.remove(&known.account_id);
    account.payments = Some(payments.unwrap_or_default());
    let moved = money::reschedule(account, &earned, &returned.planned).map_err(|error| broken(&error))?;
    if goods.undone.is_some() {
        (account.row.status, account.row.closed_as) = (AccountStatus::Closed, Some(ClosedAs::Rescinded));
    }
    let booked_on = judge::booked_on(&app.settings, app.settings.zone.date_of(now));
    let event = Event { id: known.uid.0, correlation: known.uid.0, booked_on, currency: known.currency };
    let journals = after_sale::changed(JournalKind::Return, event, (known.account_id, customer), moved, returned.lines);
    let effects = Effects { journals: journals.map_err(|error| broken(&error))?, ..Effects::default() };
    world.tell_schedule(known.account_id);
    // A figure that was agreed on was of the schedule before.
    settlement::set_current(tx, known.account_id, None).await?;
    persist::persist(tx, &mut world, effects, now).await?;
    let state = if returned.refund_minor > 0 { ReturnState::Received } else { ReturnState::Closed };
    let received = on_db!(&mut *tx, conn => {
        let receive = sqlx::query(RECEIVE).bind(known.id).bind(state).bind(now).bind(by);
        let receive = receive.bind(goods.profit_minor).bind(returned.cut_minor).bind(returned.refund_minor);
        receive.execute(conn).await.map(|done| done.rows_affected())
    })?;
    if received != 1 {
        return Err(Problem::met_another());
    }
    if returned.refund_minor > 0 {
        let new = NewRefund {
            uid: refund,
            account_id: known.account_id,
            return_id: Some(known.id),
            replaces_id: None,
            amount_minor: returned.refund_minor,
            currency: known.currency,
            by_user: by,
        };
        refunds::insert(tx, now, &new).await?;
    }
    if let (Some(order_id), Some(_)) = (sale.made.order_id, goods.undone) {
        let event =
            orders::NewEvent { order_id, kind: orders::EventKind::Returned, at: now, stars: None, by_user: Some(by) };
        orders::note(tx, &[event]).await?;
    }
    Ok(())
}

/// The profit that was given up by an early settlement: it cannot come back.
async fn settled_rebate(tx: &mut Tx, account: &account::AccountRow) -> sqlx::Result<i64> {
    match (account.closed_as, account.settlement_id) {
        (Some(ClosedAs::EarlySettled), Some(key)) => Ok(settlement::current(tx, key).await?.rebate_minor),
        _ => Ok(0),
    }
}

/// What comes back with so much of the price. The last part takes what is left of the profit.
fn goods(price_minor: i64, (given, given_profit): (i64, i64), (sale, rebate_minor): (&Sale, i64)) -> Goods {
    let quote = &sale.made.quote;
    let profit = quote.profit_minor - rebate_minor;
    let so_far = i128::from(given) + i128::from(price_minor);
    let is_all = so_far == i128::from(quote.price_minor);
    let share = i128::from(profit) * so_far / i128::from(quote.price_minor.max(1));
    let share = i64::try_from(share).unwrap_or(profit);
    let penalties = sale
        .offer
        .terms
        .late_fee
        .map_or(crate::ledger::posting::GlAccount::FEES, |fee| late_fees::goes_to(fee.goes_to));
    let fee_at_acceptance_minor = quote.at_acceptance_minor() - quote.down_payment_minor;
    Goods {
        price_minor,
        profit_minor: (share - given_profit).max(0),
        undone: is_all.then_some(Undone { fee_at_acceptance_minor, penalties }),
    }
}

const CLOSE: &str = "update goods_return set state = 'closed', row_version = row_version + 1
     where id = $1 and state = 'received'";

/// The money went back.
pub async fn close(tx: &mut Tx, id: i64) -> sqlx::Result<()> {
    on_db!(tx, conn => sqlx::query(CLOSE).bind(id).execute(conn).await.map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_is_approved_then_received_and_rejected_only_before_that() {
        use ReturnState as S;
        let table = [
            (S::Requested, Ruling::Approve, S::Approved),
            (S::Requested, Ruling::Reject, S::Rejected),
            (S::Approved, Ruling::Reject, S::Rejected),
            (S::Approved, Ruling::Receive, S::Received),
        ];
        for state in S::ALL {
            for ruling in Ruling::ALL {
                let expected = table.iter().find(|row| row.0 == *state && row.1 == *ruling).map(|row| row.2);
                assert_eq!(state.after(*ruling), expected, "{state} {ruling}");
            }
        }
    }
}
