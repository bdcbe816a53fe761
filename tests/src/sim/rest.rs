//! What people do online, over the real router: decisions, boards, assignments.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{Method, Request, header};
use daybook_server::auth::party::ACTING_FOR;
use daybook_server::http::idempotency::KEY;
use daybook_server::jobs::{self, JOBS};
use daybook_shared::ids::{CustomerId, DecisionId, DossierId, EntryId};
use serde_json::{Value, json};

use super::server::Answer;
use super::setup::KES;
use super::world::{Acc, Who, World};

/// Idempotency keys that were used: each request is a new one.
static KEYS: AtomicU64 = AtomicU64::new(0);

impl World {
    /// A request of a signed-in person.
    pub fn rest(&self, who: Who, method: Method, path: &str, body: &Value) -> Answer {
        self.server.call(self.request(who, method, path, body))
    }

    /// A request of a member of staff in a customer's name.
    pub fn rest_for(&self, who: Who, customer: CustomerId, method: Method, path: &str, body: &Value) -> Answer {
        let mut request = self.request(who, method, path, body);
        let named = customer.to_string().parse().expect("an id is a header");
        request.headers_mut().insert(ACTING_FOR, named);
        self.server.call(request)
    }

    /// What a signed-in person reads in a form that he names.
    pub fn rest_accepting(&self, who: Who, path: &str, media: &str) -> Answer {
        let mut request = self.request(who, Method::GET, path, &Value::Null);
        request.headers_mut().insert(header::ACCEPT, media.parse().expect("a media type is a header"));
        self.server.call(request)
    }

    /// Writes that people send at the same moment, each under a key of its own.
    pub fn at_once(&self, writes: &[(Who, String, Value)]) -> Vec<Answer> {
        let requests = writes.iter().map(|(who, path, body)| self.request(*who, Method::POST, path, body));
        self.server.call_at_once(requests.collect())
    }

    /// Lets a background job have its turn; how much it did.
    pub fn job(&self, name: &str) -> u64 {
        let job = JOBS.iter().find(|job| job.name == name).expect("there is such a job");
        self.server.read(async |app, _| jobs::run(app, job).await.expect("the job ends").expect("it is due"))
    }

    /// The request, for who sends it in another way.
    pub fn request(&self, who: Who, method: Method, path: &str, body: &Value) -> Request<Body> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token(who)))
            .header(header::CONTENT_TYPE, "application/json")
            .header(KEY, format!("sim-{}", KEYS.fetch_add(1, Ordering::Relaxed)))
            .header(header::IF_MATCH, "*");
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        request.body(body).expect("a request")
    }

    /// A request with this token, or of anybody, with headers of its own.
    pub fn ask(&self, token: Option<&str>, headers: &[(&str, &str)], to: (Method, &str), body: &Value) -> Answer {
        self.server.call(self.asking(token, headers, to, body))
    }

    /// The same, to be sent with others.
    pub fn asking(
        &self,
        token: Option<&str>,
        headers: &[(&str, &str)],
        (method, path): (Method, &str),
        body: &Value,
    ) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(KEY, format!("ask-{}", KEYS.fetch_add(1, Ordering::Relaxed)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        request.body(body).expect("a request")
    }

    /// Decisions that several people make at the same moment, each with an id of its own.
    pub fn decide_at_once(&mut self, decisions: Vec<(Who, String, Value)>) -> Vec<Answer> {
        let now = self.now();
        let requests = decisions.into_iter().map(|(who, path, mut body)| {
            body["id"] = json!(DecisionId::new(now, &mut self.rng));
            (who, path, body)
        });
        let requests: Vec<_> = requests.collect();
        let requests = requests.iter().map(|(who, path, body)| self.request(*who, Method::POST, path, body));
        self.server.call_at_once(requests.collect())
    }

    /// A decision: the body gets an id of its own.
    pub fn decide(&mut self, who: Who, path: &str, mut body: Value) -> Answer {
        let now = self.now();
        body["id"] = json!(DecisionId::new(now, &mut self.rng));
        self.rest(who, Method::POST, path, &body)
    }

    /// A supervisor releases a held entry, with what is right in place of what was recorded.
    pub fn release(&mut self, who: Who, entry: EntryId, instead: Value) -> Answer {
        let instead = if instead.is_null() { json!({}) } else { instead };
        self.decide(who, &format!("/v1/held/{entry}/release"), instead)
    }

    /// A supervisor rejects a held entry.
    pub fn reject(&mut self, who: Who, entry: EntryId, reason: &str) -> Answer {
        self.decide(who, &format!("/v1/held/{entry}/rejection"), json!({ "reason": reason }))
    }

    /// A supervisor takes a payment back.
    pub fn reverse(&mut self, who: Who, entry: EntryId) -> Answer {
        self.decide(
            who,
            &format!("/v1/payments/{entry}/reversal"),
            json!({ "reason": "It was somebody else's money." }),
        )
    }

    /// A supervisor decides on a correction.
    pub fn rule_on(&mut self, who: Who, correction: EntryId, approve: bool) -> Answer {
        self.decide(who, &format!("/v1/corrections/{correction}/decision"), json!({ "approve": approve }))
    }

    /// A cashier counts what an officer hands over.
    pub fn count(&mut self, cashier: Who, officer: Who, minor: i64, handover: Option<EntryId>) -> Answer {
        let officer = self.people[officer.0].uid;
        let counted = json!({ "minor": minor, "currency": KES });
        self.decide(cashier, "/v1/cash/counts", json!({ "officer": officer, "counted": counted, "handover": handover }))
    }

    /// A user edits a board online.
    pub fn edit_online(&self, who: Who, dossier: DossierId, edits: &Value) -> Answer {
        self.rest(who, Method::PATCH, &format!("/v1/dossiers/{dossier}/board"), &json!({ "edits": edits }))
    }

    /// A supervisor gives a case to an officer's caseload.
    pub fn reassign(&mut self, who: Who, acc: Acc, to: Option<Who>) -> Answer {
        let dossier = self.accounts[acc.0].dossier;
        let caseload = to.and_then(|to| self.people[to.0].caseload).map(|(_, uid)| uid);
        self.decide(who, &format!("/v1/dossiers/{dossier}/assignment"), json!({ "caseload": caseload }))
    }
}
