//! Rates: basis points of an amount, and how what does not divide is rounded.
//!
//! A rate is never a float and never a percentage: 599 basis points are 5.99 %. The rounding is named
//! where it happens, because contracts differ in it (journey.md 4.2). Effective rates (APR), which are
//! solved and not agreed, are in [`crate::quote`].

use crate::money::MoneyError;

/// How a quotient that is not whole is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// To the nearest, a half up: fees and what settlement files of the region show.
    HalfUp,
    /// To the nearest, a half to the even: profit, where a sum of many roundings must not drift.
    HalfEven,
    /// Up: down payments.
    Up,
}

impl Rounding {
    /// `numerator / denominator`, for a positive denominator.
    pub fn divide(self, numerator: i128, denominator: i128) -> i128 {
        debug_assert!(denominator > 0, "a denominator is positive");
        let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
        // Not rest * 2, which could overflow.
        let up = match (self, rest.cmp(&(denominator - rest))) {
            (Self::Up, _) => rest > 0,
            (Self::HalfUp, order) => order.is_ge(),
            (Self::HalfEven, order) => order.is_gt() || order.is_eq() && floor % 2 != 0,
        };
        floor + i128::from(up)
    }
}

/// Hundredths of a percent.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    minicbor::Encode,
    minicbor::Decode,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
#[cbor(transparent)]
pub struct BasisPoints(#[n(0)] pub u32);

impl BasisPoints {
    /// The whole: 100 %.
    pub const ONE: Self = Self(10_000);

    /// So much of an amount in minor units, rounded once.
    pub fn of(self, amount_minor: i64, rounding: Rounding) -> Result<i64, MoneyError> {
        self.of_in(amount_minor, 1, rounding)
    }

    /// So much of an amount, rounded once to whole increments of `increment_minor` (at least 1).
    pub fn of_in(self, amount_minor: i64, increment_minor: i64, rounding: Rounding) -> Result<i64, MoneyError> {
        let increment = i128::from(increment_minor);
        let scaled = i128::from(amount_minor) * i128::from(self.0);
        let increments = rounding.divide(scaled, increment * i128::from(Self::ONE.0));
        i64::try_from(increments * increment).map_err(|_| MoneyError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_as_named() {
        // Numerator over ten: half up, half even, up.
        for (numerator, half_up, half_even, up) in
            [(0, 0, 0, 0), (4, 0, 0, 1), (5, 1, 0, 1), (6, 1, 1, 1), (10, 1, 1, 1), (15, 2, 2, 2), (25, 3, 2, 3)]
        {
            let rounded = [Rounding::HalfUp, Rounding::HalfEven, Rounding::Up].map(|r| r.divide(numerator, 10));
            assert_eq!(rounded, [half_up, half_even, up], "{numerator} / 10");
        }
    }

    #[test]
    fn basis_points_of_an_amount() {
        assert_eq!(BasisPoints(599).of(12_345, Rounding::HalfUp), Ok(739));
        assert_eq!(BasisPoints(2_500).of_in(100_050, 100, Rounding::Up), Ok(25_100));
        assert_eq!(BasisPoints(0).of(i64::MAX, Rounding::Up), Ok(0));
        assert_eq!(BasisPoints::ONE.of(i64::MAX, Rounding::Up), Ok(i64::MAX));
        assert_eq!(BasisPoints(20_000).of(i64::MAX, Rounding::Up), Err(MoneyError::Overflow));
    }
}
