//! An identity provider in this process that does as it is told.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use daybook_shared::ids::sha256;
use daybook_shared::time::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub const CLIENT_ID: &str = "daybook & co";
pub const SECRET: &str = "s3cret: +/%";
/// PKCS #8 in front of an Ed25519 seed.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// What it can sign with; RS256 is what most providers do.
pub const ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::PS256];

/// What it does when it is asked for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Good,
    UnverifiedEmail,
    OtherSubject,
    WrongNonce,
    NoNonce,
    WrongAudience,
    WrongIssuer,
    Expired,
    NotYet,
    /// `alg: none`, without a signature.
    Unsigned,
    /// HS256 with what is public of the key.
    PublicKeyAsSecret,
    /// A published key's id, another's signature.
    ForgedSignature,
    UnknownKey,
    NoToken,
    Html,
    Huge,
    ServerError,
}

impl Doing {
    pub const REFUSED: &[Self] = &[
        Self::OtherSubject,
        Self::WrongNonce,
        Self::NoNonce,
        Self::WrongAudience,
        Self::WrongIssuer,
        Self::Expired,
        Self::NotYet,
        Self::Unsigned,
        Self::PublicKeyAsSecret,
        Self::ForgedSignature,
        Self::UnknownKey,
    ];
    pub const BROKEN: &[Self] = &[Self::NoToken, Self::Html, Self::Huge, Self::ServerError];
}

struct Asked {
    parameters: HashMap<String, String>,
    at: Timestamp,
}

struct Sign {
    doing: Doing,
    algorithm: Algorithm,
    /// What was asked for with each code.
    codes: HashMap<String, Asked>,
    asked_for_keys: u32,
    number: u32,
}

pub struct Stub {
    pub issuer: String,
    state: Arc<Shared>,
}

struct Shared {
    issuer: String,
    sign: Mutex<Sign>,
}

impl Sign {
    fn new(number: u32) -> Self {
        Self { doing: Doing::Good, algorithm: ALGORITHMS[0], codes: HashMap::new(), asked_for_keys: 0, number }
    }
}

impl Stub {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Shared { issuer: issuer.clone(), sign: Mutex::new(Sign::new(0)) });
        let endless = || {
            let chunks = futures_util::stream::repeat(Ok::<_, Infallible>(vec![b' '; 16 * 1024]));
            Body::from_stream(chunks)
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/slow", get(std::future::pending::<StatusCode>))
            .route("/huge", get(|| async { vec![b' '; 1 << 20] }))
            .route("/endless", get(move || async move { endless() }))
            .route("/elsewhere", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/keys")]) }))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, state }
    }

    pub fn reset(&self) {
        let mut sign = self.state.sign.lock().unwrap();
        *sign = Sign::new(sign.number);
    }

    pub fn set(&self, doing: Doing) {
        self.state.sign.lock().unwrap().doing = doing;
    }

    pub fn sign_with(&self, algorithm: Algorithm) {
        self.state.sign.lock().unwrap().algorithm = algorithm;
    }

    pub fn asked_for_keys(&self) -> u32 {
        self.state.sign.lock().unwrap().asked_for_keys
    }

    /// A token that an app of its own got, which says besides what every token says.
    pub fn token(&self, doing: Doing, more: &Value, at: Timestamp) -> String {
        let algorithm = self.state.sign.lock().unwrap().algorithm;
        id_token(&self.issuer, (doing, algorithm), None, more, at.seconds())
    }

    /// The person says yes: a code, and the state that goes back with it.
    pub fn authorize(&self, url: &str, at: Timestamp) -> (String, String) {
        let url = reqwest::Url::parse(url).unwrap();
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        for (name, value) in [("response_type", "code"), ("client_id", CLIENT_ID), ("code_challenge_method", "S256")] {
            assert_eq!(asked[name], value);
        }
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
        let mut sign = self.state.sign.lock().unwrap();
        sign.number += 1;
        let (code, state) = (format!("code-{}", sign.number), asked["state"].clone());
        sign.codes.insert(code.clone(), Asked { parameters: asked, at });
        (code, state)
    }
}

async fn metadata(State(stub): State<Arc<Shared>>) -> Json<Value> {
    let issuer = &stub.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "code_challenge_methods_supported": ["plain", "S256"],
    }))
}

fn encoding(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_der(include_bytes!("ec.der")),
        Algorithm::EdDSA => EncodingKey::from_ed_der(&[PKCS8_ED25519.as_slice(), &[7; 32]].concat()),
        _ => EncodingKey::from_rsa_der(include_bytes!("rsa.der")),
    }
}

fn jwk(algorithm: Algorithm) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(&encoding(algorithm), algorithm).unwrap();
    jwk.common.key_id = Some(format!("key-{algorithm:?}"));
    jwk
}

async fn keys(State(stub): State<Arc<Shared>>) -> Json<Value> {
    let mut sign = stub.sign.lock().unwrap();
    sign.asked_for_keys += 1;
    // A kind that nobody knows, and one of another algorithm, beside the one that signs.
    let strange = json!({ "kty": "X-NEW", "kid": "strange" });
    Json(json!({ "keys": [strange, jwk(sign.algorithm)] }))
}

async fn token(State(stub): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let sent = reqwest::Url::parse(&format!("form:?{body}")).unwrap();
    let sent: HashMap<String, String> = sent.query_pairs().into_owned().collect();
    let basic = headers[header::AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap();
    let basic = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
    assert_eq!(basic, "daybook+%26+co:s3cret%3A+%2B%2F%25", "form-encoded, as RFC 6749 says");
    let mut sign = stub.sign.lock().unwrap();
    let asked = sign.codes.remove(&sent["code"]);
    let verified = asked.filter(|Asked { parameters: asked, .. }| {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(&[sent["code_verifier"].as_bytes()]));
        challenge == asked["code_challenge"]
            && sent["redirect_uri"] == asked["redirect_uri"]
            && sent["grant_type"] == "authorization_code"
    });
    let Some(asked) = verified else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    match sign.doing {
        Doing::NoToken => Json(json!({ "access_token": "x" })).into_response(),
        Doing::Html => "<html>".into_response(),
        Doing::Huge => vec![b' '; 1 << 20].into_response(),
        Doing::ServerError => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        doing => {
            let nonce = Some(asked.parameters["nonce"].as_str());
            let token = id_token(&stub.issuer, (doing, sign.algorithm), nonce, &Value::Null, asked.at.seconds());
            Json(json!({ "id_token": token, "token_type": "Bearer", "access_token": "x" })).into_response()
        }
    }
}

fn id_token(
    issuer: &str,
    (doing, algorithm): (Doing, Algorithm),
    nonce: Option<&str>,
    more: &Value,
    now: i64,
) -> String {
    let mut claims = json!({
        "iss": issuer, "sub": "subject-1", "aud": CLIENT_ID, "nonce": nonce, "iat": now, "exp": now + 300,
        "email": "Amina@example.com", "email_verified": true,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    match doing {
        Doing::UnverifiedEmail => claims["email_verified"] = json!(false),
        Doing::OtherSubject => claims["sub"] = json!("subject-2"),
        Doing::WrongNonce => claims["nonce"] = json!("another"),
        Doing::NoNonce => claims["nonce"] = Value::Null,
        Doing::WrongAudience => claims["aud"] = json!("another"),
        Doing::WrongIssuer => claims["iss"] = json!("https://evil.example"),
        Doing::Expired => (claims["iat"], claims["exp"]) = (json!(now - 400), json!(now - 100)),
        Doing::NotYet => claims["iat"] = json!(now + 300),
        _ => {}
    }
    let kid = match doing {
        Doing::UnknownKey => "key-of-tomorrow".to_owned(),
        _ => format!("key-{algorithm:?}"),
    };
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.clone());
    match doing {
        Doing::Unsigned => format!("{}.{}.", encoded(&json!({ "alg": "none", "kid": kid })), encoded(&claims)),
        Doing::PublicKeyAsSecret => {
            let public = serde_json::to_vec(&jwk(algorithm)).unwrap();
            header.alg = Algorithm::HS256;
            jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&public)).unwrap()
        }
        Doing::ForgedSignature => {
            let good = jsonwebtoken::encode(&header, &claims, &encoding(algorithm)).unwrap();
            let (front, _) = good.rsplit_once('.').unwrap();
            let other = jsonwebtoken::encode(&header, &json!({ "other": 1 }), &encoding(algorithm)).unwrap();
            format!("{front}.{}", other.rsplit_once('.').unwrap().1)
        }
        _ => jsonwebtoken::encode(&header, &claims, &encoding(algorithm)).unwrap(),
    }
}
