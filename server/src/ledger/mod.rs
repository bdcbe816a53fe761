//! The double-entry ledger: every amount is booked twice, and nothing booked is changed.
//!
//! [`posting`] decides which lines an event makes; it is pure. [`journal`] writes and reads them.

pub mod journal;
pub mod posting;
