//! PostgreSQL goes away while phones sync, and comes back.

use std::collections::{BTreeMap, BTreeSet};

use daybook_mobile_sync::session::{GaveUp, SyncEnd};
use daybook_shared::ids::EntryId;
use daybook_shared::wire::outcome::OutcomeState;
use daybook_tests::cluster::{Cluster, Commits, fresh_database};
use daybook_tests::lender::Lender;
use daybook_tests::phone::{Phone, Synced};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const OFFICERS: usize = 4;
/// Minor units of each capture.
const CASH: i64 = 10;
/// Captures a phone piles up while nobody answers.
const UNSENT_MAX: u64 = 6;

/// How one sync of a phone ended: the phone's number, and what it knows to be answered.
type Word = (usize, SyncEnd, BTreeSet<EntryId>);

/// An officer who captures and syncs in turn, until it is calm and all is answered.
async fn work(
    lender: std::sync::Arc<Lender>,
    number: usize,
    mut phone: Phone,
    words: mpsc::UnboundedSender<Word>,
    calm: watch::Receiver<bool>,
) -> Phone {
    loop {
        let moment = phone.moment(lender.now);
        let last = *calm.borrow();
        if !last && phone.store().status(moment).unwrap().unsent < UNSENT_MAX {
            let (store, rng) = phone.store_mut();
            store.capture(lender.cash(number, CASH), moment, rng).unwrap();
        }
        let Synced::Ended { end, .. } = phone.sync(lender.now, None).await.unwrap() else { unreachable!() };
        let done = last && end == SyncEnd::UpToDate;
        words.send((number, end, answered(&phone))).ok();
        if done {
            return phone;
        }
        tokio::task::yield_now().await;
    }
}

fn answered(phone: &Phone) -> BTreeSet<EntryId> {
    let own = phone.store().own_entries().unwrap().into_iter();
    let posted = own.filter(|(_, _, outcome)| outcome.as_ref().is_some_and(|o| o.state == OutcomeState::Posted));
    posted.map(|(id, ..)| id).collect()
}

struct Scene {
    lender: std::sync::Arc<Lender>,
    cluster: Cluster,
    server: std::sync::Arc<daybook_tests::process::Server>,
    officers: JoinSet<Phone>,
    words: mpsc::UnboundedReceiver<Word>,
    calm: watch::Sender<bool>,
    /// What any phone has said to be answered.
    answered: BTreeSet<EntryId>,
}

impl Scene {
    /// Officers at work on a private cluster.
    async fn begin() -> Self {
        let cluster = Cluster::start(Commits::Fast).unwrap();
        let database = fresh_database(&cluster.url()).await.unwrap();
        let lender = std::sync::Arc::new(Lender::on(database.url, OFFICERS).await.unwrap());
        let server = lender.serve().await.unwrap();
        let ((sender, words), (calm, is_calm)) = (mpsc::unbounded_channel(), watch::channel(false));
        let mut officers = JoinSet::new();
        for number in 0..OFFICERS {
            let phone = lender.phone(number, &server).await.unwrap();
            officers.spawn(work(std::sync::Arc::clone(&lender), number, phone, sender.clone(), is_calm.clone()));
        }
        Self { lender, cluster, server, officers, words, calm, answered: BTreeSet::new() }
    }

    /// Waits until every officer has said something of this kind.
    async fn hear_from_all(&mut self, wanted: impl Fn(&SyncEnd) -> bool) {
        let mut heard = BTreeSet::new();
        while heard.len() < OFFICERS {
            let (number, end, answered) = self.words.recv().await.unwrap();
            self.answered.extend(answered);
            if wanted(&end) {
                heard.insert(number);
            }
        }
    }

    /// The officers come to an end: every capture is posted, once.
    async fn end(mut self) -> BTreeMap<u16, u64> {
        self.calm.send(true).unwrap();
        let phones: Vec<Phone> = self.officers.join_all().await;
        self.server.stop().await.unwrap();
        let (entries, paid) = self.lender.books().await.unwrap();
        let captured: usize = phones.iter().map(|phone| phone.store().own_entries().unwrap().len()).sum();
        assert_eq!(phones.iter().map(|phone| answered(phone).len()).sum::<usize>(), captured);
        assert_eq!(entries.len(), captured);
        assert_eq!(paid, CASH * i64::try_from(captured).unwrap());
        self.lender.verify().await.unwrap();
        self.words.close();
        let mut statuses = BTreeMap::new();
        for (status, count) in phones.iter().flat_map(|phone| &phone.statuses) {
            *statuses.entry(*status).or_default() += count;
        }
        statuses
    }
}

/// Goal: without its database the server says "later", takes nothing in, and goes on by itself when the
/// database is back. Method: PostgreSQL is stopped under load until every phone has given up once.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_under_load_is_answered_503_and_loses_nothing() {
    let mut scene = Scene::begin().await;
    scene.hear_from_all(|end| *end == SyncEnd::UpToDate).await;
    scene.cluster.stop().unwrap();
    scene.hear_from_all(|end| *end == SyncEnd::GaveUp(GaveUp::ServerError(503))).await;
    scene.cluster.start_again().unwrap();
    scene.hear_from_all(|end| *end == SyncEnd::UpToDate).await;
    let statuses = scene.end().await;
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200, 503], "{statuses:?}");
}

/// Goal: I7. Method: as soon as a phone has its answer, every process of PostgreSQL and the server are
/// killed while other phones are in the middle of theirs; what any phone knows to be posted is posted
/// when they are back.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_kill_9_of_the_database_and_the_server() {
    let mut scene = Scene::begin().await;
    for _ in 0..2 {
        scene.hear_from_all(|end| *end == SyncEnd::UpToDate).await;
        scene.cluster.kill().unwrap();
        scene.server.kill().await.unwrap();
        while let Ok((_, _, answered)) = scene.words.try_recv() {
            scene.answered.extend(answered);
        }
        scene.cluster.start_again().unwrap();
        let (entries, _) = scene.lender.books().await.unwrap();
        assert!(scene.answered.len() >= OFFICERS);
        for id in &scene.answered {
            assert_eq!(entries.get(id).map(String::as_str), Some("posted"), "I7: {id} was answered");
        }
        scene.server.start_again(None).await.unwrap();
    }
    scene.end().await;
}
