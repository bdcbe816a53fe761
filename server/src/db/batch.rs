//! Many rows through one statement. `tail` reads them as `v`:
//! `insert into t (a, b) select a, b from v where true on conflict do nothing`,
//! `update t set b = v.b from v where t.a = v.a`, `select t.* from v join t on t.a = v.a`.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, FromRow, Postgres, Sqlite};

use super::Tx;

/// Rows of one SQLite statement; beyond about 100 the gain is gone.
const SQLITE_BATCH_ROWS: usize = 64;

/// A row of a batch. Declared with [`batch_row!`](crate::batch_row).
pub trait BatchRow: Sized + Sync {
    /// The columns of `v`, with PostgreSQL's types.
    const COLUMNS: &'static [(&'static str, &'static str)];
    /// Adds this row's values.
    fn add_sqlite(&self, arguments: &mut SqliteArguments) -> Result<(), sqlx::error::BoxDynError>;
    /// Adds all rows, an array a column.
    fn add_postgres(rows: &[Self], arguments: &mut PgArguments) -> Result<(), sqlx::error::BoxDynError>;
}

/// Declares a struct whose values make the rows of a batch: `field: Type => "postgres type"`.
#[macro_export]
macro_rules! batch_row {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty => $pg:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        $vis struct $name { $($(#[$fdoc])* pub $field: $ty),+ }

        impl $crate::db::BatchRow for $name {
            const COLUMNS: &'static [(&'static str, &'static str)] = &[$((stringify!($field), $pg)),+];

            fn add_sqlite(
                &self,
                arguments: &mut sqlx::sqlite::SqliteArguments,
            ) -> Result<(), sqlx::error::BoxDynError> {
                use sqlx::Arguments as _;
                $(arguments.add(&self.$field)?;)+
                Ok(())
            }

            fn add_postgres(
                rows: &[Self],
                arguments: &mut sqlx::postgres::PgArguments,
            ) -> Result<(), sqlx::error::BoxDynError> {
                use sqlx::Arguments as _;
                $(arguments.add(rows.iter().map(|row| row.$field.clone()).collect::<Vec<$ty>>())?;)+
                Ok(())
            }
        }
    };
}

/// Runs `tail` for its effect; returns how many rows it touched.
pub async fn execute<R: BatchRow>(tx: &mut Tx, rows: &[R], tail: &str) -> sqlx::Result<u64> {
    let mut touched = 0;
    match tx {
        Tx::Sqlite(tx) => {
            for chunk in sqlite_chunks(rows) {
                let (sql, arguments) = sqlite(chunk, chunk.len(), tail)?;
                let query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), arguments);
                touched += query.execute(&mut **tx).await?.rows_affected();
            }
        }
        Tx::Postgres(tx) if !rows.is_empty() => {
            let (sql, arguments) = postgres(rows, tail)?;
            let query = sqlx::query_with::<Postgres, _>(AssertSqlSafe(sql), arguments);
            touched = query.execute(&mut **tx).await?.rows_affected();
        }
        Tx::Postgres(_) => {}
    }
    Ok(touched)
}

/// Runs `tail`, which joins `v` to what it reads or changes, for the rows it returns, in no
/// particular order. On SQLite rows of nulls fill `v` up, which join nothing: few texts are prepared,
/// and few are run.
pub async fn fetch<R, O>(tx: &mut Tx, rows: &[R], tail: &str) -> sqlx::Result<Vec<O>>
where
    R: BatchRow,
    O: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    debug_assert!(!tail.starts_with("insert"), "nothing is inserted for rows of nulls: {tail}");
    let chunks = rows.chunks(SQLITE_BATCH_ROWS).map(|chunk| (chunk, filled_size(chunk.len())));
    collect(tx, rows, chunks, tail).await
}

/// Inserts the rows, as `tail` says, and returns what it returns, in no particular order.
pub async fn insert<R, O>(tx: &mut Tx, rows: &[R], tail: &str) -> sqlx::Result<Vec<O>>
where
    R: BatchRow,
    O: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    collect(tx, rows, sqlite_chunks(rows).map(|chunk| (chunk, chunk.len())), tail).await
}

async fn collect<'a, R, O>(
    tx: &mut Tx,
    rows: &'a [R],
    chunks: impl Iterator<Item = (&'a [R], usize)>,
    tail: &str,
) -> sqlx::Result<Vec<O>>
where
    R: BatchRow,
    O: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut found = Vec::new();
    match tx {
        Tx::Sqlite(tx) => {
            for (chunk, size) in chunks {
                let (sql, arguments) = sqlite(chunk, size, tail)?;
                let query = sqlx::query_as_with::<Sqlite, O, _>(AssertSqlSafe(sql), arguments);
                found.append(&mut query.fetch_all(&mut **tx).await?);
            }
        }
        Tx::Postgres(tx) if !rows.is_empty() => {
            let (sql, arguments) = postgres(rows, tail)?;
            found = sqlx::query_as_with::<Postgres, O, _>(AssertSqlSafe(sql), arguments).fetch_all(&mut **tx).await?;
        }
        Tx::Postgres(_) => {}
    }
    Ok(found)
}

/// To how many rows so many are filled up: 1, 4, 16 or 64.
fn filled_size(rows: usize) -> usize {
    std::iter::successors(Some(1), |size| Some(size * 4)).find(|size| *size >= rows).unwrap_or(rows)
}

/// Chunks whose sizes are powers of two, so that few texts are prepared again and again.
fn sqlite_chunks<R>(rows: &[R]) -> impl Iterator<Item = &[R]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let size = SQLITE_BATCH_ROWS.min(1 << rest.len().checked_ilog2()?);
        let (chunk, after) = rest.split_at(size);
        rest = after;
        Some(chunk)
    })
}

/// The text and values of a statement of `size` rows; what is missing is null.
fn sqlite<R: BatchRow>(rows: &[R], size: usize, tail: &str) -> sqlx::Result<(String, SqliteArguments)> {
    let mut arguments = SqliteArguments::default();
    for row in rows {
        row.add_sqlite(&mut arguments).map_err(sqlx::Error::Encode)?;
    }
    for _ in rows.len() * R::COLUMNS.len()..size * R::COLUMNS.len() {
        arguments.add(None::<i64>).map_err(sqlx::Error::Encode)?;
    }
    Ok((sqlite_text(R::COLUMNS, size, tail), arguments))
}

fn postgres<R: BatchRow>(rows: &[R], tail: &str) -> sqlx::Result<(String, PgArguments)> {
    let mut arguments = PgArguments::default();
    R::add_postgres(rows, &mut arguments).map_err(sqlx::Error::Encode)?;
    Ok((postgres_text(R::COLUMNS, tail), arguments))
}

/// The statement's text for so many rows of these columns on SQLite.
pub fn sqlite_text(columns: &[(&str, &str)], rows: usize, tail: &str) -> String {
    let one = format!("({})", vec!["?"; columns.len()].join(","));
    format!("with v({}) as (values {}) {tail}", names(columns), vec![one.as_str(); rows].join(","))
}

/// The statement's text for rows of these columns on PostgreSQL.
pub fn postgres_text(columns: &[(&str, &str)], tail: &str) -> String {
    let arrays = columns.iter().enumerate().map(|(i, (_, ty))| format!("${}::{ty}[]", i + 1));
    let arrays: Vec<_> = arrays.collect();
    format!("with v({}) as (select * from unnest({})) {tail}", names(columns), arrays.join(","))
}

fn names(columns: &[(&str, &str)]) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    names.join(",")
}
