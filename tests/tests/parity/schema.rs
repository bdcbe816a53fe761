//! A schema as the engine itself describes it, in words that both engines share.

use std::collections::{BTreeMap, BTreeSet};

use daybook_server::db::Db;
use sqlx::{PgPool, SqlitePool};

/// The table in which sqlx keeps what it has migrated.
const MIGRATIONS: &str = "_sqlx_migrations";

/// A table.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Table {
    /// In their order.
    pub columns: Vec<Column>,
    /// The primary key's columns, in their order.
    pub primary_key: Vec<String>,
    pub unique: BTreeSet<Vec<String>>,
    pub indexes: BTreeSet<Index>,
    pub references: BTreeSet<Reference>,
}

/// A column, with the engine's own name of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub ty: String,
    pub not_null: bool,
}

/// An index that has a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Index {
    pub name: String,
    pub columns: Vec<String>,
    pub unique: bool,
    /// The rows it is for, when not all.
    pub condition: Option<String>,
}

/// A foreign key of one column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub column: String,
    pub table: String,
    pub target: String,
}

/// All tables by name.
pub type Schema = BTreeMap<String, Table>;

/// Reads the schema of a migrated database.
pub async fn read(db: &Db) -> Schema {
    match db {
        Db::Sqlite { readers, .. } => sqlite(readers).await,
        Db::Postgres(pool) => postgres(pool).await,
    }
    .expect("a schema can be read")
}

async fn sqlite(pool: &SqlitePool) -> sqlx::Result<Schema> {
    let tables: Vec<(String, bool)> = sqlx::query_as(
        "select name, strict from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite_%'",
    )
    .fetch_all(pool)
    .await?;
    let mut schema = Schema::new();
    for (name, strict) in tables.into_iter().filter(|(name, _)| name != MIGRATIONS) {
        assert!(strict, "{name} is STRICT");
        schema.insert(name.clone(), sqlite_table(pool, &name).await?);
    }
    Ok(schema)
}

async fn sqlite_table(pool: &SqlitePool, name: &str) -> sqlx::Result<Table> {
    let mut table = Table::default();
    let columns: Vec<(String, String, bool, i64)> =
        sqlx::query_as("select name, type, \"notnull\", pk from pragma_table_info(?) order by cid")
            .bind(name)
            .fetch_all(pool)
            .await?;
    let mut key = BTreeMap::new();
    for (column, ty, not_null, pk) in columns {
        if pk > 0 {
            key.insert(pk, column.clone());
        }
        // `INTEGER PRIMARY KEY` is the row's number and never null, without saying so.
        table.columns.push(Column { name: column, ty, not_null: not_null || pk > 0 });
    }
    table.primary_key = key.into_values().collect();
    let indexes: Vec<(String, bool, String)> =
        sqlx::query_as("select name, \"unique\", origin from pragma_index_list(?)").bind(name).fetch_all(pool).await?;
    for (index, unique, origin) in indexes {
        let columns = sqlx::query_scalar("select name from pragma_index_info(?) order by seqno");
        let columns: Vec<String> = columns.bind(&index).fetch_all(pool).await?;
        match origin.as_str() {
            "u" => drop(table.unique.insert(columns)),
            "c" => {
                let sql = sqlx::query_scalar("select sql from sqlite_master where type = 'index' and name = ?");
                let sql: String = sql.bind(&index).fetch_one(pool).await?;
                let condition = sql.split_once(" WHERE ").map(|(_, condition)| plain(condition));
                table.indexes.insert(Index { name: index, columns, unique, condition });
            }
            _ => {}
        }
    }
    let references: Vec<(String, String, String)> =
        sqlx::query_as("select \"from\", \"table\", \"to\" from pragma_foreign_key_list(?)")
            .bind(name)
            .fetch_all(pool)
            .await?;
    table.references =
        references.into_iter().map(|(column, table, target)| Reference { column, table, target }).collect();
    Ok(table)
}

const PG_COLUMNS: &str = "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
    order by c.relname, a.attnum";
const PG_INDEXES: &str =
    "select t.relname as relation, i.relname as name, x.indisprimary as is_primary, x.indisunique as is_unique,
      exists (select 1 from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u')) as constrains,
      array(select a.attname::text from unnest(x.indkey::int2[]) with ordinality k(n, o)
            join pg_attribute a on a.attrelid = t.oid and a.attnum = k.n order by k.o) as columns,
      pg_get_expr(x.indpred, x.indrelid) as condition
    from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
    where t.relnamespace = 'public'::regnamespace";
const PG_REFERENCES: &str = "select t.relname, a.attname, f.relname, b.attname
    from pg_constraint k join pg_class t on t.oid = k.conrelid join pg_class f on f.oid = k.confrelid
    join pg_attribute a on a.attrelid = t.oid and a.attnum = k.conkey[1]
    join pg_attribute b on b.attrelid = f.oid and b.attnum = k.confkey[1]
    where k.contype = 'f' and t.relnamespace = 'public'::regnamespace and cardinality(k.conkey) = 1";

#[derive(sqlx::FromRow)]
struct PgIndex {
    relation: String,
    name: String,
    is_primary: bool,
    is_unique: bool,
    constrains: bool,
    columns: Vec<String>,
    condition: Option<String>,
}

async fn postgres(pool: &PgPool) -> sqlx::Result<Schema> {
    let mut schema = Schema::new();
    let columns: Vec<(String, String, String, bool)> = sqlx::query_as(PG_COLUMNS).fetch_all(pool).await?;
    for (table, name, ty, not_null) in columns {
        schema.entry(table).or_default().columns.push(Column { name, ty, not_null });
    }
    let indexes: Vec<PgIndex> = sqlx::query_as(PG_INDEXES).fetch_all(pool).await?;
    for PgIndex { relation, name, is_primary, is_unique, constrains, columns, condition } in indexes {
        let table = schema.entry(relation).or_default();
        match (is_primary, constrains) {
            (true, _) => table.primary_key = columns,
            (false, true) => drop(table.unique.insert(columns)),
            (false, false) => {
                let condition = condition.as_deref().map(plain);
                table.indexes.insert(Index { name, columns, unique: is_unique, condition });
            }
        }
    }
    let references: Vec<(String, String, String, String)> = sqlx::query_as(PG_REFERENCES).fetch_all(pool).await?;
    for (from, column, table, target) in references {
        schema.entry(from).or_default().references.insert(Reference { column, table, target });
    }
    schema.remove(MIGRATIONS);
    Ok(schema)
}

/// A condition without the parentheses and casts that an engine adds.
fn plain(condition: &str) -> String {
    condition.replace(['(', ')'], "").replace("::text", "").to_lowercase()
}
