//! The database-less form: the server's pure verdicts over a world filled by hand, thousands of seeds
//! a minute.
//!
//! It shows that the order, the batching and the repetition of arrival do not matter (I3) and that
//! the books hold (I2) for the rules alone; what SQL adds is the storms' business.

use std::collections::{BTreeMap, BTreeSet};

use daybook_server::ledger::posting::GlCode;
use daybook_server::portfolio::account::{AccountRow, AccountStatus, ClosedAs, Stage};
use daybook_server::portfolio::allocation::Waterfall;
use daybook_server::settings::Settings;
use daybook_server::sync::effects::Effects;
use daybook_server::sync::judge::{self, Capture};
use daybook_server::sync::world::{About, Account, Claim, Device, Dossier, Logged, Series, World};
use daybook_shared::entry::{Body, Entry};
use daybook_shared::ids::{AccountId, AgentId, DeviceId, DossierId, EntryId, UserId};
use daybook_shared::money::Currency;
use daybook_shared::schedule::{Instalment, Portions, outstanding};
use daybook_shared::time::{Date, Timestamp, Zone};
use daybook_shared::wire::outcome::{Outcome, OutcomeState, Reason};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::captures::{self, Cast, Made};
use super::setup::KES;

/// Devices, each of an officer of its own, and their series of receipt numbers.
pub const DEVICES: [(i64, &str); 3] = [(1, "AA11"), (2, "BB22"), (3, "CC33")];
/// Accounts.
pub const ACCOUNTS: i64 = 4;
/// When everything arrives: after all of it was captured.
pub const ARRIVAL: &str = "2027-04-01T12:00:00Z";

/// A capture as an envelope carries it.
#[derive(Debug, Clone)]
pub struct Arriving {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The row key of its device.
    pub device: i64,
    /// Corrected capture time.
    pub captured_at: Timestamp,
}

/// What must not depend on the order of arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    /// Accounts: status, outstanding, paid, credit, last payment, active promise.
    pub accounts: Vec<String>,
    /// Cash in hand by officer and currency.
    pub cash: BTreeMap<(i64, Currency), i64>,
    /// Verdicts without their flags, which say what was known on arrival.
    pub outcomes: BTreeMap<EntryId, (OutcomeState, Option<Reason>)>,
    /// Sums of the ledger by kind of account.
    pub ledger: BTreeMap<String, i64>,
}

/// The account with this key.
pub fn account_id(key: i64) -> AccountId {
    AccountId::from([u8::try_from(key).expect("a small key"); 16])
}

/// The officer of this device.
pub fn officer_id(key: i64) -> UserId {
    UserId::from([0x40 + u8::try_from(key).expect("a small key"); 16])
}

/// The device with this key.
pub fn device_id(key: i64) -> DeviceId {
    DeviceId::from([0x80 + u8::try_from(key).expect("a small key"); 16])
}

/// The day everything began.
pub fn began() -> Date {
    "2027-01-15".parse().expect("a date")
}

/// Everything about officers, accounts and dossiers that is there before the first capture.
struct Books {
    world: World,
    effects: Effects,
    settings: Settings,
    waiting: BTreeMap<EntryId, (Entry, i64, Timestamp)>,
}

/// Takes captures in these groups, each group one transaction, and says what came of it.
pub fn take(groups: &[Vec<Arriving>]) -> Reached {
    let mut books = Books::opened();
    for group in groups {
        books.group(group);
    }
    books.result()
}

/// One seed: some captures in order, all at once, and twice scattered.
pub fn seed(seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = rng.random_range(1..40);
    let made = captures::some(&cast(), count, &mut rng);
    let made: Vec<_> = made.iter().map(arriving).collect();
    let one_by_one: Vec<_> = made.iter().cloned().map(|one| vec![one]).collect();
    let in_order = take(&one_by_one);
    assert_eq!(in_order, take(std::slice::from_ref(&made)), "seed {seed}: one by one, and all at once");
    for _ in 0..2 {
        let scattered = captures::scattered(&made, &mut rng);
        assert_eq!(in_order, take(&scattered), "seed {seed}: in order, and scattered");
    }
}

/// The officers, devices and accounts of this world.
pub fn cast() -> Cast {
    let devices = DEVICES.iter().map(|(key, series)| (device_id(*key), officer_id(*key), (*series).to_owned()));
    Cast {
        devices: devices.collect(),
        accounts: (1..=ACCOUNTS).map(account_id).collect(),
        agent: AgentId::from([0x7a; 16]),
        from: "2027-03-01T06:00:00Z".parse().expect("a time"),
        days: 30,
        zone: Zone::utc(),
    }
}

/// A capture as it arrives here.
pub fn arriving(made: &Made) -> Arriving {
    Arriving { bytes: made.bytes.clone(), device: DEVICES[made.device].0, captured_at: made.at }
}

impl Books {
    fn opened() -> Self {
        let mut world = World::default();
        for (key, series) in DEVICES {
            let (uid, user_uid) = (device_id(key), officer_id(key));
            let deactivated_at = (key == 3).then(|| "2027-03-20T00:00:00Z".parse().expect("a time"));
            let device =
                Device { id: key, uid, user_id: key, user_uid, deactivated_at, lost: false, quarantined_bytes: 0 };
            world.devices.insert(key, device);
            world.memberships.insert(key, vec![(Timestamp::EPOCH, key, true)]);
            world.series.insert(series.to_owned(), Series { device_id: key, next: 501 });
        }
        for key in 1..=ACCOUNTS {
            world.accounts.insert(key, account(key));
            let uid = DossierId::case(account_id(key));
            // The case was the first officer's, then the second's; the fourth never was anybody's.
            let moved: Timestamp = "2027-03-10T00:00:00Z".parse().expect("a time");
            let history = if key == 4 { Vec::new() } else { vec![(Timestamp::EPOCH, Some(1)), (moved, Some(2))] };
            let caseload = (key != 4).then_some(2);
            world.dossiers.insert(uid, Dossier::loaded(key, uid, About::Case(key), caseload, (2, 1, 0), history));
        }
        let (agent, key) = (cast().agent, ACCOUNTS + 1);
        let uid = DossierId::agent(agent, 2027, 1);
        let history = vec![(Timestamp::EPOCH, Some(1))];
        world.agents.insert(agent, (1, Some(1)));
        world.dossiers.insert(uid, Dossier::loaded(key, uid, About::Agent(1), Some(1), (1, 1, 0), history));
        let settings = Settings { currency: KES, ..Settings::default() };
        Self { world, effects: Effects::default(), settings, waiting: BTreeMap::new() }
    }

    /// One transaction: receipt numbers are claimed first, as `load` does, then every capture is
    /// judged, then what waited for one of them.
    fn group(&mut self, group: &[Arriving]) {
        let entries: Vec<_> = group.iter().map(|one| Entry::decode(&one.bytes).ok()).collect();
        for entry in entries.iter().flatten() {
            let Body::Repayment(repayment) = &entry.body else { continue };
            if let Some(receipt) = &repayment.receipt
                && !self.world.entries.contains_key(&entry.head.id)
            {
                let claim = Claim { payment: entry.head.id.into(), fresh: true, moved: false };
                self.world.claims.entry(receipt.to_string()).or_insert(claim);
            }
        }
        for (one, entry) in group.iter().zip(entries) {
            let Some(entry) = entry else { continue };
            if self.world.entries.contains_key(&entry.head.id) {
                continue;
            }
            let outcome = self.judge(&entry, one.device, one.captured_at);
            let (bytes, user_id) = (one.bytes.clone(), one.device);
            let logged = Logged { id: 1, bytes, digest: None, outcome: outcome.clone(), user_id };
            self.world.entries.insert(entry.head.id, logged);
            if outcome.reason == Some(Reason::MissingRef) {
                self.waiting.insert(entry.head.id, (entry, one.device, one.captured_at));
            }
        }
        self.judge_waiting();
        self.world.claims.retain(|_, claim| !claim.fresh);
    }

    fn judge(&mut self, entry: &Entry, device: i64, captured_at: Timestamp) -> Outcome {
        let day = self.settings.zone.date_of(entry.head.captured_at);
        let uid = entry.head.dossier;
        self.world.dossiers.entry(uid).or_insert_with(|| {
            let own = DossierId::day(officer_id(device), day) == uid;
            let about = if own { About::Day(device) } else { About::Unknown };
            Dossier::loaded(9, uid, about, None, (0, 0, 0), Vec::new())
        });
        let received_at = ARRIVAL.parse().expect("a time");
        let capture = Capture {
            entry,
            dossier: uid,
            user_id: device,
            device_id: device,
            captured_at,
            received_at,
            release: None,
        };
        judge::judge(&mut self.world, &mut self.effects, &self.settings, capture, Vec::new())
    }

    fn judge_waiting(&mut self) {
        for (id, (entry, device, captured_at)) in std::mem::take(&mut self.waiting) {
            let outcome = self.judge(&entry, device, captured_at);
            if outcome.reason == Some(Reason::MissingRef) {
                self.waiting.insert(id, (entry, device, captured_at));
            }
            self.world.entries.get_mut(&id).expect("what waits is in the log").outcome = outcome;
        }
    }

    fn result(self) -> Reached {
        let Self { world, effects, .. } = self;
        let mut ledger: BTreeMap<String, i64> = BTreeMap::new();
        let mut events = BTreeSet::new();
        for journal in &effects.journals {
            assert!(events.insert((journal.event().id, journal.kind())), "I6: an event is booked twice");
            assert_eq!(journal.lines().iter().map(|line| line.minor).sum::<i64>(), 0, "I2: a journal balances");
            for line in journal.lines() {
                *ledger.entry(line.account.code.to_string()).or_default() += line.minor;
            }
        }
        balances(&effects, &ledger);
        let cash: BTreeMap<_, _> = effects.cash.into_iter().filter(|(_, minor)| *minor != 0).collect();
        let of = |logged: &Logged| (logged.outcome.state, logged.outcome.reason.clone());
        Reached {
            accounts: world.accounts.values().map(stands).collect(),
            cash,
            outcomes: world.entries.iter().map(|(id, logged)| (*id, of(logged))).collect(),
            ledger,
        }
    }
}

/// I2 on what the verdicts brought about.
fn balances(effects: &Effects, ledger: &BTreeMap<String, i64>) {
    let of = |code: GlCode| ledger.get(&code.to_string()).copied().unwrap_or_default();
    let sum = |state: &str| -> i64 {
        let counted = effects.payments.iter().filter(|row| row.state == state && (state == "posted" || row.debited));
        counted.map(|row| row.amount_minor).sum()
    };
    let credited = -(of(GlCode::PlanRecv) + of(GlCode::Credit) + of(GlCode::Recovery));
    assert_eq!(credited, sum("posted"), "I2: credited and posted");
    assert_eq!(-of(GlCode::Suspense), sum("held"), "I2: in suspense and held");
    assert_eq!(of(GlCode::OfficerCash), effects.cash.values().sum::<i64>(), "I2: cash in hand");
}

/// An account in a line; its schedule is what a replay of its payments makes.
fn stands(account: &Account) -> String {
    let row = &account.row;
    let payments = account.payments.clone().unwrap_or_default();
    let replayed = daybook_server::portfolio::allocation::replay(&account.instalments, &payments, row.waterfall);
    let replayed = replayed.expect("small sums");
    assert_eq!(account.instalments, replayed.instalments, "I3: the schedule is what its payments make");
    format!(
        "{} {:?} {} {} {:?} {:?}",
        row.status_text(),
        row.outstanding(),
        row.paid_minor,
        row.credit_minor,
        row.last_value_date.zip(row.last_payment),
        row.active_promise
    )
}

fn account(key: i64) -> Account {
    let instalments: Vec<_> = (1..=3_u16)
        .map(|n| Instalment {
            n,
            due_date: began().plus_days(30 * i32::from(n)),
            due: Portions { principal: 900, interest: 100, fee: i64::from(n) * 10, penalty: 0 },
            paid: Portions::ZERO,
        })
        .collect();
    let owed = outstanding(&instalments).expect("a small sum");
    let written_off = key == 3;
    let row = AccountRow {
        id: key,
        uid: account_id(key),
        number: format!("A-{key}"),
        customer_id: key,
        unit_id: 1,
        product: "Smartphone".to_owned(),
        currency: KES,
        status: if written_off { AccountStatus::Closed } else { AccountStatus::Active },
        closed_as: written_off.then_some(ClosedAs::WrittenOff),
        disbursed_on: began(),
        schedule_version: 1,
        waterfall: if key == 2 { Waterfall::FeesFirst } else { Waterfall::InstalmentFirst },
        stage: Stage::Field,
        original_minor: owed.total().expect("a small sum"),
        outstanding_principal: owed.principal,
        outstanding_interest: owed.interest,
        outstanding_fee: owed.fee,
        outstanding_penalty: owed.penalty,
        paid_minor: 0,
        credit_minor: 0,
        oldest_unmet_due: instalments.first().map(|line| line.due_date),
        last_value_date: None,
        last_payment: None,
        last_paid_minor: None,
        active_promise: None,
        settlement_id: None,
        active_promise_at: None,
    };
    let mut account = Account::loaded(row, instalments);
    account.payments = Some(Vec::new());
    account
}
