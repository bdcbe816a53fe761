//! Which dossiers stay, and when they leave.

use daybook_shared::wire::exchange::{End, Frame, Relist};

use crate::session::SyncEnd;
use crate::testing::{Fault, Link, Phone, Server, case, caseload, gone, listed, present};

fn holding(cases: &[u8]) -> (Server, Phone) {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let mut frames = vec![listed(&[1])];
    frames.extend(cases.iter().map(|n| present(*n, 1, 1, 3)));
    server.hand_out(frames);
    phone.sync(&mut server);
    (server, phone)
}

fn held(phone: &Phone) -> Vec<daybook_shared::ids::DossierId> {
    let mut held: Vec<_> = phone.store.dossiers().unwrap().into_iter().map(|(id, _)| id).collect();
    held.sort_unstable();
    held
}

fn sorted(cases: &[u8]) -> Vec<daybook_shared::ids::DossierId> {
    let mut ids: Vec<_> = cases.iter().map(|n| case(*n)).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_dossier_that_left_is_purged_and_reported_once() {
    let (mut server, mut phone) = holding(&[1, 2]);
    server.hand_out(vec![gone(1, 1, 1)]);
    let report = phone.sync(&mut server);
    assert_eq!(report.purged, [case(1)]);
    assert_eq!(held(&phone), sorted(&[2]));
    assert!(phone.store.facts_of(case(1)).unwrap().is_empty());
    phone.sync_over(&mut server, &mut Link::with([Fault::RequestLost, Fault::AnswerLost]));
    phone.sync(&mut server);
    let reported: Vec<_> = server.requests.iter().map(|(_, request)| request.purged.len()).collect();
    assert_eq!(reported[2..], [1, 1, 0], "until the answer was seen");
}

#[test]
fn what_has_no_verdict_is_drained_before_the_purge() {
    let (mut server, mut phone) = holding(&[1]);
    let captured = phone.cash(1, 100);
    // The verdict on the capture does not come with the response that takes the case away.
    server.forced.push_back(daybook_shared::wire::exchange::Answer::Refused { code: "busy".to_owned() });
    server.hand_out(vec![gone(1, 1, 1)]);
    let report = phone.sync(&mut server);
    assert!(report.purged.is_empty());
    assert_eq!(phone.store.unanswered().unwrap(), [captured.id]);
    assert_eq!(held(&phone), [case(1)]);
    let report = phone.sync(&mut server);
    assert_eq!(report.purged, [case(1)]);
    assert!(held(&phone).is_empty());
    assert_eq!(server.taken[&captured.id].1, 1);
}

#[test]
fn a_newer_presence_cancels_a_pending_purge() {
    let (mut server, mut phone) = holding(&[1]);
    phone.cash(1, 100);
    server.forced.push_back(daybook_shared::wire::exchange::Answer::Refused { code: "busy".to_owned() });
    server.hand_out(vec![gone(1, 1, 1)]);
    phone.sync(&mut server);
    server.hand_out(vec![present(1, 1, 2, 5)]);
    let report = phone.sync(&mut server);
    assert!(report.purged.is_empty());
    assert_eq!(held(&phone), [case(1)]);
    assert!(phone.store.unanswered().unwrap().is_empty());
}

#[test]
fn an_old_departure_does_not_end_a_newer_membership() {
    let (mut server, mut phone) = holding(&[1]);
    server.hand_out(vec![present(1, 1, 3, 5), gone(1, 1, 2)]);
    phone.sync(&mut server);
    assert_eq!(held(&phone), [case(1)]);
    server.hand_out(vec![gone(1, 1, 3)]);
    phone.sync(&mut server);
    assert!(held(&phone).is_empty());
}

#[test]
fn a_dossier_that_moves_between_two_caseloads_of_one_phone_stays() {
    let (mut server, mut phone) = holding(&[1]);
    let captured = phone.cash(1, 100);
    server.hand_out(vec![listed(&[1, 2]), gone(1, 1, 1), present(1, 2, 2, 4)]);
    let report = phone.sync(&mut server);
    assert!(report.purged.is_empty());
    assert_eq!(held(&phone), [case(1)]);
    let entries = phone.store.entries_of(case(1)).unwrap();
    assert_eq!(entries.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [captured.id], "own entries stay with it");
}

#[test]
fn a_caseload_missing_from_the_list_ends_all_its_memberships() {
    let (mut server, mut phone) = holding(&[1, 2]);
    server.hand_out(vec![listed(&[1, 2]), present(2, 2, 5, 4)]);
    phone.sync(&mut server);
    server.hand_out(vec![listed(&[2])]);
    let report = phone.sync(&mut server);
    assert_eq!(report.purged, [case(1)]);
    assert_eq!(held(&phone), [case(2)], "held through the other caseload");
    phone.sync(&mut server);
    let (_, request) = server.requests.last().unwrap();
    assert!(request.cursors.iter().all(|cursor| cursor.caseload != caseload(1)), "its cursor is gone too");
    assert_ne!(request.caseloads_hash, 0);
}

#[test]
fn a_full_list_removes_what_it_does_not_name_once_it_has_ended() {
    let (mut server, mut phone) = holding(&[1, 2, 3]);
    let page = |cases: &[u8], last: bool| Frame {
        dossiers: Some(cases.iter().map(|n| case(*n)).collect()),
        feeds: Some(vec![caseload(1)]),
        relist: Some(vec![Relist { caseload: 0, members: (0..).zip(cases).map(|(i, _)| (i, 1)).collect(), last }]),
        ..Frame::default()
    };
    server.script.push_back((vec![page(&[1], false)], End::More));
    server.script.push_back((vec![page(&[3], true)], End::Complete));
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.purged), (SyncEnd::UpToDate, vec![case(2)]));
    assert_eq!(held(&phone), sorted(&[1, 3]));
}

#[test]
fn a_day_the_phone_opened_is_its_own_until_a_caseload_takes_it() {
    let (mut server, mut phone) = holding(&[]);
    let day = phone.store.open_today(phone.now).unwrap();
    phone.sync(&mut server);
    assert_eq!(held(&phone), [day]);
    let mut frame = present(1, 1, 1, 3);
    frame.dossiers = Some(vec![day]);
    frame.deltas.as_mut().unwrap()[0].facts.clear();
    server.hand_out(vec![frame]);
    phone.sync(&mut server);
    assert_eq!(held(&phone), [day]);
    let mut frame = gone(1, 1, 1);
    frame.dossiers = Some(vec![day]);
    server.hand_out(vec![frame]);
    assert_eq!(phone.sync(&mut server).purged, [day]);
}

#[test]
fn an_erased_entry_leaves_with_the_envelope_that_kept_it() {
    let (mut server, mut phone) = holding(&[1]);
    let captured = phone.cash(1, 100);
    phone.sync(&mut server);
    let waiting = phone.cash(1, 200);
    server.forced.push_back(daybook_shared::wire::exchange::Answer::Refused { code: "busy".to_owned() });
    let drop = daybook_shared::wire::exchange::Drop { dossier: 0, entries: vec![captured.id, waiting.id] };
    server.hand_out(vec![Frame { dossiers: Some(vec![case(1)]), drop: Some(vec![drop]), ..Frame::default() }]);
    phone.sync(&mut server);
    let left = phone.store.own_entries().unwrap();
    assert_eq!(
        left.iter().map(|(id, ..)| *id).collect::<Vec<_>>(),
        [waiting.id],
        "an unanswered capture is never deleted"
    );
    let install = phone.store.install().unwrap();
    assert!(phone.store.read().envelope(install, 1).unwrap().is_none());
    assert!(phone.store.read().envelope(install, 2).unwrap().is_some());
}
