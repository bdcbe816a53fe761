//! The lines of a schedule: what of price, profit and fee each day carries.

use super::apr::Outlay;
use super::due::{Due, DueDates};
use super::portions;
use super::price::{Amounts, PriceError, Quote};
use super::terms::Terms;
use super::worth::Flow;
use crate::schedule::DueLine;
use crate::time::Date;

/// What falls due on a day, minor units; nothing is negative.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    due: Due,
    principal: i64,
    profit: i64,
    fee: i64,
}

impl Line {
    /// Every line of the schedule, by day: the months of grace, then the instalments.
    pub fn all(terms: &Terms, anchor: Date, amounts: &Amounts) -> Result<Vec<Self>, PriceError> {
        let due = terms.due.dates(terms.instalments, anchor);
        let mut lines = totals(terms, &due, amounts);
        check_dates(anchor, &lines)?;
        if lines.iter().any(|line| line.total() == 0) {
            return Err(PriceError::TooLittle { financed_minor: amounts.financed });
        }
        let flow = |line: &Self| Flow { ticks: line.due.lapse.ticks(), minor: line.principal };
        let flows: Vec<Flow> = lines.iter().map(flow).collect();
        for (line, profit) in lines.iter_mut().zip(portions::profit(amounts.financed, &flows, due.grace.len())?) {
            line.profit = profit;
            line.principal -= profit;
        }
        Ok(lines)
    }

    /// As it travels and is stored.
    pub fn due_line(&self, n: u16) -> DueLine {
        let Self { due, principal, profit, fee } = *self;
        DueLine { n, due_date: due.date, principal, interest: profit, fee, penalty: 0 }
    }

    /// What the customer is to pay.
    pub fn outlay(&self) -> Outlay {
        Outlay { due: self.due, minor: self.total() }
    }

    fn total(&self) -> i64 {
        self.principal + self.profit + self.fee
    }
}

/// What each line carries, all but the fee still as principal: first the months of grace, then what is
/// left by the weights of the instalments.
fn totals(terms: &Terms, due: &DueDates, amounts: &Amounts) -> Vec<Line> {
    let increment = terms.increment_minor;
    let grace = grace_share(amounts.profit, due.grace.len() + due.instalments.len(), increment);
    let in_grace = due.grace.iter().map(|due| Line { due: *due, principal: grace, profit: 0, fee: 0 });
    let mut lines: Vec<Line> = in_grace.collect();
    let after_grace =
        amounts.financed + amounts.profit + amounts.fee_spread - lines.iter().map(Line::total).sum::<i64>();

    let weights = terms.weights.clone().unwrap_or_else(|| vec![1; due.instalments.len()]);
    let shares = portions::by_weight(after_grace, &weights, increment);
    let fees = portions::fee(amounts.fee_spread, &weights, &shares);
    let instalment =
        |((due, share), fee): ((&Due, i64), i64)| Line { due: *due, principal: share - fee, profit: 0, fee };
    lines.extend(due.instalments.iter().zip(shares).zip(fees).map(instalment));
    lines
}

/// What a month of grace carries, all of it profit: the share that each line of the schedule would carry.
fn grace_share(profit: i64, lines: usize, increment: i64) -> i64 {
    let lines = i64::try_from(lines).expect("a schedule has few lines");
    profit / lines / increment * increment
}

fn check_dates(anchor: Date, lines: &[Line]) -> Result<(), PriceError> {
    let mut before = anchor.plus_days(-1);
    for Line { due, .. } in lines {
        if due.date <= before || due.date.days_since(anchor) > Quote::DAYS_MAX {
            return Err(PriceError::DueDate(due.date, anchor));
        }
        before = due.date;
    }
    Ok(())
}
