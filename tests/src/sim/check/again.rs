//! I6: sending everything that was ever sent once more changes nothing, and the answers are the same
//! as before.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daybook_mobile_sync::session::HttpRequest;
use daybook_shared::cbor;
use daybook_shared::entry::Entry;
use daybook_shared::ids::EnvelopeId;
use daybook_shared::wire::envelope::Envelope;
use daybook_shared::wire::exchange::{Answer, Request, VERSION};
use daybook_shared::wire::framing::deflate;
use daybook_shared::wire::sign::RequestProof;

use crate::sim::upload::frames_of;
use crate::sim::world::{On, World};

/// Tables that a repeated upload must leave alone, and what of them is compared.
const TABLES: [(&str, &str); 29] = [
    ("entry", "uid"),
    ("envelope", "uid"),
    ("payment", "uid"),
    ("journal", "id"),
    ("account", "id"),
    ("receipt_claim", "receipt_no"),
    ("promise", "entry_uid"),
    ("visit", "entry_uid"),
    ("correction", "entry_uid"),
    ("cash_handover", "entry_uid"),
    ("handover_item", "payment_uid"),
    ("dossier", "id"),
    ("timeline_event", "dossier_id, version"),
    ("call_attempt", "entry_uid"),
    ("contact_update", "entry_uid"),
    ("complaint", "entry_uid"),
    ("case_handover", "entry_uid"),
    ("stop_event", "entry_uid"),
    ("device_event", "entry_uid"),
    ("weekly_contact", "entry_uid"),
    ("float_check", "entry_uid"),
    ("issue_report", "entry_uid"),
    ("issue_event", "entry_uid"),
    ("training", "entry_uid"),
    ("agent_registration", "entry_uid"),
    ("board_change", "dossier_id, version"),
    ("quarantine", "id"),
    ("feed", "caseload_id, seq"),
    ("outcome_news", "device_id, seq"),
];

/// Replays the upload log and compares.
pub fn check(world: &mut World) {
    let before = snapshot(world);
    let log = std::mem::take(&mut world.uploads.envelopes);
    // What was sent and lost, and packed anew after a restore, was never uploaded.
    let taken: Vec<(EnvelopeId,)> = world.server.rows("select uid from envelope");
    let taken: BTreeSet<_> = taken.into_iter().map(|row| row.0).collect();
    for (on, bytes) in &log {
        let envelope = Envelope::decode(bytes).expect("an envelope that was sent");
        if taken.contains(&envelope.id) {
            replay(world, *on, bytes);
        }
    }
    world.uploads.envelopes = log;
    let after = snapshot(world);
    for (table, rows) in &before {
        assert_eq!(rows, &after[table], "I6: a replay of the upload log changed {table}");
    }
}

fn snapshot(world: &World) -> BTreeMap<&'static str, (i64, i64)> {
    let count = |table: &str| -> (i64, i64) {
        let sum = match table {
            "entry" => "sum(outcome_version)",
            "payment" => "sum(amount_minor)",
            "account" => "sum(paid_minor + credit_minor)",
            "dossier" => "sum(version)",
            _ => "count(*)",
        };
        let rows = world
            .server
            .rows(&format!("select cast(count(*) as bigint), cast(coalesce({sum}, 0) as bigint) from {table}"));
        rows[0]
    };
    TABLES.iter().map(|(table, _)| (*table, count(table))).collect()
}

/// Sends one envelope again as its device, in a request of its own with a number far above all others.
fn replay(world: &mut World, on: On, bytes: &[u8]) {
    let envelope = Envelope::decode(bytes).expect("an envelope that was sent");
    let (device, signer) = world.phone(on).enrolled_as.clone().expect("a phone that sent was enrolled");
    let request = Request {
        version: VERSION,
        epoch: None,
        budget_bytes: 4096,
        cursors_hash: 0,
        cursors: Vec::new(),
        envelopes: vec![bytes.to_vec().into()],
        purged: Vec::new(),
        have: None,
        caseloads_hash: 0,
        news_seen: 0,
        receipt_last: u32::MAX,
        receipts_left: 50,
        ..Request::default()
    };
    let body = deflate(&cbor::to_vec(&request));
    let number = 1_000_000 + world.uploads.exchanges;
    world.uploads.exchanges += 1;
    let who = (device, envelope.header.install, number);
    let deployment = world.server.app().deployment.id;
    let proof = RequestProof::make(&signer, deployment, who, ("POST", "/v1/sync", &body));
    let proof = BASE64_URL_SAFE_NO_PAD.encode(cbor::to_vec(&proof));
    let request =
        HttpRequest { method: "POST", path: "/v1/sync".into(), headers: vec![(RequestProof::HEADER, proof)], body };
    let answer = world.server.answer(&request);
    assert_eq!(answer.status, 200, "I6: envelope {} of {device}: {}", envelope.header.number, answer.json());
    let entries = world.entries();
    for answer in frames_of(&answer.body).iter().flat_map(|frame| frame.answers.iter().flatten()) {
        let Answer::Taken { outcomes, .. } = &answer.answer else { continue };
        for (bytes, outcome) in envelope.body.entries.iter().zip(outcomes) {
            let Ok(entry) = Entry::decode(bytes) else { continue };
            if let Some(known) = entries.get(&entry.head.id)
                && (known.bytes == bytes.as_slice() || known.bytes.is_empty())
            {
                assert_eq!(&known.outcome, outcome, "I6: the answer to entry {}", entry.head.id);
            }
        }
    }
}
