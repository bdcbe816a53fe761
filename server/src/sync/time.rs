//! Corrected capture time: when an entry was captured, by the server's clock (sync.md 3).
//!
//! A phone's clock may be off by days; its count of milliseconds since boot never jumps. Each
//! envelope's header ties both to moments the server knows: the arrival of acknowledgements.

use daybook_shared::entry::Head;
use daybook_shared::ids::BootId;
use daybook_shared::time::Timestamp;

/// A clock that is off by more is worth a flag.
const SKEW_FLAGGED_MS: i64 = 10 * 60 * 1000;

/// A moment that both the server and the phone know: an acknowledgement and its arrival.
#[derive(Debug, Clone, Copy)]
pub struct KnownMoment {
    /// The server's time of the acknowledgement.
    pub server: Timestamp,
    /// The phone's run when it arrived.
    pub boot_id: BootId,
    /// Milliseconds since that boot.
    pub boot_ms: u64,
    /// The phone's wall clock.
    pub wall: Timestamp,
}

/// What bounds the capture times of one envelope.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// Server time of the entry's own `after`; none if the server never said it.
    pub after: Option<Timestamp>,
    /// Server time of the `after` in the previous envelope's header.
    pub previous_after: Option<Timestamp>,
    /// When the envelope arrived.
    pub received_at: Timestamp,
    /// Since when an envelope with its number was held in histories of the database that were lost.
    pub held_since: &'a [Timestamp],
}

/// A corrected capture time and what is to be said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureTime {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// The phone claims to have known less than it had said before: the time cannot be proven.
    pub unproven: bool,
    /// The phone's clock was off by more than ten minutes.
    pub skewed: bool,
}

/// The corrected capture time of an entry.
pub fn corrected(head: &Head, moments: &[KnownMoment], bounds: Bounds<'_>) -> CaptureTime {
    let same_boot = moments.iter().filter(|moment| moment.boot_id == head.boot_id);
    let nearest_in_boot = same_boot.min_by_key(|moment| moment.boot_ms.abs_diff(head.boot_ms));
    let nearest_by_wall =
        || moments.iter().min_by_key(|moment| moment.wall.micros().abs_diff(head.captured_at.micros()));
    let claimed = if let Some(moment) = nearest_in_boot {
        moment.server.plus_ms(difference_ms(head.boot_ms, moment.boot_ms))
    } else if let Some(moment) = nearest_by_wall() {
        head.captured_at.plus_ms(moment.server.ms_since(moment.wall))
    } else {
        head.captured_at
    };
    let unproven = bounds.previous_after.is_some_and(|previous| bounds.after.is_none_or(|after| after < previous));
    let lower = if unproven { bounds.previous_after } else { bounds.after }.unwrap_or(Timestamp::EPOCH);
    // What it says it had heard already cannot be of itself: a clone's envelope has the number of another.
    let held_since = bounds.held_since.iter().filter(|at| **at > lower).min();
    let upper = held_since.map_or(bounds.received_at, |at| bounds.received_at.min(*at));
    let at = claimed.min(upper).max(lower.min(upper));
    let skewed = at.ms_since(head.captured_at).abs() > SKEW_FLAGGED_MS;
    CaptureTime { at, unproven, skewed }
}

fn difference_ms(later: u64, earlier: u64) -> i64 {
    let magnitude = i64::try_from(later.abs_diff(earlier)).unwrap_or(i64::MAX);
    if later >= earlier { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use daybook_shared::entry::EntryType;
    use daybook_shared::ids::{AckHash, DeviceId, DossierId, EntryId};

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + hours * HOUR)
    }

    fn head(captured_hours: i64, boot: u8, boot_hours: u64) -> Head {
        Head {
            id: EntryId::from([1; 16]),
            entry_type: EntryType::Visit,
            schema_version: 1,
            dossier: DossierId::from([1; 16]),
            captured_at: at(captured_hours),
            offset_min: 0,
            boot_id: BootId([boot; 8]),
            boot_ms: boot_hours * 3_600_000,
            after: AckHash::NONE,
            device: DeviceId::from([1; 16]),
            basis: 0,
            gps: None,
            attachments: None,
        }
    }

    /// The server said something at hour 0; it arrived when the phone's clock said hour 100 and it
    /// had been up for 10 hours.
    const MOMENT_WALL: i64 = 100;

    #[test]
    fn capture_times_are_the_servers() {
        let moment =
            KnownMoment { server: at(0), boot_id: BootId([1; 8]), boot_ms: 10 * 3_600_000, wall: at(MOMENT_WALL) };
        let bounds = |after, previous_after| Bounds { after, previous_after, received_at: at(20), held_since: &[] };
        let none = bounds(None, None);
        let (held, both) = ([at(9)], [at(12), at(9)]);
        let again = |after, held_since| Bounds { held_since, ..bounds(after, None) };
        let cases = [
            ("same boot: by the count since boot", head(777, 1, 12), vec![moment], none, 2, false),
            ("same boot, captured before the answer came", head(777, 1, 7), vec![moment], none, -3, false),
            ("other boot: by the clock's error", head(103, 2, 1), vec![moment], none, 3, false),
            ("no anchor: as claimed", head(5, 1, 1), vec![], none, 5, false),
            ("ahead of the arrival", head(50, 1, 1), vec![], none, 20, false),
            ("ahead of the first arrival", head(50, 1, 1), vec![], again(None, &held), 9, false),
            ("ahead of the first of several", head(50, 1, 1), vec![], again(Some(at(4)), &both), 9, false),
            ("another had its number first", head(50, 1, 1), vec![], again(Some(at(9)), &both), 12, false),
            ("others had its number", head(15, 1, 1), vec![], again(Some(at(12)), &both), 15, false),
            ("before what it had heard, again", head(-50, 1, 1), vec![], again(Some(at(4)), &held), 4, false),
            ("before what it had heard", head(-50, 1, 1), vec![], bounds(Some(at(4)), None), 4, false),
            ("claims to have known less", head(-50, 1, 1), vec![], bounds(Some(at(4)), Some(at(6))), 6, true),
            ("names what the server never said", head(5, 1, 1), vec![], bounds(None, Some(at(6))), 6, true),
        ];
        for (what, head, moments, bounds, expected_hours, unproven) in cases {
            let time = corrected(&head, &moments, bounds);
            assert_eq!((time.at, time.unproven), (at(expected_hours), unproven), "{what}");
        }
    }
}
