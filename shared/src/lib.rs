//! Types and formats that the phone and the server share.
//!
//! Everything here is pure: no IO, no clock, no global randomness, no async. What a phone writes
//! and a server reads is defined once, in this crate, and pinned by snapshot tests.
//!
//! * [`ids`], [`money`], [`time`]: newtypes, one word and one meaning each.
//! * [`rate`]: basis points of an amount and how a half is rounded.
//! * [`schedule`]: instalments, splitting, due dates, days past due.
//! * [`quote`]: what an offer costs: terms, regulation, price, effective rate, settlement, refunds.
//! * [`entry`]: what a device captures, one file a type.
//! * [`board`]: the shared, editable part of a dossier and the admission of a stranger's change.
//! * [`dossier`]: a dossier as one Automerge document, for any tool that reads those.
//! * [`facts`]: what the server tells a phone about a dossier.
//! * [`messages`]: what people read for each code, in their language.
//! * [`wire`]: envelopes, the exchange, signatures, framing, limits.

pub mod board;
pub mod cbor;
pub mod codes;
pub mod dossier;
pub mod entry;
pub mod facts;
pub mod ids;
pub mod messages;
pub mod money;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod quote;
pub mod rate;
pub mod schedule;
pub mod time;
pub mod wire;
