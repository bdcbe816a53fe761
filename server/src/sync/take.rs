//! Takes envelopes: the one order from arrival to the ledger.
//!
//! number and chain -> corrected times -> verdicts (`judge.rs`, in memory) -> one write
//! (`persist.rs`). Everything an envelope brings about is in the transaction of its caller; a bad
//! item never touches its neighbours. On SQLite several envelopes share one transaction.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::board::BoardRole;
use daybook_shared::entry::{Body, Entry};
use daybook_shared::ids::{AgentId, DossierId, EntryId, EnvelopeId, InstallId};
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::exchange::Answer;
use daybook_shared::wire::outcome::{BoardVerdict, Flag, Outcome, Reason};
use daybook_shared::wire::sign::{Acknowledgement, Context, DeviceState, Signed, TakenBefore};

use super::arrived::Arrived;
use super::boards::{self, PreparedChange};
use super::effects::{AcknowledgementRow, ChangedOutcome, Effects, EnvelopeRow, NewEntry};
use super::judge::{self, Capture};
use super::load::{self, Expected, Needs};
use super::persist;
use super::time::{Bounds, CaptureTime, KnownMoment, corrected};
use super::world::{About, Dossier, LineKey, Logged, World, line_key_of};
use crate::app::App;
use crate::attachments::AttachmentRow;
use crate::db::Tx;
use crate::erasure::envelopes::accounts_of;
use crate::portfolio::allocation::Payment;

/// How many days an entry whose phone's clock is wrong may have been on its way and still find the
/// day it belongs to.
const DAYS_BACK: i32 = 62;

/// An envelope to be taken.
#[derive(Debug)]
pub struct Item {
    /// The envelope.
    pub arrived: Arrived,
    /// In which capacity its author edits boards.
    pub role: BoardRole,
    /// Its author's days that its board changes may open: their boards can be written on before anything
    /// else is recorded.
    pub own_days: BTreeSet<DossierId>,
    /// Its board changes as they were judged before the writer was taken.
    pub boards: Vec<PreparedChange>,
    /// Entries that made the whole envelope fail, by their position.
    pub excluded: BTreeMap<usize, Exclusion>,
    /// Its board changes made the whole envelope fail: they are put aside.
    pub boards_excluded: bool,
    /// Since when its number had been held in histories of the database that were lost, as far as it is shown.
    pub held_since: Vec<Timestamp>,
    /// What of its install was sent again before it, in the same request.
    pub again: Option<TakenBefore>,
}

/// What is done with an entry that makes its envelope fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// It joins the log without any effect, held until a person has looked at it.
    Held,
    /// Not even that can be written: it is refused, and its bytes are in the envelope.
    Refused,
}

impl Item {
    /// An envelope whose board changes are not judged yet.
    pub fn new(app: &App, arrived: Arrived, role: BoardRole, held_since: Vec<Timestamp>) -> Self {
        let changes = &arrived.envelope.body.board;
        let mut own_days = BTreeSet::new();
        if !changes.is_empty() {
            let sealed_at = arrived.envelope.header.sealed_at.wall;
            own_days.extend(possible_days(app, sealed_at).into_iter().map(|day| DossierId::day(arrived.user, day)));
        }
        let (boards, excluded) = (Vec::with_capacity(changes.len()), BTreeMap::new());
        Self { arrived, role, own_days, boards, excluded, boards_excluded: false, held_since, again: None }
    }

    /// Its entries that can be read and are not refused for having failed.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.arrived.entries.iter().enumerate();
        let joins = entries.filter(|(position, _)| self.excluded.get(position) != Some(&Exclusion::Refused));
        joins.filter_map(|(_, entry)| entry.as_ref().ok())
    }

    /// Its entries that can be read and are judged.
    fn judged(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.arrived.entries.iter().enumerate();
        let judged = entries.filter(|(position, _)| !self.excluded.contains_key(position));
        judged.filter_map(|(_, entry)| entry.as_ref().ok())
    }

    /// Whether an entry of it acts on another entry, which may not have arrived.
    pub fn acts_on_others(&self) -> bool {
        self.entries()
            .any(|entry| matches!(entry.body, Body::Correction(_) | Body::CashHandover(_) | Body::IssueEvent(_)))
    }

    /// The lines that would confirm repayments of it.
    pub fn references(&self) -> impl Iterator<Item = LineKey> {
        self.entries().filter_map(|entry| match &entry.body {
            Body::Repayment(repayment) => line_key_of(repayment),
            _ => None,
        })
    }

    /// Whether it carries board changes.
    pub fn has_boards(&self) -> bool {
        !self.arrived.envelope.body.board.is_empty()
    }
}

/// What became of an envelope.
#[derive(Debug)]
pub enum Taken {
    /// Taken now.
    Now {
        /// Verdicts.
        answer: Answer,
        /// The acknowledgement of it.
        acknowledgement: Box<Signed>,
    },
    /// Taken before: the answer is to be read from the store.
    Before,
    /// Not taken.
    Not(Answer),
}

/// Takes a group of envelopes of known installs, in their order, in the caller's transaction.
pub async fn take(tx: &mut Tx, app: &App, items: &mut [&mut Item], received_at: Timestamp) -> sqlx::Result<Vec<Taken>> {
    let mut needs = Needs::default();
    for item in &*items {
        needs.merge(Needs::of(item));
    }
    let refs: Vec<EntryId> = items.iter().flat_map(|item| item.entries().map(|entry| entry.head.id)).collect();
    let waiting = load::waiting_for(tx, &refs).await?;
    for held in &waiting {
        needs.entry(&held.entry);
        needs.device(held.device_id, held.install);
    }
    let mut world = load::world(tx, &needs).await?;
    open_dossiers(&mut world, app, items);
    for item in &mut *items {
        boards::refresh(tx, &world, item).await?;
    }
    let mut group = Group { app, world, effects: Effects::default(), received_at };
    let expected: Vec<_> = items.iter().flat_map(|item| group.expected(item)).collect();
    load::payments(tx, &mut group.world, &expected).await?;
    let mut taken: Vec<_> = items.iter().map(|item| group.take(item)).collect();
    group.judge_waiting(&waiting);
    let judged_again = group.judge_new_waiting()?;
    amend(items, &mut taken, &judged_again);
    let Group { mut world, mut effects, .. } = group;
    let moved = world.claims.iter().filter(|(_, claim)| claim.moved);
    effects.claims_moved = moved.map(|(receipt_no, claim)| (receipt_no.clone(), claim.payment)).collect();
    persist::persist(tx, &mut world, effects, received_at).await?;
    Ok(taken)
}

/// Puts the verdicts of entries that were judged again into the answers.
fn amend(items: &[&mut Item], taken: &mut [Taken], judged_again: &BTreeMap<EntryId, Outcome>) {
    for (item, taken) in items.iter().zip(taken) {
        let Taken::Now { answer: Answer::Taken { outcomes, .. }, .. } = taken else { continue };
        for (entry, outcome) in item.arrived.entries.iter().zip(outcomes) {
            let again = entry.as_ref().ok().and_then(|entry| judged_again.get(&entry.head.id));
            if let Some(again) = again {
                *outcome = again.clone();
            }
        }
    }
}

/// Dossiers that an entry or a board change names and the database has not got, or only by name: an
/// officer's day or an agent's quarter is opened; any other is kept as unknown, in nobody's caseload.
/// One is written only when something comes to be in it.
fn open_dossiers(world: &mut World, app: &App, items: &[&mut Item]) {
    let is_known = |world: &World, uid| world.dossiers.get(&uid).is_some_and(|dossier| dossier.about != About::Unknown);
    for item in items {
        let (user_id, user) = (item.arrived.user_id, item.arrived.user);
        for entry in item.entries() {
            let uid = entry.head.dossier;
            if is_known(world, uid) {
                continue;
            }
            let days = possible_days(app, entry.head.captured_at);
            let (about, caseload) = if days.iter().any(|day| DossierId::day(user, *day) == uid) {
                (About::Day(user_id), world.own_caseload(user_id))
            } else if let Some((agent, caseload)) = agent_of(world, uid, &days) {
                (About::Agent(agent), caseload)
            } else {
                (About::Unknown, None)
            };
            world.open(uid, about, caseload);
        }
        for change in &item.arrived.envelope.body.board {
            if !is_known(world, change.dossier) && item.own_days.contains(&change.dossier) {
                world.open(change.dossier, About::Day(user_id), world.own_caseload(user_id));
            }
        }
    }
}

/// The business dates something may belong to: what its phone's clock says, and, as that may be wrong
/// by years while the phone knew the date from the server, those around its arrival.
fn possible_days(app: &App, claimed: Timestamp) -> Vec<Date> {
    let zone = &app.settings.zone;
    let arrived = zone.date_of(app.now());
    let claimed = zone.date_of(claimed);
    std::iter::once(claimed).chain((-DAYS_BACK..=1).rev().map(|days| arrived.plus_days(days))).collect()
}

/// The agent, of those that are named, whose dossier of one of these days' quarter this is.
fn agent_of(world: &World, uid: DossierId, days: &[Date]) -> Option<(i64, Option<i64>)> {
    let quarter = |day: &Date| {
        let (year, month, _) = day.ymd();
        Some((year, u8::try_from((month - 1) / 3 + 1).ok()?))
    };
    let quarters: BTreeSet<_> = days.iter().filter_map(quarter).collect();
    let is_of = |agent: AgentId| quarters.iter().any(|&(year, quarter)| DossierId::agent(agent, year, quarter) == uid);
    world.agents.iter().find(|(agent, _)| is_of(**agent)).map(|(_, known)| *known)
}

struct Group<'a> {
    app: &'a App,
    world: World,
    effects: Effects,
    received_at: Timestamp,
}

impl Group<'_> {
    fn capture_time(&self, item: &Item, entry: &Entry) -> CaptureTime {
        let arrived = &item.arrived;
        let header = &arrived.envelope.header;
        let said = |hash| self.world.acknowledgements.get(&(arrived.device_id, hash)).copied();
        let moments = header.anchors.iter().filter_map(|anchor| {
            let (boot_id, boot_ms, wall) = (anchor.arrived.boot_id, anchor.arrived.boot_ms, anchor.arrived.wall);
            Some(KnownMoment { server: said(anchor.ack)?, boot_id, boot_ms, wall })
        });
        let moments: Vec<_> = moments.collect();
        let install = self.world.installs.get(&(arrived.device_id, header.install));
        let previous_after = install.and_then(|install| install.after_at);
        let (after, held_since) = (said(entry.head.after), item.held_since.as_slice());
        let bounds = Bounds { after, previous_after, received_at: self.received_at, held_since };
        corrected(&entry.head, &moments, bounds)
    }

    /// Repayments that may post, so that what they meet can be loaded.
    fn expected(&self, item: &Item) -> Vec<Expected> {
        let new = item.judged().filter(|entry| !self.world.entries.contains_key(&entry.head.id));
        new.filter_map(|entry| {
            let Body::Repayment(repayment) = &entry.body else { return None };
            let captured = self.app.settings.zone.date_of(self.capture_time(item, entry).at);
            let value_date = repayment.value_date.min(captured);
            let payment = Payment { value_date, id: entry.head.id.into(), amount_minor: repayment.amount.minor };
            let payment = self.world.as_provided(repayment, payment);
            let account_id = load::account_of(&self.world, entry.head.dossier, repayment.account);
            let receipt_no = repayment.receipt.as_ref().map(ToString::to_string);
            Some(Expected { account_id, payment, receipt_no, captured: true })
        })
        .collect()
    }

    fn take(&mut self, item: &Item) -> Taken {
        let arrived = &item.arrived;
        let header = &arrived.envelope.header;
        let key = (arrived.device_id, header.install);
        let Some(install) = self.world.installs.get(&key) else {
            return Taken::Not(Answer::Refused { code: "install_unknown".to_owned() });
        };
        let number = i64::try_from(header.number).unwrap_or(i64::MAX);
        let expected = install.last_number + 1;
        if number < expected {
            return Taken::Before;
        }
        if number > expected {
            let number = u64::try_from(expected).unwrap_or_default();
            return Taken::Not(Answer::Expect { number, previous: install.last_envelope });
        }
        if number > 1 && header.previous != install.last_envelope {
            return Taken::Not(Answer::Reactor);
        }
        let install_id = install.id;
        let outcomes =
            (0..).zip(&arrived.entries).map(|(i, entry)| self.take_entry(item, install_id, i, entry.as_ref().ok()));
        let outcomes = outcomes.collect();
        let board = self.take_boards(item, install_id, number);
        let acknowledgement = self.acknowledge(item, number);
        Taken::Now { answer: Answer::Taken { outcomes, board }, acknowledgement: Box::new(acknowledgement) }
    }

    fn take_entry(&mut self, item: &Item, install_id: i64, position: usize, entry: Option<&Entry>) -> Outcome {
        let arrived = &item.arrived;
        let bytes: &[u8] = &arrived.envelope.body.entries[position];
        let Some(entry) = entry else { return Outcome::refused(Reason::Malformed) };
        let exclusion = item.excluded.get(&position).copied();
        if exclusion == Some(Exclusion::Refused) {
            return Outcome::refused(Reason::Failed);
        }
        if entry.head.device != arrived.envelope.header.device {
            return Outcome::refused(Reason::Foreign);
        }
        if let Some(known) = self.world.entries.get(&entry.head.id) {
            return if known.is(bytes) { known.outcome.clone() } else { Outcome::refused(Reason::IdTaken) };
        }
        let time = self.capture_time(item, entry);
        let mut flags = Vec::new();
        if time.unproven {
            flags.push(Flag::TimeUnproven);
        }
        if time.skewed {
            flags.push(Flag::ClockSkew);
        }
        let device = &self.world.devices[&arrived.device_id];
        let (user_id, device_id) = (device.user_id, device.id);
        let capture = Capture {
            entry,
            dossier: entry.head.dossier,
            user_id,
            device_id,
            captured_at: time.at,
            received_at: self.received_at,
            release: None,
        };
        let outcome = match exclusion {
            Some(_) => judge::held_with(Outcome::held(Reason::Failed), flags),
            None => judge::judge(&mut self.world, &mut self.effects, &self.app.settings, capture, flags),
        };
        let dossier = self.world.dossiers.get_mut(&entry.head.dossier).expect("the dossier of a capture is loaded");
        let version = dossier.next_version();
        let logged = Logged { id: 0, bytes: bytes.to_vec(), digest: None, outcome: outcome.clone(), user_id };
        self.world.entries.insert(entry.head.id, logged);
        self.effects.attachments.extend(AttachmentRow::of(entry, device_id));
        self.effects.entries.push(NewEntry {
            uid: entry.head.id,
            dossier: entry.head.dossier,
            version,
            entry_type: entry.head.entry_type.clone(),
            device_id,
            install_id,
            user_id,
            bytes: bytes.to_vec(),
            confidential: entry.is_confidential(),
            captured_at: time.at,
            received_at: self.received_at,
            outcome: outcome.clone(),
        });
        outcome
    }

    fn take_boards(&mut self, item: &Item, install_id: i64, number: i64) -> Vec<BoardVerdict> {
        boards::take(&mut self.world, &mut self.effects, item, (install_id, number, self.received_at), self.app)
    }

    fn acknowledge(&mut self, item: &Item, number: i64) -> Signed {
        let (header, id) = (&item.arrived.envelope.header, item.arrived.envelope.id);
        let device_id = item.arrived.device_id;
        let after_at = self.world.acknowledgements.get(&(device_id, header.after)).copied();
        let install = self.world.installs.get_mut(&(device_id, header.install)).expect("the install was checked");
        install.last_number = number;
        install.last_envelope = id;
        install.after_at = install.after_at.max(after_at);
        install.dirty = true;
        let install_id = install.id;
        let erased_at = self.names_erased(&item.arrived).then_some(self.received_at);
        let bytes = if erased_at.is_some() { Vec::new() } else { item.arrived.bytes.clone() };
        let row = EnvelopeRow { install_id, number, uid: id, bytes, received_at: self.received_at, erased_at };
        self.effects.envelopes.push(row);
        let device = &self.world.devices[&device_id];
        let state = state_of(device.lost, device.deactivated_at.is_some());
        let signed = acknowledgement(
            self.app,
            (device.uid, header.install),
            (header.number, id),
            state,
            (self.received_at, item.again),
        );
        let hash = Acknowledgement::hash(&signed);
        self.effects.acknowledgements.push(AcknowledgementRow { device_id, hash, at: self.received_at });
        signed
    }

    /// Whether an envelope carries something about who is erased: its bytes are not kept.
    fn names_erased(&self, arrived: &Arrived) -> bool {
        let is_erased = |dossier| self.world.dossiers.get(&dossier).is_some_and(|known: &Dossier| known.erased);
        let names = |entry: &Entry| {
            let known = self.world.entries.get(&entry.head.id);
            is_erased(entry.head.dossier)
                || accounts_of(entry).is_some_and(|account| is_erased(DossierId::case(account)))
                || known.is_some_and(|known| known.digest.is_some())
        };
        arrived.entries.iter().flatten().any(names)
            || arrived.envelope.body.board.iter().any(|change| is_erased(change.dossier))
    }

    /// Judges entries of this group again that came before what they act on.
    fn judge_new_waiting(&mut self) -> sqlx::Result<BTreeMap<EntryId, Outcome>> {
        let mut judged = BTreeMap::new();
        for i in 0..self.effects.entries.len() {
            let new = &self.effects.entries[i];
            if new.outcome.reason != Some(Reason::MissingRef) {
                continue;
            }
            let entry = Entry::decode(&new.bytes).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let capture = Capture {
                entry: &entry,
                dossier: new.dossier,
                user_id: new.user_id,
                device_id: new.device_id,
                captured_at: new.captured_at,
                received_at: new.received_at,
                release: None,
            };
            self.effects.waiting.retain(|(_, waiting)| *waiting != entry.head.id);
            let flags = new.outcome.flags.clone().unwrap_or_default();
            let outcome = judge::judge(&mut self.world, &mut self.effects, &self.app.settings, capture, flags);
            self.effects.entries[i].outcome = outcome.clone();
            judged.insert(entry.head.id, outcome);
        }
        Ok(judged)
    }

    /// Judges entries again that waited for one of this group.
    fn judge_waiting(&mut self, waiting: &[load::Waiting]) {
        for held in waiting {
            self.judge_held(held);
        }
    }

    fn judge_held(&mut self, held: &load::Waiting) {
        let logged = self.world.entries.get(&held.entry.head.id);
        let waits = |outcome: &&Outcome| outcome.reason == Some(Reason::MissingRef);
        let Some(outcome) = logged.map(|logged| &logged.outcome).filter(waits) else { return };
        let flags = outcome.flags.clone().unwrap_or_default();
        let capture = Capture {
            entry: &held.entry,
            dossier: held.entry.head.dossier,
            user_id: held.user_id,
            device_id: held.device_id,
            captured_at: held.captured_at,
            received_at: held.received_at,
            release: None,
        };
        let outcome = judge::judge(&mut self.world, &mut self.effects, &self.app.settings, capture, flags);
        if outcome.reason == Some(Reason::MissingRef) {
            return;
        }
        let dossier = self.world.dossiers.get_mut(&capture.dossier).expect("the dossier of a capture is loaded");
        let outcome_version = dossier.next_version();
        let changed = ChangedOutcome { entry_id: held.id, device_id: held.device_id, outcome_version, outcome };
        self.effects.waited.push(held.id);
        self.effects.outcomes.push(changed);
    }
}

/// What the server thinks of a device, as acknowledgements say it.
pub fn state_of(lost: bool, deactivated: bool) -> DeviceState {
    match (lost, deactivated) {
        (true, _) => DeviceState::Wipe,
        (false, true) => DeviceState::Revoked,
        (false, false) => DeviceState::Ok,
    }
}

/// Signs an acknowledgement. `again` is what of the install was sent once more.
pub fn acknowledgement(
    app: &App,
    (device, install): (daybook_shared::ids::DeviceId, InstallId),
    (number, envelope): (u64, EnvelopeId),
    state: DeviceState,
    (at, again): (Timestamp, Option<TakenBefore>),
) -> Signed {
    let epoch = app.epoch();
    let head = app.audit_head.get();
    let (audit_head, audit_seq) = (head.map(|head| head.hash), head.map(|head| head.seq.unsigned_abs()));
    let payload = Acknowledgement { epoch, device, install, number, envelope, at, state, audit_head, audit_seq, again };
    Signed::seal(&app.keys.server, Context::Acknowledgement, app.deployment.id, &payload)
}
