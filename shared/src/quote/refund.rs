//! Giving money back: how much can be, and on which lines it falls.
//!
//! Nothing is computed from rates or prices again; that is where the one-cent bugs of shops come from
//! (journey.md 1, finding 7). What was captured and what was given back are stored by line, and a refund
//! is shared among what is left of the lines. The last one is whatever is left.

/// A line of what was captured, minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedLine {
    /// What was captured for it.
    pub captured_minor: i64,
    /// What was given back of it, refunds that are under way included.
    pub refunded_minor: i64,
}

/// How much is to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All that is left.
    Rest,
    /// So much, minor units.
    Minor(i64),
}

/// A refund, and how much of it falls on each line, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// All together, minor units.
    pub amount_minor: i64,
    /// By line, minor units.
    pub lines: Vec<i64>,
}

/// Why something cannot be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundError {
    /// Nothing, or less.
    #[error("a refund is at least 1 minor unit, not {0}")]
    Amount(i64),
    /// More than is left.
    #[error("{asked_minor} cannot be given back, {left_minor} is left of what was captured")]
    MoreThanLeft {
        /// What was asked for, minor units.
        asked_minor: i64,
        /// What is left, minor units.
        left_minor: i64,
    },
    /// A line of which more was given back than captured, or less than nothing: our bug.
    #[error("line {0} has more given back than captured")]
    Line(usize),
}

impl Refund {
    /// Shares what is asked for among the lines by largest remainder.
    ///
    /// Shops round each line and add up, so what they ask for can exceed what is left by less than a
    /// minor unit a line: then it is what is left. Beyond that it is refused.
    pub fn of(asked: Asked, lines: &[CapturedLine]) -> Result<Self, RefundError> {
        let left = left_by_line(lines)?;
        let left_minor: i128 = left.iter().copied().map(i128::from).sum();
        let rounding = i128::try_from(lines.len()).unwrap_or(i128::MAX);
        let amount = match asked {
            Asked::Rest => left_minor,
            Asked::Minor(minor) if i128::from(minor) - left_minor < rounding => i128::from(minor).min(left_minor),
            Asked::Minor(asked_minor) => {
                let left_minor = i64::try_from(left_minor).unwrap_or(i64::MAX);
                return Err(RefundError::MoreThanLeft { asked_minor, left_minor });
            }
        };
        let amount_minor = i64::try_from(amount).unwrap_or(i64::MAX);
        if amount_minor < 1 {
            return Err(RefundError::Amount(amount_minor));
        }
        Ok(Self { amount_minor, lines: by_largest_remainder(amount_minor, &left) })
    }
}

fn left_by_line(lines: &[CapturedLine]) -> Result<Vec<i64>, RefundError> {
    let left = |(index, line): (usize, &CapturedLine)| {
        let well_formed = (0..=line.captured_minor).contains(&line.refunded_minor);
        if well_formed { Ok(line.captured_minor - line.refunded_minor) } else { Err(RefundError::Line(index)) }
    };
    lines.iter().enumerate().map(left).collect()
}

/// Shares `amount`, at most the sum of `parts`, in proportion to them; what is left over goes, a minor
/// unit each, to where most was cut off, of several to the first. No share exceeds its part.
pub fn by_largest_remainder(amount: i64, parts: &[i64]) -> Vec<i64> {
    let sum: i128 = parts.iter().copied().map(i128::from).sum();
    debug_assert!(parts.iter().all(|part| *part >= 0) && (0..=sum).contains(&i128::from(amount)));
    if sum == 0 {
        return vec![0; parts.len()];
    }
    let scaled = |part: &i64| i128::from(amount) * i128::from(*part);
    let floor = |part: &i64| i64::try_from(scaled(part) / sum).expect("a share is not more than its part");
    let mut shares: Vec<i64> = parts.iter().map(floor).collect();
    let rest = amount - shares.iter().sum::<i64>();
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder.sort_by_key(|index| std::cmp::Reverse(scaled(&parts[*index]) % sum));
    // Fewer units are left than there are shares with something cut off.
    for index in by_remainder.into_iter().take(usize::try_from(rest).unwrap_or(0)) {
        shares[index] += 1;
    }
    shares
}
