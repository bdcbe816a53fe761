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
