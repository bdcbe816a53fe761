//! How a payment in the app goes on after what its gateway said. Pure.

use daybook_shared::time::{DAY_MS, Timestamp};

use crate::gateways::{CallError, Failure, Paid, Remote, RemoteState};
use crate::spelled::spelled;

spelled! {
    /// What a payment is for.
    Purpose {
        /// What is owed on the account, wherever the waterfall puts it.
        Instalment = "instalment",
        /// What is paid before the account begins.
        DownPayment = "down_payment",
        /// The figure of an early settlement.
        Settlement = "settlement",
    }

    /// How far a payment in the app is.
    Stage {
        /// No call was begun.
        Created = "created",
        /// A call was begun, and what came of it is not known.
        Starting = "starting",
        /// The gateway has it, and the payer has not answered.
        Sent = "sent",
        /// It came to nothing.
        Failed = "failed",
        /// The payer's time is over.
        Expired = "expired",
        /// The money came.
        Paid = "paid",
    }
}

impl Purpose {
    /// What is left of it once the account has begun.
    #[must_use]
    pub fn once_active(self) -> Self {
        match self {
            Self::DownPayment | Self::Instalment => Self::Instalment,
            Self::Settlement => Self::Settlement,
        }
    }
}

impl Stage {
    /// What a gateway says moves a payment up this order or not at all. Money that came is above everything.
    pub fn rank(self) -> u8 {
        match self {
            Self::Created => 0,
            Self::Starting => 1,
            Self::Sent => 2,
            Self::Failed | Self::Expired => 3,
            Self::Paid => 4,
        }
    }

    /// Whether it is over, but for money that comes after all.
    pub fn is_over(self) -> bool {
        self.rank() >= Self::Failed.rank()
    }
}

/// How long after a question the next one is asked, as long as the answer is open.
const DELAYS_MS: [i64; 5] = [5_000, 30_000, 120_000, 600_000, 3_600_000];
/// How much longer than the payer has we wait before we believe that there is nothing.
const MARGIN_MS: i64 = 120_000;
/// How long a gateway may say that it waits, beyond the payer's time.
const WAITING_MS_MAX: i64 = 3 * DAY_MS;
/// How long after it expired a payment is looked at a last time.
const LAST_LOOK_MS: i64 = DAY_MS;
/// How often what is over is asked for in vain.
const VAIN_MAX: i64 = 8;

/// What the next step depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// How far it is.
    pub stage: Stage,
    /// How often in a row the gateway was asked without an end.
    pub tries: i64,
    /// When we stop to wait.
    pub expires_at: Timestamp,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The gateway is asked, or asked again: from `Created` for money, else for what it has.
    Ask {
        /// How far it is meanwhile.
        stage: Stage,
        /// How often it was asked.
        tries: i64,
        /// When.
        at: Timestamp,
    },
    /// It failed.
    Fail(Failure),
    /// It expired; one last look at this time.
    Expire(Timestamp),
    /// The money is there.
    Pay(Paid),
    /// There is nothing left to ask.
    Rest,
}

/// When a payment begun now stops to be waited for, if its payer has so many minutes.
pub fn expires_at(begun_at: Timestamp, minutes: i64) -> Timestamp {
    begun_at.plus_ms(minutes * 60_000 + MARGIN_MS)
}

/// Until when its payer may pay.
pub fn pay_until(expires_at: Timestamp) -> Timestamp {
    expires_at.plus_ms(-MARGIN_MS)
}

/// What follows from the answer to our asking for money.
pub fn after_start(course: Course, now: Timestamp, told: &Result<Remote, CallError>) -> Step {
    match told {
        Ok(remote) => after_word(course, now, &remote.state),
        Err(CallError::NotSent(_)) => {
            let at = soon(course, now);
            if at >= pay_until(course.expires_at) {
                return Step::Fail(Failure::Unreachable);
            }
            Step::Ask { stage: Stage::Created, tries: course.tries + 1, at }
        }
        Err(CallError::Declined(failure)) => Step::Fail(*failure),
        Err(CallError::Refused(_)) => Step::Fail(Failure::Refused),
        // Never a second time: it may have been done.
        Err(CallError::Unknown(_)) => again(Course { tries: 0, ..course }, now),
    }
}

/// What follows from the answer to our asking what there is.
pub fn after_fetch(course: Course, now: Timestamp, told: &Result<Option<Remote>, CallError>) -> Step {
    match told {
        Ok(Some(remote)) => after_word(course, now, &remote.state),
        Ok(None) if course.stage.is_over() => Step::Rest,
        Ok(None) if now >= course.expires_at => Step::Expire(now.plus_ms(LAST_LOOK_MS)),
        Err(_) if course.stage.is_over() && course.tries >= VAIN_MAX => Step::Rest,
        Ok(None) | Err(_) => again(course, now),
    }
}

fn after_word(course: Course, now: Timestamp, word: &RemoteState) -> Step {
    let waits_too_long = now.ms_since(course.expires_at) >= WAITING_MS_MAX;
    match word {
        RemoteState::Paid(paid) => Step::Pay(paid.clone()),
        _ if course.stage.is_over() => Step::Rest,
        RemoteState::Declined(failure) => Step::Fail(*failure),
        RemoteState::Expired => Step::Expire(now.plus_ms(LAST_LOOK_MS)),
        RemoteState::Waiting if waits_too_long => Step::Expire(now.plus_ms(LAST_LOOK_MS)),
        RemoteState::Waiting => again(Course { stage: Stage::Sent, ..course }, now),
    }
}

fn again(course: Course, now: Timestamp) -> Step {
    Step::Ask { stage: course.stage, tries: course.tries + 1, at: soon(course, now) }
}

/// The next question's time; not long after the payment expires, if that is before it.
fn soon(course: Course, now: Timestamp) -> Timestamp {
    let last = DELAYS_MS.len() - 1;
    let delay = DELAYS_MS[usize::try_from(course.tries).map_or(last, |tries| tries.min(last))];
    let at = now.plus_ms(delay);
    if now < course.expires_at { at.min(course.expires_at) } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-02T06:00:00Z".parse().unwrap()
    }

    fn course(stage: Stage, tries: i64, expires_in_s: i64) -> Course {
        Course { stage, tries, expires_at: now().plus_ms(expires_in_s * 1000) }
    }

    fn remote(state: RemoteState) -> Remote {
        Remote { state, external_ref: None, redirect_url: None }
    }

    fn paid() -> Paid {
        let amount = daybook_shared::money::Money::new(110_000, "KES".parse().unwrap());
        Paid { amount, external_ref: "MPESA:QF1".to_owned(), at: now(), fee_minor: None }
    }

    fn ask(stage: Stage, tries: i64, in_s: i64) -> Step {
        Step::Ask { stage, tries, at: now().plus_ms(in_s * 1000) }
    }

    fn expire() -> Step {
        Step::Expire(now().plus_ms(LAST_LOOK_MS))
    }

    #[test]
    fn only_what_was_not_sent_is_started_again_and_only_in_time() {
        let not_sent = || Err(CallError::NotSent("no route".to_owned()));
        let unknown = || Err(CallError::Unknown("500".to_owned()));
        let cases = [
            (course(Stage::Starting, 0, 420), not_sent(), ask(Stage::Created, 1, 5)),
            (course(Stage::Starting, 2, 420), not_sent(), ask(Stage::Created, 3, 120)),
            // The payer would have no time left.
            (course(Stage::Starting, 3, 420), not_sent(), Step::Fail(Failure::Unreachable)),
            (course(Stage::Starting, 0, 0), not_sent(), Step::Fail(Failure::Unreachable)),
            (course(Stage::Starting, 3, 420), unknown(), ask(Stage::Starting, 1, 5)),
            (course(Stage::Starting, 0, 420), Err(CallError::Refused("401".to_owned())), Step::Fail(Failure::Refused)),
            (course(Stage::Starting, 0, 420), Err(CallError::Declined(Failure::Limit)), Step::Fail(Failure::Limit)),
            (course(Stage::Starting, 0, 420), Ok(remote(RemoteState::Waiting)), ask(Stage::Sent, 1, 5)),
            (course(Stage::Starting, 0, 420), Ok(remote(RemoteState::Paid(paid()))), Step::Pay(paid())),
        ];
        for (course, told, expected) in cases {
            assert_eq!(after_start(course, now(), &told), expected, "{course:?} {told:?}");
        }
    }

    #[test]
    fn a_fetch_asks_again_less_and_less_often_and_ends_only_with_the_gateways_word() {
        let unknown = || Err(CallError::Unknown("html".to_owned()));
        let some = |state| Ok(Some(remote(state)));
        let cases = [
            (course(Stage::Starting, 0, 420), unknown(), ask(Stage::Starting, 1, 5)),
            (course(Stage::Starting, 1, 420), Ok(None), ask(Stage::Starting, 2, 30)),
            (course(Stage::Sent, 3, 420), Ok(None), ask(Stage::Sent, 4, 420)),
            (course(Stage::Sent, 9, -1), unknown(), ask(Stage::Sent, 10, 3_600)),
            (course(Stage::Sent, 4, 0), Ok(None), expire()),
            (course(Stage::Starting, 4, -1), Ok(None), expire()),
            (course(Stage::Sent, 4, -1), some(RemoteState::Waiting), ask(Stage::Sent, 5, 3_600)),
            (course(Stage::Sent, 4, -3 * 86_400), some(RemoteState::Waiting), expire()),
            (course(Stage::Sent, 0, 420), some(RemoteState::Expired), expire()),
            (
                course(Stage::Sent, 0, 420),
                some(RemoteState::Declined(Failure::NoAnswer)),
                Step::Fail(Failure::NoAnswer),
            ),
            (course(Stage::Expired, 0, -1), Ok(None), Step::Rest),
            (course(Stage::Expired, 0, -1), unknown(), ask(Stage::Expired, 1, 5)),
            (course(Stage::Expired, VAIN_MAX, -1), unknown(), Step::Rest),
            (course(Stage::Failed, 0, 420), some(RemoteState::Waiting), Step::Rest),
            (course(Stage::Paid, 0, 420), some(RemoteState::Declined(Failure::Limit)), Step::Rest),
        ];
        for (course, told, expected) in cases {
            assert_eq!(after_fetch(course, now(), &told), expected, "{course:?} {told:?}");
        }
    }

    /// Late, twice, out of order: whatever a gateway says in whatever order, the stage never falls, and money that
    /// it says once is money.
    #[test]
    fn every_order_of_a_gateways_words_comes_to_money_if_one_of_them_says_so() {
        let words = [
            RemoteState::Waiting,
            RemoteState::Declined(Failure::Undisclosed),
            RemoteState::Expired,
            RemoteState::Paid(paid()),
            RemoteState::Waiting,
        ];
        let mut orders = vec![Vec::new()];
        for _ in 0..words.len() {
            orders = orders
                .into_iter()
                .flat_map(|order: Vec<usize>| {
                    let rest = (0..words.len()).filter(|at| !order.contains(at)).collect::<Vec<_>>();
                    rest.into_iter().map(move |at| [order.clone(), vec![at]].concat())
                })
                .collect();
        }
        assert_eq!(orders.len(), 120);
        for order in orders {
            let mut at = course(Stage::Starting, 0, 420);
            for word in &order {
                let step = after_fetch(at, now(), &Ok(Some(remote(words[*word].clone()))));
                let stage = match step {
                    Step::Ask { stage, .. } => stage,
                    Step::Fail(_) => Stage::Failed,
                    Step::Expire(_) => Stage::Expired,
                    Step::Pay(_) => Stage::Paid,
                    Step::Rest => at.stage,
                };
                assert!(stage.rank() >= at.stage.rank(), "{order:?}: {:?} falls to {stage:?}", at.stage);
                at.stage = stage;
            }
            assert_eq!(at.stage, Stage::Paid, "{order:?}");
        }
    }
}
