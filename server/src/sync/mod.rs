//! The exchange with phones: how a capture becomes money in the ledger, once.
//!
//! One repayment's way, each arrow one call in one direction:
//!
//! [`exchange::sync`] -> [`arrived::Arrived::verify`] -> [`writer::write`] ->
//! [`take::take`] -> [`judge::judge`] -> [`money::pay`] -> [`persist::persist`], and back down:
//! [`exchange::sync`] -> [`read::news`] -> [`catalogue::lacking`] -> [`frames::Frames`].

pub mod arrived;
pub mod boards;
pub mod catalogue;
pub mod compact;
pub mod cursor;
pub mod effects;
pub mod exchange;
pub mod facts;
pub mod finish;
pub mod frames;
pub mod health;
pub mod install;
pub mod judge;
pub mod load;
pub mod money;
pub mod persist;
pub mod read;
pub mod records;
pub mod routes;
pub mod take;
pub mod time;
pub mod world;
pub mod writer;
