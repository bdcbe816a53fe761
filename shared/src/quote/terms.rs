//! What an offer says, as data: the same on the phone, on the server and in the contract.
//!
//! Terms are checked when an offer is written ([`super::faults`]) and again whenever something is
//! priced, so a price is never made from terms that could not have been offered. Whether a regulator
//! allows them is another question: [`super::regime`].

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::apr::AprMethod;
use super::closed::closed;
use super::due::DueRule;
use crate::cbor::at_most;
use crate::ids::{Hash, sha256};
use crate::money::Currency;
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

#[expect(clippy::derivable_impls, reason = "the macro that declares the list derives no default")]
impl Default for Waterfall {
    fn default() -> Self {
        Self::InstalmentFirst
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

impl Terms {
    /// The most instalments: five years of months.
    pub const INSTALMENTS_MAX: u16 = 60;
    /// The greatest weight; enough to say a share to a hundredth of a percent.
    pub const WEIGHT_MAX: u32 = 10_000;
    /// The greatest payable increment: a thousand units of a currency with three digits.
    pub const INCREMENT_MAX: i64 = 1_000_000;
    /// The highest profit: three times what is financed.
    pub const PROFIT_BP_MAX: u32 = 30_000;

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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::any_terms;
    use super::*;

    /// How an offer is written, and the bytes that a quote's terms are named by; they never change.
    #[test]
    fn terms_in_json_and_in_bytes() {
        let text = r#"{
            "currency": "KES", "kind": {"murabaha": {"profit_bp": 1250}}, "instalments": 3,
            "due": {"after_harvest": {"month": 6, "grace": "profit_only"}}, "weights": [1, 1, 2],
            "down_payment": {"basis_points": 2000}, "increment_minor": 100,
            "fee": {"amount": {"minor": 5000}, "fee_kind": "spread"},
            "late_fee": {"amount_minor": 2500, "after_days": 3, "goes_to": "charity"},
            "early_settlement": "declining_rebate", "waterfall": "instalment_first", "apr_method": "eu_ccd"
        }"#;
        let terms: Terms = serde_json::from_str(text).unwrap();
        assert_eq!(terms.faults(), []);
        let again: serde_json::Value = serde_json::to_value(&terms).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).unwrap());
        insta::assert_snapshot!(crate::cbor::hex(&crate::cbor::to_vec(&terms)));
        insta::assert_snapshot!(terms.hash());

        let least = r#"{"currency": "SAR", "kind": "zero_percent", "instalments": 4, "due": {"months_after": 0},
            "increment_minor": 1, "early_settlement": "full_profit", "waterfall": "fees_first", "apr_method": "reg_z"}"#;
        assert_eq!(serde_json::from_str::<Terms>(least).unwrap().faults(), []);
        for (part, in_place) in [("fees_first", "fees_last"), ("zero_percent", "interest"), ("due", "dues")] {
            assert!(serde_json::from_str::<Terms>(&least.replace(part, in_place)).is_err(), "{in_place}");
        }
    }

    proptest! {
        #[test]
        fn terms_round_trip(terms in any_terms()) {
            prop_assert_eq!(terms.faults(), []);
            let bytes = crate::cbor::to_vec(&terms);
            prop_assert_eq!(&crate::cbor::decode::<Terms>(&bytes, 4).unwrap(), &terms);
            let text = serde_json::to_string(&terms).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Terms>(&text).unwrap(), &terms);
        }
    }
}
