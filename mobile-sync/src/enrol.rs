//! Making a phone known, and renewing its lease: requests and what their answers do, no network.
//!
//! The phone draws its device id and key with its store. Enrolment sends them with the office's
//! one-time code; repeating it after a lost answer is safe, because device and code are the same.
//! From the answer on the phone knows its lender: it pins the server's key, and everything the
//! server signs is checked against it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daybook_shared::ids::{DeploymentId, Epoch, Hash, UserId};
use daybook_shared::money::Currency;
use daybook_shared::time::{Timestamp, Zone};
use daybook_shared::wire::sign::{Algorithm, Certificate, Context, PublicKey, ReceiptBlock, RequestProof, Signed};
use rand::Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Moment;
use crate::session::{HttpRequest, code_of, proof_header};
use crate::store::{ChangeHandsError, Enrolment, Store, StoreError};

const ENROLMENTS: &str = "/v1/enrolments";
const LEASES: &str = "/v1/leases";
/// Before enrolment no request was ever numbered; repeating it repeats the number.
const FIRST_REQUEST: u64 = 1;

/// Why a phone could not be enrolled or logged in.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The server said no.
    #[error("the server refused (status {status}{}): {}", code.as_ref().map(|code| format!(", {code}")).unwrap_or_default(), advice(code.as_deref()))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's stable code.
        code: Option<String>,
    },
    /// The answer is not of the known shape, or its signatures do not fit. Says what.
    #[error("the server's answer cannot be trusted: {0}")]
    Answer(&'static str),
    /// The phone is enrolled with another lender.
    #[error("this phone is enrolled already, with another server")]
    OtherServer,
    /// The answer is for another user than the one who has this phone.
    #[error("this phone is another user's: what he captured has to be handed in before it changes hands")]
    OtherUser,
    /// What the officer before captured is not handed in.
    #[error(transparent)]
    ChangeHands(#[from] ChangeHandsError),
    /// The phone has to be enrolled first.
    #[error("this phone is not enrolled yet: enrol it with the code from the office")]
    NotEnrolled,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EnrolError {
    /// The server knows this device as enrolled: with this code it would be another user's, or once more
    /// the same user's. A store that is enrolled changes hands first.
    pub fn needs_change_of_hands(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if code == "id-taken")
    }
}

fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("enrolment-code-unknown" | "enrolment-code-expired" | "enrolment-code-used") => {
            "the code is wrong, used by another phone, or too old: ask the office for a new one"
        }
        Some("wrong-login") => "login or password is wrong",
        Some("device-revoked") => "the office has locked this phone",
        Some("stale-request") => "try again",
        _ => "check the address and the code, then try again",
    }
}

#[derive(Serialize)]
struct EnrolmentRequest<'a> {
    code: &'a str,
    device: daybook_shared::ids::DeviceId,
    install: daybook_shared::ids::InstallId,
    public_key: String,
    platform: &'a str,
}

#[derive(Deserialize)]
struct EnrolmentAnswer {
    deployment: DeploymentId,
    epoch: String,
    user: User,
    server_key: String,
    envelope_key: Option<String>,
    lease: String,
    certificate: String,
    receipt_block: Option<String>,
    zone: String,
    currency: Currency,
    now: Timestamp,
}

#[derive(Deserialize)]
struct User {
    id: UserId,
    name: String,
}

/// The request that enrols this phone with the office's code. `platform` names the device for
/// people, for example `android 16`.
pub fn enrolment_request(store: &Store, code: &str, platform: &str) -> Result<HttpRequest, EnrolError> {
    let signer = store.signer()?;
    let (device, install) = (store.device()?, store.install()?);
    let public_key = BASE64_URL_SAFE_NO_PAD.encode(signer.public().bytes.0);
    let body = json(&EnrolmentRequest { code, device, install, public_key, platform });
    let who = (device, install, FIRST_REQUEST);
    let proof = RequestProof::make(&signer, DeploymentId(Uuid::nil()), who, ("POST", ENROLMENTS, &body));
    Ok(request(ENROLMENTS, &proof, body))
}

/// Takes the answer to [`enrolment_request`]: checks every signature against the key it pins, then
/// stores all of it in one transaction.
pub fn accept_enrolment(
    store: &mut Store,
    (status, body): (u16, &[u8]),
    now: Moment,
    rng: &mut dyn Rng,
) -> Result<(), EnrolError> {
    if !matches!(status, 200 | 201) {
        return Err(EnrolError::Refused { status, code: code_of(body) });
    }
    let answer: EnrolmentAnswer =
        serde_json::from_slice(body).map_err(|_| EnrolError::Answer("it is not of the known shape"))?;
    let phone = store.read().phone()?;
    let signer = store.signer()?;
    let server_key = PublicKey { algorithm: Algorithm::Ed25519, bytes: Hash(fixed(&answer.server_key)?) };
    if phone
        .enrolment
        .as_ref()
        .is_some_and(|known| known.server_key != server_key || known.deployment != answer.deployment)
    {
        return Err(EnrolError::OtherServer);
    }
    if phone.enrolment.is_some_and(|known| known.user != answer.user.id) {
        return Err(EnrolError::OtherUser);
    }
    let certificate = signed(&answer.certificate)?;
    let content: Certificate = certificate
        .open(&server_key, Context::Certificate, answer.deployment)
        .map_err(|_| EnrolError::Answer("the certificate is not signed by the server's key"))?;
    if content.device != phone.device || content.user != answer.user.id || content.key != signer.public() {
        return Err(EnrolError::Answer("the certificate is for another phone or user"));
    }
    let block = answer.receipt_block.as_deref().map(signed).transpose()?;
    let block =
        block.map(|signed| Ok::<_, EnrolError>((opened_block(&signed, &server_key, answer.deployment)?, signed)));
    let block = block.transpose()?;
    let exp_s = lease_exp_s(&answer.lease).ok_or(EnrolError::Answer("the lease does not say when it ends"))?;
    let zone = Zone::named(&answer.zone).map_err(|_| EnrolError::Answer("the time zone is unknown"))?;
    let epoch = Epoch(hex(&answer.epoch).ok_or(EnrolError::Answer("the epoch is not 8 bytes of hex"))?);
    let envelope_key = answer.envelope_key.as_deref().map(fixed).transpose()?;
    let (deployment, user, currency) = (answer.deployment, answer.user.id, answer.currency);
    let enrolment = Enrolment { deployment, user, server_key, envelope_key, zone, currency };
    let stored: Result<(), StoreError> = store.write(|db| {
        db.set_enrolment(&enrolment, &answer.user.name, &certificate, rng)?;
        db.set_heard(answer.now, now)?;
        db.set_lease(&answer.lease, exp_s, rng)?;
        if phone.epoch.is_none() {
            db.set_epoch(epoch)?;
        }
        match &block {
            Some((block, signed)) if block.device == phone.device && block.install == phone.install => {
                db.insert_receipt_block(block, signed)
            }
            _ => Ok(()),
        }
    });
    Ok(stored?)
}

fn opened_block(signed: &Signed, key: &PublicKey, deployment: DeploymentId) -> Result<ReceiptBlock, EnrolError> {
    let block = signed.open(key, Context::Block, deployment);
    block.map_err(|_| EnrolError::Answer("the receipt block is not signed by the server's key"))
}

#[derive(Serialize)]
struct LeaseRequest<'a> {
    login: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct LeaseAnswer {
    lease: String,
}

/// The request for a new lease. Its number is durable when this returns.
pub fn lease_request(store: &mut Store, login: &str, password: &str) -> Result<HttpRequest, EnrolError> {
    let body = json(&LeaseRequest { login, password });
    store.write(|db| {
        let phone = db.phone()?;
        let deployment = phone.enrolment.ok_or(EnrolError::NotEnrolled)?.deployment;
        let who = (phone.device, phone.install, db.next_request_number()?);
        let proof = RequestProof::make(&db.signer()?, deployment, who, ("POST", LEASES, &body));
        Ok(request(LEASES, &proof, body.clone()))
    })
}

/// Takes the answer to [`lease_request`]: the views are open again.
pub fn accept_lease(store: &mut Store, (status, body): (u16, &[u8]), rng: &mut dyn Rng) -> Result<(), EnrolError> {
    if !matches!(status, 200 | 201) {
        if let Some(last) = crate::session::stale_request(status, body) {
            store.write(|db| db.raise_request_number(last))?;
        }
        return Err(EnrolError::Refused { status, code: code_of(body) });
    }
    let answer: LeaseAnswer =
        serde_json::from_slice(body).map_err(|_| EnrolError::Answer("it is not of the known shape"))?;
    let exp_s = lease_exp_s(&answer.lease).ok_or(EnrolError::Answer("the lease does not say when it ends"))?;
    let stored: Result<(), StoreError> = store.write(|db| db.set_lease(&answer.lease, exp_s, rng));
    Ok(stored?)
}

/// When a lease ends, in seconds since 1970: `exp` of the JWT's payload. Its signature is for the
/// server to check; the phone only wants to know when to ask for the next one.
pub(crate) fn lease_exp_s(lease: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let payload = BASE64_URL_SAFE_NO_PAD.decode(lease.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&payload).ok().map(|claims| claims.exp)
}

fn request(path: &'static str, proof: &RequestProof, body: Vec<u8>) -> HttpRequest {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("accept", "application/json".to_owned()),
        (RequestProof::HEADER, proof_header(proof)),
    ];
    HttpRequest { method: "POST", path: path.into(), headers, body }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and ids are JSON")
}

fn signed(text: &str) -> Result<Signed, EnrolError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| EnrolError::Answer("a value is not base64url"))?;
    minicbor::decode(&bytes).map_err(|_| EnrolError::Answer("a signed value is not of the known shape"))
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N], EnrolError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| EnrolError::Answer("a value is not base64url"))?;
    bytes.try_into().map_err(|_| EnrolError::Answer("a key is of another length"))
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
