//! Payments that customers make in the app, and promises they make there.
//!
//! [`routes`] takes a request, [`begin`] writes the payment down, pending, before anybody is asked for money.
//! [`drive`] then asks the gateway and applies what it says by the rules of [`state`] (pure): a call whose outcome
//! nobody knows is never made again, the gateway is asked what it has. [`work`] does the same for all that is due,
//! so a server that stops anywhere goes on from the rows ([`rows`]). [`callbacks`] takes what gateways say by
//! themselves, which only brings about a question. [`promises`]: a customer's own word.
//!
//! ```text
//! created ──► starting ──► sent ──► paid
//!    ▲  NotSent  │           │       ▲ late money counts
//!    └───────────┘           └──► failed, expired
//! ```
//!
//! What is deliberately not here: where money goes. That is [`crate::import::receive`], which books what a gateway
//! confirms like a line of a statement, because it may be one: each is one payment, whichever came first.

pub mod begin;
pub mod callbacks;
pub mod drive;
pub mod promises;
pub mod routes;
pub mod rows;
pub mod state;
pub mod view;
pub mod work;
