//! Entries about customers who are erased: their bytes, what their typed rows say in words or of places, and
//! their files. What is held or waits for a ruling keeps its bytes until somebody has ruled, and is erased
//! then.

use std::collections::BTreeSet;

use daybook_shared::entry::Entry;
use daybook_shared::ids::{DossierId, EntryId, Hash, sha256};
use daybook_shared::time::Timestamp;

use super::envelopes::is_about;
use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;
use crate::portfolio::feed::{self, FeedRow};

/// Entries of one transaction: phones wait for the writer meanwhile.
const ENTRIES_MAX: i64 = 200;
/// Refused entries read at a time.
const REFUSED_MAX: i64 = 500;

const SELECT_CASES: &str = "select id from dossier where erased_at is not null
     and (erased_upto is null or erased_upto < version) order by id";

/// Erases what is there about customers who are erased, in their cases and elsewhere; returns how many entries.
pub async fn erase(app: &App) -> sqlx::Result<u64> {
    let mut tx = app.db.read().await?;
    let cases: Vec<i64> = on_db!(&mut tx, conn => sqlx::query_scalar(SELECT_CASES).fetch_all(conn).await)?;
    let elsewhere = named_elsewhere(&mut tx).await?;
    drop(tx);
    let mut erased = 0;
    for case in cases {
        erased += erase_case(app, case).await?;
    }
    for (dossier, entries) in elsewhere {
        erased += erase_in(app, dossier, entries).await?;
    }
    Ok(erased)
}

#[derive(Debug, Clone, sqlx::FromRow)]
struct DueRow {
    id: i64,
    uid: EntryId,
    bytes: Vec<u8>,
}

const LOCK_DOSSIER: &str = "update dossier set version = version where id = $1 returning version, caseload_id, epoch";
const SELECT_DUE: &str = "select e.id, e.uid, e.bytes from entry e
     left join correction c on c.entry_uid = e.uid and c.status = 'requested'
     where e.dossier_id = $1 and e.erased_at is null and e.outcome <> 'held' and c.entry_uid is null
     order by e.version limit $2";
const COUNT_KEPT: &str = "select count(*) from entry where dossier_id = $1 and erased_at is null";
const SET_ERASED_UPTO: &str = "update dossier set erased_upto = version where id = $1";

async fn erase_case(app: &App, dossier: i64) -> sqlx::Result<u64> {
    let mut erased = 0;
    loop {
        let mut tx = app.db.write().await?;
        let _locked: (i64, Option<i64>, i64) =
            on_db!(&mut tx, conn => sqlx::query_as(LOCK_DOSSIER).bind(dossier).fetch_one(conn).await)?;
        let due: Vec<DueRow> = on_db!(&mut tx, conn => {
            sqlx::query_as(SELECT_DUE).bind(dossier).bind(ENTRIES_MAX).fetch_all(conn).await
        })?;
        if due.is_empty() {
            let kept: i64 =
                on_db!(&mut tx, conn => sqlx::query_scalar(COUNT_KEPT).bind(dossier).fetch_one(conn).await)?;
            if kept == 0 {
                on_db!(&mut tx, conn => sqlx::query(SET_ERASED_UPTO).bind(dossier).execute(conn).await.map(|_| ()))?;
            }
            tx.commit().await?;
            return Ok(erased);
        }
        erased += erase_entries(&mut tx, &due, None, app.now()).await?;
        tx.commit().await?;
    }
}

const SELECT_NAMING: &str = "
    select e.dossier_id, e.id, e.uid, e.bytes from customer k join account a on a.customer_id = k.id
      join complaint t on t.account_uid = a.uid join entry e on e.uid = t.entry_uid
      join dossier d on d.id = e.dossier_id and d.erased_at is null
    where k.erased_at is not null and e.erased_at is null and e.outcome <> 'held'
    union
    select e.dossier_id, e.id, e.uid, e.bytes from customer k join account a on a.customer_id = k.id
      join stop_event t on t.account_uid = a.uid join entry e on e.uid = t.entry_uid
      join dossier d on d.id = e.dossier_id and d.erased_at is null
    where k.erased_at is not null and e.erased_at is null and e.outcome <> 'held'";
const SELECT_ERASED_CASES: &str = "select uid from dossier where erased_at is not null";
const SELECT_REFUSED: &str = "select e.dossier_id, e.id, e.uid, e.bytes from entry e
     join dossier d on d.id = e.dossier_id and d.erased_at is null where e.outcome = 'refused' and e.erased_at is null and e.id > $1 order by e.id limit $2";

type Elsewhere = std::collections::BTreeMap<i64, Vec<DueRow>>;
type NamingRow = (i64, i64, EntryId, Vec<u8>);

/// Entries of other dossiers that name an account of somebody who is erased: complaints in their author's day,
/// stops of a day's plan, and what was refused, which has no typed row.
async fn named_elsewhere(tx: &mut Tx) -> sqlx::Result<Elsewhere> {
    let mut found = Elsewhere::new();
    let cases: Vec<DossierId> =
        on_db!(&mut *tx, conn => sqlx::query_scalar(SELECT_ERASED_CASES).fetch_all(conn).await)?;
    if cases.is_empty() {
        return Ok(found);
    }
    let cases: BTreeSet<_> = cases.into_iter().collect();
    let mut add = |(dossier, id, uid, bytes): NamingRow| {
        found.entry(dossier).or_default().push(DueRow { id, uid, bytes });
    };
    let naming: Vec<NamingRow> = on_db!(&mut *tx, conn => sqlx::query_as(SELECT_NAMING).fetch_all(conn).await)?;
    naming.into_iter().for_each(&mut add);
    let mut after = 0;
    loop {
        let page: Vec<NamingRow> = on_db!(&mut *tx, conn => {
            sqlx::query_as(SELECT_REFUSED).bind(after).bind(REFUSED_MAX).fetch_all(conn).await
        })?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.1;
        let about = |bytes: &[u8]| Entry::decode(bytes).is_ok_and(|entry| is_about(&entry, &cases));
        page.into_iter().filter(|(_, _, _, bytes)| about(bytes)).for_each(&mut add);
    }
}

const STILL_DUE: &str = "select e.id, e.uid, e.bytes from v join entry e on e.id = v.id where e.erased_at is null";
const RAISE_VERSION: &str = "update dossier set version = $2 where id = $1";

batch_row! {
    struct Key { id: i64 => "bigint" }
}

/// Erases single entries of a dossier that stays, and tells its phones to drop them.
async fn erase_in(app: &App, dossier: i64, entries: Vec<DueRow>) -> sqlx::Result<u64> {
    let mut erased = 0;
    for page in entries.chunks(usize::try_from(ENTRIES_MAX).expect("a small number")) {
        let mut tx = app.db.write().await?;
        let (version, caseload, epoch): (i64, Option<i64>, i64) =
            on_db!(&mut tx, conn => sqlx::query_as(LOCK_DOSSIER).bind(dossier).fetch_one(conn).await)?;
        let keys: Vec<_> = page.iter().map(|row| Key { id: row.id }).collect();
        let due: Vec<(i64, EntryId, Vec<u8>)> = batch::fetch(&mut tx, &keys, STILL_DUE).await?;
        let due: Vec<_> = due.into_iter().map(|(id, uid, bytes)| DueRow { id, uid, bytes }).collect();
        if due.is_empty() {
            continue;
        }
        let version = version + 1;
        erased += erase_entries(&mut tx, &due, Some(version), app.now()).await?;
        on_db!(&mut tx, conn => sqlx::query(RAISE_VERSION).bind(dossier).bind(version).execute(conn).await.map(|_| ()))?;
        let row = caseload.map(|caseload_id| FeedRow { caseload_id, dossier_id: dossier, version, epoch, gone: None });
        feed::append(&mut tx, row.into_iter().collect()).await?;
        tx.commit().await?;
    }
    Ok(erased)
}

batch_row! {
    struct ErasedRow {
        id: i64 => "bigint",
        uid: EntryId => "uuid",
        blank: Vec<u8> => "bytea",
        digest: Hash => "bytea",
        at: Timestamp => "timestamptz",
        version: Option<i64> => "bigint",
    }
}

const ERASE: &str = "update entry set bytes = v.blank, digest = v.digest, erased_at = v.at, erased_version = v.version
     from v where entry.id = v.id";
const VISITS: &str = "update visit set lat_e6 = null, lon_e6 = null from v where visit.entry_uid = v.uid";
const CALLS: &str = "update call_attempt set recording = null from v where call_attempt.entry_uid = v.uid";
const CONTACTS: &str = "update contact_update set old_seen = null, new_value = null, lat_e6 = null, lon_e6 = null
     from v where contact_update.entry_uid = v.uid";
const COMPLAINTS: &str = "update complaint set text = '', desired = null from v where complaint.entry_uid = v.uid";
const HANDOVERS: &str = "update case_handover set summary = '' from v where case_handover.entry_uid = v.uid";
const SELECT_FILES: &str =
    "select distinct n.sha256, n.size_bytes from v join entry_attachment n on n.entry_uid = v.uid";
const DROP_NAMES: &str = "delete from entry_attachment where entry_uid in (select uid from v)";

async fn erase_entries(tx: &mut Tx, due: &[DueRow], version: Option<i64>, at: Timestamp) -> sqlx::Result<u64> {
    let row = |due: &DueRow| {
        let digest = Hash(sha256(&[&due.bytes]));
        ErasedRow { id: due.id, uid: due.uid, blank: Vec::new(), digest, at, version }
    };
    let rows: Vec<_> = due.iter().map(row).collect();
    let files: Vec<(Hash, i64)> = batch::fetch(tx, &rows, SELECT_FILES).await?;
    for sql in [VISITS, CALLS, CONTACTS, COMPLAINTS, HANDOVERS, DROP_NAMES] {
        batch::execute(tx, &rows, sql).await?;
    }
    drop_files(tx, files).await?;
    batch::execute(tx, &rows, ERASE).await
}

batch_row! {
    struct FileRow { sha256: Hash => "bytea", size_bytes: i64 => "bigint" }
}

const UNNAMED: &str = "select v.sha256, v.size_bytes from v join attachment_upload u
       on u.sha256 = v.sha256 and u.size_bytes = v.size_bytes
     where not exists (select 1 from entry_attachment n where n.sha256 = v.sha256 and n.size_bytes = v.size_bytes)";
const DROP_FILES: &str = "delete from attachment where sha256 in (select sha256 from v)";
const DROP_UPLOADS: &str =
    "delete from attachment_upload where (sha256, size_bytes) in (select sha256, size_bytes from v)";

/// Files that no other entry names go, with what came of them.
async fn drop_files(tx: &mut Tx, files: Vec<(Hash, i64)>) -> sqlx::Result<()> {
    let rows: Vec<_> = files.into_iter().map(|(sha256, size_bytes)| FileRow { sha256, size_bytes }).collect();
    let unnamed: Vec<(Hash, i64)> = batch::fetch(tx, &rows, UNNAMED).await?;
    let unnamed: BTreeSet<_> = unnamed.into_iter().map(|(sha256, size)| (sha256.0, size)).collect();
    let row = |(sha256, size_bytes): ([u8; 32], i64)| FileRow { sha256: Hash(sha256), size_bytes };
    let unnamed: Vec<_> = unnamed.into_iter().map(row).collect();
    batch::execute(tx, &unnamed, DROP_FILES).await?;
    batch::execute(tx, &unnamed, DROP_UPLOADS).await?;
    Ok(())
}
