//! Typed rows of the records without money, from the bytes phones made.

use daybook_shared::entry::{Body, Entry};
use daybook_shared::time::Zone;

use super::captures::records;
use super::findings::Findings;
use super::log::LogRow;
use crate::db::Tx;
use crate::sync::records::agent::{
    AgentRegistrationRow, FloatCheckRow, IssueEventRow, IssueReportRow, TrainingRow, WeeklyContactRow,
};
use crate::sync::records::field::{
    CallAttemptRow, CaseHandoverRow, ComplaintRow, ContactUpdateRow, DeviceEventRow, StopEventRow,
};
use crate::sync::records::rows::Source;

const CALL_ATTEMPT: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.channel,
       t.number_ref, t.dialled_at, t.duration_s, t.disposition, t.script, t.recording
     from v join call_attempt t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const CONTACT_UPDATE: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.field,
       t.change, t.old_seen, t.new_value, t.source, t.consent, t.confirmed_by_otp, t.lat_e6,
       t.lon_e6
     from v join contact_update t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const COMPLAINT: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.account_uid,
       t.kind, t.text, t.amount_minor, t.currency, t.desired
     from v join complaint t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const CASE_HANDOVER: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.from_level,
       t.to_level, t.reasons, t.summary, t.calls, t.visits, t.reached, t.broken_promises
     from v join case_handover t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const STOP_EVENT: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.stop_uid,
       t.kind, t.reason, t.visit_uid, t.account_uid
     from v join stop_event t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const DEVICE_EVENT: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, x.uid as device,
       t.kind, t.happened_at, t.clock_ms, t.receipt_first, t.receipt_last
     from v join device_event t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id
     join device x on x.id = t.device_id";
const WEEKLY_CONTACT: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.agent_uid,
       t.iso_year, t.iso_week, t.mode, t.met, t.checklist, t.lat_e6, t.lon_e6
     from v join weekly_contact t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const FLOAT_CHECK: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.agent_uid,
       t.currency, t.e_money_minor, t.cash_minor, t.bank_minor, t.counted_at, t.e_money_source,
       t.rebalancing, t.rebalancing_minor
     from v join float_check t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const ISSUE_REPORT: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.agent_uid,
       t.category, t.severity, t.text, t.txn_refs, t.first_seen_at
     from v join issue_report t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const ISSUE_EVENT: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.agent_uid,
       t.issue_uid, t.kind, t.text, t.assignee
     from v join issue_event t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const TRAINING: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.agent_uid,
       t.module, t.trainer, t.attendee, t.held_on, t.score, t.passed, t.valid_to
     from v join training t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";
const AGENT_REGISTRATION: &str =
    "select t.entry_uid as uid, t.entry_uid, d.uid as dossier, t.user_id, t.captured_at, t.phone, t.name,
       t.id_kind, t.id_number_masked, t.outlet, t.lat_e6, t.lon_e6, t.photos
     from v join agent_registration t on t.entry_uid = v.uid join dossier d on d.id = t.dossier_id";

/// Compares them for a page of the log.
pub async fn verify(
    tx: &mut Tx,
    zone: &Zone,
    entries: &[(LogRow, Entry)],
    findings: &mut Findings,
) -> sqlx::Result<()> {
    macro_rules! derive {
        ($body:ident, $row:ident) => {
            |row: &LogRow, entry: &Entry| match &entry.body {
                Body::$body(body) => Some($row::of(source(zone, row, entry), body)),
                _ => None,
            }
        };
    }
    records(tx, ("call_attempt", CALL_ATTEMPT), entries, findings, derive!(CallAttempt, CallAttemptRow)).await?;
    records(tx, ("contact_update", CONTACT_UPDATE), entries, findings, derive!(ContactUpdate, ContactUpdateRow))
        .await?;
    records(tx, ("complaint", COMPLAINT), entries, findings, derive!(Complaint, ComplaintRow)).await?;
    records(tx, ("case_handover", CASE_HANDOVER), entries, findings, derive!(CaseHandover, CaseHandoverRow)).await?;
    records(tx, ("stop_event", STOP_EVENT), entries, findings, derive!(StopEvent, StopEventRow)).await?;
    records(tx, ("device_event", DEVICE_EVENT), entries, findings, derive!(DeviceEvent, DeviceEventRow)).await?;
    records(tx, ("weekly_contact", WEEKLY_CONTACT), entries, findings, derive!(WeeklyContact, WeeklyContactRow))
        .await?;
    records(tx, ("float_check", FLOAT_CHECK), entries, findings, derive!(FloatCheck, FloatCheckRow)).await?;
    records(tx, ("issue_report", ISSUE_REPORT), entries, findings, derive!(IssueReport, IssueReportRow)).await?;
    records(tx, ("issue_event", ISSUE_EVENT), entries, findings, derive!(IssueEvent, IssueEventRow)).await?;
    records(tx, ("training", TRAINING), entries, findings, derive!(Training, TrainingRow)).await?;
    records(
        tx,
        ("agent_registration", AGENT_REGISTRATION),
        entries,
        findings,
        derive!(AgentRegistration, AgentRegistrationRow),
    )
    .await
}

fn source<'a>(zone: &Zone, row: &LogRow, entry: &'a Entry) -> Source<'a> {
    let (user_id, captured_at) = (row.user_id, row.captured_at);
    Source { entry, user_id, captured_at, captured_on: zone.date_of(captured_at) }
}
