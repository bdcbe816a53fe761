//! Rows of what officers record of cases and of their days.

use daybook_shared::entry::{
    Attempts, CallAttempt, CallChannel, CaseHandover, CaseHandoverReason, CaseLevel, Complaint, ComplaintKind,
    ContactChange, ContactField, ContactSource, ContactUpdate, DeviceEvent, DeviceEventKind, Disposition, NumberRef,
    Personal, SkipReason, StopEvent, StopEventKind,
};
use daybook_shared::ids::{AccountId, DeviceId, DossierId, EntryId};
use daybook_shared::money::Currency;
use daybook_shared::time::Timestamp;

use super::rows::Source;
use crate::batch_row;

batch_row! {
    /// A row of `call_attempt`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct CallAttemptRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// By what means.
        channel: CallChannel => "text",
        /// Which number.
        number_ref: NumberRef => "text",
        /// When, by the phone's clock.
        dialled_at: Timestamp => "timestamptz",
        /// Seconds spoken.
        duration_s: i64 => "bigint",
        /// What came of it.
        disposition: Disposition => "text",
        /// Script.
        script: Option<String> => "text",
        /// Recording.
        recording: Option<String> => "text",
    }
}
batch_row! {
    /// A row of `contact_update`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct ContactUpdateRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Which contact.
        field: ContactField => "text",
        /// What is to become of it.
        change: ContactChange => "text",
        /// What was seen.
        old_seen: Option<Personal> => "text",
        /// The new value.
        new_value: Option<Personal> => "text",
        /// Who said so.
        source: ContactSource => "text",
        /// The customer agreed.
        consent: bool => "boolean",
        /// The number answered.
        confirmed_by_otp: bool => "boolean",
        /// Latitude of a new position.
        lat_e6: Option<i64> => "bigint",
        /// Longitude of it.
        lon_e6: Option<i64> => "bigint",
    }
}
batch_row! {
    /// A row of `complaint`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct ComplaintRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Account.
        account_uid: AccountId => "uuid",
        /// What it is about.
        kind: ComplaintKind => "text",
        /// The customer's words.
        text: Personal => "text",
        /// The amount in dispute.
        amount_minor: Option<i64> => "bigint",
        /// Its currency.
        currency: Option<Currency> => "text",
        /// What the customer wants.
        desired: Option<Personal> => "text",
    }
}
batch_row! {
    /// A row of `case_handover`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct CaseHandoverRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Who works it.
        from_level: CaseLevel => "text",
        /// Who should.
        to_level: CaseLevel => "text",
        /// Codes with a space between.
        reasons: String => "text",
        /// What the next one should know.
        summary: Personal => "text",
        /// Calls tried.
        calls: Option<i64> => "bigint",
        /// Visits tried.
        visits: Option<i64> => "bigint",
        /// How many reached the customer.
        reached: Option<i64> => "bigint",
        /// Promises not kept.
        broken_promises: Option<i64> => "bigint",
    }
}
batch_row! {
    /// A row of `stop_event`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct StopEventRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Stop.
        stop_uid: EntryId => "uuid",
        /// What became of it.
        kind: StopEventKind => "text",
        /// Why it was skipped.
        reason: Option<SkipReason> => "text",
        /// Visit.
        visit_uid: Option<EntryId> => "uuid",
        /// Account.
        account_uid: Option<AccountId> => "uuid",
    }
}
batch_row! {
    /// A row of `device_event`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct DeviceEventRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Device.
        device: DeviceId => "uuid",
        /// What happened.
        kind: DeviceEventKind => "text",
        /// When, by the phone's clock.
        happened_at: Timestamp => "timestamptz",
        /// By how much the clock was set.
        clock_ms: Option<i64> => "bigint",
        /// The first number granted.
        receipt_first: Option<String> => "text",
        /// The last.
        receipt_last: Option<String> => "text",
    }
}

impl CallAttemptRow {
    /// What a call attempt says.
    pub fn of(source: Source<'_>, call: &CallAttempt) -> Self {
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            channel: call.channel.clone(),
            number_ref: call.number_ref.clone(),
            dialled_at: call.dialled_at,
            duration_s: call.duration_s.into(),
            disposition: call.disposition.clone(),
            script: call.script.clone(),
            recording: call.recording.clone(),
        }
    }
}

impl ContactUpdateRow {
    /// What a contact update says.
    pub fn of(source: Source<'_>, update: &ContactUpdate) -> Self {
        let is_position = update.field == ContactField::Gps && update.change == ContactChange::New;
        let (lat_e6, lon_e6) = if is_position { source.position() } else { (None, None) };
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            field: update.field.clone(),
            change: update.change.clone(),
            old_seen: update.old_seen.clone(),
            new_value: update.new_value.clone(),
            source: update.source.clone(),
            consent: update.consent,
            confirmed_by_otp: update.confirmed_by_otp,
            lat_e6,
            lon_e6,
        }
    }
}

impl ComplaintRow {
    /// What a complaint says.
    pub fn of(source: Source<'_>, complaint: &Complaint) -> Self {
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            account_uid: complaint.account,
            kind: complaint.kind.clone(),
            text: complaint.text.clone(),
            amount_minor: complaint.amount.map(|amount| amount.minor),
            currency: complaint.amount.map(|amount| amount.currency),
            desired: complaint.desired.clone(),
        }
    }
}

impl CaseHandoverRow {
    /// What a case hand-over says.
    pub fn of(source: Source<'_>, handover: &CaseHandover) -> Self {
        let reasons: Vec<_> = handover.reasons.iter().map(CaseHandoverReason::code).collect();
        let tried = |count: fn(&Attempts) -> u32| handover.attempts.as_ref().map(|tried| i64::from(count(tried)));
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            from_level: handover.from.clone(),
            to_level: handover.to.clone(),
            reasons: reasons.join(" "),
            summary: handover.summary.clone(),
            calls: tried(|tried| tried.calls),
            visits: tried(|tried| tried.visits),
            reached: tried(|tried| tried.reached),
            broken_promises: tried(|tried| tried.broken_promises),
        }
    }
}

impl StopEventRow {
    /// What a stop event says.
    pub fn of(source: Source<'_>, event: &StopEvent) -> Self {
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            stop_uid: event.stop,
            kind: event.kind.clone(),
            reason: event.reason.clone(),
            visit_uid: event.visit,
            account_uid: event.account,
        }
    }
}

impl DeviceEventRow {
    /// What a device event says.
    pub fn of(source: Source<'_>, event: &DeviceEvent) -> Self {
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            device: source.entry.head.device,
            kind: event.kind.clone(),
            happened_at: event.happened_at,
            clock_ms: event.clock_ms,
            receipt_first: event.receipts.as_ref().map(|range| range.first.to_string()),
            receipt_last: event.receipts.as_ref().map(|range| range.last.to_string()),
        }
    }
}
