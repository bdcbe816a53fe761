//! What an offer costs a customer: from the terms to a quote, and from a quote to its settlement.
//!
//! Phone and server compute the same quote from the same terms, price and day: the same bytes and so
//! the same [hash](content). There is no float anywhere; what has to be solved (the effective rate,
//! the profit inside an instalment) is solved in 28-digit decimals with whole powers only, which are
//! the same on every machine. Amounts are minor units of the quote's currency.
//!
//! * [`terms`]: what an offer says, as data; [`faults`]: what is wrong with it.
//! * [`due`]: on which days its instalments fall due.
//! * [`regime`]: regulation as data, and what of an offer or a quote it forbids.
//! * [`price`]: terms, price and day to a [`Quote`]; [`lines`] are its schedule, [`portions`] shares
//!   amounts among them.
//! * [`apr`]: the effective rate with its method; [`worth`] solves it, [`reg_z`] in the American way.
//! * [`settle`]: paying off early.
//! * [`refund`] and [`provider_fee`]: what is given back, and what a provider charges us.
//! * [`content`]: a quote's bytes, its hash, and how two quotes differ; [`figures`] are what it says in JSON.
//! * [`offered`]: to whom an offer is made, for how much and when, and an offer as a phone has it.
//!
//! What is deliberately not here: which offers are in force, how long a quote stands, and anything that is
//! decided or stored.

pub mod apr;
pub mod closed;
pub mod content;
pub mod due;
pub mod faults;
pub mod figures;
mod lines;
pub mod offered;
mod portions;
pub mod price;
#[cfg(test)]
mod price_tests;
pub mod provider_fee;
pub mod refund;
mod reg_z;
pub mod regime;
#[cfg(test)]
mod samples;
pub mod settle;
pub mod terms;
mod worth;

pub use apr::{Apr, AprMethod};
pub use due::{DueRule, Grace};
pub use faults::TermsFault;
pub use offered::{Conditions, Offered};
pub use price::{PriceError, Quote};
pub use regime::{Breach, Regime, check_offer, check_quote, check_quote_of_anybody};
pub use settle::Settlement;
pub use terms::Terms;
pub use worth::NoRate;
