//! What another branch has is the same answer as what does not exist: at every route that names something
//! by its id, at every list, and where a body names somebody. (What is about one customer: `customers.rs`.)

use axum::http::Method;
use daybook_server::audit::Actor;
use daybook_server::auth::units::{self, Unit, UnitKind};
use daybook_server::auth::users::{self, Holding};
use daybook_server::auth::{Permission, Role};
use daybook_server::http::{Access, ROUTES, Route};
use daybook_shared::entry::{Attachment, AttachmentKind, CorrectionKind};
use daybook_shared::ids::{CustomerId, Hash, sha256};
use daybook_shared::money::{Currency, Money};
use daybook_shared::wire::envelope::BoardChange;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::{KES, Terms, Who, World, forge};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Scene, on_every_engine};

/// What there is of each kind, at the lender's own unit.
struct There {
    user: String,
    device: String,
    caseload: String,
    dossier: String,
    held: String,
    change: String,
    receipt: String,
    payment: String,
    correction: String,
    file: String,
    customer: String,
    /// Whose number is in [`query_of`].
    first_customer: String,
    erasure: String,
    order: String,
    goods_return: String,
    refund: String,
    dispute: String,
}

/// Not the currency of any account.
const DOLLAR: Currency = Currency::new(*b"USD").expect("three capital letters");
pub const NOWHERE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

const NO_FILE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The path of a route, of what has this id.
pub fn path_of(route: &Route, id: &str) -> String {
    let parts = route.path.split('/').map(|part| if part.starts_with('{') { id } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// What is the whole lender's, and no branch's.
const LENDERS: &[&str] =
    &["/v1/offers-admin/{id}", "/v1/reports/{id}", "/v1/campaigns/{id}", "/v1/campaigns/{id}/effect"];

/// The real and the absent id of a route, and a body that fits. A new route is added here.
fn case(there: &There, route: &Route) -> (String, &'static str, Value) {
    let of = |id: &str, body: Value| (id.to_owned(), NOWHERE, body);
    let decision = json!({ "id": Uuid::from_u128(7) });
    match route.path {
        "/v1/users/{id}/roles" => of(&there.user, json!({ "role": "officer", "unit": NOWHERE, "held": true })),
        "/v1/users/{id}/deactivation" | "/v1/users/{id}/enrolment-codes" | "/v1/users/{id}/sessions/revocation" => {
            of(&there.user, json!({}))
        }
        "/v1/users/{id}/sessions" => of(&there.user, Value::Null),
        "/v1/users/{id}/password" => of(&there.user, json!({ "password": "a pasture of long words" })),
        "/v1/devices/{id}/retirement" | "/v1/devices/{id}/loss" => of(&there.device, json!({})),
        "/v1/caseloads/{id}/members" => of(&there.caseload, json!({ "user": there.user, "member": true })),
        "/v1/dossiers/{id}" => of(&there.dossier, Value::Null),
        "/v1/dossiers/{id}/board" => of(&there.dossier, json!({ "edits": [{ "add_tag": "x" }] })),
        "/v1/dossiers/{id}/assignment" => of(&there.dossier, with(decision, json!({ "caseload": there.caseload }))),
        "/v1/held/{id}/release" => of(&there.held, decision),
        "/v1/held/{id}/rejection" => of(&there.held, with(decision, json!({ "reason": "REJECTED" }))),
        "/v1/quarantine/{id}/resolution" => of(&there.change, with(decision, json!({ "resolution": "Seen." }))),
        "/v1/receipts/{id}/explanation" => {
            (there.receipt.clone(), "Z99-000001", with(decision, json!({ "reason": "Torn." })))
        }
        "/v1/payments/{id}/reversal" => of(&there.payment, with(decision, json!({ "reason": "A mistake." }))),
        "/v1/corrections/{id}/decision" => of(&there.correction, with(decision, json!({ "approve": false }))),
        "/v1/customers/{id}/erasure" => of(&there.customer, json!({ "id": Uuid::from_u128(8) })),
        "/v1/erasures/{id}/decision" => of(&there.erasure, with(decision, json!({ "approve": false }))),
        "/v1/orders/{id}/resume-codes" => of(&there.order, json!({})),
        "/v1/returns/{id}/decision" => of(&there.goods_return, json!({ "ruling": "reject" })),
        "/v1/refunds/{id}/payout" => of(&there.refund, json!({ "outcome": "failed" })),
        "/v1/refunds/{id}/sending" => of(&there.refund, json!({ "payment": there.payment })),
        "/v1/disputes/{id}/answers" => of(&there.dispute, with(decision, json!({ "words": "It is looked at." }))),
        "/v1/disputes/{id}/decision" => {
            of(&there.dispute, with(decision, json!({ "upheld": false, "words": "It was right." })))
        }
        "/v1/attachments/{sha256}" => (there.file.clone(), NO_FILE, Value::Null),
        path => panic!("{path} names something by its id: say here what, so that another branch's is tried"),
    }
}

pub fn with(mut object: Value, more: Value) -> Value {
    let (Value::Object(all), Value::Object(more)) = (&mut object, more) else { panic!("two objects") };
    all.extend(more);
    object
}

/// What a list has to be asked with: a customer of the scene, who is not the strangers'.
fn query_of(route: &Route) -> &'static str {
    match route.path {
        "/v1/customers" => "?phone=%2B254700000001",
        "/v1/offers-admin/coverage" => "?currency=KES&amounts=100",
        "/v1/analytics/funnel" => "?from=2027-03-01&to=2027-03-02",
        "/v1/ledger/journals" => "?ref=01890a5d-ac96-774b-bcce-b302099a8057",
        _ => "",
    }
}

/// Everything that has an id, made through the phone of the scene.
fn furnish(scene: &mut Scene) -> There {
    let (customer, erasure) = proposed(scene);
    let payment = scene.world.cash(scene.on, scene.acc, 100);
    let correction = scene.world.correction(scene.on, payment, CorrectionKind::Void);
    scene.world.sync(scene.on);
    let dossier = scene.world.accounts[scene.acc.0].dossier;
    let mut raw = Raw::of(&scene.world, scene.on);
    let receipt = format!("{}-000040", forge::series(&scene.world, &raw));
    let foreign = forge::cash(&mut scene.world, &raw, scene.acc, Money::new(100, DOLLAR), &receipt);
    let held = foreign.head.id;
    let change = BoardChange { dossier, n: 0, change: b"no change".to_vec() };
    raw.upload(&scene.world, &[foreign.encode()], vec![change]);
    assert!(scene.world.outcome(held).starts_with("held"), "{}", scene.world.outcome(held));
    let file = photographed(scene, &mut raw);
    // Not the officer of the scene, who is to go on: this one is deactivated.
    let clerk = scene.world.person("clerk", Role::Officer);
    let changes: Vec<(Uuid,)> = scene.world.server.rows("select uid from quarantine");
    let caseload = scene.world.people[scene.amina.0].caseload.unwrap().1;
    let first_customer: Vec<(Uuid,)> =
        scene.world.server.rows("select uid from customer where phone = '+254700000001'");
    let first_customer = first_customer[0].0.to_string();
    let receipts: Vec<(String,)> =
        scene.world.server.rows("select receipt_no from payment where state = 'posted' and receipt_no is not null");
    There {
        user: scene.world.people[clerk.0].uid.to_string(),
        device: scene.raw.device.to_string(),
        caseload: caseload.to_string(),
        dossier: dossier.to_string(),
        held: held.to_string(),
        change: changes[0].0.to_string(),
        receipt: receipts[0].0.clone(),
        payment: payment.to_string(),
        correction: correction.to_string(),
        file: file.to_string(),
        customer,
        first_customer,
        erasure,
        order: ordered(scene),
        goods_return: crate::customers::returned(&mut scene.world),
        dispute: objected(
            scene,
            "disputes",
            &json!({
                "id": Uuid::from_u128(32), "about": "charge", "words": "That is not mine.",
            }),
        ),
        refund: refunded(scene),
    }
}

/// What the customer of the scene asks for about his plan; its id.
fn objected(scene: &mut Scene, what: &str, body: &Value) -> String {
    let clerk = scene.world.person(&format!("clerk-{what}"), Role::CallOfficer);
    let account = &scene.world.accounts[scene.acc.0];
    let sql = format!("select uid from customer where id = {}", account.customer);
    let customer = CustomerId(scene.world.server.rows::<(Uuid,)>(&sql)[0].0);
    let path = format!("/v1/plans/{}/{what}", account.uid);
    let answer = scene.world.rest_for(clerk, customer, Method::POST, &path, body);
    assert_eq!(answer.status, 201, "{what}: {}", answer.json());
    body["id"].as_str().unwrap().to_owned()
}

/// A refund of what somebody paid above what he owed.
fn refunded(scene: &mut Scene) -> String {
    let acc = scene.world.account(scene.amina, Terms::months(1));
    scene.world.sync(scene.on);
    scene.world.cash(scene.on, acc, 1_200);
    scene.world.sync(scene.on);
    let clerk = scene.world.person("payer", Role::Finance);
    let plan = scene.world.accounts[acc.0].uid;
    let refund = json!({ "id": Uuid::from_u128(33), "plan": plan, "amount": { "minor": 100, "currency": KES } });
    let answer = scene.world.rest(clerk, Method::POST, "/v1/refunds", &refund);
    assert_eq!(answer.status, 201, "{}", answer.json());
    Uuid::from_u128(33).to_string()
}

/// An order that a store at the lender's own unit handed over.
fn ordered(scene: &mut Scene) -> String {
    let clerk = scene.world.person("seller", Role::ShopStaff);
    let order = Uuid::from_u128(5).to_string();
    let handed = json!({ "orders": [{ "order": {
        "id": order, "channel": "store", "reference": "S-1", "amount": { "minor": 500, "currency": KES },
        "placed_at": scene.world.now(),
    } }] });
    let report = scene.world.rest(clerk, Method::POST, "/v1/imports/orders", &handed).json();
    assert_eq!(report["new"], 1, "{report}");
    order
}

/// A customer whose account is closed, and a proposal to erase him.
fn proposed(scene: &mut Scene) -> (String, String) {
    let acc = scene.world.account(scene.amina, Terms::months(1));
    scene.world.sync(scene.on);
    scene.world.cash(scene.on, acc, 1_000);
    scene.world.sync(scene.on);
    let customer = scene.world.accounts[acc.0].customer;
    let uids: Vec<(Uuid,)> = scene.world.server.rows(&format!("select uid from customer where id = {customer}"));
    let (customer, erasure) = (uids[0].0.to_string(), Uuid::from_u128(6).to_string());
    let clerk = scene.world.person("caller", Role::CallOfficer);
    let path = format!("/v1/customers/{customer}/erasure");
    let answer = scene.world.rest(clerk, Method::POST, &path, &json!({ "id": erasure }));
    assert_eq!(answer.status, 204, "{}", answer.json());
    (customer, erasure)
}

/// A visit with a photo, and the photo.
fn photographed(scene: &mut Scene, raw: &mut Raw) -> Hash {
    let photo = b"a door".as_slice();
    let (sha256, mime) = (Hash(sha256(&[photo])), "image/jpeg".to_owned());
    let mut visit = forge::visit(&mut scene.world, raw, scene.acc);
    visit.head.attachments = Some(vec![Attachment { sha256, mime, bytes: 6, kind: AttachmentKind::Photo }]);
    raw.upload(&scene.world, &[visit.encode()], Vec::new());
    let piece = raw.piece(sha256, (0, 6), photo);
    assert_eq!(scene.world.server.answer(&piece).json()["complete"], true);
    sha256
}

/// A person of each role at a branch that nobody of the scene belongs to.
pub fn strangers(world: &mut World) -> Vec<(Role, Who)> {
    let branch: Unit = world.server.write(async |app, tx| {
        let root = units::root(tx).await.unwrap().unwrap();
        let new = (UnitKind::Branch, "Elsewhere");
        units::create(tx, (app.now(), &app.rng), Actor::OPERATOR, Some(&root), new).await.unwrap()
    });
    let mut people = Vec::new();
    for role in Role::ALL.iter().filter(|role| role.is_given()) {
        let who = world.person(&format!("e-{}", role.code()), *role);
        let user = world.user_row(who);
        world.server.write(async |app, tx| {
            let root = units::root(tx).await.unwrap().unwrap();
            for (unit, holding) in [(&branch, Holding::Held), (&root, Holding::Ended)] {
                users::set_role(tx, app.now(), Actor::OPERATOR, &user, (*role, unit, holding)).await.unwrap();
            }
        });
        people.push((*role, who));
    }
    people
}

pub fn who_may(people: &[(Role, Who)], permission: Permission) -> Who {
    people.iter().find(|(role, _)| role.may(permission)).map(|(_, who)| *who).unwrap()
}

/// An answer without what names the request.
fn words(world: &World, who: Who, route: &Route, path: &str, body: &Value) -> (u16, Value) {
    let answer = world.rest(who, route.method.clone(), path, body);
    let mut words = answer.json();
    if let Some(words) = words.as_object_mut() {
        words.remove("request_id");
    }
    (answer.status, words)
}

#[test]
fn what_another_branch_has_does_not_exist() {
    on_every_engine(|scene| {
        let there = furnish(scene);
        let world = &mut scene.world;
        let strangers = strangers(world);
        let insiders: Vec<_> =
            Role::ALL.iter().map(|role| (*role, world.person(&format!("i-{}", role.code()), *role))).collect();
        let mut tried = 0;
        for route in ROUTES.iter().filter(|route| route.path.contains('{')) {
            let Access::May(permission) = route.access else { continue };
            if LENDERS.contains(&route.path) {
                continue;
            }
            let (real, absent, body) = case(&there, route);
            let stranger = who_may(&strangers, permission);
            let theirs = words(world, stranger, route, &path_of(route, &real), &body);
            let nothing = words(world, stranger, route, &path_of(route, absent), &body);
            assert_eq!(theirs.0, 404, "{} {} {}", route.method, route.path, theirs.1);
            assert_eq!(theirs, nothing, "{} {}", route.method, route.path);
            // It is there: who belongs there gets another answer.
            let insider = who_may(&insiders, permission);
            let seen = words(world, insider, route, &path_of(route, &real), &body);
            assert_ne!(seen.0, 404, "{} {} {}", route.method, route.path, seen.1);
            tried += 1;
        }
        assert!(tried >= 13, "{tried} routes name something by its id");
    });
}

#[test]
fn another_branchs_things_are_in_no_list_and_another_branchs_people_in_no_body() {
    on_every_engine(|scene| {
        let there = furnish(scene);
        let world = &mut scene.world;
        let strangers = strangers(world);
        let ids = [
            &there.user,
            &there.device,
            &there.caseload,
            &there.dossier,
            &there.held,
            &there.change,
            &there.erasure,
            &there.customer,
            &there.first_customer,
        ];
        for route in ROUTES.iter().filter(|route| route.method == Method::GET && !route.path.contains('{')) {
            let Access::May(permission) = route.access else { continue };
            for (_, who) in strangers.iter().filter(|(role, _)| role.may(permission)) {
                let path = format!("{}{}", route.path, query_of(route));
                let answer = world.rest(*who, Method::GET, &path, &Value::Null);
                let text = answer.json().to_string();
                assert!(matches!(answer.status, 200 | 403), "{} {text}", route.path);
                for id in ids {
                    assert!(!text.contains(id.as_str()), "{} shows {id}: {text}", route.path);
                }
            }
        }
        let cashier = who_may(&strangers, Permission::CountCash);
        let counted = json!({ "minor": 100, "currency": KES });
        let count = |officer: &str| {
            let body = json!({ "id": Uuid::from_u128(9), "officer": officer, "counted": counted });
            let answer = world.rest(cashier, Method::POST, "/v1/cash/counts", &body);
            (answer.status, answer.code())
        };
        assert_eq!((count(&there.user), count(NOWHERE)), ((404, "not-found".into()), (404, "not-found".into())));
    });
}
