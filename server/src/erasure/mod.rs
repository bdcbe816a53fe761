//! Retention and erasure: what is personal goes when its time has passed, or when two people say so.
//!
//! An order ([`order`]) is proposed by one person and approved by another ([`routes`]), or given by the
//! lender's settings for a customer whose accounts have long been closed ([`retention`]). A job carries it
//! out in small transactions, each of which stands by itself and may be done again:
//!
//! 1. [`customer`]: who he is goes, [`login`]: his way in too, and his cases leave every caseload for ever (`gone(erased)` in the feed);
//!    from then on nothing new about him is kept for longer than it takes to judge it.
//! 2. [`entries`]: bytes of entries, words and places in typed rows, files. An entry's row, its digest and what
//!    became of it stay, and so does all money.
//! 3. [`envelopes`]: bytes of every envelope that carried any of it.
//!
//! What a phone hands in later is judged as always: an entry of before by its digest, a new one on its merits.
//! Money, ids, receipt numbers, providers' references, codes and hashes stay; so do the audit trail and what
//! people wrote as the reasons of their decisions, which name no customer. An order waits while an account of
//! the customer is open or something about him waits for a person.

pub mod customer;
pub mod entries;
pub mod envelopes;
pub mod login;
pub mod order;
pub mod retention;
pub mod routes;

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::audit::{self, Actor};

/// How often orders are looked for, and what came late about customers that are erased.
pub const EVERY: Duration = Duration::from_mins(1);
/// Customers whose erasure one turn begins.
const CUSTOMERS_MAX: i64 = 100;

/// Carries out what is ordered; returns how many customers, entries and envelopes were erased.
pub async fn carry_out(app: &App) -> sqlx::Result<u64> {
    let mut items = 0;
    // One order that cannot be carried out keeps no other one waiting; the turn fails in the end.
    let mut failed = None;
    for due in order::due(app, CUSTOMERS_MAX).await? {
        match customer::begin(app, due).await {
            Ok(begun) => items += u64::from(begun),
            Err(error) => failed = Some(error),
        }
    }
    customer::forget_payers(app).await?;
    items += entries::erase(app).await?;
    // Whoever's cases are closed to everybody by now is done once every envelope was looked at.
    let begun = order::begun(app).await?;
    if begun.is_empty() {
        return failed.map_or(Ok(items), Err);
    }
    items += envelopes::erase_of(app).await?;
    for due in begun {
        let mut tx = app.db.write().await?;
        if order::finish(&mut tx, due.id, app.now()).await? {
            let detail = json!({ "customer": due.customer });
            audit::record(&mut tx, app.now(), Actor::OPERATOR, "erasure.done", due.uid, detail).await?;
        }
        tx.commit().await?;
    }
    failed.map_or(Ok(items), Err)
}
