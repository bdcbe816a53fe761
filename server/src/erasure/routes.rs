//! Orders over REST: one person proposes, another decides.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{CustomerId, DecisionId};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::order::{self, ErasureView, State as OrderState};
use crate::app::App;
use crate::audit;
use crate::auth::{Permission, User, two_people};
use crate::decisions::{Decider, Novelty};
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};

/// Orders to erase customers, oldest first.
#[utoipa::path(
    get,
    path = "/v1/erasures",
    tag = "erasures",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<ErasureView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<Uuid>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let reader = (by.id, Permission::ReadErasures.role_list());
    let rows = order::page(&mut tx, reader, page.after, page.rows()).await?;
    Ok(page.page(rows, |view: &ErasureView| view.id))
}

/// A proposal to erase a customer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "id": "019cad21-cf00-7000-8000-c11e00000018" }))]
pub struct ErasureRequest {
    /// The order's id, which its maker chose.
    id: Uuid,
}

/// Proposes to erase who a customer is and all that was recorded about him but money.
///
/// All his accounts must be closed, and nothing about him may wait for a person. Another person decides.
#[utoipa::path(
    post,
    path = "/v1/customers/{id}/erasure",
    tag = "erasures",
    params(("id" = CustomerId, Path, description = "The customer.")),
    request_body = ErasureRequest,
    responses((status = 204, description = "It is proposed."))
)]
pub async fn propose(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(customer): Path<CustomerId>,
    Json(request): Json<ErasureRequest>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let proposer = (by.id, Permission::ProposeErasures.role_list());
    let subject = order::subject(&mut tx, proposer, customer).await?.ok_or_else(Problem::not_found)?;
    if subject.known == Some(request.id) {
        return effect.commit(tx, Answer::done()).await;
    }
    if order::customer_of(&mut tx, request.id).await?.is_some() {
        return Err(Problem::new(Code::IdTaken, "The order's id was used for another order."));
    }
    if subject.known.is_some() {
        return Err(Problem::new(Code::Conflict, "There is an order to erase this customer already."));
    }
    must_be_settled(subject.unsettled)?;
    let now = app.now();
    if !order::propose(&mut tx, request.id, subject.id, (by.id, now)).await? {
        return Err(Problem::met_another());
    }
    audit::record(&mut tx, now, by.actor(), "erasure.proposed", request.id, json!({ "customer": customer })).await?;
    effect.commit(tx, Answer::done()).await
}

fn must_be_settled(unsettled: bool) -> Result<(), Problem> {
    if !unsettled {
        return Ok(());
    }
    let detail =
        "An account of the customer is open or has a credit, or something recorded about him waits for a person.";
    Err(Problem::new(Code::Conflict, detail))
}

/// A ruling on a proposal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "id": "019cad21-cf00-7000-8000-c11e00000019", "approve": true }))]
pub struct ErasureDecision {
    id: DecisionId,
    /// Whether the customer is erased. It cannot be undone.
    approve: bool,
}

/// Decides on a proposal to erase a customer: another person than who proposed it.
///
/// What is approved is carried out within minutes; `GET /v1/erasures` says when it is done.
#[utoipa::path(
    post,
    path = "/v1/erasures/{id}/decision",
    tag = "erasures",
    params(("id" = Uuid, Path, description = "The order.")),
    request_body = ErasureDecision,
    responses((status = 204, description = "It is decided."))
)]
pub async fn decide(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(order): Path<Uuid>,
    Json(request): Json<ErasureDecision>,
) -> Result<Response, Problem> {
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let approver = (by.id, Permission::ApproveErasures.role_list());
    let proposal = order::proposal(&mut tx, approver, order).await?.ok_or_else(Problem::not_found)?;
    let Some(author) = proposal.proposed_by else {
        return Err(Problem::new(Code::AlreadyDecided, "The lender's settings gave this order."));
    };
    two_people(author, by.id)?;
    let (state, ruling) =
        if request.approve { (OrderState::Approved, "approved") } else { (OrderState::Rejected, "rejected") };
    if decider.record(&mut tx, "erasure", order, json!({ "ruling": ruling })).await? == Novelty::Repeated {
        return effect.commit(tx, Answer::done()).await;
    }
    must_be_settled(request.approve && proposal.unsettled)?;
    order::decide(&mut tx, proposal.id, state, (by.id, decider.now)).await?;
    effect.commit(tx, Answer::done()).await
}
