//! Random captures for the questions about order: everything that two arrivals could disagree on,
//! without what sync.md I3 excludes (two captures under one receipt number of nobody's or one block).

use daybook_shared::entry::{
    Body, CashHandover, Channel, Correction, CorrectionKind, CustomerAck, Entry, EntryType, HandoverTo, Head,
    IssueCategory, Promise, PromiseChannel, ReceiptNumber, Repayment, SCHEMA_VERSION,
};
use daybook_shared::ids::{AccountId, AckHash, AgentId, BootId, DeviceId, DossierId, EntryId, UserId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{DAY_MS, Timestamp, Zone};
use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::setup::KES;
use crate::records::{self, About};

/// What captures are about: who may make them, and about what.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Devices: id, officer, and the series of its receipt numbers.
    pub devices: Vec<(DeviceId, UserId, String)>,
    /// Accounts.
    pub accounts: Vec<AccountId>,
    /// An agent whose file of all these days is the first device's.
    pub agent: AgentId,
    /// The first instant of a capture.
    pub from: Timestamp,
    /// How many days captures are spread over.
    pub days: i64,
    /// The lender's zone.
    pub zone: Zone,
}

/// A capture: which of the cast's devices made it, when, and its bytes.
#[derive(Debug, Clone)]
pub struct Made {
    /// The device's place in the cast.
    pub device: usize,
    /// When.
    pub at: Timestamp,
    /// Its id.
    pub id: EntryId,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// So many captures.
pub fn some(cast: &Cast, count: usize, rng: &mut ChaCha8Rng) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    let mut cash: Vec<(usize, EntryId)> = Vec::new();
    let mut issues: Vec<EntryId> = Vec::new();
    for number in 1..=count {
        let device = rng.random_range(0..cast.devices.len());
        let at = cast.from.plus_ms(rng.random_range(0..cast.days * DAY_MS));
        let account = *cast.accounts.choose(rng).expect("a cast has accounts");
        let id = EntryId::new(at, rng);
        let case = DossierId::case(account);
        let (entry_type, dossier, body) = match rng.random_range(0..24) {
            0..13 => {
                cash.push((device, id));
                (EntryType::Repayment, case, Body::Repayment(repayment(cast, (device, account, at), number, rng)))
            }
            13..16 => (EntryType::Promise, case, Body::Promise(promise(cast, at, rng))),
            16..18 if !cash.is_empty() => {
                let (_, target) = *cash.choose(rng).expect("not empty");
                let (kind, reason) = (CorrectionKind::Void, "Typed twice.".to_owned());
                (EntryType::Correction, case, Body::Correction(Correction { target, kind, proposed: None, reason }))
            }
            18 => {
                issues.push(id);
                let report = records::issue_report(about(cast, (account, id, at)), IssueCategory::Network);
                (EntryType::IssueReport, file(cast), Body::IssueReport(report))
            }
            19..22 => {
                // Of a report, or of something that is none.
                let known: Vec<_> = issues.iter().chain(cash.iter().map(|(_, id)| id)).copied().collect();
                let issue = known.choose(rng).copied().unwrap_or_else(|| EntryId::new(at, rng));
                let event = records::issue_event(about(cast, (account, issue, at)));
                (EntryType::IssueEvent, file(cast), Body::IssueEvent(event))
            }
            _ => {
                let day = DossierId::day(cast.devices[device].1, cast.zone.date_of(at));
                let mine = cash.iter().position(|(by, _)| *by == device).map(|index| cash.swap_remove(index).1);
                // What waits for a repayment that never comes waits in every order.
                let repayments = vec![mine.unwrap_or_else(|| EntryId::new(at, rng))];
                let (to, declared) = (HandoverTo::Cashier, Money::new(1000, KES));
                (
                    EntryType::CashHandover,
                    day,
                    Body::CashHandover(CashHandover { to, declared, repayments, slip: None }),
                )
            }
        };
        let entry = Entry { head: head(cast, (device, at, id), entry_type, dossier), body };
        made.push(Made { device, at, id, bytes: entry.encode() });
    }
    made
}

fn file(cast: &Cast) -> DossierId {
    let (year, month, _) = cast.zone.date_of(cast.from).ymd();
    DossierId::agent(cast.agent, year, u8::try_from((month - 1) / 3 + 1).expect("a month is 1 to 12"))
}

fn about(cast: &Cast, (account, issue, at): (AccountId, EntryId, Timestamp)) -> About {
    About { account, agent: cast.agent, issue, link: issue, at, today: cast.zone.date_of(at) }
}

/// Shuffles, repeats some, and cuts into groups.
pub fn scattered<T: Clone>(items: &[T], rng: &mut ChaCha8Rng) -> Vec<Vec<T>> {
    let mut order: Vec<T> = items.to_vec();
    let again: Vec<T> = items.iter().filter(|_| rng.random_ratio(1, 4)).cloned().collect();
    order.extend(again);
    order.shuffle(rng);
    let mut groups = Vec::new();
    while !order.is_empty() {
        let take = rng.random_range(1..=order.len().min(8));
        groups.push(order.drain(..take).collect());
    }
    groups
}

/// The common fields, of a phone that never heard an acknowledgement.
pub fn head(
    cast: &Cast,
    (device, at, id): (usize, Timestamp, EntryId),
    entry_type: EntryType,
    dossier: DossierId,
) -> Head {
    Head {
        id,
        entry_type,
        schema_version: SCHEMA_VERSION,
        dossier,
        captured_at: at,
        offset_min: 180,
        boot_id: BootId([1; 8]),
        boot_ms: 1,
        after: AckHash::NONE,
        device: cast.devices[device].0,
        basis: 0,
        gps: None,
        attachments: None,
    }
}

fn repayment(
    cast: &Cast,
    (device, account, at): (usize, AccountId, Timestamp),
    number: usize,
    rng: &mut ChaCha8Rng,
) -> Repayment {
    const USD: Currency = Currency::new(*b"USD").expect("three capital letters");
    let series = match rng.random_range(0..12) {
        // Another device's number, typed by mistake: before or after the true one.
        0 => cast.devices.choose(rng).expect("a cast has devices").2.clone(),
        1 => "PAPER1".to_owned(),
        _ => cast.devices[device].2.clone(),
    };
    let own = series == cast.devices[device].2;
    // A foreign number may be one that its owner gives out too; an own or a paper one is never used twice.
    let number = if own || series == "PAPER1" { number } else { rng.random_range(1..40) };
    let receipt = ReceiptNumber::new(&series, u32::try_from(number).expect("a small number"));
    let today = cast.zone.date_of(at);
    let value_date = if rng.random_ratio(1, 3) { today.plus_days(-rng.random_range(0..10)) } else { today };
    let minor = *[1, 250, 999, 1000, 1000, 1010, 2500, 4000, 100_000].choose(rng).expect("not empty");
    let currency = if rng.random_ratio(1, 25) { USD } else { KES };
    let cash = !rng.random_ratio(1, 15);
    Repayment {
        account,
        amount: Money::new(minor, currency),
        channel: if cash { Channel::Cash } else { Channel::MobileMoney },
        receipt: receipt.filter(|_| cash),
        external_ref: (!cash).then(|| format!("MPESA:{number}")),
        value_date,
        payer_name: None,
        payer_phone: None,
        visit: None,
        customer_ack: CustomerAck::None,
        over_limit: None,
    }
}

fn promise(cast: &Cast, at: Timestamp, rng: &mut ChaCha8Rng) -> Promise {
    Promise {
        amount: Money::new(rng.random_range(1..3000), KES),
        promised_date: cast.zone.date_of(at).plus_days(rng.random_range(0..40)),
        channel: PromiseChannel::Cash,
        contact_ref: None,
    }
}
