//! How late the portfolio is: receivables by bucket and portfolio at risk, as of any date.
//!
//! Formulas: domain.md 2.1. The balance of an account is its whole unpaid receivable, not its arrears;
//! buckets go by delinquent days (after grace and pauses), portfolio at risk by days past due. Amounts
//! of one report are of one currency; whoever asks groups the accounts by it.
//!
//! What is deliberately not here: restructured and written-off accounts, which are shown beside these
//! figures and not in them.

use std::collections::BTreeMap;

use daybook_shared::ids::AccountId;
use daybook_shared::money::MoneyError;
use daybook_shared::schedule::{Bucket, Instalment, Pause, delinquent_days, dpd, outstanding, overdue_since};
use daybook_shared::time::Date;

use super::allocation::{AllocationError, Payment, Waterfall, replay};

/// What was agreed and paid on one account, from which its state at any date follows.
#[derive(Clone, Copy, Debug)]
pub struct AccountHistory<'a> {
    /// The account.
    pub account: AccountId,
    /// The day the money or the goods were handed over.
    pub disbursed_on: Date,
    /// Its schedule; what the instalments say is paid is disregarded.
    pub instalments: &'a [Instalment],
    /// Its valid payments, in any order, those after the date asked for included.
    pub payments: &'a [Payment],
    /// How payments are allocated.
    pub waterfall: Waterfall,
    /// Days past due that do not count as delinquent.
    pub grace_days: u32,
    /// When collection was paused.
    pub pauses: &'a [Pause],
}

impl AccountHistory<'_> {
    /// The account's state at the end of `as_of`: a replay of the payments with a value date up to it.
    pub fn at(&self, as_of: Date) -> Result<AccountState, AllocationError> {
        let payments: Vec<_> = self.payments.iter().filter(|payment| payment.value_date <= as_of).copied().collect();
        let replayed = replay(self.instalments, &payments, self.waterfall)?;
        let since = overdue_since(&replayed.instalments, as_of);
        Ok(AccountState {
            account: self.account,
            disbursed_on: self.disbursed_on,
            outstanding_minor: outstanding(&replayed.instalments)?.total()?,
            overpaid_minor: replayed.credit_minor,
            overdue_since: since,
            delinquent_days: delinquent_days(since, as_of, self.grace_days, self.pauses),
        })
    }
}

/// One account at the date of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// The account.
    pub account: AccountId,
    /// The day the money or the goods were handed over.
    pub disbursed_on: Date,
    /// What is unpaid of all its instalments, due or not, minor units; never negative.
    pub outstanding_minor: i64,
    /// What is paid above everything owed, minor units; never negative.
    pub overpaid_minor: i64,
    /// The oldest due date that was not met before the date, if any.
    pub overdue_since: Option<Date>,
    /// Days past due less grace and pauses; without either, the days past due.
    pub delinquent_days: u32,
}

/// The ageing report: `report ageing --json`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Ageing {
    /// The end of this day.
    pub as_of: Date,
    /// How many accounts were disbursed by then, those paid off since included.
    pub accounts: u64,
    /// Gross receivables, minor units: the sum of the buckets.
    pub outstanding_minor: i64,
    /// What customers paid above what they owed, minor units; not set off against the receivables.
    pub overpaid_minor: i64,
    /// The whole balance of accounts more than 30 days past due, minor units.
    pub par30_minor: i64,
    /// The whole balance of accounts more than 90 days past due, minor units.
    pub par90_minor: i64,
    /// Every bucket, empty ones included, the youngest first.
    pub buckets: BTreeMap<Bucket, BucketLine>,
}

/// One bucket of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct BucketLine {
    /// How many accounts are in it.
    pub accounts: u64,
    /// Their whole unpaid balance, minor units.
    pub balance_minor: i64,
}

impl Ageing {
    /// Portfolio at risk over 30 days, basis points of the gross receivables; none when there are none.
    pub fn par30_bp(&self) -> Option<i64> {
        ratio_bp(self.par30_minor, self.outstanding_minor)
    }

    /// Portfolio at risk over 90 days, basis points of the gross receivables; none when there are none.
    pub fn par90_bp(&self) -> Option<i64> {
        ratio_bp(self.par90_minor, self.outstanding_minor)
    }
}

/// Ages the accounts, given in their state at `as_of`. Those disbursed later are not counted.
pub fn ageing<'a>(accounts: impl IntoIterator<Item = &'a AccountState>, as_of: Date) -> Result<Ageing, MoneyError> {
    let mut report = Ageing {
        as_of,
        accounts: 0,
        outstanding_minor: 0,
        overpaid_minor: 0,
        par30_minor: 0,
        par90_minor: 0,
        buckets: Bucket::ALL.map(|bucket| (bucket, BucketLine::default())).into(),
    };
    for account in accounts.into_iter().filter(|account| account.disbursed_on <= as_of) {
        let balance = account.outstanding_minor;
        report.accounts += 1;
        add(&mut report.outstanding_minor, balance)?;
        add(&mut report.overpaid_minor, account.overpaid_minor)?;
        let days = dpd(account.overdue_since, as_of);
        if days > 30 {
            add(&mut report.par30_minor, balance)?;
        }
        if days > 90 {
            add(&mut report.par90_minor, balance)?;
        }
        let line = report.buckets.entry(Bucket::of(account.delinquent_days)).or_default();
        line.accounts += 1;
        add(&mut line.balance_minor, balance)?;
    }
    Ok(report)
}

fn add(sum: &mut i64, minor: i64) -> Result<(), MoneyError> {
    *sum = sum.checked_add(minor).ok_or(MoneyError::Overflow)?;
    Ok(())
}

/// `numerator / denominator` in basis points, halves to the even (domain.md 2). None when the
/// denominator is not positive, because a share of nothing is not zero, and when the ratio does not fit.
pub fn ratio_bp(numerator: i64, denominator: i64) -> Option<i64> {
    if denominator <= 0 {
        return None;
    }
    let (scaled, whole) = (i128::from(numerator) * 10_000, i128::from(denominator));
    let (floor, rest) = (scaled.div_euclid(whole), scaled.rem_euclid(whole));
    let up = match (rest * 2).cmp(&whole) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => floor.rem_euclid(2),
        std::cmp::Ordering::Greater => 1,
    };
    i64::try_from(floor + up).ok()
}

#[cfg(test)]
mod tests {
    use daybook_shared::ids::PaymentId;
    use daybook_shared::schedule::Portions;

    use super::*;

    const MILLION: i64 = 100_000_000;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn state(outstanding_minor: i64, days_late: i32, as_of: Date) -> AccountState {
        let overdue_since = (days_late > 0).then(|| as_of.plus_days(-days_late));
        AccountState {
            account: AccountId::from([1; 16]),
            disbursed_on: date("2025-01-01"),
            outstanding_minor,
            overpaid_minor: 0,
            overdue_since,
            delinquent_days: dpd(overdue_since, as_of),
        }
    }

    /// Golden vector 2 (domain.md 2.4): amounts in millions; and vector 9, the empty portfolio.
    #[test]
    fn buckets_sum_to_the_gross_receivables_and_par_counts_whole_balances() {
        let as_of = date("2026-06-30");
        let balances = [(700, 0), (120, 30), (50, 31), (40, 90), (60, 91), (30, 181)];
        let accounts = balances.map(|(millions, days)| state(millions * MILLION, days, as_of));
        let report = ageing(&accounts, as_of).unwrap();
        let lines: Vec<_> = report.buckets.values().map(|line| (line.accounts, line.balance_minor)).collect();
        assert_eq!(lines, balances.map(|(millions, _)| (1, millions * MILLION)));
        assert_eq!((report.accounts, report.outstanding_minor), (6, 1000 * MILLION));
        assert_eq!((report.par30_minor, report.par90_minor), (180 * MILLION, 90 * MILLION));
        assert_eq!((report.par30_bp(), report.par90_bp()), (Some(1800), Some(900)));

        let empty = ageing(&[], as_of).unwrap();
        assert_eq!((empty.par30_bp(), empty.par90_bp(), empty.buckets.len()), (None, None, 6));
    }

    /// Golden vector 3: a growing portfolio hides its risk; the lagged ratio does not.
    #[test]
    fn growth_dilutes_par_and_the_lagged_ratio_shows_it() {
        let (then, now) = (date("2026-03-31"), date("2026-06-30"));
        let before = ageing(&[state(640, 0, then), state(160, 45, then)], then).unwrap();
        let after = [state(640, 0, now), state(160, 45, now), state(388, 0, now), state(12, 31, now)];
        let after = ageing(&after, now).unwrap();
        assert_eq!((before.par30_bp(), after.par30_bp()), (Some(2000), Some(1433)));
        assert_eq!(ratio_bp(after.par30_minor, before.outstanding_minor), Some(2150));
    }

    #[test]
    fn grace_moves_the_bucket_but_not_the_portfolio_at_risk() {
        let as_of = date("2026-06-30");
        let account = AccountState { delinquent_days: 28, ..state(500, 31, as_of) };
        let later = AccountState { disbursed_on: date("2026-07-01"), overpaid_minor: 7, ..state(900, 0, as_of) };
        let report = ageing(&[account, later], as_of).unwrap();
        assert_eq!((report.accounts, report.outstanding_minor, report.overpaid_minor), (1, 500, 0));
        assert_eq!((report.par30_minor, report.buckets[&Bucket::D1To30].balance_minor), (500, 500));
        let too_much = [state(i64::MAX, 0, as_of), state(1, 0, as_of)];
        assert_eq!(ageing(&too_much, as_of), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_past_date_sees_only_payments_valued_by_then() {
        let due = Portions { principal: 100, ..Portions::ZERO };
        let on = |n, text| Instalment { n, due_date: date(text), due, paid: Portions::ZERO };
        let instalments = [on(1, "2026-03-01"), on(2, "2026-04-01")];
        let pay =
            |id, text, amount_minor| Payment { value_date: date(text), id: PaymentId::from([id; 16]), amount_minor };
        let payments = [pay(3, "2026-05-01", 130), pay(1, "2026-03-04", 40), pay(2, "2026-04-03", 60)];
        let pauses = [Pause { start: date("2026-03-02"), end: date("2026-03-04") }];
        let history = AccountHistory {
            account: AccountId::from([1; 16]),
            disbursed_on: date("2026-02-01"),
            instalments: &instalments,
            payments: &payments,
            waterfall: Waterfall::InstalmentFirst,
            grace_days: 1,
            pauses: &pauses,
        };
        let cases = [
            ("2026-03-01", 200, 0, None, 0),
            ("2026-03-03", 200, 0, Some("2026-03-01"), 0),
            ("2026-03-06", 160, 0, Some("2026-03-01"), 2),
            ("2026-04-02", 160, 0, Some("2026-03-01"), 29),
            ("2026-04-03", 100, 0, Some("2026-04-01"), 1),
            ("2026-04-30", 100, 0, Some("2026-04-01"), 28),
            ("2026-05-01", 0, 30, None, 0),
        ];
        for (as_of, outstanding_minor, overpaid_minor, since, delinquent) in cases {
            let state = history.at(date(as_of)).unwrap();
            let amounts = (state.outstanding_minor, state.overpaid_minor);
            assert_eq!(amounts, (outstanding_minor, overpaid_minor), "{as_of}");
            assert_eq!((state.overdue_since, state.delinquent_days), (since.map(date), delinquent), "{as_of}");
        }
    }

    #[test]
    fn ratios_round_halves_to_the_even_and_know_no_share_of_nothing() {
        let cases = [
            (1, 3, Some(3333)),
            (2, 3, Some(6667)),
            (1, 20_000, Some(0)),
            (3, 20_000, Some(2)),
            (5, 20_000, Some(2)),
            (-1, 20_000, Some(0)),
            (-3, 20_000, Some(-2)),
            (0, 5, Some(0)),
            (0, 0, None),
            (5, 0, None),
            (i64::MAX, i64::MAX, Some(10_000)),
            (i64::MAX, 1, None),
        ];
        for (numerator, denominator, expected) in cases {
            assert_eq!(ratio_bp(numerator, denominator), expected, "{numerator} / {denominator}");
        }
    }

    #[test]
    fn the_report_has_its_buckets_by_name_and_in_order() {
        let as_of = date("2026-06-30");
        let json = serde_json::to_string(&ageing(&[state(5, 45, as_of)], as_of).unwrap()).unwrap();
        let empty = r#"{"accounts":0,"balance_minor":0}"#;
        let expected = format!(
            r#"{{"as_of":"2026-06-30","accounts":1,"outstanding_minor":5,"overpaid_minor":0,"par30_minor":5,"par90_minor":0,"buckets":{{"current":{empty},"1-30":{empty},"31-60":{{"accounts":1,"balance_minor":5}},"61-90":{empty},"91-180":{empty},">180":{empty}}}}}"#
        );
        assert_eq!(json, expected);
    }
}
