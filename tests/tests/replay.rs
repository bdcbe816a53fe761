//! Goal: payments captured offline become money in the ledger, once, whatever goes wrong on the way.
//! Method: a replay of real payments (of a made-up folder where they are not at hand) by four phones,
//! through a bad network, to a server process that is killed, on both engines.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use daybook_tests::replay::{self, Engine, Options, Report, folder};
use indicatif::ProgressBar;

/// Names the Kiva folder: the one that holds loans.csv, schedule.csv and payments.csv.
const DATA: &str = "DAYBOOK_DATA";

/// The real folder: the one that is named, else the one beside the repository, if it is there.
fn real_data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/kiva");
    std::env::var_os(DATA).map(PathBuf::from).or_else(|| beside.join("loans.csv").is_file().then_some(beside))
}

async fn replayed(engine: Engine, seed: u64, faults: bool, data: &Path) -> Report {
    let options = Options { data: data.to_owned(), phones: 4, seed, engine, faults, keep: None };
    let report = replay::run(&options, &ProgressBar::hidden()).await.expect("the replay comes to its end");
    assert!(report.broken.is_empty(), "seed {seed}: {:#?}", report.broken);
    assert!(report.captured > 100, "{} captures prove little", report.captured);
    report
}

/// The real payments, and what they are known to come to; made-up ones where the real are not at hand.
async fn real_payments_post_once(engine: Engine, seed: u64) {
    let Some(data) = real_data() else {
        // Not by eprintln, which a passing test keeps to itself.
        writeln!(std::io::stderr(), "no real data ({DATA} names their folder): a made-up folder is replayed").ok();
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        folder::write(dir.path(), 1).expect("a folder can be made up");
        replayed(engine, seed, false, dir.path()).await;
        return;
    };
    let report = replayed(engine, seed, false, &data).await;
    assert_eq!((report.accounts, report.captured, report.posted), (784, 4_831, 4_831));
    assert_eq!((report.ledger_minor, report.overpaid_accounts), (33_757_500, 92));
}

/// Made-up payments while everything that can go wrong does.
async fn with_faults_the_same_money_posts(engine: Engine, seed: u64) {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    folder::write(dir.path(), seed).expect("a folder can be made up");
    let report = replayed(engine, seed, true, dir.path()).await;
    assert!(report.connections_harmed > 0 && report.phone_kills > 0, "nothing went wrong: {report:?}");
    assert!(report.server_kills > 0, "the server was never killed: {report:?}");
    assert!(report.reassigned > 0, "no case changed hands: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_payments_post_once_on_sqlite() {
    real_payments_post_once(Engine::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_payments_post_once_on_postgres() {
    real_payments_post_once(Engine::Postgres, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_the_same_money_posts_on_sqlite() {
    with_faults_the_same_money_posts(Engine::Sqlite, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_the_same_money_posts_on_postgres() {
    with_faults_the_same_money_posts(Engine::Postgres, 4).await;
}
