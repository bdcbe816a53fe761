//! Any table of either engine as rows of plain values. The one place beside `db.rs` that composes
//! statements: their names come from the engine's own catalogue, and are quoted.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::time::{Date, Timestamp};
use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Column as _, Postgres, Row as _, Sqlite, TypeInfo as _, ValueRef as _};
use uuid::Uuid;

use super::format::Value;
use super::{BackupError, TableInfo};
use crate::db::Tx;
use crate::on_db;

/// Rows of one statement that puts them back.
const INSERT_ROWS: usize = 64;

const SQLITE_TABLES: &str =
    "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\'
     and name <> '_sqlx_migrations' order by rowid";
const SQLITE_COLUMNS: &str = "select name, pk from pragma_table_info($1) order by cid";
const SQLITE_REFERENCES: &str =
    "select distinct m.name, f.\"table\" from sqlite_schema m, pragma_foreign_key_list(m.name) f
     where m.type = 'table' and m.name <> f.\"table\"";
const POSTGRES_TABLES: &str = "select cast(c.relname as text) from pg_class c
     where c.relkind = 'r' and c.relnamespace = cast(current_schema() as regnamespace)
       and c.relname <> '_sqlx_migrations' order by c.oid";
const POSTGRES_COLUMNS: &str =
    "select cast(a.attname as text), cast(coalesce(array_position(cast(i.indkey as int2[]), a.attnum), 0) as bigint)
     from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
     where a.attrelid = cast($1 as regclass) and a.attnum > 0 and not a.attisdropped order by a.attnum";
const POSTGRES_TYPES: &str = "select cast(a.attname as text), cast(t.typname as text), a.attidentity <> ''
     from pg_attribute a join pg_type t on t.oid = a.atttypid
     where a.attrelid = cast($1 as regclass) and a.attnum > 0 and not a.attisdropped order by a.attnum";
const POSTGRES_REFERENCES: &str = "select distinct cast(o.relname as text), cast(t.relname as text)
     from pg_constraint c join pg_class o on o.oid = c.conrelid join pg_class t on t.oid = c.confrelid
     where c.contype = 'f' and c.conrelid <> c.confrelid
       and o.relnamespace = cast(current_schema() as regnamespace)";

/// The newest migration a database has had.
pub const NEWEST_MIGRATION: &str = "select coalesce(max(version), 0) from _sqlx_migrations";

/// A table of the catalogue, with the columns of its primary key.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name and columns.
    pub info: TableInfo,
    key: Vec<String>,
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// Every table, one that refers to another after it.
pub async fn all(tx: &mut Tx) -> sqlx::Result<Vec<Table>> {
    let names: Vec<String> = match tx {
        Tx::Sqlite(tx) => sqlx::query_scalar(SQLITE_TABLES).fetch_all(&mut **tx).await?,
        Tx::Postgres(tx) => sqlx::query_scalar(POSTGRES_TABLES).fetch_all(&mut **tx).await?,
    };
    let mut tables = Vec::new();
    for name in names {
        let columns: Vec<(String, i64)> = match tx {
            Tx::Sqlite(tx) => sqlx::query_as(SQLITE_COLUMNS).bind(&name).fetch_all(&mut **tx).await?,
            Tx::Postgres(tx) => sqlx::query_as(POSTGRES_COLUMNS).bind(quoted(&name)).fetch_all(&mut **tx).await?,
        };
        let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).cloned().collect();
        key.sort_unstable_by_key(|(_, place)| *place);
        let key = key.into_iter().map(|(name, _)| name).collect();
        let columns = columns.into_iter().map(|(name, _)| name).collect();
        tables.push(Table { info: TableInfo { name, columns }, key });
    }
    in_order(tx, tables).await
}

/// Tables in an order in which each comes after those it refers to.
async fn in_order(tx: &mut Tx, mut tables: Vec<Table>) -> sqlx::Result<Vec<Table>> {
    let references: Vec<(String, String)> = match tx {
        Tx::Sqlite(tx) => sqlx::query_as(SQLITE_REFERENCES).fetch_all(&mut **tx).await?,
        Tx::Postgres(tx) => sqlx::query_as(POSTGRES_REFERENCES).fetch_all(&mut **tx).await?,
    };
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in references {
        needs.entry(from).or_default().insert(to);
    }
    let (mut order, mut done) = (Vec::new(), BTreeSet::new());
    while !tables.is_empty() {
        let is_ready = |table: &Table| needs.get(&table.info.name).is_none_or(|needs| needs.is_subset(&done));
        let at = tables.iter().position(is_ready);
        let at = at.ok_or_else(|| sqlx::Error::Protocol("tables refer to each other in a circle".to_owned()))?;
        let table = tables.remove(at);
        done.insert(table.info.name.clone());
        order.push(table);
    }
    Ok(order)
}

/// Tables that have a row from their migration on. A database with nothing else is new.
const SEEDED: &[&str] = &["audit_head"];

/// Whether so many rows of a table come from its migration.
pub fn is_new(table: &str, rows: i64) -> bool {
    rows == 0 || (rows == 1 && SEEDED.contains(&table))
}

/// Takes out what migrations put into new tables, before a backup's rows are put in.
pub async fn clear_seeds(tx: &mut Tx) -> sqlx::Result<()> {
    for table in SEEDED {
        let sql = format!("delete from {}", quoted(table));
        on_db!(tx, conn => sqlx::query(AssertSqlSafe(sql)).execute(conn).await.map(|_| ()))?;
    }
    Ok(())
}

/// How many rows a table has.
pub async fn count(tx: &mut Tx, table: &str) -> sqlx::Result<i64> {
    let sql = format!("select count(*) from {}", quoted(table));
    on_db!(tx, conn => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(conn).await)
}

/// Gives every row of a table, in the order of its primary key.
pub async fn each_row(
    tx: &mut Tx,
    table: &Table,
    mut take: impl FnMut(Vec<Value>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let order = if table.key.is_empty() { String::new() } else { format!(" order by {}", list(&table.key)) };
    let sql = format!("select {} from {}{order}", list(&table.info.columns), quoted(&table.info.name));
    match tx {
        Tx::Sqlite(tx) => {
            let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut **tx);
            while let Some(row) = rows.try_next().await? {
                take(sqlite_values(&row)?)?;
            }
        }
        Tx::Postgres(tx) => {
            let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut **tx);
            while let Some(row) = rows.try_next().await? {
                take(postgres_values(&row)?)?;
            }
        }
    }
    Ok(())
}

fn sqlite_values(row: &SqliteRow) -> sqlx::Result<Vec<Value>> {
    let value = |at: usize| {
        let raw = row.try_get_raw(at)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        match raw.type_info().name() {
            "INTEGER" => row.try_get_unchecked(at).map(Value::Int),
            "TEXT" => row.try_get_unchecked(at).map(Value::Text),
            "BLOB" => row.try_get_unchecked(at).map(Value::Bytes),
            other => Err(unknown_type(other)),
        }
    };
    (0..row.len()).map(value).collect()
}

fn postgres_values(row: &PgRow) -> sqlx::Result<Vec<Value>> {
    let value = |at: usize| {
        if row.try_get_raw(at)?.is_null() {
            return Ok(Value::Null);
        }
        match row.column(at).type_info().name() {
            "INT8" => row.try_get(at).map(Value::Int),
            "TEXT" => row.try_get(at).map(Value::Text),
            "BYTEA" => row.try_get(at).map(Value::Bytes),
            "BOOL" => row.try_get(at).map(|value: bool| Value::Int(value.into())),
            "UUID" => row.try_get(at).map(|value: Uuid| Value::Bytes(value.into_bytes().to_vec())),
            "TIMESTAMPTZ" => row.try_get(at).map(|value: Timestamp| Value::Int(value.micros())),
            "DATE" => row.try_get(at).map(|value: Date| Value::Text(value.to_string())),
            other => Err(unknown_type(other)),
        }
    };
    (0..row.len()).map(value).collect()
}

fn unknown_type(name: &str) -> sqlx::Error {
    sqlx::Error::Protocol(format!("backups know no values of type {name}"))
}

/// How rows are put into a table.
#[derive(Debug)]
pub struct Target {
    info: TableInfo,
    /// PostgreSQL's type of each column.
    types: Vec<String>,
    /// The column whose values PostgreSQL draws.
    identity: Option<String>,
}

impl Target {
    /// A table that rows of these columns go into; an error if it has not exactly them.
    pub async fn of(tx: &mut Tx, info: &TableInfo) -> Result<Self, BackupError> {
        let differs = |why: String| BackupError::Table { table: info.name.clone(), why };
        let found = all(tx).await?.into_iter().find(|table| table.info.name == info.name);
        let found = found.ok_or_else(|| differs("there is no such table".to_owned()))?;
        let (mine, theirs): (BTreeSet<_>, BTreeSet<_>) =
            (found.info.columns.iter().collect(), info.columns.iter().collect());
        if let Some(column) = mine.symmetric_difference(&theirs).next() {
            return Err(differs(format!("only one of them has a column {column}")));
        }
        let (mut types, mut identity) = (Vec::new(), None);
        if let Tx::Postgres(tx) = tx {
            let rows: Vec<(String, String, bool)> =
                sqlx::query_as(POSTGRES_TYPES).bind(quoted(&info.name)).fetch_all(&mut **tx).await?;
            let by_name: BTreeMap<_, _> = rows.iter().map(|(name, ty, _)| (name, ty)).collect();
            types = info.columns.iter().map(|column| by_name[column].clone()).collect();
            identity = rows.into_iter().find(|(.., drawn)| *drawn).map(|(name, ..)| name);
        }
        Ok(Self { info: info.clone(), types, identity })
    }

    /// Puts rows in.
    pub async fn insert(&self, tx: &mut Tx, rows: &[Vec<Value>]) -> Result<(), BackupError> {
        for chunk in rows.chunks(INSERT_ROWS) {
            match tx {
                Tx::Sqlite(tx) => {
                    let (sql, arguments) = self.sqlite(chunk)?;
                    sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), arguments).execute(&mut **tx).await?;
                }
                Tx::Postgres(tx) => {
                    let (sql, arguments) = self.postgres(chunk)?;
                    sqlx::query_with::<Postgres, _>(AssertSqlSafe(sql), arguments).execute(&mut **tx).await?;
                }
            }
        }
        Ok(())
    }

    /// PostgreSQL goes on drawing keys after the highest one.
    pub async fn finish(&self, tx: &mut Tx) -> sqlx::Result<()> {
        let (Tx::Postgres(tx), Some(column)) = (tx, &self.identity) else { return Ok(()) };
        let sql = format!(
            "select setval(pg_get_serial_sequence($1, $2), coalesce(max({}), 0) + 1, false) from {}",
            quoted(column),
            quoted(&self.info.name)
        );
        sqlx::query(AssertSqlSafe(sql)).bind(quoted(&self.info.name)).bind(column).execute(&mut **tx).await.map(|_| ())
    }

    fn head(&self) -> String {
        format!("insert into {} ({})", quoted(&self.info.name), list(&self.info.columns))
    }

    fn sqlite(&self, rows: &[Vec<Value>]) -> sqlx::Result<(String, SqliteArguments)> {
        let mut arguments = SqliteArguments::default();
        for value in rows.iter().flatten() {
            match value {
                Value::Null => arguments.add(None::<i64>),
                Value::Int(value) => arguments.add(value),
                Value::Text(value) => arguments.add(value.clone()),
                Value::Bytes(value) => arguments.add(value.clone()),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        let one = format!("({})", vec!["?"; self.info.columns.len()].join(","));
        Ok((format!("{} values {}", self.head(), vec![one.as_str(); rows.len()].join(",")), arguments))
    }

    fn postgres(&self, rows: &[Vec<Value>]) -> Result<(String, PgArguments), BackupError> {
        let mut arguments = PgArguments::default();
        for (at, ty) in self.types.iter().enumerate() {
            let column = rows.iter().map(|row| &row[at]);
            let added = match ty.as_str() {
                "int8" => arguments.add(typed(column, int)),
                "text" => arguments.add(typed(column, text)),
                "bytea" => arguments.add(typed(column, bytes)),
                "bool" => arguments.add(typed(column, |value| int(value).map(|value| value != 0))),
                "uuid" => arguments.add(typed(column, |value| Uuid::from_slice(&bytes(value)?).ok())),
                "timestamptz" => arguments.add(typed(column, |value| int(value).map(Timestamp::from_micros))),
                "date" => arguments.add(typed(column, |value| text(value)?.parse::<Date>().ok())),
                other => return Err(unknown_type(other).into()),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        let arrays = self.types.iter().enumerate().map(|(at, ty)| format!("${}::{ty}[]", at + 1));
        let arrays = arrays.collect::<Vec<_>>().join(",");
        Ok((format!("{} select * from unnest({arrays})", self.head()), arguments))
    }
}

/// A column's values; one that is not of its type is missing, which the column or the count refuses.
fn typed<'a, T>(values: impl Iterator<Item = &'a Value>, read: impl Fn(&Value) -> Option<T>) -> Vec<Option<T>> {
    values.map(read).collect()
}

fn int(value: &Value) -> Option<i64> {
    if let Value::Int(value) = value { Some(*value) } else { None }
}

fn text(value: &Value) -> Option<String> {
    if let Value::Text(value) = value { Some(value.clone()) } else { None }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Value::Bytes(value) = value { Some(value.clone()) } else { None }
}
