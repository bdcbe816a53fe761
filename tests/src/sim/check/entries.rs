//! I1, I5 and I7: nothing that was captured is lost, nothing is judged twice, and what was answered
//! stays answered.

use daybook_shared::entry::{Body, Entry};
use daybook_shared::ids::PaymentId;
use daybook_shared::wire::outcome::{Flag, Outcome, OutcomeState};

use super::ledger;
use crate::sim::says::words;
use crate::sim::world::World;

/// Checks every capture of every phone.
pub fn check(world: &World) {
    let server = world.entries();
    let payments = ledger::payments(world);
    for phone in &world.phones {
        kept(phone);
        for (id, bytes, shown) in phone.store().own_entries().expect("the store can be read") {
            let Some(entry) = server.get(&id) else { panic!("I1: {}: entry {id} never arrived", phone.name) };
            assert_eq!(entry.bytes, bytes, "I1: {}: entry {id} has other bytes", phone.name);
            let repayment = matches!(Entry::decode(&bytes).expect("an entry of ours").body, Body::Repayment(_));
            if repayment && entry.outcome.state != OutcomeState::Refused {
                let payment = payments.get(&PaymentId::from(id));
                let state = payment.map(|payment| payment.0.as_str());
                let fits = match entry.outcome.state {
                    OutcomeState::Posted => matches!(state, Some("posted" | "reversed" | "matched")),
                    OutcomeState::Held => state == Some("held"),
                    _ => false,
                };
                assert!(fits, "I1: entry {id} is {}, its payment {payment:?}", words(&entry.outcome));
            }
            if let Some(shown) = shown {
                let has = |outcome: &Outcome, which| outcome.flags.iter().flatten().any(|flag| *flag == which);
                let reversed = has(&entry.outcome, Flag::Reversed);
                // A phone that is locked hears no more: of a ruling, or of a file that came meanwhile.
                let evidence_came = has(&shown, Flag::EvidencePending) && without_evidence(&shown) == entry.outcome;
                assert!(
                    shown == entry.outcome || shown.state == OutcomeState::Held || reversed || evidence_came,
                    "I7: {}: entry {id} was {}, is {}",
                    phone.name,
                    words(&shown),
                    words(&entry.outcome)
                );
            }
        }
        for (id, told) in &phone.told {
            assert!(server.contains_key(id), "I7: {}: entry {id} was answered {} and is gone", phone.name, words(told));
        }
    }
}

fn without_evidence(outcome: &Outcome) -> Outcome {
    let flags = outcome.flags.iter().flatten().filter(|flag| **flag != Flag::EvidencePending).cloned();
    let flags: Vec<_> = flags.collect();
    Outcome { flags: (!flags.is_empty()).then_some(flags), ..outcome.clone() }
}

/// I5: a capture is in its store until its answer came.
pub fn kept(phone: &crate::sim::phone::Phone) {
    let own: std::collections::BTreeSet<_> =
        phone.store().own_entries().expect("the store can be read").into_iter().map(|(id, ..)| id).collect();
    for id in phone.captured.keys() {
        assert!(
            own.contains(id) || phone.told.contains_key(id) || phone.handed_in.contains(id),
            "I5: {}: the unanswered capture {id} is gone from the store",
            phone.name
        );
    }
}
