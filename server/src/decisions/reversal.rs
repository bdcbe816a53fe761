//! Taking a posted payment back, and deciding on a correction that asks for it.
//!
//! The journal is mirrored, the account's other payments are allocated anew, and what this leaves
//! between schedule and credit is booked (posting lines R and 6b). The receipt number stays used.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::entry::{Body, Channel, Correction, CorrectionKind, Entry};
use daybook_shared::ids::{AccountId, DecisionId, DossierId, EntryId, InstallId, PaymentId};
use daybook_shared::money::Currency;
use daybook_shared::schedule;
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::{Flag, Outcome, Reason};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Decider, Novelty};
use crate::app::App;
use crate::auth::{Permission, User, two_people};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};
use crate::ledger::journal;
use crate::ledger::posting::{Event, GlAccount, Journal, JournalKind, Line};
use crate::portfolio::allocation::Payment;
use crate::sync::effects::{ChangedOutcome, Effects, NewTimelineEvent, PaymentRow};
use crate::sync::load::{self, Needs, outcome_of};
use crate::sync::world::{About, World};
use crate::sync::{judge, money, persist};
use crate::{on_db, visible_units};

/// A posted payment with the entry it came from. One that stands in place of another by an approved
/// correction came from the entry of that other; its id is the decision's. One of a provider's statement
/// has the entry that it confirms, and is found by that too.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct PostedRow {
    uid: PaymentId,
    entry_id: i64,
    dossier_uid: DossierId,
    account_dossier: Option<DossierId>,
    user_id: i64,
    device_id: i64,
    install_uid: InstallId,
    outcome: String,
    reason: Option<Reason>,
    flags: Option<String>,
    captured_at: Timestamp,
    channel: Channel,
    amount_minor: i64,
    currency: Currency,
    receipt_no: Option<String>,
    external_ref: Option<String>,
    value_date: Date,
    state: String,
    account_id: Option<i64>,
}

const ONE: &str = concat!(
    visible_units!(),
    "select p.uid, e.id as entry_id, d.uid as dossier_uid, a.uid as account_dossier, e.user_id, e.device_id, i.uid as install_uid,
       e.outcome, e.reason, e.flags, e.captured_at, p.channel, p.amount_minor, p.currency, p.receipt_no, p.external_ref,
       p.value_date, p.state, p.account_id
     from payment p
       left join statement_line l on l.payment_uid = p.uid
       left join decision x on x.uid = p.uid and x.kind = 'correction' left join correction c on c.entry_uid = x.subject
       join entry e on e.uid = coalesce(c.target, l.entry_uid, p.uid) join dossier d on d.id = e.dossier_id join install i on i.id = e.install_id
       left join dossier a on a.account_id = p.account_id
     where p.uid = coalesce((select m.payment_uid from statement_line m where m.entry_uid = $3), $3) and exists (select 1 from user_role r join visible v on v.id = r.unit_id
                                  where r.user_id = e.user_id and r.ended_at is null)"
);

/// Why a payment is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "id": "019cad21-cf00-7000-8000-c11e00000019", "reason": "The cheque bounced." }))]
pub struct ReversalRequest {
    id: DecisionId,
    /// In the supervisor's words, at most 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Takes a posted payment back. Its receipt number stays used.
#[utoipa::path(
    post,
    path = "/v1/payments/{id}/reversal",
    tag = "payments",
    params(("id" = PaymentId, Path, description = "The payment.")),
    request_body = ReversalRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn reverse(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(payment): Path<PaymentId>,
    Json(request): Json<ReversalRequest>,
) -> Result<Response, Problem> {
    if request.reason.trim().is_empty() || request.reason.chars().count() > 500 {
        return Err(Problem::invalid("/reason", "length", "reason says why, in at most 500 characters."));
    }
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let posted = find(&mut tx, &by, payment).await?;
    two_people(posted.user_id, by.id)?;
    if decider.record(&mut tx, "reversal", payment.0, json!({ "reason": request.reason })).await? == Novelty::Repeated {
        return effect.commit(tx, Answer::done()).await;
    }
    take_back(&mut tx, decider, &posted, None).await?;
    effect.commit(tx, Answer::done()).await
}

async fn find(tx: &mut Tx, by: &User, payment: PaymentId) -> Result<PostedRow, Problem> {
    let roles = Permission::ReversePayments.role_list();
    let row: Option<PostedRow> = on_db!(tx, conn => {
        sqlx::query_as(ONE).bind(by.id).bind(roles).bind(payment).fetch_optional(conn).await
    })?;
    row.ok_or_else(Problem::not_found)
}

/// What a phone recorded of a provider's payment that is taken back.
const UNMATCH: &str = "update payment set state = 'reversed'
     where state = 'matched' and uid = (select uid from entry where id = $1)";

/// What should stand in place of a payment that is taken back.
#[derive(Debug, Clone, Copy)]
struct Instead {
    account: Option<AccountId>,
    amount_minor: i64,
    value_date: Date,
}

/// Reverses a payment and, where something should stand in its place, posts that.
async fn take_back(
    tx: &mut Tx,
    decider: Decider<'_>,
    posted: &PostedRow,
    instead: Option<Instead>,
) -> Result<(), Problem> {
    let mut needs = Needs::default();
    needs.device(posted.device_id, posted.install_uid);
    needs.dossier(posted.dossier_uid);
    let account_dossier = posted.account_dossier.unwrap_or(posted.dossier_uid);
    needs.dossier(account_dossier);
    let other = instead.and_then(|instead| instead.account).map(DossierId::case);
    if let Some(other) = other {
        needs.dossier(other);
    }
    let mut world = load::world(tx, &needs).await?;
    must_stand(tx, decider.by, posted).await?;
    let all = world.accounts.keys().copied().collect();
    load::load_payments(tx, &mut world, &all).await?;
    let mut effects = Effects::default();
    mirror(tx, decider, posted, &mut world, &mut effects).await?;
    if let Some(instead) = instead {
        repost(decider, posted, instead, other.unwrap_or(account_dossier), &mut world, &mut effects)?;
    }
    tell(decider, posted, account_dossier, &mut world, &mut effects)?;
    if let Some(other) = other {
        let dossier = world.dossiers.get_mut(&other).ok_or_else(no_such_account)?;
        dossier.state_changed = true;
        if !dossier.dirty {
            dossier.next_version();
        }
    }
    persist::persist(tx, &mut world, effects, decider.now).await?;
    Ok(())
}

/// Read again once the rows are locked: another decision may have put the payment elsewhere or taken it
/// back in between.
async fn must_stand(tx: &mut Tx, by: &User, posted: &PostedRow) -> Result<(), Problem> {
    let now = find(tx, by, posted.uid).await?;
    if now.state != "posted" {
        return Err(Problem::new(Code::Conflict, format!("The payment is {}, not posted.", now.state)));
    }
    if now != *posted {
        return Err(Problem::new(Code::Conflict, "Somebody changed the payment at this moment: look again."));
    }
    Ok(())
}

/// Mirrors the payment's journal, allocates the others anew, and books what moves between schedule
/// and credit by it.
async fn mirror(
    tx: &mut Tx,
    decider: Decider<'_>,
    posted: &PostedRow,
    world: &mut World,
    effects: &mut Effects,
) -> Result<(), Problem> {
    let broken = |what: &'static str| Problem::internal(&what);
    let kinds = [JournalKind::Repayment, JournalKind::Identified, JournalKind::Recovery];
    let journals = journal::read(tx, posted.uid.0).await?;
    let journal = journals.into_iter().find(|journal| kinds.contains(&journal.kind()));
    let journal = journal.ok_or_else(|| broken("a posted payment has no journal"))?;
    let event = event(decider, posted.uid.0, posted.currency);
    let account_id = posted.account_id.ok_or_else(|| broken("a posted payment has no account"))?;
    // What went through suspense came from the officer's cash, or from where the provider has it.
    let source = money::source_of(&posted.channel, posted.user_id);
    let through = |account| if account == GlAccount::SUSPENSE { source } else { account };
    let lines: Vec<Line> =
        journal.lines().iter().map(|line| Line { account: through(line.account), minor: -line.minor }).collect();
    let to_plan: i64 =
        lines.iter().filter(|line| line.account == GlAccount::plan_recv(account_id)).map(|line| line.minor).sum();
    if posted.channel == Channel::Cash {
        effects.add_cash(posted.user_id, posted.currency, -posted.amount_minor)?;
    }
    effects
        .journals
        .push(Journal::new(JournalKind::Reversal, event, lines).map_err(|error| Problem::internal(&error))?);
    effects.payment_states.push(payment_row(posted, "reversed"));
    on_db!(tx, conn => sqlx::query(UNMATCH).bind(posted.entry_id).execute(conn).await.map(|_| ()))?;
    if journal.kind() == JournalKind::Recovery {
        return Ok(());
    }
    let account = world.accounts.get_mut(&account_id).ok_or_else(|| broken("the account is loaded"))?;
    let owed = |account: &crate::sync::world::Account| {
        schedule::outstanding(&account.instalments)
            .and_then(|owed| owed.total())
            .map_err(|error| Problem::internal(&error))
    };
    let before = owed(account)?;
    let payments = account.payments.as_mut().ok_or_else(|| broken("the payments are loaded"))?;
    payments.retain(|payment| payment.id != posted.uid);
    money::replay(account).map_err(|error| Problem::internal(&error))?;
    // What the schedule owes again is what the payment had paid of it, less what credit now pays.
    let applied = to_plan - (owed(account)? - before);
    if applied != 0 {
        let customer = account.row.customer_id;
        let lines = vec![
            Line { account: GlAccount::credit(customer), minor: applied },
            Line { account: GlAccount::plan_recv(account_id), minor: -applied },
        ];
        let journal =
            Journal::new(JournalKind::CreditApplied, event, lines).map_err(|error| Problem::internal(&error))?;
        effects.journals.push(journal);
    }
    Ok(())
}

/// Posts what should have been recorded, as a payment of the decision's own.
fn repost(
    decider: Decider<'_>,
    posted: &PostedRow,
    instead: Instead,
    dossier: DossierId,
    world: &mut World,
    effects: &mut Effects,
) -> Result<(), Problem> {
    let about = world.dossiers.get(&dossier).ok_or_else(no_such_account)?.about;
    let About::Case(account_id) = about else { return Err(no_such_account()) };
    let account = world.accounts.get_mut(&account_id).ok_or_else(no_such_account)?;
    if !account.row.takes_payments() {
        return Err(Problem::validation("The account is not active yet, or was undone."));
    }
    if account.row.currency != posted.currency {
        return Err(Problem::validation("The other account is in another currency."));
    }
    let id = PaymentId(decider.id.0);
    let event = event(decider, posted.uid.0, posted.currency);
    let source = money::source_of(&posted.channel, posted.user_id);
    let payment = Payment { value_date: instead.value_date, id, amount_minor: instead.amount_minor };
    let (journal, _) = money::pay(account, source, event, id, payment.value_date, payment.amount_minor)
        .map_err(|error| Problem::validation(format!("{error}.")))?;
    effects.journals.push(journal);
    let is_cash = posted.channel == Channel::Cash;
    if is_cash {
        effects.add_cash(posted.user_id, posted.currency, instead.amount_minor)?;
    }
    effects.payments.push(PaymentRow {
        uid: id,
        account_id: Some(account_id),
        amount_minor: instead.amount_minor,
        value_date: instead.value_date,
        debited: is_cash,
        ..payment_row(posted, "posted")
    });
    Ok(())
}

/// Tells the phones: the entry's outcome, the account's state and the event.
fn tell(
    decider: Decider<'_>,
    posted: &PostedRow,
    account_dossier: DossierId,
    world: &mut World,
    effects: &mut Effects,
) -> Result<(), Problem> {
    let before = outcome_of(&posted.outcome, posted.reason.clone(), posted.flags.as_deref())?;
    let mut flags = before.flags.clone().unwrap_or_default();
    if !flags.contains(&Flag::Reversed) {
        flags.push(Flag::Reversed);
    }
    let outcome = Outcome { flags: Some(flags), ..before };
    let dossier = world.dossiers.get_mut(&account_dossier).ok_or_else(Problem::not_found)?;
    dossier.state_changed = true;
    dossier.timeline_changed = true;
    let version = dossier.next_version();
    let (at, user_id) = (decider.now, decider.by.id);
    let amount_minor = Some(posted.amount_minor);
    effects.timeline.push(NewTimelineEvent {
        dossier: account_dossier,
        version,
        at,
        code: "REVERSED",
        amount_minor,
        user_id,
    });
    let dossier = world.dossiers.get_mut(&posted.dossier_uid).ok_or_else(Problem::not_found)?;
    let outcome_version = if dossier.dirty { dossier.version } else { dossier.next_version() };
    let (entry_id, device_id) = (posted.entry_id, posted.device_id);
    effects.outcomes.push(ChangedOutcome { entry_id, device_id, outcome_version, outcome });
    Ok(())
}

fn no_such_account() -> Problem {
    Problem::validation("There is no such account.")
}

fn event(decider: Decider<'_>, correlation: Uuid, currency: Currency) -> Event {
    let settings = &decider.app.settings;
    let booked_on = judge::booked_on(settings, settings.zone.date_of(decider.now));
    Event { id: decider.id.0, correlation, booked_on, currency }
}

fn payment_row(posted: &PostedRow, state: &str) -> PaymentRow {
    PaymentRow {
        uid: posted.uid,
        account_id: posted.account_id,
        user_id: posted.user_id,
        channel: posted.channel.clone(),
        amount_minor: posted.amount_minor,
        currency: posted.currency,
        receipt_no: posted.receipt_no.clone(),
        external_ref: posted.external_ref.clone(),
        value_date: posted.value_date,
        booked_on: Some(posted.value_date),
        state: state.to_owned(),
        debited: false,
    }
}

/// A supervisor's ruling on a correction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "id": "019cad21-cf00-7000-8000-c11e00000019", "approve": true }))]
pub struct CorrectionRequest {
    id: DecisionId,
    /// Whether what the correction asks for is done.
    approve: bool,
}

#[derive(Debug, sqlx::FromRow)]
struct CorrectionRow {
    bytes: Vec<u8>,
    user_id: i64,
    outcome: String,
}

const SELECT_CORRECTION: &str = concat!(
    visible_units!(),
    "select e.bytes, e.user_id, e.outcome from entry e join correction c on c.entry_uid = e.uid
     where e.uid = $3 and exists (select 1 from user_role r join visible v on v.id = r.unit_id
                                  where r.user_id = e.user_id and r.ended_at is null)"
);
const DECIDE_CORRECTION: &str = "update correction set status = $2 where entry_uid = $1";
const IS_PAYMENT: &str = "select uid from payment where uid = $1";

/// A supervisor's ruling on a correction that an officer asked for.
#[utoipa::path(
    post,
    path = "/v1/corrections/{id}/decision",
    tag = "payments",
    params(("id" = EntryId, Path, description = "The correction's entry.")),
    request_body = CorrectionRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn decide_correction(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(entry): Path<EntryId>,
    Json(request): Json<CorrectionRequest>,
) -> Result<Response, Problem> {
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let roles = Permission::ReversePayments.role_list();
    let row: Option<CorrectionRow> = on_db!(&mut tx, conn => {
        sqlx::query_as(SELECT_CORRECTION).bind(by.id).bind(roles).bind(entry).fetch_optional(conn).await
    })?;
    let row = row.ok_or_else(Problem::not_found)?;
    two_people(row.user_id, by.id)?;
    let status = if request.approve { "approved" } else { "rejected" };
    if decider.record(&mut tx, "correction", entry.0, json!({ "ruling": status })).await? == Novelty::Repeated {
        return effect.commit(tx, Answer::done()).await;
    }
    if row.outcome != "noted" {
        return Err(Problem::new(Code::Conflict, format!("The correction is {}, not noted.", row.outcome)));
    }
    if request.approve {
        let Entry { body, .. } = Entry::decode(&row.bytes).map_err(|error| Problem::internal(&error))?;
        let Body::Correction(correction) = body else { return Err(Problem::not_found()) };
        approve(&mut tx, decider, &correction).await?;
    }
    on_db!(&mut tx, conn => sqlx::query(DECIDE_CORRECTION).bind(entry).bind(status).execute(conn).await.map(|_| ()))?;
    effect.commit(tx, Answer::done()).await
}

/// Does what a correction asks for. One that is not about a payment changes nothing but its status.
async fn approve(tx: &mut Tx, decider: Decider<'_>, correction: &Correction) -> Result<(), Problem> {
    let payment = PaymentId::from(correction.target);
    let known: Option<PaymentId> =
        on_db!(&mut *tx, conn => sqlx::query_scalar(IS_PAYMENT).bind(payment).fetch_optional(conn).await)?;
    if known.is_none() {
        return Ok(());
    }
    let posted = find(tx, decider.by, payment).await?;
    two_people(posted.user_id, decider.by.id)?;
    let proposed = correction.proposed.clone().unwrap_or_default();
    let today = decider.app.settings.zone.date_of(posted.captured_at);
    let instead = Instead {
        account: proposed.account,
        amount_minor: proposed.amount_minor.unwrap_or(posted.amount_minor),
        value_date: proposed.value_date.unwrap_or(posted.value_date).min(today),
    };
    let instead = match correction.kind {
        CorrectionKind::Void | CorrectionKind::Duplicate => None,
        CorrectionKind::WrongAmount | CorrectionKind::WrongAccount | CorrectionKind::WrongDate => Some(instead),
        CorrectionKind::WrongChannel | CorrectionKind::Other(_) => {
            return Err(Problem::validation("Reverse the payment and have it recorded again in the right channel."));
        }
    };
    take_back(tx, decider, &posted, instead).await
}
