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
