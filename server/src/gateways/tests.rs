//! Adapters against what is written down: requests as they are sent, answers as they are read; and calls against
//! gateways that are not there, do not answer, or do not end.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{get, post};
use daybook_shared::ids::{PaymentId, RefundId};
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;

use super::card::CardPage;
use super::momo::Momo;
use super::*;
use crate::settings::Settings;

const OURS: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn reference() -> PaymentId {
    OURS.parse().unwrap()
}

fn at() -> Timestamp {
    "2026-03-02T06:00:00Z".parse().unwrap()
}

fn secrets() -> Secrets {
    Secrets::new("s3cret", &[]).unwrap()
}

fn momo() -> Momo {
    let callback_url = Some("https://daybook.example.com/v1/gateways/mobile_money/callbacks".to_owned());
    let (url, code) = ("https://momo.example.com/api/".to_owned(), "MPESA".to_owned());
    Momo { url, code, callback_url, minutes: 5, secrets: secrets() }
}

fn card() -> CardPage {
    let (url, code) = ("https://card.example.com".to_owned(), "CARD".to_owned());
    CardPage { url, code, minutes: 30, secrets: secrets() }
}

fn start(minor: i64, currency: &str, payer: &str) -> StartRequest {
    let amount = Money::new(minor, currency.parse().unwrap());
    let (account_number, payer) = ("A-0001".to_owned(), payer.to_owned());
    StartRequest { reference: reference(), amount, account_number, payer, expires_at: at() }
}

/// A request as a golden file has it; its secret is marked, so that no log shows it.
fn written(request: &Request<Vec<u8>>) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let shown = if value.is_sensitive() { "(secret)" } else { value.to_str().unwrap() };
        text += &[name.as_str(), ": ", shown, "\n"].concat();
    }
    text + "\n" + std::str::from_utf8(request.body()).unwrap()
}

#[test]
fn requests_are_as_they_are_written_down() {
    let refund = RefundRequest {
        reference: RefundId(reference().0),
        payment: reference(),
        amount: Money::new(50_000, "KES".parse().unwrap()),
    };
    insta::assert_snapshot!("momo_start", written(&momo().start(&start(110_000, "KES", "+254712345678"))));
    insta::assert_snapshot!(
        "momo_start_without_decimals",
        written(&momo().start(&start(1100, "UGX", "+256712345678")))
    );
    insta::assert_snapshot!("momo_fetch", written(&momo().fetch(reference())));
    insta::assert_snapshot!("momo_refund", written(&momo().refund(&refund)));
    let start = start(110_050, "KES", "https://app.example.com/paid");
    insta::assert_snapshot!("card_start", written(&card().start(&start)));
    insta::assert_snapshot!("card_fetch", written(&card().fetch(reference())));
    insta::assert_snapshot!("card_refund", written(&card().refund(&refund)));
}

/// What an answer came to, in a word and what matters of it.
fn word(told: Result<Option<Remote>, CallError>) -> String {
    match told {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(Remote { state, external_ref, redirect_url })) => {
            let more = [external_ref, redirect_url].into_iter().flatten().map(|text| format!(" {text}"));
            let more: String = more.collect();
            match state {
                RemoteState::Paid(Paid { amount, at, fee_minor, .. }) => {
                    format!("paid {amount} {at} {fee_minor:?}{more}")
                }
                RemoteState::Waiting => format!("waiting{more}"),
                RemoteState::Declined(failure) => format!("declined {failure}{more}"),
                RemoteState::Expired => format!("expired{more}"),
            }
        }
        Err(CallError::NotSent(_)) => "not sent".to_owned(),
        Err(CallError::Declined(failure)) => format!("declined for good {failure}"),
        Err(CallError::Refused(_)) => "refused".to_owned(),
        Err(CallError::Unknown(_)) => "unknown".to_owned(),
    }
}

/// Every status that says nothing of itself, whatever the body.
const STATUSES: [(u16, &str); 16] = [
    (204, "unknown"),
    (302, "unknown"),
    (400, "refused"),
    (401, "refused"),
    (403, "refused"),
    (408, "unknown"),
    (409, "unknown"),
    (413, "refused"),
    (422, "refused"),
    (429, "not sent"),
    (499, "unknown"),
    (500, "unknown"),
    (502, "unknown"),
    (503, "unknown"),
    (504, "unknown"),
    (999, "unknown"),
];

#[test]
fn answers_of_mobile_money_are_read_exactly_or_are_unknown() {
    let told = |body: &str| body.replace("OURS", OURS);
    let paid = r#"{"reference": "OURS", "status": "paid", "transaction": "qf12 ab34", "amount": "1100.00",
        "currency": "KES", "completed_at": "2026-03-02T09:00:00+03:00", "fee": "11.50"}"#;
    let cases = [
        (200, r#"{"reference": "OURS", "status": "pending"}"#.to_owned(), "waiting"),
        (202, r#"{"reference": "OURS", "status": "pending", "transaction": "QF1"}"#.to_owned(), "waiting MPESA:QF1"),
        (200, paid.to_owned(), "paid KES 1100.00 2026-03-02T06:00:00Z Some(1150) MPESA:QF12AB34"),
        (200, paid.replace("11.50", "0"), "paid KES 1100.00 2026-03-02T06:00:00Z None MPESA:QF12AB34"),
        (200, paid.replace("1100.00", "1100"), "paid KES 1100.00 2026-03-02T06:00:00Z Some(1150) MPESA:QF12AB34"),
        (200, paid.replace("1100.00", "1100.005"), "unknown"),
        (200, paid.replace("1100.00", "0"), "unknown"),
        (200, paid.replace("1100.00", "-5"), "unknown"),
        (200, paid.replace("\"1100.00\"", "1100.00"), "unknown"),
        (200, paid.replace("KES", "shilling"), "unknown"),
        (200, paid.replace("qf12 ab34", " "), "unknown"),
        (200, paid.replace("2026-03-02", "yesterday"), "unknown"),
        (200, paid.replace("OURS", "another"), "unknown"),
        (200, r#"{"reference": "OURS", "status": "declined", "reason": "cancelled"}"#.to_owned(), "declined cancelled"),
        (200, r#"{"reference": "OURS", "status": "declined", "reason": "x9"}"#.to_owned(), "declined undisclosed"),
        (200, r#"{"reference": "OURS", "status": "expired"}"#.to_owned(), "expired"),
        (200, r#"{"reference": "OURS", "status": "settling"}"#.to_owned(), "unknown"),
        (200, "<html>Thank you!</html>".to_owned(), "unknown"),
        (200, String::new(), "unknown"),
        (402, r#"{"reason": "insufficient_funds"}"#.to_owned(), "declined for good insufficient_funds"),
        (402, "no".to_owned(), "unknown"),
        (404, r#"{"error": "not_found"}"#.to_owned(), "nothing"),
        (404, r#"{"error": "no such host"}"#.to_owned(), "unknown"),
        (404, "<html>nginx</html>".to_owned(), "unknown"),
    ];
    for (status, body, expected) in &cases {
        let body = told(body);
        assert_eq!(word(momo().fetched(reference(), *status, body.as_bytes())), *expected, "{status} {body}");
        // That there is nothing answers no request for money.
        let expected = if *expected == "nothing" { "unknown" } else { *expected };
        assert_eq!(word(momo().started(reference(), *status, body.as_bytes()).map(Some)), expected, "{status} {body}");
    }
    for (status, expected) in STATUSES {
        assert_eq!(word(momo().fetched(reference(), status, told(paid).as_bytes())), expected, "{status}");
        assert_eq!(word(momo().started(reference(), status, b"{}").map(Some)), expected, "{status}");
    }
}

#[test]
fn answers_of_the_card_page_are_read_exactly_or_are_unknown() {
    let told = |body: &str| body.replace("OURS", OURS);
    let open = r#"{"merchant_reference": "OURS", "status": "open", "url": "https://pay.example.com/s/1"}"#;
    let paid = r#"{"merchant_reference": "OURS", "status": "paid", "url": "https://pay.example.com/s/1",
        "payment": {"id": "pay_1", "amount_minor": 110050, "currency": "KES", "captured_at": "2026-03-02T06:00:00Z"}}"#;
    let page = "https://pay.example.com/s/1";
    let is_paid = format!("paid KES 1100.50 2026-03-02T06:00:00Z None CARD:PAY_1 {page}");
    let cases = [
        (201, open.to_owned(), format!("waiting {page}")),
        (200, paid.to_owned(), is_paid),
        (200, paid.replace("110050", "0"), "unknown".to_owned()),
        (200, paid.replace("110050", "1100.5"), "unknown".to_owned()),
        (200, paid.replace("\"paid\"", "\"captured\""), "unknown".to_owned()),
        (200, paid.replace("pay_1", ""), "unknown".to_owned()),
        (200, open.replace("\"open\"", "\"paid\""), "unknown".to_owned()),
        (200, open.replace("\"open\"", "\"expired\""), format!("expired {page}")),
        (200, open.replace("\"open\"", "\"declined\""), format!("declined undisclosed {page}")),
        (200, open.replace("OURS", "another"), "unknown".to_owned()),
        (200, "Thank you!".to_owned(), "unknown".to_owned()),
        (402, r#"{"reason": "limit_exceeded"}"#.to_owned(), "declined for good limit".to_owned()),
    ];
    for (status, body, expected) in &cases {
        let body = told(body);
        assert_eq!(word(card().started(reference(), *status, body.as_bytes()).map(Some)), *expected, "{status} {body}");
        if *status != 402 {
            let found = format!("{{\"sessions\": [{body}]}}");
            assert_eq!(word(card().fetched(reference(), *status, found.as_bytes())), *expected, "{status} {body}");
        }
    }
    // A session without a page, or with one that is none, cannot be paid: whether it is there has to be asked.
    let hostile = told(open).replace("https://pay.example.com/s/1", "javascript:alert(1)");
    assert_eq!(word(card().started(reference(), 201, hostile.as_bytes()).map(Some)), "unknown");
    assert_eq!(word(card().fetched(reference(), 200, br#"{"sessions": []}"#)), "nothing");
    assert_eq!(word(card().fetched(reference(), 404, br#"{"sessions": []}"#)), "unknown");
    let two = format!("{{\"sessions\": [{0}, {0}]}}", told(open));
    assert_eq!(word(card().fetched(reference(), 200, two.as_bytes())), "unknown");
    for (status, expected) in STATUSES {
        assert_eq!(word(card().fetched(reference(), status, told(paid).as_bytes())), expected, "{status}");
        assert_eq!(word(card().started(reference(), status, told(paid).as_bytes()).map(Some)), expected, "{status}");
    }
}

#[test]
fn refunds_are_read_exactly_or_are_unknown() {
    let ours = RefundId(reference().0);
    for (status, word, expected) in [
        (200, "succeeded", Ok(RefundState::Succeeded)),
        (202, "pending", Ok(RefundState::Pending)),
        (200, "failed", Ok(RefundState::Failed)),
    ] {
        let momo_body = format!(r#"{{"reference": "{OURS}", "status": "{word}"}}"#);
        let card_body = momo_body.replace("reference", "merchant_reference");
        assert_eq!(momo().refunded(ours, status, momo_body.as_bytes()), expected);
        assert_eq!(card().refunded(ours, status, card_body.as_bytes()), expected);
    }
    for (status, body) in [(200, r#"{"reference": "another", "status": "failed"}"#), (500, "{}"), (200, "ok")] {
        assert!(matches!(momo().refunded(ours, status, body.as_bytes()), Err(CallError::Unknown(_))), "{body}");
        let body = body.replace("reference", "merchant_reference");
        assert!(matches!(card().refunded(ours, status, body.as_bytes()), Err(CallError::Unknown(_))), "{body}");
    }
}

#[test]
fn without_a_secret_a_callback_is_a_hint_and_with_one_it_is_signed() {
    let (headers, momo_body) = (HeaderMap::new(), format!(r#"{{"event": "e1", "reference": "{OURS}"}}"#));
    let card_body = format!(r#"{{"type": "x", "data": {{"merchant_reference": "{OURS}"}}}}"#);
    let hint = |event: Option<&str>| Hint { event: event.map(str::to_owned), reference: OURS.to_owned() };
    let heard = momo().callback(&headers, momo_body.as_bytes(), at());
    assert_eq!(heard, Ok(Inbound::Untrusted(hint(Some("e1")))));
    assert_eq!(card().callback(&headers, card_body.as_bytes(), at()), Ok(Inbound::Untrusted(hint(None))));
    for body in ["", "{}", "[]", "{\"reference\": 5}", "{\"data\": {}}"] {
        assert_eq!(momo().callback(&headers, body.as_bytes(), at()), Err(CallbackError::Shape), "{body}");
        assert_eq!(card().callback(&headers, body.as_bytes(), at()), Err(CallbackError::Shape), "{body}");
    }
    let signing = Secrets::new("s3cret", &["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]).unwrap();
    let (momo, card) = (Momo { secrets: signing.clone(), ..momo() }, CardPage { secrets: signing, ..card() });
    assert_eq!(momo.callback(&headers, momo_body.as_bytes(), at()), Err(CallbackError::Signature));
    assert_eq!(card.callback(&headers, card_body.as_bytes(), at()), Err(CallbackError::Signature));
}

#[test]
fn secrets_are_read_from_a_file_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("momo.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Secrets::read(&path).map(|secrets| format!("{secrets:?} {}", secrets.callback.len()))
    };
    assert_eq!(
        read("bearer = \"s3cret\"\ncallback = [\"new\", \"old\"]\n").unwrap(),
        "Secrets { bearer: Secret, callback: [Secret, Secret] } 2"
    );
    assert!(read("bearer = \"s3cret\"\n").unwrap().ends_with(" 0"));
    for odd in ["", "bearer = \"\"", "bearer = \"s3cr\\nt\"", "bearer = \"s3cret\"\nbear = 1", "s3cret"] {
        let error = read(odd).unwrap_err().to_string();
        assert!(!error.contains("s3cr"), "{error}");
    }
}

/// A server that asks this address.
fn connected(url: &str) -> std::sync::Arc<Connected> {
    let settings = Settings { momo_url: url.to_owned(), momo_code: "MPESA".to_owned(), ..Settings::default() };
    let deadlines =
        Deadlines { start: Duration::from_millis(200), fetch: Duration::from_millis(200), ..Deadlines::default() };
    let options = GatewayOptions { momo: Some(secrets()), deadlines, ..GatewayOptions::default() };
    Gateways::new(&settings, &options).unwrap().get(GatewayName::MobileMoney).unwrap().clone()
}

/// Goal: only what certainly was not sent is said to be. Method: a port where nobody listens, and a gateway that
/// hangs, breaks off, sends elsewhere and does not end.
#[tokio::test]
async fn a_call_without_an_answer_is_unknown_unless_nobody_was_there() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let start = start(110_000, "KES", "+254712345678");
    let gone = connected(&nobody);
    assert_eq!(word(gone.start(&start).await.map(Some)), "not sent");
    assert_eq!(word(gone.fetch(reference()).await), "not sent");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let endless =
        || Body::from_stream(futures_util::stream::repeat(Ok::<_, std::convert::Infallible>(vec![b' '; 16 * 1024])));
    let broken = || {
        let chunks = [Ok(b"{".to_vec()), Err(std::io::Error::other("gone"))];
        Body::from_stream(futures_util::stream::iter(chunks))
    };
    let elsewhere = || async { (axum::http::StatusCode::FOUND, [("location", "/hangs/v1/payments")]) };
    let router = Router::new()
        .route("/hangs/v1/payments", post(std::future::pending::<&str>))
        .route("/endless/v1/payments", post(async move || endless()))
        .route("/broken/v1/payments", post(async move || broken()))
        .route("/elsewhere/v1/payments", post(elsewhere).get(elsewhere))
        .route("/hangs/v1/payments/{reference}", get(std::future::pending::<&str>));
    tokio::spawn(async move { axum::serve(listener, router).await });
    for path in ["hangs", "endless", "broken", "elsewhere"] {
        let gateway = connected(&format!("{base}/{path}"));
        assert_eq!(word(gateway.start(&start).await.map(Some)), "unknown", "{path}");
    }
    assert_eq!(word(connected(&format!("{base}/hangs")).fetch(reference()).await), "unknown");
}

#[test]
fn a_gateway_is_there_when_settings_and_secrets_are() {
    let all = Settings {
        momo_url: "https://momo.example.com".to_owned(),
        momo_code: "MPESA".to_owned(),
        card_url: "https://card.example.com".to_owned(),
        ..Settings::default()
    };
    let both = GatewayOptions { momo: Some(secrets()), card: Some(secrets()), ..GatewayOptions::default() };
    let there = |settings: &Settings, options: &GatewayOptions| {
        let gateways = Gateways::new(settings, options).unwrap();
        [GatewayName::MobileMoney, GatewayName::Card].map(|name| gateways.get(name).is_some())
    };
    assert_eq!(there(&all, &both), [true, true]);
    assert_eq!(there(&Settings::default(), &both), [false, false]);
    assert_eq!(there(&all, &GatewayOptions { card: None, ..both.clone() }), [true, false]);
    let half = Settings { momo_code: String::new(), ..all };
    assert!(matches!(Gateways::new(&half, &both), Err(GatewayError::Incomplete("momo"))));
}
