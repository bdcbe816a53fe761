//! Enrolment and the life of a device, through the whole router on both engines.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::ids::{DeploymentId, InstallId};
use daybook_shared::wire::sign::{Certificate, Context, DeviceState, ReceiptBlock, Signed};
use serde_json::{Value, json};

use super::device::{self, GrantError};
use super::lease::Lease;
use super::{Role, password};
use crate::testing::{TestPhone, TestServer, for_each_engine, sqlite};

fn signed(enrolment: &Value, field: &str) -> Signed {
    let bytes = URL_SAFE_NO_PAD.decode(enrolment[field].as_str().unwrap()).unwrap();
    minicbor::decode(&bytes).unwrap()
}

fn block(server: &TestServer, enrolment: &Value) -> ReceiptBlock {
    let signed = signed(enrolment, "receipt_block");
    signed.open(&server.app.keys.public(), Context::Block, server.app.deployment.id).unwrap()
}

#[tokio::test]
async fn a_phone_with_a_code_becomes_a_device() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let phone = server.phone(&user).await;
        let given = &phone.enrolment;
        let (key, deployment) = (server.app.keys.public(), server.app.deployment);
        assert_eq!(given["deployment"], json!(deployment.id));
        assert_eq!(given["epoch"], server.app.epoch().to_string());
        assert_eq!(given["user"], json!({ "id": user.uid, "name": "amina" }));
        assert_eq!(given["server_key"], URL_SAFE_NO_PAD.encode(key.bytes.0));
        assert_eq!(given["envelope_key"], URL_SAFE_NO_PAD.encode(server.app.keys.envelope_public()));
        assert_eq!((given["zone"].as_str(), given["currency"].as_str()), (Some("UTC"), Some("USD")));
        assert_eq!(given["now"], server.now().to_string());
        let certificate = signed(given, "certificate");
        let certificate: Certificate = certificate.open(&key, Context::Certificate, deployment.id).unwrap();
        assert_eq!((certificate.device, certificate.user), (phone.device, user.uid));
        assert_eq!(certificate.key, phone.signer.public());
        let block = block(server, given);
        assert_eq!((block.first.to_string().as_str(), block.last), ("D01-000001", 50));
        assert_eq!((block.device, block.install), (phone.device, phone.install));
    })
    .await;
}

#[tokio::test]
async fn a_code_serves_one_phone_again_and_again_and_no_other() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let code = server.enrolment_code(&user).await;
        let phone = server.new_phone();
        let first = server.enrol(&phone, &code.to_lowercase()).await;
        assert_eq!(first.status, StatusCode::CREATED, "{}", first.json());
        server.clock.advance_ms(1000);
        let again = server.enrol(&phone, &code).await;
        assert_eq!(again.status, StatusCode::CREATED, "{}", again.json());
        for same in ["certificate", "receipt_block", "server_key", "user"] {
            assert_eq!(again.json()[same], first.json()[same], "{same}");
        }
        assert_eq!(server.enrol(&server.new_phone(), &code).await.code(), "enrolment-code-used");
        let thief = TestPhone { device: phone.device, install: phone.install, ..server.new_phone() };
        assert_eq!(server.enrol(&thief, &code).await.code(), "enrolment-code-used");
        let other_code = server.enrolment_code(&user).await;
        assert_eq!(server.enrol(&phone, &other_code).await.code(), "id-taken");
        assert_eq!(server.enrol(&server.new_phone(), "0000-0000-0000").await.code(), "enrolment-code-unknown");
    })
    .await;
}

#[tokio::test]
async fn a_code_ends_with_its_time_and_with_its_user() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (admin, _) = server.user("admin", Role::Admin, &root).await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let (code, late) = (server.enrolment_code(&user).await, server.new_phone());
        server.clock.advance_ms(72 * 3_600_000 - 1);
        let in_time = server.enrolment_code(&user).await;
        assert_eq!(server.enrol(&late, &code).await.status, StatusCode::CREATED);
        server.clock.advance_ms(1);
        assert_eq!(server.enrol(&late, &code).await.code(), "enrolment-code-expired");
        let admin = server.token(&admin);
        let path = format!("/v1/users/{}/deactivation", user.uid);
        assert_eq!(server.post(&path, &admin, &Value::Null).await.status, StatusCode::NO_CONTENT);
        assert_eq!(server.enrol(&server.new_phone(), &in_time).await.code(), "device-revoked");
        let codes = format!("/v1/users/{}/enrolment-codes", user.uid);
        assert_eq!(server.post(&codes, &admin, &Value::Null).await.code(), "conflict");
    })
    .await;
}

#[tokio::test]
async fn an_enrolment_proves_the_key_it_brings() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (user, _) = server.user("amina", Role::Officer, &root).await;
    let code = server.enrolment_code(&user).await;
    let (phone, other) = (server.new_phone(), server.new_phone());
    let nobody = DeploymentId::from([0; 16]);
    let path = "/v1/enrolments";
    let body = || phone.enrolment_request(&code).to_string().into_bytes();
    let as_other = TestPhone { signer: other.signer.clone(), ..server.new_phone() };
    let forged = [
        ("another key", as_other.signed(nobody, 1, path, None, body())),
        ("another device", other.signed(nobody, 1, path, None, body())),
        ("another number", phone.signed(nobody, 2, path, None, body())),
        ("another deployment", phone.signed(server.app.deployment.id, 1, path, None, body())),
        ("another path", {
            let (mut parts, body) = phone.signed(nobody, 1, "/v1/sync", None, body()).into_parts();
            parts.uri = path.parse().unwrap();
            axum::http::Request::from_parts(parts, body)
        }),
        ("another body", {
            let (parts, _) = phone.signed(nobody, 1, path, None, body()).into_parts();
            let changed = phone.enrolment_request(&code).to_string() + " ";
            axum::http::Request::from_parts(parts, changed.into())
        }),
    ];
    for (name, request) in forged {
        assert_eq!(server.send(request).await.code(), "unauthenticated", "{name}");
    }
    assert_eq!(server.enrol(&phone, &code).await.status, StatusCode::CREATED, "nothing was used up");
}

#[tokio::test]
async fn receipt_numbers_are_never_granted_twice() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let (phone, other) = (server.phone(&user).await, server.phone(&user).await);
        assert_eq!(block(server, &other.enrolment).first.series(), "D02");
        let mut tx = server.write().await;
        let row = device::find(&mut tx, phone.device).await.unwrap().unwrap();
        let install = device::install(&mut tx, row.id, phone.install).await.unwrap().unwrap();
        let mut last = 50;
        for _ in 0..3 {
            let (now, app) = (server.now(), &server.app);
            let grant = device::grant_block(&mut tx, now, app, (row.id, row.uid), (install.id, install.uid)).await;
            let grant = grant.unwrap();
            let granted: ReceiptBlock = grant.open(&app.keys.public(), Context::Block, app.deployment.id).unwrap();
            assert_eq!((granted.first.number(), granted.last), (last + 1, last + 50));
            last = granted.last;
        }
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_device_opens_four_installs_a_month() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let phone = server.phone(&user).await;
        let mut tx = server.write().await;
        let row = device::find(&mut tx, phone.device).await.unwrap().unwrap();
        let mut open = async |n: u8| {
            device::open_install(&mut tx, server.now(), (row.id, row.uid), InstallId::from([n; 16])).await
        };
        for n in 2..=4 {
            open(n).await.unwrap();
        }
        assert!(matches!(open(5).await, Err(GrantError::TooManyInstalls)));
        server.clock.advance_ms(u32::try_from(30 * daybook_shared::time::DAY_MS).unwrap());
        open(6).await.unwrap();
        let first = device::install(&mut tx, row.id, phone.install).await.unwrap().unwrap();
        assert!(first.closed_at.is_some());
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_request_is_its_devices_or_nobodys() {
    let server = sqlite(&[]).await;
    let root = server.root().await;
    let (user, _) = server.user("amina", Role::Officer, &root).await;
    let phone = server.phone(&user).await;
    let (stranger, other) = (server.new_phone(), server.phone(&user).await);
    let deployment = server.app.deployment.id;
    let lease = phone.enrolment["lease"].as_str();
    let check = async |request: axum::http::Request<axum::body::Body>, body: &[u8]| {
        device::authenticate(&server.app, request.headers(), ("POST", "/v1/sync"), body).await
    };
    let good = check(phone.signed(deployment, 3, "/v1/sync", lease, b"x".to_vec()), b"x").await.unwrap();
    assert_eq!((good.device.uid, good.install, good.number), (phone.device, phone.install, 3));
    assert_eq!((good.lease, good.device.standing()), (Lease::Valid { renew: false }, DeviceState::Ok));
    let borrowed = check(phone.signed(deployment, 3, "/v1/sync", other.enrolment["lease"].as_str(), vec![]), b"").await;
    assert_eq!(borrowed.unwrap().lease, Lease::Invalid);
    let without = check(phone.signed(deployment, 3, "/v1/sync", None, vec![]), b"").await;
    assert_eq!(without.unwrap().lease, Lease::Invalid);

    let unknown = check(stranger.signed(deployment, 3, "/v1/sync", lease, vec![]), b"").await.unwrap_err();
    let forged = TestPhone { device: phone.device, ..server.new_phone() };
    for (name, request, body) in [
        ("forged", forged.signed(deployment, 3, "/v1/sync", lease, vec![]), b"".as_slice()),
        ("body", phone.signed(deployment, 3, "/v1/sync", lease, vec![]), b"y"),
        ("path", phone.signed(deployment, 3, "/v1/deposit", lease, vec![]), b""),
        ("lender", phone.signed(DeploymentId::from([1; 16]), 3, "/v1/sync", lease, vec![]), b""),
    ] {
        assert_eq!(check(request, body).await.unwrap_err(), unknown, "{name}");
    }
}

#[tokio::test]
async fn a_device_ends_by_retirement_loss_or_its_users_end() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (_, supervisor) = server.user("supervisor", Role::Supervisor, &root).await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let phone = server.phone(&user).await;
        let standing = async || {
            let mut tx = server.read().await;
            device::find(&mut tx, phone.device).await.unwrap().unwrap().standing()
        };
        let end = async |how: &str| {
            let path = format!("/v1/devices/{}/{how}", phone.device);
            assert_eq!(server.post(&path, &supervisor, &Value::Null).await.status, StatusCode::NO_CONTENT);
            let list = server.get("/v1/devices", &supervisor).await.json();
            list["items"][0]["state"].as_str().unwrap().to_owned()
        };
        assert_eq!(standing().await, DeviceState::Ok);
        assert_eq!(end("retirement").await, "retired");
        assert_eq!(standing().await, DeviceState::Revoked);
        assert_eq!(end("loss").await, "lost");
        assert_eq!(end("retirement").await, "lost");
        assert_eq!(standing().await, DeviceState::Wipe);
    })
    .await;
}

#[tokio::test]
async fn a_new_lease_needs_the_users_login_and_the_device() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let hash = password::hash("correct horse", &server.app.rng).await.unwrap();
        let mut tx = server.write().await;
        let by = (server.now(), &server.app.rng);
        let new = super::users::NewUser { login: "brian", name: "Brian", password_hash: hash };
        let brian = super::users::create(&mut tx, by, crate::audit::Actor::OPERATOR, new).await.unwrap();
        tx.commit().await.unwrap();
        let (amina, _) = server.user("amina", Role::Officer, &root).await;
        let (phone, hers) = (server.phone(&brian).await, server.phone(&amina).await);
        let login = |secret: &str| json!({ "login": "brian", "password": secret }).to_string().into_bytes();

        let answer = server.post_signed(&phone, 2, "/v1/leases", login("correct horse")).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
        let holder = device::find(&mut server.read().await, phone.device).await.unwrap().unwrap().holder().unwrap();
        let lease = answer.json()["lease"].as_str().unwrap().to_owned();
        let worth = super::lease::check(&server.app, &lease, holder, server.now());
        assert_eq!(worth, Lease::Valid { renew: false });

        let wrong = server.post_signed(&phone, 3, "/v1/leases", login("incorrect")).await;
        assert_eq!(wrong.code(), "wrong-login");
        let borrowed = server.post_signed(&hers, 2, "/v1/leases", login("correct horse")).await;
        assert_eq!(borrowed.code(), "forbidden");
        let mut tx = server.write().await;
        let row = device::find(&mut tx, phone.device).await.unwrap().unwrap();
        let actor = crate::audit::Actor::OPERATOR;
        device::end(&mut tx, server.now(), actor, &row, device::Ending::Loss).await.unwrap();
        tx.commit().await.unwrap();
        let lost = server.post_signed(&phone, 4, "/v1/leases", login("correct horse")).await;
        assert_eq!(lost.code(), "device-revoked");
    })
    .await;
}
