//! A fresh database of either engine for one world.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// The engines a world can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A database on the server that `DAYBOOK_TEST_POSTGRES` names.
    Postgres,
}

impl Engine {
    /// SQLite always; PostgreSQL when `DAYBOOK_TEST_POSTGRES` names a server on which databases may be
    /// made and dropped.
    pub fn all() -> Vec<Self> {
        let postgres = std::env::var_os("DAYBOOK_TEST_POSTGRES").map(|_| Self::Postgres);
        std::iter::once(Self::Sqlite).chain(postgres).collect()
    }
}

/// A folder for a world: in memory where the machine has one, because a simulation is about the order
/// of durable steps and not about the disk.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder can be made")
}

/// A database that is dropped with its world.
#[derive(Debug)]
pub struct Database {
    /// What the server opens.
    pub url: String,
    admin: Option<(String, String)>,
}

impl Database {
    /// A fresh one of this engine.
    pub fn fresh(engine: Engine, folder: &Path) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if engine == Engine::Sqlite {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path: PathBuf = folder.join(format!("server{number}.db"));
            return Self { url: format!("sqlite:{}", path.display()), admin: None };
        }
        let server = std::env::var("DAYBOOK_TEST_POSTGRES").expect("DAYBOOK_TEST_POSTGRES names a server");
        let name = format!("daybook_sim_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        run(&server, &[format!("drop database if exists {name} with (force)"), format!("create database {name}")]);
        Self { url: with_database(&server, &name), admin: Some((server, name)) }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.admin {
            run(server, &[format!("drop database if exists {name} with (force)")]);
        }
    }
}

/// A runtime of this thread alone. After every step it looks at what it blocks on, so that a tripped
/// clock is seen before anything else happens.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().event_interval(1).build().expect("a runtime can be made")
}

fn run(server: &str, statements: &[String]) {
    runtime().block_on(async {
        let mut admin = PgConnection::connect(server).await.expect("the PostgreSQL of the tests can be reached");
        for statement in statements {
            let query = sqlx::query(AssertSqlSafe(statement.clone()));
            query.execute(&mut admin).await.expect("databases can be made and dropped");
        }
        admin.close().await.expect("a connection can be closed");
    });
}

fn with_database(server: &str, name: &str) -> String {
    let (scheme, rest) = server.split_once("://").expect("a URL of PostgreSQL");
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let parameters = rest.split_once('?').map(|(_, parameters)| format!("?{parameters}")).unwrap_or_default();
    format!("{scheme}://{host}/{name}{parameters}")
}
