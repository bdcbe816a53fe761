//! Profit is earned on the day it falls due (journey.md 5, line 2): a dated job moves it from unearned to profit.
//!
//! What is earned is kept beside each instalment, under the account's lock, and the event's id is derived from
//! account, version and instalment: however often and late the job runs, on however many replicas, each is booked
//! once, on its own day. Whether it is paid is another matter.

use std::time::Duration;

use daybook_shared::ids::AccountId;
use daybook_shared::money::Currency;
use daybook_shared::time::Date;

use super::account::{Lock, load_accounts};
use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::jobs::Outcome;
use crate::ledger::after_sale::{self, event_id};
use crate::ledger::journal;
use crate::ledger::posting::{Event, PostingError};
use crate::on_db;
use crate::sync::judge;

/// How often it is looked: a day begins when it begins, and a server may have been down.
pub const EVERY: Duration = Duration::from_hours(1);
/// Instalments of one transaction.
const LOT: i64 = 500;

/// Earns what has come due, a lot at a time; how many instalments it was.
pub async fn turn(app: &App) -> Outcome {
    let mut earned = 0;
    loop {
        let today = app.settings.zone.date_of(app.now());
        let mut tx = app.db.write().await?;
        let lot = lot(&mut tx, app, today).await?;
        tx.commit().await?;
        if lot == 0 {
            return Ok(earned);
        }
        earned += lot;
    }
}

const SELECT_DUE: &str = "select i.account_id from instalment i
     join account a on a.id = i.account_id and a.schedule_version = i.version
     where i.due_date <= $1 and i.earned_interest < i.interest and a.status <> 'pending' order by i.due_date limit $2";

batch_row! {
    struct DueKey { account_id: i64 => "int8", today: Date => "date" }
}

/// What is not earned of accounts, read once they are locked.
const SELECT_UNEARNED: &str =
    "select a.uid, a.currency, i.account_id, i.version, i.n, i.due_date, i.interest - i.earned_interest as minor
     from v join account a on a.id = v.account_id
       join instalment i on i.account_id = a.id and i.version = a.schedule_version
     where i.due_date <= v.today and i.earned_interest < i.interest";

#[derive(sqlx::FromRow)]
struct DueRow {
    uid: AccountId,
    currency: Currency,
    account_id: i64,
    version: i64,
    n: i64,
    due_date: Date,
    minor: i64,
}

batch_row! {
    struct EarnedRow { account_id: i64 => "int8", version: i64 => "int8", n: i64 => "int8" }
}

const EARN: &str = "update instalment set earned_interest = instalment.interest
     from v where instalment.account_id = v.account_id and instalment.version = v.version and instalment.n = v.n";

async fn lot(tx: &mut Tx, app: &App, today: Date) -> sqlx::Result<u64> {
    let mut ids: Vec<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(SELECT_DUE).bind(today).bind(LOT).fetch_all(conn).await
    })?;
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(0);
    }
    load_accounts(tx, &ids, Lock::ForUpdate).await?;
    let keys: Vec<_> = ids.into_iter().map(|account_id| DueKey { account_id, today }).collect();
    let due: Vec<DueRow> = batch::fetch(tx, &keys, SELECT_UNEARNED).await?;
    let journals = due.iter().map(|row| book(app, row)).collect::<Result<Vec<_>, _>>();
    let journals = journals.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    journal::insert(tx, &journals, app.now()).await?;
    let row = |row: &DueRow| EarnedRow { account_id: row.account_id, version: row.version, n: row.n };
    batch::execute(tx, &due.iter().map(row).collect::<Vec<_>>(), EARN).await?;
    // None, when another replica was before: then there is nothing left of the lot either.
    Ok(journals.len() as u64)
}

fn book(app: &App, row: &DueRow) -> Result<crate::ledger::posting::Journal, PostingError> {
    let id = event_id("profit", &[row.uid.as_bytes(), &row.version.to_be_bytes(), &row.n.to_be_bytes()]);
    let booked_on = judge::booked_on(&app.settings, row.due_date);
    let event = Event { id, correlation: row.uid.0, booked_on, currency: row.currency };
    after_sale::earned(event, row.account_id, row.minor)
}
