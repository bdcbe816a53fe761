//! The counter that tells a restored store from a living one.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the host app keeps the store's generation: outside of what its backups hold (a keystore
/// entry, a file marked "do not back up"). 0 when it never kept one.
pub trait GenerationKeeper: Debug + Send {
    /// What was kept last.
    fn load(&mut self) -> io::Result<u64>;
    /// Keeps this one, durably.
    fn save(&mut self, generation: u64) -> io::Result<()>;
}

/// A generation in memory, for tests and simulations: clones share one counter, as a phone does
/// with its keystore while its store is dropped, reopened or replaced by an older copy.
#[derive(Debug, Clone, Default)]
pub struct KeptInMemory(Arc<AtomicU64>);

impl GenerationKeeper for KeptInMemory {
    fn load(&mut self) -> io::Result<u64> {
        Ok(self.0.load(Ordering::SeqCst))
    }

    fn save(&mut self, generation: u64) -> io::Result<()> {
        self.0.store(generation, Ordering::SeqCst);
        Ok(())
    }
}
