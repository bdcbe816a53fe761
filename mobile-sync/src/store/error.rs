//! What can go wrong with the phone's file.

use daybook_shared::money::MoneyError;
use rusqlite::ffi;

/// Why the store could not do what it was asked. Nothing of the failed call is in the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The key is not the one this store was made with.
    #[error("this store was sealed with another key: sign in with the account that made it")]
    WrongKey,
    /// No room on the phone.
    #[error("the phone's storage is full: free some space and try again; nothing was lost")]
    DiskFull,
    /// The file is damaged, or is not a store.
    #[error("the store's file is damaged or is not a Daybook store: keep the file and ask for support")]
    Corrupt,
    /// Another process holds the file.
    #[error("the store is open in another process")]
    InUse,
    /// Written by a newer build.
    #[error("the store was written by a newer version of the app (schema {found}, this one knows {known}): update")]
    TooNew {
        /// The file's schema version.
        found: i64,
        /// The newest one this build knows.
        known: i64,
    },
    /// A row that does not decode.
    #[error("a row of table {table} does not decode: keep the file and ask for support")]
    BadRow {
        /// Which table.
        table: &'static str,
    },
    /// The host app could not load or keep the generation.
    #[error("the generation counter could not be read or kept: {0}")]
    Keeper(std::io::Error),
    /// Amounts beyond what 64 bits hold.
    #[error("the amounts on this phone do not add up: {0}")]
    Sum(#[from] MoneyError),
    /// Anything else SQLite says.
    #[error("the store failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl StoreError {
    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            error if error.is_full() => "storage_full",
            Self::WrongKey => "wrong_key",
            Self::InUse => "in_use",
            Self::TooNew { .. } => "too_new",
            Self::Corrupt | Self::BadRow { .. } => "damaged",
            Self::DiskFull | Self::Keeper(_) | Self::Sum(_) | Self::Sqlite(_) => "store_failed",
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ffi::ErrorCode::DiskFull) => Self::DiskFull,
            Some(ffi::ErrorCode::DatabaseCorrupt | ffi::ErrorCode::NotADatabase) => Self::Corrupt,
            Some(ffi::ErrorCode::DatabaseBusy | ffi::ErrorCode::DatabaseLocked) => Self::InUse,
            _ => Self::Sqlite(error),
        }
    }
}
