//! Getting in: access tokens for people, enrolment and leases for phones.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::cbor;
use daybook_shared::ids::{DeploymentId, DeviceId, Hash, InstallId, UserId};
use daybook_shared::money::Currency;
use daybook_shared::time::Timestamp;
use daybook_shared::wire::sign::{Algorithm, DeviceState, PublicKey};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::auth::device::{self, GrantError};
use crate::auth::enrolment::{self, Candidate, EnrolError};
use crate::auth::{lease, password, token, users};
use crate::http::extract::{Json, RawBody, parse_json};
use crate::http::problem::{Code, Problem};

/// Login and password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    login: String,
    password: String,
}

/// An access token.
#[derive(Debug, Serialize)]
pub struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
}

/// `POST /v1/tokens`: an access token for a login.
pub async fn create_token(
    State(app): State<Arc<App>>,
    Json(login): Json<Login>,
) -> Result<(StatusCode, Json<TokenAnswer>), Problem> {
    let user = check_login(&app, &login).await?;
    let access_token = token::issue(&app, user, app.now());
    let token = TokenAnswer { access_token, token_type: "Bearer", expires_in: token::SECONDS };
    Ok((StatusCode::CREATED, Json(token)))
}

/// Whose login it is. Unknown, wrong and deactivated are the same answer after the same time.
async fn check_login(app: &App, Login { login, password }: &Login) -> Result<UserId, Problem> {
    app.throttle.attempt(login, app.now()).map_err(|seconds| {
        Problem::new(Code::TooManyRequests, "Too many attempts on this login; wait a minute.").retry_after(seconds)
    })?;
    let mut tx = app.db.read().await?;
    let known = users::credentials(&mut tx, login).await?;
    drop(tx);
    let hash = known.as_ref().map(|known| known.password_hash.clone());
    let fits = password::verify(password, hash).await;
    match known {
        Some(known) if fits && known.active => {
            app.throttle.forgive(login);
            Ok(known.uid)
        }
        _ => Err(Problem::new(Code::WrongLogin, "No active user has this login and password.")),
    }
}

/// What anyone may know of this server.
#[derive(Debug, Serialize)]
pub struct DeploymentInfo {
    deployment: DeploymentId,
    server_key: String,
}

/// `GET /v1/deployment`.
pub async fn deployment(State(app): State<Arc<App>>) -> Json<DeploymentInfo> {
    Json(DeploymentInfo { deployment: app.deployment.id, server_key: server_key(&app) })
}

fn server_key(app: &App) -> String {
    URL_SAFE_NO_PAD.encode(app.keys.public().bytes.0)
}

/// What a phone sends to be enrolled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequest {
    code: String,
    device: DeviceId,
    install: InstallId,
    public_key: String,
    platform: Option<String>,
}

/// What an enrolled phone is given.
#[derive(Debug, Serialize)]
pub struct Enrolment {
    deployment: DeploymentId,
    epoch: String,
    user: EnrolledUser,
    server_key: String,
    envelope_key: String,
    lease: String,
    certificate: String,
    receipt_block: String,
    zone: String,
    currency: Currency,
    now: Timestamp,
}

/// Whose phone it is.
#[derive(Debug, Serialize)]
pub struct EnrolledUser {
    id: UserId,
    name: String,
}

/// The longest `platform`, in characters.
const PLATFORM_MAX: usize = 100;

/// `POST /v1/enrolments`: a phone with a code becomes a device.
pub async fn enrol(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: RawBody,
) -> Result<(StatusCode, Json<Enrolment>), Problem> {
    let proof = device::proof_of(&headers).ok_or_else(Problem::unauthenticated)?;
    let candidate = candidate(parse_json(&body.bytes)?)?;
    if !enrolment::proof_fits(&candidate, &proof, uri.path(), &body.bytes) {
        return Err(Problem::unauthenticated());
    }
    let now = app.now();
    let mut tx = app.db.write().await?;
    let enrolled = enrolment::enrol(&mut tx, now, &app, &candidate).await?;
    tx.commit().await?;
    let enrolment = Enrolment {
        deployment: app.deployment.id,
        epoch: app.epoch().to_string(),
        user: EnrolledUser { id: enrolled.device.user_uid, name: enrolled.user_name },
        server_key: server_key(&app),
        envelope_key: URL_SAFE_NO_PAD.encode(app.keys.envelope_public()),
        lease: enrolled.lease,
        certificate: URL_SAFE_NO_PAD.encode(cbor::to_vec(&enrolled.certificate)),
        receipt_block: URL_SAFE_NO_PAD.encode(cbor::to_vec(&enrolled.receipt_block)),
        zone: app.settings.zone.name().to_owned(),
        currency: app.settings.currency,
        now,
    };
    Ok((StatusCode::CREATED, Json(enrolment)))
}

fn candidate(request: EnrolmentRequest) -> Result<Candidate, Problem> {
    let EnrolmentRequest { code, device, install, public_key, platform } = request;
    let bytes = URL_SAFE_NO_PAD.decode(&public_key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let bytes = bytes.ok_or_else(|| Problem::validation("public_key is 32 bytes in base64url without padding."))?;
    if platform.as_ref().is_some_and(|platform| platform.chars().count() > PLATFORM_MAX) {
        return Err(Problem::validation(format!("platform has at most {PLATFORM_MAX} characters.")));
    }
    let key = PublicKey { algorithm: Algorithm::Ed25519, bytes: Hash(bytes) };
    Ok(Candidate { code, device, install, key, platform })
}

impl From<EnrolError> for Problem {
    fn from(error: EnrolError) -> Self {
        let detail = format!("{error}.");
        let code = match error {
            EnrolError::Sql(error) | EnrolError::Grant(GrantError::Sql(error)) => return error.into(),
            EnrolError::UnknownCode => Code::CodeUnknown,
            EnrolError::Expired => Code::CodeExpired,
            EnrolError::CodeUsed => Code::CodeUsed,
            EnrolError::DeviceTaken => Code::IdTaken,
            EnrolError::Revoked => Code::DeviceRevoked,
            EnrolError::Grant(GrantError::TooManyInstalls | GrantError::SeriesUsedUp) => Code::Conflict,
        };
        Self::new(code, detail)
    }
}

/// A device's new lease.
#[derive(Debug, Serialize)]
pub struct LeaseAnswer {
    lease: String,
}

/// `POST /v1/leases`: the user of a device logs in again after its lease has lapsed.
pub async fn create_lease(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: RawBody,
) -> Result<(StatusCode, Json<LeaseAnswer>), Problem> {
    let request = device::authenticate(&app, &headers, ("POST", uri.path()), &body.bytes).await?;
    let login: Login = parse_json(&body.bytes)?;
    let user = check_login(&app, &login).await?;
    if user != request.device.user_uid {
        return Err(Problem::new(Code::Forbidden, "The device is another user's."));
    }
    let holder = request.device.holder().filter(|_| request.device.standing() == DeviceState::Ok);
    let holder = holder.ok_or_else(|| Problem::new(Code::DeviceRevoked, "The device was retired or reported lost."))?;
    Ok((StatusCode::CREATED, Json(LeaseAnswer { lease: lease::issue(&app, holder, app.now()) })))
}
