//! Which instalments were late enough to cost a fee: a pure function of schedule, payments and the day.
//!
//! An instalment's fee is a line of its own, due on the first day on which it was late enough, so money that came
//! before that day never goes to it, whenever the fee is written. As everything follows from value dates, a payment
//! that a phone hands in late takes a fee back that was charged meanwhile, and a payment taken back brings it.

use std::collections::BTreeMap;

use daybook_shared::quote::terms::LateFee;
use daybook_shared::schedule::{DueLine, Instalment, Portions};
use daybook_shared::time::Date;

use super::allocation::{AllocationError, Payment, Waterfall, replay};
use super::versions::is_penalty;

/// The day on which an instalment has been late for long enough.
pub fn chargeable_on(due_date: Date, fee: &LateFee) -> Date {
    due_date.plus_days(i32::from(fee.after_days) + 1)
}

/// The instalments that cost a fee up to a day, each with the day of its fee. `lines` may hold fees of before.
pub fn late(
    lines: &[DueLine],
    payments: &[Payment],
    waterfall: Waterfall,
    fee: &LateFee,
    today: Date,
) -> Result<BTreeMap<u16, Date>, AllocationError> {
    let mut late = BTreeMap::new();
    let mut sold: Vec<DueLine> = lines.iter().filter(|line| !is_penalty(line)).copied().collect();
    sold.sort_unstable_by_key(|line| (line.due_date, line.n));
    // What was sold, and the fees that follow from it: a fee of before that nobody deserved takes no money.
    let mut owed = sold.clone();
    for (number, line) in (0..u16::MAX).rev().zip(&sold) {
        let on = chargeable_on(line.due_date, fee);
        if on <= today && !met_before(&owed, payments, waterfall, (line.n, on))? {
            late.insert(line.n, on);
            let penalty = fee.amount_minor;
            owed.push(DueLine { n: number, due_date: on, principal: 0, interest: 0, fee: 0, penalty });
            owed.sort_unstable_by_key(|line| (line.due_date, line.n));
        }
    }
    Ok(late)
}

/// Whether an instalment was paid by what came before a day.
fn met_before(
    lines: &[DueLine],
    payments: &[Payment],
    waterfall: Waterfall,
    (n, on): (u16, Date),
) -> Result<bool, AllocationError> {
    let schedule: Vec<Instalment> = lines.iter().map(|line| line.with_paid(Portions::ZERO)).collect();
    let before: Vec<_> = payments.iter().filter(|payment| payment.value_date < on).copied().collect();
    let replayed = replay(&schedule, &before, waterfall)?;
    Ok(replayed.instalments.iter().any(|instalment| instalment.n == n && instalment.is_met()))
}

#[cfg(test)]
mod tests {
    use daybook_shared::ids::PaymentId;
    use daybook_shared::quote::terms::LateFeeTo;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn line(n: u16, due_date: &str, principal: i64, penalty: i64) -> DueLine {
        DueLine { n, due_date: date(due_date), principal, interest: 0, fee: 0, penalty }
    }

    /// Two instalments of 1000; a fee after five days.
    fn check(payments: &[(&str, i64)], today: &str, expected: &[(u16, &str)]) {
        let fee = LateFee { amount_minor: 50, after_days: 5, goes_to: LateFeeTo::Income };
        let lines = [line(1, "2026-03-01", 1000, 0), line(2, "2026-04-01", 1000, 0), line(3, "2026-03-07", 0, 50)];
        let payment = |(i, (on, amount_minor)): (u8, &(&str, i64))| Payment {
            value_date: date(on),
            id: PaymentId::from([i; 16]),
            amount_minor: *amount_minor,
        };
        let payments: Vec<_> = (1..).zip(payments).map(payment).collect();
        let expected: BTreeMap<_, _> = expected.iter().map(|(n, on)| (*n, date(on))).collect();
        for with_fee in [&lines[..2], &lines[..]] {
            let found = late(with_fee, &payments, Waterfall::InstalmentFirst, &fee, date(today)).unwrap();
            assert_eq!(found, expected, "{payments:?} on {today}");
        }
    }

    #[test]
    fn an_instalment_costs_a_fee_once_it_is_more_days_late_than_the_offer_says() {
        check(&[], "2026-03-06", &[]);
        check(&[], "2026-03-07", &[(1, "2026-03-07")]);
        // Whenever it is looked.
        check(&[], "2026-05-30", &[(1, "2026-03-07"), (2, "2026-04-07")]);
        // In time, whenever it is known.
        check(&[("2026-03-06", 1000)], "2026-03-30", &[]);
        check(&[("2026-03-06", 999)], "2026-03-30", &[(1, "2026-03-07")]);
        check(&[("2026-03-07", 1000)], "2026-03-30", &[(1, "2026-03-07")]);
        check(&[("2026-03-01", 2000)], "2026-05-30", &[]);
    }
}
