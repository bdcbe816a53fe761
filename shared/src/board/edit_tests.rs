//! Editing, merging and converging.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ids::{DossierId, Epoch};
use crate::time::Timestamp;

const AT: Timestamp = Timestamp::EPOCH;

fn dossier() -> DossierId {
    [7; 16].into()
}

fn phone(n: u8) -> ActorId {
    device_actor([n; 16].into(), [n; 16].into(), dossier(), 0)
}

fn desk() -> ActorId {
    user_actor([9; 16].into(), Epoch([1; 8]), dossier())
}

fn task(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn note(text: &str) -> Edit {
    Edit::NoteReplace(text.into())
}

fn splice(at: usize, delete: usize, insert: &str) -> Edit {
    Edit::NoteSplice { at, delete, insert: insert.into() }
}

fn add_task(n: u128, text: &str) -> Edit {
    Edit::AddTask { id: task(n), text: text.into(), by: "Amina".into() }
}

/// Admits the changes one after the other, as the server does.
fn admitted(board: &Confirmed, changes: &[AdmittedChange], actor: ActorId, role: BoardRole) -> Confirmed {
    changes.iter().fold(board.clone(), |board, change| {
        match admit(&board, change.bytes(), &Expected::new(actor, role)).unwrap() {
            Verdict::Admitted(admitted) => {
                assert_eq!(admitted.hash(), change.hash());
                admitted.into_parts().1
            }
            Verdict::Duplicate => board,
        }
    })
}

/// Edits a board and admits the changes to it: both roads must lead to the same board.
fn edited(board: &Confirmed, actor: ActorId, role: BoardRole, edits: &[Edit]) -> Confirmed {
    let edited = edit(board.doc_bytes(), actor, role, edits, AT).unwrap();
    let server = admitted(board, edited.changes(), actor, role);
    assert_eq!((server.heads(), server.view()), (edited.heads(), edited.board().view()));
    server
}

#[test]
fn every_edit_passes_its_own_admission_and_shows() {
    let supervisor = BoardRole::Supervisor;
    let board = Confirmed::genesis(BoardKind::Case);
    let edits = [
        note("Met the sister.\nCalls after 17h, naïve 👩‍👩‍👧."),
        Edit::AddTag("moved".into()),
        Edit::AddTag("dog".into()),
        Edit::RemoveTag("moved".into()),
        Edit::RemoveTag("never there".into()),
        add_task(2, "Call the guarantor"),
        add_task(1, "Bring the contract"),
        Edit::SetTaskDone { id: task(2), done: true },
        Edit::Instruction("No visits before Monday".into()),
    ];
    let board = edited(&board, desk(), supervisor, &edits);
    let board =
        edited(&board, desk(), supervisor, &[splice(4, 3, "his"), Edit::SetTaskDone { id: task(1), done: true }]);
    let view = board.view();
    assert_eq!(view.note, "Met his sister.\nCalls after 17h, naïve 👩‍👩‍👧.");
    assert_eq!(view.tags, ["dog"]);
    assert_eq!(view.tasks[0], Task { id: task(1), text: "Bring the contract".into(), by: "Amina".into(), done: true });
    assert_eq!(view.tasks[1].id, task(2));
    assert_eq!(view.instruction, "No visits before Monday");

    let day =
        edited(&Confirmed::genesis(BoardKind::Day), phone(1), BoardRole::Officer, &[Edit::OfficerSeq("b,a".into())]);
    let day = edited(&day, phone(1), BoardRole::Officer, &[Edit::OfficerSeq("a,b".into())]);
    assert_eq!(day.view().officer_seq, "a,b");
    let agent = edited(&Confirmed::genesis(BoardKind::Agent), desk(), supervisor, &[Edit::ScNote("Low float".into())]);
    assert_eq!(agent.view().sc_note, "Low float");
}

#[test]
fn an_edit_that_changes_nothing_makes_no_change() {
    let board = edited(
        &Confirmed::genesis(BoardKind::Case),
        phone(1),
        BoardRole::Officer,
        &[note("a"), Edit::AddTag("t".into()), add_task(1, "x")],
    );
    let again = [
        note("a"),
        splice(1, 0, ""),
        Edit::AddTag("t".into()),
        Edit::RemoveTag("u".into()),
        Edit::SetTaskDone { id: task(1), done: false },
    ];
    let edited = edit(board.doc_bytes(), phone(1), BoardRole::Officer, &again, AT).unwrap();
    assert!(edited.changes().is_empty());
    assert_eq!(edited.doc_bytes(), board.doc_bytes());
}

#[test]
fn a_pasted_page_becomes_several_changes_that_all_pass() {
    let long: String = ('a'..='z').cycle().take(NOTE_CHARS_MAX).collect();
    let board = Confirmed::genesis(BoardKind::Case);
    let made = edit(board.doc_bytes(), phone(1), BoardRole::Officer, &[note(&long)], AT).unwrap();
    assert_eq!(made.changes().len(), 17);
    let board = admitted(&board, made.changes(), phone(1), BoardRole::Officer);
    assert_eq!(board.view().note, long);
    let upper = long.to_uppercase();
    let board = edited(&board, phone(1), BoardRole::Officer, &[note(&upper)]);
    assert_eq!(board.view().note, upper);
    let tasks: Vec<_> = (0..TASKS_MAX as u128).map(|n| add_task(n, &"字".repeat(TASK_TEXT_CHARS_MAX))).collect();
    let board = edited(&board, phone(1), BoardRole::Officer, &tasks);
    assert_eq!(board.view().tasks.len(), TASKS_MAX);
}

#[test]
fn an_edit_beyond_role_or_limits_is_refused() {
    use BoardRole::{CallOfficer, Officer, Supervisor};
    let full: Vec<_> = (0..TAGS_MAX).map(|n| Edit::AddTag(n.to_string())).collect();
    let tasks: Vec<_> = (0..=TASKS_MAX as u128).map(|n| add_task(n, "x")).collect();
    let check = |kind, role, edits: &[Edit], expected| {
        let board = Confirmed::genesis(kind);
        assert_eq!(edit(board.doc_bytes(), phone(1), role, edits, AT).unwrap_err(), expected, "{edits:?}");
    };
    let (case, day, agent) = (BoardKind::Case, BoardKind::Day, BoardKind::Agent);
    let text = |n| "x".repeat(n);
    check(case, Officer, &[Edit::Instruction("x".into())], EditError::KeyNotOwned(BoardKey::Instruction));
    check(day, CallOfficer, &[Edit::OfficerSeq("x".into())], EditError::KeyNotOwned(BoardKey::OfficerSeq));
    check(agent, CallOfficer, &[Edit::ScNote("x".into())], EditError::KeyNotOwned(BoardKey::ScNote));
    check(day, Officer, &[note("x")], EditError::KeyNotOwned(BoardKey::Note));
    check(case, Officer, &[note(&text(4001))], EditError::Text(BoardKey::Note));
    check(case, Officer, &[note(&text(4000)), splice(0, 0, "x")], EditError::Text(BoardKey::Note));
    check(case, Officer, &[splice(1, 0, "x")], EditError::OutOfRange);
    check(case, Officer, &[splice(0, usize::MAX, "x")], EditError::OutOfRange);
    check(case, Supervisor, &[Edit::Instruction(text(2001))], EditError::Text(BoardKey::Instruction));
    for tag in ["", " a", "a\n", &text(41)] {
        check(case, Officer, &[Edit::AddTag(tag.into())], EditError::Text(BoardKey::Tags));
    }
    check(case, Officer, &[&full[..], &[Edit::AddTag("more".into())]].concat(), EditError::TooMany(BoardKey::Tags));
    check(case, Officer, &tasks, EditError::TooMany(BoardKey::Tasks));
    check(case, Officer, &[add_task(1, "x"), add_task(1, "y")], EditError::TaskExists);
    check(case, Officer, &[add_task(1, "")], EditError::Text(BoardKey::Tasks));
    check(case, Officer, &[add_task(1, &text(201))], EditError::Text(BoardKey::Tasks));
    check(case, Officer, &[Edit::SetTaskDone { id: task(1), done: true }], EditError::NoSuchTask);
    check(day, Officer, &[Edit::OfficerSeq(text(4001))], EditError::Text(BoardKey::OfficerSeq));
    let junk = edit(b"junk", phone(1), Officer, &[note("x")], AT);
    assert_eq!(junk.unwrap_err(), EditError::Board(BoardError::Damaged));
}

#[test]
fn a_note_too_long_by_merging_may_still_be_shortened() {
    let genesis = Confirmed::genesis(BoardKind::Case);
    let both = [phone(1), phone(2)].map(|actor| {
        let text = "x".repeat(3000);
        edit(genesis.doc_bytes(), actor, BoardRole::Officer, &[note(&text)], AT).unwrap().into_parts().0
    });
    let board = admitted(&genesis, &both[0], phone(1), BoardRole::Officer);
    let board = admitted(&board, &both[1], phone(2), BoardRole::Officer);
    assert_eq!(board.view().note.len(), 6000);
    let error = edit(board.doc_bytes(), phone(1), BoardRole::Officer, &[splice(0, 0, "y")], AT).unwrap_err();
    assert_eq!(error, EditError::Text(BoardKey::Note));
    assert_eq!(edited(&board, phone(1), BoardRole::Officer, &[splice(0, 500, "")]).view().note.len(), 5500);
}

#[test]
fn merging_wants_causal_order_and_whole_bytes() {
    let genesis = Confirmed::genesis(BoardKind::Case);
    let first = edit(genesis.doc_bytes(), phone(1), BoardRole::Officer, &[note("a")], AT).unwrap();
    let second = edit(first.doc_bytes(), phone(1), BoardRole::Officer, &[note("ab")], AT).unwrap();
    let rival = edit(genesis.doc_bytes(), phone(1), BoardRole::Officer, &[note("z")], AT).unwrap();
    let bytes = |edited: &Edited| edited.changes()[0].bytes().to_vec();
    let (a, b, z) = (bytes(&first), bytes(&second), bytes(&rival));
    let try_merge = |changes: &[&[u8]]| merge(genesis.doc_bytes(), changes);

    let both = try_merge(&[&a, &b, &a]).unwrap();
    assert_eq!((view(&both).unwrap().note.as_str(), heads(&both).unwrap()), ("ab", second.heads()));
    assert_eq!(merge(&both, &[&b, &a]).unwrap(), both);
    assert_eq!(try_merge(&[&b]).unwrap_err(), BoardError::MissingDep(second.changes()[0].hash()));
    assert_eq!(try_merge(&[&b, &a]).unwrap_err(), BoardError::MissingDep(second.changes()[0].hash()));
    assert_eq!(try_merge(&[&a, &z]).unwrap_err(), BoardError::Contradiction(rival.changes()[0].hash()));
    assert_eq!(merge(&both, &[&z]).unwrap_err(), BoardError::Apply);
    let mut torn = a.clone();
    *torn.last_mut().unwrap() ^= 1;
    assert_eq!(try_merge(&[&torn]).unwrap_err(), BoardError::Change(Reject::Checksum));
    for len in 0..both.len() {
        assert!(view(&both[..len]).is_err(), "{len}");
    }
    let trailing = [both.as_slice(), &b].concat();
    assert_eq!(view(&trailing).unwrap().note, "ab");
    assert_eq!(view(&[genesis.doc_bytes(), &b].concat()).unwrap_err(), BoardError::Damaged);
    assert_eq!(view(&automerge::Automerge::new().save()).unwrap_err(), BoardError::NotABoard);
}

#[test]
fn two_phones_and_a_user_converge_and_adding_wins() {
    let genesis = Confirmed::genesis(BoardKind::Case);
    let start = [note("Call first."), Edit::AddTag("dog".into()), add_task(1, "x")];
    let server = edited(&genesis, phone(1), BoardRole::Officer, &start);
    let base = server.doc_bytes().to_vec();
    let one = [splice(0, 4, "Visit"), Edit::RemoveTag("dog".into()), Edit::SetTaskDone { id: task(1), done: true }];
    let again =
        [Edit::RemoveTag("dog".into()), Edit::AddTag("dog".into()), Edit::SetTaskDone { id: task(1), done: true }];
    let online = [splice(11, 0, " Bring ID."), Edit::Instruction("Hurry".into())];
    let one = edit(&base, phone(1), BoardRole::Officer, &one, AT).unwrap();
    let two = edit(&base, phone(2), BoardRole::CallOfficer, &again, AT).unwrap();
    let desk_edit = edit(&base, desk(), BoardRole::Supervisor, &online, AT).unwrap();

    let server = admitted(&server, two.changes(), phone(2), BoardRole::CallOfficer);
    let server = admitted(&server, desk_edit.changes(), desk(), BoardRole::Supervisor);
    let server = admitted(&server, one.changes(), phone(1), BoardRole::Officer);
    let all: Vec<_> =
        [&two, &desk_edit, &one].iter().flat_map(|edited| edited.changes()).map(AdmittedChange::bytes).collect();
    for phone in [one.doc_bytes(), two.doc_bytes(), &base] {
        let merged = Confirmed::load(phone).unwrap().merged(&all).unwrap();
        assert_eq!((merged.heads(), merged.view()), (server.heads(), server.view()));
    }
    let view = server.view();
    assert_eq!((view.note.as_str(), view.instruction.as_str()), ("Visit first. Bring ID.", "Hurry"));
    assert_eq!(view.tags, ["dog"]);
    assert!(view.tasks[0].done);
    // Two values lie under "done" now; putting the one that shows resolves that, and passes.
    edited(&server, phone(1), BoardRole::Officer, &[Edit::SetTaskDone { id: task(1), done: true }]);
    edited(&server, phone(1), BoardRole::Officer, &[Edit::SetTaskDone { id: task(1), done: false }]);
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..40_usize, 0..6_usize, "[a-c é👍]{0,6}").prop_map(|(at, delete, insert)| Edit::NoteSplice {
            at,
            delete,
            insert
        }),
        "[a-d \n]{0,30}".prop_map(Edit::NoteReplace),
        "[a-c]".prop_map(Edit::AddTag),
        "[a-c]".prop_map(Edit::RemoveTag),
        (0..4_u128).prop_map(|n| add_task(n, "do")),
        (0..12_u128, any::<bool>()).prop_map(|(n, done)| Edit::SetTaskDone { id: task(n), done }),
        "[x-z]{0,5}".prop_map(Edit::Instruction),
    ]
}

/// No two authors draw the same id.
fn own_ids(edit: &Edit, who: usize) -> Edit {
    match edit.clone() {
        Edit::AddTask { id, text, by } => Edit::AddTask { id: task(id.as_u128() * 3 + who as u128), text, by },
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Three authors edit their own copies and sync now and then; whatever honest editing makes is
    /// admitted, and all copies end the same.
    #[test]
    fn honest_edits_are_always_admitted_and_converge(
        script in prop::collection::vec((0..3_usize, prop::collection::vec(any_edit(), 1..4), any::<bool>()), 1..14),
    ) {
        let actors = [phone(1), phone(2), desk()];
        let role = BoardRole::Supervisor;
        let mut server = Confirmed::genesis(BoardKind::Case);
        let mut log: Vec<Vec<u8>> = Vec::new();
        let mut copies = [server.clone(), server.clone(), server.clone()];
        let mut pending: [Vec<AdmittedChange>; 3] = Default::default();
        // At the end all three sync twice.
        for step in script.iter().map(Some).chain([None, None]) {
            if let Some((who, edits, _)) = step {
                for one in edits {
                    let one = [own_ids(one, *who)];
                    let made = copies[*who].edited(actors[*who], role, &one, AT);
                    if let Ok(made) = made {
                        copies[*who] = made.board().clone();
                        pending[*who].extend(made.into_parts().0);
                    }
                }
            }
            for who in 0..3 {
                if step.is_none_or(|(author, _, sync)| *author == who && *sync) {
                    let new = std::mem::take(&mut pending[who]);
                    server = admitted(&server, &new, actors[who], role);
                    log.extend(new.into_iter().map(AdmittedChange::into_bytes));
                    copies[who] = copies[who].merged(&log).unwrap();
                }
            }
        }
        for copy in &copies {
            prop_assert_eq!(copy.heads(), server.heads());
            prop_assert_eq!(copy.view(), server.view());
        }
        let replayed = Confirmed::genesis(BoardKind::Case).merged(&log).unwrap();
        prop_assert_eq!(replayed.view(), server.view());
    }
}

#[test]
fn of_two_roles_the_higher_may_whatever_the_lower_may() {
    use BoardRole::{CallOfficer, Officer, Supervisor};
    for key in BoardKind::ALL.into_iter().flat_map(BoardKind::keys) {
        for (lower, higher) in [(CallOfficer, Officer), (Officer, Supervisor)] {
            assert!(!lower.owns(*key) || higher.owns(*key), "{key}: {higher:?} has to own what {lower:?} owns");
        }
    }
}
