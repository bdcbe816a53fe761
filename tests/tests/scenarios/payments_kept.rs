//! What is kept of payments and promises in the app: through crashes, in the books, in what verification finds, and
//! after an erasure.

use axum::http::Method;
use daybook_server::app::App;
use daybook_server::import::receive::Came;
use daybook_server::jobs::{self, JOBS};
use daybook_server::journey::payments::{drive, work};
use daybook_server::on_db;
use daybook_server::verify::verify;
use daybook_shared::ids::EntryId;
use daybook_tests::gateway::Callback;
use daybook_tests::sim::KES;
use futures_util::future::{join, join_all};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::journey::held_back;
use crate::payments::{By, Scene, amount, on_every_engine};

/// Readings of the clock after which a server is certainly through.
const READINGS_MAX: i64 = 40;

/// Goal: wherever a server stops, what the gateway charged is posted once, and nobody is asked twice. Method: it is
/// killed at every reading of its clock, within the request that begins a payment and within the work that follows
/// what the payer did; the next life goes on from the rows.
#[test]
fn a_server_that_stops_anywhere_neither_loses_nor_doubles_a_payment() {
    on_every_engine(|mut scene| {
        scene.with_a_large_account();
        for (by, code) in [(By::Phone, 50), (By::Card, 51), (By::Phone, 3), (By::Phone, 1)] {
            let mut killed = 0;
            for readings in 1..READINGS_MAX {
                let id = scene.payment_id();
                let (path, body) = (format!("{}/payments", scene.plan()), Scene::body(id, amount(code), by));
                let request = scene.world.request(scene.customer, Method::POST, &path, &body);
                let answer = scene.world.server.call_until(request, readings);
                killed += i64::from(answer.is_none());
                // The customer's phone sends it again, whether the first got there or not.
                let again = scene.post("/payments", &body);
                assert!([200, 202].contains(&again.status), "{}", again.json());
                if let Some(answer) = answer {
                    assert_eq!((answer.status, again.status), (202, 200));
                }
                let reference = id.to_string();
                if code >= 50 && scene.gateway.knows(&reference) {
                    scene.gateway.approve(&reference);
                }
                for callback in scene.gateway.callbacks() {
                    assert_eq!(scene.world.server.call(callback.request()).status, 200);
                }
                let work = async |app: &App| work::what_is_due(app).await.unwrap();
                killed += i64::from(scene.world.server.run_until(readings, work).is_none());
                scene.until_nothing_is_pending();
                let expected = match (code, scene.gateway.knows(&reference)) {
                    (1, true) => "failed",
                    (_, true) if scene.gateway.charged().contains_key(&reference) => "posted",
                    // Where it was killed before the call was made, nobody knows: it is not made again.
                    _ => "expired",
                };
                assert_eq!(scene.state(id), expected, "{by:?} {code}, killed at {readings}");
                assert!(scene.gateway.starts(&reference) <= 1, "{by:?} {code}, killed at {readings}");
                scene.balances();
            }
            assert!(killed >= 8, "killed {killed} times only");
        }
        scene.check();
    });
}

#[test]
fn a_promise_in_the_app_is_on_the_officers_phone_and_the_latest_counts() {
    on_every_engine(|mut scene| {
        let today = scene.world.today();
        let id = EntryId(scene.payment_id().0);
        let promise = |id: EntryId, minor: i64, days: i32| {
            let amount = json!({ "minor": minor, "currency": KES });
            json!({ "id": id, "amount": amount, "date": today.plus_days(days) })
        };
        let made = scene.post("/promises", &promise(id, 50_000, 3));
        assert_eq!((made.status, made.json()["status"].clone()), (201, json!("ACTIVE")), "{}", made.json());
        assert_eq!(scene.post("/promises", &promise(id, 50_000, 3)).status, 200);
        assert_eq!(scene.post("/promises", &promise(id, 50_001, 3)).code(), "id-taken");
        scene.world.sync(scene.on);
        let seen = |scene: &Scene| {
            let promises = scene.on_the_phone().promises;
            promises.iter().map(|promise| (promise.amount.minor, promise.status.clone())).collect::<Vec<_>>()
        };
        assert_eq!(seen(&scene), [(50_000, "ACTIVE".to_owned())]);
        // The officer takes another, and the customer makes one again.
        scene.world.pass_ms(60_000);
        scene.world.promise(scene.on, scene.acc, 70_000, 5);
        scene.world.sync(scene.on);
        assert_eq!(seen(&scene), [(70_000, "ACTIVE".to_owned()), (50_000, "SUPERSEDED".to_owned())]);
        assert_eq!(scene.post("/promises", &promise(id, 50_000, 3)).json()["status"], json!("SUPERSEDED"));
        scene.world.pass_ms(60_000);
        let last = EntryId(scene.payment_id().0);
        assert_eq!(scene.post("/promises", &promise(last, 80_000, 0)).status, 201);
        scene.world.sync(scene.on);
        let (active, superseded) = ("ACTIVE".to_owned(), "SUPERSEDED".to_owned());
        assert_eq!(seen(&scene), [(80_000, active), (70_000, superseded.clone()), (50_000, superseded)]);
        // Its bounds are those of a promise to an officer, and what is owed.
        let new = EntryId(scene.payment_id().0);
        for (minor, days) in [(0, 3), (-1, 3), (400_001, 3), (100, -1), (100, 31)] {
            assert_eq!(scene.post("/promises", &promise(new, minor, days)).code(), "validation", "{minor} {days}");
        }
        let dollars = json!({ "id": new, "amount": { "minor": 100, "currency": "USD" }, "date": today });
        assert_eq!(scene.post("/promises", &dollars).code(), "validation");
        let visit = scene.world.visit(scene.on, scene.acc);
        scene.world.sync(scene.on);
        assert_eq!(scene.post("/promises", &promise(visit, 100, 1)).code(), "id-taken");
        assert_eq!(scene.post("/promises", &promise(new, 400_000, 30)).status, 201);
        scene.check();
    });
}

#[test]
fn a_down_payment_is_booked_against_the_order_and_never_on_the_schedule() {
    for statement_first in [false, true] {
        on_every_engine(|mut scene| {
            let (asha, plan) = held_back(&mut scene.world);
            scene.customer = asha;
            let pay = |scene: &mut Scene, minor: i64| {
                let id = scene.payment_id();
                let body = Scene::body(id, minor, By::Phone);
                (id, scene.world.rest(asha, Method::POST, &format!("/v1/plans/{plan}/payments"), &body))
            };
            // It is paid whole, and one at a time.
            assert_eq!(pay(&mut scene, 5_000).1.json()["errors"][0]["code"], json!("down-payment"));
            let (refused, answer) = pay(&mut scene, 10_000);
            assert_eq!(answer.status, 202, "{}", answer.json());
            assert_eq!(pay(&mut scene, 10_000).1.code(), "illegal-transition");
            scene.gateway.decline(&refused.to_string());
            scene.called_back();
            let (id, answer) = pay(&mut scene, 10_000);
            assert_eq!(answer.status, 202, "{}", answer.json());
            scene.gateway.approve(&id.to_string());
            if statement_first {
                assert_eq!(scene.stated(id, "0722 my phone").came, Came::Suspense);
            }
            scene.called_back();
            let seen = scene.seen(id);
            assert_eq!(
                (&seen["state"], &seen["plan"], &seen["allocations"]),
                (&json!("posted"), &json!(plan), &json!([]))
            );
            let balances: Vec<(String, i64)> = scene.world.server.rows(
                "select gl, cast(sum(l.minor) as bigint) from line l join journal j on j.id = l.journal_id
                    where j.kind in ('down_payment', 'suspense') group by gl having sum(l.minor) <> 0 order by gl",
            );
            assert_eq!(balances, [("momo".to_owned(), 10_000), ("orders".to_owned(), -10_000)]);
            // With it the plan begins: it is in the books, and has its case.
            let shown = scene.world.rest(asha, Method::GET, &format!("/v1/plans/{plan}"), &Value::Null).json();
            assert_eq!(
                (&shown["status"], &shown["outstanding"]["minor"]),
                (&json!("active"), &json!(30_000)),
                "{shown}"
            );
            let sale = "select cast(sum(minor) as bigint) from line where gl = 'plan_recv' and minor = 30000";
            assert_eq!(scene.world.server.rows::<(i64,)>(sale)[0].0, 30_000);
            assert_eq!(pay(&mut scene, 7_500).1.status, 202, "the next one is an instalment");
            scene.check();
        });
    }
}

/// Goal: a plan begins once, whatever is paid towards that, and what is over is an instalment. Method: the first down
/// payment expired before its payer confirmed it, so that there is a second; what the gateway says of both is applied in
/// one transaction, and in two at the same moment.
#[test]
fn of_two_down_payments_the_second_is_an_instalment() {
    for groups in [1, 2] {
        on_every_engine(|mut scene| {
            let (asha, plan) = held_back(&mut scene.world);
            scene.customer = asha;
            let ids = [(); 2].map(|()| {
                scene.until_nothing_is_pending();
                let id = scene.payment_id();
                let path = format!("/v1/plans/{plan}/payments");
                let answer = scene.world.rest(asha, Method::POST, &path, &Scene::body(id, 10_000, By::Phone));
                assert_eq!(answer.status, 202, "{}", answer.json());
                id
            });
            assert_eq!(scene.state(ids[0]), "expired");
            for id in &ids {
                scene.gateway.approve(&id.to_string());
            }
            let callbacks = scene.gateway.callbacks().iter().map(Callback::request).collect();
            assert!(scene.world.server.call_at_once(callbacks).iter().all(|answer| answer.status == 200));
            // Who took the callbacks has had them in hand.
            scene.world.pass_ms(60_000);
            scene.world.server.run(async |app| {
                let due = drive::take_due(app, 2).await.unwrap();
                let told = join_all(due.into_iter().map(|row| drive::ask(app, row)));
                let mut first = Box::pin(told).await;
                assert_eq!(first.len(), 2, "the gateway has both");
                let other = first.split_off(3 - groups);
                Box::pin(join(drive::apply(app, first), drive::apply(app, other))).await;
            });
            scene.until_nothing_is_pending();
            scene.work();
            assert!(ids.iter().all(|id| scene.state(*id) == "posted"));
            let shown = scene.world.rest(asha, Method::GET, &format!("/v1/plans/{plan}"), &Value::Null).json();
            assert_eq!(
                (&shown["status"], &shown["outstanding"]["minor"]),
                (&json!("active"), &json!(20_000)),
                "{shown}"
            );
            scene.check();
        });
    }
}

const CHECK: &str = "app payments: posted once";

/// What is damaged after a posted payment (KES 1050.00), one that is the same money as a statement's (30.00), one
/// that failed (1001.00) and one that is pending (1052.00).
const DAMAGES: &[&str] = &[
    "update payment set state = 'expired' where amount_minor = 105000",
    "update payment set source = 'card' where amount_minor = 105000",
    "update payment set account_id = null where amount_minor = 100100",
    "update app_payment set stage = 'sent' where stage = 'failed'",
    "update app_payment set stage = 'paid' where stage = 'sent'",
    "update app_payment set same_as = payment_uid where stage = 'failed'",
    "update app_payment set same_as = null where same_as is not null",
    "delete from app_payment where stage = 'failed'",
    "delete from payment where amount_minor = 100100",
    "delete from statement_line where amount_minor = 105000",
    "update payment set state = 'posted' where state = 'matched'",
    "update journal set event = (select uid from payment where amount_minor = 105200) where event =
       (select uid from payment where amount_minor = 105000)",
    "insert into journal (kind, event, booked_on, currency, correlation, recorded_at)
       select 'recovery', event, booked_on, currency, correlation, recorded_at from journal where event =
       (select uid from payment where amount_minor = 105000) and kind = 'repayment'",
];

#[test]
fn verify_finds_what_is_damaged_of_payments_in_the_app() {
    on_every_engine(|mut scene| {
        let posted = scene.begin(amount(50), By::Phone);
        scene.gateway.approve(&posted.to_string());
        scene.called_back();
        scene.begin(amount(1), By::Phone);
        let same = scene.begin(3_000, By::Phone);
        scene.gateway.approve(&same.to_string());
        scene.stated(same, "A-0001");
        scene.called_back();
        scene.begin(amount(52), By::Phone);
        scene.check();
        for damage in DAMAGES {
            let found = scene.world.server.undone(async |app, tx| {
                let done = on_db!(&mut *tx, conn => {
                    sqlx::query(AssertSqlSafe(*damage)).execute(conn).await.map(|done| done.rows_affected())
                });
                assert_ne!(done.unwrap_or_else(|error| panic!("{damage}: {error}")), 0, "{damage}");
                verify(tx, &app.settings.zone, 5, &ProgressBar::hidden()).await.unwrap()
            });
            assert!(found.checks[CHECK].differing > 0, "{damage} should be noticed\n{found}");
        }
    });
}

#[test]
fn who_paid_is_forgotten_with_the_customer_and_only_when_nothing_is_under_way() {
    on_every_engine(|mut scene| {
        let (deka, farah) = (scene.world.supervisor("Deka"), scene.world.supervisor("Farah"));
        let posted = scene.begin(amount(50), By::Phone);
        scene.gateway.approve(&posted.to_string());
        scene.called_back();
        let late = scene.begin(amount(51), By::Card);
        scene.world.cash(scene.on, scene.acc, 295_000);
        scene.world.sync(scene.on);
        assert_eq!(scene.world.stands(scene.acc), "closed(paid), owes 0, paid 400000, credit 0");
        let customer = scene.world.accounts[scene.acc.0].customer;
        let uid = scene.world.server.rows::<(uuid::Uuid,)>(&format!("select uid from customer where id = {customer}"));
        let order = uuid::Uuid::from_u128(77);
        let path = format!("/v1/customers/{}/erasure", uid[0].0);
        let propose = |scene: &Scene| scene.world.rest(deka, Method::POST, &path, &json!({ "id": order })).status;
        assert_eq!(propose(&scene), 409);
        scene.gateway.decline(&late.to_string());
        scene.called_back();
        assert_eq!(propose(&scene), 204);
        let path = format!("/v1/erasures/{order}/decision");
        assert_eq!(scene.world.decide(farah, &path, json!({ "approve": true })).status, 204);
        let job = JOBS.iter().find(|job| job.name == "erase_customers").unwrap();
        assert_ne!(scene.world.server.run(async |app| jobs::run(app, job).await.unwrap().unwrap()), 0);
        let left: Vec<(i64,)> = scene.world.server.rows(
            "select cast(count(*) as bigint) from app_payment
             where phone is not null or return_url is not null or redirect_url is not null",
        );
        assert_eq!(left[0].0, 0);
        let found = scene.world.server.undone(async |app, tx| {
            on_db!(&mut *tx, conn => {
                sqlx::query("update app_payment set phone = 'x'").execute(conn).await.map(|_| ())
            })
            .unwrap();
            verify(tx, &app.settings.zone, 5, &ProgressBar::hidden()).await.unwrap()
        });
        assert!(found.checks["erasure: what was erased has left nothing"].differing > 0);
        scene.world.sync(scene.on);
        scene.balances();
    });
}
