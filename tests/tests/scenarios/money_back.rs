//! Money that goes back the way it came: through the real router and adapters, against a gateway that does what an
//! amount tells it to ([`daybook_tests::gateway`]). What it gave back is what the books say was paid.

use axum::http::Method;
use daybook_server::app::App;
use daybook_server::auth::Role;
use daybook_server::journey::refund_calls;
use daybook_server::verify::verify;
use daybook_shared::ids::PaymentId;
use daybook_tests::sim::{Answer, KES, Who};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::journey::balance;
use crate::payments::{By, Scene, on_every_engine};

/// Readings of the clock after which a server is certainly through.
const READINGS_MAX: i64 = 60;

/// A customer who paid his whole plan in the app and some of it again to the officer, and two people of finance.
struct Owed {
    scene: Scene,
    payment: PaymentId,
    makes: Who,
    sends: Who,
}

/// Minor units that tell the gateway what to do.
fn amount(code: i64) -> i64 {
    10_000 + code * 100
}

impl Owed {
    fn new(mut scene: Scene, by: By) -> Self {
        scene.with_a_large_account();
        let payment = scene.begin(40_000_000, by);
        scene.gateway.approve(&payment.to_string());
        scene.called_back();
        assert_eq!(scene.state(payment), "posted");
        scene.world.cash(scene.on, scene.acc, 2_000_000);
        scene.world.sync(scene.on);
        let makes = scene.world.person("Faraj", Role::Finance);
        let sends = scene.world.person("Fatma", Role::Finance);
        Self { scene, payment, makes, sends }
    }

    /// A refund of so much of the customer's credit.
    fn made(&mut self, minor: i64) -> String {
        let id = self.scene.payment_id();
        let plan = self.scene.world.accounts[self.scene.acc.0].uid;
        let body = json!({ "id": id, "plan": plan, "amount": { "minor": minor, "currency": KES } });
        let made = self.scene.world.rest(self.makes, Method::POST, "/v1/refunds", &body);
        assert_eq!(made.status, 201, "{}", made.json());
        id.to_string()
    }

    fn send(&self, who: Who, refund: &str, payment: Uuid) -> Answer {
        let path = format!("/v1/refunds/{refund}/sending");
        self.scene.world.rest(who, Method::POST, &path, &json!({ "payment": payment }))
    }

    fn state(&self, refund: &str) -> String {
        let path = format!("/v1/refunds/{refund}");
        let seen = self.scene.world.rest(self.scene.customer, Method::GET, &path, &Value::Null).json();
        seen["state"].as_str().unwrap().to_owned()
    }

    fn work(&self) -> usize {
        self.scene.world.server.run(async |app: &App| refund_calls::what_is_due(app).await.unwrap())
    }

    /// Time passes, and the gateway is asked, until it is not any more; so many days at most.
    fn until_nothing_is_asked(&self, days: i64) {
        for _ in 0..days * 24 {
            let asked = "select count(*) from refund_call where next_at is not null";
            if self.scene.world.server.rows::<(i64,)>(asked)[0].0 == 0 {
                return;
            }
            self.work();
            self.scene.world.pass_ms(3_600_000);
        }
        panic!("a gateway is asked for ever");
    }

    /// What the gateway gave back is what the books say; whatever can be derived is as it is derived.
    fn balances(&self) {
        let given_back = self.scene.gateway.given_back();
        let paid = self.scene.world.server.rows::<(Uuid, i64)>(
            "select f.uid, f.amount_minor from refund f join journal j on j.event = f.uid and j.kind = 'refund_paid'
             where f.state = 'succeeded'",
        );
        let mut paid: Vec<_> = paid.into_iter().map(|(uid, minor)| (uid.to_string(), minor)).collect();
        paid.sort();
        let given: Vec<_> = given_back.into_iter().map(|(refund, (_, minor))| (refund, minor)).collect();
        assert_eq!(paid, given);
        let sum: i64 = given.iter().map(|(_, minor)| minor).sum();
        assert_eq!(balance(&self.scene.world, "momo") + balance(&self.scene.world, "card_clearing"), 40_000_000 - sum);
        let findings = self
            .scene
            .world
            .server
            .read(async |app, tx| verify(tx, &app.settings.zone, 100, &ProgressBar::hidden()).await.unwrap());
        assert_eq!(findings.differing(), 0, "{findings}");
    }
}

#[test]
fn a_refund_goes_back_through_the_gateway_that_took_the_payment() {
    for (by, channel) in [(By::Phone, "MOBILE_MONEY"), (By::Card, "CARD")] {
        on_every_engine(|scene| {
            let mut owed = Owed::new(scene, by);
            let refund = owed.made(amount(50));
            // Whoever made it does not send it, and it goes back only the way the money came.
            assert_eq!(owed.send(owed.makes, &refund, owed.payment.0).code(), "same-person");
            let nobodys = owed.scene.payment_id();
            assert_eq!(owed.send(owed.sends, &refund, nobodys.0).code(), "validation");
            let sent = owed.send(owed.sends, &refund, owed.payment.0);
            assert_eq!((sent.status, &sent.json()["state"]), (200, &json!("submitted")), "{}", sent.json());
            assert_eq!(sent.json()["through"], json!(owed.payment));
            assert_eq!(owed.send(owed.sends, &refund, owed.payment.0).status, 200, "sent again it is sent once");
            // While the gateway is asked nobody pays it too.
            let paid = json!({ "outcome": "succeeded", "channel": "BANK_TRANSFER", "reference": "TT-1" });
            let path = format!("/v1/refunds/{refund}/payout");
            let by_hand = owed.scene.world.rest(owed.sends, Method::POST, &path, &paid);
            assert_eq!(by_hand.code(), "illegal-transition");
            assert_eq!((owed.work(), owed.work()), (1, 0));
            assert_eq!(owed.state(&refund), "succeeded");
            let booked = owed.scene.world.server.rows::<(Option<String>,)>("select channel from refund");
            assert_eq!(booked[0].0.as_deref(), Some(channel));
            owed.balances();
        });
    }
}

/// Goal: what a gateway did is what the books say, in every way it can answer.
#[test]
fn whatever_a_gateway_answers_a_refund_is_paid_once_or_a_person_hears_that_nobody_knows() {
    on_every_engine(|scene| {
        let mut owed = Owed::new(scene, By::Phone);
        let cases =
            [(1, "failed"), (2, "succeeded"), (3, "succeeded"), (4, "unknown"), (8, "succeeded"), (10, "succeeded")];
        let sent = cases.map(|(code, expected)| {
            let refund = owed.made(amount(code));
            assert_eq!(owed.send(owed.sends, &refund, owed.payment.0).status, 200);
            (code, refund, expected)
        });
        assert_eq!(owed.work(), cases.len());
        let under_way = &sent[4].1;
        assert_eq!(owed.state(under_way), "submitted");
        owed.scene.gateway.arrive(under_way);
        owed.until_nothing_is_asked(20);
        for (code, refund, expected) in &sent {
            assert_eq!(owed.state(refund), *expected, "{code}");
        }
        owed.balances();
        // What nobody knows a person finds out; what failed another takes the place of.
        let path = format!("/v1/refunds/{}/payout", sent[3].1);
        let failed = owed.scene.world.rest(owed.sends, Method::POST, &path, &json!({ "outcome": "failed" }));
        assert_eq!((failed.status, &failed.json()["state"]), (200, &json!("failed")));
        let again = json!({ "id": owed.scene.payment_id(), "replaces": sent[3].1 });
        assert_eq!(owed.scene.world.rest(owed.makes, Method::POST, "/v1/refunds", &again).status, 201);
        owed.balances();
    });
}

#[test]
fn no_more_goes_back_through_a_payment_than_came_by_it() {
    on_every_engine(|scene| {
        let mut owed = Owed::new(scene, By::Phone);
        // The customer pays a little on another plan, and too much of it to the officer.
        let small = owed.scene.world.account(owed.scene.amina, daybook_tests::sim::Terms::months(1));
        owed.scene.world.sync(owed.scene.on);
        let foreign = owed.scene.world.cash(owed.scene.on, small, 5_000);
        owed.scene.world.sync(owed.scene.on);
        assert_eq!(owed.scene.world.outcome(foreign), "posted OVER_PAYOFF");
        // Cash did not come by a gateway, and a payment on another plan is none of this one.
        let refund = owed.made(amount(50));
        assert_eq!(owed.send(owed.sends, &refund, foreign.0).code(), "validation");
        // Odd amounts do not go back as mobile money.
        let odd = owed.made(5_001);
        assert_eq!(owed.send(owed.sends, &odd, owed.payment.0).code(), "validation");
        // Of a payment by which less came, not more goes back.
        owed.scene.world.server.execute("update payment set amount_minor = 14000 where source = 'app'");
        let more = owed.send(owed.sends, &refund, owed.payment.0);
        assert_eq!((more.status, more.code().as_str()), (409, "limit-exceeded"), "{}", more.json());
    });
}

/// Goal: wherever a server stops, a refund is paid once and the books say so. Method: it is killed at every reading of
/// its clock, within the request that sends a refund and within the work that follows; the next life goes on from
/// the rows.
#[test]
fn a_server_that_stops_anywhere_neither_loses_nor_doubles_a_refund() {
    on_every_engine(|scene| {
        let mut owed = Owed::new(scene, By::Phone);
        for (code, expected) in [(50, "succeeded"), (3, "succeeded"), (1, "failed")] {
            let mut killed = 0;
            for readings in 1..READINGS_MAX {
                let refund = owed.made(amount(code));
                let path = format!("/v1/refunds/{refund}/sending");
                let body = json!({ "payment": owed.payment });
                let request = owed.scene.world.request(owed.sends, Method::POST, &path, &body);
                let answer = owed.scene.world.server.call_until(request, readings);
                assert_eq!(owed.send(owed.sends, &refund, owed.payment.0).status, 200, "killed at {readings}");
                let work = async |app: &App| refund_calls::what_is_due(app).await.unwrap();
                let worked = owed.scene.world.server.run_until(readings, work);
                let dead = usize::from(answer.is_none()) + usize::from(worked.is_none());
                owed.until_nothing_is_asked(1);
                assert_eq!(owed.state(&refund), expected, "{code}, killed at {readings}");
                if dead == 0 {
                    break;
                }
                assert!(readings < READINGS_MAX - 1, "it is never through");
                killed += dead;
            }
            assert!(killed >= 6, "killed {killed} times only");
            owed.balances();
        }
    });
}
