//! A case with 10,000 entries as one Automerge document, asked for over HTTP, beside reading it back.

use std::time::Duration;

use anyhow::ensure;
use automerge::{AutoCommit, ReadDoc as _};
use axum::body::Body;
use axum::http::{Request, header};
use daybook_server::auth::Role;
use daybook_server::decisions::document::{MEDIA_TYPE, MEMORY_PER_BYTE};
use daybook_shared::ids::DossierId;

use super::bare::start;
use super::figures::{Figures, count, ratio};
use super::lab::Lab;
use super::{Setup, cpu, growth};

const ENTRIES: usize = 10_000;
/// The best of so many is told: what the machine does meanwhile is not the document's cost.
const RUNS: usize = 5;

const ENTRY_BYTES: &str = "select cast(sum(length(bytes)) as bigint) from entry";
/// What the server reserves for each byte of an entry.
#[expect(clippy::cast_precision_loss, reason = "a small number")]
const PER_BYTE_MAX: f64 = MEMORY_PER_BYTE as f64;

/// Runs it.
pub async fn run(setup: &Setup) -> anyhow::Result<Figures> {
    let mut lab = Lab::new(setup, 1).await?;
    growth::fill(&mut lab, 0, ENTRIES).await?;
    let root = lab.server.root().await;
    let (_, token) = lab.server.user("reader", Role::Supervisor, &root).await;
    let path = format!("/v1/dossiers/{}", DossierId::case(lab.cases[0].account));
    let (mut best, mut document) = (Duration::MAX, Vec::new());
    cpu::forget_peak()?;
    let (memory, _) = cpu::own_memory_bytes()?;
    for _ in 0..RUNS {
        let request = Request::get(&path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::ACCEPT, MEDIA_TYPE)
            .body(Body::empty())?;
        let began = start();
        let answer = lab.server.send(request).await;
        best = best.min(began.elapsed());
        ensure!(answer.status.is_success(), "the server said {}", answer.json());
        document = answer.body;
    }
    let (_, peak) = cpu::own_memory_bytes()?;
    let began = start();
    let read = AutoCommit::load(&document)?;
    let reading = began.elapsed();
    let entries = read.get(automerge::ROOT, "entries")?.map_or(0, |(_, entries)| read.length(&entries));
    ensure!(entries == ENTRIES, "the document has {entries} entries");
    let mut tx = lab.server.app.db.read().await?;
    let entry_bytes: i64 =
        daybook_server::on_db!(&mut tx, conn => sqlx::query_scalar(ENTRY_BYTES).fetch_one(conn).await)?;
    Ok(Figures::of("document")
        .with("entries", count(entries), "")
        .with("bytes", count(document.len()), "B")
        .with("us_per_entry", ratio(micros(best), count(ENTRIES)), "us")
        .at_most("memory_per_byte", ratio(count(peak - memory), count(entry_bytes)), "", PER_BYTE_MAX)
        .with("read_back_ms", ratio(micros(reading), 1000.0), "ms")
        .at_most("made_ms", ratio(micros(best), 1000.0), "ms", 1000.0))
}

fn micros(time: Duration) -> f64 {
    count(time.as_micros())
}
