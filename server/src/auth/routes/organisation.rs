//! REST of units and caseloads.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use daybook_shared::ids::{CaseloadId, UnitId, UserId};
use serde::{Deserialize, Serialize};

use super::{Page, PageQuery};
use crate::app::App;
use crate::auth::caseloads::{self, Caseload, CaseloadAudience, Membership};
use crate::auth::units::{self, Unit, UnitKind};
use crate::auth::users::{self, Reach};
use crate::auth::{Permission, User};
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::Problem;

/// The longest name of a unit or a caseload, in characters.
const NAME_MAX: usize = 100;

fn check_name(name: &str) -> Result<(), Problem> {
    if (1..=NAME_MAX).contains(&name.chars().count()) {
        Ok(())
    } else {
        Err(Problem::validation(format!("A name has 1 to {NAME_MAX} characters.")))
    }
}

/// A unit.
#[derive(Debug, Serialize)]
pub struct UnitView {
    id: UnitId,
    parent: Option<UnitId>,
    kind: &'static str,
    name: String,
}

impl From<Unit> for UnitView {
    fn from(unit: Unit) -> Self {
        Self { id: unit.uid, parent: unit.parent, kind: unit.kind.code(), name: unit.name }
    }
}

/// All units the caller reaches; the tree is small enough for one answer.
#[derive(Debug, Serialize)]
pub struct Units {
    items: Vec<UnitView>,
}

/// `GET /v1/units`.
pub async fn list_units(State(app): State<Arc<App>>, Extension(by): Extension<User>) -> Result<Json<Units>, Problem> {
    let mut tx = app.db.read().await?;
    let units = units::list(&mut tx, &by, Permission::ReadUnits).await?;
    Ok(Json(Units { items: units.into_iter().map(Into::into).collect() }))
}

/// A unit to be added.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUnitRequest {
    parent: UnitId,
    kind: String,
    name: String,
}

/// `POST /v1/units`.
pub async fn create_unit(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Json(request): Json<NewUnitRequest>,
) -> Result<(StatusCode, Json<UnitView>), Problem> {
    let NewUnitRequest { parent, kind, name } = request;
    check_name(&name)?;
    let kind: UnitKind = kind.parse().map_err(|_| Problem::validation(format!("There is no kind {kind:?}.")))?;
    let mut tx = app.db.write().await?;
    let parent = units::find(&mut tx, &by, Permission::ManageUnits, parent).await?;
    let parent = parent.ok_or_else(|| Problem::validation("There is no such parent, or it is not yours."))?;
    let unit = units::create(&mut tx, (app.now(), &app.rng), by.actor(), Some(&parent), (kind, &name)).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(unit.into())))
}

/// A caseload and who holds it.
#[derive(Debug, Serialize)]
pub struct CaseloadView {
    id: CaseloadId,
    name: String,
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

/// `GET /v1/caseloads`.
pub async fn list_caseloads(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(page): Query<PageQuery<CaseloadId>>,
) -> Result<Json<Page<CaseloadView, CaseloadId>>, Problem> {
    let limit = page.limit();
    let mut tx = app.db.read().await?;
    let rows = caseloads::page(&mut tx, &by, Permission::ReadCaseloads, (page.after, limit)).await?;
    let views = rows.into_iter().map(|(caseload, members)| CaseloadView::new(caseload, members));
    Ok(Json(Page::new(views.collect(), limit, |view| view.id)))
}

/// A caseload to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCaseloadRequest {
    name: String,
    audience: String,
    unit: UnitId,
}

/// `POST /v1/caseloads`.
pub async fn create_caseload(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Json(request): Json<NewCaseloadRequest>,
) -> Result<(StatusCode, Json<CaseloadView>), Problem> {
    let NewCaseloadRequest { name, audience, unit } = request;
    check_name(&name)?;
    let audience: CaseloadAudience =
        audience.parse().map_err(|_| Problem::validation(format!("There is no audience {audience:?}.")))?;
    let mut tx = app.db.write().await?;
    let unit = units::find(&mut tx, &by, Permission::ManageCaseloads, unit).await?;
    let unit = unit.ok_or_else(|| Problem::validation("There is no such unit, or it is not yours."))?;
    let caseload = caseloads::create(&mut tx, (app.now(), &app.rng), by.actor(), &unit, (&name, audience)).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(CaseloadView::new(caseload, Vec::new()))))
}

/// Who is to hold a caseload, or no longer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRequest {
    user: UserId,
    member: bool,
}

/// `POST /v1/caseloads/{id}/members`.
pub async fn set_member(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(caseload): Path<CaseloadId>,
    Json(request): Json<MemberRequest>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.write().await?;
    let caseload = caseloads::find(&mut tx, &by, Permission::ManageCaseloads, caseload).await?;
    let caseload = caseload.ok_or_else(Problem::not_found)?;
    let user = users::find(&mut tx, &by, (Permission::ManageCaseloads, Reach::Some), request.user).await?;
    let user = user.ok_or_else(|| Problem::validation("There is no such user, or he is not yours."))?;
    let membership = if request.member { Membership::Member } else { Membership::Gone };
    caseloads::set_member(&mut tx, app.now(), by.actor(), &caseload, (&user, membership)).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
