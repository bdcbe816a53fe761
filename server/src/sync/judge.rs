//! Verdicts on entries: pure functions of the entry, its capture time and the [`World`].
//!
//! The order of the checks is what makes the result independent of the order of arrival: what
//! depends only on the entry and on append-only history comes before what depends on others.

use daybook_shared::entry::{
    Body, CashHandover, Channel, Correction, Entry, EntryError, Promise, Repayment, TransactionCheck, Visit,
};
use daybook_shared::ids::{DossierId, EntryId, PaymentId};
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::{Flag, Outcome, OutcomeState, Reason};
use uuid::Uuid;

use super::effects::{
    CheckRow, CorrectionRow, Effects, HandoverItemRow, HandoverRow, PaymentRow, PromiseRow, VisitRow,
};
use super::world::{About, Claim, Entitlement, LineMoney, ProviderLine, World, line_key};
use super::{money, records};
use crate::ledger::posting::{self, Event, GlAccount};
use crate::portfolio::payment::plain_reference;
use crate::settings::Settings;

/// A capture as it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Capture<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// Its dossier.
    pub dossier: DossierId,
    /// Who captured it.
    pub user_id: i64,
    /// With which device.
    pub device_id: i64,
    /// Corrected capture time.
    pub captured_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// A person's leave to pass what would hold it; none for a capture that has just come.
    pub release: Option<Release>,
}

/// A person released a held capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Its cash is in suspense, charged to the officer, since it was held.
    pub debited: bool,
    /// Its payment has a row since it was held. What failed has none.
    pub recorded: bool,
}

impl Capture<'_> {
    fn id(&self) -> EntryId {
        self.entry.head.id
    }

    fn capture_date(&self, settings: &Settings) -> Date {
        settings.zone.date_of(self.captured_at)
    }
}

/// Judges a capture and puts what it brings about into the world and the effects. `time_flags` say what was found
/// out about its time.
pub fn judge(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    time_flags: Vec<Flag>,
) -> Outcome {
    let outcome = judge_capture(world, effects, settings, capture, time_flags.clone());
    held_with(outcome, time_flags)
}

/// A held entry keeps what was found out about its time, for when it is judged again, however often it is held.
pub fn held_with(outcome: Outcome, time_flags: Vec<Flag>) -> Outcome {
    let waits = outcome.state == OutcomeState::Held && !time_flags.is_empty();
    if waits { Outcome { flags: Some(time_flags), ..outcome } } else { outcome }
}

fn judge_capture(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    mut flags: Vec<Flag>,
) -> Outcome {
    match capture.entry.check() {
        Ok(()) => {}
        Err(EntryError::Amount) => return Outcome::refused(Reason::Amount),
        Err(_) => return Outcome::refused(Reason::Field),
    }
    let hold = hold_of_capture(world, capture, &mut flags);
    match &capture.entry.body {
        Body::Repayment(repayment) => judge_repayment(world, effects, settings, capture, repayment, hold, flags),
        body => match hold {
            Some(reason) => Outcome::held(reason),
            None => judge_record(world, effects, settings, capture, body, flags),
        },
    }
}

/// What holds a capture whatever it says: who captured it, when, and for which dossier.
fn hold_of_capture(world: &World, capture: Capture<'_>, flags: &mut Vec<Flag>) -> Option<Reason> {
    let device = &world.devices[&capture.device_id];
    if capture.release.is_none() {
        if device.lost {
            return Some(Reason::DeviceLost);
        }
        if device.deactivated_at.is_some_and(|at| capture.captured_at >= at) {
            return Some(Reason::AfterDeactivation);
        }
    }
    let dossier = &world.dossiers[&capture.dossier];
    match world.entitlement(capture.user_id, dossier, capture.captured_at) {
        Entitlement::Held => None,
        Entitlement::HeldOnce => {
            flags.push(Flag::PostReassign);
            None
        }
        Entitlement::Never if capture.release.is_some() => None,
        Entitlement::Never => Some(Reason::NotEntitled),
    }
}

fn judge_record(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    body: &Body,
    mut flags: Vec<Flag>,
) -> Outcome {
    match body {
        Body::Visit(visit) => effects.visits.push(visit_row(capture, visit)),
        Body::Promise(promise) => return judge_promise(world, effects, settings, capture, promise, flags),
        Body::Correction(correction) => return judge_correction(world, effects, capture, correction, flags),
        Body::CashHandover(handover) => return judge_handover(world, effects, capture, handover, flags),
        Body::TransactionCheck(check) => {
            if !world.agents.contains_key(&check.agent) {
                return Outcome::held(Reason::UnknownAccount);
            }
            effects.checks.push(check_row(capture, check));
        }
        Body::Unknown => flags.push(Flag::UnknownType),
        Body::Repayment(_) => unreachable!("repayments are judged on their own"),
        _ => return records::judge(world, effects, settings, capture, flags),
    }
    if capture.entry.head.attachments.as_ref().is_some_and(|files| !files.is_empty()) {
        flags.push(Flag::EvidencePending);
    }
    Outcome::accepted(OutcomeState::Noted, flags)
}

fn visit_row(capture: Capture<'_>, visit: &Visit) -> VisitRow {
    let gps = capture.entry.head.gps.as_ref();
    VisitRow {
        entry_uid: capture.id(),
        dossier: capture.dossier,
        user_id: capture.user_id,
        kind: visit.kind.clone(),
        outcome: visit.outcome.clone(),
        person_met: visit.person_met.clone(),
        identity_verified: visit.identity_verified,
        started_at: visit.started_at,
        ended_at: visit.ended_at,
        lat_e6: gps.map(|gps| i64::from(gps.lat_e6)),
        lon_e6: gps.map(|gps| i64::from(gps.lon_e6)),
    }
}

fn check_row(capture: Capture<'_>, check: &TransactionCheck) -> CheckRow {
    CheckRow {
        entry_uid: capture.id(),
        agent_uid: check.agent,
        user_id: capture.user_id,
        txn_ref: check.txn_ref.clone(),
        txn_type: check.txn_type.clone(),
        amount_minor: check.amount.minor,
        currency: check.amount.currency,
        txn_at: check.txn_at,
        book_amount_minor: check.book_amount_minor,
        result: check.result.clone(),
    }
}

/// Of an account's promises the latest captured is ACTIVE (ruling S28).
fn judge_promise(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    promise: &Promise,
    mut flags: Vec<Flag>,
) -> Outcome {
    let dossier = world.dossiers.get_mut(&capture.dossier).expect("the dossier of a capture is loaded");
    let About::Case(account_id) = dossier.about else { return Outcome::held(Reason::UnknownAccount) };
    let account = world.accounts.get_mut(&account_id).expect("the account of a case is loaded");
    if account.row.currency != promise.amount.currency {
        return Outcome::held(Reason::CurrencyMismatch);
    }
    let days = promise.promised_date.days_since(capture.capture_date(settings));
    if !(0..=settings.promise_days_max).contains(&days) {
        flags.push(Flag::PromiseDate);
    }
    let newest = account.row.active_promise_at.zip(account.row.active_promise);
    let active = newest.is_none_or(|newest| (capture.captured_at, capture.id()) > newest);
    if active {
        effects.superseded.extend(account.row.active_promise);
        account.row.active_promise = Some(capture.id());
        account.row.active_promise_at = Some(capture.captured_at);
        account.dirty = true;
    }
    dossier.promises_changed = true;
    effects.promises.push(PromiseRow {
        entry_uid: capture.id(),
        account_id,
        user_id: capture.user_id,
        amount_minor: promise.amount.minor,
        promised_date: promise.promised_date,
        captured_at: capture.captured_at,
        status: if active { "ACTIVE" } else { "SUPERSEDED" }.to_owned(),
    });
    Outcome::accepted(OutcomeState::Noted, flags)
}

/// A correction asks; a supervisor decides. It waits until its target is known (ruling S36).
fn judge_correction(
    world: &World,
    effects: &mut Effects,
    capture: Capture<'_>,
    correction: &Correction,
    flags: Vec<Flag>,
) -> Outcome {
    if !world.entries.contains_key(&correction.target) {
        effects.waiting.push((correction.target, capture.id()));
        return Outcome::held(Reason::MissingRef);
    }
    effects.corrections.push(CorrectionRow {
        entry_uid: capture.id(),
        target: correction.target,
        kind: correction.kind.clone(),
        user_id: capture.user_id,
        captured_at: capture.captured_at,
    });
    Outcome::accepted(OutcomeState::Noted, flags)
}

/// A hand-over declares; a cashier's count moves the money. Each cash repayment is in at most one.
fn judge_handover(
    world: &mut World,
    effects: &mut Effects,
    capture: Capture<'_>,
    handover: &CashHandover,
    flags: Vec<Flag>,
) -> Outcome {
    let missing: Vec<_> = handover.repayments.iter().filter(|id| !world.entries.contains_key(*id)).collect();
    if !missing.is_empty() {
        effects.waiting.extend(missing.into_iter().map(|missing| (*missing, capture.id())));
        return Outcome::held(Reason::MissingRef);
    }
    // Whether the office took one of them back meanwhile, or waits with it, is no fault of the hand-over:
    // the count says what is there.
    let in_hand = handover.repayments.iter().all(|id| {
        let payment = PaymentId::from(*id);
        world.cash_payments.get(&payment) == Some(&capture.user_id) && !world.handed_over.contains_key(&payment)
    });
    if !in_hand {
        return Outcome::held(Reason::NotInHand);
    }
    for id in &handover.repayments {
        world.handed_over.insert(PaymentId::from(*id), capture.id());
        effects.handover_items.push(HandoverItemRow { payment_uid: PaymentId::from(*id), entry_uid: capture.id() });
    }
    effects.handovers.push(HandoverRow {
        entry_uid: capture.id(),
        user_id: capture.user_id,
        recipient: handover.to.clone(),
        declared_minor: handover.declared.minor,
        currency: handover.declared.currency,
        captured_at: capture.captured_at,
    });
    Outcome::accepted(OutcomeState::Noted, flags)
}

/// The verdict on a repayment and where its money goes.
fn judge_repayment(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    repayment: &Repayment,
    hold: Option<Reason>,
    mut flags: Vec<Flag>,
) -> Outcome {
    let capture_date = capture.capture_date(settings);
    let value_date = repayment.value_date.min(capture_date);
    if repayment.value_date > capture_date {
        flags.push(Flag::ValueDateAhead);
    } else if value_date < capture_date {
        flags.push(Flag::Backdated);
    }
    if repayment.over_limit.is_some() {
        flags.push(Flag::OverLimit);
    }
    let verdict = match hold {
        Some(reason) => Err(reason),
        None => destination(world, settings, capture, repayment, value_date, &mut flags),
    };
    let payment = PaymentRow {
        uid: capture.id().into(),
        account_id: account_of(world, capture, repayment),
        user_id: capture.user_id,
        channel: repayment.channel.clone(),
        amount_minor: repayment.amount.minor,
        currency: repayment.amount.currency,
        receipt_no: repayment.receipt.as_ref().map(ToString::to_string),
        external_ref: repayment.external_ref.as_deref().map(plain_reference),
        value_date,
        booked_on: None,
        state: "held".to_owned(),
        debited: false,
    };
    match verdict {
        Ok(account_id) => {
            post(world, effects, settings, capture, PaymentRow { account_id: Some(account_id), ..payment }, flags)
        }
        Err(reason) => hold_payment(world, effects, settings, capture, payment, reason),
    }
}

/// The account a repayment names, if it is the one its dossier is about.
fn account_of(world: &World, capture: Capture<'_>, repayment: &Repayment) -> Option<i64> {
    let dossier = &world.dossiers[&capture.dossier];
    match dossier.about {
        About::Case(account_id) if DossierId::case(repayment.account) == capture.dossier => Some(account_id),
        _ => None,
    }
}

/// Where a repayment's money goes, or why it waits. What depends on the entry and the account comes
/// first; the receipt number, which depends on other captures, comes last.
fn destination(
    world: &mut World,
    settings: &Settings,
    capture: Capture<'_>,
    repayment: &Repayment,
    value_date: Date,
    flags: &mut Vec<Flag>,
) -> Result<i64, Reason> {
    let account_id = account_of(world, capture, repayment).ok_or(Reason::UnknownAccount)?;
    let account = &world.accounts[&account_id].row;
    if !account.takes_payments() {
        return Err(Reason::UnknownAccount);
    }
    let amount = repayment.amount;
    if amount.currency != account.currency {
        return Err(Reason::CurrencyMismatch);
    }
    if capture.release.is_none() {
        let absurd = account.original_minor.saturating_mul(10).min(settings.amount_limit_minor);
        if amount.minor > absurd {
            return Err(Reason::Amount);
        }
        let days_back = capture.capture_date(settings).days_since(value_date);
        if days_back > settings.backdated_days_max {
            return Err(Reason::Backdated);
        }
    }
    if !repayment.is_cash() {
        provided(world, capture, repayment, account_id)?;
    }
    claim_receipt(world, capture, repayment, flags)?;
    Ok(account_id)
}

/// What is not cash waits for the provider's word, or for a person's. A line of the provider's stands for
/// one capture, and only for one that says the same: the money is the provider's affair and is booked
/// once, whichever came first.
fn provided(world: &World, capture: Capture<'_>, repayment: &Repayment, account_id: i64) -> Result<(), Reason> {
    let Some(line) = world.line_of(repayment) else {
        return if capture.release.is_some() { Ok(()) } else { Err(Reason::AwaitingProvider) };
    };
    if line.entry.is_some_and(|entry| entry != capture.id()) {
        return Err(Reason::DupReceipt);
    }
    let same = line.amount == repayment.amount && line.account_id.is_none_or(|id| id == account_id);
    if same && line.money != LineMoney::Unclear { Ok(()) } else { Err(Reason::ProviderDiffers) }
}

/// A receipt number stands for one repayment, and within a device's series only for one of its own.
fn claim_receipt(
    world: &mut World,
    capture: Capture<'_>,
    repayment: &Repayment,
    flags: &mut Vec<Flag>,
) -> Result<(), Reason> {
    let Some(receipt) = &repayment.receipt else { return Ok(()) };
    match world.series.get(receipt.series()) {
        Some(series) if series.device_id != capture.device_id => {
            if capture.release.is_none() {
                return Err(Reason::ForeignBlock);
            }
        }
        Some(series) if i64::from(receipt.number()) >= series.next => flags.push(Flag::OutOfBlock),
        Some(_) => {}
        None if receipt.series().starts_with('P') && receipt.series().len() == 6 => {
            flags.push(Flag::ProvisionalReceipt);
        }
        None => flags.push(Flag::OutOfBlock),
    }
    let mine = PaymentId::from(capture.id());
    let claim = world.claims.entry(receipt.to_string()).or_insert(Claim { payment: mine, fresh: true, moved: false });
    if claim.payment == mine {
        claim.fresh = false;
        return Ok(());
    }
    if claim.fresh {
        // Whoever came before it in this group did not post under the number after all.
        *claim = Claim { payment: mine, fresh: false, moved: true };
        return Ok(());
    }
    Err(Reason::DupReceipt)
}

/// Cash waits in suspense, charged to the officer, unless it may be the same cash twice or the
/// device is not to be believed.
fn hold_payment(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    payment: PaymentRow,
    reason: Reason,
) -> Outcome {
    if capture.release.is_some() {
        // It was held before and stays so: nothing moves.
        return Outcome::held(reason);
    }
    let charged = payment.channel == Channel::Cash && !matches!(reason, Reason::DupReceipt | Reason::DeviceLost);
    // Cash beyond what a sum can hold is nobody's real cash: it waits uncharged.
    let debited = charged && effects.add_cash(capture.user_id, payment.currency, payment.amount_minor).is_ok();
    let booked_on = debited.then(|| booked_on(settings, payment.value_date));
    if let Some(booked_on) = booked_on {
        let event = event_of(capture.id(), booked_on, payment.currency);
        let source = GlAccount::officer_cash(capture.user_id);
        let journal = posting::suspense(event, source, payment.amount_minor).expect("a checked amount is above zero");
        effects.journals.push(journal);
    }
    if payment.channel == Channel::Cash {
        world.cash_payments.insert(payment.uid, capture.user_id);
    }
    effects.payments.push(PaymentRow { booked_on, debited, ..payment });
    Outcome::held(reason)
}

/// Puts the money on the account, or into recovery when it was written off.
fn post(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    mut payment: PaymentRow,
    mut flags: Vec<Flag>,
) -> Outcome {
    let key = payment.external_ref.as_deref().map(|external_ref| line_key(&payment.channel, external_ref));
    let key = key.filter(|key| world.lines.contains_key(key));
    if let Some(line) = key.as_ref().and_then(|key| world.lines.get(key)).cloned() {
        flags.push(Flag::ProviderConfirmed);
        if let LineMoney::Suspense(id) | LineMoney::Posted(id) = line.money {
            let outcome = match_line(world, effects, settings, capture, (payment, id), (&line, flags));
            confirm(world, key.as_ref(), capture, id, &outcome);
            return outcome;
        }
        payment.value_date = line.value_date;
    }
    let account_id = payment.account_id.expect("a payment that posts has an account");
    let account = world.accounts.get_mut(&account_id).expect("the account of a case is loaded");
    if payment.value_date < account.row.disbursed_on {
        flags.push(Flag::BeforeDisbursal);
    }
    if !world.same_day.insert((account_id, payment.value_date, payment.amount_minor)) {
        flags.push(Flag::LikelyDuplicate);
    }
    let is_cash = payment.channel == Channel::Cash;
    let booked_on = booked_on(settings, payment.value_date);
    let in_suspense = capture.release.is_some_and(|release| release.debited);
    let source = if in_suspense { GlAccount::SUSPENSE } else { money::source_of(&payment.channel, capture.user_id) };
    let event = event_of(capture.id(), booked_on, payment.currency);
    let charged = is_cash && !in_suspense;
    if charged && !effects.can_add_cash(capture.user_id, payment.currency, payment.amount_minor) {
        return hold_payment(world, effects, settings, capture, payment, Reason::Amount);
    }
    match money::pay(account, source, event, payment.uid, payment.value_date, payment.amount_minor) {
        Ok((journal, paid_flags)) => {
            effects.journals.push(journal);
            flags.extend(paid_flags);
        }
        // Only sums beyond 64 bits end here; such money waits for a person.
        Err(_) => return hold_payment(world, effects, settings, capture, payment, Reason::Amount),
    }
    if charged {
        let added = effects.add_cash(capture.user_id, payment.currency, payment.amount_minor);
        added.expect("the sum was checked before the payment");
    }
    if is_cash {
        world.cash_payments.insert(payment.uid, capture.user_id);
    }
    world.dossiers.get_mut(&capture.dossier).expect("the dossier of a capture is loaded").state_changed = true;
    let state = "posted".to_owned();
    confirm(world, key.as_ref(), capture, payment.uid, &Outcome::accepted(OutcomeState::Posted, Vec::new()));
    let row = PaymentRow { booked_on: Some(booked_on), state, debited: is_cash, ..payment };
    if capture.release.is_some_and(|release| release.recorded) {
        effects.payment_states.push(row);
    } else {
        effects.payments.push(row);
    }
    if capture.entry.head.attachments.as_ref().is_some_and(|files| !files.is_empty()) {
        flags.push(Flag::EvidencePending);
    }
    Outcome::accepted(OutcomeState::Posted, flags)
}

/// The provider's payment is the capture's money: out of suspense, or there already. The capture's own
/// payment says so and has no effect.
fn match_line(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    (payment, id): (PaymentRow, PaymentId),
    (line, mut flags): (&ProviderLine, Vec<Flag>),
) -> Outcome {
    let account_id = payment.account_id.expect("a payment that posts has an account");
    if line.money == LineMoney::Suspense(id) {
        let account = world.accounts.get_mut(&account_id).expect("the account of a case is loaded");
        let booked_on = booked_on(settings, line.value_date);
        let event = Event { id: id.0, correlation: id.0, booked_on, currency: payment.currency };
        let paid = money::pay(account, GlAccount::SUSPENSE, event, id, line.value_date, payment.amount_minor);
        let Ok((journal, paid_flags)) = paid else {
            return hold_payment(world, effects, settings, capture, payment, Reason::Amount);
        };
        effects.journals.push(journal);
        flags.extend(paid_flags);
        effects.payment_states.push(PaymentRow {
            uid: id,
            receipt_no: None,
            value_date: line.value_date,
            booked_on: Some(booked_on),
            state: "posted".to_owned(),
            debited: false,
            ..payment.clone()
        });
    }
    if capture.release.is_some() || line.money == LineMoney::Suspense(id) {
        world.dossiers.get_mut(&capture.dossier).expect("the dossier of a capture is loaded").state_changed = true;
    }
    let row = PaymentRow { booked_on: None, state: "matched".to_owned(), debited: false, ..payment };
    if capture.release.is_some_and(|release| release.recorded) {
        effects.payment_states.push(row);
    } else {
        effects.payments.push(row);
    }
    if capture.entry.head.attachments.as_ref().is_some_and(|files| !files.is_empty()) {
        flags.push(Flag::EvidencePending);
    }
    Outcome::accepted(OutcomeState::Posted, flags)
}

/// Notes which capture a provider's line stands for, once that is posted.
fn confirm(
    world: &mut World,
    key: Option<&super::world::LineKey>,
    capture: Capture<'_>,
    payment: PaymentId,
    outcome: &Outcome,
) {
    let Some(line) = key.and_then(|key| world.lines.get_mut(key)) else { return };
    if outcome.state == OutcomeState::Posted {
        line.entry = Some(capture.id());
        line.money = LineMoney::Posted(payment);
        line.matched = true;
    }
}

/// The day something with this value date is booked on: a closed period moves it to the first open
/// day, and nothing else (ruling S16).
pub fn booked_on(settings: &Settings, value_date: Date) -> Date {
    settings.closed_through.map_or(value_date, |closed| value_date.max(closed.plus_days(1)))
}

/// The ledger event of a capture: named by the entry.
pub fn event_of(entry: EntryId, booked_on: Date, currency: daybook_shared::money::Currency) -> Event {
    let id: Uuid = entry.0;
    Event { id, correlation: id, booked_on, currency }
}
