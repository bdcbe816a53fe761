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
    versions(tx, findings).await?;
    sections(tx, findings).await
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

/// Wherever a dossier was once, or is said to have been.
const GONE: &str = concat!(
    newest!(),
    "select w.caseload_id, w.dossier_id, f.present, f.epoch,
       (select max(a.epoch) from assignment a where a.dossier_id = w.dossier_id and a.caseload_id = w.caseload_id)
     from (select caseload_id, dossier_id from newest
           union select caseload_id, dossier_id from assignment where caseload_id is not null) w
     join dossier d on d.id = w.dossier_id
     left join newest f on f.caseload_id = w.caseload_id and f.dossier_id = w.dossier_id
     where d.caseload_id is null or d.caseload_id <> w.caseload_id order by w.caseload_id, w.dossier_id"
);

async fn gone(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    type Row = (i64, i64, Option<bool>, Option<i64>, Option<i64>);
    let rows: Vec<Row> = on_db!(tx, conn => sqlx::query_as(GONE).fetch_all(conn).await)?;
    for (caseload, dossier, present, epoch, left) in rows {
        let key = format!("caseload {caseload}, dossier {dossier}");
        let place = Place { check: "feeds: who left is gone", table: "feed", key: &key };
        findings.compare(place, "present, epoch", &(Some(false), left), &(present, epoch));
    }
    Ok(())
}

/// A dossier that was never given to anybody has no assignment and epoch 0. Every epoch has its assignment.
const ASSIGNMENTS: &str = "select d.id, d.epoch, d.caseload_id, a.epoch, a.caseload_id,
       (select count(*) from assignment b where b.dossier_id = d.id)
     from dossier d left join assignment a on a.dossier_id = d.id
       and a.epoch = (select max(b.epoch) from assignment b where b.dossier_id = d.id)
     where d.epoch > 0 or a.epoch is not null order by d.id";

async fn assignments(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    type Row = (i64, i64, Option<i64>, Option<i64>, Option<i64>, i64);
    let rows: Vec<Row> = on_db!(tx, conn => sqlx::query_as(ASSIGNMENTS).fetch_all(conn).await)?;
    for (dossier, epoch, caseload, newest, assigned, count) in rows {
        let place = Place { check: "feeds: assignments", table: "dossier", key: &dossier };
        findings.compare(place, "epoch, caseload_id", &(newest, assigned), &(Some(epoch), caseload));
        findings.compare(place, "assignments", &epoch, &count);
    }
    Ok(())
}

/// A dossier is as new as the newest of its records and sections.
const VERSIONS: &str = "select d.id, d.version, max(r.version) from dossier d join
       (select dossier_id, version from entry union all select dossier_id, outcome_version from entry
        union all select dossier_id, version from board_change union all select dossier_id, version from timeline_event
        union all select id, profile_version from dossier union all select id, schedule_version from dossier
        union all select id, state_version from dossier union all select id, promises_version from dossier
        union all select id, timeline_version from dossier union all select id, board_version from dossier
        union all select dossier_id, erased_version from entry where erased_version is not null
        union all select id, version from dossier where erased_at is not null) r
     on r.dossier_id = d.id group by d.id, d.version order by d.id";

async fn versions(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, i64, i64)> = on_db!(tx, conn => sqlx::query_as(VERSIONS).fetch_all(conn).await)?;
    for (dossier, version, newest) in rows {
        let place = Place { check: "feeds: versions", table: "dossier", key: &dossier };
        findings.compare(place, "version", &newest, &version);
    }
    Ok(())
}

/// Versions at which a section of a dossier changed for certain: when a case or an agent's file was opened, when something
/// came that the section shows. (A file that arrived moves an entry's outcome and no section.)
const SECTIONS: &str = "select d.id, r.section, max(r.version),
       case r.section when 'profile' then d.profile_version when 'schedule' then d.schedule_version
         when 'state' then d.state_version when 'promises' then d.promises_version
         when 'timeline' then d.timeline_version else d.board_version end
     from dossier d join
       (select id as dossier_id, 'profile' as section, 1 as version from dossier where account_id is not null
        union all select id, 'profile', 1 from dossier where agent_id is not null
        union all select id, 'schedule', 1 from dossier where account_id is not null
        union all select id, 'state', 1 from dossier where account_id is not null
        union all select e.dossier_id, 'state', case when exists (select 1 from entry_attachment a where a.entry_uid = e.uid and a.arrived_at is not null)
            then e.version else e.outcome_version end from entry e join payment p on p.uid = e.uid
          join dossier o on o.id = e.dossier_id and o.account_id = p.account_id where p.state = 'posted'
        union all select dossier_id, 'state', version from timeline_event where code = 'REVERSED'
        union all select e.dossier_id, 'promises', case when exists (select 1 from entry_attachment a where a.entry_uid = e.uid and a.arrived_at is not null)
            then e.version else e.outcome_version end from entry e join promise p on p.entry_uid = e.uid
        union all select dossier_id, 'timeline', version from timeline_event
        union all select dossier_id, 'board', version from board_change) r
     on r.dossier_id = d.id group by d.id, r.section order by d.id, r.section";

/// A phone gets a section again when it is newer than what the phone has, so none may be said to be older.
async fn sections(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(i64, String, i64, i64)> = on_db!(tx, conn => sqlx::query_as(SECTIONS).fetch_all(conn).await)?;
    for (dossier, section, changed, version) in rows {
        let place =
            Place { check: "feeds: versions of sections", table: "dossier", key: &format!("{dossier}, {section}") };
        if version >= changed {
            findings.agree(place.check, 1);
        } else {
            findings.differs(place, "version", format_args!("at least {changed}"), version);
        }
    }
    Ok(())
}
