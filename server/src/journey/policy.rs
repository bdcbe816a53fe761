//! Who is approved from the own book: rules as data, and the decision they come to. Pure.
//!
//! The regime's limits (what the law allows) are checked with the quote; these are what the lender wants. The
//! reason is the one a customer may be told.

use daybook_shared::ids::{ApplicationId, sha256};
use daybook_shared::time::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::states::Reason;

/// The rules. What is left out does not limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The least that is financed, minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub amount_min_minor: Option<i64>,
    /// The most that is financed at once, minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub amount_max_minor: Option<i64>,
    /// The most a customer owes in all, this purchase included, minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub outstanding_max_minor: Option<i64>,
    /// The most accounts a customer pays at one time, this one included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub accounts_max: Option<u32>,
    /// The most days past due on any of his accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpd_max: Option<u32>,
    /// Years a customer has lived, at least. Who has not said when he was born is not old enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 120)]
    pub age_min: Option<u16>,
    /// Takes only some of those who fit, for a pilot with a control group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

/// So many of a thousand, by a hash of seed and application: the same application gets the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Chooses other ones.
    pub seed: u64,
    /// Of a thousand that fit so many are taken.
    #[schema(maximum = 1000)]
    pub per_mille: u16,
}

/// A customer as the decision sees him.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What he owes on all his accounts, minor units of the purchase's currency.
    pub outstanding_minor: i64,
    /// His accounts that are not closed.
    pub accounts: u32,
    /// The most days past due on them.
    pub dpd: u32,
    /// When he was born, if he said so.
    pub birth_date: Option<Date>,
    /// His other applications that are open.
    pub open_applications: u32,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Purchase {
    /// The application.
    pub application: ApplicationId,
    /// What would be financed, minor units.
    pub financed_minor: i64,
    /// What he would owe for it in all, minor units.
    pub owed_minor: i64,
    /// The business date.
    pub today: Date,
}

impl Policy {
    /// Whether the rules can be meant.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let negative = [self.amount_min_minor, self.amount_max_minor, self.outstanding_max_minor];
        if negative.into_iter().flatten().any(|minor| minor < 0) {
            return Err(("", "an amount is not negative"));
        }
        if self.amount_min_minor.zip(self.amount_max_minor).is_some_and(|(min, max)| min > max) {
            return Err(("/amount_min_minor", "it is above amount_max_minor"));
        }
        if self.sample.is_some_and(|sample| sample.per_mille > 1000) {
            return Err(("/sample/per_mille", "it is at most 1000"));
        }
        if self.age_min.is_some_and(|age| age > 120) {
            return Err(("/age_min", "it is at most 120"));
        }
        Ok(())
    }

    /// Decides: nothing stands against it, or the first that does.
    pub fn decide(&self, standing: &Standing, purchase: &Purchase) -> Result<(), Reason> {
        let against = |breach: bool, reason| if breach { Err(reason) } else { Ok(()) };
        let total = i128::from(standing.outstanding_minor) + i128::from(purchase.owed_minor);
        against(standing.open_applications > 0, Reason::DuplicateOpenApplication)?;
        against(self.amount_min_minor.is_some_and(|min| purchase.financed_minor < min), Reason::AmountTooLow)?;
        against(self.amount_max_minor.is_some_and(|max| purchase.financed_minor > max), Reason::AmountTooHigh)?;
        against(
            self.age_min.is_some_and(|years| !is_old_enough(standing, years, purchase.today)),
            Reason::CustomerIneligible,
        )?;
        against(self.outstanding_max_minor.is_some_and(|max| total > i128::from(max)), Reason::LimitExhausted)?;
        against(self.accounts_max.is_some_and(|max| standing.accounts >= max), Reason::LimitExhausted)?;
        against(self.dpd_max.is_some_and(|max| standing.dpd > max), Reason::CreditPolicy)?;
        against(self.sample.is_some_and(|sample| !sample.takes(purchase.application)), Reason::CreditPolicy)
    }
}

impl Sample {
    fn takes(self, application: ApplicationId) -> bool {
        let hash = sha256(&[b"daybook/policy-sample/1", &self.seed.to_be_bytes(), application.as_bytes()]);
        let number = u64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"));
        number % 1000 < u64::from(self.per_mille)
    }
}

/// Years by the civil calendar; who is born on 29 February is a year older on 1 March.
fn is_old_enough(standing: &Standing, years: u16, today: Date) -> bool {
    let Some(born) = standing.birth_date else { return false };
    let ((birth_year, month, day), (year, this_month, this_day)) = (born.ymd(), today.ymd());
    let had_birthday = (this_month, this_day) >= (month, day);
    i32::from(year) - i32::from(birth_year) - i32::from(!had_birthday) >= i32::from(years)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn purchase(financed_minor: i64) -> Purchase {
        let application = ApplicationId::from([7; 16]);
        Purchase { application, financed_minor, owed_minor: financed_minor + 10, today: date("2026-03-01") }
    }

    #[test]
    fn the_first_rule_that_stands_against_it_is_the_reason() {
        let policy = Policy {
            amount_min_minor: Some(100),
            amount_max_minor: Some(1_000),
            outstanding_max_minor: Some(2_000),
            accounts_max: Some(2),
            dpd_max: Some(5),
            age_min: Some(18),
            sample: None,
        };
        let good = Standing { birth_date: Some(date("2008-03-01")), ..Standing::default() };
        let cases = [
            (good, 100, Ok(())),
            (good, 99, Err(Reason::AmountTooLow)),
            (good, 1_001, Err(Reason::AmountTooHigh)),
            (Standing { birth_date: None, ..good }, 100, Err(Reason::CustomerIneligible)),
            (Standing { birth_date: Some(date("2008-03-02")), ..good }, 100, Err(Reason::CustomerIneligible)),
            (Standing { birth_date: Some(date("2008-02-29")), ..good }, 100, Ok(())),
            (Standing { outstanding_minor: 1_890, ..good }, 100, Ok(())),
            (Standing { outstanding_minor: 1_891, ..good }, 100, Err(Reason::LimitExhausted)),
            (Standing { outstanding_minor: i64::MAX, ..good }, 100, Err(Reason::LimitExhausted)),
            (Standing { accounts: 1, ..good }, 100, Ok(())),
            (Standing { accounts: 2, ..good }, 100, Err(Reason::LimitExhausted)),
            (Standing { dpd: 5, ..good }, 100, Ok(())),
            (Standing { dpd: 6, ..good }, 100, Err(Reason::CreditPolicy)),
            (Standing { open_applications: 1, ..good }, 99, Err(Reason::DuplicateOpenApplication)),
        ];
        for (standing, minor, expected) in cases {
            assert_eq!(policy.decide(&standing, &purchase(minor)), expected, "{standing:?} {minor}");
        }
        assert_eq!(Policy::default().decide(&Standing { dpd: 900, ..Standing::default() }, &purchase(1)), Ok(()));
    }

    #[test]
    fn a_sample_takes_its_share_and_the_same_ones_again() {
        let sample = Sample { seed: 3, per_mille: 700 };
        let ids: Vec<_> = (0..2_000_u128).map(|n| ApplicationId::from(n.to_be_bytes())).collect();
        let taken: Vec<_> = ids.iter().filter(|id| sample.takes(**id)).collect();
        assert!((1_340..1_460).contains(&taken.len()), "{}", taken.len());
        assert_eq!(taken, ids.iter().filter(|id| sample.takes(**id)).collect::<Vec<_>>());
        let takes = |per_mille| ids.iter().filter(|id| Sample { seed: 3, per_mille }.takes(**id)).count();
        assert_eq!((takes(0), takes(1000)), (0, 2_000));
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused() {
        let bad = [
            Policy { amount_max_minor: Some(-1), ..Policy::default() },
            Policy { amount_min_minor: Some(5), amount_max_minor: Some(4), ..Policy::default() },
            Policy { sample: Some(Sample { seed: 0, per_mille: 1001 }), ..Policy::default() },
            Policy { age_min: Some(121), ..Policy::default() },
        ];
        assert!(bad.iter().all(|policy| policy.check().is_err()) && Policy::default().check().is_ok());
    }
}
