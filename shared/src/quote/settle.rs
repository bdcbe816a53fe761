//! Paying off early: what is left to pay on a day, and how much of the profit is given up for it.
//!
//! Profit is earned on due dates (journey.md 5, line 2), so what is not earned is the profit of the
//! lines that fall due after the day, and the rebate is what the ledger still calls unearned. Profit
//! that was paid in advance was paid; it is not given back. Fees and penalties are owed in full.

use super::terms::EarlySettlement;
use crate::ids::{AccountId, Hash, sha256};
use crate::money::MoneyError;
use crate::rate::Rounding;
use crate::schedule::{Instalment, outstanding};
use crate::time::Date;

/// What paying off costs on a day. Minor units of the account's currency; `gross - rebate = figure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct Settlement {
    /// The day.
    #[n(0)]
    pub on: Date,
    /// The rule of the rebate.
    #[n(1)]
    pub rule: EarlySettlement,
    /// What is left to pay of the whole schedule.
    #[n(2)]
    pub gross_minor: i64,
    /// What of it is given up.
    #[n(3)]
    pub rebate_minor: i64,
    /// What is to be paid.
    #[n(4)]
    pub figure_minor: i64,
    /// The last day on which this is so, as far as nothing is paid: the day before more profit is
    /// earned. None once all of it is.
    #[n(5)]
    pub valid_until: Option<Date>,
}

impl Settlement {
    /// What paying off a schedule costs on a day.
    pub fn on(on: Date, rule: EarlySettlement, instalments: &[Instalment]) -> Result<Self, MoneyError> {
        let gross_minor = outstanding(instalments)?.total()?;
        let ahead = || instalments.iter().filter(|line| line.due_date > on);
        let unearned = sum(ahead().map(|line| line.unpaid().interest))?;
        let rebate_minor = match rule {
            EarlySettlement::DecliningRebate => unearned,
            EarlySettlement::RuleOf78 => {
                // Fees for being late are lines of their own and no part of the sale.
                let sold = |line: &&Instalment| line.due.penalty == 0 || !line.due.without_penalty().is_zero();
                let profit = sum(instalments.iter().map(|line| line.due.interest))?;
                let (ahead, all) = (ahead().filter(sold).count(), instalments.iter().filter(sold).count());
                rule_of_78(profit, ahead, all).min(unearned)
            }
            EarlySettlement::FullProfit => 0,
        };
        let valid_until = ahead().map(|line| line.due_date.plus_days(-1)).min();
        Ok(Self { on, rule, gross_minor, rebate_minor, figure_minor: gross_minor - rebate_minor, valid_until })
    }

    /// What a customer agrees to who pays the figure: a hash of the account and everything it says.
    pub fn hash(&self, account: AccountId) -> Hash {
        Hash(sha256(&[b"daybook/settlement/1", account.as_bytes(), &crate::cbor::to_vec(self)]))
    }
}

fn sum(mut minor: impl Iterator<Item = i64>) -> Result<i64, MoneyError> {
    minor.try_fold(0_i64, i64::checked_add).ok_or(MoneyError::Overflow)
}

/// The sum of the digits of what is ahead by that of all: with 6 of 12 ahead 21 of 78.
fn rule_of_78(profit: i64, ahead: usize, all: usize) -> i64 {
    let digits = |n: usize| i128::try_from(n * (n + 1)).expect("a schedule has few lines");
    if all == 0 {
        return 0;
    }
    let rebate = Rounding::HalfEven.divide(i128::from(profit) * digits(ahead), digits(all));
    i64::try_from(rebate).expect("a part of the profit is not more than the profit")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Quote;
    use super::super::samples::{any_terms, date, murabaha_quote, riyal};
    use super::*;
    use crate::schedule::Portions;

    /// The lines of a quote, the first so many paid.
    fn paid(quote: &Quote, lines: usize) -> Vec<Instalment> {
        let line = |(index, line): (usize, &crate::schedule::DueLine)| {
            let unpaid = line.with_paid(Portions::ZERO);
            Instalment { paid: if index < lines { unpaid.due } else { Portions::ZERO }, ..unpaid }
        };
        quote.instalments.iter().enumerate().map(line).collect()
    }

    /// The sale of journey.md 4.4, accepted on 31 January; instalment 6 falls due on 31 July.
    #[test]
    fn after_six_of_twelve() {
        use EarlySettlement::{DecliningRebate, FullProfit, RuleOf78};
        // Day, rule, lines paid: gross, rebate, figure, valid until.
        let cases = [
            ("2026-07-31", DecliningRebate, 6, 660_000, 33_259, 626_741, Some("2026-08-30")),
            ("2026-08-30", DecliningRebate, 6, 660_000, 33_259, 626_741, Some("2026-08-30")),
            ("2026-08-31", DecliningRebate, 6, 660_000, 23_873, 636_127, Some("2026-09-29")),
            ("2026-07-31", RuleOf78, 6, 660_000, 32_308, 627_692, Some("2026-08-30")),
            ("2026-07-31", FullProfit, 6, 660_000, 0, 660_000, Some("2026-08-30")),
            // An instalment in arrears is owed with its profit; one paid ahead is paid with it.
            ("2026-07-31", DecliningRebate, 5, 770_000, 33_259, 736_741, Some("2026-08-30")),
            ("2026-07-31", DecliningRebate, 7, 550_000, 23_873, 526_127, Some("2026-08-30")),
            ("2026-01-31", DecliningRebate, 0, 1_320_000, 120_000, 1_200_000, Some("2026-02-27")),
            ("2026-01-31", RuleOf78, 0, 1_320_000, 120_000, 1_200_000, Some("2026-02-27")),
            ("2027-01-31", DecliningRebate, 11, 110_000, 0, 110_000, None),
            ("2026-07-31", DecliningRebate, 12, 0, 0, 0, Some("2026-08-30")),
        ];
        let quote = murabaha_quote();
        for (on, rule, lines, gross_minor, rebate_minor, figure_minor, valid_until) in cases {
            let on = date(on);
            let settlement = Settlement::on(on, rule, &paid(&quote, lines)).unwrap();
            let valid_until = valid_until.map(date);
            let expected = Settlement { on, rule, gross_minor, rebate_minor, figure_minor, valid_until };
            assert_eq!(settlement, expected, "{rule}, {lines} paid");
        }
    }

    /// A fee for being late is owed, and is no line of the sale by whose digits the rebate goes.
    #[test]
    fn a_fee_for_being_late_is_owed_in_full_and_moves_no_rebate() {
        let on = date("2026-07-31");
        let mut instalments = paid(&murabaha_quote(), 6);
        let fee = Portions { penalty: 500, ..Portions::ZERO };
        instalments.push(Instalment { n: 13, due_date: on, due: fee, paid: Portions::ZERO });
        for (rule, rebate) in [(EarlySettlement::DecliningRebate, 33_259), (EarlySettlement::RuleOf78, 32_308)] {
            let settlement = Settlement::on(on, rule, &instalments).unwrap();
            assert_eq!((settlement.gross_minor, settlement.rebate_minor), (660_500, rebate), "{rule}");
        }
    }

    #[test]
    fn a_hash_stands_for_one_account_and_one_figure() {
        let instalments = paid(&murabaha_quote(), 6);
        let on = |day| Settlement::on(date(day), EarlySettlement::DecliningRebate, &instalments).unwrap();
        let (mine, yours) = (AccountId::from([1; 16]), AccountId::from([2; 16]));
        insta::assert_snapshot!(on("2026-07-31").hash(mine));
        assert_ne!(on("2026-07-31").hash(mine), on("2026-07-31").hash(yours));
        assert_ne!(on("2026-07-31").hash(mine), on("2026-08-31").hash(mine));
    }

    proptest! {
        #[test]
        fn a_figure_is_between_nothing_and_what_is_owed(
            terms in any_terms(),
            price in 10_000_i64..100_000_000,
            lines in 0_usize..60,
            part in 0_i64..100_000,
            day in 0_i32..5_000,
        ) {
            let Ok(quote) = Quote::make(&terms, riyal(price), date("2025-01-15")) else { return Ok(()) };
            let mut instalments = paid(&quote, lines);
            if let Some(next) = instalments.get_mut(lines) {
                next.paid.interest = part.min(next.due.interest);
            }
            let on = quote.anchor.plus_days(day);
            let settlement = Settlement::on(on, terms.early_settlement, &instalments).unwrap();
            let unpaid = outstanding(&instalments).unwrap();
            prop_assert_eq!(settlement.gross_minor, unpaid.total().unwrap());
            prop_assert!((0..=unpaid.interest).contains(&settlement.rebate_minor));
            prop_assert!((0..=settlement.gross_minor).contains(&settlement.figure_minor));
            prop_assert!(settlement.figure_minor >= unpaid.principal + unpaid.fee);
            // What it says holds as long as it says, and a later day is never cheaper.
            if let Some(until) = settlement.valid_until {
                prop_assert!(until >= on);
                let at_last = Settlement::on(until, terms.early_settlement, &instalments).unwrap();
                prop_assert_eq!(at_last, Settlement { on: until, ..settlement });
                let after = Settlement::on(until.plus_days(1), terms.early_settlement, &instalments).unwrap();
                prop_assert!(after.figure_minor >= settlement.figure_minor);
            }
        }
    }
}
