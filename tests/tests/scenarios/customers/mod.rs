//! Customers: how they sign in, what they say of themselves, what staff do for them, and what of them goes.

mod office;
mod own;
mod sign_in;

use axum::http::Method;
use daybook_server::jobs::{self, JOBS};
use daybook_server::testing::gateway::StubGateway;
use daybook_tests::sim::server::Answer;
use daybook_tests::sim::{Engine, World};
use serde_json::{Value, json};

const ZAINABU: &str = "+254799123456";
const YUSUF: &str = "+254799000002";

/// A lender whose messages go through a gateway.
struct Shop {
    world: World,
    gateway: StubGateway,
}

/// Tells a story on every engine.
fn in_a_shop(story: impl Fn(&mut Shop)) {
    in_a_shop_with(&[], story);
}

fn in_a_shop_with(settings: &[(&str, &str)], story: impl Fn(&mut Shop)) {
    for engine in Engine::all() {
        let gateway = StubGateway::start();
        let all = [("message_gateway", "http"), ("sms_url", gateway.url.as_str()), ("phone_country_code", "254")];
        let all: Vec<_> = all.into_iter().chain(settings.iter().copied()).collect();
        story(&mut Shop { world: World::with_settings(engine, 1, &all), gateway });
    }
}

impl Shop {
    /// A request of anybody.
    fn ask(&self, path: &str, body: &Value) -> Answer {
        self.world.ask(None, &[], (Method::POST, path), body)
    }

    fn ask_code(&self, phone: &str) -> Answer {
        self.ask("/v1/sessions/codes", &json!({ "phone": phone }))
    }

    fn enter(&self, phone: &str, code: &str) -> Answer {
        self.ask("/v1/sessions", &json!({ "phone": phone, "code": code }))
    }

    /// A code that was asked for now and has come.
    fn code(&self, phone: &str) -> String {
        let before = self.gateway.texts_to(phone).len();
        self.world.pass_ms(61_000);
        assert_eq!(self.ask_code(phone).status, 202);
        assert_eq!(self.gateway.texts_to(phone).len(), before + 1, "a code goes out at once");
        self.gateway.code_for(phone)
    }

    /// Signs in; the access token.
    fn sign_in(&self, phone: &str) -> String {
        let code = self.code(phone);
        let answer = self.enter(phone, &code);
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// What a customer's app asks.
    fn own(&self, token: &str, method: Method, path: &str, body: &Value) -> Answer {
        self.world.ask(Some(token), &[("if-match", "*")], (method, path), body)
    }

    fn me(&self, token: &str) -> Value {
        let answer = self.own(token, Method::GET, "/v1/me", &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    }

    /// Runs a job; how many things it did.
    fn job(&self, name: &str) -> u64 {
        let job = JOBS.iter().find(|job| job.name == name).unwrap();
        self.world.server.read(async |app, _| jobs::run(app, job).await.unwrap().unwrap())
    }

    fn count(&self, sql: &str) -> i64 {
        self.world.server.rows::<(i64,)>(sql)[0].0
    }
}

fn said(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
