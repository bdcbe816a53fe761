//! Boards: own changes on top of what the server admitted.

use daybook_shared::board::{ActorId, BoardKind, BoardRole, Confirmed, Edit};
use daybook_shared::wire::exchange::BoardNews;

use crate::testing::{Phone, Server, at, case, delta, listed, present};

fn holding() -> (Server, Phone) {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.sync(&mut server);
    (server, phone)
}

fn edit(phone: &mut Phone, edit: Edit) {
    phone.store.edit_board(case(1), &[edit], phone.now, &mut phone.rng).unwrap();
}

fn tag(phone: &mut Phone, tag: &str) {
    edit(phone, Edit::AddTag(tag.to_owned()));
}

fn tags(phone: &Phone) -> Vec<String> {
    phone.store.board_of(case(1)).unwrap().unwrap().tags
}

#[test]
fn edits_are_shown_at_once_and_merged_by_the_server() {
    let (mut server, mut phone) = holding();
    tag(&mut phone, "dog");
    tag(&mut phone, "evening");
    edit(&mut phone, Edit::NoteReplace("gate is behind the school".to_owned()));
    phone.reopen();
    assert_eq!(tags(&phone), ["dog", "evening"]);
    assert_eq!(phone.store.unanswered_board_changes().unwrap(), 3);
    phone.sync(&mut server);
    assert_eq!(phone.store.unanswered_board_changes().unwrap(), 0);
    assert_eq!(Some(server.boards[&case(1)].view()), phone.store.board_of(case(1)).unwrap());
    tag(&mut phone, "later");
    phone.sync(&mut server);
    assert_eq!(server.boards[&case(1)].view().tags, ["dog", "evening", "later"], "the chain goes on");
}

#[test]
fn a_colleagues_change_and_an_own_pending_one_are_both_shown() {
    let (mut server, mut phone) = holding();
    tag(&mut phone, "mine");
    let other = ActorId([5; 16]);
    let edits = [Edit::AddTag("theirs".to_owned()), Edit::NoteReplace("hello".to_owned())];
    let edited =
        Confirmed::genesis(BoardKind::Case).edited(other, BoardRole::CallOfficer, &edits, at("2026-11-22T08:00:00Z"));
    let change = edited.unwrap().changes()[0].bytes().to_vec();
    // The own change has no verdict in this response, and the colleague's one comes.
    server.forced.push_back(daybook_shared::wire::exchange::Answer::Refused { code: "busy".to_owned() });
    server.hand_out(vec![delta(1, 1, 1, 4, vec![], Some(BoardNews::Changes(vec![change.clone().into()])))]);
    phone.sync(&mut server);
    assert_eq!(tags(&phone), ["mine", "theirs"]);
    tag(&mut phone, "more");
    let genesis = Confirmed::genesis(BoardKind::Case);
    server.boards.insert(case(1), genesis.merged(&[change]).unwrap());
    phone.sync(&mut server);
    assert_eq!(Some(server.boards[&case(1)].view()), phone.store.board_of(case(1)).unwrap());
    assert_eq!(tags(&phone), ["mine", "more", "theirs"]);
    let snapshot = server.boards[&case(1)].doc_bytes().to_vec();
    server.hand_out(vec![delta(1, 1, 1, 6, vec![], Some(BoardNews::Snapshot(snapshot.into())))]);
    phone.sync(&mut server);
    assert_eq!(tags(&phone), ["mine", "more", "theirs"]);
}

#[test]
fn quarantined_words_become_a_draft_and_the_next_edit_begins_anew() {
    let (mut server, mut phone) = holding();
    tag(&mut phone, "good");
    phone.sync(&mut server);
    server.quarantine.insert(0);
    edit(&mut phone, Edit::NoteReplace("they moved to Nakuru".to_owned()));
    phone.store.seal_pending(phone.now, &mut phone.rng).unwrap();
    tag(&mut phone, "moved");
    let report = phone.sync(&mut server);
    assert_eq!(report.quarantined, 1, "once for the board, whatever follows of the same n");
    assert_eq!(tags(&phone), ["good"], "what the server had admitted");
    assert_eq!(phone.store.unanswered_board_changes().unwrap(), 0);
    let drafts = phone.store.view(phone.now).unwrap().attention().unwrap().drafts;
    assert_eq!(drafts.len(), 1);
    assert_eq!(drafts[0].words, "note: they moved to Nakuru\ntag: moved");
    assert_eq!(drafts[0].reason, "NOT_ENTITLED");
    tag(&mut phone, "again");
    phone.sync(&mut server);
    assert_eq!(server.boards[&case(1)].view().tags, ["again", "good"], "n is raised, so the server takes it");
    phone.store.dismiss_draft(drafts[0].number).unwrap();
    assert!(phone.store.view(phone.now).unwrap().attention().unwrap().drafts.is_empty());
}

#[test]
fn a_board_with_own_unanswered_changes_is_not_purged() {
    let (mut server, mut phone) = holding();
    tag(&mut phone, "mine");
    server.forced.push_back(daybook_shared::wire::exchange::Answer::Refused { code: "busy".to_owned() });
    server.hand_out(vec![crate::testing::gone(1, 1, 1)]);
    assert!(phone.sync(&mut server).purged.is_empty());
    assert_eq!(phone.sync(&mut server).purged, [case(1)]);
}

#[test]
fn a_server_that_lost_a_board_turns_own_changes_into_drafts() {
    let (mut server, mut phone) = holding();
    tag(&mut phone, "first");
    phone.sync(&mut server);
    tag(&mut phone, "second");
    server.forced.push_back(daybook_shared::wire::exchange::Answer::Refused { code: "busy".to_owned() });
    let empty = Confirmed::genesis(BoardKind::Case).doc_bytes().to_vec();
    server.hand_out(vec![delta(1, 1, 1, 4, vec![], Some(BoardNews::Snapshot(empty.into())))]);
    phone.sync(&mut server);
    assert!(tags(&phone).is_empty());
    let drafts = phone.store.view(phone.now).unwrap().attention().unwrap().drafts;
    assert_eq!((drafts[0].words.as_str(), drafts[0].reason.as_str()), ("tag: second", "BOARD_SET_BACK"));
}
