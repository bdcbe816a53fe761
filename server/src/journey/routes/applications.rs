//! REST of applications: submit, follow, take back, read the contract, sign it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use daybook_shared::ids::{AccountId, ApplicationId, OrderId, QuoteId};
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::parse_code;
use super::shopping::refuse_breaches;
use crate::app::App;
use crate::auth::{Party, Permission, units};
use crate::customers::consents::{self, ConsentKind};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::etag::{IfMatch, IfNoneMatch, of_version};
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};
use crate::journey::applications::{self, Application, NewApplication};
use crate::journey::contract::{self, Document, Signing};
use crate::journey::orders::{self, Channel, EventKind, NewEvent};
use crate::journey::quotes::{self, Made};
use crate::journey::states::{ApplicationState, Event, Reason};
use crate::journey::{acceptance, decide, offers, regimes, standing};
use crate::on_db;

/// An application.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000003", "quote": "019cad21-cf00-7000-8000-c11e00000002",
    "order": "019cad21-cf00-7000-8000-c11e00000001", "state": "approved", "reason": null, "next": "sign",
    "submitted_at": "2026-03-02T06:02:00Z", "decided_at": "2026-03-02T06:02:00.25Z",
    "approval_expires_at": "2026-03-05T06:02:00.25Z", "plan": null,
}))]
pub struct ApplicationView {
    id: ApplicationId,
    quote: QuoteId,
    order: Option<OrderId>,
    /// deciding, approved, rejected, cancelled, expired or accepted.
    state: &'static str,
    /// Of one that was rejected: a code such as limit_exhausted; undisclosed where nobody may say.
    reason: Option<&'static str>,
    /// What the customer does next: sign (the contract is at `agreement`), or nothing.
    next: Option<&'static str>,
    submitted_at: Timestamp,
    decided_at: Option<Timestamp>,
    /// Until when it may be signed.
    approval_expires_at: Option<Timestamp>,
    /// The plan it became.
    plan: Option<AccountId>,
}

impl From<&Application> for ApplicationView {
    fn from(application: &Application) -> Self {
        Self {
            id: application.uid,
            quote: application.quote,
            order: application.order,
            state: application.state.code(),
            reason: application.reason.map(Reason::code),
            next: (application.state == ApplicationState::Approved).then_some("sign"),
            submitted_at: application.submitted_at,
            decided_at: application.decided_at,
            approval_expires_at: application.approval_expires_at,
            plan: application.account,
        }
    }
}

fn path_of(application: ApplicationId) -> String {
    format!("/v1/applications/{application}")
}

/// A request to buy on the terms of a quote.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000003", "quote": "019cad21-cf00-7000-8000-c11e00000002",
    "cascade_ok": false,
}))]
pub struct ApplicationRequest {
    /// Its id, which its maker chose: sent again, it is the same application.
    id: ApplicationId,
    quote: QuoteId,
    /// Whether other providers may be asked when one declines; each may leave a mark at a credit bureau.
    #[serde(default)]
    cascade_ok: bool,
}

/// Applies for a purchase on the terms of a quote. The answer says what came of it; rejected is an answer too.
#[utoipa::path(
    post,
    path = "/v1/applications",
    tag = "journey",
    request_body = ApplicationRequest,
    responses(
        (status = 201, description = "The application.", body = ApplicationView),
        (status = 200, description = "It was submitted before.", body = ApplicationView)
    )
)]
pub async fn submit(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Json(request): Json<ApplicationRequest>,
) -> Result<Response, Problem> {
    let now = app.now();
    let mut tx = effect.begin().await?;
    applications::lock(&mut tx, party.customer.id).await?;
    if let Some(known) = applications::find(&mut tx, request.id).await? {
        let own = known.customer_id == party.customer.id;
        if !(own && known.quote == request.quote && known.cascade_ok == request.cascade_ok) {
            return Err(Problem::new(Code::IdTaken, "The application's id was used for another application."));
        }
        let answer = Answer::ok(&ApplicationView::from(&known)).tagged(of_version(known.row_version));
        return effect.commit(tx, answer).await;
    }
    let made = usable(&mut tx, &app, &party, request.quote).await?;
    must_agree(&mut tx, &party, ConsentKind::DataProcessing).await?;
    if request.cascade_ok {
        must_agree(&mut tx, &party, ConsentKind::Cascade).await?;
    }
    let new = NewApplication {
        uid: request.id,
        customer_id: party.customer.id,
        quote_id: made.id,
        order_id: made.order_id,
        unit_id: unit_of(&mut tx, &party, &made).await?,
        channel: channel_of(&mut tx, &party, &made).await?,
        segment: standing::segment(&mut tx, party.customer.id).await?,
        cascade_ok: request.cascade_ok,
        by_user: party.user.id,
    };
    let id = applications::insert(&mut tx, now, &new).await?.ok_or_else(Problem::met_another)?;
    if let Some(order_id) = made.order_id {
        let by_user = Some(party.user.id);
        let chose = NewEvent { order_id, kind: EventKind::Chose, at: now, stars: None, by_user };
        orders::note(&mut tx, &[chose]).await?;
    }
    let application = applications::by_key(&mut tx, id).await?;
    decide::decide(&mut tx, &app, &application).await?;
    let application = applications::by_key(&mut tx, id).await?;
    let detail = json!({ "quote": request.quote, "state": application.state.code() });
    party.audit(&mut tx, now, "application.submitted", request.id, detail).await?;
    let answer = Answer::created(&ApplicationView::from(&application));
    let answer = answer.at(path_of(request.id)).tagged(of_version(application.row_version));
    effect.commit(tx, answer).await
}

/// Nothing is asked about a customer who did not agree to it.
async fn must_agree(tx: &mut Tx, party: &Party, kind: ConsentKind) -> Result<(), Problem> {
    if consents::holds(tx, party.customer.id, kind).await? {
        return Ok(());
    }
    let detail = format!("The customer has not agreed to {kind}: POST /v1/me/consents.");
    Err(Problem::new(Code::ConsentMissing, detail).with("consent", kind.code()))
}

/// The customer's quote, if an application may use it now.
async fn usable(tx: &mut Tx, app: &App, party: &Party, quote: QuoteId) -> Result<Made, Problem> {
    let made = quotes::find(tx, quote).await?.filter(|made| made.customer_id == party.customer.id);
    let made = made.ok_or_else(|| Problem::invalid("/quote", "unknown", "There is no such quote of this customer."))?;
    let now = app.now();
    if made.expires_at <= now {
        return Err(Problem::new(Code::QuoteExpired, "The quote has expired: ask for a new one."));
    }
    if let Some(used) = applications::of_quote(tx, made.id).await? {
        let detail = "The quote is used by another application: ask for a new one.";
        return Err(Problem::new(Code::Conflict, detail).with("application", json!(used)));
    }
    // What the customer owes may have grown since the quote was made.
    let offer = offers::by_key(tx, made.offer_id).await?;
    let regime =
        regimes::find(&app.settings, &offer.regime).ok_or_else(|| Problem::internal(&"an offer of no regime"))?;
    let today = app.settings.zone.date_of(now);
    let standing = standing::of(tx, party.customer.id, (today, made.quote.currency)).await?;
    refuse_breaches(&regimes::breaches(&regime, &made.quote, &standing))?;
    Ok(made)
}

const UNIT_OF_CUSTOMER: &str = "select coalesce(o.unit_id, c.unit_id) from customer c
     left join shop_order o on o.id = $2 where c.id = $1";

/// The unit a new account belongs to: the order's, the customer's, that of who acts for him, or the lender's
/// own.
async fn unit_of(tx: &mut Tx, party: &Party, made: &Made) -> Result<i64, Problem> {
    let unit: Option<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(UNIT_OF_CUSTOMER).bind(party.customer.id).bind(made.order_id).fetch_one(conn).await
    })?;
    if let Some(unit) = unit {
        return Ok(unit);
    }
    if party.is_acting() {
        let reached = units::visible_units(tx, &party.user, Permission::WriteJourney).await?;
        if let Some(unit) = reached.first() {
            return Ok(*unit);
        }
    }
    let root = units::root(tx).await?.ok_or_else(|| Problem::internal(&"there is no unit"))?;
    Ok(root.id)
}

async fn channel_of(tx: &mut Tx, party: &Party, made: &Made) -> Result<Channel, Problem> {
    match made.order_id {
        Some(order) => Ok(orders::by_key(tx, order).await?.channel),
        None if party.is_acting() => Ok(Channel::Store),
        None => Ok(Channel::App),
    }
}

/// The customer's applications, the newest first.
#[utoipa::path(
    get,
    path = "/v1/applications",
    tag = "journey",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<ApplicationView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    page: Paging<ApplicationId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let rows = applications::page_own(&mut tx, party.customer.id, (page.after, page.rows())).await?;
    Ok(page.page(rows.iter().map(ApplicationView::from).collect(), |view: &ApplicationView| view.id))
}

async fn own(tx: &mut Tx, party: &Party, application: ApplicationId) -> Result<Application, Problem> {
    let found = applications::find(tx, application).await?;
    found.filter(|found| found.customer_id == party.customer.id).ok_or_else(Problem::not_found)
}

/// How far an application is.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}",
    tag = "journey",
    params(
        ("id" = ApplicationId, Path, description = "The application."),
        ("If-None-Match" = Option<String>, Header, description = "The version the caller has.")
    ),
    responses(
        (status = 200, description = "The application.", body = ApplicationView, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(application): Path<ApplicationId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let application = own(&mut tx, &party, application).await?;
    Ok(known.answer(&of_version(application.row_version), Json(ApplicationView::from(&application))))
}

fn illegal(application: &Application, event: Event) -> Problem {
    let detail = format!("The application is {}: {} cannot happen to it.", application.state, event.code());
    Problem::new(Code::IllegalTransition, detail).with("from", application.state.code()).with("event", event.code())
}

/// Takes an application back, or declines to sign.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/cancellation",
    tag = "journey",
    params(
        ("id" = ApplicationId, Path, description = "The application."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    responses((status = 200, description = "The application.", body = ApplicationView))
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(application): Path<ApplicationId>,
    meant: IfMatch,
) -> Result<Response, Problem> {
    let now = app.now();
    let mut tx = effect.begin().await?;
    applications::lock(&mut tx, party.customer.id).await?;
    let known = own(&mut tx, &party, application).await?;
    if known.state != ApplicationState::Cancelled {
        meant.check(&of_version(known.row_version))?;
        let next = known.state.after(Event::Cancel).ok_or_else(|| illegal(&known, Event::Cancel))?;
        if !applications::end(&mut tx, now, known.id, next).await? {
            return Err(Problem::met_another());
        }
        party.audit(&mut tx, now, "application.cancelled", application, json!({})).await?;
    }
    let known = applications::by_key(&mut tx, known.id).await?;
    let answer = Answer::ok(&ApplicationView::from(&known)).tagged(of_version(known.row_version));
    effect.commit(tx, answer).await
}

/// The contract of an approved application, as it is to be signed: its hash is in the ETag.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}/agreement",
    tag = "journey",
    params(
        ("id" = ApplicationId, Path, description = "The application."),
        ("If-None-Match" = Option<String>, Header, description = "What the caller has.")
    ),
    responses(
        (status = 200, description = "The document.", body = Document, headers(("ETag" = String, description = "The document's hash, hexadecimal: what is signed."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn agreement(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(application): Path<ApplicationId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let application = own(&mut tx, &party, application).await?;
    let contract = contract::find(&mut tx, application.id).await?.ok_or_else(Problem::not_found)?;
    let etag = format!("\"{}\"", contract.hash);
    Ok(known.answer(&etag, ([(header::CONTENT_TYPE, "application/json")], contract.document)))
}

/// A signature.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "document_hash": "8d5ab3f10c6e4b7f92a1d0e8c3b5476f1e2d9c8b7a6f5e4d3c2b1a0f9e8d7c6b", "method": "app",
}))]
pub struct AcceptanceRequest {
    /// The hash of the document that was shown, hexadecimal: the ETag of `GET …/agreement`, without its quotes.
    #[schema(min_length = 64, max_length = 64)]
    document_hash: String,
    /// app, code or handwritten.
    #[schema(example = "app")]
    method: String,
}

/// What a signature brings about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000003", "quote": "019cad21-cf00-7000-8000-c11e00000002",
    "order": "019cad21-cf00-7000-8000-c11e00000001", "state": "accepted", "reason": null, "next": null,
    "submitted_at": "2026-03-02T06:02:00Z", "decided_at": "2026-03-02T06:02:00.25Z",
    "approval_expires_at": "2026-03-05T06:02:00.25Z", "plan": "019cad21-cf00-7000-8000-000000000001",
    "at_acceptance": { "minor": 600_000, "currency": "KES" },
}))]
pub struct AcceptanceView {
    #[serde(flatten)]
    application: ApplicationView,
    /// What is to be paid before the plan begins; null when nothing is.
    at_acceptance: Option<Money>,
}

/// Signs the contract: the application becomes a plan. Where something is paid with the acceptance, the plan
/// begins with that payment.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/acceptance",
    tag = "journey",
    params(
        ("id" = ApplicationId, Path, description = "The application."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    request_body = AcceptanceRequest,
    responses(
        (status = 201, description = "The plan is there.", body = AcceptanceView),
        (status = 200, description = "It was signed before.", body = AcceptanceView)
    )
)]
pub async fn accept(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(application): Path<ApplicationId>,
    meant: IfMatch,
    Json(request): Json<AcceptanceRequest>,
) -> Result<Response, Problem> {
    let method: Signing = parse_code("/method", &request.method)?;
    let mut tx = effect.begin().await?;
    applications::lock(&mut tx, party.customer.id).await?;
    let known = own(&mut tx, &party, application).await?;
    let contract = contract::find(&mut tx, known.id).await?.ok_or_else(|| illegal(&known, Event::Sign))?;
    if !contract.hash.to_string().eq_ignore_ascii_case(&request.document_hash) {
        let detail = "This is not the hash of the document: read it again before it is signed. Its ETag is the hash.";
        return Err(Problem::new(Code::QuoteChanged, detail).with("hash", contract.hash.to_string()));
    }
    let again = known.state == ApplicationState::Accepted;
    if !again {
        meant.check(&of_version(known.row_version))?;
        known.state.after(Event::Sign).ok_or_else(|| illegal(&known, Event::Sign))?;
        if known.approval_expires_at.is_some_and(|until| until <= app.now()) {
            return Err(Problem::new(Code::QuoteExpired, "The approval has expired: apply again."));
        }
        acceptance::accept(&mut tx, &app, &party, (&known, method)).await?;
    }
    let known = applications::by_key(&mut tx, known.id).await?;
    let made = quotes::by_key(&mut tx, known.quote_id).await?;
    let held_back = acceptance::held_back(&made);
    let view = AcceptanceView {
        application: ApplicationView::from(&known),
        at_acceptance: (held_back.minor > 0).then_some(held_back),
    };
    let answer = if again { Answer::ok(&view) } else { Answer::created(&view) };
    let plan = known.account.map(|plan| format!("/v1/plans/{plan}")).unwrap_or_default();
    effect.commit(tx, answer.at(plan).tagged(of_version(known.row_version))).await
}
