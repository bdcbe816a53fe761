//! The guard in front of every route: what the route table asks for is checked here, before the
//! handler and before the body is read, so that no handler can forget it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use daybook_shared::time::Timestamp;

use super::extract::BodyLimit;
use super::problem::Problem;
use super::{Access, Route, describe};
use crate::app::App;
use crate::auth::{device, party, token, users};

/// What the guard of one route needs.
#[derive(Clone)]
pub struct Guard {
    /// The server.
    pub app: Arc<App>,
    /// The route.
    pub route: &'static Route,
}

/// Lets a request through to its handler, with the [`users::User`] it comes from and his
/// [`token::Bearer`] when the route asks for one, and with the [`party::Party`] it is about.
pub async fn check(
    State(Guard { app, route }): State<Guard>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let asked = match route.access {
        Access::Public | Access::Device => None,
        Access::SignedIn => Some(None),
        Access::May(permission) | Access::Party(permission) => Some(Some(permission)),
    };
    if let Some(permission) = asked {
        let (now, bearer) = bearer(&app, request.headers())?;
        let mut tx = app.db.look().await?;
        let user = users::signed_in(&mut tx, now, bearer).await?.ok_or_else(Problem::unauthenticated)?;
        if permission.is_some_and(|permission| !user.may(permission)) {
            return Err(Problem::forbidden());
        }
        if let Access::Party(_) = route.access {
            let party = party::find(&mut tx, &user, &route.method, request.headers()).await?;
            request.extensions_mut().insert(party);
        }
        drop(tx);
        request.extensions_mut().insert(user);
        request.extensions_mut().insert(bearer);
    }
    request.extensions_mut().insert(BodyLimit(route.limits.body_bytes_max));
    let response = next.run(request).await;
    if describe::is_described(route, &response) {
        return Ok(response);
    }
    // A bug, which costs nobody his answer; in a debug build every test that meets it fails.
    let status = response.status().as_u16();
    tracing::error!(route = route.path, status, "an answer is not as the API's description says");
    if cfg!(debug_assertions) { Err(Problem::internal(&"an answer that is not described")) } else { Ok(response) }
}

/// Whose token the request carries, now.
fn bearer(app: &App, headers: &HeaderMap) -> Result<(Timestamp, token::Bearer), Problem> {
    let (now, token) = (app.now(), device::bearer(headers).ok_or_else(Problem::unauthenticated)?);
    let bearer = token::check(app, token, now).ok_or_else(Problem::unauthenticated)?;
    Ok((now, bearer))
}
