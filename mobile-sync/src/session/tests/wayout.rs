//! Numbers that do not fit: stale requests, expected numbers, reactors, refusals.

use daybook_shared::board::Edit;
use daybook_shared::ids::EnvelopeId;
use daybook_shared::wire::envelope::Envelope;
use daybook_shared::wire::exchange::{Answer, cursors_hash};

use crate::session::{GaveUp, NEW_INSTALLS_MAX, SyncEnd};
use crate::testing::{Phone, Server, case, listed, present};

#[test]
fn a_stale_request_number_is_raised_above_the_servers() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let captured = phone.cash(1, 100);
    server.installs.get_mut(&phone.store.install().unwrap()).unwrap().request_last = 500;
    let install = phone.store.install().unwrap();
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.round_trips, report.new_installs), (SyncEnd::UpToDate, 2, 0));
    assert_eq!(phone.store.install().unwrap(), install);
    assert_eq!(server.taken[&captured.id].1, 1);
}

#[test]
fn a_number_that_stays_stale_is_somebody_elses_too() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let install = phone.store.install().unwrap();
    server.problems.extend((1..=3).map(|n| (409, format!("{{\"code\":\"stale-request\",\"last\":{}}}", n * 1000))));
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.new_installs), (SyncEnd::UpToDate, 1));
    assert_ne!(phone.store.install().unwrap(), install);
}

#[test]
fn kept_envelopes_are_sent_again_when_the_server_lost_them() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    for minor in [100, 200, 300] {
        phone.cash(1, minor);
        phone.sync(&mut server);
    }
    let install = phone.store.install().unwrap();
    // The server forgets the last two envelopes, as after a restore.
    let known = server.installs.get_mut(&install).unwrap();
    known.last = 1;
    known.envelopes.retain(|number, _| *number == 1);
    server.taken.clear();
    phone.cash(1, 400);
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.new_installs), (SyncEnd::UpToDate, 0));
    assert_eq!(server.installs[&install].last, 4);
    assert_eq!(server.taken.len(), 3);
    assert!(phone.store.unanswered().unwrap().is_empty());
}

#[test]
fn a_number_the_phone_cannot_supply_starts_a_new_install() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    let first = phone.cash(1, 100);
    phone.sync(&mut server);
    let install = phone.store.install().unwrap();
    let last_acked = server.installs[&install].envelopes[&1];
    let second = phone.cash(1, 200);
    phone.store.edit_board(case(1), &[Edit::AddTag("mine".to_owned())], phone.now, &mut phone.rng).unwrap();
    phone.store.seal_pending(phone.now, &mut phone.rng).unwrap();
    let sealed = phone.store.unanswered_envelopes_read().unwrap();
    server.forced.push_back(Answer::Expect { number: 9, previous: EnvelopeId([1; 32]) });
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.new_installs), (SyncEnd::UpToDate, 1));
    let renewed = phone.store.install().unwrap();
    assert_ne!(renewed, install);
    let (_, request) = server.requests.last().unwrap();
    let again = Envelope::decode(&request.envelopes[0]).unwrap();
    assert_eq!((again.header.number, again.header.install), (1, renewed));
    assert_eq!(again.header.previous, last_acked, "the last acknowledged one of the old install");
    assert_eq!(again.body.entries, sealed[0].body.entries, "the same ids and bytes");
    assert_ne!(again.body.board, sealed[0].body.board, "board changes are made anew by the new actor");
    assert_eq!(phone.store.board_of(case(1)).unwrap().unwrap().tags, ["mine"]);
    assert_eq!(server.boards[&case(1)].view().tags, ["mine"]);
    assert_eq!(server.taken.keys().copied().collect::<Vec<_>>(), [first.id, second.id]);
    assert!(phone.cash(1, 300).provisional, "the old block is closed");
}

#[test]
fn a_reactor_starts_a_new_install_and_too_many_are_left_to_people() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let captured = phone.cash(1, 100);
    server.forced.push_back(Answer::Reactor);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.new_installs), (SyncEnd::UpToDate, 1));
    assert_eq!(server.taken[&captured.id].1, 1);
    let (_, request) = server.requests.last().unwrap();
    assert_eq!((request.cursors_hash, request.cursors.len()), (cursors_hash([]), 0), "the feed is read again");

    let captured = phone.cash(1, 200);
    server.forced.extend((0..10).map(|_| Answer::Reactor));
    let report = phone.sync(&mut server);
    assert_eq!(report.end, SyncEnd::GaveUp(GaveUp::Numbering));
    assert_eq!(report.new_installs, NEW_INSTALLS_MAX + 1);
    assert_eq!(phone.store.unanswered().unwrap(), [captured.id], "and it is still here");
}

/// Goal: a copy of the store made before the last sync, on a host without a generation counter that
/// could tell. Method: the counter is set back with the file.
#[test]
fn a_clone_that_nobody_noticed_is_told_by_the_server() {
    use crate::store::GenerationKeeper;
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    phone.cash(1, 100);
    phone.sync(&mut server);
    let clone = phone.back_up("clone");
    let kept = phone.keeper.load().unwrap();
    let (a, install) = (phone.cash(1, 200), phone.store.install().unwrap());
    phone.sync(&mut server);
    phone.keeper.save(kept - 1).unwrap();
    phone.restore(&clone);
    assert_eq!(phone.store.install().unwrap(), install, "nothing was noticed");
    let b = phone.cash(1, 300);
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.new_installs), (SyncEnd::UpToDate, 1));
    assert!(server.taken.contains_key(&a.id) && server.taken.contains_key(&b.id));
    assert!(phone.store.unanswered().unwrap().is_empty());
}

#[test]
fn a_refused_envelope_is_kept_reported_and_not_sent_in_a_loop() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let captured = phone.cash(1, 100);
    server.forced.push_back(Answer::Refused { code: "envelope_malformed".to_owned() });
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    let report = phone.sync(&mut server);
    assert_eq!(report.end, SyncEnd::EnvelopeRefused { number: 1, code: "envelope_malformed".to_owned() });
    assert_eq!((report.round_trips, report.deltas), (1, 1), "everything else went on");
    assert_eq!(phone.store.unanswered().unwrap(), [captured.id]);
    assert_eq!(phone.sync(&mut server).end, SyncEnd::UpToDate);
}
