//! Connections that are open at one end only: a server that says nothing, or nothing more, or nothing of use.

use std::sync::Arc;
use std::time::Duration;

use daybook_mobile_sync::client::{Client, Options, Roots, Timeouts};
use daybook_mobile_sync::session::SyncEnd;
use daybook_tests::lender::Lender;
use daybook_tests::link::{Fate, Link};

use crate::support::Handset;

/// Long for a server in the same machine, short for a test.
const SILENCE: Duration = Duration::from_millis(400);
const WHOLE: Duration = Duration::from_secs(3);

/// Goal: a half-open connection costs a phone its silence and a retry, and nothing that was captured.
/// Method: the first connection of a sync stops before the answer, in its head, and in its body, or
/// trickles for longer than a request may take; the server may have taken the envelope by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_leaves_a_half_open_connection_and_tries_again() {
    let fates = [Fate::Silence, Fate::StopResponse { bytes: 0 }, Fate::StopResponse { bytes: 60 }];
    let fates: Vec<_> =
        fates.into_iter().chain([Fate::StopResponse { bytes: 400 }, Fate::Trickle { ms: 100 }]).collect();
    let lender = Lender::on_sqlite(fates.len()).await.unwrap();
    let server = lender.serve().await.unwrap();
    for (number, fate) in fates.into_iter().enumerate() {
        // The first connection is the enrolment's.
        let link = Link::with_fates(Arc::clone(&server), vec![Fate::Pass, fate]).await.unwrap();
        let timeouts = Timeouts { silence: SILENCE, whole: WHOLE, ..Timeouts::default() };
        let options = Options { roots: Roots::None, timeouts, ..Options::default() };
        let client = Client::new(&format!("http://{}", link.address()), options).unwrap();
        let mut phone = Handset::new(&lender, number, lender.now);
        phone.enrol(&client, &lender, number).await;
        let paid = phone.cash(&lender, number, 100);
        let report = phone.sync(&client).await;
        assert_eq!((report.end, report.retries), (SyncEnd::UpToDate, 1), "{fate:?}");
        assert_eq!(link.harmed(), 1, "{fate:?}");
        assert_eq!(phone.shown(), [(paid, "posted".to_owned())], "{fate:?}");
        assert_eq!(phone.store.dossiers().unwrap().len(), 1, "{fate:?}: the case is there");
    }
    server.stop().await.unwrap();
    let (entries, paid) = lender.books().await.unwrap();
    assert_eq!((entries.len(), paid), (5, 500), "each once");
    lender.verify().await.unwrap();
}
