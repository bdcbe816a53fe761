//! REST of devices: list, retire, report lost.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::DeviceId;
use serde::Deserialize;

use crate::app::App;
use crate::auth::device::{self, Ending};
use crate::auth::fleet::{self, DeviceView, Wanted};
use crate::auth::{Permission, User};
use crate::http::answer::Answer;
use crate::http::extract::{Path, Query};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::Problem;
use crate::sync::health::Health;

/// Which devices of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HealthQuery {
    /// Only devices that do so: ok, late, silent or never.
    #[param(example = "silent")]
    health: Option<String>,
}

impl HealthQuery {
    fn health(&self) -> Result<Option<Health>, Problem> {
        let wrong = |_| Problem::invalid("?health", "unknown", "health is ok, late, silent or never.");
        self.health.as_deref().map(str::parse).transpose().map_err(wrong)
    }
}

/// Devices of users that the caller reaches, in the order they were enrolled, and how each does.
///
/// What a phone holds is what it said at its last exchange; it may have captured more since.
#[utoipa::path(
    get,
    path = "/v1/devices",
    tag = "devices",
    params(PageQuery, HealthQuery),
    responses((status = 200, description = "A page.", body = Page<DeviceView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(query): Query<HealthQuery>,
    page: Paging<DeviceId>,
) -> Result<Response, Problem> {
    let wanted = Wanted { health: query.health()?, after: page.after, limit: page.rows() };
    let mut tx = app.db.read().await?;
    let devices = fleet::page(&mut tx, &app, Some((&by, Permission::ReadDevices)), wanted).await?;
    Ok(page.page(devices, |view: &DeviceView| view.id))
}

/// Retires a device that was given back: what it captures from now on waits for a person.
#[utoipa::path(
    post,
    path = "/v1/devices/{id}/retirement",
    tag = "devices",
    params(("id" = DeviceId, Path, description = "The device.")),
    responses((status = 204, description = "It is done."))
)]
pub async fn retire(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(device): Path<DeviceId>,
) -> Result<Response, Problem> {
    end(&app, &by, effect, device, Ending::Retirement).await
}

/// Reports a device lost or stolen: all that comes from it waits for a person, and it is told to wipe itself.
#[utoipa::path(
    post,
    path = "/v1/devices/{id}/loss",
    tag = "devices",
    params(("id" = DeviceId, Path, description = "The device.")),
    responses((status = 204, description = "It is done."))
)]
pub async fn report_lost(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(device): Path<DeviceId>,
) -> Result<Response, Problem> {
    end(&app, &by, effect, device, Ending::Loss).await
}

async fn end(app: &App, by: &User, effect: Effect, device: DeviceId, ending: Ending) -> Result<Response, Problem> {
    let mut tx = effect.begin().await?;
    let found = device::find_seen(&mut tx, by, Permission::ManageDevices, device).await?;
    device::end(&mut tx, app.now(), by.actor(), &found.ok_or_else(Problem::not_found)?, ending).await?;
    effect.commit(tx, Answer::done()).await
}
