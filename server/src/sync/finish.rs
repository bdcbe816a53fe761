//! The end of a request, in the transaction of its last envelope: what the phone confirmed, what it
//! may still take, its next receipt numbers.

use std::collections::BTreeMap;

use daybook_shared::entry::ReceiptNumber;
use daybook_shared::ids::{CaseloadId, DeviceId, EntryId, InstallId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{DAY_MS, Timestamp};
use daybook_shared::wire::exchange::{CaseloadCursor, NewOutcome, News, OfficerBlock, cursors_hash};
use daybook_shared::wire::limits::{CASELOADS_MAX, CURSOR_BYTES_MAX, RECEIPT_BLOCK_RENEW_AT};
use daybook_shared::wire::outcome::Reason;
use daybook_shared::wire::sign::{ReceiptBlock, Signed};

use super::cursor::Cursor;
use super::load::outcome_of;
use crate::app::App;
use crate::auth::device::{self as grants, GrantError};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;

/// What a request says beside its envelopes.
#[derive(Debug, Clone, Default)]
pub struct Finish {
    /// The device's user.
    pub user_id: i64,
    /// Cursors that changed.
    pub cursors: Vec<CaseloadCursor>,
    /// Hash of all of the phone's cursors.
    pub cursors_hash: u64,
    /// The newest verdicts it has applied.
    pub news_seen: i64,
    /// The last number of its newest receipt block.
    pub receipt_last: u32,
    /// Receipt numbers it has left.
    pub receipts_left: u32,
}

/// What the response says beside the answers.
#[derive(Debug, Default)]
pub struct Finished {
    /// Cash in hand and allowance.
    pub officer: OfficerBlock,
    /// The next receipt numbers.
    pub receipt_block: Option<Signed>,
    /// Verdicts that changed.
    pub news: Option<News>,
    /// The phone's cursors are not known here.
    pub send_cursors: bool,
    /// It is a day since the device heard an acknowledgement.
    pub acknowledge: bool,
}

/// Ends a request.
pub async fn finish(
    tx: &mut Tx,
    app: &App,
    (device_id, device): (i64, DeviceId),
    (install_id, install): (i64, InstallId),
    finish: &Finish,
    now: Timestamp,
) -> sqlx::Result<Finished> {
    let send_cursors = !confirm_cursors(tx, device_id, finish, now).await?;
    let news = news(tx, device_id, finish.news_seen).await?;
    let receipt_block = receipt_block(tx, app, (device_id, device), (install_id, install), finish, now).await?;
    let officer = officer_block(tx, app, device_id, finish.user_id, now).await?;
    let last: Option<Timestamp> =
        on_db!(tx, conn => sqlx::query_scalar(LAST_ACKNOWLEDGEMENT).bind(device_id).fetch_one(conn).await)?;
    let acknowledge = last.is_none_or(|last| now.ms_since(last) >= DAY_MS);
    Ok(Finished { officer, receipt_block, news, send_cursors, acknowledge })
}

const LAST_ACKNOWLEDGEMENT: &str = "select max(at) from acknowledgement where device_id = $1";
const SELECT_CURSORS: &str =
    "select c.uid, k.cursor_bytes from device_cursor k join caseload c on c.id = k.caseload_id where k.device_id = $1";
const DELETE_CURSORS: &str = "delete from device_cursor where device_id = $1";

batch_row! {
    struct CursorRow {
        device_id: i64 => "bigint",
        caseload: CaseloadId => "uuid",
        cursor_bytes: Vec<u8> => "bytea",
        confirmed_seq: i64 => "bigint",
        confirmed_at: Timestamp => "timestamptz",
    }
}

const UPSERT_CURSORS: &str =
    "insert into device_cursor (device_id, caseload_id, cursor_bytes, confirmed_seq, confirmed_at)
     select v.device_id, c.id, v.cursor_bytes, v.confirmed_seq, v.confirmed_at from v join caseload c on c.uid = v.caseload where true
     on conflict (device_id, caseload_id) do update set cursor_bytes = excluded.cursor_bytes,
       confirmed_seq = excluded.confirmed_seq,
       confirmed_at = excluded.confirmed_at";

/// Keeps the cursors the phone sent; false when they do not add up to what it has.
async fn confirm_cursors(tx: &mut Tx, device_id: i64, finish: &Finish, now: Timestamp) -> sqlx::Result<bool> {
    let known: Vec<(CaseloadId, Vec<u8>)> =
        on_db!(tx, conn => sqlx::query_as(SELECT_CURSORS).bind(device_id).fetch_all(conn).await)?;
    let mut all: BTreeMap<CaseloadId, Vec<u8>> = known.into_iter().collect();
    let sent = finish.cursors.iter().filter(|cursor| cursor.cursor.0.len() <= CURSOR_BYTES_MAX).take(CASELOADS_MAX);
    let sent: BTreeMap<CaseloadId, Vec<u8>> = sent.map(|cursor| (cursor.caseload, cursor.cursor.0.to_vec())).collect();
    let hash = |cursors: &BTreeMap<CaseloadId, Vec<u8>>| {
        cursors_hash(cursors.iter().map(|(id, bytes)| (id, bytes.as_slice())))
    };
    let complete = hash(&sent) == finish.cursors_hash;
    if complete && sent != all {
        on_db!(tx, conn => sqlx::query(DELETE_CURSORS).bind(device_id).execute(conn).await.map(|_| ()))?;
        all.clear();
    }
    all.extend(sent.clone());
    let rows = sent.into_iter().map(|(caseload, cursor_bytes)| {
        let confirmed_seq = Cursor::decode(&cursor_bytes, i64::MAX).from;
        CursorRow { device_id, caseload, cursor_bytes, confirmed_seq, confirmed_at: now }
    });
    batch::execute(tx, &rows.collect::<Vec<_>>(), UPSERT_CURSORS).await?;
    Ok(complete || hash(&all) == finish.cursors_hash)
}

const DELETE_NEWS: &str = "delete from outcome_news where device_id = $1 and seq <= $2";
const SELECT_NEWS: &str = "select n.seq, e.uid, e.outcome, e.reason, e.flags
     from outcome_news n join entry e on e.id = n.entry_id where n.device_id = $1 order by n.seq limit 200";

#[derive(sqlx::FromRow)]
struct NewsRow {
    seq: i64,
    uid: EntryId,
    outcome: String,
    reason: Option<Reason>,
    flags: Option<String>,
}

/// Verdicts the device has not confirmed.
async fn news(tx: &mut Tx, device_id: i64, seen: i64) -> sqlx::Result<Option<News>> {
    on_db!(tx, conn => sqlx::query(DELETE_NEWS).bind(device_id).bind(seen).execute(conn).await.map(|_| ()))?;
    let rows: Vec<NewsRow> = on_db!(tx, conn => sqlx::query_as(SELECT_NEWS).bind(device_id).fetch_all(conn).await)?;
    let Some(number) = rows.last().map(|row| u64::try_from(row.seq).unwrap_or_default()) else { return Ok(None) };
    let outcome = |row: NewsRow| {
        let outcome = outcome_of(&row.outcome, row.reason, row.flags.as_deref())?;
        Ok(NewOutcome { entry: row.uid, outcome })
    };
    let outcomes = rows.into_iter().map(outcome).collect::<sqlx::Result<_>>()?;
    Ok(Some(News { number, outcomes }))
}

const SELECT_CASH: &str = "select currency, minor from officer_cash where user_id = $1 order by currency";
const OTHER_ALLOWANCES: &str = "select cast(coalesce(sum(allowance_minor), 0) as bigint) from device where user_id = $1 and id <> $2 and state = 'active'";
const UPDATE_DEVICE: &str = "update device set allowance_minor = $2, last_sync_at = $3 where id = $1";

/// Cash in hand, and what this device may still take: the officer's limit less his cash and less
/// what his other devices were granted.
async fn officer_block(
    tx: &mut Tx,
    app: &App,
    device_id: i64,
    user_id: i64,
    now: Timestamp,
) -> sqlx::Result<OfficerBlock> {
    let rows: Vec<(Currency, i64)> =
        on_db!(tx, conn => sqlx::query_as(SELECT_CASH).bind(user_id).fetch_all(conn).await)?;
    let cash_in_hand: Vec<Money> = rows.into_iter().map(|(currency, minor)| Money::new(minor, currency)).collect();
    let currency = app.settings.currency;
    let cash = cash_in_hand.iter().find(|money| money.currency == currency).map_or(0, |money| money.minor);
    let others: i64 =
        on_db!(tx, conn => sqlx::query_scalar(OTHER_ALLOWANCES).bind(user_id).bind(device_id).fetch_one(conn).await)?;
    let allowance = app.settings.cash_limit_minor.saturating_sub(cash).saturating_sub(others).max(0);
    on_db!(tx, conn => {
        sqlx::query(UPDATE_DEVICE).bind(device_id).bind(allowance).bind(now).execute(conn).await.map(|_| ())
    })?;
    Ok(OfficerBlock { cash_in_hand, allowance: vec![Money::new(allowance, currency)] })
}

const SELECT_NEWEST_BLOCK: &str = "select series, first_number, last_number, granted_at from receipt_block
     where install_id = $1 order by last_number desc limit 1";

/// A new block when the phone runs low, or the newest again when it never got it.
async fn receipt_block(
    tx: &mut Tx,
    app: &App,
    (device_id, device): (i64, DeviceId),
    (install_id, install): (i64, InstallId),
    finish: &Finish,
    now: Timestamp,
) -> sqlx::Result<Option<Signed>> {
    let newest: Option<(String, i64, i64, Timestamp)> =
        on_db!(tx, conn => sqlx::query_as(SELECT_NEWEST_BLOCK).bind(install_id).fetch_optional(conn).await)?;
    if let Some((series, first, last, granted_at)) = newest {
        if last != i64::from(finish.receipt_last) {
            let number = |n: i64| u32::try_from(n).ok();
            let block = number(first).and_then(|first| ReceiptNumber::new(&series, first)).zip(number(last));
            let block = block.map(|(first, last)| ReceiptBlock { device, install, first, last, granted_at });
            return Ok(block.map(|block| grants::signed_block(app, &block)));
        }
        if finish.receipts_left > RECEIPT_BLOCK_RENEW_AT {
            return Ok(None);
        }
    }
    match grants::grant_block(tx, now, app, (device_id, device), (install_id, install)).await {
        Ok(block) => Ok(Some(block)),
        Err(GrantError::Sql(error)) => Err(error),
        Err(error) => {
            tracing::error!(%device, %error, "no receipt numbers for a device");
            Ok(None)
        }
    }
}
