//! REST of returns: the customer asks, staff rule.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{AccountId, CustomerId, Hash, RefundId, ReturnId, sha256};
use daybook_shared::money::Money;
use daybook_shared::quote::refund::{Asked, CapturedLine};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{parse_code, words};
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
use crate::journey::returns::{self, GoodsReturn, NewReturn, ReturnState, Ruling};
use crate::journey::{plans, refunds};
use crate::portfolio::account::{self, AccountStatus, ClosedAs, Lock};

/// The most lines a return names: as many as an order has.
const LINES_MAX: usize = 200;

/// Goods that come back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000007", "plan": "019cad21-cf00-7000-8000-000000000001",
    "customer": "019cad21-cf00-7000-8000-c11e00000020", "amount": { "minor": 2_400_000, "currency": "KES" },
    "reason": "The screen flickers.", "state": "requested", "refund_amount": null, "refund": null,
    "requested_at": "2026-04-10T08:00:00Z", "decided_at": null, "received_at": null,
}))]
pub struct ReturnView {
    id: ReturnId,
    plan: AccountId,
    customer: CustomerId,
    /// How much of the price comes back.
    amount: Money,
    /// Why, in the customer's words.
    reason: Option<String>,
    /// requested, approved, received, closed or rejected.
    state: &'static str,
    /// What goes back to the customer, once the goods were received; the rest went off the plan.
    refund_amount: Option<Money>,
    /// The refund that pays it.
    refund: Option<RefundId>,
    requested_at: Timestamp,
    decided_at: Option<Timestamp>,
    received_at: Option<Timestamp>,
}

impl ReturnView {
    fn of(row: &GoodsReturn, refund: Option<RefundId>) -> Self {
        Self {
            id: row.uid,
            plan: row.account,
            customer: row.customer,
            amount: Money::new(row.amount_minor, row.currency),
            reason: row.reason.clone(),
            state: row.state.code(),
            refund_amount: row.refund_minor.map(|minor| Money::new(minor, row.currency)),
            refund,
            requested_at: row.requested_at,
            decided_at: row.decided_at,
            received_at: row.received_at,
        }
    }

    async fn load(tx: &mut Tx, row: &GoodsReturn) -> sqlx::Result<Self> {
        Ok(Self::of(row, refunds::of_return(tx, row.id).await?))
    }
}

/// A line of the order, of which so much comes back.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnLine {
    /// Its place in the order, from 1.
    #[schema(minimum = 1)]
    n: u16,
    /// How much of it, minor units; all that is left when it is left out.
    #[schema(minimum = 1)]
    amount_minor: Option<i64>,
}

/// A request to give goods back: lines of the order, or an amount of it, or all when neither is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000007", "lines": [{ "n": 1 }], "reason": "The screen flickers.",
}))]
pub struct ReturnRequest {
    /// Its id, which its maker chose: sent again, it is the same return.
    id: ReturnId,
    #[schema(max_items = 200)]
    lines: Option<Vec<ReturnLine>>,
    amount: Option<Money>,
    /// In the customer's words, at most 500 characters.
    #[schema(min_length = 1, max_length = 500, example = "The screen flickers.")]
    reason: String,
}

impl ReturnRequest {
    fn content(&self, plan: AccountId) -> Hash {
        let said = json!({ "plan": plan, "lines": self.lines, "amount": self.amount, "reason": self.reason });
        Hash(sha256(&[b"daybook/return/1", said.to_string().as_bytes()]))
    }
}

/// Asks for leave to give goods back.
#[utoipa::path(
    post,
    path = "/v1/plans/{id}/returns",
    tag = "returns",
    params(("id" = AccountId, Path, description = "The plan.")),
    request_body = ReturnRequest,
    responses(
        (status = 201, description = "It is asked for.", body = ReturnView),
        (status = 200, description = "It was asked for before.", body = ReturnView)
    )
)]
pub async fn request(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(plan): Path<AccountId>,
    Json(request): Json<ReturnRequest>,
) -> Result<Response, Problem> {
    words("/reason", &request.reason, 500)?;
    let now = app.now();
    let content = request.content(plan);
    let mut tx = effect.begin().await?;
    let id = plans::key_of_own(&mut tx, party.customer.id, plan).await?.ok_or_else(Problem::not_found)?;
    // One return after another: each sees what the others took.
    let account =
        account::load_accounts(&mut tx, &[id], Lock::ForUpdate).await?.pop().ok_or_else(Problem::not_found)?;
    if let Some(known) = returns::find(&mut tx, request.id).await? {
        if known.account_id != id || known.content != content {
            return Err(Problem::new(Code::IdTaken, "The return's id was used for another return."));
        }
        let view = ReturnView::load(&mut tx, &known).await?;
        return effect.commit(tx, Answer::ok(&view).tagged(of_version(known.row_version))).await;
    }
    let over = matches!(account.closed_as, Some(ClosedAs::Rescinded | ClosedAs::WrittenOff | ClosedAs::Cancelled));
    if over || account.status == AccountStatus::Pending {
        let from = account.status_text();
        let problem = Problem::new(Code::IllegalTransition, format!("The plan is {from}: nothing comes back on it."));
        return Err(problem.with("from", from).with("event", "return"));
    }
    let lines = shared(&mut tx, id, &request).await?;
    let ReturnRequest { id: uid, reason, .. } = request;
    let new =
        NewReturn { uid, account_id: id, currency: account.currency, lines, content, reason, by_user: party.user.id };
    let key = returns::insert(&mut tx, now, &new).await?.ok_or_else(Problem::met_another)?;
    party.audit(&mut tx, now, "return.requested", uid, json!({ "plan": plan })).await?;
    let made = returns::by_key(&mut tx, key).await?;
    let answer = Answer::created(&ReturnView::of(&made, None)).at(format!("/v1/returns/{uid}"));
    effect.commit(tx, answer.tagged(of_version(made.row_version))).await
}

/// How much of which line of the sale is asked for.
async fn shared(tx: &mut Tx, account_id: i64, request: &ReturnRequest) -> Result<Vec<(i64, i64)>, Problem> {
    let sale = returns::sale(tx, account_id).await?;
    let sale =
        sale.ok_or_else(|| Problem::validation("The plan was taken over: what was sold on it is not known here."))?;
    let lines = returns::lines(tx, account_id, &sale.made).await?;
    let refused = |error: daybook_shared::quote::refund::RefundError| Problem::validation(format!("{error}."));
    match (&request.lines, request.amount) {
        (Some(_), Some(_)) => Err(Problem::validation("Name lines or an amount, not both.")),
        (None, None) => returns::share(Asked::Rest, &lines).map_err(refused),
        (None, Some(amount)) if amount.currency != sale.made.quote.currency => {
            Err(Problem::invalid("/amount/currency", "currency", "The plan is in another currency."))
        }
        (None, Some(amount)) => returns::share(Asked::Minor(amount.minor), &lines).map_err(refused),
        (Some(named), None) => of_lines(named, &lines),
    }
}

fn of_lines(named: &[ReturnLine], lines: &[(i64, CapturedLine)]) -> Result<Vec<(i64, i64)>, Problem> {
    if named.is_empty() || named.len() > LINES_MAX {
        return Err(Problem::invalid("/lines", "length", format!("A return has 1 to {LINES_MAX} lines.")));
    }
    let mut shared: Vec<(i64, i64)> = Vec::with_capacity(named.len());
    for (i, ReturnLine { n, amount_minor }) in named.iter().enumerate() {
        let pointer = format!("/lines/{i}");
        let n = i64::from(*n);
        let known = lines.iter().find(|line| line.0 == n && n > 0).map(|line| line.1);
        let Some(line) = known.filter(|_| shared.iter().all(|other| other.0 != n)) else {
            return Err(Problem::invalid(pointer, "unknown", "The order has no such line, or it is named twice."));
        };
        let left = line.captured_minor - line.refunded_minor;
        let asked = amount_minor.unwrap_or(left);
        if asked < 1 || asked > left {
            return Err(Problem::invalid(pointer, "range", format!("{left} minor units are left of this line.")));
        }
        shared.push((n, asked));
    }
    Ok(shared)
}

/// How far a return is.
#[utoipa::path(
    get,
    path = "/v1/returns/{id}",
    tag = "returns",
    params(
        ("id" = ReturnId, Path, description = "The return."),
        ("If-None-Match" = Option<String>, Header, description = "The version the caller has.")
    ),
    responses(
        (status = 200, description = "The return.", body = ReturnView, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(id): Path<ReturnId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = returns::find(&mut tx, id).await?.filter(|found| found.customer_id == party.customer.id);
    let found = found.ok_or_else(Problem::not_found)?;
    let view = ReturnView::load(&mut tx, &found).await?;
    Ok(known.answer(&of_version(found.row_version), Json(view)))
}

/// Returns that wait for a ruling, the oldest first.
#[utoipa::path(
    get,
    path = "/v1/returns",
    tag = "returns",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<ReturnView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<ReturnId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let roles = Permission::DecideReturns.role_list();
    let rows = returns::page_open(&mut tx, (by.id, roles), (page.after, page.rows())).await?;
    Ok(page.page(rows.iter().map(|row| ReturnView::of(row, None)).collect(), |view: &ReturnView| view.id))
}

/// A ruling on a return.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "ruling": "approve" }))]
pub struct ReturnDecision {
    /// approve: the goods may come back; receive: they are here; reject: neither.
    #[schema(example = "approve")]
    ruling: String,
}

/// Rules on a return.
///
/// Who asked for it does not approve it, and who approved it does not say that the goods are here: that is when the
/// plan is reduced and what was paid of it is owed to the customer.
#[utoipa::path(
    post,
    path = "/v1/returns/{id}/decision",
    tag = "returns",
    params(
        ("id" = ReturnId, Path, description = "The return."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    request_body = ReturnDecision,
    responses((status = 200, description = "The return.", body = ReturnView))
)]
pub async fn decide(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(id): Path<ReturnId>,
    meant: IfMatch,
    Json(request): Json<ReturnDecision>,
) -> Result<Response, Problem> {
    let ruling: Ruling = parse_code("/ruling", &request.ruling)?;
    let now = app.now();
    let mut tx = effect.begin().await?;
    let scope = (by.id, Permission::DecideReturns.role_list());
    let known = returns::reached(&mut tx, scope, id).await?.ok_or_else(Problem::not_found)?;
    meant.check(&of_version(known.row_version))?;
    let next = known.state.after(ruling).ok_or_else(|| {
        let detail = format!("The return is {}: {ruling} cannot happen to it.", known.state);
        Problem::new(Code::IllegalTransition, detail).with("from", known.state.code()).with("event", ruling.code())
    })?;
    two_people(if ruling == Ruling::Receive { known.decided_by.unwrap_or(0) } else { known.requested_by }, by.id)?;
    if next == ReturnState::Received {
        let refund = app.rng.with(|rng| RefundId::new(now, rng));
        returns::receive(&mut tx, &app, &known, by.id, refund).await?;
    } else if !returns::decide(&mut tx, &known, next, (by.id, now)).await? {
        return Err(Problem::met_another());
    }
    audit::record(&mut tx, now, by.actor(), "return.decided", id, json!({ "ruling": ruling.code() })).await?;
    let row = returns::by_key(&mut tx, known.id).await?;
    let view = ReturnView::load(&mut tx, &row).await?;
    effect.commit(tx, Answer::ok(&view).tagged(of_version(row.row_version))).await
}
