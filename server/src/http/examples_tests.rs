//! The description's examples: they are there, they are what their schemas say, and the server takes them.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, header};
use daybook_shared::ids::DeploymentId;
use serde_json::{Map, Value, json};

use super::describe::document;
use super::idempotency::KEY;
use super::schema_check::faults;
use super::{Access, ROUTES, Route};
use crate::auth::Role;
use crate::auth::party::ACTING_FOR;
use crate::gateways::Secrets;
use crate::testing::{Answer, TestPhone, TestServer, for_each_engine_with};

fn operation(route: &Route) -> &'static Value {
    &document()["paths"][route.path][route.method.as_str().to_ascii_lowercase()]
}

/// Routes whose request is JSON, with how it is described.
fn bodies() -> impl Iterator<Item = (&'static Route, &'static Value)> {
    let json = |route| &operation(route)["requestBody"]["content"]["application/json"];
    ROUTES.iter().map(move |route| (route, json(route))).filter(|(_, content)| content.is_object())
}

/// The example of a body or an answer: its own, or that of its type.
fn example(content: &'static Value) -> Option<&'static Value> {
    let named = || content["schema"]["$ref"].as_str().and_then(|at| document().pointer(&at[1..]));
    content.get("example").or_else(|| named()?.get("example"))
}

#[test]
fn every_json_body_has_an_example_that_is_of_its_schema() {
    let mut wrong = Vec::new();
    for (route, content) in bodies() {
        let found = match example(content) {
            Some(example) if example.is_object() => faults(&content["schema"], example),
            _ => vec!["it has none".to_owned()],
        };
        wrong.extend(found.iter().map(|fault| format!("{} {}: {fault}", route.method, route.path)));
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_example_of_a_type_is_of_its_schema() {
    let mut wrong = Vec::new();
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        let examples = schema.get("example").into_iter().chain(schema["examples"].as_array().into_iter().flatten());
        let mut found: Vec<_> = examples.flat_map(|example| faults(schema, example)).collect();
        for property in schema["properties"].as_object().into_iter().flat_map(Map::values) {
            found.extend(property.get("example").into_iter().flat_map(|example| faults(property, example)));
        }
        wrong.extend(found.iter().map(|fault| format!("{name}: {fault}")));
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_example_of_a_parameter_is_of_its_schema() {
    let mut wrong = Vec::new();
    for route in ROUTES {
        for parameter in operation(route)["parameters"].as_array().into_iter().flatten() {
            let example = parameter.get("example").or_else(|| parameter["schema"].get("example"));
            let found = example.into_iter().flat_map(|example| faults(&parameter["schema"], example));
            wrong.extend(found.map(|fault| format!("{} {} {}: {fault}", route.method, route.path, parameter["name"])));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// Of a page it is the example of its items.
#[test]
fn what_a_customer_is_answered_has_an_example() {
    let shown = |route: &&Route| match route.access {
        Access::Party(_) => true,
        Access::Public => {
            ["/v1/tokens", "/v1/tokens/refresh", "/v1/sessions", "/v1/sessions/codes"].contains(&route.path)
        }
        _ => false,
    };
    for route in ROUTES.iter().filter(shown) {
        for (status, response) in operation(route)["responses"].as_object().unwrap() {
            let content = &response["content"]["application/json"];
            if status.starts_with('2') && content.is_object() {
                let of = content["schema"]["$ref"].as_str().and_then(|at| document().pointer(&at[1..]));
                let of_items = of.and_then(|page| page["properties"]["items"]["items"].get("example"));
                let found = example(content).or(of_items);
                assert!(found.is_some(), "{} {} {status} has no example", route.method, route.path);
            }
        }
    }
}

/// Who may call what.
struct Callers {
    tokens: BTreeMap<Role, String>,
    customer: String,
    phone: TestPhone,
}

impl Callers {
    async fn new(server: &TestServer) -> Self {
        let root = server.root().await;
        let mut tokens = BTreeMap::new();
        for role in Role::ALL.iter().filter(|role| **role != Role::Customer) {
            tokens.insert(*role, server.user(role.code(), *role, &root).await.1);
        }
        let (customer, login) = server.customer("Wanjiku Kamau", &root).await;
        tokens.insert(Role::Customer, server.token(&login));
        let (officer, _) = server.user("amina", Role::Officer, &root).await;
        let phone = server.phone(&officer).await;
        Self { tokens, customer: customer.uid.to_string(), phone }
    }

    /// Sends a body as one who may.
    async fn send(&self, server: &TestServer, route: &Route, number: u64, body: &Value) -> Answer {
        let path = concrete(route);
        let roles: &[Role] = match route.access {
            Access::Device => {
                let deployment =
                    if path == "/v1/enrolments" { DeploymentId::from([0; 16]) } else { server.app.deployment.id };
                let lease = self.phone.enrolment["lease"].as_str();
                let body = body.to_string().into_bytes();
                return server.send(self.phone.signed(deployment, number, &path, lease, body)).await;
            }
            Access::Public => &[],
            Access::SignedIn => Role::ALL,
            Access::May(permission) | Access::Party(permission) => permission.roles(),
        };
        let mut request = Request::builder()
            .method(route.method.clone())
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, "*")
            .header(KEY, format!("examples-{number}"));
        let is_party = matches!(route.access, Access::Party(_));
        let role = if is_party { roles.iter().find(|role| **role == Role::Customer) } else { roles.first() };
        if let Some(role) = role {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.tokens[role]));
        }
        if is_party {
            request = request.header(ACTING_FOR, &self.customer);
        }
        server.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

/// The path with the examples of its parameters; ids that name nothing.
fn concrete(route: &Route) -> String {
    let example = |name: &str| {
        let parameters = operation(route)["parameters"].as_array().into_iter().flatten();
        let found = parameters.filter(|parameter| parameter["name"] == name).find_map(|at| at["example"].as_str());
        found.unwrap_or("01890a5d-ac96-774b-bcce-b302099a8057")
    };
    let part = |part: &'static str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => example(name),
        None => part,
    };
    let query = if route.path == "/v1/imports/statements" { "?provider=MPESA" } else { "" };
    route.path.split('/').map(part).collect::<Vec<_>>().join("/") + query
}

/// Goal: who sends an example gets no answer that his body is wrong. Method: each goes through the whole router by
/// one who may; the things it names are not there, so most are told so. With a member that is not of the body the
/// same request is refused for its shape: the body was looked at.
#[tokio::test]
async fn the_server_takes_every_example() {
    let settings = [("message_gateway", "log"), ("momo_url", "http://127.0.0.1:9"), ("momo_code", "MPESA")];
    for_each_engine_with(&settings, async |server| {
        let server = &server.opened_again(|options| options.gateways.momo = Secrets::new("bearer", &[])).await;
        let callers = Callers::new(server).await;
        let mut wrong = Vec::new();
        for (number, (route, content)) in (2..).step_by(2).zip(bodies()) {
            let name = format!("{} {}", route.method, route.path);
            let mut body = example(content).unwrap().clone();
            let answer = callers.send(server, route, number, &body).await;
            let is_taken = match answer.code().as_str() {
                "malformed-request" | "unsupported-media-type" | "forbidden" => false,
                // What it names is not there.
                "validation" => answer.json()["errors"][0]["code"] == "unknown",
                // The key of the example's phone is not this phone's.
                "unauthenticated" => route.path == "/v1/enrolments",
                _ => true,
            };
            if !is_taken {
                wrong.push(format!("{name}: {}", answer.json()));
            }
            // What a gateway sends is the gateway's.
            if route.path.starts_with("/v1/gateways/") {
                continue;
            }
            body["of_no_body"] = json!(1);
            let answer = callers.send(server, route, number + 1, &body).await;
            if answer.json()["errors"][0]["code"] != "shape" {
                wrong.push(format!("{name} takes more: {}", answer.json()));
            }
        }
        assert_eq!(wrong, [""; 0]);
        server.app.db.close().await;
    })
    .await;
}
