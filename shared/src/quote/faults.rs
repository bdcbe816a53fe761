//! What is wrong with terms, each with where it stands in their JSON: for whoever writes an offer.

use super::due::{DueFault, Grace};
use super::terms::{AmountRule, Kind, LateFeeTo, Terms};
use crate::money::Money;
use crate::rate::BasisPoints;

/// What is wrong with terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsFault {
    /// Too few or too many instalments.
    #[error("an offer has 1 to {max} instalments, not {0}", max = Terms::INSTALMENTS_MAX)]
    Instalments(u16),
    /// The days on which they fall due.
    #[error("{0}")]
    Due(#[from] DueFault),
    /// Grace that is to carry profit, where there is none.
    #[error("a grace period that carries the profit needs an offer with profit")]
    GraceWithoutProfit,
    /// Not one weight for each instalment.
    #[error("there is one weight for each of {instalments} instalments, not {weights}")]
    Weights {
        /// How many instalments.
        instalments: u16,
        /// How many weights.
        weights: usize,
    },
    /// A weight that is none.
    #[error("a weight is 1 to {}, not {weight}", Terms::WEIGHT_MAX)]
    Weight {
        /// Which, from 0.
        index: usize,
        /// The weight.
        weight: u32,
    },
    /// A payable increment that is none.
    #[error("a payable increment is 1 to {max} minor units, not {0}", max = Terms::INCREMENT_MAX)]
    Increment(i64),
    /// A profit that is none, or beyond all measure.
    #[error("the profit is 1 to {max} basis points, not {0}; an offer without profit is zero_percent", max = Terms::PROFIT_BP_MAX)]
    Profit(u32),
    /// A down payment that is none, or that leaves nothing to finance.
    #[error("a down payment is at least 1 minor unit and less than the whole price")]
    DownPayment,
    /// A fee that is none, or as high as what it is taken for.
    #[error("a fee is at least 1 minor unit and less than the whole amount")]
    Fee,
    /// A late fee that is none.
    #[error("a late fee is at least 1 minor unit")]
    LateFee,
    /// A late fee of a Murabaha offer that would be our income.
    #[error("a late fee of a Murabaha offer goes to charity")]
    LateFeeToIncome,
}

impl TermsFault {
    /// Where in the terms' JSON (RFC 6901).
    pub fn pointer(&self) -> String {
        match self {
            Self::Instalments(_) => "/instalments".to_owned(),
            Self::Due(fault) => format!("/due{}", fault.pointer()),
            Self::GraceWithoutProfit => "/due/after_harvest/grace".to_owned(),
            Self::Weights { .. } => "/weights".to_owned(),
            Self::Weight { index, .. } => format!("/weights/{index}"),
            Self::Increment(_) => "/increment_minor".to_owned(),
            Self::Profit(_) => "/kind/murabaha/profit_bp".to_owned(),
            Self::DownPayment => "/down_payment".to_owned(),
            Self::Fee => "/fee/amount".to_owned(),
            Self::LateFee => "/late_fee/amount_minor".to_owned(),
            Self::LateFeeToIncome => "/late_fee/goes_to".to_owned(),
        }
    }
}

impl Terms {
    /// Everything that is wrong with them; nothing, and they can be offered.
    pub fn faults(&self) -> Vec<TermsFault> {
        let mut faults = Vec::new();
        if !(1..=Self::INSTALMENTS_MAX).contains(&self.instalments) {
            faults.push(TermsFault::Instalments(self.instalments));
        }
        faults.extend(self.due.faults(self.instalments).into_iter().map(TermsFault::from));
        if self.due.grace() == Some(Grace::ProfitOnly) && self.kind == Kind::ZeroPercent {
            faults.push(TermsFault::GraceWithoutProfit);
        }
        faults.extend(self.weight_faults());
        if !(1..=Self::INCREMENT_MAX).contains(&self.increment_minor) {
            faults.push(TermsFault::Increment(self.increment_minor));
        }
        faults.extend(self.amount_faults());
        faults
    }

    fn weight_faults(&self) -> Vec<TermsFault> {
        let Some(weights) = &self.weights else { return Vec::new() };
        if weights.len() != usize::from(self.instalments) {
            return vec![TermsFault::Weights { instalments: self.instalments, weights: weights.len() }];
        }
        let wrong = weights.iter().enumerate().filter(|(_, weight)| !(1..=Self::WEIGHT_MAX).contains(*weight));
        wrong.map(|(index, weight)| TermsFault::Weight { index, weight: *weight }).collect()
    }

    fn amount_faults(&self) -> Vec<TermsFault> {
        let profit = match self.kind {
            Kind::Murabaha { profit_bp } if !(1..=Self::PROFIT_BP_MAX).contains(&profit_bp.0) => {
                Some(TermsFault::Profit(profit_bp.0))
            }
            _ => None,
        };
        let down_payment = self.down_payment.filter(|rule| !rule.is_part()).map(|_| TermsFault::DownPayment);
        let fee = self.fee.filter(|fee| !fee.amount.is_part()).map(|_| TermsFault::Fee);
        let late_fee = self.late_fee.filter(|fee| !is_amount(fee.amount_minor)).map(|_| TermsFault::LateFee);
        let murabaha = matches!(self.kind, Kind::Murabaha { .. });
        let to_income = self.late_fee.filter(|fee| murabaha && fee.goes_to == LateFeeTo::Income);
        let to_income = to_income.map(|_| TermsFault::LateFeeToIncome);
        [profit, down_payment, fee, late_fee, to_income].into_iter().flatten().collect()
    }
}

impl AmountRule {
    /// Whether it is something, and not the whole of anything.
    fn is_part(self) -> bool {
        match self {
            Self::Minor(minor) => is_amount(minor),
            Self::BasisPoints(share) => (1..BasisPoints::ONE.0).contains(&share.0),
        }
    }
}

fn is_amount(minor: i64) -> bool {
    (1..=Money::MINOR_MAX).contains(&minor)
}

#[cfg(test)]
mod tests {
    use super::super::DueRule;
    use super::super::samples::{fee, murabaha, zero_percent};
    use super::super::terms::{CustomerFee, FeeKind, LateFee};
    use super::*;

    #[test]
    fn what_cannot_be_offered_and_where_it_stands() {
        let share = |share| AmountRule::BasisPoints(BasisPoints(share));
        let murabaha_with = |profit| Terms { kind: Kind::Murabaha { profit_bp: BasisPoints(profit) }, ..murabaha() };
        let late = |amount_minor, goes_to| Some(LateFee { amount_minor, after_days: 3, goes_to });
        let harvest = DueRule::AfterHarvest { month: 6, grace: Grace::ProfitOnly };
        let cases: Vec<(Terms, &[&str])> = vec![
            (zero_percent(1), &[]),
            (zero_percent(60), &[]),
            (zero_percent(0), &["/instalments"]),
            (zero_percent(61), &["/instalments"]),
            (Terms { due: DueRule::MonthsAfter(25), ..murabaha() }, &["/due"]),
            (Terms { due: DueRule::OnDates(Vec::new()), ..murabaha() }, &["/due/on_dates"]),
            (Terms { due: harvest.clone(), ..murabaha() }, &[]),
            (Terms { due: harvest, ..zero_percent(4) }, &["/due/after_harvest/grace"]),
            (Terms { weights: Some(vec![1, 10_000]), ..zero_percent(2) }, &[]),
            (Terms { weights: Some(vec![0, 10_001]), ..zero_percent(2) }, &["/weights/0", "/weights/1"]),
            (Terms { weights: Some(vec![1]), ..zero_percent(2) }, &["/weights"]),
            (Terms { increment_minor: 0, ..murabaha() }, &["/increment_minor"]),
            (Terms { increment_minor: 1_000_001, ..murabaha() }, &["/increment_minor"]),
            (murabaha_with(0), &["/kind/murabaha/profit_bp"]),
            (murabaha_with(30_000), &[]),
            (murabaha_with(30_001), &["/kind/murabaha/profit_bp"]),
            (Terms { down_payment: Some(share(9_999)), ..murabaha() }, &[]),
            (Terms { down_payment: Some(share(10_000)), ..murabaha() }, &["/down_payment"]),
            (Terms { down_payment: Some(AmountRule::Minor(0)), ..murabaha() }, &["/down_payment"]),
            (Terms { down_payment: Some(AmountRule::Minor(i64::MAX)), ..murabaha() }, &["/down_payment"]),
            (Terms { fee: Some(fee(FeeKind::Spread)), ..murabaha() }, &[]),
            (
                Terms { fee: Some(CustomerFee { amount: share(0), fee_kind: FeeKind::Spread }), ..murabaha() },
                &["/fee/amount"],
            ),
            (Terms { late_fee: late(100, LateFeeTo::Charity), ..murabaha() }, &[]),
            (Terms { late_fee: late(100, LateFeeTo::Income), ..zero_percent(2) }, &[]),
            (Terms { late_fee: late(100, LateFeeTo::Income), ..murabaha() }, &["/late_fee/goes_to"]),
            (Terms { late_fee: late(0, LateFeeTo::Charity), ..murabaha() }, &["/late_fee/amount_minor"]),
        ];
        for (terms, expected) in cases {
            let pointers: Vec<String> = terms.faults().iter().map(TermsFault::pointer).collect();
            assert_eq!(pointers, expected, "{terms:?}");
        }
    }
}
