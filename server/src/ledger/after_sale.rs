//! The lines of what happens to an account after its sale: profit earned, late fees, early settlement, returns,
//! refunds (journey.md 5, lines 2, 8, 9, 13 and 13b).
//!
//! Most of it changes the schedule, and the schedule is what the receivable is the sum of. So such an event books
//! what the schedule's change [`Moved`], what the event says for the other side, and the rest is profit.

use daybook_shared::ids::{sha256, uuid_v8};
use daybook_shared::money::MoneyError;
use uuid::Uuid;

use super::posting::{Event, GlAccount, Journal, JournalKind, Line, PostingError, cr, dr, not_negative};

/// The id of an event that nobody names: the same for the same thing, so that it is booked once.
pub fn event_id(what: &str, parts: &[&[u8]]) -> Uuid {
    let context = [b"daybook/event/".as_slice(), what.as_bytes()].concat();
    let mut all = vec![context.as_slice()];
    all.extend(parts);
    uuid_v8(&sha256(&all))
}

/// What a change of a schedule does to the books, minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// By how much more is due in all; negative when less is.
    pub owed_minor: i64,
    /// By how much more of it is not earned yet.
    pub unearned_minor: i64,
    /// By how much more the customer has paid above what is due.
    pub credit_minor: i64,
}

/// Line 2: profit is earned: Dr unearned; Cr profit.
pub fn earned(event: Event, account: i64, minor: i64) -> Result<Journal, PostingError> {
    not_negative([minor])?;
    let lines = vec![dr(GlAccount::unearned(account), minor), cr(GlAccount::PROFIT, minor)];
    Journal::new(JournalKind::Profit, event, lines)
}

/// The journals of a changed schedule: the receivable and what is unearned by what moved, `others` as they are, and
/// profit for the rest; beside it what moves between the account and its customer's credit. A change that moves
/// nothing has none.
pub fn changed(
    kind: JournalKind,
    event: Event,
    (account, customer): (i64, i64),
    moved: Moved,
    others: Vec<Line>,
) -> Result<Vec<Journal>, PostingError> {
    let mut lines = vec![
        Line { account: GlAccount::plan_recv(account), minor: moved.owed_minor },
        Line { account: GlAccount::unearned(account), minor: negated(moved.unearned_minor)? },
    ];
    lines.extend(others);
    let sum = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.minor)).ok_or(MoneyError::Overflow)?;
    lines.push(Line { account: GlAccount::PROFIT, minor: negated(sum)? });
    let mut journals = Vec::with_capacity(2);
    if lines.iter().any(|line| line.minor != 0) {
        journals.push(Journal::new(kind, event, lines)?);
    }
    journals.extend(credit_moved(event, (account, customer), moved.credit_minor)?);
    Ok(journals)
}

/// What moves between an account and its customer's credit when its payments are allocated anew; `minor` more
/// credit than before.
pub fn credit_moved(
    event: Event,
    (account, customer): (i64, i64),
    minor: i64,
) -> Result<Option<Journal>, PostingError> {
    if minor == 0 {
        return Ok(None);
    }
    let lines = vec![
        Line { account: GlAccount::credit(customer), minor: negated(minor)? },
        Line { account: GlAccount::plan_recv(account), minor },
    ];
    Journal::new(JournalKind::CreditApplied, event, lines).map(Some)
}

/// Line 13b: a refund is paid out: Dr refund_payable; Cr where the money was.
pub fn refund_paid(event: Event, customer: i64, source: GlAccount, minor: i64) -> Result<Journal, PostingError> {
    not_negative([minor])?;
    let lines = vec![dr(GlAccount::refund_payable(customer), minor), cr(source, minor)];
    Journal::new(JournalKind::RefundPaid, event, lines)
}

fn negated(minor: i64) -> Result<i64, MoneyError> {
    minor.checked_neg().ok_or(MoneyError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: i64 = 100;
    const CUSTOMER: i64 = 55;

    fn event() -> Event {
        let (booked_on, currency) = ("2026-03-05".parse().unwrap(), "SAR".parse().unwrap());
        Event { id: Uuid::from_bytes([1; 16]), correlation: Uuid::from_bytes([2; 16]), booked_on, currency }
    }

    fn check(journals: impl IntoIterator<Item = Journal>, expected: &[(&str, &[(&str, i64)])]) {
        let lines = |journal: &Journal| -> Vec<_> {
            journal.lines().iter().map(|line| (line.account.to_string(), line.minor)).collect()
        };
        let found: Vec<_> = journals.into_iter().map(|journal| (journal.kind().code(), lines(&journal))).collect();
        let owned = |lines: &[(&str, i64)]| lines.iter().map(|line| (line.0.to_owned(), line.1)).collect::<Vec<_>>();
        let expected: Vec<_> = expected.iter().map(|(kind, lines)| (*kind, owned(lines))).collect();
        assert_eq!(found, expected);
    }

    /// The examples of journey.md 5.
    #[test]
    fn every_event_makes_its_lines() {
        let ids = (ACCOUNT, CUSTOMER);
        check(
            vec![earned(event(), ACCOUNT, 17_972).unwrap()],
            &[("profit", &[("unearned:100", 17_972), ("profit", -17_972)])],
        );
        // 9: the payment itself is a payment; all that was not earned is given up.
        let moved = Moved { owed_minor: -33_259, unearned_minor: -33_259, credit_minor: 0 };
        check(
            changed(JournalKind::EarlySettlement, event(), ids, moved, Vec::new()).unwrap(),
            &[("early_settlement", &[("plan_recv:100", -33_259), ("unearned:100", 33_259)])],
        );
        // By the sum of the digits less is given up, and what is not is earned now.
        let moved = Moved { owed_minor: -32_308, unearned_minor: -33_259, credit_minor: 0 };
        check(
            changed(JournalKind::EarlySettlement, event(), ids, moved, Vec::new()).unwrap(),
            &[("early_settlement", &[("plan_recv:100", -32_308), ("unearned:100", 33_259), ("profit", -951)])],
        );
        // 13: three paid.
        let moved = Moved { owed_minor: -990_000, unearned_minor: -70_239, credit_minor: 0 };
        let others = vec![dr(GlAccount::ORDERS, 1_200_000), cr(GlAccount::refund_payable(CUSTOMER), 330_000)];
        check(
            changed(JournalKind::Return, event(), ids, moved, others).unwrap(),
            &[(
                "return",
                &[
                    ("plan_recv:100", -990_000),
                    ("unearned:100", 70_239),
                    ("orders", 1_200_000),
                    ("refund_payable:55", -330_000),
                    ("profit", 49_761),
                ],
            )],
        );
        // 8, of which the customer's credit pays a part.
        let moved = Moved { owed_minor: 500, unearned_minor: 0, credit_minor: -200 };
        check(
            changed(JournalKind::LateFee, event(), ids, moved, vec![cr(GlAccount::CHARITY, 500)]).unwrap(),
            &[
                ("late_fee", &[("plan_recv:100", 500), ("charity", -500)]),
                ("credit_applied", &[("credit:55", 200), ("plan_recv:100", -200)]),
            ],
        );
        check(
            vec![refund_paid(event(), CUSTOMER, GlAccount::BANK, 330_000).unwrap()],
            &[("refund_paid", &[("refund_payable:55", 330_000), ("bank", -330_000)])],
        );
        assert_eq!(changed(JournalKind::Return, event(), ids, Moved::default(), Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn an_event_without_a_name_has_the_same_id_every_time() {
        assert_eq!(event_id("profit", &[b"a", b"b"]), event_id("profit", &[b"a", b"b"]));
        assert_ne!(event_id("profit", &[b"a"]), event_id("late_fee", &[b"a"]));
    }
}
