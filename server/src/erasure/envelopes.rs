//! Envelopes as they came: the audit of the captures, and nothing that the server reads. They are emptied when
//! their time has passed, and before that when they carry something about a customer who is erased. An
//! envelope cannot lose a part without breaking its signature, so it goes whole; what else was in it is in
//! the log. Number and id stay: the same envelope handed in again is known.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_shared::entry::{Body, Entry};
use daybook_shared::ids::{AccountId, DossierId};
use daybook_shared::time::{DAY_MS, Timestamp};
use daybook_shared::wire::envelope::Envelope;

use crate::app::App;
use crate::batch_row;
use crate::db::batch;
use crate::on_db;

/// How often envelopes whose time has passed are looked for.
pub const EVERY: Duration = Duration::from_hours(1);
/// Envelopes read at a time: each may be megabytes.
const PAGE_ENVELOPES: i64 = 20;
/// Envelopes that one transaction empties by their age.
const EMPTIED_MAX: i64 = 500;

/// The accounts an entry names, wherever it is.
pub fn accounts_of(entry: &Entry) -> Option<AccountId> {
    match &entry.body {
        Body::Repayment(repayment) => Some(repayment.account),
        Body::Complaint(complaint) => Some(complaint.account),
        Body::StopEvent(event) => event.account,
        _ => None,
    }
}

/// Whether an entry is about one of these cases.
pub fn is_about(entry: &Entry, cases: &BTreeSet<DossierId>) -> bool {
    cases.contains(&entry.head.dossier)
        || accounts_of(entry).is_some_and(|account| cases.contains(&DossierId::case(account)))
}

fn carries(envelope: &Envelope, cases: &BTreeSet<DossierId>) -> bool {
    let mut entries = envelope.body.entries.iter().filter_map(|bytes| Entry::decode(bytes).ok());
    entries.any(|entry| is_about(&entry, cases))
        || envelope.body.board.iter().any(|change| cases.contains(&change.dossier))
}

const SELECT_CASES: &str = "select d.uid from erasure r join account a on a.customer_id = r.customer_id
     join dossier d on d.account_id = a.id where r.state = 'erasing' and d.erased_at is not null";
const SELECT_PAGE: &str = "select install_id, number, bytes from envelope
     where erased_at is null and (install_id > $1 or (install_id = $1 and number > $2))
     order by install_id, number limit $3";

batch_row! {
    struct Emptied {
        install_id: i64 => "bigint",
        number: i64 => "bigint",
        at: Timestamp => "timestamptz",
        blank: Vec<u8> => "bytea",
    }
}

const EMPTY: &str = "update envelope set bytes = v.blank, erased_at = v.at from v
     where envelope.install_id = v.install_id and envelope.number = v.number";

/// Reads every envelope that is kept, and empties those that carry something about the customers who are
/// being erased; returns how many. None comes in beside it: [`crate::sync::take`] keeps no bytes of theirs.
pub async fn erase_of(app: &App) -> sqlx::Result<u64> {
    let mut tx = app.db.read().await?;
    let cases: Vec<DossierId> = on_db!(&mut tx, conn => sqlx::query_scalar(SELECT_CASES).fetch_all(conn).await)?;
    drop(tx);
    let cases: BTreeSet<_> = cases.into_iter().collect();
    let (mut emptied, mut after) = (0, (0, 0));
    loop {
        let mut tx = app.db.read().await?;
        let page: Vec<(i64, i64, Vec<u8>)> = on_db!(&mut tx, conn => {
            sqlx::query_as(SELECT_PAGE).bind(after.0).bind(after.1).bind(PAGE_ENVELOPES).fetch_all(conn).await
        })?;
        drop(tx);
        let Some(&(install_id, number, _)) = page.last() else { return Ok(emptied) };
        after = (install_id, number);
        let at = app.now();
        let of = |(install_id, number, bytes): &(i64, i64, Vec<u8>)| {
            // What cannot be read any more is nobody's evidence.
            let goes = Envelope::decode(bytes).map_or(true, |envelope| carries(&envelope, &cases));
            goes.then(|| Emptied { install_id: *install_id, number: *number, at, blank: Vec::new() })
        };
        let rows: Vec<_> = page.iter().filter_map(of).collect();
        if !rows.is_empty() {
            let mut tx = app.db.write().await?;
            emptied += batch::execute(&mut tx, &rows, EMPTY).await?;
            tx.commit().await?;
        }
    }
}

const EMPTY_OLD: &str = "update envelope set bytes = $1, erased_at = $2
     where erased_at is null and (install_id, number) in (
       select o.install_id, o.number from envelope o where o.erased_at is null and o.received_at < $3
       order by o.received_at limit $4)";

/// Empties envelopes that came before `envelope_days`; returns how many.
pub async fn empty_old(app: &App) -> sqlx::Result<u64> {
    let days = app.settings.envelope_days;
    if days == 0 {
        return Ok(0);
    }
    let now = app.now();
    let before = now.plus_ms(-days * DAY_MS);
    let mut emptied = 0;
    loop {
        let mut tx = app.db.write().await?;
        let done = on_db!(&mut tx, conn => {
            sqlx::query(EMPTY_OLD).bind(Vec::<u8>::new()).bind(now).bind(before).bind(EMPTIED_MAX).execute(conn).await
                .map(|done| done.rows_affected())
        })?;
        tx.commit().await?;
        emptied += done;
        if done < EMPTIED_MAX.unsigned_abs() {
            return Ok(emptied);
        }
    }
}
