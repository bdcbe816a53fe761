//! The targets. Each takes any bytes, never panics unless a promise is broken, and holds what it can
//! about what was accepted. The fuzz crate includes this file as it is, so it uses `shared` alone.

use std::sync::OnceLock;

use daybook_shared::board::{
    BoardKind, BoardRole, Confirmed, Edit, Expected, Limits, Verdict, admit, device_actor, prescan,
};
use daybook_shared::cbor;
use daybook_shared::entry::{Body, ENTRY_DEPTH_MAX, Entry};
use daybook_shared::ids::{DeploymentId, sha256};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::envelope::{self, Envelope};
use daybook_shared::wire::exchange::{Frame, Request};
use daybook_shared::wire::framing::{FrameError, FrameReader, inflate};
use daybook_shared::wire::limits::{
    ANCHORS_MAX, CASELOADS_MAX, ENVELOPE_BOARD_CHANGES_MAX, ENVELOPE_ITEMS_MAX, FRAME_BYTES_MAX, INFLATED_BYTES_MAX,
    REQUEST_ENVELOPES_MAX,
};
use daybook_shared::wire::sign::{RequestProof, Signer};

/// A target's body.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Target); 5] =
    [("envelope", envelope), ("frames", frames), ("entry", entry), ("board", board), ("request", request)];

/// A task on the board of [`stage`].
pub const TASK: &str = "05050505-0505-8505-8505-050505050505";

/// The deployment that seeds are made for.
pub fn deployment() -> DeploymentId {
    DeploymentId::from([1; 16])
}

/// The phone that seeds are signed by.
pub fn phone() -> Signer {
    Signer::from_seed(&[11; 32])
}

/// An envelope as it arrives.
pub fn envelope(bytes: &[u8]) {
    let Ok(read) = Envelope::decode(bytes) else { return };
    assert!(read.body.entries.len() + read.body.board.len() <= ENVELOPE_ITEMS_MAX, "items");
    assert!(read.body.board.len() <= ENVELOPE_BOARD_CHANGES_MAX, "board changes");
    assert!(read.header.anchors.len() <= ANCHORS_MAX, "anchors");
    if read.verify(&phone().public(), deployment()) {
        // Only the holder of the key makes these, so what was signed is what was read.
        let (id, sealed) = envelope::seal(&phone(), &read.header, &read.body);
        assert_eq!((read.id, Envelope::decode(&sealed).ok()), (id, Some(read.clone())), "sealed again");
    }
    for bytes in &read.body.entries {
        entry(bytes);
    }
}

/// A response as a phone reads it, whole and byte by byte.
pub fn frames(bytes: &[u8]) {
    let mut whole = FrameReader::new();
    let at_once = whole.push(bytes);
    let mut reader = FrameReader::new();
    let mut seen: Vec<Frame> = Vec::new();
    let mut failed = None;
    for piece in bytes.chunks(1 + bytes.len() / 64) {
        match reader.push(piece) {
            Ok(more) => seen.extend(more),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    match (at_once, failed) {
        (Ok(frames), None) => assert_eq!(frames, seen, "pieces do not matter"),
        // zstd compares the size that a stream claims with what came only when it has all of it at once, and
        // takes a block that repeats nothing only then. A phone that reads on and one that stops have had the
        // same frames until there.
        (Err(_), Some(_)) | (Err(FrameError::Damaged), None) => {}
        (Ok(frames), Some(FrameError::Damaged)) => assert!(frames.starts_with(&seen), "the same frames first"),
        (at_once, failed) => panic!("at once {at_once:?}, in pieces {failed:?}"),
    }
    for frame in seen {
        let again = cbor::to_vec(&frame);
        assert!(again.len() <= FRAME_BYTES_MAX * 2, "a frame of bounded size");
        assert_eq!(minicbor::decode::<Frame>(&again).ok(), Some(frame), "a frame encoded again");
    }
}

/// An entry's bytes.
pub fn entry(bytes: &[u8]) {
    let Ok(read) = Entry::decode(bytes) else { return };
    assert!(cbor::check(bytes, ENTRY_DEPTH_MAX).is_ok(), "well-formed");
    let passes = read.check().is_ok();
    if read.body == Body::Unknown {
        assert!(passes || read.head.gps.is_some() || read.head.attachments.is_some(), "kept as it came");
        return;
    }
    let again = Entry::decode(&read.encode());
    assert_eq!(again.as_ref().ok(), Some(&read), "an entry encoded again");
    assert_eq!(again.is_ok_and(|again| again.check().is_ok()), passes, "the same verdict");
}

/// The board that changes are judged against, and the actor they must be by.
pub fn stage() -> &'static (Confirmed, Expected) {
    static STAGE: OnceLock<(Confirmed, Expected)> = OnceLock::new();
    STAGE.get_or_init(|| {
        let actor = |device: u8| device_actor([device; 16].into(), [1; 16].into(), [7; 16].into(), 0);
        let edits = [
            Edit::NoteReplace("hello you".into()),
            Edit::AddTag("cat".into()),
            Edit::AddTask { id: TASK.parse().expect("a UUID"), text: "call".into(), by: String::new() },
            Edit::Instruction("go".into()),
        ];
        let at = Timestamp::from_millis(1_000_000);
        let board = Confirmed::genesis(BoardKind::Case);
        let made = board.edited(actor(2), BoardRole::Supervisor, &edits, at).expect("edits of a board");
        (made.board().clone(), Expected::new(actor(1), BoardRole::Officer))
    })
}

/// A change to a board, as it is and with its checksum put right.
pub fn board(bytes: &[u8]) {
    judge(bytes);
    if bytes.len() > 8 {
        let checksum = sha256(&[&bytes[8..]]);
        let repaired = [&bytes[..4], &checksum[..4], &bytes[8..]].concat();
        judge(&repaired);
    }
}

fn judge(change: &[u8]) {
    let (board, expected) = stage();
    let scan = prescan(change, &Limits::default());
    match admit(board, change, expected) {
        Ok(Verdict::Admitted(admitted)) => {
            assert_eq!(admitted.bytes(), change, "the author's bytes");
            assert_eq!(scan.map(|scan| scan.hash), Ok(admitted.hash()), "the pre-scan saw it");
            let loaded = Confirmed::load(admitted.doc_bytes()).expect("an admitted board loads");
            assert_eq!(loaded.heads(), admitted.heads(), "with its heads");
            assert_eq!(loaded.view(), admitted.board().view(), "and shows the same");
            let again = admit(&loaded, change, expected);
            assert!(matches!(again, Ok(Verdict::Duplicate)), "twice is a duplicate");
            let merged = board.merged(&[change]).expect("a phone takes what the server admitted");
            assert_eq!(merged.heads(), loaded.heads(), "and has the same board");
        }
        Ok(Verdict::Duplicate) => assert!(scan.is_ok_and(|scan| board.has(&scan.hash)), "known"),
        Err(_) => {}
    }
}

/// A request's body, compressed or as it is inside, and the proof beside it.
pub fn request(bytes: &[u8]) {
    if let Ok(inflated) = inflate(bytes, INFLATED_BYTES_MAX) {
        assert!(inflated.len() <= INFLATED_BYTES_MAX, "bounded");
        inside(&inflated);
    }
    inside(bytes);
    if let Ok(proof) = minicbor::decode::<RequestProof>(bytes) {
        proof.verify(&phone().public(), deployment(), "POST", "/v1/sync", bytes);
    }
}

fn inside(bytes: &[u8]) {
    let Ok(request) = Request::decode(bytes) else { return };
    assert!(request.envelopes.len() <= REQUEST_ENVELOPES_MAX && request.cursors.len() <= CASELOADS_MAX, "limits");
    assert_eq!(Request::decode(&cbor::to_vec(&request)).as_ref(), Ok(&request), "a request encoded again");
    for bytes in &request.envelopes {
        envelope(bytes);
    }
}
