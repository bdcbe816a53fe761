//! The lender of the bench: a shop whose customers have accepted plans and have begun payments, all of it through the
//! server's own REST.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use axum::body::Body;
use axum::http::{Method, Request, header};
use daybook_server::app::{App, ClockChoice, Options};
use daybook_server::audit::Actor;
use daybook_server::auth::party::{ACTING_FOR, Customer};
use daybook_server::auth::users::{self, Holding, NewUser};
use daybook_server::auth::{Role, customers, session, token};
use daybook_server::gateways::GatewayOptions;
use daybook_server::http::idempotency::KEY;
use daybook_server::settings::Settings;
use daybook_shared::ids::{ApplicationId, ConsentId, CustomerId, OfferId, OrderId, PaymentId, QuoteId};
use daybook_shared::time::{Clock as _, SystemClock, Timestamp};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Size;
use super::connection::{Connection, deal};
use crate::bench::Setup;
use crate::gateway::{self, StubGateway};
use crate::process::{self, Server};
use crate::workload::office;

/// What every customer buys, and in how many instalments.
const PRICE_MINOR: i64 = 1_200_000;
const INSTALMENTS: u16 = 12;
/// What every payment is of: one that the gateway takes without ado.
const PAYMENT_MINOR: i64 = 100_000;
/// Orders that are handed over in one request.
const ORDERS_A_REQUEST: usize = 500;

/// The lender, his server and his gateway.
pub struct Shop {
    /// How his server is started.
    pub settings: process::Settings,
    /// Who takes the money.
    pub gateway: StubGateway,
    /// The customers.
    pub customers: Vec<CustomerId>,
    /// Paths of their plans.
    plans: Vec<(CustomerId, String)>,
    server: Server,
    /// Tokens of who sells, who makes offers, who decides.
    seller: String,
    partner: String,
    risk: String,
    offer: OfferId,
    keys: AtomicU64,
}

impl Shop {
    /// A new lender in an empty database, and its server.
    pub async fn open(setup: &Setup, db_url: &str) -> anyhow::Result<Self> {
        let gateway = StubGateway::start(|| SystemClock.now());
        let keys = setup.dir.join("keys");
        let [seller, partner, risk] = staff(setup, db_url, &gateway.url).await?;
        let settings = process::Settings {
            program: process::build()?,
            db_url: db_url.to_owned(),
            keys,
            clock: None,
            log: setup.dir.join("server.log"),
            file_bytes_max: None,
            momo_secrets: Some(gateway::secrets_file(&setup.dir)?),
        };
        let server = Server::start(settings.clone()).await?;
        let offer = OfferId::new(SystemClock.now(), &mut ChaCha20Rng::seed_from_u64(setup.seed));
        let shop = Self {
            settings,
            gateway,
            customers: Vec::new(),
            plans: Vec::new(),
            server,
            seller,
            partner,
            risk,
            offer,
            keys: AtomicU64::new(0),
        };
        shop.sell_on_instalments(setup.seed).await?;
        Ok(shop)
    }

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its server has stopped.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.server.stop().await
    }

    /// A policy that approves everybody, and an offer.
    async fn sell_on_instalments(&self, seed: u64) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let rules = json!({ "sample": { "seed": seed, "per_mille": 1_000 } });
        let policy = json!({ "id": QuoteId::new(now, &mut ChaCha20Rng::seed_from_u64(seed)), "rules": rules });
        let terms = json!({
            "currency": "KES", "kind": "zero_percent", "instalments": INSTALMENTS, "due": { "months_after": 1 },
            "increment_minor": 1, "early_settlement": "full_profit", "waterfall": "instalment_first",
            "apr_method": "eu_ccd",
        });
        let offer = json!({
            "id": self.offer, "name": "12 times", "regime": "open", "terms": terms, "amount_min_minor": 100,
            "amount_max_minor": 100_000_000, "valid_from": now.to_string()[..10],
        });
        let mut connection = Connection::open(self.address()).await?;
        let request = self.ask(&self.risk, Method::POST, "/v1/policy", &policy);
        connection.send(request).await?.expect(201)?;
        let request = self.ask(&self.partner, Method::POST, "/v1/offers-admin", &offer);
        connection.send(request).await?.expect(201)?;
        let path = format!("/v1/offers-admin/{}", self.offer);
        let request = self.ask(&self.partner, Method::PATCH, &path, &json!({ "state": "active" }));
        connection.send(request).await?.expect(200).map(drop)
    }

    /// Everybody buys.
    pub async fn open_plans(&mut self, seed: u64, size: Size) -> anyhow::Result<()> {
        let (now, rng) = (SystemClock.now(), &mut ChaCha20Rng::seed_from_u64(seed.wrapping_add(1)));
        let orders: Vec<_> = (0..size.plans).map(|_| (CustomerId::new(now, rng), OrderId::new(now, rng))).collect();
        self.customers = orders.iter().map(|(customer, _)| *customer).collect();
        let mut connections = Connection::open_many(self.address(), size.shoppers).await?;
        for (lot, orders) in orders.chunks(ORDERS_A_REQUEST).enumerate() {
            let body = handed_over(now, lot, orders);
            let request = self.ask(&self.seller, Method::POST, "/v1/imports/orders", &body);
            connections[0].send(request).await?.expect(200)?;
        }
        let wanted = self.customers.iter().copied().enumerate().collect();
        let plans = deal(&mut connections, wanted, async |connection, (n, customer)| {
            let plan = self.buy(connection, customer, seed.wrapping_add(100 + n as u64)).await;
            Ok((customer, plan.context("a plan")?))
        });
        self.plans = plans.await?;
        Ok(())
    }

    /// Everybody signs in to the app; their tokens.
    pub async fn sign_in(&self, setup: &Setup, database: &PgPool) -> anyhow::Result<Vec<String>> {
        let app = lender(setup, &self.settings.db_url).await?;
        let known: Vec<Customer> =
            sqlx::query_as("select id, uid from customer order by id").fetch_all(database).await?;
        let mut tokens = Vec::with_capacity(known.len());
        let mut tx = app.db.write().await?;
        for customer in known {
            let user = customers::login(&mut tx, (app.now(), &app.rng), customer).await?;
            let opened = session::open(&mut tx, &app, (user.id, user.uid), (session::Method::Code, None)).await?;
            tokens.push(token::of_session(&app, &opened.session, app.now()).0);
        }
        tx.commit().await?;
        app.db.close().await;
        Ok(tokens)
    }

    /// Everybody begins so many payments; how many there are.
    pub async fn begin_payments(&self, (seed, size): (u64, Size), each: usize) -> anyhow::Result<usize> {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let mut connections = Connection::open_many(self.address(), size.shoppers).await?;
        for round in 0..each {
            let now = SystemClock.now();
            let payments =
                self.plans.iter().map(|(customer, plan)| (PaymentId::new(now, rng), *customer, plan.as_str()));
            deal(&mut connections, payments.collect(), async |connection, (id, customer, plan)| {
                let amount = json!({ "minor": PAYMENT_MINOR, "currency": "KES" });
                let method = json!({ "mobile_money": { "phone": "+254712345678" } });
                let body = json!({ "id": id, "amount": amount, "method": method });
                let request = self.request(customer, Method::POST, &format!("{plan}/payments"), &body);
                connection.send(request).await?.expect(202).with_context(|| format!("payment {round}"))
            })
            .await?;
        }
        Ok(self.plans.len() * each)
    }

    /// A customer's way to a plan; gives its path.
    async fn buy(&self, connection: &mut Connection, customer: CustomerId, seed: u64) -> anyhow::Result<String> {
        let (now, rng) = (SystemClock.now(), &mut ChaCha20Rng::seed_from_u64(seed));
        let mut post = async |path: &str, body: Value| {
            let answer = connection.send(self.request(customer, Method::POST, path, &body)).await?;
            answer.expect(201)?;
            anyhow::Ok(answer)
        };
        let consent = ConsentId::new(now, rng);
        let body = json!({ "id": consent, "kind": "data_processing", "text_version": "1", "given": true });
        post("/v1/me/consents", body).await?;
        let quote = QuoteId::new(now, rng);
        post("/v1/quotes", self.quote(quote)).await?;
        let application = ApplicationId::new(now, rng);
        post("/v1/applications", json!({ "id": application, "quote": quote })).await?;
        let path = format!("/v1/applications/{application}");
        let agreement = self.request(customer, Method::GET, &format!("{path}/agreement"), &Value::Null);
        let agreement = connection.send(agreement).await?;
        let hash = agreement.headers.get(header::ETAG).context("a contract has a hash")?.to_str()?;
        let signature = json!({ "document_hash": hash.trim_matches('"'), "method": "app" });
        let request = self.request(customer, Method::POST, &format!("{path}/acceptance"), &signature);
        let answer = connection.send(request).await?;
        answer.expect(201)?;
        Ok(answer.headers.get(header::LOCATION).context("a plan has a place")?.to_str()?.to_owned())
    }

    /// What a quote asks for.
    pub fn quote(&self, id: QuoteId) -> Value {
        json!({ "id": id, "offer": self.offer, "amount": { "minor": PRICE_MINOR, "currency": "KES" } })
    }

    /// A request of the seller's in a customer's name.
    pub fn request(&self, customer: CustomerId, method: Method, path: &str, body: &Value) -> Request<Body> {
        let mut request = self.ask(&self.seller, method, path, body);
        request.headers_mut().insert(ACTING_FOR, customer.to_string().parse().expect("an id is a header"));
        request
    }

    /// A request of whose token it is.
    pub fn ask(&self, token: &str, method: Method, path: &str, body: &Value) -> Request<Body> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(KEY, format!("bench-{}", self.keys.fetch_add(1, Ordering::Relaxed)))
            .header(header::IF_MATCH, "*");
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        request.body(body).expect("a request")
    }
}

/// Orders as a shop hands them over, whose customers are new.
fn handed_over(now: Timestamp, lot: usize, orders: &[(CustomerId, OrderId)]) -> Value {
    let lines = orders.iter().enumerate().map(|(n, (customer, order))| {
        let order = json!({
            "id": order, "channel": "app", "reference": format!("{lot}-{n}"),
            "amount": { "minor": PRICE_MINOR, "currency": "KES" }, "placed_at": now,
        });
        json!({ "order": order, "customer": { "id": customer, "name": "" }, "events": [] })
    });
    json!({ "orders": lines.collect::<Vec<_>>() })
}

/// The lender's database and keys, beside his server.
async fn lender(setup: &Setup, db_url: &str) -> anyhow::Result<Arc<App>> {
    let options = Options {
        db_url: db_url.to_owned(),
        key_dir: Some(setup.dir.join("keys")),
        test: false,
        clock: ClockChoice::System,
        seed: Some(setup.seed),
        oidc_secret: None,
        sms_secret: None,
        gateways: GatewayOptions::default(),
    };
    Ok(App::open(&options).await?)
}

/// Makes the lender and his staff; tokens of who sells, who makes offers and who decides.
async fn staff(setup: &Setup, db_url: &str, gateway_url: &str) -> anyhow::Result<[String; 3]> {
    let app = lender(setup, db_url).await?;
    let unit = office::branch(&app).await?;
    let now = app.now();
    let mut tx = app.db.write().await?;
    let gateway = [("momo_url", gateway_url), ("momo_code", "MPESA")];
    for setting in office::SETTINGS.into_iter().chain(gateway) {
        Settings::set(&mut tx, now, Actor::OPERATOR, setting).await?;
    }
    let mut tokens = [const { String::new() }; 3];
    let roles = [("saida", Role::ShopStaff), ("paula", Role::PartnerManager), ("rita", Role::Risk)];
    for (token, (login, role)) in tokens.iter_mut().zip(roles) {
        let new = NewUser { login, name: login, password_hash: "none".to_owned() };
        let user = users::create(&mut tx, (now, &app.rng), Actor::OPERATOR, new).await?;
        users::set_role(&mut tx, now, Actor::OPERATOR, &user, (role, &unit, Holding::Held)).await?;
        *token = token::issue(&app, user.uid, now);
    }
    tx.commit().await?;
    app.db.close().await;
    Ok(tokens)
}
