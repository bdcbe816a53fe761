//! One record of each type without money, with every field that a phone can fill: for storms, stories and
//! corpora.

use daybook_mobile_sync::capture::{Draft, What};
use daybook_shared::entry::{
    AgentMet, AgentRegistration, Attempts, Body, CallAttempt, CallChannel, CaseHandover, CaseHandoverReason, CaseLevel,
    CheckAnswer, Checklist, Complaint, ComplaintKind, ContactChange, ContactField, ContactSource, ContactUpdate,
    DeviceEvent, DeviceEventKind, Disposition, FloatCheck, FloatSource, Gps, IdKind, IssueCategory, IssueEvent,
    IssueEventKind, IssueReport, NextAction, NumberRef, Rebalancing, RebalancingDirection, ReceiptNumber, ReceiptRange,
    StopEvent, StopEventKind, Training, WeeklyContact, WeeklyMode, masked,
};
use daybook_shared::ids::{AccountId, AgentId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::time::{Date, Timestamp};

use crate::sim::KES;

/// What records are about.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// An account.
    pub account: AccountId,
    /// An agent.
    pub agent: AgentId,
    /// The report of an issue of the agent's.
    pub issue: EntryId,
    /// A stop and a visit.
    pub link: EntryId,
    /// When.
    pub at: Timestamp,
    /// The business date.
    pub today: Date,
}

/// Where a record is made.
pub const GPS: Gps = Gps { lat_e6: -1_292_066, lon_e6: 36_821_945, accuracy_m: 12, age_s: 3, mock: false };

/// One of each, with its name.
pub fn each(about: About) -> Vec<(&'static str, Body)> {
    vec![
        ("call_attempt", Body::CallAttempt(call_attempt(about))),
        ("contact_update", Body::ContactUpdate(contact_update())),
        ("complaint", Body::Complaint(complaint(about, ComplaintKind::PaidNotCredited))),
        ("case_handover", Body::CaseHandover(case_handover())),
        ("stop_event", Body::StopEvent(stop_event(about))),
        ("device_event", Body::DeviceEvent(device_event(about))),
        ("weekly_contact", Body::WeeklyContact(weekly_contact(about))),
        ("float_check", Body::FloatCheck(float_check(about))),
        ("issue_report", Body::IssueReport(issue_report(about, IssueCategory::FailedTxn))),
        ("issue_event", Body::IssueEvent(issue_event(about))),
        ("training", Body::Training(training(about))),
        ("agent_registration", Body::AgentRegistration(agent_registration())),
    ]
}

/// A record as an app hands it over, about an account where its type needs one.
///
/// # Panics
/// For a body with money.
pub fn draft(body: Body, account: AccountId) -> Draft {
    let what = match body {
        Body::CallAttempt(call) => What::CallAttempt { account, call },
        Body::ContactUpdate(update) => What::ContactUpdate { account, update },
        Body::Complaint(complaint) => What::Complaint(complaint),
        Body::CaseHandover(handover) => What::CaseHandover { account, handover },
        Body::StopEvent(event) => What::StopEvent(event),
        Body::DeviceEvent(event) => What::DeviceEvent(event),
        Body::WeeklyContact(contact) => What::WeeklyContact(contact),
        Body::FloatCheck(check) => What::FloatCheck(check),
        Body::IssueReport(report) => What::IssueReport(report),
        Body::IssueEvent(event) => What::IssueEvent(event),
        Body::Training(training) => What::Training(training),
        Body::AgentRegistration(registration) => What::AgentRegistration(registration),
        other => panic!("{other:?} is no record without money"),
    };
    Draft { gps: Some(GPS), ..what.into() }
}

/// A call that was answered.
pub fn call_attempt(about: About) -> CallAttempt {
    CallAttempt {
        channel: CallChannel::Call,
        number_ref: NumberRef::AltPhone,
        dialled_at: about.at.plus_ms(-95_000),
        duration_s: 95,
        disposition: Disposition::RpcPromised,
        script: Some("FIRST_REMINDER".to_owned()),
        recording: Some("pbx/77".to_owned()),
        note: Some("Will pay after the market.".into()),
    }
}

/// A new phone number.
pub fn contact_update() -> ContactUpdate {
    ContactUpdate {
        field: ContactField::Phone,
        change: ContactChange::New,
        old_seen: Some("+254700000001".into()),
        new_value: Some("+254711000002".into()),
        source: ContactSource::Neighbour,
        consent: true,
        confirmed_by_otp: false,
    }
}

/// A complaint of a kind.
pub fn complaint(about: About, kind: ComplaintKind) -> Complaint {
    Complaint {
        account: about.account,
        kind,
        text: "Paid at the kiosk on Monday.".into(),
        amount: Some(Money::new(50_000, KES)),
        desired: Some("To see it on the account.".into()),
    }
}

/// From the field to the lawyers.
pub fn case_handover() -> CaseHandover {
    CaseHandover {
        from: CaseLevel::Field,
        to: CaseLevel::Legal,
        reasons: vec![CaseHandoverReason::BrokenPromises, CaseHandoverReason::NotTraceable],
        summary: "Three promises, then the shop was closed.".into(),
        attempts: Some(Attempts { calls: 9, visits: 4, reached: 3, broken_promises: 3 }),
    }
}

/// A stop that is done.
pub fn stop_event(about: About) -> StopEvent {
    StopEvent {
        stop: about.link,
        kind: StopEventKind::Done,
        reason: None,
        visit: Some(about.link),
        account: Some(about.account),
        note: Some("The second stop.".to_owned()),
    }
}

/// A block of receipt numbers.
pub fn device_event(about: About) -> DeviceEvent {
    let number = |n| ReceiptNumber::new("AB12", n).expect("a receipt number");
    DeviceEvent {
        kind: DeviceEventKind::ReceiptBlockGranted,
        happened_at: about.at,
        clock_ms: None,
        receipts: Some(ReceiptRange { first: number(51), last: number(100) }),
        detail: Some("The second block.".to_owned()),
    }
}

/// A visit to an agent.
pub fn weekly_contact(about: About) -> WeeklyContact {
    use CheckAnswer::{No, NotApplicable, Yes};
    WeeklyContact {
        agent: about.agent,
        mode: WeeklyMode::Visit,
        met: AgentMet::Attendant,
        checklist: Some(Checklist {
            branding: Yes,
            tariff_displayed: No,
            receipt_printer: NotApplicable,
            device_ok: Yes,
            float_ok: Yes,
            trained_attendant: No,
            aml_poster: Yes,
        }),
        complaints: Some("Settlement is late.".into()),
        competitor_notes: Some("A new kiosk across the road.".into()),
        next_action: Some(NextAction { action: "TRAIN".to_owned(), on: about.today.plus_days(7) }),
        no_fix_reason: None,
    }
}

/// Much cash and no e-money.
pub fn float_check(about: About) -> FloatCheck {
    let direction = RebalancingDirection::CashToEMoney;
    FloatCheck {
        agent: about.agent,
        e_money: Money::new(0, KES),
        cash_minor: 4_000_000,
        bank_minor: Some(1_000_000),
        counted_at: about.at,
        e_money_source: FloatSource::Screen,
        rebalancing: Some(Rebalancing { direction, amount_minor: 2_000_000 }),
    }
}

/// An issue of a category.
pub fn issue_report(about: About, category: IssueCategory) -> IssueReport {
    IssueReport {
        agent: about.agent,
        category,
        severity: 2,
        text: "Cash-out fails after the PIN.".into(),
        txn_refs: Some(vec!["QF12AB34".to_owned(), "QF12AB35".to_owned()]),
        first_seen: about.at.plus_ms(-3_600_000),
    }
}

/// The issue is somebody's.
pub fn issue_event(about: About) -> IssueEvent {
    IssueEvent {
        agent: about.agent,
        issue: about.issue,
        kind: IssueEventKind::Assign,
        text: Some("The terminal's firmware is old.".into()),
        assignee: Some("The terminal team".into()),
    }
}

/// A training that was passed.
pub fn training(about: About) -> Training {
    Training {
        agent: about.agent,
        module: "AML_BASICS".to_owned(),
        trainer: "Chebet".into(),
        attendee: "Mama Njeri".into(),
        held_on: about.today,
        score: Some(85),
        passed: true,
        valid_to: Some(about.today.plus_days(365)),
    }
}

/// Somebody who wants to become an agent.
pub fn agent_registration() -> AgentRegistration {
    AgentRegistration {
        phone: "+254722000003".into(),
        name: "Wanjiru K.".into(),
        id_kind: IdKind::NationalId,
        id_number_masked: masked("12345678"),
        outlet: "Stage 8 kiosk".into(),
        consent: true,
        no_fix_reason: None,
    }
}
