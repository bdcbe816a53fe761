//! The rows of accounts, instalments and allocations: loaded and saved in batches.
//!
//! Each function is one statement a batch. Which payment pays what is decided by
//! [`super::allocation`]; [`AccountRow::restate`] carries the result into the row.

use std::collections::BTreeMap;

use daybook_shared::ids::{AccountId, EntryId, PaymentId};
use daybook_shared::money::{Currency, MoneyError};
use daybook_shared::schedule::{Instalment, Portions, oldest_unmet, outstanding};
use daybook_shared::time::{Date, Timestamp};

use super::allocation::{Allocation, Payment, Waterfall};
pub use super::status::{AccountStatus, ClosedAs, Stage};
use crate::batch_row;
use crate::db::{Tx, batch};

/// A row of `account`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct AccountRow {
    pub id: i64,
    pub uid: AccountId,
    pub number: String,
    pub customer_id: i64,
    pub unit_id: i64,
    pub product: String,
    pub currency: Currency,
    pub status: AccountStatus,
    pub closed_as: Option<ClosedAs>,
    pub disbursed_on: Date,
    pub schedule_version: i64,
    pub waterfall: Waterfall,
    pub stage: Stage,
    pub original_minor: i64,
    pub outstanding_principal: i64,
    pub outstanding_interest: i64,
    pub outstanding_fee: i64,
    pub outstanding_penalty: i64,
    pub paid_minor: i64,
    pub credit_minor: i64,
    pub oldest_unmet_due: Option<Date>,
    pub last_value_date: Option<Date>,
    pub last_payment: Option<PaymentId>,
    pub last_paid_minor: Option<i64>,
    pub active_promise: Option<EntryId>,
    pub active_promise_at: Option<Timestamp>,
    pub settlement_id: Option<i64>,
}

impl AccountRow {
    /// The status as facts and people have it: `active`, `closed(paid)`.
    pub fn status_text(&self) -> String {
        self.closed_as.map_or_else(|| self.status.to_string(), |how| format!("{}({how})", self.status))
    }

    /// What is owed in all, by component.
    pub fn outstanding(&self) -> Portions {
        Portions {
            principal: self.outstanding_principal,
            interest: self.outstanding_interest,
            fee: self.outstanding_fee,
            penalty: self.outstanding_penalty,
        }
    }

    /// Whether a payment for it may post: it has begun and was not undone. What is paid after its end goes to
    /// the customer's credit or to recovery.
    pub fn takes_payments(&self) -> bool {
        let undone = matches!(self.closed_as, Some(ClosedAs::Rescinded | ClosedAs::Refinanced | ClosedAs::Cancelled));
        !undone && self.status != AccountStatus::Pending
    }

    /// Whether a payment sorts after all that were allocated, so that it allocates onto the stored
    /// instalments; anything else replays the account.
    pub fn sorts_last(&self, payment: &Payment) -> bool {
        self.last_value_date.zip(self.last_payment).is_none_or(|last| last < (payment.value_date, payment.id))
    }

    /// Carries the schedule after all allocations, the credit and the last payment in order into the row.
    /// An account paid to the end closes; one closed by payment becomes active again when something is
    /// owed. Any other end stays.
    pub fn restate(
        &mut self,
        instalments: &[Instalment],
        credit_minor: i64,
        last: Option<Payment>,
    ) -> Result<(), MoneyError> {
        let owed = outstanding(instalments)?;
        let paid = instalments.iter().try_fold(Portions::ZERO, |sum, instalment| sum.checked_add(instalment.paid))?;
        self.outstanding_principal = owed.principal;
        self.outstanding_interest = owed.interest;
        self.outstanding_fee = owed.fee;
        self.outstanding_penalty = owed.penalty;
        self.paid_minor = paid.total()?;
        self.credit_minor = credit_minor;
        self.oldest_unmet_due = oldest_unmet(instalments);
        self.last_value_date = last.map(|payment| payment.value_date);
        self.last_payment = last.map(|payment| payment.id);
        self.last_paid_minor = last.map(|payment| payment.amount_minor);
        (self.status, self.closed_as) = match (self.status, self.closed_as) {
            (AccountStatus::Active, None) if owed.is_zero() => (AccountStatus::Closed, Some(ClosedAs::Paid)),
            (AccountStatus::Closed, Some(ClosedAs::Paid)) if !owed.is_zero() => (AccountStatus::Active, None),
            unchanged => unchanged,
        };
        Ok(())
    }
}

batch_row! {
    struct Key {
        id: i64 => "int8",
    }
}

fn keys(ids: &[i64]) -> Vec<Key> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| Key { id }).collect()
}

/// Accounts by their keys.
const SELECT_ACCOUNTS: &str = "select a.id, a.uid, a.number, a.customer_id, a.unit_id, a.product, a.currency, a.status,
       a.closed_as, a.disbursed_on, a.schedule_version, a.waterfall, a.stage, a.original_minor,
       a.outstanding_principal, a.outstanding_interest, a.outstanding_fee, a.outstanding_penalty, a.paid_minor,
       a.credit_minor, a.oldest_unmet_due, a.last_value_date, a.last_payment, a.last_paid_minor, a.active_promise,
       a.active_promise_at, a.settlement_id
     from v join account a on a.id = v.id";

/// PostgreSQL locks the rows one by one in this order; SQLite has one writer and nothing to lock.
const LOCKED: &str = " order by a.id for no key update of a";

/// Whether rows are loaded to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// To read them.
    No,
    /// To change them: on PostgreSQL each is locked, in the order of the keys.
    ForUpdate,
}

/// Loads accounts, in the order of their keys; one that does not exist is missing.
pub async fn load_accounts(tx: &mut Tx, ids: &[i64], lock: Lock) -> sqlx::Result<Vec<AccountRow>> {
    let rows = keys(ids);
    if lock == Lock::ForUpdate && tx.is_postgres() {
        let locking = format!("{SELECT_ACCOUNTS}{LOCKED}");
        return batch::fetch(tx, &rows, &locking).await;
    }
    let mut accounts: Vec<AccountRow> = batch::fetch(tx, &rows, SELECT_ACCOUNTS).await?;
    accounts.sort_unstable_by_key(|account| account.id);
    Ok(accounts)
}

batch_row! {
    struct AccountChange {
        id: i64 => "int8",
        status: AccountStatus => "text",
        closed_as: Option<ClosedAs> => "text",
        schedule_version: i64 => "int8",
        stage: Stage => "text",
        outstanding_principal: i64 => "int8",
        outstanding_interest: i64 => "int8",
        outstanding_fee: i64 => "int8",
        outstanding_penalty: i64 => "int8",
        paid_minor: i64 => "int8",
        credit_minor: i64 => "int8",
        oldest_unmet_due: Option<Date> => "date",
        last_value_date: Option<Date> => "date",
        last_payment: Option<PaymentId> => "uuid",
        last_paid_minor: Option<i64> => "int8",
        active_promise: Option<EntryId> => "uuid",
        active_promise_at: Option<Timestamp> => "timestamptz",
    }
}

/// Everything of an account that changes after it was opened.
const UPDATE_ACCOUNTS: &str = "update account set status = v.status, closed_as = v.closed_as,
       schedule_version = v.schedule_version, stage = v.stage, outstanding_principal = v.outstanding_principal,
       outstanding_interest = v.outstanding_interest, outstanding_fee = v.outstanding_fee,
       outstanding_penalty = v.outstanding_penalty, paid_minor = v.paid_minor, credit_minor = v.credit_minor,
       oldest_unmet_due = v.oldest_unmet_due, last_value_date = v.last_value_date, last_payment = v.last_payment,
       last_paid_minor = v.last_paid_minor, active_promise = v.active_promise,
       active_promise_at = v.active_promise_at
     from v where account.id = v.id";

/// Saves what can change of accounts. Each must exist.
pub async fn save_accounts(tx: &mut Tx, accounts: &[AccountRow]) -> sqlx::Result<()> {
    let changes: Vec<_> = accounts.iter().map(change_of).collect();
    expect_touched(batch::execute(tx, &changes, UPDATE_ACCOUNTS).await?, changes.len(), "account")
}

fn change_of(account: &AccountRow) -> AccountChange {
    AccountChange {
        id: account.id,
        status: account.status,
        closed_as: account.closed_as,
        schedule_version: account.schedule_version,
        stage: account.stage,
        outstanding_principal: account.outstanding_principal,
        outstanding_interest: account.outstanding_interest,
        outstanding_fee: account.outstanding_fee,
        outstanding_penalty: account.outstanding_penalty,
        paid_minor: account.paid_minor,
        credit_minor: account.credit_minor,
        oldest_unmet_due: account.oldest_unmet_due,
        last_value_date: account.last_value_date,
        last_payment: account.last_payment,
        last_paid_minor: account.last_paid_minor,
        active_promise: account.active_promise,
        active_promise_at: account.active_promise_at,
    }
}

batch_row! {
    struct ScheduleKey {
        account_id: i64 => "int8",
        version: i64 => "int8",
    }
}

/// The schedules of accounts in a version, a row an account: its instalments as lines of numbers in the order
/// of [`parse_instalment`]. A row an instalment takes five times as long to carry over.
const SELECT_INSTALMENTS: &str = "select i.account_id, string_agg(i.n || ' ' || i.due_date || ' ' ||
         i.principal || ' ' || i.interest || ' ' || i.fee || ' ' || i.penalty || ' ' ||
         i.paid_principal || ' ' || i.paid_interest || ' ' || i.paid_fee || ' ' || i.paid_penalty, ';') as schedule
     from v join instalment i on i.account_id = v.account_id and i.version = v.version group by i.account_id";

/// Loads schedules by (account, version), each by due date and number. An account without instalments
/// is missing.
pub async fn load_instalments(tx: &mut Tx, schedules: &[(i64, i64)]) -> sqlx::Result<BTreeMap<i64, Vec<Instalment>>> {
    let keys: Vec<_> = schedules.iter().map(|&(account_id, version)| ScheduleKey { account_id, version }).collect();
    let rows: Vec<(i64, String)> = batch::fetch(tx, &keys, SELECT_INSTALMENTS).await?;
    let mut schedules = BTreeMap::new();
    for (account_id, schedule) in rows {
        let instalments: Option<Vec<_>> = schedule.split(';').map(parse_instalment).collect();
        let mut instalments = instalments.ok_or_else(|| {
            sqlx::Error::Decode(format!("table instalment, account {account_id}: no schedule {schedule:?}").into())
        })?;
        instalments.sort_unstable_by_key(|instalment| (instalment.due_date, instalment.n));
        schedules.insert(account_id, instalments);
    }
    Ok(schedules)
}

fn parse_instalment(line: &str) -> Option<Instalment> {
    fn portions<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Portions> {
        let mut number = || words.next()?.parse().ok();
        Some(Portions { principal: number()?, interest: number()?, fee: number()?, penalty: number()? })
    }
    let words = &mut line.split(' ');
    let (n, due_date) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (due, paid) = (portions(words)?, portions(words)?);
    words.next().is_none().then_some(Instalment { n, due_date, due, paid })
}

batch_row! {
    struct PaidRow {
        account_id: i64 => "int8",
        version: i64 => "int8",
        n: i64 => "int8",
        paid_principal: i64 => "int8",
        paid_interest: i64 => "int8",
        paid_fee: i64 => "int8",
        paid_penalty: i64 => "int8",
    }
}

/// What is paid of instalments; what is due of them never changes (`super::versions`).
const UPDATE_INSTALMENTS: &str = "update instalment set paid_principal = v.paid_principal,
       paid_interest = v.paid_interest, paid_fee = v.paid_fee, paid_penalty = v.paid_penalty
     from v where instalment.account_id = v.account_id and instalment.version = v.version and instalment.n = v.n";

/// Saves what is paid of instalments, given with their account and schedule version. Each must exist.
pub async fn save_instalments(tx: &mut Tx, instalments: &[(i64, i64, Instalment)]) -> sqlx::Result<()> {
    let rows = instalments.iter().map(|&(account_id, version, Instalment { n, paid, .. })| PaidRow {
        account_id,
        version,
        n: n.into(),
        paid_principal: paid.principal,
        paid_interest: paid.interest,
        paid_fee: paid.fee,
        paid_penalty: paid.penalty,
    });
    let rows: Vec<_> = rows.collect();
    expect_touched(batch::execute(tx, &rows, UPDATE_INSTALMENTS).await?, rows.len(), "instalment")
}

/// The valid payments of accounts: what allocation replays. Money on a written-off account went to
/// recovery and never touched the schedule; a down payment came before it.
const SELECT_PAYMENTS: &str = "select p.account_id, p.value_date, p.uid, p.amount_minor
     from v join payment p on p.account_id = v.id where p.state = 'posted'
       and not exists (select 1 from journal j where j.event = p.uid and j.kind in ('recovery', 'down_payment'))";

/// Loads the posted payments of accounts, each account's in the order of allocation. An account without
/// any is missing.
pub async fn load_payments(tx: &mut Tx, accounts: &[i64]) -> sqlx::Result<BTreeMap<i64, Vec<Payment>>> {
    let rows: Vec<(i64, Date, PaymentId, i64)> = batch::fetch(tx, &keys(accounts), SELECT_PAYMENTS).await?;
    let mut payments: BTreeMap<i64, Vec<Payment>> = BTreeMap::new();
    for (account, value_date, id, amount_minor) in rows {
        payments.entry(account).or_default().push(Payment { value_date, id, amount_minor });
    }
    for of_account in payments.values_mut() {
        of_account.sort_unstable();
    }
    Ok(payments)
}

batch_row! {
    /// A row of `allocation`: what one payment pays of one instalment.
    pub struct AllocationRow {
        /// The account's key.
        account_id: i64 => "int8",
        /// The payment.
        payment_uid: PaymentId => "uuid",
        /// The instalment's number.
        n: i64 => "int8",
        /// Principal, minor units.
        principal: i64 => "int8",
        /// Interest, minor units.
        interest: i64 => "int8",
        /// Fees, minor units.
        fee: i64 => "int8",
        /// Penalties, minor units.
        penalty: i64 => "int8",
    }
}

impl AllocationRow {
    /// The rows of one payment's allocation.
    pub fn of(account_id: i64, payment_uid: PaymentId, allocation: &Allocation) -> impl Iterator<Item = Self> {
        allocation.parts.iter().map(move |part| {
            let Portions { principal, interest, fee, penalty } = part.portions;
            Self { account_id, payment_uid, n: part.n.into(), principal, interest, fee, penalty }
        })
    }
}

/// The allocations of payments that sort last.
const INSERT_ALLOCATIONS: &str =
    "insert into allocation (account_id, payment_uid, n, principal, interest, fee, penalty)
     select account_id, payment_uid, n, principal, interest, fee, penalty from v where true";

/// All allocations of accounts that are replayed.
const DELETE_ALLOCATIONS: &str = "delete from allocation where account_id in (select id from v)";

/// Adds allocations.
pub async fn insert_allocations(tx: &mut Tx, rows: &[AllocationRow]) -> sqlx::Result<()> {
    batch::execute(tx, rows, INSERT_ALLOCATIONS).await?;
    Ok(())
}

/// Replaces all allocations of these accounts: two statements.
pub async fn replace_allocations(tx: &mut Tx, accounts: &[i64], rows: &[AllocationRow]) -> sqlx::Result<()> {
    batch::execute(tx, &keys(accounts), DELETE_ALLOCATIONS).await?;
    insert_allocations(tx, rows).await
}

/// Rows that were there when they were loaded and are not any more are a bug or a corrupt database.
fn expect_touched(touched: u64, expected: usize, table: &str) -> sqlx::Result<()> {
    if usize::try_from(touched) == Ok(expected) {
        Ok(())
    } else {
        Err(sqlx::Error::Protocol(format!("table {table}: {touched} rows saved of {expected}")))
    }
}
