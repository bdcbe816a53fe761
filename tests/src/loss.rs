//! The database of a server process is lost (I9): a backup that is some phones and thousands of captures old
//! is put back, every phone syncs, and the books are what they were.

use std::time::{Duration, Instant};

use anyhow::ensure;
use daybook_mobile_sync::session::SyncEnd;

use crate::lender::Lender;
use crate::phone::{Phone, Synced};
use crate::process::Server;

/// Captures of a phone between two syncs.
const CAPTURES_A_SYNC: usize = 50;

/// How much is lost.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// Phones that were enrolled before the backup.
    pub phones_before: usize,
    /// Phones that are enrolled after it.
    pub phones_after: usize,
    /// Captures after it, of all phones together.
    pub captures: usize,
}

impl Loss {
    /// Officers that the lender needs.
    pub fn officers(&self) -> usize {
        self.phones_before + self.phones_after
    }
}

/// What it took.
#[derive(Debug)]
pub struct Report {
    /// Captures that came back.
    pub captures: usize,
    /// From the start of the restore to a server that answers.
    pub restore: Duration,
    /// Until every phone had synced.
    pub syncs: Duration,
}

#[expect(clippy::disallowed_methods, reason = "it says how long a recovery takes")]
/// Loses the database of a lender and puts a backup into an empty one.
pub async fn run(mut lender: Lender, empty: String, loss: Loss) -> anyhow::Result<Report> {
    let server = lender.serve().await?;
    let mut phones = Vec::new();
    for number in 0..loss.phones_before {
        phones.push(lender.phone(number, &server).await?);
    }
    work(&lender, &mut phones, CAPTURES_A_SYNC / 2).await?;
    let backup = lender.path("lender.backup");
    lender.back_up(&backup)?;
    for number in loss.phones_before..loss.officers() {
        phones.push(lender.phone(number, &server).await?);
    }
    let share = loss.captures.div_ceil(phones.len());
    for begun in (0..share).step_by(CAPTURES_A_SYNC) {
        work(&lender, &mut phones, CAPTURES_A_SYNC.min(share - begun)).await?;
    }
    let before = lender.books().await?;
    server.kill().await?;

    let begun = Instant::now();
    lender.restore(empty, &backup)?;
    let server: std::sync::Arc<Server> = lender.serve().await?;
    let restore = begun.elapsed();
    let lost = before.0.len() - lender.books().await?.0.len();
    ensure!(lost >= loss.captures, "{lost} captures came after the backup");
    let begun = Instant::now();
    for phone in &mut phones {
        phone.set_server(server.address());
        sync(&lender, phone).await?;
    }
    let syncs = begun.elapsed();
    let after = lender.books().await?;
    ensure!(after == before, "{} entries and {} paid were {} and {}", after.0.len(), after.1, before.0.len(), before.1);
    server.stop().await?;
    lender.verify().await?;
    Ok(Report { captures: lost, restore, syncs })
}

/// Every phone captures and syncs.
async fn work(lender: &Lender, phones: &mut [Phone], captures: usize) -> anyhow::Result<()> {
    for (number, phone) in phones.iter_mut().enumerate() {
        for _ in 0..captures {
            let moment = phone.moment(lender.now);
            let (store, rng) = phone.store_mut();
            store.capture(lender.cash(number, 10), moment, rng)?;
        }
        sync(lender, phone).await?;
    }
    Ok(())
}

async fn sync(lender: &Lender, phone: &mut Phone) -> anyhow::Result<()> {
    let synced = phone.sync(lender.now, None).await?;
    ensure!(matches!(synced, Synced::Ended { end: SyncEnd::UpToDate, .. }), "{synced:?}");
    Ok(())
}
