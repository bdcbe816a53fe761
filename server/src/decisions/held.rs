//! Held entries: the list, and a person's release or rejection.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::entry::{Body, Entry, EntryType, ReceiptNumber};
use daybook_shared::ids::{AccountId, DecisionId, DossierId, EntryId, InstallId, PaymentId, UserId};
use daybook_shared::money::Money;
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::{Flag, Outcome, Reason};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Decider, Novelty};
use crate::app::App;
use crate::auth::{Permission, User, two_people};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};
use crate::ledger::{journal, posting};
use crate::portfolio::allocation::Payment;
use crate::portfolio::payment::plain_reference;
use crate::sync::effects::{ChangedOutcome, Effects, PaymentRow};
use crate::sync::judge::{self, Capture, Release};
use crate::sync::load::{self, Expected, Needs, outcome_of};
use crate::sync::persist;
use crate::sync::world::line_key_of;
use crate::sync::writer::{self, Beside, Subject};
use crate::{on_db, visible_units};

/// A held entry, as lists show it. Names and phone numbers are with the case, not here.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldView {
    entry: EntryId,
    #[schema(value_type = String, example = "REPAYMENT")]
    entry_type: EntryType,
    dossier: DossierId,
    #[schema(value_type = Option<String>, example = "DUP_RECEIPT")]
    reason: Option<Reason>,
    author: UserId,
    author_name: String,
    captured_at: Timestamp,
    received_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

/// A held entry's row.
#[derive(Debug, sqlx::FromRow)]
struct HeldRow {
    id: i64,
    uid: EntryId,
    dossier_uid: DossierId,
    bytes: Vec<u8>,
    user_id: i64,
    user_uid: UserId,
    user_name: String,
    device_id: i64,
    install_uid: InstallId,
    reason: Option<Reason>,
    flags: Option<String>,
    captured_at: Timestamp,
    received_at: Timestamp,
}

macro_rules! held_rows {
    () => {
        "select e.id, e.uid, d.uid as dossier_uid, e.bytes, e.user_id, u.uid as user_uid, u.name as user_name, e.device_id,
           i.uid as install_uid, e.reason, e.flags, e.captured_at, e.received_at
         from entry e join dossier d on d.id = e.dossier_id join app_user u on u.id = e.user_id
           join install i on i.id = e.install_id
         where exists (select 1 from user_role r join visible v on v.id = r.unit_id
                       where r.user_id = e.user_id and r.ended_at is null)"
    };
}
const PAGE_HELD: &str = concat!(
    visible_units!(),
    held_rows!(),
    " and e.outcome = 'held' and e.id > coalesce((select id from entry where uid = $3), 0) order by e.id limit $4"
);
const ONE: &str = concat!(visible_units!(), held_rows!(), " and e.uid = $3");

/// Entries that wait for a person, oldest first.
#[utoipa::path(
    get,
    path = "/v1/held",
    tag = "held",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<HeldView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<EntryId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let roles = Permission::ReadHeld.role_list();
    let rows: Vec<HeldRow> = on_db!(&mut tx, conn => {
        sqlx::query_as(PAGE_HELD).bind(by.id).bind(roles).bind(page.after).bind(page.rows()).fetch_all(conn).await
    })?;
    let views = rows.into_iter().map(HeldView::of).collect();
    Ok(page.page(views, |view: &HeldView| view.entry))
}

impl HeldView {
    fn of(row: HeldRow) -> Self {
        let entry = Entry::decode(&row.bytes).ok();
        let repayment = entry.as_ref().and_then(|entry| match &entry.body {
            Body::Repayment(repayment) => Some(repayment),
            _ => None,
        });
        Self {
            entry: row.uid,
            entry_type: entry
                .as_ref()
                .map_or_else(|| EntryType::from_code("OTHER"), |entry| entry.head.entry_type.clone()),
            dossier: row.dossier_uid,
            reason: row.reason,
            author: row.user_uid,
            author_name: row.user_name,
            captured_at: row.captured_at,
            received_at: row.received_at,
            amount: repayment.map(|repayment| repayment.amount),
            receipt: repayment.and_then(|repayment| repayment.receipt.as_ref().map(ToString::to_string)),
        }
    }
}

/// Leave for a held entry to take effect, with what is right in place of what was recorded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000019", "account": "019cad21-cf00-7000-8000-000000000001",
    "receipt": "A12-000123", "value_date": "2026-02-28",
}))]
pub struct ReleaseRequest {
    id: DecisionId,
    /// The account it is for, where the recorded one is not known.
    account: Option<AccountId>,
    /// The amount in the account's currency, at the recorded rate, where the currency was another.
    amount: Option<Money>,
    /// A new receipt number, where the recorded one stands for another payment.
    receipt: Option<String>,
    /// The day it counts for.
    value_date: Option<Date>,
}

/// Lets a held entry take effect, with what is right in place of what was recorded.
#[utoipa::path(
    post,
    path = "/v1/held/{id}/release",
    tag = "held",
    params(("id" = EntryId, Path, description = "The entry.")),
    request_body = ReleaseRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn release(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(entry): Path<EntryId>,
    Json(request): Json<ReleaseRequest>,
) -> Result<Response, Problem> {
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let held = find(&mut tx, &by, entry).await?;
    two_people(held.user_id, by.id)?;
    if decider.record(&mut tx, "held", entry.0, json!({ "ruling": "release" })).await? == Novelty::Repeated {
        return effect.commit(tx, Answer::done()).await;
    }
    apply_release(&mut tx, decider, &held, &request).await?;
    effect.commit(tx, Answer::done()).await
}

async fn find(tx: &mut Tx, by: &User, entry: EntryId) -> Result<HeldRow, Problem> {
    let roles = Permission::ReviewHeld.role_list();
    let row: Option<HeldRow> = on_db!(tx, conn => {
        sqlx::query_as(ONE).bind(by.id).bind(roles).bind(entry).fetch_optional(conn).await
    })?;
    row.ok_or_else(Problem::not_found)
}

const SELECT_OUTCOME: &str = "select outcome from entry where id = $1";

/// Read once the rows are locked: what the entry waited for may have arrived in between.
async fn must_be_held(tx: &mut Tx, held: &HeldRow) -> Result<(), Problem> {
    let outcome: String = on_db!(tx, conn => sqlx::query_scalar(SELECT_OUTCOME).bind(held.id).fetch_one(conn).await)?;
    if outcome == "held" {
        return Ok(());
    }
    Err(Problem::new(Code::Conflict, format!("The entry is {outcome}, not held.")))
}

/// Puts the person's corrections in place of what was recorded. The recorded bytes stay as they are.
fn corrected(entry: &mut Entry, request: &ReleaseRequest) -> Result<(), Problem> {
    let Body::Repayment(repayment) = &mut entry.body else {
        let none = request.account.is_none() && request.amount.is_none() && request.receipt.is_none();
        return if none {
            Ok(())
        } else {
            Err(Problem::validation("Only a repayment's account, amount and receipt can be put right."))
        };
    };
    if let Some(receipt) = &request.receipt {
        let receipt: ReceiptNumber =
            receipt.parse().map_err(|error| Problem::invalid("/receipt", "shape", format!("receipt: {error}.")))?;
        repayment.receipt = Some(receipt);
    }
    if let Some(account) = request.account {
        repayment.account = account;
        entry.head.dossier = DossierId::case(account);
    }
    repayment.amount = request.amount.unwrap_or(repayment.amount);
    repayment.value_date = request.value_date.unwrap_or(repayment.value_date);
    entry.check().map_err(|error| Problem::validation(format!("{error}.")))
}

async fn apply_release(
    tx: &mut Tx,
    decider: Decider<'_>,
    held: &HeldRow,
    request: &ReleaseRequest,
) -> Result<(), Problem> {
    let mut entry = Entry::decode(&held.bytes).map_err(|error| Problem::internal(&error))?;
    let recorded = entry.head.dossier;
    let prior = payment_of(tx, held.uid).await?;
    if request.amount.is_some() && prior.as_ref().is_some_and(|prior| prior.debited) {
        let moved =
            Effects { payment_states: Vec::new(), ..back_from_suspense(tx, decider, held, prior.as_ref()).await? };
        return post_anew(tx, decider, held, entry, request, moved).await;
    }
    corrected(&mut entry, request)?;
    let release = Release { debited: prior.as_ref().is_some_and(|prior| prior.debited), recorded: prior.is_some() };
    judge_again(tx, decider, held, &entry, recorded, release, Effects::default()).await
}

/// An amount in another currency: what is in suspense goes back first, then the right sum posts.
async fn post_anew(
    tx: &mut Tx,
    decider: Decider<'_>,
    held: &HeldRow,
    mut entry: Entry,
    request: &ReleaseRequest,
    moved: Effects,
) -> Result<(), Problem> {
    let recorded = entry.head.dossier;
    corrected(&mut entry, request)?;
    judge_again(tx, decider, held, &entry, recorded, Release { debited: false, recorded: true }, moved).await
}

async fn judge_again(
    tx: &mut Tx,
    decider: Decider<'_>,
    held: &HeldRow,
    entry: &Entry,
    recorded: DossierId,
    release: Release,
    mut effects: Effects,
) -> Result<(), Problem> {
    let settings = &decider.app.settings;
    let mut needs = Needs::default();
    needs.device(held.device_id, held.install_uid);
    needs.entry(entry);
    needs.dossier(recorded);
    if let Body::Repayment(repayment) = &entry.body {
        // Else neither it nor the line that says its money would see the other.
        let subject = line_key_of(repayment).map(Subject::Reference);
        writer::lock(tx, &Beside::Others(subject.into_iter().collect())).await?;
    }
    let mut world = load::world(tx, &needs).await?;
    must_be_held(tx, held).await?;
    if !world.dossiers.contains_key(&entry.head.dossier) {
        return Err(Problem::invalid("/account", "unknown", "There is no such account."));
    }
    if let Body::Repayment(repayment) = &entry.body {
        let value_date = repayment.value_date.min(settings.zone.date_of(held.captured_at));
        let payment = Payment { value_date, id: held.uid.into(), amount_minor: repayment.amount.minor };
        let payment = world.as_provided(repayment, payment);
        let account_id = load::account_of(&world, entry.head.dossier, repayment.account);
        let receipt_no = repayment.receipt.as_ref().map(ToString::to_string);
        load::payments(tx, &mut world, &[Expected { account_id, payment, receipt_no, captured: true }]).await?;
    }
    let capture = Capture {
        entry,
        dossier: entry.head.dossier,
        user_id: held.user_id,
        device_id: held.device_id,
        captured_at: held.captured_at,
        received_at: held.received_at,
        release: Some(release),
    };
    let known = outcome_of("held", held.reason.clone(), held.flags.as_deref())?;
    let flags = std::iter::once(Flag::Released).chain(known.flags.unwrap_or_default()).collect();
    let outcome = judge::judge(&mut world, &mut effects, settings, capture, flags);
    if let Some(reason) = outcome.reason {
        return Err(Problem::new(Code::StillHeld, still_held(&reason)).with("reason", reason.code()));
    }
    for uid in [recorded, entry.head.dossier] {
        let dossier = world.dossiers.get_mut(&uid).expect("the dossiers of a release are loaded");
        if !dossier.dirty {
            dossier.next_version();
        }
    }
    let outcome_version = world.dossiers[&recorded].version;
    let changed = ChangedOutcome { entry_id: held.id, device_id: held.device_id, outcome_version, outcome };
    effects.outcomes.push(changed);
    effects.waited.push(held.id);
    effects.claims_moved =
        world.claims.iter().filter(|(_, claim)| claim.moved).map(|(no, claim)| (no.clone(), claim.payment)).collect();
    persist::persist(tx, &mut world, effects, decider.now).await?;
    Ok(())
}

fn still_held(reason: &Reason) -> &'static str {
    match reason {
        Reason::DupReceipt => {
            "The receipt number stands for another payment: give a new one in `receipt`, or reject it as DUPLICATE."
        }
        Reason::UnknownAccount => "The account is not known or was undone: give the right one in `account`.",
        Reason::CurrencyMismatch => {
            "The money is not in the account's currency: give the amount at the recorded rate in `amount`."
        }
        Reason::WrongDossier => "It does not belong into its dossier, and does not say what it is about.",
        Reason::WrongRef => "It acts on a record of another kind, or about somebody else.",
        Reason::ProviderDiffers => {
            "The provider has another amount or account under this reference: give those in `amount` and `account`, \
             or reject it."
        }
        Reason::MissingRef => "It acts on an entry that has not arrived.",
        Reason::NotInHand => "It names something that is not cash in the officer's hand.",
        _ => "It would be held again.",
    }
}

#[derive(Debug, sqlx::FromRow)]
struct HeldPayment {
    debited: bool,
    amount_minor: i64,
    currency: daybook_shared::money::Currency,
}

const SELECT_PAYMENT: &str = "select debited, amount_minor, currency from payment where uid = $1";

async fn payment_of(tx: &mut Tx, entry: EntryId) -> sqlx::Result<Option<HeldPayment>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_PAYMENT).bind(entry).fetch_optional(conn).await)
}

/// Why a held entry is rejected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "id": "019cad21-cf00-7000-8000-c11e00000019", "reason": "DUPLICATE" }))]
pub struct RejectionRequest {
    id: DecisionId,
    /// DUPLICATE, REJECTED or REPLACED.
    #[schema(value_type = String, example = "REJECTED")]
    reason: Reason,
}

/// Rejects a held entry: there was no such cash, or it is recorded elsewhere.
///
/// What the officer was charged with is taken back.
#[utoipa::path(
    post,
    path = "/v1/held/{id}/rejection",
    tag = "held",
    params(("id" = EntryId, Path, description = "The entry.")),
    request_body = RejectionRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn reject(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(entry): Path<EntryId>,
    Json(request): Json<RejectionRequest>,
) -> Result<Response, Problem> {
    if !matches!(request.reason, Reason::Duplicate | Reason::Rejected | Reason::Replaced) {
        return Err(Problem::invalid("/reason", "unknown", "reason is DUPLICATE, REJECTED or REPLACED."));
    }
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let held = find(&mut tx, &by, entry).await?;
    two_people(held.user_id, by.id)?;
    if decider.record(&mut tx, "held", entry.0, json!({ "ruling": request.reason.code() })).await? == Novelty::Repeated
    {
        return effect.commit(tx, Answer::done()).await;
    }
    let mut needs = Needs::default();
    needs.device(held.device_id, held.install_uid);
    needs.dossier(held.dossier_uid);
    let mut world = load::world(&mut tx, &needs).await?;
    must_be_held(&mut tx, &held).await?;
    let prior = payment_of(&mut tx, held.uid).await?;
    let mut effects = back_from_suspense(&mut tx, decider, &held, prior.as_ref()).await?;
    let dossier = world.dossiers.get_mut(&held.dossier_uid).ok_or_else(Problem::not_found)?;
    let outcome_version = dossier.next_version();
    let outcome = Outcome::refused(request.reason);
    effects.outcomes.push(ChangedOutcome { entry_id: held.id, device_id: held.device_id, outcome_version, outcome });
    effects.waited.push(held.id);
    persist::persist(&mut tx, &mut world, effects, decider.now).await?;
    effect.commit(tx, Answer::done()).await
}

/// Takes a held payment's cash out of suspense again and relieves the officer of it.
async fn back_from_suspense(
    tx: &mut Tx,
    decider: Decider<'_>,
    held: &HeldRow,
    prior: Option<&HeldPayment>,
) -> Result<Effects, Problem> {
    let mut effects = Effects::default();
    let Some(prior) = prior else { return Ok(effects) };
    let Ok(Entry { body: Body::Repayment(repayment), .. }) = Entry::decode(&held.bytes) else { return Ok(effects) };
    if prior.debited {
        let settings = &decider.app.settings;
        let booked_on = judge::booked_on(settings, settings.zone.date_of(decider.now));
        for journal in journal::read(tx, held.uid.0).await? {
            let back =
                posting::reversal(&journal, decider.id.0, booked_on).map_err(|error| Problem::internal(&error))?;
            effects.journals.push(back);
        }
        effects.add_cash(held.user_id, prior.currency, -prior.amount_minor)?;
    }
    effects.payment_states.push(PaymentRow {
        uid: PaymentId::from(held.uid),
        account_id: None,
        user_id: held.user_id,
        channel: repayment.channel,
        amount_minor: prior.amount_minor,
        currency: prior.currency,
        receipt_no: repayment.receipt.as_ref().map(ToString::to_string),
        external_ref: repayment.external_ref.as_deref().map(plain_reference),
        value_date: repayment.value_date,
        booked_on: None,
        state: "refused".to_owned(),
        debited: false,
    });
    Ok(effects)
}
