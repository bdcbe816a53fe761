//! Payments in the app over REST.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use daybook_shared::ids::{AccountId, PaymentId};
use daybook_shared::money::Money;
use serde::Deserialize;
use utoipa::ToSchema;

use super::begin::{self, Begin, Novelty, Paying};
use super::drive;
use super::state::Purpose;
use super::view::{self, PaymentView};
use crate::app::App;
use crate::auth::Party;
use crate::http::answer::Answer;
use crate::http::etag::IfNoneMatch;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::Problem;

/// A payment that a customer begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000004", "amount": { "minor": 477_000, "currency": "KES" },
    "method": { "mobile_money": { "phone": "+254712345678" } },
}))]
pub struct PaymentRequest {
    /// The payment's id, which the client makes and keeps before it sends this: the same again is the same payment,
    /// for ever.
    id: PaymentId,
    /// How much, above zero; in whole units by mobile money.
    amount: Money,
    /// How.
    method: Method,
}

/// How a customer pays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Method {
    /// A push to his phone.
    MobileMoney {
        /// The phone that is asked, with its country's code.
        #[schema(example = "+254712345678")]
        phone: String,
    },
    /// A card page.
    Card {
        /// Where his browser goes back to: an https address.
        #[schema(example = "https://app.example.com/paid")]
        return_url: String,
    },
}

impl From<Method> for Paying {
    fn from(method: Method) -> Self {
        match method {
            Method::MobileMoney { phone } => Self::MobileMoney { phone },
            Method::Card { return_url } => Self::Card { return_url },
        }
    }
}

/// Begins a payment on a plan, by mobile money or card: on an active one, or the down payment that it waits for.
///
/// It is pending, and written down before the customer is asked: `GET /v1/payments/{id}` says what he does next and
/// what it came to. Whether the gateway was reached now or is asked again later does not change this answer.
#[utoipa::path(
    post,
    path = "/v1/plans/{id}/payments",
    tag = "journey-payments",
    params(("id" = AccountId, Path, description = "The plan.")),
    request_body = PaymentRequest,
    responses(
        (status = 202, description = "It is begun.", body = PaymentView,
         headers(("Location" = String, description = "The payment."))),
        (status = 200, description = "It was begun before, with the same content.", body = PaymentView),
    )
)]
pub async fn begin_payment(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(plan): Path<AccountId>,
    Json(request): Json<PaymentRequest>,
) -> Result<Response, Problem> {
    let PaymentRequest { id, amount, method } = request;
    let begin = Begin { id, purpose: Purpose::Instalment, amount, by: method.into() };
    let mut tx = effect.begin().await?;
    let account = begin::account_of(&mut tx, &party, plan).await?;
    let novelty = begin::begin(&mut tx, &app, &party, account, &begin).await?;
    let view = view::find(&mut tx, id, party.customer.id).await?;
    let view = view.ok_or_else(|| Problem::internal(&"a payment that was just begun is not there"))?;
    let answer = Answer::accepted(&view).at(format!("/v1/payments/{id}"));
    if novelty == Novelty::Known {
        return effect.commit(tx, Answer { status: StatusCode::OK, ..answer }).await;
    }
    let response = effect.commit(tx, answer).await?;
    // It is durable. Whatever becomes of the call, now or in a process after this one, goes on from the row.
    if let Err(error) = drive::step(&app, id).await {
        tracing::error!(payment = %id, %error, "the first step of a payment failed");
    }
    Ok(response)
}

/// A payment: how far it is, what the customer does next, what it paid.
#[utoipa::path(
    get,
    path = "/v1/payments/{id}",
    tag = "journey-payments",
    params(
        ("id" = PaymentId, Path, description = "The payment."),
        ("If-None-Match" = Option<String>, Header, description = "The version the caller has."),
    ),
    responses(
        (status = 200, description = "The payment.", body = PaymentView, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has this version."),
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    known: IfNoneMatch,
    Path(payment): Path<PaymentId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let view = view::find(&mut tx, payment, party.customer.id).await?.ok_or_else(Problem::not_found)?;
    Ok(known.answer(&view.etag(), Json(view)))
}

/// The payments of a plan, the newest first: those in the app, and those that an officer, a statement or another book
/// has.
#[utoipa::path(
    get,
    path = "/v1/plans/{id}/payments",
    tag = "journey-payments",
    params(("id" = AccountId, Path, description = "The plan."), PageQuery),
    responses((status = 200, description = "A page.", body = Page<PaymentView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(plan): Path<AccountId>,
    page: Paging<PaymentId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let account = begin::account_of(&mut tx, &party, plan).await?;
    let rows = view::page(&mut tx, account, page.after, page.rows()).await?;
    Ok(page.page(rows, |view: &PaymentView| view.id))
}
