//! What one customer has does not exist for another, nor for staff of another branch: at every route that is
//! about one customer (`Access::Party`).

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_server::audit::Actor;
use daybook_server::auth::customers::{self, NewCustomer};
use daybook_server::auth::party::Customer;
use daybook_server::auth::units::{self, Unit, UnitKind};
use daybook_server::auth::users::UserRow;
use daybook_server::auth::{Role, token};
use daybook_server::http::{Access, ROUTES, Route};
use daybook_shared::ids::{CustomerId, Hash, sha256};
use daybook_tests::sim::server::Answer;
use daybook_tests::sim::{Who, World};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::elsewhere::{NOWHERE, path_of, strangers, who_may, with};
use crate::on_every_engine;

/// A customer with a login, whom a unit serves.
struct Person {
    uid: String,
    token: String,
}

/// What a customer has that is named by an id. A new kind is added here, and made in [`furnish`].
struct There {
    order: String,
    offer: String,
    quote: String,
    application: String,
    /// The one he has signed.
    signed: String,
    plan: String,
    payment: String,
    goods_return: String,
    dispute: String,
    file: String,
}

/// Makes what the customer has, through his own app: two orders, one of which he has signed a contract for.
fn furnish(world: &mut World, owner: &Person) -> There {
    let partner = world.person("Pia", Role::PartnerManager);
    let offer = Uuid::from_u128(100);
    let terms = json!({
        "currency": "KES", "kind": "zero_percent", "instalments": 4, "due": { "months_after": 1 },
        "increment_minor": 1, "early_settlement": "full_profit", "waterfall": "instalment_first",
        "apr_method": "eu_ccd",
    });
    let written = json!({
        "id": offer, "name": "An offer", "regime": "open", "terms": terms, "amount_min_minor": 100,
        "amount_max_minor": 10_000_000, "valid_from": world.today(),
    });
    assert_eq!(world.rest(partner, Method::POST, "/v1/offers-admin", &written).status, 201);
    let active = json!({ "state": "active" });
    assert_eq!(world.rest(partner, Method::PATCH, &format!("/v1/offers-admin/{offer}"), &active).status, 200);
    let agreed = json!({ "id": Uuid::from_u128(101), "kind": "data_processing", "text_version": "1", "given": true });
    own(world, owner, (Method::POST, "/v1/me/consents"), &agreed);
    let signed = applied(world, owner, offer, 110);
    let contract = own(world, owner, (Method::GET, &format!("/v1/applications/{signed}/agreement")), &Value::Null);
    let hash = contract.headers["etag"].to_str().unwrap().trim_matches('"').to_owned();
    let signature = json!({ "document_hash": hash, "method": "app" });
    let path = format!("/v1/applications/{signed}/acceptance");
    let plan = own(world, owner, (Method::POST, &path), &signature).json()["plan"].as_str().unwrap().to_owned();
    let application = applied(world, owner, offer, 120);
    let named = |n: u128| Uuid::from_u128(n).to_string();
    let payment = paid(world, owner, &plan);
    let back = json!({ "id": named(130), "amount": { "minor": 1_000, "currency": "KES" }, "reason": "Too small." });
    own(world, owner, (Method::POST, &format!("/v1/plans/{plan}/returns")), &back);
    let complaint = json!({ "id": named(131), "about": "charge", "words": "Nobody answered." });
    own(world, owner, (Method::POST, &format!("/v1/plans/{plan}/disputes")), &complaint);
    let (order, quote, goods_return, dispute) = (named(120), named(121), named(130), named(131));
    let file = named(132);
    let paper = with(json!({ "id": file }), paper(b"%PDF-1.7"));
    own(world, owner, (Method::POST, &format!("/v1/disputes/{dispute}/evidence")), &paper);
    There { order, offer: offer.to_string(), quote, application, signed, plan, payment, goods_return, dispute, file }
}

/// A file to be added to a complaint, but for its id.
fn paper(content: &[u8]) -> Value {
    let sha256 = Hash(sha256(&[content])).to_string();
    json!({ "media_type": "application/pdf", "sha256": sha256, "content": STANDARD.encode(content) })
}

/// A payment on the plan, from the operator's statement.
fn paid(world: &mut World, owner: &Person, plan: &str) -> String {
    let shown = own(world, owner, (Method::GET, &format!("/v1/plans/{plan}")), &Value::Null).json();
    let clerk = world.person("Kito", Role::Supervisor);
    let row = json!({ "reference": "QF1", "at": "2027-03-01T06:00:00Z", "amount": "1.00", "currency": "KES", "account": shown["number"] });
    let path = "/v1/imports/statements?provider=MPESA";
    let answer = world.rest(clerk, Method::POST, path, &json!({ "rows": [row] })).json();
    answer["results"][0]["payment"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A return of somebody's whom the lender's own unit serves; its id.
pub fn returned(world: &mut World) -> String {
    let root = world.server.read(async |_, tx| units::root(tx).await.unwrap().unwrap());
    let owner = customer(world, "Rehema", &root);
    furnish(world, &owner).goods_return
}

/// An order, a quote and an application, which have this number and the two after it.
fn applied(world: &World, owner: &Person, offer: Uuid, n: u128) -> String {
    let id = Uuid::from_u128;
    let order = json!({
        "id": id(n), "channel": "app", "reference": format!("R-{n}"), "placed_at": world.now(),
        "amount": { "minor": 40_000, "currency": "KES" },
    });
    own(world, owner, (Method::POST, "/v1/orders"), &order);
    let quote = json!({ "id": id(n + 1), "offer": offer, "order": id(n) });
    own(world, owner, (Method::POST, "/v1/quotes"), &quote);
    let application = json!({ "id": id(n + 2), "quote": id(n + 1) });
    own(world, owner, (Method::POST, "/v1/applications"), &application);
    id(n + 2).to_string()
}

/// What the customer's app asks and gets.
fn own(world: &World, owner: &Person, to: (Method, &str), body: &Value) -> Answer {
    let path = to.1.to_owned();
    let answer = world.ask(Some(&owner.token), &[("if-match", "*")], to, body);
    assert!(matches!(answer.status, 200 | 201), "{path} {}", answer.json());
    answer
}

/// The real and the absent path of a route, and a body that fits. A new route is added here; one that names
/// something by its id says what of [`There`] it is.
fn case(there: &There, route: &Route) -> (String, String, Value) {
    let id = json!({ "id": Uuid::from_u128(9) });
    let own = |body: Value| (route.path.to_owned(), route.path.to_owned(), body);
    let of = |id: &str, body: Value| (path_of(route, id), path_of(route, NOWHERE), body);
    match (route.method.clone(), route.path) {
        (Method::GET, path) if !path.contains('{') => own(Value::Null),
        (Method::PATCH, "/v1/me") => own(json!({ "name": "Somebody else" })),
        // Refused for its code, which nobody was sent, before anything is looked up.
        (Method::POST, "/v1/me/phone") => own(json!({ "phone": "+254712345678", "code": "000000" })),
        (Method::POST, "/v1/me/consents") => {
            own(with(id, json!({ "kind": "marketing", "text_version": "1", "given": true })))
        }
        (Method::POST, "/v1/orders") => own(json!({
            "id": Uuid::from_u128(10), "channel": "app", "reference": "R-10", "placed_at": "2027-03-01T06:00:00Z",
            "amount": { "minor": 40_000, "currency": "KES" },
        })),
        (Method::POST, "/v1/orders/resumption") => own(json!({ "code": "no code" })),
        (Method::POST, "/v1/quotes") => {
            own(json!({ "id": Uuid::from_u128(11), "offer": there.offer, "order": there.order }))
        }
        (Method::POST, "/v1/applications") => own(json!({ "id": Uuid::from_u128(12), "quote": there.quote })),
        (Method::GET, "/v1/orders/{id}") => of(&there.order, Value::Null),
        (Method::GET, "/v1/quotes/{id}") => of(&there.quote, Value::Null),
        (Method::GET, "/v1/applications/{id}") | (Method::POST, "/v1/applications/{id}/cancellation") => {
            of(&there.application, Value::Null)
        }
        (Method::GET, "/v1/applications/{id}/agreement") => of(&there.signed, Value::Null),
        (Method::POST, "/v1/applications/{id}/acceptance") => {
            of(&there.signed, json!({ "document_hash": "0".repeat(64), "method": "app" }))
        }
        (
            Method::GET,
            "/v1/plans/{id}"
            | "/v1/plans/{id}/schedule"
            | "/v1/plans/{id}/early-settlement"
            | "/v1/plans/{id}/payments",
        ) => of(&there.plan, Value::Null),
        (Method::POST, "/v1/plans/{id}/early-settlement") => {
            of(&there.plan, with(id, json!({ "hash": "0".repeat(64), "on": "2027-03-01" })))
        }
        (Method::POST, "/v1/plans/{id}/payments") => {
            let method = json!({ "mobile_money": { "phone": "+254712345678" } });
            of(&there.plan, with(id, json!({ "amount": { "minor": 100, "currency": "KES" }, "method": method })))
        }
        (Method::POST, "/v1/plans/{id}/promises") => {
            let amount = json!({ "minor": 100, "currency": "KES" });
            of(&there.plan, with(id, json!({ "amount": amount, "date": "2027-03-05" })))
        }
        (Method::POST, "/v1/plans/{id}/returns") => {
            let amount = json!({ "minor": 1_000, "currency": "KES" });
            of(&there.plan, with(id, json!({ "amount": amount, "reason": "Too large." })))
        }
        (Method::POST, "/v1/plans/{id}/disputes") => {
            of(&there.plan, with(id, json!({ "about": "charge", "words": "Again nobody." })))
        }
        (Method::GET, "/v1/payments/{id}") => of(&there.payment, Value::Null),
        (Method::GET, "/v1/returns/{id}") => of(&there.goods_return, Value::Null),
        (Method::GET, "/v1/disputes/{id}") | (Method::POST, "/v1/disputes/{id}/withdrawal") => {
            of(&there.dispute, Value::Null)
        }
        (Method::POST, "/v1/disputes/{id}/messages") => of(&there.dispute, with(id, json!({ "words": "And now?" }))),
        (Method::POST, "/v1/disputes/{id}/evidence") => of(&there.dispute, with(id, paper(b"%PDF-1.7 again"))),
        (Method::GET, "/v1/evidence/{id}") => of(&there.file, Value::Null),
        // None is made here: it takes three people, and the story of returns tells it.
        (Method::GET, "/v1/refunds/{id}") => of(NOWHERE, Value::Null),
        (method, path) => panic!("{method} {path} is about one customer: say here how it is tried for another's"),
    }
}

/// What a body of the other customer's names that is the owner's.
const NAMED: [(&str, &str); 2] = [("/v1/quotes", "order"), ("/v1/applications", "quote")];

fn customer(world: &mut World, name: &str, unit: &Unit) -> Person {
    let (customer, user): (Customer, UserRow) = world.server.write(async |app, tx| {
        let uid = app.rng.with(|rng| CustomerId::new(app.now(), rng));
        let new = NewCustomer { uid, name, phone: None, unit_id: Some(unit.id) };
        let customer = customers::create(tx, new).await.unwrap();
        (customer, customers::login(tx, (app.now(), &app.rng), customer).await.unwrap())
    });
    let token = token::issue(world.server.app(), user.uid, world.now());
    Person { uid: customer.uid.to_string(), token }
}

fn branch(world: &mut World, name: &str) -> Unit {
    world.server.write(async |app, tx| {
        let root = units::root(tx).await.unwrap().unwrap();
        let new = (UnitKind::Branch, name);
        units::create(tx, (app.now(), &app.rng), Actor::OPERATOR, Some(&root), new).await.unwrap()
    })
}

/// An answer without what names the request.
fn words(world: &World, token: &str, named: Option<&str>, (route, path): (&Route, &str), body: &Value) -> (u16, Value) {
    let mut headers = vec![("if-match", "*")];
    headers.extend(named.map(|named| ("acting-for", named)));
    let answer = world.ask(Some(token), &headers, (route.method.clone(), path), body);
    let mut words = answer.json();
    if let Some(words) = words.as_object_mut() {
        words.remove("request_id");
    }
    (answer.status, words)
}

#[test]
fn what_another_customer_has_does_not_exist() {
    on_every_engine(|scene| {
        let world = &mut scene.world;
        let shop = branch(world, "The shop");
        let (owner, other) = (customer(world, "Zainabu", &shop), customer(world, "Yusuf", &shop));
        let there = furnish(world, &owner);
        let elsewhere = strangers(world);
        let here: Vec<(Role, Who)> = Role::ALL
            .iter()
            .filter(|role| role.is_given())
            .map(|role| (*role, world.person(&format!("i-{}", role.code()), *role)))
            .collect();
        let mut tried = 0;
        for route in ROUTES {
            let Access::Party(permission) = route.access else { continue };
            let name = format!("{} {}", route.method, route.path);
            let (real, absent, body) = case(&there, route);
            let not_there = |answer: (u16, Value), who: &str| assert_eq!(answer.0, 404, "{name} {who} {}", answer.1);
            // Another customer names the owner, or what is the owner's.
            let named = words(world, &other.token, Some(&owner.uid), (route, &real), &body);
            assert_eq!(named, words(world, &other.token, Some(NOWHERE), (route, &absent), &body), "{name}");
            not_there(named, "names another");
            if route.path.contains('{') {
                let theirs = words(world, &other.token, None, (route, &real), &body);
                assert_eq!(theirs, words(world, &other.token, None, (route, &absent), &body), "{name}");
                not_there(theirs, "asks for another's");
            }
            if let Some((_, field)) = NAMED.iter().find(|(path, _)| route.method == Method::POST && *path == route.path)
            {
                let mut absent = body.clone();
                absent[*field] = json!(NOWHERE);
                let theirs = words(world, &other.token, None, (route, &real), &body);
                assert_eq!(theirs, words(world, &other.token, None, (route, &real), &absent), "{name}");
                assert!(matches!(theirs.0, 404 | 422), "{name} {}", theirs.1);
            }
            // Staff of another branch name him; and staff who may act for another name what is not that one's.
            let stranger = world.token(who_may(&elsewhere, permission));
            let named = words(world, &stranger, Some(&owner.uid), (route, &real), &body);
            assert_eq!(named, words(world, &stranger, Some(NOWHERE), (route, &absent), &body), "{name}");
            not_there(named, "from elsewhere");
            let insider = world.token(who_may(&here, permission));
            if route.path.contains('{') {
                not_there(words(world, &insider, Some(&other.uid), (route, &real), &body), "acts for another");
            }
            // It is there for the owner, and for who acts for him.
            for (token, named) in [(&owner.token, None), (&insider, Some(owner.uid.as_str()))] {
                let seen = words(world, token, named, (route, &real), &body);
                let is_there = seen.0 != 404 || matches!(route.path, "/v1/orders/resumption" | "/v1/refunds/{id}");
                assert!(is_there, "{name} {}", seen.1);
            }
            tried += 1;
        }
        assert!(tried >= 20, "{tried} routes are about one customer");
    });
}

#[test]
fn another_customers_things_are_in_no_list() {
    on_every_engine(|scene| {
        let world = &mut scene.world;
        let shop = branch(world, "The shop");
        let (owner, other) = (customer(world, "Zainabu", &shop), customer(world, "Yusuf", &shop));
        let there = furnish(world, &owner);
        let consent =
            json!({ "id": Uuid::from_u128(7), "kind": "marketing", "text_version": "zainabus", "given": true });
        let given = world.ask(Some(&owner.token), &[], (Method::POST, "/v1/me/consents"), &consent);
        assert_eq!(given.status, 201, "{}", given.json());
        for route in ROUTES.iter().filter(|route| route.method == Method::GET && !route.path.contains('{')) {
            let Access::Party(_) = route.access else { continue };
            let query = if route.path == "/v1/offers" { "?amount_minor=40000&currency=KES" } else { "" };
            let path = format!("{}{query}", route.path);
            let (status, text) = words(world, &other.token, None, (route, &path), &Value::Null);
            let text = text.to_string();
            assert_eq!(status, 200, "{} {text}", route.path);
            let ids = [&owner.uid, &there.order, &there.quote, &there.application, &there.plan];
            for word in
                ids.into_iter().map(String::as_str).chain(["Zainabu", "zainabus", &Uuid::from_u128(7).to_string()])
            {
                assert!(!text.contains(word), "{} shows {word}: {text}", route.path);
            }
        }
    });
}
