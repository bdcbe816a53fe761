//! A float check: what an agent has at hand, in e-money and in cash.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, amount};
use crate::ids::AgentId;
use crate::money::Money;
use crate::time::Timestamp;

crate::codes! {
    /// How the e-money was read.
    FloatSource {
        /// From the agent's screen.
        Screen = "SCREEN",
        /// From the operator.
        Api = "API",
        /// From a message.
        Sms = "SMS",
    }

    /// Which way the agent wants to exchange.
    RebalancingDirection {
        /// Cash for e-money.
        CashToEMoney = "CASH_TO_E_MONEY",
        /// E-money for cash.
        EMoneyToCash = "E_MONEY_TO_CASH",
    }
}

/// A request to exchange one leg for the other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct Rebalancing {
    /// Which way.
    #[n(0)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub direction: RebalancingDirection,
    /// How much, in minor units of the check's currency, above zero.
    #[n(1)]
    pub amount_minor: i64,
}

/// What an agent has. The newest by capture counts, whichever came last.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct FloatCheck {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// E-money; it may be nothing.
    #[n(1)]
    pub e_money: Money,
    /// Cash, in minor units of the same currency; it may be nothing.
    #[n(2)]
    pub cash_minor: i64,
    /// At the bank and usable at once, in minor units of the same currency.
    #[n(3)]
    pub bank_minor: Option<i64>,
    /// When it was counted, by the phone's clock.
    #[n(4)]
    pub counted_at: Timestamp,
    /// How the e-money was read.
    #[n(5)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub e_money_source: FloatSource,
    /// What the agent wants to exchange.
    #[n(6)]
    pub rebalancing: Option<Rebalancing>,
}

impl FloatCheck {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        for leg in [Some(self.e_money.minor), Some(self.cash_minor), self.bank_minor].into_iter().flatten() {
            if !(0..=Money::MINOR_MAX).contains(&leg) {
                return Err(EntryError::Amount);
            }
        }
        self.rebalancing.as_ref().map_or(Ok(()), |wanted| amount(wanted.amount_minor))
    }
}
