//! Frozen reports: the figures of a week or a month as they stood when they were frozen, under a hash. Figures
//! of a period go on changing (an order of it is returned later); what was reported does not.

use daybook_shared::ids::{Hash, ReportId, sha256};
use daybook_shared::schedule::months_after;
use daybook_shared::time::{Date, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::funnel::{self, By, Funnel};
use crate::app::App;
use crate::db::Tx;
use crate::on_db;
use crate::spelled::spelled;

spelled! {
    /// What a report is of.
    Kind {
        /// Seven days from a Monday on.
        Weekly = "weekly",
        /// A calendar month.
        Monthly = "monthly",
    }
}

impl Kind {
    /// The last day of the period that begins on a day; none where no such period begins.
    pub fn ends_on(self, starts_on: Date) -> Option<Date> {
        let (year, month, day) = starts_on.ymd();
        match self {
            // 1970-01-05 was a Monday.
            Self::Weekly => ((starts_on.days() - 4).rem_euclid(7) == 0).then(|| starts_on.plus_days(6)),
            Self::Monthly if day == 1 => {
                let first = Date::from_ymd(year, month, 1)?;
                Some(months_after(first, 1).plus_days(-1))
            }
            Self::Monthly => None,
        }
    }
}

/// A frozen report.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Report {
    /// Id.
    pub uid: ReportId,
    /// What it is of.
    pub kind: Kind,
    /// The first day.
    pub starts_on: Date,
    /// JSON.
    pub content: String,
    /// Its hash.
    pub hash: Hash,
    /// When it was frozen.
    pub created_at: Timestamp,
}

macro_rules! columns {
    () => {
        "select uid, kind, starts_on, content, hash, created_at from report "
    };
}
const FIND: &str = concat!(columns!(), "where uid = $1");
const PAGE: &str = concat!(
    columns!(),
    "where id < coalesce((select id from report where uid = $1), 9223372036854775807) order by id desc limit $2"
);
const INSERT: &str = "insert into report (uid, kind, starts_on, content, hash, created_at, created_by)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (uid) do nothing";

/// The report with this id.
pub async fn find(tx: &mut Tx, report: ReportId) -> sqlx::Result<Option<Report>> {
    on_db!(tx, conn => sqlx::query_as(FIND).bind(report).fetch_optional(conn).await)
}

/// All reports, the newest first.
pub async fn page(tx: &mut Tx, (after, limit): (Option<ReportId>, i64)) -> sqlx::Result<Vec<Report>> {
    on_db!(tx, conn => sqlx::query_as(PAGE).bind(after).bind(limit).fetch_all(conn).await)
}

/// What is frozen: the period as a whole, and by everything that lines can be by but days.
pub async fn funnels(tx: &mut Tx, app: &App, (from, to): (Date, Date)) -> sqlx::Result<Vec<Funnel>> {
    let mut funnels = Vec::new();
    for by in [By::Nothing, By::Channel, By::Offer, By::Segment] {
        funnels.push(funnel::funnel(tx, app, (from, to), by).await?);
    }
    Ok(funnels)
}

/// Freezes the figures of a period; false when the id is in use.
pub async fn freeze(
    tx: &mut Tx,
    app: &App,
    (uid, kind): (ReportId, Kind),
    (from, to): (Date, Date),
    by_user: i64,
) -> sqlx::Result<bool> {
    #[derive(Serialize)]
    struct Content<'a> {
        format: &'a str,
        kind: &'a str,
        funnels: Vec<Funnel>,
        audit_head: serde_json::Value,
    }
    let funnels = funnels(tx, app, (from, to)).await?;
    let head = crate::audit::seal::head(tx).await?;
    let audit_head = json!({ "seq": head.seq, "hash": head.hash.to_string() });
    let content = Content { format: "daybook/report/1", kind: kind.code(), funnels, audit_head };
    let content = serde_json::to_string(&content).expect("a report is JSON");
    let hash = Hash(sha256(&[b"daybook/report/1", content.as_bytes()]));
    let inserted = on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(uid)
            .bind(kind)
            .bind(from)
            .bind(content)
            .bind(hash)
            .bind(app.now())
            .bind(by_user)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(inserted == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays_and_months_on_the_first() {
        let cases = [
            (Kind::Weekly, "2026-11-23", Some("2026-11-29")),
            (Kind::Weekly, "2026-11-24", None),
            (Kind::Weekly, "1969-12-29", Some("1970-01-04")),
            (Kind::Monthly, "2024-02-01", Some("2024-02-29")),
            (Kind::Monthly, "2026-12-01", Some("2026-12-31")),
            (Kind::Monthly, "2026-12-02", None),
        ];
        for (kind, starts_on, ends_on) in cases {
            let ends_on: Option<Date> = ends_on.map(|text| text.parse().unwrap());
            assert_eq!(kind.ends_on(starts_on.parse().unwrap()), ends_on, "{kind} {starts_on}");
        }
    }
}
