//! What the host app does for its phone.

use std::fmt;
use std::io;
use std::sync::Arc;

use daybook_mobile_sync::{GenerationKeeper, Moment};
use daybook_shared::ids::{BootId, sha256};
use daybook_shared::time::{Clock as _, SystemClock};

use crate::error::HostError;

/// The host app.
#[uniffi::export(with_foreign)]
pub trait Host: Send + Sync {
    /// The generation that was kept last; 0 if none was. It lives outside of what the app's backups hold.
    fn load_generation(&self) -> Result<u64, HostError>;
    /// Keeps a generation, durably.
    fn save_generation(&self, generation: u64) -> Result<(), HostError>;
    /// Names the run of the device since it was switched on: another one after each boot, the same until the
    /// next. Android: `Settings.Global.BOOT_COUNT`; iOS: `kern.bootsessionuuid`.
    fn boot(&self) -> String;
    /// Milliseconds since that boot, asleep or not: `SystemClock.elapsedRealtime()`, `CLOCK_MONOTONIC_RAW`.
    fn since_boot_ms(&self) -> u64;
}

/// Who wants to know how a sync goes on.
#[uniffi::export(with_foreign)]
pub trait Progress: Send + Sync {
    /// A whole piece was received and stored: how many so far, and bytes up and down.
    fn received(&self, frames: u32, bytes_up: u64, bytes_down: u64);
    /// Something failed, and it is tried again in so many milliseconds. Says why, in English.
    fn waiting(&self, why: String, ms: u64);
}

/// The moment by the machine's wall clock and the host's count since boot.
pub(crate) fn moment(host: &dyn Host) -> Moment {
    let hash = sha256(&[b"daybook/boot", host.boot().as_bytes()]);
    let mut boot_id = BootId([0; 8]);
    boot_id.0.copy_from_slice(&hash[..8]);
    Moment { wall: SystemClock.now(), boot_id, boot_ms: host.since_boot_ms() }
}

/// The host as the store wants it.
pub(crate) struct Keeper(pub Arc<dyn Host>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl GenerationKeeper for Keeper {
    fn load(&mut self) -> io::Result<u64> {
        self.0.load_generation().map_err(io::Error::other)
    }

    fn save(&mut self, generation: u64) -> io::Result<()> {
        self.0.save_generation(generation).map_err(io::Error::other)
    }
}
