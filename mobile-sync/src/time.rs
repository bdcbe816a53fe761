//! The time a phone can trust, whatever its clock says.

use daybook_shared::time::Timestamp;

use crate::Moment;

/// No phone with this build lives before 2026-11-01T00:00:00Z.
const BUILD_TIME_MICROS: i64 = 1_793_491_200_000_000;

/// The instant before which no phone with this build can be, unless its host says so
/// ([`crate::Store::set_build_time`]).
pub fn build_time() -> Timestamp {
    Timestamp::from_micros(BUILD_TIME_MICROS)
}

/// A trusted instant and the phone's moment of it: a server time when it arrived, or what that had
/// become by the same boot's clock when the phone last wrote it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// The instant: what the server said, or later.
    pub server: Timestamp,
    /// The phone's moment of it. Only the boot's own clock of it is used.
    pub arrived: Moment,
}

impl Heard {
    /// Milliseconds since it arrived, if that was in the same boot.
    fn elapsed_ms(&self, now: Moment) -> Option<i64> {
        let same_boot = self.arrived.boot_id == now.boot_id;
        let elapsed = now.boot_ms.checked_sub(self.arrived.boot_ms).filter(|_| same_boot)?;
        i64::try_from(elapsed).ok()
    }

    /// The instant it has become. After a boot it stands still until the server is heard again.
    fn reached(&self, now: Moment) -> Timestamp {
        self.server.plus_ms(self.elapsed_ms(now).unwrap_or(0))
    }

    /// The same line of time from now on, if it goes on in this boot. Written down, it outlives the
    /// boot: what had lapsed by then stays lapsed.
    pub fn kept(&self, now: Moment) -> Option<Self> {
        self.elapsed_ms(now).map(|_| Self { server: self.reached(now), arrived: now })
    }

    /// The server is heard: its time, but never one before what was trusted already.
    pub fn again(known: Option<Self>, server: Timestamp, now: Moment) -> Self {
        let reached = known.map_or(server, |known| known.reached(now));
        Self { server: server.max(reached), arrived: now }
    }
}

/// The earliest instant it can be now: the newest server time plus the time since in the same boot,
/// never before `built`. Leases and TLS certificates are judged by it; the wall clock is not
/// asked. After a boot it stands still until the server is heard again.
pub fn trusted(built: Timestamp, heard: Option<Heard>, now: Moment) -> Timestamp {
    let Some(heard) = heard else { return built };
    heard.reached(now).max(built)
}

/// The best guess at the instant it is now: [`trusted`] when the server was heard in this boot, else
/// the wall clock, but never before what is trusted. Business dates and new ids come from it.
pub fn estimated(built: Timestamp, heard: Option<Heard>, now: Moment) -> Timestamp {
    match heard {
        Some(heard) if heard.elapsed_ms(now).is_some() => trusted(built, Some(heard), now),
        heard => now.wall.max(trusted(built, heard, now)),
    }
}

#[cfg(test)]
mod tests {
    use daybook_shared::ids::BootId;

    use super::*;

    #[test]
    fn the_wall_clock_cannot_move_trusted_time() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let moment = |wall: &str, boot: u8, boot_ms| Moment { wall: at(wall), boot_id: BootId([boot; 8]), boot_ms };
        let heard = Heard { server: at("2027-03-01T10:00:00Z"), arrived: moment("2027-03-01T10:00:00Z", 1, 1000) };
        let cases = [
            ("same boot", Some(heard), moment("2030-01-01T00:00:00Z", 1, 61_000), "2027-03-01T10:01:00Z", None),
            ("same boot, 1970", Some(heard), moment("1970-01-01T00:00:00Z", 1, 61_000), "2027-03-01T10:01:00Z", None),
            (
                "another boot",
                Some(heard),
                moment("2027-03-02T00:00:00Z", 2, 61_000),
                "2027-03-01T10:00:00Z",
                Some("2027-03-02T00:00:00Z"),
            ),
            ("another boot, 1970", Some(heard), moment("1970-01-01T00:00:00Z", 2, 5), "2027-03-01T10:00:00Z", None),
            (
                "the boot's clock went back",
                Some(heard),
                moment("2027-03-01T09:00:00Z", 1, 5),
                "2027-03-01T10:00:00Z",
                None,
            ),
            ("never heard", None, moment("1970-01-01T00:00:00Z", 1, 5), "2026-11-01T00:00:00Z", None),
        ];
        for (what, heard, now, expected, guess) in cases {
            assert_eq!(trusted(build_time(), heard, now), at(expected), "{what}");
            assert_eq!(estimated(build_time(), heard, now), at(guess.unwrap_or(expected)), "{what}");
        }
    }
}
