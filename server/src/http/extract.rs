//! What handlers take from a request. Whatever is wrong with it becomes a problem, never a 500.

use std::sync::Arc;
use std::time::Duration;

use axum::RequestExt as _;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Code, Problem};
use crate::app::App;

/// How long to wait while a body is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// For the next piece of the body.
    pub stall: Duration,
    /// For room.
    pub room: Duration,
}

const WAITS: Waits = Waits { stall: Duration::from_secs(30), room: Duration::from_secs(10) };
/// The first bytes of every body are free: the number of requests at once bounds them.
const FREE_BYTES: usize = 64 * 1024;

/// Room for the bodies that are being read and handled, all requests together.
#[derive(Debug, Clone)]
pub struct BodyRoom(Arc<Semaphore>);

impl BodyRoom {
    /// Room for so many bytes beyond each body's first 64 KiB.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// Waits for room for a body of so many bytes, the first 64 KiB of it free; given back on drop.
    pub async fn for_body(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let paid = bytes.saturating_sub(FREE_BYTES);
        if paid == 0 { Ok(None) } else { reserve(self, paid, WAITS.room).await.map(Some) }
    }
}

/// A request's body, as it came, within the route's limit and the server's room for all bodies. The
/// room is given back when this is dropped.
#[derive(Debug)]
pub struct RawBody {
    /// The bytes.
    pub bytes: Bytes,
    _room: Vec<OwnedSemaphorePermit>,
}

impl FromRequest<Arc<App>> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        if let Some(Buffered(bytes)) = request.extensions().get() {
            return Ok(Self { bytes: bytes.clone(), _room: Vec::new() });
        }
        let limit = request.extensions().get::<BodyLimit>().map_or(FREE_BYTES, |limit| limit.0);
        if announced_length(request.headers()).is_some_and(|length| length > limit as u64) {
            return Err(too_large(limit));
        }
        read(request.into_body(), limit, &app.body_room, WAITS).await
    }
}

/// The body of a request that a layer has read already and holds the room of.
#[derive(Debug, Clone)]
pub struct Buffered(pub Bytes);

/// The most bytes of body the matched route takes; set from the route table.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("This takes at most {limit} bytes.")).with("limit", limit)
}

pub(super) async fn read(body: Body, limit: usize, room: &BodyRoom, waits: Waits) -> Result<RawBody, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut permits = Vec::new();
    let mut paid = FREE_BYTES;
    loop {
        let next = tokio::time::timeout(waits.stall, stream.next()).await;
        let next = next.map_err(|_| Problem::new(Code::RequestTimeout, "The body stopped arriving."))?;
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|_| Problem::new(Code::MalformedRequest, "The body broke off."))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        if bytes.len() + chunk.len() > paid {
            let more = FREE_BYTES.max(bytes.len() + chunk.len() - paid);
            permits.push(reserve(room, more, waits.room).await?);
            paid += more;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(RawBody { bytes: bytes.into(), _room: permits })
}

async fn reserve(room: &BodyRoom, bytes: usize, wait: Duration) -> Result<OwnedSemaphorePermit, Problem> {
    let full = || Problem::unavailable("Too many large bodies are being read at once.");
    let bytes = u32::try_from(bytes).map_err(|_| full())?;
    let permit = tokio::time::timeout(wait, Arc::clone(&room.0).acquire_many_owned(bytes)).await;
    permit.map_err(|_| full())?.map_err(|_| full())
}

/// A JSON body, and a JSON answer.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !media.is_some_and(is_json) {
            return Err(Problem::new(Code::UnsupportedMediaType, "This takes application/json."));
        }
        let body: RawBody = request.extract_with_state::<RawBody, _, _>(app).await?;
        parse_json(&body.bytes).map(Self)
    }
}

fn is_json(media: &str) -> bool {
    media.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// JSON from bytes: what is not JSON is malformed, what is another shape is not valid.
/// No text may hold the character NUL, which PostgreSQL does not store.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if has_nul(bytes) {
        return Err(Problem::validation("A text holds the character NUL."));
    }
    let malformed = |error| Problem::new(Code::MalformedRequest, format!("The body is not JSON: {error}."));
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| match error.inner().classify() {
        serde_json::error::Category::Data => {
            Problem::invalid(pointer(error.path()), "shape", format!("The body does not fit: {}.", error.inner()))
        }
        _ => malformed(error.into_inner()),
    })?;
    json.end().map_err(malformed)?;
    Ok(value)
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

/// Whether JSON spells a NUL: `\u0000` after an even number of backslashes.
fn has_nul(json: &[u8]) -> bool {
    json.windows(6).enumerate().any(|(at, window)| {
        window == br"\u0000" && json[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0
    })
}

impl<T: serde::Serialize> axum::response::IntoResponse for Json<T> {
    fn into_response(self) -> axum::response::Response {
        axum::Json(self.0).into_response()
    }
}

/// A parameter of the path. One that cannot be of its kind names nothing: 404.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, app).await;
        found.map(|axum::extract::Path(value)| Self(value)).map_err(|_| Problem::not_found())
    }
}

/// The query's parameters.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let found = axum::extract::Query::<T>::from_request_parts(parts, app).await;
        found
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error| Problem::new(Code::MalformedRequest, format!("{}.", error.body_text())))
    }
}
