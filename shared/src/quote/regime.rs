//! Regulation as data: limits an offer or a quote has to keep, each absent where a regime knows none.
//!
//! Another country is another value, written in JSON among the lender's settings; the code stays. What
//! breaks a limit is listed with the limit and what was used of it, so that it can be told to people.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::closed::closed;
use super::price::Quote;
use super::terms::Terms;
use crate::money::Currency;
use crate::schedule::months_after;
use crate::time::Date;

closed! {
    /// Whether a regime lets something be.
    Permission {
        /// It may be.
        Allowed = "allowed",
        /// It may not.
        Forbidden = "forbidden",
    }

    /// In whose years an age is counted.
    Calendar {
        /// The civil year: a birthday on 29 February is kept on the 28th in other years.
        Gregorian = "gregorian",
        /// The lunar year. Its mean length in the tabular calendar is 354 11/30 days, so eighteen are
        /// 6,379 days, the last one full; what a sighted moon says can be a day or two off.
        Hijri = "hijri",
    }

    /// Which limit is broken.
    BreachCode {
        /// Another currency than the regime's.
        Currency = "CURRENCY",
        /// The customer pays a fee.
        ConsumerFee = "CONSUMER_FEE",
        /// The customer pays for the time.
        Profit = "PROFIT",
        /// Too many instalments.
        Instalments = "INSTALMENTS",
        /// The customer would owe too much in all, in minor units.
        Outstanding = "OUTSTANDING",
        /// The customer is too young.
        Age = "AGE",
        /// The customer's day of birth is not known.
        AgeUnknown = "AGE_UNKNOWN",
        /// Cash was to be collected.
        Cash = "CASH",
    }
}

/// The least age of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct AgeMin {
    /// So many years.
    #[n(0)]
    pub years: u8,
    /// Of this calendar.
    #[n(1)]
    pub calendar: Calendar,
}

/// What a regulator allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct Regime {
    /// Its name in offers and settings.
    #[n(0)]
    pub code: Box<str>,
    /// The only currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(1)]
    pub currency: Option<Currency>,
    /// Fees of the customer; what being late costs is none.
    #[n(2)]
    pub consumer_fees: Permission,
    /// Profit, or any other cost of the term that the customer pays.
    #[n(3)]
    pub profit: Permission,
    /// Collecting cash.
    #[n(4)]
    pub cash_collection: Permission,
    /// The most instalments of one quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(5)]
    pub instalments_max: Option<u16>,
    /// The most a customer may owe in all, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub outstanding_max_minor: Option<i64>,
    /// The least age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(7)]
    pub age_min: Option<AgeMin>,
}

/// A number or a text: a limit, and what was used of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Measure {
    /// Minor units, instalments or days, as the code says.
    Number(i64),
    /// A code.
    Text(Box<str>),
}

/// A limit that is broken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Breach {
    /// Which.
    pub code: BreachCode,
    /// How much is allowed: minor units (basis points of a fee or profit that is a share), instalments,
    /// days of age, or a currency.
    pub limit: Measure,
    /// How much it is, in the same measure.
    pub used: Measure,
}

impl Breach {
    fn of(code: BreachCode, limit: i64, used: i64) -> Self {
        Self { code, limit: Measure::Number(limit), used: Measure::Number(used) }
    }
}

impl Regime {
    /// Buy now, pay later in Saudi Arabia: financing "without a term cost payable by the consumer"
    /// (SAMA, Rules Governing BNPL Companies, article 1), no fees of the consumer but for delay, riyal
    /// only, 18 Hijri years (article 20), at most 12 instalments and SAR 5,000 outstanding, no cash
    /// (article 22).
    pub fn sama_bnpl() -> Self {
        Self {
            code: "sama_bnpl".into(),
            currency: Currency::new(*b"SAR"),
            consumer_fees: Permission::Forbidden,
            profit: Permission::Forbidden,
            cash_collection: Permission::Forbidden,
            instalments_max: Some(12),
            outstanding_max_minor: Some(500_000),
            age_min: Some(AgeMin { years: 18, calendar: Calendar::Hijri }),
        }
    }

    /// No limits but those of the terms themselves.
    pub fn open() -> Self {
        Self {
            code: "open".into(),
            currency: None,
            consumer_fees: Permission::Allowed,
            profit: Permission::Allowed,
            cash_collection: Permission::Allowed,
            instalments_max: None,
            outstanding_max_minor: None,
            age_min: None,
        }
    }

    /// What it may forbid a customer of whom nothing is known.
    pub fn left_open(&self) -> Vec<BreachCode> {
        let outstanding = self.outstanding_max_minor.map(|_| BreachCode::Outstanding);
        outstanding.into_iter().chain(self.age_min.map(|_| BreachCode::Age)).collect()
    }

    /// What collecting cash breaks.
    pub fn cash_breach(&self) -> Option<Breach> {
        (self.cash_collection == Permission::Forbidden).then(|| Breach::of(BreachCode::Cash, 0, 1))
    }

    fn currency_breach(&self, used: Currency) -> Option<Breach> {
        let limit = self.currency.filter(|currency| *currency != used)?;
        let text = |currency: Currency| Measure::Text(currency.code().into());
        Some(Breach { code: BreachCode::Currency, limit: text(limit), used: text(used) })
    }

    fn instalments_breach(&self, used: usize) -> Option<Breach> {
        let used = i64::try_from(used).unwrap_or(i64::MAX);
        let limit = self.instalments_max.map(i64::from).filter(|limit| used > *limit)?;
        Some(Breach::of(BreachCode::Instalments, limit, used))
    }

    fn outstanding_breach(&self, used: i64) -> Option<Breach> {
        let limit = self.outstanding_max_minor.filter(|limit| used > *limit)?;
        Some(Breach::of(BreachCode::Outstanding, limit, used))
    }

    fn age_breach(&self, birth_date: Option<Date>, on: Date) -> Option<Breach> {
        let least = self.age_min?;
        let Some(born) = birth_date else { return Some(Breach::of(BreachCode::AgeUnknown, least.years.into(), 0)) };
        let (limit, age) = (i64::from(least.days_after(born)), i64::from(on.days_since(born)));
        (age < limit).then(|| Breach::of(BreachCode::Age, limit, age))
    }
}

impl AgeMin {
    /// How many days after the day of birth the age is reached.
    fn days_after(self, born: Date) -> i32 {
        let years = u16::from(self.years);
        match self.calendar {
            Calendar::Gregorian => months_after(born, years * 12).days_since(born),
            // 30 years of the tabular calendar have 10,631 days.
            Calendar::Hijri => (i32::from(years) * 10_631 + 29) / 30,
        }
    }
}

/// Something forbidden that is more than nothing.
fn forbidden(permission: Permission, code: BreachCode, used: i64) -> Option<Breach> {
    (permission == Permission::Forbidden && used > 0).then(|| Breach::of(code, 0, used))
}

/// What of an offer a regime forbids, whatever it is priced at.
pub fn check_offer(terms: &Terms, regime: &Regime) -> Vec<Breach> {
    let fee = terms.fee.map_or(0, |fee| fee.amount.number());
    let profit = i64::from(terms.kind.profit_bp().0);
    let breaches = [
        regime.currency_breach(terms.currency),
        forbidden(regime.consumer_fees, BreachCode::ConsumerFee, fee),
        forbidden(regime.profit, BreachCode::Profit, profit),
        regime.instalments_breach(terms.instalments.into()),
    ];
    breaches.into_iter().flatten().collect()
}

/// What of a quote a regime forbids for a customer who owes `outstanding_minor` already, in all and in
/// the quote's currency. Offers change and so do regimes: what an offer is asked is asked again.
pub fn check_quote(quote: &Quote, outstanding_minor: i64, birth_date: Option<Date>, regime: &Regime) -> Vec<Breach> {
    let mut breaches = quote_breaches(quote, outstanding_minor, regime);
    breaches.extend(regime.age_breach(birth_date, quote.anchor));
    breaches
}

/// What of a quote a regime forbids whoever the customer is; [`Regime::left_open`] is what else it asks.
pub fn check_quote_of_anybody(quote: &Quote, regime: &Regime) -> Vec<Breach> {
    quote_breaches(quote, 0, regime)
}

fn quote_breaches(quote: &Quote, outstanding_minor: i64, regime: &Regime) -> Vec<Breach> {
    let breaches = [
        regime.currency_breach(quote.currency),
        forbidden(regime.consumer_fees, BreachCode::ConsumerFee, quote.fee_minor),
        forbidden(regime.profit, BreachCode::Profit, quote.profit_minor),
        regime.instalments_breach(quote.instalments.len()),
        regime.outstanding_breach(outstanding_minor.saturating_add(quote.receivable_minor())),
    ];
    breaches.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{date, fee, murabaha, riyal, zero_percent};
    use super::super::terms::FeeKind;
    use super::*;

    fn codes(breaches: &[Breach]) -> Vec<&'static str> {
        breaches.iter().map(|breach| breach.code.code()).collect()
    }

    #[test]
    fn what_an_offer_must_not_be_under_sama_bnpl() {
        let kwd = Currency::new(*b"KWD").unwrap();
        let cases: Vec<(Terms, &[&str])> = vec![
            (zero_percent(12), &[]),
            (zero_percent(13), &["INSTALMENTS"]),
            (Terms { fee: Some(fee(FeeKind::AtAcceptance)), ..zero_percent(4) }, &["CONSUMER_FEE"]),
            (Terms { currency: kwd, ..zero_percent(4) }, &["CURRENCY"]),
            (murabaha(), &["PROFIT"]),
        ];
        for (terms, expected) in cases {
            assert_eq!(codes(&check_offer(&terms, &Regime::sama_bnpl())), expected, "{terms:?}");
            assert_eq!(check_offer(&terms, &Regime::open()), []);
        }
    }

    #[test]
    fn what_a_quote_must_not_be_under_sama_bnpl() {
        let quote = |terms: &Terms, minor| Quote::make(terms, riyal(minor), date("2026-03-01")).unwrap();
        let four = quote(&zero_percent(4), 100_000);
        let adult = Some(date("2000-01-01"));
        let check = |quote: &Quote, outstanding, born| check_quote(quote, outstanding, born, &Regime::sama_bnpl());
        assert_eq!(check(&four, 400_000, adult), []);
        assert_eq!(check(&four, 400_001, adult), [Breach::of(BreachCode::Outstanding, 500_000, 500_001)]);
        assert_eq!(codes(&check(&four, i64::MAX, adult)), ["OUTSTANDING"]);
        assert_eq!(check(&four, 0, None), [Breach::of(BreachCode::AgeUnknown, 18, 0)]);
        assert_eq!(codes(&check(&quote(&murabaha(), 100_000), 0, adult)), ["PROFIT"]);
        let with_fee = Terms { fee: Some(fee(FeeKind::Spread)), ..zero_percent(13) };
        assert_eq!(codes(&check(&quote(&with_fee, 100_000), 0, adult)), ["CONSUMER_FEE", "INSTALMENTS"]);
        assert_eq!(check_quote(&four, i64::MAX, None, &Regime::open()), []);
        // Of a customer of whom nothing is known, what holds for anybody is said, and what else is asked.
        let of_anybody = |quote: &Quote| codes(&check_quote_of_anybody(quote, &Regime::sama_bnpl()));
        assert_eq!(of_anybody(&four), [""; 0]);
        assert_eq!(of_anybody(&quote(&zero_percent(4), 500_001)), ["OUTSTANDING"]);
        assert_eq!(Regime::sama_bnpl().left_open(), [BreachCode::Outstanding, BreachCode::Age]);
        assert_eq!(Regime::open().left_open(), []);
    }

    #[test]
    fn an_age_is_reached_on_a_day() {
        let age = |years, calendar, born: &str, on: &str| {
            let regime = Regime { age_min: Some(AgeMin { years, calendar }), ..Regime::open() };
            regime.age_breach(Some(date(born)), date(on)).is_none()
        };
        assert!(age(18, Calendar::Hijri, "2008-09-13", "2026-03-02"));
        assert!(!age(18, Calendar::Hijri, "2008-09-13", "2026-03-01"));
        assert_eq!(date("2026-03-02").days_since(date("2008-09-13")), 6_379);
        assert!(age(18, Calendar::Gregorian, "2008-03-01", "2026-03-01"));
        assert!(!age(18, Calendar::Gregorian, "2008-03-02", "2026-03-01"));
        assert!(age(18, Calendar::Gregorian, "2008-02-29", "2026-02-28"));
        assert!(!age(18, Calendar::Gregorian, "2030-01-01", "2026-02-28"), "not yet born");
    }

    #[test]
    fn a_regime_is_a_value_in_json() {
        let text = r#"{"code":"sama_bnpl","currency":"SAR","consumer_fees":"forbidden","profit":"forbidden","cash_collection":"forbidden","instalments_max":12,"outstanding_max_minor":500000,"age_min":{"years":18,"calendar":"hijri"}}"#;
        assert_eq!(serde_json::to_string(&Regime::sama_bnpl()).unwrap(), text);
        assert_eq!(serde_json::from_str::<Regime>(text).unwrap(), Regime::sama_bnpl());
        let open = r#"{"code":"open","consumer_fees":"allowed","profit":"allowed","cash_collection":"allowed"}"#;
        assert_eq!(serde_json::to_string(&Regime::open()).unwrap(), open);
        assert_eq!(serde_json::from_str::<Regime>(open).unwrap(), Regime::open());
        assert_eq!(Regime::open().cash_breach(), None);
        let breach = serde_json::to_string(&Regime::sama_bnpl().cash_breach()).unwrap();
        assert_eq!(breach, r#"{"code":"CASH","limit":0,"used":1}"#);
    }
}
