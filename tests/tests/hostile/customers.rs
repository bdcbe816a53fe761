//! What one customer has does not exist for another, nor for staff of another branch: at every route that is
//! about one customer (`Access::Party`).

use axum::http::Method;
use daybook_server::audit::Actor;
use daybook_server::auth::customers::{self, NewCustomer};
use daybook_server::auth::party::Customer;
use daybook_server::auth::units::{self, Unit, UnitKind};
use daybook_server::auth::users::UserRow;
use daybook_server::auth::{Role, token};
use daybook_server::http::{Access, ROUTES, Route};
use daybook_shared::ids::CustomerId;
use daybook_tests::sim::{Who, World};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::elsewhere::{NOWHERE, strangers, who_may, with};
use crate::on_every_engine;

/// A customer with a login, whom a unit serves.
struct Person {
    uid: String,
    token: String,
}

/// What a customer has that is named by an id. A new kind is added here, and made in [`furnish`].
struct There {}

/// Makes what the customer has.
fn furnish(_world: &mut World, _owner: &Person) -> There {
    There {}
}

/// The real and the absent path of a route, and a body that fits. A new route is added here; one that names
/// something by its id says what of [`There`] it is.
fn case(_there: &There, route: &Route) -> (String, String, Value) {
    let id = json!({ "id": Uuid::from_u128(9) });
    let own = |body: Value| (route.path.to_owned(), route.path.to_owned(), body);
    match (route.method.clone(), route.path) {
        (Method::GET, "/v1/me" | "/v1/me/consents") => own(Value::Null),
        (Method::PATCH, "/v1/me") => own(json!({ "name": "Somebody else" })),
        // Refused for its code, which nobody was sent, before anything is looked up.
        (Method::POST, "/v1/me/phone") => own(json!({ "phone": "+254712345678", "code": "000000" })),
        (Method::POST, "/v1/me/consents") => {
            own(with(id, json!({ "kind": "marketing", "text_version": "1", "given": true })))
        }
        (method, path) => panic!("{method} {path} is about one customer: say here how it is tried for another's"),
    }
}

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
                assert_ne!(seen.0, 404, "{name} {}", seen.1);
            }
            tried += 1;
        }
        assert!(tried >= 5, "{tried} routes are about one customer");
    });
}

#[test]
fn another_customers_things_are_in_no_list() {
    on_every_engine(|scene| {
        let world = &mut scene.world;
        let shop = branch(world, "The shop");
        let (owner, other) = (customer(world, "Zainabu", &shop), customer(world, "Yusuf", &shop));
        furnish(world, &owner);
        let consent =
            json!({ "id": Uuid::from_u128(7), "kind": "marketing", "text_version": "zainabus", "given": true });
        let given = world.ask(Some(&owner.token), &[], (Method::POST, "/v1/me/consents"), &consent);
        assert_eq!(given.status, 201, "{}", given.json());
        for route in ROUTES.iter().filter(|route| route.method == Method::GET && !route.path.contains('{')) {
            let Access::Party(_) = route.access else { continue };
            let (status, text) = words(world, &other.token, None, (route, route.path), &Value::Null);
            let text = text.to_string();
            assert_eq!(status, 200, "{} {text}", route.path);
            for word in ["Zainabu", "zainabus", &owner.uid, &Uuid::from_u128(7).to_string()] {
                assert!(!text.contains(word), "{} shows {word}: {text}", route.path);
            }
        }
    });
}
