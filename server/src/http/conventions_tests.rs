//! What all routes have in common: keys of writes, cursors of lists.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::idempotency::{self, KEY, REPLAYED};
use crate::app::{App, Options};
use crate::auth::Role;
use crate::on_db;
use crate::testing::{Answer, TestServer, for_each_engine, sqlite};

fn post(path: &str, token: &str, key: Option<&str>, body: &Value) -> Request<Body> {
    let mut request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(KEY, key);
    }
    request.body(body.to_string().into()).unwrap()
}

async fn kept(server: &TestServer) -> i64 {
    const COUNT: &str = "select cast(count(*) as bigint) from idempotency";
    on_db!(&mut server.read().await, conn => sqlx::query_scalar(COUNT).fetch_one(conn).await).unwrap()
}

async fn units(server: &TestServer) -> i64 {
    const COUNT: &str = "select cast(count(*) as bigint) from unit";
    on_db!(&mut server.read().await, conn => sqlx::query_scalar(COUNT).fetch_one(conn).await).unwrap()
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get(REPLAYED).is_some_and(|value| value == "true")
}

#[tokio::test]
async fn a_write_sent_again_has_its_effect_once_and_the_same_answer() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let (_, other) = server.user("other", Role::Admin, &root).await;
        let body = json!({ "parent": root.uid, "kind": "branch", "name": "Kisumu" });
        let send =
            async |token: &str, key: &str, body: &Value| server.send(post("/v1/units", token, Some(key), body)).await;
        let first = send(&admin, "k1", &body).await;
        assert_eq!((first.status, is_replayed(&first)), (StatusCode::CREATED, false), "{}", first.json());
        let again = send(&admin, "k1", &body).await;
        assert_eq!((again.status, is_replayed(&again)), (StatusCode::CREATED, true));
        assert_eq!((&again.body, units(server).await), (&first.body, 2));
        assert_eq!(again.headers[header::CONTENT_TYPE], "application/json");

        let mut changed = body.clone();
        changed["name"] = json!("Kisii");
        let reused = send(&admin, "k1", &changed).await;
        assert_eq!((reused.status.as_u16(), reused.code().as_str()), (422, "idempotency-reused"));
        assert_eq!(units(server).await, 2);
        // The key is the caller's own, and of one route.
        assert_eq!(send(&other, "k1", &body).await.status, StatusCode::CREATED);
        let caseload = json!({ "name": "Route 7", "audience": "officer", "unit": root.uid });
        let elsewhere = server.send(post("/v1/caseloads", &admin, Some("k1"), &caseload)).await;
        assert_eq!((elsewhere.status, is_replayed(&elsewhere)), (StatusCode::CREATED, false));
        assert_eq!(units(server).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_write_without_a_sound_key_is_refused_and_has_no_effect() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (_, admin) = server.user("admin", Role::Admin, &root).await;
    let body = json!({ "parent": root.uid, "kind": "branch", "name": "Kisumu" });
    let long = "x".repeat(256);
    for key in [None, Some(""), Some("a b"), Some("caf\u{e9}"), Some(long.as_str())] {
        let answer = server.send(post("/v1/units", &admin, key, &body)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "idempotency-key-missing"), "{key:?}");
    }
    assert_eq!((units(&server).await, kept(&server).await), (1, 0));
    let longest = "x".repeat(255);
    let answer = server.send(post("/v1/units", &admin, Some(&longest), &body)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_refusal_from_the_rows_is_kept_and_one_before_them_is_not() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let (_, officer) = server.user("officer", Role::Officer, &root).await;
        let nobody = "/v1/users/01890a5d-ac96-774b-bcce-b302099a8057/deactivation";
        let send = async |token: &str, key: &str, path: &str, body: &Value| {
            server.send(post(path, token, Some(key), body)).await
        };
        let first = send(&admin, "k1", nobody, &json!({})).await;
        assert_eq!((first.status.as_u16(), is_replayed(&first), kept(server).await), (404, false, 1));
        let again = send(&admin, "k1", nobody, &json!({})).await;
        assert_eq!((again.status.as_u16(), is_replayed(&again)), (404, true));
        assert_eq!(
            (&again.body, &again.headers[header::CONTENT_TYPE]),
            (&first.body, &first.headers[header::CONTENT_TYPE])
        );

        assert_eq!(send(&officer, "k2", nobody, &json!({})).await.status.as_u16(), 403);
        assert_eq!(send("none", "k3", nobody, &json!({})).await.status.as_u16(), 401);
        let unread = json!({ "parent": root.uid, "kind": "castle", "name": "Kisumu" });
        assert_eq!(send(&admin, "k4", "/v1/units", &unread).await.status.as_u16(), 422);
        assert_eq!(kept(server).await, 1);
        let read = json!({ "parent": root.uid, "kind": "branch", "name": "Kisumu" });
        assert_eq!(send(&admin, "k4", "/v1/units", &read).await.status, StatusCode::CREATED);
    })
    .await;
}

/// Goal: the second of two is told to ask again while the first is being handled. Method: the row that both
/// write is held, so that whichever comes first cannot end before the other was answered.
#[tokio::test]
async fn of_two_at_once_one_has_the_effect_and_the_other_asks_again() {
    const HOLD: &str = "update app_user set name = name";
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let path = format!("/v1/users/{}/roles", user.uid);
        let body = json!({ "role": "cashier", "unit": root.uid, "held": true });
        let send = async || server.send(post(&path, &admin, Some("k1"), &body)).await;
        let mut holder = server.write().await;
        on_db!(&mut holder, conn => sqlx::query(HOLD).execute(conn).await.map(|_| ())).unwrap();
        let (one, other) = (send(), send());
        tokio::pin!(one, other);
        let (asked, done) = tokio::select! {
            asked = &mut one => (asked, { drop(holder); other.await }),
            asked = &mut other => (asked, { drop(holder); one.await }),
        };
        assert_eq!((asked.status.as_u16(), asked.code().as_str()), (409, "idempotency-in-flight"));
        assert_eq!(asked.headers[header::RETRY_AFTER], "1");
        assert_eq!(asked.json()["retryable"], true);
        assert_eq!(done.status, StatusCode::NO_CONTENT);
        let again = send().await;
        assert_eq!((again.status, is_replayed(&again), kept(server).await), (done.status, true, 1));
    })
    .await;
}

#[tokio::test]
async fn a_problems_title_is_in_the_language_that_is_accepted() {
    for_each_engine(async |server| {
        for (accept, title, languages) in [
            (None, "There is no such thing", "en"),
            (Some("fr"), "There is no such thing", "en"),
            (Some("sw-KE, en;q=0.5"), "Hakuna kitu kama hicho", "sw, en"),
            (Some("ar"), "لا يوجد شيء بهذا المعرّف", "ar, en"),
        ] {
            let mut request = Request::get("/problems/none");
            if let Some(accept) = accept {
                request = request.header(header::ACCEPT_LANGUAGE, accept);
            }
            let answer = server.send(request.body(Body::empty()).unwrap()).await;
            let said = (answer.json()["title"].clone(), &answer.headers[header::CONTENT_LANGUAGE]);
            assert_eq!(said, (title.into(), &HeaderValue::from_static(languages)), "{accept:?}");
            assert_eq!(answer.headers[header::VARY], "accept-language");
            assert!(answer.json()["detail"].as_str().unwrap().starts_with("There is no such thing"));
        }
    })
    .await;
}

/// Goal: two replicas that are sent the same write at once do it once. Method: two servers on one
/// database, neither of which knows what the other is doing.
#[tokio::test]
async fn two_replicas_do_a_write_once() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let replica = App::open(&Options { seed: Some(2), ..server.options.clone() }).await.unwrap();
        let router = super::router(&replica);
        for number in 0..8 {
            let body = json!({ "parent": root.uid, "kind": "branch", "name": format!("Branch {number}") });
            let key = format!("k{number}");
            let request = || post("/v1/units", &admin, Some(&key), &body);
            let there = async { router.clone().oneshot(request()).await.unwrap() };
            let (here, there) = tokio::join!(server.send(request()), there);
            assert_eq!((here.status, there.status()), (StatusCode::CREATED, StatusCode::CREATED), "{}", here.json());
            let there = axum::body::to_bytes(there.into_body(), 1 << 16).await.unwrap();
            assert_eq!((here.body.as_slice(), units(server).await), (&there[..], 2 + number));
        }
        replica.db.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_is_sealed_and_goes_after_its_days() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let path = format!("/v1/users/{}/enrolment-codes", user.uid);
        let first = server.send(post(&path, &admin, Some("k1"), &Value::Null)).await;
        let code = first.json()["code"].as_str().unwrap().to_owned();
        let body: Vec<u8> = on_db!(&mut server.read().await, conn => {
            sqlx::query_scalar("select body from idempotency").fetch_one(conn).await
        })
        .unwrap();
        assert!(!body.windows(code.len()).any(|window| window == code.as_bytes()));
        assert_eq!(server.send(post(&path, &admin, Some("k1"), &Value::Null)).await.json()["code"], code);

        let days = server.app.settings.idempotency_days;
        let day = daybook_shared::time::DAY_MS;
        let purge = async |ms: i64| idempotency::purge(&server.app.db, server.now().plus_ms(ms), days).await.unwrap();
        assert_eq!((purge(days * day).await, kept(server).await), (0, 1));
        assert_eq!((purge(days * day + 1).await, kept(server).await), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_list_is_walked_by_its_links_and_every_item_comes_once() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let mut expected = vec![root.uid.to_string()];
        for number in 0..6 {
            expected.push(server.unit(&root, &format!("Branch {number}")).await.uid.to_string());
        }
        let (mut seen, mut path, mut pages) = (Vec::new(), "/v1/units?limit=3".to_owned(), 0);
        loop {
            let answer = server.get(&path, &admin).await;
            let page = answer.json();
            let items = page["items"].as_array().unwrap();
            seen.extend(items.iter().map(|unit| unit["id"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(link) = answer.headers.get(header::LINK) else {
                assert!(page["next"].is_null());
                break;
            };
            let link = link.to_str().unwrap().strip_prefix('<').unwrap();
            path = link.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
            assert!(path.contains(page["next"].as_str().unwrap()));
        }
        assert_eq!((seen, pages), (expected, 3));
    })
    .await;
}

#[tokio::test]
async fn a_cursor_is_of_one_list_and_one_caller_and_is_not_edited() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (_, admin) = server.user("admin", Role::Admin, &root).await;
    let (_, other) = server.user("other", Role::Admin, &root).await;
    server.unit(&root, "Kisumu").await;
    let next = server.get("/v1/units?limit=1", &admin).await.json()["next"].as_str().unwrap().to_owned();
    let status = async |path: String, token: &str| {
        let answer = server.call(Method::GET, &path, Some(token), None).await;
        (answer.status.as_u16(), answer.json()["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(status(format!("/v1/units?after={next}"), &admin).await.0, 200);
    let refused = (422, "?after".to_owned());
    assert_eq!(status(format!("/v1/units?after={next}"), &other).await, refused);
    assert_eq!(status(format!("/v1/users?after={next}"), &admin).await, refused);
    assert_eq!(status(format!("/v1/units?x=1&after={next}"), &admin).await, refused);
    let edited = if next.ends_with('A') { "B" } else { "A" };
    for cursor in [format!("{}{edited}", &next[..next.len() - 1]), "AAAA".to_owned(), String::new(), "%00".to_owned()] {
        assert_eq!(status(format!("/v1/units?after={cursor}"), &admin).await, refused, "{cursor}");
    }
    for limit in ["0", "-1", "201", "9223372036854775807"] {
        assert_eq!(status(format!("/v1/units?limit={limit}"), &admin).await, (422, "?limit".to_owned()));
    }
    assert_eq!(status("/v1/units?limit=x".to_owned(), &admin).await.0, 400);
}

#[tokio::test]
async fn a_problem_names_where_the_body_does_not_fit_and_has_a_page() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (_, admin) = server.user("admin", Role::Admin, &root).await;
    let body = json!({ "login": "brian", "name": "B", "password": "correct horse", "roles": [{ "role": 5, "unit": root.uid }] });
    let problem = server.post("/v1/users", &admin, &body).await.json();
    assert_eq!(problem["errors"][0]["pointer"], "/roles/0/role", "{problem}");
    let page = server.call(Method::GET, problem["type"].as_str().unwrap(), None, None).await;
    assert_eq!(
        (page.status, page.headers[header::CONTENT_TYPE].as_bytes()),
        (StatusCode::OK, &b"text/html; charset=utf-8"[..])
    );
    assert_eq!(server.call(Method::GET, "/problems/no-such-code", None, None).await.status, StatusCode::NOT_FOUND);
}
