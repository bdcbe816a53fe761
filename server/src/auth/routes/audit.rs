//! `GET /v1/audit`: who did what, newest first.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use daybook_shared::ids::{DeviceId, Hash, UserId};
use daybook_shared::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Page, PageQuery};
use crate::app::App;
use crate::auth::{Permission, User, units};
use crate::http::extract::{Json, Query};
use crate::http::problem::Problem;
use crate::on_db;

/// One row of the trail.
#[derive(Debug, Serialize)]
pub struct Event {
    id: i64,
    at: Timestamp,
    user: Option<UserId>,
    device: Option<DeviceId>,
    action: String,
    subject: String,
    detail: Value,
    /// Its place in the chain and its hash, once it has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<Seal>,
}

/// A row's place in the chain.
#[derive(Debug, Serialize)]
pub struct Seal {
    seq: i64,
    hash: String,
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
    seq: Option<i64>,
    hash: Option<Hash>,
}

const PAGE: &str = "
    select a.id, a.at, u.uid as by_user, d.uid as by_device, a.action, a.subject, a.detail, a.seq, a.hash
    from audit a left join app_user u on u.id = a.user_id left join device d on d.id = a.device_id
    where a.id < $1 order by a.id desc limit $2";

/// Answers with the trail. It is the whole lender's, so the role must be held at the top.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(user): Extension<User>,
    Query(page): Query<PageQuery<i64>>,
) -> Result<Json<Page<Event, i64>>, Problem> {
    let mut tx = app.db.read().await?;
    let visible = units::visible_units(&mut tx, &user, Permission::ReadAudit).await?;
    let root = units::root(&mut tx).await?;
    if !root.is_some_and(|root| visible.contains(&root.id)) {
        return Err(Problem::forbidden());
    }
    let (before, limit) = (page.after.unwrap_or(i64::MAX), page.limit());
    let rows: Vec<Row> = on_db!(&mut tx, conn => sqlx::query_as(PAGE).bind(before).bind(limit).fetch_all(conn).await)?;
    let events = rows.into_iter().map(|row| Event {
        id: row.id,
        at: row.at,
        user: row.by_user,
        device: row.by_device,
        action: row.action,
        subject: row.subject,
        detail: serde_json::from_str(&row.detail).unwrap_or(Value::String(row.detail)),
        seal: row.seq.zip(row.hash).map(|(seq, hash)| Seal { seq, hash: hash.to_string() }),
    });
    Ok(Json(Page::new(events.collect(), limit, |event| event.id)))
}
