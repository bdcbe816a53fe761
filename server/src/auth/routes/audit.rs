//! `GET /v1/audit`: who did what, newest first.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{DeviceId, UserId};
use daybook_shared::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{Permission, User, units};
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::Problem;
use crate::on_db;

/// One row of the trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    id: i64,
    at: Timestamp,
    /// Who did it; null for the operator at the machine.
    user: Option<UserId>,
    /// The device it was done with.
    device: Option<DeviceId>,
    #[schema(example = "user.created")]
    action: String,
    /// The id of what it was done to.
    subject: String,
    /// Ids and codes.
    #[schema(value_type = Object)]
    detail: Value,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at: Timestamp,
    by_user: Option<UserId>,
    by_device: Option<DeviceId>,
    action: String,
    subject: String,
    detail: String,
}

const PAGE: &str = "
    select a.id, a.at, u.uid as by_user, d.uid as by_device, a.action, a.subject, a.detail
    from audit a left join app_user u on u.id = a.user_id left join device d on d.id = a.device_id
    where a.id < $1 order by a.id desc limit $2";

/// The audit trail: who did what, newest first.
///
/// It is the whole lender's, so the role must be held at the top.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "audit",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<Event>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(user): Extension<User>,
    page: Paging<i64>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let visible = units::visible_units(&mut tx, &user, Permission::ReadAudit).await?;
    let root = units::root(&mut tx).await?;
    if !root.is_some_and(|root| visible.contains(&root.id)) {
        return Err(Problem::forbidden());
    }
    let (before, limit) = (page.after.unwrap_or(i64::MAX), page.rows());
    let rows: Vec<Row> = on_db!(&mut tx, conn => sqlx::query_as(PAGE).bind(before).bind(limit).fetch_all(conn).await)?;
    let events = rows.into_iter().map(|row| Event {
        id: row.id,
        at: row.at,
        user: row.by_user,
        device: row.by_device,
        action: row.action,
        subject: row.subject,
        detail: serde_json::from_str(&row.detail).unwrap_or(Value::String(row.detail)),
    });
    Ok(page.page(events.collect(), |event: &Event| event.id))
}
