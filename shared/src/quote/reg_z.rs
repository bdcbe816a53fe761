//! The effective rate by Regulation Z of the United States (12 CFR 1026, appendix J): payments are
//! counted in unit-periods, and what is left over is a fraction with simple interest,
//! `A = Σ P / ((1 + f i)(1 + i)^t)`; the rate is `i` times the unit-periods of a year.
//!
//! The sum falls and is convex in `i`, and at zero it is above the advance: Newton's steps from zero
//! rise to the one root without passing it.

use rust_decimal::Decimal;

use super::apr::Outlay;
use super::due::Lapse;
use super::worth::{NoRate, power};
use crate::schedule::months_after;
use crate::time::Date;

/// So much after so many unit-periods and a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periodic {
    /// Minor units; positive.
    pub minor: i64,
    /// Whole unit-periods.
    pub whole: u32,
    /// The numerator of what is left over.
    pub part: u32,
    /// Its denominator.
    pub of: u32,
}

/// The unit-period: what lies between two payments most often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many months, at most 12.
    Months(u32),
    /// So many days, at most 365; seven of them are a week.
    Days(u32),
}

const STEP_MIN: Decimal = Decimal::from_parts(1, 0, 0, false, 22);
/// Steps of the search for a Regulation Z rate, after which there is none.
const STEPS_MAX: u32 = 500;

/// The yearly rate as a ratio. More is paid than the advance.
pub fn nominal(advance_minor: i64, anchor: Date, outlays: &[Outlay]) -> Result<Decimal, NoRate> {
    let (at_once, later): (Vec<Outlay>, Vec<Outlay>) =
        outlays.iter().partition(|outlay| outlay.due.lapse == Lapse::default());
    let at_once: i128 = at_once.iter().map(|outlay| i128::from(outlay.minor)).sum();
    let advance = i64::try_from(i128::from(advance_minor) - at_once).map_err(|_| NoRate::Negative)?;
    if advance <= 0 {
        return Err(NoRate::NothingAdvanced);
    }
    let unit = unit_of(&periods(anchor, &later));
    let flows: Vec<Periodic> = later.iter().map(|outlay| periodic(unit, anchor, outlay)).collect();
    let rate = unit_rate(advance, &flows).ok_or(NoRate::Beyond)?;
    let (numerator, denominator) = match unit {
        Unit::Months(months) => (12, months),
        Unit::Days(days) if days % 7 == 0 => (52, days / 7),
        Unit::Days(days) => (365, days),
    };
    rate.checked_mul(numerator.into()).and_then(|year| year.checked_div(denominator.into())).ok_or(NoRate::Beyond)
}

/// The rate of a unit-period at which payments, by time, are worth the advance.
pub fn unit_rate(advance_minor: i64, flows: &[Periodic]) -> Option<Decimal> {
    let mut rate = Decimal::ZERO;
    for _ in 0..STEPS_MAX {
        let (worth, slope) = worth_and_slope(rate, flows)?;
        let step = worth.checked_sub(advance_minor.into())?.checked_div(slope)?;
        rate = rate.checked_add(step)?;
        if step <= STEP_MIN {
            return Some(rate);
        }
    }
    None
}

/// What payments are worth at a rate, and how fast that falls with it.
fn worth_and_slope(rate: Decimal, flows: &[Periodic]) -> Option<(Decimal, Decimal)> {
    let factor = Decimal::ONE.checked_div(Decimal::ONE.checked_add(rate)?)?;
    let (mut worth, mut slope) = (Decimal::ZERO, Decimal::ZERO);
    let (mut whole, mut discount) = (0, Decimal::ONE);
    for flow in flows {
        discount = discount.checked_mul(power(factor, flow.whole - whole)?)?;
        whole = flow.whole;
        let part = Decimal::from(flow.part).checked_div(flow.of.into())?;
        let simple = Decimal::ONE.checked_div(Decimal::ONE.checked_add(part.checked_mul(rate)?)?)?;
        let now = discount.checked_mul(simple)?.checked_mul(flow.minor.into())?;
        worth = worth.checked_add(now)?;
        let fall = factor.checked_mul(whole.into())?.checked_add(part.checked_mul(simple)?)?;
        slope = slope.checked_add(now.checked_mul(fall)?)?;
    }
    Some((worth, slope))
}

/// What lies between the advance and the first payment, and between each and the next.
fn periods(anchor: Date, outlays: &[Outlay]) -> Vec<Unit> {
    let mut before = (anchor, Lapse::default());
    let period = |outlay: &Outlay| {
        let (date, lapse) = (outlay.due.date, outlay.due.lapse);
        let (earlier, so_far) = std::mem::replace(&mut before, (date, lapse));
        let months = u32::from(lapse.months - so_far.months.min(lapse.months));
        match (so_far, lapse) {
            (Lapse { weeks: 0, days: 0, .. }, Lapse { weeks: 0, days: 0, .. }) => Unit::Months(months),
            (_, Lapse { weeks: 0, .. }) => between(earlier, date),
            _ => Unit::Days(date.days_since(earlier).unsigned_abs()),
        }
    };
    outlays.iter().map(period).collect()
}

fn between(earlier: Date, later: Date) -> Unit {
    let lapse = Lapse::between(earlier, later);
    if lapse.days == 0 && lapse.months > 0 && months_after(earlier, lapse.months) == later {
        Unit::Months(lapse.months.into())
    } else {
        Unit::Days(later.days_since(earlier).unsigned_abs())
    }
}

/// Appendix J (b)(4): the period that occurs most often, of several the shortest; where none occurs
/// twice the standard interval nearest to their average. At most a year.
fn unit_of(periods: &[Unit]) -> Unit {
    let count = |unit: &Unit| periods.iter().filter(|other| *other == unit).count();
    let often = periods.iter().map(|unit| (count(unit), *unit)).filter(|(count, _)| *count > 1 || periods.len() == 1);
    let common = often.max_by_key(|(count, unit)| (*count, std::cmp::Reverse(unit.days()))).map(|(_, unit)| unit);
    match common.unwrap_or_else(|| nearest_standard(periods)) {
        Unit::Months(12..) | Unit::Days(366..) => Unit::Months(12),
        unit => unit,
    }
}

/// The day, the multiple of a week or of a month nearest to the average; of two the shorter.
fn nearest_standard(periods: &[Unit]) -> Unit {
    let count = u32::try_from(periods.len()).unwrap_or(u32::MAX);
    let days: u32 = periods.iter().map(|unit| unit.days()).sum();
    let weeks = (1..=52).map(|weeks| Unit::Days(7 * weeks));
    let months = (1..=12).map(Unit::Months);
    let standard = std::iter::once(Unit::Days(1)).chain(weeks).chain(months);
    let distance = |unit: &Unit| ((unit.days() * count).abs_diff(days), unit.days());
    standard.min_by_key(distance).unwrap_or(Unit::Months(1))
}

impl Unit {
    /// About how many days, to compare.
    fn days(self) -> u32 {
        match self {
            Self::Months(months) => months * 365 / 12,
            Self::Days(days) => days,
        }
    }
}

/// How many unit-periods lie before a payment, counted back from it; a whole month that is left over
/// in a longer unit-period counts 30 days.
fn periodic(unit: Unit, anchor: Date, outlay: &Outlay) -> Periodic {
    let Outlay { due, minor } = *outlay;
    let (whole, part, of) = match unit {
        Unit::Months(unit) => {
            let lapse = if due.lapse.weeks > 0 { Lapse::between(anchor, due.date) } else { due.lapse };
            let (months, days) = (u32::from(lapse.months), u32::from(lapse.days));
            (months / unit, months % unit * 30 + days, unit * 30)
        }
        Unit::Days(unit) => {
            let days = due.date.days_since(anchor).unsigned_abs();
            (days / unit, days % unit, unit)
        }
    };
    Periodic { minor, whole, part, of }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Payments in a row from the first unit-period on, with the same part before it.
    fn rate(advance: i64, payments: &[(i64, usize)], first: u32, (part, of): (u32, u32), per_year: u32) -> String {
        let minor = payments.iter().flat_map(|(minor, times)| std::iter::repeat_n(*minor, *times));
        let flows: Vec<Periodic> =
            (first..).zip(minor).map(|(whole, minor)| Periodic { minor, whole, part, of }).collect();
        let percent = unit_rate(advance, &flows).unwrap() * Decimal::from(per_year * 100);
        percent.round_dp(6).to_string()
    }

    /// The published examples of appendix J (c), with the digits of journey.md 4.3.
    #[test]
    fn the_examples_of_the_regulation() {
        type Case = (&'static str, i64, &'static [(i64, usize)], u32, (u32, u32), u32, &'static str);
        let cases: &[Case] = &[
            ("1(i)", 500_000, &[(23_000, 24)], 1, (0, 1), 12, "9.685708"),
            ("1(ii)", 600_000, &[(20_000, 36)], 1, (19, 30), 12, "11.816508"),
            ("1(iii)", 500_000, &[(21_917, 24)], 0, (6, 15), 24, "10.337903"),
            ("1(iv)", 1_000_000, &[(38_500, 40)], 1, (39, 90), 4, "8.970770"),
            ("1(v)", 50_000, &[(1_760, 30)], 4, (4, 7), 52, "14.962223"),
            ("2(i)", 500_000, &[(25_000, 1), (23_000, 23)], 1, (0, 1), 12, "10.082890"),
            ("2(ii)", 40_000, &[(3_950, 1), (3_831, 11)], 1, (5, 28), 13, "28.497940"),
            ("3(i)", 500_000, &[(23_000, 23), (28_000, 1)], 1, (0, 1), 12, "10.500469"),
            ("3(ii)", 20_000, &[(950, 19), (3_000, 1)], 0, (8, 14), 26, "12.224857"),
            ("4(i)", 500_000, &[(25_000, 1), (23_000, 22), (28_000, 1)], 1, (0, 1), 12, "10.895549"),
            ("4(ii)", 800_000, &[(44_936, 1), (46_500, 18), (20_000, 1)], 0, (52, 60), 6, "7.301765"),
        ];
        for (name, advance, payments, first, part, per_year, expected) in cases {
            assert_eq!(rate(*advance, payments, *first, *part, *per_year), *expected, "{name}");
        }
    }

    fn outlay(anchor: Date, text: &str) -> Outlay {
        let date: Date = text.parse().unwrap();
        Outlay { due: super::super::due::Due { date, lapse: Lapse::between(anchor, date) }, minor: 1 }
    }

    /// Appendix J (b)(4) and (5), for given dates from 1 January 2026.
    #[test]
    fn the_unit_period_is_what_occurs_most_often() {
        type Case = (&'static str, &'static [&'static str], Unit, (u32, u32, u32));
        let cases: &[Case] = &[
            ("monthly", &["2026-02-01", "2026-03-01", "2026-04-01"], Unit::Months(1), (1, 0, 30)),
            ("monthly, a long first", &["2026-02-20", "2026-03-20", "2026-04-20"], Unit::Months(1), (1, 19, 30)),
            (
                "quarterly, a month and days before",
                &["2026-02-06", "2026-05-06", "2026-08-06"],
                Unit::Months(3),
                (0, 35, 90),
            ),
            ("weekly", &["2026-01-08", "2026-01-15", "2026-01-22"], Unit::Days(7), (1, 0, 7)),
            ("weekly, a short first", &["2026-01-05", "2026-01-12", "2026-01-19"], Unit::Days(7), (0, 4, 7)),
            (
                "as often, so the shorter",
                &["2026-01-08", "2026-01-15", "2026-02-15", "2026-03-15"],
                Unit::Days(7),
                (1, 0, 7),
            ),
            (
                "none twice, 27 days on average",
                &["2026-01-11", "2026-02-20", "2026-03-23"],
                Unit::Days(28),
                (0, 10, 28),
            ),
            ("one after 90 days", &["2026-04-01"], Unit::Months(3), (1, 0, 90)),
            ("one after 100 days", &["2026-04-11"], Unit::Days(100), (1, 0, 100)),
            ("one after more than a year", &["2027-02-01"], Unit::Months(12), (1, 30, 360)),
        ];
        let anchor: Date = "2026-01-01".parse().unwrap();
        for (name, dates, unit, first) in cases {
            let outlays: Vec<Outlay> = dates.iter().map(|date| outlay(anchor, date)).collect();
            assert_eq!(unit_of(&periods(anchor, &outlays)), *unit, "{name}");
            let Periodic { whole, part, of, .. } = periodic(*unit, anchor, &outlays[0]);
            assert_eq!((whole, part, of), *first, "{name}");
        }
    }

    #[test]
    fn weeks_are_weeks_whatever_the_calendar_says() {
        // Four weeks after 1 February is a month as well.
        let anchor: Date = "2026-02-01".parse().unwrap();
        let weeks = |weeks: u16| {
            let date = anchor.plus_days(7 * i32::from(weeks));
            Outlay { due: super::super::due::Due { date, lapse: Lapse::weeks(weeks) }, minor: 1 }
        };
        assert_eq!(periods(anchor, &[weeks(4), weeks(8)]), [Unit::Days(28), Unit::Days(28)]);
        assert_eq!(periodic(Unit::Months(12), anchor, &weeks(60)), Periodic { minor: 1, whole: 1, part: 57, of: 360 });
    }
}
