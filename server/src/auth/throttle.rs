//! Slows down who guesses, who calls too often, and what is written to the log too often. In memory: a
//! restart forgives, and each replica counts for itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use daybook_shared::ids::sha256;
use daybook_shared::time::Timestamp;

/// Wrong logins on one name in a minute.
pub const LOGINS_MAX: u32 = 5;
/// How long an attempt counts.
const FORGET_MS: i64 = 60_000;
/// Names remembered. When all are in use, strangers' names share one count.
const NAMES_MAX: usize = 10_000;

/// Counts attempts by name (a login, a device): all of a name's forgotten a minute after the first.
#[derive(Debug)]
pub struct Throttle {
    attempts_max: u32,
    counts: Mutex<HashMap<[u8; 32], Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    attempts: u32,
    since: Timestamp,
}

impl Throttle {
    /// Lets so many attempts on one name through in a minute.
    pub fn new(attempts_max: u32) -> Self {
        Self { attempts_max, counts: Mutex::default() }
    }

    /// Whether an attempt on `name` may go on now; seconds to wait otherwise. It counts at once, so that
    /// many at the same moment are not free, until [`Throttle::forgive`] forgets them.
    pub fn attempt(&self, name: &str, now: Timestamp) -> Result<(), u32> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = sha256(&[name.as_bytes()]);
        if !counts.contains_key(&key) && counts.len() >= NAMES_MAX {
            counts.retain(|_, count| now.ms_since(count.since) < FORGET_MS);
            if counts.len() >= NAMES_MAX {
                key = [0; 32];
            }
        }
        let count = counts.entry(key).or_insert(Count { attempts: 0, since: now });
        if now.ms_since(count.since) >= FORGET_MS {
            *count = Count { attempts: 0, since: now };
        }
        if count.attempts >= self.attempts_max {
            let wait_ms = FORGET_MS - now.ms_since(count.since);
            return Err(u32::try_from(wait_ms / 1000).unwrap_or(0) + 1);
        }
        count.attempts += 1;
        Ok(())
    }

    /// Takes one attempt on `name` back: it was right, and says nothing of the others.
    pub fn refund(&self, name: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&sha256(&[name.as_bytes()])) {
            count.attempts = count.attempts.saturating_sub(1);
        }
    }

    /// The attempt on `name` was right.
    pub fn forgive(&self, name: &str) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(&sha256(&[name.as_bytes()]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIES: u32 = 5;

    #[test]
    fn the_sixth_wrong_attempt_waits_and_a_right_one_clears() {
        let throttle = Throttle::new(TRIES);
        let now = Timestamp::from_millis(1_000_000);
        for _ in 0..TRIES {
            assert_eq!(throttle.attempt("amina", now), Ok(()));
        }
        assert_eq!(throttle.attempt("amina", now.plus_ms(10_000)), Err(51));
        assert_eq!(throttle.attempt("brian", now), Ok(()));
        assert_eq!(throttle.attempt("amina", now.plus_ms(FORGET_MS)), Ok(()));
        throttle.forgive("amina");
        for _ in 0..TRIES {
            assert_eq!(throttle.attempt("amina", now.plus_ms(FORGET_MS)), Ok(()));
        }
    }

    #[test]
    fn a_right_attempt_among_wrong_ones_takes_back_itself_alone() {
        let throttle = Throttle::new(TRIES);
        let now = Timestamp::from_millis(1_000_000);
        throttle.refund("an address");
        for _ in 0..TRIES - 1 {
            assert_eq!(throttle.attempt("an address", now), Ok(()));
        }
        for _ in 0..10 {
            assert_eq!(throttle.attempt("an address", now), Ok(()));
            throttle.refund("an address");
        }
        assert_eq!(throttle.attempt("an address", now), Ok(()));
        assert!(throttle.attempt("an address", now).is_err());
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let throttle = Throttle::new(TRIES);
        let now = Timestamp::from_millis(1_000_000);
        let mut refused = 0;
        for n in 0..NAMES_MAX + 100 {
            refused += usize::from(throttle.attempt(&n.to_string(), now).is_err());
        }
        assert!(refused >= 90, "{refused}");
        assert!(throttle.counts.lock().unwrap().len() <= NAMES_MAX + 1);
    }
}
