//! What people ruled: corrections, hand-overs and held entries stand as it was decided, and timelines say
//! what was done.

use std::collections::BTreeMap;

use daybook_shared::ids::{DossierId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;
use daybook_shared::wire::outcome::{Flag, Reason};
use serde::Deserialize;

use super::findings::{Findings, Place};
use crate::db::Tx;
use crate::on_db;

/// Runs all checks of decisions.
pub async fn verify(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    corrections(tx, findings).await?;
    handovers(tx, findings).await?;
    held(tx, findings).await?;
    timeline(tx, findings).await
}

/// The part of a decision's detail that its effect follows from.
#[derive(Debug, Default, Deserialize)]
struct Detail {
    ruling: Option<String>,
    counted: Option<Money>,
    dossier: Option<DossierId>,
}

impl Detail {
    /// What cannot be read says nothing, and then its effect differs.
    fn of(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

const CORRECTIONS: &str = "select c.entry_uid, c.status, x.detail from correction c
     left join decision x on x.kind = 'correction' and x.subject = c.entry_uid order by c.entry_uid";

async fn corrections(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(EntryId, String, Option<String>)> =
        on_db!(tx, conn => sqlx::query_as(CORRECTIONS).fetch_all(conn).await)?;
    for (uid, status, detail) in rows {
        let place = Place { check: "decisions: what was ruled", table: "correction", key: &uid };
        let expected = detail.map_or(Some("requested".to_owned()), |detail| Detail::of(&detail).ruling);
        findings.compare(place, "status", &expected, &Some(status));
    }
    Ok(())
}

const HANDOVERS: &str = "select h.entry_uid, h.status, h.counted_minor, x.detail from cash_handover h
     left join decision x on x.kind = 'count' and x.subject = h.entry_uid order by h.entry_uid";

async fn handovers(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<(EntryId, String, Option<i64>, Option<String>)> =
        on_db!(tx, conn => sqlx::query_as(HANDOVERS).fetch_all(conn).await)?;
    for (uid, status, counted, detail) in rows {
        let place = Place { check: "decisions: what was ruled", table: "cash_handover", key: &uid };
        let expected = match detail {
            Some(detail) => ("counted", Detail::of(&detail).counted.map(|counted| counted.minor)),
            None => ("declared", None),
        };
        findings.compare(place, "status, counted_minor", &expected, &(status.as_str(), counted));
    }
    Ok(())
}

/// Entries that a person ruled on, and those that say so.
const HELD: &str = "select e.uid, e.outcome, e.reason, e.flags, x.detail from entry e
     left join decision x on x.kind = 'held' and x.subject = e.uid
     where x.uid is not null or e.reason in ('DUPLICATE', 'REJECTED', 'REPLACED') or e.flags like '%RELEASED%'
     order by e.id";

#[derive(sqlx::FromRow)]
struct HeldRow {
    uid: EntryId,
    outcome: String,
    reason: Option<Reason>,
    flags: Option<String>,
    detail: Option<String>,
}

async fn held(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let rows: Vec<HeldRow> = on_db!(tx, conn => sqlx::query_as(HELD).fetch_all(conn).await)?;
    for HeldRow { uid, outcome, reason, flags, detail } in rows {
        let place = Place { check: "decisions: what was ruled", table: "entry", key: &uid };
        let expected = detail.and_then(|detail| Detail::of(&detail).ruling);
        let released = flags.is_some_and(|flags| flags.split(' ').any(|flag| flag == Flag::Released.code()));
        let found = match outcome.as_str() {
            "posted" | "noted" if released => Some("release".to_owned()),
            "refused" => reason.map(|reason| reason.code().to_owned()),
            _ => None,
        };
        findings.compare(place, "ruling", &expected, &found);
    }
    Ok(())
}

/// What happened to a dossier: when, what, how much, by whom.
type Event = (DossierId, Timestamp, String, Option<i64>, Option<i64>);

const EVENTS: &str = "select d.uid, t.at, t.code, t.amount_minor, t.user_id
     from timeline_event t join dossier d on d.id = t.dossier_id";
const ASSIGNED: &str = "select at, user_id, detail from decision where kind = 'assignment'";
/// Cash that a rejection takes out of suspense is no event: nobody had seen it on the account.
const REVERSED: &str = "select d.uid, x.at, 'REVERSED', p.amount_minor, x.user_id
     from decision x join journal j on j.event = x.uid and j.kind = 'reversal'
     join payment p on p.uid = j.correlation join dossier d on d.account_id = p.account_id
     where x.kind in ('reversal', 'correction')";

/// What phones recorded of a case. (Its rows are what the entries say: `captures`.)
const RECORDED: &str = "select d.uid, r.captured_at, r.code, cast(null as bigint), r.user_id
     from (select dossier_id, captured_at, 'CALL_ATTEMPT' as code, user_id from call_attempt
           union all select dossier_id, captured_at, 'CONTACT_UPDATE', user_id from contact_update
           union all select dossier_id, captured_at, 'COMPLAINT', user_id from complaint
             where kind not in ('CONDUCT', 'FRAUD')
           union all select dossier_id, captured_at, 'CASE_HANDOVER', user_id from case_handover) r
     join dossier d on d.id = r.dossier_id where d.kind = 'case'";

async fn timeline(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let stored: Vec<Event> = on_db!(&mut *tx, conn => sqlx::query_as(EVENTS).fetch_all(conn).await)?;
    let mut derived: Vec<Event> = on_db!(&mut *tx, conn => sqlx::query_as(REVERSED).fetch_all(conn).await)?;
    let recorded: Vec<Event> = on_db!(&mut *tx, conn => sqlx::query_as(RECORDED).fetch_all(conn).await)?;
    derived.extend(recorded);
    let assigned: Vec<(Timestamp, i64, String)> = on_db!(tx, conn => sqlx::query_as(ASSIGNED).fetch_all(conn).await)?;
    derived.extend(assigned.into_iter().filter_map(|(at, user, detail)| {
        Some((Detail::of(&detail).dossier?, at, "ASSIGNED".to_owned(), None, Some(user)))
    }));
    let mut counts: BTreeMap<Event, (u32, u32)> = BTreeMap::new();
    for event in derived {
        counts.entry(event).or_default().0 += 1;
    }
    for event in stored {
        counts.entry(event).or_default().1 += 1;
    }
    for (event, (derived, stored)) in counts {
        let key = format!("{event:?}");
        let place = Place { check: "decisions: timeline", table: "timeline_event", key: &key };
        findings.compare(place, "times", &derived, &stored);
    }
    Ok(())
}
