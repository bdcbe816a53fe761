//! The double-entry ledger: every amount is booked twice, and nothing booked is changed.
//!
//! [`posting`] decides which lines an event makes; it is pure.

pub mod posting;
