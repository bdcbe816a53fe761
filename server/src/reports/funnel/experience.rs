//! What customers met with, of the plans that began: how long they waited, how they rate it, what they object to
//! (journey.md 3, analytics definitions).

use std::collections::BTreeMap;

use daybook_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::By;
use super::rates::{Mean, Rate, Wait};
use super::rows::{Period, applications_from, checkouts_from, names};
use crate::db::{Tx, batch};

/// What customers of a line met with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Experience {
    /// From the approval to the delivery, of plans that began whose goods were delivered.
    pub approval_to_delivery: Wait,
    /// Stars, of plans that began whose orders were rated.
    pub rating: Mean,
    /// Plans with a complaint, of plans that began.
    pub complained: Rate,
    /// Complaints by how far they are: opened, answered, upheld, rejected, withdrawn.
    pub complaints: BTreeMap<String, i64>,
}

/// The two waits in the middle of each line, by their rank.
macro_rules! waits {
    ($key:literal) => {
        concat!(
            "select line, decided_at, delivered_at, n from (
               select ",
            $key,
            " as line, a.decided_at, d.at as delivered_at,
                 row_number() over (partition by ",
            $key,
            " order by d.at - a.decided_at) as rank,
                 count(*) over (partition by ",
            $key,
            ") as n",
            applications_from!(),
            "join shop_order_event d on d.order_id = o.id and d.kind = 'delivered'
               where n.account_id is not null and a.decided_at is not null
             ) ranked where rank in ((n + 1) / 2, (n + 2) / 2) order by line, rank"
        )
    };
}
const WAITS: &str = waits!("v.label");
const WAITS_BY_CHANNEL: &str = waits!("o.channel");
const WAITS_BY_OFFER: &str = waits!("cast(q.offer_id as text)");
const WAITS_BY_SEGMENT: &str = waits!("a.segment");

macro_rules! ratings {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            " as line, cast(sum(t.stars) as bigint), cast(count(*) as bigint)",
            applications_from!(),
            "join shop_order_event t on t.order_id = o.id and t.kind = 'rated' and t.stars is not null
             where n.account_id is not null group by ",
            $key
        )
    };
}
const RATINGS: &str = ratings!("v.label");
const RATINGS_BY_CHANNEL: &str = ratings!("o.channel");
const RATINGS_BY_OFFER: &str = ratings!("cast(q.offer_id as text)");
const RATINGS_BY_SEGMENT: &str = ratings!("a.segment");

/// Complaints by state; of those of one account the first stands for the account.
macro_rules! complaints {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            " as line, c.state, cast(count(*) as bigint),
               cast(sum(case when exists (select 1 from plan_complaint b where b.account_id = c.account_id and b.id < c.id)
                 then 0 else 1 end) as bigint)",
            applications_from!(),
            "join plan_complaint c on c.account_id = n.account_id group by c.state, ",
            $key
        )
    };
}
const COMPLAINTS: &str = complaints!("v.label");
const COMPLAINTS_BY_CHANNEL: &str = complaints!("o.channel");
const COMPLAINTS_BY_OFFER: &str = complaints!("cast(q.offer_id as text)");
const COMPLAINTS_BY_SEGMENT: &str = complaints!("a.segment");

/// What customers met with, by line, and how many plans they complained about.
pub async fn experience(tx: &mut Tx, periods: &[Period], by: By) -> sqlx::Result<BTreeMap<String, (Experience, i64)>> {
    let (waits, ratings, complaints) = match by {
        By::Nothing | By::Day => (WAITS, RATINGS, COMPLAINTS),
        By::Channel => (WAITS_BY_CHANNEL, RATINGS_BY_CHANNEL, COMPLAINTS_BY_CHANNEL),
        By::Offer => (WAITS_BY_OFFER, RATINGS_BY_OFFER, COMPLAINTS_BY_OFFER),
        By::Segment => (WAITS_BY_SEGMENT, RATINGS_BY_SEGMENT, COMPLAINTS_BY_SEGMENT),
    };
    let mut lines: BTreeMap<String, (Experience, i64)> = BTreeMap::new();
    // Of an even number two rows are a line's, the shorter wait first.
    let rows: Vec<(String, Timestamp, Timestamp, i64)> = batch::fetch(tx, periods, waits).await?;
    let called = names(tx, by, rows.iter().map(|row| row.0.as_str())).await?;
    for middle in rows.chunk_by(|a, b| a.0 == b.0) {
        let (line, .., n) = &middle[0];
        let ms = |row: &(String, Timestamp, Timestamp, i64)| row.2.ms_since(row.1);
        let (shorter, longer) = (ms(&middle[0]), ms(&middle[middle.len() - 1]));
        lines.entry(called.of(line)).or_default().0.approval_to_delivery = Wait::between(shorter, longer, *n);
    }
    let rows: Vec<(String, i64, i64)> = batch::fetch(tx, periods, ratings).await?;
    let called = names(tx, by, rows.iter().map(|row| row.0.as_str())).await?;
    for (line, stars, n) in rows {
        lines.entry(called.of(&line)).or_default().0.rating = Mean::of(stars, n);
    }
    let rows: Vec<(String, String, i64, i64)> = batch::fetch(tx, periods, complaints).await?;
    let called = names(tx, by, rows.iter().map(|row| row.0.as_str())).await?;
    for (line, state, complaints, plans) in rows {
        let (experience, complained) = lines.entry(called.of(&line)).or_default();
        experience.complaints.insert(state, complaints);
        *complained += plans;
    }
    Ok(lines)
}
