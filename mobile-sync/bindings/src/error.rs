//! The one error of the bindings: a stable code for the app, words for people.

use daybook_mobile_sync::StoreError;
use daybook_mobile_sync::capture::{CaptureError, EditBoardError};
use daybook_mobile_sync::client::ClientError;
use daybook_mobile_sync::enrol::EnrolError;
use daybook_mobile_sync::session::SessionError;
use daybook_mobile_sync::store::ChangeHandsError;
use daybook_mobile_sync::view::{QuoteError, ViewError};

/// Why a call did nothing. There is one kind, told apart by its code.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum PhoneError {
    /// The call failed, and nothing of it is in the store.
    #[error("{words} ({code})")]
    Failed {
        /// Stable, for programs: `storage_full`, `not_enrolled`, `override_required`, ... or the server's own,
        /// which is spelled with hyphens.
        code: String,
        /// What happened and what to do, in English.
        words: String,
    },
}

/// The host app could not do what it was asked.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum HostError {
    /// It says why.
    #[error("{words}")]
    Failed {
        /// Why.
        words: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for HostError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { words: error.reason }
    }
}

impl PhoneError {
    pub(crate) fn of(code: &str, error: impl std::fmt::Display) -> Self {
        Self::Failed { code: code.to_owned(), words: error.to_string() }
    }

    /// An argument that is not what it should be.
    pub(crate) fn argument(error: impl std::fmt::Display) -> Self {
        Self::of("argument", error)
    }
}

impl From<StoreError> for PhoneError {
    fn from(error: StoreError) -> Self {
        Self::of(error.code(), error)
    }
}

impl From<SessionError> for PhoneError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Store(error) => error.into(),
            SessionError::NotEnrolled => Self::of("not_enrolled", error),
        }
    }
}

impl From<CaptureError> for PhoneError {
    fn from(error: CaptureError) -> Self {
        let code = match &error {
            CaptureError::Store(error) => error.code(),
            CaptureError::NotEnrolled => "not_enrolled",
            CaptureError::Wiped => "wiped",
            CaptureError::OverrideRequired(_) => "override_required",
            CaptureError::Entry(_) => "field",
            CaptureError::Currency { .. } => "currency",
            CaptureError::ValueDate { .. } => "value_date",
            CaptureError::PromisedDate { .. } => "promised_date",
            CaptureError::OwnReceiptNumber(_) => "own_receipt_number",
            CaptureError::NotCash(_) => "not_cash",
            CaptureError::UnknownTarget(_) => "unknown_target",
            CaptureError::FileSize(_) => "file_size",
            CaptureError::FilesFull => "files_full",
            CaptureError::Money(_) => "amount",
        };
        Self::of(code, error)
    }
}

impl From<EditBoardError> for PhoneError {
    fn from(error: EditBoardError) -> Self {
        let code = match &error {
            EditBoardError::Store(error) => error.code(),
            EditBoardError::NotEnrolled => "not_enrolled",
            EditBoardError::Wiped => "wiped",
            EditBoardError::NotHeld => "not_held",
            EditBoardError::Edit(error) => return Self::of(error.code(), error),
        };
        Self::of(code, error)
    }
}

impl From<ViewError> for PhoneError {
    fn from(error: ViewError) -> Self {
        Self::of(error.code(), error)
    }
}

impl From<QuoteError> for PhoneError {
    fn from(error: QuoteError) -> Self {
        Self::of(error.code(), error)
    }
}

impl From<ClientError> for PhoneError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Session(error) => error.into(),
            ClientError::Enrol(error) => error.into(),
            ClientError::Address(_) | ClientError::PlainHttp(_) => Self::of("address", error),
            ClientError::Tls(_) => Self::of("tls", error),
            ClientError::Transport(_) => Self::of("unreachable", error),
        }
    }
}

impl From<EnrolError> for PhoneError {
    fn from(error: EnrolError) -> Self {
        let code = match &error {
            EnrolError::Store(error) | EnrolError::ChangeHands(ChangeHandsError::Store(error)) => error.code(),
            EnrolError::ChangeHands(ChangeHandsError::NotHandedIn { .. }) => "not_handed_in",
            EnrolError::Refused { code: Some(code), .. } => return Self::of(code, &error),
            EnrolError::Refused { code: None, .. } => "refused",
            EnrolError::Answer(_) => "untrusted",
            EnrolError::OtherServer => "other_server",
            EnrolError::OtherUser => "other_user",
            EnrolError::NotEnrolled => "not_enrolled",
        };
        Self::of(code, error)
    }
}
