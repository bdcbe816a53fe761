//! REST of complaints; in paths they are disputes, as customers' programs know them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{AccountId, ComplaintId, CustomerId, Hash};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{parse_code, words};
use crate::app::App;
use crate::audit;
use crate::auth::{Party, Permission, User};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::etag::{IfMatch, IfNoneMatch, of_version};
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};
use crate::journey::complaints::{self, Complaint, ComplaintState, NewComplaint, NewMessage, Said};
use crate::journey::evidence::{self, FileRow};
use crate::journey::plans;

/// Characters of a message.
const CHARS_MAX: usize = 2_000;

/// Something that was said.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageView {
    id: Uuid,
    at: Timestamp,
    /// customer or lender.
    from: &'static str,
    /// Null when they were erased.
    words: Option<String>,
}

impl From<Said> for MessageView {
    fn from(said: Said) -> Self {
        let from = if said.by_lender { "lender" } else { "customer" };
        Self { id: said.uid, at: said.at, from, words: said.words }
    }
}

/// A complaint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000008", "plan": "019cad21-cf00-7000-8000-000000000001",
    "customer": "019cad21-cf00-7000-8000-c11e00000020", "about": "delivery", "state": "opened", "level": 1,
    "respond_by": "2026-03-11T08:00:00Z", "opened_at": "2026-03-06T08:00:00Z", "ended_at": null,
    "messages": [{
        "id": "019cad21-cf00-7000-8000-c11e00000008", "at": "2026-03-06T08:00:00Z", "from": "customer",
        "words": "Nothing has come yet.",
    }],
}))]
pub struct ComplaintView {
    id: ComplaintId,
    plan: AccountId,
    customer: CustomerId,
    /// goods, delivery, charge, conduct, identity or other.
    about: &'static str,
    /// opened (an answer is owed), answered, upheld, rejected or withdrawn.
    state: &'static str,
    /// 1 to 3; it rises when no answer comes in time.
    level: i64,
    /// Until when an answer is owed.
    respond_by: Timestamp,
    opened_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// What was said; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<MessageView>>,
    /// The files beside it; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Vec<FileView>>,
}

/// A file of a complaint: `GET /v1/evidence/{id}` has its content.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileView {
    id: Uuid,
    /// image/jpeg, image/png, image/webp or application/pdf.
    media_type: &'static str,
    /// Its SHA-256 in hex.
    #[schema(value_type = String)]
    sha256: Hash,
    at: Timestamp,
}

impl From<FileRow> for FileView {
    fn from(row: FileRow) -> Self {
        Self { id: row.uid, media_type: row.media_type.code(), sha256: row.sha256, at: row.at }
    }
}

impl ComplaintView {
    fn of(row: &Complaint, said: Option<(Vec<Said>, Vec<FileRow>)>) -> Self {
        let (messages, evidence) = said.unzip();
        Self {
            id: row.uid,
            plan: row.account,
            customer: row.customer,
            about: row.about.code(),
            state: row.state.code(),
            level: row.level,
            respond_by: row.respond_by,
            opened_at: row.opened_at,
            ended_at: row.ended_at,
            messages: messages.map(|messages| messages.into_iter().map(MessageView::from).collect()),
            evidence: evidence.map(|files| files.into_iter().map(FileView::from).collect()),
        }
    }
}

/// The answer of a write: the complaint as it is now.
pub(super) async fn shown(
    tx: &mut Tx,
    id: ComplaintId,
    answer: fn(&ComplaintView) -> Answer,
) -> Result<Answer, Problem> {
    let row = complaints::find(tx, id).await?.ok_or_else(Problem::not_found)?;
    let said = (complaints::messages(tx, row.id).await?, evidence::of(tx, row.id).await?);
    Ok(answer(&ComplaintView::of(&row, Some(said))).tagged(of_version(row.row_version)))
}

/// A complaint to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000008", "about": "delivery", "words": "Nothing has come yet.",
}))]
pub struct ComplaintRequest {
    /// Its id, which its maker chose: sent again, it is the same complaint.
    id: ComplaintId,
    /// goods, delivery, charge, conduct, identity or other.
    #[schema(example = "delivery")]
    about: String,
    /// What is wrong, in the customer's words.
    #[schema(min_length = 1, max_length = 2000, example = "Nothing has come yet.")]
    words: String,
}

/// Objects to something about a plan.
#[utoipa::path(
    post,
    path = "/v1/plans/{id}/disputes",
    tag = "disputes",
    params(("id" = AccountId, Path, description = "The plan.")),
    request_body = ComplaintRequest,
    responses(
        (status = 201, description = "It is open.", body = ComplaintView),
        (status = 200, description = "It was opened before.", body = ComplaintView)
    )
)]
pub async fn open(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(plan): Path<AccountId>,
    Json(request): Json<ComplaintRequest>,
) -> Result<Response, Problem> {
    words("/words", &request.words, CHARS_MAX)?;
    let about = parse_code("/about", &request.about)?;
    let now = app.now();
    let mut tx = effect.begin().await?;
    let account_id = plans::key_of_own(&mut tx, party.customer.id, plan).await?.ok_or_else(Problem::not_found)?;
    if let Some(known) = complaints::find(&mut tx, request.id).await? {
        let first = complaints::message(&mut tx, request.id.0).await?;
        let same = first.is_some_and(|(_, words)| words.as_deref() == Some(request.words.as_str()));
        if known.account_id != account_id || known.about != about || !same {
            return Err(Problem::new(Code::IdTaken, "The complaint's id was used for another complaint."));
        }
        let answer = shown(&mut tx, request.id, Answer::ok).await?;
        return effect.commit(tx, answer).await;
    }
    let by_user = party.user.id;
    let new = NewComplaint { uid: request.id, account_id, about, respond_by: complaints::respond_by(&app), by_user };
    let complaint_id = complaints::open(&mut tx, now, &new).await?.ok_or_else(Problem::met_another)?;
    let first = NewMessage { uid: request.id.0, complaint_id, by_user, by_lender: false, words: &request.words };
    if !complaints::say(&mut tx, now, first).await? {
        return Err(Problem::new(Code::IdTaken, "The complaint's id was used for a message."));
    }
    let detail = json!({ "plan": plan, "about": about.code() });
    party.audit(&mut tx, now, "complaint.opened", request.id, detail).await?;
    let answer = shown(&mut tx, request.id, Answer::created).await?.at(format!("/v1/disputes/{}", request.id));
    effect.commit(tx, answer).await
}

pub(super) async fn own(tx: &mut Tx, party: &Party, id: ComplaintId) -> Result<Complaint, Problem> {
    let found = complaints::find(tx, id).await?;
    found.filter(|found| found.customer_id == party.customer.id).ok_or_else(Problem::not_found)
}

/// A complaint, with what was said.
#[utoipa::path(
    get,
    path = "/v1/disputes/{id}",
    tag = "disputes",
    params(
        ("id" = ComplaintId, Path, description = "The complaint."),
        ("If-None-Match" = Option<String>, Header, description = "The version the caller has.")
    ),
    responses(
        (status = 200, description = "The complaint.", body = ComplaintView, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(id): Path<ComplaintId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = own(&mut tx, &party, id).await?;
    let said = (complaints::messages(&mut tx, found.id).await?, evidence::of(&mut tx, found.id).await?);
    Ok(known.answer(&of_version(found.row_version), Json(ComplaintView::of(&found, Some(said)))))
}

/// Complaints that go on, the oldest first, without what was said.
#[utoipa::path(
    get,
    path = "/v1/disputes",
    tag = "disputes",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<ComplaintView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<ComplaintId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let roles = Permission::ReadComplaints.role_list();
    let rows = complaints::page_open(&mut tx, (by.id, roles), (page.after, page.rows())).await?;
    let views = rows.iter().map(|row| ComplaintView::of(row, None)).collect();
    Ok(page.page(views, |view: &ComplaintView| view.id))
}

/// Something to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000009", "words": "The box came today, but it is empty.",
}))]
pub struct MessageRequest {
    /// Its id, which its maker chose: sent again, it is the same message.
    id: Uuid,
    #[schema(min_length = 1, max_length = 2000)]
    words: String,
}

/// Adds a message; false when it was there before.
async fn say(
    tx: &mut Tx,
    app: &App,
    known: &Complaint,
    (by_user, by_lender): (i64, bool),
    request: &MessageRequest,
) -> Result<bool, Problem> {
    words("/words", &request.words, CHARS_MAX)?;
    if let Some((complaint_id, said)) = complaints::message(tx, request.id).await? {
        if complaint_id != known.id || said.as_deref() != Some(request.words.as_str()) {
            return Err(Problem::new(Code::IdTaken, "The message's id was used for another message."));
        }
        return Ok(false);
    }
    must_go_on(known, "say")?;
    let MessageRequest { id: uid, words } = request;
    let new = NewMessage { uid: *uid, complaint_id: known.id, by_user, by_lender, words };
    if !complaints::say(tx, app.now(), new).await? {
        let detail = format!("A complaint has at most {} messages.", complaints::MESSAGES_MAX);
        return Err(Problem::new(Code::Conflict, detail));
    }
    added(tx, app, known, (by_user, by_lender)).await?;
    Ok(true)
}

/// What the customer adds is to be answered anew; until that was owed it stays owed as it was.
pub(super) async fn added(
    tx: &mut Tx,
    app: &App,
    known: &Complaint,
    (by_user, by_lender): (i64, bool),
) -> Result<(), Problem> {
    let (state, respond_by) = match (by_lender, known.state) {
        (true, _) => (ComplaintState::Answered, known.respond_by),
        (false, ComplaintState::Answered) => (ComplaintState::Opened, complaints::respond_by(app)),
        (false, state) => (state, known.respond_by),
    };
    if !complaints::advance(tx, known, (state, respond_by), (by_user, app.now())).await? {
        return Err(Problem::met_another());
    }
    Ok(())
}

pub(super) fn must_go_on(known: &Complaint, event: &'static str) -> Result<(), Problem> {
    if known.state.is_open() {
        return Ok(());
    }
    let problem = Problem::new(Code::IllegalTransition, format!("The complaint is {}: it is over.", known.state));
    Err(problem.with("from", known.state.code()).with("event", event))
}

/// The customer adds something.
#[utoipa::path(
    post,
    path = "/v1/disputes/{id}/messages",
    tag = "disputes",
    params(("id" = ComplaintId, Path, description = "The complaint.")),
    request_body = MessageRequest,
    responses((status = 200, description = "The complaint.", body = ComplaintView))
)]
pub async fn add(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(id): Path<ComplaintId>,
    Json(request): Json<MessageRequest>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let known = own(&mut tx, &party, id).await?;
    if say(&mut tx, &app, &known, (party.user.id, false), &request).await? {
        party.audit(&mut tx, app.now(), "complaint.message", id, json!({ "message": request.id })).await?;
    }
    let answer = shown(&mut tx, id, Answer::ok).await?;
    effect.commit(tx, answer).await
}

/// The customer takes it back.
#[utoipa::path(
    post,
    path = "/v1/disputes/{id}/withdrawal",
    tag = "disputes",
    params(
        ("id" = ComplaintId, Path, description = "The complaint."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    responses((status = 200, description = "The complaint.", body = ComplaintView))
)]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(id): Path<ComplaintId>,
    meant: IfMatch,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let known = own(&mut tx, &party, id).await?;
    if known.state != ComplaintState::Withdrawn {
        meant.check(&of_version(known.row_version))?;
        must_go_on(&known, "withdraw")?;
        let moved = (ComplaintState::Withdrawn, known.respond_by);
        if !complaints::advance(&mut tx, &known, moved, (party.user.id, app.now())).await? {
            return Err(Problem::met_another());
        }
        party.audit(&mut tx, app.now(), "complaint.withdrawn", id, json!({})).await?;
    }
    let answer = shown(&mut tx, id, Answer::ok).await?;
    effect.commit(tx, answer).await
}

async fn reached(tx: &mut Tx, by: &User, id: ComplaintId) -> Result<Complaint, Problem> {
    let scope = (by.id, Permission::HandleComplaints.role_list());
    complaints::reached(tx, scope, id).await?.ok_or_else(Problem::not_found)
}

/// The lender answers.
#[utoipa::path(
    post,
    path = "/v1/disputes/{id}/answers",
    tag = "disputes",
    params(("id" = ComplaintId, Path, description = "The complaint.")),
    request_body = MessageRequest,
    responses((status = 200, description = "The complaint.", body = ComplaintView))
)]
pub async fn answer(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(id): Path<ComplaintId>,
    Json(request): Json<MessageRequest>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let known = reached(&mut tx, &by, id).await?;
    if say(&mut tx, &app, &known, (by.id, true), &request).await? {
        let detail = json!({ "message": request.id });
        audit::record(&mut tx, app.now(), by.actor(), "complaint.answered", id, detail).await?;
    }
    let answer = shown(&mut tx, id, Answer::ok).await?;
    effect.commit(tx, answer).await
}

/// A decision on a complaint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000011", "upheld": true,
    "words": "You are right: a new phone is on its way.",
}))]
pub struct ComplaintDecision {
    /// The id of what is said with it.
    id: Uuid,
    /// Whether the customer is right.
    upheld: bool,
    /// What is said to the customer.
    #[schema(min_length = 1, max_length = 2000)]
    words: String,
}

/// Decides on a complaint, and says so to the customer. What follows from it (a return, a refund) is done there.
#[utoipa::path(
    post,
    path = "/v1/disputes/{id}/decision",
    tag = "disputes",
    params(
        ("id" = ComplaintId, Path, description = "The complaint."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    request_body = ComplaintDecision,
    responses((status = 200, description = "The complaint.", body = ComplaintView))
)]
pub async fn decide(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(id): Path<ComplaintId>,
    meant: IfMatch,
    Json(request): Json<ComplaintDecision>,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let known = reached(&mut tx, &by, id).await?;
    meant.check(&of_version(known.row_version))?;
    must_go_on(&known, "decide")?;
    let said = MessageRequest { id: request.id, words: request.words };
    say(&mut tx, &app, &known, (by.id, true), &said).await?;
    let state = if request.upheld { ComplaintState::Upheld } else { ComplaintState::Rejected };
    let known = reached(&mut tx, &by, id).await?;
    if !complaints::advance(&mut tx, &known, (state, known.respond_by), (by.id, app.now())).await? {
        return Err(Problem::met_another());
    }
    audit::record(&mut tx, app.now(), by.actor(), "complaint.decided", id, json!({ "state": state.code() })).await?;
    let answer = shown(&mut tx, id, Answer::ok).await?;
    effect.commit(tx, answer).await
}
