//! The feed: per caseload, in its own sequence, which dossier changed, came or went. Insert-only.
//!
//! A sequence number is taken by updating the caseload's row inside the transaction, so the order of
//! commits is the order of numbers. Caseloads are therefore the last rows a transaction changes, in the
//! order of their keys.

use std::collections::BTreeMap;

use crate::batch_row;
use crate::db::{Tx, batch};
use crate::spelled::spelled;

spelled! {
    /// Why a dossier left a caseload.
    GoneReason {
        /// It is in another one now, or in none.
        Moved = "moved",
        /// Its account is closed.
        Closed = "closed",
        /// It is erased.
        Erased = "erased",
    }
}

/// What is to be said in a caseload's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedRow {
    /// The caseload's key.
    pub caseload_id: i64,
    /// The dossier's key.
    pub dossier_id: i64,
    /// The dossier's version after this transaction.
    pub version: i64,
    /// The epoch of its membership.
    pub epoch: i64,
    /// Why it is gone; none when it is present.
    pub gone: Option<GoneReason>,
}

batch_row! {
    struct Advance {
        id: i64 => "int8",
        rows: i64 => "int8",
    }
}

batch_row! {
    struct NumberedRow {
        caseload_id: i64 => "int8",
        seq: i64 => "int8",
        dossier_id: i64 => "int8",
        version: i64 => "int8",
        present: bool => "bool",
        epoch: i64 => "int8",
        reason: Option<GoneReason> => "text",
    }
}

/// Locks several caseloads in the order of their keys; one alone needs no order.
const LOCK_CASELOADS: &str =
    "select c.id, c.seq from v join caseload c on c.id = v.id order by c.id for no key update of c";

/// Takes the numbers.
const ADVANCE: &str = "update caseload set seq = caseload.seq + v.rows from v where caseload.id = v.id returning caseload.id, caseload.seq";

/// Says it.
const INSERT_FEED: &str = "insert into feed (caseload_id, seq, dossier_id, version, present, epoch, reason)
     select caseload_id, seq, dossier_id, version, present, epoch, reason from v where true";

/// Appends rows to the feeds of their caseloads, each caseload's in the order given, and returns where
/// each caseload's sequence stands now. The last thing a transaction does.
pub async fn append(tx: &mut Tx, rows: Vec<FeedRow>) -> sqlx::Result<BTreeMap<i64, i64>> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for row in &rows {
        *counts.entry(row.caseload_id).or_default() += 1;
    }
    let advances: Vec<_> = counts.iter().map(|(id, rows)| Advance { id: *id, rows: *rows }).collect();
    if tx.is_postgres() && advances.len() > 1 {
        batch::fetch::<_, (i64, i64)>(tx, &advances, LOCK_CASELOADS).await?;
    }
    let now: BTreeMap<i64, i64> = batch::fetch(tx, &advances, ADVANCE).await?.into_iter().collect();
    let mut next = BTreeMap::new();
    for (caseload_id, rows) in counts {
        let last = now.get(&caseload_id).copied().ok_or(sqlx::Error::RowNotFound)?;
        next.insert(caseload_id, last - rows);
    }
    let numbered = rows.into_iter().map(|row| {
        let FeedRow { caseload_id, dossier_id, version, epoch, gone } = row;
        let seq = next.entry(caseload_id).or_default();
        *seq += 1;
        NumberedRow { caseload_id, seq: *seq, dossier_id, version, present: gone.is_none(), epoch, reason: gone }
    });
    let numbered: Vec<_> = numbered.collect();
    batch::execute(tx, &numbered, INSERT_FEED).await?;
    Ok(now)
}
