//! Board changes: each hostile one is put aside with its reason, beside an entry and another board's
//! change that are taken.

use daybook_shared::board::{BoardKind, BoardRole, Confirmed, Edit, device_actor};
use daybook_shared::wire::envelope::BoardChange;
use daybook_shared::wire::outcome::BoardState;
use daybook_tests::sim::chunk::{Parts, put_sleb, put_uleb, run};
use daybook_tests::sim::says::words;
use daybook_tests::sim::{Acc, Terms, forge};

use crate::{Scene, on_every_engine};

const KEY_STRING: u64 = 21;
const INSERT_OBJECT: u64 = 2;
const ACTION: u64 = 66;
const VALUE: u64 = 87;
const PRED_GROUP: u64 = 112;
const PRED_ACTOR: u64 = 113;
const PRED_COUNTER: u64 = 115;

/// The change that an edit of a case's untouched board makes.
fn change(scene: &Scene, acc: Acc, n: u32, role: BoardRole, edit: Edit) -> Vec<u8> {
    let dossier = scene.world.accounts[acc.0].dossier;
    let actor = device_actor(scene.raw.device, scene.raw.install, dossier, n);
    let genesis = Confirmed::genesis(BoardKind::Case);
    let edited = genesis.edited(actor, role, &[edit], scene.world.now()).unwrap();
    edited.changes()[0].bytes().to_vec()
}

fn literals(values: &[u64]) -> Vec<u8> {
    let mut data = Vec::new();
    put_sleb(&mut data, -i64::try_from(values.len()).unwrap());
    for value in values {
        put_uleb(&mut data, *value);
    }
    data
}

/// A wrong change and the code it is put aside with.
type Hostile = (&'static str, fn(&mut Parts), &'static str);

const BENT: [Hostile; 14] = [
    ("a deflated chunk", |p| p.kind = 2, "DEFLATED"),
    ("a column of billions of ops", |p| *p.column(ACTION) = run(i64::MAX, 1), "TOO_MANY_OPS"),
    ("a column of billions of preds", |p| *p.column(PRED_GROUP) = run(1, u64::MAX), "TOO_MANY_OPS"),
    ("an unknown column", |p| p.columns.push((196, vec![1])), "UNKNOWN_COLUMN"),
    ("a deflated column", |p| p.columns[0].0 |= 8, "DEFLATED"),
    ("an unknown actor", |p| p.actor = vec![3; 16], "ACTOR"),
    ("a gap in seq", |p| p.seq += 1, "SEQ_GAP"),
    ("start_op near 2^32", |p| p.start_op = u64::from(u32::MAX) - 1, "START_OP"),
    ("start_op too far ahead", |p| p.start_op += 20_000, "START_OP"),
    ("an object never made", |p| *p.column(INSERT_OBJECT) = run(-1, 3000), "SHAPE"),
    ("a message", |p| p.message = b"hi".to_vec(), "EXTRA"),
    ("extra bytes", |p| p.extra = vec![0], "EXTRA"),
    ("what it builds on is unknown", |p| p.deps = vec![[1; 32]], "MISSING_DEP"),
    ("a pred at nothing", pred_at_nothing, "SHAPE"),
];

fn pred_at_nothing(parts: &mut Parts) {
    *parts.column(PRED_GROUP) = literals(&[1]);
    *parts.column(PRED_ACTOR) = literals(&[1]);
    *parts.column(PRED_COUNTER) = literals(&[9]);
}

/// Everything that is tried.
fn hostile(scene: &Scene, acc: Acc, n: u32) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let tag = change(scene, acc, n, BoardRole::Officer, Edit::AddTag("dog".into()));
    let note = change(scene, acc, n, BoardRole::Officer, Edit::NoteReplace("aaaa".into()));
    let bent = |good: &[u8], bend: fn(&mut Parts)| {
        let mut parts = Parts::of(good);
        bend(&mut parts);
        parts.bytes()
    };
    let mut all: Vec<_> = BENT.iter().map(|(name, bend, code)| (*name, bent(&tag, *bend), *code)).collect();
    let mut torn = tag.clone();
    *torn.last_mut().unwrap() ^= 1;
    all.push(("a wrong checksum", torn, "CHECKSUM"));
    all.push(("truncated", tag[..tag.len() - 3].to_vec(), "MALFORMED"));
    all.push(("nothing", Vec::new(), "MALFORMED"));
    all.push(("bytes of an entry", vec![0xa1; 200], "MALFORMED"));
    all.push(("a string of 15 KB", bent(&note, |p| *p.column(VALUE) = vec![b'x'; 15_000]), "NOT_CANONICAL"));
    all.push(("a string of 20 KB", bent(&tag, |p| *p.column(KEY_STRING) = vec![b'x'; 20_000]), "TOO_LONG"));
    // More than is kept of a device's refused changes: its reason is that.
    all.push(("a string of 1 MB", bent(&tag, |p| *p.column(KEY_STRING) = vec![b'x'; 1 << 20]), "QUARANTINE_FULL"));
    let split = |p: &mut Parts| {
        let actions = p.column(ACTION);
        assert_eq!(*actions, run(4, 1), "one run of four inserts");
        *actions = [run(2, 1), run(2, 1)].concat();
    };
    all.push(("another split of the same run", bent(&note, split), "NOT_CANONICAL"));
    let instruction = change(scene, acc, n, BoardRole::Supervisor, Edit::Instruction("stop".into()));
    all.push(("a key the role does not own", instruction, "KEY_NOT_OWNED"));
    all
}

#[test]
fn a_hostile_change_is_put_aside_and_its_neighbours_are_taken() {
    on_every_engine(|scene| {
        let good = scene.acc;
        let count = hostile(scene, good, 0).len();
        for index in 0..count {
            // A board of its own each, as an actor that was put aside is not heard again.
            let acc = scene.world.account(scene.amina, Terms::months(2));
            let (name, bad, expected) = hostile(scene, acc, 0).swap_remove(index);
            let visit = forge::visit(&mut scene.world, &scene.raw, good);
            let good_n = u32::try_from(index).unwrap() + 1;
            let neighbour = {
                let dossier = scene.world.accounts[good.0].dossier;
                let actor = device_actor(scene.raw.device, scene.raw.install, dossier, good_n);
                let board = board_of(scene, good);
                let edit = Edit::AddTag(format!("tag {index}"));
                board.edited(actor, BoardRole::Officer, &[edit], scene.world.now()).unwrap().changes()[0]
                    .bytes()
                    .to_vec()
            };
            let of = |acc: Acc| scene.world.accounts[acc.0].dossier;
            let changes = vec![
                BoardChange { dossier: of(acc), n: 0, change: bad.clone() },
                BoardChange { dossier: of(good), n: good_n, change: neighbour },
                // What follows from the same actor is the echo of the first.
                BoardChange {
                    dossier: of(acc),
                    n: 0,
                    change: change(scene, acc, 0, BoardRole::Officer, Edit::AddTag("x".into())),
                },
            ];
            let verdicts = scene.raw.upload(&scene.world, &[visit.encode()], changes);
            assert_eq!(words(&verdicts.outcomes[0]), "noted", "{name}");
            let states: Vec<_> =
                verdicts.board.iter().map(|verdict| (verdict.state, verdict.reason.as_deref())).collect();
            assert_eq!(states[0], (BoardState::Quarantined, Some(expected)), "{name}");
            assert_eq!(states[1], (BoardState::Merged, None), "{name}");
            assert_eq!(states[2], (BoardState::Quarantined, Some("AFTER_QUARANTINED")), "{name}");
            let kept: Vec<(Vec<u8>, String)> =
                scene.world.server.rows("select bytes, reason from quarantine order by id desc limit 2");
            let bytes = if expected == "QUARANTINE_FULL" { Vec::new() } else { bad };
            assert!(kept.contains(&(bytes, expected.to_owned())), "{name}: the raw bytes are kept with the reason");
        }
        let view = board_of(scene, good).view();
        assert_eq!(view.tags.len(), count, "every neighbour is on its board");
    });
}

/// The board the server has.
fn board_of(scene: &Scene, acc: Acc) -> Confirmed {
    let key = scene.world.accounts[acc.0].dossier_id;
    let rows: Vec<(Vec<u8>,)> = scene.world.server.rows(&format!("select bytes from board where dossier_id = {key}"));
    rows.first().map_or_else(|| Confirmed::genesis(BoardKind::Case), |row| Confirmed::load(&row.0).unwrap())
}

#[test]
fn a_board_nobody_gave_this_device_is_not_written_on() {
    on_every_engine(|scene| {
        let (barasa, _) = scene.world.officer("Barasa");
        let theirs = scene.world.account(barasa, Terms::months(2));
        let change = change(scene, theirs, 0, BoardRole::Officer, Edit::AddTag("mine".into()));
        let dossier = scene.world.accounts[theirs.0].dossier;
        let nowhere = daybook_shared::ids::DossierId::from([9; 16]);
        let changes =
            vec![BoardChange { dossier, n: 0, change: change.clone() }, BoardChange { dossier: nowhere, n: 0, change }];
        let verdicts = scene.raw.upload(&scene.world, &[], changes);
        let shown: Vec<_> = verdicts.board.iter().map(|verdict| verdict.reason.as_deref()).collect();
        assert_eq!(shown, [Some("NOT_ENTITLED"), Some("NOT_ENTITLED")]);
        assert!(board_of(scene, theirs).view().tags.is_empty());
    });
}

#[test]
fn what_is_kept_of_a_device_that_floods_is_bounded() {
    on_every_engine(|scene| {
        let junk = vec![0xee; 15_000];
        let mut full = 0;
        for round in 0..3_u32 {
            for _ in 0..2 {
                let acc = scene.world.account(scene.amina, Terms::months(2));
                let dossier = scene.world.accounts[acc.0].dossier;
                let changes =
                    (0..32).map(|n| BoardChange { dossier, n: n + 100 * round, change: junk.clone() }).collect();
                let verdicts = scene.raw.upload(&scene.world, &[], changes);
                full += verdicts
                    .board
                    .iter()
                    .filter(|verdict| verdict.reason.as_deref() == Some("QUARANTINE_FULL"))
                    .count();
            }
        }
        assert!(full > 0, "the allowance ends");
        let kept: Vec<(i64,)> = scene.world.server.rows("select cast(sum(length(bytes)) as bigint) from quarantine");
        assert!(kept[0].0 <= daybook_shared::wire::limits::QUARANTINED_BYTES_MAX);
    });
}
