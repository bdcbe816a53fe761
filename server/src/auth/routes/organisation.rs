//! REST of units and caseloads.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{CaseloadId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caseloads::{self, Caseload, CaseloadAudience, Membership};
use crate::auth::units::{self, Unit, UnitKind};
use crate::auth::users::{self, Reach};
use crate::auth::{Permission, User};
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::Problem;

/// The longest name of a unit or a caseload, in characters.
const NAME_MAX: usize = 100;

fn check_name(name: &str) -> Result<(), Problem> {
    if (1..=NAME_MAX).contains(&name.chars().count()) {
        Ok(())
    } else {
        Err(Problem::invalid("/name", "length", format!("A name has 1 to {NAME_MAX} characters.")))
    }
}

/// A unit.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnitView {
    id: UnitId,
    /// The unit above it; null for the lender's own.
    parent: Option<UnitId>,
    /// company, zone, region, city, area, branch, aggregator or agent.
    kind: &'static str,
    name: String,
}

impl From<Unit> for UnitView {
    fn from(unit: Unit) -> Self {
        Self { id: unit.uid, parent: unit.parent, kind: unit.kind.code(), name: unit.name }
    }
}

/// Units that the caller reaches, in the order they were added: a parent before what is below it.
#[utoipa::path(
    get,
    path = "/v1/units",
    tag = "units",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<UnitView>))
)]
pub async fn list_units(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<UnitId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let units = units::page(&mut tx, &by, Permission::ReadUnits, (page.after, page.rows())).await?;
    Ok(page.page(units.into_iter().map(Into::into).collect(), |view: &UnitView| view.id))
}

/// A unit to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "parent": "019cad21-cf00-7000-8000-000000000002", "kind": "branch", "name": "Kisumu" }))]
pub struct NewUnitRequest {
    /// The unit above it.
    parent: UnitId,
    /// company, zone, region, city, area, branch, aggregator or agent.
    #[schema(example = "branch")]
    kind: String,
    #[schema(min_length = 1, max_length = 100, example = "Kisumu")]
    name: String,
}

/// Adds a unit below another.
#[utoipa::path(
    post,
    path = "/v1/units",
    tag = "units",
    request_body = NewUnitRequest,
    responses((status = 201, description = "The unit.", body = UnitView))
)]
pub async fn create_unit(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<NewUnitRequest>,
) -> Result<Response, Problem> {
    let NewUnitRequest { parent, kind, name } = request;
    check_name(&name)?;
    let kind: UnitKind =
        kind.parse().map_err(|_| Problem::invalid("/kind", "unknown", format!("There is no kind {kind:?}.")))?;
    let mut tx = effect.begin().await?;
    let parent = units::find(&mut tx, &by, Permission::ManageUnits, parent).await?;
    let parent =
        parent.ok_or_else(|| Problem::invalid("/parent", "unknown", "There is no such parent, or it is not yours."))?;
    let unit = units::create(&mut tx, (app.now(), &app.rng), by.actor(), Some(&parent), (kind, &name)).await?;
    effect.commit(tx, Answer::created(&UnitView::from(unit))).await
}

/// A caseload and who holds it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseloadView {
    id: CaseloadId,
    name: String,
    /// Whose it is to be: officer, agent or aggregator.
    audience: &'static str,
    unit: UnitId,
    members: Vec<UserId>,
}

impl CaseloadView {
    fn new(caseload: Caseload, members: Vec<UserId>) -> Self {
        let Caseload { uid, name, audience, unit, .. } = caseload;
        Self { id: uid, name, audience: audience.code(), unit, members }
    }
}

/// Caseloads of units that the caller reaches, and who holds each.
#[utoipa::path(
    get,
    path = "/v1/caseloads",
    tag = "caseloads",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<CaseloadView>))
)]
pub async fn list_caseloads(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<CaseloadId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let rows = caseloads::page(&mut tx, &by, Permission::ReadCaseloads, (page.after, page.rows())).await?;
    let views = rows.into_iter().map(|(caseload, members)| CaseloadView::new(caseload, members));
    Ok(page.page(views.collect(), |view: &CaseloadView| view.id))
}

/// A caseload to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Route 7", "audience": "officer", "unit": "019cad21-cf00-7000-8000-000000000002" }))]
pub struct NewCaseloadRequest {
    #[schema(min_length = 1, max_length = 100, example = "Route 7")]
    name: String,
    /// Whose it is to be.
    #[schema(example = "officer")]
    audience: String,
    unit: UnitId,
}

/// Makes a caseload that nobody holds yet.
#[utoipa::path(
    post,
    path = "/v1/caseloads",
    tag = "caseloads",
    request_body = NewCaseloadRequest,
    responses((status = 201, description = "The caseload.", body = CaseloadView))
)]
pub async fn create_caseload(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<NewCaseloadRequest>,
) -> Result<Response, Problem> {
    let NewCaseloadRequest { name, audience, unit } = request;
    check_name(&name)?;
    let audience: CaseloadAudience = audience
        .parse()
        .map_err(|_| Problem::invalid("/audience", "unknown", format!("There is no audience {audience:?}.")))?;
    let mut tx = effect.begin().await?;
    let unit = units::find(&mut tx, &by, Permission::ManageCaseloads, unit).await?;
    let unit =
        unit.ok_or_else(|| Problem::invalid("/unit", "unknown", "There is no such unit, or it is not yours."))?;
    let caseload = caseloads::create(&mut tx, (app.now(), &app.rng), by.actor(), &unit, (&name, audience)).await?;
    effect.commit(tx, Answer::created(&CaseloadView::new(caseload, Vec::new()))).await
}

/// Who is to hold a caseload, or no longer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "user": "019cad21-cf00-7000-8000-000000000003", "member": true }))]
pub struct MemberRequest {
    user: UserId,
    /// `true` gives it to him, `false` takes it from him.
    member: bool,
}

/// Says that a user holds a caseload from now on, or no longer does.
#[utoipa::path(
    post,
    path = "/v1/caseloads/{id}/members",
    tag = "caseloads",
    params(("id" = CaseloadId, Path, description = "The caseload.")),
    request_body = MemberRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn set_member(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(caseload): Path<CaseloadId>,
    Json(request): Json<MemberRequest>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let caseload = caseloads::find(&mut tx, &by, Permission::ManageCaseloads, caseload).await?;
    let caseload = caseload.ok_or_else(Problem::not_found)?;
    let user = users::find(&mut tx, &by, (Permission::ManageCaseloads, Reach::Some), request.user).await?;
    let user =
        user.ok_or_else(|| Problem::invalid("/user", "unknown", "There is no such user, or he is not yours."))?;
    let membership = if request.member { Membership::Member } else { Membership::Gone };
    caseloads::set_member(&mut tx, app.now(), by.actor(), &caseload, (&user, membership)).await?;
    effect.commit(tx, Answer::done()).await
}
