//! REST of paying off early.

#![expect(unused_qualifications, reason = "the macro that describes a route spells its parameters' type out")]

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{AccountId, SettlementId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::quote::Settlement;
use daybook_shared::time::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::Party;
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::etag::{IfMatch, IfNoneMatch};
use crate::http::extract::{Json, Path, Query};
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};
use crate::journey::{plans, settling};
use crate::portfolio::account::{self, Lock};
use crate::portfolio::settlement::{self, Agreement};

/// For which day.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct On {
    /// The day of the payment; today when it is left out.
    #[param(example = "2026-04-10")]
    on: Option<Date>,
}

/// What paying off costs on a day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "on": "2026-04-10", "gross": { "minor": 1_431_000, "currency": "KES" },
    "rebate": { "minor": 65_300, "currency": "KES" }, "figure": { "minor": 1_365_700, "currency": "KES" },
    "valid_until": "2026-05-01", "hash": "163ad57f02c479aec97d748616ff55fbd24a1207645d9fc96e6172cee4ab14b1",
}))]
pub struct SettlementView {
    /// The day.
    on: Date,
    /// What is left to pay of the whole schedule.
    gross: Money,
    /// What of it is given up.
    rebate: Money,
    /// What is to be paid.
    figure: Money,
    /// The last day on which this is so, as far as nothing is paid; null once nothing more is earned.
    valid_until: Option<Date>,
    /// The hash of all of it, hexadecimal: what the customer agrees to.
    hash: String,
}

impl SettlementView {
    fn of(settlement: &Settlement, account: AccountId, currency: Currency) -> Self {
        let money = |minor| Money::new(minor, currency);
        Self {
            on: settlement.on,
            gross: money(settlement.gross_minor),
            rebate: money(settlement.rebate_minor),
            figure: money(settlement.figure_minor),
            valid_until: settlement.valid_until,
            hash: settlement.hash(account).to_string(),
        }
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }
}

/// What paying a plan off early costs on a day.
#[utoipa::path(
    get,
    path = "/v1/plans/{id}/early-settlement",
    tag = "plans",
    params(
        ("id" = AccountId, Path, description = "The plan."),
        On,
        ("If-None-Match" = Option<String>, Header, description = "What the caller has.")
    ),
    responses(
        (status = 200, description = "The figure.", body = SettlementView, headers(("ETag" = String, description = "The figure's hash, hexadecimal: what is agreed to."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn figure(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(plan): Path<AccountId>,
    Query(On { on }): Query<On>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let today = app.settings.zone.date_of(app.now());
    let mut tx = app.db.read().await?;
    let plan = plans::own(&mut tx, party.customer.id, plan).await?.ok_or_else(Problem::not_found)?;
    let days = (on.unwrap_or(today), today);
    let figure = settling::figure(&mut tx, (&plan.account, &plan.instalments), days, "?on").await?;
    let view = SettlementView::of(&figure, plan.account.uid, plan.account.currency);
    Ok(known.answer(&view.etag(), Json(view)))
}

/// A customer's word that he pays a figure.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000006", "on": "2026-04-10",
    "hash": "163ad57f02c479aec97d748616ff55fbd24a1207645d9fc96e6172cee4ab14b1",
}))]
pub struct SettlementRequest {
    /// Its id, which its maker chose: sent again, it is the same agreement.
    id: SettlementId,
    /// The hash of the figure that was shown, hexadecimal.
    #[schema(min_length = 64, max_length = 64)]
    hash: String,
    /// The day it was shown for.
    on: Date,
}

/// An agreement on what paying off costs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000006", "plan": "019cad21-cf00-7000-8000-000000000001",
    "on": "2026-04-10", "figure": { "minor": 1_365_700, "currency": "KES" }, "valid_until": "2026-05-01",
    "hash": "163ad57f02c479aec97d748616ff55fbd24a1207645d9fc96e6172cee4ab14b1", "settled": false,
}))]
pub struct AgreementView {
    id: SettlementId,
    plan: AccountId,
    on: Date,
    /// What is to be paid.
    figure: Money,
    /// The last day on which a payment of it counts.
    valid_until: Date,
    hash: String,
    /// Whether it is paid, and the plan closed by it.
    settled: bool,
}

impl AgreementView {
    fn of(agreement: &Agreement, plan: AccountId) -> Self {
        Self {
            id: agreement.uid,
            plan,
            on: agreement.agreed_on,
            figure: Money::new(agreement.figure_minor, agreement.currency),
            valid_until: agreement.valid_until,
            hash: agreement.hash.to_string(),
            settled: agreement.settled_version.is_some(),
        }
    }
}

/// Agrees to pay a plan off for the figure that was shown.
///
/// It is paid like anything else: once payments up to `valid_until` reach the figure, the plan closes as
/// early_settled. An agreement takes the place of one before it.
#[utoipa::path(
    post,
    path = "/v1/plans/{id}/early-settlement",
    tag = "plans",
    params(
        ("id" = AccountId, Path, description = "The plan."),
        ("If-Match" = String, Header, description = "The figure that is meant, or *.")
    ),
    request_body = SettlementRequest,
    responses(
        (status = 201, description = "It is agreed.", body = AgreementView),
        (status = 200, description = "It was agreed before.", body = AgreementView)
    )
)]
pub async fn agree(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(plan): Path<AccountId>,
    meant: IfMatch,
    Json(request): Json<SettlementRequest>,
) -> Result<Response, Problem> {
    let now = app.now();
    let today = app.settings.zone.date_of(now);
    let mut tx = effect.begin().await?;
    let id = plans::key_of_own(&mut tx, party.customer.id, plan).await?.ok_or_else(Problem::not_found)?;
    let account =
        account::load_accounts(&mut tx, &[id], Lock::ForUpdate).await?.pop().ok_or_else(Problem::not_found)?;
    if let Some(known) = settlement::find(&mut tx, request.id).await? {
        if known.account_id != id || known.hash.to_string() != request.hash || known.agreed_on != request.on {
            return Err(Problem::new(Code::IdTaken, "The agreement's id was used for another agreement."));
        }
        return effect.commit(tx, Answer::ok(&AgreementView::of(&known, plan))).await;
    }
    let version = (id, account.schedule_version);
    let instalments = account::load_instalments(&mut tx, &[version]).await?.remove(&id).unwrap_or_default();
    let figure = settling::figure(&mut tx, (&account, &instalments), (request.on, today), "/on").await?;
    let view = SettlementView::of(&figure, plan, account.currency);
    meant.check(&view.etag())?;
    if view.hash != request.hash {
        let detail = "The figure is another one now; agree to it, or do not.";
        let shown = serde_json::to_value(&view).map_err(|error| Problem::internal(&error))?;
        return Err(Problem::new(Code::QuoteChanged, detail).with("figure", shown));
    }
    if figure.figure_minor == 0 {
        return Err(Problem::new(Code::Conflict, "Nothing is left to pay: what is open will not be asked for."));
    }
    let new = Agreement {
        id: 0,
        uid: request.id,
        account_id: id,
        agreed_on: figure.on,
        valid_until: figure.valid_until.unwrap_or(figure.on),
        gross_minor: figure.gross_minor,
        rebate_minor: figure.rebate_minor,
        figure_minor: figure.figure_minor,
        currency: account.currency,
        hash: figure.hash(plan),
        schedule_version: account.schedule_version,
        settled_version: None,
        agreed_at: now,
    };
    if !settlement::insert(&mut tx, &new, figure.rule, party.user.id).await? {
        return Err(Problem::met_another());
    }
    audit(&mut tx, &party, &new, plan).await?;
    effect.commit(tx, Answer::created(&AgreementView::of(&new, plan))).await
}

async fn audit(tx: &mut Tx, party: &Party, new: &Agreement, plan: AccountId) -> sqlx::Result<()> {
    let detail = json!({ "plan": plan, "figure_minor": new.figure_minor, "valid_until": new.valid_until });
    party.audit(tx, new.agreed_at, "settlement.agreed", new.uid, detail).await
}
