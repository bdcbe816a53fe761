//! What is kept and for how long: how phones do, what a lost one does with itself.

use axum::http::Method;
use daybook_mobile_sync::capture::CaptureError;
use daybook_mobile_sync::session::{Event, HttpRequest, SyncEnd};
use daybook_mobile_sync::view::ViewError;
use daybook_server::auth::device::Ending;
use daybook_server::sync::health;
use daybook_shared::time::DAY_MS;
use daybook_shared::wire::envelope::{Envelope, EnvelopeError};
use daybook_shared::wire::sign::DeviceState;
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::server::Answer;
use daybook_tests::sim::upload::request_of;
use daybook_tests::sim::{On, Terms, Who, World};
use serde_json::{Value, json};

use crate::on_every_engine;

/// The devices that a supervisor sees.
fn devices(world: &World, who: Who, query: &str) -> Vec<Value> {
    let answer = world.rest(who, Method::GET, &format!("/v1/devices{query}"), &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["items"].as_array().unwrap().clone()
}

fn next_request(world: &mut World, on: On, step: Option<Step>) -> HttpRequest {
    match step {
        Some(Step::Send(request)) => request,
        Some(Step::Wait(ms)) => {
            world.pass_ms(i64::try_from(ms).unwrap());
            let now = world.now();
            let step = world.phones[on.0].tell(Event::TimerFired, now, &mut world.rng);
            next_request(world, on, step)
        }
        other => panic!("{other:?}"),
    }
}

/// Goal: the office sees what a phone still holds, as the phone said it. Method: a link that breaks, so that
/// the next request carries only some of what waits; its answer is lost.
#[test]
fn the_office_sees_what_a_phone_still_holds() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let mut captured = Vec::new();
        for minor in 1..=16 {
            captured.push(world.now());
            world.cash(on, acc, minor);
            let now = world.now();
            let moment = world.phone(on).moment(now);
            world.phones[on.0].store_mut().seal_pending(moment, &mut world.rng).unwrap();
            world.pass_ms(60_000);
        }
        let now = world.now();
        let step = world.phones[on.0].begin_sync(now, &mut world.rng);
        let all = next_request(&mut world, on, step);
        let step = world.phones[on.0].tell(Event::TransportFailed, now, &mut world.rng);
        let some = next_request(&mut world, on, step);
        assert!(some.body.len() < all.body.len());
        let answer = world.deliver(on, &some);
        assert_eq!(answer.status, 200);
        let taken: Vec<(i64,)> = world.server.rows("select cast(count(*) as bigint) from entry");
        let taken = usize::try_from(taken[0].0).unwrap();
        assert!((1..16).contains(&taken), "{taken}");
        let seen = &devices(&world, deka, "?health=ok")[0];
        assert_eq!(seen["unsent"], json!({ "count": 16 - taken, "oldest_at": captured[taken] }));
        // Then all of it comes, and nothing is left.
        let now = world.now();
        world.phones[on.0].tell(Event::TransportFailed, now, &mut world.rng);
        world.sync(on);
        let seen = &devices(&world, deka, "")[0];
        assert_eq!(seen["unsent"], json!({ "count": 0, "oldest_at": null }));
        world.check_all(&[on]);
    });
}

/// Goal: bytes up and down are those that travelled, the newest answer apart, and what waits for a person is
/// counted. Method: reports of the phone's own sessions.
#[test]
fn the_office_sees_how_much_data_a_phone_used_and_what_of_it_waits() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        let first = world.sync(on);
        let before = devices(&world, deka, "")[0].clone();
        world.cash_on_paper(on, acc, 10, "BOOK7-000001");
        world.cash_on_paper(on, acc, 10, "BOOK7-000001");
        let second = world.sync(on);
        let last = world.sync(on);
        assert_eq!((first.round_trips, last.round_trips), (1, 1));
        let seen = &devices(&world, deka, "")[0];
        let more = |what: &str| seen[what].as_u64().unwrap() - before[what].as_u64().unwrap();
        assert_eq!(more("bytes_up"), second.bytes_up + last.bytes_up);
        assert_eq!(more("bytes_down"), first.bytes_down + second.bytes_down);
        assert_eq!(seen["held"], 1);
    });
}

/// Goal: a silence is told once, and the next one again; a device that is not in use has no health. Method: the
/// job again and again while days pass.
#[test]
fn a_silence_is_told_once_and_the_next_one_again() {
    on_every_engine(|mut world| {
        let (_, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        world.sync(on);
        let watch = |world: &World| world.server.read(async |app, _| health::watch(app).await.unwrap());
        let health_of = |world: &World, on: On| {
            let id = json!(world.device(on));
            devices(world, deka, "").into_iter().find(|device| device["id"] == id).unwrap()["health"].clone()
        };
        assert_eq!((watch(&world), health_of(&world, on)), (0, json!("ok")));
        world.pass_ms(DAY_MS);
        assert_eq!((watch(&world), health_of(&world, on)), (0, json!("late")));
        world.pass_ms(2 * DAY_MS);
        assert_eq!(health_of(&world, on), json!("silent"));
        assert_eq!(devices(&world, deka, "?health=silent").len(), 1);
        assert_eq!((watch(&world), watch(&world)), (1, 0));
        world.sync(on);
        assert_eq!((watch(&world), health_of(&world, on)), (0, json!("ok")));
        world.pass_days(4);
        assert_eq!((watch(&world), watch(&world)), (1, 0));
        let told: Vec<(String,)> = world.server.rows("select subject from audit where action = 'device.silent'");
        assert_eq!(told.iter().filter(|row| row.0 == world.device(on).to_string()).count(), 2);
        // A lost device is not waited for.
        world.sync(on);
        world.end_device(on, Ending::Loss);
        world.pass_days(4);
        assert_eq!((watch(&world), health_of(&world, on)), (0, Value::Null));
        assert_eq!(world.rest(deka, Method::GET, "/v1/devices?health=well", &Value::Null).code(), "validation");
    });
}

/// Gives a whole answer to a phone.
fn hear(world: &mut World, on: On, answer: &Answer) -> Option<Step> {
    let now = world.now();
    let phone = &mut world.phones[on.0];
    let status = Event::Status { status: answer.status, retry_after_ms: answer.retry_after_ms };
    for event in [status, Event::BodyBytes(&answer.body), Event::BodyEnd] {
        if let Some(step) = phone.tell(event, now, &mut world.rng) {
            return Some(step);
        }
    }
    None
}

/// Goal: a lost phone holds nothing once it was heard, and nothing that it held is lost. Method: cash taken
/// before the phone asks, and cash taken while it asks, so that it is pending when the order comes; the phone
/// is found, opened again and enrolled as a new device.
#[test]
fn a_lost_phone_erases_itself_and_what_it_held_reaches_the_office() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let lost = world.device(on);
        let before = world.cash(on, acc, 300);
        let path = format!("/v1/devices/{lost}/loss");
        assert_eq!(world.rest(deka, Method::POST, &path, &Value::Null).status, 204);
        // When it asks, and more is captured before the answer.
        let now = world.now();
        let step = world.phones[on.0].begin_sync(now, &mut world.rng);
        let asks = next_request(&mut world, on, step);
        let while_asking = world.cash(on, acc, 400);
        let answer = world.deliver(on, &asks);
        let step = hear(&mut world, on, &answer);
        // Then nothing is on it but what only the server can read.
        let store = world.phone(on).store();
        assert_eq!((store.dossiers().unwrap(), store.own_entries().unwrap()), (vec![], vec![]));
        assert_eq!((store.device().unwrap(), store.wiped_at().unwrap()), (lost, Some(now)));
        let moment = world.phone(on).moment(now);
        assert_eq!((store.status(moment).unwrap().user, store.status(moment).unwrap().state), (None, "wiped"));
        let hands_in = next_request(&mut world, on, step);
        let sent = request_of(&hands_in).unwrap();
        assert_eq!((sent.envelopes.len(), sent.wiped, hands_in.path.as_ref()), (1, Some(true), "/v1/deposit"));
        assert_eq!(Envelope::decode(&sent.envelopes[0]), Err(EnvelopeError::UnknownForm));
        // It is killed there, opened again, and hands in; both wait for a person and nobody is charged.
        world.phones[on.0].kill();
        world.phones[on.0].open(now, &mut world.rng);
        let report = world.sync(on);
        assert_eq!((report.end, report.round_trips), (SyncEnd::Locked(DeviceState::Wipe), 1));
        for captured in [before, while_asking] {
            assert_eq!(world.outcome(captured), "held(DEVICE_LOST)");
        }
        assert_eq!((world.cash_in_hand(amina), world.lines(while_asking)), (0, vec![]));
        let seen = devices(&world, deka, "").into_iter().find(|device| device["id"] == json!(lost)).unwrap();
        assert_eq!((&seen["state"], &seen["wiped_at"], &seen["held"]), (&json!("lost"), &json!(now), &json!(2)));
        // The key is gone too, and the store says why it takes nothing.
        let phone = &mut world.phones[on.0];
        assert_ne!(phone.store().device().unwrap(), lost);
        let moment = phone.moment(now);
        assert!(matches!(phone.store().view(moment), Err(ViewError::Wiped)));
        assert!(matches!(phone.store().business_date(moment), Err(CaptureError::Wiped)));
        assert_eq!(world.sync(on).end, SyncEnd::Locked(DeviceState::Wipe));
        // Found again, it becomes a new device.
        let code = world.enrolment_code(amina);
        world.phones[on.0].enrol(&world.server, &code, now, &mut world.rng);
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
        assert_eq!(world.phone(on).store().wiped_at().unwrap(), None);
        let paid = world.cash(on, acc, 50);
        world.sync(on);
        assert_eq!(world.outcome(paid), "posted");
        assert_eq!(world.release(deka, while_asking, json!({})).status, 204);
        assert_eq!(world.stands(acc), "active, owes 2550, paid 450, credit 0");
        daybook_tests::sim::check::ledger::check(&world);
    });
}

#[test]
fn a_phone_that_is_in_use_gets_no_order() {
    on_every_engine(|mut world| {
        let (_, on) = world.officer("Amina");
        let (_, other) = world.officer("Brian");
        world.sync(on);
        world.end_device(other, Ending::Loss);
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
        world.end_device(on, Ending::Retirement);
        assert_eq!(world.sync(on).end, SyncEnd::Locked(DeviceState::Revoked));
        assert_eq!(world.phone(on).store().wiped_at().unwrap(), None);
        assert_eq!(world.sync(other).end, SyncEnd::Locked(DeviceState::Wipe));
        assert!(world.phone(other).is_wiped());
    });
}
