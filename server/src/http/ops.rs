//! Routes of whoever runs the server: is it alive, is it ready, how does it do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::extract::Json;
use super::names;
use super::problem::Problem;
use crate::app::App;
use crate::on_db;
use crate::sync::health;

const PING: &str = "select cast(count(*) as bigint) from deployment";
/// A database that takes longer than this to say hello is not ready.
const PING_WAIT: Duration = Duration::from_secs(2);

/// `GET /healthz`: the process runs.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: the process runs and its database answers.
pub async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let answered = tokio::time::timeout(PING_WAIT, ping(&app)).await;
    answered.map_err(|_| Problem::unavailable("The database does not answer."))??;
    Ok(Json(json!({ "status": "ok" })))
}

async fn ping(app: &App) -> Result<(), Problem> {
    let mut tx = app.db.read().await?;
    let deployments: i64 = on_db!(&mut tx, conn => sqlx::query_scalar(PING).fetch_one(conn).await)?;
    if deployments == 1 { Ok(()) } else { Err(Problem::unavailable("The database is not this server's.")) }
}

/// `GET /metrics`: Prometheus text. While the database does not answer, what is counted in it stands still.
pub async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    if !matches!(tokio::time::timeout(PING_WAIT, health::measure(&app)).await, Ok(Ok(()))) {
        tracing::warn!("the devices could not be counted for the metrics");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], names::recorder().render())
}
