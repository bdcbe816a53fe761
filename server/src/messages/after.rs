//! What becomes of a message after an attempt to send it. Pure.

use daybook_shared::time::Timestamp;

use super::State;
use super::gateway::SendError;

/// How long it waits after its first, second and later attempts.
const WAITS_S: [i64; 5] = [5, 30, 120, 600, 3_600];
/// Attempts, after which it is given up.
pub const TRIES_MAX: i64 = 12;

/// A message that was tried.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// Attempts so far, this one too.
    pub tries: i64,
    /// Whether it may come twice.
    pub may_repeat: bool,
    /// When it is of no use any more.
    pub expires_at: Timestamp,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It is tried again then.
    Again(Timestamp),
    /// It is over.
    Over(State),
}

/// Decides what becomes of a message.
pub fn after(tried: Tried, now: Timestamp, outcome: &Result<(), SendError>) -> After {
    match outcome {
        Ok(()) => After::Over(State::Sent),
        Err(SendError::Refused(_)) => After::Over(State::Refused),
        Err(SendError::Unknown(_)) if !tried.may_repeat => After::Over(State::Unknown),
        Err(SendError::Unknown(_) | SendError::NotSent(_)) => again(tried, now),
    }
}

fn again(Tried { tries, expires_at, .. }: Tried, now: Timestamp) -> After {
    let nth = usize::try_from(tries - 1).unwrap_or(0).min(WAITS_S.len() - 1);
    let at = now.plus_ms(WAITS_S[nth] * 1000);
    if tries >= TRIES_MAX || at >= expires_at { After::Over(State::GivenUp) } else { After::Again(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_perhaps_sent_goes_again_only_where_it_may_come_twice() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (soon, late) = (now.plus_ms(300_000), now.plus_ms(86_400_000));
        let not_sent = || Err(SendError::NotSent(String::new()));
        let unknown = || Err(SendError::Unknown(String::new()));
        let in_s = |s: i64| After::Again(now.plus_ms(s * 1000));
        let cases = [
            (1, true, soon, Ok(()), After::Over(State::Sent)),
            (1, true, soon, Err(SendError::Refused(400)), After::Over(State::Refused)),
            (1, true, soon, not_sent(), in_s(5)),
            (1, false, soon, not_sent(), in_s(5)),
            (1, true, soon, unknown(), in_s(5)),
            (1, false, soon, unknown(), After::Over(State::Unknown)),
            (2, true, soon, unknown(), in_s(30)),
            (3, true, soon, not_sent(), in_s(120)),
            (4, true, soon, not_sent(), After::Over(State::GivenUp)),
            (4, true, late, not_sent(), in_s(600)),
            (9, true, late, not_sent(), in_s(3_600)),
            (TRIES_MAX, true, late, not_sent(), After::Over(State::GivenUp)),
        ];
        for (tries, may_repeat, expires_at, outcome, expected) in cases {
            let tried = Tried { tries, may_repeat, expires_at };
            assert_eq!(after(tried, now, &outcome), expected, "{tried:?} {outcome:?}");
        }
    }
}
