//! The server's problems (RFC 9457), sorted by what a phone does about them.

use serde::Deserialize;

/// What a problem means for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The server has seen a higher request number.
    StaleRequest { last: u64 },
    /// Uploads were taken; nothing comes down until a login.
    LoginRequired,
    /// This phone may only hand in.
    Revoked,
    /// Trying again may help.
    Passing { status: u16, retry_after_ms: Option<u64> },
    /// Trying again does not help.
    Lasting { status: u16, code: Option<String> },
}

#[derive(Debug, Default, Deserialize)]
struct Document {
    code: Option<String>,
    last: Option<u64>,
}

/// The stable code of a problem document, where there is one.
pub(crate) fn code_of(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Document>(body).ok().and_then(|document| document.code)
}

/// The server's last request number, when a problem says that ours was stale.
pub(crate) fn stale_request(status: u16, body: &[u8]) -> Option<u64> {
    match Problem::read(status, None, body) {
        Problem::StaleRequest { last } => Some(last),
        _ => None,
    }
}

/// Codes by which the server says that a device may only hand in.
const REVOKED_CODES: [&str; 5] =
    ["device-revoked", "device-retired", "device-lost", "device-stolen", "user-deactivated"];

impl Problem {
    pub(super) fn read(status: u16, retry_after_ms: Option<u64>, body: &[u8]) -> Self {
        let document: Document = serde_json::from_slice(body).unwrap_or_default();
        match (document.code.as_deref(), document.last) {
            (Some("stale-request"), Some(last)) => Self::StaleRequest { last },
            (Some("lease-lapsed" | "login-required"), _) => Self::LoginRequired,
            (Some(code), _) if REVOKED_CODES.contains(&code) => Self::Revoked,
            _ if matches!(status, 408 | 425 | 429 | 500..=599) => Self::Passing { status, retry_after_ms },
            (code, _) => Self::Lasting { status, code: code.map(str::to_owned) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_sorted_by_what_to_do() {
        let lasting = |status, code: &str| Problem::Lasting { status, code: Some(code.to_owned()) };
        let passing = |status| Problem::Passing { status, retry_after_ms: None };
        let cases = [
            (409, r#"{"code":"stale-request","last":7}"#, Problem::StaleRequest { last: 7 }),
            (409, r#"{"code":"stale-request"}"#, lasting(409, "stale-request")),
            (401, r#"{"code":"lease-lapsed","title":"..."}"#, Problem::LoginRequired),
            (403, r#"{"code":"login-required"}"#, Problem::LoginRequired),
            (403, r#"{"code":"device-revoked"}"#, Problem::Revoked),
            (503, "<html>", passing(503)),
            (429, r#"{"code":"too-many-requests"}"#, passing(429)),
            (422, r#"{"code":"proof-invalid"}"#, lasting(422, "proof-invalid")),
            (404, "", Problem::Lasting { status: 404, code: None }),
        ];
        for (status, body, expected) in cases {
            assert_eq!(Problem::read(status, None, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
