//! No statement is forgotten: whatever SQL the source holds is prepared on both migrated engines, and
//! the phone's on its own store.
//!
//! The texts come from the source itself (`statements/scan.rs`), so a new statement is covered by
//! being written. Preparing finds what only one engine speaks, names that do not exist, and columns
//! that differ in number or name between the engines. Types of values are the conformance suite's.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "statements/scan.rs"]
mod scan;
mod support;
#[path = "statements/tokens.rs"]
mod tokens;

use std::path::Path;

use daybook_server::db::{Db, batch};
use scan::{Rows, Scan, Statement};
use sqlx::{AssertSqlSafe, Column as _, Executor as _, SqlSafeStr as _, Statement as _};
use support::for_each_engine;

fn scanned(crate_folder: &str, composers: &[&str]) -> Scan {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(crate_folder).join("src");
    let scan = scan::scan(&tokens::product_sources(&folder), composers);
    assert!(scan.problems.is_empty(), "{:#?}", scan.problems);
    scan
}

/// The columns a statement returns, or why the engine does not take it.
async fn prepare(db: &Db, sql: String) -> Result<Vec<String>, String> {
    let sql = AssertSqlSafe(sql).into_sql_str();
    match db {
        Db::Sqlite { writer, .. } => {
            let statement = writer.prepare(sql).await.map_err(|error| error.to_string())?;
            Ok(statement.columns().iter().map(|column| column.name().to_owned()).collect())
        }
        Db::Postgres(pool) => {
            let statement = pool.prepare(sql).await.map_err(|error| error.to_string())?;
            Ok(statement.columns().iter().map(|column| column.name().to_owned()).collect())
        }
    }
}

/// The statement's text in front of rows of this type.
fn with_rows(db: &Db, rows: &Rows, tail: &str) -> String {
    let columns: Vec<_> = rows.columns.iter().map(|(name, ty)| (name.as_str(), ty.as_str())).collect();
    match db {
        Db::Sqlite { .. } => batch::sqlite_text(&columns, 2, tail),
        Db::Postgres(_) => batch::postgres_text(&columns, tail),
    }
}

/// How a statement was taken: alone, or behind rows of a type, and what it returns.
type Taken = (Option<String>, Vec<String>);

/// Prepares a statement: alone, else with the row types of its file, else with any.
async fn take(db: &Db, statement: &Statement, rows: &[Rows]) -> Result<Vec<Taken>, String> {
    let alone = match prepare(db, statement.sql.clone()).await {
        Ok(columns) => return Ok(vec![(None, columns)]),
        Err(error) => error,
    };
    let (near, far): (Vec<&Rows>, Vec<&Rows>) = rows.iter().partition(|rows| rows.file == statement.file);
    let mut errors = vec![format!("alone: {alone}")];
    for candidates in [near, far] {
        let mut taken = Vec::new();
        for rows in candidates {
            match prepare(db, with_rows(db, rows, &statement.sql)).await {
                Ok(columns) => taken.push((Some(format!("{}::{}", rows.file, rows.name)), columns)),
                // A type without the columns is not the statement's.
                Err(error) if error.contains("does not exist") || error.contains("no such column") => {}
                Err(error) => errors.push(format!("with {}: {error}", rows.name)),
            }
        }
        if !taken.is_empty() {
            return Ok(taken);
        }
    }
    Err(errors.join("\n    "))
}

/// Whether two engines name a column alike; what is computed and has no name is named by the engine.
fn same_name(one: &str, other: &str) -> bool {
    one == other || one.contains(|char: char| !char.is_ascii_alphanumeric() && char != '_')
}

#[tokio::test]
async fn every_statement_of_the_server_is_prepared_on_both_engines() {
    let Scan { statements, rows, .. } = scanned("server", &["db/batch.rs", "backup/tables.rs"]);
    assert!(statements.len() > 200, "the scan finds {} statements only", statements.len());
    assert!(rows.len() > 50, "the scan finds {} row types only", rows.len());
    let on_sqlite = std::sync::Mutex::new(std::collections::BTreeMap::new());
    let wrong = std::sync::Mutex::new(Vec::new());
    for_each_engine(async |db| {
        let is_sqlite = matches!(db, Db::Sqlite { .. });
        for statement in &statements {
            if is_sqlite && statement.locks() {
                continue;
            }
            let said = take(db, statement, &rows).await;
            let problem = match said {
                Err(error) => Some(error),
                Ok(taken) if is_sqlite => {
                    on_sqlite.lock().unwrap().insert(statement.clone(), taken);
                    None
                }
                Ok(taken) => on_sqlite.lock().unwrap().get(statement).and_then(|before| differs(before, &taken)),
            };
            if let Some(problem) = problem {
                let engine = if is_sqlite { "SQLite" } else { "PostgreSQL" };
                let text = format!("{} on {engine}:\n  {}\n    {problem}", statement.file, statement.sql);
                wrong.lock().unwrap().push(text);
            }
        }
    })
    .await;
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} statements:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// What differs between the engines, if they do not take a statement alike with at least one row type.
fn differs(sqlite: &[Taken], postgres: &[Taken]) -> Option<String> {
    let alike = |(rows, columns): &Taken, (other_rows, other): &Taken| {
        rows == other_rows && columns.len() == other.len() && columns.iter().zip(other).all(|(a, b)| same_name(a, b))
    };
    let any = sqlite.iter().any(|one| postgres.iter().any(|other| alike(one, other)));
    (!any).then(|| format!("SQLite takes it as {sqlite:?}\n    PostgreSQL as {postgres:?}"))
}

#[test]
fn every_statement_of_the_phone_is_prepared_on_its_store() {
    let Scan { statements, .. } = scanned("mobile-sync", &[]);
    assert!(statements.len() > 20, "the scan finds {} statements only", statements.len());
    let store = rusqlite::Connection::open_in_memory().unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/device");
    let mut files: Vec<_> = std::fs::read_dir(migrations).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        store.execute_batch(&std::fs::read_to_string(file).unwrap()).unwrap();
    }
    let wrong = statements.iter().filter_map(|statement| {
        let error = store.prepare(&statement.sql).err()?;
        Some(format!("{}:\n  {}\n    {error}", statement.file, statement.sql))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{} statements:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The scan itself: what it follows, what it skips, what it calls a problem.
#[test]
fn the_scan_follows_constants_concat_macros_and_clauses() {
    let source = r#"
        //! select a from a comment
        macro_rules! head { () => { "with v as (select 1 from t) " }; }
        macro_rules! having { ($what:literal) => { concat!("select h from t where ", $what) }; }
        const PLAIN: &str = "select a \
            from t";
        const JOINED: &str = concat!(head!(), "select b from v where c = ", "'x'");
        const TABLE: [(&str, &str); 1] = [("t", "delete from t")];
        const LOCKED: &str = " for no key update of t";
        batch_row! {
            /// Doc.
            pub struct Row { /** Doc. */ a: Option<Vec<u8>> => "bytea", b: i64 => "int8" }
        }
        fn run() {
            let text = format!("{PLAIN}{LOCKED}");
            locking(tx, PLAIN, " order by a for no key update");
            on_db!(tx, conn => sqlx::query_as::<_, (i64,)>("update t set a = 1").execute(conn));
            run(having!("h = 1"));
            let sentence = "select a lamp for the customer";
        }
        #[cfg(test)]
        mod tests { const HIDDEN: &str = "select hidden from t"; }
    "#;
    let scan = scan_text(source);
    let sql: Vec<_> = scan.statements.iter().map(|statement| statement.sql.as_str()).collect();
    let expected = [
        "delete from t",
        "select a from t",
        "select a from t for no key update of t",
        "select a from t order by a for no key update",
        "select h from t where h = 1",
        "update t set a = 1",
        "with v as (select 1 from t) select b from v where c = 'x'",
    ];
    assert_eq!((sql, scan.problems), (expected.to_vec(), vec![]));
    assert_eq!(scan.rows[0].columns, [("a".into(), "bytea".into()), ("b".into(), "int8".into())]);
}

#[test]
fn the_scan_fails_for_what_it_cannot_follow() {
    for (source, problem) in [
        (r#"fn f() { let x = format!("select {columns} from t"); }"#, "a statement is composed"),
        ("fn f() { sqlx::query(AssertSqlSafe(x)).execute(c) }", "AssertSqlSafe hides"),
        (r#"const ODD: &str = "vacuum"; fn f() { sqlx::query(ODD).execute(c) }"#, "ODD is run"),
        ("fn f() { batch::fetch::<_, (i64,)>(tx, &rows, UNKNOWN) }", "UNKNOWN is run"),
        (r#"const LOCKED: &str = " for no key update of t";"#, "nothing locks by"),
    ] {
        let problems = scan_text(source).problems;
        assert!(problems.len() == 1 && problems[0].contains(problem), "{source}: {problems:?}");
    }
}

fn scan_text(source: &str) -> Scan {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("src");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.rs"), source).unwrap();
    scan::scan(&tokens::product_sources(&folder), &[])
}
