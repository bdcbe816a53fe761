//! Counts and what they come to. A rate says of how many it is one, and is nothing where it is one of none.

use serde::Serialize;
use utoipa::ToSchema;

/// A share, in ten-thousandths, and of how many it is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rate {
    /// Hundredths of a percent, rounded half up; null of none.
    pub bp: Option<i64>,
    /// Of how many.
    pub n: i64,
}

impl Rate {
    /// So many of `n`.
    pub fn of(part: i64, n: i64) -> Self {
        let bp = (n > 0).then(|| (i128::from(part) * 20_000 + i128::from(n)) / (i128::from(n) * 2));
        Self { bp: bp.and_then(|bp| i64::try_from(bp).ok()), n }
    }
}

/// A middle amount, and of how many it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Median {
    /// Minor units; the mean of the two in the middle, half down, of an even number; null of none.
    pub minor: Option<i64>,
    /// Of how many.
    pub n: i64,
}

impl Median {
    /// Of `n`, between the two in the middle.
    pub fn between(lower: i64, upper: i64, n: i64) -> Self {
        Self { minor: (n > 0).then(|| lower + (upper - lower) / 2), n }
    }

    /// Of none.
    pub const NONE: Self = Self { minor: None, n: 0 };
}

/// A middle time, and of how many it is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Wait {
    /// Minutes; the mean of the two in the middle of an even number, downwards; null of none.
    pub minutes: Option<i64>,
    /// Of how many.
    pub n: i64,
}

impl Wait {
    /// Of `n`, between the two in the middle, in milliseconds.
    pub fn between(shorter_ms: i64, longer_ms: i64, n: i64) -> Self {
        let minutes = || (shorter_ms + (longer_ms - shorter_ms) / 2).div_euclid(60_000);
        Self { minutes: (n > 0).then(minutes), n }
    }
}

/// A mean, and of how many it is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mean {
    /// Hundredths, rounded half up; null of none.
    pub hundredths: Option<i64>,
    /// Of how many.
    pub n: i64,
}

impl Mean {
    /// Of `n` that sum up to so much, which is not negative.
    pub fn of(sum: i64, n: i64) -> Self {
        let mean = (n > 0).then(|| (i128::from(sum) * 200 + i128::from(n)) / (i128::from(n) * 2));
        Self { hundredths: mean.and_then(|mean| i64::try_from(mean).ok()), n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_rounded_once_and_nothing_of_none() {
        let cases = [
            (0, 0, None),
            (0, 7, Some(0)),
            (1, 3, Some(3_333)),
            (2, 3, Some(6_667)),
            (7, 7, Some(10_000)),
            (1, 20_000, Some(1)),
        ];
        for (part, n, bp) in cases {
            assert_eq!(Rate::of(part, n), Rate { bp, n }, "{part} of {n}");
        }
    }

    #[test]
    fn a_median_lies_between_the_two_in_the_middle() {
        assert_eq!(Median::between(5, 5, 3).minor, Some(5));
        assert_eq!(Median::between(5, 8, 2).minor, Some(6));
        assert_eq!(Median::between(0, 0, 0), Median::NONE);
        assert_eq!(Wait::between(60_000, 240_000, 2), Wait { minutes: Some(2), n: 2 });
        assert_eq!(Wait::between(-1, -1, 1).minutes, Some(-1), "delivered before it was approved");
        assert_eq!(Wait::between(0, 0, 0), Wait::default());
    }

    #[test]
    fn a_mean_is_rounded_once_and_nothing_of_none() {
        for (sum, n, hundredths) in [(0, 0, None), (9, 2, Some(450)), (5, 3, Some(167)), (1, 200, Some(1))] {
            assert_eq!(Mean::of(sum, n), Mean { hundredths, n }, "{sum} of {n}");
        }
    }
}
