//! A customer's plans: his accounts as he sees them. Everything that depends on the day is worked out for a
//! day, and nothing of it is stored.

use std::collections::BTreeMap;

use daybook_shared::ids::{AccountId, ApplicationId, OrderId};
use daybook_shared::money::{Money, MoneyError};
use daybook_shared::schedule::{self, Instalment, Portions, dpd, next_due, overdue_since};
use daybook_shared::time::Date;
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::Tx;
use crate::on_db;
use crate::portfolio::account::{self, AccountRow, Lock};

/// What an account was sold under, if it began with a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Origin {
    /// The application.
    pub application: ApplicationId,
    /// The order it pays for.
    pub order_uid: Option<OrderId>,
    /// What is paid with the acceptance, minor units.
    pub down_payment_minor: i64,
}

/// An account with its schedule.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The row.
    pub account: AccountRow,
    /// Its schedule, by due date.
    pub instalments: Vec<Instalment>,
    /// What it was sold under.
    pub origin: Option<Origin>,
}

const OWN: &str = "select id from account where customer_id = $1 and uid = $2";
const PAGE_OWN: &str = "select id from account where customer_id = $1
       and id < coalesce((select id from account where uid = $2), 9223372036854775807) order by id desc limit $3";
const ORIGIN: &str = "select a.uid as application, o.uid as order_uid, n.down_payment_minor from account_origin n
     join application a on a.id = n.application_id left join shop_order o on o.id = a.order_id where n.account_id = $1";

/// The key of a customer's plan.
pub async fn key_of_own(tx: &mut Tx, customer_id: i64, plan: AccountId) -> sqlx::Result<Option<i64>> {
    on_db!(tx, conn => sqlx::query_scalar(OWN).bind(customer_id).bind(plan).fetch_optional(conn).await)
}

/// A customer's plan.
pub async fn own(tx: &mut Tx, customer_id: i64, plan: AccountId) -> sqlx::Result<Option<Plan>> {
    match key_of_own(tx, customer_id, plan).await? {
        Some(id) => load(tx, &[id]).await.map(|mut plans| plans.pop()),
        None => Ok(None),
    }
}

/// A customer's plans, the newest first.
pub async fn page_own(
    tx: &mut Tx,
    customer_id: i64,
    (after, limit): (Option<AccountId>, i64),
) -> sqlx::Result<Vec<Plan>> {
    let ids: Vec<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(PAGE_OWN).bind(customer_id).bind(after).bind(limit).fetch_all(conn).await
    })?;
    load(tx, &ids).await
}

async fn load(tx: &mut Tx, ids: &[i64]) -> sqlx::Result<Vec<Plan>> {
    let accounts = account::load_accounts(tx, ids, Lock::No).await?;
    let versions: Vec<_> = accounts.iter().map(|account| (account.id, account.schedule_version)).collect();
    let mut accounts: BTreeMap<_, _> = accounts.into_iter().map(|account| (account.id, account)).collect();
    let mut schedules = account::load_instalments(tx, &versions).await?;
    let mut plans = Vec::with_capacity(ids.len());
    for id in ids {
        let account = accounts.remove(id).ok_or(sqlx::Error::RowNotFound)?;
        let origin = on_db!(&mut *tx, conn => sqlx::query_as(ORIGIN).bind(id).fetch_optional(conn).await)?;
        plans.push(Plan { account, instalments: schedules.remove(id).unwrap_or_default(), origin });
    }
    Ok(plans)
}

/// A plan on a day.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-000000000001", "number": "P-C8ER5SSHN58P", "product": "Four months",
    "status": "active", "funding": "own_book", "application": "019cad21-cf00-7000-8000-c11e00000003",
    "order": "019cad21-cf00-7000-8000-c11e00000001", "as_of": "2026-04-10", "began_on": "2026-03-02",
    "total": { "minor": 1_908_000, "currency": "KES" }, "paid": { "minor": 477_000, "currency": "KES" },
    "outstanding": { "minor": 1_431_000, "currency": "KES" }, "arrears": { "minor": 0, "currency": "KES" },
    "days_past_due": 0, "next_due_on": "2026-05-02", "next_due": { "minor": 477_000, "currency": "KES" },
    "credit": { "minor": 0, "currency": "KES" }, "at_acceptance": null,
}))]
pub struct PlanView {
    id: AccountId,
    /// The number to name when paying.
    number: String,
    /// What was bought on it.
    product: String,
    /// pending, active, or closed with how: closed(paid).
    status: String,
    /// own_book: the lender's own; provider: a copy of a provider's.
    funding: &'static str,
    /// The application it began with.
    application: Option<ApplicationId>,
    /// The order it pays for.
    order: Option<OrderId>,
    /// The day this is of.
    as_of: Date,
    /// When it began.
    began_on: Date,
    /// All of its schedule.
    total: Money,
    /// What was paid of it.
    paid: Money,
    /// What is left to pay.
    outstanding: Money,
    /// What was due before the day and is not paid.
    arrears: Money,
    /// Days since the oldest of that.
    days_past_due: u32,
    /// The next day on which something falls due.
    next_due_on: Option<Date>,
    /// How much then.
    next_due: Option<Money>,
    /// What was paid above what is owed.
    credit: Money,
    /// What is to be paid before it begins.
    at_acceptance: Option<Money>,
}

impl PlanView {
    /// A plan as it stands on a day.
    pub fn of(plan: &Plan, as_of: Date) -> Result<Self, MoneyError> {
        let Plan { account, instalments, origin } = plan;
        let money = |minor| Money::new(minor, account.currency);
        let next = next_due(instalments, as_of)?;
        let down_payment = origin.map_or(0, |origin| origin.down_payment_minor);
        Ok(Self {
            id: account.uid,
            number: account.number.clone(),
            product: account.product.clone(),
            status: account.status_text(),
            funding: "own_book",
            application: origin.map(|origin| origin.application),
            order: origin.and_then(|origin| origin.order_uid),
            as_of,
            began_on: account.disbursed_on,
            total: money(instalments.iter().try_fold(Portions::ZERO, |sum, one| sum.checked_add(one.due))?.total()?),
            paid: money(account.paid_minor),
            outstanding: money(schedule::outstanding(instalments)?.total()?),
            arrears: money(schedule::arrears(instalments, as_of)?.total()?),
            days_past_due: dpd(overdue_since(instalments, as_of), as_of),
            next_due_on: next.map(|(on, _)| on),
            next_due: next.map(|(_, portions)| portions.total().map(money)).transpose()?,
            credit: money(account.credit_minor),
            at_acceptance: (account.status_text() == "pending" && down_payment > 0).then(|| money(down_payment)),
        })
    }

    /// Its id.
    pub fn id(&self) -> AccountId {
        self.id
    }
}

/// An instalment on a day.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InstalmentState {
    n: u16,
    due_date: Date,
    amount: Money,
    paid: Money,
    /// scheduled, due, partly_paid, overdue or paid.
    state: &'static str,
}

/// The schedule of a plan on a day.
pub fn instalments(plan: &Plan, as_of: Date) -> Result<Vec<InstalmentState>, MoneyError> {
    let money = |minor| Money::new(minor, plan.account.currency);
    let view = |instalment: &Instalment| {
        let (amount, paid) = (instalment.due.total()?, instalment.paid.total()?);
        Ok(InstalmentState {
            n: instalment.n,
            due_date: instalment.due_date,
            amount: money(amount),
            paid: money(paid),
            state: state(instalment, paid, as_of),
        })
    };
    plan.instalments.iter().map(view).collect()
}

/// journey.md 2.3: what is paid in part and late is overdue to whoever has to act on it.
fn state(instalment: &Instalment, paid: i64, as_of: Date) -> &'static str {
    if instalment.is_met() {
        "paid"
    } else if instalment.due_date < as_of {
        "overdue"
    } else if paid > 0 {
        "partly_paid"
    } else if instalment.due_date == as_of {
        "due"
    } else {
        "scheduled"
    }
}

#[cfg(test)]
mod tests {
    use daybook_shared::schedule::{DueLine, Portions};

    use super::*;

    #[test]
    fn an_instalments_state_follows_from_what_is_paid_and_the_day() {
        let instalment = |paid| {
            let due_date = "2026-03-10".parse().unwrap();
            let line = DueLine { n: 1, due_date, principal: 100, interest: 0, fee: 0, penalty: 0 };
            line.with_paid(Portions { principal: paid, ..Portions::ZERO })
        };
        let cases = [
            (0, "2026-03-09", "scheduled"),
            (0, "2026-03-10", "due"),
            (0, "2026-03-11", "overdue"),
            (40, "2026-03-09", "partly_paid"),
            (40, "2026-03-10", "partly_paid"),
            (40, "2026-03-11", "overdue"),
            (100, "2026-03-11", "paid"),
        ];
        for (paid, on, expected) in cases {
            assert_eq!(state(&instalment(paid), paid, on.parse().unwrap()), expected, "{paid} on {on}");
        }
    }
}
