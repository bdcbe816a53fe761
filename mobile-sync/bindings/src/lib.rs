//! Daybook's phone for Kotlin, Swift and Python.
//!
//! A [`Phone`] is a store and the way to its server. It delegates to `daybook-mobile-sync` and decides nothing:
//! captures come in as JSON drafts, views go out as the JSON that `daybook-phone --json` prints, and what an
//! app branches on (errors, how a sync ended, how the phone stands) is typed.
//!
//! Every call blocks until it is done, most of them for a write to the disk and [`Phone::sync`],
//! [`Phone::enrol`] and [`Phone::login`] for the network: call those from a thread that may wait. A sync holds
//! the phone only while it applies what came, so captures and views go on meanwhile.
//!
//! Not here: an identity on the platform's side. The host app keeps the store's key in the platform's keystore
//! and the generation outside of its backups, and knows the time since boot: it is the [`Host`].

#![expect(clippy::needless_pass_by_value, reason = "what crosses the border is owned")]

mod draft;
mod error;
mod host;
mod phone;
mod records;
mod views;

pub use error::{HostError, PhoneError};
pub use host::{Host, Progress};
pub use phone::{Options, Phone};
pub use records::{Captured, File, Note, Synced};

uniffi::setup_scaffolding!("daybook");
