//! What is kept and for how long: how phones do, what a lost one does with itself.

use axum::http::Method;
use daybook_mobile_sync::session::Event;
use daybook_server::auth::device::Ending;
use daybook_server::sync::health;
use daybook_shared::time::DAY_MS;
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::{On, Terms, Who, World};
use serde_json::{Value, json};

use crate::on_every_engine;

/// The devices that a supervisor sees.
fn devices(world: &World, who: Who, query: &str) -> Vec<Value> {
    let answer = world.rest(who, Method::GET, &format!("/v1/devices{query}"), &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["items"].as_array().unwrap().clone()
}

fn next_request(world: &mut World, on: On, step: Option<Step>) -> daybook_mobile_sync::session::HttpRequest {
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
        let never = &devices(&world, deka, "?health=never")[0];
        assert_eq!((&never["health"], &never["last_sync_at"]), (&json!("never"), &Value::Null));
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
        world.cash_on_paper(on, acc, 10, "BOOK7-000001");
        world.cash_on_paper(on, acc, 10, "BOOK7-000001");
        let second = world.sync(on);
        let last = world.sync(on);
        assert_eq!((first.round_trips, last.round_trips), (1, 1));
        let seen = &devices(&world, deka, "")[0];
        assert_eq!(seen["bytes_up"], first.bytes_up + second.bytes_up + last.bytes_up);
        assert_eq!(seen["bytes_down"], first.bytes_down + second.bytes_down);
        assert_eq!(seen["held"], 1);
    });
}

/// Goal: a silence is told once, and the next one again; a device that is not in use has no health. Method: the
/// job again and again while days pass.
#[test]
fn a_silence_is_told_once_and_the_next_one_again() {
    on_every_engine(|mut world| {
        let (_, on) = world.officer("Amina");
        let (_, never) = world.officer("Brian");
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
        assert_eq!((health_of(&world, on), health_of(&world, never)), (json!("silent"), json!("never")));
        assert_eq!(devices(&world, deka, "?health=silent").len(), 1);
        assert_eq!((watch(&world), watch(&world)), (2, 0), "one that never synced is silent from its enrolment");
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
