//! Faults that need a real server process, a real socket, a real cluster or a real file.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod clocks;
mod disk;
mod hints;
mod outage;
mod replicas;
mod silence;
mod support;
