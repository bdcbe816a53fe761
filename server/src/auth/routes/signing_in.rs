//! REST of sign-ins: refresh, sign out, see and end one's own and others' sessions, change a password.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use daybook_shared::ids::{SessionId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::guesses;
use crate::auth::password;
use crate::auth::roles::Permission;
use crate::auth::session::{self, Ending, Method, Opened, RefreshToken, Refreshed, Session};
use crate::auth::token::{self, Bearer};
use crate::auth::users::{self, Reach, User, UserRow};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::peer::Peer;
use crate::http::problem::{Code, Problem};

/// What somebody is given who signs in or refreshes: an access token, and the token that gets the next.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTljYWQyMSJ9.mG4NnjSVu_pqFrYoNRGCzA9Ae",
    "token_type": "Bearer", "expires_in": 900, "refresh_token": "dbr_KBtVqzR1B4mSYo6iWkmrHaVu3GzjVbyQs9PVuJcX3rI",
    "refresh_expires_in": 2_591_999, "session": "019cad21-cf00-7000-8000-000000000005",
}))]
pub struct TokenAnswer {
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    /// Serves once, at `POST /v1/tokens/refresh`.
    #[schema(example = "dbr_KBtVqzR1B4mSYo6iWkmrHaVu3GzjVbyQs9PVuJcX3rI")]
    refresh_token: String,
    /// Seconds after which it is over if nobody uses it.
    refresh_expires_in: i64,
    session: SessionId,
}

impl TokenAnswer {
    /// The answer to somebody whose session this is.
    pub fn new(app: &App, Opened { session, refresh }: &Opened) -> Self {
        let now = app.now();
        let (access_token, expires_in) = token::of_session(app, session, now);
        Self {
            access_token,
            token_type: "Bearer",
            expires_in,
            refresh_token: refresh.text(),
            refresh_expires_in: session.ends_at(app).ms_since(now) / 1000,
            session: session.uid,
        }
    }
}

/// What a client says it is.
pub fn agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT)?.to_str().ok()
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "refresh_token": "dbr_KBtVqzR1B4mSYo6iWkmrHaVu3GzjVbyQs9PVuJcX3rI" }))]
pub struct RefreshRequest {
    refresh_token: String,
}

/// The next tokens for a refresh token, which is spent by it. One that is spent already ends its session; but
/// for two minutes, while its successor was never used, it is answered with the same one: the answer was lost.
#[utoipa::path(
    post,
    path = "/v1/tokens/refresh",
    tag = "sessions",
    request_body = RefreshRequest,
    responses((status = 201, description = "The tokens.", body = TokenAnswer))
)]
pub async fn refresh(
    State(app): State<Arc<App>>,
    peer: Peer,
    Json(request): Json<RefreshRequest>,
) -> Result<(StatusCode, Json<TokenAnswer>), Problem> {
    let guess = guesses::attempt(&app, ("refresh_token", None), &peer)?;
    let Some(token) = RefreshToken::parse(&request.refresh_token) else { return Err(guess.wrong(over())) };
    let mut tx = app.db.write().await?;
    let refreshed = session::refresh(&mut tx, &app, &token).await?;
    // The end of a session whose token came again counts, whatever is answered.
    tx.commit().await?;
    match refreshed {
        Refreshed::Opened(opened) => {
            guess.right();
            Ok((StatusCode::CREATED, Json(TokenAnswer::new(&app, &opened))))
        }
        Refreshed::Reused => {
            tracing::warn!("a spent refresh token came again; its session has ended");
            Err(guess.wrong(over()))
        }
        Refreshed::Over => Err(guess.wrong(over())),
    }
}

fn over() -> Problem {
    Problem::new(Code::SessionOver, "The refresh token is not, or no longer, one of an open session.")
}

/// Signs out whoever holds this refresh token. Unknown ones get the same answer.
#[utoipa::path(
    post,
    path = "/v1/tokens/revocation",
    tag = "sessions",
    request_body = RefreshRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn sign_out(
    State(app): State<Arc<App>>,
    peer: Peer,
    Json(request): Json<RefreshRequest>,
) -> Result<StatusCode, Problem> {
    let guess = guesses::attempt(&app, ("refresh_token", None), &peer)?;
    let Some(token) = RefreshToken::parse(&request.refresh_token) else { return Ok(StatusCode::NO_CONTENT) };
    let mut tx = app.db.write().await?;
    if let Some(found) = session::by_token(&mut tx, &token).await? {
        let actor = crate::audit::Actor::user(found.user_id);
        session::end(&mut tx, app.now(), actor, &found, Ending::SignedOut).await?;
        guess.right();
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An open session, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    id: SessionId,
    /// password, provider, code or token.
    method: &'static str,
    /// What the client says it is.
    agent: Option<String>,
    created_at: Timestamp,
    refreshed_at: Timestamp,
    /// When it ends if nobody uses it.
    ends_at: Timestamp,
    /// Whether this request came from it.
    current: bool,
}

async fn view(
    app: &App,
    tx: &mut Tx,
    (user_id, current): (i64, Option<SessionId>),
    page: Paging<SessionId>,
) -> Result<Response, Problem> {
    let sessions = session::page(tx, app.now(), user_id, (page.after, page.rows())).await?;
    let views = sessions.into_iter().map(|session| SessionView {
        id: session.uid,
        method: session.method.code(),
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        ends_at: session.ends_at(app),
        current: current == Some(session.uid),
        agent: session.agent,
    });
    Ok(page.page(views.collect(), |view: &SessionView| view.id))
}

/// The caller's own open sessions, the newest first.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "sessions",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<SessionView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Extension(bearer): Extension<Bearer>,
    page: Paging<SessionId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    view(&app, &mut tx, (by.id, bearer.session), page).await
}

/// Open sessions of a user whom the caller manages, the newest first.
#[utoipa::path(
    get,
    path = "/v1/users/{id}/sessions",
    tag = "sessions",
    params(("id" = UserId, Path, description = "The user."), PageQuery),
    responses((status = 200, description = "A page.", body = Page<SessionView>))
)]
pub async fn list_of(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Extension(bearer): Extension<Bearer>,
    Path(user): Path<UserId>,
    page: Paging<SessionId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let user = managed(&mut tx, &by, user).await?;
    view(&app, &mut tx, (user.id, bearer.session), page).await
}

/// A user whom `by` manages, wherever he holds a role.
async fn managed(tx: &mut Tx, by: &User, user: UserId) -> Result<UserRow, Problem> {
    let found = users::find(tx, by, (Permission::ManageUsers, Reach::Whole), user).await?;
    found.ok_or_else(Problem::not_found)
}

/// Ends a session: one's own or, for who manages its user, another's.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/revocation",
    tag = "sessions",
    params(("id" = SessionId, Path, description = "The session.")),
    responses((status = 204, description = "It is done."))
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(session): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.write().await?;
    let found: Session = session::find(&mut tx, session).await?.ok_or_else(Problem::not_found)?;
    if found.user_id != by.id {
        managed(&mut tx, &by, found.user_uid).await?;
    }
    session::end(&mut tx, app.now(), by.actor(), &found, Ending::Revoked).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ended {
    ended: u64,
}

/// Ends all sessions of the caller, this one too.
#[utoipa::path(
    post,
    path = "/v1/sessions/revocation",
    tag = "sessions",
    responses((status = 200, description = "How many there were.", body = Ended))
)]
pub async fn revoke_all(State(app): State<Arc<App>>, Extension(by): Extension<User>) -> Result<Json<Ended>, Problem> {
    let mut tx = app.db.write().await?;
    let ended = session::end_all(&mut tx, app.now(), by.actor(), (by.id, by.uid), Ending::Revoked).await?;
    tx.commit().await?;
    Ok(Json(Ended { ended }))
}

/// Ends all sessions of a user.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/sessions/revocation",
    tag = "sessions",
    params(("id" = UserId, Path, description = "The user.")),
    responses((status = 200, description = "How many there were.", body = Ended))
)]
pub async fn revoke_all_of(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(user): Path<UserId>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let user = managed(&mut tx, &by, user).await?;
    let ended = session::end_all(&mut tx, app.now(), by.actor(), (user.id, user.uid), Ending::Revoked).await?;
    effect.commit(tx, Answer::ok(&Ended { ended })).await
}

/// One's own new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "current": "a lantern by the river", "new": "two goats and a bicycle" }))]
pub struct OwnPassword {
    current: String,
    new: String,
}

/// Changes the caller's own password. All his sessions end; the answer begins another.
#[utoipa::path(
    post,
    path = "/v1/password",
    tag = "sessions",
    request_body = OwnPassword,
    responses((status = 201, description = "The tokens of a new session.", body = TokenAnswer))
)]
pub async fn change_password(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    peer: Peer,
    headers: HeaderMap,
    Json(request): Json<OwnPassword>,
) -> Result<(StatusCode, Json<TokenAnswer>), Problem> {
    if by.customer_id.is_some() {
        let detail = "A customer has no password: he signs in by a one-time code, or with the app's own login.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let mut tx = app.db.read().await?;
    let known = users::credentials_of(&mut tx, by.id).await?;
    drop(tx);
    let (login, old) = known.ok_or_else(Problem::unauthenticated)?;
    let guess = guesses::attempt(&app, ("password", Some(&login)), &peer)?;
    if !password::verify(&request.current, Some(old)).await {
        return Err(guess.wrong(Problem::new(Code::WrongPassword, "The current password is another.")));
    }
    guess.right();
    let hash = new_hash(&app, &login, ("/new", &request.new)).await?;
    let mut tx = app.db.write().await?;
    users::set_password(&mut tx, app.now(), by.actor(), (by.id, by.uid), &hash).await?;
    let opened = session::open(&mut tx, &app, (by.id, by.uid), (Method::Password, agent(&headers))).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(TokenAnswer::new(&app, &opened))))
}

/// Another's new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "password": "two goats and a bicycle" }))]
pub struct NewPassword {
    password: String,
}

/// Gives a user who forgot his password another one, and ends his sessions.
#[utoipa::path(
    post,
    path = "/v1/users/{id}/password",
    tag = "sessions",
    params(("id" = UserId, Path, description = "The user.")),
    request_body = NewPassword,
    responses((status = 204, description = "It is done."))
)]
pub async fn reset_password(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(user): Path<UserId>,
    Json(request): Json<NewPassword>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let user = managed(&mut tx, &by, user).await?;
    drop(tx);
    let hash = new_hash(&app, &user.login, ("/password", &request.password)).await?;
    let mut tx = effect.begin().await?;
    users::set_password(&mut tx, app.now(), by.actor(), (user.id, user.uid), &hash).await?;
    effect.commit(tx, Answer::done()).await
}

/// The hash of a password that this login may have; the request has it at this place.
pub async fn new_hash(app: &App, login: &str, (place, new): (&'static str, &str)) -> Result<String, Problem> {
    let refused = |error: password::NotAPassword| Problem::invalid(place, error.code(), format!("{error}."));
    password::check(login, new).map_err(refused)?;
    password::hash(new, &app.rng).await.map_err(refused)
}
