//! `daybook rebuild`: derives again what [`crate::verify`] derives, and writes it where it differs: accounts
//! from their payments, promises from their captures ([`accounts`]), officers' cash from the journal, boards
//! from their changes, feeds from dossiers ([`others`]).
//!
//! One account, officer, board or dossier a transaction, under the locks that captures take, so phones are
//! served meanwhile. What cannot be derived is left alone, and `verify` goes on saying that it differs: the
//! log, journals, decisions, typed rows, versions, and payments that do not allocate.

mod accounts;
mod others;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::db::Db;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Accounts whose instalments, allocations, state or promises differed.
    pub accounts: u64,
    /// Accounts whose payments do not allocate: they stay as they are.
    pub not_allocating: u64,
    /// Officers whose cash differed from the journal.
    pub officers: u64,
    /// Boards that differed from their changes.
    pub boards: u64,
    /// Dossiers that feeds did not tell of as they are.
    pub dossiers: u64,
}

/// Rebuilds the database.
pub async fn rebuild(db: &Db, progress: &ProgressBar) -> sqlx::Result<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    progress.set_message("accounts");
    accounts::rebuild(db, &mut rebuilt, progress).await?;
    progress.set_message("cash, boards and feeds");
    rebuilt.officers = others::cash(db).await?;
    rebuilt.boards = others::boards(db, progress).await?;
    rebuilt.dossiers = others::feeds(db).await?;
    progress.finish_and_clear();
    Ok(rebuilt)
}
