//! The edge: this machine's clock, its boot, its randomness.

use anyhow::{Context, Result};
use daybook_shared::ids::{BootId, sha256};
use daybook_shared::time::{Clock, SystemClock};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

use crate::Moment;

/// This machine's moments: its wall clock, and the time since its boot.
#[derive(Debug, Clone, Copy)]
pub struct BootClock {
    boot_id: BootId,
    started: std::time::Instant,
    boot_ms_at_start: u64,
}

impl BootClock {
    /// Reads which boot this is. Where the system does not say, every process counts as a boot.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the monotonic clock")]
    pub fn read() -> Result<Self> {
        let started = std::time::Instant::now();
        let boot = std::fs::read("/proc/sys/kernel/random/boot_id").ok();
        let uptime = std::fs::read_to_string("/proc/uptime").ok().and_then(|text| uptime_ms(&text));
        let (name, boot_ms_at_start) = if let Some(known) = boot.zip(uptime) {
            known
        } else {
            let mut random = [0; 16];
            rand::Rng::fill_bytes(&mut system_rng()?, &mut random);
            (random.to_vec(), 0)
        };
        let hash = sha256(&[b"daybook/boot", &name]);
        let mut boot_id = BootId([0; 8]);
        boot_id.0.copy_from_slice(&hash[..8]);
        Ok(Self { boot_id, started, boot_ms_at_start })
    }

    /// What moment it is.
    pub fn now(&self) -> Moment {
        let elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment {
            wall: SystemClock.now(),
            boot_id: self.boot_id,
            boot_ms: self.boot_ms_at_start.saturating_add(elapsed_ms),
        }
    }
}

/// Milliseconds from the first number of `/proc/uptime`, such as `12345.67 54321.09`.
fn uptime_ms(text: &str) -> Option<u64> {
    let (seconds, rest) = text.split_whitespace().next()?.split_once('.')?;
    let millis = format!("{rest:0<3}");
    seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(millis.get(..3)?.parse().ok()?)
}

/// A generator seeded by the operating system.
pub fn system_rng() -> Result<StdRng> {
    StdRng::try_from_rng(&mut SysRng).context("the system has no randomness to give")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_read_without_floats() {
        for (text, expected) in [
            ("12345.67 54321.09\n", Some(12_345_670)),
            ("0.01 0.00", Some(10)),
            ("7.1234 1.0", Some(7123)),
            ("", None),
            ("x.y z", None),
        ] {
            assert_eq!(uptime_ms(text), expected, "{text:?}");
        }
    }
}
