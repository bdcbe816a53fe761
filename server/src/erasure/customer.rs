//! Who a customer is, and what his cases hold beside their entries.

use std::collections::BTreeMap;

use daybook_shared::time::Timestamp;

use super::login;
use super::order::{self, Due};
use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;
use crate::portfolio::dossier::{self, LockedCase};
use crate::portfolio::feed::{self, FeedRow, GoneReason};

batch_row! {
    struct Closed {
        id: i64 => "bigint",
        epoch: i64 => "bigint",
        at: Timestamp => "timestamptz",
        blank: Vec<u8> => "bytea",
    }
}

const CLOSE: &str = "update dossier set caseload_id = null, epoch = v.epoch, board_version = 0, erased_at = v.at
     from v where dossier.id = v.id";
const INSERT_ASSIGNMENTS: &str = "insert into assignment (dossier_id, epoch, caseload_id, at)
     select id, epoch, null, at from v where true";
const DROP_BOARDS: &str = "delete from board where dossier_id in (select id from v)";
const DROP_CHANGES: &str = "delete from board_change where dossier_id in (select id from v)";
const QUARANTINED: &str =
    "select d.id, cast(sum(length(q.bytes)) as bigint) from v join quarantine q on q.dossier_id = v.id
     join install i on i.id = q.install_id join device d on d.id = i.device_id group by d.id";
const EMPTY_QUARANTINE: &str =
    "update quarantine set bytes = v.blank, resolved_at = coalesce(quarantine.resolved_at, v.at),
       resolution = 'erased' from v where quarantine.dossier_id = v.id";
const WHERE_IT_WAS: &str =
    "select a.dossier_id, a.caseload_id, max(a.epoch) from v join assignment a on a.dossier_id = v.id
     where a.caseload_id is not null group by a.dossier_id, a.caseload_id";

const FORGET: &str =
    "update customer set name = '', phone = null, alt_phone = null, birth_date = null, national_id_masked = null,
       language = null, address = null, lat_e6 = null, lon_e6 = null, row_version = row_version + 1, erased_at = $2
     where id = $1";
const FORGET_PAYING: &str = "update app_payment set phone = null, return_url = null, redirect_url = null
     where account_id in (select id from account where customer_id = $1)";
const FORGET_REASONS: &str = "update goods_return set reason = null
     where account_id in (select a.id from account a where a.customer_id = $1)";
const FORGET_WORDS: &str = "update plan_complaint_message set words = null
     where complaint_id in (select c.id from plan_complaint c join account a on a.id = c.account_id
                            where a.customer_id = $1)";
const FORGET_FILES: &str = "delete from plan_complaint_file
     where complaint_id in (select c.id from plan_complaint c join account a on a.id = c.account_id
                            where a.customer_id = $1)";
const FORGET_PAYERS_BY_NUMBER: &str =
    "update statement_line set payer = null where payer is not null and account_number in (
       select a.number from account a join customer k on k.id = a.customer_id where k.erased_at is not null)";
const FORGET_PAYERS_BY_PAYMENT: &str =
    "update statement_line set payer = null where payer is not null and payment_uid in (
       select p.uid from payment p join account a on a.id = p.account_id join customer k on k.id = a.customer_id
       where k.erased_at is not null)";

/// Who paid for customers that are erased goes from statements, from those that came late too.
pub async fn forget_payers(app: &App) -> sqlx::Result<()> {
    for sql in [FORGET_PAYERS_BY_NUMBER, FORGET_PAYERS_BY_PAYMENT] {
        let mut tx = app.db.write().await?;
        on_db!(&mut tx, conn => sqlx::query(sql).execute(conn).await.map(|_| ()))?;
        tx.commit().await?;
    }
    Ok(())
}

batch_row! {
    struct Freed { id: i64 => "bigint", bytes: i64 => "bigint" }
}

const FREE_BYTES: &str =
    "update device set quarantined_bytes = device.quarantined_bytes - v.bytes from v where device.id = v.id";

/// Begins to carry out an order: the customer has no name any more, and his cases are nobody's. False when
/// something about him is not settled, or when it was begun before.
pub async fn begin(app: &App, due: Due) -> sqlx::Result<bool> {
    let now = app.now();
    let mut tx = app.db.write().await?;
    let cases = dossier::lock_cases(&mut tx, due.customer_id).await?;
    // Something may have come in, or another server may have begun, before the cases were locked.
    if order::is_unsettled(&mut tx, due.customer_id).await? || !order::begin(&mut tx, due.id).await? {
        return Ok(false);
    }
    login::forget(&mut tx, app, due.customer_id).await?;
    on_db!(&mut tx, conn => sqlx::query(FORGET).bind(due.customer_id).bind(now).execute(conn).await.map(|_| ()))?;
    for sql in [FORGET_PAYING, FORGET_REASONS, FORGET_WORDS, FORGET_FILES] {
        on_db!(&mut tx, conn => sqlx::query(sql).bind(due.customer_id).execute(conn).await.map(|_| ()))?;
    }
    close(&mut tx, &cases, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// Cases leave every caseload for good, with their boards. The last thing a transaction does.
async fn close(tx: &mut Tx, cases: &[LockedCase], now: Timestamp) -> sqlx::Result<()> {
    let row = |case: &LockedCase| {
        let epoch = case.epoch + i64::from(case.caseload_id.is_some());
        Closed { id: case.id, epoch, at: now, blank: Vec::new() }
    };
    let closed: Vec<_> = cases.iter().map(row).collect();
    let left: Vec<_> = cases.iter().filter(|case| case.caseload_id.is_some()).map(row).collect();
    free_quarantine(tx, &closed).await?;
    batch::execute(tx, &closed, EMPTY_QUARANTINE).await?;
    batch::execute(tx, &closed, DROP_BOARDS).await?;
    batch::execute(tx, &closed, DROP_CHANGES).await?;
    batch::execute(tx, &closed, CLOSE).await?;
    batch::execute(tx, &left, INSERT_ASSIGNMENTS).await?;
    // Phones of caseloads it was in long ago may still keep envelopes about it.
    let versions: BTreeMap<i64, i64> = cases.iter().map(|case| (case.id, case.version)).collect();
    let mut was_in: Vec<(i64, i64, i64)> = batch::fetch(tx, &closed, WHERE_IT_WAS).await?;
    was_in.sort_unstable();
    let said = was_in.into_iter().map(|(dossier_id, caseload_id, epoch)| {
        let version = versions.get(&dossier_id).copied().unwrap_or_default();
        FeedRow { caseload_id, dossier_id, version, epoch, gone: Some(GoneReason::Erased) }
    });
    feed::append(tx, said.collect()).await?;
    Ok(())
}

/// What was kept of refused board changes no longer counts against the devices.
async fn free_quarantine(tx: &mut Tx, closed: &[Closed]) -> sqlx::Result<()> {
    let kept: Vec<(i64, i64)> = batch::fetch(tx, closed, QUARANTINED).await?;
    let freed: Vec<_> = kept.into_iter().map(|(id, bytes)| Freed { id, bytes }).collect();
    batch::execute(tx, &freed, FREE_BYTES).await?;
    Ok(())
}
