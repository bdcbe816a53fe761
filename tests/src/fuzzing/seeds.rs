//! The seeds of the corpora: real messages from the real encoders, and hostile variants of them.

use daybook_shared::cbor;
use daybook_shared::entry::Entry;
use daybook_shared::ids::{CaseloadId, DossierId, EntryId, EnvelopeId, Epoch, UserId};
use daybook_shared::wire::catalogue::{CatalogueHeld, CataloguePage, CatalogueRules};
use daybook_shared::wire::envelope::{Anchor, BoardChange, Body, Header, seal};
use daybook_shared::wire::exchange::{
    Answer, CaseloadCursor, CursorBytes, Delta, End, EnvelopeAnswer, FeedEntry, Frame, Held, NewCursor, NewOutcome,
    News, Person, Request, VERSION,
};
use daybook_shared::wire::framing::{FrameWriter, deflate};
use daybook_shared::wire::outcome::{BoardState, BoardVerdict, Flag, Outcome, OutcomeState, Reason};
use daybook_shared::wire::sign::{Acknowledgement, Context, DeviceState, RequestProof, Signed};

use super::bodies::{deployment, phone};
use super::entry_seeds::{DEVICE, at, each_type, ids, moment};
use super::{board_seeds, entry_seeds};

/// A file of a corpus.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

pub(super) fn seed(name: &str, bytes: Vec<u8>) -> Seed {
    Seed { name: name.to_owned(), bytes }
}

/// The seeds of a target.
///
/// # Panics
/// For a target that there is not.
pub fn of(target: &str) -> Vec<Seed> {
    match target {
        "envelope" => envelopes(),
        "frames" => frames(),
        "entry" => entry_seeds::entry(),
        "board" => board_seeds::board(),
        "request" => requests(),
        _ => panic!("there is no target {target}"),
    }
}

fn header(number: u64) -> Header {
    Header {
        format: 1,
        deployment: deployment(),
        device: DEVICE.into(),
        install: [3; 16].into(),
        number,
        previous: EnvelopeId([6; 32]),
        after: ids::ACK,
        sealed_at: moment(0),
        anchors: vec![Anchor { ack: ids::ACK, arrived: moment(-60) }],
    }
}

fn sealed(entries: &[Entry], board: Vec<BoardChange>) -> Vec<u8> {
    let entries = entries.iter().map(|entry| entry.encode().into()).collect();
    seal(&phone(), &header(7), &Body { entries, board }).1
}

fn board_changes(count: u8) -> Vec<BoardChange> {
    let changes = board_seeds::board().into_iter().take(usize::from(count));
    (0..count).zip(changes).map(|(n, seed)| BoardChange { dossier: [n; 16].into(), n: 1, change: seed.bytes }).collect()
}

fn envelopes() -> Vec<Seed> {
    let each: Vec<Entry> = each_type().into_iter().map(|(_, entry)| entry).collect();
    let plain = sealed(&each[..2], board_changes(1));
    let mut signature = plain.clone();
    signature[20] ^= 1;
    // The outer frame begins: an array of 6, form, compression.
    let mut compressed_said = plain.clone();
    compressed_said[2] = 1;
    let mut relayed = plain.clone();
    relayed[1] = 1;
    let mut strange = each[0].clone();
    strange.head.entry_type = daybook_shared::entry::EntryType::from_code("SURVEY");
    vec![
        seed("empty", sealed(&[], vec![])),
        seed("one_of_each", sealed(&each, vec![])),
        seed("boards_only", sealed(&[], board_changes(4))),
        seed("both", plain.clone()),
        seed("unknown_type", sealed(&[strange], vec![])),
        seed("no_entry", {
            let entries = vec![vec![].into(), vec![0xa0].into(), vec![0xff; 40].into()];
            seal(&phone(), &header(1), &Body { entries, board: vec![] }).1
        }),
        seed("wrong_signature", signature),
        seed("says_compressed", compressed_said),
        seed("relayed", relayed),
        seed("compressed", compressed(&plain)),
        seed("cut", plain[..plain.len() / 2].to_vec()),
        seed("longer", [plain.as_slice(), &[0]].concat()),
        seed("claims_4_gib", vec![0x86, 0, 0, 0x5a, 0xff, 0xff, 0xff, 0xff]),
        seed("claims_many", vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        seed("nested", vec![0x81; 200]),
        seed("nested_without_end", vec![0x9f; 200]),
    ]
}

/// The same envelope with its body compressed: the body is the outer frame's last item.
fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut decoder = minicbor::Decoder::new(plain);
    decoder.array().and_then(|_| (0..5).try_for_each(|_| decoder.skip())).expect("an envelope has six parts");
    let start = decoder.position();
    let body = deflate(decoder.bytes().expect("the sixth is the body"));
    let mut packed = plain[..start].to_vec();
    packed[2] = 1;
    minicbor::encode(minicbor::bytes::ByteVec::from(body), &mut packed).expect("writing to a Vec cannot fail");
    packed
}

fn acknowledgement() -> Signed {
    let said = Acknowledgement {
        epoch: Epoch([7; 8]),
        device: DEVICE.into(),
        install: [3; 16].into(),
        number: 7,
        envelope: EnvelopeId([6; 32]),
        at: at(5),
        state: DeviceState::Ok,
        audit_head: None,
        audit_seq: None,
        again: None,
    };
    Signed::seal(&phone(), Context::Acknowledgement, deployment(), &said)
}

fn answered() -> Frame {
    let outcomes = vec![
        Outcome::accepted(OutcomeState::Posted, vec![Flag::Backdated]),
        Outcome::held(Reason::DupReceipt),
        Outcome::refused(Reason::from_code("OF_TOMORROW")),
    ];
    let board = vec![BoardVerdict { state: BoardState::Quarantined, reason: Some("CHECKSUM".into()) }];
    let answers = [
        Answer::Taken { outcomes, board },
        Answer::Expect { number: 9, previous: EnvelopeId([6; 32]) },
        Answer::Reactor,
        Answer::Refused { code: "envelope_malformed".into() },
    ];
    let answers = (7..).zip(answers).map(|(number, answer)| EnvelopeAnswer { number, answer });
    let acknowledgement = Some(acknowledgement());
    Frame { epoch: Some(Epoch([7; 8])), answers: Some(answers.collect()), acknowledgement, ..Frame::default() }
}

fn bulk() -> Frame {
    let entries = each_type().into_iter().map(|(_, entry)| FeedEntry {
        bytes: entry.encode().into(),
        author: 0,
        outcome: Outcome::accepted(OutcomeState::Noted, vec![]),
    });
    let changed = NewOutcome { entry: EntryId::from([21; 16]), outcome: Outcome::held(Reason::MissingRef) };
    let delta = Delta {
        dossier: 0,
        caseload: 0,
        epoch: 2,
        version: 18,
        facts: vec![],
        entries: entries.collect(),
        outcomes: vec![changed.clone()],
        board: None,
    };
    let cursor = CursorBytes(vec![0x82, 0x18, 0x2a, 0x80].into());
    Frame {
        people: Some(vec![Person { id: UserId::from([13; 16]), name: "Wanjiru".into() }]),
        dossiers: Some(vec![DossierId::from([9; 16])]),
        feeds: Some(vec![CaseloadId::from([8; 16])]),
        deltas: Some(vec![delta]),
        cursors: Some(vec![NewCursor { caseload: 0, cursor }]),
        end: Some(End::More),
        news: Some(News { number: 4, outcomes: vec![changed] }),
        ..Frame::default()
    }
}

/// Offers as they come: what a phone cannot read is bytes to it.
fn offers() -> Frame {
    let rules = CatalogueRules { left_out: 2, offline_days: 7, quote_hours: 24 };
    let offers = vec![vec![0x87, 0x50].into(), vec![].into(), vec![0x9f; 40].into()];
    let page = CataloguePage { catalogue: 0x1122_3344_5566_7788, from: 0, count: 3, rules, offers };
    Frame { catalogue: Some(page), end: Some(End::Complete), ..Frame::default() }
}

fn response(frames: &[Frame]) -> Vec<u8> {
    let mut writer = FrameWriter::new();
    for frame in frames {
        writer.push(frame);
    }
    writer.finish()
}

fn frames() -> Vec<Seed> {
    let whole = response(&[answered(), bulk(), Frame { end: Some(End::Complete), ..Frame::default() }]);
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x10;
    let mut many = FrameWriter::new();
    for _ in 0..100 {
        many.push(&Frame::default());
    }
    vec![
        seed("answered", response(&[answered()])),
        seed("bulk", response(&[bulk()])),
        seed("offers", response(&[answered(), offers()])),
        seed("whole", whole.clone()),
        seed("nothing", response(&[])),
        seed("many_empty", many.finish()),
        seed("cut", whole[..whole.len() * 2 / 3].to_vec()),
        seed("damaged", damaged),
        seed("twice", [whole.as_slice(), &whole].concat()),
        seed("claims_4_gib", deflate(&[0xff; 64])),
        seed("wrong_checksum", deflate(&[0, 0, 0, 1, 0xa0, 1, 2, 3, 4, 5, 6, 7, 8])),
        seed("zeros", deflate(&vec![0; 1 << 20])),
        seed("huge_window", [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8][..], &[0x03, 0, 0x10, 0]].concat()),
        seed("a_proxys_page", b"<html><body>502 Bad Gateway</body></html>".to_vec()),
    ]
}

fn request(envelopes: Vec<Vec<u8>>) -> Request {
    Request {
        version: VERSION,
        epoch: Some(Epoch([7; 8])),
        budget_bytes: 65_536,
        cursors_hash: 0x0123_4567_89ab_cdef,
        cursors: vec![CaseloadCursor { caseload: [8; 16].into(), cursor: CursorBytes(vec![0x82, 1, 0x80].into()) }],
        envelopes: envelopes.into_iter().map(Into::into).collect(),
        purged: vec![DossierId::from([9; 16])],
        have: Some(vec![Held { dossier: DossierId::from([9; 16]), version: 17 }]),
        caseloads_hash: 42,
        news_seen: 3,
        receipt_last: 50,
        receipts_left: 21,
        ..Request::default()
    }
}

fn requests() -> Vec<Seed> {
    let envelopes: Vec<_> = envelopes().into_iter().map(|seed| seed.bytes).collect();
    let idle = Request { cursors: vec![], purged: vec![], have: None, epoch: None, ..request(vec![]) };
    let plain = cbor::to_vec(&request(envelopes[1..3].to_vec()));
    let who = (DEVICE.into(), [3; 16].into(), 12);
    let proof = RequestProof::make(&phone(), deployment(), who, ("POST", "/v1/sync", b"body"));
    let with_offers = Request { catalogue: Some(CatalogueHeld { catalogue: 42, count: 3 }), ..idle.clone() };
    // Eight fields that today's phones may leave out, and one of tomorrow's.
    let newer = |tail: &[u8]| {
        let mut bytes = cbor::to_vec(&idle);
        bytes[0] += 9;
        [bytes.as_slice(), &[0xf6; 8], tail].concat()
    };
    vec![
        seed("idle", deflate(&cbor::to_vec(&idle))),
        seed("idle_plain", cbor::to_vec(&idle)),
        seed("with_offers", cbor::to_vec(&with_offers)),
        seed("full", deflate(&plain)),
        seed("full_plain", plain.clone()),
        seed("sixty_five", cbor::to_vec(&request(vec![vec![]; 65]))),
        seed("hostile_envelopes", cbor::to_vec(&request(envelopes[9..].to_vec()))),
        seed("cut", plain[..plain.len() - 5].to_vec()),
        seed("longer", [plain.as_slice(), &[0xf6]].concat()),
        seed("of_tomorrow", newer(&[0x81, 0x01])),
        seed("nested", newer(&[0x81; 100])),
        seed("without_end", newer(&[0x9f; 100])),
        seed("claims_many", newer(&[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        seed("zeros", deflate(&vec![0; 1 << 20])),
        seed("proof", cbor::to_vec(&proof)),
    ]
}
