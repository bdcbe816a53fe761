//! What makes its whole envelope fail: it is set aside, its neighbours are taken once, and people see it.

use axum::http::Method;
use daybook_mobile_sync::{Event, SyncReport};
use daybook_server::auth::Role;
use daybook_server::db::Db;
use daybook_server::verify::verify;
use daybook_shared::board::Edit;
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::upload::verdicts_of;
use daybook_tests::sim::{On, Terms, Who, World};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::on_every_engine;

/// From now on the database refuses such rows, as after a bug of ours.
fn refuse(world: &World, table: &str, rows: &str) {
    let statements = match world.server.app().db {
        Db::Sqlite { .. } => vec![format!(
            "create trigger refuse before insert on {table} when {rows} begin select raise(abort, 'refused'); end"
        )],
        Db::Postgres(_) => vec![
            "create function refuse() returns trigger language plpgsql as
               $$ begin raise exception 'refused' using errcode = 'check_violation'; end $$"
                .to_owned(),
            format!(
                "create trigger refuse before insert on {table} for each row when ({rows}) execute function refuse()"
            ),
        ],
    };
    for statement in statements {
        world.server.execute(&statement);
    }
}

/// The bug is repaired.
fn accept(world: &World, table: &str) {
    world.server.execute(&match world.server.app().db {
        Db::Sqlite { .. } => "drop trigger refuse".to_owned(),
        Db::Postgres(_) => format!("drop trigger refuse on {table}"),
    });
}

/// One sync of a phone whose server may fail: its end and how each request was answered.
fn sync(world: &mut World, on: On) -> (SyncReport, Vec<u16>) {
    let now = world.now();
    let mut statuses = Vec::new();
    let mut step = world.phones[on.0].begin_sync(now, &mut world.rng);
    loop {
        step = match step.expect("a session goes on until it is finished") {
            Step::Finished(report) => return (*report, statuses),
            Step::Wait(ms) => {
                world.pass_ms(i64::try_from(ms).unwrap_or(i64::MAX));
                let now = world.now();
                world.phones[on.0].tell(Event::TimerFired, now, &mut world.rng)
            }
            Step::Send(request) => {
                world.uploads.note(on, &request);
                let answer = world.server.answer(&request);
                statuses.push(answer.status);
                let (now, phone, rng) = (world.now(), &mut world.phones[on.0], &mut world.rng);
                phone.expect_verdicts(verdicts_of(&request, &answer));
                let status = Event::Status { status: answer.status, retry_after_ms: answer.retry_after_ms };
                let step = phone.tell(status, now, rng);
                let step = step.or_else(|| phone.tell(Event::BodyBytes(&answer.body), now, rng));
                step.or_else(|| phone.tell(Event::BodyEnd, now, rng))
            }
        };
    }
}

/// What `daybook verify` finds.
fn differences(world: &World) -> u64 {
    let zone = world.server.app().settings.zone.clone();
    let found = world.server.read(async |_, tx| verify(tx, &zone, 3, &ProgressBar::hidden()).await);
    found.expect("the database can be verified").differing()
}

fn items(world: &World, who: Who, path: &str) -> Vec<Value> {
    let answer = world.rest(who, Method::GET, path, &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["items"].as_array().cloned().unwrap_or_default()
}

/// Goal: a capture that the server fails with is neither lost nor in the way of others. Method: the
/// database refuses one payment of an envelope; a supervisor lets it pass once the bug is repaired.
#[test]
fn an_entry_that_fails_is_held_and_its_neighbours_are_taken_once() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let auditor = world.person("Faraji", Role::Auditor);
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        refuse(&world, "payment", "new.amount_minor = 666");
        let (visit, fails, paid) = (world.visit(on, acc), world.cash(on, acc, 666), world.cash(on, acc, 100));
        // When it has failed for the third time, the envelope is taken, and the phone is told.
        let (_, statuses) = sync(&mut world, on);
        assert_eq!(statuses[..3], [500, 500, 200]);
        assert_eq!((world.shown(on, visit), world.shown(on, paid)), ("noted".to_owned(), "posted".to_owned()));
        assert_eq!(world.shown(on, fails), "held(FAILED)");
        let moment = world.phone(on).moment(world.now());
        let offered = world.phone(on).store().view(moment).unwrap().cash().unwrap().to_hand_over;
        assert_eq!(offered, [paid], "what failed is not charged yet, and would hold a hand-over up");
        assert_eq!(world.stands(acc), "active, owes 2900, paid 100, credit 0");
        assert_eq!(world.cash_in_hand(amina), 100);
        assert_eq!(world.lines(fails), Vec::<String>::new());
        let failures: Vec<(i64,)> = world.server.rows("select failures from install");
        assert_eq!(failures, [(0,)], "the next envelope begins anew");
        assert_eq!(differences(&world), 0);
        // Then a supervisor sees it, and nobody else decides.
        for who in [deka, auditor] {
            let held = items(&world, who, "/v1/held");
            assert_eq!(held.len(), 1);
            assert_eq!((&held[0]["entry"], &held[0]["reason"]), (&json!(fails), &json!("FAILED")));
            assert_eq!(held[0]["amount"], json!({ "minor": 666, "currency": "KES" }));
        }
        assert_eq!(world.rest(amina, Method::GET, "/v1/held", &Value::Null).status, 403);
        assert_eq!(world.release(auditor, fails, json!({})).status, 403);
        // As long as the bug is there, a release fails and changes nothing.
        assert_eq!(world.release(deka, fails, json!({})).status, 500);
        assert_eq!(world.outcome(fails), "held(FAILED)");
        accept(&world, "payment");
        assert_eq!(world.release(deka, fails, json!({})).status, 204);
        assert_eq!(world.stands(acc), "active, owes 2234, paid 766, credit 0");
        assert_eq!(world.cash_in_hand(amina), 766);
        assert_eq!(world.lines(fails), ["repayment: Dr officer_cash 666", "repayment: Cr plan_recv 666"]);
        world.settle(&[on]);
        assert_eq!(world.shown(on, fails), "posted RELEASED");
        assert_eq!(differences(&world), 0);
        world.check_all(&[on]);
    });
}

/// Goal: an envelope full of what fails does not keep everybody from the writer, and loses nothing.
/// Method: more failing payments than are looked for one by one, and a good one after them.
#[test]
fn after_many_failing_entries_the_rest_is_held_unseen() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        refuse(&world, "payment", "new.amount_minor = 666");
        let first = world.cash(on, acc, 100);
        let failing: Vec<_> = (0..20).map(|_| world.cash(on, acc, 666)).collect();
        let last = world.cash(on, acc, 200);
        let (_, statuses) = sync(&mut world, on);
        assert_eq!(statuses[..3], [500, 500, 200]);
        assert_eq!(world.shown(on, first), "posted");
        for &held in failing.iter().chain([&last]) {
            assert_eq!(world.shown(on, held), "held(FAILED)");
        }
        accept(&world, "payment");
        for &held in failing.iter().chain([&last]) {
            assert_eq!(world.release(deka, held, json!({})).status, 204);
        }
        assert_eq!(world.cash_in_hand(amina), 100 + 20 * 666 + 200);
        world.settle(&[on]);
        assert_eq!(differences(&world), 0);
        world.check_all(&[on]);
    });
}

/// Goal: not even an entry that cannot be kept in the log stops its envelope. Method: the database refuses
/// its row.
#[test]
fn an_entry_that_cannot_even_be_held_is_refused_and_its_bytes_are_kept() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        refuse(&world, "entry", "new.entry_type = 'VISIT'");
        let (fails, paid) = (world.visit(on, acc), world.cash(on, acc, 100));
        let bytes = world.phones[on.0].captured[&fails].clone();
        let (_, statuses) = sync(&mut world, on);
        assert_eq!(statuses[..3], [500, 500, 200]);
        assert_eq!(
            (world.shown(on, fails), world.shown(on, paid)),
            ("refused(FAILED)".to_owned(), "posted".to_owned())
        );
        assert_eq!(world.stands(acc), "active, owes 2900, paid 100, credit 0");
        let kept: Vec<(Vec<u8>,)> = world.server.rows("select bytes from envelope");
        assert!(kept.iter().any(|row| row.0.windows(bytes.len()).any(|window| window == bytes)));
        assert_eq!(items(&world, deka, "/v1/held"), Vec::<Value>::new());
        // What comes after it is taken at once.
        accept(&world, "entry");
        let next = world.visit(on, acc);
        world.sync(on);
        assert_eq!(world.shown(on, next), "noted");
    });
}

/// Goal: a board change that the server fails with is put aside for a supervisor. Method: the database
/// refuses board changes; he lists it and says what he did about it.
#[test]
fn a_board_change_that_fails_is_put_aside_and_a_supervisor_resolves_it() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let auditor = world.person("Faraji", Role::Auditor);
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        refuse(&world, "board_change", "new.version > 0");
        let (now, dossier) = (world.now(), world.accounts[acc.0].dossier);
        let edit = Edit::AddTag("second shop".to_owned());
        world.phones[on.0].edit(dossier, &[edit], now, &mut world.rng).expect("an officer may tag a case");
        let paid = world.cash(on, acc, 100);
        let (report, statuses) = sync(&mut world, on);
        assert_eq!((&statuses[..3], report.quarantined), (&[500, 500, 200][..], 1));
        assert_eq!(world.shown(on, paid), "posted");
        assert_eq!(world.stands(acc), "active, owes 2900, paid 100, credit 0");
        // Then a supervisor sees it, an auditor too, and only one of them may do something about it.
        let listed = items(&world, deka, "/v1/quarantine");
        assert_eq!(listed, items(&world, auditor, "/v1/quarantine"));
        assert_eq!(listed.len(), 1);
        assert_eq!((&listed[0]["dossier"], &listed[0]["reason"]), (&json!(dossier), &json!("FAILED")));
        assert!(listed[0]["bytes"].as_i64().is_some_and(|bytes| bytes > 0));
        assert_eq!(world.rest(amina, Method::GET, "/v1/quarantine", &Value::Null).status, 403);
        let path = format!("/v1/quarantine/{}/resolution", listed[0]["id"].as_str().expect("an id"));
        let body = json!({ "id": "01957c00-0000-7000-8000-000000000002", "resolution": "Written again by hand." });
        for who in [amina, auditor] {
            assert_eq!(world.rest(who, Method::POST, &path, &body).status, 403);
        }
        world.give_role(amina, Role::Supervisor);
        assert_eq!(world.rest(amina, Method::POST, &path, &body).code(), "same-person");
        for _ in 0..2 {
            assert_eq!(world.rest(deka, Method::POST, &path, &body).status, 204, "as often as it is sent");
        }
        let second = world.decide(deka, &path, json!({ "resolution": "Left as it is." }));
        assert_eq!((second.status, second.code().as_str()), (409, "already-decided"));
        let unknown = "/v1/quarantine/01957c00-0000-7000-8000-000000000003/resolution";
        assert_eq!(world.decide(deka, unknown, json!({ "resolution": "Nothing." })).status, 404);
        assert_eq!(items(&world, deka, "/v1/quarantine"), Vec::<Value>::new());
        let bytes: Vec<(i64,)> = world.server.rows("select quarantined_bytes from device");
        assert_eq!(bytes, [(0,)]);
        // And the officer writes on, under another name of his.
        accept(&world, "board_change");
        let (now, edit) = (world.now(), Edit::AddTag("second shop".to_owned()));
        world.phones[on.0].edit(dossier, &[edit], now, &mut world.rng).expect("an officer may tag a case");
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}
