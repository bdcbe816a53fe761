//! From terms, a price and a day to a quote: the exact schedule and what it costs.
//!
//! Pure and total: the same question has the same answer everywhere, and what cannot be priced says why.

use minicbor::{Decode, Encode};

use super::apr::{Apr, Outlay};
use super::faults::TermsFault;
use super::lines::Line;
use super::terms::{AmountRule, CustomerFee, FeeKind, Terms};
use super::worth::NoRate;
use crate::cbor::at_most;
use crate::ids::Hash;
use crate::money::{Currency, Money, MoneyError};
use crate::rate::{BasisPoints, Rounding};
use crate::schedule::DueLine;
use crate::time::Date;

/// What an offer costs for a price and a day. All amounts are minor units of its currency, and none is
/// negative.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(array)]
pub struct Quote {
    /// The terms it was made from: [`Terms::hash`].
    #[n(0)]
    pub terms: Hash,
    /// The currency.
    #[n(1)]
    pub currency: Currency,
    /// The day of the acceptance, from which everything is counted.
    #[n(2)]
    pub anchor: Date,
    /// The price of the goods.
    #[n(3)]
    pub price_minor: i64,
    /// What of it is paid at acceptance.
    #[n(4)]
    pub down_payment_minor: i64,
    /// What of it is financed: the price without the down payment.
    #[n(5)]
    pub financed_minor: i64,
    /// The profit, all of it.
    #[n(6)]
    pub profit_minor: i64,
    /// The customer's fee, all of it.
    #[n(7)]
    pub fee_minor: i64,
    /// What of the fee is paid at acceptance; the rest is in the instalments.
    #[n(8)]
    pub fee_at_acceptance_minor: i64,
    /// Everything the customer pays: price, profit and fee.
    #[n(9)]
    pub total_minor: i64,
    /// What falls due when, numbered from 1, by day. Profit is each line's `interest`.
    #[cbor(n(10), decode_with = "lines_at_most")]
    pub instalments: Vec<DueLine>,
    /// The effective rate.
    #[n(11)]
    pub apr: Apr,
}

fn lines_at_most<C>(d: &mut minicbor::Decoder<'_>, ctx: &mut C) -> Result<Vec<DueLine>, minicbor::decode::Error> {
    at_most::<_, _, { Quote::LINES_MAX }>(d, ctx)
}

/// Why something cannot be priced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The terms could not have been offered.
    #[error("the terms cannot be offered: {}", .0.first().map_or_else(String::new, ToString::to_string))]
    Terms(Vec<TermsFault>),
    /// A price in another currency.
    #[error("the offer is in {offer}, the price in {price}")]
    Currency {
        /// The offer's.
        offer: Currency,
        /// The price's.
        price: Currency,
    },
    /// A price that is none, or beyond any book.
    #[error("a price is 1 to {max} minor units, not {0}", max = Money::MINOR_MAX)]
    Price(i64),
    /// A down payment that leaves nothing to finance.
    #[error("the down payment of {down_payment_minor} leaves nothing of {price_minor} to finance")]
    DownPayment {
        /// The down payment, minor units.
        down_payment_minor: i64,
        /// The price, minor units.
        price_minor: i64,
    },
    /// So little that an instalment would be nothing.
    #[error("{financed_minor} minor units are too little for so many instalments")]
    TooLittle {
        /// What is financed, minor units.
        financed_minor: i64,
    },
    /// A due date before the acceptance, or one that is not after the one before it.
    #[error("{0} is no due date for an acceptance on {1}")]
    DueDate(Date, Date),
    /// The payments have no effective rate.
    #[error("the payments have no effective rate: {0}")]
    Rate(#[from] NoRate),
    /// Beyond what amounts can be.
    #[error("{0}")]
    Money(#[from] MoneyError),
}

/// The amounts that a quote says, before they are shared among its instalments. Minor units.
pub(super) struct Amounts {
    price: i64,
    down_payment: i64,
    /// The price without the down payment.
    pub financed: i64,
    /// For all of the term.
    pub profit: i64,
    fee_at_acceptance: i64,
    /// What of the fee the instalments carry.
    pub fee_spread: i64,
}

impl Quote {
    /// The most lines: every instalment, and the months of grace before them.
    pub const LINES_MAX: usize = Terms::INSTALMENTS_MAX as usize + 11;
    /// The last due date is at most so many days after the acceptance: twelve years.
    pub const DAYS_MAX: i32 = 4383;

    /// What `terms` cost for a price, accepted on the anchor.
    pub fn make(terms: &Terms, price: Money, anchor: Date) -> Result<Self, PriceError> {
        let faults = terms.faults();
        if !faults.is_empty() {
            return Err(PriceError::Terms(faults));
        }
        if price.currency != terms.currency {
            return Err(PriceError::Currency { offer: terms.currency, price: price.currency });
        }
        let amounts = Amounts::of(terms, price.minor)?;
        let lines = Line::all(terms, anchor, &amounts)?;
        let at_once = Outlay::at_once(anchor, amounts.fee_at_acceptance);
        let outlays: Vec<Outlay> = std::iter::once(at_once).chain(lines.iter().map(Line::outlay)).collect();
        let apr = Apr::of(terms.apr_method, amounts.financed, anchor, &outlays)?;
        Ok(Self {
            terms: terms.hash(),
            currency: terms.currency,
            anchor,
            price_minor: amounts.price,
            down_payment_minor: amounts.down_payment,
            financed_minor: amounts.financed,
            profit_minor: amounts.profit,
            fee_minor: amounts.fee_at_acceptance + amounts.fee_spread,
            fee_at_acceptance_minor: amounts.fee_at_acceptance,
            total_minor: amounts.total()?,
            instalments: (1..).zip(&lines).map(|(n, line)| line.due_line(n)).collect(),
            apr,
        })
    }

    /// What is paid at acceptance, before anything is delivered: down payment and fee, minor units. An
    /// instalment that falls due on the same day is not in it.
    pub fn at_acceptance_minor(&self) -> i64 {
        self.down_payment_minor.saturating_add(self.fee_at_acceptance_minor)
    }

    /// What the instalments sum to, minor units: the receivable.
    pub fn receivable_minor(&self) -> i64 {
        self.total_minor.saturating_sub(self.at_acceptance_minor())
    }

    /// When the first instalment falls due.
    pub fn first_due(&self) -> Option<Date> {
        self.instalments.first().map(|line| line.due_date)
    }

    /// When the last instalment falls due.
    pub fn last_due(&self) -> Option<Date> {
        self.instalments.last().map(|line| line.due_date)
    }
}

impl Amounts {
    fn of(terms: &Terms, price: i64) -> Result<Self, PriceError> {
        if !(1..=Money::MINOR_MAX).contains(&price) {
            return Err(PriceError::Price(price));
        }
        let down_payment = down_payment(terms, price)?;
        let financed = price - down_payment;
        if financed <= 0 {
            return Err(PriceError::DownPayment { down_payment_minor: down_payment, price_minor: price });
        }
        let profit = terms.kind.profit_bp().of(financed, Rounding::HalfUp)?;
        let (fee_at_acceptance, fee_spread) = match terms.fee {
            None => (0, 0),
            Some(CustomerFee { amount, fee_kind: FeeKind::AtAcceptance }) => (amount.of(financed)?, 0),
            Some(CustomerFee { amount, fee_kind: FeeKind::Spread }) => (0, amount.of(financed)?),
        };
        let amounts = Self { price, down_payment, financed, profit, fee_at_acceptance, fee_spread };
        // From here on no sum can overflow: each is a part of this one.
        amounts.total().map(|_| amounts).map_err(PriceError::from)
    }

    fn total(&self) -> Result<i64, MoneyError> {
        let parts = [self.price, self.profit, self.fee_at_acceptance, self.fee_spread];
        let total = parts.into_iter().try_fold(0_i64, i64::checked_add).ok_or(MoneyError::Overflow)?;
        if total <= Money::MINOR_MAX { Ok(total) } else { Err(MoneyError::Overflow) }
    }
}

/// In whole increments, upwards: the rest of the price is then no less payable than the price was.
fn down_payment(terms: &Terms, price: i64) -> Result<i64, MoneyError> {
    let increment = terms.increment_minor;
    match terms.down_payment {
        None => Ok(0),
        Some(AmountRule::BasisPoints(share)) => share.of_in(price, increment, Rounding::Up),
        Some(AmountRule::Minor(minor)) => BasisPoints::ONE.of_in(minor, increment, Rounding::Up),
    }
}

impl AmountRule {
    fn of(self, amount_minor: i64) -> Result<i64, MoneyError> {
        match self {
            Self::Minor(minor) => Ok(minor),
            Self::BasisPoints(share) => share.of(amount_minor, Rounding::HalfUp),
        }
    }
}
