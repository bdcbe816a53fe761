//! Payments in the customer's app: through the real router and adapters, against a gateway that does what an amount
//! tells it to ([`daybook_tests::gateway`]). What it charged is what is posted, whatever it does.
//!
//! The file is long as the stories share one scene: a customer, his gateway, an officer and the operator.

use std::sync::{Arc, OnceLock};

use axum::http::Method;
use daybook_mobile_sync::view::CaseView;
use daybook_server::app::App;
use daybook_server::auth::Role;
use daybook_server::import::Scope;
use daybook_server::import::bad::BadLines;
use daybook_server::import::money_in::{Kind, Reading};
use daybook_server::import::receive::{Came, LineResult};
use daybook_server::import::rows::Rows;
use daybook_server::import::take_in::TakeIn;
use daybook_server::import::take_over::Mode;
use daybook_server::journey::payments::work;
use daybook_shared::ids::{EntryId, PaymentId};
use daybook_tests::gateway::{self, Callback, StubGateway};
use daybook_tests::sim::clock::SimClock;
use daybook_tests::sim::server::Answer;
use daybook_tests::sim::{Acc, Engine, KES, On, Terms, Who, World};
use indicatif::ProgressBar;
use serde_json::{Value, json};

/// How a customer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Phone,
    Card,
}

/// A lender with a gateway, an officer's phone, and a customer with four instalments of KES 1000.00.
pub struct Scene {
    pub world: World,
    pub gateway: StubGateway,
    pub amina: Who,
    pub on: On,
    pub acc: Acc,
    pub customer: Who,
}

/// Minor units that tell the gateway what to do.
pub fn amount(code: i64) -> i64 {
    100_000 + code * 100
}

impl Scene {
    pub fn new(engine: Engine) -> Self {
        let clock: Arc<OnceLock<Arc<SimClock>>> = Arc::default();
        let of_gateway = Arc::clone(&clock);
        let gateway =
            StubGateway::start(move || of_gateway.get().expect("the world begins before anybody pays").time());
        let settings = [
            ("momo_url", gateway.url.as_str()),
            ("momo_code", "MPESA"),
            ("card_url", gateway.url.as_str()),
            ("card_code", "CARD"),
        ];
        let mut world = World::with_gateways(engine, 1, &settings, gateway::options());
        clock.set(Arc::clone(&world.clock)).expect("it is set once");
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms { count: 4, principal: 90_000, interest: 10_000, days_ago: 45 });
        world.sync(on);
        let customer = world.customer(acc);
        Self { world, gateway, amina, on, acc, customer }
    }

    /// The customer has an account that no story pays to its end.
    pub fn with_a_large_account(&mut self) {
        let terms = Terms { count: 4, principal: 9_000_000, interest: 1_000_000, days_ago: 45 };
        self.acc = self.world.account(self.amina, terms);
        self.customer = self.world.customer(self.acc);
        self.world.sync(self.on);
    }

    pub fn plan(&self) -> String {
        format!("/v1/plans/{}", self.world.accounts[self.acc.0].uid)
    }

    pub fn payment_id(&mut self) -> PaymentId {
        let now = self.world.now();
        PaymentId::new(now, &mut self.world.rng)
    }

    pub fn body(id: PaymentId, minor: i64, by: By) -> Value {
        let method = match by {
            By::Phone => json!({ "mobile_money": { "phone": "+254700000001" } }),
            By::Card => json!({ "card": { "return_url": "https://app.example.com/paid" } }),
        };
        json!({ "id": id, "amount": { "minor": minor, "currency": KES }, "method": method })
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.world.rest(self.customer, Method::POST, &format!("{}{path}", self.plan()), body)
    }

    /// The customer begins a payment.
    pub fn begin(&mut self, minor: i64, by: By) -> PaymentId {
        let id = self.payment_id();
        let answer = self.post("/payments", &Self::body(id, minor, by));
        assert_eq!((answer.status, answer.json()["state"].clone()), (202, json!("pending")), "{}", answer.json());
        assert_eq!(answer.headers["location"], format!("/v1/payments/{id}"));
        id
    }

    /// A payment as the customer sees it.
    pub fn seen(&self, id: PaymentId) -> Value {
        let answer = self.world.rest(self.customer, Method::GET, &format!("/v1/payments/{id}"), &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }

    pub fn state(&self, id: PaymentId) -> String {
        self.seen(id)["state"].as_str().unwrap().to_owned()
    }

    /// The server does what is due.
    pub fn work(&self) {
        self.world.server.run(async |app: &App| work::what_is_due(app).await.unwrap());
    }

    /// The gateway calls back, and the server does what is due. What is not signed by the gateway is refused.
    pub fn called_back(&self) {
        for callback in self.gateway.callbacks() {
            let expected = if callback.is_signed { 200 } else { 401 };
            assert_eq!(self.world.server.call(callback.request()).status, expected);
        }
        self.work();
    }

    /// Time passes, and the server does what is due, until nothing is pending.
    pub fn until_nothing_is_pending(&self) {
        for _ in 0..40 {
            let pending: Vec<(i64,)> = self
                .world
                .server
                .rows("select cast(count(*) as bigint) from payment where source = 'app' and state = 'pending'");
            if pending[0].0 == 0 {
                return;
            }
            self.world.pass_ms(61_000);
            self.work();
        }
        panic!("a payment stays pending");
    }

    /// A line of the operator's statement of today for a payment.
    pub fn stated(&self, id: PaymentId, account: &str) -> LineResult {
        let row = self.statement(id, account);
        self.world.server.run(async |app| import(app, &row).await)
    }

    pub fn statement(&self, id: PaymentId, account: &str) -> String {
        let reference = self.gateway.transaction(&id.to_string());
        let minor = self.gateway.charged().get(&id.to_string()).copied().unwrap_or_default();
        let today = self.world.today();
        format!(
            "reference,at,amount,currency,account\n{reference},{today},{}.{:02},KES,{account}\n",
            minor / 100,
            minor % 100
        )
    }

    /// What is posted of customers' own payments, and what the gateway charged: the same money.
    pub fn balances(&self) {
        let posted: Vec<(i64,)> = self.world.server.rows(
            "select cast(coalesce(sum(amount_minor), 0) as bigint) from payment where state in ('posted', 'held')
               and source in ('app', 'statement')",
        );
        let charged: i64 = self.gateway.charged().values().sum();
        assert_eq!(posted[0].0, charged, "what is posted is what was charged");
        for reference in self.gateway.charged().keys() {
            assert_eq!(self.gateway.starts(reference), 1, "{reference} was asked for once");
        }
    }

    pub fn check(&mut self) {
        self.balances();
        self.world.sync(self.on);
        self.world.check_all(&[self.on]);
    }

    /// The case as the officer's phone shows it.
    pub fn on_the_phone(&self) -> CaseView {
        let phone = self.world.phone(self.on);
        let view = phone.store().view(phone.moment(self.world.now())).unwrap();
        view.case(self.world.accounts[self.acc.0].dossier).unwrap().unwrap()
    }
}

/// Imports a file of M-Pesa's statement with one line.
pub async fn import(app: &App, file: &str) -> LineResult {
    let kind = Kind::Statement("MPESA".to_owned());
    let rows = Rows::body(file.as_bytes().to_vec(), kind.columns()).unwrap();
    let zone = app.settings.zone.clone();
    let reading = Reading { kind, today: zone.date_of(app.now()), zone, country: None };
    let take_in = TakeIn { app, scope: &Scope::OPERATOR, reading, mode: Mode::Import };
    let mut results = Vec::new();
    take_in.run(rows, BadLines::default(), &ProgressBar::hidden(), |result| results.push(result)).await.unwrap();
    results.remove(0)
}

pub fn on_every_engine(story: impl Fn(Scene)) {
    for engine in Engine::all() {
        story(Scene::new(engine));
    }
}

const NUMBER: &str = "A-0001";

#[test]
fn what_is_paid_in_the_app_is_on_the_officers_phone_and_his_cash_is_in_the_app() {
    on_every_engine(|mut scene| {
        let id = scene.begin(amount(50), By::Phone);
        let seen = scene.seen(id);
        assert_eq!((&seen["next"]["kind"], &seen["allocations"]), (&json!("confirm_on_phone"), &json!([])));
        scene.gateway.approve(&id.to_string());
        scene.gateway.keep(&id.to_string(), 1_500);
        scene.called_back();
        let seen = scene.seen(id);
        assert_eq!((&seen["state"], &seen["next"]), (&json!("posted"), &Value::Null));
        let instalments: Vec<_> =
            seen["allocations"].as_array().unwrap().iter().map(|part| part["instalment"].clone()).collect();
        assert_eq!(instalments, [json!(1), json!(2)]);
        let event = EntryId(id.0);
        let booked = [
            "repayment: Dr momo 105000",
            "repayment: Cr plan_recv 105000",
            "channel_cost: Dr channel_cost 1500",
            "channel_cost: Cr momo 1500",
        ];
        assert_eq!(scene.world.lines(event), booked);
        scene.world.sync(scene.on);
        assert_eq!(scene.on_the_phone().summary.outstanding.minor, 400_000 - 105_000);

        let cash = scene.world.cash(scene.on, scene.acc, 20_000);
        scene.world.sync(scene.on);
        let path = format!("{}/payments?limit=1", scene.plan());
        let page = scene.world.rest(scene.customer, Method::GET, &path, &Value::Null).json();
        assert_eq!(page["items"][0]["id"], json!(cash));
        assert_eq!((&page["items"][0]["source"], &page["items"][0]["channel"]), (&json!("field"), &json!("CASH")));
        assert_eq!(page["items"][0]["allocations"][0]["instalment"], json!(2));
        let path = format!("{path}&after={}", page["next"].as_str().unwrap());
        let page = scene.world.rest(scene.customer, Method::GET, &path, &Value::Null).json();
        assert_eq!((&page["items"][0]["id"], &page["next"]), (&json!(id), &Value::Null));
        // His own field payment is his to see too.
        assert_eq!(scene.state(PaymentId(cash.0)), "posted");
        scene.check();
    });
}

#[test]
fn a_card_payment_goes_over_its_page_and_counts_for_the_acquirers_day() {
    on_every_engine(|mut scene| {
        let id = scene.begin(amount(50) + 5, By::Card);
        let seen = scene.seen(id);
        let redirect = json!({ "kind": "redirect", "redirect_url": format!("https://pay.example.com/{id}") });
        assert_eq!(seen["next"], redirect);
        scene.gateway.approve(&id.to_string());
        scene.called_back();
        assert_eq!(scene.state(id), "posted");
        let booked = ["repayment: Dr card_clearing 105005", "repayment: Cr plan_recv 105005"];
        assert_eq!(scene.world.lines(EntryId(id.0)), booked);
        scene.check();
    });
}

/// What an amount has the gateway do, what the payer does, and what it comes to.
const CODES: [(i64, Payer, &str); 11] = [
    (1, Payer::Waits, "failed"),
    (2, Payer::Waits, "posted"),
    (3, Payer::Waits, "posted"),
    (4, Payer::Waits, "expired"),
    (5, Payer::Confirms, "posted"),
    (6, Payer::Confirms, "posted"),
    (7, Payer::Confirms, "posted"),
    (8, Payer::ConfirmsTooLate, "posted"),
    (10, Payer::Waits, "posted"),
    (20, Payer::Refuses, "failed"),
    (21, Payer::Waits, "expired"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payer {
    Waits,
    Confirms,
    Refuses,
    ConfirmsTooLate,
}

#[test]
fn whatever_the_gateway_does_what_it_charged_is_posted_once() {
    for by in [By::Phone, By::Card] {
        on_every_engine(|mut scene| {
            scene.with_a_large_account();
            for (code, payer, expected) in CODES {
                let id = scene.begin(amount(code), by);
                let reference = id.to_string();
                match payer {
                    Payer::Confirms => scene.gateway.approve(&reference),
                    Payer::Refuses => scene.gateway.decline(&reference),
                    Payer::Waits | Payer::ConfirmsTooLate => {}
                }
                scene.called_back();
                scene.until_nothing_is_pending();
                if payer == Payer::ConfirmsTooLate {
                    assert_eq!(scene.state(id), "expired", "{code} {by:?}");
                    scene.gateway.approve(&reference);
                    scene.called_back();
                }
                assert_eq!(scene.state(id), expected, "{code} {by:?}");
                let failure = scene.seen(id)["failure"].clone();
                let why = if expected == "failed" { json!("insufficient_funds") } else { Value::Null };
                assert_eq!(failure, why, "{code} {by:?}");
                assert_eq!(scene.gateway.knows(&reference), code != 4);
                assert!(scene.gateway.starts(&reference) <= 1, "{code} {by:?}");
                scene.balances();
            }
            // A day later what expired is looked at a last time; then there is nothing left to ask.
            scene.world.pass_days(2);
            scene.work();
            let open: Vec<(i64,)> =
                scene.world.server.rows("select cast(count(*) as bigint) from app_payment where next_at is not null");
            assert_eq!(open[0].0, 0);
            scene.check();
        });
    }
}

/// What happens to the money of one payment: the gateway says it, its operator's statement says it, and an officer
/// who was shown the message records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Gateway,
    Statement,
    StatementWithoutAccount,
    Officer,
}

#[test]
fn the_gateway_the_statement_and_the_officer_mean_the_same_money_in_every_order() {
    use Said::{Gateway, Officer, Statement, StatementWithoutAccount};
    let orders: [&[Said]; 14] = [
        &[Gateway, Statement, Gateway],
        &[Statement, Gateway, Statement],
        &[StatementWithoutAccount, Gateway, StatementWithoutAccount],
        &[Gateway, StatementWithoutAccount, Gateway],
        &[Gateway, Officer],
        &[Officer, Gateway],
        &[Officer, Gateway, Statement],
        &[Officer, Statement, Gateway],
        &[Statement, Officer, Gateway],
        &[Statement, Gateway, Officer],
        &[Gateway, Officer, Statement],
        &[Gateway, Statement, Officer],
        &[StatementWithoutAccount, Officer, Gateway],
        &[Officer, StatementWithoutAccount, Gateway],
    ];
    on_every_engine(|mut scene| {
        let mut paid = 0;
        for (order, minor) in orders.into_iter().zip((3_000..).step_by(100)) {
            // Small, so that the account stays open, and each of its own; their codes are the payer's.
            let id = scene.begin(minor, By::Phone);
            scene.gateway.approve(&id.to_string());
            let callbacks = scene.gateway.callbacks();
            let mut captured = None;
            for said in order {
                match said {
                    Gateway => hear(&scene, &callbacks),
                    Statement => assert_ne!(scene.stated(id, NUMBER).came, Came::Conflict),
                    StatementWithoutAccount => assert_ne!(scene.stated(id, "0722 my phone").came, Came::Conflict),
                    Officer => {
                        let reference = format!("MPESA:{}", scene.gateway.transaction(&id.to_string()));
                        captured = Some(scene.world.mobile_money(scene.on, scene.acc, minor, &reference));
                        scene.world.sync(scene.on);
                    }
                }
            }
            paid += minor;
            assert_eq!(scene.state(id), "posted", "{order:?}");
            assert_eq!(scene.world.row_of(scene.acc).paid_minor, paid, "{order:?}");
            if let Some(captured) = captured {
                assert_eq!(scene.world.outcome(captured), "posted PROVIDER_CONFIRMED", "{order:?}");
            }
            let seen: i64 = scene.seen(id)["allocations"].as_array().unwrap().iter().map(paid_of).sum();
            assert_eq!(seen, minor, "{order:?}");
        }
        scene.world.sync(scene.on);
        scene.world.check_all(&[scene.on]);
    });
}

fn paid_of(part: &Value) -> i64 {
    ["principal", "interest", "fee", "penalty"].iter().map(|name| part[name].as_i64().unwrap()).sum()
}

/// The same callbacks again and again: the gateway may send them for days.
fn hear(scene: &Scene, callbacks: &[Callback]) {
    for callback in callbacks {
        assert_eq!(scene.world.server.call(callback.request()).status, 200);
    }
    scene.work();
}

#[test]
fn the_gateway_and_the_statement_at_the_same_moment_post_once() {
    on_every_engine(|mut scene| {
        for round in 1..=6 {
            let id = scene.begin(3_000, By::Phone);
            scene.gateway.approve(&id.to_string());
            let (callbacks, file) = (scene.gateway.callbacks(), scene.statement(id, NUMBER));
            for callback in &callbacks {
                assert_eq!(scene.world.server.call(callback.request()).status, 200);
            }
            scene.left_every_other_round(round);
            // Two replicas do what is due while the operator imports.
            scene.world.server.run(async |app| {
                let work = || async { work::what_is_due(app).await.unwrap() };
                let all = futures_util::future::join4(work(), import(app, &file), work(), import(app, &file));
                Box::pin(all).await;
            });
            hear(&scene, &callbacks);
            assert_eq!(scene.state(id), "posted", "round {round}");
            assert_eq!(scene.world.row_of(scene.acc).paid_minor, round * 3_000);
        }
        scene.check();
    });
}

#[test]
fn a_statement_settles_what_was_begun_when_the_gateway_told_its_reference_before() {
    on_every_engine(|mut scene| {
        scene.gateway.tell_references_early();
        let id = scene.begin(3_000, By::Phone);
        scene.gateway.approve(&id.to_string());
        scene.gateway.keep(&id.to_string(), 100);
        let line = scene.stated(id, "no such account");
        assert_eq!((line.came, line.payment), (Came::Confirmed, Some(id)));
        assert_eq!(scene.state(id), "posted");
        // The gateway is asked once more: it knows what it kept.
        scene.called_back();
        assert_eq!(scene.world.lines(EntryId(id.0)).len(), 4);
        assert_eq!(scene.stated(id, "no such account").came, Came::Present);
        scene.check();
    });
}

#[test]
fn money_is_never_refused_whatever_became_of_the_account() {
    on_every_engine(|mut scene| {
        let (late, later) = (scene.begin(amount(30), By::Phone), scene.begin(amount(31), By::Card));
        scene.world.cash(scene.on, scene.acc, 400_000);
        scene.world.sync(scene.on);
        assert_eq!(scene.world.row_of(scene.acc).status_text(), "closed(paid)");
        scene.gateway.approve(&late.to_string());
        scene.called_back();
        assert_eq!(scene.state(late), "posted");
        assert_eq!(scene.world.stands(scene.acc), "closed(paid), owes 0, paid 400000, credit 103000");
        // Nothing more is begun on it.
        let refused = scene.post("/payments", &Scene::body(later, amount(31), By::Phone));
        assert_eq!(refused.code(), "id-taken");
        let id = scene.payment_id();
        let refused = scene.post("/payments", &Scene::body(id, amount(31), By::Phone));
        assert_eq!(
            (refused.code(), refused.json()["from"].clone()),
            ("illegal-transition".into(), json!("closed(paid)"))
        );
        scene.check();
        // Of an account that was undone the money waits for a person.
        let account = scene.world.accounts[scene.acc.0].id;
        scene.world.server.execute(&format!("update account set closed_as = 'rescinded' where id = {account}"));
        scene.gateway.approve(&later.to_string());
        scene.called_back();
        assert_eq!(scene.state(later), "held");
        let booked = ["suspense: Dr card_clearing 103100", "suspense: Cr suspense 103100"];
        assert_eq!(scene.world.lines(EntryId(later.0)), booked);
        let reason =
            "select l.reason from statement_line l join payment p on p.uid = l.payment_uid where p.state = 'held'";
        assert_eq!(scene.world.server.rows::<(String,)>(reason), [("UNKNOWN_ACCOUNT".to_owned(),)]);
        scene.balances();
    });
}

#[test]
fn what_was_not_sent_is_sent_later_and_only_then() {
    for engine in Engine::all() {
        // A port that is nobody's until the gateway comes up on it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url = format!("http://{address}");
        let settings = [("momo_url", url.as_str()), ("momo_code", "MPESA")];
        let mut world = World::with_gateways(engine, 1, &settings, gateway::options());
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms { count: 4, principal: 90_000, interest: 10_000, days_ago: 45 });
        let customer = world.customer(acc);
        let (plan, now) = (world.accounts[acc.0].uid, world.now());
        let ids = [PaymentId::new(now, &mut world.rng), PaymentId::new(now, &mut world.rng)];
        let begin = |world: &World, id| {
            let body = Scene::body(id, amount(40), By::Phone);
            let answer = world.rest(customer, Method::POST, &format!("/v1/plans/{plan}/payments"), &body);
            assert_eq!(answer.status, 202, "{}", answer.json());
        };
        let state = |world: &World, id| {
            let answer = world.rest(customer, Method::GET, &format!("/v1/payments/{id}"), &Value::Null);
            (answer.json()["state"].as_str().unwrap().to_owned(), answer.json()["failure"].clone())
        };
        let work = |world: &World| world.server.run(async |app| work::what_is_due(app).await.unwrap());
        // The first never reaches anybody: nothing was asked for, so it simply failed.
        begin(&world, ids[0]);
        for _ in 0..10 {
            world.pass_ms(60_000);
            work(&world);
        }
        assert_eq!(state(&world, ids[0]), ("failed".to_owned(), json!("unreachable")));
        begin(&world, ids[1]);
        let clock = Arc::clone(&world.clock);
        let gateway = StubGateway::on(std::net::TcpListener::bind(address).unwrap(), move || clock.time());
        assert!(!gateway.knows(&ids[1].to_string()));
        world.pass_ms(5_000);
        work(&world);
        assert_eq!(gateway.starts(&ids[1].to_string()), 1);
        gateway.approve(&ids[1].to_string());
        world.pass_ms(61_000);
        work(&world);
        assert_eq!(state(&world, ids[1]).0, "posted");
        world.sync(on);
        world.check_all(&[on]);
    }
}

#[test]
fn what_is_begun_has_bounds_and_an_id_is_one_payments_for_ever() {
    on_every_engine(|mut scene| {
        let id = scene.payment_id();
        let good = Scene::body(id, amount(50), By::Phone);
        let with = |change: fn(&mut Value)| {
            let mut body = good.clone();
            change(&mut body);
            body
        };
        let cases = [
            (with(|body| body["amount"]["minor"] = json!(0)), "validation", "/amount/minor"),
            (with(|body| body["amount"]["minor"] = json!(-100)), "validation", "/amount/minor"),
            (with(|body| body["amount"]["minor"] = json!(100_050)), "validation", "/amount/minor"),
            (with(|body| body["amount"]["currency"] = json!("USD")), "validation", "/amount/currency"),
            (with(|body| body["amount"]["minor"] = json!(50_000_100)), "limit-exceeded", ""),
            (
                with(|body| body["method"] = json!({ "mobile_money": { "phone": "0722000001" } })),
                "validation",
                "/method/mobile_money/phone",
            ),
            (
                with(|body| body["method"] = json!({ "card": { "return_url": "http://app.example.com" } })),
                "validation",
                "/method/card/return_url",
            ),
            (with(|body| body["method"] = json!({ "cheque": {} })), "validation", "/method/cheque"),
            (with(|body| body["purpose"] = json!("down_payment")), "validation", "/purpose"),
        ];
        for (body, code, pointer) in cases {
            let answer = scene.post("/payments", &body);
            assert_eq!(answer.code(), code, "{body} {}", answer.json());
            let at = answer.json()["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
            assert!(pointer.starts_with(&at), "{body} {at}");
        }
        assert_eq!(scene.post("/payments", &good).status, 202);
        // The same again, under another key: the same payment, and nobody is asked again.
        let again = scene.post("/payments", &good);
        assert_eq!((again.status, again.json()["id"].clone()), (200, json!(id)));
        assert_eq!(scene.gateway.starts(&id.to_string()), 1);
        for other in [
            Scene::body(id, amount(51), By::Phone),
            Scene::body(id, amount(50), By::Card),
            with(|body| body["method"] = json!({ "mobile_money": { "phone": "+254700000002" } })),
        ] {
            assert_eq!(scene.post("/payments", &other).code(), "id-taken");
        }
        // An entry's id is taken too.
        let visit = scene.world.visit(scene.on, scene.acc);
        scene.world.sync(scene.on);
        let taken = scene.post("/payments", &Scene::body(PaymentId(visit.0), amount(50), By::Phone));
        assert_eq!(taken.code(), "id-taken");
        // No more than three are under way.
        scene.begin(amount(51), By::Card);
        scene.begin(amount(52), By::Card);
        let fourth = scene.payment_id();
        let answer = scene.post("/payments", &Scene::body(fourth, amount(53), By::Card));
        assert_eq!((answer.code(), answer.json()["used"].clone()), ("limit-exceeded".into(), json!(3)));
        // A method that nobody configured.
        let settings = [("momo_code", "MPESA")];
        drop(scene);
        let mut world = World::with_settings(Engine::Sqlite, 1, &settings);
        let (amina, _) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(2));
        let (customer, plan) = (world.customer(acc), world.accounts[acc.0].uid);
        let answer = world.rest(customer, Method::POST, &format!("/v1/plans/{plan}/payments"), &good);
        assert_eq!(
            (answer.code(), answer.json()["errors"][0]["code"].clone()),
            ("validation".into(), json!("not-offered"))
        );
    });
}

#[test]
fn requests_at_the_same_moment_begin_one_payment_and_no_more_than_may_be_under_way() {
    on_every_engine(|mut scene| {
        let ids: Vec<_> = (0..6).map(|_| scene.payment_id()).collect();
        let path = format!("{}/payments", scene.plan());
        let request = |id, code| {
            scene.world.request(scene.customer, Method::POST, &path, &Scene::body(id, amount(code), By::Phone))
        };
        let twice =
            scene.world.server.call_at_once(vec![request(ids[0], 40), request(ids[0], 40), request(ids[0], 41)]);
        let mut codes: Vec<_> = twice.iter().map(|answer| answer.status).collect();
        codes.sort_unstable();
        assert!(codes == [200, 202, 409] || codes == [202, 409, 409], "{codes:?}");
        assert!(scene.gateway.starts(&ids[0].to_string()) <= 1);
        let many = scene.world.server.call_at_once(ids[1..].iter().map(|id| request(*id, 42)).collect());
        assert_eq!(many.iter().filter(|answer| answer.status == 202).count(), 2);
        assert!(many.iter().all(|answer| answer.status == 202 || answer.code() == "limit-exceeded"));
    });
}

#[test]
fn what_is_another_customers_does_not_exist_and_staff_act_for_whom_they_name() {
    on_every_engine(|mut scene| {
        let id = scene.begin(amount(50), By::Phone);
        let other = scene.world.account(scene.amina, Terms::months(2));
        let stranger = scene.world.customer(other);
        let plan = scene.plan();
        let body = Scene::body(id, amount(50), By::Phone);
        let promise = json!({ "id": id, "amount": { "minor": 100, "currency": KES }, "date": scene.world.today() });
        for (method, path, body) in [
            (Method::GET, format!("/v1/payments/{id}"), &Value::Null),
            (Method::GET, format!("{plan}/payments"), &Value::Null),
            (Method::POST, format!("{plan}/payments"), &body),
            (Method::POST, format!("{plan}/promises"), &promise),
        ] {
            let answer = scene.world.rest(stranger, method.clone(), &path, body);
            assert_eq!(answer.status, 404, "{method} {path}");
        }
        // Its version: whoever has it is not sent it again; a change is another.
        let read = |scene: &Scene, who, etag: Option<&str>, customer: Option<&str>| {
            let mut request = scene.world.request(who, Method::GET, &format!("/v1/payments/{id}"), &Value::Null);
            let headers = request.headers_mut();
            if let Some(etag) = etag {
                headers.insert("if-none-match", etag.parse().unwrap());
            }
            if let Some(customer) = customer {
                headers.insert("acting-for", customer.parse().unwrap());
            }
            scene.world.server.call(request)
        };
        let etag = read(&scene, scene.customer, None, None).headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(read(&scene, scene.customer, Some(&etag), None).status, 304);
        scene.gateway.approve(&id.to_string());
        scene.called_back();
        assert_eq!(read(&scene, scene.customer, Some(&etag), None).status, 200);
        // Staff name the customer; an auditor too, who only reads.
        let auditor = scene.world.person("audit", Role::Auditor);
        let customers: Vec<(uuid::Uuid,)> = scene.world.server.rows("select uid from customer order by id");
        let (his, others) = (customers[0].0.to_string(), customers[1].0.to_string());
        assert_eq!(read(&scene, auditor, None, Some(&his)).json()["state"], json!("posted"));
        assert_eq!(read(&scene, auditor, None, Some(&others)).status, 404);
        assert_eq!(read(&scene, auditor, None, None).code(), "malformed-request");
        let refused = scene.world.rest(auditor, Method::POST, &format!("{plan}/payments"), &body);
        assert_eq!(refused.status, 403);
    });
}

#[test]
fn callbacks_are_the_gateways_own_and_leave_no_body() {
    on_every_engine(|mut scene| {
        let id = scene.begin(amount(50), By::Phone);
        scene.gateway.approve(&id.to_string());
        let good = scene.gateway.callbacks().remove(0);
        let send = |scene: &Scene, change: fn(&mut Callback)| {
            let mut callback = good.clone();
            change(&mut callback);
            scene.world.server.call(callback.request()).status
        };
        assert_eq!(send(&scene, |callback| callback.headers.clear()), 401);
        assert_eq!(send(&scene, |callback| callback.body.push(' ')), 401);
        assert_eq!(send(&scene, |callback| callback.path = "/v1/gateways/card/callbacks".to_owned()), 401);
        assert_eq!(send(&scene, |callback| callback.path = "/v1/gateways/none/callbacks".to_owned()), 404);
        assert_eq!(send(&scene, |callback| callback.path += "?token=secret"), 400);
        assert_eq!(send(&scene, |callback| callback.body = " ".repeat(64 * 1024 + 1)), 413);
        scene.world.pass_ms(301_000);
        assert_eq!(send(&scene, |_| {}), 401);
        let kept = |scene: &Scene| {
            scene.world.server.rows::<(String, String)>("select event, reference from gateway_callback")
        };
        assert!(kept(&scene).is_empty());
        scene.world.pass_ms(-301_000);
        for _ in 0..3 {
            assert_eq!(send(&scene, |_| {}), 200);
        }
        assert_eq!(kept(&scene), [("evt-2".to_owned(), id.to_string())]);
        scene.work();
        assert_eq!(scene.state(id), "posted");
        scene.check();
    });
}
