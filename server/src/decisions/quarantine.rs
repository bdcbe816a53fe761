//! Board changes that were not merged: the list, and a person's word that he has seen one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{DecisionId, DossierId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Decider, Novelty};
use crate::app::App;
use crate::auth::{Permission, User, two_people};
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::Problem;
use crate::{on_db, visible_units};

/// A quarantined change, as lists show it.
#[derive(Debug, Serialize, sqlx::FromRow, ToSchema)]
pub struct QuarantinedView {
    id: Uuid,
    dossier: DossierId,
    author: UserId,
    author_name: String,
    reason: String,
    bytes: i64,
    at: Timestamp,
}

macro_rules! seen {
    () => {
        "exists (select 1 from user_role r join visible v on v.id = r.unit_id
                 where r.user_id = q.user_id and r.ended_at is null)"
    };
}
const PAGE_QUARANTINED: &str = concat!(
    visible_units!(),
    "select q.uid as id, q.dossier_uid as dossier, u.uid as author, u.name as author_name, q.reason,
       cast(length(q.bytes) as bigint) as bytes, q.at
     from quarantine q join app_user u on u.id = q.user_id
     where q.resolved_at is null and q.id > coalesce((select id from quarantine where uid = $3), 0) and ",
    seen!(),
    " order by q.id limit $4"
);

/// Board changes that were not merged, oldest first.
#[utoipa::path(
    get,
    path = "/v1/quarantine",
    tag = "quarantine",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<QuarantinedView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<Uuid>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let roles = Permission::ReadHeld.role_list();
    let rows: Vec<QuarantinedView> = on_db!(&mut tx, conn => {
        sqlx::query_as(PAGE_QUARANTINED).bind(by.id).bind(roles).bind(page.after).bind(page.rows()).fetch_all(conn).await
    })?;
    Ok(page.page(rows, |view: &QuarantinedView| view.id))
}

/// What was done about a quarantined change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000019", "resolution": "Read, and written into the note by hand.",
}))]
pub struct ResolutionRequest {
    id: DecisionId,
    /// In words, at most 500 characters.
    #[schema(max_length = 500)]
    resolution: String,
}

const ONE: &str = concat!(
    visible_units!(),
    "select q.id, q.user_id, q.install_id, cast(length(q.bytes) as bigint) as kept from quarantine q where q.uid = $3 and ",
    seen!()
);
const RESOLVE: &str =
    "update quarantine set resolved_at = $2, resolved_by = $3, resolution = $4, bytes = $5 where id = $1";
const FREE_BYTES: &str = "update device set quarantined_bytes = quarantined_bytes - $2
     where id = (select device_id from install where id = $1)";

/// A person's word that he has seen a change: its bytes go, its reason stays.
#[utoipa::path(
    post,
    path = "/v1/quarantine/{id}/resolution",
    tag = "quarantine",
    params(("id" = Uuid, Path, description = "The change.")),
    request_body = ResolutionRequest,
    responses((status = 204, description = "It is done."))
)]
pub async fn resolve(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(change): Path<Uuid>,
    Json(request): Json<ResolutionRequest>,
) -> Result<Response, Problem> {
    if request.resolution.chars().count() > 500 {
        return Err(Problem::invalid("/resolution", "length", "resolution has at most 500 characters."));
    }
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = effect.begin().await?;
    let roles = Permission::ReviewHeld.role_list();
    let row: Option<(i64, i64, i64, i64)> = on_db!(&mut tx, conn => {
        sqlx::query_as(ONE).bind(by.id).bind(roles).bind(change).fetch_optional(conn).await
    })?;
    let (id, author, install, kept) = row.ok_or_else(Problem::not_found)?;
    two_people(author, by.id)?;
    if decider.record(&mut tx, "quarantine", change, json!({ "ruling": "resolved" })).await? == Novelty::Repeated {
        return effect.commit(tx, Answer::done()).await;
    }
    let (now, by_id, words) = (app.now(), by.id, request.resolution);
    on_db!(&mut tx, conn => {
        sqlx::query(RESOLVE).bind(id).bind(now).bind(by_id).bind(words).bind(Vec::<u8>::new()).execute(conn).await.map(|_| ())
    })?;
    on_db!(&mut tx, conn => sqlx::query(FREE_BYTES).bind(install).bind(kept).execute(conn).await.map(|_| ()))?;
    effect.commit(tx, Answer::done()).await
}
