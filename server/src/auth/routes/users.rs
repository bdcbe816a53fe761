//! REST of users: make, list, roles, deactivation, enrolment codes.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use daybook_shared::ids::{UnitId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::signing_in::new_hash;
use super::{Page, PageQuery};
use crate::app::App;
use crate::auth::enrolment;
use crate::auth::roles::{Permission, Role};
use crate::auth::units::{self, Unit};
use crate::auth::users::{self, HeldRole, Holding, NewUser, Reach, User, UserError, UserRow};
use crate::db::Tx;
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::{Code, Problem};

/// A user, as lists show it.
#[derive(Debug, Serialize)]
pub struct UserView {
    id: UserId,
    login: String,
    name: String,
    active: bool,
    roles: Vec<RoleView>,
}

/// A role and where it is held.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleView {
    role: String,
    unit: UnitId,
}

impl UserView {
    fn new(row: UserRow, roles: Vec<RoleView>) -> Self {
        Self { id: row.uid, login: row.login, name: row.name, active: row.active, roles }
    }
}

impl From<HeldRole> for RoleView {
    fn from(held: HeldRole) -> Self {
        Self { role: held.role.code().to_owned(), unit: held.unit }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        match error {
            UserError::LoginTaken(_) => Self::new(Code::IdTaken, format!("{error}.")),
            UserError::Shape => Self::validation(format!("{error}.")),
            UserError::Sql(error) => error.into(),
        }
    }
}

/// `GET /v1/users`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(page): Query<PageQuery<UserId>>,
) -> Result<Json<Page<UserView, UserId>>, Problem> {
    let limit = page.limit();
    let mut tx = app.db.read().await?;
    let rows = users::page(&mut tx, &by, Permission::ReadUsers, (page.after, limit)).await?;
    let views = rows.into_iter().map(|(row, roles)| UserView::new(row, roles.into_iter().map(Into::into).collect()));
    Ok(Json(Page::new(views.collect(), limit, |view| view.id)))
}

/// A user to be made, with at least one role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUserRequest {
    login: String,
    name: String,
    password: String,
    roles: Vec<RoleView>,
}

/// The most roles given in one request.
const ROLES_MAX: usize = 16;

/// `POST /v1/users`.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Json(request): Json<NewUserRequest>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let NewUserRequest { login, name, password, roles } = request;
    if !(1..=ROLES_MAX).contains(&roles.len()) {
        return Err(Problem::validation(format!("A new user has 1 to {ROLES_MAX} roles.")));
    }
    let password_hash = new_hash(&app, &login, &password).await?;
    let now = app.now();
    let mut tx = app.db.write().await?;
    let new = NewUser { login: &login, name: &name, password_hash };
    let user = users::create(&mut tx, (now, &app.rng), by.actor(), new).await?;
    for wanted in &roles {
        let (role, unit) = grantable(&mut tx, &by, wanted).await?;
        users::set_role(&mut tx, now, by.actor(), &user, (role, &unit, Holding::Held)).await?;
    }
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(UserView::new(user, roles))))
}

/// A role, at a unit that the giver reaches.
async fn grantable(tx: &mut Tx, by: &User, wanted: &RoleView) -> Result<(Role, Unit), Problem> {
    let role = wanted.role.parse::<Role>();
    let role = role.map_err(|_| Problem::validation(format!("There is no role {:?}.", wanted.role)))?;
    let unit = units::find(tx, by, Permission::ManageUsers, wanted.unit).await?;
    Ok((role, unit.ok_or_else(|| Problem::validation("There is no such unit, or it is not yours."))?))
}

/// A role to be given or ended.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    role: String,
    unit: UnitId,
    /// `true` gives the role, `false` ends it.
    held: bool,
}

/// `POST /v1/users/{id}/roles`.
pub async fn set_role(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(user): Path<UserId>,
    Json(request): Json<RoleRequest>,
) -> Result<StatusCode, Problem> {
    let RoleRequest { role, unit, held } = request;
    let mut tx = app.db.write().await?;
    let user = users::find(&mut tx, &by, (Permission::ManageUsers, Reach::Some), user).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    let (role, unit) = grantable(&mut tx, &by, &RoleView { role, unit }).await?;
    let holding = if held { Holding::Held } else { Holding::Ended };
    users::set_role(&mut tx, app.now(), by.actor(), &user, (role, &unit, holding)).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/users/{id}/deactivation`.
pub async fn deactivate(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(user): Path<UserId>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.write().await?;
    let user = users::find(&mut tx, &by, (Permission::ManageUsers, Reach::Whole), user).await?;
    users::deactivate(&mut tx, app.now(), by.actor(), &user.ok_or_else(Problem::not_found)?).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An enrolment code; this is the only time it is seen.
#[derive(Debug, Serialize)]
pub struct CodeAnswer {
    code: String,
    expires_at: Timestamp,
}

/// `POST /v1/users/{id}/enrolment-codes`.
pub async fn issue_code(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(user): Path<UserId>,
) -> Result<(StatusCode, Json<CodeAnswer>), Problem> {
    let mut tx = app.db.write().await?;
    let user = users::find(&mut tx, &by, (Permission::ManageDevices, Reach::Whole), user).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    if !user.active {
        return Err(Problem::new(Code::Conflict, "The user is no longer active."));
    }
    let issued = enrolment::issue_code(&mut tx, app.now(), &app, by.actor(), &user).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(CodeAnswer { code: issued.code, expires_at: issued.expires_at })))
}
