//! Typed rows of the records without money: what each says, made from its bytes in one place, for writing
//! them and for verifying them.

use daybook_shared::entry::{Body, Entry};
use daybook_shared::ids::{DossierId, EntryId};
use daybook_shared::time::{Date, Timestamp};

use super::agent::{AgentRegistrationRow, FloatCheckRow, IssueEventRow, IssueReportRow, TrainingRow, WeeklyContactRow};
use super::field::{CallAttemptRow, CaseHandoverRow, ComplaintRow, ContactUpdateRow, DeviceEventRow, StopEventRow};
use crate::db::{Tx, batch};

/// An accepted entry, and what the server knows of it beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// Who captured it.
    pub user_id: i64,
    /// Corrected capture time.
    pub captured_at: Timestamp,
    /// The business date of it, in the lender's zone.
    pub captured_on: Date,
}

impl Source<'_> {
    pub(super) fn entry_uid(self) -> EntryId {
        self.entry.head.id
    }

    pub(super) fn dossier(self) -> DossierId {
        self.entry.head.dossier
    }

    /// Where it was captured, in millionths of a degree.
    pub(super) fn position(self) -> (Option<i64>, Option<i64>) {
        let gps = self.entry.head.gps.as_ref();
        (gps.map(|gps| gps.lat_e6.into()), gps.map(|gps| gps.lon_e6.into()))
    }
}

/// How many there are: an entry's bytes hold few of anything.
pub(super) fn count<T>(some: impl Iterator<Item = T>) -> i64 {
    i64::try_from(some.count()).expect("an entry holds few of anything")
}

/// Rows to be written.
#[derive(Debug, Default)]
pub struct Records {
    call_attempts: Vec<CallAttemptRow>,
    contact_updates: Vec<ContactUpdateRow>,
    complaints: Vec<ComplaintRow>,
    case_handovers: Vec<CaseHandoverRow>,
    stop_events: Vec<StopEventRow>,
    device_events: Vec<DeviceEventRow>,
    weekly_contacts: Vec<WeeklyContactRow>,
    float_checks: Vec<FloatCheckRow>,
    issue_reports: Vec<IssueReportRow>,
    issue_events: Vec<IssueEventRow>,
    trainings: Vec<TrainingRow>,
    agent_registrations: Vec<AgentRegistrationRow>,
}

impl Records {
    /// Adds the row of an entry, if it is a record of these types.
    pub fn add(&mut self, source: Source<'_>) {
        match &source.entry.body {
            Body::CallAttempt(body) => self.call_attempts.push(CallAttemptRow::of(source, body)),
            Body::ContactUpdate(body) => self.contact_updates.push(ContactUpdateRow::of(source, body)),
            Body::Complaint(body) => self.complaints.push(ComplaintRow::of(source, body)),
            Body::CaseHandover(body) => self.case_handovers.push(CaseHandoverRow::of(source, body)),
            Body::StopEvent(body) => self.stop_events.push(StopEventRow::of(source, body)),
            Body::DeviceEvent(body) => self.device_events.push(DeviceEventRow::of(source, body)),
            Body::WeeklyContact(body) => self.weekly_contacts.push(WeeklyContactRow::of(source, body)),
            Body::FloatCheck(body) => self.float_checks.push(FloatCheckRow::of(source, body)),
            Body::IssueReport(body) => self.issue_reports.push(IssueReportRow::of(source, body)),
            Body::IssueEvent(body) => self.issue_events.push(IssueEventRow::of(source, body)),
            Body::Training(body) => self.trainings.push(TrainingRow::of(source, body)),
            Body::AgentRegistration(body) => {
                self.agent_registrations.push(AgentRegistrationRow::of(source, body));
            }
            _ => {}
        }
    }
}

const INSERT_CALL_ATTEMPT: &str =
    "insert into call_attempt (entry_uid, dossier_id, user_id, captured_at, channel, number_ref,
       dialled_at, duration_s, disposition, script, recording)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.channel, v.number_ref, v.dialled_at,
       v.duration_s, v.disposition, v.script, v.recording
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_CONTACT_UPDATE: &str =
    "insert into contact_update (entry_uid, dossier_id, user_id, captured_at, field, change, old_seen,
       new_value, source, consent, confirmed_by_otp, lat_e6, lon_e6)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.field, v.change, v.old_seen, v.new_value,
       v.source, v.consent, v.confirmed_by_otp, v.lat_e6, v.lon_e6
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_COMPLAINT: &str =
    "insert into complaint (entry_uid, dossier_id, user_id, captured_at, account_uid, kind, text,
       amount_minor, currency, desired)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.account_uid, v.kind, v.text, v.amount_minor,
       v.currency, v.desired
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_CASE_HANDOVER: &str =
    "insert into case_handover (entry_uid, dossier_id, user_id, captured_at, from_level, to_level,
       reasons, summary, calls, visits, reached, broken_promises)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.from_level, v.to_level, v.reasons, v.summary,
       v.calls, v.visits, v.reached, v.broken_promises
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_STOP_EVENT: &str =
    "insert into stop_event (entry_uid, dossier_id, user_id, captured_at, stop_uid, kind, reason,
       visit_uid, account_uid)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.stop_uid, v.kind, v.reason, v.visit_uid,
       v.account_uid
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_DEVICE_EVENT: &str =
    "insert into device_event (entry_uid, dossier_id, user_id, captured_at, device_id, kind, happened_at,
       clock_ms, receipt_first, receipt_last)
     select v.entry_uid, d.id, v.user_id, v.captured_at, x.id, v.kind, v.happened_at, v.clock_ms,
       v.receipt_first, v.receipt_last
     from v join dossier d on d.uid = v.dossier join device x on x.uid = v.device where true";
const INSERT_WEEKLY_CONTACT: &str =
    "insert into weekly_contact (entry_uid, dossier_id, user_id, captured_at, agent_uid, iso_year,
       iso_week, mode, met, checklist, lat_e6, lon_e6)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.agent_uid, v.iso_year, v.iso_week, v.mode,
       v.met, v.checklist, v.lat_e6, v.lon_e6
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_FLOAT_CHECK: &str =
    "insert into float_check (entry_uid, dossier_id, user_id, captured_at, agent_uid, currency,
       e_money_minor, cash_minor, bank_minor, counted_at, e_money_source, rebalancing,
       rebalancing_minor)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.agent_uid, v.currency, v.e_money_minor,
       v.cash_minor, v.bank_minor, v.counted_at, v.e_money_source, v.rebalancing,
       v.rebalancing_minor
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_ISSUE_REPORT: &str =
    "insert into issue_report (entry_uid, dossier_id, user_id, captured_at, agent_uid, category,
       severity, text, txn_refs, first_seen_at)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.agent_uid, v.category, v.severity, v.text,
       v.txn_refs, v.first_seen_at
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_ISSUE_EVENT: &str =
    "insert into issue_event (entry_uid, dossier_id, user_id, captured_at, agent_uid, issue_uid, kind,
       text, assignee)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.agent_uid, v.issue_uid, v.kind, v.text,
       v.assignee
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_TRAINING: &str =
    "insert into training (entry_uid, dossier_id, user_id, captured_at, agent_uid, module, trainer,
       attendee, held_on, score, passed, valid_to)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.agent_uid, v.module, v.trainer, v.attendee,
       v.held_on, v.score, v.passed, v.valid_to
     from v join dossier d on d.uid = v.dossier where true";
const INSERT_AGENT_REGISTRATION: &str =
    "insert into agent_registration (entry_uid, dossier_id, user_id, captured_at, phone, name, id_kind,
       id_number_masked, outlet, lat_e6, lon_e6, photos)
     select v.entry_uid, d.id, v.user_id, v.captured_at, v.phone, v.name, v.id_kind, v.id_number_masked,
       v.outlet, v.lat_e6, v.lon_e6, v.photos
     from v join dossier d on d.uid = v.dossier where true";

/// Writes them: one statement a table that has any.
pub async fn insert(tx: &mut Tx, records: &Records) -> sqlx::Result<()> {
    batch::execute(tx, &records.call_attempts, INSERT_CALL_ATTEMPT).await?;
    batch::execute(tx, &records.contact_updates, INSERT_CONTACT_UPDATE).await?;
    batch::execute(tx, &records.complaints, INSERT_COMPLAINT).await?;
    batch::execute(tx, &records.case_handovers, INSERT_CASE_HANDOVER).await?;
    batch::execute(tx, &records.stop_events, INSERT_STOP_EVENT).await?;
    batch::execute(tx, &records.device_events, INSERT_DEVICE_EVENT).await?;
    batch::execute(tx, &records.weekly_contacts, INSERT_WEEKLY_CONTACT).await?;
    batch::execute(tx, &records.float_checks, INSERT_FLOAT_CHECK).await?;
    batch::execute(tx, &records.issue_reports, INSERT_ISSUE_REPORT).await?;
    batch::execute(tx, &records.issue_events, INSERT_ISSUE_EVENT).await?;
    batch::execute(tx, &records.trainings, INSERT_TRAINING).await?;
    batch::execute(tx, &records.agent_registrations, INSERT_AGENT_REGISTRATION).await?;
    Ok(())
}
