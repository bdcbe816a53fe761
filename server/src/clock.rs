//! Clocks of the server: the machine's, and for tests one that is read from a file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use daybook_shared::time::{Clock, Timestamp};

pub use daybook_shared::time::SystemClock;

/// A clock in a file: one RFC 3339 time, such as `2026-03-01T08:00:00Z`, which a test rewrites.
///
/// It only moves forward: an earlier time, an unreadable or a half-written file leaves it where it
/// was. Only databases created with `--test` may run on it, see [`crate::app::App::open`].
#[derive(Debug)]
pub struct FileClock {
    path: PathBuf,
    newest_micros: AtomicI64,
}

/// Why a file is no clock.
#[derive(Debug, thiserror::Error)]
pub enum FileClockError {
    /// It cannot be read.
    #[error("{path} cannot be read: {error}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It holds no time.
    #[error("{} holds no time such as 2026-03-01T08:00:00Z", .0.display())]
    Time(PathBuf),
}

impl FileClock {
    /// The clock in this file, which must hold a time already.
    pub fn open(path: PathBuf) -> Result<Self, FileClockError> {
        let text =
            std::fs::read_to_string(&path).map_err(|error| FileClockError::Read { path: path.clone(), error })?;
        let at: Timestamp = text.trim().parse().map_err(|_| FileClockError::Time(path.clone()))?;
        Ok(Self { path, newest_micros: AtomicI64::new(at.micros()) })
    }
}

impl Clock for FileClock {
    fn now(&self) -> Timestamp {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let read = text.trim().parse::<Timestamp>().map_or(0, Timestamp::micros);
        let before = self.newest_micros.fetch_max(read, Ordering::AcqRel);
        Timestamp::from_micros(before.max(read))
    }
}

/// A clock that stands until it is moved: for tests in one process.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.micros()))
    }

    /// Moves it by so many milliseconds, forward only.
    pub fn advance_ms(&self, ms: u32) {
        self.0.fetch_add(i64::from(ms) * 1000, Ordering::AcqRel);
    }

    /// Moves it to `at`, unless it is there or later already.
    pub fn advance_to(&self, at: Timestamp) {
        self.0.fetch_max(at.micros(), Ordering::AcqRel);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_a_file_never_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clock");
        assert!(matches!(FileClock::open(path.clone()), Err(FileClockError::Read { .. })));
        std::fs::write(&path, "noon").unwrap();
        assert!(matches!(FileClock::open(path.clone()), Err(FileClockError::Time(_))));

        std::fs::write(&path, "2026-03-01T08:00:00Z\n").unwrap();
        let clock = FileClock::open(path.clone()).unwrap();
        let now = |text: &str| {
            std::fs::write(&path, text).unwrap();
            clock.now().to_string()
        };
        assert_eq!(now("2026-03-01T09:00:00Z"), "2026-03-01T09:00:00Z");
        assert_eq!(now("2026-03-01T08:30:00Z"), "2026-03-01T09:00:00Z");
        assert_eq!(now(""), "2026-03-01T09:00:00Z");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(clock.now().to_string(), "2026-03-01T09:00:00Z");
    }
}
