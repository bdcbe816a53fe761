//! S13: a case that is given to somebody else while its officer is out.

use daybook_mobile_sync::Event;
use daybook_mobile_sync::session::SyncEnd;
use daybook_server::auth::Role;
use daybook_server::auth::caseloads::CaseloadAudience;
use daybook_shared::board::Edit;
use daybook_shared::wire::exchange::Answer;
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::upload::{first_frame_bytes, frames_of};
use daybook_tests::sim::{Acc, On, Terms, World};

use crate::on_every_engine;

#[test]
fn s13_cash_taken_after_a_reassignment_posts_and_is_the_collectors() {
    on_every_engine(|mut world| {
        let (amina, amina_on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.settle(&[amina_on, barasa_on]);
        // Given a case that went to Barasa while Amina was offline.
        world.pass_ms(3_600_000);
        assert_eq!(world.reassign(deka, acc, Some(barasa)).status, 204);
        world.pass_ms(3_600_000);
        // When she collects.
        let paid = world.cash(amina_on, acc, 1000);
        let visit = world.visit(amina_on, acc);
        let report = world.sync(amina_on);
        // Then it posts, flagged; the cash is hers to hand over, and the case leaves her phone.
        assert_eq!(report.end, SyncEnd::UpToDate);
        assert_eq!(world.outcome(paid), "posted POST_REASSIGN");
        assert_eq!(world.outcome(visit), "noted POST_REASSIGN");
        assert_eq!((world.cash_in_hand(amina), world.cash_in_hand(barasa)), (1000, 0));
        assert_eq!(report.purged, [world.accounts[acc.0].dossier]);
        assert!(world.phone(amina_on).store().dossiers().unwrap().is_empty());
        // Barasa sees it with its verdict.
        world.settle(&[amina_on, barasa_on]);
        let entries = world.phone(barasa_on).store().entries_of(world.accounts[acc.0].dossier).unwrap();
        assert_eq!(entries.len(), 2);
        world.check_all(&[amina_on, barasa_on]);
    });
}

/// A sync of which only the first frame of the answer arrives: the acknowledgement, not the news.
fn sync_cut_after_the_first_frame(world: &mut World, on: On) {
    let now = world.now();
    let Some(Step::Send(request)) = world.phones[on.0].begin_sync(now, &mut world.rng) else { panic!("a request") };
    let answer = world.deliver(on, &request);
    let first = first_frame_bytes(&answer.body);
    let rng = &mut world.rng;
    let phone = &mut world.phones[on.0];
    assert!(phone.tell(Event::Status { status: 200, retry_after_ms: None }, now, rng).is_none());
    assert!(phone.tell(Event::BodyBytes(&answer.body[..first]), now, rng).is_none());
    phone.kill();
    phone.open(now, rng);
}

#[test]
fn s13_words_written_after_a_reassignment_come_back_as_a_draft() {
    on_every_engine(|mut world| {
        let (amina, amina_on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let acc = world.account(amina, Terms::months(3));
        let other = world.account(amina, Terms::months(3));
        world.settle(&[amina_on, barasa_on]);
        let dossier = world.accounts[acc.0].dossier;
        // Given that Amina's phone heard from the server after the case had gone, and not that it had.
        world.assign(acc, Some(barasa));
        world.pass_ms(1000);
        world.visit(amina_on, other);
        sync_cut_after_the_first_frame(&mut world, amina_on);
        // When she writes on its board.
        let now = world.now();
        let words = Edit::NoteReplace("Gate is at the back.".to_owned());
        world.phones[amina_on.0].edit(dossier, &[words], now, &mut world.rng).unwrap();
        let report = world.sync(amina_on);
        // Then the change is put aside, her words come back as a draft, and the case leaves.
        assert_eq!((report.end, report.quarantined), (SyncEnd::UpToDate, 1));
        let moment = world.phone(amina_on).moment(world.now());
        let attention = world.phone(amina_on).store().view(moment).unwrap().attention().unwrap();
        assert_eq!(attention.drafts.len(), 1);
        assert_eq!(attention.drafts[0].words, "note: Gate is at the back.");
        assert_eq!(attention.drafts[0].reason, "NOT_ENTITLED");
        assert!(!world.phone(amina_on).store().dossiers().unwrap().iter().any(|(held, _)| *held == dossier));
        world.settle(&[amina_on, barasa_on]);
        world.check_all(&[amina_on, barasa_on]);
    });
}

#[test]
fn s13_a_case_that_leaves_and_comes_back_is_whole_again() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let acc: Acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let own = world.cash(on, acc, 100);
        let now = world.now();
        let dossier = world.accounts[acc.0].dossier;
        let edit = Edit::AddTag("market day".to_owned());
        world.phones[on.0].edit(dossier, &[edit], now, &mut world.rng).unwrap();
        world.sync(on);
        // When the case goes to Barasa, who adds to it, and comes back.
        world.assign(acc, Some(barasa));
        world.settle(&[on, barasa_on]);
        assert!(world.phone(on).store().dossiers().unwrap().is_empty());
        world.visit(barasa_on, acc);
        world.sync(barasa_on);
        world.assign(acc, Some(amina));
        world.settle(&[on, barasa_on]);
        // Then Amina has all of it, what she captured herself too.
        let entries = world.phone(on).store().entries_of(dossier).unwrap();
        assert_eq!(entries.len(), 2);
        assert!(entries.iter().any(|(id, ..)| *id == own));
        assert_eq!(world.phone(on).store().board_of(dossier).unwrap().unwrap().tags, ["market day"]);
        world.check_all(&[on, barasa_on]);
    });
}

#[test]
fn an_officers_day_opens_with_the_order_of_his_stops() {
    on_every_engine(|mut world| {
        let (_, on) = world.officer("Amina");
        world.sync(on);
        // Given a day in which nothing was recorded yet.
        let now = world.now();
        let moment = world.phone(on).moment(now);
        let day = world.phones[on.0].store_mut().open_today(moment).unwrap();
        // When the officer puts his stops in order, and again in the afternoon.
        for order in ["3,1,2", "1,2,3"] {
            world.phones[on.0].edit(day, &[Edit::OfficerSeq(order.to_owned())], now, &mut world.rng).unwrap();
            world.sync(on);
        }
        // Then it merges: nothing is put aside, no draft is left.
        assert_eq!(world.phone(on).store().board_of(day).unwrap().unwrap().officer_seq, "1,2,3");
        let put_aside: Vec<(i64, String)> = world.server.rows("select id, reason from quarantine");
        assert_eq!(put_aside, []);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn whoever_goes_to_the_field_orders_his_stops_whatever_else_he_is() {
    let field = CaseloadAudience::Officer;
    let cases =
        [(Role::Supervisor, field), (Role::Supervisor, CaseloadAudience::Supervisor), (Role::CallOfficer, field)];
    for (also, audience) in cases {
        on_every_engine(|mut world| {
            // Given somebody with both roles, and a caseload of either kind.
            let deka = world.person("Deka", Role::Officer);
            world.give_role(deka, also);
            world.caseload(deka, audience);
            let on = world.enrolled(deka);
            world.sync(on);
            let moment = world.phone(on).moment(world.now());
            let day = world.phones[on.0].store_mut().open_today(moment).unwrap();
            // When he puts his stops in order, before the day is in the caseload and after.
            for order in ["3,1,2", "1,2,3"] {
                let now = world.now();
                world.phones[on.0].edit(day, &[Edit::OfficerSeq(order.to_owned())], now, &mut world.rng).unwrap();
                world.sync(on);
            }
            // Then phone and server agree that he may.
            assert_eq!(world.phone(on).store().board_of(day).unwrap().unwrap().officer_seq, "1,2,3");
            assert_eq!(drafts(&world, on), []);
            world.settle(&[on]);
            world.check_all(&[on]);
        });
    }
}

#[test]
fn two_officers_of_one_caseload_see_each_others_days_and_boards() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        world.set_member(amina, barasa, daybook_server::auth::caseloads::Membership::Member);
        let acc = world.account(amina, Terms::months(3));
        world.settle(&[on, other]);
        // Given a day of Amina's that Barasa holds, before anything was written on its board.
        let paid = world.cash(on, acc, 100);
        world.handover(on, &[paid], 100);
        world.settle(&[on, other]);
        // When she writes on it, twice.
        let day = daybook_shared::ids::DossierId::day(world.people[amina.0].uid, world.today());
        for order in ["3,1,2", "1,2,3"] {
            let now = world.now();
            world.phones[on.0].edit(day, &[Edit::OfficerSeq(order.to_owned())], now, &mut world.rng).unwrap();
            world.settle(&[on, other]);
        }
        // Then Barasa's phone takes it, and knows what it is.
        let board = world.phone(other).store().board_of(day).unwrap().unwrap();
        assert_eq!(board.officer_seq, "1,2,3");
        world.check_all(&[on, other]);
    });
}

/// The words of a phone's drafts with their reasons.
fn drafts(world: &World, on: On) -> Vec<(String, String)> {
    let moment = world.phone(on).moment(world.now());
    let attention = world.phone(on).store().view(moment).unwrap().attention().unwrap();
    attention.drafts.into_iter().map(|draft| (draft.words, draft.reason)).collect()
}

fn write_on(world: &mut World, on: On, acc: Acc, edits: &[Edit]) {
    let (now, dossier) = (world.now(), world.accounts[acc.0].dossier);
    world.phones[on.0].edit(dossier, edits, now, &mut world.rng).unwrap();
}

const GATE: &str = "Gate is at the back.";

/// Edits as an officer makes them: words, a task, and a tag.
fn some_edits() -> [Edit; 3] {
    let task = Edit::AddTask { id: uuid::Uuid::from_u128(7), text: "Bring the meter.".to_owned(), by: String::new() };
    [Edit::NoteReplace(GATE.to_owned()), task, Edit::AddTag("market day".to_owned())]
}

/// Words that may have arrived, as a draft shows them.
const WORDS: &str = "note: Gate is at the back.\ntask: Bring the meter.";

/// Goal: what a board holds is there once, whoever made it, and what an officer typed is never lost: it is
/// his draft.
fn check_once(world: &mut World, acc: Acc, on: On, draft: &str) {
    let dossier = world.accounts[acc.0].dossier;
    let board = world.phone(on).store().board_of(dossier).unwrap().unwrap();
    assert_eq!((board.note.as_str(), board.tasks.len()), (GATE, 1));
    assert_eq!(board.tags, ["market day"]);
    assert_eq!(drafts(world, on), [(draft.to_owned(), "MAY_HAVE_ARRIVED".to_owned())]);
    let aside: Vec<(i64,)> = world.server.rows("select id from quarantine");
    assert_eq!(aside, []);
}

#[test]
fn words_that_had_arrived_before_a_restore_are_not_written_twice() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        // Given words in a backup, which are sent afterwards.
        write_on(&mut world, on, acc, &some_edits());
        let now = world.now();
        world.phones[on.0].back_up(now, &mut world.rng);
        world.sync(on);
        // When the backup is put back.
        let now = world.now();
        world.phones[on.0].restore(now, &mut world.rng);
        world.settle(&[on]);
        // Even the tag is not made again: somebody may have removed it since the backup.
        check_once(&mut world, acc, on, &format!("{WORDS}\ntag: market day"));
        world.check_all(&[on]);
    });
}

#[test]
fn words_that_two_phones_of_one_identity_send_are_not_written_twice() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        // Given words on a phone that is copied, keystore and all.
        write_on(&mut world, on, acc, &some_edits());
        let now = world.now();
        let clone = world.phones[on.0].cloned("clone", now, &mut world.rng);
        let clone = world.add_phone(clone);
        // When both send them.
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
        let report = world.sync(clone);
        assert_eq!((report.end, report.new_installs), (SyncEnd::UpToDate, 1));
        world.settle(&[clone]);
        check_once(&mut world, acc, clone, WORDS);
    });
}

#[test]
fn words_that_never_left_the_phone_are_written_by_its_new_install() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let now = world.now();
        let clone = world.phones[on.0].cloned("clone", now, &mut world.rng);
        let clone = world.add_phone(clone);
        world.visit(on, acc);
        world.sync(on);
        // Given a phone that is told to start anew, and words typed just before it hears of it.
        world.visit(clone, acc);
        let now = world.now();
        let mut step = world.phones[clone.0].begin_sync(now, &mut world.rng);
        let mut told = 0;
        while let Some(Step::Send(request)) = step {
            let answer = world.deliver(clone, &request);
            let mut answers = frames_of(&answer.body).into_iter().flat_map(|frame| frame.answers.unwrap_or_default());
            if answers.any(|answer| answer.answer == Answer::Reactor) {
                write_on(&mut world, clone, acc, &some_edits());
                told += 1;
            }
            let (rng, phone) = (&mut world.rng, &mut world.phones[clone.0]);
            phone.tell(Event::Status { status: answer.status, retry_after_ms: None }, now, rng);
            phone.tell(Event::BodyBytes(&answer.body), now, rng);
            step = phone.tell(Event::BodyEnd, now, rng);
        }
        assert_eq!(told, 1);
        world.settle(&[clone]);
        // Then they are on the board, and no draft.
        let board = world.phone(clone).store().board_of(world.accounts[acc.0].dossier).unwrap().unwrap();
        assert_eq!((board.note.as_str(), board.tasks.len(), board.tags.len()), (GATE, 1, 1));
        assert_eq!(drafts(&world, clone), []);
    });
}
