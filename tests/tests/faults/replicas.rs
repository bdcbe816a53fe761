//! Two servers on one PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_mobile_sync::session::SyncEnd;
use daybook_tests::cluster::{Commits, Postgres, fresh_database};
use daybook_tests::lender::Lender;
use daybook_tests::phone::{Phone, Synced};
use daybook_tests::process::Server;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
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

/// Storms of a test run; `STORMS` asks for more, and `STORM_FIRST` says with which seed they begin.
const STORMS: u64 = 2;
/// How often a phone turns to the other server before it is up to date.
const TURNS_MAX: usize = 200;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Goal: no capture is lost or doubled when one of two servers dies under load. Method: envelopes over the same ten
/// cases go to either server; one is killed, while phones are in the middle of their syncs, after so many of them as
/// the seed says, and comes back later; phones turn to the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_a_storm_loses_and_doubles_nothing() {
    let first = number("STORM_FIRST", 1);
    for seed in first..first + number("STORMS", STORMS) {
        let given_up = storm(seed).await;
        println!("STORM_FIRST={seed}: {given_up} syncs ended without their server");
    }
}

async fn storm(seed: u64) -> usize {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let cluster = Postgres::find_or_start(Commits::Fast).unwrap();
    let database = fresh_database(&cluster.url()).await.unwrap();
    let lender = Arc::new(Lender::with_a_team(database.url, OFFICERS).await.unwrap());
    let servers = [lender.serve().await.unwrap(), lender.serve().await.unwrap()];
    let (sender, mut begun) = mpsc::unbounded_channel();
    let mut officers = JoinSet::new();
    for number in 0..OFFICERS {
        let phone = lender.phone(number, &servers[number % 2]).await.unwrap();
        officers.spawn(work(Arc::clone(&lender), (number, phone), servers.clone(), sender.clone()));
    }
    let victim = &servers[rng.random_range(0..2)];
    let (dies, back) = (rng.random_range(1..OFFICERS * 2), rng.random_range(1..OFFICERS));
    wait(&mut begun, dies).await;
    victim.kill().await.unwrap();
    wait(&mut begun, back).await;
    victim.start_again(None).await.unwrap();
    let done = officers.join_all().await;
    let given_up = done.iter().map(|(_, given_up)| given_up).sum();
    let mut phones: Vec<Phone> = done.into_iter().map(|(phone, _)| phone).collect();
    let captured = OFFICERS * OFFICERS * ROUNDS;
    let mut held = Vec::new();
    for phone in &mut phones {
        phone.set_server(servers[0].address());
        phone.sync(lender.now, None).await.unwrap();
        let moment = phone.moment(lender.now);
        assert_eq!(phone.store().status(moment).unwrap().unsent, 0, "seed {seed}");
        held.push(phone.store().dossiers().unwrap());
    }
    assert!(held.iter().all(|dossiers| *dossiers == held[0]), "seed {seed}: phones differ");
    for server in &servers {
        server.stop().await.unwrap();
    }
    let (entries, paid) = lender.books().await.unwrap();
    assert_eq!((entries.len(), paid), (captured, CASH * i64::try_from(captured).unwrap()), "seed {seed}");
    assert!(entries.values().all(|outcome| outcome == "posted"), "seed {seed}");
    lender.verify().await.unwrap();
    given_up
}

/// Waits until so many syncs have begun.
async fn wait(begun: &mut UnboundedReceiver<()>, syncs: usize) {
    for _ in 0..syncs {
        begun.recv().await.unwrap();
    }
}

/// An officer captures over all cases and syncs, round after round, with whichever server answers; gives the phone
/// back, and how many syncs ended without one.
async fn work(
    lender: Arc<Lender>,
    (number, mut phone): (usize, Phone),
    servers: [Arc<Server>; 2],
    begun: UnboundedSender<()>,
) -> (Phone, usize) {
    let mut given_up = 0;
    for round in 0..ROUNDS {
        for case in 0..OFFICERS {
            let moment = phone.moment(lender.now);
            let (store, rng) = phone.store_mut();
            store.capture(lender.cash(case, CASH), moment, rng).unwrap();
        }
        begun.send(()).unwrap();
        for turn in 0..=TURNS_MAX {
            phone.set_server(servers[(number + round + turn) % 2].address());
            match phone.sync(lender.now, None).await.unwrap() {
                Synced::Ended { end: SyncEnd::UpToDate, .. } => break,
                _ => given_up += 1,
            }
            assert!(turn < TURNS_MAX, "officer {number} is never up to date");
        }
    }
    (phone, given_up)
}
