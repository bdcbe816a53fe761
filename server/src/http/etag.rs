//! Entity tags (RFC 9110, section 8.8.3): strong, the row's version in quotes.
//!
//! A read that carries one takes [`IfNoneMatch`] and answers through it: 304 saves the caller's data. A
//! write on what has a version takes [`IfMatch`]: without it 428, with a stale one 412 and the current
//! tag. `If-Match: *` is a caller's word that he means whatever version there is.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_shared::ids::{Hash, sha256};

use super::problem::{Code, Problem};
use crate::app::App;

/// The most tags that one header may name.
const TAGS_MAX: usize = 20;

/// The tag of a version.
pub fn of_version(version: i64) -> String {
    format!("\"{version}\"")
}

/// The tag of what is worked out anew each time: named by its bytes.
pub fn of_content(bytes: &[u8]) -> String {
    format!("\"{}\"", &Hash(sha256(&[bytes])).to_string()[..16])
}

/// Which tags a caller named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<String>),
}

impl Tags {
    /// The header's tags, weak ones with their mark; none when the header is missing.
    fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let malformed = || Problem::new(Code::MalformedRequest, format!("{name} names tags in quotes, or *."));
        let mut tags = Vec::new();
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| malformed())?.trim();
            if text == "*" {
                return Ok(Some(Self::Any));
            }
            for tag in text.split(',').map(str::trim) {
                let opaque = tag.strip_prefix("W/").unwrap_or(tag);
                let inner = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                if inner.is_none_or(|inner| inner.contains('"')) || tags.len() == TAGS_MAX {
                    return Err(malformed());
                }
                tags.push(tag.to_owned());
            }
        }
        Ok(if tags.is_empty() { None } else { Some(Self::These(tags)) })
    }
}

/// What a caller has of what he asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfNoneMatch(Option<Tags>);

impl IfNoneMatch {
    /// The answer with its tag, or 304 when the caller has it. Weak comparison, as the RFC asks.
    pub fn answer(&self, etag: &str, body: impl IntoResponse) -> Response {
        let has_it = match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.iter().any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag),
        };
        let mut response = if has_it { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
        response.headers_mut().insert(header::ETAG, HeaderValue::try_from(etag).expect("our tags are ASCII"));
        response
    }
}

impl FromRequestParts<Arc<App>> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        Tags::read(&parts.headers, &header::IF_NONE_MATCH).map(Self)
    }
}

/// Which version a caller means to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(Tags);

impl IfMatch {
    /// Whether it is the current one. Strong comparison: a weak tag never fits.
    pub fn check(&self, current: &str) -> Result<(), Problem> {
        match &self.0 {
            Tags::Any => Ok(()),
            Tags::These(tags) if tags.iter().any(|tag| tag == current) => Ok(()),
            Tags::These(_) => {
                let detail = "It changed since you read it: read it again, then decide.";
                Err(Problem::new(Code::PreconditionFailed, detail).tagged(current))
            }
        }
    }
}

impl FromRequestParts<Arc<App>> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let tags = Tags::read(&parts.headers, &header::IF_MATCH)?;
        let missing = || Problem::new(Code::PreconditionRequired, "Name the version you mean in If-Match; * is any.");
        tags.map(Self).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Tags>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        Tags::read(&headers, &header::IF_MATCH)
    }

    fn these(tags: &[&str]) -> Tags {
        Tags::These(tags.iter().map(|tag| (*tag).to_owned()).collect())
    }

    #[test]
    fn tags_are_read_as_they_are_written() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["\"1\""]).unwrap(), Some(these(&["\"1\""])));
        assert_eq!(read(&["\"1\", W/\"2\"", "\"3\""]).unwrap(), Some(these(&["\"1\"", "W/\"2\"", "\"3\""])));
        assert_eq!(read(&["*"]).unwrap(), Some(Tags::Any));
        for odd in ["1", "\"1", "\"1\"2\"", "w/\"1\"", "", "\"1\",", "\""] {
            assert_eq!(read(&[odd]).unwrap_err().code(), Code::MalformedRequest, "{odd}");
        }
        assert!(read(&["\"1\""; 21]).is_err());
    }

    #[test]
    fn a_write_fits_the_current_version_or_any_and_a_read_is_saved_by_a_weak_tag_too() {
        let fits = |tag| IfMatch(read(&[tag]).unwrap().unwrap()).check(&of_version(7)).is_ok();
        assert!(fits("\"7\"") && fits("*") && fits("\"6\", \"7\""));
        assert!(!fits("\"6\"") && !fits("W/\"7\""));
        let status = |tags: &[&str]| IfNoneMatch(read(tags).unwrap()).answer("\"7\"", "body").status();
        assert_eq!(status(&["W/\"7\""]), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&["*"]), StatusCode::NOT_MODIFIED);
        assert_eq!((status(&["\"6\""]), status(&[])), (StatusCode::OK, StatusCode::OK));
    }
}
