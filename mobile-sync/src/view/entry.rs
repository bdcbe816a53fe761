//! An entry as people see it.

use daybook_shared::entry::Entry;
use daybook_shared::ids::{DossierId, EntryId};
use daybook_shared::messages::Language;
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;
use daybook_shared::wire::outcome::Outcome;
use serde::Serialize;

use super::said::said;
use super::words;
use crate::store::{EntryState, StoredEntry};

/// An entry as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryView {
    /// Its id.
    pub id: EntryId,
    /// Its dossier.
    pub dossier: DossierId,
    /// Its type's code; OTHER codes are shown as they came.
    pub kind: String,
    /// When it was captured, by its phone's clock.
    pub captured_at: Timestamp,
    /// The colleague who captured it; absent for an own one.
    pub by: Option<String>,
    /// The money it is about.
    pub amount: Option<Money>,
    /// The payer's receipt number.
    pub receipt: Option<String>,
    /// What it says, in a line.
    pub text: String,
    /// `pending`, `sent`, `posted`, `noted`, `held` or `refused`.
    pub state: &'static str,
    /// The office has lost a part of its records and has not said this again yet: being confirmed.
    pub being_confirmed: bool,
    /// The code of the reason, when held or refused.
    pub reason: Option<String>,
    /// The reason in words.
    pub reason_words: Option<String>,
    /// What people should know, in words.
    pub flags: Vec<String>,
    /// The codes of what people should know, in the order of the words.
    pub flag_codes: Vec<String>,
}

impl EntryView {
    pub(crate) fn of(stored: &StoredEntry, language: Language) -> Self {
        let (state, outcome) = match &stored.state {
            EntryState::Pending => ("pending", None),
            EntryState::Sealed { .. } => ("sent", None),
            EntryState::Answered(outcome) => (outcome.state.code(), Some(outcome)),
        };
        let reason = outcome.and_then(|Outcome { reason, .. }| reason.as_ref());
        let flags = outcome.and_then(|outcome| outcome.flags.as_deref()).unwrap_or_default();
        let read = Entry::decode(&stored.bytes).ok();
        let (amount, receipt, text) = read.as_ref().map(|entry| said(&entry.body)).unwrap_or_default();
        Self {
            id: stored.id,
            dossier: stored.dossier,
            kind: read.as_ref().map_or("OTHER", |entry| entry.head.entry_type.code()).to_owned(),
            captured_at: read.as_ref().map_or(Timestamp::EPOCH, |entry| entry.head.captured_at),
            by: stored.author.clone(),
            amount,
            receipt,
            text,
            state,
            being_confirmed: stored.unconfirmed,
            reason: reason.map(|reason| reason.code().to_owned()),
            reason_words: reason.map(|reason| words::of_reason(language, reason)),
            flags: flags.iter().map(|flag| words::of_flag(language, flag)).collect(),
            flag_codes: flags.iter().map(|flag| flag.code().to_owned()).collect(),
        }
    }
}
