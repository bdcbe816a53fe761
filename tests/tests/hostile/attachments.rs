//! Pieces of files that a device should not send, or not like this.

use daybook_mobile_sync::session::HttpRequest;
use daybook_shared::entry::{Attachment, AttachmentKind, Entry};
use daybook_shared::ids::{Hash, sha256};
use daybook_shared::wire::limits::ATTACHMENT_CHUNK_BYTES_MAX;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::server::Answer;
use daybook_tests::sim::{Acc, Engine, Terms, World, forge};

use crate::{Scene, on_every_engine};

fn named(file: &[u8], bytes: u32) -> Attachment {
    let (sha256, mime) = (Hash(sha256(&[file])), "text/html; <script>".to_owned());
    Attachment { sha256, mime, bytes, kind: AttachmentKind::Photo }
}

/// Whether the server says that evidence of it is missing. (A raw device may not prove its time.)
fn pends(world: &World, entry: &Entry) -> bool {
    let outcome = world.outcome(entry.head.id);
    assert!(outcome.starts_with("noted"), "{outcome}");
    outcome.ends_with("EVIDENCE_PENDING")
}

/// A visit that names these files is taken.
fn visit(world: &mut World, raw: &mut Raw, acc: Acc, files: Vec<Attachment>) -> Entry {
    let mut entry = forge::visit(world, raw, acc);
    entry.head.attachments = Some(files);
    raw.upload(world, &[entry.encode()], Vec::new());
    assert!(pends(world, &entry));
    entry
}

fn put(world: &World, raw: &mut Raw, file: &Attachment, offset: usize, piece: &[u8]) -> Answer {
    let request = raw.piece(file.sha256, (offset, file.bytes), piece);
    world.server.answer(&request)
}

fn said(answer: &Answer) -> (u16, String, i64) {
    (answer.status, answer.code(), answer.json()["received"].as_i64().unwrap_or(-1))
}

fn count(world: &World, sql: &str) -> i64 {
    let rows: Vec<(i64,)> = world.server.rows(sql);
    rows[0].0
}

#[test]
fn a_piece_is_taken_where_the_one_before_ended_and_nowhere_else() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, .. } = scene;
        let bytes: Vec<u8> = (0..1_000_u32).flat_map(u32::to_be_bytes).collect();
        let file = named(&bytes, 4_000);
        let entry = visit(world, raw, *acc, vec![file.clone()]);
        assert_eq!(said(&put(world, raw, &file, 0, &[])), (200, String::new(), 0), "no bytes: how far it is");
        assert_eq!(said(&put(world, raw, &file, 1_000, &bytes[1_000..2_000])), (409, "conflict".into(), 0), "a gap");
        assert_eq!(said(&put(world, raw, &file, 0, &bytes[..1_500])), (200, String::new(), 1_500));
        assert_eq!(said(&put(world, raw, &file, 0, &bytes[..1_500])), (409, "conflict".into(), 1_500), "again");
        assert_eq!(said(&put(world, raw, &file, 1_000, &bytes[1_000..2_000])), (409, "conflict".into(), 1_500));
        assert_eq!(said(&put(world, raw, &file, 1_500, &vec![0; 2_501])), (422, "validation".into(), -1), "its end");
        let large = vec![0; ATTACHMENT_CHUNK_BYTES_MAX + 1];
        assert_eq!(put(world, raw, &file, 1_500, &large).status, 413);
        assert_eq!(said(&put(world, raw, &file, 1_500, &bytes[1_500..])), (200, String::new(), 4_000));
        assert!(!pends(world, &entry));
        assert_eq!(put(world, raw, &file, 0, &bytes[..1]).json()["complete"], true, "it stays complete");
        assert_eq!(count(world, "select cast(sum(length(bytes)) as bigint) from attachment_chunk"), 4_000);
    });
}

#[test]
fn what_does_not_hash_is_thrown_away_and_begun_again() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, .. } = scene;
        let bytes = vec![7; 3_000];
        let file = named(&bytes, 3_000);
        let entry = visit(world, raw, *acc, vec![file.clone()]);
        put(world, raw, &file, 0, &bytes[..2_000]);
        let answer = put(world, raw, &file, 2_000, &[8; 1_000]);
        assert_eq!((answer.status, answer.json()["errors"][0]["code"].as_str()), (422, Some("hash")));
        assert_eq!(count(world, "select count(*) from attachment_chunk"), 0);
        assert!(pends(world, &entry));
        assert_eq!(said(&put(world, raw, &file, 0, &bytes)), (200, String::new(), 3_000));
        assert!(!pends(world, &entry));
    });
}

#[test]
fn only_what_an_entry_of_this_device_names_is_taken() {
    on_every_engine(|scene| {
        let (barasa, on) = scene.world.officer("Barasa");
        let theirs = scene.world.account(barasa, Terms::months(3));
        scene.world.sync(on);
        let mut other = Raw::of(&scene.world, on);
        let Scene { world, raw, acc, .. } = scene;
        let bytes = vec![3; 2_000];
        let file = named(&bytes, 2_000);
        assert_eq!(put(world, raw, &file, 0, &bytes).status, 404, "nobody names it");
        let entry = visit(world, raw, *acc, vec![file.clone()]);
        assert_eq!(put(world, &mut other, &file, 0, &bytes).status, 404, "another device's");
        assert_eq!(put(world, raw, &named(&bytes, 1_999), 0, &bytes[..10]).status, 404, "another size");
        let huge = named(&bytes, 6 * 1024 * 1024);
        visit(world, raw, *acc, vec![huge.clone()]);
        assert_eq!(put(world, raw, &huge, 0, &bytes).status, 413);
        // A signature for another place, and a request that was sent before.
        let mut moved = raw.piece(file.sha256, (0, file.bytes), &bytes[..10]);
        moved.path = moved.path.replace("offset=0", "offset=10").into();
        assert_eq!(world.server.answer(&moved).status, 401);
        let request: HttpRequest = raw.piece(file.sha256, (0, file.bytes), &bytes);
        assert_eq!(world.server.answer(&request).status, 200);
        assert_eq!(said(&world.server.answer(&request)), (409, "stale-request".into(), -1));
        assert!(!pends(world, &entry));
        // Who names what others have, without having it, gets nothing by that.
        let claimed = visit(world, &mut other, theirs, vec![file.clone()]);
        assert_eq!(said(&put(world, &mut other, &file, 0, &[])), (200, String::new(), 0), "as if it were new");
        assert!(pends(world, &claimed));
        assert_eq!(said(&put(world, &mut other, &file, 0, &bytes)), (200, String::new(), 2_000));
        assert!(!pends(world, &claimed));
        assert_eq!(count(world, "select cast(sum(length(bytes)) as bigint) from attachment_chunk"), 2_000, "once");
    });
}

#[test]
fn of_pieces_that_come_at_once_one_is_taken() {
    on_every_engine(|scene| {
        let Scene { world, raw, acc, .. } = scene;
        let bytes = vec![5; 9_000];
        let file = named(&bytes, 9_000);
        let entry = visit(world, raw, *acc, vec![file.clone()]);
        let mut offset = 0;
        while offset < bytes.len() {
            let piece = &bytes[offset..offset + 3_000];
            let requests: Vec<_> = (0..8).map(|_| raw.piece(file.sha256, (offset, file.bytes), piece)).collect();
            let answers = world.server.answer_at_once(&requests);
            let taken = answers.iter().filter(|answer| answer.status == 200).count();
            assert!(taken >= 1 && answers.iter().all(|answer| matches!(answer.status, 200 | 409 | 503)), "{answers:?}");
            offset += 3_000;
        }
        assert_eq!(count(world, "select cast(sum(length(bytes)) as bigint) from attachment_chunk"), 9_000);
        put(world, raw, &file, 0, &[]);
        assert!(!pends(world, &entry));
    });
}

#[test]
fn a_day_has_its_bytes_and_what_stops_arriving_is_forgotten() {
    for engine in Engine::all() {
        let mut world = World::with_settings(engine, 1, &[("attachment_day_bytes_max", "5000")]);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(12));
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        let bytes = vec![1; 8_000];
        let file = named(&bytes, 8_000);
        visit(&mut world, &mut raw, acc, vec![file.clone()]);
        assert_eq!(put(&world, &mut raw, &file, 0, &bytes[..4_000]).status, 200);
        let answer = put(&world, &mut raw, &file, 4_000, &bytes[4_000..]);
        assert_eq!(said(&answer), (429, "too-many-requests".into(), -1));
        assert!(answer.retry_after_ms.is_some());
        assert_eq!(said(&put(&world, &mut raw, &file, 0, &[])), (200, String::new(), 4_000), "it keeps its place");
        world.pass_ms(86_400_000);
        assert_eq!(put(&world, &mut raw, &file, 4_000, &bytes[4_000..6_000]).status, 200, "another day");
        let forget = |world: &World| {
            world.server.read(async |app, _| daybook_server::attachments::forget_partial(app).await.unwrap())
        };
        world.pass_ms(6 * 86_400_000);
        assert_eq!(forget(&world), 0);
        world.pass_ms(2 * 86_400_000);
        assert_eq!(forget(&world), 1);
        assert_eq!(count(&world, "select count(*) from attachment_chunk"), 0);
        assert_eq!(said(&put(&world, &mut raw, &file, 6_000, &bytes[6_000..])), (409, "conflict".into(), 0));
    }
}
