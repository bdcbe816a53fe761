//! Seeds of the simulated world, on every engine there is.
//!
//! Two a run; `SIM_SEEDS=n` for more, `SIM_SEED=s` for one. The form without a database runs 500 seeds of
//! its own for each of those, `PURE_SEED=p` for one. A seed that fails says how to see it again.

use std::panic::{catch_unwind, resume_unwind};

use daybook_mobile_sync::session::SyncEnd;
use daybook_tests::sim::{Engine, Terms, World, pure, storm};

/// Seeds when nobody asks for more.
const SEEDS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}

/// The seeds of this run: new ones only when asked for, so that a green build stays green.
fn seeds() -> Vec<u64> {
    if let Some(seed) = number("SIM_SEED") {
        return vec![seed];
    }
    let first = number("SIM_FIRST").unwrap_or(1);
    (first..first + number("SIM_SEEDS").unwrap_or(SEEDS)).collect()
}

/// Goal: I1 to I8 hold whatever goes wrong on the road. Method: see `daybook_tests::sim`.
#[test]
fn storms_leave_nothing_lost_nothing_twice_and_everybody_agrees() {
    for engine in Engine::all() {
        for seed in seeds() {
            storm::run(engine, seed);
        }
    }
}

/// Goal: I9, after everything else that goes wrong: see `storm::run_with_loss`.
#[test]
fn a_server_that_is_lost_comes_back_to_the_same_books() {
    for engine in Engine::all() {
        for seed in seeds() {
            storm::run_with_loss(engine, seed);
        }
    }
}

/// Goal: the plain road, so that a break of it is seen before any storm's.
#[test]
fn on_a_calm_road_one_round_trip_makes_a_capture_money() {
    for engine in Engine::all() {
        let mut world = World::new(engine, 1);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        world.visit(on, acc);
        let paid = world.cash(on, acc, 1000);
        let report = world.sync(on);
        assert_eq!((report.end, report.round_trips), (SyncEnd::UpToDate, 1));
        assert_eq!(world.outcome(paid), "posted");
        assert_eq!(world.shown(on, paid), "posted");
        assert_eq!(world.stands(acc), "active, owes 2000, paid 1000, credit 0");
        assert_eq!(world.cash_in_hand(amina), 1000);
        assert_eq!(world.lines(paid), ["repayment: Dr officer_cash 1000", "repayment: Cr plan_recv 1000"]);
        world.check_all(&[on]);
    }
}

/// Goal: I2 and I3 for the rules alone, thousands of times. `SIM_SEEDS` multiplies it; `PURE_SEED` names
/// one of them, as a failure prints it.
#[test]
fn thousands_of_seeds_without_a_database() {
    const SEEDS_PER_SEED: u64 = 500;
    let of = |seed: u64| seed * SEEDS_PER_SEED..(seed + 1) * SEEDS_PER_SEED;
    let seeds = number("PURE_SEED").map_or_else(|| seeds().into_iter().flat_map(of).collect(), |seed| vec![seed]);
    for seed in seeds {
        if let Err(panic) = catch_unwind(|| pure::seed(seed)) {
            eprintln!("seed {seed} without a database fails; to see it again:");
            eprintln!("  PURE_SEED={seed} cargo test -p daybook-tests --test simulation thousands");
            resume_unwind(panic);
        }
    }
}
