//! Every message's bytes. Version 1 is final: phones hold these bytes, and servers keep them.
//!
//! Two guards. The snapshots show a change of today's encoding, as hex and in CBOR's diagnostic
//! notation. `version_1.txt` holds the bytes that version 1 wrote and is never written again: later
//! versions may encode more, but they still read these, to the same values.

use std::fmt::Debug;

use minicbor::{Decode, Encode};

use super::diagnostic::{diagnostic, hex};
use super::samples;
use crate::cbor;
use crate::wire::envelope::{Envelope, seal};
use crate::wire::exchange::{Frame, caseloads_hash, cursors_hash};
use crate::wire::framing::{FrameWriter, inflate};
use crate::wire::sign::{Acknowledgement, Context, RequestProof};

const VERSION_1: &str = include_str!("version_1.txt");

type Reads = dyn Fn(&[u8]) -> bool;

/// A message: its name, its bytes as written today, and whether some bytes read as this very value.
struct Sample {
    name: &'static str,
    bytes: Vec<u8>,
    reads_as_this: Box<Reads>,
}

fn sample<T>(name: &'static str, value: T) -> Sample
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug + 'static,
{
    let bytes = cbor::to_vec(&value);
    let reads_as_this = move |bytes: &[u8]| minicbor::decode::<T>(bytes).is_ok_and(|read| read == value);
    Sample { name, bytes, reads_as_this: Box::new(reads_as_this) }
}

fn sealed() -> Sample {
    let (id, bytes) = seal(&samples::phone(), &samples::header(), &samples::body());
    let reads_as_this = move |bytes: &[u8]| {
        Envelope::decode(bytes).is_ok_and(|envelope| {
            envelope.verify(&samples::phone().public(), samples::deployment())
                && (envelope.id, envelope.header, envelope.body) == (id, samples::header(), samples::body())
        })
    };
    Sample { name: "envelope", bytes, reads_as_this: Box::new(reads_as_this) }
}

fn proof() -> RequestProof {
    let who = (samples::device(), samples::install(), 12);
    RequestProof::make(&samples::phone(), samples::deployment(), who, ("POST", "/v1/sync", b"body"))
}

fn samples() -> Vec<Sample> {
    vec![
        sealed(),
        sample("header", samples::header()),
        sample("body", samples::body()),
        sample("request", samples::request()),
        sample("request_idle", samples::idle_request()),
        sample("frame", samples::frame()),
        sample("frame_empty", Frame::default()),
        sample("answers", samples::answers()),
        sample("outcome_posted", samples::posted()),
        sample("outcome_held", samples::held()),
        sample("board_verdict", samples::quarantined()),
        sample("acknowledgement", samples::acknowledgement()),
        sample("acknowledgement_signed", samples::signed_acknowledgement()),
        sample("receipt_block", samples::receipt_block()),
        sample("certificate", samples::certificate()),
        sample("request_proof", proof()),
        sample("facts_profile", samples::profile()),
        sample("facts_schedule", samples::schedule()),
        sample("facts_state", samples::state()),
        sample("facts_promises", samples::promises()),
        sample("facts_timeline", samples::timeline()),
        sample("facts_agent_profile", samples::agent_profile()),
    ]
}

/// What later builds say, which those of version 1 skip.
fn later_samples() -> Vec<Sample> {
    vec![
        sample("acknowledgement_of_a_chain", samples::acknowledgement_of_a_chain()),
        sample("acknowledgement_again", samples::acknowledgement_again()),
        sample("request_rewinding", samples::rewinding_request()),
        sample("frame_rewind", samples::rewind_frame()),
        sample("request_with_more", samples::request_with_more()),
        sample("frame_of_a_loss", samples::frame_of_a_loss()),
        sample("wipe_order", samples::wipe_order()),
        sample("request_with_offers", samples::request_with_offers()),
        sample("frame_of_offers", samples::frame_of_offers()),
    ]
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn the_bytes_of_every_message_are_pinned() {
    for Sample { name, bytes, reads_as_this } in samples().into_iter().chain(later_samples()) {
        assert!(reads_as_this(&bytes), "{name} reads back");
        insta::assert_snapshot!(name, format!("{}\n\n{}", hex(&bytes), diagnostic(&bytes)));
    }
}

#[test]
fn what_version_1_wrote_is_read_for_ever() {
    let stored: Vec<(&str, &str)> = VERSION_1.lines().filter_map(|line| line.split_once(' ')).collect();
    let samples = samples();
    let names = |pairs: &[(&str, &str)]| pairs.iter().map(|pair| pair.0.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&stored), samples.iter().map(|sample| sample.name).collect::<Vec<_>>());
    for ((name, stored), sample) in stored.into_iter().zip(samples) {
        assert!((sample.reads_as_this)(&unhex(stored)), "{name} of version 1 reads as it did");
    }
}

/// A newer peer adds fields at the end of an array and keys to a map; an older one skips them.
#[test]
fn fields_of_a_newer_version_are_skipped() {
    for name in
        ["request_with_offers", "frame", "frame_of_offers", "acknowledgement_again", "outcome_posted", "facts_state"]
    {
        let sample = samples().into_iter().chain(later_samples()).find(|sample| sample.name == name).unwrap();
        let mut newer = sample.bytes;
        let (kind, count) = (newer[0] & 0xe0, newer[0] & 0x1f);
        assert!(count < 23, "{name} has a one-byte header with room for one more");
        newer[0] += 1;
        newer.extend_from_slice(if kind == 0xa0 { &[0x18, 99, 0x81, 0x01] } else { &[0x81, 0x01] });
        assert!((sample.reads_as_this)(&newer), "{name}");
    }
}

/// What an older phone says is what it always said, and one that keeps offers says little more.
#[test]
fn a_request_that_names_offers_is_a_few_bytes_longer() {
    let (without, with) = (cbor::to_vec(&samples::idle_request()), cbor::to_vec(&samples::request_with_offers()));
    assert_eq!(without[1..], with[1..without.len()]);
    assert!(with.len() - without.len() <= 20, "{} bytes more", with.len() - without.len());
}

/// Goal: a phone that knows nothing of the head's place in the chain reads the rest. Method: what version 1
/// wrote of the same acknowledgement is this one without its last field.
#[test]
fn an_acknowledgement_with_the_heads_place_is_pinned_and_only_longer() {
    let (before, bytes) =
        (cbor::to_vec(&samples::acknowledgement()), cbor::to_vec(&samples::acknowledgement_of_a_chain()));
    assert_eq!((bytes[0], &bytes[1..before.len()]), (before[0] + 1, &before[1..]));
    assert_eq!(minicbor::decode::<Acknowledgement>(&bytes).unwrap(), samples::acknowledgement_of_a_chain());
    insta::assert_snapshot!("acknowledgement_of_a_chain", format!("{}\n\n{}", hex(&bytes), diagnostic(&bytes)));
}

#[test]
fn hashes_that_both_sides_compute_are_pinned() {
    let request = samples::request();
    let cursors: Vec<_> = request.cursors.iter().map(|c| (&c.caseload, c.cursor.0.as_slice())).collect();
    let hashes = [
        ("no cursors", cursors_hash([])),
        ("one cursor", cursors_hash(cursors)),
        ("no caseloads", caseloads_hash(&[])),
        ("three caseloads", caseloads_hash(&samples::caseloads())),
    ];
    let mut text: Vec<_> = hashes.map(|(what, hash)| format!("{what}: {hash:016x}")).into();
    text.push(format!("acknowledgement: {}", Acknowledgement::hash(&samples::signed_acknowledgement())));
    text.push(format!("key: {}", samples::phone().public().id()));
    insta::assert_snapshot!("hashes", text.join("\n"));
}

#[test]
fn cursors_are_hashed_in_caseload_order_and_with_their_bounds() {
    let (a, b) = (crate::ids::CaseloadId::from([1; 16]), crate::ids::CaseloadId::from([2; 16]));
    let (x, y, none): (&[u8], &[u8], &[u8]) = (b"x", b"y", b"");
    assert_eq!(cursors_hash([(&a, x), (&b, y)]), cursors_hash([(&b, y), (&a, x)]));
    assert_ne!(cursors_hash([(&a, x), (&b, y)]), cursors_hash([(&a, y), (&b, x)]));
    assert_ne!(cursors_hash([(&a, x)]), cursors_hash([(&a, none)]));
}

/// What is inside the compressed stream: length, CBOR, checksum. The compressed bytes are zstd's.
#[test]
fn the_stream_of_frames_is_pinned() {
    let mut writer = FrameWriter::new();
    writer.push(&samples::numbered_frame(1));
    writer.push(&Frame::default());
    let stream = inflate(&writer.finish(), 4096).unwrap();
    insta::assert_snapshot!("stream", hex(&stream));
}

#[test]
fn the_texts_that_signatures_cover_are_pinned() {
    let contexts = [
        Context::Envelope,
        Context::Request,
        Context::Acknowledgement,
        Context::Lease,
        Context::Block,
        Context::Wipe,
        Context::Certificate,
    ];
    insta::assert_snapshot!("contexts", contexts.map(Context::text).join("\n"));
}
