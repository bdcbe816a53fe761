//! Which payment pays what: a pure function of an account's schedule and its valid payments.
//!
//! Payments count in the order (value date, payment id), never in the order of arrival, so a late or
//! reversed payment is a replay without special cases (model.md, domain.md 2.1). Allocations may be
//! written incrementally, but what they mean is what [`replay`] says.
//!
//! What is deliberately not here: refunds and the later use of a credit, which are events of their own.

use daybook_shared::ids::PaymentId;
use daybook_shared::money::MoneyError;
pub use daybook_shared::quote::terms::Waterfall;
use daybook_shared::schedule::{Component, Instalment, Portions};
use daybook_shared::time::Date;

/// A valid payment of an account, as far as allocation cares. Sorts by value date, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payment {
    /// The day it counts from.
    pub value_date: Date,
    /// Its id, unique among an account's payments.
    pub id: PaymentId,
    /// How much, minor units; positive.
    pub amount_minor: i64,
}

/// What one payment pays of one instalment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AllocationPart {
    /// The instalment's number.
    pub n: u16,
    /// How much of each component, minor units; not all zero.
    pub portions: Portions,
}

/// What one payment pays: its amount is the sum of the parts and the credit (D1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// By instalment, in the schedule's order; an instalment it does not touch has no part.
    pub parts: Vec<AllocationPart>,
    /// What is above everything owed, minor units: the customer's credit.
    pub credit_minor: i64,
}

impl Allocation {
    /// What goes to the instalments, minor units: the payment's amount less the credit.
    pub fn to_plan(&self) -> Result<Portions, MoneyError> {
        self.parts.iter().try_fold(Portions::ZERO, |sum, part| sum.checked_add(part.portions))
    }
}

/// Why a payment cannot be allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// Its amount is not positive.
    #[error("a payment is of at least one minor unit, not {0}")]
    NotPositive(i64),
    /// The credits of an account's payments together.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Pays as much of the instalments as `amount_minor` reaches: arrears, what is due on the value date,
/// then in advance; the rest is credit. Writes what is paid into the instalments and leaves them by
/// due date and number.
pub fn allocate(
    instalments: &mut [Instalment],
    amount_minor: i64,
    waterfall: Waterfall,
    value_date: Date,
) -> Result<Allocation, AllocationError> {
    if amount_minor <= 0 {
        return Err(AllocationError::NotPositive(amount_minor));
    }
    instalments.sort_by_key(|instalment| (instalment.due_date, instalment.n));
    let due = instalments.partition_point(|instalment| instalment.due_date <= value_date);
    let mut pay = Paying { left: amount_minor, paid: vec![Portions::ZERO; instalments.len()] };
    match waterfall {
        Waterfall::InstalmentFirst => pay.by_instalment(instalments, 0),
        Waterfall::FeesFirst => {
            for component in Component::ALL {
                for (i, instalment) in instalments[..due].iter_mut().enumerate() {
                    pay.one(i, instalment, component);
                }
            }
            pay.by_instalment(instalments, due);
        }
    }
    let touched = instalments.iter().zip(pay.paid).filter(|(_, portions)| !portions.is_zero());
    let parts = touched.map(|(instalment, portions)| AllocationPart { n: instalment.n, portions }).collect();
    Ok(Allocation { parts, credit_minor: pay.left })
}

/// A payment on its way down the waterfall.
struct Paying {
    left: i64,
    paid: Vec<Portions>,
}

impl Paying {
    fn by_instalment(&mut self, instalments: &mut [Instalment], from: usize) {
        for (i, instalment) in instalments.iter_mut().enumerate().skip(from) {
            for component in Component::ALL {
                self.one(i, instalment, component);
            }
        }
    }

    /// No step can overflow: 0 <= taken <= left, and taken <= due - paid.
    fn one(&mut self, i: usize, instalment: &mut Instalment, component: Component) {
        let taken = instalment.unpaid().get(component).min(self.left);
        *instalment.paid.get_mut(component) += taken;
        *self.paid[i].get_mut(component) += taken;
        self.left -= taken;
    }
}

/// An account after all its payments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The schedule with what is paid of it, by due date and number.
    pub instalments: Vec<Instalment>,
    /// Each payment's allocation, by value date and payment id.
    pub allocations: Vec<(PaymentId, Allocation)>,
    /// What is paid above everything owed, minor units.
    pub credit_minor: i64,
}

/// Allocates all payments of an account to its schedule from nothing, in the order (value date,
/// payment id) whatever order they are given in. What the instalments say is paid is disregarded.
pub fn replay(
    instalments: &[Instalment],
    payments: &[Payment],
    waterfall: Waterfall,
) -> Result<Replayed, AllocationError> {
    let unpaid = instalments.iter().map(|instalment| Instalment { paid: Portions::ZERO, ..*instalment });
    let mut instalments: Vec<_> = unpaid.collect();
    instalments.sort_by_key(|instalment| (instalment.due_date, instalment.n));
    let mut in_order = payments.to_vec();
    in_order.sort_unstable();
    let mut allocations = Vec::with_capacity(in_order.len());
    let mut credit_minor = 0_i64;
    for payment in in_order {
        let allocation = allocate(&mut instalments, payment.amount_minor, waterfall, payment.value_date)?;
        credit_minor = credit_minor.checked_add(allocation.credit_minor).ok_or(MoneyError::Overflow)?;
        allocations.push((payment.id, allocation));
    }
    Ok(Replayed { instalments, allocations, credit_minor })
}

#[cfg(test)]
mod tests {
    use daybook_shared::schedule::{dpd, overdue_since};
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn instalment(n: u16, due_date: Date, due: [i64; 4]) -> Instalment {
        let [principal, interest, fee, penalty] = due;
        let due = Portions { principal, interest, fee, penalty };
        Instalment { n, due_date, due, paid: Portions::ZERO }
    }

    fn payment(value_date: &str, id: u8, amount_minor: i64) -> Payment {
        Payment { value_date: date(value_date), id: PaymentId::from([id; 16]), amount_minor }
    }

    /// Two instalments, the second not due at the value date; principal, interest, fee, penalty.
    fn check(waterfall: Waterfall, value_date: &str, amount_minor: i64, expected: [[i64; 4]; 2], credit_minor: i64) {
        let mut schedule = [
            instalment(1, date("2026-03-01"), [800, 150, 30, 20]),
            instalment(2, date("2026-04-01"), [800, 150, 30, 20]),
        ];
        let allocation = allocate(&mut schedule, amount_minor, waterfall, date(value_date)).unwrap();
        let paid = schedule.map(|i| [i.paid.principal, i.paid.interest, i.paid.fee, i.paid.penalty]);
        assert_eq!((paid, allocation.credit_minor), (expected, credit_minor), "{waterfall} {amount_minor}");
        let to_plan = allocation.to_plan().unwrap().total().unwrap();
        assert_eq!(to_plan + credit_minor, amount_minor);
    }

    #[test]
    fn a_waterfall_pays_arrears_then_due_then_in_advance_then_credit() {
        let (by_instalment, by_fees) = (Waterfall::InstalmentFirst, Waterfall::FeesFirst);
        // Golden vector 5 (domain.md 2.4).
        check(by_instalment, "2026-03-05", 500, [[300, 150, 30, 20], [0; 4]], 0);
        check(by_instalment, "2026-04-05", 1100, [[800, 150, 30, 20], [0, 50, 30, 20]], 0);
        check(by_instalment, "2026-02-01", 2500, [[800, 150, 30, 20], [800, 150, 30, 20]], 500);
        // Both due: all penalties, all fees, all interest, then the oldest principal.
        check(by_fees, "2026-04-01", 450, [[50, 150, 30, 20], [0, 150, 30, 20]], 0);
        check(by_fees, "2026-04-01", 110, [[0, 10, 30, 20], [0, 0, 30, 20]], 0);
        // The second is still in advance: it waits until the first is paid.
        check(by_fees, "2026-03-31", 450, [[250, 150, 30, 20], [0; 4]], 0);
        check(by_fees, "2026-03-31", 2010, [[800, 150, 30, 20], [800, 150, 30, 20]], 10);
    }

    /// Golden vector 5: what a payment paid, and the days past due, come back with its reversal.
    #[test]
    fn a_reversed_payment_restores_all_components_and_the_days_past_due() {
        let schedule = [instalment(1, date("2026-03-01"), [800, 150, 30, 20])];
        let today = date("2026-03-11");
        let days = |payments: &[Payment]| {
            let state = replay(&schedule, payments, Waterfall::InstalmentFirst).unwrap();
            (state.instalments[0].unpaid(), dpd(overdue_since(&state.instalments, today), today))
        };
        let (part, rest) = (payment("2026-03-05", 1, 500), payment("2026-03-06", 2, 500));
        assert_eq!(days(&[part]).0, Portions { principal: 500, ..Portions::ZERO });
        assert_eq!(days(&[part, rest]), (Portions::ZERO, 0));
        assert_eq!(days(&[rest]).1, 10);
        assert_eq!(days(&[]), (schedule[0].due, 10));
    }

    /// Golden vector 6: a payment entered late counts from its value date.
    #[test]
    fn a_back_dated_payment_gives_the_state_of_payments_entered_in_time() {
        let schedule = [
            instalment(1, date("2026-03-05"), [800, 150, 30, 20]),
            instalment(2, date("2026-03-18"), [800, 150, 30, 20]),
        ];
        let (earlier, later) = (payment("2026-03-16", 9, 700), payment("2026-03-20", 1, 900));
        for &waterfall in Waterfall::ALL {
            let back_dated = replay(&schedule, &[later, earlier], waterfall).unwrap();
            assert_eq!(back_dated, replay(&schedule, &[earlier, later], waterfall).unwrap());
            assert_eq!(back_dated.allocations[0].0, earlier.id);
        }
    }

    #[test]
    fn within_a_day_payments_count_by_id() {
        let schedule = [instalment(1, date("2026-03-05"), [100, 0, 0, 0])];
        let (first, second) = (payment("2026-03-05", 1, 80), payment("2026-03-05", 2, 80));
        let state = replay(&schedule, &[second, first], Waterfall::InstalmentFirst).unwrap();
        let credits: Vec<_> = state.allocations.iter().map(|(id, allocation)| (*id, allocation.credit_minor)).collect();
        assert_eq!((credits, state.credit_minor), (vec![(first.id, 0), (second.id, 60)], 60));
    }

    #[test]
    fn an_amount_is_positive_and_a_waterfall_known() {
        for amount in [0, -1] {
            let nothing = allocate(&mut [], amount, Waterfall::default(), date("2026-03-05"));
            assert_eq!(nothing, Err(AllocationError::NotPositive(amount)));
        }
        let most = [payment("2026-03-05", 1, i64::MAX), payment("2026-03-05", 2, 1)];
        assert_eq!(replay(&[], &most, Waterfall::FeesFirst), Err(MoneyError::Overflow.into()));
        assert!(Waterfall::ALL.iter().all(|waterfall| waterfall.code().parse() == Ok(*waterfall)));
        assert!("oldest_first".parse::<Waterfall>().is_err());
    }

    /// The slow replay: lists every obligation in the waterfall's order and pays the first that is
    /// open, one minor unit at a time.
    fn naive(schedule: &[Instalment], payments: &[Payment], waterfall: Waterfall) -> (Vec<Instalment>, i64) {
        let (mut state, mut credit) = (schedule.to_vec(), 0);
        let mut payments = payments.to_vec();
        payments.sort_by_key(|p| (p.value_date, p.id));
        for payment in payments {
            let rank = |(i, component): &(usize, Component)| {
                let in_advance = schedule[*i].due_date > payment.value_date;
                let by_component = waterfall == Waterfall::FeesFirst && !in_advance;
                let first = if by_component { *component } else { Component::Penalty };
                (in_advance, first, *i, *component)
            };
            let mut obligations: Vec<_> =
                (0..schedule.len()).flat_map(|i| Component::ALL.map(|component| (i, component))).collect();
            obligations.sort_by_key(rank);
            for _ in 0..payment.amount_minor {
                let open = obligations.iter().find(|(i, c)| state[*i].paid.get(*c) < state[*i].due.get(*c));
                match open {
                    Some((i, component)) => *state[*i].paid.get_mut(*component) += 1,
                    None => credit += 1,
                }
            }
        }
        (state, credit)
    }

    fn schedules() -> impl Strategy<Value = Vec<Instalment>> {
        let due = prop::array::uniform4(0..20_i64);
        prop::collection::vec((due, 1..20_i32), 0..6).prop_map(|lines| {
            let mut due_date = date("2026-01-01");
            let lines = lines.into_iter().zip(1..).map(|((due, days), n)| {
                due_date = due_date.plus_days(days);
                instalment(n, due_date, due)
            });
            lines.collect()
        })
    }

    fn payments() -> impl Strategy<Value = Vec<Payment>> {
        prop::collection::vec((0..100_i32, 1..60_i64), 0..8).prop_map(|payments| {
            let payments = payments.into_iter().zip(1_u8..).map(|((day, amount_minor), id)| Payment {
                value_date: date("2026-01-01").plus_days(day),
                id: PaymentId::from([id; 16]),
                amount_minor,
            });
            payments.collect()
        })
    }

    fn waterfalls() -> impl Strategy<Value = Waterfall> {
        prop::sample::select(Waterfall::ALL)
    }

    proptest! {
        /// D1 and D3: no minor unit is lost or made, and the order of arrival changes nothing.
        #[test]
        fn replay_equals_the_slow_one_in_every_order_and_loses_nothing(
            schedule in schedules(),
            (arrived, shuffled) in payments().prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
            waterfall in waterfalls(),
        ) {
            let state = replay(&schedule, &arrived, waterfall).unwrap();
            prop_assert_eq!(&state, &replay(&schedule, &shuffled, waterfall).unwrap());
            prop_assert_eq!((state.instalments.clone(), state.credit_minor), naive(&schedule, &arrived, waterfall));
            for (id, allocation) in &state.allocations {
                let payment = arrived.iter().find(|payment| payment.id == *id).unwrap();
                let to_plan = allocation.to_plan().unwrap().total().unwrap();
                prop_assert_eq!(to_plan + allocation.credit_minor, payment.amount_minor);
            }
            let paid: i64 = state.instalments.iter().map(|i| i.paid.total().unwrap()).sum();
            prop_assert_eq!(paid + state.credit_minor, arrived.iter().map(|p| p.amount_minor).sum::<i64>());
        }

        #[test]
        fn replay_equals_incremental_when_payments_come_in_order(
            mut schedule in schedules(), mut payments in payments(), waterfall in waterfalls(),
        ) {
            payments.sort_unstable();
            let state = replay(&schedule, &payments, waterfall).unwrap();
            for (payment, (id, allocation)) in payments.iter().zip(&state.allocations) {
                let now = allocate(&mut schedule, payment.amount_minor, waterfall, payment.value_date).unwrap();
                prop_assert_eq!((payment.id, &now), (*id, allocation));
            }
            prop_assert_eq!(schedule, state.instalments);
        }
    }
}
