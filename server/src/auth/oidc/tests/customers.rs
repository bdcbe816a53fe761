//! Customers who bring a token of a shop's app, through the whole router, on both engines.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::stub::{CLIENT_ID, Doing, Stub};
use super::{CALLBACK, back, begin, get, user};
use crate::audit::Actor;
use crate::auth::oidc::link;
use crate::on_db;
use crate::testing::{Answer, TestServer, for_each_engine_with};

const ZAINABU: &str = "+254799123456";

async fn in_a_shop(test: impl AsyncFn(&TestServer, &Stub)) {
    let stub = Stub::start().await;
    let settings = [("customer_oidc_issuer", stub.issuer.as_str()), ("customer_oidc_audience", CLIENT_ID)];
    for_each_engine_with(&settings, async |server| {
        stub.reset();
        test(server, &stub).await;
    })
    .await;
}

async fn enter(server: &TestServer, token: &str) -> Answer {
    server.call(Method::POST, "/v1/sessions", None, Some(&json!({ "provider_token": token }))).await
}

fn with_phone(subject: &str, phone: &str, verified: bool) -> Value {
    json!({ "sub": subject, "phone_number": phone, "phone_number_verified": verified })
}

async fn me(server: &TestServer, answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
    server.get("/v1/me", answer.json()["access_token"].as_str().unwrap()).await.json()
}

async fn db_customers(server: &TestServer) -> i64 {
    const COUNT: &str = "select cast(count(*) as bigint) from customer";
    on_db!(&mut server.read().await, conn => sqlx::query_scalar(COUNT).fetch_one(conn).await).unwrap()
}

#[tokio::test]
async fn a_verified_number_makes_a_customer_and_the_subject_stays_his() {
    in_a_shop(async |server, stub| {
        let token = |more: &Value| stub.token(Doing::Good, more, server.now());
        let unverified = enter(server, &token(&with_phone("s1", ZAINABU, false))).await;
        assert_eq!(unverified.code(), "sign-in-refused");
        assert_eq!(enter(server, &token(&json!({ "sub": "s1" }))).await.code(), "sign-in-refused", "no number");
        assert_eq!(db_customers(server).await, 0);
        let first = enter(server, &token(&with_phone("s1", "+254 799 123 456", true))).await;
        let zainabu = me(server, &first).await;
        assert_eq!((&zainabu["phone"], &zainabu["name"]), (&json!(ZAINABU), &json!("")));
        let access = first.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(server.get("/v1/sessions", &access).await.json()["items"][0]["method"], "token");
        // Linked, the number is not asked for again, and another one changes nothing.
        for more in [json!({ "sub": "s1" }), with_phone("s1", "+254700000009", true)] {
            assert_eq!(me(server, &enter(server, &token(&more)).await).await, zainabu);
        }
        let other = me(server, &enter(server, &token(&with_phone("s2", "+254700000009", true))).await).await;
        assert_ne!(other["id"], zainabu["id"]);
        assert_eq!(db_customers(server).await, 2);
        const SHARE: &str = "update customer set phone = '+254700000009'";
        let mut tx = server.write().await;
        on_db!(&mut tx, conn => sqlx::query(SHARE).execute(conn).await.map(|_| ())).unwrap();
        tx.commit().await.unwrap();
        let shared = enter(server, &token(&with_phone("s3", "+254700000009", true))).await;
        assert_eq!((shared.status, shared.code().as_str()), (StatusCode::CONFLICT, "phone-shared"));
    })
    .await;
}

#[tokio::test]
async fn no_token_but_the_right_one_lets_a_customer_in() {
    in_a_shop(async |server, stub| {
        let more = with_phone("s1", ZAINABU, true);
        for doing in Doing::REFUSED.iter().filter(|doing| {
            // There is no nonce to be wrong, and another subject is another customer.
            !matches!(doing, Doing::WrongNonce | Doing::NoNonce | Doing::OtherSubject)
        }) {
            server.clock.advance_ms(61_000);
            let answer = enter(server, &stub.token(*doing, &more, server.now())).await;
            assert_eq!(answer.code(), "sign-in-refused", "{doing:?} {}", answer.json());
        }
        let token = stub.token(Doing::Good, &more, server.now());
        server.clock.advance_ms(11 * 60_000);
        assert_eq!(enter(server, &token).await.code(), "sign-in-refused", "made too long ago");
        for token in ["", "a.b.c", &"x".repeat(20_000)] {
            assert_eq!(enter(server, token).await.code(), "sign-in-refused");
        }
        assert_eq!(db_customers(server).await, 0);
    })
    .await;
}

/// Goal: a subject of staff opens no customer's session, and a customer's none of staff, where one provider is
/// the provider of both.
#[tokio::test]
async fn staff_and_customers_of_one_provider_are_kept_apart() {
    let stub = Stub::start().await;
    let issuer = stub.issuer.as_str();
    let settings = [
        ("customer_oidc_issuer", issuer),
        ("customer_oidc_audience", CLIENT_ID),
        ("oidc_issuer", issuer),
        ("oidc_client_id", CLIENT_ID),
        ("oidc_redirect_url", CALLBACK),
    ];
    for_each_engine_with(&settings, async |server| {
        stub.reset();
        let server = server.opened_again(|options| options.oidc_secret = Some(super::Secret::new(super::SECRET))).await;
        let amina = user(&server, "amina").await;
        let mut tx = server.write().await;
        let to = (amina.id, amina.uid);
        assert!(link::set(&mut tx, server.now(), Actor::OPERATOR, to, (issuer, "staff")).await.unwrap());
        tx.commit().await.unwrap();
        let staff = stub.token(Doing::Good, &with_phone("staff", ZAINABU, true), server.now());
        assert_eq!(enter(&server, &staff).await.code(), "sign-in-refused");
        assert_eq!(db_customers(&server).await, 0);
        // The subject of the stub's person is a customer's now: he does not come in as staff.
        let customer = stub.token(Doing::Good, &with_phone("subject-1", ZAINABU, true), server.now());
        assert_eq!(enter(&server, &customer).await.status, StatusCode::CREATED);
        let (cookie, url) = begin(&server).await;
        let (code, state) = stub.authorize(&url, server.now());
        assert_eq!(get(&server, &back(&code, &state), Some(&cookie)).await.code(), "sign-in-refused");
        server.app.db.close().await;
    })
    .await;
}
