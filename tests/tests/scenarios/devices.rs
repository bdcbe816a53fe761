//! S1, S2, S14, S19, S21: devices, what they send again, and what they should not have.

use daybook_mobile_sync::session::SyncEnd;
use daybook_server::auth::device::Ending;
use daybook_shared::money::Money;
use daybook_shared::wire::exchange::Answer as Word;
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::says::words;
use daybook_tests::sim::{KES, Terms, forge};

use crate::on_every_engine;

#[test]
fn s1_a_lost_answer_and_a_request_sent_twice_make_one_posting() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let paid = world.cash(on, acc, 1000);
        // When the server takes the envelope and the app dies before the answer; the request comes twice.
        let now = world.now();
        let Some(Step::Send(request)) = world.phones[on.0].begin_sync(now, &mut world.rng) else { panic!("a request") };
        let first = world.deliver(on, &request);
        let second = world.deliver(on, &request);
        assert_eq!((first.status, second.status), (200, 409));
        assert_eq!(second.code(), "stale-request");
        world.phones[on.0].kill();
        world.server.restart();
        let now = world.now();
        world.phones[on.0].open(now, &mut world.rng);
        assert_eq!(world.shown(on, paid), "pending");
        // Then the phone sends the same envelope again and gets the same answer.
        let report = world.sync(on);
        assert_eq!((report.end, report.round_trips), (SyncEnd::UpToDate, 1));
        assert_eq!(world.shown(on, paid), "posted");
        assert_eq!(world.stands(acc), "active, owes 2000, paid 1000, credit 0");
        assert_eq!(world.cash_in_hand(amina), 1000);
        world.check_all(&[on]);
    });
}

#[test]
fn s2_an_id_with_other_content_is_refused_and_the_first_stands() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        let first = forge::cash(&mut world, &raw, acc, Money::new(500, KES), "BOOK7-000001");
        let mut second = forge::cash(&mut world, &raw, acc, Money::new(900, KES), "BOOK7-000002");
        second.head.id = first.head.id;
        let taken = raw.upload(&world, &[first.encode()], Vec::new());
        let envelope = raw.seal(&[second.encode()], Vec::new());
        let refused = raw.words(&world, std::slice::from_ref(&envelope));
        assert_eq!(words(&taken.outcomes[0]), "posted OUT_OF_BLOCK");
        let Word::Taken { outcomes, .. } = &refused[0] else { panic!("{refused:?}") };
        assert_eq!(words(&outcomes[0]), "refused(ID_TAKEN)");
        assert_eq!(world.entries()[&first.head.id].bytes, first.encode());
        assert_eq!(world.stands(acc), "active, owes 2500, paid 500, credit 0");
        // The raw record is kept, in its envelope.
        let kept: Vec<(Vec<u8>,)> = world.server.rows("select bytes from envelope");
        assert!(kept.iter().any(|row| row.0 == envelope));
    });
}

#[test]
fn s14_after_a_deactivation_captures_wait_and_the_cash_is_still_owed() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        // Given cash from before and from after the deactivation, all offline.
        let before = world.cash(on, acc, 300);
        world.pass_ms(3_600_000);
        world.deactivate(amina);
        world.pass_ms(3_600_000);
        let after = world.cash(on, acc, 400);
        let report = world.sync(on);
        // Then all of it is handed in; what came after waits, and both are owed.
        assert!(matches!(report.end, SyncEnd::Locked(_)), "{report:?}");
        assert_eq!(world.outcome(before), "posted");
        assert_eq!(world.outcome(after), "held(AFTER_DEACTIVATION)");
        assert_eq!(world.cash_in_hand(amina), 700);
        assert_eq!(world.lines(after), ["suspense: Dr officer_cash 400", "suspense: Cr suspense 400"]);
        assert_eq!(world.release(deka, after, serde_json::json!({})).status, 204);
        assert_eq!(world.stands(acc), "active, owes 2300, paid 700, credit 0");
        assert_eq!(world.cash_in_hand(amina), 700);
        // Captured later still, it is handed in by deposit alone.
        let late = world.cash(on, acc, 50);
        world.sync(on);
        assert_eq!(world.outcome(late), "held(AFTER_DEACTIVATION)");
        daybook_tests::sim::check::ledger::check(&world);
    });
}

#[test]
fn s14_a_stolen_phone_is_not_believed_and_nobody_is_charged() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let paid = world.cash(on, acc, 300);
        world.end_device(on, Ending::Loss);
        world.sync(on);
        assert_eq!(world.outcome(paid), "held(DEVICE_LOST)");
        assert_eq!(world.cash_in_hand(amina), 0);
        assert_eq!(world.lines(paid), Vec::<String>::new());
        // A person releases it against the paper receipt.
        assert_eq!(world.release(deka, paid, serde_json::json!({})).status, 204);
        assert_eq!(world.cash_in_hand(amina), 300);
        assert_eq!(world.lines(paid), ["repayment: Dr officer_cash 300", "repayment: Cr plan_recv 300"]);
        daybook_tests::sim::check::ledger::check(&world);
    });
}

#[test]
fn s19_a_restored_phone_starts_a_new_install_and_loses_nothing_it_still_holds() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        // Given a backup with an unsent capture in it, which is sent afterwards, and one more.
        let first = world.cash(on, acc, 1000);
        let now = world.now();
        world.phones[on.0].back_up(now, &mut world.rng);
        world.sync(on);
        let second = world.cash(on, acc, 500);
        world.sync(on);
        let install = world.phone(on).store().install().unwrap();
        // When the backup is put back.
        let now = world.now();
        world.phones[on.0].restore(now, &mut world.rng);
        assert!(world.phone(on).store().began_new_install());
        assert_ne!(world.phone(on).store().install().unwrap(), install);
        // Then captures go on at once, under a provisional number.
        let third = world.cash(on, acc, 250);
        world.settle(&[on]);
        assert_eq!(world.shown(on, first), "posted");
        assert_eq!(world.shown(on, second), "posted", "what the store had forgotten comes back");
        assert_eq!(world.outcome(third), "posted PROVISIONAL_RECEIPT");
        assert_eq!(world.stands(acc), "active, owes 4250, paid 1750, credit 0");
        // And the next number is of a new block.
        let fourth = world.cash(on, acc, 100);
        world.sync(on);
        assert_eq!(world.outcome(fourth), "posted");
        let blocks: Vec<(i64,)> = world.server.rows("select first_number from receipt_block order by id");
        assert_eq!(blocks, [(1,), (51,)]);
        world.check_all(&[on]);
    });
}

#[test]
fn s19_two_phones_of_one_identity_both_get_their_captures_through() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        let now = world.now();
        let clone = world.phones[on.0].cloned("clone", now, &mut world.rng);
        let clone = world.add_phone(clone);
        // When both go on under the same numbers.
        let on_one = world.visit(on, acc);
        let on_other = world.visit(clone, acc);
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
        let report = world.sync(clone);
        // Then the second is told, starts anew, and nothing is lost or mixed.
        assert_eq!((report.end, report.new_installs), (SyncEnd::UpToDate, 1));
        assert_eq!((world.outcome(on_one), world.outcome(on_other)), ("noted".to_owned(), "noted".to_owned()));
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
    });
}

#[test]
fn s21_an_envelope_that_was_altered_is_not_taken() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        let entry = forge::cash(&mut world, &raw, acc, Money::new(1000, KES), "BOOK7-000001");
        let sealed = raw.seal(&[entry.encode()], Vec::new());
        // When somebody makes less of it before it is sent: one byte of the amount, in the sealed bytes.
        let amount = [0x19, 0x03, 0xe8];
        let at = sealed.windows(3).position(|window| window == amount).expect("the amount is there");
        let mut altered = sealed.clone();
        altered[at + 2] -= 1;
        let word = raw.words(&world, &[altered]);
        assert_eq!(word, [Word::Refused { code: "envelope_signature".to_owned() }]);
        assert_eq!(world.outcome(entry.head.id), "unknown");
        // Then nothing was consumed: the true one is taken.
        let word = raw.words(&world, &[sealed]);
        assert!(matches!(word[0], Word::Taken { .. }), "{word:?}");
        assert_eq!(world.outcome(entry.head.id), "posted OUT_OF_BLOCK");
    });
}
