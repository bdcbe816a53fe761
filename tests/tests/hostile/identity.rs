//! Who sends: signatures, leases, tokens, roles.

use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daybook_server::auth::Role;
use daybook_server::auth::device::Ending;
use daybook_server::sync::routes::DEPOSITS_A_MINUTE_MAX;
use daybook_shared::cbor;
use daybook_shared::ids::DeploymentId;
use daybook_shared::time::DAY_MS;
use daybook_shared::wire::envelope::{Body, seal};
use daybook_shared::wire::exchange::{Answer as Word, End, Frame};
use daybook_shared::wire::framing::deflate;
use daybook_shared::wire::sign::{Context, DeviceState, RequestProof, Signer};
use daybook_tests::sim::forge;
use daybook_tests::sim::raw::{Raw, words_of};
use daybook_tests::sim::upload::frames_of;
use serde_json::{Value, json};

use crate::{Scene, on_every_engine};

fn refused_signature() -> Word {
    Word::Refused { code: "envelope_signature".to_owned() }
}

#[test]
fn an_envelope_is_taken_only_with_its_devices_signature_for_this_lender() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, .. } = scene;
        let visit = forge::visit(world, raw, *acc);
        let body = Body { entries: vec![visit.encode().into()], board: Vec::new() };
        let stranger = Signer::generate(&mut world.rng);
        let (_, by_stranger) = seal(&stranger, &raw.header(), &body);
        let elsewhere = DeploymentId::from([5; 16]);
        let header = daybook_shared::wire::envelope::Header { deployment: elsewhere, ..raw.header() };
        let (_, for_another_lender) = seal(&raw.signer, &header, &body);
        let header = daybook_shared::wire::envelope::Header { device: [5; 16].into(), ..raw.header() };
        let (_, of_another_device) = seal(&raw.signer, &header, &body);
        for bytes in [by_stranger, for_another_lender, of_another_device] {
            assert_eq!(raw.words(world, &[bytes]), [refused_signature()]);
        }
        // A signature made for another purpose over the same bytes.
        let (id, good) = seal(&raw.signer, &raw.header(), &body);
        let right = raw.signer.sign(Context::Envelope, raw.deployment, &id.0);
        let wrong = raw.signer.sign(Context::Request, raw.deployment, &id.0);
        let at = good.windows(64).position(|window| window == right.0).expect("the signature is there");
        let mut other_context = good.clone();
        other_context[at..at + 64].copy_from_slice(&wrong.0);
        assert_eq!(raw.words(world, &[other_context]), [refused_signature()]);
        assert!(matches!(raw.words(world, &[good])[..], [Word::Taken { .. }]));
    });
}

#[test]
fn a_request_is_answered_only_with_its_devices_signature() {
    on_every_engine(|scene| {
        let Scene { world, raw, .. } = scene;
        let body = deflate(&cbor::to_vec(&Raw::request(&[])));
        let who = (raw.device, raw.install, raw.request + 1);
        let proof = |signer: &Signer, deployment, path: &str, body: &[u8]| {
            RequestProof::make(signer, deployment, who, ("POST", path, body))
        };
        let stranger = Signer::generate(&mut world.rng);
        let forged = [
            ("a stranger's", proof(&stranger, raw.deployment, "/v1/sync", &body)),
            ("another lender's", proof(&raw.signer, DeploymentId::from([5; 16]), "/v1/sync", &body)),
            ("another path's", proof(&raw.signer, raw.deployment, "/v1/deposit", &body)),
            ("another body's", proof(&raw.signer, raw.deployment, "/v1/sync", b"")),
        ];
        for (name, proof) in forged {
            let mut request = raw.clone().signed("/v1/sync", body.clone());
            request.headers[1].1 = BASE64_URL_SAFE_NO_PAD.encode(cbor::to_vec(&proof));
            let answer = world.server.answer(&request);
            assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{name}");
        }
        let mut request = raw.clone().signed("/v1/sync", body);
        for header in ["", "AAAA", "not base64!", "gICAgICAgICA"] {
            header.clone_into(&mut request.headers[1].1);
            assert_eq!(world.server.answer(&request).status, 401, "{header}");
        }
    });
}

/// Whether a response handed anything out.
fn hands_out(answer: &daybook_tests::sim::server::Answer) -> bool {
    frames_of(&answer.body)
        .iter()
        .any(|frame| frame.deltas.is_some() || frame.caseloads.is_some() || frame.officer.is_some())
}

#[test]
fn without_a_lease_of_its_own_a_device_hands_in_and_gets_nothing() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, .. } = scene;
        let (_, other_on) = world.officer("Barasa");
        let lease = raw.lease.clone();
        let others = Raw::of(world, other_on).lease;
        let none = json!({ "alg": "none", "typ": "daybook-lease" }).to_string();
        let claims = lease.as_deref().and_then(|lease| lease.split('.').nth(1)).unwrap_or_default().to_owned();
        let unsigned = format!("{}.{claims}.", BASE64_URL_SAFE_NO_PAD.encode(none));
        let cases = [
            ("none", None),
            ("another device's", others),
            ("alg none", Some(unsigned)),
            ("nonsense", Some("a.b.c".to_owned())),
        ];
        for (name, lease) in cases {
            raw.lease = lease;
            let visit = forge::visit(world, raw, *acc);
            let envelope = raw.seal(&[visit.encode()], Vec::new());
            let answer = raw.send(world, &[envelope]);
            assert_eq!(answer.status, 200, "{name}: {}", answer.json());
            assert!(matches!(words_of(&answer)[..], [Word::Taken { .. }]), "{name}");
            assert!(!hands_out(&answer), "{name}");
            assert_eq!(frames_of(&answer.body)[0].login_required, Some(true), "{name}");
            assert_eq!(world.outcome(visit.head.id), "noted", "{name}");
        }
        // Its own, until it lapses.
        raw.lease = lease;
        let answer = raw.send(world, &[]);
        assert!(hands_out(&answer));
        world.pass_ms(15 * DAY_MS);
        let answer = raw.send(world, &[]);
        assert!(!hands_out(&answer) && frames_of(&answer.body)[0].login_required == Some(true));
    });
}

#[test]
fn a_revoked_device_hands_in_by_deposit_and_learns_only_that() {
    on_every_engine(|scene| {
        let visit = forge::visit(&mut scene.world, &scene.raw, scene.acc);
        scene.world.pass_ms(60_000);
        scene.world.end_device(scene.on, Ending::Retirement);
        let Scene { world, raw, .. } = scene;
        let envelope = raw.seal(&[visit.encode()], Vec::new());
        let body = deflate(&cbor::to_vec(&Raw::request(&[envelope])));
        let answer = raw.post(world, "/v1/deposit", body);
        assert_eq!(answer.status, 200, "{}", answer.json());
        let frames = frames_of(&answer.body);
        assert_eq!(frames.len(), 1);
        assert!(frames[0].answers.is_none() && !hands_out(&answer));
        let signed = frames[0].acknowledgement.as_ref().unwrap();
        let ack: daybook_shared::wire::sign::Acknowledgement = minicbor::decode(&signed.payload).unwrap();
        assert_eq!((ack.state, ack.number), (DeviceState::Revoked, raw.number));
        assert_eq!(world.outcome(visit.head.id), "noted", "captured before it was retired");
        let answer = raw.send(world, &[]);
        assert!(!hands_out(&answer));
    });
}

#[test]
fn a_lost_device_learns_from_the_exchange_no_more_than_from_a_deposit() {
    on_every_engine(|scene| {
        let visit = forge::visit(&mut scene.world, &scene.raw, scene.acc);
        scene.world.end_device(scene.on, Ending::Loss);
        let Scene { world, raw, .. } = scene;
        let envelope = raw.seal(&[visit.encode()], Vec::new());
        assert!(raw.lease.is_some(), "its lease is good for days");
        let answer = raw.send(world, &[envelope]);
        assert_eq!(answer.status, 200, "{}", answer.json());
        let frames = frames_of(&answer.body);
        let [frame] = &frames[..] else { panic!("{frames:?}") };
        let signed = frame.acknowledgement.clone().unwrap();
        let ack: daybook_shared::wire::sign::Acknowledgement = minicbor::decode(&signed.payload).unwrap();
        assert_eq!((ack.state, ack.number), (DeviceState::Wipe, raw.number));
        let order = frame.wipe.clone().expect("the order to erase itself");
        let told =
            Frame { acknowledgement: Some(signed), wipe: Some(order), end: Some(End::Complete), ..Frame::default() };
        assert_eq!(*frame, told);
        assert_eq!(world.outcome(visit.head.id), "held(DEVICE_LOST)");
    });
}

#[test]
fn a_device_hands_in_so_often_a_minute_and_no_stranger_uses_that_up() {
    on_every_engine(|scene| {
        scene.world.end_device(scene.on, Ending::Retirement);
        let Scene { world, raw, .. } = scene;
        let body = deflate(&cbor::to_vec(&Raw::request(&[])));
        let mut stranger = Raw { signer: Signer::generate(&mut world.rng), ..raw.clone() };
        for _ in 0..=DEPOSITS_A_MINUTE_MAX {
            assert_eq!(stranger.post(world, "/v1/deposit", body.clone()).status, 401);
        }
        for n in 0..DEPOSITS_A_MINUTE_MAX {
            let path = if n % 2 == 0 { "/v1/deposit" } else { "/v1/sync" };
            assert_eq!(raw.post(world, path, body.clone()).status, 200, "{n}");
        }
        for path in ["/v1/deposit", "/v1/sync"] {
            let answer = raw.post(world, path, body.clone());
            assert_eq!((answer.status, answer.code().as_str()), (429, "too-many-requests"), "{path}");
            assert!(answer.retry_after_ms.is_some_and(|ms| (1_000..=61_000).contains(&ms)), "{path}");
        }
        world.pass_ms(60_000);
        assert_eq!(raw.post(world, "/v1/deposit", body).status, 200);
    });
}

#[test]
fn a_token_that_is_none_and_a_role_that_may_not_are_told_so() {
    on_every_engine(|scene| {
        let Scene { world, amina, acc, .. } = scene;
        let dossier = world.accounts[acc.0].dossier;
        let path = format!("/v1/dossiers/{dossier}/assignment");
        let body = json!({ "id": "01957c00-0000-7000-8000-000000000000", "caseload": null });
        let answer = world.rest(*amina, Method::POST, &path, &body);
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "an officer assigns no cases");
        let cashier = world.person("Esther", Role::Cashier);
        assert_eq!(world.rest(cashier, Method::GET, &format!("/v1/dossiers/{dossier}"), &Value::Null).status, 403);
        let token = world.token(*amina);
        let claims = token.split('.').nth(1).unwrap();
        for header in
            [r#"{"alg":"none"}"#, r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"alg":"EdDSA","typ":"daybook-access"}"#]
        {
            for signature in ["", "AAAA"] {
                let forged = format!("{}.{claims}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(header));
                let request = axum::http::Request::get(format!("/v1/dossiers/{dossier}"))
                    .header("authorization", format!("Bearer {forged}"))
                    .body(axum::body::Body::empty())
                    .unwrap();
                let answer = world.server.call(request);
                assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{header}");
            }
        }
    });
}
