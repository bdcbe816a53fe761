//! Goal: payments captured offline become money in the ledger, once, whatever goes wrong on the way.
//! Method: a replay of real payments (of a made-up folder where they are not at hand) by four phones,
//! through a bad network, to a server process that is killed, on both engines.

use std::path::{Path, PathBuf};

use daybook_tests::replay::{self, Engine, Options, Report, folder};
use indicatif::ProgressBar;

/// Names the folder of the real data.
const DATA: &str = "DAYBOOK_DATA";

/// The real folder, or a made-up one in `dir`.
fn data(dir: &Path) -> PathBuf {
    let named = std::env::var_os(DATA).map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/kiva");
    let real = named.or_else(|| beside.join("loans.csv").is_file().then_some(beside));
    real.unwrap_or_else(|| {
        folder::write(dir, 1).expect("a folder can be made up");
        dir.to_owned()
    })
}

async fn replayed(engine: Engine, seed: u64, faults: bool, made_up: bool) -> Report {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    if made_up {
        folder::write(dir.path(), seed).expect("a folder can be made up");
    }
    let data = if made_up { dir.path().to_owned() } else { data(dir.path()) };
    let options = Options { data, phones: 4, seed, engine, faults, keep: None };
    let report = replay::run(&options, &ProgressBar::hidden()).await.expect("the replay comes to its end");
    assert!(report.broken.is_empty(), "seed {seed}: {:#?}", report.broken);
    assert!(report.captured > 100, "{} captures prove little", report.captured);
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn real_payments_post_once_on_sqlite() {
    replayed(Engine::Sqlite, 1, false, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_payments_post_once_on_postgres() {
    replayed(Engine::Postgres, 2, false, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_the_same_money_posts_on_sqlite() {
    let report = replayed(Engine::Sqlite, 3, true, true).await;
    assert!(report.connections_harmed > 0 && report.phone_kills > 0, "nothing went wrong: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_the_same_money_posts_on_postgres() {
    let report = replayed(Engine::Postgres, 4, true, true).await;
    assert!(report.connections_harmed > 0 && report.phone_kills > 0, "nothing went wrong: {report:?}");
}
