//! A signature is worth something for one purpose, one lender, one key and one payload.

use super::samples;
use crate::cbor;
use crate::ids::DeploymentId;
use crate::wire::envelope::{Envelope, seal};
use crate::wire::sign::{Acknowledgement, Context, Signed, SignedError, Signer};

const CONTEXTS: [Context; 7] = [
    Context::Envelope,
    Context::Request,
    Context::Acknowledgement,
    Context::Lease,
    Context::Block,
    Context::Wipe,
    Context::Certificate,
];

#[test]
fn a_signature_of_one_context_is_worth_nothing_in_another() {
    let (key, deployment) = (samples::phone(), samples::deployment());
    for made in CONTEXTS {
        let signature = key.sign(made, deployment, b"payload");
        for checked in CONTEXTS {
            let holds = key.public().verify(checked, deployment, b"payload", &signature);
            assert_eq!(holds, made == checked, "made for {made:?}, checked as {checked:?}");
        }
    }
}

#[test]
fn a_signature_fits_one_lender_one_key_and_one_payload() {
    let (key, deployment) = (samples::phone(), samples::deployment());
    let other = DeploymentId::from([99; 16]);
    let signature = key.sign(Context::Block, deployment, b"payload");
    assert!(key.public().verify(Context::Block, deployment, b"payload", &signature));
    assert!(!key.public().verify(Context::Block, other, b"payload", &signature));
    assert!(!samples::server().public().verify(Context::Block, deployment, b"payload", &signature));
    assert!(!key.public().verify(Context::Block, deployment, b"payloae", &signature));
    for bit in 0..512 {
        let mut damaged = signature;
        damaged.0[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.public().verify(Context::Block, deployment, b"payload", &damaged), "bit {bit}");
    }
}

/// Points of small order make one signature fit many messages; `verify_strict` refuses them.
#[test]
fn a_weak_key_verifies_nothing() {
    let mut weak = samples::phone().public();
    weak.bytes.0 = [0; 32];
    weak.bytes.0[0] = 1;
    let mut signature = samples::phone().sign(Context::Envelope, samples::deployment(), b"x");
    signature.0 = [0; 64];
    signature.0[0] = 1;
    for payload in [b"a", b"b", b"c", b"d"] {
        assert!(!weak.verify(Context::Envelope, samples::deployment(), payload, &signature));
    }
}

#[test]
fn a_signed_payload_opens_with_its_key_context_and_shape_only() {
    let (server, deployment) = (samples::server(), samples::deployment());
    let signed = samples::signed_acknowledgement();
    let open = |signed: &Signed, key: &Signer, context, deployment| {
        signed.open::<Acknowledgement>(&key.public(), context, deployment)
    };
    let context = Context::Acknowledgement;
    assert_eq!(open(&signed, &server, context, deployment), Ok(samples::acknowledgement()));
    assert_eq!(open(&signed, &samples::phone(), context, deployment), Err(SignedError::OtherKey));
    assert_eq!(open(&signed, &server, Context::Wipe, deployment), Err(SignedError::Signature));
    let other = DeploymentId::from([99; 16]);
    assert_eq!(open(&signed, &server, context, other), Err(SignedError::Signature));
    let mut damaged = signed.clone();
    damaged.payload[5] ^= 1;
    assert_eq!(open(&damaged, &server, context, deployment), Err(SignedError::Signature));
    let block = Signed::seal(&server, context, deployment, &samples::receipt_block());
    assert_eq!(open(&block, &server, context, deployment), Err(SignedError::Payload));
}

#[test]
fn an_envelope_verifies_with_its_devices_key_for_its_lender_only() {
    let (key, deployment) = (samples::phone(), samples::deployment());
    let (_, bytes) = seal(&key, &samples::header(), &samples::body());
    let envelope = Envelope::decode(&bytes).unwrap();
    assert!(envelope.verify(&key.public(), deployment));
    assert!(!envelope.verify(&samples::server().public(), deployment), "another key");
    assert!(!envelope.verify(&key.public(), DeploymentId::from([99; 16])), "another lender");

    let mut relabelled = envelope.clone();
    relabelled.key = samples::server().public().id();
    assert!(!relabelled.verify(&key.public(), deployment), "said to be by another key");

    let mut elsewhere = samples::header();
    elsewhere.deployment = DeploymentId::from([99; 16]);
    let foreign = Envelope::decode(&seal(&key, &elsewhere, &samples::body()).1).unwrap();
    assert!(!foreign.verify(&key.public(), deployment), "sealed for another lender");
    assert!(foreign.verify(&key.public(), elsewhere.deployment));

    let mut as_request = envelope.clone();
    as_request.signature = key.sign(Context::Request, deployment, &envelope.id.0);
    assert!(!as_request.verify(&key.public(), deployment), "signed as a request");
}

#[test]
fn a_request_proof_is_for_this_very_request() {
    let (key, deployment) = (samples::phone(), samples::deployment());
    let who = (samples::device(), samples::install(), 12);
    let made = crate::wire::sign::RequestProof::make(&key, deployment, who, ("POST", "/v1/sync", b"body"));
    let holds = |proof: &crate::wire::sign::RequestProof, method, path, body: &[u8]| {
        proof.verify(&key.public(), deployment, method, path, body)
    };
    assert!(holds(&made, "POST", "/v1/sync", b"body"));
    assert!(!holds(&made, "PUT", "/v1/sync", b"body"));
    assert!(!holds(&made, "POST", "/v1/deposit", b"body"));
    assert!(!holds(&made, "POST", "/v1/sync", b"bodz"));
    assert!(!holds(&made, "POS", "T/v1/sync", b"body"), "the parts have bounds");
    let mut other = made.clone();
    other.number += 1;
    assert!(!holds(&other, "POST", "/v1/sync", b"body"), "another number");
    let mut other = made.clone();
    other.install = crate::ids::InstallId::from([99; 16]);
    assert!(!holds(&other, "POST", "/v1/sync", b"body"), "another install");
    assert!(!made.verify(&key.public(), DeploymentId::from([99; 16]), "POST", "/v1/sync", b"body"), "another lender");
    assert_eq!(minicbor::decode::<crate::wire::sign::RequestProof>(&cbor::to_vec(&made)).unwrap(), made);
}
