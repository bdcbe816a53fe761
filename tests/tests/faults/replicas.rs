//! Two servers on one PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_mobile_sync::session::SyncEnd;
use daybook_tests::cluster::{Commits, Postgres, fresh_database};
use daybook_tests::lender::Lender;
use daybook_tests::phone::{Phone, Synced};
use tokio::task::JoinSet;

/// Officers, and cases: each officer brings one into the caseload of all.
const OFFICERS: usize = 10;
/// Envelopes of each officer.
const ROUNDS: usize = 4;
const CASH: i64 = 10;

/// Goal: servers share nothing but the database. Method: forty envelopes, each over the same ten cases,
/// ten at a time; a phone's next envelope goes to the other server.
#[tokio::test(flavor = "multi_thread")]
async fn forty_envelopes_over_the_same_ten_cases_through_two_servers_count_once() {
    let cluster = Postgres::find_or_start(Commits::Fast).unwrap();
    let database = fresh_database(&cluster.url()).await.unwrap();
    let lender = Arc::new(Lender::with_a_team(database.url, OFFICERS).await.unwrap());
    let servers = [lender.serve().await.unwrap(), lender.serve().await.unwrap()];
    let mut phones = Vec::new();
    for number in 0..OFFICERS {
        phones.push(lender.phone(number, &servers[number % 2]).await.unwrap());
    }
    for round in 0..ROUNDS {
        let mut syncing = JoinSet::new();
        for (number, mut phone) in phones.drain(..).enumerate() {
            let lender = Arc::clone(&lender);
            phone.set_server(servers[(number + round) % 2].address());
            syncing.spawn(async move {
                for case in 0..OFFICERS {
                    let moment = phone.moment(lender.now);
                    let (store, rng) = phone.store_mut();
                    store.capture(lender.cash(case, CASH), moment, rng).unwrap();
                }
                let synced = phone.sync(lender.now, None).await.unwrap();
                assert!(matches!(synced, Synced::Ended { end: SyncEnd::UpToDate, .. }), "{synced:?}");
                (number, phone)
            });
        }
        let back: BTreeMap<usize, Phone> = syncing.join_all().await.into_iter().collect();
        phones.extend(back.into_values());
    }
    let captured = OFFICERS * OFFICERS * ROUNDS;
    let mut held = Vec::new();
    for phone in &mut phones {
        phone.sync(lender.now, None).await.unwrap();
        assert_eq!(phone.statuses.keys().copied().collect::<Vec<_>>(), [200]);
        let dossiers = phone.store().dossiers().unwrap();
        let entries = dossiers.iter().map(|(id, _)| phone.store().entries_of(*id).unwrap().len()).sum::<usize>();
        assert_eq!(entries, captured, "everything is on every phone");
        held.push(dossiers);
    }
    assert!(held.iter().all(|dossiers| *dossiers == held[0]), "at the same versions");
    for server in &servers {
        server.stop().await.unwrap();
    }
    let (entries, paid) = lender.books().await.unwrap();
    assert_eq!((entries.len(), paid), (captured, CASH * i64::try_from(captured).unwrap()));
    assert!(entries.values().all(|outcome| outcome == "posted"));
    lender.verify().await.unwrap();
}
