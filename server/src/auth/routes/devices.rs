//! REST of devices: list, retire, report lost.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{DeviceId, UserId};
use daybook_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::device::{self, Device, Ending};
use crate::auth::{Permission, User};
use crate::http::answer::Answer;
use crate::http::extract::Path;
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::Problem;

/// A device, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceView {
    id: DeviceId,
    user: UserId,
    /// active, retired or lost.
    state: &'static str,
    /// Since when.
    state_at: Timestamp,
    enrolled_at: Timestamp,
    last_sync_at: Option<Timestamp>,
    platform: Option<String>,
    /// The letters and digits in front of its receipt numbers.
    #[schema(example = "D01")]
    receipt_series: String,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        Self {
            id: device.uid,
            user: device.user_uid,
            state: device.state.code(),
            state_at: device.state_at,
            enrolled_at: device.enrolled_at,
            last_sync_at: device.last_sync_at,
            platform: device.platform,
            receipt_series: device.series,
        }
    }
}

/// Devices of users that the caller reaches, in the order they were enrolled.
#[utoipa::path(
    get,
    path = "/v1/devices",
    tag = "devices",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<DeviceView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<DeviceId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let devices = device::page(&mut tx, &by, Permission::ReadDevices, (page.after, page.rows())).await?;
    let views = devices.into_iter().map(DeviceView::from).collect();
    Ok(page.page(views, |view: &DeviceView| view.id))
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
