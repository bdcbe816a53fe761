//! Entries that name each other: a link never holds anything, in any order of arrival.

use daybook_mobile_sync::capture::RepaymentDraft;
use daybook_shared::entry::Body;
use daybook_shared::money::Money;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::says::words;
use daybook_tests::sim::{KES, Terms, forge};

use crate::on_every_engine;

#[test]
fn a_visit_and_a_repayment_that_name_each_other_are_taken_in_both_orders() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let cases: Vec<_> = (0..4).map(|_| world.account(amina, Terms::months(3))).collect();
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        for (number, acc) in cases.into_iter().enumerate() {
            let receipt = format!("BOOK7-{:06}", number + 1);
            let mut visit = forge::visit(&mut world, &raw, acc);
            let mut paid = forge::cash(&mut world, &raw, acc, Money::new(500, KES), &receipt);
            if let (Body::Visit(visit_body), Body::Repayment(repayment)) = (&mut visit.body, &mut paid.body) {
                visit_body.stop = Some(paid.head.id);
                repayment.visit = Some(visit.head.id);
            }
            let mut entries = [(visit.encode(), "noted"), (paid.encode(), "posted OUT_OF_BLOCK")];
            let (is_reversed, is_one_envelope) = (number % 2 == 1, number < 2);
            if is_reversed {
                entries.reverse();
            }
            let bytes: Vec<_> = entries.iter().map(|(bytes, _)| bytes.clone()).collect();
            let batches: Vec<&[Vec<u8>]> = bytes.chunks(if is_one_envelope { 2 } else { 1 }).collect();
            let outcomes = batches.into_iter().flat_map(|batch| raw.upload(&world, batch, Vec::new()).outcomes);
            let said: Vec<_> = outcomes.map(|outcome| words(&outcome)).collect();
            assert_eq!(said, entries.map(|(_, expected)| expected), "case {number}");
            assert_eq!(world.stands(acc), "active, owes 2500, paid 500, credit 0");
        }
        let fresh = world.enrolled(amina);
        world.sync(fresh);
        world.check_all(&[fresh]);
    });
}

#[test]
fn a_repayment_may_name_a_visit_that_nobody_ever_records() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let nobodys = daybook_shared::ids::EntryId::new(world.now(), &mut world.rng);
        let paid = world.repay(on, RepaymentDraft { visit: Some(nobodys), ..world.cash_draft(acc, 500) });
        world.sync(on);
        assert_eq!(world.shown(on, paid), "posted");
        world.check_all(&[on]);
    });
}
