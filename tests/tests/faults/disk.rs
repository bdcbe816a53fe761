//! A disk that is full.

use daybook_mobile_sync::session::{GaveUp, SyncEnd};
use daybook_tests::lender::Lender;
use daybook_tests::phone::{Synced, http_client};

const CASH: i64 = 10;
/// What the database may still grow by. Less than what SQLite keeps beside it before it tidies up.
const LEFT_BYTES: u64 = 256 * 1024;
/// Captures after which a disk as small as that must be full.
const CAPTURES_MAX: usize = 400;

/// Goal: a full disk is "later" for a phone, never a loss and never half an envelope. Method: no file of
/// the server's may grow beyond a size; a phone captures and syncs until it is told so; then there is room
/// again, without a new start.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_answered_503_takes_nothing_and_the_server_goes_on_when_there_is_room() {
    let lender = Lender::on_sqlite(1).await.unwrap();
    let server = lender.serve().await.unwrap();
    let mut phone = lender.phone(0, &server).await.unwrap();
    server.stop().await.unwrap();
    let bytes = std::fs::metadata(lender.path("daybook.db")).unwrap().len();
    server.start_again(Some(bytes + LEFT_BYTES)).await.unwrap();
    let mut captured = 0;
    let full = loop {
        assert!(captured < CAPTURES_MAX, "the disk never filled");
        let moment = phone.moment(lender.now);
        let (store, rng) = phone.store_mut();
        store.capture(lender.cash(0, CASH), moment, rng).unwrap();
        captured += 1;
        match phone.sync(lender.now, None).await.unwrap() {
            Synced::Ended { end: SyncEnd::UpToDate, .. } => {}
            Synced::Ended { end, .. } => break end,
            Synced::Killed => unreachable!(),
        }
    };
    assert_eq!(full, SyncEnd::GaveUp(GaveUp::ServerError(503)));
    assert_eq!(phone.statuses.keys().copied().collect::<Vec<_>>(), [200, 503], "{:?}", phone.statuses);
    // It does not go away by itself, and the server lives on.
    phone.sync(lender.now, None).await.unwrap();
    let alive = http_client().get(format!("http://{}/healthz", server.address())).send().await.unwrap();
    assert_eq!(alive.status().as_u16(), 200);
    // Nothing of the last envelope is there, and what is there is right.
    let (entries, paid) = lender.books().await.unwrap();
    assert_eq!((entries.len(), paid), (captured - 1, CASH * i64::try_from(captured - 1).unwrap()));
    lender.verify().await.unwrap();
    // When there is room, it goes on by itself.
    server.lift_file_limit().await.unwrap();
    let Synced::Ended { end, .. } = phone.sync(lender.now, None).await.unwrap() else { unreachable!() };
    assert_eq!(end, SyncEnd::UpToDate);
    server.stop().await.unwrap();
    let (entries, paid) = lender.books().await.unwrap();
    assert_eq!((entries.len(), paid), (captured, CASH * i64::try_from(captured).unwrap()));
    assert!(entries.values().all(|outcome| outcome == "posted"));
    lender.verify().await.unwrap();
}
