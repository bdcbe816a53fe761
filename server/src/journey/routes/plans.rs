//! REST of plans.

#![expect(unused_qualifications, reason = "the macro that describes a route spells its parameters' type out")]

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use daybook_shared::ids::AccountId;
use daybook_shared::money::MoneyError;
use daybook_shared::time::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::Party;
use crate::http::etag::{IfNoneMatch, of_content};
use crate::http::extract::{Path, Query};
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::Problem;
use crate::journey::plans::{self, InstalmentState, PlanView};

/// For which day.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AsOf {
    /// The day; today when it is left out.
    #[param(example = "2026-04-10")]
    as_of: Option<Date>,
}

impl AsOf {
    fn date(&self, app: &App) -> Date {
        self.as_of.unwrap_or_else(|| app.settings.zone.date_of(app.now()))
    }
}

/// The customer's plans, the newest first.
#[utoipa::path(
    get,
    path = "/v1/plans",
    tag = "plans",
    params(PageQuery, AsOf),
    responses((status = 200, description = "A page.", body = Page<PlanView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Query(day): Query<AsOf>,
    page: Paging<AccountId>,
) -> Result<Response, Problem> {
    let as_of = day.date(&app);
    let mut tx = app.db.read().await?;
    let found = plans::page_own(&mut tx, party.customer.id, (page.after, page.rows())).await?;
    let views = found.iter().map(|plan| PlanView::of(plan, as_of)).collect::<Result<Vec<_>, _>>()?;
    Ok(page.page(views, PlanView::id))
}

/// A plan on a day.
#[utoipa::path(
    get,
    path = "/v1/plans/{id}",
    tag = "plans",
    params(
        ("id" = AccountId, Path, description = "The plan."),
        AsOf,
        ("If-None-Match" = Option<String>, Header, description = "What the caller has.")
    ),
    responses(
        (status = 200, description = "The plan.", body = PlanView, headers(("ETag" = String, description = "Names it as it stands on the day."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(plan): Path<AccountId>,
    Query(day): Query<AsOf>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let plan = plans::own(&mut tx, party.customer.id, plan).await?.ok_or_else(Problem::not_found)?;
    Ok(tagged(&known, &PlanView::of(&plan, day.date(&app))?))
}

/// What falls due when, and how far each is paid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": 1, "as_of": "2026-04-10",
    "instalments": [
        {
            "n": 1, "due_date": "2026-04-02", "amount": { "minor": 477_000, "currency": "KES" },
            "paid": { "minor": 477_000, "currency": "KES" }, "state": "paid",
        },
        {
            "n": 2, "due_date": "2026-05-02", "amount": { "minor": 477_000, "currency": "KES" },
            "paid": { "minor": 0, "currency": "KES" }, "state": "scheduled",
        },
        {
            "n": 3, "due_date": "2026-06-02", "amount": { "minor": 477_000, "currency": "KES" },
            "paid": { "minor": 0, "currency": "KES" }, "state": "scheduled",
        },
        {
            "n": 4, "due_date": "2026-07-02", "amount": { "minor": 477_000, "currency": "KES" },
            "paid": { "minor": 0, "currency": "KES" }, "state": "scheduled",
        },
    ],
}))]
pub struct ScheduleView {
    /// The version of the schedule; above 1 it was agreed anew.
    version: i64,
    as_of: Date,
    instalments: Vec<InstalmentState>,
}

/// A plan's schedule on a day.
#[utoipa::path(
    get,
    path = "/v1/plans/{id}/schedule",
    tag = "plans",
    params(
        ("id" = AccountId, Path, description = "The plan."),
        AsOf,
        ("If-None-Match" = Option<String>, Header, description = "What the caller has.")
    ),
    responses(
        (status = 200, description = "The schedule.", body = ScheduleView, headers(("ETag" = String, description = "Names it as it stands on the day."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn schedule(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(plan): Path<AccountId>,
    Query(day): Query<AsOf>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let as_of = day.date(&app);
    let mut tx = app.db.read().await?;
    let plan = plans::own(&mut tx, party.customer.id, plan).await?.ok_or_else(Problem::not_found)?;
    let instalments = plans::instalments(&plan, as_of)?;
    Ok(tagged(&known, &ScheduleView { version: plan.account.schedule_version, as_of, instalments }))
}

/// An answer named by its content.
fn tagged(known: &IfNoneMatch, view: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(view).expect("our answers are JSON");
    let etag = of_content(&bytes);
    let json = ([(axum::http::header::CONTENT_TYPE, "application/json")], bytes);
    known.answer(&etag, json.into_response())
}

impl From<MoneyError> for Problem {
    fn from(error: MoneyError) -> Self {
        Self::internal(&error)
    }
}
