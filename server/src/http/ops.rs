//! Routes of whoever runs the server: is it alive, is it ready, how does it do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use daybook_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Json;
use super::names;
use super::problem::Problem;
use crate::app::App;
use crate::sync::health;
use crate::{on_db, recovery};

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// How ready the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    #[schema(example = "ok")]
    status: &'static str,
    /// `unconfirmed` while payouts and exports wait for a person, as the database was set back.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<&'static str>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered_at: Option<Timestamp>,
}

const PING: &str = "select cast(count(*) as bigint) from deployment";
/// A database that takes longer than this to say hello is not ready.
const PING_WAIT: Duration = Duration::from_secs(2);

/// The process runs.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses((status = 200, description = "It does.", body = Health))
)]
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The process runs and its database answers; and whether a recovery waits for a person.
///
/// Phones are served meanwhile, so that is no reason to take the server away.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses((status = 200, description = "It does.", body = Readiness))
)]
pub async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Readiness>, Problem> {
    let answered = tokio::time::timeout(PING_WAIT, ping(&app)).await;
    let recovered_at = answered.map_err(|_| Problem::unavailable("The database does not answer."))??;
    Ok(Json(Readiness { status: "ok", recovery: recovered_at.map(|_| "unconfirmed"), recovered_at }))
}

/// Since when a recovery waits for a person.
async fn ping(app: &App) -> Result<Option<Timestamp>, Problem> {
    let mut tx = app.db.read().await?;
    let deployments: i64 = on_db!(&mut tx, conn => sqlx::query_scalar(PING).fetch_one(conn).await)?;
    if deployments != 1 {
        return Err(Problem::unavailable("The database is not this server's."));
    }
    Ok(recovery::unconfirmed_since(&mut tx).await?)
}

/// Figures of the server, as Prometheus reads them.
///
/// While the database does not answer, what is counted in it stands still.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses((status = 200, description = "Figures.", body = String, content_type = "text/plain"))
)]
pub async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    if !matches!(tokio::time::timeout(PING_WAIT, health::measure(&app)).await, Ok(Ok(()))) {
        tracing::warn!("the devices could not be counted for the metrics");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], names::recorder().render())
}
