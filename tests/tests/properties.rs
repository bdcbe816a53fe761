//! I3: any permutation, duplication and batching of a set of captures gives the same account states,
//! promise status and cash in hand.
//!
//! Many cases through the pure verdicts, few through the real server on every engine.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;

use daybook_shared::ids::EntryId;
use daybook_shared::time::{Timestamp, Zone};
use daybook_tests::sim::captures::{self, Cast, Made};
use daybook_tests::sim::pure;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::says::words;
use daybook_tests::sim::{Acc, Engine, On, Terms, World};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_do_not_see_the_order_of_arrival(seed in any::<u64>(), count in 1..60_usize) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let made: Vec<_> = captures::some(&pure::cast(), count, &mut rng).iter().map(pure::arriving).collect();
        let in_order = pure::take(std::slice::from_ref(&made));
        for _ in 0..3 {
            let scattered = captures::scattered(&made, &mut rng);
            prop_assert_eq!(&in_order, &pure::take(&scattered));
        }
    }
}

/// What the server made of it.
#[derive(Debug, PartialEq, Eq)]
struct Reached {
    accounts: Vec<String>,
    promises: Vec<Vec<(EntryId, String)>>,
    cash: Vec<(i64, String, i64)>,
    outcomes: BTreeMap<EntryId, String>,
}

/// The same lender every time: three officers, four accounts, one of them moved on.
fn lender(engine: Engine) -> (World, Cast, Vec<On>) {
    let mut world = World::new(engine, 7);
    let names = ["Amina", "Barasa", "Chebet"];
    let people: Vec<_> = names.into_iter().map(|name| world.officer(name)).collect();
    for index in 0..4 {
        world.account(people[index % 3].0, Terms::months(3));
    }
    let agent = world.agent(people[0].0);
    let from: Timestamp = world.now().plus_ms(3_600_000);
    world.pass_days(10);
    world.assign(Acc(0), Some(people[1].0));
    world.pass_days(25);
    let series: Vec<(i64, String)> = world.server.rows("select id, series from device order by id");
    let device = |index: usize, (_, on): &(_, On)| {
        (world.device(*on), world.people[people[index].0.0].uid, series[index].1.clone())
    };
    let cast = Cast {
        devices: people.iter().enumerate().map(|(index, person)| device(index, person)).collect(),
        accounts: world.accounts.iter().map(|account| account.uid).collect(),
        agent,
        from,
        days: 30,
        zone: Zone::named("Africa/Nairobi").unwrap(),
    };
    let phones = people.into_iter().map(|(_, on)| on).collect();
    (world, cast, phones)
}

fn through_the_server(engine: Engine, groups: &[Vec<Made>]) -> Reached {
    let (world, _, phones) = lender(engine);
    let mut devices: Vec<Raw> = phones.iter().map(|on| Raw::of(&world, *on)).collect();
    for group in groups {
        for (index, device) in devices.iter_mut().enumerate() {
            let mine: Vec<_> =
                group.iter().filter(|made| made.device == index).map(|made| made.bytes.clone()).collect();
            if !mine.is_empty() {
                device.upload(&world, &mine, Vec::new());
            }
        }
    }
    daybook_tests::sim::check::ledger::check(&world);
    let accounts = (0..world.accounts.len()).map(Acc);
    let without_flags = |text: String| text.split(' ').next().unwrap_or_default().to_owned();
    Reached {
        accounts: accounts.clone().map(|acc| world.stands(acc)).collect(),
        promises: accounts.map(|acc| world.promises(acc)).collect(),
        cash: world
            .server
            .rows("select user_id, currency, minor from officer_cash where minor <> 0 order by user_id, currency"),
        outcomes: world.entries().into_iter().map(|(id, entry)| (id, without_flags(words(&entry.outcome)))).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn the_server_does_not_see_the_order_of_arrival(seed in any::<u64>(), count in 10..40_usize) {
        for engine in Engine::all() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (world, cast, _) = lender(engine);
            drop(world);
            let made = captures::some(&cast, count, &mut rng);
            let in_order = through_the_server(engine, std::slice::from_ref(&made));
            let scattered = captures::scattered(&made, &mut rng);
            prop_assert_eq!(&in_order, &through_the_server(engine, &scattered), "{:?}", engine);
        }
    }
}
