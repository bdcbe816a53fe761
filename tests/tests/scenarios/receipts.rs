//! S3, S4, S7, S8: one receipt number, one payment; numbers that were perhaps given out.

use axum::http::Method;
use daybook_server::auth::Role;
use daybook_server::auth::device::Ending;
use daybook_shared::cbor;
use daybook_shared::ids::InstallId;
use daybook_shared::money::Money;
use daybook_shared::wire::exchange::Request;
use daybook_shared::wire::framing::deflate;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::{KES, Terms, Who, World, forge};
use serde_json::{Value, json};

use crate::on_every_engine;

#[test]
fn s3_one_payment_on_two_phones_posts_once_and_a_supervisor_says_duplicate() {
    on_every_engine(|mut world| {
        // Given a case that moved from Amina to Barasa while both were out with its paper receipt.
        let (amina, amina_on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(amina_on);
        world.pass_ms(3_600_000);
        world.assign(acc, Some(barasa));
        world.sync(barasa_on);
        // When both record the same payment.
        let first = world.cash_on_paper(amina_on, acc, 1000, "BOOK7-000123");
        let second = world.cash_on_paper(barasa_on, acc, 1000, "BOOK7-000123");
        world.sync(barasa_on);
        world.sync(amina_on);
        // Then the one that came first is posted, the other waits, and only one officer is charged.
        assert_eq!(world.shown(barasa_on, second), "posted OUT_OF_BLOCK");
        assert_eq!(world.outcome(first), "held(DUP_RECEIPT)");
        assert_eq!(world.stands(acc), "active, owes 2000, paid 1000, credit 0");
        assert_eq!((world.cash_in_hand(amina), world.cash_in_hand(barasa)), (0, 1000));
        assert_eq!(world.lines(first), Vec::<String>::new());
        // And when the supervisor says that it is the same payment, it ends and nothing moves.
        assert_eq!(world.reject(deka, first, "DUPLICATE").status, 204);
        world.sync(amina_on);
        assert_eq!(world.outcome(first), "refused(DUPLICATE)");
        assert_eq!((world.cash_in_hand(amina), world.cash_in_hand(barasa)), (0, 1000));
        world.settle(&[amina_on, barasa_on]);
        world.check_all(&[amina_on, barasa_on]);
    });
}

#[test]
fn s3_one_number_for_two_payments_posts_the_second_under_a_new_number() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        // Given two payments under one number of a paper book.
        let first = world.cash_on_paper(on, acc, 1000, "BOOK7-000123");
        let second = world.cash_on_paper(on, acc, 700, "BOOK7-000123");
        world.sync(on);
        assert_eq!(world.outcome(first), "posted OUT_OF_BLOCK");
        assert_eq!(world.outcome(second), "held(DUP_RECEIPT)");
        assert_eq!(world.cash_in_hand(amina), 1000);
        // When the supervisor says that they differ, and gives the second a number of its own.
        let bare = world.release(deka, second, json!({}));
        assert_eq!((bare.status, bare.code().as_str()), (409, "still-held"));
        assert_eq!(world.release(deka, second, json!({ "receipt": "OFFICE-000001" })).status, 204);
        // Then both are in the ledger, and the officer owes both.
        world.sync(on);
        assert!(world.shown(on, second).starts_with("posted RELEASED"), "{}", world.shown(on, second));
        assert_eq!(world.stands(acc), "active, owes 1300, paid 1700, credit 0");
        assert_eq!(world.cash_in_hand(amina), 1700);
        assert_eq!(world.lines(second), ["repayment: Dr officer_cash 700", "repayment: Cr plan_recv 700"]);
        world.check_all(&[on]);
    });
}

#[test]
fn s4_two_equal_payments_on_a_day_both_post_and_are_flagged() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        // When an officer takes the same amount twice on a day, under two numbers.
        let first = world.cash(on, acc, 500);
        let second = world.cash(on, acc, 500);
        world.sync(on);
        // Then both post, the second flagged for a look.
        assert_eq!(world.outcome(first), "posted");
        assert_eq!(world.outcome(second), "posted LIKELY_DUPLICATE");
        assert_eq!(world.stands(acc), "active, owes 2000, paid 1000, credit 0");
        assert_eq!(world.cash_in_hand(amina), 1000);
        // And it is void only by a reversal.
        assert_eq!(world.reverse(deka, second).status, 204);
        assert_eq!(world.stands(acc), "active, owes 2500, paid 500, credit 0");
        assert_eq!(world.cash_in_hand(amina), 500);
        world.settle(&[on]);
        assert_eq!(world.shown(on, second), "posted LIKELY_DUPLICATE REVERSED");
        world.check_all(&[on]);
    });
}

#[test]
fn s7_one_number_on_two_accounts_posts_the_first_and_is_never_used_again() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let one = world.account(amina, Terms::months(3));
        let other = world.account(amina, Terms::months(3));
        world.sync(on);
        let first = world.cash_on_paper(on, one, 500, "BOOK7-000123");
        let second = world.cash_on_paper(on, other, 600, "BOOK7-000123");
        world.sync(on);
        assert_eq!(world.outcome(first), "posted OUT_OF_BLOCK");
        assert_eq!(world.outcome(second), "held(DUP_RECEIPT)");
        assert_eq!(world.stands(other), "active, owes 3000, paid 0, credit 0");
        // Even when the first is taken back, its number stays used.
        assert_eq!(world.reverse(deka, first).status, 204);
        let third = world.cash_on_paper(on, other, 600, "BOOK7-000123");
        world.sync(on);
        assert_eq!(world.outcome(third), "held(DUP_RECEIPT)");
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn s8_a_typo_is_told_from_the_true_number_before_its_block_is_granted() {
    on_every_engine(|mut world| {
        let (amina, amina_on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let one = world.account(amina, Terms::months(3));
        let other = world.account(barasa, Terms::months(3));
        world.settle(&[amina_on, barasa_on]);
        // Given a number of Barasa's series that no block holds yet.
        let series: Vec<(String, i64)> = world.server.rows("select series, receipt_next from device order by id");
        let (series, next) = &series[1];
        let number = format!("{series}-{:06}", next + 9);
        // When Amina types it by mistake, and Barasa's true capture comes later.
        let typo = world.cash_on_paper(amina_on, one, 200, &number);
        world.sync(amina_on);
        let truth = world.cash_on_paper(barasa_on, other, 300, &number);
        world.sync(barasa_on);
        // Then hers waits, and his posts, flagged, as it is in no block of his.
        assert_eq!(world.outcome(typo), "held(FOREIGN_BLOCK)");
        assert_eq!(world.outcome(truth), "posted OUT_OF_BLOCK");
        world.settle(&[amina_on, barasa_on]);
        world.check_all(&[amina_on, barasa_on]);
    });
}

#[test]
fn s8_a_number_of_nobodys_block_posts_flagged_and_anothers_number_is_held_in_any_order() {
    on_every_engine(|mut world| {
        let (amina, amina_on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let one = world.account(amina, Terms::months(3));
        let other = world.account(barasa, Terms::months(3));
        world.settle(&[amina_on, barasa_on]);
        let out = world.cash_on_paper(amina_on, one, 100, "BOOK7-000001");
        // Given the number that Barasa's phone gives out next.
        let before = world.cash(barasa_on, other, 10);
        let draft = world.phone(barasa_on).store().own_entries().unwrap();
        let own =
            daybook_shared::entry::Entry::decode(&draft.iter().find(|(id, ..)| *id == before).unwrap().1).unwrap();
        let daybook_shared::entry::Body::Repayment(repayment) = own.body else { panic!("a repayment") };
        let receipt = repayment.receipt.unwrap();
        let next = format!("{}-{:06}", receipt.series(), receipt.number() + 1);
        // When Amina types it by mistake, and her capture comes before the true one.
        let typo = world.cash_on_paper(amina_on, one, 200, &next);
        world.sync(amina_on);
        let truth = world.cash(barasa_on, other, 300);
        world.sync(barasa_on);
        // Then the typo waits and the true one posts; and the same once more the other way round.
        assert_eq!(world.outcome(out), "posted OUT_OF_BLOCK");
        assert_eq!(world.outcome(typo), "held(FOREIGN_BLOCK)");
        assert_eq!(world.outcome(truth), "posted");
        let again = world.cash_on_paper(amina_on, one, 200, &next);
        world.sync(amina_on);
        assert_eq!(world.outcome(again), "held(FOREIGN_BLOCK)");
        // The cash is in her hand all the same.
        assert_eq!((world.cash_in_hand(amina), world.cash_in_hand(barasa)), (500, 310));
        assert_eq!(world.lines(typo), ["suspense: Dr officer_cash 200", "suspense: Cr suspense 200"]);
        world.settle(&[amina_on, barasa_on]);
        world.check_all(&[amina_on, barasa_on]);
    });
}

/// What a person sees of numbers that were perhaps given out: `D01-000003..D01-000050`.
fn unexplained(world: &World, who: Who) -> Vec<String> {
    let answer = world.rest(who, Method::GET, "/v1/receipts/unexplained", &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.json());
    let blocks = answer.json()["items"].as_array().cloned().unwrap_or_default();
    let runs = blocks.iter().flat_map(|block| block["unexplained"].as_array().cloned().unwrap_or_default());
    runs.map(|run| format!("{}..{}", run["first"].as_str().expect("a text"), run["last"].as_str().expect("a text")))
        .collect()
}

/// Goal: numbers are not given away on a phone's word. Method: a device says with every request that it has
/// none left.
#[test]
fn s8_a_device_that_shows_no_number_gets_no_more_of_them() {
    on_every_engine(|mut world| {
        let (_, on) = world.officer("Amina");
        let mut raw = Raw::of(&world, on);
        let newest = |world: &World| {
            let rows: Vec<(i64,)> = world.server.rows("select max(last_number) from receipt_block");
            u32::try_from(rows[0].0).unwrap()
        };
        for _ in 0..5 {
            let request = Request { receipt_last: newest(&world), receipts_left: 0, ..Raw::request(&[]) };
            assert_eq!(raw.post(&world, "/v1/sync", deflate(&cbor::to_vec(&request))).status, 200);
        }
        assert_eq!(newest(&world), 100, "the first block, and one for a phone that is far from the network");
    });
}

/// Goal: I1, what a store still held when it was rolled back shows as numbers that were perhaps given
/// out. Method: a phone takes cash that it never hands in and is put back from its backup; the newer copy
/// of its store turns up later.
#[test]
fn s8_numbers_a_lost_store_may_have_given_out_are_listed_until_they_are_explained() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let auditor = world.person("Faraji", Role::Auditor);
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        world.cash(on, acc, 100);
        world.cash(on, acc, 200);
        world.sync(on);
        assert_eq!(unexplained(&world, deka), Vec::<String>::new(), "the phone goes on using its block");
        let now = world.now();
        world.phones[on.0].back_up(now, &mut world.rng);
        let newer = world.phones[on.0].cloned("newer", now, &mut world.rng);
        let newer = world.add_phone(newer);
        let third = world.cash(newer, acc, 300);
        // When the backup is put back, the old block ends.
        let now = world.now();
        world.phones[on.0].restore(now, &mut world.rng);
        world.sync(on);
        assert_eq!(unexplained(&world, deka), ["D01-000003..D01-000050"]);
        assert_eq!(unexplained(&world, auditor), ["D01-000003..D01-000050"]);
        // Then a person explains what was never written, as often as he sends it.
        let path = "/v1/receipts/D01-000004/explanation";
        let body = json!({
            "id": "01957c00-0000-7000-8000-000000000001",
            "last": "D01-000050",
            "reason": "The book shows that the third was the last.",
        });
        for (who, status) in [(amina, 403), (auditor, 403), (deka, 204), (deka, 204)] {
            assert_eq!(world.rest(who, Method::POST, path, &body).status, status);
        }
        assert_eq!(unexplained(&world, deka), ["D01-000003..D01-000003"]);
        let audited: Vec<(i64,)> = world.server.rows("select count(*) from audit where action = 'receipt.decided'");
        assert_eq!(audited, [(1,)]);
        // What is explained, used, or still to be used, is not explained again.
        let why = json!({ "reason": "Nobody knows." });
        for (number, status, code) in [
            ("D01-000004", 409, "conflict"),
            ("D01-000001", 409, "conflict"),
            ("D01-000051", 409, "conflict"),
            ("D01-000777", 404, "not-found"),
            ("BOOK7-000001", 404, "not-found"),
            ("D01", 404, "not-found"),
        ] {
            let answer = world.decide(deka, &format!("/v1/receipts/{number}/explanation"), why.clone());
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{number}");
        }
        for last in ["D01-000002", "D01-000051", "D02-000003", "3"] {
            let body = json!({ "last": last, "reason": "Nobody knows." });
            let answer = world.decide(deka, "/v1/receipts/D01-000003/explanation", body);
            assert_eq!((answer.status, answer.code().as_str()), (422, "validation"), "{last}");
        }
        // And when the third turns up after all, it explains itself.
        world.sync(newer);
        assert_eq!(world.outcome(third), "posted");
        assert_eq!(unexplained(&world, deka), Vec::<String>::new());
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn s8_gaps_and_the_blocks_of_devices_that_ended_are_listed_page_by_page() {
    on_every_engine(|mut world| {
        let (amina, amina_on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        let (one, other) = (world.account(amina, Terms::months(6)), world.account(barasa, Terms::months(6)));
        world.settle(&[amina_on, barasa_on]);
        // Given a device that used 1 and 4, and by now an absurd 2; and one that is reported lost.
        let mut raw = Raw::of(&world, amina_on);
        let cash = |world: &mut World, raw: &Raw, minor, number: u32| {
            let receipt = format!("{}-{number:06}", forge::series(world, raw));
            forge::cash(world, raw, one, Money::new(minor, KES), &receipt).encode()
        };
        let entries = [cash(&mut world, &raw, 100, 1), cash(&mut world, &raw, 110, 4)];
        raw.upload(&world, &entries, Vec::new());
        assert_eq!(unexplained(&world, deka), ["D01-000002..D01-000003"]);
        let absurd = cash(&mut world, &raw, 90_000_000, 2);
        let verdicts = raw.upload(&world, &[absurd], Vec::new());
        assert_eq!(daybook_tests::sim::says::words(&verdicts.outcomes[0]), "held(AMOUNT)");
        world.cash(barasa_on, other, 100);
        world.sync(barasa_on);
        let mut thief = Raw::of(&world, barasa_on);
        world.end_device(barasa_on, Ending::Loss);
        // Whoever has it begins a new install; the numbers that this would bring are never handed out.
        world.pass_ms(1_000);
        (thief.install, thief.number, thief.request) = (InstallId::new(world.now(), &mut world.rng), 0, 0);
        assert_eq!(thief.send(&world, &[]).status, 200);
        // Then both are listed, and a page says where the next begins.
        assert_eq!(unexplained(&world, deka), ["D01-000003..D01-000003", "D02-000002..D02-000050"]);
        let mut path = "/v1/receipts/unexplained?limit=1".to_owned();
        let mut seen = Vec::new();
        loop {
            let page = world.rest(deka, Method::GET, &path, &Value::Null).json();
            let block = &page["items"][0];
            seen.push((
                block["first"].as_str().expect("a text").to_owned(),
                block["officer_name"].as_str().expect("a text").to_owned(),
            ));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/v1/receipts/unexplained?limit=1&after={next}");
        }
        let text = |first: &str, name: &str| (first.to_owned(), name.to_owned());
        assert_eq!(seen, [text("D01-000001", "Amina"), text("D02-000001", "Barasa")]);
        // Nobody explains his own numbers.
        world.give_role(amina, Role::Supervisor);
        let answer = world.decide(amina, "/v1/receipts/D01-000003/explanation", json!({ "reason": "Torn." }));
        assert_eq!((answer.status, answer.code().as_str()), (403, "same-person"));
        // A colleague's typo explains nothing.
        let (carol, carol_on) = world.officer("Carol");
        let third = world.account(carol, Terms::months(3));
        world.sync(carol_on);
        let typo = world.cash_on_paper(carol_on, third, 100, "D01-000003");
        world.sync(carol_on);
        assert_eq!(world.outcome(typo), "held(FOREIGN_BLOCK)");
        assert_eq!(unexplained(&world, deka)[0], "D01-000003..D01-000003");
        // A cashier sees none of it.
        let cashier = world.person("Esther", Role::Cashier);
        assert_eq!(world.rest(cashier, Method::GET, "/v1/receipts/unexplained", &Value::Null).status, 403);
    });
}
