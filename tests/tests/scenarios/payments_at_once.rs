//! Payments in the app that come many at once: each counts once, whichever share a transaction, and one that fails
//! takes none with it.

use std::sync::Arc;

use daybook_server::journey::payments::drive;
use daybook_server::journey::payments::work::{self, HINTED_MAX};
use daybook_shared::ids::PaymentId;
use daybook_tests::gateway::Callback;
use daybook_tests::sim::Engine;

use crate::payments::{By, Scene, amount, import, on_every_engine};

/// How often a gateway says the same.
const TIMES: usize = 8;

impl Scene {
    /// So many payments of the account, begun and confirmed by their payer.
    fn confirmed(&mut self, count: i64) -> Vec<PaymentId> {
        let ids: Vec<_> = (0..count).map(|n| self.begin(amount(50 + n), By::Phone)).collect();
        for id in &ids {
            self.gateway.approve(&id.to_string());
        }
        ids
    }

    /// The gateway says all of it many times at the same moment, and is heard.
    fn called_back_at_once(&self, callbacks: &[Callback]) {
        let requests = (0..TIMES).flat_map(|_| callbacks.iter().map(Callback::request)).collect();
        for answer in self.world.server.call_at_once(requests) {
            assert_eq!(answer.status, 200, "{}", answer.json());
        }
    }

    /// The account's number.
    fn number(&self) -> String {
        format!("A-{:04}", self.acc.0 + 1)
    }

    fn paid_minor(&self) -> i64 {
        self.world.row_of(self.acc).paid_minor
    }

    /// Who took the callbacks does nothing about them in the time for which he has the payments in hand: they are
    /// everybody's, every other round.
    pub fn left_every_other_round(&mut self, round: i64) {
        if round % 2 == 0 {
            self.world.pass_ms(60_000);
        }
    }
}

fn sum(count: i64) -> i64 {
    (0..count).map(|n| amount(50 + n)).sum()
}

/// Goal: what a gateway says many times at the same moment is one question and one payment. Method: it calls back
/// about three payments of one account, each time eight times at once, before and while three replicas do what is due.
#[test]
fn the_same_callbacks_at_the_same_moment_have_one_effect() {
    on_every_engine(|mut scene| {
        scene.with_a_large_account();
        let ids = scene.confirmed(3);
        let callbacks = scene.gateway.callbacks();
        scene.called_back_at_once(&callbacks);
        let kept: Vec<(i64,)> = scene.world.server.rows("select cast(count(*) as bigint) from gateway_callback");
        assert_eq!(kept[0].0, 3);
        let done = scene.world.server.run(async |app| {
            let work = || async { work::what_is_due(app).await.unwrap() };
            Box::pin(futures_util::future::join3(work(), work(), work())).await
        });
        assert_eq!(done.0 + done.1 + done.2, 3, "each payment was one's");
        assert!(ids.iter().all(|id| scene.state(*id) == "posted"));
        assert_eq!(scene.paid_minor(), sum(3));
        // And again, when nothing is left to be done.
        scene.called_back_at_once(&callbacks);
        scene.work();
        assert_eq!(scene.paid_minor(), sum(3));
        scene.check();
    });
}

/// Goal: a callback beyond what this server has room for is not lost, and waits for nobody. Method: there is no room:
/// the payment is due at once, for whoever looks. Once that was looked for, another is in hand of who took its callback.
#[test]
fn what_there_is_no_room_for_is_due_at_once() {
    on_every_engine(|mut scene| {
        scene.with_a_large_account();
        let ids = scene.confirmed(2);
        let callbacks = scene.gateway.callbacks();
        let taken = |scene: &Scene| {
            let due = scene.world.server.run(async |app| drive::take_due(app, 2).await.unwrap());
            due.iter().map(|due| due.row.payment).collect::<Vec<_>>()
        };
        let app = Arc::clone(scene.world.server.app());
        let room = app.payments_due.room(HINTED_MAX).expect("nothing waits");
        assert_eq!(scene.world.server.call(callbacks[0].request()).status, 200);
        assert_eq!(taken(&scene), [ids[0]]);
        drop(room);
        let work = |scene: &Scene| scene.world.server.run(async |app| work::what_is_due(app).await.unwrap());
        assert_eq!(work(&scene), 0);
        assert_eq!(scene.world.server.call(callbacks[1].request()).status, 200);
        assert_eq!(taken(&scene), []);
        assert_eq!(work(&scene), 1);
        // Who took the first is gone.
        scene.world.pass_ms(60_000);
        assert_eq!(work(&scene), 1);
        assert!(ids.iter().all(|id| scene.state(*id) == "posted"));
        scene.check();
    });
}

/// Goal: money of different kinds on one account at the same moment is each posted once, whatever order the database
/// takes it in. Method: the gateway has three payments of an account, two of which its operator's statement has too;
/// two replicas do what is due while both statements are imported, round by round.
#[test]
fn gateways_and_statements_on_one_account_at_the_same_moment_post_each_once() {
    on_every_engine(|mut scene| {
        scene.with_a_large_account();
        for round in 1..=3 {
            let ids = scene.confirmed(3);
            let number = scene.number();
            let [one, other] = [0, 1].map(|n| scene.statement(ids[n], &number));
            let callbacks = scene.gateway.callbacks();
            scene.called_back_at_once(&callbacks);
            scene.left_every_other_round(round);
            scene.world.server.run(async |app| {
                let work = || async { work::what_is_due(app).await.unwrap() };
                let all = futures_util::future::join4(work(), import(app, &one), import(app, &other), work());
                Box::pin(all).await;
            });
            scene.work();
            assert!(ids.iter().all(|id| scene.state(*id) == "posted"), "round {round}");
            assert_eq!(scene.paid_minor(), round * sum(3), "round {round}");
        }
        scene.check();
    });
}

/// Goal: what an officer recorded and what the gateway says of it find each other when they come at the same moment.
/// Method: he captured two of the gateway's three payments under their references, and his phone syncs while two
/// replicas do what is due, round by round.
#[test]
fn gateways_and_an_officer_at_the_same_moment_post_each_once() {
    on_every_engine(|mut scene| {
        scene.with_a_large_account();
        for round in 1..=6 {
            let ids = scene.confirmed(3);
            let callbacks = scene.gateway.callbacks();
            let captured = [0, 1].map(|n| {
                let reference = format!("MPESA:{}", scene.gateway.transaction(&ids[n].to_string()));
                let minor = scene.gateway.charged()[&ids[n].to_string()];
                scene.world.mobile_money(scene.on, scene.acc, minor, &reference)
            });
            scene.called_back_at_once(&callbacks);
            scene.left_every_other_round(round);
            scene.world.send_beside(scene.on, async |app| {
                let work = || async { work::what_is_due(app).await.unwrap() };
                Box::pin(futures_util::future::join(work(), work())).await;
            });
            scene.work();
            scene.world.sync(scene.on);
            assert!(ids.iter().all(|id| scene.state(*id) == "posted"), "round {round}");
            assert_eq!(scene.paid_minor(), round * sum(3), "round {round}");
            for entry in captured {
                let outcome = scene.world.outcome(entry);
                // From the second round on it looks like one of a round before.
                assert!(outcome.starts_with("posted PROVIDER_CONFIRMED"), "round {round}: {outcome}");
            }
        }
        scene.world.sync(scene.on);
        scene.world.check_all(&[scene.on]);
    });
}

/// Goal: a gateway that gives two payments one reference is believed once: money is what statements can show. Method:
/// both are confirmed under it and wait together.
#[test]
fn two_payments_under_one_reference_are_one_payment_of_money() {
    on_every_engine(|mut scene| {
        scene.with_a_large_account();
        let ids: Vec<_> = (0..2).map(|_| scene.begin(amount(50), By::Phone)).collect();
        for id in &ids {
            scene.gateway.name(&id.to_string(), "QFSAME");
            scene.gateway.approve(&id.to_string());
        }
        scene.called_back();
        let states: Vec<(String,)> =
            scene.world.server.rows("select state from payment where source = 'app' order by state");
        assert_eq!(states, [("matched".to_owned(),), ("posted".to_owned(),)]);
        assert_eq!(scene.paid_minor(), amount(50));
        scene.world.sync(scene.on);
        scene.world.check_all(&[scene.on]);
    });
}

/// Goal: one payment that cannot be written takes none of those with it that share its transaction, and is posted when
/// it can be. Method: the database refuses the line of one of three.
#[test]
fn a_payment_that_fails_leaves_its_neighbours_posted() {
    on_every_engine(|mut scene| {
        scene.with_a_large_account();
        let ids = scene.confirmed(3);
        let bad = format!("MPESA:{}", scene.gateway.transaction(&ids[1].to_string()));
        refuse(&scene, &bad);
        scene.called_back();
        let states: Vec<_> = ids.iter().map(|id| scene.state(*id)).collect();
        assert_eq!(states, ["posted", "pending", "posted"]);
        scene.world.server.execute(match scene.world.server.engine() {
            Engine::Sqlite => "drop trigger refuse",
            Engine::Postgres => "drop trigger refuse on statement_line",
        });
        scene.until_nothing_is_pending();
        assert_eq!(scene.paid_minor(), sum(3));
        scene.check();
    });
}

/// From now on the database takes no line with this reference.
fn refuse(scene: &Scene, external_ref: &str) {
    let server = &scene.world.server;
    match server.engine() {
        Engine::Sqlite => server.execute(&format!(
            "create trigger refuse before insert on statement_line when new.external_ref = '{external_ref}'
             begin select raise(abort, 'refused by the test'); end"
        )),
        Engine::Postgres => {
            server.execute(
                "create function refuse() returns trigger language plpgsql as $$ begin
                   raise exception 'refused by the test' using errcode = '23514'; end $$",
            );
            server.execute(&format!(
                "create trigger refuse before insert on statement_line for each row
                 when (new.external_ref = '{external_ref}') execute function refuse()"
            ));
        }
    }
}
