//! The effective rate of what a customer pays: always with its method, because the same payments have
//! a different rate by each (journey.md 4.3).
//!
//! * Europe and Saudi Arabia: the yearly rate at which all payments are worth what was advanced; a month
//!   is a twelfth of a year, a week a fifty-second, a day one of 365 (Directive 2008/48/EC, Annex I and
//!   2023/2225, Annex III; SAMA, Rules Governing the Calculation of APR, 2023).
//! * United States: the rate of a unit-period times the periods of a year (12 CFR 1026, appendix J).
//!
//! Where nothing is paid beyond the advance the rate is zero, without solving.

use minicbor::{Decode, Encode};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::closed::closed;
use super::due::{Due, Lapse};
use super::reg_z;
use super::worth::{Discount, Flow, NoRate};
use crate::time::Date;

closed! {
    /// By which rules an effective rate is computed.
    AprMethod {
        /// Saudi Arabia, 2023.
        Sama2023 = "sama_2023",
        /// The consumer credit directives of the European Union.
        EuCcd = "eu_ccd",
        /// Regulation Z of the United States, appendix J.
        RegZ = "reg_z",
    }
}

/// The highest rate that is said, in percent; beyond it nobody compares.
pub const PERCENT_MAX: u32 = 10_000_000;

/// An effective rate with its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(array)]
pub struct Apr {
    /// Hundredths of a percent, half up.
    #[n(0)]
    pub hundredths: u32,
    /// How it was computed.
    #[n(1)]
    pub method: AprMethod,
}

/// What a customer is to pay on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlay {
    /// When.
    pub due: Due,
    /// How much, minor units.
    pub minor: i64,
}

impl Outlay {
    /// What is paid on the day of the acceptance.
    pub fn at_once(anchor: Date, minor: i64) -> Self {
        Self { due: Due { date: anchor, lapse: Lapse::default() }, minor }
    }
}

impl Apr {
    /// The rate of payments, by their day, for an advance on the anchor. Payments of zero do not count.
    pub fn of(method: AprMethod, advance_minor: i64, anchor: Date, outlays: &[Outlay]) -> Result<Self, NoRate> {
        let paid: Vec<Outlay> = outlays.iter().copied().filter(|outlay| outlay.minor != 0).collect();
        let total: i128 = paid.iter().map(|outlay| i128::from(outlay.minor)).sum();
        let ratio = match total - i128::from(advance_minor) {
            ..0 => return Err(NoRate::Negative),
            0 => Decimal::ZERO,
            1.. if method == AprMethod::RegZ => reg_z::nominal(advance_minor, anchor, &paid)?,
            1.. => effective(advance_minor, &paid)?,
        };
        Ok(Self { hundredths: hundredths(ratio)?, method })
    }

    /// The rate in percent with two digits: `19.53`.
    pub fn value(self) -> String {
        format!("{}.{:02}", self.hundredths / 100, self.hundredths % 100)
    }
}

impl std::fmt::Display for Apr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} % ({})", self.value(), self.method)
    }
}

impl serde::Serialize for Apr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut apr = s.serialize_struct("Apr", 2)?;
        apr.serialize_field("value", &self.value())?;
        apr.serialize_field("method", &self.method)?;
        apr.end()
    }
}

/// The yearly rate as a ratio, by the equation of Europe and Saudi Arabia.
fn effective(advance_minor: i64, outlays: &[Outlay]) -> Result<Decimal, NoRate> {
    let flow = |outlay: &Outlay| Flow { ticks: outlay.due.lapse.ticks(), minor: outlay.minor };
    let flows: Vec<Flow> = outlays.iter().map(flow).collect();
    let year = Discount::solve(advance_minor, &flows)?.growth(Lapse::YEAR_TICKS).ok_or(NoRate::Beyond)?;
    Ok(year - Decimal::ONE)
}

fn hundredths(ratio: Decimal) -> Result<u32, NoRate> {
    let rounded = ratio.checked_mul(10_000.into()).ok_or(NoRate::Beyond)?;
    let rounded = rounded.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    rounded.to_u32().filter(|hundredths| *hundredths <= PERCENT_MAX * 100).ok_or(NoRate::Beyond)
}

#[cfg(test)]
mod tests {
    use super::super::samples::date;
    use super::*;

    const ANCHOR: &str = "2026-01-01";

    fn rate(method: AprMethod, advance_minor: i64, payments: &[(Lapse, i64)]) -> String {
        let anchor = date(ANCHOR);
        let outlay = |(lapse, minor): &(Lapse, i64)| {
            let days = i32::from(lapse.weeks) * 7 + i32::from(lapse.days);
            let date = crate::schedule::months_after(anchor, lapse.months).plus_days(days);
            Outlay { due: Due { date, lapse: *lapse }, minor: *minor }
        };
        let outlays: Vec<Outlay> = payments.iter().map(outlay).collect();
        Apr::of(method, advance_minor, anchor, &outlays).map_or_else(|error| error.to_string(), Apr::value)
    }

    fn monthly(minor: i64, months: std::ops::RangeInclusive<u16>) -> Vec<(Lapse, i64)> {
        months.map(|month| (Lapse::months(month), minor)).collect()
    }

    /// Directive 98/7/EC, Annex III, and what journey.md 4.3 recomputed.
    #[test]
    fn european_examples() {
        let days = |days, euro: i64| (Lapse::days(days), euro * 100);
        let eu = |advance: i64, payments: &[_]| rate(AprMethod::EuCcd, advance * 100, payments);
        assert_eq!(eu(1000, &[days(546, 1200)]), "12.96");
        assert_eq!(eu(950, &[days(546, 1200)]), "16.90");
        assert_eq!(eu(1000, &[(Lapse::default(), 5_000), days(546, 1200)]), "16.90");
        assert_eq!(eu(1000, &[days(365, 600), days(730, 600)]), "13.07");
        assert_eq!(eu(1000, &[(Lapse::months(12), 60_000), (Lapse::months(24), 60_000)]), "13.07");
        assert_eq!(eu(1000, &[days(90, 272), days(181, 272), days(365, 544)]), "13.23");
        let quarters = [(Lapse::months(3), 27_200), (Lapse::months(6), 27_200), (Lapse::months(12), 54_400)];
        assert_eq!(eu(1000, &quarters), "13.19");
    }

    /// Published with FSharp.Finance.Personal: 500.00 on 10 October 2012, by days; and the same by months.
    #[test]
    fn a_month_is_a_twelfth_of_a_year_and_not_its_days() {
        let eu = |payments: &[_]| rate(AprMethod::EuCcd, 50_000, payments);
        assert_eq!(eu(&[(Lapse::days(5), 51_000)]), "324.44");
        assert_eq!(eu(&[(Lapse::days(31), 27_000), (Lapse::days(61), 27_000)]), "84.63");
        assert_eq!(eu(&[(Lapse::months(1), 27_000), (Lapse::months(2), 27_000)]), "85.59");
    }

    /// The sale of journey.md 4.4 and finding 10: one flow, two rates.
    #[test]
    fn a_rate_without_its_method_says_nothing() {
        let year = monthly(110_000, 1..=12);
        assert_eq!(rate(AprMethod::Sama2023, 1_200_000, &year), "19.53");
        assert_eq!(rate(AprMethod::EuCcd, 1_200_000, &year), "19.53");
        assert_eq!(rate(AprMethod::RegZ, 1_200_000, &year), "17.97");
        let mut from_now = monthly(25_000, 0..=3);
        from_now.insert(0, (Lapse::default(), 5_000));
        assert_eq!(rate(AprMethod::EuCcd, 100_000, &from_now), "51.64");
    }

    #[test]
    fn nothing_costs_nothing_and_what_has_no_rate_says_so() {
        for method in AprMethod::ALL {
            assert_eq!(rate(*method, 100_000, &monthly(25_000, 1..=4)), "0.00");
            assert_eq!(rate(*method, 100_000, &monthly(24_999, 1..=4)), NoRate::Negative.to_string());
            assert_eq!(rate(*method, 100_000, &monthly(100_000, 0..=1)), NoRate::NothingAdvanced.to_string());
            assert_eq!(rate(*method, 1, &[(Lapse::days(1), i64::MAX)]), NoRate::Beyond.to_string());
        }
        // A fifth in a week, which nobody should pay, but which can be said.
        assert_eq!(rate(AprMethod::EuCcd, 25_000, &[(Lapse::weeks(1), 30_000)]), "1310363.09");
    }
}
