//! The phones' two routes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::IntoResponse;
use daybook_shared::wire::exchange::MEDIA_TYPE;

use super::exchange;
use crate::app::App;
use crate::auth::device;
use crate::http::extract::RawBody;
use crate::http::problem::Problem;

/// `POST /v1/sync`: the one exchange.
pub async fn sync(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: RawBody,
) -> Result<impl IntoResponse, Problem> {
    let device = device::authenticate(&app, &headers, ("POST", uri.path()), &body.bytes).await?;
    let frames = exchange::sync(&app, &device, &body.bytes).await?;
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
    let frames = exchange::deposit(&app, &device, &body.bytes).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], frames))
}
