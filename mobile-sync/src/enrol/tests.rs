//! Becoming known to a server, and to no other.

use daybook_shared::ids::DeviceId;
use daybook_shared::wire::sign::Signer;

use super::{EnrolError, accept_enrolment, accept_lease, enrolment_request, lease_exp_s, lease_request};
use crate::testing::{Phone, Server};

fn answer(server: &mut Server, phone: &Phone) -> Vec<u8> {
    let request = enrolment_request(&phone.store, "code", "test").unwrap();
    server.enrol(&request, &phone.store)
}

fn accept(phone: &mut Phone, status: u16, body: &[u8]) -> Result<(), EnrolError> {
    accept_enrolment(&mut phone.store, (status, body), phone.now, &mut phone.rng)
}

#[test]
fn enrolment_can_be_repeated_after_a_lost_answer_or_a_kill() {
    let mut server = Server::new();
    let mut phone = Phone::new();
    let first = enrolment_request(&phone.store, "code", "test").unwrap();
    phone.reopen();
    let second = enrolment_request(&phone.store, "code", "test").unwrap();
    assert_eq!(first, second, "the same device, the same proof");
    let body = answer(&mut server, &phone);
    accept(&mut phone, 201, &body).unwrap();
    let body = answer(&mut server, &phone);
    accept(&mut phone, 200, &body).unwrap();
    assert_eq!(phone.store.status(phone.now).unwrap().user.as_deref(), Some("Wanjiru Kamau"));
    assert_eq!(phone.store.status(phone.now).unwrap().receipt_numbers_left, 100);
}

#[test]
fn an_answer_that_does_not_fit_enrols_nothing() {
    let mut server = Server::new();
    let mut phone = Phone::new();
    let body = answer(&mut server, &phone);
    let text = String::from_utf8(body.clone()).unwrap();
    let tampered = |from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    let field = |name: &str| {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value[name].as_str().unwrap().to_owned()
    };
    let mut strange = Server { signer: Signer::from_seed(&[66; 32]), ..Server::new() };
    strange.device = Some(DeviceId::from([1; 16]));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("not JSON", b"<html>".to_vec()),
        ("another server's key", {
            let key = serde_json::from_slice::<serde_json::Value>(&answer(&mut strange, &phone)).unwrap();
            tampered(&field("server_key"), key["server_key"].as_str().unwrap())
        }),
        ("no zone", tampered("Africa/Nairobi", "Africa/Atlantis")),
        ("a short epoch", tampered(&field("epoch"), "01")),
        ("a lease without an end", tampered(&field("lease"), "e30.e30.c2ln")),
        ("a damaged certificate", tampered(&field("certificate"), "AAAA")),
        ("another user", tampered(&"aa".repeat(4), &"ab".repeat(4))),
    ];
    for (what, body) in cases {
        assert!(matches!(accept(&mut phone, 201, &body), Err(EnrolError::Answer(_))), "{what}");
        assert_eq!(phone.store.status(phone.now).unwrap().user, None, "{what}");
    }
    accept(&mut phone, 201, &body).unwrap();
    let elsewhere = answer(&mut strange, &phone);
    assert!(matches!(accept(&mut phone, 201, &elsewhere), Err(EnrolError::OtherServer)));
}

#[test]
fn the_envelope_key_is_kept_and_an_answer_without_it_takes_nothing_away() {
    let mut server = Server::new();
    let mut phone = Phone::new();
    let body = answer(&mut server, &phone);
    let mut without: serde_json::Value = serde_json::from_slice(&body).unwrap();
    without.as_object_mut().unwrap().remove("envelope_key");
    let without = serde_json::to_vec(&without).unwrap();
    accept(&mut phone, 201, &without).unwrap();
    assert_eq!(phone.store.envelope_key().unwrap(), None);
    accept(&mut phone, 201, &body).unwrap();
    accept(&mut phone, 201, &without).unwrap();
    phone.reopen();
    assert_eq!(phone.store.envelope_key().unwrap(), Some([9; 32]));
    let short = String::from_utf8(body).unwrap().replacen(&"CQkJ".repeat(10), &"CQkJ".repeat(9), 1).into_bytes();
    assert!(matches!(accept(&mut phone, 201, &short), Err(EnrolError::Answer(_))));
}

#[test]
fn a_refusal_says_what_to_do() {
    let mut phone = Phone::new();
    let error = accept(&mut phone, 422, b"{\"code\":\"enrolment-code-expired\"}").unwrap_err().to_string();
    assert!(error.contains("ask the office for a new one"), "{error}");
    assert!(matches!(lease_request(&mut phone.store, "a", "b"), Err(EnrolError::NotEnrolled)));
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let error = accept_lease(&mut phone.store, (401, b"{\"code\":\"wrong-login\"}"), &mut phone.rng).unwrap_err();
    assert!(error.to_string().contains("login or password is wrong"), "{error}");
    let stale = b"{\"code\":\"stale-request\",\"last\":70}";
    assert!(accept_lease(&mut phone.store, (409, stale), &mut phone.rng).is_err());
    let request = lease_request(&mut phone.store, "a", "b").unwrap();
    assert_eq!(crate::testing::proof_of(&request).number, 71, "the next try goes on above the server's number");
}

#[test]
fn a_leases_end_is_read_from_its_payload() {
    let server = Server::new();
    assert_eq!(lease_exp_s(&server.lease(14)), Some(server.now.seconds() + 14 * 86_400));
    for text in ["", "a.b", "a.b.c", "e30.e30.e30"] {
        assert_eq!(lease_exp_s(text), None, "{text}");
    }
}
