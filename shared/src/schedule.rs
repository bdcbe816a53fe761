//! A receivable's schedule: instalments, splitting, due dates, and how late they are.
//!
//! Phone and server compute the same answer from the same schedule and what is paid of it, so facts
//! hold nothing that changes only with the date: days past due, bucket and arrears are asked here,
//! with the business date as a parameter. Formulas: domain.md 2.1 and journey.md 4.2.
//!
//! What is deliberately not here: which payment pays what (the server allocates, the phone never
//! does), and chargebacks, which will move `overdue_since` once something produces them.

use std::fmt;

use crate::money::MoneyError;
use crate::time::Date;

/// What an instalment consists of, in the order in which a payment meets it (domain.md 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// For being late.
    Penalty,
    /// For a service.
    Fee,
    /// Interest, or profit where there is no interest.
    Interest,
    /// The price or the sum lent.
    Principal,
}

impl Component {
    /// Every component, in the order in which a payment meets them.
    pub const ALL: [Self; 4] = [Self::Penalty, Self::Fee, Self::Interest, Self::Principal];
}

/// An amount by component, in minor units of the account's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Portions {
    /// Principal, minor units.
    #[n(0)]
    pub principal: i64,
    /// Interest or profit, minor units.
    #[n(1)]
    pub interest: i64,
    /// Fees, minor units.
    #[n(2)]
    pub fee: i64,
    /// Penalties, minor units.
    #[n(3)]
    pub penalty: i64,
}

impl Portions {
    /// Nothing.
    pub const ZERO: Self = Self { principal: 0, interest: 0, fee: 0, penalty: 0 };

    /// One component, minor units.
    pub fn get(&self, component: Component) -> i64 {
        match component {
            Component::Penalty => self.penalty,
            Component::Fee => self.fee,
            Component::Interest => self.interest,
            Component::Principal => self.principal,
        }
    }

    /// One component to change, minor units.
    pub fn get_mut(&mut self, component: Component) -> &mut i64 {
        match component {
            Component::Penalty => &mut self.penalty,
            Component::Fee => &mut self.fee,
            Component::Interest => &mut self.interest,
            Component::Principal => &mut self.principal,
        }
    }

    /// Without what is for being late.
    #[must_use]
    pub fn without_penalty(self) -> Self {
        Self { penalty: 0, ..self }
    }

    /// The sum, component by component.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.zip(other, i64::checked_add)
    }

    /// The difference, component by component; it may be negative.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.zip(other, i64::checked_sub)
    }

    /// All components together, minor units.
    pub fn total(&self) -> Result<i64, MoneyError> {
        Component::ALL
            .into_iter()
            .try_fold(0_i64, |sum, component| sum.checked_add(self.get(component)))
            .ok_or(MoneyError::Overflow)
    }

    /// Whether every component is zero.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    fn zip(self, other: Self, op: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        let mut out = Self::ZERO;
        for component in Component::ALL {
            *out.get_mut(component) = op(self.get(component), other.get(component)).ok_or(MoneyError::Overflow)?;
        }
        Ok(out)
    }
}

/// What falls due on one date: an instalment as it travels in facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct DueLine {
    /// The instalment's number, from 1.
    #[n(0)]
    pub n: u16,
    /// When it falls due.
    #[n(1)]
    pub due_date: Date,
    /// Principal, minor units.
    #[n(2)]
    pub principal: i64,
    /// Interest or profit, minor units.
    #[n(3)]
    pub interest: i64,
    /// Fees, minor units.
    #[n(4)]
    pub fee: i64,
    /// Penalties, minor units.
    #[n(5)]
    pub penalty: i64,
}

impl DueLine {
    /// The instalment with this much paid of it.
    pub fn with_paid(self, paid: Portions) -> Instalment {
        let Self { n, due_date, principal, interest, fee, penalty } = self;
        Instalment { n, due_date, due: Portions { principal, interest, fee, penalty }, paid }
    }
}

/// One instalment and what is paid of it. No component of either is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instalment {
    /// Its number, from 1.
    pub n: u16,
    /// When it falls due.
    pub due_date: Date,
    /// What falls due, minor units.
    pub due: Portions,
    /// What is paid of it, minor units.
    pub paid: Portions,
}

impl Instalment {
    /// What falls due, as it travels in facts.
    pub fn due_line(&self) -> DueLine {
        let Portions { principal, interest, fee, penalty } = self.due;
        DueLine { n: self.n, due_date: self.due_date, principal, interest, fee, penalty }
    }

    /// Whether nothing is left to pay. An instalment of zero (a grace month) is met from the start.
    pub fn is_met(&self) -> bool {
        Component::ALL.into_iter().all(|component| self.paid.get(component) >= self.due.get(component))
    }

    /// What is left to pay, never below zero. Exact for all amounts the system accepts (within
    /// `Money::MINOR_MAX`); saturating beyond them.
    pub fn unpaid(&self) -> Portions {
        let mut left = Portions::ZERO;
        for component in Component::ALL {
            *left.get_mut(component) = self.due.get(component).saturating_sub(self.paid.get(component)).max(0);
        }
        left
    }
}

/// What is left to pay of the whole schedule, by component: the receivable (domain.md 2.1).
pub fn outstanding(instalments: &[Instalment]) -> Result<Portions, MoneyError> {
    sum_unpaid(instalments.iter())
}

/// What was due before the business date and is not paid (domain.md 2.1): due today is not arrears.
pub fn arrears(instalments: &[Instalment], business_date: Date) -> Result<Portions, MoneyError> {
    sum_unpaid(instalments.iter().filter(|instalment| instalment.due_date < business_date))
}

/// The next date, from the business date on, at which something unpaid falls due, and how much of it
/// is unpaid, by component.
pub fn next_due(instalments: &[Instalment], business_date: Date) -> Result<Option<(Date, Portions)>, MoneyError> {
    let ahead = instalments.iter().filter(|instalment| instalment.due_date >= business_date && !instalment.is_met());
    let Some(date) = ahead.clone().map(|instalment| instalment.due_date).min() else { return Ok(None) };
    let unpaid = sum_unpaid(ahead.filter(|instalment| instalment.due_date == date))?;
    Ok(Some((date, unpaid)))
}

fn sum_unpaid<'a>(mut instalments: impl Iterator<Item = &'a Instalment>) -> Result<Portions, MoneyError> {
    instalments.try_fold(Portions::ZERO, |sum, instalment| sum.checked_add(instalment.unpaid()))
}

/// Why a total cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Into no instalments.
    #[error("a schedule has at least one instalment")]
    NoInstalments,
    /// The payable increment is not positive.
    #[error("the payable increment is at least one minor unit, not {0}")]
    Increment(i64),
    /// A negative total.
    #[error("the total to split is not negative, but {0} is")]
    Negative(i64),
}

/// Splits `total_minor` into `n` instalments of whole payable increments, the larger ones first; what
/// the increment does not divide goes to the first (journey.md 4.2). The sum is always the total.
pub fn split(total_minor: i64, n: u16, increment_minor: i64) -> Result<Vec<i64>, SplitError> {
    if n == 0 {
        return Err(SplitError::NoInstalments);
    }
    if increment_minor < 1 {
        return Err(SplitError::Increment(increment_minor));
    }
    if total_minor < 0 {
        return Err(SplitError::Negative(total_minor));
    }
    // No step can overflow: base * n <= total, and the increments handed out sum to rest.
    let base = total_minor / i64::from(n) / increment_minor * increment_minor;
    let rest = total_minor - base * i64::from(n);
    let (larger, residue) = (rest / increment_minor, rest % increment_minor);
    Ok((0..i64::from(n))
        .map(|i| base + if i < larger { increment_minor } else { 0 } + if i == 0 { residue } else { 0 })
        .collect())
}

/// The day `months` after `anchor`: its day of the month, or the month's last where the month is
/// shorter (journey.md 4.4). Stays at the last day a `Date` holds beyond the year 9999.
pub fn months_after(anchor: Date, months: u16) -> Date {
    shifted_months(anchor, i32::from(months)).unwrap_or(Date::MAX)
}

/// The day `months` before `anchor`, by the same rule; none before the year 1.
pub fn months_before(anchor: Date, months: u16) -> Option<Date> {
    shifted_months(anchor, -i32::from(months))
}

fn shifted_months(anchor: Date, months: i32) -> Option<Date> {
    let (year, month, day) = anchor.ymd();
    let month_index = i32::from(year) * 12 + i32::from(month) - 1 + months;
    let year = i16::try_from(month_index.div_euclid(12)).ok()?;
    let month = i8::try_from(month_index.rem_euclid(12) + 1).ok()?;
    (1..=day).rev().find_map(|day| Date::from_ymd(year, month, day))
}

/// `n` monthly due dates, the first one month after `anchor` (the day of disbursement). Each is
/// counted from the anchor, so 31 January gives 28 February and then 31 March.
pub fn due_dates(anchor: Date, n: u16) -> Vec<Date> {
    (1..=n).map(|k| months_after(anchor, k)).collect()
}

/// `n` weekly due dates, the first seven days after `anchor`.
pub fn weekly_due_dates(anchor: Date, n: u16) -> Vec<Date> {
    (1..=n).map(|k| anchor.plus_days(7 * i32::from(k))).collect()
}

/// The due date of the oldest instalment that is not met, past or future. It changes only when a
/// payment or the schedule does, so it can be stored.
pub fn oldest_unmet(instalments: &[Instalment]) -> Option<Date> {
    instalments.iter().filter(|instalment| !instalment.is_met()).map(|instalment| instalment.due_date).min()
}

/// Since when the account is overdue: the oldest unmet due date before the business date. Due today
/// is not overdue; a schedule that is fully paid never is.
pub fn overdue_since(instalments: &[Instalment], business_date: Date) -> Option<Date> {
    oldest_unmet(instalments).filter(|due_date| *due_date < business_date)
}

/// Days past due (domain.md 2.1): `max(0, business date - overdue since)`, zero when nothing is.
pub fn dpd(overdue_since: Option<Date>, business_date: Date) -> u32 {
    overdue_since.map_or(0, |since| days_between(since, business_date))
}

/// Days that do not count as delinquent, for example while collection is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Pause {
    /// The first day of it.
    #[n(0)]
    pub start: Date,
    /// The first day after it; `Date::MAX` while it lasts.
    #[n(1)]
    pub end: Date,
}

/// Delinquent days (domain.md 2.1): `max(0, dpd - grace - paused)`. Pauses count only within the
/// arrears period, from `overdue_since` to the business date, and a day in two pauses counts once.
pub fn delinquent_days(overdue_since: Option<Date>, business_date: Date, grace_days: u32, paused: &[Pause]) -> u32 {
    let Some(since) = overdue_since else { return 0 };
    let mut pauses = paused.to_vec();
    pauses.sort_unstable();
    let mut paused_days = 0_u32;
    let mut counted_to = since;
    for pause in pauses {
        let (start, end) = (pause.start.max(counted_to), pause.end.min(business_date));
        paused_days = paused_days.saturating_add(days_between(start, end));
        counted_to = counted_to.max(end);
    }
    days_between(since, business_date).saturating_sub(grace_days).saturating_sub(paused_days)
}

/// Days from `start` to `end`, zero when the end is not after the start.
fn days_between(start: Date, end: Date) -> u32 {
    u32::try_from(end.days_since(start)).unwrap_or(0)
}

/// The part of the portfolio an account is in, by its delinquent days (domain.md 2.1). The buckets
/// neither overlap nor leave a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Not delinquent.
    Current,
    /// 1 to 30 days.
    D1To30,
    /// 31 to 60 days.
    D31To60,
    /// 61 to 90 days.
    D61To90,
    /// 91 to 180 days.
    D91To180,
    /// More than 180 days.
    Over180,
}

impl Bucket {
    /// Every bucket, the youngest first.
    pub const ALL: [Self; 6] =
        [Self::Current, Self::D1To30, Self::D31To60, Self::D61To90, Self::D91To180, Self::Over180];

    /// The bucket of an account with so many delinquent days.
    pub fn of(delinquent_days: u32) -> Self {
        match delinquent_days {
            0 => Self::Current,
            1..=30 => Self::D1To30,
            31..=60 => Self::D31To60,
            61..=90 => Self::D61To90,
            91..=180 => Self::D91To180,
            181.. => Self::Over180,
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::D1To30 => "1-30",
            Self::D31To60 => "31-60",
            Self::D61To90 => "61-90",
            Self::D91To180 => "91-180",
            Self::Over180 => ">180",
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Bucket {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn instalment(n: u16, due_date: &str, due_minor: i64, paid_minor: i64) -> Instalment {
        let principal = |minor| Portions { principal: minor, ..Portions::ZERO };
        Instalment { n, due_date: date(due_date), due: principal(due_minor), paid: principal(paid_minor) }
    }

    /// The table of journey.md 4.2; the two last lines show a residue.
    #[test]
    fn totals_are_split_with_the_remainder_on_the_earliest() {
        let cases: &[(i64, u16, i64, &[i64])] = &[
            (100_000, 3, 1, &[33_334, 33_333, 33_333]),
            (10_000, 4, 1, &[2500, 2500, 2500, 2500]),
            (100_001, 4, 1, &[25_001, 25_000, 25_000, 25_000]),
            (1000, 3, 1, &[334, 333, 333]),
            (1000, 7, 1, &[143, 143, 143, 143, 143, 143, 142]),
            (1_000_000, 3, 100, &[333_400, 333_300, 333_300]),
            (20_300, 6, 100, &[3400, 3400, 3400, 3400, 3400, 3300]),
            (1050, 3, 100, &[450, 300, 300]),
            (50, 2, 100, &[50, 0]),
        ];
        for (total, n, increment, expected) in cases {
            assert_eq!(split(*total, *n, *increment).unwrap(), *expected, "{total} in {n} by {increment}");
        }
        assert_eq!(split(1, 0, 1), Err(SplitError::NoInstalments));
        assert_eq!(split(1, 1, 0), Err(SplitError::Increment(0)));
        assert_eq!(split(-1, 1, 1), Err(SplitError::Negative(-1)));
    }

    proptest! {
        #[test]
        fn a_split_sums_to_its_total_and_is_even(total in 0..=i64::MAX, n in 1..400_u16, increment in 1..1000_i64) {
            let parts = split(total, n, increment).unwrap();
            prop_assert_eq!((parts.len(), parts.iter().sum::<i64>()), (usize::from(n), total));
            let spread = parts[0] - parts[parts.len() - 1];
            prop_assert!(parts.is_sorted_by(|a, b| a >= b) && spread < 2 * increment);
            prop_assert!(total % increment != 0 || spread <= increment);
        }
    }

    #[test]
    fn due_dates_keep_the_anchor_day_through_short_months() {
        let texts = |dates: Vec<Date>| dates.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(texts(due_dates(date("2026-01-31"), 4)), "2026-02-28 2026-03-31 2026-04-30 2026-05-31");
        assert_eq!(texts(due_dates(date("2027-11-30"), 3)), "2027-12-30 2028-01-30 2028-02-29");
        assert_eq!(texts(due_dates(date("2026-03-05"), 0)), "");
        assert_eq!(texts(weekly_due_dates(date("2026-12-24"), 2)), "2026-12-31 2027-01-07");
        assert_eq!(months_after(date("2026-01-31"), 0), date("2026-01-31"));
        assert_eq!(months_after(date("9999-12-01"), 1), Date::MAX);
        assert_eq!(months_before(date("2026-03-31"), 1), Some(date("2026-02-28")));
        assert_eq!(months_before(date("2026-01-15"), 14), Some(date("2024-11-15")));
        assert_eq!(months_before(date("0001-01-15"), 1), None);
    }

    /// Golden vector 1 (domain.md 2.4), and pauses that reach beyond the arrears period or overlap.
    #[test]
    fn days_past_due_grace_and_pauses() {
        // Business date, grace, pauses (end exclusive); days past due, delinquent days.
        type Case = (&'static str, u32, &'static [(&'static str, &'static str)], u32, u32);
        let schedule = [instalment(1, "2026-03-01", 100, 0), instalment(2, "2026-04-01", 100, 0)];
        let cases: &[Case] = &[
            ("2026-03-01", 0, &[], 0, 0),
            ("2026-03-02", 0, &[], 1, 1),
            ("2026-03-06", 3, &[], 5, 2),
            ("2026-03-06", 3, &[("2026-03-03", "2026-03-05")], 5, 0),
            ("2026-03-06", 3, &[("2026-03-03", "2026-03-04")], 5, 1),
            ("2026-03-06", 0, &[("2026-02-01", "2026-03-03")], 5, 3),
            ("2026-03-06", 0, &[("2026-03-05", "9999-12-31")], 5, 4),
            ("2026-03-06", 0, &[("2026-03-03", "2026-03-05"), ("2026-03-02", "2026-03-04")], 5, 2),
            ("2026-03-06", 0, &[("2026-03-02", "2026-03-05"), ("2026-03-03", "2026-03-04")], 5, 2),
            ("2026-03-06", 0, &[("2026-03-05", "2026-03-02")], 5, 5),
            ("2026-03-06", 0, &[("2026-01-01", "2026-02-01"), ("2026-04-01", "2026-05-01")], 5, 5),
        ];
        for (business_date, grace, paused, days, delinquent) in cases {
            let today = date(business_date);
            let paused: Vec<_> = paused.iter().map(|(s, e)| Pause { start: date(s), end: date(e) }).collect();
            let since = overdue_since(&schedule, today);
            let result = (dpd(since, today), delinquent_days(since, today, *grace, &paused));
            assert_eq!(result, (*days, *delinquent), "{business_date}, grace {grace}, paused {paused:?}");
        }
    }

    #[test]
    fn overdue_is_the_oldest_unmet_instalment_and_nothing_once_all_is_paid() {
        let today = date("2026-04-10");
        let mut schedule = [
            instalment(1, "2026-02-01", 0, 0),
            instalment(2, "2026-03-01", 100, 100),
            instalment(3, "2026-04-01", 100, 99),
            instalment(4, "2026-05-01", 100, 0),
        ];
        assert_eq!(overdue_since(&schedule, today), Some(date("2026-04-01")));
        assert_eq!(arrears(&schedule, today).unwrap().total(), Ok(1));
        assert_eq!(arrears(&schedule, date("2026-04-01")), Ok(Portions::ZERO));
        assert_eq!(outstanding(&schedule).unwrap().total(), Ok(101));
        let (next, unpaid) = next_due(&schedule, today).unwrap().unwrap();
        assert_eq!((next, unpaid.principal), (date("2026-05-01"), 100));
        schedule[2].paid.principal = 100;
        assert_eq!((overdue_since(&schedule, today), oldest_unmet(&schedule)), (None, Some(date("2026-05-01"))));
        schedule[3].paid.principal = 100;
        assert_eq!((oldest_unmet(&schedule), next_due(&schedule, today)), (None, Ok(None)));
        assert_eq!(dpd(None, today), 0);
    }

    #[test]
    fn buckets_have_no_gap_and_no_overlap() {
        let edges = [(0, "current"), (1, "1-30"), (30, "1-30"), (31, "31-60"), (60, "31-60"), (61, "61-90")];
        let late = [(90, "61-90"), (91, "91-180"), (180, "91-180"), (181, ">180"), (u32::MAX, ">180")];
        for (days, name) in edges.into_iter().chain(late) {
            assert_eq!(Bucket::of(days).name(), name, "{days} days");
        }
        assert_eq!([0, 1, 31, 61, 91, 181].map(Bucket::of), Bucket::ALL);
    }

    #[test]
    fn portions_add_and_subtract_without_wrapping() {
        let one = Portions { principal: 1, interest: 2, fee: 3, penalty: 4 };
        assert_eq!(one.checked_add(one).unwrap().checked_sub(one), Ok(one));
        assert_eq!((one.total(), one.is_zero()), (Ok(10), false));
        let most = Portions { fee: i64::MAX, ..Portions::ZERO };
        assert_eq!(most.checked_add(one), Err(MoneyError::Overflow));
        assert_eq!(
            most.checked_add(Portions { penalty: 1, ..Portions::ZERO }).unwrap().total(),
            Err(MoneyError::Overflow)
        );
    }

    /// The bytes that phones hold; they never change.
    #[test]
    fn a_due_line_is_an_array_of_six_and_portions_of_four() {
        let line =
            DueLine { n: 2, due_date: date("2026-04-01"), principal: 80_000, interest: 150, fee: 30, penalty: 20 };
        let bytes = crate::cbor::to_vec(&line);
        assert_eq!(bytes, b"\x86\x02\x19\x50\x40\x1a\x00\x01\x38\x80\x18\x96\x18\x1e\x14");
        assert_eq!(minicbor::decode::<DueLine>(&bytes).unwrap(), line);
        let instalment = line.with_paid(Portions { penalty: 20, ..Portions::ZERO });
        assert_eq!(crate::cbor::to_vec(&instalment.paid), b"\x84\x00\x00\x00\x14");
        assert_eq!((instalment.due_line(), instalment.unpaid().total()), (line, Ok(80_180)));
    }
}
