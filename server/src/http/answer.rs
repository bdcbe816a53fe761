//! Answers of writes, whole before they are sent: what is kept under an Idempotency-Key is what the
//! caller gets.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An answer of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Where what was made is.
    pub location: Option<String>,
    /// The version of what was written, as an entity tag.
    pub etag: Option<String>,
    /// JSON, or nothing.
    pub body: Vec<u8>,
}

impl Answer {
    /// 204: it is done.
    pub fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, location: None, etag: None, body: Vec::new() }
    }

    /// 200 with this.
    pub fn ok(body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("our answers are JSON");
        Self { status: StatusCode::OK, location: None, etag: None, body }
    }

    /// 201 with what was made.
    pub fn created(body: &impl Serialize) -> Self {
        Self { status: StatusCode::CREATED, ..Self::ok(body) }
    }

    /// 202: it goes on from here.
    pub fn accepted(body: &impl Serialize) -> Self {
        Self { status: StatusCode::ACCEPTED, ..Self::ok(body) }
    }

    /// Says where what was made is.
    #[must_use]
    pub fn at(self, location: impl Into<String>) -> Self {
        Self { location: Some(location.into()), ..self }
    }

    /// Says which version it is.
    #[must_use]
    pub fn tagged(self, etag: impl Into<String>) -> Self {
        Self { etag: Some(etag.into()), ..self }
    }

    fn media_type(&self) -> &'static str {
        if self.status.is_success() { "application/json" } else { "application/problem+json" }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let media_type = HeaderValue::from_static(self.media_type());
        let has_body = !self.body.is_empty();
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if has_body {
            headers.insert(header::CONTENT_TYPE, media_type);
        }
        for (name, value) in [(header::LOCATION, self.location), (header::ETAG, self.etag)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}
