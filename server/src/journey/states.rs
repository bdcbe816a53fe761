//! The states of applications and of their attempts, and what may follow what (journey.md 2.1). Pure.
//!
//! An attempt is one asking of one provider. What we hear of it comes late, twice and out of order, so it
//! moves only up its ranks; an application moves by what its newest attempt came to, by its customer and by
//! time.

use crate::spelled::spelled;

spelled! {
    /// How far an application is.
    ApplicationState {
        /// A provider is being asked.
        Deciding = "deciding",
        /// The customer may sign, until the approval ends.
        Approved = "approved",
        /// No provider takes it.
        Rejected = "rejected",
        /// The customer took it back.
        Cancelled = "cancelled",
        /// Nobody signed in time, or nobody decided.
        Expired = "expired",
        /// Signed: there is an account.
        Accepted = "accepted",
    }

    /// How far an attempt is.
    AttemptState {
        /// Written down; nobody was asked.
        Created = "created",
        /// The provider has it.
        Sent = "sent",
        /// The provider waits for the customer.
        AwaitingCustomer = "awaiting_customer",
        /// The provider says no.
        Declined = "declined",
        /// The provider waited in vain.
        Expired = "expired",
        /// The provider says yes.
        Approved = "approved",
        /// It was taken back from the provider.
        Voided = "voided",
        /// Nobody knows what the provider has; to be asked.
        Unknown = "unknown",
        /// The provider never got it; it may be sent again.
        NotSent = "not_sent",
    }

    /// Why an application was rejected, whoever did and whatever he calls it.
    Reason {
        /// The provider does not say, or may not.
        Undisclosed = "undisclosed",
        /// Below what is financed.
        AmountTooLow = "amount_too_low",
        /// Above what is financed.
        AmountTooHigh = "amount_too_high",
        /// With what the customer owes already it is too much.
        LimitExhausted = "limit_exhausted",
        /// Who he is could not be proved.
        Identity = "identity",
        /// The rules of who is approved.
        CreditPolicy = "credit_policy",
        /// Another application of his is open.
        DuplicateOpenApplication = "duplicate_open_application",
        /// It looks like fraud.
        FraudSuspected = "fraud_suspected",
        /// The shop is blocked.
        MerchantBlocked = "merchant_blocked",
        /// Not somebody who may buy on instalments, for example too young.
        CustomerIneligible = "customer_ineligible",
        /// The provider's own rules.
        ProviderPolicy = "provider_policy",
        /// Something that is needed is missing.
        IncompleteData = "incomplete_data",
    }
}

impl AttemptState {
    /// Its place in the order of what can be heard of an attempt. What is not known has none.
    fn rank(self) -> Option<u8> {
        match self {
            Self::Created => Some(0),
            Self::Sent => Some(1),
            Self::AwaitingCustomer => Some(2),
            Self::Declined | Self::Expired => Some(3),
            Self::Approved => Some(4),
            Self::Voided => Some(5),
            Self::Unknown | Self::NotSent => None,
        }
    }

    /// Whether `heard` takes the place of this state. Approved after declined is a provider's second
    /// decision, and rises like anything else; nothing falls.
    pub fn gives_way_to(self, heard: Self) -> bool {
        match (self.rank(), heard.rank()) {
            (Some(now), Some(heard)) => heard > now,
            (None, Some(_)) => true,
            // Before anything was heard it can be unknown what came of the asking; afterwards it is known.
            (Some(now), None) => now <= 1,
            (None, None) => self != heard,
        }
    }
}

/// What happens to an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its newest attempt was approved.
    AttemptApproved,
    /// Its newest attempt was declined or ran out, and no other provider is to be asked.
    AttemptsExhausted,
    /// The customer takes it back, or declines to sign.
    Cancel,
    /// Its time is over.
    TimeOver,
    /// The customer signs.
    Sign,
}

impl Event {
    /// As a problem names it.
    pub fn code(self) -> &'static str {
        match self {
            Self::AttemptApproved => "attempt_approved",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Cancel => "cancel",
            Self::TimeOver => "time_over",
            Self::Sign => "sign",
        }
    }
}

impl ApplicationState {
    /// What it is after an event; none when the event cannot happen to it. An approval that comes after the
    /// end is no event: it is voided, and nothing revives.
    pub fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Deciding, Event::AttemptApproved) => Some(Self::Approved),
            (Self::Deciding, Event::AttemptsExhausted) => Some(Self::Rejected),
            (Self::Deciding | Self::Approved, Event::Cancel) => Some(Self::Cancelled),
            (Self::Deciding | Self::Approved, Event::TimeOver) => Some(Self::Expired),
            (Self::Approved, Event::Sign) => Some(Self::Accepted),
            _ => None,
        }
    }

    /// Whether it goes on.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Deciding | Self::Approved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_moves_as_its_table_says_and_in_no_other_way() {
        use ApplicationState as S;
        let table = [
            (S::Deciding, Event::AttemptApproved, S::Approved),
            (S::Deciding, Event::AttemptsExhausted, S::Rejected),
            (S::Deciding, Event::Cancel, S::Cancelled),
            (S::Deciding, Event::TimeOver, S::Expired),
            (S::Approved, Event::Cancel, S::Cancelled),
            (S::Approved, Event::TimeOver, S::Expired),
            (S::Approved, Event::Sign, S::Accepted),
        ];
        let events = [Event::AttemptApproved, Event::AttemptsExhausted, Event::Cancel, Event::TimeOver, Event::Sign];
        for state in S::ALL {
            for event in events {
                let expected = table.iter().find(|(from, on, _)| from == state && *on == event).map(|row| row.2);
                assert_eq!(state.after(event), expected, "{state} on {}", event.code());
                assert!(expected.is_none() || state.is_open(), "{state} is over");
            }
        }
    }

    /// Every order of what can be heard of an attempt ends in the highest of it.
    #[test]
    fn whatever_the_order_an_attempt_ends_in_the_same_state() {
        use AttemptState as A;
        let heard = [A::Sent, A::AwaitingCustomer, A::Declined, A::Approved, A::Voided];
        let mut orders = vec![vec![]];
        for _ in heard {
            let longer = |order: &Vec<A>| {
                heard
                    .iter()
                    .filter(|one| !order.contains(one))
                    .map(|one| [order.clone(), vec![*one]].concat())
                    .collect::<Vec<_>>()
            };
            orders = orders.iter().flat_map(longer).collect();
        }
        assert_eq!(orders.len(), 120);
        for order in orders {
            let end = order.iter().fold(A::Created, |now, heard| if now.gives_way_to(*heard) { *heard } else { now });
            assert_eq!(end, A::Voided, "{order:?}");
        }
        let late = [A::Approved, A::Sent, A::AwaitingCustomer, A::Declined];
        assert_eq!(
            late.iter().fold(A::Created, |now, heard| if now.gives_way_to(*heard) { *heard } else { now }),
            A::Approved
        );
    }

    #[test]
    fn what_is_unknown_becomes_known_and_what_is_known_stays_so() {
        use AttemptState as A;
        let cases = [
            (A::Created, A::Unknown, true),
            (A::Sent, A::Unknown, true),
            (A::AwaitingCustomer, A::Unknown, false),
            (A::Approved, A::Unknown, false),
            (A::Unknown, A::Approved, true),
            (A::Unknown, A::NotSent, true),
            (A::NotSent, A::Sent, true),
            (A::Unknown, A::Unknown, false),
            (A::Approved, A::Approved, false),
        ];
        for (now, heard, gives_way) in cases {
            assert_eq!(now.gives_way_to(heard), gives_way, "{now} on {heard}");
        }
    }
}
