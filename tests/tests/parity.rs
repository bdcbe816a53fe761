//! The migrations of the two engines describe one schema: the same files, tables, columns in the same
//! order, NOT NULL, keys, unique constraints, indexes and references. Only types differ, by this map:
//!
//! | what | SQLite (STRICT) | PostgreSQL |
//! |---|---|---|
//! | number, money in minor units, key | INTEGER | bigint, never int4 |
//! | instant (microseconds) | INTEGER | timestamp with time zone |
//! | truth (0 or 1) | INTEGER | boolean |
//! | id of 16 bytes | BLOB | uuid |
//! | hash, envelope, entry, board | BLOB | bytea |
//! | business date (ISO) | TEXT | date |
//! | text, code, currency | TEXT | text |

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "parity/schema.rs"]
mod schema;
mod support;

use std::path::Path;
use std::sync::Mutex;

use schema::{Column, Schema};
use support::for_each_engine;

const TYPES: [(&str, &str); 7] = [
    ("INTEGER", "bigint"),
    ("INTEGER", "timestamp with time zone"),
    ("INTEGER", "boolean"),
    ("BLOB", "uuid"),
    ("BLOB", "bytea"),
    ("TEXT", "date"),
    ("TEXT", "text"),
];

async fn both() -> (Schema, Schema) {
    let schemas = Mutex::new(Vec::new());
    for_each_engine(async |db| {
        let schema = schema::read(db).await;
        schemas.lock().unwrap().push(schema);
    })
    .await;
    let [sqlite, postgres]: [Schema; 2] = schemas.into_inner().unwrap().try_into().unwrap();
    (sqlite, postgres)
}

fn files(engine: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(engine);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

#[test]
fn the_engines_have_the_same_migrations() {
    assert_eq!(files("sqlite"), files("postgres"));
    assert!(!files("sqlite").is_empty());
}

#[tokio::test]
async fn the_engines_have_the_same_schema() {
    let (sqlite, postgres) = both().await;
    let names = |schema: &Schema| schema.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&sqlite), names(&postgres));
    assert!(sqlite.len() > 30, "{} tables", sqlite.len());
    for (name, table) in &sqlite {
        let other = &postgres[name];
        let columns = |columns: &[Column]| {
            columns.iter().map(|column| (column.name.clone(), column.not_null)).collect::<Vec<_>>()
        };
        assert_eq!(columns(&table.columns), columns(&other.columns), "{name}: columns and NOT NULL");
        for (column, other) in table.columns.iter().zip(&other.columns) {
            let pair = (column.ty.as_str(), other.ty.as_str());
            assert!(TYPES.contains(&pair), "{name}.{}: {pair:?} is not in the map", column.name);
        }
        assert_eq!(table.primary_key, other.primary_key, "{name}: primary key");
        assert!(!table.primary_key.is_empty(), "{name} has a primary key");
        assert_eq!(table.unique, other.unique, "{name}: unique constraints");
        assert_eq!(table.indexes, other.indexes, "{name}: indexes");
        assert_eq!(table.references, other.references, "{name}: references");
    }
}

/// A type says what a column is for, so a name means one thing on both engines.
#[tokio::test]
async fn names_and_types_agree() {
    let (sqlite, postgres) = both().await;
    for (name, table) in &postgres {
        for column in &table.columns {
            let what = format!("{name}.{} is {}", column.name, column.ty);
            let is_instant = column.ty == "timestamp with time zone";
            assert_eq!(is_instant, column.name == "at" || column.name.ends_with("_at"), "{what}");
            if column.name.ends_with("_id") || column.name == "id" || column.name.ends_with("_minor") {
                assert_eq!(column.ty, "bigint", "{what}");
            }
        }
    }
    assert!(sqlite.values().all(|table| table.columns.iter().all(|column| column.ty != "REAL")));
}
