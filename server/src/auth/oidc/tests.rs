//! Signing in through the whole router, on both engines, with a provider in this process that does as it is
//! told: also what no provider should.

mod customers;
mod stub;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use stub::{CLIENT_ID, Doing, SECRET, Stub};

use super::fetch::{self, FetchError};
use super::{OidcError, Provider, Secret, is_address, link};
use crate::audit::Actor;
use crate::auth::Role;
use crate::auth::users::{self, UserRow};
use crate::on_db;
use crate::settings::Settings;
use crate::testing::{Answer, TestServer, for_each_engine_with};

const CALLBACK: &str = "https://daybook.example.com/v1/oidc/callback";

/// A server that lets in whom the stub says, on each engine.
async fn with_provider(link_by_email: &str, test: impl AsyncFn(&TestServer, &Stub)) {
    let stub = Stub::start().await;
    let settings = [
        ("oidc_issuer", stub.issuer.as_str()),
        ("oidc_client_id", CLIENT_ID),
        ("oidc_redirect_url", CALLBACK),
        ("oidc_link_by_email", link_by_email),
    ];
    for_each_engine_with(&settings, async |server| {
        stub.reset();
        let server = server.opened_again(|options| options.oidc_secret = Some(Secret::new(SECRET))).await;
        test(&server, &stub).await;
        server.app.db.close().await;
    })
    .await;
}

async fn user(server: &TestServer, login: &str) -> UserRow {
    let root = server.root().await;
    server.user(login, Role::Supervisor, &root).await.0
}

async fn link_by_hand(server: &TestServer, user: &UserRow, (issuer, subject): (&str, &str)) {
    let mut tx = server.write().await;
    let to = (user.id, user.uid);
    assert!(link::set(&mut tx, server.now(), Actor::OPERATOR, to, (issuer, subject)).await.unwrap());
    tx.commit().await.unwrap();
}

async fn get(server: &TestServer, path: &str, cookie: Option<&str>) -> Answer {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, format!("a=b; {cookie}; c=d"));
    }
    server.send(request.body(Body::empty()).unwrap()).await
}

/// A browser that was sent to the provider: its cookie, and where it was sent.
async fn begin(server: &TestServer) -> (String, String) {
    let answer = get(server, "/v1/oidc/start", None).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.json());
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.starts_with("__Host-daybook-oidc=") && cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap().to_owned();
    (cookie, answer.headers[header::LOCATION].to_str().unwrap().to_owned())
}

/// What the provider sends the browser back with.
fn back(code: &str, state: &str) -> String {
    format!("/v1/oidc/callback?code={code}&state={state}")
}

/// Signs in as the stub's person.
async fn sign_in(server: &TestServer, stub: &Stub) -> Answer {
    let (cookie, url) = begin(server).await;
    let (code, state) = stub.authorize(&url, server.now());
    get(server, &back(&code, &state), Some(&cookie)).await
}

#[tokio::test]
async fn somebody_who_is_linked_signs_in_and_his_session_is_like_any_other() {
    with_provider("false", async |server, stub| {
        let amina = user(server, "amina@example.com").await;
        assert_eq!(sign_in(server, stub).await.code(), "sign-in-refused", "an address links nobody by itself");
        link_by_hand(server, &amina, (&stub.issuer, "subject-1")).await;
        for algorithm in stub::ALGORITHMS {
            stub.sign_with(algorithm);
            server.clock.advance_ms(60_000);
            let answer = sign_in(server, stub).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{algorithm:?} {}", answer.json());
            assert!(answer.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
            let access = answer.json()["access_token"].as_str().unwrap().to_owned();
            let sessions = server.get("/v1/sessions", &access).await.json();
            assert_eq!(sessions["items"][0]["method"], "provider");
            let refresh = json!({ "refresh_token": answer.json()["refresh_token"] });
            let refreshed = server.call(axum::http::Method::POST, "/v1/tokens/refresh", None, Some(&refresh)).await;
            assert_eq!(refreshed.status, StatusCode::CREATED);
        }
        let mut tx = server.write().await;
        users::deactivate(&mut tx, server.now(), Actor::OPERATOR, &amina).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(sign_in(server, stub).await.code(), "sign-in-refused", "deactivated");
    })
    .await;
}

#[tokio::test]
async fn a_verified_address_links_once_where_the_lender_says_so() {
    with_provider("true", async |server, stub| {
        let amina = user(server, "amina@example.com").await;
        stub.set(Doing::UnverifiedEmail);
        assert_eq!(sign_in(server, stub).await.code(), "sign-in-refused", "not verified");
        stub.set(Doing::Good);
        assert_eq!(sign_in(server, stub).await.status, StatusCode::CREATED);
        let linked = "select subject from identity_link where user_id = $1";
        let linked = async || -> Vec<String> {
            on_db!(&mut server.read().await, conn => sqlx::query_scalar(linked).bind(amina.id).fetch_all(conn).await)
                .unwrap()
        };
        assert_eq!(linked().await, ["subject-1"]);
        // The address is somebody else's now: it opens nothing of hers.
        stub.set(Doing::OtherSubject);
        assert_eq!(sign_in(server, stub).await.code(), "sign-in-refused");
        stub.set(Doing::Good);
        assert_eq!(sign_in(server, stub).await.status, StatusCode::CREATED);
        assert_eq!(linked().await, ["subject-1"]);
        let trail: Vec<(String, String)> = on_db!(&mut server.read().await, conn => {
            sqlx::query_as("select action, detail from audit order by id").fetch_all(conn).await
        })
        .unwrap();
        assert!(trail.iter().any(|(action, _)| action == "user.identity_linked"));
        assert!(trail.iter().all(|(_, detail)| !detail.contains("amina@") && !detail.contains("subject-1")));
    })
    .await;
}

/// Goal: no answer of a provider but the right one lets anybody in, and none takes the server down.
#[tokio::test]
async fn a_provider_that_misbehaves_lets_nobody_in() {
    with_provider("false", async |server, stub| {
        let amina = user(server, "amina@example.com").await;
        link_by_hand(server, &amina, (&stub.issuer, "subject-1")).await;
        for doing in Doing::REFUSED {
            stub.set(*doing);
            server.clock.advance_ms(61_000);
            let answer = sign_in(server, stub).await;
            assert_eq!(answer.code(), "sign-in-refused", "{doing:?} {}", answer.json());
        }
        for doing in Doing::BROKEN {
            stub.set(*doing);
            server.clock.advance_ms(61_000);
            let answer = sign_in(server, stub).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
                "{doing:?}"
            );
        }
        stub.set(Doing::Good);
        assert_eq!(sign_in(server, stub).await.status, StatusCode::CREATED, "and it goes on");
    })
    .await;
}

#[tokio::test]
async fn a_callback_is_for_the_browser_that_began_and_for_a_while() {
    with_provider("false", async |server, stub| {
        let amina = user(server, "amina@example.com").await;
        link_by_hand(server, &amina, (&stub.issuer, "subject-1")).await;
        let (cookie, url) = begin(server).await;
        let (other_cookie, other_url) = begin(server).await;
        let (code, state) = stub.authorize(&url, server.now());
        let (_, other_state) = stub.authorize(&other_url, server.now());
        let refused = [
            ("no cookie", get(server, &back(&code, &state), None).await),
            ("another browser", get(server, &back(&code, &state), Some(&other_cookie)).await),
            ("another state", get(server, &back(&code, &other_state), Some(&cookie)).await),
            // Its own state, and a code that was given to another: PKCE.
            ("an injected code", get(server, &back(&code, &other_state), Some(&other_cookie)).await),
            (
                "an error",
                get(server, &format!("/v1/oidc/callback?error=access_denied&state={state}"), Some(&cookie)).await,
            ),
            ("no code", get(server, &format!("/v1/oidc/callback?state={state}"), Some(&cookie)).await),
            (
                "another issuer's",
                get(server, &format!("{}&iss=https://evil.example", back(&code, &state)), Some(&cookie)).await,
            ),
            ("a code without end", get(server, &back(&"x".repeat(5_000), &state), Some(&cookie)).await),
        ];
        for (name, answer) in refused {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::UNAUTHORIZED, "sign-in-refused"),
                "{name}"
            );
        }
        assert_eq!(get(server, "/v1/oidc/callback", Some(&cookie)).await.code(), "malformed-request");

        let (code, state) = stub.authorize(&url, server.now());
        assert_eq!(get(server, &back(&code, &state), Some(&cookie)).await.status, StatusCode::CREATED);
        assert_eq!(
            get(server, &back(&code, &state), Some(&cookie)).await.code(),
            "sign-in-refused",
            "a code serves once"
        );
        let (code, state) = stub.authorize(&other_url, server.now());
        server.clock.advance_ms(10 * 60_000);
        assert_eq!(get(server, &back(&code, &state), Some(&other_cookie)).await.code(), "sign-in-refused", "too late");
    })
    .await;
}

/// Goal: a provider that rotates its keys is followed, and one token after the other with a key of nobody's
/// does not make us ask it every time.
#[tokio::test]
async fn new_keys_are_fetched_once_a_minute_at_most() {
    with_provider("false", async |server, stub| {
        let amina = user(server, "amina@example.com").await;
        link_by_hand(server, &amina, (&stub.issuer, "subject-1")).await;
        assert_eq!(sign_in(server, stub).await.status, StatusCode::CREATED);
        assert_eq!(stub.asked_for_keys(), 1, "kept");
        server.clock.advance_ms(61_000);
        stub.sign_with(stub::ALGORITHMS[1]);
        assert_eq!(sign_in(server, stub).await.status, StatusCode::CREATED, "the new key is looked for");
        assert_eq!(stub.asked_for_keys(), 2);
        stub.set(Doing::UnknownKey);
        for _ in 0..4 {
            assert_eq!(sign_in(server, stub).await.code(), "sign-in-refused");
        }
        assert_eq!(stub.asked_for_keys(), 2, "not again in this minute");
        server.clock.advance_ms(61_000);
        for _ in 0..4 {
            assert_eq!(sign_in(server, stub).await.code(), "sign-in-refused");
        }
        assert_eq!(stub.asked_for_keys(), 3);
        stub.set(Doing::Good);
        server.clock.advance_ms(3_600_000);
        assert_eq!(sign_in(server, stub).await.status, StatusCode::CREATED);
        assert_eq!(stub.asked_for_keys(), 4, "after an hour");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_does_not_end_is_given_up() {
    let stub = Stub::start().await;
    let http = fetch::client(true, Duration::from_millis(200)).unwrap();
    let ask = async |path: &str| fetch::ask(http.get(format!("{}{path}", stub.issuer))).await;
    assert!(matches!(ask("/slow").await, Err(FetchError::Transport(text)) if text == "no answer in time"));
    assert!(matches!(ask("/huge").await, Err(FetchError::TooLarge)));
    assert!(matches!(ask("/endless").await, Err(FetchError::TooLarge)));
    assert!(matches!(ask("/elsewhere").await, Err(FetchError::Status(302))), "no redirect is followed");
    assert!(matches!(ask("/nothing").await, Err(FetchError::Status(404))));
}

#[tokio::test]
async fn without_a_provider_there_is_nothing_and_half_a_setting_is_an_error() {
    let server = crate::testing::sqlite(&[]).await;
    assert_eq!(get(&server, "/v1/oidc/start", None).await.code(), "not-found");
    assert_eq!(get(&server, "/v1/oidc/callback", None).await.code(), "not-found");
    let mut settings = Settings::default();
    settings.put("oidc_issuer", "https://id.example.com").unwrap();
    assert!(matches!(Provider::new(&settings, None), Err(OidcError::Incomplete)));
    settings.put("oidc_client_id", CLIENT_ID).unwrap();
    settings.put("oidc_redirect_url", CALLBACK).unwrap();
    let provider = Provider::new(&settings, Some(Secret::new(SECRET))).unwrap().unwrap();
    assert!(!format!("{provider:?}").contains(SECRET));
    assert_eq!((format!("{:?}", Secret::new(SECRET)), Secret::new(" x\n")), ("Secret".to_owned(), Secret::new("x")));
}

#[test]
fn an_address_is_https_or_on_this_machine() {
    for (text, good) in [
        ("https://id.example.com/realms/staff", true),
        ("http://127.0.0.1:8080", true),
        ("http://[::1]:8080/x", true),
        ("http://id.example.com", false),
        ("https://name:word@id.example.com", false),
        ("https://id.example.com/#x", false),
        ("ftp://id.example.com", false),
        ("id.example.com", false),
        ("", false),
    ] {
        assert_eq!(is_address(text), good, "{text}");
    }
}
