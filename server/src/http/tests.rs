//! The whole router in process: who gets in, and what strangers get.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use daybook_shared::messages::Language;
use serde_json::{Value, json};

use super::extract::{BodyRoom, Waits, read};
use super::problem::Code;
use super::{Access, ROUTES, Route, idempotency};
use crate::auth::Role;
use crate::testing::{Answer, TestServer, for_each_engine, sqlite};

const SHORT: Waits = Waits { stall: Duration::from_millis(5), room: Duration::from_millis(5) };

/// A path that fits the template and names nothing.
fn concrete(route: &Route) -> String {
    let parts = route
        .path
        .split('/')
        .map(|part| if part.starts_with('{') { "01890a5d-ac96-774b-bcce-b302099a8057" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn ask(server: &TestServer, route: &Route, token: Option<&str>) -> Answer {
    let body = (route.method != Method::GET).then(|| json!({}));
    server.call(route.method.clone(), &concrete(route), token, body.as_ref()).await
}

fn is_problem(answer: &Answer, code: Code) -> bool {
    let body = answer.json();
    answer.status == code.status()
        && answer.headers[header::CONTENT_TYPE] == "application/problem+json"
        && body["type"] == format!("/problems/{}", code.code())
        && body["code"] == code.code()
        && body["status"] == code.status().as_u16()
        && body["title"] == code.title(Language::English)
        && body["retryable"] == code.retryable()
        && body["detail"].as_str().is_some_and(|detail| !detail.is_empty())
        && body["request_id"].as_str().is_some_and(|id| answer.headers["x-request-id"] == id)
}

/// Goal: no route forgets its guard. Method: every route of the table, without a token, with a
/// token that is none, and with a user of every role.
#[tokio::test]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let mut tokens = Vec::new();
        for role in Role::ALL {
            tokens.push((*role, server.user(role.code(), *role, &root).await.1));
        }
        for route in ROUTES {
            let name = format!("{} {}", route.method, route.path);
            let nobody = ask(server, route, None).await;
            let stranger = ask(server, route, Some("not.a.token")).await;
            match route.access {
                Access::Public => assert!(!matches!(nobody.status.as_u16(), 401 | 403 | 405 | 500..), "{name}"),
                Access::Device => {
                    let person = ask(server, route, Some(&tokens[0].1)).await;
                    for answer in [nobody, stranger, person] {
                        assert!(is_problem(&answer, Code::Unauthenticated), "{name} {}", answer.json());
                    }
                }
                Access::SignedIn => {
                    assert!(is_problem(&nobody, Code::Unauthenticated), "{name} {}", nobody.json());
                    assert!(is_problem(&stranger, Code::Unauthenticated), "{name}");
                    for (role, token) in &tokens {
                        let status = ask(server, route, Some(token)).await.status.as_u16();
                        assert!(!matches!(status, 401 | 403 | 405 | 500..), "{name} {role}");
                    }
                }
                Access::May(permission) | Access::Party(permission) => {
                    assert!(is_problem(&nobody, Code::Unauthenticated), "{name} {}", nobody.json());
                    assert!(is_problem(&stranger, Code::Unauthenticated), "{name}");
                    for (role, token) in &tokens {
                        let answer = ask(server, route, Some(token)).await;
                        if role.may(permission) {
                            assert!(!matches!(answer.status.as_u16(), 401 | 403 | 405 | 500..), "{name} {role}");
                        } else {
                            assert!(is_problem(&answer, Code::Forbidden), "{name} {role} {}", answer.json());
                        }
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_strangers_path_or_method_is_a_problem() {
    let server = sqlite(&[]).await;
    let answer = server.call(Method::GET, "/nothing/here", None, None).await;
    assert!(is_problem(&answer, Code::NotFound), "{}", answer.json());
    for route in ROUTES {
        let strange = [Method::DELETE, Method::PUT, Method::from_bytes(b"BREW").unwrap()];
        let is_known = |method: &Method| ROUTES.iter().any(|at| at.path == route.path && at.method == method);
        for method in strange.into_iter().filter(|method| !is_known(method)) {
            let answer = server.call(method, &concrete(route), None, None).await;
            assert!(is_problem(&answer, Code::MethodNotAllowed), "{} {}", route.path, answer.json());
            assert!(answer.headers.contains_key(header::ALLOW));
        }
    }
}

/// Goal: garbage never gives a 500. Method: hostile bodies, media types and queries at every route,
/// by a caller whom the guard lets through.
#[tokio::test]
async fn garbage_is_refused_and_never_fails_the_server() {
    for_each_engine(garbage).await;
}

async fn garbage(server: &TestServer) {
    let root = server.root().await;
    let (_, admin) = server.user("admin", Role::Admin, &root).await;
    let (_, supervisor) = server.user("supervisor", Role::Supervisor, &root).await;
    let deep = "[".repeat(10_000);
    let parent = root.uid;
    let nul = format!("{{\"parent\": \"{parent}\", \"kind\": \"branch\", \"name\": \"a\\u0000b\"}}");
    let bodies: [&[u8]; 10] = [
        nul.as_bytes(),
        b"{\"login\": \"a\\u0000\", \"password\": \"x\"}",
        b"",
        b"{",
        b"null",
        b"\xff\xfe\x00garbage",
        b"{\"login\": 5, \"password\": []}",
        b"{\"login\": \"\\ud800\", \"password\": \"x\"}",
        b"{\"a\": 1e999}",
        deep.as_bytes(),
    ];
    let mut number = 0;
    for route in ROUTES {
        for token in [&admin, &supervisor] {
            for body in bodies {
                for media in ["application/json", "text/plain", "application/vnd.daybook.sync+cbor"] {
                    let request = Request::builder()
                        .method(route.method.clone())
                        .uri(format!("{}?limit=x&after=%00", concrete(route)))
                        .header(header::AUTHORIZATION, format!("Bearer {token}"))
                        .header(header::CONTENT_TYPE, media)
                        .header("daybook-device", "AAAA")
                        .header(idempotency::KEY, format!("garbage-{number}"));
                    number += 1;
                    let answer = server.send(request.body(Body::from(body.to_vec())).unwrap()).await;
                    assert!(answer.status.as_u16() < 500, "{} {}", route.path, answer.json());
                }
            }
        }
    }
    let codes = [
        ("{", "application/json", Code::MalformedRequest),
        ("{}", "application/json", Code::Validation),
        ("{}", "text/plain", Code::UnsupportedMediaType),
        (r#"{"login": "a\u0000", "password": "x"}"#, "application/json", Code::Validation),
        (r#"{"login": "a\\u0000", "password": "x"}"#, "application/json", Code::WrongLogin),
    ];
    for (body, media, code) in codes {
        let request = Request::post("/v1/tokens").header(header::CONTENT_TYPE, media).body(Body::from(body));
        let answer = server.send(request.unwrap()).await;
        assert!(is_problem(&answer, code), "{}", answer.json());
    }
}

#[tokio::test]
async fn a_body_over_the_routes_limit_is_refused_announced_or_not() {
    let server = sqlite(&[]).await;
    let announced = Request::post("/v1/tokens")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, "5000000000")
        .body(Body::from("{}"));
    assert!(is_problem(&server.send(announced.unwrap()).await, Code::TooLarge));

    let chunks = futures_util::stream::repeat(Ok::<_, std::convert::Infallible>(vec![b' '; 16 * 1024]));
    let endless =
        Request::post("/v1/tokens").header(header::CONTENT_TYPE, "application/json").body(Body::from_stream(chunks));
    assert!(is_problem(&server.send(endless.unwrap()).await, Code::TooLarge));
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_given_up() {
    let stalled = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let room = BodyRoom::new(0);
    let problem = read(stalled, 1024, &room, SHORT).await.unwrap_err();
    assert_eq!(problem.code(), Code::RequestTimeout);
}

#[tokio::test]
async fn a_large_body_waits_for_room_and_gives_it_back() {
    let room = BodyRoom::new(64 * 1024);
    let large = || Body::from(vec![0; 100 * 1024]);
    let first = read(large(), 1 << 20, &room, SHORT).await.unwrap();
    let problem = read(large(), 1 << 20, &room, SHORT).await.unwrap_err();
    assert_eq!(problem.code(), Code::Unavailable);
    drop(first);
    assert!(read(large(), 1 << 20, &room, SHORT).await.is_ok());
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_server_lives() {
    let panicking = axum::Router::<()>::new()
        .route("/", axum::routing::get(async || -> StatusCode { panic!("a bug") }))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(super::layers::panicked));
    let request = Request::get("/").body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(panicking, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn a_request_keeps_a_plain_id_and_loses_a_strange_one() {
    let server = sqlite(&[]).await;
    let id = async |given: &str| -> HeaderMap {
        let request = Request::get("/healthz").header("x-request-id", given).body(Body::empty()).unwrap();
        server.send(request).await.headers
    };
    assert_eq!(id("abcd-1234").await["x-request-id"], "abcd-1234");
    let strange = id("a b\"c;drop table").await;
    assert_eq!(strange["x-request-id"].len(), 16);
    assert_eq!(strange[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn ready_is_the_database_and_healthy_is_the_process() {
    for_each_engine(async |server| {
        let status = async |path: &str| server.call(Method::GET, path, None, None).await;
        assert_eq!(status("/readyz").await.status, StatusCode::OK);
        assert_eq!(status("/healthz").await.status, StatusCode::OK);
        server.app.db.close().await;
        let answer = status("/readyz").await;
        assert!(is_problem(&answer, Code::Unavailable), "{}", answer.json());
        assert_eq!(status("/healthz").await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn metrics_count_requests_by_template() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (_, admin) = server.user("admin", Role::Admin, &root).await;
    server.post("/v1/devices/01890a5d-ac96-774b-bcce-b302099a8057/loss", &admin, &Value::Null).await;
    let text = server.call(Method::GET, "/metrics", None, None).await;
    let text = String::from_utf8(text.body).unwrap();
    let line = "daybook_http_requests_total{method=\"POST\",route=\"/v1/devices/{id}/loss\",status=\"404\"}";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("daybook_http_request_seconds_bucket"), "{text}");
    assert!(!text.contains("01890a5d"));
}
