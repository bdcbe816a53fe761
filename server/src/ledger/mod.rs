//! The double-entry ledger: every amount is booked twice, and nothing booked is changed.
//!
//! [`posting`] decides which lines an event makes, [`after_sale`] those of what happens to an account after its
//! sale; both are pure. [`journal`] writes and reads them.

pub mod after_sale;
pub mod journal;
pub mod posting;
pub mod routes;
