//! Balances from the journal: every journal balances; what rows say officers, accounts and customers
//! owe is what the lines say; posted and held money is where it belongs (I2).

use std::collections::BTreeMap;

use daybook_shared::ids::PaymentId;
use daybook_shared::money::Currency;

use super::findings::{Findings, Place};
use crate::db::Tx;
use crate::ledger::posting::{GlAccount, GlCode};
use crate::on_db;
use crate::portfolio::payment::{PaymentSource, PaymentState};

type Balances = BTreeMap<(GlAccount, Currency), i64>;

/// Runs all checks of the ledger.
pub async fn verify(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    journals(tx, findings).await?;
    let mut balances = balances(tx).await?;
    officers(tx, &mut balances, findings).await?;
    accounts(tx, &mut balances, findings).await?;
    credits(tx, &mut balances, findings).await?;
    unearned(tx, &mut balances, findings).await?;
    refunds(tx, &mut balances, findings).await?;
    strangers(&balances, findings);
    payments(tx, findings).await?;
    suspense(tx, findings).await
}

const COUNT_JOURNALS: &str = "select count(*) from journal";
const UNBALANCED: &str = "select j.id, count(l.n), cast(coalesce(sum(l.minor), 0) as bigint)
     from journal j left join line l on l.journal_id = j.id
     group by j.id having count(l.n) < 2 or sum(l.minor) <> 0 order by j.id";

async fn journals(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let all: i64 = on_db!(tx, conn => sqlx::query_scalar(COUNT_JOURNALS).fetch_one(conn).await)?;
    let wrong: Vec<(i64, i64, i64)> = on_db!(tx, conn => sqlx::query_as(UNBALANCED).fetch_all(conn).await)?;
    findings.agree("ledger: journals balance", u64::try_from(all).unwrap_or(0).saturating_sub(wrong.len() as u64));
    for (id, lines, sum) in wrong {
        let place = Place { check: "ledger: journals balance", table: "journal", key: &id };
        findings.differs(
            place,
            "sum of its lines",
            "0 over at least 2 lines",
            format_args!("{sum} over {lines} lines"),
        );
    }
    Ok(())
}

const BALANCES: &str = "select l.gl, l.subject, j.currency, cast(sum(l.minor) as bigint)
     from line l join journal j on j.id = l.journal_id group by l.gl, l.subject, j.currency";

async fn balances(tx: &mut Tx) -> sqlx::Result<Balances> {
    let rows: Vec<(GlCode, Option<i64>, Currency, i64)> =
        on_db!(tx, conn => sqlx::query_as(BALANCES).fetch_all(conn).await)?;
    Ok(rows
        .into_iter()
        .map(|(code, subject, currency, minor)| ((GlAccount { code, subject }, currency), minor))
        .collect())
}

/// Takes a balance out of the ledger's, so that what nobody asked for is left over in the end.
fn take(balances: &mut Balances, account: GlAccount, currency: Currency) -> i64 {
    balances.remove(&(account, currency)).unwrap_or(0)
}

const OFFICERS: &str = "select user_id, currency, minor from officer_cash order by user_id, currency";

async fn officers(tx: &mut Tx, balances: &mut Balances, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, Currency, i64)> = on_db!(tx, conn => sqlx::query_as(OFFICERS).fetch_all(conn).await)?;
    for (user, currency, minor) in rows {
        let expected = take(balances, GlAccount::officer_cash(user), currency);
        let key = format!("user {user} {currency}");
        let place = Place { check: "ledger: cash of officers", table: "officer_cash", key: &key };
        findings.compare(place, "minor", &expected, &minor);
    }
    Ok(())
}

/// An account not yet activated is not in the books.
const ACCOUNTS: &str = "select id, currency,
       outstanding_principal + outstanding_interest + outstanding_fee + outstanding_penalty
     from account where status <> 'pending' order by id";

async fn accounts(tx: &mut Tx, balances: &mut Balances, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, Currency, i64)> = on_db!(tx, conn => sqlx::query_as(ACCOUNTS).fetch_all(conn).await)?;
    for (account, currency, minor) in rows {
        let expected = take(balances, GlAccount::plan_recv(account), currency);
        let place = Place { check: "ledger: outstanding of accounts", table: "account", key: &account };
        findings.compare(place, "outstanding", &expected, &minor);
    }
    Ok(())
}

const CREDITS: &str = "select customer_id, currency, cast(sum(credit_minor) as bigint) from account
     group by customer_id, currency order by customer_id";

async fn credits(tx: &mut Tx, balances: &mut Balances, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, Currency, i64)> = on_db!(tx, conn => sqlx::query_as(CREDITS).fetch_all(conn).await)?;
    for (customer, currency, minor) in rows {
        let expected = -take(balances, GlAccount::credit(customer), currency);
        let key = format!("customer {customer}");
        let place = Place { check: "ledger: credit of customers", table: "account", key: &key };
        findings.compare(place, "credit_minor", &expected, &minor);
    }
    Ok(())
}

/// Of the schedule in force; a pending account is not in the books.
const UNEARNED: &str = "select a.id, a.currency, cast(coalesce(sum(i.interest - i.earned_interest), 0) as bigint),
       coalesce(sum(case when i.earned_interest < 0 or i.earned_interest > i.interest then 1 else 0 end), 0)
     from account a left join instalment i on i.account_id = a.id and i.version = a.schedule_version
     where a.status <> 'pending' group by a.id, a.currency order by a.id";

/// What the books call unearned is the profit of instalments that is not earned.
async fn unearned(tx: &mut Tx, balances: &mut Balances, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, Currency, i64, i64)> = on_db!(tx, conn => sqlx::query_as(UNEARNED).fetch_all(conn).await)?;
    for (account, currency, minor, beyond) in rows {
        let expected = -take(balances, GlAccount::unearned(account), currency);
        let place = Place { check: "ledger: profit not earned", table: "instalment", key: &account };
        findings.compare(place, "interest less earned_interest", &expected, &minor);
        findings.compare(place, "instalments with more earned than there is", &0, &beyond);
    }
    Ok(())
}

/// One that failed is owed until the one in its place is paid.
const REFUNDS: &str = "select a.customer_id, f.currency,
       cast(sum(case when f.replaces_id is null then f.amount_minor else 0 end)
         - sum(case when f.state = 'succeeded' then f.amount_minor else 0 end) as bigint)
     from refund f join account a on a.id = f.account_id group by a.customer_id, f.currency order by a.customer_id";

/// What is owed to customers is what their refunds did not pay yet.
async fn refunds(tx: &mut Tx, balances: &mut Balances, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, Currency, i64)> = on_db!(tx, conn => sqlx::query_as(REFUNDS).fetch_all(conn).await)?;
    for (customer, currency, minor) in rows {
        let expected = -take(balances, GlAccount::refund_payable(customer), currency);
        let key = format!("customer {customer}");
        let place = Place { check: "ledger: refunds owed", table: "refund", key: &key };
        findings.compare(place, "not paid yet", &expected, &minor);
    }
    Ok(())
}

/// Balances of subjects that have no row.
fn strangers(balances: &Balances, findings: &mut Findings) {
    for ((account, currency), minor) in balances {
        let has_row = matches!(
            account.code,
            GlCode::OfficerCash | GlCode::PlanRecv | GlCode::Credit | GlCode::Unearned | GlCode::RefundPayable
        );
        if has_row && *minor != 0 {
            let place = Place { check: "ledger: balances have an owner", table: "line", key: account };
            findings.differs(place, "balance", format_args!("0 {currency}, because no row has it"), minor);
        }
    }
}

#[derive(sqlx::FromRow)]
struct BookedPayment {
    uid: PaymentId,
    state: PaymentState,
    source: PaymentSource,
    debited: bool,
    amount_minor: i64,
    credited: i64,
    suspended: i64,
    cash: i64,
}

/// What the books have of each payment. A payment's own journals name it as their event; what undoes
/// them is a decision's and names it as correlation.
const PAYMENTS: &str = "select p.uid, p.state, p.source, p.debited, p.amount_minor, coalesce(b.credited, 0) as credited,
       coalesce(b.suspended, 0) as suspended, coalesce(b.cash, 0) as cash
     from payment p left join
       (select case when j.kind in ('repayment', 'identified', 'recovery', 'suspense', 'down_payment') then j.event else j.correlation end
            as payment,
          cast(-sum(case when l.gl in ('plan_recv', 'credit', 'recovery') or l.gl = 'orders' and j.kind = 'down_payment'
                         then l.minor else 0 end) as bigint) as credited,
          cast(-sum(case when l.gl = 'suspense' then l.minor else 0 end) as bigint) as suspended,
          cast(sum(case when l.gl = 'officer_cash' then l.minor else 0 end) as bigint) as cash
        from journal j join line l on l.journal_id = j.id group by 1) b on b.payment = p.uid
     order by p.id";

async fn payments(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<BookedPayment> = on_db!(tx, conn => sqlx::query_as(PAYMENTS).fetch_all(conn).await)?;
    for payment in rows {
        let place = Place { check: "ledger: payments are booked once", table: "payment", key: &payment.uid };
        let due = |is: bool| if is { payment.amount_minor } else { 0 };
        let posted = payment.state == PaymentState::Posted;
        let held = payment.state == PaymentState::Held;
        findings.compare(place, "credited to account, credit and recovery", &due(posted), &payment.credited);
        // What others say came in is real: without a place it is in suspense, charged to nobody.
        let is_in = payment.debited || payment.source != PaymentSource::Field;
        findings.compare(place, "in suspense", &due(held && is_in), &payment.suspended);
        if posted || held {
            findings.compare(place, "charged to the officer", &due(payment.debited), &payment.cash);
        }
    }
    Ok(())
}

/// Held cash and what has no place yet against suspense, without what cashiers counted too much.
const SUSPENSE: &str =
    "select j.currency, cast(-sum(l.minor) as bigint) from line l join journal j on j.id = l.journal_id
     where l.gl = 'suspense' and j.correlation not in (select c.correlation from journal c where c.kind = 'count')
     group by j.currency";
const HELD: &str = "select currency, cast(sum(amount_minor) as bigint) from payment
     where state = 'held' and (debited or source <> 'field') group by currency";

async fn suspense(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let suspense: Vec<(Currency, i64)> = on_db!(tx, conn => sqlx::query_as(SUSPENSE).fetch_all(conn).await)?;
    let held: Vec<(Currency, i64)> = on_db!(tx, conn => sqlx::query_as(HELD).fetch_all(conn).await)?;
    let held: BTreeMap<_, _> = held.into_iter().collect();
    let suspense: BTreeMap<_, _> = suspense.into_iter().collect();
    for currency in held.keys().chain(suspense.keys()) {
        let sum = |of: &BTreeMap<Currency, i64>| of.get(currency).copied().unwrap_or(0);
        let place = Place { check: "ledger: suspense is held cash", table: "line", key: currency };
        findings.compare(place, "balance of suspense", &sum(&held), &sum(&suspense));
    }
    Ok(())
}
