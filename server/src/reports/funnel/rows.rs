//! What the funnel counts. Each statement joins the periods `v` to the checkouts in them and groups by one
//! dimension; the periods are one for all days, or one a day.

use std::collections::BTreeMap;

use daybook_shared::ids::OfferId;
use daybook_shared::time::{Date, Timestamp, Zone};

use super::rates::Median;
use super::{Applications, By, Checkouts};
use crate::batch_row;
use crate::db::{Tx, batch};

/// The key of the one line of all.
const ALL: &str = "all";

batch_row! {
    /// A period of time.
    pub struct Period {
        /// The line's key, where lines are by period.
        label: String => "text",
        /// From here on.
        start_at: Timestamp => "timestamptz",
        /// To before here.
        end_at: Timestamp => "timestamptz",
    }
}

/// One period for all days, or one a day.
pub fn periods(zone: &Zone, (from, to): (Date, Date), daily: bool) -> Vec<Period> {
    let period = |label: String, from: Date, to: Date| Period {
        label,
        start_at: zone.start_of(from),
        end_at: zone.start_of(to.plus_days(1)),
    };
    if !daily {
        return vec![period(ALL.to_owned(), from, to)];
    }
    let days = to.days_since(from).max(0);
    (0..=days).map(|n| from.plus_days(n)).map(|day| period(day.to_string(), day, day)).collect()
}

/// Checkouts in a period.
macro_rules! checkouts_from {
    () => {
        " from v join shop_order_event s on s.kind = 'shown' and s.at >= v.start_at and s.at < v.end_at
           join shop_order o on o.id = s.order_id "
    };
}
pub(super) use checkouts_from;
macro_rules! checkouts {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            " as line, cast(count(*) as bigint), cast(count(c.order_id) as bigint)",
            checkouts_from!(),
            "left join shop_order_event c on c.order_id = o.id and c.kind = 'chose' group by ",
            $key
        )
    };
}
const CHECKOUTS: &str = checkouts!("v.label");
const CHECKOUTS_BY_CHANNEL: &str = checkouts!("o.channel");

/// Applications about the checkouts in a period. An approval shows in its end, whatever came after it.
macro_rules! applications_from {
    () => {
        concat!(
            checkouts_from!(),
            "join application a on a.order_id = o.id join quote q on q.id = a.quote_id join offer f on f.id = q.offer_id
             left join account_origin n on n.application_id = a.id and n.activated_at is not null "
        )
    };
}
pub(super) use applications_from;
macro_rules! applications {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            " as line, cast(count(*) as bigint) as submitted,
               cast(count(a.approval_expires_at) as bigint) as approved,
               cast(sum(case when a.state = 'rejected' then 1 else 0 end) as bigint) as rejected,
               cast(sum(case when a.state = 'cancelled' and a.approval_expires_at is null then 1 else 0 end) as bigint) as cancelled,
               cast(count(n.account_id) as bigint) as activated,
               cast(sum(case when n.account_id is not null and d.order_id is not null then 1 else 0 end) as bigint) as delivered,
               cast(sum(case when n.account_id is not null and r.order_id is not null then 1 else 0 end) as bigint) as returned,
               cast(sum(case when n.account_id is not null then o.amount_minor else 0 end) as bigint) as activated_minor,
               cast(sum(case when n.account_id is not null and r.order_id is not null then o.amount_minor else 0 end) as bigint) as returned_minor",
            applications_from!(),
            "left join shop_order_event d on d.order_id = o.id and d.kind = 'delivered'
             left join shop_order_event r on r.order_id = o.id and r.kind = 'returned' group by ",
            $key
        )
    };
}
const APPLICATIONS: &str = applications!("v.label");
const APPLICATIONS_BY_CHANNEL: &str = applications!("o.channel");
const APPLICATIONS_BY_OFFER: &str = applications!("cast(q.offer_id as text)");
const APPLICATIONS_BY_SEGMENT: &str = applications!("a.segment");

macro_rules! reasons {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            " as line, a.reason, cast(count(*) as bigint)",
            applications_from!(),
            "where a.state = 'rejected' and a.reason is not null group by a.reason, ",
            $key
        )
    };
}
const REASONS: &str = reasons!("v.label");
const REASONS_BY_CHANNEL: &str = reasons!("o.channel");
const REASONS_BY_OFFER: &str = reasons!("cast(q.offer_id as text)");
const REASONS_BY_SEGMENT: &str = reasons!("a.segment");

/// Orders placed in a period, each once: bought in instalments under an application, or otherwise. The two in
/// the middle of each kind are chosen by their rank.
macro_rules! carts {
    ($key:literal, $only:literal) => {
        concat!(
            "select line, instalments, min(amount_minor), max(amount_minor), max(n) from (
               select ",
            $key,
            " as line, cast(case when n.account_id is null then 0 else 1 end as bigint) as instalments, o.amount_minor,
                 row_number() over (partition by ",
            $key,
            ", n.account_id is null order by o.amount_minor) as rank,
                 count(*) over (partition by ",
            $key,
            ", n.account_id is null) as n
               from v join shop_order o on o.placed_at >= v.start_at and o.placed_at < v.end_at
                 left join application a on a.order_id = o.id and a.account_id is not null
                 left join quote q on q.id = a.quote_id
                 left join account_origin n on n.application_id = a.id and n.activated_at is not null ",
            $only,
            ") ranked where rank in ((n + 1) / 2, (n + 2) / 2) group by line, instalments"
        )
    };
}
const CARTS: &str = carts!("v.label", "");
const CARTS_BY_CHANNEL: &str = carts!("o.channel", "");
const CARTS_BY_OFFER: &str = carts!("cast(q.offer_id as text)", "where a.id is not null");
const CARTS_BY_SEGMENT: &str = carts!("a.segment", "where a.id is not null");

const OFFER_IDS: &str = "select f.id, f.uid from v join offer f on f.id = v.id";

batch_row! {
    struct OfferKey { id: i64 => "int8" }
}

/// Checkouts by line; nothing by offer or segment, which a checkout does not have.
pub async fn checkouts(tx: &mut Tx, periods: &[Period], by: By) -> sqlx::Result<BTreeMap<String, Checkouts>> {
    let sql = match by {
        By::Nothing | By::Day => CHECKOUTS,
        By::Channel => CHECKOUTS_BY_CHANNEL,
        By::Offer | By::Segment => return Ok(BTreeMap::new()),
    };
    let rows: Vec<(String, i64, i64)> = batch::fetch(tx, periods, sql).await?;
    let mut lines: BTreeMap<String, Checkouts> = BTreeMap::new();
    for (line, shown, chose) in rows {
        let of = lines.entry(line).or_default();
        of.shown += shown;
        of.chose += chose;
    }
    Ok(lines)
}

#[derive(sqlx::FromRow)]
struct ApplicationsRow {
    line: String,
    submitted: i64,
    approved: i64,
    rejected: i64,
    cancelled: i64,
    activated: i64,
    delivered: i64,
    returned: i64,
    activated_minor: i64,
    returned_minor: i64,
}

/// Applications by line.
pub async fn applications(tx: &mut Tx, periods: &[Period], by: By) -> sqlx::Result<BTreeMap<String, Applications>> {
    let sql = match by {
        By::Nothing | By::Day => APPLICATIONS,
        By::Channel => APPLICATIONS_BY_CHANNEL,
        By::Offer => APPLICATIONS_BY_OFFER,
        By::Segment => APPLICATIONS_BY_SEGMENT,
    };
    let rows: Vec<ApplicationsRow> = batch::fetch(tx, periods, sql).await?;
    let names = names(tx, by, rows.iter().map(|row| row.line.as_str())).await?;
    let of = |row: ApplicationsRow| Applications {
        submitted: row.submitted,
        approved: row.approved,
        rejected: row.rejected,
        cancelled: row.cancelled,
        activated: row.activated,
        delivered: row.delivered,
        returned: row.returned,
        activated_minor: row.activated_minor,
        returned_minor: row.returned_minor,
    };
    Ok(rows.into_iter().map(|row| (names.of(&row.line), of(row))).collect())
}

/// Rejections by line and reason.
pub async fn reasons(tx: &mut Tx, periods: &[Period], by: By) -> sqlx::Result<BTreeMap<(String, String), i64>> {
    let sql = match by {
        By::Nothing | By::Day => REASONS,
        By::Channel => REASONS_BY_CHANNEL,
        By::Offer => REASONS_BY_OFFER,
        By::Segment => REASONS_BY_SEGMENT,
    };
    let rows: Vec<(String, String, i64)> = batch::fetch(tx, periods, sql).await?;
    let names = names(tx, by, rows.iter().map(|row| row.0.as_str())).await?;
    Ok(rows.into_iter().map(|(line, reason, n)| ((names.of(&line), reason), n)).collect())
}

/// The middle order by line, of those bought in instalments and of all others.
pub async fn carts(tx: &mut Tx, periods: &[Period], by: By) -> sqlx::Result<BTreeMap<(String, bool), Median>> {
    let sql = match by {
        By::Nothing | By::Day => CARTS,
        By::Channel => CARTS_BY_CHANNEL,
        By::Offer => CARTS_BY_OFFER,
        By::Segment => CARTS_BY_SEGMENT,
    };
    let rows: Vec<(String, i64, i64, i64, i64)> = batch::fetch(tx, periods, sql).await?;
    let names = names(tx, by, rows.iter().map(|row| row.0.as_str())).await?;
    let median = |(line, instalments, lower, upper, n): (String, i64, i64, i64, i64)| {
        ((names.of(&line), instalments == 1), Median::between(lower, upper, n))
    };
    Ok(rows.into_iter().map(median).collect())
}

/// What lines are called: offers by their ids, everything else as it is.
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// What a line is called.
    pub fn of(&self, line: &str) -> String {
        self.0.get(line).cloned().unwrap_or_else(|| line.to_owned())
    }
}

/// What these lines are called.
pub async fn names<'a>(tx: &mut Tx, by: By, lines: impl Iterator<Item = &'a str>) -> sqlx::Result<Names> {
    if by != By::Offer {
        return Ok(Names(BTreeMap::new()));
    }
    let mut keys: Vec<i64> = lines.filter_map(|line| line.parse().ok()).collect();
    keys.sort_unstable();
    keys.dedup();
    let keys: Vec<_> = keys.into_iter().map(|id| OfferKey { id }).collect();
    let rows: Vec<(i64, OfferId)> = batch::fetch(tx, &keys, OFFER_IDS).await?;
    Ok(Names(rows.into_iter().map(|(id, uid)| (id.to_string(), uid.to_string())).collect()))
}
