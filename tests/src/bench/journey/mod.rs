//! Payments into the ledger and quotes, over HTTP at a real server process, beside what the same PostgreSQL does of
//! TPC-B: one private cluster, with its default durability for both.
//!
//! A payment takes the way it has in production. A customer with an accepted plan began it in the app and confirmed it
//! on his phone; the clock starts when the gateway's first callback is sent. The server verifies and keeps the
//! callback, asks the gateway what there is ([`crate::gateway`], in this process), and posts what it says. The clock
//! stops when the last payment is in the ledger. One callback is one payment, one request, over as many connections
//! as TPC-B has clients. Only what the ledger has counts, and `daybook verify` has to find nothing.
//!
//! Everything shares the machine: client, gateway, server and database; TPC-B has its client and the database. What is
//! not measured here: plans that come to be and payments that are begun, which are made before the clock starts.

mod connection;
mod quotes;
mod shop;
mod tpcb;

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sqlx::PgPool;

use self::connection::{Connection, deal};
use self::shop::Shop;
use super::figures::{Figures, count, percentile, ratio};
use super::{Engine, Setup, bare};
use crate::cluster::{Cluster, Commits, fresh_database};
use crate::gateway::{Callback, StubGateway};
use crate::process;

/// How large it is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Connections of the gateway, and clients of TPC-B.
    pub clients: usize,
    /// Customers who ask for quotes at once.
    pub shoppers: usize,
    /// Accepted plans.
    pub plans: usize,
    /// Payments of each, not at once: a plan's next is called back after every other plan's.
    pub payments: usize,
    /// How long quotes are asked for; and TPC-B runs, if payments did not take longer.
    pub seconds: u64,
}

/// Connections of the gateway, unless `bench journey` is told otherwise: many payers confirm at the same moment.
pub const CLIENTS: u16 = 32;

impl Size {
    /// What `bench journey` measures.
    pub fn full(clients: u16) -> Self {
        Self { clients: clients.into(), shoppers: 8, plans: 2_000, payments: 3, seconds: 8 }
    }
}

/// The shortest and the longest time between two looks at the ledger while payments come in.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How long payments may take in all.
const PATIENCE: Duration = Duration::from_mins(3);

/// Runs it.
pub async fn run(setup: &Setup, size: Size) -> anyhow::Result<Figures> {
    ensure!(setup.engine == Engine::Postgres, "the journey is measured beside pgbench: --engine postgres");
    // Of its own in any case: one that is shared may not be durable.
    let cluster = Cluster::start(Commits::Durable)?;
    let url = fresh_database(&cluster.url()).await?.url;
    let database = PgPool::connect(&url).await?;
    durable(&database).await?;
    let mut shop = Shop::open(setup, &url).await?;
    shop.open_plans(setup.seed, size).await?;
    // As pgbench does with its own tables before it begins; a lender has had payments before, too.
    let warm = shop.begin_payments((setup.seed.wrapping_add(2), size), 1).await?;
    post(&shop, &database, (size, 0..warm)).await?;
    let payments = shop.begin_payments((setup.seed.wrapping_add(3), size), size.payments).await?;
    for settling in ["vacuum (analyze)", "checkpoint"] {
        sqlx::query(settling).execute(&database).await?;
    }
    let took_s = post(&shop, &database, (size, warm..warm + payments)).await?;
    let tokens = shop.sign_in(setup, &database).await?;
    let mut latencies = quotes::ask(&shop, &tokens, size).await?;
    let asked = count(latencies.len());
    latencies.sort_by(f64::total_cmp);
    shop.stop().await?;
    let verified = process::verify(&shop.settings.program, &url, &shop.settings.keys).await?;
    ensure!(verified.status.success(), "verify: {}", String::from_utf8_lossy(&verified.stdout));
    database.close().await;
    let tpcb_tps = tpcb::run(&cluster, size, Duration::from_secs(size.seconds).max(whole(took_s))).await?;
    let postings = ratio(count(payments), took_s);
    Ok(Figures::of("journey")
        .at_least("ratio", ratio(postings, tpcb_tps), "", 0.5)
        .with("postings_per_s", postings, "/s")
        .with("tpcb_tps", tpcb_tps, "/s")
        .at_least("quotes_per_s", ratio(asked, count(size.seconds)), "/s", 2_000.0)
        .with("p99_ms", percentile(&latencies, 99), "ms"))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a run takes a few seconds")]
fn whole(seconds: f64) -> Duration {
    Duration::from_secs(seconds.ceil() as u64)
}

/// What is compared waits for the disk.
async fn durable(database: &PgPool) -> anyhow::Result<()> {
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let set: String = sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(database).await?;
        ensure!(set == "on", "{setting} is {set}");
    }
    Ok(())
}

/// The gateway calls back about every payment; seconds until all of them are in the ledger, whose payments are then
/// no more the range's beginning but its end.
async fn post(shop: &Shop, database: &PgPool, (size, payments): (Size, Range<usize>)) -> anyhow::Result<f64> {
    let callbacks = approved(&shop.gateway);
    ensure!(callbacks.len() == payments.len(), "{} callbacks instead of {}", callbacks.len(), payments.len());
    let before = posted(database).await?;
    ensure!(before == payments.start, "{before} were posted before instead of {}", payments.start);
    let mut connections = Connection::open_many(shop.address(), size.clients).await?;
    let begun = bare::start();
    let told = deal(&mut connections, callbacks, async |connection, callback| {
        let answer = connection.send(callback.request()).await?;
        answer.expect(200).map(drop)
    });
    let posting = async {
        loop {
            let there = booked(database).await?;
            let took = begun.elapsed();
            if there >= payments.end {
                return anyhow::Ok(took.as_secs_f64());
            }
            // Looking shares the machine: the next time half of what is missing should have come.
            let (came, missing) = (there - payments.start, payments.end - there);
            let missing = took * u32::try_from(missing)? / u32::try_from(came.max(1))?;
            tokio::time::sleep((missing / 2).clamp(LOOKS.0, LOOKS.1)).await;
        }
    };
    let both = tokio::time::timeout(PATIENCE, async { tokio::try_join!(told, posting) });
    let (_, took_s) = both.await.context("payments do not come to be in the ledger")??;
    ensure!(posted(database).await? == payments.end, "more was posted than was paid");
    Ok(took_s)
}

/// Every payer confirms; what the gateway has to say about it.
fn approved(gateway: &StubGateway) -> Vec<Callback> {
    gateway.waiting().iter().for_each(|reference| gateway.approve(reference));
    gateway.callbacks()
}

/// What becomes posted does so with its journal, in one transaction.
const BOOKED: &str = "select count(*) from payment where source = 'app' and state = 'posted'";
const POSTED: &str = "select count(*) from payment p join journal j on j.event = p.uid and j.kind = 'repayment'
     where p.source = 'app' and p.state = 'posted'";

/// Payments of the app that are in the ledger, by their state: cheaply, while it is measured.
async fn booked(database: &PgPool) -> anyhow::Result<usize> {
    let count: i64 = sqlx::query_scalar(BOOKED).fetch_one(database).await?;
    Ok(usize::try_from(count)?)
}

/// Payments of the app that are in the ledger.
async fn posted(database: &PgPool) -> anyhow::Result<usize> {
    let count: i64 = sqlx::query_scalar(POSTED).fetch_one(database).await?;
    Ok(usize::try_from(count)?)
}
