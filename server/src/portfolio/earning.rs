//! Profit is earned on the day it falls due (journey.md 5, line 2): a dated job moves it from unearned to profit.
//!
//! What is earned is kept beside each instalment, under the account's lock, and the event's id is derived from
//! account, version and instalment: however often and late the job runs, on however many replicas, each is booked
//! once, on its own day. Whether it is paid is another matter.

use std::collections::BTreeSet;
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
/// Instalments whose accounts one transaction locks.
const LOT: u16 = 500;

/// Earns what has come due; how many instalments it was.
pub async fn turn(app: &App) -> Outcome {
    earn(app, LOT).await
}

/// A lot at a time, each from where the one before ended: a portfolio that was not looked at for long is read once.
pub(super) async fn earn(app: &App, lot: u16) -> Outcome {
    let (mut earned, mut after) = (0, (Date::MIN, 0));
    loop {
        let today = app.settings.zone.date_of(app.now());
        let mut tx = app.db.write().await?;
        let due = due(&mut tx, today, after, lot).await?;
        let Some(&last) = due.last() else { return Ok(earned) };
        earned += book_all(&mut tx, app, today, &due).await?;
        tx.commit().await?;
        after = last;
    }
}

const SELECT_DUE: &str = "select i.due_date, i.account_id from instalment i
     join account a on a.id = i.account_id and a.schedule_version = i.version
     where i.due_date <= $1 and (i.due_date, i.account_id) > ($2, $3)
       and i.earned_interest < i.interest and a.status <> 'pending'
     order by i.due_date, i.account_id limit $4";

/// Instalments to be earned, as day and account, after one in the order of both.
async fn due(tx: &mut Tx, today: Date, after: (Date, i64), lot: u16) -> sqlx::Result<Vec<(Date, i64)>> {
    on_db!(tx, conn => {
        sqlx::query_as(SELECT_DUE).bind(today).bind(after.0).bind(after.1).bind(i64::from(lot)).fetch_all(conn).await
    })
}

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

/// Earns all that has come due of these accounts.
async fn book_all(tx: &mut Tx, app: &App, today: Date, due: &[(Date, i64)]) -> sqlx::Result<u64> {
    let ids: Vec<_> = due.iter().map(|&(_, account_id)| account_id).collect::<BTreeSet<_>>().into_iter().collect();
    load_accounts(tx, &ids, Lock::ForUpdate).await?;
    let keys: Vec<_> = ids.into_iter().map(|account_id| DueKey { account_id, today }).collect();
    let due: Vec<DueRow> = batch::fetch(tx, &keys, SELECT_UNEARNED).await?;
    let journals = due.iter().map(|row| book(app, row)).collect::<Result<Vec<_>, _>>();
    let journals = journals.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    journal::insert(tx, &journals, app.now()).await?;
    let row = |row: &DueRow| EarnedRow { account_id: row.account_id, version: row.version, n: row.n };
    batch::execute(tx, &due.iter().map(row).collect::<Vec<_>>(), EARN).await?;
    // None, when another replica was before.
    Ok(journals.len() as u64)
}

fn book(app: &App, row: &DueRow) -> Result<crate::ledger::posting::Journal, PostingError> {
    let id = event_id("profit", &[row.uid.as_bytes(), &row.version.to_be_bytes(), &row.n.to_be_bytes()]);
    let booked_on = judge::booked_on(&app.settings, row.due_date);
    let event = Event { id, correlation: row.uid.0, booked_on, currency: row.currency };
    after_sale::earned(event, row.account_id, row.minor)
}
