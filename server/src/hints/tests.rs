//! A stream: who may listen, what he hears, when it ends.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::cbor;
use daybook_shared::ids::CaseloadId;
use daybook_shared::wire::sign::RequestProof;
use futures_util::StreamExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use crate::auth::Role;
use crate::testing::{TestPhone, TestServer, for_each_engine};
use crate::{http, on_db};

/// More than any of these takes; a hint that does not come fails here.
const PATIENCE: Duration = Duration::from_secs(20);

fn request(server: &TestServer, phone: &TestPhone, number: u64) -> Request<Body> {
    let who = (phone.device, phone.install, number);
    let proof = RequestProof::make(&phone.signer, server.app.deployment.id, who, ("GET", "/v1/feed/hints", &[]));
    let lease = phone.enrolment["lease"].as_str().unwrap_or_default();
    Request::get("/v1/feed/hints")
        .header(RequestProof::HEADER, URL_SAFE_NO_PAD.encode(cbor::to_vec(&proof)))
        .header("authorization", format!("Bearer {lease}"))
        .body(Body::empty())
        .unwrap()
}

async fn open(router: &Router, request: Request<Body>) -> (u16, BodyDataStream) {
    let response = router.clone().oneshot(request).await.unwrap();
    (response.status().as_u16(), response.into_body().into_data_stream())
}

async fn said(stream: &mut BodyDataStream) -> Option<String> {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await.expect("the stream says something, or ends");
    next.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap())
}

/// Moves a caseload, as a transaction of another program would.
async fn advance(server: &TestServer, caseload: CaseloadId) {
    const ADVANCE: &str = "update caseload set seq = seq + 1 where uid = $1";
    let mut tx = server.write().await;
    on_db!(&mut tx, conn => sqlx::query(ADVANCE).bind(caseload).execute(conn).await.map(|_| ())).unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_device_in_use_hears_of_its_own_caseloads_and_of_no_other() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, admin) = server.user("admin", Role::Admin, &root).await;
        let (officer, _) = server.user("officer", Role::Officer, &root).await;
        let mut caseloads: Vec<CaseloadId> = Vec::new();
        for name in ["Route 7", "Route 8"] {
            let body = json!({ "name": name, "audience": "officer", "unit": root.uid });
            let made = server.post("/v1/caseloads", &admin, &body).await;
            caseloads.push(made.json()["id"].as_str().unwrap_or_default().parse().unwrap());
        }
        let path = format!("/v1/caseloads/{}/members", caseloads[0]);
        let joined = server.post(&path, &admin, &json!({ "user": officer.uid, "member": true })).await;
        assert!(joined.status.is_success(), "{}", joined.json());
        let phone = server.phone(&officer).await;
        let (app, router) = (&server.app, http::router(&server.app));
        let keeper = tokio::spawn(super::keep(std::sync::Arc::clone(app)));
        let (status, mut stream) = open(&router, request(server, &phone, 2)).await;
        assert_eq!((status, said(&mut stream).await.as_deref()), (200, Some(": ready\n\n")));
        assert_eq!(open(&router, request(server, &phone, 2)).await.0, 409, "a proof is good once");

        advance(server, caseloads[1]).await;
        app.hints.nudge();
        advance(server, caseloads[0]).await;
        app.hints.nudge();
        let event = format!("event: caseload\ndata: {}\n\n", caseloads[0]);
        assert_eq!(said(&mut stream).await, Some(event));

        // Another stream ends the first; a stop ends all.
        let (_, mut second) = open(&router, request(server, &phone, 3)).await;
        assert_eq!(said(&mut second).await.as_deref(), Some(": ready\n\n"));
        advance(server, caseloads[0]).await;
        app.hints.nudge();
        assert_eq!(said(&mut stream).await, None);
        assert!(said(&mut second).await.unwrap().starts_with("event: caseload\n"));
        app.hints.close();
        assert_eq!(said(&mut second).await, None);

        let stranger = TestPhone { device: phone.device, install: phone.install, ..server.new_phone() };
        assert_eq!(open(&router, request(server, &stranger, 4)).await.0, 401);
        let bare = TestPhone { enrolment: serde_json::Value::Null, ..phone };
        assert_eq!(open(&router, request(server, &bare, 5)).await.0, 403, "without a lease");
        keeper.abort();
    })
    .await;
}
