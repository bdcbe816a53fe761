//! Capturing on a phone that holds 500 cases, beside what the same disk takes for a bare fsync; and what
//! the library costs a phone in storage and memory.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Instant;

use super::figures::{Figures, percentile, ratio};
use super::lab::Lab;
use super::link::enrolled;
use super::pocket::moment;
use super::{Setup, budget};
use crate::workload::history;

const CAPTURES: usize = 300;
const OPENINGS: usize = 5;
/// What a bare fsync writes: a page.
const PAGE: [u8; 4096] = [0xa5; 4096];

/// Runs it.
pub async fn run(setup: &Setup) -> anyhow::Result<Figures> {
    let mut lab = Lab::with_history(setup).await?;
    let phone = enrolled(&lab, &setup.dir, "phone.sqlite", setup.seed).await?;
    let (mut phone, copy) = phone.copied(&lab.server, "memory.sqlite")?;
    let traffic = phone.sync(&lab.server).await?;
    let memory = budget::peak_bytes(&copy, &traffic.bodies, lab.server.now())?;
    let libraries = budget::library_bytes()?;
    let mut probe = OpenOptions::new().create(true).append(true).open(setup.dir.join("fsync.probe"))?;
    let (mut captures, mut fsyncs) = (Vec::new(), Vec::new());
    for i in 0..CAPTURES {
        lab.server.clock.advance_ms(1_000);
        let case = lab.cases[i * 7 % lab.cases.len()];
        let draft = history::record(&mut lab.rng, &case, lab.server.now()).draft(case.account);
        let now = moment(&lab.server);
        let begun = start();
        phone.store.capture(draft, now, &mut phone.rng)?;
        captures.push(ms_since(begun));
        // In turns, so that both meet the same disk.
        let begun = start();
        probe.write_all(&PAGE)?;
        probe.sync_all()?;
        fsyncs.push(ms_since(begun));
    }
    let mut openings = Vec::new();
    for _ in 0..OPENINGS {
        let begun = start();
        phone = phone.reopen(&lab.server)?;
        openings.push(ms_since(begun));
    }
    for samples in [&mut captures, &mut fsyncs, &mut openings] {
        samples.sort_by(f64::total_cmp);
    }
    let (capture, fsync) = (percentile(&captures, 50), percentile(&fsyncs, 50));
    let figures = Figures::of("phone")
        .with("capture_p50_ms", capture, "ms")
        .with("capture_p99_ms", percentile(&captures, 99), "ms")
        .with("fsync_p50_ms", fsync, "ms")
        .at_most("capture_to_fsync", ratio(capture, fsync), "x", 2.0)
        .at_most("open_ms", percentile(&openings, 50), "ms", 200.0)
        .at_most("peak_memory_mb", megabytes(memory), "MB", 40.0);
    Ok(libraries.into_iter().fold(figures, |figures, (name, bytes)| figures.with(name, megabytes(bytes), "MB")))
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a figure in megabytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn start() -> Instant {
    Instant::now()
}

#[expect(clippy::float_arithmetic, reason = "a figure in milliseconds")]
fn ms_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}
