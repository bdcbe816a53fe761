//! What staff do for customers, and what is left of one who is erased.

use axum::http::Method;
use daybook_server::auth::Role;
use daybook_server::import::Scope;
use daybook_server::import::bad::BadLines;
use daybook_server::import::portfolio::{Accounts, COLUMNS, Reading};
use daybook_server::import::rows::Rows;
use daybook_server::import::take_over::{Mode, PortfolioReport, TakeOver};
use daybook_server::testing::gateway::Doing;
use daybook_tests::sim::server::Answer;
use daybook_tests::sim::{Who, World};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Shop, YUSUF, ZAINABU, in_a_shop, is, said};
use crate::erasure::{assert_whole, held_by_server};

fn register(shop: &Shop, who: Who, (n, name, phone): (u128, &str, &str)) -> Answer {
    let body = json!({ "id": Uuid::from_u128(n), "name": name, "phone": phone });
    shop.world.rest(who, Method::POST, "/v1/customers", &body)
}

fn find(shop: &Shop, who: Who, phone: &str) -> Answer {
    let path = format!("/v1/customers?phone={}", phone.replace('+', "%2B"));
    shop.world.rest(who, Method::GET, &path, &Value::Null)
}

/// What a member of staff asks for a customer.
fn acting(shop: &Shop, who: Who, customer: &Value, (method, path): (Method, &str), body: &Value) -> Answer {
    let headers = [("acting-for", customer.as_str().unwrap()), ("if-match", "*")];
    shop.world.ask(Some(&shop.world.token(who)), &headers, (method, path), body)
}

#[test]
fn a_shop_makes_a_customer_who_signs_in_later_and_acts_for_him_meanwhile() {
    in_a_shop(|shop| {
        let (sales, caller) =
            (shop.world.person("Sales", Role::ShopStaff), shop.world.person("Caller", Role::CallOfficer));
        let supervisor = shop.world.supervisor("Deka");
        let made = register(shop, sales, (1, "Zainabu Ubaidi", "0799 123 456"));
        assert_eq!((made.status, made.json()), (201, json!({ "id": Uuid::from_u128(1) })));
        assert_eq!(register(shop, sales, (1, "Zainabu Ubaidi", ZAINABU)).status, 200, "the same again");
        assert_eq!(said(&register(shop, sales, (1, "Zainabu Ubaidi", YUSUF))), is(409, "id-taken"));
        let taken = register(shop, caller, (2, "Another", ZAINABU));
        assert_eq!(said(&taken), is(409, "phone-taken"));
        assert!(!taken.json().to_string().contains("Zainabu"), "{}", taken.json());
        assert_eq!(said(&register(shop, supervisor, (3, "Third", YUSUF))), is(403, "forbidden"));
        for (name, phone) in [("", YUSUF), ("Y", "none")] {
            assert_eq!(said(&register(shop, sales, (4, name, phone))), is(422, "validation"));
        }
        let found = find(shop, supervisor, ZAINABU).json();
        let item = &found["items"][0];
        assert_eq!((&item["id"], &item["name"]), (&json!(Uuid::from_u128(1)), &json!("Zainabu Ubaidi")));
        assert_eq!(find(shop, sales, YUSUF).json()["items"], json!([]));
        assert_eq!(said(&find(shop, sales, "0799")), is(422, "validation"), "whole numbers only");
        let looked: Vec<(String,)> =
            shop.world.server.rows("select detail from audit where action = 'customer.looked_up' order by id");
        assert_eq!(looked.len(), 2);
        assert!(!looked.iter().any(|(detail,)| detail.contains("799")));

        let (id, consents) = (&made.json()["id"], "/v1/me/consents");
        let yes = json!({ "id": Uuid::from_u128(7), "kind": "data_processing", "text_version": "1", "given": true });
        let recorded = acting(shop, sales, id, (Method::POST, consents), &yes);
        assert_eq!(recorded.status, 201, "{}", recorded.json());
        assert_eq!(recorded.json()["recorded_by"], json!(shop.world.people[sales.0].uid));
        let trail: Vec<(String,)> =
            shop.world.server.rows("select detail from audit where action = 'consent.recorded'");
        assert!(trail[0].0.contains(&format!("\"acting_for\":{id}")), "{trail:?}");
        let address = json!({ "address": "Plot 77" });
        assert_eq!(acting(shop, sales, id, (Method::PATCH, "/v1/me"), &address).status, 200);
        assert_eq!(said(&acting(shop, supervisor, id, (Method::PATCH, "/v1/me"), &address)), is(403, "forbidden"));

        let token = shop.sign_in(ZAINABU);
        let me = shop.me(&token);
        assert_eq!((&me["id"], &me["name"], &me["address"]), (id, &json!("Zainabu Ubaidi"), &json!("Plot 77")));
        let own = shop.own(&token, Method::GET, consents, &Value::Null).json();
        assert_eq!(own["items"][0], recorded.json());
        // Who came by himself is nobody's to act for until a shop serves him.
        let stranger = shop.sign_in(YUSUF);
        let id = shop.me(&stranger)["id"].clone();
        assert_eq!(find(shop, sales, YUSUF).json()["items"], json!([]));
        assert_eq!(said(&acting(shop, sales, &id, (Method::GET, "/v1/me"), &Value::Null)), is(404, "not-found"));
    });
}

fn erase(shop: &mut Shop, customer: &Value) {
    let (deka, farah) = (shop.world.supervisor("Deka"), shop.world.supervisor("Farah"));
    let (order, id) = (Uuid::from_u128(77), customer.as_str().unwrap());
    let proposed = shop.world.rest(deka, Method::POST, &format!("/v1/customers/{id}/erasure"), &json!({ "id": order }));
    assert_eq!(proposed.status, 204, "{}", proposed.json());
    let ruled = shop.world.decide(farah, &format!("/v1/erasures/{order}/decision"), json!({ "approve": true }));
    assert_eq!(ruled.status, 204, "{}", ruled.json());
    assert_ne!(shop.job("erase_customers"), 0);
}

/// Goal: of a customer who is erased there is no way in, no number, no word; what he consented to is still known
/// to have been consented to. Method: every column is searched; verification looks too.
#[test]
fn an_erased_customer_has_no_way_in_and_nothing_of_him_is_left() {
    in_a_shop(|shop| {
        let token = shop.sign_in(ZAINABU);
        let id = shop.me(&token)["id"].clone();
        let profile = json!({ "name": "Zainabu Ubaidi", "alt_phone": "+254799654321", "address": "Plot 77", "birth_date": "1990-04-01" });
        assert_eq!(shop.own(&token, Method::PATCH, "/v1/me", &profile).status, 200);
        let yes =
            json!({ "id": Uuid::from_u128(7), "kind": "marketing", "text_version": "zainabus-text", "given": true });
        assert_eq!(shop.own(&token, Method::POST, "/v1/me/consents", &yes).status, 201);
        let user = shop.count("select user_id from session");
        shop.world.server.execute(&format!(
            "insert into identity_link (issuer, subject, user_id, linked_at) select 'https://id.example.com', 'zainabus-subject', {user}, created_at from app_user where id = {user}"
        ));
        // Something waits to be sent to her.
        shop.gateway.set(Doing::IsBusy);
        let code = {
            shop.gateway.set(Doing::Takes);
            shop.code(YUSUF)
        };
        shop.gateway.set(Doing::IsBusy);
        assert_eq!(
            shop.own(&token, Method::POST, "/v1/me/phone", &json!({ "phone": YUSUF, "code": code })).status,
            204
        );
        shop.job("send_messages");
        shop.world.pass_ms(61_000);
        shop.ask_code(YUSUF);

        erase(shop, &id);
        assert_eq!(said(&shop.own(&token, Method::GET, "/v1/me", &Value::Null)), is(401, "unauthenticated"));
        for words in [ZAINABU, YUSUF, "+254799654321", "Zainabu Ubaidi", "Plot 77", "zainabus-text", "zainabus-subject"]
        {
            assert_eq!(held_by_server(&shop.world, words.as_bytes()), [""; 0], "{words}");
        }
        for (what, sql) in [
            ("codes", "select cast(count(*) as bigint) from phone_code where hash is not null"),
            ("messages", "select cast(count(*) as bigint) from message where customer_id is not null"),
            ("days of birth", "select cast(count(*) as bigint) from customer where birth_date is not null"),
        ] {
            assert_eq!(shop.count(sql), 0, "{what}");
        }
        assert_eq!(
            shop.count("select cast(count(*) as bigint) from consent where given"),
            1,
            "that it was given stays"
        );
        let sales = shop.world.person("Sales", Role::ShopStaff);
        let touched = acting(shop, sales, &id, (Method::PATCH, "/v1/me"), &json!({ "name": "Back" }));
        assert_eq!(said(&touched), is(404, "not-found"));
        assert_whole(&shop.world);

        // Whoever has the number now begins anew.
        shop.gateway.set(Doing::Takes);
        let fresh = shop.sign_in(YUSUF);
        let me = shop.me(&fresh);
        assert!(me["id"] != id && me["name"] == "", "{me}");
        assert_whole(&shop.world);
    });
}

/// Imports one account of a customer.
fn import(world: &World, account: &str, customer: &str) -> PortfolioReport {
    let header = "account,customer,name,product,currency,disbursed_on,due_date,principal,paid,last_paid_on";
    let row = format!("{account},{customer},Rukia Hassan,Phone,KES,2026-01-01,2026-02-01,1000,1000,2026-02-01");
    let rows = Rows::body(format!("{header}\n{row}\n").into_bytes(), COLUMNS).unwrap();
    world.server.read(async |app, _| {
        let as_of = app.settings.zone.date_of(app.now());
        let accounts = Accounts::new(rows, Reading { as_of, country: None });
        let take_over = TakeOver { app, scope: &Scope::OPERATOR, as_of, mode: Mode::Import };
        take_over.run(accounts, BadLines::default(), &ProgressBar::hidden()).await.unwrap()
    })
}

#[test]
fn an_import_does_not_open_an_account_for_who_was_erased() {
    in_a_shop(|shop| {
        let first = import(&shop.world, "L-1", "C-1");
        assert_eq!((first.opened, first.refused), (1, 0), "{first:?}");
        let id: Uuid = shop.world.server.rows::<(Uuid,)>("select uid from customer")[0].0;
        erase(shop, &json!(id));
        let again = import(&shop.world, "L-2", "C-1");
        assert_eq!((again.opened, again.refused), (0, 1), "{again:?}");
        assert!(again.lines[0].reason.contains("was erased"), "{again:?}");
        assert_eq!(import(&shop.world, "L-2", "C-2").opened, 1);
        assert_whole(&shop.world);
    });
}
