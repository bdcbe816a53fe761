//! The instalment journey: a customer orders, is shown offers, applies, signs and has a plan, which is an account
//! like any other; over the real router, on every engine.

use axum::http::Method;
use daybook_server::auth::Role;
use daybook_shared::ids::{AccountId, ApplicationId, DossierId, OfferId, OrderId, QuoteId};
use daybook_shared::quote::Quote;
use daybook_tests::sim::{Acc, Account, Answer, Who, World};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::on_every_engine;

/// Twelve monthly payments of 1,100.00 for a price of 12,000.00 (journey.md 4.4).
pub fn murabaha() -> Value {
    json!({
        "currency": "KES", "kind": { "murabaha": { "profit_bp": 1000 } }, "instalments": 12, "due": { "months_after": 1 },
        "increment_minor": 1, "early_settlement": "declining_rebate", "waterfall": "instalment_first",
        "apr_method": "sama_2023",
    })
}

/// Four payments without cost, a quarter of the price with the acceptance.
pub fn four(down_payment: bool) -> Value {
    let mut terms = json!({
        "currency": "KES", "kind": "zero_percent", "instalments": 4, "due": { "months_after": 1 },
        "increment_minor": 1, "early_settlement": "full_profit", "waterfall": "instalment_first",
        "apr_method": "eu_ccd",
    });
    if down_payment {
        terms["down_payment"] = json!({ "basis_points": 2500 });
    }
    terms
}

/// The people of a shop.
pub struct Shop {
    pub partner: Who,
    risk: Who,
    pub customer: Who,
}

pub fn shop(world: &mut World) -> Shop {
    let partner = world.person("Pia", Role::PartnerManager);
    let risk = world.person("Rashid", Role::Risk);
    let customer = world.person("Asha", Role::Customer);
    agree(world, customer);
    Shop { partner, risk, customer }
}

/// The customer agrees that his data are processed.
pub fn agree(world: &mut World, customer: Who) {
    let consent = json!({ "id": id(world), "kind": "data_processing", "text_version": "2026-01", "given": true });
    let answer = world.rest(customer, Method::POST, "/v1/me/consents", &consent);
    assert_eq!(answer.status, 201, "{}", answer.json());
}

pub fn id(world: &mut World) -> Uuid {
    OrderId::new(world.now(), &mut world.rng).0
}

/// An offer in force.
pub fn offer(world: &mut World, shop: &Shop, terms: &Value) -> OfferId {
    let uid = id(world);
    let offer = json!({
        "id": uid, "name": "An offer", "regime": "open", "terms": terms, "amount_min_minor": 100,
        "amount_max_minor": 10_000_000, "valid_from": world.today().plus_days(-30),
    });
    let written = world.rest(shop.partner, Method::POST, "/v1/offers-admin", &offer);
    assert_eq!(written.status, 201, "{}", written.json());
    let path = format!("/v1/offers-admin/{uid}");
    let active = world.rest(shop.partner, Method::PATCH, &path, &json!({ "state": "active" }));
    assert_eq!((active.status, active.json()["state"].as_str()), (200, Some("active")));
    OfferId(uid)
}

/// An order of the customer's.
pub fn order(world: &mut World, customer: Who, minor: i64) -> OrderId {
    let uid = id(world);
    let order = json!({
        "id": uid, "channel": "app", "reference": uid.to_string(), "amount": { "minor": minor, "currency": "KES" },
        "placed_at": world.now(), "lines": [
            { "sku": "A15", "title": "Phone A15", "category": "phones", "quantity": 1, "amount_minor": minor },
        ],
    });
    let placed = world.rest(customer, Method::POST, "/v1/orders", &order);
    assert_eq!(placed.status, 201, "{}", placed.json());
    OrderId(uid)
}

pub fn quote(world: &mut World, customer: Who, offer: OfferId, order: OrderId) -> Answer {
    let uid = id(world);
    world.rest(customer, Method::POST, "/v1/quotes", &json!({ "id": uid, "offer": offer, "order": order }))
}

/// An application on a quote; its answer.
pub fn apply(world: &mut World, customer: Who, quote: &Value) -> Answer {
    let uid = id(world);
    world.rest(customer, Method::POST, "/v1/applications", &json!({ "id": uid, "quote": quote["id"] }))
}

/// Reads the contract and signs it.
pub fn sign(world: &World, customer: Who, application: &str) -> Answer {
    let agreement =
        world.rest(customer, Method::GET, &format!("/v1/applications/{application}/agreement"), &Value::Null);
    assert_eq!(agreement.status, 200, "{}", agreement.json());
    let hash = agreement.headers["etag"].to_str().unwrap().trim_matches('"').to_owned();
    let body = json!({ "document_hash": hash, "method": "app" });
    world.rest(customer, Method::POST, &format!("/v1/applications/{application}/acceptance"), &body)
}

/// The account of a plan, for what the world knows of accounts.
pub fn account_of(world: &mut World, plan: &str) -> Acc {
    let uid: AccountId = plan.parse().unwrap();
    let rows = world.server.rows::<(i64, i64, i64, AccountId)>(
        "select a.id, a.customer_id, d.id, a.uid from account a join dossier d on d.account_id = a.id",
    );
    let (id, customer, dossier_id, _) = rows.into_iter().find(|row| row.3 == uid).unwrap();
    world.accounts.push(Account { uid, id, customer, dossier_id, dossier: DossierId::case(uid) });
    Acc(world.accounts.len() - 1)
}

/// Balances of the ledger, by account.
pub fn balance(world: &World, gl: &str) -> i64 {
    let rows = world.server.rows::<(String, i64)>("select gl, cast(sum(minor) as bigint) from line group by gl");
    rows.into_iter().find(|row| row.0 == gl).map_or(0, |row| row.1)
}

#[test]
fn a_customer_goes_from_an_order_to_a_plan_that_an_officer_collects() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let asha = shop.customer;
        let dear = offer(&mut world, &shop, &murabaha());
        let free = offer(&mut world, &shop, &four(false));
        // Given an order, its customer is shown both offers, the cheapest first.
        let order = order(&mut world, asha, 1_200_000);
        let shown = world.rest(asha, Method::GET, &format!("/v1/offers?order={order}"), &Value::Null).json();
        let ids: Vec<_> = shown["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(ids, [json!(free), json!(dear)]);
        // He has the other one worked out: the figures of the design.
        let made = quote(&mut world, asha, dear, order);
        assert_eq!(made.status, 201, "{}", made.json());
        let made = made.json();
        assert_eq!((&made["total"]["minor"], &made["apr"]["value"]), (&json!(1_320_000), &json!("19.53")));
        assert_eq!(made["instalments"][0]["profit_minor"], 17_972);
        let path = format!("/v1/quotes/{}", made["id"].as_str().unwrap());
        assert_eq!(world.rest(asha, Method::GET, &path, &Value::Null).json(), made, "it never changes");
        // He applies, and is approved by a policy that limits nothing.
        let application = apply(&mut world, asha, &made);
        assert_eq!((application.status, application.json()["state"].as_str()), (201, Some("approved")));
        let application = application.json()["id"].as_str().unwrap().to_owned();
        // He signs what he read, and nothing else.
        let wrong = json!({ "document_hash": "0".repeat(64), "method": "app" });
        let refused = world.rest(asha, Method::POST, &format!("/v1/applications/{application}/acceptance"), &wrong);
        assert_eq!((refused.status, refused.code().as_str()), (409, "quote-changed"));
        let signed = sign(&world, asha, &application);
        assert_eq!(signed.status, 201, "{}", signed.json());
        let plan = signed.json()["plan"].as_str().unwrap().to_owned();
        assert_eq!(sign(&world, asha, &application).json()["plan"], plan.as_str(), "signed again, it is the same plan");
        // Then the books have the sale (journey.md 5, line 1).
        assert_eq!(
            ["plan_recv", "orders", "unearned"].map(|gl| balance(&world, gl)),
            [1_320_000, -1_200_000, -120_000]
        );
        // And the case is there for a supervisor to give to an officer, whose phone has it.
        let acc = account_of(&mut world, &plan);
        world.assign(acc, None);
        assert_eq!(world.reassign(deka, acc, Some(amina)).status, 204);
        world.sync(on);
        // What the officer collects shows in the customer's plan.
        let paid = world.cash(on, acc, 110_000);
        world.sync(on);
        assert_eq!(world.outcome(paid), "posted");
        let shown = world.rest(asha, Method::GET, &format!("/v1/plans/{plan}"), &Value::Null).json();
        assert_eq!(
            (&shown["status"], &shown["paid"]["minor"], &shown["outstanding"]["minor"]),
            (&json!("active"), &json!(110_000), &json!(1_210_000))
        );
        let schedule = world.rest(asha, Method::GET, &format!("/v1/plans/{plan}/schedule"), &Value::Null).json();
        let states: Vec<_> =
            schedule["instalments"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
        assert_eq!((states[0], states[1], states.len()), ("paid", "scheduled", 12));
        // The order tells what happened to it.
        let order = world.rest(asha, Method::GET, &format!("/v1/orders/{order}"), &Value::Null).json();
        let mut kinds: Vec<_> =
            order["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["chose", "shown"]);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn every_write_of_the_journey_is_safe_to_repeat_and_its_id_stands_for_one_thing() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let asha = shop.customer;
        let free = offer(&mut world, &shop, &four(false));
        let order = order(&mut world, asha, 40_000);
        // The same quote, asked for eight times at once, under eight keys: one quote.
        let uid = QuoteId::new(world.now(), &mut world.rng);
        let body = json!({ "id": uid, "offer": free, "order": order });
        let answers = world.at_once(&vec![(asha, "/v1/quotes".to_owned(), body.clone()); 8]);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201)), "{:?}", statuses(&answers));
        let first = answers[0].json();
        assert!(answers.iter().all(|answer| answer.json() == first));
        let other = json!({ "id": uid, "offer": free, "amount": { "minor": 40_000, "currency": "KES" } });
        let refused = world.rest(asha, Method::POST, "/v1/quotes", &other);
        assert_eq!((refused.status, refused.code().as_str()), (409, "id-taken"));
        // The same application, and the same signature.
        let uid = ApplicationId::new(world.now(), &mut world.rng);
        let body = json!({ "id": uid, "quote": first["id"] });
        let answers = world.at_once(&vec![(asha, "/v1/applications".to_owned(), body); 8]);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201)), "{:?}", statuses(&answers));
        assert!(answers.iter().all(|answer| answer.json()["state"] == "approved"));
        let agreement = world.rest(asha, Method::GET, &format!("/v1/applications/{uid}/agreement"), &Value::Null);
        let hash = agreement.headers["etag"].to_str().unwrap().trim_matches('"').to_owned();
        let signature = json!({ "document_hash": hash, "method": "app" });
        let path = format!("/v1/applications/{uid}/acceptance");
        let answers = world.at_once(&vec![(asha, path, signature); 8]);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201)), "{:?}", statuses(&answers));
        let plans = world.rest(asha, Method::GET, "/v1/plans", &Value::Null).json();
        assert_eq!(plans["items"].as_array().unwrap().len(), 1);
        assert_eq!(balance(&world, "plan_recv"), 40_000);
        // A quote serves one application.
        let second = apply(&mut world, asha, &first);
        assert_eq!((second.status, second.code().as_str()), (409, "conflict"));
        world.check_all(&[]);
    });
}

/// Goal: wherever a server stops, a signature makes one plan that is in the books once. Method: it is killed at every
/// reading of its clock within the request; the customer's phone sends it again.
#[test]
fn a_server_that_stops_anywhere_signs_once() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let asha = shop.customer;
        // With a case and in the books at once, and held back by a down payment.
        let offers = [(offer(&mut world, &shop, &murabaha()), 44_000), (offer(&mut world, &shop, &four(true)), 0)];
        for (offer, receivable) in offers {
            let (mut plans, mut killed) = (0, 0);
            let before = (plan_count(&world, asha), balance(&world, "plan_recv"));
            loop {
                let order = order(&mut world, asha, 40_000);
                let made = quote(&mut world, asha, offer, order).json();
                let application = apply(&mut world, asha, &made).json()["id"].as_str().unwrap().to_owned();
                let path = format!("/v1/applications/{application}");
                let agreement = world.rest(asha, Method::GET, &format!("{path}/agreement"), &Value::Null);
                let hash = agreement.headers["etag"].to_str().unwrap().trim_matches('"').to_owned();
                let body = json!({ "document_hash": hash, "method": "app" });
                let request = world.request(asha, Method::POST, &format!("{path}/acceptance"), &body);
                let answer = world.server.call_until(request, plans + 1);
                let again = sign(&world, asha, &application);
                assert!([200, 201].contains(&again.status), "{}", again.json());
                plans += 1;
                assert_eq!(plan_count(&world, asha), before.0 + usize::try_from(plans).unwrap());
                assert_eq!(balance(&world, "plan_recv"), before.1 + plans * receivable, "killed at {plans}");
                let shown = world.rest(asha, Method::GET, &path, &Value::Null).json();
                assert_eq!(shown["plan"], again.json()["plan"]);
                if let Some(answer) = answer {
                    assert_eq!((answer.status, answer.json()["plan"].clone()), (201, again.json()["plan"].clone()));
                    break;
                }
                killed += 1;
                assert!(killed < 60, "it is never through");
            }
            assert!(killed >= 4, "killed {killed} times only");
        }
        world.check_all(&[]);
    });
}

fn plan_count(world: &World, customer: Who) -> usize {
    let page = world.rest(customer, Method::GET, "/v1/plans?limit=100", &Value::Null).json();
    page["items"].as_array().unwrap().len()
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

/// A customer with a plan that waits for 100.00 before it begins.
pub fn held_back(world: &mut World) -> (Who, String) {
    let shop = shop(world);
    let asha = shop.customer;
    let offer = offer(world, &shop, &four(true));
    let order = order(world, asha, 40_000);
    let made = quote(world, asha, offer, order).json();
    assert_eq!(made["at_acceptance"]["minor"], 10_000);
    let application = apply(world, asha, &made).json()["id"].as_str().unwrap().to_owned();
    let signed = sign(world, asha, &application).json();
    assert_eq!(signed["at_acceptance"]["minor"], 10_000);
    (asha, signed["plan"].as_str().unwrap().to_owned())
}

#[test]
fn a_down_payment_holds_the_plan_back_from_the_books_and_from_collection() {
    on_every_engine(|mut world| {
        let (asha, plan) = held_back(&mut world);
        let plan = world.rest(asha, Method::GET, &format!("/v1/plans/{plan}"), &Value::Null).json();
        assert_eq!((plan["status"].as_str(), &plan["at_acceptance"]["minor"]), (Some("pending"), &json!(10_000)));
        assert_eq!(balance(&world, "plan_recv"), 0);
        assert_eq!(world.server.rows::<(i64,)>("select count(*) from dossier")[0].0, 0);
        world.check_all(&[]);
    });
}

#[test]
fn a_policy_says_who_is_approved_and_the_law_what_may_be_quoted() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let asha = shop.customer;
        let free = offer(&mut world, &shop, &four(false));
        let policy = json!({ "id": id(&mut world), "rules": { "amount_max_minor": 50_000, "accounts_max": 1 } });
        assert_eq!(world.rest(shop.risk, Method::POST, "/v1/policy", &policy).status, 201);
        // Nothing is asked about who did not agree to it.
        let bilal = world.person("Bilal", Role::Customer);
        let his = order(&mut world, bilal, 40_000);
        let made = quote(&mut world, bilal, free, his).json();
        let refused = apply(&mut world, bilal, &made);
        assert_eq!((refused.status, refused.code().as_str()), (409, "consent-missing"));
        agree(&mut world, bilal);
        assert_eq!(apply(&mut world, bilal, &made).status, 201);
        // Too much at once: an answer like any other, with its reason.
        let big = order(&mut world, asha, 50_001);
        let made = quote(&mut world, asha, free, big).json();
        let rejected = apply(&mut world, asha, &made);
        let body = rejected.json();
        assert_eq!(
            (rejected.status, body["state"].as_str(), body["reason"].as_str()),
            (201, Some("rejected"), Some("amount_too_high"))
        );
        // A second application while the first is open.
        let small = order(&mut world, asha, 20_000);
        let made = quote(&mut world, asha, free, small).json();
        let open = apply(&mut world, asha, &made).json();
        assert_eq!(open["state"], "approved");
        let made = quote(&mut world, asha, free, small).json();
        assert_eq!(apply(&mut world, asha, &made).json()["reason"], "duplicate_open_application");
        // Taken back, it cannot be signed, and the next one is free again.
        let path = format!("/v1/applications/{}", open["id"].as_str().unwrap());
        assert_eq!(
            world.rest(asha, Method::POST, &format!("{path}/cancellation"), &Value::Null).json()["state"],
            "cancelled"
        );
        let late = sign(&world, asha, open["id"].as_str().unwrap());
        assert_eq!((late.status, late.code().as_str()), (409, "illegal-transition"));
        let made = quote(&mut world, asha, free, small).json();
        let third = apply(&mut world, asha, &made).json();
        assert_eq!(sign(&world, asha, third["id"].as_str().unwrap()).status, 201);
        let made = quote(&mut world, asha, free, small).json();
        assert_eq!(apply(&mut world, asha, &made).json()["reason"], "limit_exhausted");
        // The law: an offer that it forbids cannot be written.
        let forbidden = json!({
            "id": id(&mut world), "name": "Dear", "regime": "sama_bnpl", "terms": murabaha(), "amount_min_minor": 100,
            "amount_max_minor": 1000, "valid_from": world.today(),
        });
        let refused = world.rest(shop.partner, Method::POST, "/v1/offers-admin", &forbidden);
        assert_eq!((refused.status, refused.code().as_str()), (409, "limit-exceeded"));
    });
}

#[test]
fn time_ends_quotes_and_approvals() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let asha = shop.customer;
        let free = offer(&mut world, &shop, &four(false));
        let order = order(&mut world, asha, 40_000);
        let old = quote(&mut world, asha, free, order).json();
        let made = quote(&mut world, asha, free, order).json();
        let approved = apply(&mut world, asha, &made).json();
        world.clock.advance_ms(73 * 3_600_000);
        let late = apply(&mut world, asha, &old);
        assert_eq!((late.status, late.code().as_str()), (409, "quote-expired"));
        let application = approved["id"].as_str().unwrap();
        let signed = sign(&world, asha, application);
        assert_eq!((signed.status, signed.code().as_str()), (409, "quote-expired"), "before the job has seen it too");
        world.job("expire_applications");
        let path = format!("/v1/applications/{application}");
        assert_eq!(world.rest(asha, Method::GET, &path, &Value::Null).json()["state"], "expired");
        let signed = sign(&world, asha, application);
        assert_eq!((signed.status, signed.code().as_str()), (409, "illegal-transition"));
    });
}

#[test]
fn what_is_another_customers_does_not_exist_and_staff_act_only_for_whom_they_serve() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (asha, bilal) = (shop.customer, world.person("Bilal", Role::Customer));
        let free = offer(&mut world, &shop, &four(false));
        let order = order(&mut world, asha, 40_000);
        let made = quote(&mut world, asha, free, order).json();
        let application = apply(&mut world, asha, &made).json();
        let plan = sign(&world, asha, application["id"].as_str().unwrap()).json()["plan"].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let paths = [
            format!("/v1/orders/{order}"),
            format!("/v1/quotes/{}", text(&made["id"])),
            format!("/v1/applications/{}", text(&application["id"])),
            format!("/v1/applications/{}/agreement", text(&application["id"])),
            format!("/v1/plans/{}", text(&plan)),
            format!("/v1/plans/{}/schedule", text(&plan)),
        ];
        for path in &paths {
            assert_eq!(world.rest(asha, Method::GET, path, &Value::Null).status, 200, "{path}");
            assert_eq!(world.rest(bilal, Method::GET, path, &Value::Null).status, 404, "{path}");
        }
        for list in ["/v1/orders", "/v1/applications", "/v1/plans"] {
            assert_eq!(world.rest(bilal, Method::GET, list, &Value::Null).json()["items"], json!([]), "{list}");
        }
        let offers = format!("/v1/offers?order={order}");
        assert_eq!(world.rest(bilal, Method::GET, &offers, &Value::Null).status, 404);
        let stolen = json!({ "id": id(&mut world), "quote": made["id"] });
        assert_eq!(world.rest(bilal, Method::POST, "/v1/applications", &stolen).status, 422);
        // Staff name whom they act for.
        let zuri = world.person("Zuri", Role::ShopStaff);
        assert_eq!(world.rest(zuri, Method::GET, "/v1/plans", &Value::Null).status, 400);
        let customer = world.customer_id(asha);
        let acting = world.rest_for(zuri, customer, Method::GET, &paths[4], &Value::Null);
        assert_eq!(acting.status, 200, "{}", acting.json());
        let auditor = world.person("Omar", Role::Auditor);
        assert_eq!(world.rest_for(auditor, customer, Method::GET, &paths[4], &Value::Null).status, 200);
        let body = json!({ "id": id(&mut world), "offer": free, "amount": { "minor": 1000, "currency": "KES" } });
        assert_eq!(world.rest_for(auditor, customer, Method::POST, "/v1/quotes", &body).status, 403);
        assert_eq!(world.rest_for(zuri, customer, Method::POST, "/v1/quotes", &body).status, 201);
        let audited = world.server.rows::<(String,)>("select detail from audit where action = 'quote.made'");
        assert!(audited[0].0.contains(&customer.to_string()), "{audited:?}");
    });
}

#[test]
fn a_store_hands_an_order_on_to_the_customers_phone_by_a_code() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let zuri = world.person("Zuri", Role::ShopStaff);
        let (asha, bilal) = (shop.customer, world.person("Bilal", Role::Customer));
        let uid = id(&mut world);
        let order = json!({
            "id": uid, "channel": "store", "reference": "S-1", "amount": { "minor": 500, "currency": "KES" },
            "placed_at": world.now(),
        });
        let handed = json!({ "orders": [{ "order": order }] });
        let report = world.rest(zuri, Method::POST, "/v1/imports/orders", &handed).json();
        assert_eq!((&report["new"], &report["refused"]), (&json!(1), &json!([])), "{report}");
        assert_eq!(world.rest(zuri, Method::POST, "/v1/imports/orders", &handed).json()["known"], 1);
        let issued = world.rest(zuri, Method::POST, &format!("/v1/orders/{uid}/resume-codes"), &Value::Null);
        assert_eq!(issued.status, 201, "{}", issued.json());
        let code = issued.json()["code"].as_str().unwrap().to_owned();
        let typed = json!({ "code": code.to_lowercase().replace('-', " ") });
        let resumed = world.rest(asha, Method::POST, "/v1/orders/resumption", &typed);
        assert_eq!((resumed.status, resumed.json()["reference"].as_str()), (200, Some("S-1")));
        // Again by the same customer, never by another; and a code that is none is none.
        assert_eq!(world.rest(asha, Method::POST, "/v1/orders/resumption", &typed).status, 200);
        assert_eq!(world.rest(bilal, Method::POST, "/v1/orders/resumption", &typed).status, 422);
        let guess = json!({ "code": "0000-0000" });
        assert_eq!(world.rest(bilal, Method::POST, "/v1/orders/resumption", &guess).status, 422);
    });
}

#[test]
fn a_quote_that_a_phone_made_offline_is_honoured_or_the_answer_says_what_differs() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let asha = shop.customer;
        let dear = offer(&mut world, &shop, &murabaha());
        let price = daybook_shared::money::Money::new(1_200_000, daybook_tests::sim::KES);
        let terms = serde_json::from_value(murabaha()).unwrap();
        let yesterday = Quote::make(&terms, price, world.today().plus_days(-1)).unwrap();
        let ask = |world: &mut World, quote: &Quote| {
            use base64::Engine as _;
            let offline = base64::engine::general_purpose::STANDARD.encode(quote.to_bytes());
            let body = json!({ "id": id(world), "offer": dear, "amount": price, "offline": offline });
            world.rest(asha, Method::POST, "/v1/quotes", &body)
        };
        let honoured = ask(&mut world, &yesterday);
        assert_eq!(
            (honoured.status, honoured.json()["hash"].as_str()),
            (201, Some(yesterday.hash().to_string().as_str()))
        );
        let mut wrong = yesterday.clone();
        wrong.instalments[3].interest -= 5;
        let refused = ask(&mut world, &wrong);
        assert_eq!((refused.status, refused.code().as_str()), (409, "quote-changed"));
        let differences = refused.json()["differences"].clone();
        assert_eq!(differences[0]["path"], "/instalments/3/interest", "{differences}");
        let old = Quote::make(&terms, price, world.today().plus_days(-8)).unwrap();
        assert_eq!(ask(&mut world, &old).code(), "quote-expired");
    });
}
