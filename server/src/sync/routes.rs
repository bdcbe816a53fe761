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
use crate::http::describe::ExchangeBytes;
use crate::http::extract::RawBody;
use crate::http::problem::{Code, Problem};

/// Requests of a device that may only hand in, in a minute. A phone with a month of unsent days has some
/// 40 envelopes; over the poorest link each goes in a request of its own.
pub const DEPOSITS_A_MINUTE_MAX: u32 = 120;

/// The one exchange: a phone hands in what it captured and gets what is new.
///
/// CBOR in zstd both ways (`application/vnd.daybook.sync+cbor`); the answer is a stream of frames. The request is
/// signed as it is sent, and carries the device's lease as its bearer token.
#[utoipa::path(
    post,
    path = "/v1/sync",
    tag = "phones",
    params(("Daybook-Device" = String, Header, description = "The device's signed proof of this request (CBOR in base64url).")),
    request_body(content = ExchangeBytes, content_type = "application/vnd.daybook.sync+cbor", description = "A sync request: envelopes, cursors, versions held."),
    responses((status = 200, description = "Frames: answers to what came, then what is new.", body = ExchangeBytes, content_type = "application/vnd.daybook.sync+cbor"))
)]
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

/// A device that was ever enrolled hands in what it has, and gets an acknowledgement.
#[utoipa::path(
    post,
    path = "/v1/deposit",
    tag = "phones",
    params(("Daybook-Device" = String, Header, description = "The device's signed proof of this request (CBOR in base64url).")),
    request_body(content = ExchangeBytes, content_type = "application/vnd.daybook.sync+cbor", description = "A sync request with envelopes."),
    responses((status = 200, description = "One frame: answers to what came, and the device's state.", body = ExchangeBytes, content_type = "application/vnd.daybook.sync+cbor"))
)]
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
