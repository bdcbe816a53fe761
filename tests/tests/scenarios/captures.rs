//! S9 to S12, S15, S16, S24, S25, S36, S46 to S48: what a capture comes to.

use daybook_mobile_sync::capture::{CaptureError, Draft, RepaymentDraft, What};
use daybook_shared::entry::{Attachment, AttachmentKind, Body, CashHandover, Channel, CorrectionKind, HandoverTo};
use daybook_shared::ids::{AccountId, Hash};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::DAY_MS;
use daybook_tests::sim::phone::Wall;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::says::words;
use daybook_tests::sim::{KES, Terms, World, forge};
use serde_json::json;

use crate::{on_every_engine, on_every_engine_with};

const USD: Currency = Currency::new(*b"USD").unwrap();

fn close(world: &World, acc: daybook_tests::sim::Acc, how: &str) {
    let id = world.accounts[acc.0].id;
    world.server.execute(&format!("update account set status = 'closed', closed_as = '{how}' where id = {id}"));
}

#[test]
fn s9_cash_for_an_account_that_is_paid_is_the_customers_credit() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(1));
        world.sync(on);
        let last = world.cash(on, acc, 1000);
        world.sync(on);
        assert_eq!(world.stands(acc), "closed(paid), owes 0, paid 1000, credit 0");
        let more = world.cash(on, acc, 400);
        world.sync(on);
        assert_eq!(
            (world.outcome(last), world.outcome(more)),
            ("posted".to_owned(), "posted ACCOUNT_CLOSED".to_owned())
        );
        assert_eq!(world.stands(acc), "closed(paid), owes 0, paid 1000, credit 400");
        assert_eq!(world.lines(more), ["repayment: Dr officer_cash 400", "repayment: Cr credit 400"]);
        assert_eq!(world.cash_in_hand(amina), 1400);
        world.check_all(&[on]);
    });
}

#[test]
fn s10_cash_for_a_written_off_account_is_recovery_and_leaves_the_schedule() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(2));
        close(&world, acc, "written_off");
        world.sync(on);
        let paid = world.cash(on, acc, 600);
        world.sync(on);
        assert_eq!(world.outcome(paid), "posted RECOVERY");
        assert_eq!(world.stands(acc), "closed(written_off), owes 2000, paid 0, credit 0");
        assert_eq!(world.lines(paid), ["recovery: Dr officer_cash 600", "recovery: Cr recovery 600"]);
        assert_eq!(world.cash_in_hand(amina), 600);
    });
}

#[test]
fn s11_cash_for_a_cancelled_or_unknown_account_waits_in_suspense_on_the_officer() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(2));
        let right = world.account(amina, Terms::months(2));
        close(&world, acc, "cancelled");
        world.sync(on);
        let cancelled = world.cash(on, acc, 600);
        let nobodys = AccountId::new(world.now(), &mut world.rng);
        let unknown = world.record(on, What::Repayment(RepaymentDraft::cash(nobodys, Money::new(50, KES))));
        world.sync(on);
        assert_eq!(world.outcome(cancelled), "held(UNKNOWN_ACCOUNT)");
        assert_eq!(world.outcome(unknown), "held(NOT_ENTITLED)");
        assert_eq!(world.lines(cancelled), ["suspense: Dr officer_cash 600", "suspense: Cr suspense 600"]);
        assert_eq!(world.cash_in_hand(amina), 650);
        // When the supervisor says which account it was for, the money goes there out of suspense.
        let account = world.accounts[right.0].uid;
        assert_eq!(world.release(deka, cancelled, json!({ "account": account })).status, 204);
        assert_eq!(world.stands(right), "active, owes 1400, paid 600, credit 0");
        assert_eq!(world.cash_in_hand(amina), 650);
        let lines = world.lines(cancelled);
        assert_eq!(lines[2..], ["identified: Dr suspense 600", "identified: Cr plan_recv 600"]);
        // And what never was is taken back.
        assert_eq!(world.reject(deka, unknown, "REJECTED").status, 204);
        assert_eq!(world.cash_in_hand(amina), 600);
        world.settle(&[on]);
        assert_eq!(world.shown(on, unknown), "refused(REJECTED)");
    });
}

#[test]
fn s12_an_overpayment_pays_what_is_late_then_due_then_ahead_and_the_rest_is_credit() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let paid = world.cash(on, acc, 3500);
        world.sync(on);
        assert_eq!(world.outcome(paid), "posted");
        assert_eq!(world.stands(acc), "closed(paid), owes 0, paid 3000, credit 500");
        let lines = ["repayment: Dr officer_cash 3500", "repayment: Cr plan_recv 3000", "repayment: Cr credit 500"];
        assert_eq!(world.lines(paid), lines);
        world.check_all(&[on]);
        // Over 1.2 times what is owed it is flagged.
        let next = world.account(amina, Terms::months(1));
        world.sync(on);
        let much = world.cash(on, next, 1201);
        world.sync(on);
        assert_eq!(world.outcome(much), "posted OVER_PAYOFF");
    });
}

#[test]
fn s15_a_clock_that_is_ahead_never_makes_a_value_date_of_tomorrow() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        // Given a phone that was switched on with a clock three days ahead.
        let now = world.now();
        world.phones[on.0].boot(Wall::Off(3 * DAY_MS), now, &mut world.rng);
        let paid = world.cash(on, acc, 500);
        world.pass_ms(60_000);
        world.sync(on);
        // Then the day of receipt counts, and people are told.
        assert_eq!(world.outcome(paid), "posted CLOCK_SKEW VALUE_DATE_AHEAD");
        assert_eq!(world.row_of(acc).last_value_date, Some(world.today()));
        // Once it has heard the server in this boot, its clock does not matter any more.
        let next = world.cash(on, acc, 100);
        world.sync(on);
        assert!(!world.outcome(next).contains("VALUE_DATE_AHEAD"), "{}", world.outcome(next));
        world.check_all(&[on]);
    });
}

#[test]
fn s15_a_wrong_clock_does_not_take_an_entry_out_of_its_officers_day() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let paid = world.cash(on, acc, 500);
        // Given a phone whose clock was set to 2030 while it ran: it still knows the date.
        world.phones[on.0].set_wall(Wall::At("2030-06-01T00:00:00Z".parse().unwrap()));
        let handed = world.handover(on, &[paid], 500);
        world.sync(on);
        assert_eq!(world.outcome(handed), "noted CLOCK_SKEW");
        let day = daybook_shared::ids::DossierId::day(world.people[amina.0].uid, world.today());
        let key = world.entries()[&handed].dossier_id;
        let kept: Vec<(daybook_shared::ids::DossierId,)> =
            world.server.rows(&format!("select uid from dossier where id = {key} and kind = 'day'"));
        assert_eq!(kept, [(day,)]);
        world.check_all(&[on]);
    });
}

#[test]
fn s16_a_late_capture_posts_at_its_value_date_and_the_account_is_as_if_it_had_been_there() {
    let story = |mut world: World| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms { days_ago: 35, ..Terms::months(3) });
        world.sync(on);
        let today = world.today();
        let first = world.cash(on, acc, 1000);
        world.sync(on);
        // When cash of three days ago is recorded today, and some of nine days ago.
        let three =
            world.repay(on, RepaymentDraft { value_date: Some(today.plus_days(-3)), ..world.cash_draft(acc, 300) });
        let nine =
            world.repay(on, RepaymentDraft { value_date: Some(today.plus_days(-9)), ..world.cash_draft(acc, 200) });
        world.sync(on);
        // Then the first posts at its day, before what was there; the other waits for a supervisor.
        assert_eq!((world.outcome(first), world.outcome(three)), ("posted".to_owned(), "posted BACKDATED".to_owned()));
        assert_eq!(world.outcome(nine), "held(BACKDATED)");
        assert_eq!(world.row_of(acc).last_value_date, Some(today), "the later payment stays the last");
        assert_eq!(world.cash_in_hand(amina), 1500);
        let booked: Vec<(daybook_shared::ids::EntryId, daybook_shared::time::Date)> =
            world.server.rows("select event, booked_on from journal");
        let booked_on = |event| booked.iter().find(|row| row.0 == event).unwrap().1;
        assert_eq!(booked_on(three), today.plus_days(-1), "a closed period only moves the booking");
        assert_eq!(world.release(deka, nine, json!({})).status, 204);
        assert_eq!(world.stands(acc), "active, owes 1500, paid 1500, credit 0");
        world.settle(&[on]);
        world.check_all(&[on]);
    };
    // The books are closed through the day before yesterday.
    on_every_engine_with(&[("closed_through", "2027-02-27")], story);
}

#[test]
fn s24_money_of_another_currency_waits_and_is_kept_apart() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        // The phone refuses it where it knows the account.
        let draft = What::Repayment(RepaymentDraft::cash(world.accounts[acc.0].uid, Money::new(900, USD)));
        let now = world.now();
        let refused = world.phones[on.0].capture(draft, now, &mut world.rng);
        assert!(matches!(refused, Err(CaptureError::Currency { .. })), "{refused:?}");
        // The server holds it, and the officer owes dollars.
        let mut raw = Raw::of(&world, on);
        let dollars = forge::cash(&mut world, &raw, acc, Money::new(900, USD), "BOOK7-000001");
        let verdicts = raw.upload(&world, &[dollars.encode()], Vec::new());
        assert_eq!(words(&verdicts.outcomes[0]), "held(CURRENCY_MISMATCH)");
        let cash: Vec<(String, i64)> = world.server.rows("select currency, minor from officer_cash where minor <> 0");
        assert_eq!(cash, [("USD".to_owned(), 900)]);
        // A supervisor posts it at the recorded rate.
        let amount = json!({ "minor": 1200, "currency": "KES" });
        assert_eq!(world.release(deka, dollars.head.id, json!({ "amount": amount })).status, 204);
        assert_eq!(world.stands(acc), "active, owes 1800, paid 1200, credit 0");
        assert_eq!(world.cash_in_hand(amina), 1200);
        daybook_tests::sim::check::ledger::check(&world);
    });
}

#[test]
fn s25_an_amount_that_is_none_is_refused_and_an_absurd_one_waits() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        for minor in [0, -5] {
            let draft = What::Repayment(world.cash_draft(acc, minor));
            let now = world.now();
            assert!(world.phones[on.0].capture(draft, now, &mut world.rng).is_err(), "{minor}");
        }
        let absurd = world.cash(on, acc, 30_001);
        world.sync(on);
        assert_eq!(world.outcome(absurd), "held(AMOUNT)");
        assert_eq!(world.cash_in_hand(amina), 30_001);
        // What a phone would not record, the server refuses and keeps.
        let mut raw = Raw::of(&world, on);
        for minor in [0, -5, i64::MIN, Money::MINOR_MAX + 1] {
            let entry = forge::cash(&mut world, &raw, acc, Money::new(minor, KES), "BOOK7-000001");
            let verdicts = raw.upload(&world, &[entry.encode()], Vec::new());
            assert_eq!(words(&verdicts.outcomes[0]), "refused(AMOUNT)", "{minor}");
            assert_eq!(world.entries()[&entry.head.id].bytes, entry.encode());
        }
        assert_eq!(world.cash_in_hand(amina), 30_001);
        daybook_tests::sim::check::ledger::check(&world);
    });
}

#[test]
fn s36_links_hold_nothing_and_what_acts_on_a_missing_entry_waits_for_it() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        // Given a visit and its repayment, and a correction and a hand-over of it.
        let visit = forge::visit(&mut world, &raw, acc);
        let mut paid = forge::cash(&mut world, &raw, acc, Money::new(500, KES), "BOOK7-000001");
        if let Body::Repayment(repayment) = &mut paid.body {
            repayment.visit = Some(visit.head.id);
        }
        let correction = daybook_shared::entry::Entry {
            head: forge::head(&mut world, &raw, acc, daybook_shared::entry::EntryType::Correction),
            body: Body::Correction(daybook_shared::entry::Correction {
                target: paid.head.id,
                kind: CorrectionKind::Void,
                proposed: None,
                reason: "Another house.".to_owned(),
            }),
        };
        // When they arrive backwards.
        let first = raw.upload(&world, &[correction.encode()], Vec::new());
        let second = raw.upload(&world, &[paid.encode()], Vec::new());
        let third = raw.upload(&world, &[visit.encode()], Vec::new());
        // Then the repayment does not wait for its visit; the correction waited for the repayment.
        assert_eq!(words(&first.outcomes[0]), "held(MISSING_REF)");
        assert_eq!(words(&second.outcomes[0]), "posted OUT_OF_BLOCK");
        assert_eq!(words(&third.outcomes[0]), "noted");
        assert_eq!(world.outcome(correction.head.id), "noted");
    });
}

/// Goal: what was found out about an entry's time stays with it, however often it is held. Method: a hand-over by a
/// clock that is two days ahead names money that has not arrived, and then money that is not cash.
#[test]
fn what_was_said_of_a_time_stays_while_an_entry_is_held_again() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        let mut paid = forge::cash(&mut world, &raw, acc, Money::new(500, KES), "BOOK7-000001");
        if let Body::Repayment(repayment) = &mut paid.body {
            (repayment.channel, repayment.receipt) = (Channel::MobileMoney, None);
            repayment.external_ref = Some("QWE123".to_owned());
        }
        let mut head = forge::head(&mut world, &raw, acc, daybook_shared::entry::EntryType::CashHandover);
        head.captured_at = head.captured_at.plus_ms(2 * DAY_MS);
        let (to, declared) = (HandoverTo::Cashier, Money::new(500, KES));
        let handover = CashHandover { to, declared, repayments: vec![paid.head.id], slip: None };
        let handover = daybook_shared::entry::Entry { head, body: Body::CashHandover(handover) };
        let first = raw.upload(&world, &[handover.encode()], Vec::new());
        assert_eq!(words(&first.outcomes[0]), "held(MISSING_REF) CLOCK_SKEW");
        raw.upload(&world, &[paid.encode()], Vec::new());
        assert_eq!(world.outcome(handover.head.id), "held(NOT_IN_HAND) CLOCK_SKEW");
    });
}

#[test]
fn s46_a_retired_code_is_read_and_an_unknown_one_is_kept() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        let visit = forge::visit(&mut world, &raw, acc);
        let newer = forge::visit(&mut world, &raw, acc);
        let bytes = forge::with_text(&newer.encode(), "CALLBACK", "TELEPATH");
        let mut unknown = forge::visit(&mut world, &raw, acc);
        unknown.head.entry_type = daybook_shared::entry::EntryType::Visit;
        let other_type = forge::with_text(&unknown.encode(), "VISIT", "DREAM");
        let target = visit.head.id;
        let old = daybook_shared::entry::Entry {
            head: forge::head(&mut world, &raw, acc, daybook_shared::entry::EntryType::Correction),
            body: Body::Correction(daybook_shared::entry::Correction {
                target,
                kind: CorrectionKind::Other("WRONG_LOAN".into()),
                proposed: None,
                reason: "An app of last year.".to_owned(),
            }),
        };
        let sent = [visit.encode(), bytes.clone(), other_type, old.encode()];
        let verdicts = raw.upload(&world, &sent, Vec::new());
        let shown: Vec<_> = verdicts.outcomes.iter().map(words).collect();
        assert_eq!(shown, ["noted", "noted", "noted UNKNOWN_TYPE", "noted"]);
        let kinds: Vec<(String,)> = world.server.rows("select kind from correction");
        assert_eq!(kinds, [("WRONG_ACCOUNT".to_owned(),)], "the alias map");
        let kept: Vec<(String,)> = world.server.rows("select outcome from visit where outcome like 'TELE%'");
        assert_eq!(kept, [("TELEPATH".to_owned(),)]);
        assert_eq!(world.entries()[&newer.head.id].bytes, bytes);
    });
}

#[test]
fn s47_a_capture_whose_photo_is_missing_is_accepted_and_says_so() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let mut draft = Draft::from(What::Repayment(world.cash_draft(acc, 500)));
        draft.attachments = vec![Attachment {
            sha256: Hash([3; 32]),
            mime: "image/jpeg".to_owned(),
            bytes: 48_000,
            kind: AttachmentKind::Receipt,
        }];
        let paid = world.record(on, draft);
        world.sync(on);
        assert_eq!(world.outcome(paid), "posted EVIDENCE_PENDING");
        assert_eq!(world.stands(acc), "active, owes 2500, paid 500, credit 0");
        world.check_all(&[on]);
    });
}

#[test]
fn a_case_opens_under_an_id_that_an_entry_had_named_before() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let other = world.account(amina, Terms::months(3));
        world.sync(on);
        // Given a capture for an account that the server does not know yet.
        let account = AccountId::new(world.now(), &mut world.rng);
        let draft = RepaymentDraft { account, ..world.cash_draft(other, 400) };
        let early = world.repay(on, draft);
        world.sync(on);
        assert_eq!(world.outcome(early), "held(NOT_ENTITLED)");
        // When the account is opened after all.
        let acc = world.account_as(account, amina, Terms::months(3));
        world.sync(on);
        // Then its case is there, on the phone too, and what waited can be released into it.
        let deka = world.supervisor("Deka");
        assert_eq!(world.release(deka, early, serde_json::Value::Null).status, 204);
        assert_eq!(world.stands(acc), "active, owes 2600, paid 400, credit 0");
        let paid = world.cash(on, acc, 100);
        world.sync(on);
        assert_eq!(world.outcome(paid), "posted");
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn s48_one_bad_item_of_an_upload_harms_no_other_and_a_retry_is_safe() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        let one = forge::cash(&mut world, &raw, acc, Money::new(500, KES), "BOOK7-000001");
        let zero = forge::cash(&mut world, &raw, acc, Money::new(0, KES), "BOOK7-000002");
        let two = forge::cash(&mut world, &raw, acc, Money::new(250, KES), "BOOK7-000003");
        let envelope = raw.seal(&[one.encode(), b"no CBOR at all".to_vec(), zero.encode(), two.encode()], Vec::new());
        let first = raw.words(&world, std::slice::from_ref(&envelope));
        let again = raw.words(&world, &[envelope]);
        assert_eq!(first, again, "the answer to a retry is the answer");
        let daybook_shared::wire::exchange::Answer::Taken { outcomes, .. } = &first[0] else { panic!("{first:?}") };
        let shown: Vec<_> = outcomes.iter().map(words).collect();
        assert_eq!(shown, ["posted OUT_OF_BLOCK", "refused(MALFORMED)", "refused(AMOUNT)", "posted OUT_OF_BLOCK"]);
        assert_eq!(world.stands(acc), "active, owes 2250, paid 750, credit 0");
        assert_eq!(world.cash_in_hand(amina), 750);
        daybook_tests::sim::check::ledger::check(&world);
    });
}
