//! What goods that come back do to an account (journey.md 5, line 13): pure.
//!
//! What the goods cost, with their share of the profit, is taken off what is unpaid, the last instalments first; what
//! is more than that was paid already and goes back to the customer. The last first, because the next instalments are
//! what the customer counts on: he pays what he would have paid, and is done sooner. Only what is unpaid is taken off,
//! so no payment has to be allocated anew, and nobody who still owes is paid out.
//!
//! When all of it comes back, the sale is undone: nothing is owed any more, fees for the service go back too. What
//! was paid for being late does not.

use daybook_shared::money::MoneyError;
use daybook_shared::schedule::{Instalment, Portions, outstanding};

use super::versions::{Earned, Planned, plan_of};
use crate::ledger::posting::{GlAccount, Line};

/// What comes back, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goods {
    /// Of the price.
    pub price_minor: i64,
    /// The profit that went with it.
    pub profit_minor: i64,
    /// What else goes back when the sale is undone; none for a part of it.
    pub undone: Option<Undone>,
}

/// The whole sale is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone {
    /// What the customer paid for a service with the acceptance, minor units.
    pub fee_at_acceptance_minor: i64,
    /// Where fees for being late go.
    pub penalties: GlAccount,
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The schedule afterwards.
    pub planned: Vec<Planned>,
    /// What it is taken off by, minor units.
    pub cut_minor: i64,
    /// What the customer gets, minor units.
    pub refund_minor: i64,
    /// The lines of the books that say so, without those that follow from the schedule.
    pub lines: Vec<Line>,
}

/// More would have to go back than was paid: something else went back before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReturningError {
    /// That.
    #[error("more would go off the account than was sold on it")]
    TooMuch,
    /// Sums beyond 64 bits.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Takes goods back on an account.
pub fn give_back(
    (instalments, earned): (&[Instalment], &Earned),
    customer: i64,
    goods: Goods,
) -> Result<Returned, ReturningError> {
    let Goods { price_minor, profit_minor, undone } = goods;
    let mut total = price_minor.checked_add(profit_minor).ok_or(MoneyError::Overflow)?;
    let mut lines = vec![Line { account: GlAccount::ORDERS, minor: price_minor }];
    let (planned, cut_minor) = match undone {
        Some(Undone { fee_at_acceptance_minor, penalties }) => {
            let due = instalments.iter().try_fold(Portions::ZERO, |sum, one| sum.checked_add(one.due))?;
            let unpaid = outstanding(instalments)?;
            let fees = due.fee.checked_add(fee_at_acceptance_minor).ok_or(MoneyError::Overflow)?;
            lines.push(Line { account: GlAccount::FEES, minor: fees });
            lines.push(Line { account: penalties, minor: unpaid.penalty });
            for more in [fees, unpaid.penalty] {
                total = total.checked_add(more).ok_or(MoneyError::Overflow)?;
            }
            (ended(instalments), unpaid.total()?)
        }
        None => taken_off((instalments, earned), (profit_minor, total)),
    };
    let refund_minor = total - cut_minor;
    if refund_minor < 0 {
        return Err(ReturningError::TooMuch);
    }
    lines.push(Line { account: GlAccount::refund_payable(customer), minor: -refund_minor });
    Ok(Returned { planned, cut_minor, refund_minor, lines })
}

/// A schedule of which nothing more is owed, and all profit that was paid is earned.
fn ended(instalments: &[Instalment]) -> Vec<Planned> {
    let paid = |one: &Instalment| {
        let line = Instalment { due: one.paid, ..*one }.due_line();
        Planned { line, earned_minor: line.interest }
    };
    instalments.iter().map(paid).collect()
}

/// Takes so much off what is unpaid, from the last line to the first: of the profit what the goods had of it, then
/// of the price.
fn taken_off((instalments, earned): (&[Instalment], &Earned), (profit, total): (i64, i64)) -> (Vec<Planned>, i64) {
    let mut planned = plan_of(instalments, earned);
    let mut by_day: Vec<usize> = (0..planned.len()).collect();
    by_day.sort_unstable_by_key(|i| std::cmp::Reverse((instalments[*i].due_date, instalments[*i].n)));
    let mut left = profit;
    for i in &by_day {
        let off = instalments[*i].unpaid().interest.min(left);
        planned[*i].line.interest -= off;
        planned[*i].earned_minor = planned[*i].earned_minor.min(planned[*i].line.interest);
        left -= off;
    }
    let cut_profit = profit - left;
    let mut left = total - cut_profit;
    for i in &by_day {
        let off = instalments[*i].unpaid().principal.min(left);
        planned[*i].line.principal -= off;
        left -= off;
    }
    (planned, total - left)
}

#[cfg(test)]
mod tests {
    use daybook_shared::schedule::DueLine;
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::after_sale::{Moved, changed};
    use crate::ledger::posting::{Event, JournalKind};
    use crate::portfolio::allocation::{Payment, Waterfall, replay};
    use crate::portfolio::versions::{due, unearned};

    const CUSTOMER: i64 = 55;

    fn line(n: u16, principal: i64, interest: i64) -> DueLine {
        let due_date = "2026-01-31".parse::<daybook_shared::time::Date>().unwrap().plus_days(30 * i32::from(n));
        DueLine { n, due_date, principal, interest, fee: 0, penalty: 0 }
    }

    fn paid(lines: &[DueLine], minor: i64) -> Vec<Instalment> {
        let unpaid: Vec<_> = lines.iter().map(|line| line.with_paid(Portions::ZERO)).collect();
        let id = [1; 16].into();
        let payments = [Payment { value_date: lines[0].due_date, id, amount_minor: minor }];
        let payments = if minor == 0 { &[][..] } else { &payments[..] };
        replay(&unpaid, payments, Waterfall::InstalmentFirst).unwrap().instalments
    }

    /// journey.md 5, line 13: three of twelve paid, on their days.
    #[test]
    fn an_undone_sale_leaves_nothing_owed_and_gives_back_what_was_paid() {
        let profits = [17_972, 16_594, 15_195, 13_775, 12_334, 10_871, 9_386, 7_880, 6_350, 4_798, 3_222, 1_623];
        let lines: Vec<_> = (1..).zip(profits).map(|(n, profit)| line(n, 110_000 - profit, profit)).collect();
        let earned: Earned = (1..=3).map(|n| (n, profits[usize::from(n) - 1])).collect();
        let undone = Some(Undone { fee_at_acceptance_minor: 0, penalties: GlAccount::FEES });
        let goods = Goods { price_minor: 1_200_000, profit_minor: 120_000, undone };
        let returned = give_back((&paid(&lines, 330_000), &earned), CUSTOMER, goods).unwrap();
        assert_eq!((returned.cut_minor, returned.refund_minor), (990_000, 330_000));
        assert_eq!((due(&returned.planned).unwrap(), unearned(&returned.planned).unwrap()), (330_000, 0));
    }

    #[test]
    fn a_part_goes_off_the_last_instalments_and_what_was_paid_goes_back() {
        let lines = [line(1, 900, 100), line(2, 900, 100), line(3, 900, 100)];
        let goods = |price_minor, profit_minor| Goods { price_minor, profit_minor, undone: None };
        let amounts = |returned: &Returned| -> Vec<_> {
            returned.planned.iter().map(|one| (one.line.principal, one.line.interest)).collect()
        };
        let check = |minor, goods, expected: [(i64, i64); 3], refund: i64| {
            let returned = give_back((&paid(&lines, minor), &Earned::new()), CUSTOMER, goods).unwrap();
            assert_eq!((amounts(&returned), returned.refund_minor), (expected.to_vec(), refund), "{minor} {goods:?}");
        };
        check(0, goods(900, 100), [(900, 100), (900, 100), (0, 0)], 0);
        check(0, goods(1350, 150), [(900, 100), (450, 50), (0, 0)], 0);
        // 500 are left of the last one.
        check(2500, goods(900, 100), [(900, 100), (900, 100), (400, 100)], 500);
        check(3000, goods(900, 100), [(900, 100), (900, 100), (900, 100)], 1000);
    }

    proptest! {
        /// Whatever was paid and earned, and in however many parts a sale comes back: every journal balances, no
        /// payment is allocated anew, what is unearned is the profit that is not earned, and in the end the customer
        /// has back what he paid.
        #[test]
        fn a_sale_that_comes_back_in_parts_ends_like_one_that_comes_back_whole(
            profits in prop::collection::vec(0..200_i64, 1..6),
            parts in prop::collection::vec(1..500_i64, 1..4),
            paid_minor in 0..4000_i64,
            earned_n in 0..6_usize,
        ) {
            let price: i64 = parts.iter().sum();
            let count = i64::try_from(profits.len()).unwrap();
            let profit: i64 = profits.iter().sum();
            let lines: Vec<_> = (1_u16..).zip(&profits).map(|(n, profit)| {
                let first = if n == 1 { price % count } else { 0 };
                line(n, price / count + first, *profit)
            }).collect();
            let paid_minor = paid_minor.min(price + profit);
            let mut earned: Earned = (1_u16..).zip(&profits).take(earned_n).map(|(n, profit)| (n, *profit)).collect();
            let mut instalments = paid(&lines, paid_minor);
            let (mut refunds, mut plan_recv, mut got, mut given) = (0, price + profit - paid_minor, 0, 0);
            for (i, part) in parts.iter().enumerate() {
                let is_last = i + 1 == parts.len();
                let share = if is_last { profit - given } else { profit * (got + part) / price - given };
                let undone = Undone { fee_at_acceptance_minor: 0, penalties: GlAccount::FEES };
                let goods = Goods { price_minor: *part, profit_minor: share, undone: is_last.then_some(undone) };
                (got, given) = (got + part, given + share);
                let before = plan_of(&instalments, &earned);
                let returned = give_back((&instalments, &earned), CUSTOMER, goods).unwrap();
                let moved = Moved {
                    owed_minor: due(&returned.planned).unwrap() - due(&before).unwrap(),
                    unearned_minor: unearned(&returned.planned).unwrap() - unearned(&before).unwrap(),
                    credit_minor: 0,
                };
                let event = Event {
                    id: uuid::Uuid::nil(), correlation: uuid::Uuid::nil(),
                    booked_on: lines[0].due_date, currency: "SAR".parse().unwrap(),
                };
                prop_assert!(changed(JournalKind::Return, event, (1, CUSTOMER), moved, returned.lines).is_ok());
                prop_assert_eq!(moved.owed_minor, -returned.cut_minor);
                plan_recv += moved.owed_minor;
                refunds += returned.refund_minor;
                let lines: Vec<_> = returned.planned.iter().map(|one| one.line).collect();
                let after = paid(&lines, paid_minor);
                let paid_of = |all: &[Instalment]| all.iter().map(|one| one.paid).collect::<Vec<_>>();
                prop_assert_eq!(paid_of(&after), paid_of(&instalments));
                earned = returned.planned.iter().map(|one| (one.line.n, one.earned_minor)).collect();
                instalments = after;
            }
            prop_assert_eq!((plan_recv, refunds), (0, paid_minor));
            prop_assert_eq!(unearned(&plan_of(&instalments, &earned)).unwrap(), 0);
        }
    }
}
