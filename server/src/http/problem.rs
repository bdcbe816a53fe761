//! Errors of the HTTP API: RFC 9457 problems. Status, title and whether a retry can help belong to
//! the code and are decided here, nowhere else.
//!
//! Codes are spelled with hyphens and never translated; each has a page, `GET /problems/{code}`, and a
//! problem's `type` is that page. Its title is in the language that the request accepts.
//!
//! A handler answers `Result<_, Problem>`. What the caller did is a [`Code`] with a detail for
//! people; what went wrong inside is logged with the request's id and answered as `internal` or
//! `unavailable`, without a word about the cause.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_shared::messages::{self, Language};
use serde_json::{Map, Value};

use super::layers::{accepted_language, request_id};
use crate::db;
use crate::recovery::Stopped;
use crate::sync::effects::CashOverflow;

/// Declares the codes with all that hangs on them.
macro_rules! problems {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:ident, $code:literal, $retry:ident;)+) => {
        /// What went wrong, by its stable code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// What it means, for its page.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }

            /// Whether the same request may succeed later.
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => problems!(@ $retry),)+ }
            }
        }
    };
    (@ retry) => { true };
    (@ final) => { false };
}

problems! {
    /// Not JSON, not CBOR, a parameter of another kind.
    MalformedRequest = BAD_REQUEST, "malformed-request", final;
    /// No token, or one that is not valid any more; a device proof that does not fit.
    Unauthenticated = UNAUTHORIZED, "unauthenticated", final;
    /// A login that does not fit.
    WrongLogin = UNAUTHORIZED, "wrong-login", final;
    /// A refresh token that is spent, unknown, or of a session that ended.
    SessionOver = UNAUTHORIZED, "session-over", final;
    /// A sign-in with the identity provider that is not one.
    SignInRefused = UNAUTHORIZED, "sign-in-refused", final;
    /// The current password, asked for a change, is another.
    WrongPassword = UNPROCESSABLE_ENTITY, "wrong-password", final;
    /// The role does not allow it.
    Forbidden = FORBIDDEN, "forbidden", final;
    /// A decision on one's own work (D6).
    SamePerson = FORBIDDEN, "same-person", final;
    /// The device is retired, lost, or its user is no longer active.
    DeviceRevoked = FORBIDDEN, "device-revoked", final;
    /// There is no such thing, or it is not the caller's to see: the same answer.
    NotFound = NOT_FOUND, "not-found", final;
    /// The path exists, the method does not.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", final;
    /// The client was too slow.
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", retry;
    /// What it collides with is in the detail.
    Conflict = CONFLICT, "conflict", final;
    /// Somebody decided on it before; the first decision stands.
    AlreadyDecided = CONFLICT, "already-decided", final;
    /// Released, it would be held again: the detail says what is missing.
    StillHeld = CONFLICT, "still-held", final;
    /// The id or login is in use with other content.
    IdTaken = CONFLICT, "id-taken", final;
    /// An enrolment code that another device used.
    CodeUsed = CONFLICT, "enrolment-code-used", final;
    /// A device's request number that does not go up.
    StaleRequest = CONFLICT, "stale-request", final;
    /// The quote's time is over: ask for a new one.
    QuoteExpired = CONFLICT, "quote-expired", final;
    /// It is another figure than the one that was shown.
    QuoteChanged = CONFLICT, "quote-changed", final;
    /// The offer is not for this purchase; the detail says why.
    OfferNotEligible = CONFLICT, "offer-not-eligible", final;
    /// A limit of the law or of the lender: `limit` and `used` say which way.
    LimitExceeded = CONFLICT, "limit-exceeded", final;
    /// What is asked cannot happen in the state it is in: `from` and `event`.
    IllegalTransition = CONFLICT, "illegal-transition", final;
    /// The customer's consent is missing: `consent` says to what.
    ConsentMissing = CONFLICT, "consent-missing", final;
    /// Several customers have this phone number, so it cannot say who signs in: a shop can put it right.
    PhoneShared = CONFLICT, "phone-shared", final;
    /// Another customer has this phone number.
    PhoneTaken = CONFLICT, "phone-taken", final;
    /// A part of the database was lost, and nobody has confirmed its recovery.
    RecoveryUnconfirmed = CONFLICT, "recovery-unconfirmed", final;
    /// The row changed since it was read.
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", final;
    /// Larger than the route takes.
    TooLarge = PAYLOAD_TOO_LARGE, "too-large", final;
    /// Another media type than the route takes.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", final;
    /// Readable, and wrong.
    Validation = UNPROCESSABLE_ENTITY, "validation", final;
    /// A one-time code that is wrong, used, tried too often or too old: ask for a new one.
    SignInCodeRefused = UNPROCESSABLE_ENTITY, "sign-in-code-refused", final;
    /// An enrolment code that is unknown.
    CodeUnknown = UNPROCESSABLE_ENTITY, "enrolment-code-unknown", final;
    /// An enrolment code whose time is over.
    CodeExpired = UNPROCESSABLE_ENTITY, "enrolment-code-expired", final;
    /// Every write by POST needs an Idempotency-Key: 1 to 255 visible ASCII characters, new for every
    /// write and the same when it is sent again.
    IdempotencyKeyMissing = BAD_REQUEST, "idempotency-key-missing", final;
    /// A request with this Idempotency-Key is being handled; ask again for its answer.
    IdempotencyInFlight = CONFLICT, "idempotency-in-flight", retry;
    /// This Idempotency-Key stands for a request with another path or body.
    IdempotencyReused = UNPROCESSABLE_ENTITY, "idempotency-reused", final;
    /// If-Match is missing.
    PreconditionRequired = PRECONDITION_REQUIRED, "precondition-required", final;
    /// Too many attempts.
    TooManyRequests = TOO_MANY_REQUESTS, "too-many-requests", retry;
    /// A bug of ours.
    Internal = INTERNAL_SERVER_ERROR, "internal", retry;
    /// The database cannot be reached, or the server is full or stopping.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", retry;
}

impl Code {
    /// The same words for every problem of this code, from the catalogue.
    pub fn title(self, language: Language) -> String {
        messages::say(language, "problem", self.code())
    }
}

/// An error of the HTTP API.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    code: Code,
    detail: String,
    more: Map<String, Value>,
    errors: Vec<FieldError>,
    etag: Option<String>,
    retry_after_s: Option<u32>,
    met_another: bool,
}

/// One thing that is wrong with a request that can be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer into the body (RFC 6901, empty for the whole), or `?name` for a parameter of
    /// the query.
    #[schema(example = "/counted/minor")]
    pub pointer: String,
    /// What is wrong, as a stable code.
    #[schema(example = "range")]
    pub code: String,
    /// What is wrong, for people.
    #[schema(example = "counted is not negative.")]
    pub detail: String,
}

/// In a response's extensions: the transaction met another (a serialization failure, a deadlock) and may
/// succeed at once when it is run again.
#[derive(Debug, Clone, Copy)]
pub struct MetAnother;

impl Problem {
    /// A problem, with its words for this case.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (detail, more) = (detail.into(), Map::new());
        Self { code, detail, more, errors: Vec::new(), etag: None, retry_after_s: None, met_another: false }
    }

    /// Adds a member of the problem's own, such as `last` of `stale-request`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Says when a retry makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Names the current version, for who had an older one.
    #[must_use]
    pub fn tagged(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// What it says to people, in English.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// No token, or a wrong one: always the same words.
    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "A valid token, or a valid proof of an enrolled device, is needed.")
    }

    /// The role does not allow it.
    pub fn forbidden() -> Self {
        Self::new(Code::Forbidden, "Your roles do not allow this here.")
    }

    /// Absent or out of sight: always the same words.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is no such thing, or it is not yours to see.")
    }

    /// Readable and wrong as a whole.
    pub fn validation(detail: impl Into<String>) -> Self {
        Self::invalid("", "invalid", detail)
    }

    /// Readable and wrong at one place, see [`FieldError::pointer`].
    pub fn invalid(pointer: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let error = FieldError { pointer: pointer.into(), code: code.into(), detail: detail.clone() };
        Self { errors: vec![error], ..Self::new(Code::Validation, detail) }
    }

    /// A transaction that lost to another and may succeed at once.
    pub fn met_another() -> Self {
        Self { met_another: true, ..Self::unavailable("Others write the same now; nothing was taken in.") }
    }

    /// A bug of ours or a broken world; the cause is logged and not sent.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a request failed inside");
        Self::new(Code::Internal, "The cause is in the server's log under the request's id.")
    }

    /// Full, stopping, or without its database; nothing was taken in.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, detail).retry_after(5)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        if db::is_transient(&error) {
            tracing::warn!(error = %error, "a transaction met another");
            return Self::met_another();
        }
        let out_of_reach = matches!(error, E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Tls(_));
        let engine_says = matches!(error, E::Database(_)) && !db::is_constraint_violation(&error);
        if out_of_reach || (engine_says && is_health(&error)) {
            tracing::error!(error = %error, "the database does not answer");
            return Self::unavailable("The database cannot be reached now; nothing was taken in.");
        }
        Self::internal(&error)
    }
}

impl From<Stopped> for Problem {
    fn from(error: Stopped) -> Self {
        match error {
            Stopped::Sql(error) => error.into(),
            Stopped::Unconfirmed(_) => Self::new(Code::RecoveryUnconfirmed, format!("{error}.")),
        }
    }
}

impl From<CashOverflow> for Problem {
    fn from(error: CashOverflow) -> Self {
        Self::validation(format!("{error}."))
    }
}

/// Whether the engine failed by its health (busy, full, shutting down), not by the statement.
fn is_health(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let Some(code) = code else { return false };
    // SQLite's primary codes: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN. PostgreSQL's classes:
    // connection, insufficient resources, operator intervention, system error.
    let sqlite = code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14));
    sqlite && code.len() < 5 || ["08", "53", "57", "58"].iter().any(|class| code.len() == 5 && code.starts_with(class))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { code, detail, more, errors, etag, retry_after_s, met_another } = self;
        let mut body = more;
        if !errors.is_empty() {
            body.insert("errors".to_owned(), serde_json::to_value(errors).unwrap_or_default());
        }
        body.insert("type".to_owned(), format!("/problems/{}", code.code()).into());
        let language = accepted_language();
        body.insert("title".to_owned(), code.title(language).into());
        body.insert("status".to_owned(), code.status().as_u16().into());
        body.insert("detail".to_owned(), detail.into());
        body.insert("code".to_owned(), code.code().into());
        body.insert("retryable".to_owned(), code.retryable().into());
        body.insert("request_id".to_owned(), request_id().into());
        let mut response = (code.status(), Json(Value::Object(body))).into_response();
        response.extensions_mut().insert(code);
        if met_another {
            response.extensions_mut().insert(MetAnother);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        // The detail is for who builds on this API: it stays English.
        let languages = if language == Language::English { "en".to_owned() } else { format!("{}, en", language.tag()) };
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::try_from(languages).expect("our tags are ASCII"));
        headers.append(header::VARY, HeaderValue::from_static("accept-language"));
        if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            headers.insert(header::ETAG, etag);
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_spelled_alike_and_only_what_passes_is_worth_a_retry() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            let status = code.status().as_u16();
            let passes = status >= 500 || status == 429 || status == 408 || *code == Code::IdempotencyInFlight;
            assert_eq!(code.retryable(), passes, "{}", code.code());
            assert!(code.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", code.code());
        }
    }

    #[test]
    fn every_code_has_a_title_in_every_language() {
        for language in Language::ALL {
            let known = messages::ids(*language);
            let needed = |code: &&Code| !known.contains(&format!("problem-{}", code.code()));
            let missing: Vec<_> = Code::ALL.iter().filter(needed).map(|code| code.code()).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", language.tag());
        }
    }
}
