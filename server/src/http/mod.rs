//! HTTP: every route on one screen, with what it asks of the caller. Guards, limits, problems and
//! logs are the same for all and are in the files beside this one; handlers are with their
//! capability.

pub mod answer;
#[cfg(test)]
mod conventions_tests;
pub mod describe;
pub mod docs;
pub mod etag;
pub mod extract;
pub mod guard;
pub mod idempotency;
pub mod layers;
pub mod names;
pub mod ops;
pub mod paging;
pub mod peer;
pub mod problem;
pub mod serve;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use axum::middleware::{from_fn_with_state, map_response};
use daybook_shared::wire::limits::{ATTACHMENT_CHUNK_BYTES_MAX, REQUEST_BYTES_MAX};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::attachments::routes as attachments;
use crate::auth::Permission as P;
use crate::auth::routes::{audit, customers as sign_in, devices, oidc, organisation, sessions, signing_in, users};
use crate::customers::{register_routes as customers, routes as me};
use crate::decisions::{cases, cash, held, quarantine, receipts, reversal};
use crate::erasure::routes as erasures;
use crate::hints::routes as hints;
use crate::import::routes as imports;
use crate::journey::payments::{callbacks, promises, routes as payments};
use crate::journey::routes::{
    applications, complaints, offer_map, orders, plans, policy, refunds, returns, settlement, shopping,
};
use crate::ledger::routes as ledger;
use crate::recovery::routes as recovery;
use crate::reports::routes as reports;
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
    /// Anyone who is signed in, for what is his own.
    SignedIn,
    /// A signed-in user one of whose roles has this permission. Where it reaches, the handler asks.
    May(P),
    /// The same, about one customer: himself, or whom a member of staff acts for ([`crate::auth::party`]).
    Party(P),
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

/// A piece of a file, over the poorest link.
const PIECE: Limits = Limits { body_bytes_max: ATTACHMENT_CHUNK_BYTES_MAX, patience: Duration::from_mins(15) };

/// Rows of an import: a larger file is sent in pieces, or imported at the server.
const IMPORT: Limits = Limits { body_bytes_max: 4 * 1024 * 1024, patience: Duration::from_mins(2) };

/// A route. How its requests and answers look is with its handler (`#[utoipa::path]`), without which it
/// cannot be in the table; see [`describe`].
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path's template.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it may cost.
    pub limits: Limits,
    /// What answers it, with its description.
    pub handler: fn() -> UtoipaMethodRouter<Arc<App>>,
    /// What it refuses, beside what every route of its kind does ([`describe`] knows which).
    pub refusals: &'static [Code],
}

impl Route {
    /// Whether it is a write whose answer is kept under its Idempotency-Key. Not what is only one's own: to
    /// end a session twice is to end it, and answers with tokens are not kept.
    pub fn has_effect(&self) -> bool {
        matches!(self.access, May(_) | Party(_)) && self.method == POST
    }
}

const fn route(
    method: Method,
    path: &'static str,
    access: Access,
    limits: Limits,
    handler: fn() -> UtoipaMethodRouter<Arc<App>>,
    refusals: &'static [Code],
) -> Route {
    Route { method, path, access, limits, handler, refusals }
}

const GET: Method = Method::GET;
const PATCH: Method = Method::PATCH;
const PUT: Method = Method::PUT;
const POST: Method = Method::POST;
use Access::{Device, May, Party, Public, SignedIn};
use Code as C;

const NONE: &[Code] = &[];
/// A list's parameters.
const LIST: &[Code] = &[C::MalformedRequest, C::Validation];
/// If-Match.
const VERSIONED: &[Code] = &[C::PreconditionRequired, C::PreconditionFailed];
/// A person's ruling with an id of its own.
const DECISION: &[Code] = &[C::IdTaken, C::AlreadyDecided, C::SamePerson];
const RELEASE: &[Code] = &[C::IdTaken, C::AlreadyDecided, C::SamePerson, C::StillHeld];
/// A count names an officer and a hand-over, which may not be there.
const COUNT: &[Code] = &[C::IdTaken, C::AlreadyDecided, C::SamePerson, C::NotFound];
/// An order to erase: who or what it is about is not settled, or there is another.
const ERASURE: &[Code] = &[C::IdTaken, C::Conflict];
const ERASURE_DECISION: &[Code] = &[C::IdTaken, C::AlreadyDecided, C::SamePerson, C::Conflict];
/// Rows of an import, as CSV or JSON.
const ROWS: &[Code] = &[C::MalformedRequest, C::Validation, C::UnsupportedMediaType];
/// A dossier, as a document too large to be made for one request.
const DOCUMENT: &[Code] = &[C::MalformedRequest, C::TooLarge];
const ENROLMENT: &[Code] = &[
    C::Validation,
    C::CodeUnknown,
    C::CodeExpired,
    C::CodeUsed,
    C::IdTaken,
    C::DeviceRevoked,
    C::Conflict,
    C::TooManyRequests,
];
const LEASE: &[Code] = &[C::Validation, C::WrongLogin, C::TooManyRequests, C::Forbidden, C::DeviceRevoked];
const REFRESH: &[Code] = &[C::SessionOver, C::TooManyRequests];
/// A customer's code or token that is not good, or whose number is several's.
const CUSTOMER_SIGN_IN: &[Code] =
    &[C::NotFound, C::SignInCodeRefused, C::SignInRefused, C::PhoneShared, C::TooManyRequests];
/// A number that is proved by its code, and perhaps another's.
const NEW_PHONE: &[Code] = &[C::SignInCodeRefused, C::PhoneTaken, C::TooManyRequests];
const PROVIDER: &[Code] = &[C::NotFound, C::MalformedRequest, C::SignInRefused, C::TooManyRequests];
const OWN_PASSWORD: &[Code] = &[C::WrongPassword, C::Forbidden, C::TooManyRequests];
const PIECES: &[Code] = &[C::Validation, C::StaleRequest, C::Conflict, C::TooManyRequests];
const HINTS: &[Code] = &[C::DeviceRevoked, C::StaleRequest, C::NotFound, C::TooManyRequests];
/// What its maker gave an id, and a wrong one.
const MADE: &[Code] = &[C::IdTaken];
const QUOTE: &[Code] = &[C::IdTaken, C::OfferNotEligible, C::LimitExceeded, C::QuoteChanged, C::QuoteExpired];
const APPLICATION: &[Code] = &[C::IdTaken, C::QuoteExpired, C::LimitExceeded, C::ConsentMissing];
const CANCELLATION: &[Code] = &[C::PreconditionRequired, C::PreconditionFailed, C::IllegalTransition];
const ACCEPTANCE: &[Code] =
    &[C::PreconditionRequired, C::PreconditionFailed, C::IllegalTransition, C::QuoteChanged, C::QuoteExpired];
const OFFER: &[Code] = &[C::IdTaken, C::LimitExceeded];
const OFFER_CHANGE: &[Code] = &[C::PreconditionRequired, C::PreconditionFailed, C::IllegalTransition, C::Conflict];
/// A payment begun in the app.
const PAYMENT: &[Code] = &[C::IdTaken, C::LimitExceeded, C::IllegalTransition];
const PROMISE: &[Code] = &[C::IdTaken, C::IllegalTransition];
/// A gateway's callback: signed, and about a payment.
const CALLBACK: &[Code] = &[C::Unauthenticated, C::Validation];
/// Paying off early: the day asked for, the state of the plan.
const FIGURE: &[Code] = &[C::MalformedRequest, C::Validation, C::IllegalTransition];
const AGREEMENT: &[Code] =
    &[C::PreconditionRequired, C::PreconditionFailed, C::IdTaken, C::IllegalTransition, C::QuoteChanged, C::Conflict];
const RETURN: &[Code] = &[C::IdTaken, C::IllegalTransition];
/// A person's ruling on a version.
const RULING: &[Code] = &[
    C::PreconditionRequired,
    C::PreconditionFailed,
    C::IllegalTransition,
    C::SamePerson,
    C::LimitExceeded,
    C::Conflict,
];
const REFUND: &[Code] = &[C::IdTaken, C::IllegalTransition, C::LimitExceeded];
const PAYOUT: &[Code] = &[
    C::PreconditionRequired,
    C::PreconditionFailed,
    C::IllegalTransition,
    C::SamePerson,
    C::LimitExceeded,
    C::RecoveryUnconfirmed,
];
const MESSAGE: &[Code] = &[C::IdTaken, C::IllegalTransition, C::Conflict];
const COMPLAINT_DECISION: &[Code] =
    &[C::PreconditionRequired, C::PreconditionFailed, C::IdTaken, C::IllegalTransition, C::Conflict];
const SYNC: &[Code] = &[C::Validation, C::StaleRequest, C::Conflict, C::TooManyRequests];

/// Every route of the server.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    route(GET,  "/healthz",                        Public,                  SMALL,    || routes!(ops::healthz),                  NONE),
    route(GET,  "/readyz",                         Public,                  SMALL,    || routes!(ops::readyz),                   NONE),
    route(GET,  "/metrics",                        Public,                  SMALL,    || routes!(ops::metrics),                  NONE),
    route(GET,  "/openapi.json",                   Public,                  SMALL,    || routes!(describe::openapi),             &[C::MalformedRequest]),
    route(GET,  "/docs",                            Public,                  SMALL,    || routes!(docs::page       ),             NONE),
    route(GET,  "/problems/{code}",                Public,                  SMALL,    || routes!(describe::problem),             NONE),

    route(GET,  "/v1/deployment",                  Public,                  SMALL,    || routes!(sessions::deployment),          NONE),
    route(POST, "/v1/tokens",                      Public,                  SMALL,    || routes!(sessions::create_token),        &[C::WrongLogin, C::TooManyRequests]),
    route(POST, "/v1/tokens/refresh",              Public,                  SMALL,    || routes!(signing_in::refresh),           REFRESH),
    route(POST, "/v1/tokens/revocation",           Public,                  SMALL,    || routes!(signing_in::sign_out),          &[C::TooManyRequests]),
    route(POST, "/v1/sessions/codes",              Public,                  SMALL,    || routes!(sign_in::ask_code),                &[C::NotFound, C::TooManyRequests]),
    route(POST, "/v1/sessions",                    Public,                  SMALL,    || routes!(sign_in::sign_in),                 CUSTOMER_SIGN_IN),
    route(GET,  "/v1/oidc/start",                  Public,                  SMALL,    || routes!(oidc::start),                   &[C::NotFound]),
    route(GET,  "/v1/oidc/callback",               Public,                  SMALL,    || routes!(oidc::callback),                PROVIDER),
    route(GET,  "/.well-known/jwks.json",          Public,                  SMALL,    || routes!(oidc::jwks),                    NONE),
    route(POST, "/v1/enrolments",                  Device,                  SMALL,    || routes!(sessions::enrol),               ENROLMENT),
    route(POST, "/v1/leases",                      Device,                  SMALL,    || routes!(sessions::create_lease),        LEASE),

    route(POST, "/v1/sync",                        Device,                  EXCHANGE, || routes!(sync::sync),                    SYNC),
    route(POST, "/v1/deposit",                     Device,                  EXCHANGE, || routes!(sync::deposit),                 SYNC),

    route(GET,  "/v1/feed/hints",                  Device,                  SMALL,    || routes!(hints::hints),                 HINTS),
    route(PUT,  "/v1/attachments/{sha256}",        Device,                  PIECE,    || routes!(attachments::put),             PIECES),

    route(GET,  "/v1/sessions",                    SignedIn,                SMALL,    || routes!(signing_in::list),              LIST),
    route(POST, "/v1/sessions/revocation",         SignedIn,                SMALL,    || routes!(signing_in::revoke_all),        NONE),
    route(POST, "/v1/sessions/{id}/revocation",    SignedIn,                SMALL,    || routes!(signing_in::revoke),            NONE),
    route(POST, "/v1/password",                    SignedIn,                SMALL,    || routes!(signing_in::change_password),   OWN_PASSWORD),

    route(GET,  "/v1/users",                       May(P::ReadUsers),       SMALL,    || routes!(users::list),                   LIST),
    route(POST, "/v1/users",                       May(P::ManageUsers),     SMALL,    || routes!(users::create),                 &[C::IdTaken]),
    route(POST, "/v1/users/{id}/roles",            May(P::ManageUsers),     SMALL,    || routes!(users::set_role),               NONE),
    route(POST, "/v1/users/{id}/deactivation",     May(P::ManageUsers),     SMALL,    || routes!(users::deactivate),             NONE),
    route(POST, "/v1/users/{id}/password",         May(P::ManageUsers),     SMALL,    || routes!(signing_in::reset_password),    NONE),
    route(GET,  "/v1/users/{id}/sessions",         May(P::ManageUsers),     SMALL,    || routes!(signing_in::list_of),           LIST),
    route(POST, "/v1/users/{id}/sessions/revocation", May(P::ManageUsers),  SMALL,    || routes!(signing_in::revoke_all_of),     NONE),
    route(POST, "/v1/users/{id}/enrolment-codes",  May(P::ManageDevices),   SMALL,    || routes!(users::issue_code),             NONE),
    route(GET,  "/v1/devices",                     May(P::ReadDevices),     SMALL,    || routes!(devices::list),                 LIST),
    route(POST, "/v1/devices/{id}/retirement",     May(P::ManageDevices),   SMALL,    || routes!(devices::retire),               NONE),
    route(POST, "/v1/devices/{id}/loss",           May(P::ManageDevices),   SMALL,    || routes!(devices::report_lost),          NONE),
    route(GET,  "/v1/units",                       May(P::ReadUnits),       SMALL,    || routes!(organisation::list_units),      LIST),
    route(POST, "/v1/units",                       May(P::ManageUnits),     SMALL,    || routes!(organisation::create_unit),     NONE),
    route(GET,  "/v1/caseloads",                   May(P::ReadCaseloads),   SMALL,    || routes!(organisation::list_caseloads),  LIST),
    route(POST, "/v1/caseloads",                   May(P::ManageCaseloads), SMALL,    || routes!(organisation::create_caseload), NONE),
    route(POST, "/v1/caseloads/{id}/members",      May(P::ManageCaseloads), SMALL,    || routes!(organisation::set_member),      NONE),
    route(GET,  "/v1/dossiers/{id}",               May(P::ReadCases),       SMALL,    || routes!(cases::show),                   DOCUMENT),
    route(PATCH, "/v1/dossiers/{id}/board",         May(P::EditBoards),      SMALL,    || routes!(cases::edit_board),             VERSIONED),
    route(POST, "/v1/dossiers/{id}/assignment",    May(P::AssignCases),     SMALL,    || routes!(cases::assign),                 DECISION),
    route(GET,  "/v1/attachments/{sha256}",        May(P::ReadCases),       SMALL,    || routes!(attachments::get),             &[C::MalformedRequest]),
    route(GET,  "/v1/attachments/missing",         May(P::ReadHeld),        SMALL,    || routes!(attachments::missing),         LIST),
    route(GET,  "/v1/held",                        May(P::ReadHeld),        SMALL,    || routes!(held::list),                    LIST),
    route(POST, "/v1/held/{id}/release",           May(P::ReviewHeld),      SMALL,    || routes!(held::release),                 RELEASE),
    route(POST, "/v1/held/{id}/rejection",         May(P::ReviewHeld),      SMALL,    || routes!(held::reject),                  DECISION),
    route(GET,  "/v1/quarantine",                  May(P::ReadHeld),        SMALL,    || routes!(quarantine::list),              LIST),
    route(POST, "/v1/quarantine/{id}/resolution",  May(P::ReviewHeld),      SMALL,    || routes!(quarantine::resolve),           DECISION),
    route(GET,  "/v1/receipts/unexplained",        May(P::ReadHeld),        SMALL,    || routes!(receipts::list),                LIST),
    route(POST, "/v1/receipts/{id}/explanation",   May(P::ReviewHeld),      SMALL,    || routes!(receipts::explain),             DECISION),
    route(POST, "/v1/payments/{id}/reversal",      May(P::ReversePayments), SMALL,    || routes!(reversal::reverse),             DECISION),
    route(POST, "/v1/corrections/{id}/decision",   May(P::ReversePayments), SMALL,    || routes!(reversal::decide_correction),   DECISION),
    route(POST, "/v1/cash/counts",                 May(P::CountCash),       SMALL,    || routes!(cash::count),                   COUNT),
    route(POST, "/v1/imports/portfolio",           May(P::ImportRecords),   IMPORT,   || routes!(imports::portfolio),             ROWS),
    route(POST, "/v1/imports/repayments",          May(P::ImportRecords),   IMPORT,   || routes!(imports::repayments),            ROWS),
    route(POST, "/v1/imports/statements",          May(P::ImportRecords),   IMPORT,   || routes!(imports::statements),            ROWS),
    route(POST, "/v1/imports/orders",              May(P::ImportOrders),    IMPORT,   || routes!(orders::import),                 NONE),
    route(POST, "/v1/orders/{id}/resume-codes",    May(P::ImportOrders),    SMALL,    || routes!(orders::issue_code),             NONE),
    route(GET,  "/v1/orders",                      Party(P::ReadJourney),   SMALL,    || routes!(orders::list),                   LIST),
    route(POST, "/v1/orders",                      Party(P::WriteJourney),  SMALL,    || routes!(orders::create),                 MADE),
    route(POST, "/v1/orders/resumption",           Party(P::WriteJourney),  SMALL,    || routes!(orders::redeem_code),            &[C::TooManyRequests]),
    route(GET,  "/v1/orders/{id}",                 Party(P::ReadJourney),   SMALL,    || routes!(orders::show),                   NONE),
    route(GET,  "/v1/offers",                      Party(P::ReadJourney),   SMALL,    || routes!(shopping::offers),               LIST),
    route(POST, "/v1/quotes",                      Party(P::WriteJourney),  SMALL,    || routes!(shopping::create_quote),         QUOTE),
    route(GET,  "/v1/quotes/{id}",                 Party(P::ReadJourney),   SMALL,    || routes!(shopping::quote),                NONE),
    route(GET,  "/v1/applications",                Party(P::ReadJourney),   SMALL,    || routes!(applications::list),             LIST),
    route(POST, "/v1/applications",                Party(P::WriteJourney),  SMALL,    || routes!(applications::submit),           APPLICATION),
    route(GET,  "/v1/applications/{id}",           Party(P::ReadJourney),   SMALL,    || routes!(applications::show),             NONE),
    route(POST, "/v1/applications/{id}/cancellation", Party(P::WriteJourney), SMALL,  || routes!(applications::cancel),           CANCELLATION),
    route(GET,  "/v1/applications/{id}/agreement", Party(P::ReadJourney),   SMALL,    || routes!(applications::agreement),        NONE),
    route(POST, "/v1/applications/{id}/acceptance", Party(P::WriteJourney), SMALL,    || routes!(applications::accept),           ACCEPTANCE),
    route(GET,  "/v1/plans",                       Party(P::ReadJourney),   SMALL,    || routes!(plans::list),                    LIST),
    route(GET,  "/v1/plans/{id}",                  Party(P::ReadJourney),   SMALL,    || routes!(plans::show),                    NONE),
    route(GET,  "/v1/plans/{id}/schedule",         Party(P::ReadJourney),   SMALL,    || routes!(plans::schedule),                NONE),
    route(GET,  "/v1/plans/{id}/early-settlement", Party(P::ReadJourney),   SMALL,    || routes!(settlement::figure),               FIGURE),
    route(POST, "/v1/plans/{id}/early-settlement", Party(P::WriteJourney),  SMALL,    || routes!(settlement::agree),              AGREEMENT),
    route(POST, "/v1/plans/{id}/returns",          Party(P::WriteJourney),  SMALL,    || routes!(returns::request),               RETURN),
    route(GET,  "/v1/returns",                     May(P::DecideReturns),   SMALL,    || routes!(returns::list),                  LIST),
    route(GET,  "/v1/returns/{id}",                Party(P::ReadJourney),   SMALL,    || routes!(returns::show),                  NONE),
    route(POST, "/v1/returns/{id}/decision",       May(P::DecideReturns),   SMALL,    || routes!(returns::decide),                RULING),
    route(GET,  "/v1/refunds",                     May(P::ReadFinance),     SMALL,    || routes!(refunds::list),                  LIST),
    route(POST, "/v1/refunds",                     May(P::PayRefunds),      SMALL,    || routes!(refunds::create),                REFUND),
    route(GET,  "/v1/refunds/{id}",                Party(P::ReadJourney),   SMALL,    || routes!(refunds::show),                  NONE),
    route(POST, "/v1/refunds/{id}/payout",         May(P::PayRefunds),      SMALL,    || routes!(refunds::pay_out),               PAYOUT),
    route(POST, "/v1/refunds/{id}/sending",        May(P::PayRefunds),      SMALL,    || routes!(refunds::send),                  PAYOUT),
    route(POST, "/v1/plans/{id}/disputes",         Party(P::WriteJourney),  SMALL,    || routes!(complaints::open),               MADE),
    route(GET,  "/v1/disputes",                    May(P::ReadComplaints),  SMALL,    || routes!(complaints::list),               LIST),
    route(GET,  "/v1/disputes/{id}",               Party(P::ReadJourney),   SMALL,    || routes!(complaints::show),               NONE),
    route(POST, "/v1/disputes/{id}/messages",      Party(P::WriteJourney),  SMALL,    || routes!(complaints::add),                MESSAGE),
    route(POST, "/v1/disputes/{id}/withdrawal",    Party(P::WriteJourney),  SMALL,    || routes!(complaints::withdraw),           CANCELLATION),
    route(POST, "/v1/disputes/{id}/answers",       May(P::HandleComplaints), SMALL,   || routes!(complaints::answer),             MESSAGE),
    route(POST, "/v1/disputes/{id}/decision",      May(P::HandleComplaints), SMALL,   || routes!(complaints::decide),             COMPLAINT_DECISION),
    route(GET,  "/v1/ledger/journals",             May(P::ReadFinance),     SMALL,    || routes!(ledger::list),                   LIST),
    route(GET,  "/v1/offers-admin",                May(P::ReadOffers),      SMALL,    || routes!(offer_map::list),                LIST),
    route(POST, "/v1/offers-admin",                May(P::ManageOffers),    SMALL,    || routes!(offer_map::create),              OFFER),
    route(GET,  "/v1/offers-admin/{id}",           May(P::ReadOffers),      SMALL,    || routes!(offer_map::show),                &[C::MalformedRequest]),
    route(PATCH, "/v1/offers-admin/{id}",          May(P::ManageOffers),    SMALL,    || routes!(offer_map::change),              OFFER_CHANGE),
    route(GET,  "/v1/offers-admin/coverage",       May(P::ReadOffers),      SMALL,    || routes!(reports::coverage),              LIST),
    route(GET,  "/v1/analytics/funnel",            May(P::ReadAnalytics),   SMALL,    || routes!(reports::funnel),                LIST),
    route(GET,  "/v1/reports",                     May(P::ReadAnalytics),   SMALL,    || routes!(reports::reports),               LIST),
    route(POST, "/v1/reports",                     May(P::FreezeReports),   SMALL,    || routes!(reports::freeze),                MADE),
    route(GET,  "/v1/reports/{id}",                May(P::ReadAnalytics),   SMALL,    || routes!(reports::report),                &[C::MalformedRequest]),
    route(GET,  "/v1/campaigns",                   May(P::ReadAnalytics),   SMALL,    || routes!(reports::campaigns_page),        LIST),
    route(POST, "/v1/campaigns",                   May(P::ManageCampaigns), SMALL,    || routes!(reports::create_campaign),       MADE),
    route(PATCH, "/v1/campaigns/{id}",             May(P::ManageCampaigns), SMALL,    || routes!(reports::change_campaign),       OFFER_CHANGE),
    route(GET,  "/v1/campaigns/{id}/effect",       May(P::ReadAnalytics),   SMALL,    || routes!(reports::campaign_effect),       NONE),
    route(GET,  "/v1/policy",                      May(P::ReadOffers),      SMALL,    || routes!(policy::show),                   NONE),
    route(POST, "/v1/policy",                      May(P::SetPolicy),       SMALL,    || routes!(policy::replace),                MADE),
    route(GET,  "/v1/plans/{id}/payments",         Party(P::ReadJourney),   SMALL,    || routes!(payments::list),                LIST),
    route(POST, "/v1/plans/{id}/payments",         Party(P::WriteJourney),  SMALL,    || routes!(payments::begin_payment),       PAYMENT),
    route(POST, "/v1/plans/{id}/promises",         Party(P::WriteJourney),  SMALL,    || routes!(promises::promise),             PROMISE),
    route(GET,  "/v1/payments/{id}",               Party(P::ReadJourney),   SMALL,    || routes!(payments::show),                NONE),
    route(POST, "/v1/gateways/{gateway}/callbacks", Public,                 SMALL,    || routes!(callbacks::take),               CALLBACK),
    route(GET,  "/v1/erasures",                    May(P::ReadErasures),    SMALL,    || routes!(erasures::list),                LIST),
    route(POST, "/v1/customers/{id}/erasure",      May(P::ProposeErasures), SMALL,    || routes!(erasures::propose),             ERASURE),
    route(POST, "/v1/erasures/{id}/decision",      May(P::ApproveErasures), SMALL,    || routes!(erasures::decide),              ERASURE_DECISION),
    route(GET,  "/v1/customers",                   May(P::FindCustomers),   SMALL,    || routes!(customers::find),              LIST),
    route(POST, "/v1/customers",                   May(P::RegisterCustomers), SMALL,  || routes!(customers::register),          &[C::IdTaken, C::PhoneTaken, C::NotFound]),
    route(GET,  "/v1/me",                          Party(P::ReadJourney),   SMALL,    || routes!(me::show),                     NONE),
    route(PATCH, "/v1/me",                         Party(P::WriteJourney),  SMALL,    || routes!(me::change),                   VERSIONED),
    route(POST, "/v1/me/phone",                    Party(P::WriteJourney),  SMALL,    || routes!(me::change_phone),             NEW_PHONE),
    route(GET,  "/v1/me/consents",                 Party(P::ReadJourney),   SMALL,    || routes!(me::list_consents),            LIST),
    route(POST, "/v1/me/consents",                 Party(P::WriteJourney),  SMALL,    || routes!(me::consent),                  &[C::IdTaken]),
    route(GET,  "/v1/audit",                       May(P::ReadAudit),       SMALL,    || routes!(audit::list),                   LIST),
    route(GET,  "/v1/recoveries",                  May(P::ReadAudit),       SMALL,    || routes!(recovery::list),                NONE),
    route(POST, "/v1/recoveries/confirmation",     May(P::ConfirmRecoveries), SMALL,  || routes!(recovery::confirm),             NONE),
];

/// The server's router.
pub fn router(app: &Arc<App>) -> Router {
    names::recorder();
    let gate = layers::Gate::default();
    let mut router = Router::new();
    for route in ROUTES {
        let guard = guard::Guard { app: Arc::clone(app), route };
        let (_, _, mut handler) = (route.handler)();
        if route.has_effect() {
            handler = handler.route_layer(from_fn_with_state(guard.clone(), idempotency::once));
        }
        if matches!(route.access, May(_) | Party(_) | SignedIn) && route.method != GET {
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
