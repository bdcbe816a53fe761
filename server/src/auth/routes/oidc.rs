//! Sign-in with an identity provider: the way out to it and the way back. And this server's own keys, for
//! who verifies its tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use super::signing_in::{TokenAnswer, agent};
use crate::app::App;
use crate::auth::guesses;
use crate::auth::oidc::browser::{self, Browser};
use crate::auth::oidc::{Provider, SignInError, link};
use crate::auth::session::{self, Method};
use crate::http::extract::{Json, Query};
use crate::http::peer::Peer;
use crate::http::problem::{Code, Problem};

/// The keys that access tokens are signed with, or will be soon (RFC 7517).
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "sessions",
    responses((status = 200, description = "The public keys.", body = Object))
)]
pub async fn jwks(State(app): State<Arc<App>>) -> impl IntoResponse {
    let keys: Json<Value> = Json(app.keys.access.jwks(app.now()));
    ([(header::CACHE_CONTROL, "public, max-age=60")], keys)
}

fn provider(app: &App) -> Result<&Provider, Problem> {
    app.oidc.as_ref().ok_or_else(|| Problem::new(Code::NotFound, "No identity provider is set up here."))
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Fetch(_) | SignInError::JustFailed => {
                tracing::warn!(%error, "nobody can sign in with the identity provider");
                Self::unavailable("The identity provider cannot be asked now.")
            }
            SignInError::Code | SignInError::IdToken(_) => {
                tracing::warn!(%error, "a sign-in with the identity provider is refused");
                refused()
            }
        }
    }
}

fn refused() -> Problem {
    Problem::new(Code::SignInRefused, "The sign-in is not one that was begun here, or is nobody's who may sign in.")
}

/// Sends a browser to the identity provider.
#[utoipa::path(
    get,
    path = "/v1/oidc/start",
    tag = "sessions",
    responses((status = 303, description = "To the provider, with a cookie for the way back."))
)]
pub async fn start(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let (provider, now) = (provider(&app)?, app.now());
    let browser = app.rng.with(|rng| Browser::new(now, rng));
    let location = provider.authorization_url(&browser, now).await?;
    let cookie = cookie(provider, &browser.text(), browser::SECONDS);
    let location = HeaderValue::from_str(&location).map_err(|error| Problem::internal(&error))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::SET_COOKIE, cookie)]).into_response())
}

/// What the provider sends a browser back with.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Callback {
    /// What the browser was sent with.
    state: String,
    /// What the provider gives for the person.
    code: Option<String>,
    /// Why it gives nothing.
    error: Option<String>,
    /// Which provider it is (RFC 9207).
    iss: Option<String>,
}

/// A browser comes back from the identity provider, with the cookie it was sent with; the answer is that of a
/// login.
#[utoipa::path(
    get,
    path = "/v1/oidc/callback",
    tag = "sessions",
    params(Callback),
    responses((status = 201, description = "The tokens.", body = TokenAnswer))
)]
pub async fn callback(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    callback: Result<Query<Callback>, Problem>,
) -> Result<Response, Problem> {
    let provider = provider(&app)?;
    let Query(Callback { state, code, error, iss }) = callback?;
    let guess = guesses::attempt(&app, ("identity_provider", None), &peer)?;
    let now = app.now();
    let browser = kept(provider, &headers).and_then(|text| Browser::parse(text, now));
    let Some(browser) = browser.filter(|browser| browser.state() == state) else { return Err(guess.wrong(refused())) };
    // Another provider's answer (RFC 9207), or a refusal by this one.
    let code = code.filter(|_| error.is_none() && iss.as_deref().is_none_or(|iss| iss == provider.issuer()));
    let Some(code) = code else { return Err(guess.wrong(refused())) };
    let person = match provider.redeem(&code, &browser, now).await {
        Ok(person) => person,
        Err(error @ (SignInError::Fetch(_) | SignInError::JustFailed)) => {
            guess.undecided();
            return Err(error.into());
        }
        Err(error) => return Err(guess.wrong(error.into())),
    };
    let mut tx = app.db.write().await?;
    let issuer = (provider.issuer(), provider.first_link());
    let Some(user) = link::resolve(&mut tx, now, issuer, &person).await? else { return Err(guess.wrong(refused())) };
    let opened = session::open(&mut tx, &app, (user.id, user.uid), (Method::Provider, agent(&headers))).await?;
    tx.commit().await?;
    guess.right();
    let gone = [(header::SET_COOKIE, cookie(provider, "", 0))];
    Ok((StatusCode::CREATED, gone, Json(TokenAnswer::new(&app, &opened))).into_response())
}

/// The cookie's name: with `__Host-` no other host, and nobody on the way, can set it.
fn cookie_name(provider: &Provider) -> &'static str {
    if provider.is_encrypted() { "__Host-daybook-oidc" } else { "daybook-oidc" }
}

fn cookie(provider: &Provider, value: &str, seconds: i64) -> HeaderValue {
    let secure = if provider.is_encrypted() { "; Secure" } else { "" };
    let name = cookie_name(provider);
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).expect("base64 and words of ours")
}

fn kept<'a>(provider: &Provider, headers: &'a HeaderMap) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie_name(provider)).map(|(_, value)| value)
}
