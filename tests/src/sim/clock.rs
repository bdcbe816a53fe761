//! The one clock of a world, and the trip wire that kills its server in the middle of a request.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::Waker;

use daybook_shared::time::{Clock, Timestamp};
use futures_util::task::AtomicWaker;

/// A clock that stands until it is moved.
///
/// The server reads it once for every step of a request, so "the n-th reading from now" names a point
/// in the middle of one: [`SimClock::trip_at`] uses that to kill a server before a commit.
#[derive(Debug)]
pub struct SimClock {
    micros: AtomicI64,
    readings_left: AtomicI64,
    tripped: AtomicBool,
    waker: AtomicWaker,
}

impl SimClock {
    /// A clock that stands at `at`.
    pub fn at(at: Timestamp) -> Self {
        Self {
            micros: AtomicI64::new(at.micros()),
            readings_left: AtomicI64::new(0),
            tripped: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// The time, without being counted as a reading.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    /// Moves it forward.
    pub fn advance_ms(&self, ms: i64) {
        self.micros.fetch_add(ms * 1000, Ordering::SeqCst);
    }

    /// Trips at the `readings`-th reading from now; 0 takes the wire away.
    pub fn trip_at(&self, readings: i64) {
        self.tripped.store(false, Ordering::SeqCst);
        self.readings_left.store(readings, Ordering::SeqCst);
    }

    /// Whether the wire was tripped.
    pub fn is_tripped(&self) -> bool {
        self.tripped.load(Ordering::SeqCst)
    }

    /// Who is to be woken when it is.
    pub fn watch(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        if self.readings_left.load(Ordering::SeqCst) > 0 && self.readings_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.tripped.store(true, Ordering::SeqCst);
            self.waker.wake();
        }
        self.time()
    }
}
