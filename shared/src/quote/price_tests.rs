//! What quotes cost, by example and by property.

use proptest::prelude::*;

use super::price::*;
use super::samples::{any_terms, date, fee, murabaha, murabaha_quote, riyal, zero_percent};
use super::terms::{AmountRule, FeeKind, Kind, Terms};
use super::{AprMethod, DueRule, Grace, NoRate, TermsFault};
use crate::money::{Currency, Money, MoneyError};
use crate::rate::BasisPoints;
use crate::schedule::DueLine;
use crate::time::Date;

fn column(quote: &Quote, of: fn(&DueLine) -> i64) -> Vec<i64> {
    quote.instalments.iter().map(of).collect()
}

fn totals(quote: &Quote) -> Vec<i64> {
    column(quote, |line| line.principal + line.interest + line.fee)
}

/// The table of journey.md 4.4.
#[test]
fn murabaha_carries_its_profit_by_declining_balance() {
    let quote = murabaha_quote();
    let profit = [17_972, 16_594, 15_195, 13_775, 12_334, 10_871, 9_386, 7_880, 6_350, 4_798, 3_222, 1_623];
    assert_eq!(column(&quote, |line| line.interest), profit);
    assert_eq!(totals(&quote), [110_000; 12]);
    let left: i64 = quote.instalments[6..].iter().map(|line| line.principal).sum();
    assert_eq!(left, 626_741);
    assert_eq!((quote.profit_minor, quote.total_minor, quote.receivable_minor()), (120_000, 1_320_000, 1_320_000));
    assert_eq!(quote.apr.to_string(), "19.53 % (sama_2023)");
    assert_eq!((quote.first_due(), quote.last_due()), (Some(date("2026-02-28")), Some(date("2027-01-31"))));
}

#[test]
fn prices_are_split_as_agreed() {
    // Minor units, currency, instalments, increment: what they are (journey.md 4.2).
    type Case = (i64, &'static [u8; 3], u16, i64, &'static [i64]);
    let cases: &[Case] = &[
        (100_000, b"KWD", 3, 1, &[33_334, 33_333, 33_333]),
        (100_001, b"SAR", 4, 1, &[25_001, 25_000, 25_000, 25_000]),
        (1_000, b"XOF", 7, 1, &[143, 143, 143, 143, 143, 143, 142]),
        (1_000_000, b"KES", 3, 100, &[333_400, 333_300, 333_300]),
        (20_300, b"DKK", 6, 100, &[3_400, 3_400, 3_400, 3_400, 3_400, 3_300]),
    ];
    for (price, currency, n, increment_minor, expected) in cases {
        let currency = Currency::new(**currency).unwrap();
        let terms = Terms { currency, increment_minor: *increment_minor, ..zero_percent(*n) };
        let quote = Quote::make(&terms, Money::new(*price, currency), date("2026-03-01")).unwrap();
        assert_eq!(totals(&quote), *expected, "{price} {currency} by {n}");
        assert_eq!((quote.apr.value().as_str(), quote.profit_minor), ("0.00", 0));
    }
}

#[test]
fn a_down_payment_is_rounded_up_to_what_can_be_paid_and_not_financed() {
    let share = |share| Some(AmountRule::BasisPoints(BasisPoints(share)));
    // Price, rule, increment: down payment.
    for (price, rule, increment_minor, down_payment) in [
        (100_050, share(2_500), 100, 25_100),
        (100_000, share(2_500), 100, 25_000),
        (100_050, share(2_500), 1, 25_013),
        (100_050, Some(AmountRule::Minor(30_001)), 100, 30_100),
    ] {
        let terms = Terms { down_payment: rule, increment_minor, ..zero_percent(3) };
        let quote = Quote::make(&terms, riyal(price), date("2026-03-01")).unwrap();
        assert_eq!((quote.down_payment_minor, quote.at_acceptance_minor()), (down_payment, down_payment));
        assert_eq!(totals(&quote).iter().sum::<i64>(), price - down_payment);
        assert_eq!(quote.financed_minor, price - down_payment);
    }
}

/// A fee makes the rate more than zero whenever it is paid (journey.md 4.4).
#[test]
fn a_fee_is_paid_at_acceptance_or_with_the_instalments_and_shows_in_the_rate() {
    let four_from_now = Terms { due: DueRule::MonthsAfter(0), ..zero_percent(4) };
    let now = Terms { fee: Some(fee(FeeKind::AtAcceptance)), ..four_from_now.clone() };
    let quote = Quote::make(&now, riyal(100_000), date("2026-03-01")).unwrap();
    assert_eq!((totals(&quote), quote.at_acceptance_minor(), quote.total_minor), (vec![25_000; 4], 5_000, 105_000));
    assert_eq!((quote.apr.value().as_str(), quote.first_due()), ("51.64", Some(quote.anchor)));

    let spread = Terms { fee: Some(fee(FeeKind::Spread)), ..four_from_now };
    let quote = Quote::make(&spread, riyal(100_000), date("2026-03-01")).unwrap();
    assert_eq!((totals(&quote), column(&quote, |line| line.fee)), (vec![26_250; 4], vec![1_250; 4]));
    assert_eq!((quote.at_acceptance_minor(), quote.receivable_minor()), (0, 105_000));
    assert_ne!(quote.apr.value(), "0.00");
}

#[test]
fn weights_say_how_much_each_instalment_carries() {
    let terms = Terms { weights: Some(vec![1, 1, 4]), increment_minor: 100, ..zero_percent(3) };
    let quote = Quote::make(&terms, riyal(100_050), date("2026-03-01")).unwrap();
    assert_eq!(totals(&quote), [16_750, 16_600, 66_700]);
}

/// The 29th and the 31st of March are as long after the anchor: a month, and the days to the 28th of February.
#[test]
fn dates_at_the_end_of_a_month_have_a_rate() {
    let dates = ["2027-03-29", "2027-03-31", "2027-04-30"].map(date).to_vec();
    let terms = Terms { due: DueRule::OnDates(dates), instalments: 3, ..murabaha() };
    let quote = Quote::make(&terms, riyal(300_000), date("2027-02-05")).unwrap();
    let moved = ["2027-03-30", "2027-03-31", "2027-04-30"].map(date).to_vec();
    let moved = Quote::make(&Terms { due: DueRule::OnDates(moved), ..terms }, riyal(300_000), date("2027-02-05"));
    assert_eq!(quote.apr, moved.unwrap().apr);
}

/// Accepted in March, harvested in June: the first instalment in July, and until then profit only.
#[test]
fn months_until_the_harvest_carry_nothing_or_profit() {
    let due = |grace| DueRule::AfterHarvest { month: 6, grace };
    let dates = |quote: &Quote| quote.instalments.iter().map(|line| line.due_date.to_string()).collect::<Vec<_>>();
    let nothing = Terms { due: due(Grace::Nothing), instalments: 2, ..murabaha() };
    let quote = Quote::make(&nothing, riyal(100_000), date("2026-03-31")).unwrap();
    assert_eq!(dates(&quote), ["2026-07-31", "2026-08-31"]);
    assert_eq!((totals(&quote), column(&quote, |line| line.interest)), (vec![55_000; 2], vec![8_847, 1_153]));

    let profit_only = Terms { due: due(Grace::ProfitOnly), instalments: 2, ..murabaha() };
    let quote = Quote::make(&profit_only, riyal(100_000), date("2026-03-31")).unwrap();
    assert_eq!(dates(&quote), ["2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31", "2026-08-31"]);
    assert_eq!(totals(&quote), [2_000, 2_000, 2_000, 52_000, 52_000]);
    assert_eq!(column(&quote, |line| line.interest), [2_000, 2_000, 2_000, 2_875, 1_125]);
    assert_eq!(column(&quote, |line| line.n.into()), [1, 2, 3, 4, 5]);
}

#[test]
fn what_cannot_be_priced_says_why() {
    let price = |terms: &Terms, minor, day| Quote::make(terms, riyal(minor), date(day)).unwrap_err();
    let day = "2026-03-01";
    assert_eq!(price(&zero_percent(4), 0, day), PriceError::Price(0));
    assert_eq!(price(&zero_percent(4), Money::MINOR_MAX + 1, day), PriceError::Price(Money::MINOR_MAX + 1));
    assert_eq!(price(&zero_percent(4), 3, day), PriceError::TooLittle { financed_minor: 3 });
    assert_eq!(price(&zero_percent(0), 100, day), PriceError::Terms(vec![TermsFault::Instalments(0)]));
    let kwd = Currency::new(*b"KWD").unwrap();
    let foreign = Quote::make(&zero_percent(4), Money::new(100, kwd), date(day)).unwrap_err();
    assert_eq!(foreign, PriceError::Currency { offer: zero_percent(4).currency, price: kwd });
    let all_down = Terms { down_payment: Some(AmountRule::Minor(5_000)), ..zero_percent(4) };
    assert_eq!(price(&all_down, 5_000, day), PriceError::DownPayment { down_payment_minor: 5_000, price_minor: 5_000 });
    let past = Terms { due: DueRule::OnDates(vec![date("2026-02-01"), date("2026-04-01")]), ..zero_percent(2) };
    assert_eq!(price(&past, 5_000, day), PriceError::DueDate(date("2026-02-01"), date(day)));
    assert!(matches!(price(&zero_percent(4), 5_000, "9999-10-01"), PriceError::DueDate(Date::MAX, _)));
    let far = Terms { due: DueRule::OnDates(vec![date("2040-02-01")]), ..zero_percent(1) };
    assert_eq!(price(&far, 5_000, day), PriceError::DueDate(date("2040-02-01"), date(day)));
    let dear = Terms { kind: Kind::Murabaha { profit_bp: BasisPoints(30_000) }, ..murabaha() };
    assert_eq!(price(&dear, Money::MINOR_MAX, day), PriceError::Money(MoneyError::Overflow));
    let fee_eats_all = Terms { fee: Some(fee(FeeKind::AtAcceptance)), ..zero_percent(4) };
    assert_eq!(price(&fee_eats_all, 5_000, day), PriceError::Rate(NoRate::NothingAdvanced));
    let tripled = Terms { due: DueRule::MonthsAfter(0), instalments: 2, ..dear };
    assert_eq!(price(&tripled, 5_000, day), PriceError::Rate(NoRate::NothingAdvanced));
}

proptest! {
    #[test]
    fn every_quote_sums_up(terms in any_terms(), price in 1_i64..10_000_000_000, anchor in 20_000_i32..20_800) {
        let anchor = Date::from_days(anchor);
        let quote = match Quote::make(&terms, riyal(price), anchor) {
            Ok(quote) => quote,
            Err(PriceError::TooLittle { .. } | PriceError::DownPayment { .. } | PriceError::Rate(_)) => {
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let sum = |of| column(&quote, of).iter().sum::<i64>();
        prop_assert_eq!(quote.price_minor, quote.down_payment_minor + quote.financed_minor);
        prop_assert_eq!(quote.total_minor, quote.price_minor + quote.profit_minor + quote.fee_minor);
        prop_assert_eq!(sum(|line| line.principal), quote.financed_minor);
        prop_assert_eq!(sum(|line| line.interest), quote.profit_minor);
        prop_assert_eq!(sum(|line| line.fee), quote.fee_minor - quote.fee_at_acceptance_minor);
        prop_assert_eq!(totals(&quote).iter().sum::<i64>(), quote.receivable_minor());
        let parts = |line: &DueLine| line.principal.min(line.interest).min(line.fee).min(line.penalty);
        prop_assert!(quote.instalments.iter().all(|line| parts(line) >= 0));
        prop_assert!(quote.instalments.is_sorted_by(|a, b| a.due_date < b.due_date && a.n + 1 == b.n));
        prop_assert!(quote.first_due() >= Some(anchor));
        // All but one, which takes what does not divide, are whole increments.
        let odd = totals(&quote).iter().filter(|total| *total % terms.increment_minor != 0).count();
        prop_assert!(odd <= 1 && quote.down_payment_minor % terms.increment_minor == 0);
        let cost = quote.profit_minor + quote.fee_minor;
        prop_assert!(cost > 0 || quote.apr.hundredths == 0);
        // Even over twelve years a hundredth of what is financed shows in the second decimal.
        prop_assert!(cost < quote.financed_minor / 100 || quote.financed_minor < 100 || quote.apr.hundredths > 0);
        let grace = quote.instalments.len() - usize::from(terms.instalments);
        prop_assert!(quote.instalments[..grace].iter().all(|line| line.principal == 0 && line.interest > 0));
    }

    /// Europe and Saudi Arabia agree, and a nominal rate of months is never above the effective one.
    #[test]
    fn methods_agree_as_far_as_they_can(mut terms in any_terms(), price in 100_000_i64..10_000_000) {
        terms.due = DueRule::MonthsAfter(1);
        terms.weights = None;
        let mut rate = |method| {
            terms.apr_method = method;
            Quote::make(&terms, riyal(price), date("2026-05-05")).map(|quote| quote.apr.hundredths)
        };
        let (sama, eu, us) = (rate(AprMethod::Sama2023), rate(AprMethod::EuCcd), rate(AprMethod::RegZ));
        prop_assert_eq!(&sama, &eu);
        if let (Ok(eu), Ok(us)) = (eu, us) {
            prop_assert!(us <= eu, "{us} of {eu}");
        }
    }
}
