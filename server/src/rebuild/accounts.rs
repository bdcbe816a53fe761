//! Accounts: instalments, allocations, state and promises, one account a transaction.

use std::collections::BTreeSet;

use daybook_shared::ids::{EntryId, PaymentId};
use daybook_shared::time::Timestamp;
use indicatif::ProgressBar;

use super::Rebuilt;
use crate::db::{Db, Tx};
use crate::on_db;
use crate::portfolio::account::{self, AllocationRow, Lock};
use crate::portfolio::allocation::replay;
use crate::portfolio::feed::{self, FeedRow};

/// Accounts whose keys are read at a time.
const PAGE: i64 = 1_000;

const SELECT_PAGE: &str = "select id from account where id > $1 order by id limit $2";

/// Replays every account.
pub(super) async fn rebuild(db: &Db, rebuilt: &mut Rebuilt, progress: &ProgressBar) -> sqlx::Result<()> {
    let mut after = 0;
    loop {
        let mut tx = db.read().await?;
        let ids: Vec<i64> =
            on_db!(&mut tx, conn => sqlx::query_scalar(SELECT_PAGE).bind(after).bind(PAGE).fetch_all(conn).await)?;
        drop(tx);
        let Some(last) = ids.last() else { return Ok(()) };
        after = *last;
        for id in ids {
            let mut tx = db.write().await?;
            match one(&mut tx, id).await? {
                Outcome::Same => {}
                Outcome::Rebuilt => rebuilt.accounts += 1,
                Outcome::NotAllocating => rebuilt.not_allocating += 1,
            }
            tx.commit().await?;
            progress.inc(1);
        }
    }
}

enum Outcome {
    Same,
    Rebuilt,
    NotAllocating,
}

const LOCK_DOSSIER: &str =
    "update dossier set version = version where account_id = $1 returning id, version, caseload_id, epoch";
const SELECT_ALLOCATIONS: &str =
    "select payment_uid, n, principal, interest, fee, penalty from allocation where account_id = $1";
const SELECT_PROMISES: &str = "select captured_at, entry_uid, status from promise where account_id = $1";
const SET_PROMISE: &str = "update promise set status = $1 where entry_uid = $2";
const RAISE_VERSIONS: &str = "update dossier set version = $1, state_version = $1, promises_version = $2 where id = $3";

type AllocationKey = (PaymentId, i64, i64, i64, i64, i64);

/// Replays an account, after its dossier and itself are locked.
async fn one(tx: &mut Tx, id: i64) -> sqlx::Result<Outcome> {
    let dossier: Option<(i64, i64, Option<i64>, i64)> =
        on_db!(&mut *tx, conn => sqlx::query_as(LOCK_DOSSIER).bind(id).fetch_optional(conn).await)?;
    let Some(before) = account::load_accounts(tx, &[id], Lock::ForUpdate).await?.pop() else {
        return Ok(Outcome::Same);
    };
    let schedules = account::load_instalments(tx, &[(id, before.schedule_version)]).await?;
    let schedule = schedules.get(&id).map_or(&[][..], Vec::as_slice);
    let payments = account::load_payments(tx, &[id]).await?;
    let payments = payments.get(&id).map_or(&[][..], Vec::as_slice);
    let mut account = before.clone();
    let Ok(replayed) = replay(schedule, payments, account.waterfall) else { return Ok(Outcome::NotAllocating) };
    let restated = account.restate(&replayed.instalments, replayed.credit_minor, payments.last().copied());
    if restated.is_err() {
        return Ok(Outcome::NotAllocating);
    }
    let mut promises: Vec<(Timestamp, EntryId, String)> =
        on_db!(&mut *tx, conn => sqlx::query_as(SELECT_PROMISES).bind(id).fetch_all(conn).await)?;
    promises.sort_unstable();
    let latest = promises.last().map(|(at, entry, _)| (*at, *entry));
    account.active_promise = latest.map(|(_, entry)| entry);
    account.active_promise_at = latest.map(|(at, _)| at);
    let wrong_promises = promises.iter().filter(|(at, entry, status)| status != status_of(latest, (*at, *entry)));
    let wrong_promises: Vec<_> = wrong_promises.map(|(at, entry, _)| (*at, *entry)).collect();

    let of = |(payment, allocation): &(PaymentId, _)| AllocationRow::of(id, *payment, allocation).collect::<Vec<_>>();
    let allocations: Vec<AllocationRow> = replayed.allocations.iter().flat_map(of).collect();
    let stored: Vec<AllocationKey> =
        on_db!(&mut *tx, conn => sqlx::query_as(SELECT_ALLOCATIONS).bind(id).fetch_all(conn).await)?;
    let key = |row: &AllocationRow| (row.payment_uid, row.n, row.principal, row.interest, row.fee, row.penalty);
    let same_allocations =
        stored.into_iter().collect::<BTreeSet<_>>() == allocations.iter().map(key).collect::<BTreeSet<_>>();
    let same = account == before && replayed.instalments == schedule && same_allocations && wrong_promises.is_empty();
    if same {
        return Ok(Outcome::Same);
    }
    account::save_accounts(tx, std::slice::from_ref(&account)).await?;
    let rows: Vec<_> =
        replayed.instalments.iter().map(|instalment| (id, account.schedule_version, *instalment)).collect();
    account::save_instalments(tx, &rows).await?;
    account::replace_allocations(tx, &[id], &allocations).await?;
    for promise in wrong_promises {
        let status = status_of(latest, promise);
        on_db!(&mut *tx, conn => sqlx::query(SET_PROMISE).bind(status).bind(promise.1).execute(conn).await.map(|_| ()))?;
    }
    if let Some((dossier_id, version, caseload, epoch)) = dossier {
        tell(tx, (dossier_id, version + 1), !promises.is_empty(), caseload.map(|caseload| (caseload, epoch))).await?;
    }
    Ok(Outcome::Rebuilt)
}

/// The latest captured is active, the others are superseded (ruling S28).
fn status_of(latest: Option<(Timestamp, EntryId)>, promise: (Timestamp, EntryId)) -> &'static str {
    if latest == Some(promise) { "ACTIVE" } else { "SUPERSEDED" }
}

/// Phones are told the account's facts again.
async fn tell(
    tx: &mut Tx,
    (dossier_id, version): (i64, i64),
    has_promises: bool,
    caseload: Option<(i64, i64)>,
) -> sqlx::Result<()> {
    let promises_version = if has_promises { version } else { 0 };
    on_db!(&mut *tx, conn => {
        sqlx::query(RAISE_VERSIONS).bind(version).bind(promises_version).bind(dossier_id).execute(conn).await
            .map(|_| ())
    })?;
    let rows = caseload.map(|(caseload_id, epoch)| FeedRow { caseload_id, dossier_id, version, epoch, gone: None });
    feed::append(tx, rows.into_iter().collect()).await?;
    Ok(())
}
