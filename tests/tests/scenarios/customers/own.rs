//! What a customer says of himself: profile, number, consents.

use axum::http::Method;
use daybook_server::customers::consents::{self, ConsentKind};
use daybook_tests::sim::{Acc, On, Terms};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Shop, YUSUF, ZAINABU, in_a_shop, is, said};
use crate::erasure::assert_whole;

impl Shop {
    fn patch(&self, token: &str, version: &str, change: &Value) -> daybook_tests::sim::server::Answer {
        self.world.ask(Some(token), &[("if-match", version)], (Method::PATCH, "/v1/me"), change)
    }

    fn audited(&self, action: &str) -> Vec<String> {
        let sql = format!("select detail from audit where action = '{action}' order by id");
        self.world.server.rows::<(String,)>(&sql).into_iter().map(|(detail,)| detail).collect()
    }
}

/// What an officer's phone shows of a case: name, numbers, address.
fn shown(shop: &Shop, on: On, acc: Acc) -> (String, Vec<String>, Option<String>) {
    let moment = shop.world.phone(on).moment(shop.world.now());
    let view = shop.world.phone(on).store().view(moment).unwrap();
    let case = view.case(shop.world.accounts[acc.0].dossier).unwrap().unwrap().summary;
    (case.customer_name, case.phones, case.address)
}

#[test]
fn a_change_of_profile_reaches_the_officers_phone() {
    in_a_shop(|shop| {
        let (amina, on) = shop.world.officer("Amina");
        let (acc, neighbour) =
            (shop.world.account(amina, Terms::months(2)), shop.world.account(amina, Terms::months(2)));
        shop.world.sync(on);
        let before = shown(shop, on, neighbour);
        let token = shop.sign_in("+254700000001");
        let change =
            json!({ "name": "  Zainabu Ubaidi ", "alt_phone": "0799 123 456", "address": "Plot 77", "language": "sw" });
        let answer = shop.patch(&token, "\"1\"", &change);
        assert_eq!((answer.status, answer.headers["etag"].to_str().unwrap()), (200, "\"2\""), "{}", answer.json());
        shop.world.settle(&[on]);
        let phones = vec!["+254700000001".to_owned(), ZAINABU.to_owned()];
        assert_eq!(shown(shop, on, acc), ("Zainabu Ubaidi".to_owned(), phones, Some("Plot 77".to_owned())));
        assert_eq!(shown(shop, on, neighbour), before);
        assert_eq!(
            shop.audited("customer.profile_changed"),
            [r#"{"fields":["name","alt_phone","language","address"]}"#]
        );

        // What no phone shows costs no phone anything.
        assert_eq!(shop.patch(&token, "\"2\"", &json!({ "birth_date": "1990-04-01" })).status, 200);
        assert!(shop.world.sync(on).bytes_down <= 300, "an idle phone's");
        // The new number that he proves, too.
        let code = shop.code(ZAINABU);
        let moved = shop.own(&token, Method::POST, "/v1/me/phone", &json!({ "phone": ZAINABU, "code": code }));
        assert_eq!(moved.status, 204, "{}", moved.json());
        shop.world.settle(&[on]);
        assert_eq!(shown(shop, on, acc).1, [ZAINABU, ZAINABU]);
        shop.world.check_all(&[on]);
        assert_whole(&shop.world);
    });
}

#[test]
fn a_profile_is_changed_by_version_and_what_cannot_be_is_told() {
    in_a_shop(|shop| {
        let token = shop.sign_in(ZAINABU);
        let read = |known: &str| {
            shop.world.ask(Some(&token), &[("if-none-match", known)], (Method::GET, "/v1/me"), &Value::Null)
        };
        assert_eq!((read("\"0\"").status, read("\"1\"").status), (200, 304));
        let name = json!({ "name": "Zainabu" });
        let unversioned = shop.world.ask(Some(&token), &[], (Method::PATCH, "/v1/me"), &name);
        assert_eq!(said(&unversioned), is(428, "precondition-required"));
        assert_eq!(shop.patch(&token, "\"1\"", &name).status, 200);
        let stale = shop.patch(&token, "\"1\"", &json!({ "name": "Another" }));
        assert_eq!((said(&stale), stale.headers["etag"].to_str().unwrap()), (is(412, "precondition-failed"), "\"2\""));
        for (change, place) in [
            (json!({ "name": " " }), "/name"),
            (json!({ "name": "x".repeat(101) }), "/name"),
            (json!({ "name": "a\nb" }), "/name"),
            (json!({ "alt_phone": "12" }), "/alt_phone"),
            (json!({ "language": "Kiswahili sanifu" }), "/language"),
            (json!({ "birth_date": "2030-01-01" }), "/birth_date"),
            (json!({ "birth_date": "1850-01-01" }), "/birth_date"),
            (json!({ "birth_date": "01.04.1990" }), "/birth_date"),
            (json!({ "address": "x".repeat(301) }), "/address"),
            (json!({ "phone": YUSUF }), ""),
        ] {
            let answer = shop.patch(&token, "*", &change);
            assert_eq!(said(&answer), is(422, "validation"), "{change}");
            assert!(answer.json()["errors"][0]["pointer"].as_str().unwrap().starts_with(place), "{}", answer.json());
        }
        let all = json!({ "alt_phone": YUSUF, "language": "ar-SA", "birth_date": "1990-04-01", "address": "Plot 77" });
        assert_eq!(shop.patch(&token, "*", &all).status, 200);
        let me = shop.me(&token);
        assert_eq!(
            (&me["name"], &me["birth_date"], &me["phone"]),
            (&json!("Zainabu"), &json!("1990-04-01"), &json!(ZAINABU))
        );
        let nothing = json!({ "alt_phone": null, "language": null, "birth_date": null, "address": null });
        let emptied = shop.patch(&token, "*", &nothing).json();
        for field in ["alt_phone", "language", "birth_date", "address"] {
            assert_eq!((&me[field], &emptied[field]), (&all[field], &Value::Null), "{field}");
        }
        // Nothing changed is no new version.
        assert_eq!(shop.patch(&token, "*", &nothing).headers["etag"].to_str().unwrap(), "\"4\"");
        let words: Vec<_> = ["Zainabu", "Plot 77", YUSUF].map(str::to_owned).to_vec();
        assert!(
            shop.audited("customer.profile_changed")
                .iter()
                .all(|detail| !words.iter().any(|word| detail.contains(word.as_str())))
        );
    });
}

#[test]
fn a_number_is_changed_by_proving_the_new_one_and_the_old_one_is_told() {
    in_a_shop(|shop| {
        let token = shop.sign_in(ZAINABU);
        let id = shop.me(&token)["id"].clone();
        let move_to = |shop: &Shop, code: &str| {
            shop.own(&token, Method::POST, "/v1/me/phone", &json!({ "phone": YUSUF, "code": code }))
        };
        let code = shop.code(YUSUF);
        let wrong = if code == "000000" { "000001" } else { "000000" };
        assert_eq!(said(&move_to(shop, wrong)), is(422, "sign-in-code-refused"));
        assert_eq!(shop.me(&token)["phone"], ZAINABU);
        assert_eq!(move_to(shop, &code).status, 204);
        assert_eq!(shop.me(&token)["phone"], YUSUF);
        assert_eq!(shop.job("send_messages"), 1);
        let told = shop.gateway.texts_to(ZAINABU).pop().unwrap();
        assert!(told.starts_with("Lender: the phone number of your account was changed."), "{told}");
        assert_eq!(said(&move_to(shop, &code)), is(422, "sign-in-code-refused"), "a code serves once");
        let now_his = shop.sign_in(YUSUF);
        assert_eq!(shop.me(&now_his)["id"], id);

        // The number he had is somebody else's by now, and is not his to take back.
        let other = shop.sign_in(ZAINABU);
        assert_ne!(shop.me(&other)["id"], id);
        let code = shop.code(ZAINABU);
        let back = shop.own(&token, Method::POST, "/v1/me/phone", &json!({ "phone": ZAINABU, "code": code }));
        assert_eq!(said(&back), is(409, "phone-taken"));
        assert_eq!(shop.me(&token)["phone"], YUSUF);
        assert_whole(&shop.world);
    });
}

#[test]
fn the_newest_word_of_a_kind_counts_and_none_is_ever_lost() {
    in_a_shop(|shop| {
        let (token, other) = (shop.sign_in(ZAINABU), shop.sign_in(YUSUF));
        let holds = |shop: &Shop, kind: ConsentKind| {
            let sql = format!("select id from customer where phone = '{ZAINABU}'");
            let customer = shop.count(&sql);
            shop.world.server.read(async |_, tx| consents::holds(tx, customer, kind).await.unwrap())
        };
        let say = |token: &str, n: u128, kind: &str, text: &str, given: bool| {
            let body = json!({ "id": Uuid::from_u128(n), "kind": kind, "text_version": text, "given": given });
            shop.own(token, Method::POST, "/v1/me/consents", &body)
        };
        assert!(!holds(shop, ConsentKind::DataProcessing), "what was never said is not given");
        let first = say(&token, 1, "data_processing", "2026-03", true);
        assert_eq!((first.status, &first.json()["given"]), (201, &json!(true)), "{}", first.json());
        let again = say(&token, 1, "data_processing", "2026-03", true);
        assert_eq!((again.status, again.json()), (200, first.json()));
        assert_eq!(said(&say(&token, 1, "data_processing", "2026-04", true)), is(409, "id-taken"));
        assert_eq!(said(&say(&other, 1, "data_processing", "2026-03", true)), is(409, "id-taken"));
        assert!(holds(shop, ConsentKind::DataProcessing) && !holds(shop, ConsentKind::Marketing));
        assert_eq!(say(&token, 2, "data_processing", "2026-03", false).status, 201);
        assert!(!holds(shop, ConsentKind::DataProcessing));
        assert_eq!(say(&token, 3, "data_processing", "2026-04", true).status, 201);
        assert!(holds(shop, ConsentKind::DataProcessing));
        for (kind, text) in
            [("everything", "1"), ("marketing", ""), ("marketing", "a b"), ("marketing", &"x".repeat(41))]
        {
            assert_eq!(said(&say(&token, 9, kind, text, true)), is(422, "validation"), "{kind} {text}");
        }
        let list = shop.own(&token, Method::GET, "/v1/me/consents?limit=2", &Value::Null).json();
        let given: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["given"].clone()).collect();
        assert_eq!(given, [json!(true), json!(false)]);
        let path = format!("/v1/me/consents?limit=2&after={}", list["next"].as_str().unwrap());
        let rest = shop.own(&token, Method::GET, &path, &Value::Null).json();
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
        assert_eq!(shop.own(&other, Method::GET, "/v1/me/consents", &Value::Null).json()["items"], json!([]));
    });
}
