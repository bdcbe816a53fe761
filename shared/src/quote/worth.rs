//! What later payments are worth now: solves the rate at which they are worth what was advanced.
//!
//! With the discount factor `v` of one unit of time, payments `P_k` after `t_k` units are worth
//! `Σ P_k v^t_k`. All times are whole ticks and the unit is their greatest common divisor with a year,
//! so every power is a whole one: no logarithm, no root, no float. Phone and server get the same digits.
//!
//! The polynomial is convex and rises, and where payments exceed the advance it is above it at `v = 1`.
//! So Newton's steps from 1 come down to the one root without passing it; there is nothing to guard.

use rust_decimal::Decimal;

use super::due::Lapse;

/// So much so long after the anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// How long, in ticks ([`Lapse::ticks`]).
    pub ticks: u32,
    /// How much, minor units; positive.
    pub minor: i64,
}

/// Why payments have no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRate {
    /// What is paid at once leaves nothing advanced.
    #[error("what is paid at once leaves nothing that was advanced")]
    NothingAdvanced,
    /// Less is paid than was advanced.
    #[error("less is paid than was advanced")]
    Negative,
    /// Beyond what can be said.
    #[error("the rate is beyond {} percent", super::apr::PERCENT_MAX)]
    Beyond,
}

/// The discount factor of a unit of time.
#[derive(Clone, Copy, Debug)]
pub struct Discount {
    /// What one is worth a unit earlier.
    factor: Decimal,
    /// Ticks of a unit; a year is a whole number of units.
    unit_ticks: u32,
}

/// A step that changes nothing of a rate that is reported to a hundredth of a percent.
const STEP_MIN: Decimal = Decimal::from_parts(1, 0, 0, false, 25);
/// Many times what a rate below [`super::apr::PERCENT_MAX`] needs.
const STEPS_MAX: u32 = 500;

impl Discount {
    /// The factor at which `flows`, by time, are worth `advance_minor` at time zero. Where nothing is
    /// paid beyond the advance it is one, exactly.
    pub fn solve(advance_minor: i64, flows: &[Flow]) -> Result<Self, NoRate> {
        let (at_once, later): (Vec<Flow>, Vec<Flow>) = flows.iter().partition(|flow| flow.ticks == 0);
        let sum = |flows: &[Flow]| flows.iter().map(|flow| i128::from(flow.minor)).sum::<i128>();
        let advance = i128::from(advance_minor) - sum(&at_once);
        if advance <= 0 {
            return Err(NoRate::NothingAdvanced);
        }
        let unit_ticks = later.iter().fold(Lapse::YEAR_TICKS, |unit, flow| gcd(unit, flow.ticks));
        match sum(&later) - advance {
            ..0 => Err(NoRate::Negative),
            0 => Ok(Self { factor: Decimal::ONE, unit_ticks }),
            1.. => {
                let factor = root(advance, &terms(&later, unit_ticks)).ok_or(NoRate::Beyond)?;
                Ok(Self { factor, unit_ticks })
            }
        }
    }

    /// What one becomes in so many ticks, a whole number of units; none where it does not fit.
    pub fn growth(&self, ticks: u32) -> Option<Decimal> {
        debug_assert_eq!(ticks % self.unit_ticks, 0, "only whole units have a power");
        power(Decimal::ONE.checked_div(self.factor)?, ticks / self.unit_ticks)
    }
}

/// A payment, and how many units after the one before it.
#[derive(Clone, Copy)]
struct Term {
    gap: u32,
    minor: Decimal,
}

/// One for each time: dates at the end of a month can be equally long after the anchor.
fn terms(flows: &[Flow], unit_ticks: u32) -> Vec<Term> {
    let mut before = 0;
    let term = |same: &[Flow]| {
        let gap = (same[0].ticks - before) / unit_ticks;
        before = same[0].ticks;
        Term { gap, minor: same.iter().map(|flow| Decimal::from(flow.minor)).sum() }
    };
    flows.chunk_by(|a, b| a.ticks == b.ticks).map(term).collect()
}

fn root(advance: i128, terms: &[Term]) -> Option<Decimal> {
    let advance = Decimal::try_from_i128_with_scale(advance, 0).ok()?;
    let mut v = Decimal::ONE;
    for _ in 0..STEPS_MAX {
        let (worth, slope) = worth_and_slope(v, terms)?;
        let step = worth.checked_sub(advance)?.checked_div(slope)?;
        v = v.checked_sub(step)?;
        if step <= STEP_MIN {
            return Some(v);
        }
    }
    None
}

/// The polynomial and its derivative at `v`, by Horner's rule from the last payment to the first.
fn worth_and_slope(v: Decimal, terms: &[Term]) -> Option<(Decimal, Decimal)> {
    let (mut worth, mut slope) = (Decimal::ZERO, Decimal::ZERO);
    let squares = Squares::of(v, terms.iter().map(|term| term.gap).max()?)?;
    // Gaps mostly repeat, and so do their powers: v^gap and its derivative.
    let mut powers = (0, Decimal::ONE, Decimal::ZERO);
    for term in terms.iter().rev() {
        worth = worth.checked_add(term.minor)?;
        if powers.0 != term.gap {
            let before = squares.power(term.gap - 1)?;
            powers = (term.gap, before.checked_mul(v)?, before.checked_mul(term.gap.into())?);
        }
        let (_, shift, shift_slope) = powers;
        slope = slope.checked_mul(shift)?.checked_add(worth.checked_mul(shift_slope)?)?;
        worth = worth.checked_mul(shift)?;
    }
    Some((worth, slope))
}

/// A whole power, by squaring.
pub fn power(base: Decimal, exponent: u32) -> Option<Decimal> {
    Squares::of(base, exponent)?.power(exponent)
}

/// A number squared again and again: what its whole powers are made of.
struct Squares(Vec<Decimal>);

impl Squares {
    /// For powers up to `exponent_max`.
    fn of(base: Decimal, exponent_max: u32) -> Option<Self> {
        let bits = u32::BITS - exponent_max.leading_zeros();
        let mut square = base;
        let again = (1..bits).map(|_| {
            square = square.checked_mul(square)?;
            Some(square)
        });
        std::iter::once(Some(base)).chain(again).collect::<Option<_>>().map(Self)
    }

    fn power(&self, exponent: u32) -> Option<Decimal> {
        let bits = self.0.iter().enumerate().filter(|(bit, _)| exponent >> bit & 1 == 1);
        bits.map(|(_, square)| *square).try_fold(Decimal::ONE, Decimal::checked_mul)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: u32 = Lapse::YEAR_TICKS / 12;

    fn months(minor: i64, count: u32) -> Vec<Flow> {
        (1..=count).map(|month| Flow { ticks: month * MONTH, minor }).collect()
    }

    /// The sale of journey.md 4.4, to fifty digits by other means: 0.01497666458169626561840715808264790.
    #[test]
    fn the_rate_of_a_month_is_exact() {
        let growth = Discount::solve(1_200_000, &months(110_000, 12)).unwrap().growth(MONTH).unwrap();
        assert_eq!(growth.round_dp(24).to_string(), "1.014976664581696265618407");
        let free = Discount::solve(1_200_000, &months(100_000, 12)).unwrap();
        assert_eq!(free.growth(Lapse::YEAR_TICKS), Some(Decimal::ONE));
    }

    /// The unit is what divides all times: with days beside months it is small, and the rate the same.
    #[test]
    fn the_unit_of_time_changes_nothing() {
        let mut flows = months(110_000, 12);
        let coarse = Discount::solve(1_200_000, &flows).unwrap();
        flows.push(Flow { ticks: 13 * MONTH + Lapse::YEAR_TICKS / 365, minor: 0 });
        let fine = Discount::solve(1_200_000, &flows).unwrap();
        assert_eq!((coarse.unit_ticks, fine.unit_ticks), (MONTH, 13));
        let year = |discount: Discount| discount.growth(Lapse::YEAR_TICKS).unwrap().round_dp(20);
        assert_eq!(year(coarse), year(fine));
    }

    #[test]
    fn rates_far_from_any_offer_are_found_or_refused() {
        let once = |ticks, minor| [Flow { ticks, minor }];
        let year = |flows: &[Flow]| Discount::solve(1_000, flows).map(|found| found.growth(Lapse::YEAR_TICKS));
        assert_eq!(
            year(&once(Lapse::YEAR_TICKS, 1_000_000)).map(|growth| growth.map(|x| x.round_dp(15).normalize())),
            Ok(Some(1_000.into()))
        );
        assert_eq!(year(&once(156, 1_000_000)).unwrap(), None);
        assert_eq!(year(&once(0, 1_000)).unwrap_err(), NoRate::NothingAdvanced);
        assert_eq!(year(&once(156, 999)).unwrap_err(), NoRate::Negative);
        assert_eq!(year(&[]).unwrap_err(), NoRate::Negative);
        // Sixty years of days.
        assert!(year(&once(60 * Lapse::YEAR_TICKS + 156, i64::MAX)).is_ok_and(|growth| growth.is_some()));
    }

    /// As the 29th and the 31st of March are, both a month and the days from the anchor to the 28th of February.
    #[test]
    fn payments_of_one_time_are_one_payment() {
        let once = |minor| Flow { ticks: 2 * MONTH, minor };
        let found = |flows: &[Flow]| Discount::solve(1_000, flows).unwrap().factor;
        let later = Flow { ticks: 3 * MONTH, minor: 500 };
        assert_eq!(found(&[once(300), once(400), later]), found(&[once(700), later]));
    }

    #[test]
    fn whole_powers() {
        let base = Decimal::new(15, 1);
        assert_eq!([0, 1, 2, 5].map(|n| power(base, n).unwrap().to_string()), ["1", "1.5", "2.25", "7.59375"]);
        assert_eq!(power(base, u32::MAX), None);
    }
}
