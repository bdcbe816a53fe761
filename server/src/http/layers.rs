//! What wraps every request, outermost first: its id, its log line and figures, panics turned into
//! problems, a bound on how many run at once and on how long each may take; behind the guard, a person's
//! write that met another is run again.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest as _, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use daybook_shared::messages::Language;
use rand::Rng;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::extract::{Buffered, RawBody};
use super::problem::{MetAnother, Problem};
use super::{REQUESTS_MAX, names};
use crate::app::App;

tokio::task_local! {
    static ASKED: Asked;
}

/// What an answer needs to know of its request, wherever it is made.
#[derive(Debug)]
struct Asked {
    id: String,
    language: Language,
}

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request that is being answered; empty outside of one.
pub fn request_id() -> String {
    ASKED.try_with(|asked| asked.id.clone()).unwrap_or_default()
}

/// The language in which who asks reads; English outside of a request.
pub fn accepted_language() -> Language {
    ASKED.try_with(|asked| asked.language).unwrap_or(Language::English)
}

/// Gives the request an id (the caller's, when it is a plain one), logs one line about it and counts
/// it. The line has the route's template and never the path, the query, a header or a body.
pub async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID_HEADER).and_then(plain).unwrap_or_else(|| new_id(&app));
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let (method, is_read) = (method_label(request.method()), request.method().is_safe());
    let span = tracing::info_span!("request", request_id = id, method, route);
    let began = Instant::now();
    let accepted = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let asked = Asked { id: id.clone(), language: accepted.map_or(Language::English, Language::accepted) };
    let mut response = ASKED.scope(asked, next.run(request)).instrument(span.clone()).await;
    let took = began.elapsed();

    let status = response.status().as_u16();
    let _entered = span.enter();
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match route.as_str() {
        "/healthz" | "/readyz" | "/metrics" => tracing::debug!(status, ms, "answered"),
        _ => tracing::info!(status, ms, "answered"),
    }
    if !is_read && response.status().is_success() {
        app.hints.nudge();
    }
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.to_string())];
    metrics::counter!(names::HTTP_REQUESTS, &labels).increment(1);
    metrics::histogram!(names::HTTP_SECONDS, &labels[..2]).record(took);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    response
}

/// One label for every method a stranger may invent.
fn method_label(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn plain(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let fits = (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits.then(|| text.to_owned())
}

fn new_id(app: &App) -> String {
    let mut bytes = [0; 8];
    app.rng.with(|rng| rng.fill_bytes(&mut bytes));
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// A panic in a handler: logged, answered as `internal`. The panic hook has printed its place.
#[expect(clippy::needless_pass_by_value, reason = "the signature that CatchPanicLayer asks for")]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Problem::internal(&format_args!("panic: {text}")).into_response()
}

/// Turns requests away while too many run, instead of letting them pile up.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(REQUESTS_MAX)))
    }
}

/// Lets a request through the gate, or answers 503.
pub async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match gate.0.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::unavailable("Too many requests run at once.").into_response(),
    }
}

/// Gives up on a handler that takes too long. What it had begun is rolled back.
pub async fn bounded(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("The server took too long; nothing was taken in.").into_response(),
    }
}

/// How often a write is run before its caller is told to try again later.
const RUNS_MAX: usize = 6;

/// Runs a person's write again when the database says that it met another: it was one transaction with no
/// effect outside of it, and was rolled back.
pub async fn rerun(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    // Held, with its room, while the write runs; whoever asks for the body within gets these bytes.
    let body = RawBody::from_request(Request::from_parts(parts.clone(), body), &app).await?;
    parts.extensions.insert(Buffered(body.bytes.clone()));
    let request = || Request::from_parts(parts.clone(), Body::from(body.bytes.clone()));
    for _ in 1..RUNS_MAX {
        let response = next.clone().run(request()).await;
        if response.extensions().get::<MetAnother>().is_none() {
            return Ok(response);
        }
    }
    Ok(next.run(request()).await)
}

/// Headers of every answer: nothing of ours is kept by a cache or guessed at by a browser.
pub async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
