//! `GET /v1/ledger/journals`: what was booked about one thing.

#![expect(unused_qualifications, reason = "the macro that describes a route spells its parameters' type out")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::money::Currency;
use daybook_shared::time::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::posting::{GlAccount, GlCode, JournalKind};
use crate::app::App;
use crate::auth::{Permission, User, units};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::http::extract::Query;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::Problem;
use crate::on_db;

/// About what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct About {
    /// The id of an event (a payment, a decision, a refund), or of what its journals have in common (a plan, a return,
    /// an agreement).
    r#ref: Uuid,
}

/// A line of a journal.
#[derive(Debug, Serialize, ToSchema)]
pub struct LineView {
    /// The ledger account, with the key of whom it is kept for.
    #[schema(example = "plan_recv:12")]
    account: String,
    /// Minor units: above zero debit, below credit.
    minor: i64,
}

/// A journal: its lines sum to zero.
#[derive(Debug, Serialize, ToSchema)]
pub struct JournalView {
    id: i64,
    /// What it is about.
    #[schema(example = "early_settlement")]
    kind: &'static str,
    /// The event it books.
    event: Uuid,
    /// What it has in common with others, such as its reversal.
    correlation: Uuid,
    /// The day of the books.
    booked_on: Date,
    currency: Currency,
    recorded_at: Timestamp,
    lines: Vec<LineView>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    kind: JournalKind,
    event: Uuid,
    correlation: Uuid,
    booked_on: Date,
    currency: Currency,
    recorded_at: Timestamp,
}

batch_row! {
    struct Key { id: i64 => "int8" }
}

// Two ways to be about it, each by its own index.
const PAGE: &str = "select j.id, j.kind, j.event, j.correlation, j.booked_on, j.currency, j.recorded_at from journal j
     where j.id in (select e.id from journal e where e.event = $1
                    union select c.id from journal c where c.correlation = $1)
       and j.id > $2 order by j.id limit $3";
const LINES: &str = "select l.journal_id, l.gl, l.subject, l.minor
     from v join line l on l.journal_id = v.id order by l.journal_id, l.n";

/// What was booked about one thing, in the order it was booked.
///
/// The ledger is the whole lender's, so the role must be held at the top.
#[utoipa::path(
    get,
    path = "/v1/ledger/journals",
    tag = "ledger",
    params(About, PageQuery),
    responses((status = 200, description = "A page.", body = Page<JournalView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(about): Query<About>,
    page: Paging<i64>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    units::must_reach_all(&mut tx, &by, Permission::ReadFinance).await?;
    let rows: Vec<Row> = on_db!(&mut tx, conn => {
        let select = sqlx::query_as(PAGE).bind(about.r#ref).bind(page.after.unwrap_or(0)).bind(page.rows());
        select.fetch_all(conn).await
    })?;
    let mut lines = lines(&mut tx, &rows).await?;
    let view = |row: Row| JournalView {
        id: row.id,
        kind: row.kind.code(),
        event: row.event,
        correlation: row.correlation,
        booked_on: row.booked_on,
        currency: row.currency,
        recorded_at: row.recorded_at,
        lines: lines.remove(&row.id).unwrap_or_default(),
    };
    Ok(page.page(rows.into_iter().map(view).collect(), |view: &JournalView| view.id))
}

async fn lines(tx: &mut Tx, journals: &[Row]) -> sqlx::Result<BTreeMap<i64, Vec<LineView>>> {
    let keys: Vec<_> = journals.iter().map(|row| Key { id: row.id }).collect();
    let rows: Vec<(i64, GlCode, Option<i64>, i64)> = batch::fetch(tx, &keys, LINES).await?;
    let mut lines: BTreeMap<i64, Vec<LineView>> = BTreeMap::new();
    for (journal, code, subject, minor) in rows {
        let account = GlAccount { code, subject }.to_string();
        lines.entry(journal).or_default().push(LineView { account, minor });
    }
    Ok(lines)
}
