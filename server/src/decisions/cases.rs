//! A dossier online: show it, edit its board, give it to a caseload.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use daybook_shared::board::{self, BoardRole, BoardView, Edit, EditError};
use daybook_shared::entry::EntryType;
use daybook_shared::ids::{CaseloadId, ChangeHash, DecisionId, DossierId, EntryId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::document::{self, Reader};
use super::{Decider, Novelty};
use crate::app::App;
use crate::audit;
use crate::auth::roles::board_role;
use crate::auth::{Permission, User};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::etag::{self, IfMatch, IfNoneMatch};
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};
use crate::portfolio::account::{self, Lock};
use crate::portfolio::assign;
use crate::sync::boards;
use crate::sync::effects::{Effects, MergedChange, NewTimelineEvent};
use crate::sync::load::{self, Needs};
use crate::sync::persist;
use crate::{on_db, visible_units};

/// Entries shown of one dossier, newest first.
const ENTRIES_SHOWN: i64 = 100;

#[derive(Debug, sqlx::FromRow)]
struct DossierRow {
    id: i64,
    kind: String,
    account_id: Option<i64>,
    caseload: Option<CaseloadId>,
    version: i64,
    bytes: Option<Vec<u8>>,
}

/// A dossier `d` is seen where its caseload `c`, its account `a` or its officer is.
#[macro_export]
macro_rules! seen_dossiers {
    () => {
        "(c.unit_id in (select id from visible) or a.unit_id in (select id from visible)
          or exists (select 1 from user_role r where r.user_id = d.user_id and r.unit_id in (select id from visible)))"
    };
}

const ONE: &str = concat!(
    visible_units!(),
    "select d.id, d.kind, d.account_id, c.uid as caseload, d.version, b.bytes
     from dossier d left join caseload c on c.id = d.caseload_id left join account a on a.id = d.account_id
       left join board b on b.dossier_id = d.id
     where d.uid = $3 and d.erased_at is null and ",
    seen_dossiers!()
);

/// A dossier that the user reaches. One that is erased is nobody's.
async fn find(tx: &mut Tx, by: &User, permission: Permission, dossier: DossierId) -> Result<DossierRow, Problem> {
    let roles = permission.role_list();
    let row: Option<DossierRow> = on_db!(tx, conn => {
        sqlx::query_as(ONE).bind(by.id).bind(roles).bind(dossier).fetch_optional(conn).await
    })?;
    row.ok_or_else(Problem::not_found)
}

/// A dossier as one Automerge document.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct DocumentBytes(#[expect(dead_code, reason = "it is only described")] Vec<u8>);

/// A dossier for people.
#[derive(Debug, Serialize, ToSchema)]
pub struct DossierView {
    id: DossierId,
    kind: String,
    caseload: Option<CaseloadId>,
    /// Goes up with every change; the ETag.
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<BoardBody>,
    entries: Vec<EntryView>,
}

/// Where an account stands, in minor units of its currency.
#[derive(Debug, Serialize, ToSchema)]
struct AccountView {
    id: daybook_shared::ids::AccountId,
    number: String,
    currency: daybook_shared::money::Currency,
    status: String,
    outstanding_minor: i64,
    paid_minor: i64,
    credit_minor: i64,
    oldest_unmet_due: Option<daybook_shared::time::Date>,
}

/// A board for people.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoardBody {
    note: String,
    tags: Vec<String>,
    tasks: Vec<TaskBody>,
    instruction: String,
    officer_seq: String,
    sc_note: String,
}

/// A task on a board.
#[derive(Debug, Serialize, ToSchema)]
struct TaskBody {
    id: Uuid,
    text: String,
    by: String,
    done: bool,
}

impl From<BoardView> for BoardBody {
    fn from(view: BoardView) -> Self {
        let task = |task: board::Task| TaskBody { id: task.id, text: task.text, by: task.by, done: task.done };
        Self {
            note: view.note,
            tags: view.tags,
            tasks: view.tasks.into_iter().map(task).collect(),
            instruction: view.instruction,
            officer_seq: view.officer_seq,
            sc_note: view.sc_note,
        }
    }
}

/// An entry of a dossier, and what became of it.
#[derive(Debug, Serialize, sqlx::FromRow, ToSchema)]
struct EntryView {
    id: EntryId,
    #[schema(value_type = String, example = "REPAYMENT")]
    entry_type: EntryType,
    author: UserId,
    captured_at: Timestamp,
    received_at: Timestamp,
    /// posted, noted, held or refused.
    outcome: String,
    reason: Option<String>,
    flags: Option<String>,
}

/// What is confidential is shown to its author and to those who review.
const SELECT_ENTRIES: &str =
    "select e.uid as id, e.entry_type, u.uid as author, e.captured_at, e.received_at, e.outcome, e.reason, e.flags
     from entry e join app_user u on u.id = e.user_id
     where e.dossier_id = $1 and e.erased_at is null and (not e.confidential or e.user_id = $2 or $3) order by e.version desc limit $4";

/// A dossier: where its account stands, its board, its newest entries; or all of it as an Automerge document.
///
/// The document is made by what `Accept` names, from the entries and the board alone: the same ones give the same
/// bytes. It is a view: what is edited in it goes nowhere.
#[utoipa::path(
    get,
    path = "/v1/dossiers/{id}",
    tag = "dossiers",
    params(("id" = DossierId, Path, description = "The dossier."), ("If-None-Match" = Option<String>, Header, description = "The version the caller has.", example = "\"7\"")),
    responses(
        (
            status = 200,
            description = "The dossier.",
            content((DossierView = "application/json"), (DocumentBytes = "application/vnd.automerge")),
            headers(("ETag" = String, description = "Its version."))
        ),
        (status = 304, description = "The caller has this version.")
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    known: IfNoneMatch,
    headers: HeaderMap,
    Path(dossier): Path<DossierId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let row = find(&mut tx, &by, Permission::ReadCases, dossier).await?;
    let reviews = by.roles.iter().any(|(role, _)| role.may(Permission::ReadHeld));
    let mut response = if document::is_asked_for(&headers) {
        let reader = Reader::User { id: by.id, reviews };
        let _room = app.body_room.for_body(document::memory_needed(&mut tx, row.id, reader).await?).await?;
        let board = (row.kind.as_str(), row.bytes.as_deref());
        let bytes = document::render(&mut tx, (row.id, dossier), board, reader).await?;
        // Of one version, who reviews reads more than who does not.
        let etag = format!("\"{}-automerge{}\"", row.version, if reviews { "" } else { "-own" });
        known.answer(&etag, ([(header::CONTENT_TYPE, document::MEDIA_TYPE)], bytes))
    } else {
        let etag = etag::of_version(row.version);
        known.answer(&etag, Json(view(&mut tx, (dossier, row), &by, reviews).await?))
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

async fn view(
    tx: &mut Tx,
    (dossier, row): (DossierId, DossierRow),
    by: &User,
    reviews: bool,
) -> Result<DossierView, Problem> {
    let account = match row.account_id {
        Some(id) => account::load_accounts(tx, &[id], Lock::No).await?.pop(),
        None => None,
    };
    let entries: Vec<EntryView> = on_db!(tx, conn => {
        sqlx::query_as(SELECT_ENTRIES).bind(row.id).bind(by.id).bind(reviews).bind(ENTRIES_SHOWN).fetch_all(conn).await
    })?;
    let board = boards::confirmed(&row.kind, row.bytes.as_deref())?.map(|board| board.view().into());
    let account = account.map(|row| -> Result<AccountView, Problem> {
        Ok(AccountView {
            id: row.uid,
            outstanding_minor: row.outstanding().total().map_err(|error| Problem::internal(&error))?,
            status: row.status_text(),
            number: row.number,
            currency: row.currency,
            paid_minor: row.paid_minor,
            credit_minor: row.credit_minor,
            oldest_unmet_due: row.oldest_unmet_due,
        })
    });
    let (kind, caseload, version) = (row.kind, row.caseload, row.version);
    Ok(DossierView { id: dossier, kind, caseload, version, account: account.transpose()?, board, entries })
}

/// One step of an edit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    /// Characters to delete and to insert at a place of the note.
    NoteSplice {
        at: usize,
        #[serde(default)]
        delete: usize,
        #[serde(default)]
        insert: String,
    },
    /// The whole note.
    Note(String),
    AddTag(String),
    RemoveTag(String),
    /// A task with an id its maker chose.
    AddTask {
        id: Uuid,
        text: String,
    },
    TaskDone {
        id: Uuid,
        done: bool,
    },
    /// A supervisor's instruction.
    Instruction(String),
    ScNote(String),
}

/// An edit of a board.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "edits": [
        { "note_splice": { "at": 0, "insert": "Call before coming. " } }, { "add_tag": "market day" },
        { "add_task": { "id": "019cad21-cf00-7000-8000-c11e00000021", "text": "Bring the new meter" } },
    ],
}))]
pub struct EditRequest {
    /// At most 50, in their order.
    #[schema(min_items = 1, max_items = 50)]
    edits: Vec<Step>,
}

/// Edits a board: the change merges with what officers write offline.
///
/// Places in a note mean the version that If-Match names; `*` merges into whatever is there.
#[utoipa::path(
    patch,
    path = "/v1/dossiers/{id}/board",
    tag = "dossiers",
    params(("id" = DossierId, Path, description = "The dossier."), ("If-Match" = String, Header, description = "The version that was read, or *.", example = "\"7\"")),
    request_body = EditRequest,
    responses((status = 200, description = "The board after it.", body = BoardBody, headers(("ETag" = String, description = "The dossier's new version."))))
)]
pub async fn edit_board(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    meant: IfMatch,
    Path(dossier): Path<DossierId>,
    Json(request): Json<EditRequest>,
) -> Result<Response, Problem> {
    if request.edits.is_empty() || request.edits.len() > 50 {
        return Err(Problem::invalid("/edits", "length", "edits has 1 to 50 steps."));
    }
    let role = board_role(by.roles.iter().map(|(role, _)| *role));
    let edits: Vec<Edit> = request.edits.into_iter().map(|step| edit_of(step, &by)).collect();
    let now = app.now();
    let mut tx = app.db.write().await?;
    find(&mut tx, &by, Permission::EditBoards, dossier).await?;
    let mut needs = Needs::default();
    needs.dossier(dossier);
    // Loading takes the dossier's lock; its board is read under it.
    let mut world = load::world(&mut tx, &needs).await?;
    let row = find(&mut tx, &by, Permission::EditBoards, dossier).await?;
    meant.check(&etag::of_version(row.version))?;
    let board = boards::confirmed(&row.kind, row.bytes.as_deref())?.ok_or_else(Problem::not_found)?;
    let actor = board::user_actor(by.uid, app.epoch(), dossier);
    let edited = board.edited(actor, role, &edits, now).map_err(|error| edit_problem(&error, role))?;
    let mut effects = Effects::default();
    let view = edited.board().view();
    let (changes, board) = edited.into_parts();
    if changes.is_empty() {
        return Ok(edited_board(row.version, view));
    }
    let loaded = world.dossiers.get_mut(&dossier).ok_or_else(Problem::not_found)?;
    loaded.board_changed = true;
    for change in changes {
        let (version, hash): (i64, ChangeHash) = (loaded.next_version(), change.hash());
        let bytes = change.into_bytes();
        effects.board_changes.push(MergedChange {
            dossier,
            version,
            hash,
            bytes,
            user_id: by.id,
            install_id: None,
            at: now,
        });
    }
    let version = loaded.version;
    effects.boards.insert(dossier, board.doc_bytes().to_vec());
    persist::persist(&mut tx, &mut world, effects, now).await?;
    audit::record(&mut tx, now, by.actor(), "board.edited", dossier, json!({ "edits": edits.len() })).await?;
    tx.commit().await?;
    Ok(edited_board(version, view))
}

fn edited_board(version: i64, view: BoardView) -> Response {
    Answer::ok(&BoardBody::from(view)).tagged(etag::of_version(version)).into_response()
}

fn edit_of(step: Step, by: &User) -> Edit {
    match step {
        Step::NoteSplice { at, delete, insert } => Edit::NoteSplice { at, delete, insert },
        Step::Note(text) => Edit::NoteReplace(text),
        Step::AddTag(tag) => Edit::AddTag(tag),
        Step::RemoveTag(tag) => Edit::RemoveTag(tag),
        Step::AddTask { id, text } => Edit::AddTask { id, text, by: by.uid.to_string() },
        Step::TaskDone { id, done } => Edit::SetTaskDone { id, done },
        Step::Instruction(text) => Edit::Instruction(text),
        Step::ScNote(text) => Edit::ScNote(text),
    }
}

fn edit_problem(error: &EditError, role: BoardRole) -> Problem {
    let problem = match error {
        EditError::KeyNotOwned(_) => Problem::new(Code::Forbidden, format!("{error} (as {role:?}).")),
        EditError::Board(_) | EditError::Apply => return Problem::internal(error),
        _ => Problem::validation(format!("{error}.")),
    };
    problem.with("reason", error.code())
}

/// Where a dossier is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000019", "caseload": "019cad21-cf00-7000-8000-000000000004",
}))]
pub struct AssignmentRequest {
    id: DecisionId,
    /// The caseload; null takes it from everybody.
    caseload: Option<CaseloadId>,
}

const SELECT_CASELOAD: &str =
    concat!(visible_units!(), "select c.id from caseload c where c.uid = $3 and c.unit_id in (select id from visible)");

/// Gives a dossier to a caseload, or takes it from everybody.
#[utoipa::path(
    post,
    path = "/v1/dossiers/{id}/assignment",
    tag = "dossiers",
    params(("id" = DossierId, Path, description = "The dossier.")),
    request_body = AssignmentRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn assign(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(dossier): Path<DossierId>,
    Json(request): Json<AssignmentRequest>,
) -> Result<Response, Problem> {
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let row = find(&mut tx, &by, Permission::AssignCases, dossier).await?;
    let to = match request.caseload {
        None => None,
        Some(caseload) => {
            let roles = Permission::AssignCases.role_list();
            let id: Option<i64> = on_db!(&mut tx, conn => {
                sqlx::query_scalar(SELECT_CASELOAD).bind(by.id).bind(roles).bind(caseload).fetch_optional(conn).await
            })?;
            Some(id.ok_or_else(|| {
                Problem::invalid("/caseload", "unknown", "There is no such caseload below your units.")
            })?)
        }
    };
    // Each assignment is a decision of its own: its subject is itself.
    let detail = json!({ "dossier": dossier, "caseload": request.caseload });
    if decider.record(&mut tx, "assignment", request.id.0, detail).await? == Novelty::Repeated {
        return effect.commit(tx, Answer::done()).await;
    }
    assign::assign(&mut tx, decider.now, Some(by.id), &[(row.id, to)]).await?;
    note_assignment(&mut tx, decider, dossier).await?;
    effect.commit(tx, Answer::done()).await
}

/// The timeline of a case says who gave it away.
async fn note_assignment(tx: &mut Tx, decider: Decider<'_>, dossier: DossierId) -> Result<(), Problem> {
    let mut needs = Needs::default();
    needs.dossier(dossier);
    let mut world = load::world(tx, &needs).await?;
    let loaded = world.dossiers.get_mut(&dossier).ok_or_else(Problem::not_found)?;
    loaded.timeline_changed = true;
    let version = loaded.next_version();
    let (at, user_id) = (decider.now, decider.by.id);
    let event = NewTimelineEvent { dossier, version, at, code: "ASSIGNED", amount_minor: None, user_id };
    let effects = Effects { timeline: vec![event], ..Effects::default() };
    persist::persist(tx, &mut world, effects, decider.now).await?;
    Ok(())
}
