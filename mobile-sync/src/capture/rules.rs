//! The rules of a capture that need this phone's facts: pure functions.

use daybook_shared::entry::{PROMISE_DAYS_MAX, Promise};
use daybook_shared::facts::State;
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::Date;

use super::{CaptureError, OverrideReason, Warning};

/// How many days before the capture money may count for without an override.
pub(super) const BACKDATED_DAYS_MAX: i32 = 7;

/// Money is in the account's currency, where this phone knows it.
pub(super) fn currency(amount: &Money, expected: Option<Currency>) -> Result<(), CaptureError> {
    match expected {
        Some(expected) if expected != amount.currency => {
            Err(CaptureError::Currency { expected, given: amount.currency })
        }
        _ => Ok(()),
    }
}

/// A value date is not ahead.
pub(super) fn value_date(given: Date, today: Date) -> Result<(), CaptureError> {
    if given > today { Err(CaptureError::ValueDate { given, today }) } else { Ok(()) }
}

/// A promise is in the account's currency, for today or one of the next days.
pub(super) fn promise(promise: &Promise, expected: Option<Currency>, today: Date) -> Result<(), CaptureError> {
    currency(&promise.amount, expected)?;
    let (given, latest) = (promise.promised_date, today.plus_days(PROMISE_DAYS_MAX));
    if (today..=latest).contains(&given) {
        Ok(())
    } else {
        Err(CaptureError::PromisedDate { given, earliest: today, latest })
    }
}

/// Why cash needs an override, if it does. `uncounted` is own cash that the allowance does not know
/// yet; a currency without an allowance has no limit.
pub(super) fn override_reason(
    amount: &Money,
    given: Date,
    today: Date,
    allowance: Option<&[Money]>,
    uncounted: &[Money],
    lease_lapsed: bool,
) -> Result<Option<OverrideReason>, CaptureError> {
    value_date(given, today)?;
    if lease_lapsed {
        return Ok(Some(OverrideReason::LeaseLapsed));
    }
    let same_currency = |money: &&Money| money.currency == amount.currency;
    if let Some(allowed) = allowance.unwrap_or_default().iter().find(same_currency) {
        let taken = uncounted.iter().find(same_currency).copied().unwrap_or(Money::new(0, amount.currency));
        let left = allowed.checked_sub(taken)?;
        if amount.minor > left.minor {
            let left = Money::new(left.minor.max(0), left.currency);
            return Ok(Some(OverrideReason::Allowance { left }));
        }
    }
    Ok((today.days_since(given) > BACKDATED_DAYS_MAX).then_some(OverrideReason::Backdated))
}

/// Whether an amount is so far above what is owed that it looks like a slip.
pub(super) fn over_payoff(amount: &Money, state: Option<&State>) -> Option<Warning> {
    let owed = state?.outstanding.total().ok()?;
    let limit = owed.checked_mul(12)? / 10;
    (amount.minor > limit).then(|| Warning::OverPayoff { amount: *amount, owed: Money::new(owed, amount.currency) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kes(minor: i64) -> Money {
        Money::new(minor, "KES".parse().unwrap())
    }

    /// What, minor units, value date, allowance, uncounted cash, lapsed lease; the reason expected.
    type Case<'a> = (&'a str, i64, Date, Option<&'a [Money]>, &'a [Money], bool, Option<OverrideReason>);

    #[test]
    fn when_cash_needs_an_override() {
        let today: Date = "2026-11-22".parse().unwrap();
        let usd = Money::new(5, "USD".parse().unwrap());
        let (week, older) = (today.plus_days(-7), today.plus_days(-8));
        let left = |minor| Some(OverrideReason::Allowance { left: kes(minor) });
        let cases: &[Case<'_>] = &[
            ("no block yet", 1_000_000, today, None, &[], false, None),
            ("no limit in this currency", 1_000_000, today, Some(&[usd]), &[], false, None),
            ("all of it", 500, today, Some(&[kes(500)]), &[], false, None),
            ("one more", 501, today, Some(&[kes(500)]), &[], false, left(500)),
            ("with what was taken", 301, today, Some(&[kes(500)]), &[kes(200)], false, left(300)),
            ("nothing left", 1, today, Some(&[kes(500)]), &[kes(700)], false, left(0)),
            ("another currency was taken", 500, today, Some(&[kes(500)]), &[usd], false, None),
            ("a lapsed lease", 1, today, Some(&[kes(500)]), &[], true, Some(OverrideReason::LeaseLapsed)),
            ("a week ago", 1, week, None, &[], false, None),
            ("longer ago", 1, older, None, &[], false, Some(OverrideReason::Backdated)),
        ];
        for (what, minor, given, allowance, uncounted, lapsed, expected) in cases {
            let reason = override_reason(&kes(*minor), *given, today, *allowance, uncounted, *lapsed).unwrap();
            assert_eq!(reason, *expected, "{what}");
        }
        let ahead = override_reason(&kes(1), today.plus_days(1), today, None, &[], false);
        assert!(matches!(ahead, Err(CaptureError::ValueDate { .. })));
    }
}
