//! HTTP: every route on one screen, with what it asks of the caller. Guards, limits, problems and
//! logs are the same for all and are in the files beside this one; handlers are with their
//! capability.

pub mod extract;
pub mod guard;
pub mod layers;
pub mod names;
pub mod ops;
pub mod problem;
pub mod serve;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{MethodRouter, get, patch, post};
use daybook_shared::wire::limits::REQUEST_BYTES_MAX;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::auth::Permission as P;
use crate::auth::routes::{audit, devices, organisation, sessions, users};
use crate::decisions::{cases, cash, held, quarantine, receipts, reversal};
use crate::recovery::routes as recovery;
use crate::sync::routes as sync;
use problem::{Code, Problem};

/// Requests handled at one time; the next one is answered 503.
pub const REQUESTS_MAX: usize = 512;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// A device that proves itself; the handler asks [`crate::auth::device::authenticate`].
    Device,
    /// A signed-in user one of whose roles has this permission. Where it reaches, the handler asks.
    May(P),
}

/// What a request may cost before it is turned away.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of its body.
    pub body_bytes_max: usize,
    /// How long it may take until its answer begins, the arrival of its body included.
    pub patience: Duration,
}

/// A small JSON request.
const SMALL: Limits = Limits { body_bytes_max: 64 * 1024, patience: Duration::from_secs(30) };
/// A phone's exchange, over the poorest link.
pub const EXCHANGE: Limits = Limits { body_bytes_max: REQUEST_BYTES_MAX, patience: Duration::from_mins(15) };

/// A route.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path's template.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it may cost.
    pub limits: Limits,
    /// What answers it.
    pub handler: fn() -> MethodRouter<Arc<App>>,
}

const fn route(
    method: Method,
    path: &'static str,
    access: Access,
    limits: Limits,
    handler: fn() -> MethodRouter<Arc<App>>,
) -> Route {
    Route { method, path, access, limits, handler }
}

const GET: Method = Method::GET;
const PATCH: Method = Method::PATCH;
const POST: Method = Method::POST;
use Access::{Device, May, Public};

/// Every route of the server.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    route(GET,  "/healthz",                        Public,                  SMALL, || get(ops::healthz)),
    route(GET,  "/readyz",                         Public,                  SMALL, || get(ops::readyz)),
    route(GET,  "/metrics",                        Public,                  SMALL, || get(ops::metrics)),

    route(GET,  "/v1/deployment",                  Public,                  SMALL, || get(sessions::deployment)),
    route(POST, "/v1/tokens",                      Public,                  SMALL, || post(sessions::create_token)),
    route(POST, "/v1/enrolments",                  Device,                  SMALL, || post(sessions::enrol)),
    route(POST, "/v1/leases",                      Device,                  SMALL, || post(sessions::create_lease)),

    route(POST, "/v1/sync",                        Device,                  EXCHANGE, || post(sync::sync)),
    route(POST, "/v1/deposit",                     Device,                  EXCHANGE, || post(sync::deposit)),

    route(GET,  "/v1/users",                       May(P::ReadUsers),       SMALL, || get(users::list)),
    route(POST, "/v1/users",                       May(P::ManageUsers),     SMALL, || post(users::create)),
    route(POST, "/v1/users/{id}/roles",            May(P::ManageUsers),     SMALL, || post(users::set_role)),
    route(POST, "/v1/users/{id}/deactivation",     May(P::ManageUsers),     SMALL, || post(users::deactivate)),
    route(POST, "/v1/users/{id}/enrolment-codes",  May(P::ManageDevices),   SMALL, || post(users::issue_code)),
    route(GET,  "/v1/devices",                     May(P::ReadDevices),     SMALL, || get(devices::list)),
    route(POST, "/v1/devices/{id}/retirement",     May(P::ManageDevices),   SMALL, || post(devices::retire)),
    route(POST, "/v1/devices/{id}/loss",           May(P::ManageDevices),   SMALL, || post(devices::report_lost)),
    route(GET,  "/v1/units",                       May(P::ReadUnits),       SMALL, || get(organisation::list_units)),
    route(POST, "/v1/units",                       May(P::ManageUnits),     SMALL, || post(organisation::create_unit)),
    route(GET,  "/v1/caseloads",                   May(P::ReadCaseloads),   SMALL, || get(organisation::list_caseloads)),
    route(POST, "/v1/caseloads",                   May(P::ManageCaseloads), SMALL, || post(organisation::create_caseload)),
    route(POST, "/v1/caseloads/{id}/members",      May(P::ManageCaseloads), SMALL, || post(organisation::set_member)),
    route(GET,  "/v1/dossiers/{id}",               May(P::ReadCases),       SMALL, || get(cases::show)),
    route(PATCH, "/v1/dossiers/{id}/board",        May(P::EditBoards),      SMALL, || patch(cases::edit_board)),
    route(POST, "/v1/dossiers/{id}/assignment",    May(P::AssignCases),     SMALL, || post(cases::assign)),
    route(GET,  "/v1/held",                        May(P::ReadHeld),        SMALL, || get(held::list)),
    route(POST, "/v1/held/{id}/release",           May(P::ReviewHeld),      SMALL, || post(held::release)),
    route(POST, "/v1/held/{id}/rejection",         May(P::ReviewHeld),      SMALL, || post(held::reject)),
    route(GET,  "/v1/quarantine",                  May(P::ReadHeld),        SMALL, || get(quarantine::list)),
    route(POST, "/v1/quarantine/{id}/resolution",  May(P::ReviewHeld),      SMALL, || post(quarantine::resolve)),
    route(GET,  "/v1/receipts/unexplained",        May(P::ReadHeld),        SMALL, || get(receipts::list)),
    route(POST, "/v1/receipts/{id}/explanation",   May(P::ReviewHeld),      SMALL, || post(receipts::explain)),
    route(POST, "/v1/payments/{id}/reversal",      May(P::ReversePayments), SMALL, || post(reversal::reverse)),
    route(POST, "/v1/corrections/{id}/decision",   May(P::ReversePayments), SMALL, || post(reversal::decide_correction)),
    route(POST, "/v1/cash/counts",                 May(P::CountCash),       SMALL, || post(cash::count)),
    route(GET,  "/v1/audit",                       May(P::ReadAudit),       SMALL, || get(audit::list)),
    route(GET,  "/v1/recoveries",                  May(P::ReadAudit),       SMALL, || get(recovery::list)),
    route(POST, "/v1/recoveries/confirmation",     May(P::ConfirmRecoveries), SMALL, || post(recovery::confirm)),
];

/// The server's router.
pub fn router(app: &Arc<App>) -> Router {
    names::recorder();
    let gate = layers::Gate::default();
    let mut router = Router::new();
    for route in ROUTES {
        let guard = guard::Guard { app: Arc::clone(app), route };
        let mut handler = (route.handler)();
        if matches!(route.access, May(_)) && route.method != GET {
            handler = handler.route_layer(from_fn_with_state(Arc::clone(app), layers::rerun));
        }
        handler = handler
            .route_layer(from_fn_with_state(guard, guard::check))
            .route_layer(from_fn_with_state(route.limits.patience, layers::bounded));
        // Who runs the server must see it even when it is full.
        if route.path.starts_with("/v1/") {
            handler = handler.route_layer(from_fn_with_state(gate.clone(), layers::admit));
        }
        router = router.route(route.path, handler);
    }
    router
        .fallback(async || Problem::new(Code::NotFound, "There is no such path."))
        .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed, "The path has no such method."))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(map_response(layers::harden))
        .layer(from_fn_with_state(Arc::clone(app), layers::observe))
        .with_state(Arc::clone(app))
}
