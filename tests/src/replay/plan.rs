//! What happens when: the accounts of each phone, and every capture, sync and mishap in order of
//! time. All of it follows from the data and the seed.

use std::collections::BTreeMap;

use daybook_server::portfolio::kiva::{Kiva, KivaPayment};
use daybook_shared::time::{DAY_MS, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// Days between two syncs of a phone, on average.
const SYNC_GAP_DAYS: i64 = 3;
/// Syncs of all phones together, about; with many phones each syncs less often.
const SYNCS_MAX: i64 = 6_000;
/// Cases that change hands at one time, at most.
const REASSIGNED_MAX: usize = 12;
/// Days between two reassignments, on average.
const REASSIGN_GAP_DAYS: i64 = 20;
/// Days between two reboots of a phone, on average.
const REBOOT_GAP_DAYS: i64 = 60;

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A customer pays; a phone captures it.
    Capture(KivaPayment),
    /// A phone syncs, and is killed after so many steps of the session.
    Sync {
        /// Which.
        phone: usize,
        /// When it is killed, if it is.
        killed_after: Option<u32>,
    },
    /// A phone goes off and on again.
    Reboot {
        /// Which.
        phone: usize,
    },
    /// The office gives cases to another caseload.
    Reassign {
        /// The loans whose cases they are.
        loans: Vec<u64>,
        /// The new caseload, by its phone.
        to: usize,
    },
}

/// The plan of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// When the office opens: a day before anything happens.
    pub begins: Timestamp,
    /// When all is captured: phones then sync until nothing is left.
    pub ends: Timestamp,
    /// Days between two syncs of a phone, on average.
    pub gap_days: i64,
    /// The phone of each loan at first.
    pub dealt: BTreeMap<u64, usize>,
    /// What happens, in order.
    pub acts: Vec<(Timestamp, Act)>,
}

/// Whether things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishaps {
    /// Nothing does.
    None,
    /// Phones are killed in the middle of a session and cases change hands.
    Many,
}

impl Plan {
    /// The plan for a folder. There is at least one phone.
    pub fn new(kiva: &Kiva, phones: usize, seed: u64, mishaps: Mishaps) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let payments: Vec<_> =
            kiva.payments.iter().filter(|payment| kiva.schedules.contains_key(&payment.loan)).copied().collect();
        let first = payments.first().map_or(Timestamp::EPOCH, |payment| payment.at);
        let last = payments.last().map_or(first, |payment| payment.at);
        let (begins, ends) = (first.plus_ms(-DAY_MS), last.plus_ms(DAY_MS));
        let mut acts: Vec<_> = payments.into_iter().map(|payment| (payment.at, Act::Capture(payment))).collect();
        let span_days = ends.ms_since(begins) / DAY_MS;
        let gap_days = SYNC_GAP_DAYS.max(span_days * i64::try_from(phones).unwrap_or(i64::MAX) / SYNCS_MAX);
        for phone in 0..phones {
            each_about(&mut rng, (begins, ends), gap_days, |rng, at| {
                let killed = mishaps == Mishaps::Many && rng.random_ratio(1, 12);
                let killed_after = killed.then(|| rng.random_range(1..12));
                acts.push((at, Act::Sync { phone, killed_after }));
            });
            if mishaps == Mishaps::Many {
                each_about(&mut rng, (begins, ends), REBOOT_GAP_DAYS, |_, at| acts.push((at, Act::Reboot { phone })));
            }
        }
        if mishaps == Mishaps::Many && phones > 1 {
            let loans: Vec<u64> = kiva.schedules.keys().copied().collect();
            each_about(&mut rng, (begins, ends), REASSIGN_GAP_DAYS, |rng, at| {
                let count = rng.random_range(1..=REASSIGNED_MAX);
                let loans = (0..count).map(|_| loans[rng.random_range(0..loans.len())]).collect();
                acts.push((at, Act::Reassign { loans, to: rng.random_range(0..phones) }));
            });
        }
        acts.sort_by_key(|(at, _)| *at);
        Self { begins, ends, gap_days, dealt: deal(kiva, phones), acts }
    }
}

/// Moments at random distances, `gap_days` apart on average.
fn each_about(
    rng: &mut ChaCha20Rng,
    (from, until): (Timestamp, Timestamp),
    gap_days: i64,
    mut act: impl FnMut(&mut ChaCha20Rng, Timestamp),
) {
    let mut at = from;
    loop {
        at = at.plus_ms(rng.random_range(DAY_MS / 24..2 * gap_days * DAY_MS));
        if at >= until {
            return;
        }
        act(rng, at);
    }
}

/// Deals loans to phones by partner: whole partners where it can be, the largest split in halves while
/// there are more phones than parts, the largest parts first to whoever has least.
fn deal(kiva: &Kiva, phones: usize) -> BTreeMap<u64, usize> {
    let mut by_partner: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for loan in kiva.schedules.keys() {
        by_partner.entry(kiva.loans[loan].partner).or_default().push(*loan);
    }
    let mut parts: Vec<Vec<u64>> = by_partner.into_values().collect();
    loop {
        parts.sort_by_key(|part| (std::cmp::Reverse(part.len()), part.first().copied()));
        let few = parts.len() < phones;
        match parts.first_mut() {
            Some(largest) if few && largest.len() > 1 => {
                let half = largest.split_off(largest.len() / 2);
                parts.push(half);
            }
            _ => break,
        }
    }
    let mut loads = vec![0; phones];
    let mut dealt = BTreeMap::new();
    for part in parts {
        let phone = (0..phones).min_by_key(|phone| (loads[*phone], *phone)).expect("there is at least one phone");
        loads[phone] += part.len();
        dealt.extend(part.into_iter().map(|loan| (loan, phone)));
    }
    dealt
}
