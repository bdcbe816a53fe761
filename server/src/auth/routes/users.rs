//! REST of users: make, list, roles, deactivation, enrolment codes.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{UnitId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::signing_in::new_hash;
use crate::app::App;
use crate::auth::enrolment;
use crate::auth::roles::{Permission, Role};
use crate::auth::units::{self, Unit};
use crate::auth::users::{self, HeldRole, Holding, NewUser, Reach, User, UserError, UserRow};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};

/// A user, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    id: UserId,
    login: String,
    name: String,
    active: bool,
    roles: Vec<RoleView>,
}

/// A role and where it is held.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleView {
    #[schema(example = "officer")]
    role: String,
    /// Where it is held; it reaches the units below.
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

/// Users that the caller reaches, in the order they were made.
#[utoipa::path(
    get,
    path = "/v1/users",
    tag = "users",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<UserView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<UserId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let rows = users::page(&mut tx, &by, Permission::ReadUsers, (page.after, page.rows())).await?;
    let views = rows.into_iter().map(|(row, roles)| UserView::new(row, roles.into_iter().map(Into::into).collect()));
    Ok(page.page(views.collect(), |view: &UserView| view.id))
}

/// A user to be made, with at least one role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "login": "brian", "name": "Brian O.", "password": "a lantern by the river",
    "roles": [{ "role": "officer", "unit": "019cad21-cf00-7000-8000-000000000002" }],
}))]
pub struct NewUserRequest {
    #[schema(min_length = 2, max_length = 64, example = "brian")]
    login: String,
    #[schema(min_length = 1, max_length = 100, example = "Brian O.")]
    name: String,
    password: String,
    #[schema(min_items = 1, max_items = 16)]
    roles: Vec<RoleView>,
}

/// The most roles given in one request.
const ROLES_MAX: usize = 16;

/// Makes a user with a password and at least one role.
#[utoipa::path(
    post,
    path = "/v1/users",
    tag = "users",
    request_body = NewUserRequest,
    responses((status = 201, description = "The user.", body = UserView))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<NewUserRequest>,
) -> Result<Response, Problem> {
    let NewUserRequest { login, name, password, roles } = request;
    if !(1..=ROLES_MAX).contains(&roles.len()) {
        return Err(Problem::invalid("/roles", "length", format!("A new user has 1 to {ROLES_MAX} roles.")));
    }
    let password_hash = new_hash(&app, &login, ("/password", &password)).await?;
    let now = app.now();
    let mut tx = effect.begin().await?;
    let new = NewUser { login: &login, name: &name, password_hash };
    let user = users::create(&mut tx, (now, &app.rng), by.actor(), new).await?;
    for wanted in &roles {
        let (role, unit) = grantable(&mut tx, &by, wanted).await?;
        users::set_role(&mut tx, now, by.actor(), &user, (role, &unit, Holding::Held)).await?;
    }
    effect.commit(tx, Answer::created(&UserView::new(user, roles))).await
}

/// A role, at a unit that the giver reaches.
async fn grantable(tx: &mut Tx, by: &User, wanted: &RoleView) -> Result<(Role, Unit), Problem> {
    let role = wanted.role.parse::<Role>();
    let role = role.map_err(|_| Problem::validation(format!("There is no role {:?}.", wanted.role)))?;
    if !role.is_given() {
        return Err(Problem::validation(format!("The role {role} is nobody's to give.")));
    }
    let unit = units::find(tx, by, Permission::ManageUsers, wanted.unit).await?;
    Ok((role, unit.ok_or_else(|| Problem::invalid("", "unknown", "There is no such unit, or it is not yours."))?))
}

/// A role to be given or ended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "role": "cashier", "unit": "019cad21-cf00-7000-8000-000000000002", "held": true }))]
pub struct RoleRequest {
    #[schema(example = "officer")]
    role: String,
    unit: UnitId,
    /// `true` gives the role, `false` ends it.
    held: bool,
}

/// Gives or ends a role of a user at a unit.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/roles",
    tag = "users",
    params(("id" = UserId, Path, description = "The user.")),
    request_body = RoleRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn set_role(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(user): Path<UserId>,
    Json(request): Json<RoleRequest>,
) -> Result<Response, Problem> {
    let RoleRequest { role, unit, held } = request;
    let mut tx = effect.begin().await?;
    let user = users::find(&mut tx, &by, (Permission::ManageUsers, Reach::Some), user).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    let (role, unit) = grantable(&mut tx, &by, &RoleView { role, unit }).await?;
    let holding = if held { Holding::Held } else { Holding::Ended };
    users::set_role(&mut tx, app.now(), by.actor(), &user, (role, &unit, holding)).await?;
    effect.commit(tx, Answer::done()).await
}

/// Ends a user's access, at once: his tokens, his leases, what his devices capture from now on.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/deactivation",
    tag = "users",
    params(("id" = UserId, Path, description = "The user.")),
    responses((status = 204, description = "It is done."))
)]
pub async fn deactivate(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(user): Path<UserId>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let user = users::find(&mut tx, &by, (Permission::ManageUsers, Reach::Whole), user).await?;
    users::deactivate(&mut tx, app.now(), by.actor(), &user.ok_or_else(Problem::not_found)?).await?;
    effect.commit(tx, Answer::done()).await
}

/// An enrolment code; this is the only time it is seen.
#[derive(Debug, Serialize, ToSchema)]
pub struct CodeAnswer {
    #[schema(example = "7K2M-9QXD-4TRB")]
    code: String,
    expires_at: Timestamp,
}

/// A code with which one phone of the user is enrolled.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/enrolment-codes",
    tag = "users",
    params(("id" = UserId, Path, description = "The user.")),
    responses((status = 201, description = "The code.", body = CodeAnswer))
)]
pub async fn issue_code(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(user): Path<UserId>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let user = users::find(&mut tx, &by, (Permission::ManageDevices, Reach::Whole), user).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    if !user.active {
        return Err(Problem::new(Code::Conflict, "The user is no longer active."));
    }
    let issued = enrolment::issue_code(&mut tx, app.now(), &app, by.actor(), &user).await?;
    effect.commit(tx, Answer::created(&CodeAnswer { code: issued.code, expires_at: issued.expires_at })).await
}
