//! REST of the policy: who is approved from the own book.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::audit;
use crate::auth::{Permission, User, units};
use crate::http::answer::Answer;
use crate::http::extract::Json;
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};
use crate::journey::policies::{self, InForce};
use crate::journey::policy::Policy;

/// The policy in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyView {
    /// Null while nobody has said anything; then nothing limits but the law.
    id: Option<Uuid>,
    rules: Policy,
    since: Option<Timestamp>,
}

impl From<InForce> for PolicyView {
    fn from(InForce { uid, rules, since }: InForce) -> Self {
        Self { id: Some(uid), rules, since: Some(since) }
    }
}

/// Who is approved from the own book at present.
#[utoipa::path(
    get,
    path = "/v1/policy",
    tag = "policy",
    responses((status = 200, description = "The policy.", body = PolicyView))
)]
pub async fn show(State(app): State<Arc<App>>) -> Result<Json<PolicyView>, Problem> {
    let mut tx = app.db.read().await?;
    let nothing = PolicyView { id: None, rules: Policy::default(), since: None };
    Ok(Json(policies::current(&mut tx).await?.map_or(nothing, PolicyView::from)))
}

/// A policy to be put into force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000015",
    "rules": {
        "amount_min_minor": 200_000, "amount_max_minor": 10_000_000, "accounts_max": 2, "dpd_max": 15,
        "age_min": 18,
    },
}))]
pub struct PolicyRequest {
    /// Its id, which its maker chose: sent again, it is the same policy.
    id: Uuid,
    rules: Policy,
}

/// Puts a policy into force, at once. What was decided before stays.
#[utoipa::path(
    post,
    path = "/v1/policy",
    tag = "policy",
    request_body = PolicyRequest,
    responses(
        (status = 201, description = "It is in force.", body = PolicyView),
        (status = 200, description = "It was put into force before.", body = PolicyView)
    )
)]
pub async fn replace(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<PolicyRequest>,
) -> Result<Response, Problem> {
    let PolicyRequest { id, rules } = request;
    rules.check().map_err(|(pointer, why)| Problem::invalid(format!("/rules{pointer}"), "range", format!("{why}.")))?;
    let mut tx = effect.begin().await?;
    units::must_reach_all(&mut tx, &by, Permission::SetPolicy).await?;
    if let Some(known) = policies::find(&mut tx, id).await? {
        if known.rules != rules {
            return Err(Problem::new(Code::IdTaken, "The policy's id was used for another policy."));
        }
        return effect.commit(tx, Answer::ok(&PolicyView::from(known))).await;
    }
    let new = InForce { uid: id, rules, since: app.now() };
    if !policies::insert(&mut tx, &new, by.id).await? {
        return Err(Problem::met_another());
    }
    audit::record(&mut tx, new.since, by.actor(), "policy.replaced", id, json!({ "rules": new.rules })).await?;
    effect.commit(tx, Answer::created(&PolicyView::from(new))).await
}
