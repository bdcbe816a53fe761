//! What an entry says, in a line. Codes are shown as they are; OTHER ones as they came.

use daybook_shared::entry::{
    Body, CallAttempt, CaseHandover, CheckAnswer, Checklist, ContactChange, ContactUpdate, DeviceEvent, FloatCheck,
    IssueEvent, Personal, StopEvent, Training, WeeklyContact,
};
use daybook_shared::money::Money;

/// Amount, receipt number and a line of text.
pub(super) fn said(body: &Body) -> (Option<Money>, Option<String>, String) {
    match body {
        Body::Visit(visit) => {
            let note = noted(visit.note.as_deref());
            (None, None, format!("{} visit, {}, met {}{note}", visit.kind, visit.outcome, visit.person_met))
        }
        Body::Repayment(repayment) => {
            let receipt = repayment.receipt.as_ref().map(ToString::to_string);
            let by = repayment.external_ref.as_deref().map(|reference| format!(" {reference}")).unwrap_or_default();
            (Some(repayment.amount), receipt, format!("{}{by} for {}", repayment.channel, repayment.value_date))
        }
        Body::Promise(promise) => {
            (Some(promise.amount), None, format!("promised for {} by {}", promise.promised_date, promise.channel))
        }
        Body::Correction(correction) => {
            (None, None, format!("{} of {}: {}", correction.kind, correction.target, correction.reason))
        }
        Body::CashHandover(handover) => {
            let count = handover.repayments.len();
            (Some(handover.declared), None, format!("handed to {}, {count} repayments", handover.to))
        }
        Body::TransactionCheck(check) => {
            (Some(check.amount), None, format!("{} {}: {}", check.txn_type, check.txn_ref, check.result))
        }
        Body::Complaint(complaint) => {
            let wants = complaint.desired.as_ref().map(|wants| format!("; wants {}", wants.as_str()));
            let text = format!("{}: {}{}", complaint.kind, complaint.text.as_str(), wants.unwrap_or_default());
            (complaint.amount, None, text)
        }
        Body::FloatCheck(check) => (Some(check.e_money), None, float(check)),
        body => (None, None, record(body)),
    }
}

fn record(body: &Body) -> String {
    match body {
        Body::CallAttempt(call) => called(call),
        Body::ContactUpdate(update) => contact(update),
        Body::CaseHandover(handover) => handed_over(handover),
        Body::StopEvent(event) => stopped(event),
        Body::DeviceEvent(event) => device(event),
        Body::WeeklyContact(contact) => weekly(contact),
        Body::IssueReport(report) => {
            let refs = report.txn_refs.as_deref().unwrap_or_default();
            let named = if refs.is_empty() { String::new() } else { format!(" ({})", refs.join(", ")) };
            format!("{}, severity {}: {}{named}", report.category, report.severity, report.text.as_str())
        }
        Body::IssueEvent(event) => issue_event(event),
        Body::Training(training) => trained(training),
        Body::AgentRegistration(registration) => {
            let (name, outlet, phone) = (&registration.name, &registration.outlet, &registration.phone);
            let id = registration.id_number_masked.as_str();
            format!("{} at {}, {}, {} {id}", name.as_str(), outlet.as_str(), phone.as_str(), registration.id_kind)
        }
        _ => String::new(),
    }
}

fn noted(note: Option<&str>) -> String {
    note.map(|note| format!(": {note}")).unwrap_or_default()
}

fn called(call: &CallAttempt) -> String {
    let spoken = if call.duration_s > 0 { format!(" ({} s)", call.duration_s) } else { String::new() };
    let note = noted(call.note.as_ref().map(Personal::as_str));
    format!("{} to {}, {}{spoken}{note}", call.channel, call.number_ref, call.disposition)
}

fn contact(update: &ContactUpdate) -> String {
    let said_by = &update.source;
    let old = update.old_seen.as_ref().map_or("", Personal::as_str);
    match (&update.change, &update.new_value) {
        (ContactChange::Invalid, _) => format!("{} {old} is not valid, says {said_by}", update.field),
        (_, Some(new)) => format!("{} is {}, says {said_by}", update.field, new.as_str()),
        (_, None) => format!("{} is here, says {said_by}", update.field),
    }
}

fn handed_over(handover: &CaseHandover) -> String {
    let reasons: Vec<_> = handover.reasons.iter().map(ToString::to_string).collect();
    format!("{} to {}, {}: {}", handover.from, handover.to, reasons.join(" "), handover.summary.as_str())
}

fn stopped(event: &StopEvent) -> String {
    let reason = event.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("stop {} {}{reason}{}", event.stop, event.kind, noted(event.note.as_deref()))
}

fn device(event: &DeviceEvent) -> String {
    let clock = event.clock_ms.map(|ms| format!(" by {ms} ms")).unwrap_or_default();
    let receipts = event.receipts.as_ref().map(|range| format!(" {} to {}", range.first, range.last));
    format!("{}{clock}{}{}", event.kind, receipts.unwrap_or_default(), noted(event.detail.as_deref()))
}

fn weekly(contact: &WeeklyContact) -> String {
    let mut parts = vec![format!("{}, met {}", contact.mode, contact.met)];
    let missing = contact.checklist.iter().flat_map(Checklist::answers);
    let missing: Vec<_> =
        missing.filter(|(_, answer)| **answer == CheckAnswer::No).map(|(question, _)| question).collect();
    if !missing.is_empty() {
        parts.push(format!("missing: {}", missing.join(" ")));
    }
    for (about, words) in [("complains", &contact.complaints), ("competitors", &contact.competitor_notes)] {
        parts.extend(words.as_ref().map(|words| format!("{about}: {}", words.as_str())));
    }
    parts.join("; ")
}

fn float(check: &FloatCheck) -> String {
    let money = |minor| Money::new(minor, check.e_money.currency);
    let bank = check.bank_minor.map(|minor| format!(", {} at the bank", money(minor))).unwrap_or_default();
    let wants = check.rebalancing.as_ref();
    let wants = wants.map(|wants| format!("; wants {} {}", wants.direction, money(wants.amount_minor)));
    format!(
        "e-money by {}, {} in cash{bank}{}",
        check.e_money_source,
        money(check.cash_minor),
        wants.unwrap_or_default()
    )
}

fn issue_event(event: &IssueEvent) -> String {
    let to = event.assignee.as_ref().map(|to| format!(" to {}", to.as_str())).unwrap_or_default();
    format!("{}{to} of {}{}", event.kind, event.issue, noted(event.text.as_ref().map(Personal::as_str)))
}

fn trained(training: &Training) -> String {
    let result = if training.passed { "passed" } else { "not passed" };
    let score = training.score.map(|score| format!(" with {score} %")).unwrap_or_default();
    let until = training.valid_to.map(|until| format!(", valid to {until}")).unwrap_or_default();
    let (who, by) = (training.attendee.as_str(), training.trainer.as_str());
    format!("{} of {who} by {by} on {}: {result}{score}{until}", training.module, training.held_on)
}
