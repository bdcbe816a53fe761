//! REST of sign-ins: refresh, sign out, see and end one's own and others' sessions, change a password.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use daybook_shared::ids::{SessionId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Page, PageQuery};
use crate::app::App;
use crate::auth::guesses;
use crate::auth::password;
use crate::auth::roles::Permission;
use crate::auth::session::{self, Ending, Method, Opened, RefreshToken, Refreshed, Session};
use crate::auth::token::{self, Bearer};
use crate::auth::users::{self, Reach, User, UserRow};
use crate::db::Tx;
use crate::http::extract::{Json, Path, Query};
use crate::http::peer::Peer;
use crate::http::problem::{Code, Problem};

/// What somebody is given who signs in or refreshes: an access token, and the token that gets the next.
#[derive(Debug, Serialize)]
pub struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    refresh_token: String,
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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    refresh_token: String,
}

/// `POST /v1/tokens/refresh`: the next tokens for a refresh token, which is spent by it.
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

/// `POST /v1/tokens/revocation`: signs out whoever holds this refresh token. Unknown ones get the same
/// answer.
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
#[derive(Debug, Serialize)]
pub struct SessionView {
    id: SessionId,
    method: &'static str,
    agent: Option<String>,
    created_at: Timestamp,
    refreshed_at: Timestamp,
    ends_at: Timestamp,
    current: bool,
}

async fn view(
    app: &App,
    tx: &mut Tx,
    (user_id, current): (i64, Option<SessionId>),
    page: &PageQuery<SessionId>,
) -> Result<Page<SessionView, SessionId>, Problem> {
    let limit = page.limit();
    let sessions = session::page(tx, app.now(), user_id, (page.after, limit)).await?;
    let views = sessions.into_iter().map(|session| SessionView {
        id: session.uid,
        method: session.method.code(),
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        ends_at: session.ends_at(app),
        current: current == Some(session.uid),
        agent: session.agent,
    });
    Ok(Page::new(views.collect(), limit, |view| view.id))
}

/// `GET /v1/sessions`: one's own, the newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Extension(bearer): Extension<Bearer>,
    Query(page): Query<PageQuery<SessionId>>,
) -> Result<Json<Page<SessionView, SessionId>>, Problem> {
    let mut tx = app.db.read().await?;
    view(&app, &mut tx, (by.id, bearer.session), &page).await.map(Json)
}

/// `GET /v1/users/{id}/sessions`: another's.
pub async fn list_of(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Extension(bearer): Extension<Bearer>,
    Path(user): Path<UserId>,
    Query(page): Query<PageQuery<SessionId>>,
) -> Result<Json<Page<SessionView, SessionId>>, Problem> {
    let mut tx = app.db.read().await?;
    let user = managed(&mut tx, &by, user).await?;
    view(&app, &mut tx, (user.id, bearer.session), &page).await.map(Json)
}

/// A user whom `by` manages, wherever he holds a role.
async fn managed(tx: &mut Tx, by: &User, user: UserId) -> Result<UserRow, Problem> {
    let found = users::find(tx, by, (Permission::ManageUsers, Reach::Whole), user).await?;
    found.ok_or_else(Problem::not_found)
}

/// `POST /v1/sessions/{id}/revocation`: ends one, one's own or, for who manages users, another's.
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
#[derive(Debug, Serialize)]
pub struct Ended {
    ended: u64,
}

/// `POST /v1/sessions/revocation`: ends all of one's own, this one too.
pub async fn revoke_all(State(app): State<Arc<App>>, Extension(by): Extension<User>) -> Result<Json<Ended>, Problem> {
    let mut tx = app.db.write().await?;
    let ended = session::end_all(&mut tx, app.now(), by.actor(), (by.id, by.uid), Ending::Revoked).await?;
    tx.commit().await?;
    Ok(Json(Ended { ended }))
}

/// `POST /v1/users/{id}/sessions/revocation`: ends all of another's.
pub async fn revoke_all_of(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(user): Path<UserId>,
) -> Result<Json<Ended>, Problem> {
    let mut tx = app.db.write().await?;
    let user = managed(&mut tx, &by, user).await?;
    let ended = session::end_all(&mut tx, app.now(), by.actor(), (user.id, user.uid), Ending::Revoked).await?;
    tx.commit().await?;
    Ok(Json(Ended { ended }))
}

/// One's own new password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    current: String,
    new: String,
}

/// `POST /v1/password`: changes one's own password. All sessions end; the answer begins another.
pub async fn change_password(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    peer: Peer,
    headers: HeaderMap,
    Json(request): Json<OwnPassword>,
) -> Result<(StatusCode, Json<TokenAnswer>), Problem> {
    let mut tx = app.db.read().await?;
    let known = users::credentials_of(&mut tx, by.id).await?;
    drop(tx);
    let (login, old) = known.ok_or_else(Problem::unauthenticated)?;
    let guess = guesses::attempt(&app, ("password", Some(&login)), &peer)?;
    if !password::verify(&request.current, Some(old)).await {
        return Err(guess.wrong(Problem::new(Code::WrongPassword, "The current password is another.")));
    }
    guess.right();
    let hash = new_hash(&app, &login, &request.new).await?;
    let mut tx = app.db.write().await?;
    users::set_password(&mut tx, app.now(), by.actor(), (by.id, by.uid), &hash).await?;
    let opened = session::open(&mut tx, &app, (by.id, by.uid), (Method::Password, agent(&headers))).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(TokenAnswer::new(&app, &opened))))
}

/// Another's new password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    password: String,
}

/// `POST /v1/users/{id}/password`: gives somebody who forgot his another password.
pub async fn reset_password(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(user): Path<UserId>,
    Json(request): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.read().await?;
    let user = managed(&mut tx, &by, user).await?;
    drop(tx);
    let hash = new_hash(&app, &user.login, &request.password).await?;
    let mut tx = app.db.write().await?;
    users::set_password(&mut tx, app.now(), by.actor(), (user.id, user.uid), &hash).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The hash of a password that this login may have.
pub async fn new_hash(app: &App, login: &str, new: &str) -> Result<String, Problem> {
    let refused = |error: password::NotAPassword| Problem::validation(format!("{error}."));
    password::check(login, new).map_err(refused)?;
    password::hash(new, &app.rng).await.map_err(refused)
}
