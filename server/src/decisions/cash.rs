//! Counting cash: a cashier counts what an officer hands over, and the officer is relieved of it
//! (posting line 4b). What is short stays with the officer; the customers' payments stand.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{DecisionId, EntryId, UserId};
use daybook_shared::money::{Currency, Money};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Decider, Novelty};
use crate::app::App;
use crate::auth::{Permission, User, two_people};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::extract::Json;
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};
use crate::ledger::posting::{self, Event, HandedOver};
use crate::sync::effects::Effects;
use crate::sync::judge;
use crate::sync::persist;
use crate::sync::world::World;
use crate::{on_db, visible_units};

/// What was counted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000019", "officer": "019cad21-cf00-7000-8000-000000000003",
    "counted": { "minor": 1_250_000, "currency": "KES" }, "handover": "019cad21-cf00-7000-8000-c11e00000024",
}))]
pub struct CountRequest {
    id: DecisionId,
    /// Who hands over.
    officer: UserId,
    /// What was counted.
    counted: Money,
    /// The hand-over he recorded, if he did.
    handover: Option<EntryId>,
    /// What he says it is, where he recorded no hand-over.
    declared: Option<Money>,
}

const SELECT_OFFICER: &str = concat!(
    visible_units!(),
    "select u.id from app_user u where u.uid = $3 and exists (select 1 from user_role r join visible v on v.id = r.unit_id
       where r.user_id = u.id and r.ended_at is null)"
);
const SELECT_HANDOVER: &str =
    "select user_id, declared_minor, currency, status from cash_handover where entry_uid = $1";
const COUNTED: &str = "update cash_handover set status = 'counted', counted_minor = $2 where entry_uid = $1";

/// Counts what an officer hands over, and relieves him of it.
///
/// What is short stays with the officer; the customers' payments stand.
#[utoipa::path(
    post,
    path = "/v1/cash/counts",
    tag = "cash",
    request_body = CountRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn count(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<CountRequest>,
) -> Result<Response, Problem> {
    if request.counted.minor < 0 || request.counted.minor > Money::MINOR_MAX {
        return Err(Problem::invalid(
            "/counted/minor",
            "range",
            "counted is not negative and at most 2^53 - 1 minor units.",
        ));
    }
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let roles = Permission::CountCash.role_list();
    let officer: Option<i64> = on_db!(&mut tx, conn => {
        sqlx::query_scalar(SELECT_OFFICER).bind(by.id).bind(roles).bind(request.officer).fetch_optional(conn).await
    })?;
    let officer = officer.ok_or_else(Problem::not_found)?;
    two_people(officer, by.id)?;
    let subject = request.handover.map_or(request.id.0, |handover| handover.0);
    let detail = json!({ "officer": request.officer, "counted": request.counted });
    if decider.record(&mut tx, "count", subject, detail).await? == Novelty::Repeated {
        return effect.commit(tx, Answer::done()).await;
    }
    let declared = declared(&mut tx, officer, &request).await?;
    book(&mut tx, decider, officer, declared, request.counted).await?;
    if let Some(handover) = request.handover {
        on_db!(&mut tx, conn => {
            sqlx::query(COUNTED).bind(handover).bind(request.counted.minor).execute(conn).await.map(|_| ())
        })?;
    }
    effect.commit(tx, Answer::done()).await
}

/// What the officer says it is: as he recorded it, as he says it now, or as it was counted.
async fn declared(tx: &mut Tx, officer: i64, request: &CountRequest) -> Result<Money, Problem> {
    let Some(handover) = request.handover else {
        let declared = request.declared.unwrap_or(request.counted);
        let valid = declared.currency == request.counted.currency && (0..=Money::MINOR_MAX).contains(&declared.minor);
        return if valid {
            Ok(declared)
        } else {
            Err(Problem::invalid("/declared", "range", "declared is in the counted currency, and not negative."))
        };
    };
    let row: Option<(i64, i64, Currency, String)> =
        on_db!(tx, conn => sqlx::query_as(SELECT_HANDOVER).bind(handover).fetch_optional(conn).await)?;
    let (user, minor, currency, status) = row.ok_or_else(Problem::not_found)?;
    if user != officer || currency != request.counted.currency {
        return Err(Problem::invalid(
            "/handover",
            "mismatch",
            "The hand-over is another officer's or in another currency.",
        ));
    }
    if status != "declared" {
        return Err(Problem::new(Code::AlreadyDecided, "The hand-over was counted before."));
    }
    Ok(Money::new(minor, currency))
}

async fn book(tx: &mut Tx, decider: Decider<'_>, officer: i64, declared: Money, counted: Money) -> Result<(), Problem> {
    let settings = &decider.app.settings;
    let booked_on = judge::booked_on(settings, settings.zone.date_of(decider.now));
    let event = Event { id: decider.id.0, correlation: decider.id.0, booked_on, currency: counted.currency };
    let handed_over =
        HandedOver { officer, cashier: decider.by.id, declared_minor: declared.minor, counted_minor: counted.minor };
    let journal = posting::count(event, handed_over).map_err(|error| Problem::validation(format!("{error}.")))?;
    let mut effects = Effects::default();
    effects.add_cash(officer, counted.currency, -declared.minor)?;
    effects.journals.push(journal);
    persist::persist(tx, &mut World::default(), effects, decider.now).await?;
    Ok(())
}
