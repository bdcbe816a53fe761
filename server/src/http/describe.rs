//! What the API says of itself: OpenAPI 3.1 from the code, and a page for each problem.
//!
//! How a route's requests and answers look is written at its handler (`#[utoipa::path]`), through which it
//! gets into the route table. What follows from the table is added here: who may call, Idempotency-Key,
//! and every problem a route answers with. [`is_described`] holds answers against it while the server
//! runs, so a description that is wrong fails the tests that meet it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use daybook_shared::ids::PaymentId;
use daybook_shared::messages::Language;
use serde_json::{Map, Value, json};
use utoipa::openapi::{Components, Info, License, OpenApi, Paths};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::etag::{IfNoneMatch, of_content};
use super::extract::Path;
use super::problem::{Code, FieldError, Problem};
use super::{Access, ROUTES, Route, idempotency};

/// What a route answers with.
struct Answers {
    /// The codes of its problems.
    codes: BTreeSet<&'static str>,
    /// The media types of its other answers, by status; none where an answer has no content.
    media_types: BTreeMap<u16, BTreeSet<String>>,
}

/// The description, made once.
struct Description {
    /// By method and path.
    answers: BTreeMap<(&'static str, &'static str), Answers>,
    document: Value,
    json: String,
    etag: String,
}

fn description() -> &'static Description {
    static DESCRIPTION: OnceLock<Description> = OnceLock::new();
    DESCRIPTION.get_or_init(describe)
}

/// The OpenAPI document.
pub fn document() -> &'static Value {
    &description().document
}

/// Whether an answer of a route is one that its description names.
pub fn is_described(route: &Route, response: &Response) -> bool {
    let Some(Answers { codes, media_types }) = description().answers.get(&(route.method.as_str(), route.path)) else {
        return false;
    };
    match response.extensions().get::<Code>() {
        Some(code) => codes.contains(code.code()),
        // A kept refusal is the one that was given first.
        None if response.headers().contains_key(idempotency::REPLAYED) => true,
        None => media_types.get(&response.status().as_u16()).is_some_and(|named| is_one_of(named, response.headers())),
    }
}

/// Whether the content is of one of these media types, whatever its parameters; `*/*` names all.
fn is_one_of(named: &BTreeSet<String>, headers: &HeaderMap) -> bool {
    match headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) {
        None => named.is_empty(),
        Some(sent) => {
            let sent = sent.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            named.iter().any(|named| named == "*/*" || named.as_bytes() == sent)
        }
    }
}

/// This API, as OpenAPI 3.1 describes it.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "contract",
    params(("If-None-Match" = Option<String>, Header, description = "The version the caller has.")),
    responses(
        (status = 200, description = "The document.", body = Object, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has this version.")
    )
)]
pub async fn openapi(known: IfNoneMatch) -> Response {
    let Description { json, etag, .. } = description();
    known.answer(etag, ([(header::CONTENT_TYPE, "application/json")], json.as_str()))
}

/// What a problem means: the page that its `type` names.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    tag = "contract",
    params(("code" = String, Path, description = "The problem's code.", example = "validation")),
    responses((status = 200, description = "A page for people.", body = String, content_type = "text/html"))
)]
pub async fn problem(Path(code): Path<String>) -> Result<Response, Problem> {
    let code = Code::ALL.iter().find(|known| known.code() == code).ok_or_else(Problem::not_found)?;
    let (name, title, status) = (code.code(), code.title(Language::English), code.status());
    let again = if code.retryable() {
        "The same request may succeed later; wait for as long as <code>Retry-After</code> says."
    } else {
        "The same request will be refused again."
    };
    let about = text(code.about().trim());
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title><h1>{}</h1>\
         <p><code>{name}</code>, status {status}</p><p>{about}</p><p>{again}</p>",
        text(&title)
    );
    let mut response = Html(html).into_response();
    response.headers_mut().insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    Ok(response)
}

/// How the bytes of a phone's exchange are described: their format is `daybook_shared::wire`'s.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct ExchangeBytes(#[expect(dead_code, reason = "it is only described")] Vec<u8>);

/// Text in HTML.
pub(super) fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What every route of this kind refuses, and what this one does.
fn refusals(route: &Route, has_json: bool) -> BTreeSet<&'static str> {
    use Code as C;
    let mut codes = vec![C::Internal, C::Unavailable];
    match route.access {
        Access::Public => {}
        Access::Device | Access::SignedIn => codes.push(C::Unauthenticated),
        Access::May(_) => codes.extend([C::Unauthenticated, C::Forbidden]),
        Access::Party(_) => codes.extend([C::Unauthenticated, C::Forbidden, C::NotFound, C::MalformedRequest]),
    }
    if route.path.contains('{') {
        codes.push(C::NotFound);
    }
    if !route.method.is_safe() {
        codes.extend([C::MalformedRequest, C::RequestTimeout, C::TooLarge]);
        if has_json && route.access != Access::Device {
            codes.extend([C::UnsupportedMediaType, C::Validation]);
        }
    }
    if route.has_effect() {
        // Conflict: what it is about changed, or its kept answer cannot be told.
        codes.extend([C::IdempotencyKeyMissing, C::IdempotencyInFlight, C::IdempotencyReused, C::Conflict]);
    }
    codes.extend(route.refusals);
    codes.into_iter().map(Code::code).collect()
}

fn describe() -> Description {
    let mut paths = Paths::new();
    // What only problems and paths refer to.
    let mut schemas = vec![
        (FieldError::name().into_owned(), FieldError::schema()),
        (PaymentId::name().into_owned(), PaymentId::schema()),
    ];
    for route in ROUTES {
        let (named, described, _) = (route.handler)();
        schemas.extend(named);
        paths.merge(described);
    }
    let mut components = Components::new();
    components.schemas.extend(schemas);
    let mut info = Info::new("Daybook", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    info.license = Some(License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build());
    let api = OpenApi::builder().info(info).paths(paths).components(Some(components)).build();
    let mut document = serde_json::to_value(api).expect("a description is JSON");
    document["components"]["schemas"]["Problem"] = problem_schema();
    document["components"]["securitySchemes"] = security_schemes();

    let mut answers = BTreeMap::new();
    for route in ROUTES {
        let operation = &mut document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        assert!(operation.is_object(), "{} {} is described under another path or method", route.method, route.path);
        let media_types = media_types(operation);
        let codes = complete(route, operation);
        answers.insert((route.method.as_str(), route.path), Answers { codes, media_types });
    }
    let json = document.to_string();
    let etag = of_content(json.as_bytes());
    Description { answers, document, json, etag }
}

const ABOUT: &str = "REST of a Daybook server.

* Errors are problems (RFC 9457) with a stable `code`, `retryable` and `request_id`; each code has a page, which is the problem's `type`.
* Every POST that a role allows names an `Idempotency-Key`; sent again, it has its effect once and the same answer.
* Lists are paged by cursor: `limit`, `after`; `next` and a `Link` header name the next page.
* What has a version carries an `ETag`; writes on it name it in `If-Match`.
* `X-Request-Id` is taken from the caller (8 to 64 letters, digits and hyphens) or made, and is in every answer.
* Amounts are integers in the currency's minor unit.
* Where a body has an `id`, its client makes it (UUIDv7) and keeps it before it sends: the same again is the same thing. In the examples, ids that a client makes have `c11e` in them.";

/// The media types a handler's own description names, by the status of their answer.
fn media_types(operation: &Value) -> BTreeMap<u16, BTreeSet<String>> {
    let named = operation["responses"].as_object().into_iter().flatten();
    let types = |answer: &Value| answer["content"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    named.filter_map(|(status, answer)| Some((status.parse().ok()?, types(answer)))).collect()
}

/// Adds what follows from the route table; returns the codes of its problems.
fn complete(route: &Route, operation: &mut Value) -> BTreeSet<&'static str> {
    let tag = operation["tags"][0].as_str().unwrap_or_default();
    let name = operation["operationId"].as_str().unwrap_or_default();
    operation["operationId"] = format!("{tag}.{name}").into();
    match route.access {
        Access::Public => operation["security"] = json!([]),
        Access::Device => operation["security"] = json!([{ "device": [] }]),
        Access::SignedIn => operation["security"] = json!([{ "user": [] }]),
        Access::May(permission) | Access::Party(permission) => {
            operation["security"] = json!([{ "user": [] }]);
            let roles: Vec<_> = permission.roles().iter().map(|role| role.code()).collect();
            operation["x-roles"] = json!(roles);
        }
    }
    if let Access::Party(_) = route.access {
        add_parameter(
            operation,
            json!({
                "name": "Acting-For", "in": "header", "required": false,
                "description": "The customer for whom a member of staff acts; a customer's own login leaves it out.",
                "schema": { "type": "string", "format": "uuid" },
            }),
        );
    }
    let codes = refusals(route, operation["requestBody"]["content"]["application/json"].is_object());
    if route.has_effect() {
        add_idempotency(operation);
    }
    let responses = operation["responses"].as_object_mut().expect("every operation has answers");
    for code in Code::ALL.iter().filter(|code| codes.contains(code.code())) {
        add_problem(responses, *code);
    }
    for response in responses.values_mut() {
        response["headers"]["X-Request-Id"] =
            json!({ "schema": { "type": "string" }, "description": "Names the request in the server's log." });
    }
    codes
}

fn add_idempotency(operation: &mut Value) {
    add_parameter(
        operation,
        json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "New for every write, the same when it is sent again.",
            "schema": { "type": "string", "minLength": 1, "maxLength": idempotency::KEY_MAX, "pattern": "^[!-~]+$" },
        }),
    );
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if status.starts_with('2') {
            response["headers"]["Idempotency-Replayed"] = json!({ "schema": { "type": "string", "const": "true" }, "description": "It is the answer of the first time." });
        }
    }
}

fn add_parameter(operation: &mut Value, parameter: Value) {
    match &mut operation["parameters"] {
        Value::Array(parameters) => parameters.push(parameter),
        none => *none = json!([parameter]),
    }
}

/// Problems of one status are one answer, which names their codes.
fn add_problem(responses: &mut Map<String, Value>, code: Code) {
    let (name, status) = (code.code(), code.status().as_str().to_owned());
    let line = format!("`{name}`: {}.", code.title(Language::English));
    let response = responses.entry(status).or_insert_with(|| {
        json!({
            "description": "",
            "content": { "application/problem+json": { "schema": {
                "allOf": [{ "$ref": "#/components/schemas/Problem" }],
                "properties": { "code": { "enum": [] } },
            } } },
        })
    });
    let before = response["description"].as_str().unwrap_or_default();
    response["description"] = if before.is_empty() { line } else { format!("{before}\n\n{line}") }.into();
    let codes = &mut response["content"]["application/problem+json"]["schema"]["properties"]["code"]["enum"];
    codes.as_array_mut().expect("made above").push(name.into());
    if code == Code::PreconditionFailed {
        response["headers"]["ETag"] = json!({ "schema": { "type": "string" }, "description": "The current version." });
    }
    if code.retryable() || code == Code::TooManyRequests {
        response["headers"]["Retry-After"] = json!({ "schema": { "type": "integer" }, "description": "Seconds." });
    }
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457). Some problems have members of their own.",
        "required": ["type", "title", "status", "detail", "code", "retryable", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "The problem's page." },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "For people; no program should read it." },
            "code": { "type": "string", "description": "Stable; for programs." },
            "retryable": { "type": "boolean", "description": "Whether the same request may succeed later." },
            "request_id": { "type": "string", "description": "Names the request in the server's log." },
            "errors": { "type": "array", "items": { "$ref": "#/components/schemas/FieldError" } },
        },
        "example": {
            "type": "/problems/not-found", "title": Code::NotFound.title(Language::English), "status": 404, "code": "not-found",
            "detail": "There is no such thing, or it is not yours to see.", "retryable": false,
            "request_id": "9f86d081884c7d65",
        },
    })
}

fn security_schemes() -> Value {
    json!({
        "user": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token of POST /v1/tokens.",
        },
        "device": {
            "type": "apiKey", "in": "header", "name": "Daybook-Device",
            "description": "The signature of an enrolled device over method, path and body.",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations() -> impl Iterator<Item = (String, String, &'static Value)> {
        let paths = document()["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (method.to_ascii_uppercase(), path.clone(), operation))
        })
    }

    #[test]
    fn the_table_and_the_document_have_the_same_routes() {
        let described: BTreeSet<_> = operations().map(|(method, path, _)| (method, path)).collect();
        let routed: BTreeSet<_> =
            ROUTES.iter().map(|route| (route.method.as_str().to_owned(), route.path.to_owned())).collect();
        assert_eq!((described.len(), &described), (ROUTES.len(), &routed));
        assert_eq!(document()["openapi"], "3.1.0");
    }

    #[test]
    fn the_document_says_who_may_call_what_a_write_needs_and_what_is_refused() {
        for route in ROUTES {
            let operation = &document()["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            let name = format!("{} {}", route.method, route.path);
            let security = match route.access {
                Access::Public => json!([]),
                Access::Device => json!([{ "device": [] }]),
                Access::SignedIn | Access::May(_) | Access::Party(_) => json!([{ "user": [] }]),
            };
            assert_eq!(operation["security"], security, "{name}");
            let roles = match route.access {
                Access::May(permission) | Access::Party(permission) => {
                    json!(permission.roles().iter().map(|role| role.code()).collect::<Vec<_>>())
                }
                _ => Value::Null,
            };
            assert_eq!(operation["x-roles"], roles, "{name}");
            let parameters: Vec<_> =
                operation["parameters"].as_array().into_iter().flatten().map(|p| p["name"].as_str().unwrap()).collect();
            assert_eq!(parameters.contains(&"Idempotency-Key"), route.has_effect(), "{name}");
            assert_eq!(route.path.contains("{id}"), parameters.contains(&"id"), "{name}");
            // Each code is under its status, and no other is.
            let mut named = BTreeSet::new();
            for (status, response) in operation["responses"].as_object().unwrap() {
                let schema = &response["content"]["application/problem+json"]["schema"];
                for code in schema["properties"]["code"]["enum"].as_array().into_iter().flatten() {
                    let code = Code::ALL.iter().find(|known| *code == known.code()).unwrap();
                    assert_eq!(code.status().as_str(), status, "{name}");
                    named.insert(code.code());
                }
            }
            assert!(route.refusals.iter().all(|code| named.contains(code.code())), "{name}");
            assert_eq!(named, description().answers[&(route.method.as_str(), route.path)].codes, "{name}");
        }
    }

    #[test]
    fn everything_is_named_once_and_explained() {
        let mut ids = BTreeSet::new();
        for (method, path, operation) in operations() {
            let has =
                |pointer: &str| operation.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            assert!(has("/summary") && has("/operationId") && has("/tags/0"), "{method} {path}");
            assert!(ids.insert(operation["operationId"].to_string()), "{method} {path}: {}", operation["operationId"]);
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(
                    response["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{method} {path} {status}"
                );
                for content in response["content"].as_object().into_iter().flat_map(Map::values) {
                    assert!(content["schema"].is_object(), "{method} {path} {status}");
                }
            }
        }
        let text = document().to_string();
        for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
            assert!(schema["description"].is_string() || schema["oneOf"].is_array(), "{name} says nothing of itself");
        }
        for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(document().pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn types_that_differ_have_names_that_differ() {
        let mut known = BTreeMap::new();
        for route in ROUTES {
            let (named, ..) = (route.handler)();
            for (name, schema) in named {
                let schema = serde_json::to_value(schema).unwrap();
                let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(*first, schema, "{name} is two things; one of them at {} {}", route.method, route.path);
            }
        }
    }

    #[test]
    fn every_problem_can_happen_somewhere() {
        let named: BTreeSet<_> =
            description().answers.values().flat_map(|answers| answers.codes.iter().copied()).collect();
        let nowhere: Vec<_> = Code::ALL.iter().map(|code| code.code()).filter(|code| !named.contains(code)).collect();
        // Of no route: a method that a path does not have.
        assert_eq!(nowhere, [Code::MethodNotAllowed.code()]);
    }
}
