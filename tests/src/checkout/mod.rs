//! Real web orders through the journey: each is handed over, shown offers, and, where it was paid by card in
//! instalments, quoted, applied for, signed or cancelled, on its own days; then delivered and rated.
//!
//! Over the real router in one process, with the orders' own time. What the funnel says afterwards is compared with
//! a count that is kept beside it, of what the orders say and what each application was answered.
//!
//! * [`orders`]: the files. [`made_up`]: the same, where they are not at hand. [`count`]: the count beside it.

pub mod count;
pub mod made_up;
pub mod orders;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, ensure};
use axum::http::Method;
use daybook_server::auth::Role;
use daybook_shared::ids::{ApplicationId, ConsentId, CustomerId, OfferId, OrderId, QuoteId};
use daybook_shared::time::{Date, Timestamp};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use self::count::Count;
use self::orders::{Ending, Order};
use crate::sim::{Answer, Engine, Who, World};

/// The most instalments of a card in these orders.
const INSTALMENTS_MAX: u16 = 24;
/// Of a thousand applications so many are approved, by the seed.
const APPROVED_PER_MILLE: u64 = 900;
/// Nothing is offered for less, minor units.
const OFFERED_FROM_MINOR: i64 = 100;

/// Which orders, on which engine.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The folder of the orders.
    pub data: &'a Path,
    /// The server's engine.
    pub engine: Engine,
    /// Decides who is approved, and ids.
    pub seed: u64,
    /// Every so many orders one is taken.
    pub every: usize,
}

/// What it came to.
#[derive(Debug, Default, serde::Serialize)]
pub struct Report {
    /// Orders that went through a checkout.
    pub orders: usize,
    /// Of these, of too little for any offer.
    pub too_little: usize,
    /// Paid by card in instalments.
    pub instalments: i64,
    /// Contracts that were signed, each an account.
    pub contracts: i64,
    /// Applications that were rejected.
    pub rejected: i64,
    /// Applications that were taken back.
    pub cancelled: i64,
    /// Orders that were delivered.
    pub delivered: usize,
    /// Orders that were rated.
    pub rated: usize,
    /// What the accounts owe, minor units.
    pub owed_minor: i64,
    /// Requests.
    pub requests: u64,
    /// Where the funnel differs from the count beside it; nothing is right.
    pub differences: Vec<String>,
}

/// Something that happens to an order, at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Placed,
    Paid,
    Ended,
    Delivered,
    Rated,
}

/// Runs the orders through.
pub fn run(options: Options<'_>, progress: &ProgressBar) -> anyhow::Result<Report> {
    let orders: Vec<_> = orders::read(options.data)?.into_iter().step_by(options.every).collect();
    ensure!(!orders.is_empty(), "{} holds no orders", options.data.display());
    let settings = [("zone", "UTC"), ("currency", "BRL"), ("approval_hours", "744")];
    let world = World::with_settings(options.engine, options.seed, &settings);
    let mut shop = Shop::open(world, options.seed, &orders)?;
    let mut steps: Vec<_> =
        orders.iter().flat_map(|order| steps(order).map(move |(at, step)| (at, step, order))).collect();
    steps.sort_by_key(|(at, step, order)| (*at, *step, order.number));
    progress.set_length(steps.len() as u64);
    for (at, step, order) in steps {
        shop.wait_until(at);
        shop.take(order, step).with_context(|| format!("{step:?} of order {}", order.reference))?;
        progress.inc(1);
    }
    shop.report(orders.len())
}

fn steps(order: &Order) -> impl Iterator<Item = (Timestamp, Step)> {
    let ended = match order.ending {
        Ending::Cancelled => Some((order.paid_at.plus_ms(1_000), Step::Ended)),
        Ending::Kept => None,
    };
    let delivered = order.delivered_at.map(|at| (at.max(order.paid_at), Step::Delivered));
    let rated = order.rated.map(|(at, _)| (at.max(order.paid_at), Step::Rated));
    [Some((order.placed_at, Step::Placed)), Some((order.paid_at, Step::Paid)), ended, delivered, rated]
        .into_iter()
        .flatten()
}

struct Shop {
    world: World,
    /// How much later everything is here than it was.
    shift_ms: i64,
    partner: Who,
    seller: Who,
    /// By number of instalments.
    offers: Vec<OfferId>,
    applications: Vec<Option<ApplicationId>>,
    /// Customers who agreed that their data are processed.
    agreed: BTreeSet<[u8; 16]>,
    count: Count,
    requests: u64,
    report: Report,
}

impl Shop {
    fn open(mut world: World, seed: u64, orders: &[Order]) -> anyhow::Result<Self> {
        let partner = world.person("Paula", Role::PartnerManager);
        let seller = world.person("Saulo", Role::ShopStaff);
        let risk = world.person("Rita", Role::Risk);
        let first = orders.iter().map(|order| order.placed_at).min().context("there is an order")?;
        let numbers = orders.iter().map(|order| order.number).max().unwrap_or(0) + 1;
        let shift_ms = world.now().ms_since(first) + 60_000;
        let mut shop = Self {
            world,
            shift_ms,
            partner,
            seller,
            offers: Vec::new(),
            applications: vec![None; numbers],
            agreed: BTreeSet::new(),
            count: Count::default(),
            requests: 0,
            report: Report::default(),
        };
        let rules = json!({ "sample": { "seed": seed, "per_mille": APPROVED_PER_MILLE } });
        let policy = json!({ "id": QuoteId::new(shop.world.now(), &mut shop.world.rng), "rules": rules });
        let answer = shop.world.rest(risk, Method::POST, "/v1/policy", &policy);
        expect(&answer, 201)?;
        for n in 2..=INSTALMENTS_MAX {
            shop.offer(n)?;
        }
        Ok(shop)
    }

    fn offer(&mut self, n: u16) -> anyhow::Result<()> {
        let uid = OfferId::new(self.world.now(), &mut self.world.rng);
        let terms = json!({
            "currency": "BRL", "kind": "zero_percent", "instalments": n, "due": { "months_after": 1 },
            "increment_minor": 1, "early_settlement": "full_profit", "waterfall": "instalment_first",
            "apr_method": "eu_ccd",
        });
        let offer = json!({
            "id": uid, "name": format!("{n} times"), "regime": "open", "terms": terms, "amount_min_minor": OFFERED_FROM_MINOR,
            "amount_max_minor": 100_000_000, "valid_from": self.world.today(),
        });
        expect(&self.world.rest(self.partner, Method::POST, "/v1/offers-admin", &offer), 201)?;
        let path = format!("/v1/offers-admin/{uid}");
        expect(&self.world.rest(self.partner, Method::PATCH, &path, &json!({ "state": "active" })), 200)?;
        self.offers.push(uid);
        Ok(())
    }

    fn wait_until(&mut self, at: Timestamp) {
        let ms = at.plus_ms(self.shift_ms).ms_since(self.world.now());
        self.world.clock.advance_ms(ms.max(0));
    }

    fn take(&mut self, order: &Order, step: Step) -> anyhow::Result<()> {
        match step {
            Step::Placed => self.place(order),
            Step::Paid => match order.instalments {
                Some((n, minor)) => self.apply(order, n, minor),
                None => self.tell(order, "paid", None),
            },
            Step::Ended => self.end(order),
            Step::Delivered => {
                self.report.delivered += 1;
                self.tell(order, "delivered", None)
            }
            Step::Rated => {
                self.report.rated += 1;
                self.tell(order, "rated", order.rated.map(|(_, stars)| stars))
            }
        }
    }

    /// The shop hands the order over, and shows its customer what there is.
    fn place(&mut self, order: &Order) -> anyhow::Result<()> {
        let mut answer = self.hand_over(order, &[])?;
        ensure!(answer["new"] == 1, "it is not new: {answer}");
        let path = format!("/v1/offers?order={}", order_id(order));
        answer = self.call(order, Method::GET, &path, &Value::Null, 200)?;
        let shown = !answer["items"].as_array().is_some_and(Vec::is_empty);
        ensure!(shown || order.minor < OFFERED_FROM_MINOR, "nothing was offered");
        self.report.too_little += usize::from(!shown);
        self.count.placed(self.day(), order, shown);
        Ok(())
    }

    fn day(&self) -> Date {
        self.world.today()
    }

    /// The customer pays a part of it, or all, in so many instalments; he signs unless the order was cancelled.
    fn apply(&mut self, order: &Order, n: u16, minor: i64) -> anyhow::Result<()> {
        let offer = self.offers[usize::from(n - 2)];
        let now = self.world.now();
        let quote = QuoteId::new(now, &mut self.world.rng);
        let amount = json!({ "minor": minor, "currency": "BRL" });
        if self.agreed.insert(order.customer) {
            let consent = ConsentId::new(now, &mut self.world.rng);
            let body = json!({ "id": consent, "kind": "data_processing", "text_version": "1", "given": true });
            self.call(order, Method::POST, "/v1/me/consents", &body, 201)?;
        }
        let body = json!({ "id": quote, "offer": offer, "order": order_id(order), "amount": amount });
        let made = self.call(order, Method::POST, "/v1/quotes", &body, 201)?;
        let lines = made["instalments"].as_array().map_or(0, Vec::len);
        ensure!(lines == usize::from(n), "a plan of {lines} instead of {n}");
        let application = ApplicationId::new(now, &mut self.world.rng);
        let body = json!({ "id": application, "quote": quote });
        let answer = self.call(order, Method::POST, "/v1/applications", &body, 201)?;
        let approved = answer["state"] == "approved";
        self.report.instalments += 1;
        self.count.applied(now, order, approved);
        if !approved {
            self.report.rejected += 1;
            return Ok(());
        }
        self.applications[order.number] = Some(application);
        if order.ending == Ending::Cancelled {
            return Ok(());
        }
        let path = format!("/v1/applications/{application}");
        let agreement = self.request(order, Method::GET, &format!("{path}/agreement"), &Value::Null);
        let hash = agreement.headers.get("etag").and_then(|tag| tag.to_str().ok()).context("a contract has a hash")?;
        let signature = json!({ "document_hash": hash.trim_matches('"'), "method": "app" });
        self.call(order, Method::POST, &format!("{path}/acceptance"), &signature, 201)?;
        self.report.contracts += 1;
        self.count.signed(order, minor);
        self.tell(order, "paid", None)
    }

    fn end(&mut self, order: &Order) -> anyhow::Result<()> {
        if let Some(application) = self.applications[order.number] {
            let path = format!("/v1/applications/{application}/cancellation");
            self.call(order, Method::POST, &path, &Value::Null, 200)?;
            self.report.cancelled += 1;
        }
        self.tell(order, "cancelled", None)
    }

    /// The shop tells what happened to an order.
    fn tell(&mut self, order: &Order, kind: &str, stars: Option<i64>) -> anyhow::Result<()> {
        let event = json!({ "kind": kind, "at": self.world.now(), "stars": stars });
        let answer = self.hand_over(order, &[event])?;
        ensure!(answer["known"] == 1 && answer["events"] == 1, "{kind} was not taken: {answer}");
        self.count.told(self.world.now(), order, (kind, stars));
        Ok(())
    }

    fn hand_over(&mut self, order: &Order, events: &[Value]) -> anyhow::Result<Value> {
        let body = json!({
            "id": order_id(order), "channel": order.channel, "reference": order.reference,
            "amount": { "minor": order.minor, "currency": "BRL" },
            "placed_at": order.placed_at.plus_ms(self.shift_ms),
        });
        let customer = json!({ "id": customer_id(order), "name": "" });
        let lot = json!({ "orders": [{ "order": body, "customer": customer, "events": events }] });
        self.requests += 1;
        let answer = self.world.rest(self.seller, Method::POST, "/v1/imports/orders", &lot);
        expect(&answer, 200)?;
        Ok(answer.json())
    }

    fn request(&mut self, order: &Order, method: Method, path: &str, body: &Value) -> Answer {
        self.requests += 1;
        self.world.rest_for(self.seller, customer_id(order), method, path, body)
    }

    fn call(&mut self, order: &Order, method: Method, path: &str, body: &Value, status: u16) -> anyhow::Result<Value> {
        let answer = self.request(order, method, path, body);
        expect(&answer, status)?;
        Ok(answer.json())
    }

    /// What it came to, and where the funnel differs from the count.
    fn report(mut self, orders: usize) -> anyhow::Result<Report> {
        let (from, to) = self.count.days().context("there were checkouts")?;
        for by in ["none", "day", "channel", "offer"] {
            let mut first = from;
            while first <= to {
                let last = first.plus_days(365).min(to);
                let path = format!("/v1/analytics/funnel?from={first}&to={last}&by={by}");
                let answer = self.world.rest(self.partner, Method::GET, &path, &Value::Null);
                expect(&answer, 200)?;
                let offers = |n: u16| self.offers[usize::from(n - 2)].to_string();
                self.report.differences.extend(self.count.differences(by, (first, last), offers, &answer.json()));
                first = last.plus_days(1);
            }
        }
        let owed = "select coalesce(cast(sum(minor) as bigint), 0) from line where gl = 'plan_recv'";
        self.report.owed_minor = self.world.server.rows::<(i64,)>(owed).first().map_or(0, |row| row.0);
        if self.report.owed_minor != self.count.financed_minor() {
            let (owed, counted) = (self.report.owed_minor, self.count.financed_minor());
            self.report.differences.push(format!("the ledger owes {owed}, the contracts {counted}"));
        }
        self.report.orders = orders;
        self.report.requests = self.requests;
        Ok(self.report)
    }
}

fn expect(answer: &Answer, status: u16) -> anyhow::Result<()> {
    ensure!(answer.status == status, "{} instead of {status}: {}", answer.status, answer.json());
    Ok(())
}

fn order_id(order: &Order) -> OrderId {
    OrderId::from(order.id)
}

fn customer_id(order: &Order) -> CustomerId {
    CustomerId::from(order.customer)
}
