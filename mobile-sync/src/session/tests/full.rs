//! Storage that is full: what was captured still gets out, and all goes on when there is room again.

use daybook_shared::facts::SectionKind;
use daybook_shared::time::DAY_MS;
use daybook_shared::wire::exchange::Section;

use crate::capture::{CaptureError, RepaymentDraft, What};
use crate::session::{SessionError, SyncEnd};
use crate::store::StoreError;
use crate::testing::{Link, Phone, Server, account, delta, kes, listed, present};

/// A phone whose file cannot grow any more, with captures that were handed in 40 and 20 days ago, an envelope
/// each time, and some that were not. Gives how many.
fn full(server: &mut Server) -> (Phone, u32) {
    let mut phone = Phone::enrolled(server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    for _ in 0..2 {
        for _ in 0..60 {
            phone.cash(1, 10);
        }
        server.head.lease = Some(server.lease(60));
        phone.sync(server);
        let twenty_days_ms = 20 * DAY_MS;
        server.now = server.now.plus_ms(twenty_days_ms);
        phone.pass_ms(twenty_days_ms.unsigned_abs());
    }
    phone.store.limit_pages(1);
    let mut captured = 0;
    loop {
        let draft = What::Repayment(RepaymentDraft::cash(account(1), kes(10)));
        match phone.store.capture(draft.into(), phone.now, &mut phone.rng) {
            Ok(_) => captured += 1,
            Err(CaptureError::Store(error)) => {
                assert_eq!(error.code(), "storage_full");
                return (phone, captured);
            }
            Err(error) => panic!("{error}"),
        }
        assert!(captured < 1000, "the limit is never met");
    }
}

#[test]
fn a_full_phone_hands_in_and_captures_again() {
    let mut server = Server::new();
    let (mut phone, captured) = full(&mut server);
    assert!(captured > 0 && phone.store.unanswered().unwrap().len() == captured as usize);
    let install = phone.store.install().unwrap();
    let kept = |phone: &Phone, number| phone.store.read().envelope(install, number).unwrap().is_some();
    assert!(kept(&phone, 1) && kept(&phone, 2));
    let report = phone.sync(&mut server);
    // A server that is set back may need what is not 30 days old, and only that.
    assert!(!kept(&phone, 1) && kept(&phone, 2));
    assert_eq!((report.end, report.entries_answered), (SyncEnd::UpToDate, captured));
    assert!(phone.store.unanswered().unwrap().is_empty());
    let again = phone.cash(1, 10);
    assert_eq!(phone.store.unanswered().unwrap(), [again.id]);
    assert!(server.taken.values().all(|(_, times)| *times == 1), "nothing was handed in twice");
}

#[test]
fn what_finds_no_room_waits_and_what_was_captured_does_not() {
    let mut server = Server::new();
    let (mut phone, captured) = full(&mut server);
    // The answer to what is handed in has half a megabyte of facts in its first frame, and more later.
    let large = |n: u8| Section { kind: SectionKind::Timeline.number(), bytes: vec![n; 1 << 19].into() };
    let news = |n: u8| delta(1, 1, 1, u64::from(n), vec![large(n)], None);
    server.head = news(4);
    server.hand_out(vec![news(5)]);
    let versions = phone.store.dossiers().unwrap();
    let refused = phone.try_sync_over(&mut server, &mut Link { chunk: 1 << 20, ..Link::default() }).unwrap_err();
    assert!(matches!(&refused, SessionError::Store(error) if error.code() == "storage_full"), "{refused}");
    assert!(phone.store.unanswered().unwrap().is_empty(), "{captured} captures are handed in");
    assert_eq!(phone.store.dossiers().unwrap(), versions, "nothing of what found no room is here");
    // Room again: the server, whose cursors have not moved, says it once more.
    phone.store.limit_pages(100_000);
    server.hand_out(vec![news(5)]);
    assert_eq!(phone.sync_over(&mut server, &mut Link { chunk: 1 << 20, ..Link::default() }).end, SyncEnd::UpToDate);
    assert_ne!(phone.store.dossiers().unwrap(), versions);
}

#[test]
fn a_store_without_room_for_its_reserve_opens_and_one_with_room_has_it_again() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let reserve = phone.dir.path().join("store-reserve");
    assert!(reserve.exists());
    // It is given up in need, and made again once a sync had room for all.
    let mut times = 0;
    let done = phone.store.write_in_need(phone.now, StoreError::is_full, |_| {
        times += 1;
        if times == 1 { Err(StoreError::DiskFull) } else { Ok(reserve.exists()) }
    });
    assert!(!done.unwrap(), "there is its room, once");
    phone.sync(&mut server);
    assert!(reserve.is_file());
    std::fs::remove_file(&reserve).unwrap();
    std::fs::create_dir(&reserve).unwrap();
    phone.reopen();
    std::fs::remove_dir(&reserve).unwrap();
    phone.reopen();
    assert!(reserve.is_file());
}
