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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captured(minor: &[i64]) -> Vec<CapturedLine> {
        minor.iter().map(|minor| CapturedLine { captured_minor: *minor, refunded_minor: 0 }).collect()
    }

    fn refund(lines: &mut [CapturedLine], asked: Asked) -> Result<Vec<i64>, RefundError> {
        let refund = Refund::of(asked, lines)?;
        for (line, minor) in lines.iter_mut().zip(&refund.lines) {
            line.refunded_minor += minor;
        }
        assert_eq!(refund.amount_minor, refund.lines.iter().sum::<i64>());
        Ok(refund.lines)
    }

    /// Ten at 23.90, a quarter off: each line is 17.925, the order 179.25, and a shop that rounds each
    /// line asks for 179.30 or, as in the report, 179.26 (woocommerce #64668).
    #[test]
    fn a_full_refund_is_what_was_captured_however_it_was_computed() {
        for asked in [Asked::Rest, Asked::Minor(17_925), Asked::Minor(17_926), Asked::Minor(17_930)] {
            let mut lines = captured(&[1_793, 1_793, 1_793, 1_793, 1_793, 1_792, 1_792, 1_792, 1_792, 1_792]);
            let by_line = refund(&mut lines, asked).unwrap();
            assert_eq!(by_line, [1_793, 1_793, 1_793, 1_793, 1_793, 1_792, 1_792, 1_792, 1_792, 1_792]);
            assert_eq!(refund(&mut lines, Asked::Rest), Err(RefundError::Amount(0)));
            assert!(refund(&mut lines, Asked::Minor(1)).is_err(), "{lines:?}");
        }
        let too_much = Refund::of(Asked::Minor(17_935), &captured(&[17_925]));
        assert_eq!(too_much, Err(RefundError::MoreThanLeft { asked_minor: 17_935, left_minor: 17_925 }));
    }

    /// However a shop shows it (#370): 1,234.56 are 123,456 minor units.
    #[test]
    fn how_an_amount_is_shown_changes_nothing() {
        assert_eq!(refund(&mut captured(&[123_456]), Asked::Rest), Ok(vec![123_456]));
        assert_eq!(refund(&mut captured(&[123_456]), Asked::Minor(123_456)), Ok(vec![123_456]));
    }

    /// 25.00 of 25.99, then 0.99 (Attendize PR 37).
    #[test]
    fn the_last_refund_is_what_is_left() {
        let mut lines = captured(&[1_300, 1_299]);
        assert_eq!(refund(&mut lines, Asked::Minor(2_500)), Ok(vec![1_250, 1_250]));
        assert_eq!(refund(&mut lines, Asked::Minor(99)), Ok(vec![50, 49]));
        assert_eq!(Refund::of(Asked::Rest, &lines), Err(RefundError::Amount(0)));
    }

    #[test]
    fn shares_go_by_largest_remainder() {
        let cases: &[(i64, &[i64], &[i64])] = &[
            (100, &[1_000, 1_000, 1_000], &[34, 33, 33]),
            (100, &[500, 300, 201], &[50, 30, 20]),
            (1, &[1, 2, 2], &[0, 1, 0]),
            (7, &[0, 5, 9], &[0, 3, 4]),
            (0, &[5, 5], &[0, 0]),
            (0, &[], &[]),
            (i64::MAX, &[i64::MAX, 0], &[i64::MAX, 0]),
        ];
        for (amount, parts, expected) in cases {
            assert_eq!(by_largest_remainder(*amount, parts), *expected, "{amount} of {parts:?}");
        }
    }

    #[test]
    fn lines_that_cannot_be_are_our_bug_and_said() {
        let line = |captured_minor, refunded_minor| CapturedLine { captured_minor, refunded_minor };
        assert_eq!(Refund::of(Asked::Rest, &[line(5, 0), line(5, 6)]), Err(RefundError::Line(1)));
        assert_eq!(Refund::of(Asked::Rest, &[line(-5, -5)]), Err(RefundError::Line(0)));
        assert_eq!(Refund::of(Asked::Rest, &[]), Err(RefundError::Amount(0)));
        assert_eq!(Refund::of(Asked::Minor(i64::MIN), &[line(5, 0)]), Err(RefundError::Amount(i64::MIN)));
        assert!(Refund::of(Asked::Minor(i64::MAX), &[line(5, 0)]).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_no_line_gives_back_more_than_it_took(
            minor in proptest::collection::vec(0_i64..1_000_000, 1..20),
            asked in proptest::collection::vec(1_i64..500_000, 0..20),
        ) {
            let mut lines = captured(&minor);
            for asked in asked {
                let left: i64 = lines.iter().map(|line| line.captured_minor - line.refunded_minor).sum();
                match refund(&mut lines, Asked::Minor(asked)) {
                    Ok(by_line) => prop_assert_eq!(by_line.iter().sum::<i64>(), asked.min(left)),
                    Err(_) => prop_assert!(asked > left),
                }
                prop_assert!(lines.iter().all(|line| (0..=line.captured_minor).contains(&line.refunded_minor)));
            }
            if refund(&mut lines, Asked::Rest).is_ok() {
                prop_assert!(lines.iter().all(|line| line.captured_minor == line.refunded_minor));
            }
        }
    }
}
