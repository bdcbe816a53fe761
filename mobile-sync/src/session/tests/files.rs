//! Files go after the data, piece by piece, and hold up nothing.

use daybook_shared::entry::AttachmentKind;
use daybook_shared::wire::sign::DeviceState;

use crate::capture::{Captured, Draft, NewFile, Override, RepaymentDraft, What};
use crate::session::{Effect, Event, Session, SyncEnd};
use crate::testing::{Fault, Link, Phone, Server, account, kes};

fn photo(length: usize) -> NewFile {
    let bytes = (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
    NewFile { bytes, mime: "image/jpeg".to_owned(), kind: AttachmentKind::Photo }
}

fn cash_with(phone: &mut Phone, files: &[NewFile]) -> Captured {
    phone.pass_ms(1000);
    let over_limit = Some(Override::CashInHand);
    let draft = What::Repayment(RepaymentDraft { over_limit, ..RepaymentDraft::cash(account(1), kes(100)) }).into();
    phone.store.capture_with(draft, files, phone.now, &mut phone.rng).unwrap()
}

fn arrived(server: &Server, file: &NewFile) -> bool {
    server.files.values().any(|bytes| *bytes == file.bytes)
}

#[test]
fn files_go_after_the_data_and_leave_the_phone_a_week_later() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let files = [photo(600_000), photo(10)];
    cash_with(&mut phone, &files);
    let report = phone.sync(&mut server);
    assert_eq!((report.end, report.entries_answered), (SyncEnd::UpToDate, 1));
    assert_eq!((report.files_sent, report.files_left, report.round_trips), (2, 0, 1 + 3 + 1));
    assert!(files.iter().all(|file| arrived(&server, file)));
    assert!(phone.store.view(phone.now).unwrap().unsent_files().unwrap().is_empty());
    let kept = |phone: &Phone| phone.store.read().kept_file_bytes().unwrap() > 0;
    assert!(kept(&phone));
    phone.pass_ms(8 * 86_400_000);
    server.now = server.now.plus_ms(8 * 86_400_000);
    phone.sync(&mut server);
    phone.sync(&mut server);
    assert!(!kept(&phone));
}

/// Goal: a link that loses any request or answer costs at most what was on its way. Method: the n-th
/// exchange fails, for every n.
#[test]
fn a_lost_piece_or_answer_is_made_up_for_wherever_it_is() {
    for at in 0..5 {
        for fault in [Fault::RequestLost, Fault::AnswerLost, Fault::CutAt(3)] {
            let mut server = Server::new();
            let mut phone = Phone::enrolled(&mut server);
            let file = photo(270_000);
            cash_with(&mut phone, std::slice::from_ref(&file));
            let mut faults = vec![Fault::None; at];
            faults.push(fault);
            let report = phone.sync_over(&mut server, &mut Link::with(faults));
            assert_eq!((report.end, report.files_left), (SyncEnd::UpToDate, 0), "{fault:?} at {at}");
            assert!(arrived(&server, &file), "{fault:?} at {at}");
        }
    }
}

#[test]
fn a_server_without_room_for_files_changes_nothing_about_the_data() {
    for (status, code) in [(503, "unavailable"), (429, "too-many-requests"), (404, "not-found"), (403, "forbidden")] {
        let mut server = Server::new();
        let mut phone = Phone::enrolled(&mut server);
        let file = photo(1_000);
        cash_with(&mut phone, std::slice::from_ref(&file));
        let mut session = Session::new();
        let mut effects = session.handle(&mut phone.store, phone.now, &mut phone.rng, Event::Start).unwrap();
        let report = loop {
            let request = match effects.pop() {
                Some(Effect::Finished(report)) => break report,
                Some(Effect::Wait { ms }) => {
                    phone.pass_ms(ms);
                    effects = session.handle(&mut phone.store, phone.now, &mut phone.rng, Event::TimerFired).unwrap();
                    continue;
                }
                Some(Effect::Send(request)) => request,
                None => panic!("an effect follows"),
            };
            if request.method == "PUT" {
                server.problems.push_back((status, format!("{{\"code\":\"{code}\"}}")));
            }
            let (status, body) = server.answer(&request);
            for event in [Event::Status { status, retry_after_ms: None }, Event::BodyBytes(&body), Event::BodyEnd] {
                let next = session.handle(&mut phone.store, phone.now, &mut phone.rng, event).unwrap();
                effects.extend(next);
            }
        };
        assert_eq!((report.end, report.entries_answered), (SyncEnd::UpToDate, 1), "{code}");
        assert_eq!((report.files_sent, report.files_left), (0, 1), "{code}");
        assert_eq!(phone.sync(&mut server).files_sent, 1, "{code}: the next session goes on");
        assert!(arrived(&server, &file));
    }
}

#[test]
fn a_file_that_is_empty_or_too_large_is_told_at_once_and_nothing_is_stored() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    for length in [0, 5 * 1024 * 1024 + 1] {
        let draft = Draft::from(What::Repayment(RepaymentDraft::cash(account(1), kes(100))));
        let refused = phone.store.capture_with(draft, &[photo(length)], phone.now, &mut phone.rng);
        assert!(refused.unwrap_err().to_string().contains("smaller photo"), "{length}");
    }
    assert!(phone.store.own_entries().unwrap().is_empty());
}

/// A locked phone gets no verdicts: its files go once the server holds what names them.
#[test]
fn a_locked_phone_sends_the_files_of_what_the_server_holds() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.state = DeviceState::Revoked;
    phone.sync(&mut server);
    let file = photo(300_000);
    cash_with(&mut phone, std::slice::from_ref(&file));
    let report = phone.sync(&mut server);
    assert_eq!(report.end, SyncEnd::Locked(DeviceState::Revoked));
    assert_eq!((report.files_sent, report.files_left), (1, 0));
    assert!(arrived(&server, &file));
    assert_eq!(phone.sync(&mut server).round_trips, 1, "the file goes once");
}
