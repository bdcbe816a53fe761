//! Compaction of the feed: rows that no reader needs any more go.
//!
//! A reader at `from` needs, of every dossier, the newest row at or below `from` and what is above.
//! So a row is superseded once a newer row of the same dossier is at or below every reader's `from`.
//! Departures stay as the newest row of their dossier; hence a cursor from before a compaction costs
//! bytes and loses nothing, and the pages of a full membership (`relist`) are never needed.

use std::time::Duration;

use daybook_shared::time::{DAY_MS, Timestamp};

use crate::db::Db;
use crate::on_db;

/// A device that did not ask for so long holds nothing back.
const SILENT_DAYS: i64 = 90;
/// Rows of one transaction: phones wait for the writer meanwhile.
const ROWS_MAX: i64 = 5_000;

const SELECT_CASELOADS: &str = "select c.id,
       coalesce((select min(k.confirmed_seq) from device_cursor k join device d on d.id = k.device_id
                 where k.caseload_id = c.id and d.state = 'active' and k.confirmed_at > $1), c.seq)
     from caseload c order by c.id";
const DELETE_SUPERSEDED: &str = "delete from feed where caseload_id = $1 and seq in (
       select f.seq from feed f where f.caseload_id = $1 and f.seq < $2
         and exists (select 1 from feed n where n.caseload_id = f.caseload_id and n.dossier_id = f.dossier_id
                       and n.seq > f.seq and n.seq <= $2)
       order by f.seq limit $3)";
const RAISE_PRUNED: &str = "update caseload set pruned_to = $2 where id = $1 and pruned_to < $2";

/// How often a server compacts.
pub const EVERY: Duration = Duration::from_mins(10);

/// Compacts every caseload's feed; returns how many rows went.
pub async fn compact(db: &Db, now: Timestamp) -> sqlx::Result<u64> {
    let since = now.plus_ms(-SILENT_DAYS * DAY_MS);
    let mut tx = db.read().await?;
    let caseloads: Vec<(i64, i64)> =
        on_db!(&mut tx, conn => sqlx::query_as(SELECT_CASELOADS).bind(since).fetch_all(conn).await)?;
    drop(tx);
    let mut gone = 0;
    for (caseload, upto) in caseloads {
        loop {
            let mut tx = db.write().await?;
            let deleted = on_db!(&mut tx, conn => {
                sqlx::query(DELETE_SUPERSEDED).bind(caseload).bind(upto).bind(ROWS_MAX).execute(conn).await
                    .map(|done| done.rows_affected())
            })?;
            on_db!(&mut tx, conn => sqlx::query(RAISE_PRUNED).bind(caseload).bind(upto).execute(conn).await.map(|_| ()))?;
            tx.commit().await?;
            gone += deleted;
            if deleted < ROWS_MAX.unsigned_abs() {
                break;
            }
        }
    }
    Ok(gone)
}
