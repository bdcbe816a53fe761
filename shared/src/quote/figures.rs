//! Everything a quote says, for people and programs: the same JSON from the REST API and from a phone.

use serde::Serialize;

use super::apr::Apr;
use super::price::Quote;
use crate::money::Money;
use crate::schedule::DueLine;
use crate::time::Date;

/// An effective rate, which says how it was worked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AprView {
    /// Percent, with two digits.
    #[cfg_attr(feature = "openapi", schema(example = "19.53"))]
    value: String,
    /// reg_z, eu_ccd or sama_2023.
    #[cfg_attr(feature = "openapi", schema(example = "sama_2023"))]
    method: String,
}

impl From<Apr> for AprView {
    fn from(apr: Apr) -> Self {
        Self { value: apr.value(), method: apr.method.to_string() }
    }
}

/// What falls due on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstalmentView {
    /// Its number, from 1.
    n: u16,
    /// When it falls due.
    due_date: Date,
    /// All of it.
    amount: Money,
    /// Of it the price, minor units.
    principal_minor: i64,
    /// Of it profit, minor units.
    profit_minor: i64,
    /// Of it fees, minor units.
    fee_minor: i64,
}

/// Everything a quote says, for people and programs. Minor units are of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Figures {
    /// The price.
    price: Money,
    /// Paid with the acceptance, before anything is delivered: down payment and fee.
    at_acceptance: Money,
    /// Of it the down payment.
    down_payment: Money,
    /// What is financed.
    financed: Money,
    /// Profit, all of it.
    profit: Money,
    /// Fees, all of them.
    fee: Money,
    /// Everything the customer pays.
    total: Money,
    /// The effective rate.
    apr: AprView,
    /// The day everything is counted from.
    anchor: Date,
    /// The last day on which something falls due.
    ends_on: Option<Date>,
    /// What falls due when.
    instalments: Vec<InstalmentView>,
}

impl Figures {
    /// The figures of a quote.
    pub fn of(quote: &Quote) -> Self {
        let money = |minor| Money::new(minor, quote.currency);
        let instalment = |line: &DueLine| InstalmentView {
            n: line.n,
            due_date: line.due_date,
            amount: money(line.principal + line.interest + line.fee + line.penalty),
            principal_minor: line.principal,
            profit_minor: line.interest,
            fee_minor: line.fee,
        };
        Self {
            price: money(quote.price_minor),
            at_acceptance: money(quote.at_acceptance_minor()),
            down_payment: money(quote.down_payment_minor),
            financed: money(quote.financed_minor),
            profit: money(quote.profit_minor),
            fee: money(quote.fee_minor),
            total: money(quote.total_minor),
            apr: quote.apr.into(),
            anchor: quote.anchor,
            ends_on: quote.last_due(),
            instalments: quote.instalments.iter().map(instalment).collect(),
        }
    }
}
