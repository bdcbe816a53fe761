//! Getting in: login and password for people, enrolment and leases for phones.

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
use utoipa::ToSchema;

use super::signing_in::{TokenAnswer, agent};
use crate::app::App;
use crate::auth::device::{self, GrantError};
use crate::auth::enrolment::{self, Candidate, EnrolError};
use crate::auth::session::{self, Method};
use crate::auth::users::{self, Credentials};
use crate::auth::{guesses, lease, password};
use crate::http::extract::{Json, RawBody, parse_json};
use crate::http::peer::Peer;
use crate::http::problem::{Code, Problem};

/// Login and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "login": "amina", "password": "a lantern by the river" }))]
pub struct Login {
    #[schema(example = "amina")]
    login: String,
    password: String,
}

/// Signs in with login and password.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "sessions",
    request_body = Login,
    responses((status = 201, description = "The tokens.", body = TokenAnswer))
)]
pub async fn create_token(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<(StatusCode, Json<TokenAnswer>), Problem> {
    let known = check_login(&app, &login, &peer).await?;
    let mut tx = app.db.write().await?;
    let opened = session::open(&mut tx, &app, (known.id, known.uid), (Method::Password, agent(&headers))).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(TokenAnswer::new(&app, &opened))))
}

/// Whose login it is. Unknown, wrong and deactivated are the same answer after the same time.
async fn check_login(app: &App, Login { login, password }: &Login, peer: &Peer) -> Result<Credentials, Problem> {
    let guess = guesses::attempt(app, ("password", Some(login)), peer)?;
    let mut tx = app.db.read().await?;
    let known = users::credentials(&mut tx, login).await?;
    drop(tx);
    let hash = known.as_ref().map(|known| known.password_hash.clone());
    let fits = password::verify(password, hash).await;
    let Some(known) = known.filter(|known| fits && known.active) else {
        return Err(guess.wrong(Problem::new(Code::WrongLogin, "No active user has this login and password.")));
    };
    guess.right();
    if password::is_cheap(&known.password_hash) {
        let costlier = password::hash_again(password, &app.rng).await;
        let mut tx = app.db.write().await?;
        users::mend_password(&mut tx, known.id, (&known.password_hash, &costlier)).await?;
        tx.commit().await?;
    }
    Ok(known)
}

/// What anyone may know of this server.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeploymentInfo {
    deployment: DeploymentId,
    server_key: String,
}

/// Which deployment this is, and its public key.
#[utoipa::path(
    get,
    path = "/v1/deployment",
    tag = "sessions",
    responses((status = 200, description = "The deployment.", body = DeploymentInfo))
)]
pub async fn deployment(State(app): State<Arc<App>>) -> Json<DeploymentInfo> {
    Json(DeploymentInfo { deployment: app.deployment.id, server_key: server_key(&app) })
}

fn server_key(app: &App) -> String {
    URL_SAFE_NO_PAD.encode(app.keys.public().bytes.0)
}

/// What a phone sends to be enrolled.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "code": "7K2M-9QXD-4TRB", "device": "019cad21-cf00-7000-8000-c11e00000022",
    "install": "019cad21-cf00-7000-8000-c11e00000023", "public_key": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "platform": "Android 14",
}))]
pub struct EnrolmentRequest {
    code: String,
    device: DeviceId,
    install: InstallId,
    /// Ed25519, 32 bytes in base64url without padding.
    public_key: String,
    #[schema(max_length = 100, example = "Android 14")]
    platform: Option<String>,
}

/// What an enrolled phone is given.
#[derive(Debug, Serialize, ToSchema)]
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
#[derive(Debug, Serialize, ToSchema)]
pub struct EnrolledUser {
    id: UserId,
    name: String,
}

/// The longest `platform`, in characters.
const PLATFORM_MAX: usize = 100;

/// A phone with a code becomes a device.
///
/// The phone proves that it has the key's secret in `Daybook-Device`, for no deployment yet.
#[utoipa::path(
    post,
    path = "/v1/enrolments",
    tag = "phones",
    params(("Daybook-Device" = String, Header, description = "The device's signed proof of this request (CBOR in base64url).")),
    request_body = EnrolmentRequest,
    responses((status = 201, description = "What the phone is given.", body = Enrolment))
)]
pub async fn enrol(
    State(app): State<Arc<App>>,
    uri: Uri,
    peer: Peer,
    headers: HeaderMap,
    body: RawBody,
) -> Result<(StatusCode, Json<Enrolment>), Problem> {
    let proof = device::proof_of(&headers).ok_or_else(Problem::unauthenticated)?;
    let candidate = candidate(parse_json(&body.bytes)?)?;
    if !enrolment::proof_fits(&candidate, &proof, uri.path(), &body.bytes) {
        return Err(Problem::unauthenticated());
    }
    let guess = guesses::attempt(&app, ("enrolment_code", None), &peer)?;
    let now = app.now();
    let mut tx = app.db.write().await?;
    let enrolled = match enrolment::enrol(&mut tx, now, &app, &candidate).await {
        Err(EnrolError::UnknownCode) => return Err(guess.wrong(EnrolError::UnknownCode.into())),
        enrolled => {
            guess.right();
            enrolled?
        }
    };
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
#[derive(Debug, Serialize, ToSchema)]
pub struct LeaseAnswer {
    lease: String,
}

/// The user of a device logs in again after its lease has lapsed.
#[utoipa::path(
    post,
    path = "/v1/leases",
    tag = "phones",
    params(("Daybook-Device" = String, Header, description = "The device's signed proof of this request (CBOR in base64url).")),
    request_body = Login,
    responses((status = 201, description = "The lease.", body = LeaseAnswer))
)]
pub async fn create_lease(
    State(app): State<Arc<App>>,
    uri: Uri,
    peer: Peer,
    headers: HeaderMap,
    body: RawBody,
) -> Result<(StatusCode, Json<LeaseAnswer>), Problem> {
    let request = device::authenticate(&app, &headers, ("POST", uri.path()), &body.bytes).await?;
    let login: Login = parse_json(&body.bytes)?;
    let user = check_login(&app, &login, &peer).await?.uid;
    if user != request.device.user_uid {
        return Err(Problem::new(Code::Forbidden, "The device is another user's."));
    }
    let holder = request.device.holder().filter(|_| request.device.standing() == DeviceState::Ok);
    let holder = holder.ok_or_else(|| Problem::new(Code::DeviceRevoked, "The device was retired or reported lost."))?;
    Ok((StatusCode::CREATED, Json(LeaseAnswer { lease: lease::issue(&app, holder, app.now()) })))
}
