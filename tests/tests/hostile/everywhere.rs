//! Random bytes to every endpoint: whoever sends them, nothing panics and nothing answers 500.

use axum::body::Body;
use axum::http::{Method, Request};
use daybook_server::auth::Role;
use daybook_server::http::{Access, ROUTES};
use daybook_shared::wire::exchange::MEDIA_TYPE;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Scene, on_every_engine};

/// How often each endpoint is tried.
const TRIES: usize = 25;

#[test]
fn random_bytes_to_any_endpoint_never_fail_inside() {
    on_every_engine(|scene| {
        let roles = [
            Role::Officer,
            Role::Supervisor,
            Role::Cashier,
            Role::Auditor,
            Role::Admin,
            Role::ShopStaff,
            Role::Customer,
        ];
        let people: Vec<_> =
            roles.iter().map(|role| scene.world.person(&format!("p-{}", role.code()), *role)).collect();
        let paid = scene.world.cash(scene.on, scene.acc, 100);
        scene.world.sync(scene.on);
        let known: Vec<String> = vec![
            paid.to_string(),
            scene.world.accounts[scene.acc.0].dossier.to_string(),
            // Not the officer of the scene: somebody may deactivate him.
            scene.world.people[people[0].0].uid.to_string(),
            scene.raw.device.to_string(),
        ];
        scene.raw.request += 1000;
        for route in ROUTES {
            for _ in 0..TRIES {
                let token = people.choose(&mut scene.world.rng).map(|who| scene.world.token(*who));
                let path = path_of(scene, route.path, &known);
                let (media, body) = body_of(scene, &known);
                let answer = if matches!(route.access, Access::Device) && scene.world.rng.random() {
                    let mut request = scene.raw.signed(fixed(route.path), body);
                    request.headers[0].1 = media.to_owned();
                    scene.world.server.answer(&request)
                } else {
                    let method = if scene.world.rng.random_ratio(1, 8) { Method::PUT } else { route.method.clone() };
                    let mut request = Request::builder().method(method).uri(&path).header("content-type", media);
                    let key: u128 = scene.world.rng.random();
                    request = request.header("idempotency-key", format!("{key:x}")).header("if-match", "*");
                    if let Some(token) = token {
                        request = request.header("authorization", format!("Bearer {token}"));
                    }
                    scene.world.server.call(request.body(Body::from(body)).unwrap())
                };
                assert!(answer.status < 500, "{} {path}: {} {}", route.method, answer.status, answer.json());
            }
        }
    });
}

/// The three paths of devices.
fn fixed(path: &str) -> &'static str {
    ["/v1/sync", "/v1/deposit", "/v1/leases"].into_iter().find(|known| *known == path).unwrap_or("/v1/enrolments")
}

fn path_of(scene: &mut Scene, template: &str, known: &[String]) -> String {
    let rng = &mut scene.world.rng;
    let id = match rng.random_range(0..4) {
        0 => Uuid::from_u128(rng.random()).to_string(),
        1 => "%00%ff..".to_owned(),
        _ => known.choose(rng).cloned().unwrap_or_default(),
    };
    let query = match rng.random_range(0..4) {
        0 => format!("?limit={}&after={id}", rng.random_range(-5..1_000_000)),
        1 => "?after=%F0%9F&limit=x".to_owned(),
        _ => String::new(),
    };
    format!("{}{query}", template.replace("{id}", &id).replace("{sha256}", &"0f".repeat(32)))
}

fn body_of(scene: &mut Scene, known: &[String]) -> (&'static str, Vec<u8>) {
    let rng = &mut scene.world.rng;
    match rng.random_range(0..5) {
        0 => {
            let mut bytes = vec![0; rng.random_range(0..4000)];
            rng.fill_bytes(&mut bytes);
            (if rng.random() { MEDIA_TYPE } else { "application/json" }, bytes)
        }
        1 => ("application/json", b"{\"id\":".repeat(300)),
        _ => ("application/json", some_object(scene, known).to_string().into_bytes()),
    }
}

/// An object with the fields that requests have, of the right kind or not.
fn some_object(scene: &mut Scene, known: &[String]) -> Value {
    const FIELDS: [&str; 36] = [
        "id",
        "reason",
        "account",
        "amount",
        "receipt",
        "value_date",
        "approve",
        "officer",
        "counted",
        "handover",
        "declared",
        "edits",
        "caseload",
        "resolution",
        "login",
        "password",
        "refresh_token",
        "current",
        "new",
        "held",
        "name",
        "role",
        "unit",
        "holding",
        "user",
        "member",
        "code",
        "kind",
        "phone",
        "provider_token",
        "alt_phone",
        "language",
        "birth_date",
        "address",
        "text_version",
        "given",
    ];
    let rng = &mut scene.world.rng;
    let mut object = serde_json::Map::new();
    for field in FIELDS {
        if rng.random_ratio(1, 2) {
            continue;
        }
        let value = match rng.random_range(0..10) {
            0 => json!(Uuid::from_u128(rng.random())),
            1 => json!(known.choose(rng)),
            2 => json!(rng.random::<i64>()),
            3 => json!({ "minor": rng.random_range(-10..1000), "currency": "KES" }),
            4 => json!("\u{0}\u{202e}x".repeat(rng.random_range(0..300))),
            5 => json!([{ "note_splice": { "at": rng.random::<u32>(), "insert": "x" } }]),
            6 => json!(rng.random::<bool>()),
            7 => json!("+254712345678"),
            8 => json!("REJECTED"),
            _ => Value::Null,
        };
        object.insert(field.to_owned(), value);
    }
    Value::Object(object)
}
