//! Goal: every order of a real web shop finds its way through the journey, and the funnel counts it right.
//! Method: one of forty of the real orders (a made-up folder where they are not at hand) from checkout to contract
//! or cancellation, on both engines; `checkout --every 1` takes all.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use daybook_tests::checkout::{self, Options, Report, made_up, orders};
use daybook_tests::sim::Engine;
use indicatif::ProgressBar;

fn checked(options: Options<'_>) -> Report {
    let report = checkout::run(options, &ProgressBar::hidden()).unwrap();
    assert!(report.differences.is_empty(), "{:#?}", report.differences);
    assert!(report.contracts > 20 && report.rejected > 0 && report.cancelled > 0, "{report:?}");
    report
}

#[test]
fn real_orders_go_through_the_journey_and_the_funnel_counts_them() {
    let beside: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/olist");
    for engine in Engine::all() {
        if orders::are_in(&beside) {
            checked(Options { data: &beside, engine, seed: 1, every: 40 });
        } else {
            // Not by eprintln, which a passing test keeps to itself.
            writeln!(std::io::stderr(), "no real orders: a made-up folder is taken").ok();
            let folder = tempfile::tempdir().unwrap();
            made_up::write(folder.path(), 1).unwrap();
            checked(Options { data: folder.path(), engine, seed: 1, every: 1 });
        }
    }
}

#[test]
fn made_up_orders_of_the_same_shape_do_too() {
    let folder = tempfile::tempdir().unwrap();
    made_up::write(folder.path(), 2).unwrap();
    for engine in Engine::all() {
        assert_eq!(checked(Options { data: folder.path(), engine, seed: 2, every: 1 }).orders, 120);
    }
}
