//! By a phone number and a one-time code.

use axum::http::Method;
use daybook_server::testing::gateway::Doing;
use daybook_tests::sim::Terms;
use serde_json::{Value, json};

use super::{Shop, YUSUF, ZAINABU, in_a_shop, in_a_shop_with, is, said};
use crate::erasure::held_by_server;

const CODES: &str = "select cast(count(*) as bigint) from message";
const CUSTOMERS: &str = "select cast(count(*) as bigint) from customer";

#[test]
fn whoever_has_the_phone_becomes_a_customer_and_stays_the_same_one() {
    in_a_shop(|shop| {
        // Written as people write it.
        let answer = shop.world.ask(
            None,
            &[("accept-language", "sw-KE")],
            (Method::POST, "/v1/sessions/codes"),
            &json!({ "phone": "0799 123-456" }),
        );
        assert_eq!((answer.status, answer.json()), (202, json!({ "resend_after": 60, "expires_in": 300 })));
        let text = shop.gateway.texts_to(ZAINABU).pop().unwrap();
        let code = shop.gateway.code_for(ZAINABU);
        assert!(text.starts_with(&format!("Lender: msimbo wako ni {code}. Unatumika kwa dakika 5.")), "{text}");
        assert_eq!(shop.count(CUSTOMERS), 0, "nobody is a customer for asking");

        let answer = shop.enter("+254 799 123 456", &code);
        assert_eq!(answer.status, 201, "{}", answer.json());
        let (access, refresh) = (answer.json()["access_token"].clone(), answer.json()["refresh_token"].clone());
        let me = shop.me(access.as_str().unwrap());
        assert_eq!((&me["name"], &me["phone"]), (&json!(""), &json!(ZAINABU)));
        assert_eq!(said(&shop.enter(ZAINABU, &code)), is(422, "sign-in-code-refused"), "a code serves once");

        // A session like any other.
        let next = shop.ask("/v1/tokens/refresh", &json!({ "refresh_token": refresh }));
        assert_eq!(next.status, 201, "{}", next.json());
        assert_eq!(next.json()["refresh_expires_in"], 720 * 3600, "a customer's lasts longer than staff's");
        let token = next.json()["access_token"].as_str().unwrap().to_owned();
        let sessions = shop.own(&token, Method::GET, "/v1/sessions", &Value::Null).json();
        assert_eq!((&sessions["items"][0]["method"], &sessions["items"][0]["current"]), (&json!("code"), &json!(true)));
        let password = json!({ "current": "none", "new": "a pasture of long words" });
        assert_eq!(said(&shop.own(&token, Method::POST, "/v1/password", &password)), is(403, "forbidden"));
        let staff = shop.own(&token, Method::GET, "/v1/customers?phone=%2B254799123456", &Value::Null);
        assert_eq!(said(&staff), is(403, "forbidden"), "a customer looks nobody up");

        let again = shop.sign_in(ZAINABU);
        assert_eq!((shop.me(&again)["id"].clone(), shop.count(CUSTOMERS)), (me["id"].clone(), 1));
        assert_eq!(shop.own(&token, Method::POST, "/v1/sessions/revocation", &Value::Null).json()["ended"], 2);
        assert_eq!(said(&shop.own(&again, Method::GET, "/v1/me", &Value::Null)), is(401, "unauthenticated"));
    });
}

#[test]
fn a_code_has_five_tries_five_minutes_and_one_use() {
    in_a_shop(|shop| {
        let wrong = |code: &str| if code == "000000" { "000001" } else { "000000" };
        let refused = is(422, "sign-in-code-refused");
        let code = shop.code(ZAINABU);
        for _ in 0..4 {
            assert_eq!(said(&shop.enter(ZAINABU, wrong(&code))), refused);
        }
        assert_eq!(shop.enter(ZAINABU, &code).status, 201, "the fifth may be right");

        let code = shop.code(ZAINABU);
        for _ in 0..5 {
            assert_eq!(said(&shop.enter(ZAINABU, wrong(&code))), refused);
        }
        assert_eq!(said(&shop.enter(ZAINABU, &code)), is(429, "too-many-requests"), "a sixth waits");
        shop.world.pass_ms(60_000);
        assert_eq!(said(&shop.enter(ZAINABU, &code)), refused, "and the code is dead by then");

        let code = shop.code(ZAINABU);
        shop.world.pass_ms(5 * 60_000 - 1);
        assert_eq!(shop.enter(ZAINABU, &code).status, 201);
        let code = shop.code(ZAINABU);
        shop.world.pass_ms(5 * 60_000);
        assert_eq!(said(&shop.enter(ZAINABU, &code)), refused, "too old");

        let (older, newer) = (shop.code(ZAINABU), shop.code(ZAINABU));
        assert!(older == newer || said(&shop.enter(ZAINABU, &older)) == refused, "the newest counts");
        assert_eq!(said(&shop.enter(YUSUF, &newer)), refused, "another number's");
        for strange in ["", "12345", "1234567", "12345x"] {
            assert_eq!(said(&shop.enter(YUSUF, strange)).1.as_str(), "sign-in-code-refused", "{strange}");
        }
        shop.world.pass_ms(60_000);
        assert_eq!(shop.enter(ZAINABU, &newer).status, 201);
        for (body, code) in [
            (json!({}), "validation"),
            (json!({ "phone": ZAINABU }), "validation"),
            (json!({ "phone": "12", "code": "000000" }), "validation"),
            (json!({ "phone": ZAINABU, "code": "000000", "provider_token": "x" }), "validation"),
            (json!({ "provider_token": "x" }), "not-found"),
        ] {
            assert_eq!(shop.ask("/v1/sessions", &body).code(), code, "{body}");
        }
    });
}

/// Goal: however often a code is asked for, so many go out, and the answer never tells.
#[test]
fn codes_go_out_within_limits_and_the_answer_is_always_the_same() {
    in_a_shop_with(&[("sign_in_codes_day", "3"), ("sign_in_codes_hour", "4")], |shop| {
        let officer = shop.world.officer("Amina").0;
        shop.world.account(officer, Terms::months(1));
        let customer = "+254700000001";
        let known = shop.ask_code(customer);
        for _ in 0..3 {
            let again = shop.ask_code(customer);
            assert_eq!((again.status, &again.body), (known.status, &known.body));
        }
        assert_eq!(shop.gateway.texts_to(customer).len(), 1, "the next one has to be waited for");
        for expected in [2, 3, 3, 3] {
            shop.world.pass_ms(61_000);
            let again = shop.ask_code(customer);
            assert_eq!((again.status, &again.body), (known.status, &known.body));
            assert_eq!(shop.gateway.texts_to(customer).len(), expected, "so many a day");
        }
        let stranger = shop.ask_code(YUSUF);
        assert_eq!((stranger.status, &stranger.body), (known.status, &known.body));
        assert_eq!(shop.gateway.texts_to(YUSUF).len(), 1);
        shop.ask_code(ZAINABU);
        assert_eq!(shop.gateway.texts_to(ZAINABU), [""; 0], "so many an hour in all");
        shop.world.pass_ms(3_600_000);
        shop.ask_code(ZAINABU);
        assert_eq!(shop.gateway.texts_to(ZAINABU).len(), 1);
        shop.world.pass_days(1);
        shop.ask_code(customer);
        assert_eq!(shop.gateway.texts_to(customer).len(), 4, "another day");
        assert_eq!(said(&shop.ask_code("call me")), is(422, "validation"));

        shop.world.pass_days(2);
        assert_eq!(shop.job("forget_codes"), 3);
        shop.world.pass_days(90);
        assert_eq!((shop.job("forget_messages"), shop.count(CODES)), (6, 0));
    });
}

#[test]
fn a_customer_who_bought_before_is_he_and_a_number_of_several_is_for_a_shop() {
    in_a_shop(|shop| {
        let officer = shop.world.officer("Amina").0;
        let (acc, other) =
            (shop.world.account(officer, Terms::months(1)), shop.world.account(officer, Terms::months(1)));
        let token = shop.sign_in("+254700000001");
        let me = shop.me(&token);
        let customer = shop.world.accounts[acc.0].customer;
        let uids = shop.world.server.rows::<(uuid::Uuid,)>(&format!("select uid from customer where id = {customer}"));
        assert_eq!((me["id"].clone(), me["name"].clone()), (json!(uids[0].0), json!("Customer 1")));

        let other = shop.world.accounts[other.0].customer;
        shop.world.server.execute(&format!("update customer set phone = '+254700000001' where id = {other}"));
        let code = shop.code("+254700000001");
        assert_eq!(said(&shop.enter("+254700000001", &code)), is(409, "phone-shared"));
    });
}

/// Goal: whatever the gateway does, a code comes at last or is given up, and stands nowhere in the clear.
/// Method: it fails, hangs up, is busy, refuses; every column is searched while the message waits and after.
#[test]
fn a_gateway_that_misbehaves_loses_no_code_and_the_code_is_nowhere() {
    in_a_shop(|shop| {
        let state = |shop: &Shop| -> (String, i64, bool) {
            shop.world.server.rows::<(String, i64, bool)>(
                "select state, tries, sealed is null from message order by id desc limit 1",
            )[0]
            .clone()
        };
        for doing in [Doing::FailsAfterTaking, Doing::HangsUpAfterTaking, Doing::IsBusy] {
            shop.gateway.set(doing);
            shop.world.pass_ms(61_000);
            assert_eq!(shop.ask_code(ZAINABU).status, 202, "{doing:?}");
            assert_eq!(state(shop), ("waiting".to_owned(), 1, false), "{doing:?}");
            assert_eq!(held_by_server(&shop.world, ZAINABU.as_bytes()), [""; 0]);
            shop.gateway.set(Doing::Takes);
            assert_eq!(shop.job("send_messages"), 0, "not at once");
            shop.world.pass_ms(5_000);
            assert_eq!(shop.job("send_messages"), 1, "{doing:?}");
            assert_eq!(state(shop), ("sent".to_owned(), 2, true), "{doing:?}");
        }
        // The code of a message that was perhaps sent is the same when it is sent again.
        let texts = shop.gateway.texts_to(ZAINABU);
        assert_eq!((texts.len(), &texts[0], &texts[2]), (5, &texts[1], &texts[3]));
        let code = shop.gateway.code_for(ZAINABU);
        assert_eq!(held_by_server(&shop.world, code.as_bytes()), [""; 0]);
        assert_eq!(shop.enter(ZAINABU, &code).status, 201);
        let held = held_by_server(&shop.world, ZAINABU.as_bytes());
        assert_eq!(held, ["customer.phone"], "the number is the customer's alone");
        assert_eq!(held_by_server(&shop.world, code.as_bytes()), [""; 0]);

        shop.gateway.set(Doing::Refuses);
        shop.world.pass_ms(61_000);
        shop.ask_code(ZAINABU);
        assert_eq!(state(shop), ("refused".to_owned(), 1, true));
        shop.gateway.set(Doing::IsBusy);
        shop.world.pass_ms(61_000);
        shop.ask_code(ZAINABU);
        shop.world.pass_ms(5 * 60_000);
        assert_eq!(shop.job("send_messages"), 1);
        assert_eq!(state(shop), ("given_up".to_owned(), 1, true), "a code too old is sent to nobody");
    });
}

/// Goal: of a message whose sender died in the middle nobody knows; it goes again if it may come twice.
#[test]
fn a_message_whose_sender_died_is_sent_again_only_if_it_may_be() {
    in_a_shop(|shop| {
        let state = |shop: &Shop, n: usize| -> String {
            shop.world.server.rows::<(String,)>("select state from message order by id")[n].0.clone()
        };
        shop.gateway.set(Doing::IsBusy);
        shop.ask_code(ZAINABU);
        shop.ask_code(YUSUF);
        shop.world.server.execute("update message set state = 'sending'");
        shop.world.server.execute("update message set may_repeat = false where id = (select max(id) from message)");
        shop.gateway.set(Doing::Takes);
        shop.world.pass_ms(61_000);
        assert_eq!(shop.job("send_messages"), 2);
        assert_eq!((state(shop, 0), state(shop, 1)), ("sent".to_owned(), "unknown".to_owned()));
        assert_eq!((shop.gateway.texts_to(ZAINABU).len(), shop.gateway.texts_to(YUSUF).len()), (1, 0));
    });
}

/// Two sign in with one new number at the same moment: one customer comes of it.
#[test]
fn a_code_used_twice_at_once_signs_in_once() {
    in_a_shop(|shop| {
        let code = shop.code(ZAINABU);
        let body = json!({ "phone": ZAINABU, "code": code });
        let requests = (0..4).map(|_| shop.world.asking(None, &[], (Method::POST, "/v1/sessions"), &body)).collect();
        let mut answers: Vec<_> = shop.world.server.call_at_once(requests).iter().map(|answer| answer.status).collect();
        answers.sort_unstable();
        assert_eq!((answers, shop.count(CUSTOMERS)), (vec![201, 422, 422, 422], 1));
    });
}

#[test]
fn without_a_gateway_nobody_signs_in_by_a_code() {
    in_a_shop_with(&[("message_gateway", "none")], |shop| {
        assert_eq!(said(&shop.ask_code(ZAINABU)), is(404, "not-found"));
        assert_eq!(shop.count(CODES), 0);
    });
}
