//! What goes into a session and what comes out.

use std::borrow::Cow;

use daybook_shared::ids::DossierId;
use daybook_shared::wire::sign::DeviceState;

use crate::store::StoreError;

/// What happened outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Begin. The first event of a session.
    Start,
    /// The response's status line and headers have come.
    Status {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, in milliseconds, where there was one.
        retry_after_ms: Option<u64>,
    },
    /// The next bytes of the body, as they come.
    BodyBytes(&'a [u8]),
    /// The body has ended as it should.
    BodyEnd,
    /// The connection could not be made: not a byte of the request has left.
    NotSent,
    /// The connection broke, or took too long.
    TransportFailed,
    /// The time of [`Effect::Wait`] is over.
    TimerFired,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this request and report what comes. A response still being read is of no more interest.
    Send(HttpRequest),
    /// Wait, then say [`Event::TimerFired`]. A response still being read is of no more interest.
    Wait {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The session is over.
    Finished(SyncReport),
}

/// A request as it has to be sent, to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: &'static str,
    /// The path with its query, which the device's signature covers.
    pub path: Cow<'static, str>,
    /// Headers: lower-case name and value.
    pub headers: Vec<(&'static str, String)>,
    /// The body, which the device's signature covers.
    pub body: Vec<u8>,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncEnd {
    /// Nothing is left to send, and this phone holds all the server had for it.
    UpToDate,
    /// What was captured is handed in; nothing comes down until the officer logs in again.
    LoginRequired,
    /// The server has revoked this phone. What was captured is handed in.
    Locked(DeviceState),
    /// The server would not read an envelope; it is kept. Everything else went on.
    EnvelopeRefused {
        /// The envelope's number.
        number: u64,
        /// The server's stable code.
        code: String,
    },
    /// The server said no for good.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The problem's stable code, if it named one.
        code: Option<String>,
    },
    /// Too many failures; what was captured is safe, and a later sync goes on where this one was.
    GaveUp(GaveUp),
}

/// Why a session stopped trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GaveUp {
    /// No connection, or it kept breaking.
    #[error("the server cannot be reached")]
    Unreachable,
    /// The server kept failing.
    #[error("the server has a problem (status {0})")]
    ServerError(u16),
    /// Responses that break the protocol, or that are not signed by the pinned server key.
    #[error("the server's answers make no sense, or are not the enrolled server's")]
    Protocol,
    /// New installs did not help.
    #[error("the server does not accept this phone's numbering: ask the office")]
    Numbering,
}

/// What a session did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// How it ended.
    pub end: SyncEnd,
    /// Requests made, whether or not they got through.
    pub round_trips: u32,
    /// Times it waited and tried again.
    pub retries: u32,
    /// Bytes of request bodies, as sent; not of requests for which there was no connection.
    pub bytes_up: u64,
    /// Bytes of response bodies, as received.
    pub bytes_down: u64,
    /// Whole frames applied.
    pub frames: u32,
    /// Envelopes whose items got their verdicts.
    pub envelopes_answered: u32,
    /// Own entries that got a verdict, the first or another one.
    pub entries_answered: u32,
    /// Parts of dossiers that came.
    pub deltas: u32,
    /// Own board changes that the server put aside; the words are drafts now.
    pub quarantined: u32,
    /// Dossiers that left this phone.
    pub purged: Vec<DossierId>,
    /// New installs that had to be started.
    pub new_installs: u32,
    /// Files that the server has now.
    pub files_sent: u32,
    /// Files that have not arrived.
    pub files_left: u64,
    /// Times the server was found set back, and what is kept was handed in again.
    pub rewinds: u32,
}

impl Default for SyncReport {
    fn default() -> Self {
        Self {
            end: SyncEnd::UpToDate,
            round_trips: 0,
            retries: 0,
            bytes_up: 0,
            bytes_down: 0,
            frames: 0,
            envelopes_answered: 0,
            entries_answered: 0,
            deltas: 0,
            quarantined: 0,
            purged: Vec::new(),
            new_installs: 0,
            files_sent: 0,
            files_left: 0,
            rewinds: 0,
        }
    }
}

/// Why a session cannot go on at all. The store holds what was applied before.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The phone has to be enrolled first.
    #[error("this phone is not enrolled yet: enrol it with the code from the office")]
    NotEnrolled,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionError {
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_full())
    }
}
