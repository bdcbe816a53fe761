//! What an offer says, as data: the same on the phone, on the server and in the contract.
//!
//! Terms are checked when an offer is written ([`Terms::faults`]) and again whenever something is
//! priced, so a price is never made from terms that could not have been offered. Whether a regulator
//! allows them is another question: [`super::regime`].

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::apr::AprMethod;
use super::closed::closed;
use super::due::{DueFault, DueRule, Grace};
use crate::cbor::at_most;
use crate::ids::{Hash, sha256};
use crate::money::{Currency, Money};
use crate::rate::BasisPoints;

closed! {
    /// What is left of the profit when a customer pays everything early (journey.md 4.4).
    EarlySettlement {
        /// The profit of every instalment that has not fallen due is given up, as it was allocated by
        /// declining balance: what the regulation of Saudi Arabia asks for.
        DecliningRebate = "declining_rebate",
        /// Profit is given up by the sum of the digits; less than by declining balance. Only where the
        /// law allows it.
        RuleOf78 = "rule_of_78",
        /// No profit is given up: the debt is the price, and a rebate is at our discretion.
        FullProfit = "full_profit",
    }

    /// In which order a payment meets what is owed (model.md).
    Waterfall {
        /// The oldest instalment first; in it penalty, fee, interest, principal.
        InstalmentFirst = "instalment_first",
        /// Over all due instalments first all penalties, then fees, interest and principal.
        FeesFirst = "fees_first",
    }

    /// When a customer's fee is paid.
    FeeKind {
        /// With the acceptance, beside the schedule.
        AtAcceptance = "at_acceptance",
        /// With the instalments, shared among them.
        Spread = "spread",
    }

    /// To whom a late fee goes.
    LateFeeTo {
        /// To the lender.
        Income = "income",
        /// To charity: the only way under Murabaha, where being late must earn us nothing.
        Charity = "charity",
    }
}

/// What the customer pays for the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// Nothing: the instalments sum to the price, and the merchant pays a commission.
    #[n(0)]
    ZeroPercent,
    /// Cost plus a disclosed profit is a fixed sale price; the debt never grows.
    #[n(1)]
    Murabaha {
        /// The profit for the whole term, in basis points of what is financed. Not a rate a year: the
        /// number and the dates of the instalments are terms of the offer, so the profit is one fixed
        /// number that the contract discloses, and no convention of counting days can change it.
        #[n(0)]
        profit_bp: BasisPoints,
    },
}

impl Kind {
    /// The profit, in basis points of what is financed.
    pub fn profit_bp(self) -> BasisPoints {
        match self {
            Self::ZeroPercent => BasisPoints(0),
            Self::Murabaha { profit_bp } => profit_bp,
        }
    }
}

/// An amount that is fixed, or a share of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AmountRule {
    /// Minor units.
    #[n(0)]
    Minor(#[n(0)] i64),
    /// Basis points of an amount that is named where the rule stands.
    #[n(1)]
    BasisPoints(#[n(0)] BasisPoints),
}

/// What the customer pays for a service beside the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct CustomerFee {
    /// How much; a share is of what is financed, half up.
    #[n(0)]
    pub amount: AmountRule,
    /// When.
    #[n(1)]
    pub fee_kind: FeeKind,
}

/// What an instalment that stays unpaid costs: once, a flat amount. It is no part of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct LateFee {
    /// Minor units.
    #[n(0)]
    pub amount_minor: i64,
    /// It is charged when the instalment is more days late than this.
    #[n(1)]
    pub after_days: u16,
    /// Who gets it.
    #[n(2)]
    pub goes_to: LateFeeTo,
}

/// What an offer says about money and time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct Terms {
    /// The only currency it is offered in.
    #[n(0)]
    pub currency: Currency,
    /// What the customer pays for the time.
    #[n(1)]
    pub kind: Kind,
    /// How many instalments, lines of a period of grace not counted.
    #[n(2)]
    pub instalments: u16,
    /// When they fall due.
    #[n(3)]
    pub due: DueRule,
    /// How much of the total each carries in proportion to the others; none: all the same.
    #[serde(default)]
    #[cbor(n(4), decode_with = "weights_at_most")]
    pub weights: Option<Vec<u32>>,
    /// What is paid at acceptance and not financed; a share is of the price. Rounded up to increments.
    #[serde(default)]
    #[n(5)]
    pub down_payment: Option<AmountRule>,
    /// The smallest step in which customers can pay, minor units: 100 for whole shillings.
    #[n(6)]
    pub increment_minor: i64,
    /// What the customer pays for a service.
    #[serde(default)]
    #[n(7)]
    pub fee: Option<CustomerFee>,
    /// What being late costs.
    #[serde(default)]
    #[n(8)]
    pub late_fee: Option<LateFee>,
    /// What is left of the profit when the customer pays early.
    #[n(9)]
    pub early_settlement: EarlySettlement,
    /// In which order a payment meets what is owed.
    #[n(10)]
    pub waterfall: Waterfall,
    /// By which method the effective rate is computed.
    #[n(11)]
    pub apr_method: AprMethod,
}

fn weights_at_most<C>(d: &mut minicbor::Decoder<'_>, ctx: &mut C) -> Result<Option<Vec<u32>>, minicbor::decode::Error> {
    if d.datatype()? == minicbor::data::Type::Null {
        return d.null().map(|()| None);
    }
    at_most::<_, _, { Terms::INSTALMENTS_MAX as usize }>(d, ctx).map(Some)
}

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
    /// The most instalments: five years of months.
    pub const INSTALMENTS_MAX: u16 = 60;
    /// The greatest weight; enough to say a share to a hundredth of a percent.
    pub const WEIGHT_MAX: u32 = 10_000;
    /// The greatest payable increment: a thousand units of a currency with three digits.
    pub const INCREMENT_MAX: i64 = 1_000_000;
    /// The highest profit: three times what is financed.
    pub const PROFIT_BP_MAX: u32 = 30_000;

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

    /// SHA-256 of the terms' canonical bytes: what a quote says it was made from.
    pub fn hash(&self) -> Hash {
        Hash(sha256(&[b"daybook/terms/1", &crate::cbor::to_vec(self)]))
    }
}

impl AmountRule {
    /// Minor units or basis points, whichever it is.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Minor(minor) => minor,
            Self::BasisPoints(share) => i64::from(share.0),
        }
    }

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
