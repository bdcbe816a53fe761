//! Phones whose wall clock is decades off, over real TLS.

use daybook_mobile_sync::client::{Client, ClientError, Options, Roots};
use daybook_mobile_sync::session::SyncEnd;
use daybook_shared::time::{DAY_MS, Date};
use daybook_tests::lender::Lender;
use daybook_tests::tls::{Authority, Terminator};

use crate::support::Handset;

/// Days for which a certificate is good.
const CERTIFICATE_DAYS: i32 = 30;

fn client(authority: &Authority, terminator: &Terminator) -> Client {
    let roots = Roots::These(vec![authority.der()]);
    Client::new(&terminator.url(), Options { roots, ..Options::default() }).unwrap()
}

/// Goal: the wall clock decides nothing about TLS. Method: phones that say 1970 and 2030 enrol and sync
/// with a server whose certificate is good today; when the certificate is over by trusted time, they
/// refuse it, though their wall clocks still say the same year; a renewed one is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_at_1970_and_one_at_2030_sync_over_tls_and_refuse_what_has_expired() {
    let lender = Lender::on_sqlite(2).await.unwrap();
    let server = lender.serve().await.unwrap();
    let today: Date = "2027-03-01".parse().unwrap();
    let authority = Authority::new(today.plus_days(-1000), today.plus_days(1000)).unwrap();
    let certificate = |from: i32| {
        let from = today.plus_days(from);
        authority.server(from, from.plus_days(CERTIFICATE_DAYS)).unwrap()
    };
    let first = Terminator::start(server.address(), certificate(-1)).await.unwrap();
    let renewed = Terminator::start(server.address(), certificate(CERTIFICATE_DAYS - 2)).await.unwrap();
    let (before, after) = (client(&authority, &first), client(&authority, &renewed));
    for (number, wall) in ["1970-01-01T00:00:00Z", "2030-06-01T00:00:00Z"].into_iter().enumerate() {
        let mut phone = Handset::new(&lender, number, wall.parse().unwrap());
        phone.enrol(&before, &lender, number).await;
        let paid = phone.cash(&lender, number, 500);
        let report = phone.sync(&before).await;
        assert_eq!((report.end, report.retries), (SyncEnd::UpToDate, 0), "{wall}");
        assert_eq!(phone.shown(), [(paid, "posted".to_owned())], "{wall}");
        // A month later by the phone's count since boot.
        phone.pass_ms(u64::from(CERTIFICATE_DAYS.unsigned_abs()) * DAY_MS.unsigned_abs());
        let now = phone.now;
        let refused = before.login(&mut phone.store, ("officer", "word"), &|| now, &mut phone.rng).await;
        let Err(ClientError::Transport(cause)) = refused else { panic!("{wall}: {refused:?}") };
        assert!(cause.contains("expired"), "{wall}: {cause}");
        let next = phone.cash(&lender, number, 300);
        phone.sync(&after).await;
        assert_eq!(phone.shown(), [(paid, "posted".to_owned()), (next, "posted".to_owned())], "{wall}");
    }
    server.stop().await.unwrap();
    assert_eq!(lender.books().await.unwrap().1, 1600);
    lender.verify().await.unwrap();
}
