//! A new phone takes its officer's 500 cases: facts, entries and boards.

use super::Setup;
use super::figures::{Figures, count, ratio};
use super::lab::Lab;
use super::link::enrolled;
use super::pocket::floor;

/// Runs it.
pub async fn run(setup: &Setup) -> anyhow::Result<Figures> {
    let lab = Lab::with_history(setup).await?;
    // What the server keeps warm (statements, pages) is warm on a server that has run for a minute.
    enrolled(&lab, &setup.dir, "fresh-warm.sqlite", setup.seed + 1).await?.sync(&lab.server).await?;
    let mut phone = enrolled(&lab, &setup.dir, "fresh.sqlite", setup.seed).await?;
    let traffic = phone.sync(&lab.server).await?;
    let floor_down = count(floor(&traffic.entry_bytes()));
    Ok(Figures::of("fresh")
        .with("entries", count(traffic.entries()), "")
        .with("raw_entry_bytes", count(traffic.entry_bytes().len()), "B")
        .with("frames", count(traffic.frames.len()), "")
        .with("bytes_down", count(traffic.down), "B")
        .with("floor_down", floor_down, "B")
        .at_most("down_to_floor", ratio(count(traffic.down), floor_down), "x", 1.25)
        .with("round_trips", count(traffic.round_trips), "")
        .with("bytes_up", count(traffic.up), "B")
        .at_most("server_cpu_s", ratio(count(traffic.server_ns), 1e9), "s", 0.3))
}
