//! Receipt numbers that were perhaps given out: the list, and a person's explanation (ruling S8).
//!
//! A number of a device's block is *unexplained* when nothing the server has of the device bears it, and
//! either a later number of the same install was used (a gap), or nobody can use it any more (the block
//! was closed by a new install, the device was retired or lost, its user may not sign in): somebody may
//! hold a receipt whose payment never came. An entry that comes later explains its number by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::entry::ReceiptNumber;
use daybook_shared::ids::{DecisionId, DeviceId, UserId, sha256};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Decider, Novelty};
use crate::app::App;
use crate::auth::{Permission, User, two_people};
use crate::db::{Tx, batch};
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};
use crate::{batch_row, on_db, visible_units};

/// A block with unexplained numbers, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockView {
    /// The block's first number, by which lists go on.
    first: String,
    last: String,
    device: DeviceId,
    officer: UserId,
    officer_name: String,
    granted_at: Timestamp,
    /// Since when nobody can use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    unexplained: Vec<Run>,
}

/// Numbers in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Run {
    first: String,
    last: String,
}

/// A block and the numbers of it that are accounted for.
#[derive(Debug, sqlx::FromRow)]
struct BlockRow {
    series: String,
    first_number: i64,
    last_number: i64,
    granted_at: Timestamp,
    ended_at: Option<Timestamp>,
    device: DeviceId,
    user_id: i64,
    officer: UserId,
    officer_name: String,
    /// The last number that may have been given out; none before the first use.
    upto: Option<String>,
    /// Numbers, with a space between.
    known: Option<String>,
}

/// Numbers of block `k` that are accounted for, up to one of it: those that payments stand under, those
/// on what the device recorded and was not posted, those that a person explained.
macro_rules! known_numbers {
    ($upto:literal) => {
        concat!(
            "select c.receipt_no from receipt_claim c where c.receipt_no between k.low and ",
            $upto,
            " and substr(c.receipt_no, 1, length(k.series) + 1) = k.series || '-'
             union
             select p.receipt_no from payment p join entry e on e.uid = p.uid
             where p.state <> 'posted' and e.device_id = k.device_id and p.receipt_no between k.low and ",
            $upto,
            " and substr(p.receipt_no, 1, length(k.series) + 1) = k.series || '-'
             union
             select x.receipt_no from receipt_explanation x where x.receipt_no between k.low and ",
            $upto,
            " and substr(x.receipt_no, 1, length(k.series) + 1) = k.series || '-'"
        )
    };
}

/// Blocks of devices whose users the caller reaches. One that was granted to a device after it ended was
/// never handed out.
macro_rules! blocks {
    ($which:literal) => {
        concat!(
            visible_units!(),
            ", block as (
               select b.id, b.device_id, b.series, b.first_number, b.last_number, b.granted_at, d.user_id,
                 d.uid as device, u.uid as officer, u.name as officer_name,
                 b.series || '-' || substr(cast(1000000 + b.first_number as text), 2) as low,
                 b.series || '-' || substr(cast(1000000 + b.last_number as text), 2) as high,
                 b.series || '-' || substr(cast(999999 + d.receipt_next as text), 2) as newest,
                 case when b.closed_at is not null then b.closed_at when d.state <> 'active' then d.state_at
                   when not u.active then coalesce(u.deactivated_at, b.granted_at) end as ended_at
               from receipt_block b join device d on d.id = b.device_id join app_user u on u.id = d.user_id
               where b.granted_at <= case when d.state <> 'active' then d.state_at
                   when not u.active then coalesce(u.deactivated_at, b.granted_at) else b.granted_at end
                 and exists (select 1 from user_role r join visible v on v.id = r.unit_id
                             where r.user_id = d.user_id and r.ended_at is null) and ",
            $which,
            "), used as (
               select k.id, k.device_id, k.series, k.first_number, k.last_number, k.granted_at, k.user_id, k.device,
                 k.officer, k.officer_name, k.low, k.ended_at,
                 case when k.ended_at is not null or exists (
                     select 1 from receipt_claim c where c.receipt_no > k.high and c.receipt_no <= k.newest)
                   then k.high else (select max(n.receipt_no) from (",
            known_numbers!("k.high"),
            ") n) end as upto
               from block k)
             select k.series, k.first_number, k.last_number, k.granted_at, k.ended_at, k.device, k.user_id, k.officer,
               k.officer_name, k.upto, (select string_agg(n.receipt_no, ' ') from (",
            known_numbers!("k.upto"),
            ") n) as known
             from used k"
        )
    };
}

const ONE: &str = blocks!("b.series = $3 and $4 between b.first_number and b.last_number");
const PAGE_UNEXPLAINED: &str = concat!(
    blocks!(
        "b.id > coalesce((select a.id from receipt_block a where a.series = $3 and $4 between a.first_number and a.last_number), 0)"
    ),
    " where cast(substr(k.upto, length(k.series) + 2) as bigint) - k.first_number + 1
       > (select count(*) from (",
    known_numbers!("k.upto"),
    ") n)
     order by k.id limit $5"
);

/// Blocks with receipt numbers that were perhaps given out and that nobody has seen, in the order they were
/// granted.
#[utoipa::path(
    get,
    path = "/v1/receipts/unexplained",
    tag = "receipts",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<BlockView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<String>,
) -> Result<Response, Problem> {
    let after = page.after.as_deref().map(str::parse::<ReceiptNumber>).transpose();
    let after = after.map_err(|error| Problem::internal(&error))?;
    let (series, number) = after.map(|after| (after.series().to_owned(), i64::from(after.number()))).unzip();
    let mut tx = app.db.read().await?;
    let roles = Permission::ReadHeld.role_list();
    let rows: Vec<BlockRow> = on_db!(&mut tx, conn => {
        sqlx::query_as(PAGE_UNEXPLAINED)
            .bind(by.id)
            .bind(roles)
            .bind(series)
            .bind(number)
            .bind(page.rows())
            .fetch_all(conn)
            .await
    })?;
    let views = rows.into_iter().map(BlockView::of).collect();
    Ok(page.page(views, |view: &BlockView| view.first.clone()))
}

impl BlockView {
    fn of(row: BlockRow) -> Self {
        let unexplained = runs(&row.series, &row.unexplained());
        let BlockRow { series, first_number, last_number, granted_at, ended_at, device, officer, officer_name, .. } =
            row;
        let (first, last) = (text(&series, first_number), text(&series, last_number));
        Self { first, last, device, officer, officer_name, granted_at, ended_at, unexplained }
    }
}

impl BlockRow {
    /// The numbers that are not accounted for.
    fn unexplained(&self) -> BTreeSet<i64> {
        let Some(upto) = self.upto.as_deref().and_then(number_of) else { return BTreeSet::new() };
        let known: BTreeSet<i64> = self.known.iter().flat_map(|known| known.split(' ')).filter_map(number_of).collect();
        (self.first_number..=upto).filter(|number| !known.contains(number)).collect()
    }
}

fn number_of(text: &str) -> Option<i64> {
    text.parse::<ReceiptNumber>().ok().map(|receipt| receipt.number().into())
}

fn text(series: &str, number: i64) -> String {
    format!("{series}-{number:06}")
}

/// Numbers as runs without holes.
fn runs(series: &str, numbers: &BTreeSet<i64>) -> Vec<Run> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for &number in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    spans.into_iter().map(|(first, last)| Run { first: text(series, first), last: text(series, last) }).collect()
}

/// Why no payment came under a number, or under several in a row.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000019", "last": "A12-000125",
    "reason": "The pages were torn out in the rain.",
}))]
pub struct ExplanationRequest {
    id: DecisionId,
    /// The last of the numbers; one alone when it is missing.
    last: Option<String>,
    /// In the supervisor's words, at most 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

batch_row! {
    struct ExplainedRow {
        receipt_no: String => "text",
        decision_uid: DecisionId => "uuid",
    }
}

const INSERT_EXPLAINED: &str = "insert into receipt_explanation (receipt_no, decision_uid)
     select receipt_no, decision_uid from v where true on conflict do nothing";

/// A person says what became of numbers nobody has seen.
#[utoipa::path(
    post,
    path = "/v1/receipts/{id}/explanation",
    tag = "receipts",
    params(("id" = String, Path, description = "The first of the numbers.", example = "D01-000052")),
    request_body = ExplanationRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn explain(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(first): Path<String>,
    Json(request): Json<ExplanationRequest>,
) -> Result<Response, Problem> {
    if request.reason.trim().is_empty() || request.reason.chars().count() > 500 {
        return Err(Problem::invalid("/reason", "length", "reason says why, in at most 500 characters."));
    }
    let first: ReceiptNumber = first.parse().map_err(|_| Problem::not_found())?;
    let last = request.last.as_deref().map_or(Ok(first.clone()), str::parse);
    let last: ReceiptNumber = last.map_err(|error| Problem::invalid("/last", "shape", format!("last: {error}.")))?;
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let block = find(&mut tx, &by, &first).await?;
    two_people(block.user_id, by.id)?;
    let (from, to) = (i64::from(first.number()), i64::from(last.number()));
    if last.series() != first.series() || to < from || to > block.last_number {
        return Err(Problem::invalid("/last", "range", "last is a number of the same block, not before the first."));
    }
    let detail = json!({ "first": first.to_string(), "last": last.to_string(), "reason": request.reason });
    if decider.record(&mut tx, "receipt", subject(&first, &last), detail).await? == Novelty::Repeated {
        return effect.commit(tx, Answer::done()).await;
    }
    let unexplained = block.unexplained();
    if let Some(number) = (from..=to).find(|number| !unexplained.contains(number)) {
        return Err(not_unexplained(&text(&block.series, number)));
    }
    let row = |number| ExplainedRow { receipt_no: text(&block.series, number), decision_uid: request.id };
    let rows: Vec<_> = (from..=to).map(row).collect();
    let written = batch::execute(&mut tx, &rows, INSERT_EXPLAINED).await?;
    if usize::try_from(written) != Ok(rows.len()) {
        // Somebody explained one of them at this moment.
        return Err(not_unexplained(&first.to_string()));
    }
    effect.commit(tx, Answer::done()).await
}

/// The block a number is in.
async fn find(tx: &mut Tx, by: &User, number: &ReceiptNumber) -> Result<BlockRow, Problem> {
    let roles = Permission::ReviewHeld.role_list();
    let (series, number) = (number.series(), i64::from(number.number()));
    let row: Option<BlockRow> = on_db!(tx, conn => {
        sqlx::query_as(ONE).bind(by.id).bind(roles).bind(series).bind(number).fetch_optional(conn).await
    })?;
    row.ok_or_else(Problem::not_found)
}

/// Numbers have no ids: what is decided on is named by their text.
fn subject(first: &ReceiptNumber, last: &ReceiptNumber) -> Uuid {
    let hash = sha256(&[b"daybook/receipts ", first.to_string().as_bytes(), b" ", last.to_string().as_bytes()]);
    let (id, _) = hash.split_first_chunk().expect("a hash is longer than an id");
    Uuid::from_bytes(*id)
}

fn not_unexplained(number: &str) -> Problem {
    let detail = format!("{number} is not unexplained: look at the list again.");
    Problem::new(Code::Conflict, detail).with("receipt", number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(upto: Option<i64>, known: &[i64], expected: &[(i64, i64)]) {
        let known: Vec<_> = known.iter().map(|number| text("AB", *number)).collect();
        let row = BlockRow {
            series: "AB".to_owned(),
            first_number: 51,
            last_number: 100,
            granted_at: Timestamp::EPOCH,
            ended_at: None,
            device: DeviceId::from([0; 16]),
            user_id: 1,
            officer: UserId::from([0; 16]),
            officer_name: String::new(),
            upto: upto.map(|number| text("AB", number)),
            known: (!known.is_empty()).then(|| known.join(" ")),
        };
        let run = |(first, last): &(i64, i64)| Run { first: text("AB", *first), last: text("AB", *last) };
        assert_eq!(runs("AB", &row.unexplained()), expected.iter().map(run).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_are_unexplained_up_to_the_last_that_may_have_been_given_out() {
        check(None, &[], &[]);
        check(Some(53), &[51, 52, 53], &[]);
        check(Some(55), &[51, 54, 55], &[(52, 53)]);
        check(Some(100), &[], &[(51, 100)]);
        check(Some(100), &[53, 51, 99], &[(52, 52), (54, 98), (100, 100)]);
    }
}
