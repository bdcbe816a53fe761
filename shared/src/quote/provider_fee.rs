//! What a provider charges us for a captured amount (journey.md 4.2): a share of it, a fixed part, and
//! value-added tax on their sum, each rounded once to minor units.
//!
//! It is what the agreement says and what its settlement files are compared with; the customer never
//! sees it.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::closed::closed;
use crate::money::MoneyError;
use crate::rate::{BasisPoints, Rounding};

closed! {
    /// How a provider rounds.
    FeeRounding {
        /// To the nearest, a half up: what contracts of the region show.
        HalfUp = "half_up",
        /// To the nearest, a half to the even.
        HalfEven = "half_even",
    }
}

impl From<FeeRounding> for Rounding {
    fn from(rounding: FeeRounding) -> Self {
        match rounding {
            FeeRounding::HalfUp => Self::HalfUp,
            FeeRounding::HalfEven => Self::HalfEven,
        }
    }
}

/// One fee of a provider agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct ProviderFee {
    /// The share of the amount.
    #[n(0)]
    pub rate_bp: BasisPoints,
    /// For each capture, minor units.
    #[n(1)]
    pub fixed_minor: i64,
    /// Value-added tax on both.
    #[n(2)]
    pub vat_bp: BasisPoints,
    /// How each is rounded.
    #[n(3)]
    pub rounding: FeeRounding,
}

/// What a provider keeps of an amount, minor units: `net = amount - fee - vat`, which for a small amount
/// can be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Charged {
    /// The fee without tax.
    pub fee_minor: i64,
    /// The tax on it.
    pub vat_minor: i64,
    /// What is left of the amount.
    pub net_minor: i64,
}

impl ProviderFee {
    /// For a captured amount.
    pub fn charged(&self, amount_minor: i64) -> Result<Charged, MoneyError> {
        self.with_fixed(amount_minor, self.fixed_minor)
    }

    /// For what is given back of it, where the agreement gives the share back: the fixed part is kept.
    pub fn given_back(&self, amount_minor: i64) -> Result<Charged, MoneyError> {
        self.with_fixed(amount_minor, 0)
    }

    fn with_fixed(&self, amount_minor: i64, fixed_minor: i64) -> Result<Charged, MoneyError> {
        let share_minor = self.rate_bp.of(amount_minor, self.rounding.into())?;
        let fee_minor = share_minor.checked_add(fixed_minor).ok_or(MoneyError::Overflow)?;
        let vat_minor = self.vat_bp.of(fee_minor, self.rounding.into())?;
        let net_minor = amount_minor.checked_sub(fee_minor).and_then(|net| net.checked_sub(vat_minor));
        Ok(Charged { fee_minor, vat_minor, net_minor: net_minor.ok_or(MoneyError::Overflow)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEE: ProviderFee = ProviderFee {
        rate_bp: BasisPoints(599),
        fixed_minor: 100,
        vat_bp: BasisPoints(1_500),
        rounding: FeeRounding::HalfUp,
    };

    /// The numbers of journey.md 4.2 and 5 (14b, 16b).
    #[test]
    fn a_share_a_fixed_part_and_tax_are_each_rounded_once() {
        let charged = |fee_minor, vat_minor, net_minor| Ok(Charged { fee_minor, vat_minor, net_minor });
        assert_eq!(FEE.charged(100_000), charged(6_090, 914, 92_996));
        assert_eq!(FEE.charged(12_345), charged(839, 126, 11_380));
        assert_eq!(FEE.given_back(40_000), charged(2_396, 359, 37_245));
        let half_even = ProviderFee { rounding: FeeRounding::HalfEven, ..FEE };
        assert_eq!(half_even.charged(100_000), charged(6_090, 914, 92_996));
        let half = ProviderFee { rate_bp: BasisPoints(5), fixed_minor: 0, vat_bp: BasisPoints(0), ..FEE };
        assert_eq!(half.charged(1_000), charged(1, 0, 999));
        assert_eq!(ProviderFee { rounding: FeeRounding::HalfEven, ..half }.charged(1_000), charged(0, 0, 1_000));
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_a_small_amount_costs_more_than_it_is() {
        assert_eq!(FEE.charged(0), Ok(Charged { fee_minor: 100, vat_minor: 15, net_minor: -115 }));
        let absurd = ProviderFee { rate_bp: BasisPoints(u32::MAX), ..FEE };
        assert_eq!(absurd.charged(i64::MAX), Err(MoneyError::Overflow));
        assert_eq!(ProviderFee { fixed_minor: i64::MAX, ..FEE }.charged(i64::MAX), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_fee_is_written_in_an_agreement() {
        let text = r#"{"rate_bp":599,"fixed_minor":100,"vat_bp":1500,"rounding":"half_up"}"#;
        assert_eq!(serde_json::to_string(&FEE).unwrap(), text);
        assert_eq!(serde_json::from_str::<ProviderFee>(text).unwrap(), FEE);
    }
}
