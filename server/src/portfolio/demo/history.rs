//! The demo's year of payments: allocated and booked by the same rules as those of today, in bulk.

use std::collections::BTreeMap;

use daybook_shared::entry::Channel;
use daybook_shared::ids::{DecisionId, EntryId, PaymentId};
use daybook_shared::schedule::{DueLine, Portions, dpd, overdue_since};
use daybook_shared::time::{Date, Timestamp};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use uuid::Uuid;

use super::people::Market;
use super::{DemoError, habits};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::ledger::journal;
use crate::ledger::posting::{self, Applied, Event, GlAccount, HandedOver, Journal, PostingError};
use crate::portfolio::account::{
    AccountRow, AllocationRow, Lock, Stage, insert_allocations, load_accounts, save_accounts, save_instalments,
};
use crate::portfolio::allocation::{Payment, replay};
use crate::portfolio::opening::{NewAccount, Opened};
use crate::portfolio::payment::{self, CashChange, NewPayment, PaymentSource, PaymentState, change_cash};

/// An account and who collects on it.
#[derive(Debug, Clone)]
pub struct Collected {
    /// The account as it was opened.
    pub account: NewAccount,
    /// Its keys.
    pub opened: Opened,
    /// Key of the officer.
    pub officer: i64,
    /// The officer's number, which names his paper receipt book.
    pub book: usize,
}

/// What a history comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistoryTotals {
    /// Payments posted.
    pub payments: usize,
    /// Their sum, minor units.
    pub paid_minor: i64,
}

/// All rows of the history, collected before they are written.
#[derive(Default)]
struct Rows {
    payments: Vec<NewPayment>,
    allocations: Vec<AllocationRow>,
    instalments: Vec<(i64, i64, daybook_shared::schedule::Instalment)>,
    journals: Vec<Journal>,
    decisions: Vec<CountRow>,
    /// Cash by officer and day.
    cash: BTreeMap<(i64, Date), i64>,
    /// Balances of officers.
    balances: BTreeMap<i64, i64>,
    receipts: BTreeMap<usize, u32>,
}

batch_row! {
    struct CountRow {
        uid: DecisionId => "uuid",
        subject: EntryId => "uuid",
        user_id: i64 => "int8",
        at: Timestamp => "timestamptz",
        detail: String => "text",
    }
}

const INSERT_COUNTS: &str = "insert into decision (uid, kind, subject, user_id, at, detail)
     select uid, 'count', subject, user_id, at, detail from v where true";

/// Makes and books the history. The cashier counts every Saturday.
pub async fn book(
    tx: &mut Tx,
    rng: &mut ChaCha20Rng,
    (market, now): (Market<'_>, Timestamp),
    collected: &[Collected],
    cashier: i64,
) -> Result<HistoryTotals, DemoError> {
    let ids: Vec<_> = collected.iter().map(|one| one.opened.account).collect();
    let mut accounts: BTreeMap<_, _> =
        load_accounts(tx, &ids, Lock::No).await?.into_iter().map(|account| (account.id, account)).collect();
    let mut rows = Rows::default();
    for one in collected {
        let account = accounts.get_mut(&one.opened.account).ok_or(sqlx::Error::RowNotFound)?;
        pay(&mut rows, rng, market, one, account)?;
    }
    let officers: Vec<_> = rows.balances.keys().copied().collect();
    for officer in officers {
        count_cash(&mut rows, rng, market, (officer, cashier))?;
    }
    let paid_minor = rows.payments.iter().map(|payment| payment.amount_minor).fold(0, i64::saturating_add);
    payment::insert(tx, &rows.payments).await?;
    insert_allocations(tx, &rows.allocations).await?;
    save_instalments(tx, &rows.instalments).await?;
    let accounts: Vec<_> = accounts.into_values().collect();
    save_accounts(tx, &accounts).await?;
    journal::insert(tx, &rows.journals, now).await?;
    batch::execute(tx, &rows.decisions, INSERT_COUNTS).await?;
    let cash = rows.balances.iter();
    let cash: Vec<_> = cash
        .map(|(user_id, minor)| CashChange { user_id: *user_id, currency: market.currency, minor: *minor })
        .collect();
    change_cash(tx, &cash).await?;
    Ok(HistoryTotals { payments: rows.payments.len(), paid_minor })
}

/// The payments of one account, as its customer makes them.
fn pay(
    rows: &mut Rows,
    rng: &mut ChaCha20Rng,
    market: Market<'_>,
    one: &Collected,
    account: &mut AccountRow,
) -> Result<(), DemoError> {
    let NewAccount { lines, disbursed_on, .. } = &one.account;
    let made = habits::payments(rng, *disbursed_on, lines, market.today);
    let made = made.into_iter().map(|(value_date, amount_minor)| Payment {
        value_date,
        id: PaymentId::new(working_hour(rng, market, value_date), rng),
        amount_minor,
    });
    let mut made: Vec<_> = made.collect();
    made.sort_unstable();
    let schedule: Vec<_> = lines.iter().copied().map(|line: DueLine| line.with_paid(Portions::ZERO)).collect();
    let replayed = replay(&schedule, &made, account.waterfall)?;
    account.restate(&replayed.instalments, replayed.credit_minor, made.last().copied())?;
    account.stage = stage(dpd(overdue_since(&replayed.instalments, market.today), market.today));
    for (payment, (id, allocation)) in made.iter().zip(&replayed.allocations) {
        let applied = Applied {
            account: one.opened.account,
            customer: one.opened.customer,
            to_plan_minor: allocation.to_plan()?.total()?,
            to_credit_minor: allocation.credit_minor,
        };
        receive(rows, rng, market, one, *payment, applied)?;
        rows.allocations.extend(AllocationRow::of(one.opened.account, *id, allocation));
    }
    let touched = replayed.instalments.into_iter().filter(|instalment| !instalment.paid.is_zero());
    rows.instalments.extend(touched.map(|instalment| (one.opened.account, 1, instalment)));
    Ok(())
}

/// Four of five pay cash to the officer, one by mobile money.
fn receive(
    rows: &mut Rows,
    rng: &mut ChaCha20Rng,
    market: Market<'_>,
    one: &Collected,
    payment: Payment,
    applied: Applied,
) -> Result<(), PostingError> {
    let Payment { value_date, id, amount_minor } = payment;
    let is_cash = rng.random_range(0..5) < 4;
    let (source, receipt_no, external_ref) = if is_cash {
        let number = rows.receipts.entry(one.book).or_default();
        *number += 1;
        *rows.cash.entry((one.officer, value_date)).or_default() += amount_minor;
        *rows.balances.entry(one.officer).or_default() += amount_minor;
        (GlAccount::officer_cash(one.officer), Some(format!("BK{:02}-{number:06}", one.book)), None)
    } else {
        (GlAccount::MOMO, None, Some(format!("MPESA:{:010X}", rng.random_range(0..1_u64 << 40))))
    };
    let event = Event { id: id.0, correlation: id.0, booked_on: value_date, currency: market.currency };
    rows.journals.push(posting::repayment(event, source, amount_minor, applied)?);
    rows.payments.push(NewPayment {
        uid: id,
        account_id: Some(one.opened.account),
        user_id: Some(one.officer),
        source: PaymentSource::Import,
        channel: if is_cash { Channel::Cash } else { Channel::MobileMoney },
        amount_minor,
        currency: market.currency,
        receipt_no,
        external_ref,
        value_date,
        booked_on: Some(value_date),
        state: PaymentState::Posted,
        debited: is_cash,
    });
    Ok(())
}

/// Every Saturday before today the officer hands over all he has; now and then a note is missing, or one
/// too many is there. What came in since stays with him.
fn count_cash(
    rows: &mut Rows,
    rng: &mut ChaCha20Rng,
    market: Market<'_>,
    (officer, cashier): (i64, i64),
) -> Result<(), DemoError> {
    let of_officer = rows.cash.range((officer, Date::from_days(i32::MIN))..=(officer, Date::MAX));
    let mut weeks: BTreeMap<Date, i64> = BTreeMap::new();
    for ((_, day), minor) in of_officer {
        *weeks.entry(saturday(*day)).or_default() += minor;
    }
    weeks.retain(|day, _| *day < market.today);
    for (day, declared_minor) in weeks {
        let difference = match rng.random_range(0..100) {
            0..4 => -rng.random_range(1..=5) * 10_000,
            4 => rng.random_range(1..=2) * 10_000,
            _ => 0,
        };
        let counted_minor = (declared_minor + difference).max(0);
        let at = working_hour(rng, market, day);
        let uid = DecisionId::new(at, rng);
        let subject = EntryId::new(at, rng);
        let correlation: Uuid = subject.0;
        let event = Event { id: uid.0, correlation, booked_on: day, currency: market.currency };
        rows.journals.push(posting::count(event, HandedOver { officer, cashier, declared_minor, counted_minor })?);
        let detail =
            serde_json::json!({ "declared_minor": declared_minor, "counted_minor": counted_minor }).to_string();
        rows.decisions.push(CountRow { uid, subject, user_id: cashier, at, detail });
        *rows.balances.entry(officer).or_default() -= declared_minor;
    }
    Ok(())
}

/// The Saturday that ends this day's week. 1970-01-01 was a Thursday.
fn saturday(day: Date) -> Date {
    day.plus_days((2 - day.days()).rem_euclid(7))
}

fn working_hour(rng: &mut ChaCha20Rng, market: Market<'_>, day: Date) -> Timestamp {
    market.zone.start_of(day).plus_ms(rng.random_range(8 * 3_600_000..18 * 3_600_000))
}

/// How far collection has gone with an account so many days late.
fn stage(days_late: u32) -> Stage {
    match days_late {
        0..=7 => Stage::Call,
        8..=150 => Stage::Field,
        151.. => Stage::Legal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_ends_on_saturday() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(saturday(day("2026-03-01")), day("2026-03-07"));
        assert_eq!(saturday(day("2026-03-06")), day("2026-03-07"));
        assert_eq!(saturday(day("2026-03-07")), day("2026-03-07"));
        assert_eq!(saturday(day("1969-12-31")), day("1970-01-03"));
    }
}
