//! A fresh database of each engine.

use daybook_server::db::Db;
use daybook_tests::cluster::{Commits, Postgres, fresh_database};

/// Runs a test on a fresh, migrated database of each engine. A machine without PostgreSQL fails it.
pub async fn for_each_engine(test: impl AsyncFn(&Db)) {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let sqlite = Db::open(&format!("sqlite:{}", dir.path().join("daybook.db").display())).await;
    let sqlite = sqlite.expect("a fresh SQLite database can be opened");
    test(&sqlite).await;
    sqlite.close().await;

    let cluster = Postgres::find_or_start(Commits::Fast).expect("PostgreSQL runs");
    let database = fresh_database(&cluster.url()).await.expect("databases can be made");
    let postgres = Db::open(&database.url).await.expect("a fresh PostgreSQL database can be opened");
    test(&postgres).await;
    postgres.close().await;
}
