//! Many at the same moment over the same rows, on every engine: where transactions really overlap.

use daybook_server::db::Db;
use daybook_shared::board::Edit;
use daybook_tests::sim::{Engine, On, Terms, World};
use serde_json::json;

const OFFICERS: usize = 6;
const ROUNDS: usize = 2;

/// Goal: envelopes over the same accounts, cash, boards and caseload neither lose nor double anything,
/// whatever order the database takes them in. Method: the officers of one caseload capture and write on
/// the same three cases, send all at the same moment and every request twice, hear nothing, and sync
/// again.
#[test]
fn envelopes_over_the_same_cases_at_the_same_moment_all_count_once() {
    for engine in Engine::all() {
        let mut world = World::new(engine, 1);
        let (amina, first) = world.officer("Amina");
        let mut phones = vec![first];
        for n in 1..OFFICERS {
            let (colleague, on) = world.officer(&format!("Officer{n}"));
            world.set_member(amina, colleague, daybook_server::auth::caseloads::Membership::Member);
            phones.push(on);
        }
        let cases: Vec<_> = (0..3).map(|_| world.account(amina, Terms::months(6))).collect();
        world.settle(&phones);
        for round in 0..ROUNDS {
            for (n, on) in phones.iter().copied().enumerate() {
                for acc in &cases {
                    world.visit(on, *acc);
                    world.cash(on, *acc, 10);
                    world.promise(on, *acc, 100, 3);
                    tag(&mut world, on, *acc, &format!("round {round} of {n}"));
                }
            }
            for answer in world.send_at_once(&phones) {
                assert!([200, 409].contains(&answer.status), "{}", answer.json());
            }
            world.settle(&phones);
        }
        let paid = i64::try_from(OFFICERS * ROUNDS * 10).expect("a small number");
        for acc in cases {
            assert_eq!(world.stands(acc), format!("active, owes {}, paid {paid}, credit 0", 6_000 - paid));
            let dossier = world.accounts[acc.0].dossier;
            for on in &phones {
                let board = world.phone(*on).store().board_of(dossier).expect("a store").expect("a board");
                assert_eq!(board.tags.len(), OFFICERS * ROUNDS, "every tag is on every phone");
            }
        }
        world.check_all(&phones);
    }
}

/// From now on the database sends the first four decisions that are written back, two of them as deadlocks
/// and two as serialization failures: PostgreSQL does so by itself, but not whenever a test wants it.
fn make_decisions_meet(world: &World) {
    if !matches!(world.server.app().db, Db::Postgres(_)) {
        return;
    }
    for statement in [
        "create sequence meetings",
        "create function meet() returns trigger language plpgsql as $$ begin
           if nextval('meetings') <= 4 then
             raise exception 'two transactions met'
               using errcode = case when currval('meetings') % 2 = 0 then '40001' else '40P01' end;
           end if;
           return new;
         end $$",
        "create trigger meet before insert on journal for each row execute function meet()",
    ] {
        world.server.execute(statement);
    }
}

/// Goal: a decision that met another in the database is made all the same, once, without its maker
/// noticing. Method: two people take two payments of one account back at the same moment, on a database
/// that sends the first four attempts back.
#[test]
fn decisions_that_meet_are_each_made_once() {
    for engine in Engine::all() {
        let mut world = World::new(engine, 1);
        let (amina, on) = world.officer("Amina");
        let (deka, farah) = (world.supervisor("Deka"), world.supervisor("Farah"));
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let (one, other) = (world.cash(on, acc, 500), world.cash(on, acc, 400));
        let stays = world.cash(on, acc, 300);
        world.sync(on);
        make_decisions_meet(&world);
        let path = |payment| format!("/v1/payments/{payment}/reversal");
        let why = json!({ "reason": "Nobody paid." });
        let answers = world.decide_at_once(vec![(deka, path(one), why.clone()), (farah, path(other), why)]);
        for answer in &answers {
            assert_eq!(answer.status, 204, "{}", answer.json());
        }
        assert_eq!(world.stands(acc), "active, owes 2700, paid 300, credit 0");
        assert_eq!(world.cash_in_hand(amina), 300);
        world.settle(&[on]);
        assert_eq!(world.shown(on, one), "posted REVERSED");
        assert_eq!(world.shown(on, stays), "posted");
        world.check_all(&[on]);
    }
}

fn tag(world: &mut World, on: On, acc: daybook_tests::sim::Acc, tag: &str) {
    let (now, dossier) = (world.now(), world.accounts[acc.0].dossier);
    let edit = Edit::AddTag(tag.to_owned());
    world.phones[on.0].edit(dossier, &[edit], now, &mut world.rng).expect("an officer may tag a case");
}
