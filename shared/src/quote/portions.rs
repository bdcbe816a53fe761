//! How an amount is shared among instalments: by weights, in payable increments, always exactly; and
//! how the profit is found inside the instalments.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::worth::{Discount, Flow, NoRate};

/// Shares `total` in proportion to `weights`, in whole increments; what is left over goes to the
/// earliest, an increment each, and what the increment does not divide to the first (journey.md 4.2
/// and 4.4). With equal weights it is [`crate::schedule::split`]. No weight is zero.
pub fn by_weight(total: i64, weights: &[u32], increment: i64) -> Vec<i64> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let base = |weight: &u32| {
        let share = i128::from(total) * i128::from(*weight) / sum / i128::from(increment) * i128::from(increment);
        i64::try_from(share).expect("a share is not more than the total")
    };
    let mut shares: Vec<i64> = weights.iter().map(base).collect();
    // Each share lost less than one increment, so fewer increments are left than there are shares.
    let mut rest = total - shares.iter().sum::<i64>();
    for share in &mut shares {
        if rest < increment {
            break;
        }
        *share += increment;
        rest -= increment;
    }
    if let Some(first) = shares.first_mut() {
        *first += rest;
    }
    shares
}

/// A part of what each instalment carries: whatever is wished for, corrected so that no instalment
/// carries more than it is, and all together exactly `total`, which is not more than they are.
struct Within<'a> {
    amounts: &'a [i64],
    left: i64,
    later: i64,
}

impl<'a> Within<'a> {
    fn new(amounts: &'a [i64], total: i64) -> Self {
        Self { amounts, left: total, later: amounts.iter().sum() }
    }

    /// Takes as much as is wished for out of the next instalment, as far as that can be.
    fn take(&mut self, wished: i64) -> i64 {
        let (amount, rest) = self.amounts.split_first().expect("one part is taken out of each instalment");
        self.amounts = rest;
        self.later -= amount;
        let taken = wished.clamp((self.left - self.later).max(0), self.left.min(*amount));
        self.left -= taken;
        taken
    }
}

/// How much of each amount is fee: `total` shared by weight, never more than the amount.
pub fn fee(total: i64, weights: &[u32], amounts: &[i64]) -> Vec<i64> {
    let mut within = Within::new(amounts, total);
    by_weight(total, weights, 1).into_iter().map(|wished| within.take(wished)).collect()
}

/// How much of each amount is profit, by declining balance (journey.md 4.4): at the internal rate, at
/// which all amounts are worth what is financed, each carries what the balance has earned since the one
/// before, halves to the even, and the last what is left.
///
/// An amount that does not cover what was earned carries no principal, and the next ones carry the rest. The
/// first `grace` amounts are profit alone, of which the first instalment carries less for it where the balance
/// has not earned that much yet.
pub fn profit(financed: i64, amounts: &[Flow], grace: usize) -> Result<Vec<i64>, NoRate> {
    let minor: Vec<i64> = amounts.iter().map(|flow| flow.minor).collect();
    let total = minor.iter().sum::<i64>() - financed;
    if total == 0 {
        return Ok(vec![0; amounts.len()]);
    }
    let discount = Discount::solve(financed, amounts)?;
    let mut within = Within::new(&minor, total);
    let (mut balance, mut earned, mut before) = (financed, 0_i64, 0);
    let mut profit = Vec::with_capacity(amounts.len());
    for (index, flow) in amounts.iter().enumerate() {
        let growth = discount.growth(flow.ticks - before).ok_or(NoRate::Beyond)?;
        earned += grown(balance + earned, growth).ok_or(NoRate::Beyond)?;
        before = flow.ticks;
        let part = within.take(if index < grace { flow.minor } else { earned });
        earned -= part;
        balance -= flow.minor - part;
        profit.push(part);
    }
    Ok(profit)
}

/// What a balance earns while one becomes `growth`.
fn grown(balance: i64, growth: Decimal) -> Option<i64> {
    let earned = growth.checked_sub(Decimal::ONE)?.checked_mul(balance.into())?;
    earned.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven).to_i64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::due::Lapse;
    use super::*;
    use crate::schedule::split;

    #[test]
    fn weights_in_whole_increments() {
        let cases: &[(i64, &[u32], i64, &[i64])] = &[
            (100, &[1, 1, 2], 1, &[25, 25, 50]),
            (101, &[1, 1, 2], 1, &[26, 25, 50]),
            (100_050, &[1, 1, 4], 100, &[16_750, 16_600, 66_700]),
            (99, &[1, 1], 100, &[99, 0]),
            (1, &[1, 10_000], 1, &[1, 0]),
            (0, &[1, 2], 1, &[0, 0]),
        ];
        for (total, weights, increment, expected) in cases {
            assert_eq!(by_weight(*total, weights, *increment), *expected, "{total} by {weights:?}");
        }
    }

    #[test]
    fn a_fee_never_exceeds_the_instalment_it_is_in() {
        assert_eq!(fee(10, &[1, 1, 1], &[100, 100, 100]), [4, 3, 3]);
        assert_eq!(fee(10, &[1, 1, 1], &[2, 100, 100]), [2, 3, 5]);
        assert_eq!(fee(10, &[1, 1, 1], &[100, 0, 3]), [7, 0, 3]);
        assert_eq!(fee(0, &[1, 1], &[5, 5]), [0, 0]);
    }

    /// A first instalment too small for what the balance earned: principal comes later, nothing is negative.
    #[test]
    fn profit_that_an_instalment_cannot_carry_is_carried_by_the_next() {
        let months = |minor: &[i64]| {
            let flow = |(month, minor): (u32, &i64)| Flow { ticks: month * (Lapse::YEAR_TICKS / 12), minor: *minor };
            (1..).zip(minor).map(flow).collect::<Vec<_>>()
        };
        assert_eq!(profit(100_000, &months(&[100, 54_950, 54_950]), 0), Ok(vec![100, 7_840, 2_060]));
        assert_eq!(profit(100_000, &months(&[50_000, 50_000]), 0), Ok(vec![0, 0]));
        assert_eq!(profit(1, &months(&[1, 1, 1]), 0), Ok(vec![1, 1, 0]));
    }

    /// Nine tenths come last, so the balance still grows after the grace, and earns less than its share in it.
    #[test]
    fn months_of_grace_are_profit_alone() {
        let amounts = [104_010, 103_988, 935_890];
        let month = |(month, minor): (u32, &i64)| Flow { ticks: month * (Lapse::YEAR_TICKS / 12), minor: *minor };
        let flows: Vec<Flow> = (1..).zip(&amounts).map(month).collect();
        assert_eq!(profit(831_857, &flows, 0), Ok(vec![104_009, 103_988, 104_034]));
        assert_eq!(profit(831_857, &flows, 1), Ok(vec![104_010, 103_988, 104_033]));
    }

    proptest! {
        #[test]
        fn equal_weights_are_a_split(total in 0_i64..i64::MAX / 2, n in 1_u16..60, weight in 1_u32..10_000, increment in 1_i64..1_000) {
            let weights = vec![weight; usize::from(n)];
            prop_assert_eq!(by_weight(total, &weights, increment), split(total, n, increment).unwrap());
        }

        #[test]
        fn shares_sum_up_and_are_fair(total in 0_i64..1_000_000_000, weights in proptest::collection::vec(1_u32..10_000, 1..60), increment in 1_i64..1_000) {
            let shares = by_weight(total, &weights, increment);
            prop_assert_eq!(shares.iter().sum::<i64>(), total);
            let sum: u32 = weights.iter().sum();
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = total * i64::from(*weight) / i64::from(sum);
                prop_assert!(*share > exact - increment && *share < exact + 2 * increment, "{share} for {exact}");
            }
        }
    }
}
