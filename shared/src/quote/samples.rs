//! Terms that the tests price.

use proptest::prelude::*;

use super::terms::{AmountRule, CustomerFee, EarlySettlement, FeeKind, Kind, LateFee, LateFeeTo, Terms, Waterfall};
use super::{AprMethod, DueRule, Grace, Quote};
use crate::money::{Currency, Money};
use crate::rate::BasisPoints;
use crate::time::Date;

pub fn date(text: &str) -> Date {
    text.parse().unwrap()
}

pub fn riyal(minor: i64) -> Money {
    Money::new(minor, Currency::new(*b"SAR").unwrap())
}

/// Monthly, the first after a month, without profit and fees.
pub fn zero_percent(instalments: u16) -> Terms {
    Terms {
        currency: Currency::new(*b"SAR").unwrap(),
        kind: Kind::ZeroPercent,
        instalments,
        due: DueRule::MonthsAfter(1),
        weights: None,
        down_payment: None,
        increment_minor: 1,
        fee: None,
        late_fee: None,
        early_settlement: EarlySettlement::DecliningRebate,
        waterfall: Waterfall::InstalmentFirst,
        apr_method: AprMethod::Sama2023,
    }
}

/// The sale of journey.md 4.4: ten percent for twelve months.
pub fn murabaha() -> Terms {
    Terms { kind: Kind::Murabaha { profit_bp: BasisPoints(1000) }, ..zero_percent(12) }
}

/// SAR 12,000.00 + 1,200.00 in twelve instalments.
pub fn murabaha_quote() -> Quote {
    Quote::make(&murabaha(), riyal(1_200_000), date("2026-01-31")).unwrap()
}

/// A fee of 50.00.
pub fn fee(fee_kind: FeeKind) -> CustomerFee {
    CustomerFee { amount: AmountRule::Minor(5_000), fee_kind }
}

fn due_rules() -> impl Strategy<Value = (DueRule, u16)> {
    let first_dates = proptest::collection::vec(1_i32..200, 1..20);
    let dates = first_dates.prop_map(|gaps| {
        let later = |day: &mut Date, gap: &i32| {
            *day = day.plus_days(*gap);
            Some(*day)
        };
        let dates: Vec<Date> = gaps.iter().scan(date("2027-01-01"), later).collect();
        let instalments = u16::try_from(dates.len()).unwrap();
        (DueRule::OnDates(dates), instalments)
    });
    prop_oneof![
        (0_u8..=24, 2_u16..=60).prop_map(|(first, n)| (DueRule::MonthsAfter(first), n)),
        (0_u8..=104, 2_u16..=60).prop_map(|(first, n)| (DueRule::Weekly(first), n)),
        (0_u8..=52, 2_u16..=60).prop_map(|(first, n)| (DueRule::Fortnightly(first), n)),
        (1_u8..=12, 1_u16..=60).prop_map(|(month, n)| (DueRule::AfterHarvest { month, grace: Grace::Nothing }, n)),
        (1_u8..=12, 1_u16..=60).prop_map(|(month, n)| (DueRule::AfterHarvest { month, grace: Grace::ProfitOnly }, n)),
        dates,
    ]
}

fn amount_rules() -> impl Strategy<Value = AmountRule> {
    prop_oneof![
        (1_i64..50_000).prop_map(AmountRule::Minor),
        (1_u32..5_000).prop_map(|share| AmountRule::BasisPoints(BasisPoints(share))),
    ]
}

prop_compose! {
    /// Any terms that can be offered.
    pub fn any_terms()(
        (due, instalments) in due_rules(),
        weights in proptest::option::of(proptest::collection::vec(1_u32..=10_000, 60)),
        profit in 1_u32..5_000,
        with_profit in any::<bool>(),
        down_payment in proptest::option::of(amount_rules()),
        increment_minor in prop_oneof![Just(1), Just(5), Just(100), Just(1_000)],
        fee in proptest::option::of((amount_rules(), prop_oneof![Just(FeeKind::AtAcceptance), Just(FeeKind::Spread)])),
        apr_method in proptest::sample::select(AprMethod::ALL),
        early_settlement in proptest::sample::select(EarlySettlement::ALL),
    ) -> Terms {
        let kind = if with_profit || due.grace() == Some(Grace::ProfitOnly) {
            Kind::Murabaha { profit_bp: BasisPoints(profit) }
        } else {
            Kind::ZeroPercent
        };
        Terms {
            kind,
            due,
            weights: weights.map(|weights| weights[..usize::from(instalments)].to_vec()),
            down_payment,
            increment_minor,
            fee: fee.map(|(amount, fee_kind)| CustomerFee { amount, fee_kind }),
            late_fee: Some(LateFee { amount_minor: 2_500, after_days: 3, goes_to: LateFeeTo::Charity }),
            early_settlement,
            apr_method,
            ..zero_percent(instalments)
        }
    }
}
