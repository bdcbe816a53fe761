//! Tokens, logins and scope, through the whole router on both engines.

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::ids::DeploymentId;
use daybook_shared::time::DAY_MS;
use daybook_shared::wire::sign::Signer;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::lease::{self, Holder, Lease};
use super::users::{self, Holding, NewUser};
use super::{Role, password, token};
use crate::app::App;
use crate::audit::Actor;
use crate::keys::{Identity, Keys, TokenKind};
use crate::testing::{TestServer, for_each_engine, sqlite};

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// What an attacker may try with a good token in his hands.
fn forgeries(good: &str, app: &App) -> Vec<(&'static str, String)> {
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let decoded: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let kid = decoded["kid"].as_str().unwrap();
    let mut other_claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    other_claims["exp"] = json!(9_999_999_999_i64);
    let none = encoded(&json!({ "alg": "none", "typ": "at+jwt", "kid": kid }));
    let mut hs = Header::new(Algorithm::HS256);
    (hs.typ, hs.kid) = (Some("at+jwt".to_owned()), Some(kid.to_owned()));
    let public = EncodingKey::from_secret(&app.keys.public().bytes.0);
    let hs256 = jsonwebtoken::encode(&hs, &other_claims, &public).unwrap();
    vec![
        ("alg none, no signature", format!("{none}.{claims}.")),
        ("alg none, old signature", format!("{none}.{claims}.{signature}")),
        ("a public key as a secret", hs256),
        ("other claims", format!("{header}.{}.{signature}", encoded(&other_claims))),
        ("no signature", format!("{header}.{claims}.")),
        ("two parts", format!("{header}.{claims}")),
        ("cut", good[..good.len() - 4].to_owned()),
        ("empty", String::new()),
        ("long", format!("{good}{}", "A".repeat(10_000))),
    ]
}

#[tokio::test]
async fn a_tampered_token_opens_nothing() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (user, good) = server.user("amina", Role::Admin, &root).await;
        assert_eq!(server.get("/v1/users", &good).await.status, StatusCode::OK);
        for (name, forged) in forgeries(&good, &server.app) {
            assert_eq!(server.get("/v1/users", &forged).await.status, StatusCode::UNAUTHORIZED, "{name}");
            assert_eq!(token::check(&server.app, &forged, server.now()), None, "{name}");
        }
        let phone = server.phone(&user).await;
        let lease = phone.enrolment["lease"].as_str().unwrap();
        assert_eq!(server.get("/v1/users", lease).await.status, StatusCode::UNAUTHORIZED, "a lease is no token");
    })
    .await;
}

#[tokio::test]
async fn a_token_of_another_key_or_deployment_opens_nothing() {
    let (server, other) = (sqlite(&[]).await, sqlite(&[]).await);
    let root = server.root().await;
    let (user, _) = server.user("amina", Role::Admin, &root).await;
    let foreign = other.token(&user);
    // The servers of tests draw the same keys from the same seed, so the deployment is set apart.
    let claims = json!({ "iss": DeploymentId::from([7; 16]), "sub": user.uid, "iat": 0, "exp": 9_999_999_999_i64 });
    let elsewhere = server.app.keys.encode(TokenKind::Access, &claims);
    assert_eq!(server.get("/v1/users", &elsewhere).await.status, StatusCode::UNAUTHORIZED);

    let dir = tempfile::tempdir().unwrap();
    let identity = Identity { deployment: server.app.deployment.id, is_test: true };
    let rng = crate::app::SharedRng::from_seed(99);
    let (keys, _) = rng.with(|rng| Keys::create(dir.path(), identity, rng)).unwrap();
    let claims = json!({ "iss": identity.deployment, "sub": user.uid, "iat": 0, "exp": 9_999_999_999_i64 });
    let other_key = keys.encode(TokenKind::Access, &claims);
    assert_eq!(server.get("/v1/users", &other_key).await.status, StatusCode::UNAUTHORIZED);
    assert!(!foreign.is_empty());
}

#[tokio::test]
async fn a_token_ends_after_fifteen_minutes() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (_, token) = server.user("amina", Role::Admin, &root).await;
    server.clock.advance_ms(15 * 60_000 - 1000);
    assert_eq!(server.get("/v1/users", &token).await.status, StatusCode::OK);
    server.clock.advance_ms(1000);
    assert_eq!(server.get("/v1/users", &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_lease_is_bound_to_its_device_and_lapses() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (user, _) = server.user("amina", Role::Officer, &root).await;
    let phone = server.phone(&user).await;
    let other = server.phone(&user).await;
    let good = phone.enrolment["lease"].as_str().unwrap();
    let holder = Holder { user: user.uid, device: phone.device, key: phone.signer.public().id() };
    let check = |text: &str, holder: Holder| lease::check(&server.app, text, holder, server.now());

    assert_eq!(check(good, holder), Lease::Valid { renew: false });
    assert_eq!(check(good, Holder { device: other.device, ..holder }), Lease::Invalid);
    assert_eq!(check(good, Holder { key: other.signer.public().id(), ..holder }), Lease::Invalid);
    assert_eq!(check(other.enrolment["lease"].as_str().unwrap(), holder), Lease::Invalid);
    assert_eq!(check(&server.token(&user), holder), Lease::Invalid);
    for (name, forged) in forgeries(good, &server.app) {
        assert_eq!(check(&forged, holder), Lease::Invalid, "{name}");
    }
    let half = u32::try_from(7 * DAY_MS).unwrap();
    server.clock.advance_ms(half);
    assert_eq!(check(good, holder), Lease::Valid { renew: true });
    server.clock.advance_ms(half);
    assert_eq!(check(good, holder), Lease::Lapsed);
    assert_eq!(check(good, Holder { device: other.device, ..holder }), Lease::Invalid);
}

async fn add_with_password(server: &TestServer, login: &str, secret: &str) -> users::UserRow {
    let root = server.root().await;
    let password_hash = password::hash(secret, &server.app.rng).await.unwrap();
    let mut tx = server.write().await;
    let by = (server.now(), &server.app.rng);
    let new = NewUser { login, name: "Somebody", password_hash };
    let user = users::create(&mut tx, by, Actor::OPERATOR, new).await.unwrap();
    let held = (Role::Admin, &root, Holding::Held);
    users::set_role(&mut tx, server.now(), Actor::OPERATOR, &user, held).await.unwrap();
    tx.commit().await.unwrap();
    user
}

async fn sign_in(server: &TestServer, login: &str, secret: &str) -> crate::testing::Answer {
    let body = json!({ "login": login, "password": secret });
    server.call(Method::POST, "/v1/tokens", None, Some(&body)).await
}

#[tokio::test]
async fn a_login_gives_a_token_and_a_wrong_one_says_nothing() {
    for_each_engine(async |server| {
        let user = add_with_password(server, "amina", "correct horse").await;
        let answer = sign_in(server, "amina", "correct horse").await;
        assert_eq!(answer.status, StatusCode::CREATED);
        let body = answer.json();
        assert_eq!((body["token_type"].as_str(), body["expires_in"].as_i64()), (Some("Bearer"), Some(900)));
        let token = body["access_token"].as_str().unwrap();
        assert_eq!(server.get("/v1/users", token).await.status, StatusCode::OK);

        let without_id = |answer: crate::testing::Answer| {
            let mut body = answer.json();
            body["request_id"] = Value::Null;
            (answer.status, body)
        };
        let wrong = without_id(sign_in(server, "amina", "incorrect horse").await);
        assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
        assert_eq!(without_id(sign_in(server, "nobody", "correct horse").await), wrong);

        let mut tx = server.write().await;
        users::deactivate(&mut tx, server.now(), Actor::OPERATOR, &user).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(server.get("/v1/users", token).await.status, StatusCode::UNAUTHORIZED, "at once");
        assert_eq!(without_id(sign_in(server, "amina", "correct horse").await), wrong);
    })
    .await;
}

#[tokio::test]
async fn who_guesses_has_to_wait() {
    let server = sqlite(&[]).await;
    add_with_password(&server, "amina", "correct horse").await;
    for _ in 0..5 {
        assert_eq!(sign_in(&server, "amina", "guess").await.code(), "wrong-login");
    }
    let answer = sign_in(&server, "amina", "correct horse").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"));
    assert_eq!(answer.headers["retry-after"], "61");
    server.clock.advance_ms(60_000);
    assert_eq!(sign_in(&server, "amina", "correct horse").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_admin_reaches_only_what_is_below_him() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (nairobi, mombasa) = (server.unit(&root, "Nairobi").await, server.unit(&root, "Mombasa").await);
        let (_, top) = server.user("top", Role::Admin, &root).await;
        let (_, local) = server.user("local", Role::Admin, &nairobi).await;
        let (near, _) = server.user("near", Role::Officer, &nairobi).await;
        let (far, _) = server.user("far", Role::Officer, &mombasa).await;

        let seen = async |token: &str, path: &str| -> Vec<String> {
            let body = server.get(path, token).await.json();
            let items = body["items"].as_array().unwrap();
            items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(seen(&top, "/v1/users").await, ["top", "local", "near", "far"]);
        assert_eq!(seen(&local, "/v1/users").await, ["local", "near"]);
        assert_eq!(seen(&local, "/v1/units").await, ["Nairobi"]);

        let deactivate = async |who: &users::UserRow| {
            let path = format!("/v1/users/{}/deactivation", who.uid);
            server.post(&path, &local, &Value::Null).await.status
        };
        assert_eq!(deactivate(&far).await, StatusCode::NOT_FOUND);
        let path = format!("/v1/users/{}/roles", near.uid);
        let upward = json!({ "role": "admin", "unit": root.uid, "held": true });
        assert_eq!(server.post(&path, &local, &upward).await.code(), "validation");
        // Who also works elsewhere is not his alone to dismiss.
        let outward = json!({ "role": "officer", "unit": mombasa.uid, "held": true });
        assert_eq!(server.post(&path, &top, &outward).await.status, StatusCode::NO_CONTENT);
        assert_eq!(deactivate(&near).await, StatusCode::NOT_FOUND);
        let back = json!({ "role": "officer", "unit": mombasa.uid, "held": false });
        assert_eq!(server.post(&path, &top, &back).await.status, StatusCode::NO_CONTENT);
        assert_eq!(deactivate(&near).await, StatusCode::NO_CONTENT);
    })
    .await;
}

#[tokio::test]
async fn a_user_is_made_over_rest_once_and_every_step_is_in_the_audit() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let (_, auditor) = server.user("auditor", Role::Auditor, &root).await;
        let roles = json!([{ "role": "officer", "unit": root.uid }]);
        let body = json!({ "login": "brian", "name": "Brian O.", "password": "correct horse", "roles": roles });
        let made = server.post("/v1/users", &admin, &body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        assert_eq!(server.post("/v1/users", &admin, &body).await.code(), "id-taken");
        for (field, wrong) in [("login", json!("B!")), ("password", json!("short")), ("roles", json!([]))] {
            let mut body = body.clone();
            body[field] = wrong;
            assert_eq!(server.post("/v1/users", &admin, &body).await.code(), "validation", "{field}");
        }
        let code = format!("/v1/users/{}/enrolment-codes", made.json()["id"].as_str().unwrap());
        let code = server.post(&code, &admin, &Value::Null).await.json();
        assert_eq!(code["code"].as_str().unwrap().len(), 14);

        let trail = server.get("/v1/audit?limit=3", &auditor).await.json();
        let actions: Vec<_> = trail["items"].as_array().unwrap().iter().map(|row| row["action"].clone()).collect();
        assert_eq!(actions, ["enrolment_code.issued", "user.role_given", "user.created"]);
        let text = trail.to_string();
        assert!(!text.contains(code["code"].as_str().unwrap()) && !text.contains("Brian") && !text.contains("horse"));
        let after = trail["next"].as_str().unwrap();
        let next = server.get(&format!("/v1/audit?limit=100&after={after}"), &auditor).await.json();
        assert!(next["next"].is_null());
        assert!(next["items"][0]["id"].as_i64() < trail["items"][2]["id"].as_i64());
    })
    .await;
}

#[tokio::test]
async fn roles_and_memberships_can_end_and_begin_again_on_a_clock_that_stands() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let new = json!({ "name": "Route 7", "audience": "officer", "unit": root.uid });
        let made = server.post("/v1/caseloads", &admin, &new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let members = format!("/v1/caseloads/{}/members", made.json()["id"].as_str().unwrap());
        let roles = format!("/v1/users/{}/roles", user.uid);
        for held in [true, true, false, true, false, true] {
            let member = json!({ "user": user.uid, "member": held });
            assert_eq!(server.post(&members, &admin, &member).await.status, StatusCode::NO_CONTENT);
            let listed = server.get("/v1/caseloads", &admin).await.json();
            assert_eq!(listed["items"][0]["members"], if held { json!([user.uid]) } else { json!([]) });
            let role = json!({ "role": "officer", "unit": root.uid, "held": held });
            assert_eq!(server.post(&roles, &admin, &role).await.status, StatusCode::NO_CONTENT);
            let listed = server.get("/v1/users", &admin).await.json();
            let of = listed["items"].as_array().unwrap().iter().find(|item| item["login"] == "amina");
            assert_eq!(of.unwrap()["roles"].as_array().unwrap().len(), usize::from(held));
        }
    })
    .await;
}

#[test]
fn nobody_decides_on_his_own_work() {
    assert!(super::two_people(1, 2).is_ok());
    assert_eq!(super::two_people(1, 1).unwrap_err().code(), crate::http::problem::Code::SamePerson);
}

#[test]
fn a_signer_says_nothing_of_its_secret() {
    let signer = Signer::from_seed(&[7; 32]);
    assert!(!format!("{signer:?}").contains("07070707"));
}
