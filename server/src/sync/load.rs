//! Loads the [`World`] that a group of envelopes needs: a fixed number of statements, whatever the
//! envelopes carry, and on PostgreSQL every lock, in one order: devices, dossiers, accounts, receipt
//! numbers. (Officers' cash and caseloads follow when writing.)

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::entry::{Body, Channel, Entry};
use daybook_shared::ids::{
    AccountId, AckHash, AgentId, DeviceId, DossierId, EntryId, EnvelopeId, Hash, InstallId, PaymentId, UserId,
};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::{Flag, Outcome, OutcomeState, Reason};

use super::records;
use super::take::Item;
use super::world::{
    About, Account, Claim, Device, Dossier, Install, LineKey, LineMoney, Logged, ProviderLine, Series, World,
    line_key_of,
};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::erasure::envelopes::accounts_of;
use crate::portfolio::account::{self, Lock};
use crate::portfolio::allocation::Payment;
use crate::portfolio::payment::PaymentState;

batch_row! {
    struct Key { id: i64 => "bigint" }
}
batch_row! {
    struct InstallKey { device_id: i64 => "bigint", uid: InstallId => "uuid" }
}
batch_row! {
    struct AckKey { device_id: i64 => "bigint", hash: AckHash => "bytea" }
}
batch_row! {
    struct EntryKey { uid: EntryId => "uuid" }
}
batch_row! {
    struct DossierKey { uid: DossierId => "uuid" }
}
batch_row! {
    struct AgentKey { uid: AgentId => "uuid" }
}
batch_row! {
    struct DayKey { account_id: i64 => "bigint", value_date: Date => "date", amount_minor: i64 => "bigint" }
}
batch_row! {
    struct SeriesKey { series: String => "text" }
}
batch_row! {
    struct ClaimRow { receipt_no: String => "text", payment_uid: PaymentId => "uuid" }
}

/// What of the world is needed to judge these entries.
#[derive(Debug, Default)]
pub struct Needs {
    devices: BTreeSet<i64>,
    installs: BTreeSet<(i64, InstallId)>,
    acknowledgements: BTreeSet<(i64, AckHash)>,
    entries: BTreeSet<EntryId>,
    dossiers: BTreeSet<DossierId>,
    /// Of these, the ones whose account may change; a visit leaves it alone.
    accounts: BTreeSet<DossierId>,
    /// Of these again, the ones whose schedule may change.
    schedules: BTreeSet<DossierId>,
    agents: BTreeSet<AgentId>,
    series: BTreeSet<String>,
    handed: BTreeSet<EntryId>,
    lines: BTreeSet<LineKey>,
}

impl Needs {
    /// What an envelope needs.
    pub fn of(item: &Item) -> Self {
        let mut needs = Self::default();
        let arrived = &item.arrived;
        let header = &arrived.envelope.header;
        needs.device(arrived.device_id, header.install);
        needs.acknowledgements.insert((arrived.device_id, header.after));
        needs.acknowledgements.extend(header.anchors.iter().map(|anchor| (arrived.device_id, anchor.ack)));
        for entry in item.entries() {
            needs.acknowledgements.insert((arrived.device_id, entry.head.after));
            needs.entry(entry);
        }
        needs.dossiers.extend(arrived.envelope.body.board.iter().map(|change| change.dossier));
        needs
    }

    /// Also a device and one of its installs.
    pub fn device(&mut self, device_id: i64, install: InstallId) {
        self.devices.insert(device_id);
        self.installs.insert((device_id, install));
    }

    /// Also a dossier, with its account and schedule.
    pub fn dossier(&mut self, dossier: DossierId) {
        self.dossiers.insert(dossier);
        self.accounts.insert(dossier);
        self.schedules.insert(dossier);
    }

    /// Also what one entry needs.
    pub fn entry(&mut self, entry: &Entry) {
        self.entries.insert(entry.head.id);
        self.dossiers.insert(entry.head.dossier);
        match &entry.body {
            Body::Repayment(repayment) => {
                self.dossier(entry.head.dossier);
                self.series.extend(repayment.receipt.as_ref().map(|receipt| receipt.series().to_owned()));
                self.lines.extend(line_key_of(repayment));
            }
            Body::Correction(correction) => {
                self.entries.insert(correction.target);
            }
            Body::CashHandover(handover) => {
                self.entries.extend(&handover.repayments);
                self.handed.extend(&handover.repayments);
            }
            Body::IssueEvent(event) => {
                self.entries.insert(event.issue);
            }
            Body::Promise(_) => {
                self.accounts.insert(entry.head.dossier);
            }
            _ => {}
        }
        self.agents.extend(records::agent_of(&entry.body));
        self.dossiers.extend(accounts_of(entry).map(DossierId::case));
    }

    /// Both.
    pub fn merge(&mut self, other: Self) {
        self.devices.extend(other.devices);
        self.installs.extend(other.installs);
        self.acknowledgements.extend(other.acknowledgements);
        self.entries.extend(other.entries);
        self.dossiers.extend(other.dossiers);
        self.accounts.extend(other.accounts);
        self.schedules.extend(other.schedules);
        self.agents.extend(other.agents);
        self.series.extend(other.series);
        self.handed.extend(other.handed);
        self.lines.extend(other.lines);
    }
}

/// Loads and locks everything but payments and receipt numbers, which depend on corrected times.
pub async fn world(tx: &mut Tx, needs: &Needs) -> sqlx::Result<World> {
    let mut world = World::default();
    load_devices(tx, needs, &mut world).await?;
    load_entries(tx, needs, &mut world).await?;
    load_dossiers(tx, needs, &mut world).await?;
    load_agents(tx, needs, &mut world).await?;
    load_accounts(tx, needs, &mut world).await?;
    load_handed_over(tx, needs, &mut world).await?;
    load_series(tx, needs, &mut world).await?;
    load_lines(tx, needs, &mut world).await?;
    Ok(world)
}

#[derive(sqlx::FromRow)]
struct DeviceRow {
    id: i64,
    uid: DeviceId,
    user_id: i64,
    state: String,
    state_at: Timestamp,
    quarantined_bytes: i64,
    user_uid: UserId,
    deactivated_at: Option<Timestamp>,
}

const SELECT_DEVICES: &str =
    "select d.id, d.uid, d.user_id, d.state, d.state_at, d.quarantined_bytes, u.uid as user_uid, u.deactivated_at
     from v join device d on d.id = v.id join app_user u on u.id = d.user_id order by d.id";
const SELECT_INSTALLS: &str = "select i.device_id, i.uid, i.id, i.last_number, i.last_envelope, i.after_at
     from v join install i on i.device_id = v.device_id and i.uid = v.uid";
const SELECT_ACKNOWLEDGEMENTS: &str = "select a.device_id, a.hash, a.at
     from v join acknowledgement a on a.device_id = v.device_id and a.hash = v.hash";
const SELECT_MEMBERSHIPS: &str = "select m.user_id, m.at, m.caseload_id, m.member
     from v join caseload_member m on m.user_id = v.id order by m.at";

async fn load_devices(tx: &mut Tx, needs: &Needs, world: &mut World) -> sqlx::Result<()> {
    let select = locking(tx, SELECT_DEVICES, " for no key update of d");
    let devices: Vec<DeviceRow> = batch::fetch(tx, &keys(&needs.devices), &select).await?;
    let users: BTreeSet<i64> = devices.iter().map(|device| device.user_id).collect();
    for row in devices {
        let retired_at = (row.state == "retired").then_some(row.state_at);
        let deactivated_at = [retired_at, row.deactivated_at].into_iter().flatten().min();
        let DeviceRow { id, uid, user_id, user_uid, quarantined_bytes, .. } = row;
        let lost = row.state == "lost";
        let device = Device { id, uid, user_id, user_uid, deactivated_at, lost, quarantined_bytes };
        world.devices.insert(id, device);
    }
    let installs: Vec<_> = needs.installs.iter().map(|&(device_id, uid)| InstallKey { device_id, uid }).collect();
    let rows: Vec<(i64, InstallId, i64, i64, EnvelopeId, Option<Timestamp>)> =
        batch::fetch(tx, &installs, SELECT_INSTALLS).await?;
    for (device_id, uid, id, last_number, last_envelope, after_at) in rows {
        let install = Install { id, last_number, last_envelope, after_at, dirty: false };
        world.installs.insert((device_id, uid), install);
    }
    let known = needs.acknowledgements.iter().filter(|(_, hash)| *hash != AckHash::NONE);
    let known: Vec<_> = known.map(|&(device_id, hash)| AckKey { device_id, hash }).collect();
    let rows: Vec<(i64, AckHash, Timestamp)> = batch::fetch(tx, &known, SELECT_ACKNOWLEDGEMENTS).await?;
    world.acknowledgements = rows.into_iter().map(|(device, hash, at)| ((device, hash), at)).collect();
    let rows: Vec<(i64, Timestamp, i64, bool)> = batch::fetch(tx, &keys(&users), SELECT_MEMBERSHIPS).await?;
    for (user, at, caseload, member) in rows {
        world.memberships.entry(user).or_default().push((at, caseload, member));
    }
    world.memberships.values_mut().for_each(|rows| rows.sort_unstable());
    Ok(())
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    uid: EntryId,
    id: i64,
    bytes: Vec<u8>,
    digest: Option<Hash>,
    outcome: String,
    reason: Option<Reason>,
    flags: Option<String>,
    user_id: i64,
}

const SELECT_ENTRIES: &str = "select e.uid, e.id, e.bytes, e.digest, e.outcome, e.reason, e.flags, e.user_id
     from v join entry e on e.uid = v.uid";

async fn load_entries(tx: &mut Tx, needs: &Needs, world: &mut World) -> sqlx::Result<()> {
    let keys: Vec<_> = needs.entries.iter().map(|&uid| EntryKey { uid }).collect();
    let rows: Vec<EntryRow> = batch::fetch(tx, &keys, SELECT_ENTRIES).await?;
    for EntryRow { uid, id, bytes, digest, outcome, reason, flags, user_id } in rows {
        let outcome = outcome_of(&outcome, reason, flags.as_deref())?;
        world.entries.insert(uid, Logged { id, bytes, digest, outcome, user_id });
    }
    Ok(())
}

/// An outcome from its columns.
pub fn outcome_of(state: &str, reason: Option<Reason>, flags: Option<&str>) -> sqlx::Result<Outcome> {
    let state = OutcomeState::from_code(state)
        .ok_or_else(|| sqlx::Error::Decode(format!("table entry: no outcome {state:?}").into()))?;
    let flags = flags.map(|flags| flags.split(' ').map(Flag::from_code).collect());
    Ok(Outcome { state, reason, flags })
}

#[derive(sqlx::FromRow)]
struct DossierRow {
    id: i64,
    uid: DossierId,
    kind: String,
    account_id: Option<i64>,
    user_id: Option<i64>,
    agent_id: Option<i64>,
    caseload_id: Option<i64>,
    epoch: i64,
    version: i64,
    board_version: i64,
    assigned_at: Option<Timestamp>,
    was_held: bool,
    is_erased: bool,
}

const SELECT_DOSSIERS: &str =
    "select d.id, d.uid, d.kind, d.account_id, d.user_id, d.agent_id, d.caseload_id, d.epoch, d.version,
       d.board_version, (select a.at from assignment a where a.dossier_id = d.id and a.epoch = 1) as assigned_at,
       exists (select 1 from rewound_holding h where h.dossier_uid = d.uid) as was_held,
       d.erased_at is not null as is_erased
     from v join dossier d on d.uid = v.uid order by d.id";
const SELECT_HELD: &str =
    "select h.dossier_uid, h.user_id, h.at from v join rewound_holding h on h.dossier_uid = v.uid";
const SELECT_HISTORY: &str = "select a.dossier_id, a.at, a.caseload_id
     from v join assignment a on a.dossier_id = v.id order by a.dossier_id, a.epoch";

async fn load_dossiers(tx: &mut Tx, needs: &Needs, world: &mut World) -> sqlx::Result<()> {
    let keys_by_uid: Vec<_> = needs.dossiers.iter().map(|&uid| DossierKey { uid }).collect();
    let select = locking(tx, SELECT_DOSSIERS, " for no key update of d");
    let rows: Vec<DossierRow> = batch::fetch(tx, &keys_by_uid, &select).await?;
    let mut histories: BTreeMap<i64, Vec<(Timestamp, Option<i64>)>> = BTreeMap::new();
    // Most dossiers were given to one caseload and stay there.
    let ids: BTreeSet<i64> = rows.iter().filter(|row| row.epoch > 1).map(|row| row.id).collect();
    let history: Vec<(i64, Timestamp, Option<i64>)> = batch::fetch(tx, &keys(&ids), SELECT_HISTORY).await?;
    for (dossier, at, caseload) in history {
        histories.entry(dossier).or_default().push((at, caseload));
    }
    // Of one that is not here nobody knows whether it was held before a part of the database was lost.
    let not_held: BTreeSet<_> = rows.iter().filter(|row| !row.was_held).map(|row| row.uid).collect();
    let was_held = needs.dossiers.difference(&not_held).map(|&uid| DossierKey { uid });
    let held: Vec<(DossierId, i64, Timestamp)> = batch::fetch(tx, &was_held.collect::<Vec<_>>(), SELECT_HELD).await?;
    world.held_before = held.into_iter().map(|(uid, user, until)| ((uid, user), until)).collect();
    for row in rows {
        let about = match (row.kind.as_str(), row.account_id, row.user_id, row.agent_id) {
            ("case", Some(account), _, _) => About::Case(account),
            ("day", _, Some(user), _) => About::Day(user),
            ("agent", _, _, Some(agent)) => About::Agent(agent),
            _ => About::Unknown,
        };
        let first = || row.assigned_at.map(|at| (at, row.caseload_id)).into_iter().collect();
        let history = histories.remove(&row.id).unwrap_or_else(first);
        let dossier = Dossier::loaded(
            row.id,
            row.uid,
            about,
            row.caseload_id,
            (row.epoch, row.version, row.board_version),
            history,
        );
        world.dossiers.insert(row.uid, Dossier { erased: row.is_erased, ..dossier });
    }
    Ok(())
}

const SELECT_AGENTS: &str = "select g.uid, g.id, d.caseload_id from v join agent g on g.uid = v.uid
     left join dossier d on d.agent_id = g.id order by d.id";

async fn load_agents(tx: &mut Tx, needs: &Needs, world: &mut World) -> sqlx::Result<()> {
    let keys: Vec<_> = needs.agents.iter().map(|&uid| AgentKey { uid }).collect();
    let rows: Vec<(AgentId, i64, Option<i64>)> = batch::fetch(tx, &keys, SELECT_AGENTS).await?;
    for (uid, id, caseload) in rows {
        let known = world.agents.entry(uid).or_insert((id, caseload));
        known.1 = caseload.or(known.1);
    }
    Ok(())
}

async fn load_accounts(tx: &mut Tx, needs: &Needs, world: &mut World) -> sqlx::Result<()> {
    let of = |dossiers: &BTreeSet<DossierId>| -> BTreeSet<i64> {
        let about = dossiers.iter().filter_map(|uid| world.dossiers.get(uid)).map(|dossier| dossier.about);
        about.filter_map(|about| if let About::Case(account) = about { Some(account) } else { None }).collect()
    };
    let (accounts, scheduled) = (of(&needs.accounts), of(&needs.schedules));
    let accounts: Vec<i64> = accounts.into_iter().collect();
    let rows = account::load_accounts(tx, &accounts, Lock::ForUpdate).await?;
    let schedules = rows.iter().filter(|row| scheduled.contains(&row.id)).map(|row| (row.id, row.schedule_version));
    let mut schedules = account::load_instalments(tx, &schedules.collect::<Vec<_>>()).await?;
    for row in rows {
        let instalments = schedules.remove(&row.id).unwrap_or_default();
        world.accounts.insert(row.id, Account::loaded(row, instalments));
    }
    Ok(())
}

const SELECT_HANDED_OVER: &str =
    "select i.payment_uid, i.entry_uid from v join handover_item i on i.payment_uid = v.uid";
const SELECT_CASH_PAYMENTS: &str = "select p.uid, p.user_id from v join payment p on p.uid = v.uid
     where p.channel = 'CASH' and p.user_id is not null";

async fn load_handed_over(tx: &mut Tx, needs: &Needs, world: &mut World) -> sqlx::Result<()> {
    let keys: Vec<_> = needs.handed.iter().map(|&uid| EntryKey { uid }).collect();
    let rows: Vec<(PaymentId, EntryId)> = batch::fetch(tx, &keys, SELECT_HANDED_OVER).await?;
    world.handed_over = rows.into_iter().collect();
    let rows: Vec<(PaymentId, i64)> = batch::fetch(tx, &keys, SELECT_CASH_PAYMENTS).await?;
    world.cash_payments = rows.into_iter().collect();
    Ok(())
}

const SELECT_SERIES: &str = "select d.series, d.id, d.receipt_next from v join device d on d.series = v.series";

async fn load_series(tx: &mut Tx, needs: &Needs, world: &mut World) -> sqlx::Result<()> {
    let keys: Vec<_> = needs.series.iter().map(|series| SeriesKey { series: series.clone() }).collect();
    let rows: Vec<(String, i64, i64)> = batch::fetch(tx, &keys, SELECT_SERIES).await?;
    world.series = rows.into_iter().map(|(series, device_id, next)| (series, Series { device_id, next })).collect();
    Ok(())
}

batch_row! {
    struct ReferenceKey { channel: Channel => "text", external_ref: String => "text" }
}

#[derive(sqlx::FromRow)]
struct LineRow {
    channel: Channel,
    external_ref: String,
    amount_minor: i64,
    currency: Currency,
    value_date: Date,
    payment_uid: Option<PaymentId>,
    entry_uid: Option<EntryId>,
    state: Option<PaymentState>,
    account_id: Option<i64>,
}

const SELECT_LINES: &str = "select l.channel, l.external_ref, l.amount_minor, l.currency, l.value_date, l.payment_uid,
       l.entry_uid, p.state, p.account_id
     from v join statement_line l on l.channel = v.channel and l.external_ref = v.external_ref
       left join payment p on p.uid = l.payment_uid order by l.id";

async fn load_lines(tx: &mut Tx, needs: &Needs, world: &mut World) -> sqlx::Result<()> {
    let key = |(channel, external_ref): &LineKey| {
        let (channel, external_ref) = (channel.clone(), external_ref.clone());
        ReferenceKey { channel, external_ref }
    };
    let keys: Vec<_> = needs.lines.iter().map(key).collect();
    // Two captures under one reference: the second waits for the first, and sees whose it is.
    let select = locking(tx, SELECT_LINES, " for no key update of l");
    let rows: Vec<LineRow> = batch::fetch(tx, &keys, &select).await?;
    for LineRow {
        channel,
        external_ref,
        amount_minor,
        currency,
        value_date,
        payment_uid,
        entry_uid,
        state,
        account_id,
    } in rows
    {
        let money = match (payment_uid, state) {
            (Some(id), Some(PaymentState::Posted)) => LineMoney::Posted(id),
            (Some(id), Some(PaymentState::Held)) => LineMoney::Suspense(id),
            _ => LineMoney::Unclear,
        };
        let amount = Money::new(amount_minor, currency);
        let line = ProviderLine { amount, value_date, account_id, money, entry: entry_uid, matched: false };
        world.lines.insert((channel, external_ref), line);
    }
    Ok(())
}

/// A repayment that may post, once its value date is known.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The account, if the dossier is about one.
    pub account_id: Option<i64>,
    /// What would be allocated.
    pub payment: Payment,
    /// The receipt number it would claim.
    pub receipt_no: Option<String>,
    /// Whether somebody captured it: then it may look like another.
    pub captured: bool,
}

const SELECT_SAME_DAY: &str = "select distinct p.account_id, p.value_date, p.amount_minor
     from v join payment p on p.account_id = v.account_id and p.value_date = v.value_date
       and p.amount_minor = v.amount_minor where p.state = 'posted'";
const INSERT_CLAIMS: &str = "insert into receipt_claim (receipt_no, payment_uid)
     select receipt_no, payment_uid from v where true on conflict do nothing";
const SELECT_CLAIMS: &str =
    "select c.receipt_no, c.payment_uid from v join receipt_claim c on c.receipt_no = v.receipt_no";

/// Loads what depends on value dates: the payments of accounts that have to be replayed, payments
/// of the same day, and the receipt numbers, which are claimed here so that two transactions can
/// not both believe theirs to be the first.
pub async fn payments(tx: &mut Tx, world: &mut World, expected: &[Expected]) -> sqlx::Result<()> {
    let mut replayed = BTreeSet::new();
    let mut last: BTreeMap<i64, Payment> = BTreeMap::new();
    for Expected { account_id, payment, .. } in expected {
        let Some(account) = account_id.and_then(|id| world.accounts.get(&id)) else { continue };
        let in_order = account.row.sorts_last(payment) && last.get(&account.row.id).is_none_or(|last| last < payment);
        if in_order {
            last.insert(account.row.id, *payment);
        } else {
            replayed.insert(account.row.id);
        }
    }
    load_payments(tx, world, &replayed).await?;
    let days: BTreeSet<_> = expected
        .iter()
        .filter(|one| one.captured)
        .filter_map(|one| Some((one.account_id?, one.payment.value_date, one.payment.amount_minor)))
        .collect();
    let days: Vec<_> = days
        .into_iter()
        .map(|(account_id, value_date, amount_minor)| DayKey { account_id, value_date, amount_minor })
        .collect();
    let rows: Vec<(i64, Date, i64)> = batch::fetch(tx, &days, SELECT_SAME_DAY).await?;
    world.same_day = rows.into_iter().collect();
    claim_receipts(tx, world, expected).await
}

/// Loads the posted payments of accounts that are to be replayed.
pub async fn load_payments(tx: &mut Tx, world: &mut World, accounts: &BTreeSet<i64>) -> sqlx::Result<()> {
    let ids: Vec<i64> = accounts.iter().copied().collect();
    let mut payments = account::load_payments(tx, &ids).await?;
    for id in ids {
        if let Some(account) = world.accounts.get_mut(&id) {
            account.payments = Some(payments.remove(&id).unwrap_or_default());
        }
    }
    Ok(())
}

async fn claim_receipts(tx: &mut Tx, world: &mut World, expected: &[Expected]) -> sqlx::Result<()> {
    let mut wanted: BTreeMap<&str, PaymentId> = BTreeMap::new();
    for one in expected {
        if let Some(receipt_no) = &one.receipt_no {
            wanted.entry(receipt_no).or_insert(one.payment.id);
        }
    }
    let row =
        |(receipt_no, payment_uid): (&str, PaymentId)| ClaimRow { receipt_no: receipt_no.to_owned(), payment_uid };
    let rows: Vec<_> = wanted.iter().map(|(receipt_no, payment)| row((receipt_no, *payment))).collect();
    let won = batch::execute(tx, &rows, INSERT_CLAIMS).await?;
    let all_won = usize::try_from(won) == Ok(rows.len());
    let known: Vec<(String, PaymentId)> =
        if all_won { Vec::new() } else { batch::fetch(tx, &rows, SELECT_CLAIMS).await? };
    world.claims = rows
        .into_iter()
        .map(|row| (row.receipt_no, Claim { payment: row.payment_uid, fresh: true, moved: false }))
        .collect();
    for (receipt_no, payment) in known {
        let claim = world.claims.get_mut(&receipt_no).ok_or(sqlx::Error::RowNotFound)?;
        if claim.payment != payment {
            *claim = Claim { payment, fresh: false, moved: false };
        }
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct WaitingRow {
    id: i64,
    bytes: Vec<u8>,
    device_id: i64,
    user_id: i64,
    install_uid: InstallId,
    captured_at: Timestamp,
    received_at: Timestamp,
}

/// A held entry whose reference has arrived.
#[derive(Debug)]
pub struct Waiting {
    /// Row key.
    pub id: i64,
    /// Decoded.
    pub entry: Entry,
    /// Who captured it.
    pub user_id: i64,
    /// With which device.
    pub device_id: i64,
    /// Of which install.
    pub install: InstallId,
    /// Corrected capture time.
    pub captured_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
}

const SELECT_WAITING: &str =
    "select distinct e.id, e.bytes, e.device_id, e.user_id, i.uid as install_uid, e.captured_at, e.received_at
     from v join waiting w on w.ref = v.uid join entry e on e.id = w.entry_id join install i on i.id = e.install_id";

/// Held entries that act on any of these.
pub async fn waiting_for(tx: &mut Tx, refs: &[EntryId]) -> sqlx::Result<Vec<Waiting>> {
    let keys: Vec<_> = refs.iter().map(|&uid| EntryKey { uid }).collect();
    let mut rows: Vec<WaitingRow> = batch::fetch(tx, &keys, SELECT_WAITING).await?;
    rows.sort_unstable_by_key(|row| row.id);
    rows.dedup_by_key(|row| row.id);
    let decoded = rows.into_iter().map(|row| {
        let WaitingRow { id, bytes, device_id, user_id, install_uid, captured_at, received_at } = row;
        let entry = Entry::decode(&bytes)
            .map_err(|error| sqlx::Error::Decode(format!("table entry, id {id}: {error}").into()))?;
        Ok(Waiting { id, entry, user_id, device_id, install: install_uid, captured_at, received_at })
    });
    decoded.collect()
}

/// The statement with its locks, where the engine has any.
fn locking(tx: &Tx, select: &str, locks: &str) -> String {
    if tx.is_postgres() { format!("{select}{locks}") } else { select.to_owned() }
}

fn keys(ids: &BTreeSet<i64>) -> Vec<Key> {
    ids.iter().map(|&id| Key { id }).collect()
}

/// The account a case dossier would be about.
pub fn account_of(world: &World, dossier: DossierId, account: AccountId) -> Option<i64> {
    match world.dossiers.get(&dossier)?.about {
        About::Case(id) if DossierId::case(account) == dossier => Some(id),
        _ => None,
    }
}
