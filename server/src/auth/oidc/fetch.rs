//! Asking a provider: no redirects, an end in time, no more than so many bytes.

use std::time::Duration;

use super::OidcError;
use crate::outside::{self, Patience};

/// How long one answer may take in all.
pub(super) const WHOLE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
pub(super) const BYTES_MAX: usize = 256 * 1024;

/// Why there is no answer. What it says is for the log.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody answers, or not in time.
    #[error("{0}")]
    Transport(String),
    /// Another status than 200.
    #[error("it answers {0}")]
    Status(u16),
    /// It does not end.
    #[error("its answer has more than {BYTES_MAX} bytes")]
    TooLarge,
    /// It is not what was asked for.
    #[error("its answer is not what the protocol says: {0}")]
    Shape(String),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        // An address may hold a code.
        Self::Transport(outside::cause(error))
    }
}

/// A client for a provider.
pub(super) fn client(is_plain: bool, whole: Duration) -> Result<reqwest::Client, OidcError> {
    Ok(outside::client(is_plain, Patience { connect: CONNECT, whole })?)
}

/// The body of an answer of 200.
pub(super) async fn ask(request: reqwest::RequestBuilder) -> Result<Vec<u8>, FetchError> {
    let mut response = request.header("accept", "application/json").send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    if response.content_length().is_some_and(|length| length > BYTES_MAX as u64) {
        return Err(FetchError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// JSON of a shape.
pub(super) fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, FetchError> {
    serde_json::from_slice(body).map_err(|error| FetchError::Shape(error.to_string()))
}
