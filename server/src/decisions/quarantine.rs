//! Board changes that were not merged: the list, and a person's word that he has seen one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use daybook_shared::ids::{DecisionId, DossierId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Decider, Novelty};
use crate::app::App;
use crate::auth::routes::{Page, PageQuery};
use crate::auth::{Permission, User, two_people};
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::Problem;
use crate::{on_db, visible_units};

/// A quarantined change, as lists show it.
#[derive(Debug, Serialize, sqlx::FromRow)]
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

/// `GET /v1/quarantine`: what was not merged, oldest first.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(page): Query<PageQuery<Uuid>>,
) -> Result<Json<Page<QuarantinedView, Uuid>>, Problem> {
    let limit = page.limit();
    let mut tx = app.db.read().await?;
    let roles = Permission::ReadHeld.role_list();
    let rows: Vec<QuarantinedView> = on_db!(&mut tx, conn => {
        sqlx::query_as(PAGE_QUARANTINED).bind(by.id).bind(roles).bind(page.after).bind(limit).fetch_all(conn).await
    })?;
    Ok(Json(Page::new(rows, limit, |view: &QuarantinedView| view.id)))
}

/// What was done about a quarantined change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolutionRequest {
    id: DecisionId,
    /// In words, at most 500 characters.
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

/// `POST /v1/quarantine/{id}/resolution`: the change's bytes go, its reason stays.
pub async fn resolve(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(change): Path<Uuid>,
    Json(request): Json<ResolutionRequest>,
) -> Result<StatusCode, Problem> {
    if request.resolution.chars().count() > 500 {
        return Err(Problem::validation("resolution has at most 500 characters."));
    }
    let decider = Decider { app: &app, by: &by, id: request.id, now: app.now() };
    let mut tx = app.db.write().await?;
    let roles = Permission::ReviewHeld.role_list();
    let row: Option<(i64, i64, i64, i64)> = on_db!(&mut tx, conn => {
        sqlx::query_as(ONE).bind(by.id).bind(roles).bind(change).fetch_optional(conn).await
    })?;
    let (id, author, install, kept) = row.ok_or_else(Problem::not_found)?;
    two_people(author, by.id)?;
    if decider.record(&mut tx, "quarantine", change, json!({ "ruling": "resolved" })).await? == Novelty::Repeated {
        return Ok(StatusCode::NO_CONTENT);
    }
    let (now, by_id, words) = (app.now(), by.id, request.resolution);
    on_db!(&mut tx, conn => {
        sqlx::query(RESOLVE).bind(id).bind(now).bind(by_id).bind(words).bind(Vec::<u8>::new()).execute(conn).await.map(|_| ())
    })?;
    on_db!(&mut tx, conn => sqlx::query(FREE_BYTES).bind(install).bind(kept).execute(conn).await.map(|_| ()))?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
