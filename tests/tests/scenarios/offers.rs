//! Offers on officers' phones: they come with a sync, are quoted from without a connection, and the server honours the
//! quote or says what differs; over the real router, on every engine.

use axum::http::Method;
use daybook_mobile_sync::session::{Event, SyncEnd};
use daybook_mobile_sync::view::{Offers, OfflineQuote, QuoteError, Wanted};
use daybook_shared::cbor;
use daybook_shared::ids::{CustomerId, OfferId};
use daybook_shared::money::Money;
use daybook_shared::wire::catalogue::CatalogueHeld;
use daybook_shared::wire::exchange::{End, Request, cursors_hash};
use daybook_shared::wire::framing::{deflate, inflate};
use daybook_shared::wire::limits::CATALOGUE_OFFERS_MAX;
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::upload::frames_of;
use daybook_tests::sim::{Acc, Answer, Engine, KES, On, Terms, Who, World};
use serde_json::{Value, json};

use crate::journey::{Shop, four, id, murabaha, offer, shop};
use crate::on_every_engine;

/// What a phone that has its offers says of them, and hears, at most: on top of a request and an answer that
/// are otherwise idle.
const IDLE_BYTES_UP_MAX: u64 = 20;

/// An officer with a phone, and a customer whom he serves.
fn officer(world: &mut World) -> (Who, On, CustomerId) {
    let (amina, on) = world.officer("Amina");
    let acc = world.account(amina, Terms::months(3));
    world.sync(on);
    (amina, on, customer_of(world, acc))
}

fn customer_of(world: &World, acc: Acc) -> CustomerId {
    let rows = world.server.rows::<(i64, CustomerId)>("select id, uid from customer");
    rows.into_iter().find(|row| row.0 == world.accounts[acc.0].customer).unwrap().1
}

fn offers_on(world: &World, on: On) -> Offers {
    let phone = world.phone(on);
    phone.store().view(phone.moment(world.now())).unwrap().offers().unwrap()
}

fn ids_on(world: &World, on: On) -> Vec<OfferId> {
    offers_on(world, on).offers.iter().map(|offer| offer.id).collect()
}

/// Quotes on a phone, which asks nobody.
fn quote_on(world: &mut World, on: On, wanted: &Wanted) -> Result<OfflineQuote, QuoteError> {
    let moment = world.phone(on).moment(world.now());
    world.phones[on.0].store().quote(wanted, moment, &mut world.rng)
}

fn kes(minor: i64) -> Money {
    Money::new(minor, KES)
}

/// Posts what a phone quoted, in the customer's name.
fn hand_in(world: &World, officer: Who, customer: CustomerId, quoted: &OfflineQuote) -> Answer {
    world.rest_for(officer, customer, Method::POST, "/v1/quotes", &quoted.request)
}

fn change(world: &World, shop: &Shop, offer: OfferId, change: &Value) {
    let changed = world.rest(shop.partner, Method::PATCH, &format!("/v1/offers-admin/{offer}"), change);
    assert_eq!(changed.status, 200, "{}", changed.json());
}

#[test]
fn an_officer_quotes_without_a_connection_what_the_server_would_and_it_is_honoured() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (amina, on, customer) = officer(&mut world);
        assert!(ids_on(&world, on).is_empty());
        let dear = offer(&mut world, &shop, &murabaha());
        let free = offer(&mut world, &shop, &four(true));
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
        assert_eq!(ids_on(&world, on), [free, dear], "the newest first");
        for (offer, price) in [(dear, 1_200_000), (free, 40_001)] {
            let quoted = quote_on(&mut world, on, &Wanted::today(offer, kes(price))).unwrap();
            // The server's own, of the same day: the same figures, hash and bytes.
            let body = json!({ "id": id(&mut world), "offer": offer, "amount": kes(price) });
            let made = world.rest_for(amina, customer, Method::POST, "/v1/quotes", &body);
            assert_eq!((made.status, made.json()["hash"].as_str()), (201, Some(quoted.hash.as_str())));
            let bytes = world.server.rows::<(Vec<u8>,)>("select bytes from quote order by id desc limit 1");
            assert_eq!(bytes[0].0, quoted.quote.to_bytes());
            // Two days later there is a connection.
            world.pass_days(2);
            let honoured = hand_in(&world, amina, customer, &quoted);
            assert_eq!(honoured.status, 201, "{}", honoured.json());
            let (theirs, ours) = (honoured.json(), serde_json::to_value(&quoted).unwrap());
            let figures =
                ["id", "offer", "hash", "price", "at_acceptance", "down_payment", "financed", "profit", "fee"];
            for name in figures.into_iter().chain(["total", "apr", "anchor", "ends_on", "instalments"]) {
                assert_eq!(theirs[name], ours[name], "{name}");
            }
            assert_eq!(hand_in(&world, amina, customer, &quoted).status, 200, "handed in again, it is the same quote");
        }
        let offline = world.server.rows::<(bool,)>("select offline from quote order by id");
        assert_eq!(offline, [(false,), (true,), (false,), (true,)]);
        world.check_all(&[on]);
    });
}

#[test]
fn a_quote_on_an_offer_that_changed_meanwhile_is_answered_with_what_differs() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (amina, on, customer) = officer(&mut world);
        let old = offer(&mut world, &shop, &murabaha());
        let ending = offer(&mut world, &shop, &four(false));
        world.sync(on);
        let (of_old, of_ending) = (Wanted::today(old, kes(1_200_000)), Wanted::today(ending, kes(40_000)));
        let of_old = quote_on(&mut world, on, &of_old).unwrap();
        let quoted_of_ending = quote_on(&mut world, on, &of_ending).unwrap();
        // Other terms are another offer; the one before is made no more.
        let mut dearer = murabaha();
        dearer["kind"]["murabaha"]["profit_bp"] = json!(1_100);
        let new = offer(&mut world, &shop, &dearer);
        change(&world, &shop, old, &json!({ "state": "retired" }));
        change(&world, &shop, ending, &json!({ "valid_to": world.today().plus_days(-1), "name": "Ended" }));
        let refused = hand_in(&world, amina, customer, &of_old);
        let body = refused.json();
        assert_eq!((refused.status, refused.code().as_str()), (409, "offer-not-eligible"), "{body}");
        assert_eq!(body["reason"], "not_active");
        let differences = json!([
            { "path": "/offer/version", "theirs": "2", "ours": "3" },
            { "path": "/offer/state", "theirs": "active", "ours": "retired" },
        ]);
        assert_eq!((&body["differences"], &body["offer"]["state"]), (&differences, &json!("retired")));
        let refused = hand_in(&world, amina, customer, &quoted_of_ending).json();
        assert_eq!(
            (&refused["reason"], refused["differences"].as_array().unwrap().len()),
            (&json!("out_of_season"), 1)
        );
        assert_eq!(refused["offer"]["valid_to"], json!(world.today().plus_days(-1)));
        // What was made of one offer does not hold for another: its terms differ, and what follows from them.
        let mut posted = of_old.request.clone();
        posted["offer"] = json!(new);
        let refused = world.rest_for(amina, customer, Method::POST, "/v1/quotes", &posted);
        assert_eq!((refused.status, refused.code().as_str()), (409, "quote-changed"));
        let paths: Vec<_> =
            refused.json()["differences"].as_array().unwrap().iter().map(|one| one["path"].clone()).collect();
        assert_eq!(paths[..3], [json!("/terms"), json!("/profit_minor"), json!("/total_minor")]);
        // A sync, and the phone has what is so now.
        world.sync(on);
        assert_eq!(ids_on(&world, on), [new]);
        let gone = quote_on(&mut world, on, &of_ending).unwrap_err();
        assert_eq!(gone.code(), "unknown_offer");
        let quoted = quote_on(&mut world, on, &Wanted::today(new, kes(1_200_000))).unwrap();
        let honoured = hand_in(&world, amina, customer, &quoted);
        assert_eq!((honoured.status, &honoured.json()["profit"]["minor"]), (201, &json!(132_000)));
        // Only a name: the phone shows it, and what it had quoted before holds.
        change(&world, &shop, new, &json!({ "name": "Twelve months" }));
        let before = quote_on(&mut world, on, &Wanted::today(new, kes(1_100_000))).unwrap();
        world.sync(on);
        assert_eq!(offers_on(&world, on).offers[0].name, "Twelve months");
        assert_eq!(hand_in(&world, amina, customer, &before).status, 201);
        // Nothing is in force any more.
        change(&world, &shop, new, &json!({ "state": "paused" }));
        world.sync(on);
        assert!(ids_on(&world, on).is_empty());
        world.check_all(&[on]);
    });
}

#[test]
fn a_phone_that_has_its_offers_pays_a_few_bytes_for_them() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (_, on, _) = officer(&mut world);
        world.sync(on);
        let before = world.sync(on);
        for _ in 0..30 {
            offer(&mut world, &shop, &murabaha());
        }
        let come = world.sync(on);
        assert_eq!((come.end, come.round_trips), (SyncEnd::UpToDate, 1));
        // Ids are random and nothing else of these is: some 20 bytes an offer.
        assert!(come.bytes_down < 1_500, "{} bytes for 30 offers", come.bytes_down);
        let after = world.sync(on);
        assert_eq!(after.round_trips, 1);
        assert!(after.bytes_up <= before.bytes_up + IDLE_BYTES_UP_MAX, "{} after {}", after.bytes_up, before.bytes_up);
        assert!(after.bytes_down <= before.bytes_down + 2, "{} after {}", after.bytes_down, before.bytes_down);
        world.check_all(&[on]);
    });
}

#[test]
fn offers_come_piece_by_piece_over_a_link_that_breaks_and_after_the_cases() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (amina, on, _) = officer(&mut world);
        let of = |world: &mut World, n: i64| {
            let mut terms = murabaha();
            let weights: Vec<_> = (0..60).map(|i| 1 + (i * 7_919 + n * 104_729) % 9_999).collect();
            (terms["instalments"], terms["weights"]) = (json!(60), json!(weights));
            offer(world, &shop, &terms)
        };
        let mut made: Vec<_> = (0..60).map(|n| of(&mut world, n)).collect();
        made.reverse();
        for _ in 0..20 {
            world.account(amina, Terms::months(12));
        }
        let now = world.now();
        world.phones[on.0].ask_for_little(now, &mut world.rng);
        // Three requests whose answers break off in the middle.
        let (mut counts, mut deltas) = (Vec::new(), 0);
        for _ in 0..3 {
            let now = world.now();
            let Some(Step::Send(request)) = world.phones[on.0].begin_sync(now, &mut world.rng) else {
                panic!("it sends")
            };
            let asked = Request::decode(&inflate(&request.body, 1 << 20).unwrap()).unwrap();
            counts.push(asked.catalogue.unwrap().count);
            let answer = world.deliver(on, &request);
            let frames = frames_of(&answer.body);
            deltas += frames.iter().flat_map(|frame| frame.deltas.iter().flatten()).count();
            assert!(deltas >= 20 || frames.iter().all(|frame| frame.catalogue.is_none()), "cases come first");
            let phone = &mut world.phones[on.0];
            let status = Event::Status { status: 200, retry_after_ms: None };
            let cut = answer.body.len() * 9 / 10;
            for event in [status, Event::BodyBytes(&answer.body[..cut]), Event::TransportFailed] {
                phone.tell(event, now, &mut world.rng);
            }
        }
        assert!(ids_on(&world, on).is_empty(), "a list that is not whole is not used");
        let report = world.sync(on);
        assert_eq!(report.end, SyncEnd::UpToDate);
        assert!(counts.windows(2).all(|pair| pair[0] < pair[1]), "each went on where the one before broke: {counts:?}");
        assert_eq!(ids_on(&world, on), made);
        world.check_all(&[on]);
    });
}

#[test]
fn a_phone_says_what_it_has_no_room_for_and_what_begins_later_is_there_in_time() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (_, on, _) = officer(&mut world);
        let first = offer(&mut world, &shop, &four(false));
        // As many more as a phone has room for, of a lower priority than the first, by the back door.
        change(&world, &shop, first, &json!({ "priority": 5 }));
        let uuid = if world.server.engine() == Engine::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
        let copies = format!(
            "insert into offer (uid, name, state, regime, terms, currency, amount_min_minor, amount_max_minor, channels,
               segments, categories, valid_from, valid_to, season_from, season_to, priority, row_version, created_at, created_by)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < {CATALOGUE_OFFERS_MAX})
             select {uuid}, name, state, regime, terms, currency, amount_min_minor, amount_max_minor, channels, segments,
               categories, valid_from, valid_to, season_from, season_to, 0, 1, created_at, created_by from offer, n"
        );
        world.server.execute(&copies);
        world.sync(on);
        let shown = offers_on(&world, on);
        assert_eq!((shown.offers.len(), shown.left_out), (CATALOGUE_OFFERS_MAX, 1));
        assert_eq!(shown.offers[0].id, first);
        world.server.execute("update offer set state = 'retired', row_version = row_version + 1 where priority = 0");
        // One that begins in ten days, for an officer who is away until then.
        let uid = id(&mut world);
        let later = json!({
            "id": uid, "name": "Later", "regime": "open", "terms": four(false), "amount_min_minor": 100,
            "amount_max_minor": 10_000, "valid_from": world.today().plus_days(10),
        });
        assert_eq!(world.rest(shop.partner, Method::POST, "/v1/offers-admin", &later).status, 201);
        change(&world, &shop, OfferId(uid), &json!({ "state": "active" }));
        world.sync(on);
        assert_eq!((ids_on(&world, on), offers_on(&world, on).left_out), (vec![first], 0));
        world.pass_days(10);
        assert_eq!(ids_on(&world, on), [first, OfferId(uid)]);
        world.check_all(&[on]);
    });
}

#[test]
fn an_older_phone_gets_no_offers_and_one_that_says_nonsense_gets_all() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (_, on, _) = officer(&mut world);
        offer(&mut world, &shop, &murabaha());
        let mut raw = Raw::of(&world, on);
        let mut ask = |world: &World, catalogue| {
            let epoch = Some(world.server.app().epoch());
            let (budget_bytes, cursors_hash) = (1 << 20, cursors_hash([]));
            let request = Request { catalogue, epoch, budget_bytes, cursors_hash, ..Raw::request(&[]) };
            let answer = raw.post(world, "/v1/sync", deflate(&cbor::to_vec(&request)));
            assert_eq!(answer.status, 200, "{}", answer.json());
            let frames = frames_of(&answer.body);
            assert_eq!(frames.iter().filter_map(|frame| frame.end).collect::<Vec<_>>(), [End::Complete]);
            assert!(frames.iter().any(|frame| frame.deltas.is_some()), "its cases come");
            frames.into_iter().filter_map(|frame| frame.catalogue).collect::<Vec<_>>()
        };
        assert!(ask(&world, None).is_empty());
        let pages = ask(&world, Some(CatalogueHeld::default()));
        let [page] = pages.as_slice() else { panic!("{pages:?}") };
        assert_eq!((page.from, page.count, page.offers.len()), (0, 1, 1));
        let nonsense = CatalogueHeld { catalogue: page.catalogue ^ 1, count: u16::MAX };
        assert_eq!(ask(&world, Some(nonsense)), pages);
        let boast = CatalogueHeld { catalogue: page.catalogue, count: u16::MAX };
        assert!(ask(&world, Some(boast)).is_empty());
        // Nobody hands in a quote with a version that cannot be.
        let customer = world.customer_id(shop.customer);
        let zuri = world.person("Zuri", daybook_server::auth::Role::ShopStaff);
        let body =
            json!({ "id": id(&mut world), "offer": OfferId::from([1; 16]), "amount": kes(1_000), "offer_version": 0 });
        let refused = world.rest_for(zuri, customer, Method::POST, "/v1/quotes", &body);
        assert_eq!((refused.status, &refused.json()["errors"][0]["pointer"]), (422, &json!("/offer_version")));
    });
}
