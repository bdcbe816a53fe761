//! A customer's payments as he sees them, whoever took them: what he pays in the app, and what an officer, a
//! statement or another book has of him.

use std::collections::BTreeMap;

use daybook_shared::entry::Channel;
use daybook_shared::ids::{AccountId, PaymentId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{Date, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::state::Stage;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::gateways::GatewayName;
use crate::http::etag;
use crate::on_db;
use crate::portfolio::payment::{PaymentSource, PaymentState};

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000004", "plan": "019cad21-cf00-7000-8000-000000000001", "source": "app",
    "channel": "MOBILE_MONEY", "amount": { "minor": 477_000, "currency": "KES" }, "state": "pending",
    "value_date": "2026-04-02", "next": { "kind": "confirm_on_phone" }, "failure": null,
    "begun_at": "2026-04-02T15:20:00Z", "allocations": [],
}))]
pub struct PaymentView {
    /// The payment.
    pub id: PaymentId,
    /// The plan it is for.
    pub plan: AccountId,
    /// Where it came from: field (an officer), app, statement, card, import.
    #[schema(example = "app")]
    pub source: &'static str,
    /// How the money comes: CASH, MOBILE_MONEY, CARD and the like.
    #[schema(example = "MOBILE_MONEY")]
    pub channel: String,
    /// How much.
    pub amount: Money,
    /// pending, held (somebody looks at it), posted, failed, expired or reversed. One that failed or expired is
    /// posted after all if its money comes.
    #[schema(example = "pending")]
    pub state: &'static str,
    /// The day it counts for.
    pub value_date: Date,
    /// What the payer does next.
    #[schema(required)]
    pub next: Option<NextAction>,
    /// Why it failed: cancelled, insufficient_funds, limit, no_answer, undisclosed, refused, unreachable.
    #[schema(required, example = "insufficient_funds")]
    pub failure: Option<String>,
    /// Of a payment in the app: when it was begun.
    #[schema(required)]
    pub begun_at: Option<Timestamp>,
    /// What it paid of which instalments, once it is posted; what is above them is the customer's credit.
    pub allocations: Vec<AllocationView>,
}

/// What the payer does next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum NextAction {
    /// He goes on at this page.
    Redirect {
        /// The page.
        redirect_url: String,
    },
    /// He confirms on his phone.
    ConfirmOnPhone,
}

/// What a payment paid of one instalment, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct AllocationView {
    /// The instalment's number.
    #[schema(example = 3)]
    pub instalment: i64,
    /// Principal.
    #[schema(example = 90_000)]
    pub principal: i64,
    /// Interest or profit.
    pub interest: i64,
    /// Fees.
    pub fee: i64,
    /// Penalties.
    pub penalty: i64,
}

impl PaymentView {
    /// Its version: it changes in many ways, so it is a hash of what is seen.
    pub fn etag(&self) -> String {
        let json = serde_json::to_vec(self).expect("our answers are JSON");
        etag::of_content(&json)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    uid: PaymentId,
    plan: AccountId,
    account_id: i64,
    source: PaymentSource,
    channel: Channel,
    amount_minor: i64,
    currency: Currency,
    state: PaymentState,
    value_date: Date,
    gateway: Option<GatewayName>,
    stage: Option<Stage>,
    redirect_url: Option<String>,
    failure: Option<String>,
    begun_at: Option<Timestamp>,
    same_as: Option<PaymentId>,
}

macro_rules! select {
    () => {
        "select p.uid, a.uid as plan, p.account_id, p.source, p.channel, p.amount_minor, p.currency, p.state,
           p.value_date, b.gateway, b.stage, b.redirect_url, b.failure, b.begun_at, b.same_as
         from payment p join account a on a.id = p.account_id left join app_payment b on b.payment_uid = p.uid "
    };
}

const ONE: &str = concat!(select!(), "where p.uid = $1 and a.customer_id = $2");
/// What a phone recorded and is another payment's money, or nobody's, is not shown.
const PAGE: &str = concat!(
    select!(),
    "where p.account_id = $1 and (p.state not in ('matched', 'refused'))
       and p.id < coalesce((select o.id from payment o where o.uid = $2), 9223372036854775807)
     order by p.id desc limit $3"
);

/// A payment of a customer.
pub async fn find(tx: &mut Tx, payment: PaymentId, customer_id: i64) -> sqlx::Result<Option<PaymentView>> {
    let row: Option<Row> =
        on_db!(&mut *tx, conn => sqlx::query_as(ONE).bind(payment).bind(customer_id).fetch_optional(conn).await)?;
    Ok(shown(tx, row.into_iter().collect()).await?.pop())
}

/// The payments of an account after one of them, the newest first.
pub async fn page(tx: &mut Tx, account: i64, after: Option<PaymentId>, limit: i64) -> sqlx::Result<Vec<PaymentView>> {
    let rows: Vec<Row> = on_db!(&mut *tx, conn => {
        sqlx::query_as(PAGE).bind(account).bind(after).bind(limit).fetch_all(conn).await
    })?;
    shown(tx, rows).await
}

batch_row! {
    struct AllocationKey { account_id: i64 => "bigint", uid: PaymentId => "uuid" }
}

const ALLOCATIONS: &str = "select l.payment_uid, l.n, l.principal, l.interest, l.fee, l.penalty
     from v join allocation l on l.account_id = v.account_id and l.payment_uid = v.uid";

/// Each with what it paid, or what the payment paid that is the same money.
async fn shown(tx: &mut Tx, rows: Vec<Row>) -> sqlx::Result<Vec<PaymentView>> {
    let keys = rows.iter().map(|row| AllocationKey { account_id: row.account_id, uid: row.same_as.unwrap_or(row.uid) });
    let found: Vec<(PaymentId, i64, i64, i64, i64, i64)> =
        batch::fetch(tx, &keys.collect::<Vec<_>>(), ALLOCATIONS).await?;
    let mut allocations: BTreeMap<PaymentId, Vec<AllocationView>> = BTreeMap::new();
    for (payment, instalment, principal, interest, fee, penalty) in found {
        let part = AllocationView { instalment, principal, interest, fee, penalty };
        allocations.entry(payment).or_default().push(part);
    }
    for parts in allocations.values_mut() {
        parts.sort_unstable_by_key(|part| part.instalment);
    }
    let view = |row: Row| {
        let allocations = allocations.get(&row.same_as.unwrap_or(row.uid)).cloned().unwrap_or_default();
        PaymentView {
            id: row.uid,
            plan: row.plan,
            source: row.source.code(),
            channel: row.channel.code().to_owned(),
            amount: Money::new(row.amount_minor, row.currency),
            state: state_of(row.state).code(),
            value_date: row.value_date,
            next: next(&row),
            failure: row.failure.filter(|_| row.state == PaymentState::Failed),
            begun_at: row.begun_at,
            allocations,
        }
    };
    Ok(rows.into_iter().map(view).collect())
}

/// That another payment has the effect is the books' affair: the customer has paid.
fn state_of(state: PaymentState) -> PaymentState {
    if state == PaymentState::Matched { PaymentState::Posted } else { state }
}

fn next(row: &Row) -> Option<NextAction> {
    let waits = row.state == PaymentState::Pending;
    match (row.gateway?, row.stage?) {
        (GatewayName::Card, _) if waits => {
            row.redirect_url.clone().map(|redirect_url| NextAction::Redirect { redirect_url })
        }
        (GatewayName::MobileMoney, Stage::Starting | Stage::Sent) if waits => Some(NextAction::ConfirmOnPhone),
        _ => None,
    }
}
