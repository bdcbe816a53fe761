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

fn terms(flows: &[Flow], unit_ticks: u32) -> Vec<Term> {
    let mut before = 0;
    let term = |flow: &Flow| {
        let gap = (flow.ticks - before) / unit_ticks;
        before = flow.ticks;
        Term { gap, minor: flow.minor.into() }
    };
    flows.iter().map(term).collect()
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
    // Gaps mostly repeat, and so do their powers: v^gap and its derivative.
    let mut powers = (0, Decimal::ONE, Decimal::ZERO);
    for term in terms.iter().rev() {
        worth = worth.checked_add(term.minor)?;
        if powers.0 != term.gap {
            let before = power(v, term.gap - 1)?;
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
    let (mut result, mut square, mut left) = (Decimal::ONE, base, exponent);
    while left > 0 {
        if left % 2 == 1 {
            result = result.checked_mul(square)?;
        }
        left /= 2;
        if left > 0 {
            square = square.checked_mul(square)?;
        }
    }
    Some(result)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
