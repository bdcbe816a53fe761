//! Many at the same moment over the same rows, on every engine: where transactions really overlap.

use daybook_shared::board::Edit;
use daybook_tests::sim::{Engine, On, Terms, World};

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

fn tag(world: &mut World, on: On, acc: daybook_tests::sim::Acc, tag: &str) {
    let (now, dossier) = (world.now(), world.accounts[acc.0].dossier);
    let edit = Edit::AddTag(tag.to_owned());
    world.phones[on.0].edit(dossier, &[edit], now, &mut world.rng).expect("an officer may tag a case");
}
