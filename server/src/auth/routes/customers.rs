//! Customers sign in: by a one-time code that goes to their phone, or with the login of a shop's app.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::signing_in::{TokenAnswer, agent};
use crate::app::App;
use crate::auth::oidc::SignInError;
use crate::auth::one_time::{self, Phone, Proof};
use crate::auth::session::Opened;
use crate::auth::{customer_sign_in, guesses};
use crate::http::extract::Json;
use crate::http::layers::accepted_language;
use crate::http::peer::Peer;
use crate::http::problem::{Code, Problem};
use crate::messages;

/// Where a code is to go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "phone": "+254712345678" }))]
pub struct CodeRequest {
    /// International form.
    #[schema(example = "+254712345678")]
    phone: String,
}

/// What is answered to everybody alike.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "resend_after": 60, "expires_in": 300 }))]
pub struct CodeAsked {
    /// Seconds until another may be asked for.
    resend_after: i64,
    /// Seconds it is good for.
    expires_in: i64,
}

/// Asks for a one-time code, which goes to this number within limits.
///
/// The answer is always the same: it says neither whether a code went out nor whose the number is. The code's
/// message is in the language that `Accept-Language` asks for.
#[utoipa::path(
    post,
    path = "/v1/sessions/codes",
    tag = "sessions",
    request_body = CodeRequest,
    responses((status = 202, description = "A code goes out, if one may.", body = CodeAsked))
)]
pub async fn ask_code(
    State(app): State<Arc<App>>,
    peer: Peer,
    Json(request): Json<CodeRequest>,
) -> Result<(StatusCode, Json<CodeAsked>), Problem> {
    let phone = phone(&app, &request.phone)?;
    if app.messages.is_none() {
        return Err(Problem::new(Code::NotFound, "Nobody signs in by a code here: no gateway of messages is set up."));
    }
    if let Some(address) = peer.name() {
        let too_many = |seconds| {
            Problem::new(Code::TooManyRequests, "Too many codes were asked for; wait a minute.").retry_after(seconds)
        };
        app.code_requests.attempt(&address, app.now()).map_err(too_many)?;
    }
    let mut tx = app.db.write().await?;
    let message = one_time::ask(&mut tx, &app, &phone, accepted_language()).await?;
    tx.commit().await?;
    if let Some(message) = message {
        messages::send_now(&app, message).await;
    }
    let asked = CodeAsked { resend_after: one_time::RESEND_S, expires_in: app.settings.sign_in_code_minutes * 60 };
    Ok((StatusCode::ACCEPTED, Json(asked)))
}

/// The phone number a customer wrote.
pub fn phone(app: &App, text: &str) -> Result<Phone, Problem> {
    let refused = || {
        let detail = "A phone number begins with + and the country's code, and has 8 to 15 digits: +254712345678.";
        Problem::invalid("/phone", "shape", detail)
    };
    Phone::parse(app, text).ok_or_else(refused)
}

/// Number and code, or an identity token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "phone": "+254712345678", "code": "012345" }))]
pub struct CustomerSignIn {
    /// The number that the code went to.
    #[schema(example = "+254712345678")]
    phone: Option<String>,
    /// The one-time code.
    #[schema(example = "012345")]
    code: Option<String>,
    /// In their place: an identity token (OpenID Connect) of the shop's app, made just now.
    provider_token: Option<String>,
}

/// A customer signs in with a phone number and the one-time code that went to it, or with an identity token of a
/// shop's app. Who comes for the first time becomes a customer.
#[utoipa::path(
    post,
    path = "/v1/sessions",
    tag = "sessions",
    request_body = CustomerSignIn,
    responses((status = 201, description = "The tokens.", body = TokenAnswer))
)]
pub async fn sign_in(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Json(request): Json<CustomerSignIn>,
) -> Result<(StatusCode, Json<TokenAnswer>), Problem> {
    let agent = agent(&headers);
    let opened = match request {
        CustomerSignIn { phone: Some(text), code: Some(code), provider_token: None } => {
            let phone = phone(&app, &text)?;
            by_code(&app, &peer, (&phone, &code), agent).await?
        }
        CustomerSignIn { phone: None, code: None, provider_token: Some(token) } => {
            by_token(&app, &peer, &token, agent).await?
        }
        _ => return Err(Problem::validation("It has phone and code, or provider_token.")),
    };
    Ok((StatusCode::CREATED, Json(TokenAnswer::new(&app, &opened))))
}

/// Whether somebody has the newest code of a number; he may try it so often.
pub async fn proved(app: &App, peer: &Peer, (phone, code): (&Phone, &str)) -> Result<Proof, Problem> {
    let guess = guesses::attempt(app, ("one_time_code", Some(phone.as_str())), peer)?;
    match one_time::prove(app, phone, code).await? {
        Some(proof) => {
            guess.right();
            Ok(proof)
        }
        None => Err(guess.wrong(not_the_code())),
    }
}

/// It is not, or no longer, the code of its number.
pub fn not_the_code() -> Problem {
    let detail = "The code is another one, was used or tried too often, or its time is over: ask for a new one.";
    Problem::new(Code::SignInCodeRefused, detail)
}

async fn by_code(
    app: &App,
    peer: &Peer,
    (phone, code): (&Phone, &str),
    agent: Option<&str>,
) -> Result<Opened, Problem> {
    let proof = proved(app, peer, (phone, code)).await?;
    let mut tx = app.db.write().await?;
    if !one_time::spend(&mut tx, &proof).await? {
        return Err(not_the_code());
    }
    let opened = customer_sign_in::by_number(&mut tx, app, phone, agent).await?;
    tx.commit().await?;
    Ok(opened)
}

async fn by_token(app: &App, peer: &Peer, token: &str, agent: Option<&str>) -> Result<Opened, Problem> {
    let provider = app.customer_oidc.as_ref();
    let provider = provider.ok_or_else(|| Problem::new(Code::NotFound, "No login of an app is set up here."))?;
    let guess = guesses::attempt(app, ("identity_token", None), peer)?;
    let person = match provider.person(token, app.now()).await {
        Ok(person) => person,
        Err(error @ (SignInError::Fetch(_) | SignInError::JustFailed)) => {
            guess.undecided();
            return Err(error.into());
        }
        Err(error) => {
            tracing::warn!(%error, "a customer's identity token is refused");
            return Err(guess.wrong(customer_sign_in::refused()));
        }
    };
    let mut tx = app.db.write().await?;
    match customer_sign_in::by_provider(&mut tx, app, (provider.issuer(), &person), agent).await {
        Ok(opened) => {
            tx.commit().await?;
            guess.right();
            Ok(opened)
        }
        Err(problem) if problem.code() == Code::SignInRefused => Err(guess.wrong(problem)),
        Err(problem) => {
            guess.undecided();
            Err(problem)
        }
    }
}
