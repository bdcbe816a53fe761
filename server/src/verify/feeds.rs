//! Feeds from dossiers: the newest row of a dossier in its caseload says that it is there and how far it
//! is; everywhere else the newest says that it is gone.

use super::findings::{Findings, Place};
use crate::db::Tx;
use crate::on_db;

/// Runs all checks of the feeds.
pub async fn verify(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    sequences(tx, findings).await?;
    present(tx, findings).await?;
    gone(tx, findings).await?;
    assignments(tx, findings).await?;
    versions(tx, findings).await
}

const SEQUENCES: &str = "select c.id, c.seq, coalesce(max(f.seq), 0)
     from caseload c left join feed f on f.caseload_id = c.id group by c.id, c.seq order by c.id";

async fn sequences(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, i64, i64)> = on_db!(tx, conn => sqlx::query_as(SEQUENCES).fetch_all(conn).await)?;
    for (caseload, seq, newest) in rows {
        let place = Place { check: "feeds: sequence", table: "caseload", key: &caseload };
        findings.compare(place, "seq", &newest, &seq);
    }
    Ok(())
}

/// The newest row of each dossier in each feed.
macro_rules! newest {
    () => {
        "with newest as (
            select f.caseload_id, f.dossier_id, f.version, f.present, f.epoch from feed f
            join (select caseload_id, dossier_id, max(seq) as seq from feed group by caseload_id, dossier_id) n
              on n.caseload_id = f.caseload_id and n.seq = f.seq) "
    };
}

const PRESENT: &str = concat!(
    newest!(),
    "select d.id, d.version, d.epoch, f.version as feed_version, f.present, f.epoch as feed_epoch
     from dossier d left join newest f on f.caseload_id = d.caseload_id and f.dossier_id = d.id
     where d.caseload_id is not null order by d.id"
);

#[derive(sqlx::FromRow)]
struct PresentRow {
    id: i64,
    version: i64,
    epoch: i64,
    feed_version: Option<i64>,
    present: Option<bool>,
    feed_epoch: Option<i64>,
}

async fn present(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<PresentRow> = on_db!(tx, conn => sqlx::query_as(PRESENT).fetch_all(conn).await)?;
    for row in rows {
        let place = Place { check: "feeds: dossiers are present", table: "feed", key: &format!("dossier {}", row.id) };
        let expected = (Some(true), Some(row.version), Some(row.epoch));
        findings.compare(place, "present, version, epoch", &expected, &(row.present, row.feed_version, row.feed_epoch));
    }
    Ok(())
}

const NOT_GONE: &str = concat!(
    newest!(),
    "select f.caseload_id, f.dossier_id from newest f join dossier d on d.id = f.dossier_id
     where f.present and (d.caseload_id is null or d.caseload_id <> f.caseload_id) order by f.caseload_id, f.dossier_id"
);

async fn gone(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, i64)> = on_db!(tx, conn => sqlx::query_as(NOT_GONE).fetch_all(conn).await)?;
    for (caseload, dossier) in rows {
        let key = format!("caseload {caseload}, dossier {dossier}");
        let place = Place { check: "feeds: who left is gone", table: "feed", key: &key };
        findings.differs(place, "present", "false: it is not in this caseload", true);
    }
    Ok(())
}

/// A dossier that was never given to anybody has no assignment and epoch 0.
const ASSIGNMENTS: &str = "select d.id, d.epoch, d.caseload_id, a.epoch, a.caseload_id from dossier d
     left join assignment a on a.dossier_id = d.id
       and a.epoch = (select max(b.epoch) from assignment b where b.dossier_id = d.id)
     where d.epoch > 0 or a.epoch is not null order by d.id";

async fn assignments(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    type Row = (i64, i64, Option<i64>, Option<i64>, Option<i64>);
    let rows: Vec<Row> = on_db!(tx, conn => sqlx::query_as(ASSIGNMENTS).fetch_all(conn).await)?;
    for (dossier, epoch, caseload, newest, assigned) in rows {
        let place = Place { check: "feeds: assignments", table: "dossier", key: &dossier };
        findings.compare(place, "epoch, caseload_id", &(newest, assigned), &(Some(epoch), caseload));
    }
    Ok(())
}

/// No record of a dossier is newer than the dossier.
const VERSIONS: &str = "select d.id, d.version, n.version from dossier d join
       (select dossier_id, max(version) as version from
          (select dossier_id, version from entry union all select dossier_id, outcome_version from entry
           union all select dossier_id, version from board_change
           union all select dossier_id, version from timeline_event) r group by dossier_id) n
     on n.dossier_id = d.id where n.version > d.version order by d.id";

async fn versions(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, i64, i64)> = on_db!(tx, conn => sqlx::query_as(VERSIONS).fetch_all(conn).await)?;
    for (dossier, version, newest) in rows {
        let place = Place { check: "feeds: versions", table: "dossier", key: &dossier };
        findings.differs(place, "version", format_args!("at least {newest}"), version);
    }
    Ok(())
}
