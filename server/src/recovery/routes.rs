//! REST of recoveries: what happened, and a person's confirmation.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::UserId;
use daybook_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Recovery;
use crate::app::App;
use crate::audit::Actor;
use crate::auth::User;
use crate::http::answer::Answer;
use crate::http::extract::Json;
use crate::http::idempotency::Effect;
use crate::http::problem::Problem;

/// A recovery, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryView {
    /// The epoch it began.
    epoch: String,
    /// How it was found: a restore, or a device that had heard more than the database held.
    cause: &'static str,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_by: Option<UserId>,
}

impl From<Recovery> for RecoveryView {
    fn from(recovery: Recovery) -> Self {
        let Recovery { epoch, cause, at, backup_at, confirmed_at, confirmed_by } = recovery;
        Self { epoch: epoch.to_string(), cause: cause.code(), at, backup_at, confirmed_at, confirmed_by }
    }
}

/// Every recovery of the database; few, if any.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recoveries {
    /// Payouts and exports wait for a confirmation.
    stopped: bool,
    items: Vec<RecoveryView>,
}

/// Every recovery of the database, and whether one waits for a person.
#[utoipa::path(
    get,
    path = "/v1/recoveries",
    tag = "operations",
    responses((status = 200, description = "All of them; few, if any.", body = Recoveries))
)]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Recoveries>, Problem> {
    let mut tx = app.db.read().await?;
    let items: Vec<_> = super::list(&mut tx).await?.into_iter().map(RecoveryView::from).collect();
    Ok(Json(Recoveries { stopped: items.iter().any(|item| item.confirmed_at.is_none()), items }))
}

/// Confirms a recovery: somebody has looked at what was lost. Once more is fine.
#[utoipa::path(
    post,
    path = "/v1/recoveries/confirmation",
    tag = "operations",
    responses((status = 204, description = "Payouts and exports go on."))
)]
pub async fn confirm(
    State(app): State<Arc<App>>,
    Extension(user): Extension<User>,
    effect: Effect,
) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    super::confirm(&mut tx, app.now(), Actor::user(user.id)).await?;
    effect.commit(tx, Answer::done()).await
}
