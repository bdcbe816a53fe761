//! Backups: the whole database in one file, written while the server serves, and put back into an empty
//! one of either engine.
//!
//! A backup is one read snapshot of every table, in a format of our own: engine-native ones (a copied SQLite
//! file, `pg_dump`) cannot be checked row by row, need programs that may not be there, and do not move a
//! lender from SQLite to PostgreSQL. Values are written as SQLite keeps them; PostgreSQL's types are made of
//! them when they are put back ([`tables`]). The file ends with counts and a SHA-256 of all before, so one
//! that was cut or changed is known before a row of it is used ([`mod@format`]).
//!
//! The keys are not in it: they are files beside the database, and who has both can speak for the server.
//! Nor is a restored database the old one: it has a new epoch ([`crate::recovery`]).

pub mod format;
mod restore;
mod tables;
mod write;

use std::path::PathBuf;

use daybook_shared::ids::{DeploymentId, Epoch};
use daybook_shared::time::Timestamp;
use serde::Serialize;

pub use restore::{Restored, restore};
pub use write::write;

use crate::db::OpenError;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The file.
    pub file: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Which history of it.
    pub epoch: String,
    /// Which version of the tables.
    pub migration: i64,
    /// When the snapshot was taken.
    pub taken_at: Timestamp,
    /// Rows of all tables.
    pub rows: u64,
    /// SHA-256 of its contents, which its end says too.
    pub sha256: String,
}

/// Why a backup is not made or not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file or its folder.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There is one already.
    #[error("{} is there already: name another file, a backup is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Not a backup, or not whole.
    #[error("{} is not a whole backup: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// Made by a later version of this program.
    #[error(
        "the backup was made by version {made_by}, which knows more than this one (tables {found}, here {known}): use that version"
    )]
    TooNew {
        /// The program's version.
        made_by: String,
        /// The version of its tables.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// Tables that are not the backup's.
    #[error("table {table} is not as the backup has it: {why}")]
    Table {
        /// The table.
        table: String,
        /// What differs.
        why: String,
    },
    /// Something is in the database.
    #[error("{place} is not empty ({what}): a backup is only put into a new, empty database")]
    NotEmpty {
        /// The database.
        place: String,
        /// What is there.
        what: String,
    },
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// Its tables.
    #[error(transparent)]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// The manifest at a backup's beginning.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct Manifest {
    /// [`format::VERSION`].
    #[n(0)]
    pub format: u8,
    /// The program's version.
    #[n(1)]
    pub made_by: String,
    /// Which version of the tables.
    #[n(2)]
    pub migration: i64,
    /// The deployment.
    #[n(3)]
    pub deployment: DeploymentId,
    /// Which history of it.
    #[n(4)]
    pub epoch: Epoch,
    /// When the snapshot was taken.
    #[n(5)]
    pub taken_at: Timestamp,
    /// The tables, in the order of their rows.
    #[n(6)]
    pub tables: Vec<TableInfo>,
}

/// A table in a backup.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
pub struct TableInfo {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Its columns, in the order of a row's values.
    #[n(1)]
    pub columns: Vec<String>,
}
