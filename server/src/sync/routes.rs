//! The phones' two routes.
//!
//! A device that was retired, or whose user may not sign in any more, goes on handing in, by either. One
//! that was reported lost is told no more by the exchange than by a deposit: an acknowledgement with its
//! state. Whoever may only hand in calls [`DEPOSITS_A_MINUTE_MAX`] times a minute.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::IntoResponse;
use daybook_shared::wire::exchange::MEDIA_TYPE;
use daybook_shared::wire::sign::DeviceState;

use super::exchange;
use crate::app::App;
use crate::auth::device::{self, DeviceRequest};
use crate::http::extract::RawBody;
use crate::http::problem::{Code, Problem};

/// Requests of a device that may only hand in, in a minute. A phone with a month of unsent days has some
/// 40 envelopes; over the poorest link each goes in a request of its own.
pub const DEPOSITS_A_MINUTE_MAX: u32 = 120;

/// `POST /v1/sync`: the one exchange.
pub async fn sync(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: RawBody,
) -> Result<impl IntoResponse, Problem> {
    let device = device::authenticate(&app, &headers, ("POST", uri.path()), &body.bytes).await?;
    let frames = match device.device.standing() {
        DeviceState::Ok => exchange::sync(&app, &device, &body.bytes).await?,
        DeviceState::Revoked => {
            may_hand_in(&app, &device)?;
            exchange::sync(&app, &device, &body.bytes).await?
        }
        DeviceState::Wipe => {
            may_hand_in(&app, &device)?;
            exchange::deposit(&app, &device, &body.bytes).await?
        }
    };
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], frames))
}

/// `POST /v1/deposit`: a device that was ever enrolled hands in what it has.
pub async fn deposit(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: RawBody,
) -> Result<impl IntoResponse, Problem> {
    let device = device::authenticate(&app, &headers, ("POST", uri.path()), &body.bytes).await?;
    may_hand_in(&app, &device)?;
    let frames = exchange::deposit(&app, &device, &body.bytes).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], frames))
}

/// Counts a request of a proven device: what a stranger sends in its name never gets here.
fn may_hand_in(app: &App, request: &DeviceRequest) -> Result<(), Problem> {
    app.deposits.attempt(&request.device.uid.to_string(), app.now()).map_err(|seconds| {
        let detail = format!("A device may hand in {DEPOSITS_A_MINUTE_MAX} times a minute; nothing was taken in.");
        Problem::new(Code::TooManyRequests, detail).retry_after(seconds)
    })
}
