//! Benches: each measures one thing the design promises, prints the floor beside it, and says
//! whether the promise is kept. They measure; no test asserts a time.

pub mod bare;
pub mod budget;
pub mod cpu;
pub mod document;
pub mod figures;
pub mod fresh;
pub mod growth;
pub mod journey;
pub mod lab;
pub mod link;
pub mod phone;
pub mod pocket;
pub mod storm;

use std::path::PathBuf;

pub use figures::Figures;

/// Which database the server runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// A file, with synchronous=FULL.
    Sqlite,
    /// A private cluster, made for the bench, with its default durability.
    Postgres,
}

/// What every bench is told.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The server's engine.
    pub engine: Engine,
    /// Servers on the one database, which a storm's phones turn to one after the other.
    pub servers: usize,
    /// The workload's seed.
    pub seed: u64,
    /// Where databases and stores are made: on the disk that is to be measured.
    pub dir: PathBuf,
}
