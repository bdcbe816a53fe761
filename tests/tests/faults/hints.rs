//! Two servers on one PostgreSQL: what one takes, the other hints at.

use std::time::Duration;

use daybook_mobile_sync::client::{Client, Options};
use daybook_tests::cluster::{Commits, Postgres, fresh_database};
use daybook_tests::lender::Lender;
use tokio::sync::mpsc;

use crate::support::Handset;

/// Less than a stream waits until it looks by itself.
const PATIENCE: Duration = Duration::from_secs(40);

/// Goal: an officer who is online hears at once of what a colleague hands in at another server. Method: both
/// have one caseload; the listener's sync after the hint brings the colleague's capture.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_on_one_server_is_hinted_at_the_other() {
    let cluster = Postgres::find_or_start(Commits::Fast).unwrap();
    let database = fresh_database(&cluster.url()).await.unwrap();
    let lender = Lender::with_a_team(database.url, 2).await.unwrap();
    let servers = [lender.serve().await.unwrap(), lender.serve().await.unwrap()];
    let mut clients = Vec::new();
    for server in &servers {
        clients.push(Client::new(&format!("http://{}", server.address()), Options::default()).unwrap());
    }
    let mut listener = Handset::new(&lender, 0, lender.now);
    let mut colleague = Handset::new(&lender, 1, lender.now);
    listener.enrol(&clients[0], &lender, 0).await;
    colleague.enrol(&clients[1], &lender, 1).await;
    listener.sync(&clients[0]).await;
    colleague.sync(&clients[1]).await;

    let (said, mut synced) = mpsc::unbounded_channel();
    let client = clients[0].clone();
    let watching = tokio::spawn(async move {
        let now = listener.now;
        let mut syncs = 0;
        let mut go_on = |report: &daybook_mobile_sync::SyncReport| {
            syncs += 1;
            said.send(report.deltas).is_ok() && (syncs == 1 || report.deltas == 0)
        };
        client.watch(&mut listener.store, &|| now, &mut listener.rng, &mut go_on).await.unwrap();
        listener
    });
    synced.recv().await.unwrap();
    let paid = colleague.cash(&lender, 0, 250);
    colleague.sync(&clients[1]).await;
    let listener = tokio::time::timeout(PATIENCE, watching).await.expect("a hint comes").unwrap();
    let dossiers = listener.store.dossiers().unwrap();
    let mut entries = dossiers.iter().flat_map(|(id, _)| listener.store.entries_of(*id).unwrap());
    assert!(entries.any(|(id, ..)| id == paid));
    for server in &servers {
        server.stop().await.unwrap();
    }
}
