//! For tests: a server in this process, on a fresh database of either engine and a clock that stands
//! until it is moved.
//!
//! SQLite always; PostgreSQL when `DAYBOOK_TEST_POSTGRES` names a server (`postgres://user@host:port`)
//! on which databases may be made and dropped.

pub mod gateway;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::cbor;
use daybook_shared::ids::{CustomerId, DeploymentId, DeviceId, InstallId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::sign::{RequestProof, Signer};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tower::ServiceExt as _;

use crate::app::{App, ClockChoice, Options};
use crate::audit::Actor;
use crate::auth::customers::{self, NewCustomer};
use crate::auth::party::Customer;
use crate::auth::units::{self, Unit, UnitKind};
use crate::auth::users::{self, Holding, NewUser, UserRow};
use crate::auth::{Role, enrolment, token};
use crate::clock::ManualClock;
use crate::db::Tx;
use crate::http::{self, idempotency};
use crate::settings::Settings;

/// Where a test's clock stands when it begins.
pub const BEGINNING: &str = "2026-03-02T06:00:00Z";

/// A server for one test.
pub struct TestServer {
    /// What the server shares.
    pub app: Arc<App>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// How it was opened, to open it again.
    pub options: Options,
    router: Router,
    _dir: tempfile::TempDir,
}

/// An answer of the server.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of a problem; empty when it is none.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A phone that can sign, enrolled or not.
pub struct TestPhone {
    /// Its key.
    pub signer: Signer,
    /// Its id.
    pub device: DeviceId,
    /// The life of its store.
    pub install: InstallId,
    /// What its enrolment answered; null before.
    pub enrolment: Value,
}

/// Idempotency keys that [`TestServer::call`] has used.
static KEYS: AtomicU64 = AtomicU64::new(0);
/// Databases made by this process so far.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Runs a test on a fresh database of each engine.
pub async fn for_each_engine(test: impl AsyncFn(&TestServer)) {
    for_each_engine_with(&[], test).await;
}

/// Runs a test on a fresh database of each engine, with settings that differ from the defaults.
pub async fn for_each_engine_with(settings: &[(&str, &str)], test: impl AsyncFn(&TestServer)) {
    let server = sqlite(settings).await;
    test(&server).await;
    server.app.db.close().await;

    let Ok(postgres) = std::env::var("DAYBOOK_TEST_POSTGRES") else { return };
    let name = format!("daybook_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let admin = PgPool::connect(&postgres).await.expect("the PostgreSQL of the tests can be reached");
    for statement in ["drop database if exists", "create database"] {
        sqlx::query(AssertSqlSafe(format!("{statement} {name}"))).execute(&admin).await.expect("databases can be made");
    }
    let server = open(&with_database(&postgres, &name), settings).await;
    test(&server).await;
    server.app.db.close().await;
    sqlx::query(AssertSqlSafe(format!("drop database {name}"))).execute(&admin).await.expect("nobody else is in it");
    admin.close().await;
}

/// A server on a fresh SQLite database.
pub async fn sqlite(settings: &[(&str, &str)]) -> TestServer {
    open("sqlite:", settings).await
}

fn with_database(server: &str, name: &str) -> String {
    let (scheme, rest) = server.split_once("://").expect("a URL of PostgreSQL");
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let parameters = rest.split_once('?').map(|(_, parameters)| format!("?{parameters}")).unwrap_or_default();
    format!("{scheme}://{host}/{name}{parameters}")
}

/// A server on the database with this URL, which is empty; `sqlite:` makes a file of its own.
pub async fn open(url: &str, settings: &[(&str, &str)]) -> TestServer {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().join("daybook.db");
    let db_url = if url == "sqlite:" { format!("sqlite:{}", path.display()) } else { url.to_owned() };
    let clock = Arc::new(ManualClock::at(BEGINNING.parse().expect("a time")));
    let options = Options {
        db_url,
        key_dir: Some(dir.path().join("keys")),
        test: true,
        clock: ClockChoice::Given(Arc::clone(&clock) as _),
        seed: Some(1),
        oidc_secret: None,
        sms_secret: None,
    };
    let mut app = App::open(&options).await.expect("a fresh database can be opened");
    if !settings.is_empty() {
        let mut tx = app.db.write().await.expect("the database answers");
        for setting in settings {
            Settings::set(&mut tx, app.now(), Actor::OPERATOR, *setting).await.expect("a setting of the server");
        }
        tx.commit().await.expect("the database answers");
        app.db.close().await;
        app = App::open(&options).await.expect("the database can be opened again");
    }
    TestServer { router: http::router(&app), app, clock, options, _dir: dir }
}

impl TestServer {
    /// The same database, opened again with other options; this server is done.
    pub async fn opened_again(&self, change: impl FnOnce(&mut Options)) -> Self {
        self.app.db.close().await;
        let mut options = self.options.clone();
        change(&mut options);
        let app = App::open(&options).await.expect("the database can be opened again");
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        Self { router: http::router(&app), app, clock: Arc::clone(&self.clock), options, _dir: dir }
    }

    /// The time on its clock.
    pub fn now(&self) -> Timestamp {
        self.app.now()
    }

    /// A transaction that writes.
    pub async fn write(&self) -> Tx {
        self.app.db.write().await.expect("the database answers")
    }

    /// A transaction that reads.
    pub async fn read(&self) -> Tx {
        self.app.db.read().await.expect("the database answers")
    }

    /// Sends a request through the whole router, without a socket.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the router always answers");
        let (parts, body) = response.into_parts();
        let body: Vec<u8> =
            body.into_data_stream().map(|chunk| chunk.map(|c| c.to_vec())).try_concat().await.expect("a whole body");
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A JSON request, with an access token if there is one and an Idempotency-Key of its own.
    pub async fn call(&self, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            request = request.header(idempotency::KEY, format!("test-{}", KEYS.fetch_add(1, Ordering::Relaxed)));
        }
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string().into()),
            None => request.body(Body::empty()),
        };
        self.send(request.expect("a request")).await
    }

    /// GET with a token.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, Some(token), None).await
    }

    /// POST of JSON with a token.
    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(token), Some(body)).await
    }

    /// The lender's own unit, made when it is missing.
    pub async fn root(&self) -> Unit {
        let mut tx = self.write().await;
        let found = units::root(&mut tx).await.expect("units can be read");
        let root = if let Some(root) = found {
            root
        } else {
            let (by, new) = ((self.now(), &self.app.rng), (UnitKind::Company, "Lender"));
            units::create(&mut tx, by, Actor::OPERATOR, None, new).await.expect("a unit can be made")
        };
        tx.commit().await.expect("the database answers");
        root
    }

    /// A unit below another.
    pub async fn unit(&self, parent: &Unit, name: &str) -> Unit {
        let mut tx = self.write().await;
        let by = (self.now(), &self.app.rng);
        let unit = units::create(&mut tx, by, Actor::OPERATOR, Some(parent), (UnitKind::Branch, name)).await;
        tx.commit().await.expect("the database answers");
        unit.expect("a unit can be made")
    }

    /// A user with a role at a unit, and an access token. He has no password: hashing takes time.
    pub async fn user(&self, login: &str, role: Role, unit: &Unit) -> (UserRow, String) {
        if role == Role::Customer {
            let (_, user) = self.customer(login, unit).await;
            let token = self.token(&user);
            return (user, token);
        }
        let mut tx = self.write().await;
        let new = NewUser { login, name: login, password_hash: "none".to_owned() };
        let by = (self.now(), &self.app.rng);
        let user = users::create(&mut tx, by, Actor::OPERATOR, new).await.expect("a user can be made");
        let held = (role, unit, Holding::Held);
        users::set_role(&mut tx, self.now(), Actor::OPERATOR, &user, held).await.expect("a role can be given");
        tx.commit().await.expect("the database answers");
        let token = self.token(&user);
        (user, token)
    }

    /// A customer whom a unit serves, with his login.
    pub async fn customer(&self, name: &str, unit: &Unit) -> (Customer, UserRow) {
        let mut tx = self.write().await;
        let uid = self.app.rng.with(|rng| CustomerId::new(self.now(), rng));
        let new = NewCustomer { uid, name, phone: None, unit_id: Some(unit.id) };
        let customer = customers::create(&mut tx, new).await.expect("a customer can be made");
        let by = (self.now(), &self.app.rng);
        let user = customers::login(&mut tx, by, customer).await.expect("a login can be made");
        tx.commit().await.expect("the database answers");
        (customer, user)
    }

    /// An access token for a user.
    pub fn token(&self, user: &UserRow) -> String {
        token::issue(&self.app, user.uid, self.now())
    }

    /// An enrolment code for a user.
    pub async fn enrolment_code(&self, user: &UserRow) -> String {
        let mut tx = self.write().await;
        let issued = enrolment::issue_code(&mut tx, self.now(), &self.app, Actor::OPERATOR, user).await;
        tx.commit().await.expect("the database answers");
        issued.expect("a code can be issued").code
    }

    /// A phone that is not enrolled.
    pub fn new_phone(&self) -> TestPhone {
        let now = self.now();
        self.app.rng.with(|rng| TestPhone {
            signer: Signer::generate(rng),
            device: DeviceId::new(now, rng),
            install: InstallId::new(now, rng),
            enrolment: Value::Null,
        })
    }

    /// A phone of this user, enrolled through the API.
    pub async fn phone(&self, user: &UserRow) -> TestPhone {
        let mut phone = self.new_phone();
        let code = self.enrolment_code(user).await;
        let answer = self.enrol(&phone, &code).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.json());
        phone.enrolment = answer.json();
        phone
    }

    /// Shows a code on a phone.
    pub async fn enrol(&self, phone: &TestPhone, code: &str) -> Answer {
        let body = phone.enrolment_request(code).to_string();
        let nobody = DeploymentId::from([0; 16]);
        self.send(phone.signed(nobody, 1, "/v1/enrolments", None, body.into_bytes())).await
    }

    /// A signed POST of a phone, with its lease.
    pub async fn post_signed(&self, phone: &TestPhone, number: u64, path: &str, body: Vec<u8>) -> Answer {
        let lease = phone.enrolment["lease"].as_str();
        self.send(phone.signed(self.app.deployment.id, number, path, lease, body)).await
    }
}

impl TestPhone {
    /// The body of its enrolment.
    pub fn enrolment_request(&self, code: &str) -> Value {
        let public_key = URL_SAFE_NO_PAD.encode(self.signer.public().bytes.0);
        let (device, install) = (self.device, self.install);
        json!({ "code": code, "device": device, "install": install, "public_key": public_key, "platform": "test" })
    }

    /// A signed POST.
    pub fn signed(
        &self,
        deployment: DeploymentId,
        number: u64,
        path: &str,
        lease: Option<&str>,
        body: Vec<u8>,
    ) -> Request<Body> {
        let proof =
            RequestProof::make(&self.signer, deployment, (self.device, self.install, number), ("POST", path, &body));
        let proof = URL_SAFE_NO_PAD.encode(cbor::to_vec(&proof));
        let mut request = Request::post(path).header(RequestProof::HEADER, proof);
        if let Some(lease) = lease {
            request = request.header(header::AUTHORIZATION, format!("Bearer {lease}"));
        }
        request.header(header::CONTENT_TYPE, "application/json").body(body.into()).expect("a request")
    }
}
