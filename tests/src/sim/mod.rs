//! A seeded world that drives the real phone library and the real server through every fault of
//! sync.md 8, and checkers for its invariants.
//!
//! * [`world`]: people, accounts, phones ([`phone`]), a server ([`server`]) that can be killed at any
//!   point, one clock ([`clock`]), one random generator. One thread; a seed replays.
//! * [`setup`], [`says`], [`rest`]: what there is before a story begins, and what it is told with.
//! * [`weather`], [`road`], [`workload`], [`office`], [`storm`]: a seed's faults, what is under way, what people do,
//!   and one seed from its beginning to its checks.
//! * [`check`]: the invariants, apart from what drives the world.
//! * [`upload`]: what was ever sent, and what holds for every exchange.
//! * [`raw`], [`forge`], [`chunk`]: a device that does what its key allows. [`pure`], [`captures`]: the database-less form.
//!
//! What is deliberately not here: sockets (the replay and the faults have them), TLS and a database that
//! ends (the faults have them), and anything that waits for real time.

#![expect(clippy::missing_panics_doc, reason = "a test fails by a panic")]

pub mod captures;
pub mod check;
pub mod chunk;
pub mod clock;
pub mod database;
pub mod forge;
pub mod office;
pub mod phone;
pub mod pure;
pub mod raw;
pub mod rest;
pub mod road;
pub mod says;
pub mod server;
pub mod setup;
pub mod storm;
pub mod upload;
pub mod weather;
pub mod workload;
pub mod world;

pub use database::Engine;
pub use server::Answer;
pub use setup::{KES, Terms};
pub use world::{Acc, Account, On, Who, World};
