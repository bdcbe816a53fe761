//! A phone with 500 cases comes back: 50 captures of its own over 35 cases, 40 of its colleagues over
//! 30 others. And then again, with nothing to say.

use std::path::Path;

use anyhow::ensure;
use daybook_shared::ids::EntryId;
use daybook_shared::wire::envelope::Body;

use super::Setup;
use super::figures::{Figures, count, ratio};
use super::lab::{CASES, Lab};
use super::pocket::{Pocket, Traffic, floor, moment};
use crate::workload::history;

const OWN_VISITS: usize = 30;
const OWN_REPAYMENTS: usize = 20;
const OWN_CASES: usize = 35;
const OTHERS: usize = 40;
const OTHERS_CASES: usize = 30;

/// Runs it.
pub async fn run(setup: &Setup) -> anyhow::Result<Figures> {
    let mut lab = Lab::with_history(setup).await?;
    let mut phone = enrolled(&lab, &setup.dir, "link.sqlite", setup.seed).await?;
    phone.sync(&lab.server).await?;
    let own = capture_own(&mut lab, &mut phone)?;
    let theirs = capture_theirs(&mut lab).await?;
    // An hour passes on the way back to the network.
    lab.server.clock.advance_ms(3_600_000);
    let link = phone.sync(&lab.server).await?;
    ensure!(link.entries() == OTHERS, "{} entries came, not {OTHERS}", link.entries());
    ensure!(phone.store.unanswered()?.is_empty(), "every capture has its verdict");
    lab.server.clock.advance_ms(60_000);
    let idle = phone.sync(&lab.server).await?;
    Ok(figures(&link, &idle, &own, &theirs))
}

/// A phone of the lab's officer, enrolled and empty.
pub async fn enrolled(lab: &Lab, dir: &Path, name: &str, seed: u64) -> anyhow::Result<Pocket> {
    let mut phone = Pocket::new(&lab.server, dir, name, seed)?;
    let code = lab.server.enrolment_code(&lab.officer).await;
    phone.enrol(&lab.server, &code).await?;
    Ok(phone)
}

fn figures(link: &Traffic, idle: &Traffic, own: &[u8], theirs: &[u8]) -> Figures {
    let (floor_up, floor_down) = (count(floor(own)), count(floor(theirs)));
    Figures::of("link")
        .at_most("round_trips", count(link.round_trips), "", 1.0)
        .at_most("bytes_up", count(link.up), "B", 7_168.0)
        .with("floor_up", floor_up, "B")
        .at_most("up_to_floor", ratio(count(link.up), floor_up), "x", 1.4)
        .at_most("bytes_down", count(link.down), "B", 14_336.0)
        .with("floor_down", floor_down, "B")
        .with("header_bytes_up", count(link.header_up), "B")
        .with("header_bytes_down", count(link.header_down), "B")
        .at_most("idle_round_trips", count(idle.round_trips), "", 1.0)
        .at_most("idle_up", count(idle.up), "B", 300.0)
        .at_most("idle_down", count(idle.down), "B", 300.0)
}

/// Captures on the phone, minutes apart; gives the raw bytes of the entries.
fn capture_own(lab: &mut Lab, phone: &mut Pocket) -> anyhow::Result<Vec<u8>> {
    let mut ids: Vec<EntryId> = Vec::new();
    for i in 0..OWN_VISITS + OWN_REPAYMENTS {
        lab.server.clock.advance_ms(240_000);
        let case = lab.cases[(i % OWN_CASES) * CASES / OWN_CASES];
        let at = lab.server.now();
        let repays = i * OWN_REPAYMENTS / (OWN_VISITS + OWN_REPAYMENTS)
            != (i + 1) * OWN_REPAYMENTS / (OWN_VISITS + OWN_REPAYMENTS);
        let what = if repays { history::repayment(&mut lab.rng) } else { history::visit(&mut lab.rng, &case, at) };
        let captured = phone.store.capture(what.draft(case.account), moment(&lab.server), &mut phone.rng)?;
        ids.push(captured.id);
    }
    let entries = phone.store.own_entries()?;
    ensure!(entries.len() == ids.len(), "{} own entries, not {}", entries.len(), ids.len());
    Ok(entries.into_iter().flat_map(|(_, bytes, _)| bytes).collect())
}

/// Colleagues capture on other cases and sync; gives the raw bytes of the entries.
async fn capture_theirs(lab: &mut Lab) -> anyhow::Result<Vec<u8>> {
    let mut bodies = [Body::default(), Body::default()];
    let mut raw = Vec::new();
    let evening = lab.server.now();
    for i in 0..OTHERS {
        let case = lab.cases[(i % OTHERS_CASES) * CASES / OTHERS_CASES + 1];
        let at = evening.plus_ms(i64::try_from(i)? * 60_000 - 7_200_000);
        let what = history::record(&mut lab.rng, &case, at);
        let device = i % bodies.len();
        let entry = lab.handsets[device].entry(&mut lab.rng, &case, at, what);
        raw.extend_from_slice(&entry);
        bodies[device].entries.push(entry.into());
    }
    for (device, body) in bodies.into_iter().enumerate() {
        lab.hand_in(device, body).await?;
    }
    Ok(raw)
}
