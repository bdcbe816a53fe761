//! REST of devices: list, retire, report lost.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use daybook_shared::ids::{DeviceId, UserId};
use daybook_shared::time::Timestamp;
use serde::Serialize;

use super::{Page, PageQuery};
use crate::app::App;
use crate::auth::device::{self, Device, Ending};
use crate::auth::{Permission, User};
use crate::http::extract::{Json, Path, Query};
use crate::http::problem::Problem;

/// A device, as lists show it.
#[derive(Debug, Serialize)]
pub struct DeviceView {
    id: DeviceId,
    user: UserId,
    state: &'static str,
    state_at: Timestamp,
    enrolled_at: Timestamp,
    last_sync_at: Option<Timestamp>,
    platform: Option<String>,
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

/// `GET /v1/devices`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(page): Query<PageQuery<DeviceId>>,
) -> Result<Json<Page<DeviceView, DeviceId>>, Problem> {
    let limit = page.limit();
    let mut tx = app.db.read().await?;
    let devices = device::page(&mut tx, &by, Permission::ReadDevices, (page.after, limit)).await?;
    let views = devices.into_iter().map(DeviceView::from).collect();
    Ok(Json(Page::new(views, limit, |view: &DeviceView| view.id)))
}

/// `POST /v1/devices/{id}/retirement`.
pub async fn retire(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(device): Path<DeviceId>,
) -> Result<StatusCode, Problem> {
    end(&app, &by, device, Ending::Retirement).await
}

/// `POST /v1/devices/{id}/loss`.
pub async fn report_lost(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(device): Path<DeviceId>,
) -> Result<StatusCode, Problem> {
    end(&app, &by, device, Ending::Loss).await
}

async fn end(app: &App, by: &User, device: DeviceId, ending: Ending) -> Result<StatusCode, Problem> {
    let mut tx = app.db.write().await?;
    let found = device::find_seen(&mut tx, by, Permission::ManageDevices, device).await?;
    device::end(&mut tx, app.now(), by.actor(), &found.ok_or_else(Problem::not_found)?, ending).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
