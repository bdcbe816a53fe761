//! A promise that a customer makes in the app: the same as one made to an officer, without an entry.
//!
//! Of an account's promises the latest is active, wherever it was made (ruling S28); it reaches the officer's phone
//! with the facts of the case.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{AccountId, DossierId, EntryId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::begin::account_of;
use crate::app::App;
use crate::auth::Party;
use crate::db::{self, Tx};
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};
use crate::on_db;
use crate::portfolio::status::AccountStatus;
use crate::sync::effects::Effects;
use crate::sync::load::{self, Needs};
use crate::sync::persist;
use crate::sync::world::Account;

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000005", "amount": { "minor": 477_000, "currency": "KES" },
    "date": "2026-03-09",
}))]
pub struct PromiseRequest {
    /// The promise's id, which the client makes: the same again is the same promise.
    id: EntryId,
    /// How much, above zero and no more than is owed.
    amount: Money,
    /// By which day: today or later, as far ahead as the lender allows.
    date: Date,
}

/// A promise as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000005", "amount": { "minor": 477_000, "currency": "KES" },
    "date": "2026-03-09", "status": "ACTIVE",
}))]
pub struct PromiseView {
    /// The promise.
    id: EntryId,
    /// How much.
    amount: Money,
    /// By which day.
    date: Date,
    /// ACTIVE, or SUPERSEDED by a later one.
    #[schema(example = "ACTIVE")]
    status: &'static str,
}

/// Promises to pay on a plan. The latest promise counts, whoever took it.
#[utoipa::path(
    post,
    path = "/v1/plans/{id}/promises",
    tag = "journey-payments",
    params(("id" = AccountId, Path, description = "The plan.")),
    request_body = PromiseRequest,
    responses(
        (status = 201, description = "It is made.", body = PromiseView),
        (status = 200, description = "It was made before, with the same content.", body = PromiseView),
    )
)]
pub async fn promise(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(plan): Path<AccountId>,
    Json(request): Json<PromiseRequest>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let account_id = account_of(&mut tx, &party, plan).await?;
    // Locks the case and the account, like an envelope does.
    let mut needs = Needs::default();
    needs.dossier(DossierId::case(plan));
    let mut world = load::world(&mut tx, &needs).await?;
    if let Some(known) = known(&mut tx, account_id, &request).await? {
        return effect.commit(tx, Answer::ok(&known)).await;
    }
    let now = app.now();
    let account = world.accounts.get_mut(&account_id).ok_or_else(Problem::not_found)?;
    check(&app, account, &request)?;
    let mut effects = Effects::default();
    let status = put(account, &mut effects, (now, request.id));
    let dossier = world.dossiers.get_mut(&DossierId::case(plan)).ok_or_else(Problem::not_found)?;
    dossier.promises_changed = true;
    dossier.next_version();
    insert(&mut tx, account_id, party.user.id, &request, (now, status)).await?;
    persist::persist(&mut tx, &mut world, effects, now).await?;
    let detail = json!({ "account": plan, "amount_minor": request.amount.minor, "date": request.date });
    party.audit(&mut tx, now, "promise.made", request.id, detail).await?;
    let view = PromiseView { id: request.id, amount: request.amount, date: request.date, status };
    effect.commit(tx, Answer::created(&view)).await
}

fn check(app: &App, account: &Account, request: &PromiseRequest) -> Result<(), Problem> {
    let PromiseRequest { amount, date, .. } = request;
    if account.row.status != AccountStatus::Active {
        let from = account.row.status_text();
        let detail = format!("The plan is {from}: nothing is owed on it.");
        return Err(Problem::new(Code::IllegalTransition, detail).with("from", from).with("event", "promise"));
    }
    if amount.currency != account.row.currency {
        let detail = format!("The plan is in {}.", account.row.currency);
        return Err(Problem::invalid("/amount/currency", "currency", detail));
    }
    let owed = account.row.outstanding().total().map_err(|error| Problem::internal(&error))?;
    if !(1..=owed).contains(&amount.minor) {
        let detail =
            format!("A promise is above zero and at most what is owed, {}.", Money::new(owed, amount.currency));
        return Err(Problem::invalid("/amount/minor", "range", detail));
    }
    let today = app.settings.zone.date_of(app.now());
    let days = app.settings.promise_days_max;
    if !(0..=days).contains(&date.days_since(today)) {
        let detail = format!("A promise is for today or one of the next {days} days.");
        return Err(Problem::invalid("/date", "range", detail));
    }
    Ok(())
}

/// Puts it among the account's promises, in the order that phones' promises have.
fn put(account: &mut Account, effects: &mut Effects, made: (Timestamp, EntryId)) -> &'static str {
    let newest = account.row.active_promise_at.zip(account.row.active_promise);
    if newest.is_some_and(|newest| newest >= made) {
        return SUPERSEDED;
    }
    effects.superseded.extend(account.row.active_promise);
    (account.row.active_promise_at, account.row.active_promise) = (Some(made.0), Some(made.1));
    account.dirty = true;
    ACTIVE
}

const ACTIVE: &str = "ACTIVE";
const SUPERSEDED: &str = "SUPERSEDED";

const KNOWN: &str = "select t.source, t.account_id, t.amount_minor, a.currency, t.promised_date, t.status
     from promise t join account a on a.id = t.account_id where t.entry_uid = $1";
const IS_ENTRY: &str = "select cast(count(*) as bigint) from entry where uid = $1";

/// The promise with this id, if it says the same.
async fn known(tx: &mut Tx, account_id: i64, request: &PromiseRequest) -> Result<Option<PromiseView>, Problem> {
    let taken = || Problem::new(Code::IdTaken, "The promise's id was used for something else.");
    let row: Option<(String, i64, i64, Currency, Date, String)> =
        on_db!(&mut *tx, conn => sqlx::query_as(KNOWN).bind(request.id).fetch_optional(conn).await)?;
    let Some((source, of_account, minor, currency, date, status)) = row else {
        let entries: i64 = on_db!(tx, conn => sqlx::query_scalar(IS_ENTRY).bind(request.id).fetch_one(conn).await)?;
        return if entries == 0 { Ok(None) } else { Err(taken()) };
    };
    let amount = Money::new(minor, currency);
    let is_same = (source.as_str(), of_account, amount, date) == ("app", account_id, request.amount, request.date);
    let status = if status == ACTIVE { ACTIVE } else { SUPERSEDED };
    if is_same { Ok(Some(PromiseView { id: request.id, amount, date, status })) } else { Err(taken()) }
}

const INSERT: &str = "insert into promise (entry_uid, account_id, user_id, amount_minor, promised_date, captured_at,
       status, source) values ($1, $2, $3, $4, $5, $6, $7, 'app')";

async fn insert(
    tx: &mut Tx,
    account_id: i64,
    user_id: i64,
    request: &PromiseRequest,
    (now, status): (Timestamp, &'static str),
) -> Result<(), Problem> {
    let inserted = on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(request.id)
            .bind(account_id)
            .bind(user_id)
            .bind(request.amount.minor)
            .bind(request.date)
            .bind(now)
            .bind(status)
            .execute(conn)
            .await
            .map(|_| ())
    });
    // Somebody else took the id at this moment: the next run finds it.
    inserted.map_err(|error| if db::is_constraint_violation(&error) { Problem::met_another() } else { error.into() })
}
