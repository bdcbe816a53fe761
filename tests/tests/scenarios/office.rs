//! S20, S23, and the cashier's count: what people decide about what was posted.

use daybook_mobile_sync::capture::What;
use daybook_server::auth::Role;
use daybook_server::auth::caseloads::Membership;
use daybook_shared::entry::{Correction, CorrectionKind, Proposed};
use daybook_shared::ids::PaymentId;
use daybook_tests::sim::{Terms, World};
use serde_json::json;

use crate::on_every_engine;

#[test]
fn s20_a_posted_repayment_changes_only_by_a_correction_that_another_person_approves() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let paid = world.cash(on, acc, 1000);
        world.sync(on);
        let bytes = world.entries()[&paid].bytes.clone();
        // When the officer says that it was less, and the supervisor agrees.
        let proposed = Some(Proposed { amount_minor: Some(700), ..Proposed::default() });
        let reason = "Counted again.".to_owned();
        let correction = Correction { target: paid, kind: CorrectionKind::WrongAmount, proposed, reason };
        let asked = world.record(on, What::Correction { dossier: None, correction });
        world.sync(on);
        assert_eq!(world.outcome(asked), "noted");
        assert_eq!(world.stands(acc), "active, owes 2000, paid 1000, credit 0", "asking changes nothing");
        assert_eq!(world.rule_on(deka, asked, true).status, 204);
        // Then the original stays as it was recorded, taken back, and the right sum is posted.
        assert_eq!(world.entries()[&paid].bytes, bytes);
        assert_eq!(world.outcome(paid), "posted REVERSED");
        assert_eq!(world.stands(acc), "active, owes 2300, paid 700, credit 0");
        assert_eq!(world.cash_in_hand(amina), 700);
        // And a second decision finds the first.
        let again = world.rule_on(deka, asked, false);
        assert_eq!((again.status, again.code().as_str()), (409, "already-decided"));
        world.settle(&[on]);
        assert_eq!(world.shown(on, paid), "posted REVERSED");
        world.check_all(&[on]);
    });
}

#[test]
fn s23_taking_a_payment_back_lets_the_later_ones_pay_in_its_place() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(2));
        world.sync(on);
        // Given an account that three payments closed, the last with a rest of credit.
        let first = world.cash(on, acc, 900);
        let second = world.cash(on, acc, 900);
        let third = world.cash(on, acc, 500);
        world.sync(on);
        assert_eq!(world.stands(acc), "closed(paid), owes 0, paid 2000, credit 300");
        // When the first is taken back.
        assert_eq!(world.reverse(deka, first).status, 204);
        // Then the account is open again, and all that is left pays from the oldest instalment on.
        assert_eq!(world.stands(acc), "active, owes 600, paid 1400, credit 0");
        assert_eq!(world.cash_in_hand(amina), 1400);
        assert_eq!(world.outcome(second), "posted LIKELY_DUPLICATE");
        let again = world.reverse(deka, first);
        assert_eq!((again.status, again.code().as_str()), (409, "already-decided"));
        world.settle(&[on]);
        assert_eq!(world.shown(on, third), "posted OVER_PAYOFF");
        world.check_all(&[on]);
    });
}

#[test]
fn s23_what_stands_in_place_of_a_payment_is_taken_back_like_any_other() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        // Given a payment whose amount was put right.
        let paid = world.cash(on, acc, 1000);
        let proposed = Some(Proposed { amount_minor: Some(700), ..Proposed::default() });
        let reason = "Counted again.".to_owned();
        let correction = Correction { target: paid, kind: CorrectionKind::WrongAmount, proposed, reason };
        let asked = world.record(on, What::Correction { dossier: None, correction });
        world.sync(on);
        assert_eq!(world.rule_on(deka, asked, true).status, 204);
        let stands: Vec<(PaymentId,)> = world.server.rows("select uid from payment where state = 'posted'");
        let [(instead,)] = stands[..] else { panic!("{stands:?}") };
        // When it turns out that nobody paid at all.
        let path = format!("/v1/payments/{instead}/reversal");
        assert_eq!(world.decide(deka, &path, json!({ "reason": "Nobody paid." })).status, 204);
        // Then nothing is paid, once, and the phone is told.
        assert_eq!(world.stands(acc), "active, owes 3000, paid 0, credit 0");
        assert_eq!(world.cash_in_hand(amina), 0);
        let again = world.decide(deka, &path, json!({ "reason": "Nobody paid." }));
        assert_eq!((again.status, again.code().as_str()), (409, "already-decided"));
        let original = world.reverse(deka, paid);
        assert_eq!((original.status, original.code().as_str()), (409, "conflict"), "it was taken back long ago");
        world.settle(&[on]);
        assert_eq!(world.shown(on, paid), "posted REVERSED");
        world.check_all(&[on]);
    });
}

/// Two people rule on one payment at the same moment, one by a reversal, one by approving a correction.
#[test]
fn s22_a_payment_is_taken_back_once_whoever_rules_on_it_at_the_same_moment() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (deka, farah) = (world.supervisor("Deka"), world.supervisor("Farah"));
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        for round in 0..8 {
            let paid = world.cash(on, acc, 500);
            let reason = "Nobody paid.".to_owned();
            let correction = Correction { target: paid, kind: CorrectionKind::Void, proposed: None, reason };
            let asked = world.record(on, What::Correction { dossier: None, correction });
            world.sync(on);
            let reversal = (deka, format!("/v1/payments/{paid}/reversal"), json!({ "reason": "Nobody paid." }));
            let approval = (farah, format!("/v1/corrections/{asked}/decision"), json!({ "approve": true }));
            let answers = world.decide_at_once(vec![reversal, approval]);
            let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [204, 409], "round {round}");
            assert_eq!(world.stands(acc), "active, owes 3000, paid 0, credit 0");
            assert_eq!(world.cash_in_hand(amina), 0);
        }
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn a_hand_over_is_not_held_for_a_payment_that_was_taken_back_meanwhile() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let good = world.cash(on, acc, 700);
        let wrong = world.cash(on, acc, 300);
        world.sync(on);
        // Given a payment that was taken back while the officer, without network, declares both.
        assert_eq!(world.reverse(deka, wrong).status, 204);
        let handed = world.handover(on, &[good, wrong], 1000);
        world.sync(on);
        // Then the good cash does not wait for the other; the count says what is there.
        assert_eq!(world.outcome(handed), "noted");
        assert_eq!(world.cash_in_hand(amina), 700);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn s23_nobody_takes_back_his_own_capture() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(2));
        world.sync(on);
        let paid = world.cash(on, acc, 900);
        world.sync(on);
        world.give_role(amina, Role::Supervisor);
        let answer = world.reverse(amina, paid);
        assert_eq!((answer.status, answer.code().as_str()), (403, "same-person"));
        assert_eq!(world.stands(acc), "active, owes 1100, paid 900, credit 0");
    });
}

#[test]
fn a_count_relieves_the_officer_and_a_shortage_stays_his() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let cashier = world.person("Esther", Role::Cashier);
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let paid = world.cash(on, acc, 1000);
        let handed = world.handover(on, &[paid], 1000);
        world.sync(on);
        assert_eq!(world.outcome(handed), "noted");
        assert_eq!(world.cash_in_hand(amina), 1000, "a hand-over declares; a count moves");
        assert_eq!(world.count(cashier, amina, 900, Some(handed)).status, 204);
        assert_eq!(world.cash_in_hand(amina), 0);
        assert_eq!(world.stands(acc), "active, owes 2000, paid 1000, credit 0", "the customer's payment stands");
        let lines: Vec<(String, i64)> = world.server.rows(
            "select l.gl, l.minor from line l join journal j on j.id = l.journal_id where j.kind = 'count' order by l.n",
        );
        let text = |gl: &str, minor| (gl.to_owned(), minor);
        assert_eq!(lines, [text("till", 900), text("officer_recv", 100), text("officer_cash", -1000)]);
        // The same cash is in no second hand-over.
        let twice = world.handover(on, &[paid], 1000);
        world.sync(on);
        assert_eq!(world.outcome(twice), "held(NOT_IN_HAND)");
        world.check_all(&[on]);
    });
}

#[test]
fn cash_of_a_case_that_left_the_phone_is_handed_over_and_counted() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, _) = world.officer("Barasa");
        let (deka, esther) = (world.supervisor("Deka"), world.person("Esther", Role::Cashier));
        let (left, stays) = (world.account(amina, Terms::months(3)), world.account(amina, Terms::months(3)));
        world.sync(on);
        let offered = |world: &World| {
            let moment = world.phone(on).moment(world.now());
            world.phone(on).store().view(moment).unwrap().cash().unwrap().to_hand_over
        };
        // Given cash of a case that went to Barasa, and a payment of it that is taken back afterwards.
        let captures = [(left, 700), (left, 50), (stays, 300)].map(|(acc, minor)| {
            world.pass_ms(60_000);
            world.cash(on, acc, minor)
        });
        let paid = captures.to_vec();
        world.sync(on);
        assert_eq!(world.reassign(deka, left, Some(barasa)).status, 204);
        world.settle(&[on]);
        assert_eq!(world.phone(on).store().dossiers().unwrap().len(), 1, "one case is left");
        assert_eq!(offered(&world), paid, "the money is still hers");
        assert_eq!(world.reverse(deka, paid[1]).status, 204);
        world.settle(&[on]);
        assert_eq!(offered(&world), [paid[0], paid[2]]);
        // When she hands over what her phone offers.
        let handed = world.handover(on, &[paid[0], paid[2]], 1000);
        world.sync(on);
        // Then it is taken, counted, and offered no more; not even when her day leaves the phone too.
        assert_eq!(world.outcome(handed), "noted");
        assert_eq!(world.count(esther, amina, 1000, Some(handed)).status, 204);
        assert_eq!((world.cash_in_hand(amina), offered(&world)), (0, Vec::new()));
        world.set_member(amina, amina, Membership::Gone);
        world.settle(&[on]);
        assert!(world.phone(on).store().own_entries().unwrap().is_empty());
        assert_eq!(offered(&world), []);
        world.check_all(&[on]);
    });
}
