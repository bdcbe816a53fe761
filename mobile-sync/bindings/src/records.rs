//! What an app branches on.

use daybook_mobile_sync::{SyncEnd, SyncReport, capture};
use daybook_shared::codes::Codes as _;
use daybook_shared::entry::AttachmentKind;

use crate::error::PhoneError;

/// A file that goes with a capture: sealed with it, sent after it.
#[derive(Debug, uniffi::Record)]
pub struct File {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its media type, for example `image/jpeg`.
    pub mime: String,
    /// What it shows, as a code: `PHOTO`, `SIGNATURE`, ...
    #[uniffi(default = "PHOTO")]
    pub kind: String,
}

impl TryFrom<File> for capture::NewFile {
    type Error = PhoneError;

    fn try_from(File { bytes, mime, kind }: File) -> Result<Self, PhoneError> {
        let Ok(kind) = kind.parse::<AttachmentKind>();
        kind.unknown().map_or(Ok(Self { bytes, mime, kind }), |unknown| Err(PhoneError::argument(unknown)))
    }
}

/// What a capture gave.
#[derive(Debug, uniffi::Record)]
pub struct Captured {
    /// The entry's id.
    pub id: String,
    /// The dossier it belongs to.
    pub dossier: String,
    /// The payer's receipt number, for a repayment that has one.
    pub receipt: Option<String>,
    /// Whether that number is provisional.
    pub provisional: bool,
    /// What the officer should look at again, in English; the capture is stored all the same.
    pub warnings: Vec<String>,
}

impl From<capture::Captured> for Captured {
    fn from(captured: capture::Captured) -> Self {
        Self {
            id: captured.id.to_string(),
            dossier: captured.dossier.to_string(),
            receipt: captured.receipt.map(|receipt| receipt.to_string()),
            provisional: captured.provisional,
            warnings: captured.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

/// An edit of a dossier's board.
#[derive(Debug, uniffi::Enum)]
pub enum Note {
    /// The whole shared note; what colleagues write meanwhile is merged.
    Text {
        /// The note.
        text: String,
    },
    /// Adds a tag.
    AddTag {
        /// The tag.
        tag: String,
    },
    /// Removes a tag.
    RemoveTag {
        /// The tag.
        tag: String,
    },
    /// Adds a task.
    AddTask {
        /// What to do.
        text: String,
        /// Who is to do it; may be empty.
        by: String,
    },
    /// Marks a task done, or not done.
    TaskDone {
        /// Its id.
        id: String,
        /// Whether it is done.
        done: bool,
    },
}

/// What a sync did.
#[derive(Debug, uniffi::Record)]
pub struct Synced {
    /// `up_to_date`, `login_required`, `locked`, `envelope_refused`, `rejected`, `unreachable`, `server_error`,
    /// `protocol` or `numbering`. Whatever it is, what was captured is safe.
    pub end: String,
    /// More of it, for a report to the office: the server's code or status.
    pub detail: Option<String>,
    /// Own captures that got a verdict.
    pub answered: u32,
    /// Parts of dossiers that came.
    pub received: u32,
    /// Own board changes that were put aside: they are in `attention`.
    pub quarantined: u32,
    /// Dossiers that left this phone.
    pub purged: Vec<String>,
    /// Files that the server has now.
    pub files_sent: u32,
    /// Files that have not arrived; a later sync goes on with them.
    pub files_left: u64,
    /// Requests made.
    pub round_trips: u32,
    /// Bytes of requests.
    pub bytes_up: u64,
    /// Bytes of responses.
    pub bytes_down: u64,
}

impl From<SyncReport> for Synced {
    fn from(report: SyncReport) -> Self {
        use daybook_mobile_sync::session::GaveUp;
        let (end, detail) = match &report.end {
            SyncEnd::UpToDate => ("up_to_date", None),
            SyncEnd::LoginRequired => ("login_required", None),
            SyncEnd::Locked(_) => ("locked", None),
            SyncEnd::EnvelopeRefused { number, code } => ("envelope_refused", Some(format!("{code} {number}"))),
            SyncEnd::Rejected { status, code } => {
                ("rejected", Some(code.clone().unwrap_or_else(|| status.to_string())))
            }
            SyncEnd::GaveUp(GaveUp::Unreachable) => ("unreachable", None),
            SyncEnd::GaveUp(GaveUp::ServerError(status)) => ("server_error", Some(status.to_string())),
            SyncEnd::GaveUp(GaveUp::Protocol) => ("protocol", None),
            SyncEnd::GaveUp(GaveUp::Numbering) => ("numbering", None),
        };
        Self {
            end: end.to_owned(),
            detail,
            answered: report.entries_answered,
            received: report.deltas,
            quarantined: report.quarantined,
            purged: report.purged.iter().map(ToString::to_string).collect(),
            files_sent: report.files_sent,
            files_left: report.files_left,
            round_trips: report.round_trips,
            bytes_up: report.bytes_up,
            bytes_down: report.bytes_down,
        }
    }
}
