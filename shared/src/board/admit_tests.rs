//! What admission takes and refuses, case by case.

use super::hostile::{Parts, put_sleb, put_uleb, run};
use super::*;
use crate::time::Timestamp;

const KEY_STRING: u64 = 21;
const KEY_ACTOR: u64 = 17;
const KEY_COUNTER: u64 = 19;
const INSERT: u64 = 52;
const ACTION: u64 = 66;
const VALUE_META: u64 = 86;
const VALUE: u64 = 87;
const PRED_GROUP: u64 = 112;
const PRED_ACTOR: u64 = 113;
const PRED_COUNTER: u64 = 115;

pub(super) fn me() -> ActorId {
    device_actor([1; 16].into(), [1; 16].into(), [7; 16].into(), 0)
}

pub(super) fn other() -> ActorId {
    device_actor([2; 16].into(), [2; 16].into(), [7; 16].into(), 0)
}

pub(super) fn after(board: &Confirmed, actor: ActorId, edits: &[Edit]) -> (Confirmed, Vec<u8>) {
    let made = board.edited(actor, BoardRole::Supervisor, edits, Timestamp::from_millis(1_000_000)).unwrap();
    assert_eq!(made.changes().len(), 1);
    (made.board().clone(), made.changes()[0].bytes().to_vec())
}

pub(super) fn tag(tag: &str) -> Edit {
    Edit::AddTag(tag.into())
}

/// A case board with something under every key, and good changes to it by [`me`].
pub(super) struct Stage {
    pub(super) board: Confirmed,
    /// Puts the tag "dog" on the board.
    pub(super) tag: Vec<u8>,
    /// Inserts "xy" into the note and deletes its first two characters.
    pub(super) note: Vec<u8>,
    pub(super) instruction: Vec<u8>,
    pub(super) done: Vec<u8>,
}

pub(super) fn stage() -> Stage {
    let id = uuid::Uuid::from_u128(5);
    let start = [
        Edit::NoteReplace("hello".into()),
        tag("cat"),
        tag("eel"),
        Edit::AddTask { id, text: "call".into(), by: String::new() },
        Edit::Instruction("go".into()),
    ];
    let (board, _) = after(&Confirmed::genesis(BoardKind::Case), other(), &start);
    let (board, _) = after(&board, me(), &[Edit::NoteReplace("hello you".into())]);
    let change = |edits: &[Edit]| after(&board, me(), edits).1;
    Stage {
        tag: change(&[tag("dog")]),
        note: change(&[Edit::NoteSplice { at: 0, delete: 2, insert: "xy".into() }]),
        instruction: change(&[Edit::Instruction("stop".into())]),
        done: change(&[Edit::SetTaskDone { id, done: true }]),
        board,
    }
}

pub(super) fn judge(board: &Confirmed, change: &[u8], role: BoardRole) -> Result<Verdict, Reject> {
    admit(board, change, &Expected::new(me(), role))
}

/// A change like `good`, but for what `bend` does to it.
fn bent(good: &[u8], bend: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = Parts::of(good);
    assert_eq!(parts.bytes(), good, "the test's own writer is right");
    bend(&mut parts);
    parts.bytes()
}

#[test]
fn good_changes_pass_and_twice_is_a_duplicate() {
    let Stage { board, tag, note, instruction, done } = stage();
    for change in [&tag, &note, &instruction, &done] {
        let Ok(Verdict::Admitted(admitted)) = judge(&board, change, BoardRole::Supervisor) else { panic!("admitted") };
        assert_eq!((admitted.bytes(), admitted.heads()), (change.as_slice(), heads(admitted.doc_bytes()).unwrap()));
        assert!(matches!(judge(admitted.board(), change, BoardRole::Officer), Ok(Verdict::Duplicate)));
    }
}

#[test]
fn codes_are_distinct() {
    let codes: std::collections::BTreeSet<_> = Reject::ALL.iter().map(|reject| reject.code()).collect();
    assert_eq!(codes.len(), Reject::ALL.len());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn hostile_changes_are_refused_each_with_its_code() {
    let Stage { board, tag, note, instruction, done } = stage();
    let check = |name: &str, change: &[u8], expected: Reject| {
        assert_eq!(judge(&board, change, BoardRole::Officer).err(), Some(expected), "{name}");
        assert_eq!(Confirmed::load(board.doc_bytes()).unwrap().view(), board.view(), "{name}");
    };
    let bend_tag = |bend: fn(&mut Parts)| bent(&tag, bend);
    let bend_note = |bend: fn(&mut Parts)| bent(&note, bend);

    // The frame.
    for len in 0..tag.len() {
        check("truncated", &tag[..len], Reject::Malformed);
    }
    check("trailing bytes", &[&tag[..], &[0]].concat(), Reject::Malformed);
    check(
        "wrong checksum",
        &{
            let mut torn = tag.clone();
            torn[60] ^= 1;
            torn
        },
        Reject::Checksum,
    );
    check("document chunk", &bend_tag(|p| p.kind = 0), Reject::Malformed);
    check("deflated chunk", &bend_tag(|p| p.kind = 2), Reject::Deflated);
    check("bundle chunk", &bend_tag(|p| p.kind = 3), Reject::Malformed);
    check("1 MB string", &bend_tag(|p| *p.column(KEY_STRING) = vec![b'x'; 1 << 20]), Reject::TooLong);
    check("message", &bend_tag(|p| p.message = b"hi".to_vec()), Reject::Extra);
    check("extra bytes", &bend_tag(|p| p.extra = vec![0]), Reject::Extra);
    check("author footer", &bend_tag(|p| p.extra = vec![1, 1, 65]), Reject::Extra);
    check("time before 1970", &bend_tag(|p| p.time = -1), Reject::Time);
    check("time at the end", &bend_tag(|p| p.time = i64::MAX), Reject::Time);

    // The columns.
    check("deflated column", &bend_tag(|p| p.columns[0].0 |= 8), Reject::Deflated);
    check("unknown column", &bend_tag(|p| p.columns.push((196, vec![1]))), Reject::UnknownColumn);
    check("column of marks", &bend_tag(|p| p.columns.push((148, vec![1]))), Reject::UnknownColumn);
    check("column twice", &bend_tag(|p| p.columns.insert(1, p.columns[0].clone())), Reject::NotCanonical);
    check("billions of ops", &bend_tag(|p| *p.column(ACTION) = run(i64::MAX, 1)), Reject::TooManyOps);
    check("257 ops", &bend_tag(|p| *p.column(ACTION) = run(257, 1)), Reject::TooManyOps);
    check("billions of preds", &bend_tag(|p| *p.column(PRED_GROUP) = run(1, u64::MAX)), Reject::TooManyOps);
    check("preds overflow", &bend_tag(|p| *p.column(PRED_GROUP) = run(i64::MAX, u64::MAX)), Reject::TooManyOps);
    check("endless literals", &bend_tag(|p| *p.column(ACTION) = run(i64::MIN, 1)), Reject::Malformed);
    check("run of nulls", &bend_tag(|p| *p.column(ACTION) = run(0, 1 << 40)), Reject::Malformed);
    check("string of a gigabyte", &bend_tag(|p| *p.column(KEY_STRING) = run(1, 1_000_000_000)), Reject::Malformed);
    check(
        "no operation",
        &bend_tag(|p| {
            p.columns.clear();
            p.other_actors.clear();
        }),
        Reject::Shape,
    );
    check("unknown action", &bend_tag(|p| *p.column(ACTION) = run(-1, 9)), Reject::Malformed);

    // Another spelling of the same.
    let split_run = bent(&note, |p| {
        let actions = p.column(ACTION);
        assert_eq!(*actions, [run(2, 3), run(2, 1)].concat());
        *actions = [run(1, 3), run(1, 3), run(2, 1)].concat();
    });
    check("run split in two", &split_run, Reject::NotCanonical);
    check("null preds for zero", &bend_tag(|p| *p.column(PRED_GROUP) = vec![]), Reject::Malformed);
    check("surplus actor", &bend_tag(|p| p.other_actors.push(vec![0; 16])), Reject::NotCanonical);
    check("300 actors", &bend_tag(|p| p.other_actors = vec![vec![0; 16]; 300]), Reject::Malformed);
    check("dependency twice", &bend_tag(|p| p.deps.push(p.deps[0])), Reject::NotCanonical);
    check("actor index out of range", &bend_note(|p| *p.column(PRED_ACTOR) = run(2, 77)), Reject::Malformed);
    check(
        "key actor out of range",
        &bend_note(|p| *p.column(KEY_ACTOR) = [run(2, 77), vec![0, 1], literals(&[0])].concat()),
        Reject::Malformed,
    );

    // The chain.
    check("unknown actor", &bend_tag(|p| p.actor = vec![3; 16]), Reject::Actor);
    check("short actor", &bend_tag(|p| p.actor = vec![3; 4]), Reject::Malformed);
    check("gap in seq", &bend_tag(|p| p.seq += 1), Reject::SeqGap);
    check("seq again", &bend_tag(|p| p.seq -= 1), Reject::SeqGap);
    check("seq zero", &bend_tag(|p| p.seq = 0), Reject::SeqGap);
    check("seq at the end", &bend_tag(|p| p.seq = u64::MAX), Reject::SeqGap);
    check("start_op near 2^32", &bend_tag(|p| p.start_op = u64::from(u32::MAX) - 1), Reject::StartOp);
    check("start_op 10,000 ahead", &bend_tag(|p| p.start_op += 10_000), Reject::StartOp);
    check("start_op over 2^32", &bend_tag(|p| p.start_op = 1 << 40), Reject::Malformed);
    check("start_op of the past", &bend_tag(|p| p.start_op = 2), Reject::StartOp);
    check("start_op zero", &bend_tag(|p| p.start_op = 0), Reject::Malformed);
    check("unknown dependency", &bend_tag(|p| p.deps = vec![[1; 32]]), Reject::MissingDep);
    check("no dependency", &bend_tag(|p| p.deps.clear()), Reject::MissingDep);
    let genesis = genesis::genesis_hash(BoardKind::Case).0;
    check("own last change not named", &bent(&tag, |p| p.deps = vec![genesis]), Reject::MissingDep);

    // The operations.
    check("instruction by an officer", &instruction, Reject::KeyNotOwned);
    let root = |p: &mut Parts| p.columns.retain(|(spec, _)| *spec > 2);
    let at_root = |key: &str| {
        bent(&tag, |p| {
            root(p);
            p.other_actors.clear();
            *p.column(KEY_STRING) = string(key);
        })
    };
    check("tags replaced by a value", &at_root("tags"), Reject::KeyNotOwned);
    check("a new root key", &at_root("hold"), Reject::KeyNotOwned);
    check("a day's key on a case", &at_root("officer_seq"), Reject::KeyNotOwned);
    let delete = |p: &mut Parts| {
        *p.column(ACTION) = run(-1, 3);
        *p.column(VALUE_META) = run(-1, 0);
    };
    let note_deleted = bent(&tag, |p| {
        root(p);
        delete(p);
        *p.column(KEY_STRING) = string("note");
        predecessor(p, 1, 1);
    });
    check("the note deleted", &note_deleted, Reject::KeyNotOwned);
    check("object never made", &bend_tag(|p| *p.column(2) = run(-1, 3000)), Reject::Shape);
    check("object is a tag", &bent(&done, |p| *p.column(2) = run(-1, 10)), Reject::Shape);
    check("object is the root's own", &bend_tag(|p| *p.column(2) = run(-1, 0)), Reject::NotCanonical);
    check("map key in a Text", &bend_tag(|p| *p.column(2) = run(-1, 1)), Reject::Shape);
    check("task without an id", &bend_tag(|p| *p.column(2) = run(-1, 3)), Reject::Shape);
    check("tag too long", &bent(&tag, |p| *p.column(KEY_STRING) = string(&"x".repeat(41))), Reject::Shape);
    check("tag with a control character", &bent(&tag, |p| *p.column(KEY_STRING) = string("a\0")), Reject::Shape);
    check("tag that is false", &bend_tag(|p| *p.column(VALUE_META) = run(-1, 1)), Reject::Shape);
    check(
        "tag that is a map",
        &bend_tag(|p| {
            *p.column(ACTION) = run(-1, 0);
            *p.column(VALUE_META) = run(-1, 0);
        }),
        Reject::Shape,
    );
    check("pred at nothing", &bent(&tag, |p| predecessor(p, 1, 9)), Reject::Shape);
    check("pred at the note", &bent(&tag, |p| predecessor(p, 1, 1)), Reject::Shape);
    let pred_of_another_tag = bent(&tag, |p| {
        p.other_actors.insert(0, other().0.to_vec());
        *p.column(1) = run(-1, 2);
        predecessor(p, 1, 10);
    });
    check("pred at another tag", &pred_of_another_tag, Reject::Shape);
    check("pred in the future", &bent(&tag, |p| predecessor(p, 0, 90)), Reject::Shape);
    check("delete of no tag", &bent(&tag, |p| delete(p)), Reject::Shape);
    check(
        "done is text",
        &bent(&done, |p| {
            *p.column(VALUE_META) = run(-1, 1 << 4 | 6);
            *p.column(VALUE) = b"x".to_vec();
        }),
        Reject::Shape,
    );
    check("another key of an old task", &bent(&done, |p| *p.column(KEY_STRING) = string("text")), Reject::Shape);
    check(
        "two characters at once",
        &bend_note(|p| *p.column(VALUE_META) = [run(2, 0), literals(&[2 << 4 | 6, 6])].concat()),
        Reject::Shape,
    );
    check(
        "a number in a Text",
        &bend_note(|p| {
            *p.column(VALUE_META) = [run(2, 0), run(2, 2)].concat();
            p.columns.retain(|(spec, _)| *spec != VALUE);
        }),
        Reject::Shape,
    );
    check(
        "a put that does not insert",
        &bend_note(|p| {
            p.columns.retain(|(spec, _)| *spec != INSERT);
            *p.column(INSERT) = vec![4];
        }),
        Reject::Shape,
    );
    check(
        "an element never made",
        &bend_note(|p| *p.column(KEY_COUNTER) = literals_signed(&[5, 1, -6, 23])),
        Reject::Apply,
    );
    let of_instruction = bend_note(|p| {
        *p.column(KEY_COUNTER) = literals_signed(&[16, -10, -6, 24]);
        *p.column(PRED_COUNTER) = literals_signed(&[16, -10]);
    });
    check("the instruction's character deleted through the note", &of_instruction, Reject::Apply);
    let into_instruction = bent(&note, |p| {
        *p.column(KEY_ACTOR) = run(4, 1);
        *p.column(KEY_COUNTER) = literals_signed(&[5, 1, 10, 0]);
    });
    check("inserted after the instruction's character", &into_instruction, Reject::Apply);
    check(
        "deletes another's predecessor",
        &bend_note(|p| *p.column(PRED_COUNTER) = literals_signed(&[6, 0])),
        Reject::Shape,
    );
}

/// A literal string in a run-length column.
fn string(text: &str) -> Vec<u8> {
    let mut data = vec![0x7f];
    put_uleb(&mut data, text.len() as u64);
    data.extend(text.as_bytes());
    data
}

fn literals(values: &[u64]) -> Vec<u8> {
    let mut data = Vec::new();
    put_sleb(&mut data, -i64::try_from(values.len()).unwrap());
    for value in values {
        put_uleb(&mut data, *value);
    }
    data
}

fn literals_signed(values: &[i64]) -> Vec<u8> {
    let mut data = Vec::new();
    put_sleb(&mut data, -i64::try_from(values.len()).unwrap());
    for value in values {
        put_sleb(&mut data, *value);
    }
    data
}

/// Gives the one operation of a change a predecessor.
fn predecessor(parts: &mut Parts, actor: u64, counter: i64) {
    *parts.column(PRED_GROUP) = literals(&[1]);
    *parts.column(PRED_ACTOR) = literals(&[actor]);
    *parts.column(PRED_COUNTER) = literals_signed(&[counter]);
}

#[test]
fn a_taken_task_id_is_refused_even_where_it_was_not_seen() {
    let genesis = Confirmed::genesis(BoardKind::Case);
    let add = |text: &str| Edit::AddTask { id: uuid::Uuid::nil(), text: text.into(), by: String::new() };
    let (board, _) = after(&genesis, other(), &[add("first")]);
    let (_, rival) = after(&genesis, me(), &[add("second")]);
    assert_eq!(judge(&board, &rival, BoardRole::Officer).err(), Some(Reject::Shape));
}

#[test]
fn a_days_order_belongs_to_who_goes_to_the_field_and_cannot_go() {
    let day = Confirmed::genesis(BoardKind::Day);
    let order = |text: &str| [Edit::OfficerSeq(text.into())];
    let made = day.edited(me(), BoardRole::Officer, &order("b,a"), Timestamp::EPOCH).unwrap();
    let change = made.changes()[0].bytes();
    assert_eq!(judge(&day, change, BoardRole::CallOfficer).err(), Some(Reject::KeyNotOwned));
    for role in [BoardRole::Officer, BoardRole::Supervisor] {
        assert!(judge(&day, change, role).is_ok());
    }
    let gone = bent(change, |p| {
        *p.column(ACTION) = literals(&[3]);
        *p.column(VALUE_META) = literals(&[0]);
        p.columns.retain(|(spec, _)| *spec != VALUE);
    });
    assert_eq!(judge(&day, &gone, BoardRole::Officer).err(), Some(Reject::Shape));
    let long = "x".repeat(OFFICER_SEQ_CHARS_MAX + 1);
    let long = bent(change, |p| {
        *p.column(VALUE_META) = literals(&[(long.len() as u64) << 4 | 6]);
        *p.column(VALUE) = long.into_bytes();
    });
    assert_eq!(judge(&day, &long, BoardRole::Officer).err(), Some(Reject::Shape));
}

#[test]
fn a_change_may_start_a_little_ahead_and_a_board_may_be_full() {
    let Stage { board, tag, .. } = stage();
    let ahead = bent(&tag, |p| p.start_op += START_OP_AHEAD_MAX - 1);
    assert!(judge(&board, &ahead, BoardRole::Officer).is_ok());
    let mut expected = Expected::new(me(), BoardRole::Officer);
    expected.limits.board_bytes_max = board.doc_bytes().len();
    assert_eq!(admit(&board, &tag, &expected).err(), Some(Reject::BoardFull));
    let expected = |changes, ops| {
        let limits = Limits { board_changes_max: changes, board_ops_max: ops, ..Limits::default() };
        Expected { limits, ..Expected::new(me(), BoardRole::Officer) }
    };
    assert!(admit(&board, &tag, &expected(4, 22)).is_ok());
    assert_eq!(admit(&board, &tag, &expected(3, 22)).err(), Some(Reject::BoardFull));
    assert_eq!(admit(&board, &tag, &expected(4, 21)).err(), Some(Reject::BoardFull));
}
