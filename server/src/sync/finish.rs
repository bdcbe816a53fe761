//! The end of requests, in the transaction of their last envelopes: what the phones confirmed, what they
//! may still take, their next receipt numbers. A fixed number of statements, however many end together.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::entry::ReceiptNumber;
use daybook_shared::ids::{CaseloadId, DeviceId, EntryId, InstallId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{DAY_MS, Timestamp};
use daybook_shared::wire::exchange::{CaseloadCursor, NewOutcome, News, OfficerBlock, Unsent, cursors_hash};
use daybook_shared::wire::limits::{CASELOADS_MAX, CURSOR_BYTES_MAX, RECEIPT_BLOCK_RENEW_AT};
use daybook_shared::wire::outcome::Reason;
use daybook_shared::wire::sign::{ReceiptBlock, Signed};

use super::cursor::Cursor;
use super::health::Bytes;
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
    /// The device only hands in: it gets no numbers.
    pub only_hands_in: bool,
    /// What it still holds beside this request.
    pub unsent: Option<Unsent>,
    /// It has erased itself by order.
    pub wiped: bool,
    /// Bytes of this request, and those of answers before it that were not counted yet.
    pub bytes: Bytes,
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

/// A request that ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// Row key of the device.
    pub device_id: i64,
    /// The device.
    pub device: DeviceId,
    /// Row key of the install.
    pub install_id: i64,
    /// The install.
    pub install: InstallId,
    /// What the request says.
    pub finish: &'a Finish,
}

batch_row! {
    struct Key { id: i64 => "bigint" }
}

fn keys(ids: impl Iterator<Item = i64>) -> Vec<Key> {
    ids.collect::<BTreeSet<_>>().into_iter().map(|id| Key { id }).collect()
}

const LAST_ACKNOWLEDGEMENTS: &str =
    "select a.device_id, max(a.at) from v join acknowledgement a on a.device_id = v.id group by a.device_id";

/// Ends requests, in their order.
pub async fn finish(tx: &mut Tx, app: &App, endings: &[Ending<'_>], now: Timestamp) -> sqlx::Result<Vec<Finished>> {
    let known = confirm_cursors(tx, endings, now).await?;
    let mut news = news(tx, endings).await?;
    let mut officers = officer_blocks(tx, app, endings, now).await?.into_iter();
    let devices = keys(endings.iter().map(|ending| ending.device_id));
    let last: Vec<(i64, Timestamp)> = batch::fetch(tx, &devices, LAST_ACKNOWLEDGEMENTS).await?;
    let last: BTreeMap<i64, Timestamp> = last.into_iter().collect();
    let mut blocks = newest_blocks(tx, keys(endings.iter().map(|ending| ending.install_id))).await?;
    let mut finished = Vec::with_capacity(endings.len());
    for (ending, cursors_known) in endings.iter().zip(known) {
        let heard = last.get(&ending.device_id);
        finished.push(Finished {
            officer: officers.next().unwrap_or_default(),
            receipt_block: receipt_block(tx, app, ending, &mut blocks, now).await?,
            news: news.remove(&ending.device_id),
            send_cursors: !cursors_known,
            acknowledge: heard.is_none_or(|heard| now.ms_since(*heard) >= DAY_MS),
        });
    }
    Ok(finished)
}

const SELECT_CURSORS: &str = "select k.device_id, c.uid, k.cursor_bytes
     from v join device_cursor k on k.device_id = v.id join caseload c on c.id = k.caseload_id";
const DELETE_CURSORS: &str = "delete from device_cursor where device_id in (select v.id from v)";

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

type Cursors = BTreeMap<CaseloadId, Vec<u8>>;

fn hash_of(cursors: &Cursors) -> u64 {
    cursors_hash(cursors.iter().map(|(id, bytes)| (id, bytes.as_slice())))
}

/// Keeps the cursors the phones sent; false for those whose cursors do not add up to what they have.
async fn confirm_cursors(tx: &mut Tx, endings: &[Ending<'_>], now: Timestamp) -> sqlx::Result<Vec<bool>> {
    let devices = keys(endings.iter().map(|ending| ending.device_id));
    let known: Vec<(i64, CaseloadId, Vec<u8>)> = batch::fetch(tx, &devices, SELECT_CURSORS).await?;
    let mut all: BTreeMap<i64, Cursors> = BTreeMap::new();
    for (device, caseload, bytes) in known {
        all.entry(device).or_default().insert(caseload, bytes);
    }
    let (mut begun_anew, mut kept, mut answers) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
    for Ending { device_id, finish, .. } in endings {
        let all = all.entry(*device_id).or_default();
        let sent = finish.cursors.iter().filter(|cursor| cursor.cursor.0.len() <= CURSOR_BYTES_MAX);
        let sent = sent.take(CASELOADS_MAX).map(|cursor| (cursor.caseload, cursor.cursor.0.to_vec()));
        let sent: Cursors = sent.collect();
        let complete = hash_of(&sent) == finish.cursors_hash;
        if complete && sent != *all {
            begun_anew.insert(*device_id);
            kept.retain(|(device, _), _| device != device_id);
            all.clear();
        }
        all.extend(sent.clone());
        kept.extend(sent.into_iter().map(|(caseload, bytes)| ((*device_id, caseload), bytes)));
        answers.push(complete || hash_of(all) == finish.cursors_hash);
    }
    batch::execute(tx, &keys(begun_anew.into_iter()), DELETE_CURSORS).await?;
    let rows = kept.into_iter().map(|((device_id, caseload), cursor_bytes)| {
        let confirmed_seq = Cursor::decode(&cursor_bytes, i64::MAX).from;
        CursorRow { device_id, caseload, cursor_bytes, confirmed_seq, confirmed_at: now }
    });
    batch::execute(tx, &rows.collect::<Vec<_>>(), UPSERT_CURSORS).await?;
    Ok(answers)
}

batch_row! {
    struct Seen { device_id: i64 => "bigint", seq: i64 => "bigint" }
}

const DELETE_NEWS: &str = "delete from outcome_news where (device_id, seq) in
     (select n.device_id, n.seq from v join outcome_news n on n.device_id = v.device_id and n.seq <= v.seq)";
const SELECT_NEWS: &str = "select n.device_id, n.seq, e.uid, e.outcome, e.reason, e.flags
     from (select o.device_id, o.seq, o.entry_id, row_number() over (partition by o.device_id order by o.seq) as place
           from v join outcome_news o on o.device_id = v.id) n
     join entry e on e.id = n.entry_id where n.place <= 200 order by n.device_id, n.seq";

#[derive(sqlx::FromRow)]
struct NewsRow {
    device_id: i64,
    seq: i64,
    uid: EntryId,
    outcome: String,
    reason: Option<Reason>,
    flags: Option<String>,
}

/// Verdicts that the devices have not confirmed, by device.
async fn news(tx: &mut Tx, endings: &[Ending<'_>]) -> sqlx::Result<BTreeMap<i64, News>> {
    let seen = endings.iter().map(|ending| Seen { device_id: ending.device_id, seq: ending.finish.news_seen });
    batch::execute(tx, &seen.collect::<Vec<_>>(), DELETE_NEWS).await?;
    let devices = keys(endings.iter().map(|ending| ending.device_id));
    let mut rows: Vec<NewsRow> = batch::fetch(tx, &devices, SELECT_NEWS).await?;
    rows.sort_unstable_by_key(|row| (row.device_id, row.seq));
    let mut news: BTreeMap<i64, News> = BTreeMap::new();
    for row in rows {
        let of_device = news.entry(row.device_id).or_insert_with(|| News { number: 0, outcomes: Vec::new() });
        of_device.number = u64::try_from(row.seq).unwrap_or_default();
        let outcome = outcome_of(&row.outcome, row.reason, row.flags.as_deref())?;
        of_device.outcomes.push(NewOutcome { entry: row.uid, outcome });
    }
    Ok(news)
}

const SELECT_CASH: &str = "select c.user_id, c.currency, c.minor from v join officer_cash c on c.user_id = v.id order by c.user_id, c.currency";
const SELECT_ALLOWANCES: &str = "select d.user_id, d.id, d.allowance_minor
     from v join device d on d.user_id = v.id where d.state = 'active'";

batch_row! {
    struct DeviceRow {
        id: i64 => "bigint",
        minor: i64 => "bigint",
        at: Timestamp => "timestamptz",
        unsent: i64 => "bigint",
        unsent_oldest_at: Option<Timestamp> => "timestamptz",
        up: i64 => "bigint",
        down: i64 => "bigint",
        wiped_at: Option<Timestamp> => "timestamptz",
    }
}

const UPDATE_DEVICES: &str = "update device set allowance_minor = v.minor, last_sync_at = v.at,
       unsent_count = v.unsent, unsent_oldest_at = v.unsent_oldest_at,
       bytes_up = device.bytes_up + v.up, bytes_down = device.bytes_down + v.down,
       wiped_at = coalesce(device.wiped_at, v.wiped_at)
     from v where device.id = v.id";

impl DeviceRow {
    /// What the end of a request says of its device, after `before` of the same transaction.
    fn new(ending: &Ending<'_>, minor: i64, at: Timestamp, before: Option<&Self>) -> Self {
        let Finish { unsent, bytes, wiped, .. } = ending.finish;
        let (up, down) = before.map_or((0, 0), |row| (row.up, row.down));
        Self {
            id: ending.device_id,
            minor,
            at,
            unsent: unsent.map_or(0, |unsent| i64::from(unsent.count)),
            // A phone's clock may say anything.
            unsent_oldest_at: unsent.map(|unsent| unsent.oldest_at.clamp(Timestamp::EPOCH, at)),
            up: up.saturating_add(bytes.up),
            down: down.saturating_add(bytes.down),
            wiped_at: wiped.then_some(at),
        }
    }
}

/// Cash in hand, and what each device may still take: the officer's limit less his cash and less
/// what his other devices were granted.
async fn officer_blocks(
    tx: &mut Tx,
    app: &App,
    endings: &[Ending<'_>],
    now: Timestamp,
) -> sqlx::Result<Vec<OfficerBlock>> {
    let users = keys(endings.iter().map(|ending| ending.finish.user_id));
    let mut cash: Vec<(i64, Currency, i64)> = batch::fetch(tx, &users, SELECT_CASH).await?;
    cash.sort_unstable();
    let granted: Vec<(i64, i64, i64)> = batch::fetch(tx, &users, SELECT_ALLOWANCES).await?;
    let mut granted: BTreeMap<(i64, i64), i64> =
        granted.into_iter().map(|(user, device, minor)| ((user, device), minor)).collect();
    let (mut blocks, mut changed) = (Vec::new(), BTreeMap::new());
    let currency = app.settings.currency;
    for ending in endings {
        let Ending { device_id, finish: Finish { user_id, .. }, .. } = ending;
        let own = cash.iter().filter(|(user, ..)| user == user_id);
        let cash_in_hand: Vec<Money> = own.map(|(_, currency, minor)| Money::new(*minor, *currency)).collect();
        let in_hand = cash_in_hand.iter().find(|money| money.currency == currency).map_or(0, |money| money.minor);
        let of_user = granted.range((*user_id, i64::MIN)..=(*user_id, i64::MAX));
        let others = of_user.filter(|((_, device), _)| device != device_id);
        let others = others.fold(0_i64, |sum, (_, minor)| sum.saturating_add(*minor));
        let allowance = app.settings.cash_limit_minor.saturating_sub(in_hand).saturating_sub(others).max(0);
        granted.entry((*user_id, *device_id)).and_modify(|minor| *minor = allowance);
        let row = DeviceRow::new(ending, allowance, now, changed.get(device_id));
        changed.insert(*device_id, row);
        blocks.push(OfficerBlock { cash_in_hand, allowance: vec![Money::new(allowance, currency)] });
    }
    batch::execute(tx, &changed.into_values().collect::<Vec<_>>(), UPDATE_DEVICES).await?;
    Ok(blocks)
}

#[derive(sqlx::FromRow)]
struct BlockRow {
    install_id: i64,
    series: String,
    first_number: i64,
    last_number: i64,
    granted_at: Timestamp,
}

const SELECT_NEWEST_BLOCKS: &str = "select b.install_id, b.series, b.first_number, b.last_number, b.granted_at
     from v join receipt_block b on b.install_id = v.id
     where b.last_number = (select max(n.last_number) from receipt_block n where n.install_id = b.install_id)";

/// While no number of the newest two blocks of an install was seen it gets no other, whatever its phone
/// says it has left.
const UNUSED_BLOCKS_MAX: i64 = 2;
const COUNT_UNUSED: &str = "select count(*)
     from (select series, first_number, last_number from receipt_block where install_id = $1
           order by last_number desc limit 2) b
     where not exists (select 1 from receipt_claim c
       where c.receipt_no between b.series || '-' || substr(cast(1000000 + b.first_number as text), 2)
                              and b.series || '-' || substr(cast(1000000 + b.last_number as text), 2))";

async fn newest_blocks(tx: &mut Tx, installs: Vec<Key>) -> sqlx::Result<BTreeMap<i64, BlockRow>> {
    let rows: Vec<BlockRow> = batch::fetch(tx, &installs, SELECT_NEWEST_BLOCKS).await?;
    Ok(rows.into_iter().map(|row| (row.install_id, row)).collect())
}

/// A new block when the phone runs low, or the newest again when it never got it.
async fn receipt_block(
    tx: &mut Tx,
    app: &App,
    ending: &Ending<'_>,
    newest: &mut BTreeMap<i64, BlockRow>,
    now: Timestamp,
) -> sqlx::Result<Option<Signed>> {
    let Ending { device_id, device, install_id, install, finish } = *ending;
    if finish.only_hands_in {
        return Ok(None);
    }
    if let Some(BlockRow { series, first_number, last_number, granted_at, .. }) = newest.get(&install_id) {
        if *last_number != i64::from(finish.receipt_last) {
            let number = |n: i64| u32::try_from(n).ok();
            let block = number(*first_number).and_then(|first| ReceiptNumber::new(series, first));
            let block = block.zip(number(*last_number));
            let block =
                block.map(|(first, last)| ReceiptBlock { device, install, first, last, granted_at: *granted_at });
            return Ok(block.map(|block| grants::signed_block(app, &block)));
        }
        if finish.receipts_left > RECEIPT_BLOCK_RENEW_AT {
            return Ok(None);
        }
    }
    let unused: i64 =
        on_db!(&mut *tx, conn => sqlx::query_scalar(COUNT_UNUSED).bind(install_id).fetch_one(conn).await)?;
    if unused >= UNUSED_BLOCKS_MAX {
        return Ok(None);
    }
    match grants::grant_block(tx, now, app, (device_id, device), (install_id, install)).await {
        Ok(block) => {
            // Another request of this install may end in the same transaction.
            newest.extend(newest_blocks(tx, vec![Key { id: install_id }]).await?);
            Ok(Some(block))
        }
        Err(GrantError::Sql(error)) => Err(error),
        Err(error) => {
            tracing::error!(%device, %error, "no receipt numbers for a device");
            Ok(None)
        }
    }
}
