//! How long to wait, and how much to ask for: pure functions of what went wrong.

use daybook_shared::wire::limits::BUDGET_BYTES_MIN;
use rand::Rng;

use super::{BUDGET_BYTES_UP_TO, UPLOAD_BYTES_UP_TO, WHOLE_RESPONSES_TO_DOUBLE};

/// The first wait is at most this long, in milliseconds; each further one at most twice as long.
pub const BACKOFF_MS_MIN: u64 = 500;
/// No wait of ours is longer, in milliseconds.
pub const BACKOFF_MS_MAX: u64 = 60_000;
/// A server's `Retry-After` is followed up to this, in milliseconds.
pub const RETRY_AFTER_MS_MAX: u64 = 300_000;

/// Full jitter: anything from nothing to the bound, so that phones that failed together do not come
/// back together. What the server asked for comes on top.
pub(super) fn wait_ms(failures: u32, retry_after_ms: Option<u64>, rng: &mut dyn Rng) -> u64 {
    let bound = BACKOFF_MS_MIN.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX)).min(BACKOFF_MS_MAX);
    let asked = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX);
    asked + rng.next_u64() % (bound + 1)
}

/// The budget after a broken response.
pub(super) fn after_broken(budget_bytes: u32) -> u32 {
    (budget_bytes / 2).max(BUDGET_BYTES_MIN)
}

/// The budget, and the whole responses since it last changed, after a whole one.
pub(super) fn after_whole(budget_bytes: u32, whole_responses: u32) -> (u32, u32) {
    doubled(budget_bytes, whole_responses, BUDGET_BYTES_UP_TO)
}

/// How much goes up after a request of so many bytes was lost. Half of what was tried: half of a
/// budget that was not used up would be the same request again.
pub(super) fn after_lost_upload(upload_bytes: u32, tried_bytes: u32) -> u32 {
    (upload_bytes.min(tried_bytes) / 2).max(BUDGET_BYTES_MIN)
}

/// How much goes up, and the whole responses since that last changed, after uploads got through.
pub(super) fn after_upload(upload_bytes: u32, whole_uploads: u32) -> (u32, u32) {
    doubled(upload_bytes, whole_uploads, UPLOAD_BYTES_UP_TO)
}

fn doubled(bytes: u32, whole: u32, up_to: u32) -> (u32, u32) {
    let whole = whole.saturating_add(1);
    if whole < WHOLE_RESPONSES_TO_DOUBLE {
        return (bytes, whole);
    }
    (bytes.saturating_mul(2).min(up_to), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn waits_are_anything_up_to_a_bound_that_doubles() {
        let mut rng = rng(7);
        for (failures, bound) in [(0, 500), (1, 1000), (4, 8000), (7, 60_000), (63, 60_000), (200, 60_000)] {
            let waits: Vec<_> = (0..500).map(|_| wait_ms(failures, None, &mut rng)).collect();
            assert!(waits.iter().all(|ms| *ms <= bound), "{failures}");
            assert!(waits.iter().any(|ms| *ms < bound / 4) && waits.iter().any(|ms| *ms > bound / 4 * 3), "{failures}");
        }
        let asked = wait_ms(0, Some(2000), &mut rng);
        assert!((2000..=2500).contains(&asked));
        assert!(wait_ms(0, Some(u64::MAX), &mut rng) <= RETRY_AFTER_MS_MAX + 500);
    }

    #[test]
    fn the_budget_halves_and_doubles_within_its_bounds() {
        assert_eq!(after_broken(256 * 1024), 128 * 1024);
        assert_eq!(after_broken(5000), BUDGET_BYTES_MIN);
        assert_eq!(after_broken(BUDGET_BYTES_MIN), BUDGET_BYTES_MIN);
        assert_eq!(after_whole(8192, 0), (8192, 1));
        assert_eq!(after_whole(8192, 1), (16_384, 0));
        assert_eq!(after_whole(BUDGET_BYTES_UP_TO, 1), (BUDGET_BYTES_UP_TO, 0));
        assert_eq!(after_lost_upload(UPLOAD_BYTES_UP_TO, 100_000), 50_000);
        assert_eq!(after_lost_upload(50_000, 60_000), 25_000, "one envelope may be more than the budget");
        assert_eq!(after_lost_upload(50_000, 300), BUDGET_BYTES_MIN);
        assert_eq!(after_upload(50_000, 0), (50_000, 1));
        assert_eq!(after_upload(UPLOAD_BYTES_UP_TO, 1), (UPLOAD_BYTES_UP_TO, 0));
    }
}
