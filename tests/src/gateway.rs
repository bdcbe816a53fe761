//! A gateway on this machine, mobile money and card page in one, that does what an amount's last two whole units say:
//!
//! | | |
//! |---|---|
//! | 01 | it declines at once |
//! | 02 | it takes the money and never answers |
//! | 03 | it takes the money and answers 500 |
//! | 04 | it does nothing and answers 500 |
//! | 05 | it calls back twice |
//! | 06 | it calls back in the wrong order |
//! | 07 | its callback is not signed by it |
//! | 08 | it says that the payer was too late, whatever he did |
//! | 10 | it takes the money and answers with a page |
//!
//! Any other amount waits for the payer: [`StubGateway::approve`], [`StubGateway::decline`]. What it charged is in its
//! own books, for whoever compares. It takes a reference once. Its callbacks are not sent: the test delivers them.
//!
//! Money it gives back likewise: 01 it declines, 02, 03 and 10 it pays and does not say so before it is asked again, 04
//! it never does, 08 is under way until [`StubGateway::arrive`]; any other amount it gives back at once.

#![expect(clippy::missing_panics_doc, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Request, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_server::gateways::{Deadlines, GatewayName, GatewayOptions, Secrets};
use daybook_shared::ids::Hash;
use daybook_shared::time::Timestamp;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::oneshot;

/// What both gateways are shown.
const BEARER: &str = "bearer-of-the-tests";
/// What mobile money signs callbacks with.
const MOMO_CALLBACK: &str = "callback-of-the-tests";
/// What the card page signs callbacks with: the key of the specification's vectors.
const CARD_CALLBACK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How far a payment is in the gateway's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waiting,
    Paid,
    Declined,
}

/// A payment in the gateway's books.
#[derive(Debug, Clone)]
struct Entry {
    gateway: GatewayName,
    amount_minor: i64,
    currency: String,
    standing: Standing,
    transaction: String,
    paid_at: Option<Timestamp>,
    begun_at: Timestamp,
    expires_at: Timestamp,
    fee: Option<i64>,
    starts: u32,
    /// That it was declined or paid was not told yet.
    untold: u32,
}

impl Entry {
    /// What its amount tells the gateway to do.
    fn code(&self) -> i64 {
        self.amount_minor / 100 % 100
    }
}

/// Money given back, in the gateway's books.
#[derive(Debug, Clone)]
struct GivenBack {
    payment: String,
    amount_minor: i64,
    status: &'static str,
    asks: u32,
}

#[derive(Debug, Default)]
struct Books {
    entries: BTreeMap<String, Entry>,
    given_back: BTreeMap<String, GivenBack>,
    callbacks: u32,
    /// Tells what statements will call a payment as soon as it is begun.
    early_reference: bool,
}

struct Shared {
    books: Mutex<Books>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gateway.
pub struct StubGateway {
    /// Where it is.
    pub url: String,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

/// What the gateway says by itself.
#[derive(Debug, Clone)]
pub struct Callback {
    /// Where it goes.
    pub path: String,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: String,
    /// Whether the gateway signed it.
    pub is_signed: bool,
}

impl Callback {
    /// The request.
    pub fn request(&self) -> Request<Body> {
        let mut request = Request::post(&self.path).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Body::from(self.body.clone())).expect("a request")
    }
}

impl StubGateway {
    /// Starts it, on a clock.
    pub fn start(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("this machine has free ports");
        Self::on(listener, clock)
    }

    /// Starts it on a port that was taken before.
    pub fn on(listener: TcpListener, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        listener.set_nonblocking(true).expect("a socket");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
        let shared = Arc::new(Shared { books: Mutex::default(), clock: Box::new(clock) });
        let router = Router::new()
            .route("/v1/payments", post(begin_momo))
            .route("/v1/payments/{reference}", get(told_momo))
            .route("/v1/sessions", post(begin_card).get(told_card))
            .route("/v1/refunds", post(give_back))
            .with_state(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        Self { url, shared, _stop: stop }
    }

    /// From now on it tells what statements will call a payment as soon as it is begun.
    pub fn tell_references_early(&self) {
        self.shared.books().early_reference = true;
    }

    /// The payments that wait for their payers.
    pub fn waiting(&self) -> Vec<String> {
        let books = self.shared.books();
        let waiting = books.entries.iter().filter(|(_, entry)| entry.standing == Standing::Waiting);
        waiting.map(|(reference, _)| reference.clone()).collect()
    }

    /// The payer confirms.
    pub fn approve(&self, reference: &str) {
        let now = (self.shared.clock)();
        let mut books = self.shared.books();
        let entry = books.entries.get_mut(reference).expect("a payment that was begun");
        assert_eq!(entry.standing, Standing::Waiting);
        (entry.standing, entry.paid_at, entry.untold) = (Standing::Paid, Some(now), 1);
    }

    /// All payers confirm who were asked before `asked_before`, but for those who are too late whatever they do.
    pub fn approve_all(&self, asked_before: Timestamp) {
        let now = (self.shared.clock)();
        let mut books = self.shared.books();
        let waiting = books.entries.values_mut().filter(|entry| entry.standing == Standing::Waiting);
        for entry in waiting.filter(|entry| entry.begun_at < asked_before && entry.code() != 8) {
            (entry.standing, entry.paid_at, entry.untold) = (Standing::Paid, Some(now), 1);
        }
    }

    /// The payer refuses.
    pub fn decline(&self, reference: &str) {
        let mut books = self.shared.books();
        let entry = books.entries.get_mut(reference).expect("a payment that was begun");
        (entry.standing, entry.untold) = (Standing::Declined, 1);
    }

    /// The gateway keeps so much of a payment.
    pub fn keep(&self, reference: &str, fee_minor: i64) {
        self.shared.books().entries.get_mut(reference).expect("a payment that was begun").fee = Some(fee_minor);
    }

    /// Whether it knows a payment.
    pub fn knows(&self, reference: &str) -> bool {
        self.shared.books().entries.contains_key(reference)
    }

    /// What it charged, by payment.
    pub fn charged(&self) -> BTreeMap<String, i64> {
        let books = self.shared.books();
        let paid = books.entries.iter().filter(|(_, entry)| entry.standing == Standing::Paid);
        paid.map(|(reference, entry)| (reference.clone(), entry.amount_minor)).collect()
    }

    /// How often it was asked for a payment's money.
    pub fn starts(&self, reference: &str) -> u32 {
        self.shared.books().entries.get(reference).map_or(0, |entry| entry.starts)
    }

    /// A refund that was under way has reached the payer.
    pub fn arrive(&self, reference: &str) {
        self.shared.books().given_back.get_mut(reference).expect("a refund it knows").status = "succeeded";
    }

    /// What it gave back, by refund: of which payment, and how much.
    pub fn given_back(&self) -> BTreeMap<String, (String, i64)> {
        let books = self.shared.books();
        let paid = books.given_back.iter().filter(|(_, refund)| refund.status == "succeeded");
        paid.map(|(reference, refund)| (reference.clone(), (refund.payment.clone(), refund.amount_minor))).collect()
    }

    /// From now on statements call a payment by this.
    pub fn name(&self, reference: &str, transaction: &str) {
        let mut books = self.shared.books();
        let entry = books.entries.get_mut(reference).expect("a payment that was begun");
        transaction.clone_into(&mut entry.transaction);
    }

    /// What statements call a payment, without the operator's code.
    pub fn transaction(&self, reference: &str) -> String {
        self.shared.books().entries[reference].transaction.clone()
    }

    /// What it has to say, once.
    pub fn callbacks(&self) -> Vec<Callback> {
        let now = (self.shared.clock)();
        let mut books = self.shared.books();
        let mut said = Vec::new();
        let Books { entries, callbacks, .. } = &mut *books;
        for (reference, entry) in entries.iter_mut().filter(|(_, entry)| entry.untold > 0) {
            entry.untold = 0;
            *callbacks += 2;
            let last = callback(now, reference, entry, *callbacks, entry.code() != 7);
            let first = callback(now, reference, entry, *callbacks - 1, true);
            match entry.code() {
                5 => said.extend([last.clone(), last]),
                6 => said.extend([last, first]),
                _ => said.push(last),
            }
        }
        said
    }
}

/// The files of secrets of a server that asks this gateway: of mobile money, and of the card page.
pub fn secrets() -> [String; 2] {
    [MOMO_CALLBACK, CARD_CALLBACK].map(|callback| format!("bearer = \"{BEARER}\"\ncallback = [\"{callback}\"]\n"))
}

/// Settings and secrets of a server that asks this gateway, with deadlines that a test can wait for.
pub fn options() -> GatewayOptions {
    let deadlines = Deadlines {
        start: Duration::from_millis(400),
        fetch: Duration::from_millis(400),
        refund: Duration::from_millis(400),
    };
    GatewayOptions {
        momo: Secrets::new(BEARER, &[MOMO_CALLBACK]),
        card: Secrets::new(BEARER, &[CARD_CALLBACK]),
        deadlines,
    }
}

/// Writes what [`options`] say of mobile money into a file, as a server process reads it.
pub fn secrets_file(dir: &std::path::Path) -> std::io::Result<std::path::PathBuf> {
    let path = dir.join("momo.toml");
    std::fs::write(&path, format!("bearer = \"{BEARER}\"\ncallback = [\"{MOMO_CALLBACK}\"]\n"))?;
    Ok(path)
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

fn callback(now: Timestamp, reference: &str, entry: &Entry, number: u32, is_signed: bool) -> Callback {
    let seconds = now.seconds();
    let path = format!("/v1/gateways/{}/callbacks", entry.gateway);
    let (headers, body) = match entry.gateway {
        GatewayName::MobileMoney => {
            let body = json!({ "event": format!("evt-{number}"), "reference": reference }).to_string();
            let key = if is_signed { MOMO_CALLBACK } else { "somebody else's" };
            let signature = mac(key.as_bytes(), &format!("{seconds}.{body}"));
            (vec![("x-signature", format!("t={seconds},v1={}", Hash(signature)))], body)
        }
        GatewayName::Card => {
            let body = json!({ "type": "session.updated", "data": { "merchant_reference": reference } }).to_string();
            let (id, key) = (format!("msg_{number}"), STANDARD.decode(&CARD_CALLBACK[6..]).expect("base64"));
            let key = if is_signed { key } else { vec![0; 24] };
            let signature = STANDARD.encode(mac(&key, &format!("{id}.{seconds}.{body}")));
            let headers = vec![
                ("webhook-id", id),
                ("webhook-timestamp", seconds.to_string()),
                ("webhook-signature", format!("v1,{signature}")),
            ];
            (headers, body)
        }
    };
    Callback { path, headers, body, is_signed }
}

/// Begins a payment, if it is not there, and says what its amount has the gateway do.
async fn begin(
    shared: &Shared,
    reference: String,
    new: Entry,
    told: fn(&str, &Entry, &Books, Timestamp) -> Value,
) -> Response {
    let now = (shared.clock)();
    let (code, answer) = {
        let mut books = shared.books();
        let number = books.entries.len() + 1;
        let code = new.code();
        if code == 4 {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let entry =
            books.entries.entry(reference.clone()).or_insert(Entry { transaction: format!("QF{number:04}"), ..new });
        entry.starts += 1;
        if entry.starts == 1 {
            match code {
                1 => entry.standing = Standing::Declined,
                2 | 3 | 10 => (entry.standing, entry.paid_at) = (Standing::Paid, Some(now)),
                _ => {}
            }
        }
        let answer = told(&reference, &books.entries[&reference], &books, now);
        (code, answer)
    };
    match code {
        2 => std::future::pending().await,
        3 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        10 => Html("<html>Thank you!</html>").into_response(),
        _ => (StatusCode::ACCEPTED, Json(answer)).into_response(),
    }
}

fn new_entry(gateway: GatewayName, amount_minor: i64, asked: &Value, now: Timestamp) -> Entry {
    Entry {
        gateway,
        amount_minor,
        currency: asked["currency"].as_str().expect("a currency").to_owned(),
        standing: Standing::Waiting,
        transaction: String::new(),
        paid_at: None,
        begun_at: now,
        expires_at: asked["expires_at"].as_str().expect("a time").parse().expect("a time"),
        fee: None,
        starts: 0,
        untold: 0,
    }
}

/// Its status, as both spell it.
fn status(entry: &Entry, waiting: &'static str, now: Timestamp) -> &'static str {
    match entry.standing {
        Standing::Waiting if now > entry.expires_at => "expired",
        Standing::Waiting => waiting,
        Standing::Paid => "paid",
        Standing::Declined => "declined",
    }
}

async fn begin_momo(State(shared): State<Arc<Shared>>, Json(asked): Json<Value>) -> Response {
    let whole: i64 = asked["amount"].as_str().expect("a text").parse().expect("whole units");
    let reference = asked["reference"].as_str().expect("a reference").to_owned();
    let new = new_entry(GatewayName::MobileMoney, whole * 100, &asked, (shared.clock)());
    begin(&shared, reference, new, momo).await
}

async fn told_momo(State(shared): State<Arc<Shared>>, Path(reference): Path<String>) -> Response {
    let books = shared.books();
    match books.entries.get(&reference) {
        Some(entry) => Json(momo(&reference, entry, &books, (shared.clock)())).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": "not_found" }))).into_response(),
    }
}

fn momo(reference: &str, entry: &Entry, books: &Books, now: Timestamp) -> Value {
    let mut told = json!({ "reference": reference, "status": status(entry, "pending", now) });
    let units = |minor: i64| format!("{}.{:02}", minor / 100, minor % 100);
    if entry.standing == Standing::Paid || books.early_reference {
        told["transaction"] = json!(entry.transaction);
    }
    if entry.standing == Standing::Declined {
        told["reason"] = json!("insufficient_funds");
    }
    if let Some(at) = entry.paid_at {
        told["amount"] = json!(units(entry.amount_minor));
        told["currency"] = json!(entry.currency);
        told["completed_at"] = json!(at);
        told["fee"] = json!(entry.fee.map(units));
    }
    told
}

async fn begin_card(State(shared): State<Arc<Shared>>, Json(asked): Json<Value>) -> Response {
    let minor = asked["amount_minor"].as_i64().expect("an amount");
    let reference = asked["merchant_reference"].as_str().expect("a reference").to_owned();
    let new = new_entry(GatewayName::Card, minor, &asked, (shared.clock)());
    begin(&shared, reference, new, card).await
}

async fn told_card(State(shared): State<Arc<Shared>>, Query(asked): Query<BTreeMap<String, String>>) -> Json<Value> {
    let books = shared.books();
    let reference = &asked["merchant_reference"];
    let entry = books.entries.get(reference);
    let sessions: Vec<_> = entry.map(|entry| card(reference, entry, &books, (shared.clock)())).into_iter().collect();
    Json(json!({ "sessions": sessions }))
}

fn card(reference: &str, entry: &Entry, _: &Books, now: Timestamp) -> Value {
    let mut told = json!({
        "merchant_reference": reference, "status": status(entry, "open", now),
        "url": format!("https://pay.example.com/{reference}"),
    });
    if entry.standing == Standing::Declined {
        told["reason"] = json!("insufficient_funds");
    }
    if let Some(at) = entry.paid_at {
        let (id, amount_minor, currency) = (&entry.transaction, entry.amount_minor, &entry.currency);
        told["payment"] = json!({ "id": id, "amount_minor": amount_minor, "currency": currency, "captured_at": at });
    }
    told
}

/// Gives money back, once for a reference and never more than came; both gateways, each in its words.
async fn give_back(State(shared): State<Arc<Shared>>, Json(asked): Json<Value>) -> Response {
    let text = |name: &str| asked[name].as_str().map(str::to_owned);
    let key = if asked["merchant_reference"].is_null() { "reference" } else { "merchant_reference" };
    let reference = text(key).expect("a reference");
    let payment = text("payment").or_else(|| text("session_reference")).expect("a payment");
    let whole = || text("amount").expect("a text").parse::<i64>().expect("whole units") * 100;
    let amount_minor = asked["amount_minor"].as_i64().unwrap_or_else(whole);
    let code = amount_minor / 100 % 100;
    let (is_first, status) = {
        let mut books = shared.books();
        let Books { entries, given_back, .. } = &mut *books;
        let came = entries.get(&payment).filter(|entry| entry.standing == Standing::Paid);
        let gone = given_back.iter().filter(|(other, refund)| **other != reference && refund.payment == payment);
        let gone: i64 =
            gone.filter(|(_, refund)| refund.status != "failed").map(|(_, refund)| refund.amount_minor).sum();
        if came.is_none_or(|entry| entry.amount_minor < gone + amount_minor) {
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        }
        match code {
            1 => return (StatusCode::PAYMENT_REQUIRED, Json(json!({ "reason": "limit_exceeded" }))).into_response(),
            4 => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            _ => {}
        }
        let status = if code == 8 { "pending" } else { "succeeded" };
        let new = GivenBack { payment, amount_minor, status, asks: 0 };
        let refund = given_back.entry(reference.clone()).or_insert(new);
        refund.asks += 1;
        (refund.asks == 1, refund.status)
    };
    match code {
        2 if is_first => std::future::pending().await,
        3 if is_first => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        10 if is_first => Html("<html>Thank you!</html>").into_response(),
        _ => (StatusCode::ACCEPTED, Json(json!({ key: reference, "status": status }))).into_response(),
    }
}
