//! What runs on the phone.
//!
//! * [`store`]: one SQLite file, its rows with personal data sealed under the host app's key.
//! * [`capture`]: recording what happened. Durable before it returns, without a network.
//! * [`outbox`]: captures and board changes become sealed, signed, numbered envelopes.
//! * [`session`]: one exchange with the server as a state machine without sockets, clock or threads.
//! * [`enrol`]: the requests that make a phone known and renew its lease, without a network too.
//! * [`view`]: what an app shows.
//! * [`client`]: the dull loop that drives a session over HTTP.
//! * [`cli`]: the command-line phone, `daybook-phone`.
//!
//! Time is a parameter everywhere ([`Moment`]: the wall clock and the time since boot), and so is
//! randomness. A [`Store`] may be dropped between any two calls, as when the app is killed: what a
//! call had returned is in the file, and the next [`Store::open`] goes on from there.
//!
//! One captured repayment: [`Store::capture`] checks it, takes a receipt number and inserts it.
//! [`Session`] seals it into an envelope in the transaction that also makes the request's number
//! durable, says "send this", reads the answer's frames one by one, and writes the verdict beside
//! the entry; [`view::View`] shows it.
//!
//! What is deliberately not here: allocation of payments (the server's), and any clock or
//! source of randomness but in [`cli`].

pub mod capture;
pub mod cli;
pub mod client;
pub mod enrol;
pub mod outbox;
pub mod session;
pub mod store;
pub mod time;
pub mod view;

#[cfg(test)]
mod testing;

pub use daybook_shared::wire::envelope::PhoneTime as Moment;
pub use session::{Effect, Event, Session, SyncEnd, SyncReport};
pub use store::{GenerationKeeper, Store, StoreError};
