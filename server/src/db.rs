//! The two engines behind one enum.
//!
//! Business code sees `&mut Tx`. A statement is a `const` with `$n` placeholders in the subset both
//! engines speak, run through [`on_db!`](crate::on_db). Many rows go through one statement with [`batch`]: its rows
//! are the common table expression `v`, `VALUES` with `?` on SQLite and `UNNEST` of arrays on
//! PostgreSQL, and the rest of the statement is the same text on both.

pub mod batch;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, PgPool, Postgres, SqlSafeStr as _, Sqlite, SqlitePool, Transaction};

pub use self::batch::BatchRow;

/// Prepared statements kept per connection: batches of several sizes times all statements.
const STATEMENT_CACHE: usize = 1_000;
/// Pages of SQLite's log (64 MB) after which a commit also writes them to the file. Its own 1,000 would
/// make every commit of a busy hour do so.
const CHECKPOINT_PAGES: &str = "16384";
/// Connections for reading (SQLite) or for everything (PostgreSQL).
const POOL_CONNECTIONS: u32 = 8;
/// How long a request waits for a connection that is free.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after it was used a connection to PostgreSQL is taken to be alive.
const ALIVE_FOR: Duration = Duration::from_secs(1);
/// For the first connection to PostgreSQL, before which nobody knows whether there is one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

static SQLITE_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");

/// A database, of either engine.
#[derive(Debug, Clone)]
pub enum Db {
    /// One file: one connection writes, several read.
    Sqlite {
        /// The one writer.
        writer: SqlitePool,
        /// The readers.
        readers: SqlitePool,
    },
    /// A PostgreSQL server.
    Postgres(PgPool),
}

/// A transaction, of either engine. Dropped without [`Tx::commit`] it leaves nothing behind.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL.
    Postgres(PgTx),
}

/// A transaction on PostgreSQL, or what [`Db::look`] has there instead.
#[derive(Debug)]
pub enum PgTx {
    /// A transaction.
    Whole(Transaction<'static, Postgres>),
    /// A connection on which every statement is on its own.
    Single(PoolConnection<Postgres>),
}

impl Deref for PgTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Whole(tx) => tx,
            Self::Single(connection) => connection,
        }
    }
}

impl DerefMut for PgTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Whole(tx) => tx,
            Self::Single(connection) => connection,
        }
    }
}

/// Runs the same expression on the connection of whichever engine the transaction is of.
#[macro_export]
macro_rules! on_db {
    ($tx:expr, $conn:ident => $body:expr) => {
        match $tx {
            $crate::db::Tx::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
            $crate::db::Tx::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}

/// What becomes of a database that is not there, or is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It is made.
    Create,
    /// It is an error, and nothing is left behind: a mistyped name is no new lender.
    Refuse,
}

/// Why a database cannot be opened. What it says holds its cause and never a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no engine.
    #[error("--db takes sqlite:PATH or postgres://USER@HOST/NAME, not {0:?}")]
    Url(String),
    /// The URL of a PostgreSQL that cannot be read.
    #[error("--db is no URL of a PostgreSQL: {0}")]
    Options(sqlx::Error),
    /// There is none, and none is to be made.
    #[error(
        "there is no Daybook in {place}: name its database with --db (or DAYBOOK_DB), or create one there with \
         `daybook migrate`"
    )]
    Absent {
        /// Where it would be.
        place: String,
    },
    /// PostgreSQL is not there: nobody answers.
    #[error("{place} does not answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Silent {
        /// Where it would be.
        place: String,
    },
    /// The engine says no.
    #[error("{place} cannot be opened: {error}")]
    Sql {
        /// Where it is.
        place: String,
        /// Why.
        error: sqlx::Error,
    },
    /// Its tables are newer than this program, or were changed by hand.
    #[error("{place} cannot be migrated: {error}")]
    Migrate {
        /// Where it is.
        place: String,
        /// Why.
        error: sqlx::migrate::MigrateError,
    },
}

const COUNT_DEPLOYMENTS: &str = "select count(*) from deployment";

impl Db {
    /// Opens `sqlite:PATH` or `postgres://...`, made when it is missing, and brings its tables up to
    /// date.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_or(Absent::Create, url).await
    }

    /// Opens a database, and says what becomes of one that is not there.
    pub async fn open_or(absent: Absent, url: &str) -> Result<Self, OpenError> {
        Self::open_to(absent, url, newest_migration()).await
    }

    /// Opens a database, made when it is missing, whose tables are brought to an older version: for a backup
    /// of that version.
    pub async fn open_at(url: &str, migration: i64) -> Result<Self, OpenError> {
        Self::open_to(Absent::Create, url, migration).await
    }

    /// Brings the tables up to date.
    pub async fn migrate(&self) -> Result<(), sqlx::migrate::MigrateError> {
        match self {
            Self::Sqlite { writer, .. } => SQLITE_MIGRATIONS.run(writer).await,
            Self::Postgres(pool) => POSTGRES_MIGRATIONS.run(pool).await,
        }
    }

    async fn open_to(absent: Absent, url: &str, migration: i64) -> Result<Self, OpenError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            Self::open_sqlite(absent, Path::new(path), migration).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(OpenError::Options)?;
            Self::open_postgres(absent, options, migration).await
        } else {
            Err(OpenError::Url(url.to_owned()))
        }
    }

    async fn open_sqlite(absent: Absent, path: &Path, migration: i64) -> Result<Self, OpenError> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let place = format!("the SQLite database {}", absolute.display());
        let failed = |error| OpenError::Sql { place: place.clone(), error };
        let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
        if absent == Absent::Refuse {
            // Before any pragma, which would write to a file that may be somebody else's.
            let holds_daybook = path.exists() && sqlite_holds_daybook(&options).await.map_err(failed)?;
            if !holds_daybook {
                return Err(OpenError::Absent { place });
            }
        }
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answered envelope must survive power loss.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(ACQUIRE_TIMEOUT)
            .statement_cache_capacity(STATEMENT_CACHE)
            // What is deleted, above all by an erasure, is not left in the file.
            .pragma("secure_delete", "on")
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("cache_size", "-65536")
            .pragma("temp_store", "memory");
        // As on PostgreSQL, what reads cannot write.
        let reading = options.clone().pragma("cache_size", "-8192").pragma("query_only", "on");
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                // A file does not hang up.
                .test_before_acquire(false)
                // SQLite has rolled back what it failed to commit for want of room, and the driver goes on
                // counting that transaction: its connection would never begin another.
                .before_acquire(|connection, _| {
                    let is_idle = !connection.is_in_transaction();
                    Box::pin(async move { Ok(is_idle) })
                })
        };
        let writer = pool(1).connect_with(options).await.map_err(failed)?;
        let migrated = SQLITE_MIGRATIONS.run_to(migration, &writer).await;
        migrated.map_err(|error| OpenError::Migrate { place: place.clone(), error })?;
        let readers = pool(POOL_CONNECTIONS).connect_with(reading).await.map_err(failed)?;
        Ok(Self::Sqlite { writer, readers })
    }

    async fn open_postgres(absent: Absent, options: PgConnectOptions, migration: i64) -> Result<Self, OpenError> {
        let options =
            options.application_name("daybook").statement_cache_capacity(STATEMENT_CACHE).disable_statement_logging();
        let place = postgres_place(&options);
        let failed = |error| OpenError::Sql { place: place.clone(), error };
        // A pool goes on trying where nobody listens; one connection says at once what is wrong.
        let Ok(first) = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await else {
            return Err(OpenError::Silent { place });
        };
        let mut first = first.map_err(failed)?;
        let counted = sqlx::query_scalar(COUNT_DEPLOYMENTS).fetch_one(&mut first).await;
        let is_there = holds_daybook(counted).map_err(failed)?;
        first.close().await.map_err(failed)?;
        if absent == Absent::Refuse && !is_there {
            return Err(OpenError::Absent { place });
        }
        let pool = PgPoolOptions::new()
            .max_connections(POOL_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // Asking each time whether it lives is one round trip more a transaction.
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for >= ALIVE_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
        let pool = pool.connect_with(options).await.map_err(failed)?;
        let migrated = POSTGRES_MIGRATIONS.run_to(migration, &pool).await;
        migrated.map_err(|error| OpenError::Migrate { place: place.clone(), error })?;
        Ok(Self::Postgres(pool))
    }

    /// Begins a transaction that writes. On SQLite it waits for the writer and holds it; on
    /// PostgreSQL it is READ COMMITTED and takes its locks itself.
    pub async fn write(&self) -> sqlx::Result<Tx> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Tx::Postgres(begin(pool, "BEGIN").await?),
        })
    }

    /// Begins a transaction that reads one snapshot.
    pub async fn read(&self) -> sqlx::Result<Tx> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Tx::Sqlite(readers.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(begin(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?),
        })
    }

    /// Reads what every request does first, with few statements of which each may see what is committed by then: on
    /// PostgreSQL without a transaction, whose beginning and end would be half of it.
    pub async fn look(&self) -> sqlx::Result<Tx> {
        match self {
            Self::Sqlite { .. } => self.read().await,
            Self::Postgres(pool) => Ok(Tx::Postgres(PgTx::Single(pool.acquire().await?))),
        }
    }

    /// Closes all connections, after what runs has finished.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Begins a transaction, and sees its beginning through when nobody waits for it any more: the driver does not end one
/// of whose beginning it has not heard, and whoever had the connection next would be in it.
async fn begin(pool: &PgPool, statement: &'static str) -> sqlx::Result<PgTx> {
    let connection = pool.acquire().await?;
    let begun = tokio::spawn(Transaction::begin(connection, Some(statement.into_sql_str()))).await;
    // The runtime ends.
    Ok(PgTx::Whole(begun.map_err(|_| sqlx::Error::PoolClosed)??))
}

/// The version of the tables that this program works with.
pub fn newest_migration() -> i64 {
    SQLITE_MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

async fn sqlite_holds_daybook(options: &SqliteConnectOptions) -> sqlx::Result<bool> {
    let mut first = options.connect().await?;
    let counted = sqlx::query_scalar(COUNT_DEPLOYMENTS).fetch_one(&mut first).await;
    first.close().await?;
    holds_daybook(counted)
}

/// Whether a database was ever given an identity, by what counting them came to.
fn holds_daybook(counted: sqlx::Result<i64>) -> sqlx::Result<bool> {
    match counted {
        Ok(deployments) => Ok(deployments > 0),
        // No such table, on SQLite (which has one code for whatever is wrong with a text) and PostgreSQL.
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("1" | "42P01")) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where a database of PostgreSQL is; its URL may hold a password.
fn postgres_place(options: &PgConnectOptions) -> String {
    let name = options.get_database().unwrap_or(options.get_username());
    let (host, port) = (options.get_host(), options.get_port());
    match options.get_socket() {
        Some(socket) => format!("the PostgreSQL database {name:?} at {}", socket.display()),
        None if host.starts_with('/') => format!("the PostgreSQL database {name:?} at {host}"),
        None => format!("the PostgreSQL database {name:?} at {host}:{port}"),
    }
}

impl Tx {
    /// Makes it durable.
    pub async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(PgTx::Whole(tx)) => tx.commit().await,
            Self::Postgres(PgTx::Single(_)) => Ok(()),
        }
    }

    /// Leaves nothing behind.
    pub async fn rollback(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(PgTx::Whole(tx)) => tx.rollback().await,
            Self::Postgres(PgTx::Single(_)) => Ok(()),
        }
    }

    /// Whether it is on PostgreSQL, where rows are locked one by one.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

/// Whether the same transaction may succeed when it is run again: a serialization failure or a
/// deadlock.
pub fn is_transient(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// Whether the statement's own values were at fault (a constraint, a value the engine cannot hold), as
/// opposed to the database's health: the same statement fails again, however often it is run.
pub fn is_constraint_violation(error: &sqlx::Error) -> bool {
    use sqlx::error::ErrorKind;
    let Some(error) = error.as_database_error() else { return false };
    let code = error.code().unwrap_or_default();
    // PostgreSQL's classes are data exception and integrity constraint violation, of five characters;
    // SQLite's primary codes TOOBIG, CONSTRAINT and MISMATCH, of at most four.
    let values = match code.len() {
        5 => code.starts_with("22") || code.starts_with("23"),
        _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20)),
    };
    values || !matches!(error.kind(), ErrorKind::Other)
}

#[cfg(test)]
mod tests {
    use crate::testing::for_each_engine;

    const LEFT_OPEN: &str = "select count(*) from pg_stat_activity where datname = current_database()
         and pid <> pg_backend_pid() and state like 'idle in transaction%'";

    /// Goal: a transaction whose request is given up while it begins does not stay open for whoever has its connection
    /// next. Method: many are given up after some turns of the runtime each, and then PostgreSQL is asked until none is
    /// left, on a connection that may be one of theirs.
    #[tokio::test]
    async fn a_transaction_that_is_given_up_while_it_begins_ends() {
        for_each_engine(async |server| {
            let db = &server.app.db;
            let turns = async |count: usize| {
                for _ in 0..count {
                    tokio::task::yield_now().await;
                }
            };
            for round in 0..64 {
                tokio::select! {
                    biased;
                    begun = db.read() => drop(begun.unwrap()),
                    () = turns(round % 8) => {}
                }
            }
            let mut left = i64::from(db.look().await.unwrap().is_postgres());
            for _ in 0..1_000 {
                if left == 0 {
                    return;
                }
                let mut tx = db.look().await.unwrap();
                left = on_db!(&mut tx, conn => sqlx::query_scalar(LEFT_OPEN).fetch_one(conn).await).unwrap();
            }
            panic!("{left} transactions are open that nobody has");
        })
        .await;
    }
}
