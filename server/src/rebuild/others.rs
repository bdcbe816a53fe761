//! Officers' cash, boards and feeds.

use std::collections::BTreeSet;

use daybook_shared::board::{BoardKind, Confirmed, heads};
use daybook_shared::money::Currency;
use indicatif::ProgressBar;

use crate::db::{Db, Tx};
use crate::on_db;
use crate::portfolio::dossier::DossierKind;
use crate::portfolio::feed::{self, FeedRow, GoneReason};

const OFFICERS: &str = "select user_id from officer_cash union
     select subject from line where gl = 'officer_cash' and subject is not null order by 1";
const LOCK_CASH: &str = "update officer_cash set minor = minor where user_id = $1";
const STORED_CASH: &str = "select currency, minor from officer_cash where user_id = $1";
const JOURNAL_CASH: &str =
    "select j.currency, cast(sum(l.minor) as bigint) from line l join journal j on j.id = l.journal_id
     where l.gl = 'officer_cash' and l.subject = $1 group by j.currency";
const SET_CASH: &str = "insert into officer_cash (user_id, currency, minor) values ($1, $2, $3)
     on conflict (user_id, currency) do update set minor = excluded.minor";

/// What officers owe is the balance of their lines. Returns how many differed.
pub(super) async fn cash(db: &Db) -> sqlx::Result<u64> {
    let mut tx = db.read().await?;
    let officers: Vec<i64> = on_db!(&mut tx, conn => sqlx::query_scalar(OFFICERS).fetch_all(conn).await)?;
    drop(tx);
    let mut differing = 0;
    for officer in officers {
        let mut tx = db.write().await?;
        on_db!(&mut tx, conn => sqlx::query(LOCK_CASH).bind(officer).execute(conn).await.map(|_| ()))?;
        let stored: Vec<(Currency, i64)> =
            on_db!(&mut tx, conn => sqlx::query_as(STORED_CASH).bind(officer).fetch_all(conn).await)?;
        let lines: Vec<(Currency, i64)> =
            on_db!(&mut tx, conn => sqlx::query_as(JOURNAL_CASH).bind(officer).fetch_all(conn).await)?;
        let of = |rows: &[(Currency, i64)], currency: Currency| {
            rows.iter().find(|(of, _)| *of == currency).map_or(0, |(_, minor)| *minor)
        };
        let currencies: BTreeSet<_> = stored.iter().chain(&lines).map(|(currency, _)| *currency).collect();
        let wrong = currencies.into_iter().filter(|currency| of(&stored, *currency) != of(&lines, *currency));
        let wrong: Vec<_> = wrong.collect();
        for currency in &wrong {
            let minor = of(&lines, *currency);
            on_db!(&mut tx, conn => {
                sqlx::query(SET_CASH).bind(officer).bind(*currency).bind(minor).execute(conn).await.map(|_| ())
            })?;
        }
        tx.commit().await?;
        differing += u64::from(!wrong.is_empty());
    }
    Ok(differing)
}

const BOARDS: &str = "select id from dossier where board_version > 0 order by id";
const LOCK_DOSSIER: &str = "update dossier set version = version where id = $1 returning kind";
const STORED_BOARD: &str = "select bytes from board where dossier_id = $1";
const CHANGES: &str = "select bytes from board_change where dossier_id = $1 order by version";
const SET_BOARD: &str = "insert into board (dossier_id, bytes) values ($1, $2)
     on conflict (dossier_id) do update set bytes = excluded.bytes";

/// Boards are what their changes make of the genesis of their kind. Returns how many differed.
pub(super) async fn boards(db: &Db, progress: &ProgressBar) -> sqlx::Result<u64> {
    let mut tx = db.read().await?;
    let dossiers: Vec<i64> = on_db!(&mut tx, conn => sqlx::query_scalar(BOARDS).fetch_all(conn).await)?;
    drop(tx);
    let mut differing = 0;
    for dossier in dossiers {
        let mut tx = db.write().await?;
        differing += u64::from(board(&mut tx, dossier).await?);
        tx.commit().await?;
        progress.inc(1);
    }
    Ok(differing)
}

async fn board(tx: &mut Tx, dossier: i64) -> sqlx::Result<bool> {
    let kind: DossierKind =
        on_db!(&mut *tx, conn => sqlx::query_scalar(LOCK_DOSSIER).bind(dossier).fetch_one(conn).await)?;
    let kind = match kind {
        DossierKind::Case => BoardKind::Case,
        DossierKind::Day => BoardKind::Day,
        DossierKind::Agent => BoardKind::Agent,
        DossierKind::Unknown => return Ok(false),
    };
    let stored: Option<Vec<u8>> =
        on_db!(&mut *tx, conn => sqlx::query_scalar(STORED_BOARD).bind(dossier).fetch_optional(conn).await)?;
    let changes: Vec<Vec<u8>> =
        on_db!(&mut *tx, conn => sqlx::query_scalar(CHANGES).bind(dossier).fetch_all(conn).await)?;
    let changes: Vec<_> = changes.iter().map(Vec::as_slice).collect();
    let Ok(merged) = Confirmed::genesis(kind).merged(&changes) else { return Ok(false) };
    let sorted = |heads: Vec<_>| heads.into_iter().collect::<BTreeSet<_>>();
    let same = stored.and_then(|bytes| heads(&bytes).ok()).is_some_and(|heads| sorted(heads) == sorted(merged.heads()));
    if same {
        return Ok(false);
    }
    on_db!(&mut *tx, conn => {
        sqlx::query(SET_BOARD).bind(dossier).bind(merged.doc_bytes()).execute(conn).await.map(|_| ())
    })?;
    Ok(true)
}

const SET_SEQUENCE: &str = "update caseload set seq = (select max(f.seq) from feed f where f.caseload_id = caseload.id)
     where seq < (select max(f.seq) from feed f where f.caseload_id = caseload.id)";
/// Newest rows of dossiers in feeds that do not say what is: (caseload, dossier, version, epoch, present).
/// Where a dossier is, its newest row says so, with its version; where it was, that it is gone.
const WRONG: &str = "
    with newest as (
      select f.caseload_id, f.dossier_id, f.version, f.present, f.epoch from feed f
      join (select caseload_id, dossier_id, max(seq) as seq from feed group by caseload_id, dossier_id) n
        on n.caseload_id = f.caseload_id and n.seq = f.seq)
    select d.caseload_id, d.id, d.version, d.epoch, true as is_there
    from dossier d left join newest f on f.caseload_id = d.caseload_id and f.dossier_id = d.id
    where d.caseload_id is not null
      and (f.present is null or not f.present or f.version <> d.version or f.epoch <> d.epoch)
    union all
    select w.caseload_id, w.dossier_id, d.version,
      (select max(a.epoch) from assignment a where a.dossier_id = w.dossier_id and a.caseload_id = w.caseload_id), false
    from (select distinct dossier_id, caseload_id from assignment where caseload_id is not null) w
    join dossier d on d.id = w.dossier_id
    left join newest f on f.caseload_id = w.caseload_id and f.dossier_id = w.dossier_id
    where (d.caseload_id is null or d.caseload_id <> w.caseload_id)
      and (f.present is null or f.present or f.epoch <>
        (select max(a.epoch) from assignment a where a.dossier_id = w.dossier_id and a.caseload_id = w.caseload_id))
    order by 1, 2";
const STILL: &str = "update dossier set version = version where id = $1 returning version, epoch, caseload_id";

/// Feeds say of every dossier where it is and how far. Returns of how many they did not.
pub(super) async fn feeds(db: &Db) -> sqlx::Result<u64> {
    let mut tx = db.write().await?;
    on_db!(&mut tx, conn => sqlx::query(SET_SEQUENCE).execute(conn).await.map(|_| ()))?;
    let wrong: Vec<(i64, i64, i64, i64, bool)> = on_db!(&mut tx, conn => sqlx::query_as(WRONG).fetch_all(conn).await)?;
    tx.commit().await?;
    for &(caseload_id, dossier_id, _, epoch, present) in &wrong {
        let mut tx = db.write().await?;
        let now: (i64, i64, Option<i64>) =
            on_db!(&mut tx, conn => sqlx::query_as(STILL).bind(dossier_id).fetch_one(conn).await)?;
        let (version, is_here) = (now.0, now.2 == Some(caseload_id));
        // It may have moved since it was looked at: then it was told of.
        if is_here == present {
            let epoch = if present { now.1 } else { epoch };
            let gone = (!present).then_some(GoneReason::Moved);
            feed::append(&mut tx, vec![FeedRow { caseload_id, dossier_id, version, epoch, gone }]).await?;
        }
        tx.commit().await?;
    }
    Ok(wrong.len() as u64)
}
