//! On which days instalments fall due, and how long after the acceptance that is.
//!
//! The day is what the customer is told. How long it is counts for the effective rate, and there a
//! month is a twelfth of a year and a week a fifty-second, whatever the calendar says (journey.md 4.3):
//! so each day carries its [`Lapse`].

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::closed::closed;
use super::terms::Terms;
use crate::cbor::at_most;
use crate::schedule::{months_after, months_before};
use crate::time::Date;

closed! {
    /// What the months between the acceptance and the harvest carry.
    Grace {
        /// Nothing: they have no instalment.
        Nothing = "nothing",
        /// An instalment of profit only: each line of the schedule, grace or not, would carry the same
        /// share of the profit, and in the months of grace nothing else falls due.
        ProfitOnly = "profit_only",
    }
}

/// When the instalments fall due. The anchor is the day of the acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DueRule {
    /// The first so many months after the anchor (0: at once), then monthly on the anchor's day.
    #[n(0)]
    MonthsAfter(#[n(0)] u8),
    /// The first so many weeks after the anchor (0: at once), then weekly.
    #[n(1)]
    Weekly(#[n(0)] u8),
    /// The first so many fortnights after the anchor (0: at once), then fortnightly.
    #[n(2)]
    Fortnightly(#[n(0)] u8),
    /// On these days, one for each instalment.
    #[n(3)]
    OnDates(#[cbor(n(0), decode_with = "dates_at_most")] Vec<Date>),
    /// The first in the month after the next harvest, then monthly, always on the anchor's day.
    #[n(4)]
    AfterHarvest {
        /// The month of the harvest, 1 to 12.
        #[n(0)]
        month: u8,
        /// What falls due monthly until then.
        #[n(1)]
        grace: Grace,
    },
}

fn dates_at_most<C>(d: &mut minicbor::Decoder<'_>, ctx: &mut C) -> Result<Vec<Date>, minicbor::decode::Error> {
    at_most::<_, _, { Terms::INSTALMENTS_MAX as usize }>(d, ctx)
}

/// What is wrong with a due rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DueFault {
    /// The first instalment is too far away.
    #[error("the first instalment falls due within {max} {unit}, not {found}")]
    First {
        /// How many at most.
        max: u8,
        /// How many were said.
        found: u8,
        /// Of what.
        unit: &'static str,
    },
    /// One instalment that falls due at once.
    #[error("a single instalment that falls due at once is a sale, not an offer")]
    AtOnce,
    /// Not one date for each instalment.
    #[error("there is one date for each of {instalments} instalments, not {dates}")]
    Dates {
        /// How many instalments.
        instalments: u16,
        /// How many dates.
        dates: usize,
    },
    /// A date that is not after the one before it.
    #[error("each date is after the one before it")]
    Order {
        /// Which, from 0.
        index: usize,
    },
    /// Dates too far apart.
    #[error("from the first date to the last there are at most {} days", DueRule::SPAN_DAYS_MAX)]
    Span,
    /// A month that is none.
    #[error("a harvest is in month 1 to 12, not {0}")]
    HarvestMonth(u8),
}

impl DueFault {
    /// Where in the rule's JSON.
    pub(super) fn pointer(self) -> String {
        match self {
            Self::First { .. } | Self::AtOnce => String::new(),
            Self::Dates { .. } | Self::Span => "/on_dates".to_owned(),
            Self::Order { index } => format!("/on_dates/{index}"),
            Self::HarvestMonth(_) => "/after_harvest/month".to_owned(),
        }
    }
}

/// How long after the anchor, as a contract counts it. A mixture comes only from dates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lapse {
    /// Whole months.
    pub months: u16,
    /// Whole weeks.
    pub weeks: u16,
    /// Days beside them.
    pub days: u16,
}

impl Lapse {
    /// A year in the smallest unit that 12 months, 52 weeks and 365 days are whole numbers of. A year has
    /// 365 days, as in Saudi Arabia. The European directives allow 366 in leap years, which would matter
    /// only for the days beside whole months, and then for short terms: it is not done.
    pub const YEAR_TICKS: u32 = 56_940;

    /// So many months.
    pub fn months(months: u16) -> Self {
        Self { months, ..Self::default() }
    }

    /// So many weeks.
    pub fn weeks(weeks: u16) -> Self {
        Self { weeks, ..Self::default() }
    }

    /// So many days.
    pub fn days(days: u16) -> Self {
        Self { days, ..Self::default() }
    }

    /// From `anchor` to `date`: whole months counted back from the date, and the days that are left
    /// (Regulation Z, appendix J (b)(5); the European directives know months and days and leave the
    /// choice). Nothing for a date that is not after the anchor.
    pub fn between(anchor: Date, date: Date) -> Self {
        let back = |months| months_before(date, months).filter(|earlier| *earlier >= anchor);
        let whole_months = i32::max(date.days_since(anchor), 0) / 28;
        let months = (0..=u16::try_from(whole_months).unwrap_or(u16::MAX)).rev().find(|m| back(*m).is_some());
        let months = months.unwrap_or(0);
        let days = back(months).map_or(0, |earlier| earlier.days_since(anchor));
        Self { months, weeks: 0, days: u16::try_from(days).unwrap_or(u16::MAX) }
    }

    /// The same in ticks, of which [`Lapse::YEAR_TICKS`] are a year.
    pub fn ticks(self) -> u32 {
        u32::from(self.months) * (Self::YEAR_TICKS / 12)
            + u32::from(self.weeks) * (Self::YEAR_TICKS / 52)
            + u32::from(self.days) * (Self::YEAR_TICKS / 365)
    }
}

/// One day on which something falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The day.
    pub date: Date,
    /// How long after the anchor.
    pub lapse: Lapse,
}

/// The days on which something falls due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDates {
    /// In the period of grace.
    pub grace: Vec<Due>,
    /// After it, one for each instalment of the terms.
    pub instalments: Vec<Due>,
}

impl DueRule {
    /// The first instalment falls due within so many months, and the equivalent in weeks.
    pub const FIRST_MONTHS_MAX: u8 = 24;
    /// From the first to the last of given dates there are at most so many days: ten years.
    pub const SPAN_DAYS_MAX: i32 = 3653;

    /// What happens in the months until a harvest; none where the rule knows no harvest.
    pub fn grace(&self) -> Option<Grace> {
        match self {
            Self::AfterHarvest { grace, .. } => Some(*grace),
            _ => None,
        }
    }

    /// What is wrong with it for so many instalments.
    pub fn faults(&self, instalments: u16) -> Vec<DueFault> {
        let first = |found: u8, max, unit| {
            let late = (found > max).then_some(DueFault::First { max, found, unit });
            let at_once = (found == 0 && instalments == 1).then_some(DueFault::AtOnce);
            late.or(at_once).into_iter().collect()
        };
        match self {
            Self::MonthsAfter(months) => first(*months, Self::FIRST_MONTHS_MAX, "months"),
            Self::Weekly(weeks) => first(*weeks, 104, "weeks"),
            Self::Fortnightly(fortnights) => first(*fortnights, 52, "fortnights"),
            Self::OnDates(dates) => date_faults(dates, instalments),
            Self::AfterHarvest { month: 1..=12, .. } => Vec::new(),
            Self::AfterHarvest { month, .. } => vec![DueFault::HarvestMonth(*month)],
        }
    }

    /// The days for so many instalments from an anchor. Given dates are as they are given.
    pub fn dates(&self, instalments: u16, anchor: Date) -> DueDates {
        let month = |k: u16| Due { date: months_after(anchor, k), lapse: Lapse::months(k) };
        let week = |k: u16| Due { date: anchor.plus_days(7 * i32::from(k)), lapse: Lapse::weeks(k) };
        let without_grace = |instalments| DueDates { grace: Vec::new(), instalments };
        match self {
            Self::MonthsAfter(first) => without_grace((0..instalments).map(|k| month(u16::from(*first) + k)).collect()),
            Self::Weekly(first) => without_grace((0..instalments).map(|k| week(u16::from(*first) + k)).collect()),
            Self::Fortnightly(first) => {
                without_grace((0..instalments).map(|k| week(2 * (u16::from(*first) + k))).collect())
            }
            Self::OnDates(dates) => without_grace(
                dates.iter().map(|date| Due { date: *date, lapse: Lapse::between(anchor, *date) }).collect(),
            ),
            Self::AfterHarvest { month: harvest, grace } => {
                let first = months_until_after(*harvest, anchor);
                let grace = if *grace == Grace::ProfitOnly { (1..first).map(month).collect() } else { Vec::new() };
                DueDates { grace, instalments: (0..instalments).map(|k| month(first + k)).collect() }
            }
        }
    }
}

fn date_faults(dates: &[Date], instalments: u16) -> Vec<DueFault> {
    if dates.len() != usize::from(instalments) {
        return vec![DueFault::Dates { instalments, dates: dates.len() }];
    }
    let unordered = (1..dates.len()).filter(|k| dates[*k] <= dates[k - 1]).map(|index| DueFault::Order { index });
    let span = dates.first().zip(dates.last()).map_or(0, |(first, last)| last.days_since(*first));
    let too_long = (span > DueRule::SPAN_DAYS_MAX).then_some(DueFault::Span);
    unordered.chain(too_long).collect()
}

/// How many months after the anchor's month the month after the harvest is: 1 to 12.
fn months_until_after(harvest: u8, anchor: Date) -> u16 {
    let (_, month, _) = anchor.ymd();
    let ahead = (i16::from(harvest) - i16::from(month)).rem_euclid(12) + 1;
    ahead.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::super::samples::date;
    use super::*;

    #[test]
    fn each_rule_counts_from_the_anchor() {
        let harvest = |month, grace| DueRule::AfterHarvest { month, grace };
        let cases: &[(DueRule, &str, &str)] = &[
            (DueRule::MonthsAfter(1), "2026-01-31", "2026-02-28 2026-03-31"),
            (DueRule::MonthsAfter(0), "2026-01-31", "2026-01-31 2026-02-28"),
            (DueRule::MonthsAfter(24), "2026-01-31", "2028-01-31 2028-02-29"),
            (DueRule::Weekly(1), "2026-12-24", "2026-12-31 2027-01-07"),
            (DueRule::Weekly(0), "2026-12-24", "2026-12-24 2026-12-31"),
            (DueRule::Fortnightly(1), "2026-12-24", "2027-01-07 2027-01-21"),
            (harvest(6, Grace::Nothing), "2026-06-30", "2026-07-30 2026-08-30"),
            (harvest(6, Grace::Nothing), "2026-07-01", "2027-07-01 2027-08-01"),
            (harvest(12, Grace::Nothing), "2026-11-30", "2027-01-30 2027-02-28"),
            (harvest(12, Grace::ProfitOnly), "2026-11-30", "(2026-12-30) 2027-01-30 2027-02-28"),
        ];
        for (rule, anchor, expected) in cases {
            let DueDates { grace, instalments } = rule.dates(2, date(anchor));
            let grace = grace.iter().map(|due| format!("({})", due.date));
            let all: Vec<String> = grace.chain(instalments.iter().map(|due| due.date.to_string())).collect();
            assert_eq!(all.join(" "), *expected, "{rule:?} from {anchor}");
        }
    }

    #[test]
    fn a_lapse_is_counted_back_from_the_date() {
        // Anchor, date: months, days.
        for (anchor, day, months, days) in [
            ("2026-01-10", "2026-01-10", 0, 0),
            ("2026-01-10", "2026-01-09", 0, 0),
            ("2026-01-10", "2026-02-09", 0, 30),
            ("2026-01-10", "2026-02-10", 1, 0),
            ("2026-01-10", "2026-03-25", 2, 15),
            ("2026-01-31", "2026-02-28", 0, 28),
            ("2026-01-28", "2026-03-31", 2, 3),
            ("2024-02-29", "2025-03-01", 12, 1),
            ("2026-01-31", "2036-01-31", 120, 0),
        ] {
            let lapse = Lapse::between(date(anchor), date(day));
            assert_eq!(lapse, Lapse { months, weeks: 0, days }, "{anchor} to {day}");
        }
        let year = [Lapse::months(12), Lapse::weeks(52), Lapse::days(365)].map(Lapse::ticks);
        assert_eq!(year, [Lapse::YEAR_TICKS; 3]);
    }

    #[test]
    fn rules_that_cannot_be_kept() {
        let dates = |texts: &[&str]| DueRule::OnDates(texts.iter().map(|text| date(text)).collect());
        let harvest = |month| DueRule::AfterHarvest { month, grace: Grace::Nothing };
        let first = |max, found, unit| DueFault::First { max, found, unit };
        let cases: &[(DueRule, u16, &[DueFault])] = &[
            (DueRule::MonthsAfter(24), 2, &[]),
            (DueRule::MonthsAfter(25), 2, &[first(24, 25, "months")]),
            (DueRule::Weekly(105), 2, &[first(104, 105, "weeks")]),
            (DueRule::Fortnightly(53), 2, &[first(52, 53, "fortnights")]),
            (DueRule::MonthsAfter(0), 2, &[]),
            (DueRule::MonthsAfter(0), 1, &[DueFault::AtOnce]),
            (dates(&["2026-01-01", "2026-02-01"]), 2, &[]),
            (dates(&["2026-01-01"]), 2, &[DueFault::Dates { instalments: 2, dates: 1 }]),
            (dates(&["2026-01-01", "2026-01-01"]), 2, &[DueFault::Order { index: 1 }]),
            (dates(&["2026-01-01", "2036-01-02"]), 2, &[]),
            (dates(&["2026-01-01", "2036-01-03"]), 2, &[DueFault::Span]),
            (dates(&[]), 0, &[]),
            (harvest(12), 1, &[]),
            (harvest(0), 1, &[DueFault::HarvestMonth(0)]),
            (harvest(13), 1, &[DueFault::HarvestMonth(13)]),
        ];
        for (rule, instalments, faults) in cases {
            assert_eq!(rule.faults(*instalments), *faults, "{rule:?}");
        }
    }
}
