//! What one more capture costs the server on a case with 50, 500 and 5,000 entries.

use anyhow::ensure;
use daybook_shared::time::DAY_MS;
use daybook_shared::wire::envelope::Body;

use super::figures::{Figures, count, ratio};
use super::lab::Lab;
use super::{Setup, cpu};
use crate::workload::history;

const SIZES: [usize; 3] = [50, 500, 5_000];
/// Captures over which the cost is averaged, each in an envelope and a request of its own.
const CAPTURES: usize = 400;
/// Rounds in which the three sizes take turns, so that what the machine does meanwhile meets all.
const ROUNDS: usize = 8;
/// Entries that a handset hands in at a time, until a case has as many as it should.
const CHUNK: usize = 40;

/// Runs it.
pub async fn run(setup: &Setup) -> anyhow::Result<Figures> {
    let mut lab = Lab::new(setup, SIZES.len()).await?;
    for (case, size) in SIZES.into_iter().enumerate() {
        fill(&mut lab, case, size).await?;
    }
    let mut used = [0; SIZES.len()];
    for round in 0..ROUNDS {
        for (case, used) in used.iter_mut().enumerate() {
            let ns = capture(&mut lab, case, CAPTURES / ROUNDS).await?;
            // The first round warms what a server that runs has warm.
            *used += if round == 0 { 0 } else { ns };
        }
    }
    let captures = CAPTURES / ROUNDS * (ROUNDS - 1);
    let [us_50, us_500, us_5000] = used.map(|ns| ratio(ratio(count(ns), 1000.0), count(captures)));
    Ok(Figures::of("growth")
        .with("cpu_us_50", us_50, "us")
        .with("cpu_us_500", us_500, "us")
        .with("cpu_us_5000", us_5000, "us")
        .at_most("growth", ratio(us_5000, us_50), "x", 1.3))
}

/// Gives a case its entries, by the three handsets in turn, over half a year.
pub(super) async fn fill(lab: &mut Lab, case: usize, size: usize) -> anyhow::Result<()> {
    let about = lab.cases[case];
    let step_ms = 60 * DAY_MS / i64::try_from(size)?;
    let (mut left, mut device) = (size, 0);
    while left > 0 {
        let chunk = left.min(CHUNK);
        let mut body = Body::default();
        for _ in 0..chunk {
            lab.server.clock.advance_ms(u32::try_from(step_ms)?);
            let at = lab.server.now();
            let what = history::record(&mut lab.rng, &about, at);
            body.entries.push(lab.handsets[device].entry(&mut lab.rng, &about, at, what).into());
        }
        lab.hand_in(device, body).await?;
        left -= chunk;
        device = (device + 1) % lab.handsets.len();
    }
    Ok(())
}

/// Sends so many captures, one a request; gives the server's processor time.
async fn capture(lab: &mut Lab, case: usize, captures: usize) -> anyhow::Result<u64> {
    let about = lab.cases[case];
    let mut used = 0;
    for _ in 0..captures {
        lab.server.clock.advance_ms(60_000);
        let at = lab.server.now();
        let what = history::record(&mut lab.rng, &about, at);
        let entry = lab.handsets[0].entry(&mut lab.rng, &about, at, what);
        let body = Body { entries: vec![entry.into()], board: Vec::new() };
        let cursor = (lab.caseload.uid, lab.sequence().await?);
        let request = lab.handsets[0].request(at, &body, Some(cursor));
        let handset = &mut lab.handsets[0];
        let before = cpu::own_ns()?;
        let answer = handset.post(&lab.server, request).await;
        used += cpu::own_ns()?.saturating_sub(before);
        ensure!(answer.status.is_success(), "the server said {}", answer.json());
        handset.answered(&lab.server, &answer)?;
    }
    Ok(used)
}
