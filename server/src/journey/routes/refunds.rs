//! REST of refunds.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::entry::Channel;
use daybook_shared::ids::{AccountId, CustomerId, PaymentId, RefundId, ReturnId};
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::words;
use crate::app::App;
use crate::audit;
use crate::auth::{Party, Permission, User, two_people};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::etag::{IfMatch, IfNoneMatch, of_version};
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};
use crate::journey::refund_calls;
use crate::journey::refunds::{self, NewRefund, Payout, RefundRow};
use crate::{on_db, visible_units};

/// Money that goes back to a customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundView {
    id: RefundId,
    plan: AccountId,
    customer: CustomerId,
    /// The return it is for; null for a credit.
    #[serde(rename = "return")]
    goods_return: Option<ReturnId>,
    /// The refund that failed and that it takes the place of.
    replaces: Option<RefundId>,
    amount: Money,
    /// pending, submitted, succeeded, failed or unknown.
    state: &'static str,
    /// How it was paid.
    channel: Option<String>,
    /// The bank's or operator's reference.
    reference: Option<String>,
    /// The payment through whose gateway it goes back; null when it is paid by hand.
    through: Option<PaymentId>,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
}

impl From<&RefundRow> for RefundView {
    fn from(row: &RefundRow) -> Self {
        Self {
            id: row.uid,
            plan: row.account,
            customer: row.customer,
            goods_return: row.goods_return,
            replaces: row.replaces,
            amount: Money::new(row.amount_minor, row.currency),
            state: row.state.code(),
            channel: row.channel.clone(),
            reference: row.reference.clone(),
            through: row.through,
            created_at: row.created_at,
            ended_at: row.ended_at,
        }
    }
}

/// How far a refund is.
#[utoipa::path(
    get,
    path = "/v1/refunds/{id}",
    tag = "refunds",
    params(
        ("id" = RefundId, Path, description = "The refund."),
        ("If-None-Match" = Option<String>, Header, description = "The version the caller has.")
    ),
    responses(
        (status = 200, description = "The refund.", body = RefundView, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(id): Path<RefundId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = refunds::find(&mut tx, id).await?.filter(|found| found.customer_id == party.customer.id);
    let found = found.ok_or_else(Problem::not_found)?;
    Ok(known.answer(&of_version(found.row_version), Json(RefundView::from(&found))))
}

/// All refunds, the newest first.
#[utoipa::path(
    get,
    path = "/v1/refunds",
    tag = "refunds",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<RefundView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<RefundId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let roles = Permission::ReadFinance.role_list();
    let rows = refunds::page(&mut tx, (by.id, roles), (page.after, page.rows())).await?;
    Ok(page.page(rows.iter().map(RefundView::from).collect(), |view: &RefundView| view.id))
}

/// A refund to be made: of a customer's credit on a plan, or in place of one that failed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// Its id, which its maker chose: sent again, it is the same refund.
    id: RefundId,
    /// The plan that has the credit.
    plan: Option<AccountId>,
    /// How much of it.
    amount: Option<Money>,
    /// The refund that failed, instead of plan and amount.
    replaces: Option<RefundId>,
}

const PLAN: &str =
    concat!(visible_units!(), "select a.id from account a where a.uid = $3 and a.unit_id in (select id from visible)");

/// Owes a customer his credit, or makes a refund in place of one that failed. Another person pays it out.
#[utoipa::path(
    post,
    path = "/v1/refunds",
    tag = "refunds",
    request_body = RefundRequest,
    responses(
        (status = 201, description = "It is owed.", body = RefundView),
        (status = 200, description = "It was made before.", body = RefundView)
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<RefundRequest>,
) -> Result<Response, Problem> {
    let now = app.now();
    let mut tx = effect.begin().await?;
    let scope = (by.id, Permission::PayRefunds.role_list());
    if let Some(known) = refunds::find(&mut tx, request.id).await? {
        let same = if request.replaces.is_some() {
            known.replaces == request.replaces
        } else {
            let amount = Some(Money::new(known.amount_minor, known.currency));
            known.goods_return.is_none() && request.plan == Some(known.account) && request.amount == amount
        };
        let reached = refunds::reached(&mut tx, scope, request.id).await?.filter(|_| same);
        let known =
            reached.ok_or_else(|| Problem::new(Code::IdTaken, "The refund's id was used for another refund."))?;
        return effect.commit(tx, Answer::ok(&RefundView::from(&known)).tagged(of_version(known.row_version))).await;
    }
    match request {
        RefundRequest { id, plan: None, amount: None, replaces: Some(failed) } => {
            let failed = refunds::reached(&mut tx, scope, failed).await?;
            let failed = failed.ok_or_else(|| Problem::invalid("/replaces", "unknown", "There is no such refund."))?;
            refunds::replace(&mut tx, now, &failed, id, by.id).await?;
        }
        RefundRequest { id, plan: Some(plan), amount: Some(amount), replaces: None } => {
            of_credit(&mut tx, &app, scope, (id, plan, amount)).await?;
        }
        _ => return Err(Problem::validation("Name a plan and an amount, or the refund that failed.")),
    }
    audit::record(&mut tx, now, by.actor(), "refund.made", request.id, json!({})).await?;
    let made = refunds::find(&mut tx, request.id).await?.ok_or_else(Problem::met_another)?;
    let answer = Answer::created(&RefundView::from(&made)).tagged(of_version(made.row_version));
    effect.commit(tx, answer.at(format!("/v1/refunds/{}", request.id))).await
}

async fn of_credit(
    tx: &mut Tx,
    app: &App,
    (by, roles): (i64, String),
    (uid, plan, amount): (RefundId, AccountId, Money),
) -> Result<(), Problem> {
    let account_id: Option<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(PLAN).bind(by).bind(roles).bind(plan).fetch_optional(conn).await
    })?;
    let account_id = account_id.ok_or_else(|| Problem::invalid("/plan", "unknown", "There is no such plan."))?;
    if !(1..=Money::MINOR_MAX).contains(&amount.minor) {
        return Err(Problem::invalid("/amount/minor", "range", "A refund is of at least one minor unit."));
    }
    let new = NewRefund {
        uid,
        account_id,
        return_id: None,
        replaces_id: None,
        amount_minor: amount.minor,
        currency: amount.currency,
        by_user: by,
    };
    refunds::of_credit(tx, app, plan, &new).await
}

/// What came of paying a refund out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutRequest {
    /// succeeded, submitted, unknown or failed.
    #[schema(example = "succeeded")]
    outcome: String,
    /// How it was paid, once it succeeded: BANK_TRANSFER, MOBILE_MONEY or CARD.
    #[schema(example = "BANK_TRANSFER")]
    channel: Option<String>,
    /// The bank's or operator's reference, once it succeeded.
    #[schema(min_length = 1, max_length = 64)]
    reference: Option<String>,
}

impl PayoutRequest {
    fn paid(&self) -> Result<Payout, Problem> {
        match (self.outcome.as_str(), &self.channel, &self.reference) {
            ("submitted", None, None) => Ok(Payout::Submitted),
            ("unknown", None, None) => Ok(Payout::Unknown),
            ("failed", None, None) => Ok(Payout::Failed),
            ("succeeded", Some(channel), Some(reference)) => {
                words("/reference", reference, 64)?;
                let channel = Channel::from_code(channel);
                if !matches!(channel, Channel::BankTransfer | Channel::MobileMoney | Channel::Card) {
                    let detail = "A refund goes out by BANK_TRANSFER, MOBILE_MONEY or CARD.";
                    return Err(Problem::invalid("/channel", "unknown", detail));
                }
                Ok(Payout::Succeeded { channel, reference: reference.clone() })
            }
            _ => {
                let detail = "succeeded has a channel and a reference; submitted, unknown and failed have neither.";
                Err(Problem::invalid("/outcome", "unknown", detail))
            }
        }
    }
}

/// Says what came of paying a refund out. Whoever made it owed does not pay it.
#[utoipa::path(
    post,
    path = "/v1/refunds/{id}/payout",
    tag = "refunds",
    params(
        ("id" = RefundId, Path, description = "The refund."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    request_body = PayoutRequest,
    responses((status = 200, description = "The refund.", body = RefundView))
)]
pub async fn pay_out(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(id): Path<RefundId>,
    meant: IfMatch,
    Json(request): Json<PayoutRequest>,
) -> Result<Response, Problem> {
    let paid = request.paid()?;
    let mut tx = effect.begin().await?;
    // No money leaves while nobody knows what a lost part of the database had paid already.
    crate::recovery::may_pay_out(&mut tx).await?;
    let scope = (by.id, Permission::PayRefunds.role_list());
    let known = refunds::reached(&mut tx, scope, id).await?.ok_or_else(Problem::not_found)?;
    two_people(known.created_by, by.id)?;
    meant.check(&of_version(known.row_version))?;
    if refund_calls::is_asked(&mut tx, known.id).await? {
        let detail = "It goes back through a gateway, which is asked what became of it. Wait until it is known.";
        let problem = Problem::new(Code::IllegalTransition, detail);
        return Err(problem.with("from", known.state.code()).with("event", "payout"));
    }
    if paid != Payout::Failed {
        refunds::must_be_payable(&mut tx, &known).await?;
    }
    refunds::heard(&mut tx, &app, &known, (by.id, paid)).await?;
    let detail = json!({ "outcome": request.outcome });
    audit::record(&mut tx, app.now(), by.actor(), "refund.paid", id, detail).await?;
    let row = refunds::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    effect.commit(tx, Answer::ok(&RefundView::from(&row)).tagged(of_version(row.row_version))).await
}

/// A refund that is to go back the way the money came.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// The payment on the refund's plan whose gateway gives the money back; not more than came by it.
    payment: PaymentId,
}

/// Has a refund paid through the gateway that took a payment: it is submitted, and the gateway is asked until it says
/// what became of it. Whoever made the refund owed does not send it.
#[utoipa::path(
    post,
    path = "/v1/refunds/{id}/sending",
    tag = "refunds",
    params(
        ("id" = RefundId, Path, description = "The refund."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    request_body = SendRequest,
    responses((status = 200, description = "The refund.", body = RefundView))
)]
pub async fn send(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(id): Path<RefundId>,
    meant: IfMatch,
    Json(request): Json<SendRequest>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    crate::recovery::may_pay_out(&mut tx).await?;
    let scope = (by.id, Permission::PayRefunds.role_list());
    let known = refunds::reached(&mut tx, scope, id).await?.ok_or_else(Problem::not_found)?;
    two_people(known.created_by, by.id)?;
    if known.through != Some(request.payment) {
        meant.check(&of_version(known.row_version))?;
        refunds::must_be_payable(&mut tx, &known).await?;
        refund_calls::send(&mut tx, &app, &known, (by.id, request.payment)).await?;
        let detail = json!({ "payment": request.payment });
        audit::record(&mut tx, app.now(), by.actor(), "refund.sent", id, detail).await?;
    }
    let row = refunds::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    effect.commit(tx, Answer::ok(&RefundView::from(&row)).tagged(of_version(row.row_version))).await
}
