//! Building a request: what goes up, and its proof.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daybook_shared::cbor;
use daybook_shared::ids::{DossierId, InstallId};
use daybook_shared::wire::exchange::{CaseloadCursor, MEDIA_TYPE, Request, VERSION, cursors_hash};
use daybook_shared::wire::framing::deflate;
use daybook_shared::wire::limits::{REQUEST_ENVELOPES_MAX, SHOWN_ACKNOWLEDGEMENTS_MAX};
use daybook_shared::wire::sign::{Certificate, DeviceState, RequestProof, Signed};
use rand::Rng;

use super::{HttpRequest, SessionError};
use crate::Moment;
use crate::store::{Db, Enrolment, KeptEnvelope, Phone};

/// What a session remembers of a request until its answer.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one request, each read in another place")]
pub(super) struct Sent {
    pub install: InstallId,
    /// Whose envelopes it carries: this install's, or those of an older one that are handed in again.
    pub upload_install: InstallId,
    /// Sent to `/v1/deposit`: only an acknowledgement comes back.
    pub deposit: bool,
    /// It said that the store erased itself.
    pub wiped: bool,
    pub envelopes: BTreeSet<u64>,
    /// Raw bytes of the envelopes.
    pub upload_bytes: u32,
    /// Bytes of the body, as it is sent.
    pub body_bytes: u64,
    /// Every cursor as it was when the request was made: what the server knows once it has answered.
    pub cursors: Vec<CaseloadCursor>,
    pub purged: Vec<DossierId>,
    pub acked_number: u64,
    /// Envelopes of all installs that were to be handed in again.
    pub again: u64,
    /// More of those are left than this request carries.
    pub rewinding: bool,
    /// It carries what the server has to learn again.
    pub relearns: bool,
}

/// Seals what is pending, takes a request number, and makes the request; beside it the generation for
/// the host to keep, when it moved on. All in the caller's transaction, so that everything is durable
/// before the first byte leaves.
pub(super) fn build(
    db: Db<'_>,
    uploads: bool,
    first: bool,
    now: Moment,
    rng: &mut dyn Rng,
) -> Result<(HttpRequest, Sent, Option<u64>), SessionError> {
    let (_, mut generation) = db.seal_pending(now, rng)?;
    let phone = db.phone()?;
    let enrolment = phone.enrolment.clone().ok_or(SessionError::NotEnrolled)?;
    if first {
        db.keep_trusted(&phone, now)?;
        db.drop_old(phone.trusted(now))?;
        if generation.is_none() {
            let next = phone.generation.saturating_add(1);
            db.set_generation(next)?;
            generation = Some(next);
        }
    }
    let (request, mut sent) = contents(db, &phone, uploads)?;
    let body = deflate(&cbor::to_vec(&request));
    sent.body_bytes = body.len() as u64;
    let path = if sent.deposit { "/v1/deposit" } else { "/v1/sync" };
    let headers = headers(db, &phone, &enrolment, path, &body)?;
    Ok((HttpRequest { method: "POST", path: path.into(), headers, body }, sent, generation))
}

fn contents(db: Db<'_>, phone: &Phone, uploads: bool) -> Result<(Request, Sent), SessionError> {
    let wiped = phone.wiped_at.is_some();
    let deposit = wiped || phone.state != DeviceState::Ok;
    // A deposit has no verdicts: what the acknowledgement covers is handed in.
    let older = db.older_install_again(phone.install)?;
    let upload_install = older.unwrap_or(phone.install);
    let from_number = if deposit && older.is_none() { phone.acked_number.saturating_add(1) } else { 0 };
    let limits = if uploads { (REQUEST_ENVELOPES_MAX, phone.upload_bytes as usize) } else { (0, 0) };
    let envelopes = db.envelopes_to_send(upload_install, from_number, limits)?;
    let upload_bytes = envelopes.iter().map(|envelope| envelope.bytes.len()).sum::<usize>();
    let again = db.count_envelopes_again()?;
    let mut sent = Sent {
        install: phone.install,
        upload_install,
        deposit,
        wiped,
        envelopes: envelopes.iter().map(|envelope| envelope.number).collect(),
        upload_bytes: u32::try_from(upload_bytes).unwrap_or(u32::MAX),
        body_bytes: 0,
        cursors: Vec::new(),
        purged: Vec::new(),
        acked_number: phone.acked_number,
        again,
        // Everything goes up before anything comes down: the server judges and merges in the old order.
        rewinding: uploads && again > envelopes.len() as u64,
        relearns: phone.relearn,
    };
    let first =
        if phone.rewound || again > 0 { db.first_acknowledgements(upload_install, &envelopes)? } else { Vec::new() };
    let acknowledgements = shown_acknowledgements(db, phone, first, &envelopes)?;
    let mut request = Request {
        version: VERSION,
        epoch: phone.epoch,
        budget_bytes: phone.budget_bytes,
        cursors_hash: 0,
        cursors: Vec::new(),
        envelopes: envelopes.into_iter().map(|envelope| envelope.bytes.into()).collect(),
        purged: Vec::new(),
        have: None,
        caseloads_hash: 0,
        news_seen: 0,
        receipt_last: 0,
        receipts_left: 0,
        after: db.newest_acknowledgement()?.map(|(hash, _)| hash),
        acknowledgements: (!acknowledgements.is_empty()).then_some(acknowledgements),
        blocks: if phone.relearn { Some(db.newest_blocks()?) } else { None },
        rewinding: sent.rewinding.then_some(true),
        unsettled: None,
        unsent: None,
        wiped: wiped.then_some(true),
        catalogue: None,
    };
    request.have = if phone.send_have || phone.relearn { Some(db.held()?) } else { None };
    if !deposit {
        sent.cursors = db.cursors(false)?;
        sent.purged = db.purged()?;
        let all = sent.cursors.iter().map(|cursor| (&cursor.caseload, cursor.cursor.0.as_slice()));
        request.cursors_hash = cursors_hash(all);
        request.cursors = db.cursors(!phone.send_cursors)?;
        request.purged.clone_from(&sent.purged);
        request.unsettled = db.is_unsettled()?.then_some(true);
        request.caseloads_hash = phone.caseloads_hash;
        request.news_seen = phone.news_seen;
        request.receipt_last = db.newest_block_last(phone.install)?;
        request.catalogue = Some(db.catalogue_held()?);
        request.receipts_left = u32::try_from(db.receipt_numbers_left(phone.install)?).unwrap_or(u32::MAX);
    }
    let held = if deposit { phone.acked_number } else { 0 };
    request.unsent = db.unsent_beyond(sent.envelopes.last().copied().unwrap_or(held))?;
    Ok((request, sent))
}

/// The newest acknowledgement if the server asked for it, and of other epochs those that first covered what is
/// handed in again, and those that envelopes name.
fn shown_acknowledgements(
    db: Db<'_>,
    phone: &Phone,
    first: Vec<Signed>,
    envelopes: &[KeptEnvelope],
) -> Result<Vec<Signed>, SessionError> {
    let mut shown = Vec::new();
    if phone.show_acknowledgement {
        shown.extend(db.newest_acknowledgement()?.map(|(_, signed)| signed));
    }
    shown.extend(first);
    shown.extend(db.acknowledgements_named(envelopes)?);
    shown.truncate(SHOWN_ACKNOWLEDGEMENTS_MAX);
    Ok(shown)
}

fn headers(
    db: Db<'_>,
    phone: &Phone,
    enrolment: &Enrolment,
    path: &str,
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, SessionError> {
    let number = db.next_request_number()?;
    let who = (phone.device, phone.install, number);
    let proof = RequestProof::make(&db.signer()?, enrolment.deployment, who, ("POST", path, body));
    let mut headers = vec![
        ("content-type", MEDIA_TYPE.to_owned()),
        ("accept", MEDIA_TYPE.to_owned()),
        (RequestProof::HEADER, proof_header(&proof)),
    ];
    if phone.relearn
        && let Some(certificate) = db.certificate()?
    {
        headers.push((Certificate::HEADER, BASE64_URL_SAFE_NO_PAD.encode(certificate)));
    }
    if let Some(lease) = db.lease()? {
        headers.push(("authorization", format!("Bearer {lease}")));
    }
    Ok(headers)
}

/// A proof as its header carries it.
pub(crate) fn proof_header(proof: &RequestProof) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(cbor::to_vec(proof))
}
