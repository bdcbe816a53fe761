//! Sign-ins through the whole router, on both engines: refresh, theft, ends, limits.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use daybook_shared::time::DAY_MS;
use serde_json::{Value, json};

use super::session::GRACE_MS;
use super::users::{self, Holding, NewUser, UserRow};
use super::{Role, password, session};
use crate::audit::Actor;
use crate::http::peer::Remote;
use crate::on_db;
use crate::testing::{Answer, TestServer, for_each_engine, sqlite};

const PASSWORD: &str = "mvua kubwa sana";

async fn person(server: &TestServer, login: &str, role: Role) -> UserRow {
    let root = server.root().await;
    let password_hash = password::hash(PASSWORD, &server.app.rng).await.unwrap();
    let mut tx = server.write().await;
    let new = NewUser { login, name: login, password_hash };
    let user = users::create(&mut tx, (server.now(), &server.app.rng), Actor::OPERATOR, new).await.unwrap();
    users::set_role(&mut tx, server.now(), Actor::OPERATOR, &user, (role, &root, Holding::Held)).await.unwrap();
    tx.commit().await.unwrap();
    user
}

async fn public(server: &TestServer, path: &str, body: &Value) -> Answer {
    server.call(Method::POST, path, None, Some(body)).await
}

async fn sign_in(server: &TestServer, login: &str) -> Tokens {
    let answer = public(server, "/v1/tokens", &json!({ "login": login, "password": PASSWORD })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
    Tokens::of(&answer)
}

#[derive(Debug, Clone, PartialEq)]
struct Tokens {
    access: String,
    refresh: String,
    session: String,
}

impl Tokens {
    fn of(answer: &Answer) -> Self {
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name} of {body}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), session: text("session") }
    }
}

async fn refresh(server: &TestServer, token: &str) -> Answer {
    public(server, "/v1/tokens/refresh", &json!({ "refresh_token": token })).await
}

async fn lets_in(server: &TestServer, access: &str) -> bool {
    match server.get("/v1/sessions", access).await.status {
        StatusCode::OK => true,
        StatusCode::UNAUTHORIZED => false,
        other => panic!("{other}"),
    }
}

async fn actions(server: &TestServer) -> Vec<String> {
    let sql = "select action from audit order by id desc limit 3";
    on_db!(&mut server.read().await, conn => sqlx::query_scalar(sql).fetch_all(conn).await).unwrap()
}

#[tokio::test]
async fn a_refresh_token_is_spent_by_its_use_and_gives_the_next() {
    for_each_engine(async |server| {
        person(server, "amina", Role::Supervisor).await;
        let first = sign_in(server, "amina").await;
        let mut tokens = first.clone();
        for _ in 0..4 {
            server.clock.advance_ms(10 * 60_000);
            let answer = refresh(server, &tokens.refresh).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
            let next = Tokens::of(&answer);
            assert!(next.refresh != tokens.refresh && next.session == first.session);
            tokens = next;
        }
        assert!(lets_in(server, &tokens.access).await);
        assert!(!lets_in(server, &first.access).await, "an access token lives for minutes");
        for garbage in ["", "dbr_x", &first.access, &tokens.refresh[..40], "\u{202e}"] {
            assert_eq!(refresh(server, garbage).await.code(), "session-over");
        }
        assert!(lets_in(server, &tokens.access).await);
    })
    .await;
}

/// Goal: of two who hold a token, whoever stole it, at most one goes on and not for long.
#[tokio::test]
async fn a_spent_token_that_comes_again_ends_the_session_and_its_tokens() {
    for_each_engine(async |server| {
        person(server, "amina", Role::Supervisor).await;
        let first = sign_in(server, "amina").await;
        let other = sign_in(server, "amina").await;
        let second = Tokens::of(&refresh(server, &first.refresh).await);
        let third = Tokens::of(&refresh(server, &second.refresh).await);
        assert_eq!(refresh(server, &first.refresh).await.code(), "session-over");
        assert_eq!(actions(server).await[0], "session.ended");
        assert_eq!(refresh(server, &third.refresh).await.code(), "session-over");
        for tokens in [&first, &second, &third] {
            assert!(!lets_in(server, &tokens.access).await, "access tokens end with it");
        }
        assert!(lets_in(server, &other.access).await, "another sign-in is another family");
        assert_eq!(refresh(server, &other.refresh).await.status, StatusCode::CREATED);
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_is_given_again_while_its_token_was_never_used_and_for_two_minutes() {
    for_each_engine(async |server| {
        person(server, "amina", Role::Supervisor).await;
        let first = sign_in(server, "amina").await;
        let second = Tokens::of(&refresh(server, &first.refresh).await);
        server.clock.advance_ms(u32::try_from(GRACE_MS).unwrap());
        let again = Tokens::of(&refresh(server, &first.refresh).await);
        assert_eq!((&again.refresh, &again.session), (&second.refresh, &second.session));

        // Two tabs at once: both have the same next one.
        let both = tokio::join!(refresh(server, &second.refresh), refresh(server, &second.refresh));
        assert_eq!(Tokens::of(&both.0).refresh, Tokens::of(&both.1).refresh);
        let third = Tokens::of(&both.0);
        server.clock.advance_ms(u32::try_from(GRACE_MS + 1).unwrap());
        assert_eq!(refresh(server, &second.refresh).await.code(), "session-over", "too late");
        assert_eq!(refresh(server, &third.refresh).await.code(), "session-over", "and so it is over");
    })
    .await;
}

#[tokio::test]
async fn what_ends_a_session_ends_its_tokens_at_once() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let amina = person(server, "amina", Role::Supervisor).await;
        let gives = json!({ "role": "cashier", "unit": root.uid, "held": true });
        let takes = json!({ "role": "cashier", "unit": root.uid, "held": false });
        let user = |rest: &str| format!("/v1/users/{}/{rest}", amina.uid);
        let session = |tokens: &Tokens| format!("/v1/sessions/{}/revocation", tokens.session);
        assert_eq!(server.post(&user("roles"), &admin, &gives).await.status, StatusCode::NO_CONTENT);

        let ends = async |name: &str, path: String, by: Option<&str>, body: Value| {
            let tokens = sign_in(server, "amina").await;
            assert!(lets_in(server, &tokens.access).await);
            let path = if path.is_empty() { session(&tokens) } else { path };
            let token = by.unwrap_or(&tokens.access);
            let answer = server.post(&path, token, &body).await;
            assert!(answer.status.is_success(), "{name}: {}", answer.json());
            assert!(!lets_in(server, &tokens.access).await, "{name}");
            assert_eq!(refresh(server, &tokens.refresh).await.code(), "session-over", "{name}");
        };
        ends("revoked by himself", String::new(), None, Value::Null).await;
        ends("revoked by an admin", String::new(), Some(&admin), Value::Null).await;
        ends("all by himself", "/v1/sessions/revocation".to_owned(), None, Value::Null).await;
        ends("all by an admin", user("sessions/revocation"), Some(&admin), Value::Null).await;
        ends("a role lost", user("roles"), Some(&admin), takes).await;
        ends("a new password", user("password"), Some(&admin), json!({ "password": PASSWORD })).await;
        let changed = json!({ "current": PASSWORD, "new": "ng'ombe wa maziwa" });
        ends("his own new password", "/v1/password".to_owned(), None, changed).await;
        let back = json!({ "password": PASSWORD });
        assert_eq!(server.post(&user("password"), &admin, &back).await.status, StatusCode::NO_CONTENT);
        ends("deactivated", user("deactivation"), Some(&admin), Value::Null).await;
    })
    .await;
}

#[tokio::test]
async fn signing_out_ends_the_session_and_says_nothing_of_unknown_tokens() {
    for_each_engine(async |server| {
        person(server, "amina", Role::Supervisor).await;
        let tokens = sign_in(server, "amina").await;
        for token in ["dbr_", "", &tokens.access, &tokens.refresh] {
            assert!(lets_in(server, &tokens.access).await);
            let answer = public(server, "/v1/tokens/revocation", &json!({ "refresh_token": token })).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
        }
        assert!(!lets_in(server, &tokens.access).await);
        assert_eq!(refresh(server, &tokens.refresh).await.code(), "session-over");
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_at_the_latest_by_its_time() {
    let server = sqlite(&[("session_days", "2"), ("session_idle_hours", "12")]).await;
    person(&server, "amina", Role::Supervisor).await;
    let half_a_day = 12 * 3_600_000;
    let tokens = sign_in(&server, "amina").await;
    server.clock.advance_ms(half_a_day);
    assert_eq!(refresh(&server, &tokens.refresh).await.code(), "session-over", "idle");

    let mut tokens = sign_in(&server, "amina").await;
    for _ in 0..4 {
        server.clock.advance_ms(half_a_day - 60_000);
        tokens = Tokens::of(&refresh(&server, &tokens.refresh).await);
    }
    server.clock.advance_ms(4 * 60_000 - 1000);
    assert!(lets_in(&server, &tokens.access).await);
    server.clock.advance_ms(1000);
    assert!(!lets_in(&server, &tokens.access).await, "no access token outlives its session");
    assert_eq!(refresh(&server, &tokens.refresh).await.code(), "session-over", "after two days");
}

#[tokio::test]
async fn sessions_are_listed_to_their_user_and_to_who_manages_him() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (nairobi, mombasa) = (server.unit(&root, "Nairobi").await, server.unit(&root, "Mombasa").await);
        let (_, admin) = server.user("admin", Role::Admin, &nairobi).await;
        let (_, far) = server.user("far", Role::Admin, &mombasa).await;
        let (_, auditor) = server.user("auditor", Role::Auditor, &root).await;
        let amina = person(server, "amina", Role::Supervisor).await;
        let mut tx = server.write().await;
        let by = (server.now(), Actor::OPERATOR);
        users::set_role(&mut tx, by.0, by.1, &amina, (Role::Officer, &nairobi, Holding::Held)).await.unwrap();
        users::set_role(&mut tx, by.0, by.1, &amina, (Role::Supervisor, &root, Holding::Ended)).await.unwrap();
        tx.commit().await.unwrap();
        let (one, two) = (sign_in(server, "amina").await, sign_in(server, "amina").await);

        let ids = |answer: &Answer| -> Vec<String> {
            let body = answer.json();
            body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
        };
        let own = server.get("/v1/sessions", &two.access).await;
        assert_eq!(ids(&own), [two.session.clone(), one.session.clone()]);
        let current: Vec<_> =
            own.json()["items"].as_array().unwrap().iter().map(|item| item["current"].clone()).collect();
        assert_eq!(
            (current, own.json()["items"][0]["method"].clone()),
            (vec![json!(true), json!(false)], json!("password"))
        );
        let path = format!("/v1/users/{}/sessions", amina.uid);
        let page = server.get(&format!("{path}?limit=1"), &admin).await;
        assert_eq!(ids(&page), std::slice::from_ref(&two.session));
        let after = page.json()["next"].as_str().unwrap().to_owned();
        let next = server.get(&format!("{path}?limit=1&after={after}"), &admin).await;
        assert_eq!(ids(&next), std::slice::from_ref(&one.session));
        for (name, token, status) in [("far", &far, 404), ("auditor", &auditor, 403), ("herself", &two.access, 403)] {
            assert_eq!(server.get(&path, token).await.status.as_u16(), status, "{name}");
        }
        let revocation = format!("/v1/sessions/{}/revocation", one.session);
        for (name, token) in [("far", &far), ("auditor", &auditor)] {
            assert_eq!(server.post(&revocation, token, &Value::Null).await.status.as_u16(), 404, "{name}");
        }
        assert!(lets_in(server, &one.access).await);
        assert!(ids(&server.get("/v1/sessions", &admin).await).is_empty(), "only one's own");
    })
    .await;
}

#[tokio::test]
async fn one_sign_in_too_many_ends_the_oldest() {
    let server = sqlite(&[]).await;
    let user = person(&server, "amina", Role::Supervisor).await;
    let oldest = sign_in(&server, "amina").await;
    let mut tx = server.write().await;
    for _ in 0..19 {
        let (by, how) = ((user.id, user.uid), (session::Method::Password, None));
        session::open(&mut tx, &server.app, by, how).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert!(lets_in(&server, &oldest.access).await);
    let newest = sign_in(&server, "amina").await;
    assert!(!lets_in(&server, &oldest.access).await);
    assert!(lets_in(&server, &newest.access).await);
}

#[tokio::test]
async fn ones_own_password_changes_with_the_current_one_and_by_the_rules() {
    for_each_engine(async |server| {
        person(server, "amina.w", Role::Supervisor).await;
        let tokens = sign_in(server, "amina.w").await;
        let change = async |current: &str, new: &str| {
            let body = json!({ "current": current, "new": new });
            server.post("/v1/password", &tokens.access, &body).await
        };
        assert_eq!(change("another one here", "ng'ombe wa maziwa").await.code(), "wrong-password");
        for poor in ["short", "password1234", "amina.w is me", &"x1".repeat(65)] {
            assert_eq!(change(PASSWORD, poor).await.code(), "validation", "{poor}");
        }
        assert!(lets_in(server, &tokens.access).await);
        let changed = change(PASSWORD, "ng'ombe wa maziwa").await;
        assert_eq!(changed.status, StatusCode::CREATED, "{}", changed.json());
        assert!(lets_in(server, &Tokens::of(&changed).access).await);
        assert!(!lets_in(server, &tokens.access).await);
        let old = json!({ "login": "amina.w", "password": PASSWORD });
        assert_eq!(public(server, "/v1/tokens", &old).await.code(), "wrong-login");
    })
    .await;
}

#[tokio::test]
async fn a_cheap_hash_is_mended_when_its_password_is_known() {
    for_each_engine(async |server| {
        person(server, "amina", Role::Supervisor).await;
        let stored = async || -> String {
            let sql = "select password_hash from app_user where login = 'amina'";
            on_db!(&mut server.read().await, conn => sqlx::query_scalar(sql).fetch_one(conn).await).unwrap()
        };
        let good = stored().await;
        sign_in(server, "amina").await;
        assert_eq!(stored().await, good, "what is dear enough stays");
        // The same password with 8 MiB and one pass.
        let cheap = password::tests_support::cheap(PASSWORD);
        let mut tx = server.write().await;
        let sql = "update app_user set password_hash = $1 where login = 'amina'";
        on_db!(&mut tx, conn => sqlx::query(sql).bind(&cheap).execute(conn).await.map(|_| ())).unwrap();
        tx.commit().await.unwrap();
        let wrong = json!({ "login": "amina", "password": "no such password" });
        assert_eq!(public(server, "/v1/tokens", &wrong).await.code(), "wrong-login");
        assert_eq!(stored().await, cheap);
        sign_in(server, "amina").await;
        assert!(!password::is_cheap(&stored().await));
        sign_in(server, "amina").await;
    })
    .await;
}

#[tokio::test]
async fn ended_sessions_are_forgotten_after_ninety_days_and_open_ones_are_not() {
    for_each_engine(async |server| {
        let user = person(server, "amina", Role::Supervisor).await;
        let old = sign_in(server, "amina").await;
        refresh(server, &old.refresh).await;
        server.post(&format!("/v1/sessions/{}/revocation", old.session), &old.access, &Value::Null).await;
        let forget = async || {
            let mut tx = server.write().await;
            let gone = session::forget(&mut tx, server.now()).await.unwrap();
            tx.commit().await.unwrap();
            gone
        };
        server.clock.advance_ms(u32::try_from(40 * DAY_MS).unwrap());
        server.clock.advance_ms(u32::try_from(40 * DAY_MS).unwrap());
        let mut tx = server.write().await;
        session::open(&mut tx, &server.app, (user.id, user.uid), (session::Method::Password, None)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(forget().await, 0);
        server.clock.advance_ms(u32::try_from(11 * DAY_MS).unwrap());
        assert_eq!(forget().await, 1);
        let left = "select cast(count(*) as bigint) from refresh_token";
        let left: i64 =
            on_db!(&mut server.read().await, conn => sqlx::query_scalar(left).fetch_one(conn).await).unwrap();
        assert_eq!((forget().await, left), (0, 1));
    })
    .await;
}

/// A request as it comes over a connection from an address.
async fn from(server: &TestServer, address: &str, path: &str, body: &Value) -> Answer {
    let mut request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    request.extensions_mut().insert(Remote(address.parse().unwrap()));
    server.send(request).await
}

/// Goal: whoever tries every login, token and code from one place has to wait, and nobody elsewhere.
#[tokio::test]
async fn an_address_that_guesses_has_to_wait_whatever_it_guesses_at() {
    let server = sqlite(&[]).await;
    person(&server, "amina", Role::Supervisor).await;
    let right = json!({ "login": "amina", "password": PASSWORD });
    let (here, elsewhere) = ("7.7.7.7:1000", "8.8.8.8:1000");
    for n in 0..60 {
        let guess = json!({ "refresh_token": format!("dbr_{n}") });
        assert_eq!(from(&server, here, "/v1/tokens/refresh", &guess).await.code(), "session-over");
        if n % 20 == 0 {
            let answer = from(&server, here, "/v1/tokens", &right).await;
            assert_eq!(answer.status, StatusCode::CREATED, "a right one in between changes nothing");
        }
    }
    let refresh = json!({ "refresh_token": "dbr_x" });
    let phone = server.new_phone();
    let code = phone.enrolment_request("0000-0000-0000").to_string();
    let nobody = daybook_shared::ids::DeploymentId::from([0; 16]);
    let mut enrol = phone.signed(nobody, 1, "/v1/enrolments", None, code.into_bytes());
    enrol.extensions_mut().insert(Remote(here.parse().unwrap()));
    for answer in [
        from(&server, here, "/v1/tokens", &right).await,
        from(&server, here, "/v1/tokens/refresh", &refresh).await,
        server.send(enrol).await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"));
        assert_eq!(answer.headers[header::RETRY_AFTER], "61");
    }
    assert_eq!(from(&server, elsewhere, "/v1/tokens", &right).await.status, StatusCode::CREATED);
    server.clock.advance_ms(60_000);
    assert_eq!(from(&server, here, "/v1/tokens", &right).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn the_published_keys_verify_a_token() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (_, token) = server.user("amina", Role::Admin, &root).await;
    let answer = server.call(Method::GET, "/.well-known/jwks.json", None, None).await;
    assert_eq!(answer.headers[header::CACHE_CONTROL], "public, max-age=60");
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&answer.body).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let key = set.find(&header.kid.unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.set_audience(&["daybook"]);
    validation.set_issuer(&[server.app.deployment.id.to_string()]);
    let decoding = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    jsonwebtoken::decode::<Value>(&token, &decoding, &validation).unwrap();
    assert!(!String::from_utf8(answer.body).unwrap().contains("\"d\""), "public halves only");
}
