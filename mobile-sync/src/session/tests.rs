//! Sessions against a scripted server, over a link that breaks wherever it can.

mod boards;
mod files;
mod full;
mod memberships;
mod wayout;
mod wipe;

use daybook_shared::wire::limits::BUDGET_BYTES_MIN;
use daybook_shared::wire::outcome::{Outcome, OutcomeState, Reason};
use daybook_shared::wire::sign::DeviceState;

use super::{BUDGET_BYTES_UP_TO, FAILURES_MAX, GaveUp, SyncEnd, UPLOAD_BYTES_UP_TO};
use crate::testing::{Fault, Link, Phone, Server, account, case, delta, fed, kes, listed, present, state};
use crate::view::ViewError;

#[test]
fn captures_are_handed_in_and_get_their_verdicts() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let (a, b) = (phone.cash(1, 100), phone.cash(1, 200));
    server.outcomes.insert(b.id, Outcome::held(Reason::DupReceipt));
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.round_trips, report.entries_answered), (SyncEnd::UpToDate, 1, 2));
    let own = phone.store.own_entries().unwrap();
    assert_eq!(own[0].2, Some(Outcome::accepted(OutcomeState::Posted, vec![])));
    assert_eq!(own[1].2, Some(Outcome::held(Reason::DupReceipt)));
    assert_eq!((own[0].0, own[1].0), (a.id, b.id));
    let held = phone.store.view(phone.now).unwrap().attention().unwrap().entries;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].reason.as_deref(), Some("DUP_RECEIPT"));

    let idle = phone.sync(&mut server);
    assert_eq!((idle.end, idle.round_trips), (SyncEnd::UpToDate, 1));
    assert!(idle.bytes_up <= 300, "{} bytes", idle.bytes_up);
}

/// Goal: wherever a response is cut, what arrived whole is kept, and the next sync brings the rest
/// exactly once. Method: cut at every byte.
#[test]
fn a_response_cut_at_any_byte_costs_only_the_frame_it_cut() {
    let scripted = || {
        let mut server = Server::new();
        let mut phone = Phone::enrolled(&mut server);
        let captured = phone.cash(1, 100);
        server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3), present(2, 1, 1, 4)]);
        (server, phone, captured)
    };
    let (mut server, mut phone, _) = scripted();
    let mut whole = Link::default();
    phone.sync_over(&mut server, &mut whole);
    let expected = phone.store.dossiers().unwrap();
    let length = whole.lengths[0];
    let mut kept = Vec::new();
    for cut in 0..length {
        let (mut server, mut phone, captured) = scripted();
        let mut link = Link { chunk: 7, ..Link::with([Fault::CutAt(cut)]) };
        // The rest comes again, as from a server that reads the cursors.
        server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3), present(2, 1, 1, 4)]);
        let report = phone.sync_over(&mut server, &mut link);
        assert_eq!(report.end, SyncEnd::UpToDate, "cut at {cut}");
        assert_eq!(phone.store.dossiers().unwrap(), expected, "cut at {cut}");
        assert_eq!(server.taken[&captured.id].1, 1, "taken once, cut at {cut}");
        assert!(phone.store.unanswered().unwrap().is_empty(), "cut at {cut}");
        // A response whose last frame came is whole, whatever is missing behind it.
        kept.push(server.requests.get(1).map_or(1, |(_, request)| request.cursors.len()));
    }
    assert!(kept.is_sorted(), "a later cut never keeps less");
    assert_eq!((kept[0], kept[length - 1]), (0, 1), "an early cut keeps nothing, a late one the cursor");
}

#[test]
fn lost_requests_and_answers_are_sent_again_as_they_were() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let captured = phone.cash(1, 100);
    let mut link = Link::with([Fault::RequestLost, Fault::AnswerLost, Fault::AnswerLost]);
    let report = phone.sync_over(&mut server, &mut link);
    assert_eq!((report.end, report.round_trips, report.retries), (SyncEnd::UpToDate, 4, 3));
    let envelopes: Vec<_> = server.requests.iter().map(|(_, request)| request.envelopes.clone()).collect();
    assert_eq!(envelopes.len(), 3);
    assert!(envelopes.iter().all(|sent| *sent == envelopes[0]), "the same bytes");
    assert_eq!(server.taken[&captured.id].1, 1);
}

#[test]
fn a_capture_between_send_and_retry_goes_in_an_envelope_of_its_own() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    phone.cash(1, 100);
    // As many failures as a session takes: it gives up.
    let mut link = Link::with([Fault::AnswerLost; 7]);
    let report = phone.sync_over(&mut server, &mut link);
    assert_eq!(report.end, SyncEnd::GaveUp(GaveUp::Unreachable));
    assert_eq!(report.round_trips, FAILURES_MAX + 1);
    phone.reopen();
    phone.cash(1, 200);
    phone.sync(&mut server);
    let (_, last) = server.requests.last().unwrap();
    assert_eq!(last.envelopes.len(), 2);
    assert_eq!(last.envelopes[0], server.requests[0].1.envelopes[0], "never repacked");
    assert_eq!(server.taken.values().map(|(_, times)| *times).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn waits_grow_with_full_jitter_and_end() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.problems.extend((0..20).map(|_| (503, String::new())));
    let mut link = Link::default();
    let report = phone.sync_over(&mut server, &mut link);
    assert_eq!(report.end, SyncEnd::GaveUp(GaveUp::ServerError(503)));
    assert_eq!(link.waits_ms.len(), FAILURES_MAX as usize);
    for (wait_ms, bound) in link.waits_ms.iter().zip([500, 1000, 2000, 4000, 8000, 16_000]) {
        assert!(*wait_ms <= bound, "{:?}", link.waits_ms);
    }
}

#[test]
fn the_budget_follows_the_connection() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let budget = |phone: &Phone| phone.store.budget_bytes().unwrap();
    assert_eq!(budget(&phone), 256 * 1024);
    phone.sync_over(&mut server, &mut Link::with([Fault::CutAt(0)]));
    assert_eq!(budget(&phone), 128 * 1024, "halved");
    phone.sync(&mut server);
    assert_eq!(budget(&phone), 256 * 1024, "doubled after two whole ones");
    for _ in 0..20 {
        phone.sync(&mut server);
    }
    assert_eq!(budget(&phone), BUDGET_BYTES_UP_TO);
    phone.sync_over(&mut server, &mut Link::with([Fault::CutAt(1); 7]));
    phone.sync_over(&mut server, &mut Link::with([Fault::CutAt(1); 7]));
    assert_eq!(budget(&phone), BUDGET_BYTES_MIN);
    assert_eq!(server.requests.last().unwrap().1.budget_bytes, BUDGET_BYTES_MIN);
    phone.sync_over(&mut server, &mut Link::with([Fault::AnswerLost]));
    assert_eq!(budget(&phone), BUDGET_BYTES_MIN, "an answer that never began says nothing about its size");
}

/// Goal: a link that loses large requests gets the envelopes through all the same.
#[test]
fn uploads_get_smaller_on_a_link_that_loses_them() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    for _ in 0..16 {
        phone.cash(1, 100);
        phone.store.seal_pending(phone.now, &mut phone.rng).unwrap();
    }
    let budget = |phone: &Phone| phone.store.read().phone().unwrap().upload_bytes;
    assert_eq!(budget(&phone), UPLOAD_BYTES_UP_TO);
    let waiting = phone.store.unanswered_envelopes().unwrap();
    let total = u32::try_from(waiting.iter().map(Vec::len).sum::<usize>()).unwrap();
    assert!(total < 2 * BUDGET_BYTES_MIN, "half of it is below the smallest budget");
    let report = phone.sync_over(&mut server, &mut Link::with([Fault::RequestLost]));
    assert_eq!((report.end, report.entries_answered), (SyncEnd::UpToDate, 16));
    let sent: Vec<_> = server.requests.iter().map(|(_, request)| request.envelopes.len()).collect();
    assert!(sent.len() > 1 && sent.iter().all(|count| (1..16).contains(count)), "{sent:?}");
    assert_eq!(sent.iter().sum::<usize>(), 16, "each once: {sent:?}");
    phone.cash(1, 100);
    phone.sync_over(&mut server, &mut Link::with([Fault::AnswerLost]));
    assert!(budget(&phone) > BUDGET_BYTES_MIN, "doubled after two whole ones; one alone cannot be smaller");
}

#[test]
fn bytes_that_never_left_are_not_counted() {
    use crate::session::{Effect, Event, Session};
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    phone.cash(1, 100);
    let mut session = Session::new();
    let mut event = Event::Start;
    let report = loop {
        let effects = session.handle(&mut phone.store, phone.now, &mut phone.rng, event).unwrap();
        event = match effects.first() {
            Some(Effect::Send(_)) => Event::NotSent,
            Some(Effect::Wait { .. }) => Event::TimerFired,
            Some(Effect::Finished(report)) => break report.clone(),
            None => panic!("every event here has an effect"),
        };
    };
    assert_eq!((report.end, report.bytes_up), (SyncEnd::GaveUp(GaveUp::Unreachable), 0));
    assert_eq!(report.retries, FAILURES_MAX);
}

#[test]
fn only_cursors_that_changed_travel_until_the_server_asks_for_all() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.sync(&mut server);
    phone.sync(&mut server);
    phone.sync(&mut server);
    let sent = |server: &Server, index: usize| server.requests[index].1.cursors.len();
    assert_eq!((sent(&server, 0), sent(&server, 1), sent(&server, 2)), (0, 1, 0));
    let hash = server.requests[1].1.cursors_hash;
    assert_eq!(server.requests[2].1.cursors_hash, hash);
    server.head.send_cursors = Some(true);
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.round_trips), (SyncEnd::UpToDate, 2));
    assert_eq!((sent(&server, 3), sent(&server, 4)), (0, 1));
}

#[test]
fn another_epoch_reads_from_the_start_and_purges_nothing() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 30)]);
    phone.sync(&mut server);
    server.epoch = daybook_shared::ids::Epoch([2; 8]);
    phone.sync(&mut server);
    assert_eq!(phone.store.dossiers().unwrap(), [(case(1), 0)]);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 5)]);
    phone.sync(&mut server);
    let (_, request) = server.requests.last().unwrap();
    assert_eq!((request.epoch, request.caseloads_hash), (Some(server.epoch), 0));
    assert_eq!(phone.store.dossiers().unwrap(), [(case(1), 5)]);
}

#[test]
fn what_the_pinned_key_did_not_sign_changes_nothing() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    phone.cash(1, 100);
    server.signer = daybook_shared::wire::sign::Signer::from_seed(&[66; 32]);
    let report = phone.sync(&mut server);
    assert_eq!(report.end, SyncEnd::GaveUp(GaveUp::Protocol));
    assert_eq!(phone.store.unanswered().unwrap().len(), 1, "no verdict of a stranger's is believed");
}

#[test]
fn colleagues_entries_and_later_verdicts_arrive() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let own = phone.cash(1, 100);
    server.outcomes.insert(own.id, Outcome::held(Reason::Backdated));
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.sync(&mut server);
    let bytes = phone.store.entries_of(case(1)).unwrap().remove(0).1;
    let mut entry = daybook_shared::entry::Entry::decode(&bytes).unwrap();
    entry.head.id = daybook_shared::ids::EntryId::from([0x77; 16]);
    entry.head.device = daybook_shared::ids::DeviceId::from([0x78; 16]);
    let posted = Outcome::accepted(OutcomeState::Posted, vec![]);
    let frame = fed(1, 5, &entry.encode(), posted.clone());
    server.hand_out(vec![frame.clone(), frame]);
    let news = |outcome: &Outcome| {
        let outcomes = vec![daybook_shared::wire::exchange::NewOutcome { entry: own.id, outcome: outcome.clone() }];
        Some(daybook_shared::wire::exchange::News { number: 9, outcomes })
    };
    server.head.news = news(&posted);
    phone.sync(&mut server);
    let entries = phone.store.entries_of(case(1)).unwrap();
    assert_eq!(entries.len(), 2, "the same entry twice is one");
    assert!(entries.iter().all(|(_, _, outcome)| outcome.as_ref() == Some(&posted)));
    let view = phone.store.view(phone.now).unwrap();
    assert_eq!(view.attention().unwrap().entries, [], "no longer held");
    let shown = view.case(case(1)).unwrap().unwrap().entries;
    assert_eq!(shown.iter().filter_map(|entry| entry.by.as_deref()).collect::<Vec<_>>(), ["Otieno Odhiambo"]);

    server.head.news = news(&Outcome::refused(Reason::Rejected));
    phone.sync(&mut server);
    assert_eq!(server.requests.last().unwrap().1.news_seen, 9);
    assert_eq!(phone.store.view(phone.now).unwrap().attention().unwrap().entries, [], "old news is no news");
}

#[test]
fn more_is_asked_for_at_once_but_not_for_ever() {
    use daybook_shared::wire::exchange::End;
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.script.push_back((vec![listed(&[1]), present(1, 1, 1, 3)], End::More));
    server.script.push_back((vec![present(2, 1, 1, 4)], End::Complete));
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.round_trips, report.deltas), (SyncEnd::UpToDate, 2, 2));
    server.script.extend((0..50).map(|_| (vec![], End::More)));
    let report = phone.sync(&mut server);
    assert_eq!(report.end, SyncEnd::GaveUp(GaveUp::Protocol));
    assert!(report.round_trips <= super::IDLE_ROUNDS_MAX);
}

#[test]
fn a_lapsed_lease_locks_the_views_and_nothing_else() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.sync(&mut server);
    server.lapsed = true;
    phone.cash(1, 100);
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.entries_answered), (SyncEnd::LoginRequired, 1));
    assert!(matches!(phone.store.view(phone.now), Err(ViewError::LeaseLapsed)));
    assert_eq!(phone.store.dossiers().unwrap().len(), 1, "nothing is deleted");
    let request = crate::enrol::lease_request(&mut phone.store, "wanjiru", "secret").unwrap();
    assert!(request.headers.iter().any(|(name, _)| *name == "daybook-device"));
    let answer = format!("{{\"lease\":\"{}\"}}", server.lease(14));
    crate::enrol::accept_lease(&mut phone.store, (201, answer.as_bytes()), &mut phone.rng).unwrap();
    assert!(phone.store.view(phone.now).is_ok());
    // The lease's own end counts by trusted time, not by the wall clock.
    phone.now.wall = crate::testing::at("2030-01-01T00:00:00Z");
    assert!(phone.store.view(phone.now).is_ok());
    phone.now.boot_ms += 15 * 86_400_000;
    assert!(matches!(phone.store.view(phone.now), Err(ViewError::LeaseLapsed)));
}

#[test]
fn a_revoked_phone_hands_in_and_shows_nothing() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.sync(&mut server);
    server.state = DeviceState::Revoked;
    phone.sync(&mut server);
    assert!(matches!(phone.store.view(phone.now), Err(ViewError::Locked(DeviceState::Revoked))));
    let captured = phone.store.capture(
        crate::capture::What::Repayment(crate::capture::RepaymentDraft {
            over_limit: Some(crate::capture::Override::CashInHand),
            ..crate::capture::RepaymentDraft::cash(account(1), kes(100))
        })
        .into(),
        phone.now,
        &mut phone.rng,
    );
    let captured = captured.unwrap();
    let report = phone.sync(&mut server);
    assert_eq!(report.end, SyncEnd::Locked(DeviceState::Revoked));
    assert_eq!(server.requests.last().unwrap().0, "/v1/deposit");
    assert_eq!(server.taken[&captured.id].1, 1);
    assert_eq!(phone.store.unanswered().unwrap(), [captured.id], "a deposit has no verdicts");
    assert_eq!(phone.store.dossiers().unwrap().len(), 1, "nothing is deleted");
    let again = phone.sync(&mut server);
    assert_eq!((again.end, again.round_trips), (SyncEnd::Locked(DeviceState::Revoked), 1));
    assert_eq!(server.requests.last().unwrap().1.envelopes.len(), 0, "handed in already");

    server.state = DeviceState::Ok;
    let report = phone.sync(&mut server);
    assert_eq!(report.end, SyncEnd::UpToDate);
    assert!(phone.store.unanswered().unwrap().is_empty(), "the verdict came with the next sync");
    assert_eq!(server.taken[&captured.id].1, 1);
    assert!(phone.store.view(phone.now).is_ok());
}

#[test]
fn a_problem_for_good_ends_the_session_and_keeps_everything() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    phone.cash(1, 100);
    server.problems.push_back((422, "{\"code\":\"validation\"}".to_owned()));
    let report = phone.sync(&mut server);
    assert_eq!(report.end, SyncEnd::Rejected { status: 422, code: Some("validation".to_owned()) });
    assert_eq!(phone.sync(&mut server).entries_answered, 1);
}

#[test]
fn facts_replace_facts_section_by_section() {
    use daybook_shared::facts::SectionKind;
    use daybook_shared::wire::exchange::Section;
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.sync(&mut server);
    let paid = daybook_shared::cbor::to_vec(&state(1500));
    let section = Section { kind: SectionKind::State.number(), bytes: paid.clone().into() };
    server.hand_out(vec![delta(1, 1, 1, 4, vec![section], None)]);
    phone.sync(&mut server);
    let facts = phone.store.facts_of(case(1)).unwrap();
    assert_eq!(facts.len(), 3);
    assert_eq!(facts[2], (SectionKind::State.number(), paid));
}
