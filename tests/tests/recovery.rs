//! The server is the one that was lost (sync.md 9): a backup is restored, or the database is set back and
//! nobody says so, and phones bring back what they recorded. Each story on every engine.

use daybook_mobile_sync::SyncReport;
use daybook_mobile_sync::session::{Event, SyncEnd};
use daybook_server::auth::Role;
use daybook_server::auth::device::Ending;
use daybook_server::recovery;
use daybook_shared::board::Edit;
use daybook_shared::entry::CorrectionKind;
use daybook_shared::ids::EntryId;
use daybook_shared::time::{DAY_MS, Timestamp};
use daybook_tests::cluster::{Commits, Postgres, fresh_database};
use daybook_tests::lender::Lender;
use daybook_tests::loss::{self, Loss};
use daybook_tests::sim::check::books;
use daybook_tests::sim::phone::{Step, Wall};
use daybook_tests::sim::{Engine, On, Terms, World};
use serde_json::json;

fn on_each_engine(story: impl Fn(Engine)) {
    for engine in Engine::all() {
        eprintln!("on {engine:?}");
        story(engine);
    }
}

fn up_to_date(report: &SyncReport) {
    assert_eq!(report.end, SyncEnd::UpToDate, "{report:?}");
}

/// Confirms every recovery, as an admin over REST.
fn confirm(world: &mut World) {
    let admin = world.person("Root", Role::Admin);
    let answer = world.rest(admin, axum::http::Method::POST, "/v1/recoveries/confirmation", &json!(null));
    assert_eq!(answer.status, 204, "{}", answer.json());
}

fn stopped(world: &World) -> bool {
    world.server.read(async |_, tx| recovery::may_pay_out(tx).await.is_err())
}

/// Goal: I9 in one story. Everything phones can record is recorded before and after a backup; the restored
/// server ends with the same books after one sync of every phone, and phones show what they showed.
#[test]
fn after_a_restore_and_one_sync_of_every_phone_the_books_are_what_they_were() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 1);
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        let (acc, theirs) = (world.account(amina, Terms::months(3)), world.account(barasa, Terms::months(3)));
        world.agent(amina);
        world.settle(&[on, other]);
        world.cash(on, acc, 700);
        write(&mut world, on, "Gate is at the back.");
        world.settle(&[on, other]);
        let backup = world.back_up();

        world.pass_ms(3_600_000);
        world.visit(on, acc);
        let paid = world.cash(on, acc, 500);
        world.promise(on, acc, 500, 4);
        let (agent, _) = world.agents[0];
        world.transaction_check(on, agent);
        write(&mut world, on, "Gate is at the back. Ask for Mary.");
        world.sync(on);
        world.handover(on, &[paid], 500);
        world.correction(on, paid, CorrectionKind::WrongAmount);
        world.cash(other, theirs, 1_500);
        world.sync(other);
        let unsent = world.cash(on, acc, 250);
        world.settle(&[on, other]);
        let before = books::of(&mut world, &[amina, barasa]);

        world.pass_ms(3_600_000);
        world.restore(&backup);
        assert!(stopped(&world), "payouts stop");
        assert_eq!(world.outcome(unsent), "unknown");
        for on in [other, on] {
            let report = world.sync(on);
            up_to_date(&report);
            assert_eq!(report.rewinds, 1, "{report:?}");
        }
        let after = books::of(&mut world, &[amina, barasa]);
        assert_eq!(before.differences(&after), Vec::<String>::new(), "{engine:?}");
        let board = world.phone(on).store().board_of(world.accounts[acc.0].dossier).expect("a board");
        assert_eq!(board.expect("a board").note, "Gate is at the back. Ask for Mary.");
        confirm(&mut world);
        assert!(!stopped(&world));
        world.settle(&[on, other]);
        world.check_all(&[on, other]);
    });
}

fn write(world: &mut World, on: On, note: &str) {
    let (now, dossier) = (world.now(), world.accounts[0].dossier);
    let edits = [Edit::NoteReplace(note.to_owned())];
    world.phones[on.0].edit(dossier, &edits, now, &mut world.rng).expect("an edit");
}

/// Goal: a database that was set back is found out by the first phone, even one with nothing to say, and
/// nothing that a phone says without the server's signature does it.
#[test]
fn a_database_that_was_set_back_is_found_out_by_what_it_signed() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 2);
        let (amina, on) = world.officer("Amina");
        let (_, idle) = world.officer("Barasa");
        let acc = world.account(amina, Terms::months(3));
        world.settle(&[on, idle]);
        let backup = world.back_up();
        world.pass_days(2);
        world.log_in_again(on);
        world.log_in_again(idle);
        world.cash(on, acc, 700);
        world.settle(&[on, idle]);
        let before = books::of(&mut world, &[amina]);

        world.server.set_back(&backup);
        assert!(!stopped(&world), "nobody knows yet");
        let report = world.sync(idle);
        up_to_date(&report);
        assert_eq!(report.rewinds, 1, "its daily acknowledgement shows it: {report:?}");
        assert!(stopped(&world), "the alarm is raised");
        let causes: Vec<(String,)> = world.server.rows("select cause from recovery");
        assert_eq!(causes, [("rollback".to_owned(),)]);
        let told: Vec<(i64,)> = world.server.rows("select count(*) from audit where action = 'recovery.began'");
        assert_eq!(told, [(1,)]);
        let report = world.sync(on);
        up_to_date(&report);
        assert_eq!(report.rewinds, 1, "{report:?}");
        assert_eq!(before.differences(&books::of(&mut world, &[amina])), Vec::<String>::new());

        // Once more, to the same day: its epoch is one that phones knew and have left.
        world.server.set_back(&backup);
        assert!(!stopped(&world), "nobody knows yet");
        up_to_date(&world.sync(on));
        assert!(stopped(&world), "the alarm is raised again");
        up_to_date(&world.sync(idle));
        assert_eq!(before.differences(&books::of(&mut world, &[amina])), Vec::<String>::new());
        confirm(&mut world);
        world.settle(&[on, idle]);
        assert_eq!(world.sync(on).rewinds, 0);
        world.check_all(&[on, idle]);
    });
}

/// Goal: a phone that was enrolled after the backup is known again by its certificate, with its receipt
/// numbers; no number and no series is ever given out twice.
#[test]
fn devices_and_receipt_blocks_from_after_the_backup_are_learnt_again() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 3);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(30));
        world.sync(on);
        let backup = world.back_up();
        let late = world.enrolled(amina);
        world.sync(late);
        let mut receipts = std::collections::BTreeSet::new();
        for _ in 0..4 {
            for _ in 0..9 {
                world.cash(on, acc, 10);
                world.cash(late, acc, 10);
            }
            world.pass_ms(60_000);
            world.settle(&[on, late]);
        }
        receipts.extend(world.server.rows::<(String,)>("select receipt_no from payment"));
        assert_eq!(receipts.len(), 72);
        let before = books::of(&mut world, &[amina]);

        world.restore(&backup);
        // Another phone takes the row key that the lost one had.
        let newer = world.enrolled(amina);
        world.sync(newer);
        world.cash(newer, acc, 10);
        world.settle(&[newer]);
        for on in [late, on] {
            up_to_date(&world.sync(on));
        }
        let after = books::of(&mut world, &[amina]);
        let lost = before.outcomes.iter().filter(|(id, outcome)| after.outcomes.get(id) != Some(outcome));
        assert_eq!(lost.collect::<Vec<_>>(), Vec::<(&EntryId, &String)>::new());
        for _ in 0..4 {
            for on in [on, late, newer] {
                for _ in 0..9 {
                    world.cash(on, acc, 10);
                }
            }
            world.settle(&[on, late, newer]);
        }
        let all: Vec<(String,)> = world.server.rows("select receipt_no from payment");
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (181, 181), "no receipt number twice");
        let held: Vec<(i64,)> = world
            .server
            .rows("select count(*) from entry where outcome = 'held' or flags is not null and flags like '%BLOCK%'");
        assert_eq!(held, [(0,)]);
        confirm(&mut world);
        world.settle(&[on, late, newer]);
        world.check_all(&[on, late, newer]);
    });
}

/// Goal: what came from a user who was added after the backup is neither lost nor believed: it waits on
/// the supervisor's list.
#[test]
fn a_user_from_after_the_backup_may_hand_in_and_waits() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 4);
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let backup = world.back_up();
        let (barasa, late) = world.officer("Barasa");
        world.assign(acc, Some(barasa));
        world.settle(&[on, late]);
        let paid = world.cash(late, acc, 700);
        world.settle(&[on, late]);
        assert_eq!(world.outcome(paid), "posted");

        world.restore(&backup);
        let report = world.sync(late);
        assert!(matches!(report.end, SyncEnd::Locked(_)), "{report:?}");
        assert_eq!(world.outcome(paid), "held(AFTER_DEACTIVATION)");
        assert_eq!(world.shown(late, paid), "held(AFTER_DEACTIVATION)");
        let listed = world.rest(deka, axum::http::Method::GET, "/v1/held", &json!(null)).json();
        assert_eq!(listed["items"][0]["entry"], json!(paid));
        assert_eq!(world.release(deka, paid, json!({})).status, 204);
        assert_eq!(world.stands(acc), "active, owes 2300, paid 700, credit 0");
    });
}

/// Goal: a case that was given to the officer after the backup stays on his phone until a person has
/// looked, and what he captured on it counts.
#[test]
fn a_lost_assignment_holds_no_money_and_takes_no_case_before_somebody_looked() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 5);
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        let acc = world.account(amina, Terms::months(3));
        world.settle(&[on, other]);
        let backup = world.back_up();
        world.pass_ms(60_000);
        world.assign(acc, Some(barasa));
        world.settle(&[on, other]);
        world.pass_ms(60_000);
        let paid = world.cash(other, acc, 700);
        world.settle(&[on, other]);
        let dossier = world.accounts[acc.0].dossier;
        let holds = |world: &World, on: On| {
            world.phone(on).store().dossiers().expect("a store").iter().any(|(held, _)| *held == dossier)
        };

        world.restore(&backup);
        world.settle(&[on, other]);
        assert_eq!(world.outcome(paid), "posted POST_REASSIGN");
        assert!(holds(&world, on) && holds(&world, other), "nothing leaves a phone yet");
        confirm(&mut world);
        world.settle(&[on, other]);
        assert!(holds(&world, on) && !holds(&world, other), "the restored assignment stands");
        world.check_all(&[on, other]);
        // A claim counts once, for what was captured before it.
        world.pass_ms(60_000);
        let later = world.cash(other, acc, 100);
        world.settle(&[on, other]);
        assert_eq!(world.outcome(later), "held(NOT_ENTITLED)");
    });
}

/// Goal: an account that was opened after the backup: the money waits and is not lost.
#[test]
fn an_account_from_after_the_backup_holds_its_money_until_it_is_there_again() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 6);
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        world.sync(on);
        let backup = world.back_up();
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let paid = world.cash(on, acc, 700);
        world.settle(&[on]);
        let uid = world.accounts[acc.0].uid;

        world.restore(&backup);
        world.settle(&[on]);
        assert_eq!(world.outcome(paid), "held(UNKNOWN_ACCOUNT)");
        assert_eq!(world.cash_in_hand(amina), 700, "the officer owes it");
        assert_eq!(world.phone(on).store().cash_in_hand().expect("cash")[0].minor, 700);
        // It is imported again under its own id.
        world.accounts.clear();
        let acc = world.account_as(uid, amina, Terms::months(3));
        world.settle(&[on]);
        assert_eq!(world.release(deka, paid, json!({})).status, 204);
        assert_eq!(world.stands(acc), "active, owes 2300, paid 700, credit 0");
        confirm(&mut world);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

/// Goal: phones rewind one after the other; what acts on an entry that is not back yet waits for it.
#[test]
fn a_record_that_comes_back_before_what_it_acts_on_waits_for_it() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 7);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        let second = world.enrolled(amina);
        world.settle(&[on, second]);
        let backup = world.back_up();
        let paid = world.cash(on, acc, 700);
        world.settle(&[on, second]);
        let asked = world.correction(second, paid, CorrectionKind::WrongAmount);
        world.settle(&[on, second]);
        assert_eq!(world.outcome(asked), "noted");

        world.restore(&backup);
        up_to_date(&world.sync(second));
        assert_eq!(world.outcome(asked), "held(MISSING_REF)");
        let shown: Vec<_> = world.phone(second).store().entries_of(world.accounts[acc.0].dossier).expect("entries");
        assert!(shown.iter().any(|(id, ..)| *id == paid), "a colleague's record stays");
        up_to_date(&world.sync(on));
        assert_eq!((world.outcome(asked), world.outcome(paid)), ("noted".to_owned(), "posted".to_owned()));
        confirm(&mut world);
        world.settle(&[on, second]);
        world.check_all(&[on, second]);
    });
}

/// Goal: envelopes of an install that was opened and ended after the backup are taken as its own.
#[test]
fn envelopes_of_an_older_install_that_the_backup_lacks_are_taken() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 8);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        let backup = world.back_up();
        // Twice the phone's own backup is put back: two installs more.
        for _ in 0..2 {
            let now = world.now();
            world.phones[on.0].back_up(now, &mut world.rng);
            world.phones[on.0].restore(now, &mut world.rng);
            world.cash(on, acc, 300);
            world.settle(&[on]);
            world.cash(on, acc, 200);
            world.settle(&[on]);
        }
        let before = books::of(&mut world, &[amina]);

        world.restore(&backup);
        up_to_date(&world.sync(on));
        assert_eq!(before.differences(&books::of(&mut world, &[amina])), Vec::<String>::new());
        confirm(&mut world);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

/// Goal: beyond the 30 days of kept envelopes nothing that the phone still has is lost either.
#[test]
fn what_a_phone_has_left_of_older_envelopes_is_packed_again() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 9);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        let backup = world.back_up();
        let old = world.cash(on, acc, 300);
        world.settle(&[on]);
        world.pass_days(40);
        world.log_in_again(on);
        let new = world.cash(on, acc, 200);
        world.settle(&[on]);

        world.restore(&backup);
        let report = world.sync(on);
        up_to_date(&report);
        assert_eq!((world.outcome(old), world.outcome(new)), ("posted".to_owned(), "posted".to_owned()));
        assert_eq!(world.stands(acc), "active, owes 5500, paid 500, credit 0");
        confirm(&mut world);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

/// Goal: money whose phone's clock is days ahead counts for the day it came, and still does once it had to come
/// again. Method: the clock is wrong in a run in which the phone has heard nothing yet, so that only the
/// arrival bounds what it says, and the first answer is lost; its captures come back when that clock's time has
/// passed.
#[test]
fn captures_of_a_clock_that_ran_ahead_stay_at_their_first_arrival() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 14);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        let backup = world.back_up();
        let now = world.now();
        world.phones[on.0].boot(Wall::Off(3 * DAY_MS), now, &mut world.rng);
        let paid = world.cash(on, acc, 300);
        world.pass_ms(3_600_000);
        let now = world.now();
        let Some(Step::Send(request)) = world.phones[on.0].begin_sync(now, &mut world.rng) else { panic!("a request") };
        world.deliver(on, &request);
        world.phones[on.0].kill();
        let now = world.now();
        world.phones[on.0].open(now, &mut world.rng);
        assert_eq!(world.outcome(paid), "posted CLOCK_SKEW VALUE_DATE_AHEAD");
        world.pass_days(1);
        world.visit(on, acc);
        up_to_date(&world.sync(on));
        let captured = "select captured_at from entry order by uid";
        let captured_at: Vec<(Timestamp,)> = world.server.rows(captured);
        world.settle(&[on]);
        let before = books::of(&mut world, &[amina]);

        world.pass_days(4);
        world.log_in_again(on);
        world.restore(&backup);
        world.pass_days(1);
        up_to_date(&world.sync(on));
        assert_eq!(world.outcome(paid), "posted CLOCK_SKEW VALUE_DATE_AHEAD");
        assert_eq!(world.server.rows::<(Timestamp,)>(captured), captured_at);
        assert_eq!(before.differences(&books::of(&mut world, &[amina])), Vec::<String>::new());
        confirm(&mut world);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

/// Goal: the same for a phone that may only hand in: it has no verdicts, so nothing of it is handed in again.
#[test]
fn captures_of_a_retired_phones_clock_stay_at_their_first_arrival() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 16);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        world.end_device(on, Ending::Retirement);
        world.sync(on);
        world.pass_ms(3_600_000);
        let backup = world.back_up();
        let now = world.now();
        world.phones[on.0].boot(Wall::Off(3 * DAY_MS), now, &mut world.rng);
        world.cash(on, acc, 300);
        world.pass_ms(3_600_000);
        world.sync(on);
        let captured = "select captured_at from entry";
        let captured_at: Vec<(Timestamp,)> = world.server.rows(captured);
        world.restore(&backup);
        world.pass_days(5);
        world.sync(on);
        assert_eq!(world.server.rows::<(Timestamp,)>(captured), captured_at);
    });
}

/// Goal: a store that erased itself keeps what it sealed until the server has it, also one that was set back meanwhile.
/// Method: the server has everything, and is set back before it hears that this is all.
#[test]
fn a_store_that_erased_itself_brings_back_what_a_server_lost() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 17);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        let backup = world.back_up();
        let paid = world.cash(on, acc, 300);
        world.settle(&[on]);
        world.end_device(on, Ending::Loss);
        let now = world.now();
        let Some(Step::Send(asks)) = world.phones[on.0].begin_sync(now, &mut world.rng) else { panic!("a request") };
        let answer = world.deliver(on, &asks);
        let status = Event::Status { status: answer.status, retry_after_ms: answer.retry_after_ms };
        for event in [status, Event::BodyBytes(&answer.body), Event::BodyEnd] {
            world.phones[on.0].tell(event, now, &mut world.rng);
        }
        assert!(world.phone(on).is_wiped());
        world.phones[on.0].kill();
        world.server.set_back(&backup);
        assert_eq!(world.outcome(paid), "unknown");
        world.phones[on.0].open(now, &mut world.rng);
        world.sync(on);
        assert_eq!(world.outcome(paid), "posted");
        assert!(stopped(&world), "the alarm is raised");
    });
}

/// Goal: what a clone captured keeps its time, though its number was another's in the history that was lost.
/// Method: two phones are one install; the one that had lost its turn comes first to the restored server.
#[test]
fn a_clones_captures_are_not_taken_for_those_that_had_their_number() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 15);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        let backup = world.back_up();
        let now = world.now();
        let clone = world.phones[on.0].cloned("clone", now, &mut world.rng);
        let clone = world.add_phone(clone);
        for minor in [100, 200, 300] {
            world.cash(on, acc, minor);
            world.sync(on);
        }
        world.pass_days(2);
        up_to_date(&world.sync(clone));
        world.pass_days(3);
        let paid = world.cash(clone, acc, 400);
        let captured_at = world.now();

        world.restore(&backup);
        world.sync(clone);
        assert_eq!(world.server.rows::<(Timestamp,)>("select captured_at from entry"), [(captured_at,)]);
        assert_eq!(world.outcome(paid), "posted");
    });
}

/// Goal: the same backup restored twice, and a restore of a restored one.
#[test]
fn restores_may_follow_each_other() {
    on_each_engine(|engine| {
        let mut world = World::new(engine, 10);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(6));
        world.sync(on);
        let backup = world.back_up();
        for minor in [100, 200, 300] {
            world.cash(on, acc, minor);
            world.settle(&[on]);
            world.restore(&backup);
        }
        up_to_date(&world.sync(on));
        let newer = world.back_up();
        world.restore(&newer);
        up_to_date(&world.sync(on));
        assert_eq!(world.stands(acc), "active, owes 5400, paid 600, credit 0");
        confirm(&mut world);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

/// Goal: a backup goes into the other engine and back, row by row.
#[test]
fn a_backup_moves_a_lender_between_the_engines() {
    let [sqlite, postgres] = Engine::all()[..] else {
        eprintln!("needs both engines (DAYBOOK_TEST_POSTGRES)");
        return;
    };
    for (from, to) in [(sqlite, postgres), (postgres, sqlite)] {
        let mut world = World::new(from, 11);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        world.visit(on, acc);
        world.promise(on, acc, 500, 4);
        world.cash(on, acc, 700);
        world.settle(&[on]);
        let before = books::of(&mut world, &[amina]);
        let backup = world.back_up();
        world.server.restore(to, &backup);
        let after = books::of(&mut world, &[amina]);
        assert_eq!(before.differences(&after), Vec::<String>::new(), "{from:?} to {to:?}");
        confirm(&mut world);
        world.settle(&[on]);
        world.cash(on, acc, 100);
        world.settle(&[on]);
        world.check_all(&[on]);
    }
}

/// Goal: I9 over HTTP, with the real program for server, backup and restore. `LOSS_CAPTURES=3000` for more.
#[tokio::test(flavor = "multi_thread")]
async fn phones_bring_back_what_a_server_process_lost() {
    let captures = std::env::var("LOSS_CAPTURES").map_or(120, |text| text.parse().expect("a whole number"));
    let loss = Loss { phones_before: 2, phones_after: 5, captures };
    let lender = Lender::on_sqlite(loss.officers()).await.expect("a lender");
    let empty = format!("sqlite:{}", lender.path("restored.db").display());
    eprintln!("on SQLite: {:?}", loss::run(lender, empty, loss).await.expect("I9"));
    let cluster = Postgres::find_or_start(Commits::Fast).expect("a PostgreSQL");
    let database = fresh_database(&cluster.url()).await.expect("a database");
    let empty = fresh_database(&cluster.url()).await.expect("a database");
    let lender = Lender::on(database.url, loss.officers()).await.expect("a lender");
    eprintln!("on PostgreSQL: {:?}", loss::run(lender, empty.url, loss).await.expect("I9"));
}
