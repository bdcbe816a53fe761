//! `daybook verify`: derives everything again that can be derived, and says what differs.
//!
//! Balances come from the journal ([`ledger`]), accounts and promises from their payments and captures
//! ([`accounts`]), typed rows from the bytes phones made ([`log`], [`captures`]), what people decided from
//! their decisions ([`decided`]), what was imported from its lines ([`statements`]), payments in the app ([`app_payments`]), files from
//! their pieces ([`attachments`]), boards from their changes ([`boards`]), feeds from dossiers ([`feeds`]); what was erased has left nothing ([`erased`]); the audit trail is a chain ([`trail`]).
//! It reads one snapshot and changes nothing.
//!
//! What is taken on trust: the log itself (verdicts are not judged again, a corrected capture time is not
//! corrected again), decisions, assignments, devices, and what only waits to be told (`outcome_news`).

mod accounts;
mod app_payments;
mod attachments;
mod boards;
mod captures;
mod decided;
mod erased;
mod feeds;
mod findings;
mod ledger;
mod log;
mod records;
mod statements;
#[cfg(test)]
mod tests;
mod trail;

use daybook_shared::time::Zone;
use indicatif::ProgressBar;

pub use findings::{Check, Difference, Findings};

use crate::db::Tx;

/// Rows read at a time.
const PAGE_ROWS: i64 = 1_000;

/// Verifies the database in the snapshot of `tx`. Of each check at most `lines_max` differences are
/// kept; all are counted. `zone` is the lender's.
pub async fn verify(tx: &mut Tx, zone: &Zone, lines_max: usize, progress: &ProgressBar) -> sqlx::Result<Findings> {
    let mut findings = Findings::new(lines_max);
    progress.set_message("ledger");
    ledger::verify(tx, &mut findings).await?;
    progress.set_message("accounts");
    accounts::verify(tx, &mut findings, progress).await?;
    progress.set_message("log");
    log::verify(tx, zone, &mut findings, progress).await?;
    progress.set_message("decisions");
    decided::verify(tx, &mut findings).await?;
    progress.set_message("imports");
    statements::verify(tx, &mut findings).await?;
    app_payments::verify(tx, &mut findings).await?;
    progress.set_message("attachments");
    attachments::verify(tx, &mut findings).await?;
    progress.set_message("boards");
    boards::verify(tx, &mut findings, progress).await?;
    progress.set_message("feeds");
    feeds::verify(tx, &mut findings).await?;
    progress.set_message("erasure");
    erased::verify(tx, &mut findings).await?;
    progress.set_message("audit");
    trail::verify(tx, &mut findings).await?;
    progress.finish_and_clear();
    Ok(findings)
}
