//! The records without money: their stored form, pinned, and the rules of each in one table.

use super::tests::{head, kes};
use super::*;
use crate::ids::AccountId;
use crate::time::Date;

const AGENT: [u8; 16] = [7; 16];
const OTHER: [u8; 16] = [9; 16];

fn at() -> Timestamp {
    Timestamp::from_millis(1_795_326_600_000)
}

fn day() -> Date {
    Date::from_days(20_779)
}

fn entry(body: Body) -> Entry {
    Entry { head: head(body.entry_type().unwrap()), body }
}

fn call_attempt() -> CallAttempt {
    CallAttempt {
        channel: CallChannel::Call,
        number_ref: NumberRef::AltPhone,
        dialled_at: at(),
        duration_s: 95,
        disposition: Disposition::RpcPromised,
        script: Some("FIRST_REMINDER".into()),
        recording: Some("pbx/2026/11/22/77".into()),
        note: Some("will pay after the market".into()),
    }
}

fn contact_update() -> ContactUpdate {
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

fn complaint() -> Complaint {
    Complaint {
        account: AccountId::from([6; 16]),
        kind: ComplaintKind::PaidNotCredited,
        text: "paid at the kiosk on Monday".into(),
        amount: Some(kes(50_000)),
        desired: Some("to see it on the account".into()),
    }
}

fn case_handover() -> CaseHandover {
    CaseHandover {
        from: CaseLevel::Field,
        to: CaseLevel::Legal,
        reasons: vec![CaseHandoverReason::BrokenPromises, CaseHandoverReason::NotTraceable],
        summary: "three promises, then the shop was closed".into(),
        attempts: Some(Attempts { calls: 9, visits: 4, reached: 3, broken_promises: 3 }),
    }
}

fn stop_event() -> StopEvent {
    StopEvent {
        stop: OTHER.into(),
        kind: StopEventKind::Done,
        reason: None,
        visit: Some([8; 16].into()),
        account: Some([6; 16].into()),
        note: Some("the second stop".into()),
    }
}

fn device_event() -> DeviceEvent {
    let number = |n| ReceiptNumber::new("AB12", n).unwrap();
    DeviceEvent {
        kind: DeviceEventKind::ReceiptBlockGranted,
        happened_at: at(),
        clock_ms: None,
        receipts: Some(ReceiptRange { first: number(51), last: number(100) }),
        detail: Some("the second block".into()),
    }
}

fn weekly_contact() -> WeeklyContact {
    use CheckAnswer::{No, NotApplicable, Yes};
    WeeklyContact {
        agent: AGENT.into(),
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
        complaints: Some("settlement is late".into()),
        competitor_notes: Some("a new kiosk across the road".into()),
        next_action: Some(NextAction { action: "TRAIN".into(), on: day().plus_days(7) }),
        no_fix_reason: Some("INDOORS".into()),
    }
}

fn float_check() -> FloatCheck {
    let direction = RebalancingDirection::CashToEMoney;
    FloatCheck {
        agent: AGENT.into(),
        e_money: kes(0),
        cash_minor: 4_000_000,
        bank_minor: Some(1_000_000),
        counted_at: at(),
        e_money_source: FloatSource::Screen,
        rebalancing: Some(Rebalancing { direction, amount_minor: 2_000_000 }),
    }
}

fn issue_report() -> IssueReport {
    IssueReport {
        agent: AGENT.into(),
        category: IssueCategory::FailedTxn,
        severity: 2,
        text: "cash-out fails after the PIN".into(),
        txn_refs: Some(vec!["QF12AB34".into(), "QF12AB35".into()]),
        first_seen: at(),
    }
}

fn issue_event() -> IssueEvent {
    IssueEvent {
        agent: AGENT.into(),
        issue: OTHER.into(),
        kind: IssueEventKind::Assign,
        text: Some("the terminal's firmware is old".into()),
        assignee: Some("the terminal team".into()),
    }
}

fn training() -> Training {
    Training {
        agent: AGENT.into(),
        module: "AML_BASICS".into(),
        trainer: "Chebet".into(),
        attendee: "Mama Njeri".into(),
        held_on: day(),
        score: Some(85),
        passed: true,
        valid_to: Some(day().plus_days(365)),
    }
}

fn agent_registration() -> AgentRegistration {
    AgentRegistration {
        phone: "+254722000003".into(),
        name: "Wanjiru K.".into(),
        id_kind: IdKind::NationalId,
        id_number_masked: masked("12345678"),
        outlet: "Stage 8 kiosk".into(),
        consent: true,
        no_fix_reason: Some("INDOORS".into()),
    }
}

/// One of every type, with every field that a phone can fill.
pub(crate) fn one_of_each() -> [Body; 12] {
    [
        Body::CallAttempt(call_attempt()),
        Body::ContactUpdate(contact_update()),
        Body::Complaint(complaint()),
        Body::CaseHandover(case_handover()),
        Body::StopEvent(stop_event()),
        Body::DeviceEvent(device_event()),
        Body::WeeklyContact(weekly_contact()),
        Body::FloatCheck(float_check()),
        Body::IssueReport(issue_report()),
        Body::IssueEvent(issue_event()),
        Body::Training(training()),
        Body::AgentRegistration(agent_registration()),
    ]
}

/// The bytes of version 1 are final: a change here makes records unreadable that phones hold.
#[test]
fn stored_form_of_every_record_is_pinned_and_reads_back() {
    for body in one_of_each() {
        let entry = entry(body);
        let name = entry.head.entry_type.code().to_lowercase();
        entry.check().unwrap();
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes).unwrap(), entry, "{name}");
        insta::assert_snapshot!(name, cbor::hex(&bytes));
    }
}

/// A changed body, with what it is, and whether its rules take it.
type Case = (&'static str, Body, bool);

macro_rules! changed {
    ($name:ident($body:expr): $($field:ident = $value:expr),+) => {{
        let mut body = $body;
        $(body.$field = $value;)+
        Body::$name(body)
    }};
}

fn check(cases: Vec<Case>) {
    for (what, body, accepted) in cases {
        let entry = entry(body);
        assert_eq!(entry.check().is_ok(), accepted, "{what}: {:?}", entry.check());
        assert!(Entry::decode(&entry.encode()).is_ok(), "{what}: what breaks a rule can be read all the same");
    }
}

#[test]
fn rules_of_records_of_a_case() {
    let long = |chars| Some(Personal("é".repeat(chars)));
    check(vec![
        ("a call of four hours", changed!(CallAttempt(call_attempt()): duration_s = CALL_SECONDS_MAX), true),
        ("a longer one", changed!(CallAttempt(call_attempt()): duration_s = CALL_SECONDS_MAX + 1), false),
        ("a message that was spoken", changed!(CallAttempt(call_attempt()): channel = CallChannel::Sms), false),
        ("a message", changed!(CallAttempt(call_attempt()): channel = CallChannel::Sms, duration_s = 0), true),
        ("a channel of tomorrow", changed!(CallAttempt(call_attempt()): channel = CallChannel::from_code("FAX")), true),
        ("a note of 1,000 characters", changed!(CallAttempt(call_attempt()): note = long(1000)), true),
        ("a note of 1,001 characters", changed!(CallAttempt(call_attempt()): note = long(1001)), false),
        ("no E.164", changed!(ContactUpdate(contact_update()): new_value = Some("0711000002".into())), false),
        ("no new value", changed!(ContactUpdate(contact_update()): new_value = None), false),
        (
            "an empty one",
            changed!(ContactUpdate(contact_update()): field = ContactField::Address, new_value = Some(" ".into())),
            false,
        ),
        (
            "an address of 201 characters",
            changed!(ContactUpdate(contact_update()): field = ContactField::Address, new_value = long(201)),
            false,
        ),
        (
            "a language",
            changed!(ContactUpdate(contact_update()): field = ContactField::Language, new_value = Some("sw".into())),
            true,
        ),
        (
            "no language",
            changed!(ContactUpdate(contact_update()): field = ContactField::Language, new_value = Some("Swahili".into())),
            false,
        ),
        ("a position in words", changed!(ContactUpdate(contact_update()): field = ContactField::Gps), false),
        ("a position", changed!(ContactUpdate(contact_update()): field = ContactField::Gps, new_value = None), true),
        (
            "invalid, with a new value",
            changed!(ContactUpdate(contact_update()): change = ContactChange::Invalid),
            false,
        ),
        ("invalid", changed!(ContactUpdate(contact_update()): change = ContactChange::Invalid, new_value = None), true),
        (
            "invalid, and not named",
            changed!(ContactUpdate(contact_update()): change = ContactChange::Invalid, new_value = None, old_seen = None),
            false,
        ),
        (
            "a field of tomorrow",
            changed!(ContactUpdate(contact_update()): field = ContactField::from_code("TELEGRAM")),
            true,
        ),
        ("a complaint about nothing", changed!(Complaint(complaint()): text = "".into()), false),
        ("a complaint about zero", changed!(Complaint(complaint()): amount = Some(kes(0))), false),
        ("a wish of 301 characters", changed!(Complaint(complaint()): desired = long(301)), false),
        ("to where it is", changed!(CaseHandover(case_handover()): to = CaseLevel::Field), false),
        ("for no reason", changed!(CaseHandover(case_handover()): reasons = vec![]), false),
        (
            "for one reason twice",
            changed!(CaseHandover(case_handover()): reasons = vec![CaseHandoverReason::Unsafe; 2]),
            false,
        ),
        ("without a summary", changed!(CaseHandover(case_handover()): summary = "".into()), false),
        (
            "more reached than tried",
            changed!(CaseHandover(case_handover()): attempts = Some(Attempts { calls: 1, visits: 1, reached: 3, broken_promises: 0 })),
            false,
        ),
    ]);
}

#[test]
fn rules_of_records_of_a_day() {
    let range =
        |first: &str, last: &str| Some(ReceiptRange { first: first.parse().unwrap(), last: last.parse().unwrap() });
    check(vec![
        (
            "skipped without a reason",
            changed!(StopEvent(stop_event()): kind = StopEventKind::Skipped, visit = None),
            false,
        ),
        (
            "skipped",
            changed!(StopEvent(stop_event()): kind = StopEventKind::Skipped, visit = None, reason = Some(SkipReason::Unsafe)),
            true,
        ),
        ("a reason of what was done", changed!(StopEvent(stop_event()): reason = Some(SkipReason::Unsafe)), false),
        ("a visit on arrival", changed!(StopEvent(stop_event()): kind = StopEventKind::Arrived), false),
        ("a note of 201 characters", changed!(StopEvent(stop_event()): note = Some("x".repeat(201))), false),
        (
            "a block of two series",
            changed!(DeviceEvent(device_event()): receipts = range("AB12-000001", "AB13-000050")),
            false,
        ),
        (
            "a block backwards",
            changed!(DeviceEvent(device_event()): receipts = range("AB12-000050", "AB12-000001")),
            false,
        ),
        ("a block of one", changed!(DeviceEvent(device_event()): receipts = range("AB12-000050", "AB12-000050")), true),
        ("a block without numbers", changed!(DeviceEvent(device_event()): receipts = None), false),
        ("numbers of a loss", changed!(DeviceEvent(device_event()): kind = DeviceEventKind::Lost), false),
        (
            "a clock that was set",
            changed!(DeviceEvent(device_event()): kind = DeviceEventKind::ClockChanged, receipts = None, clock_ms = Some(-3_600_000)),
            true,
        ),
        (
            "by nobody knows how much",
            changed!(DeviceEvent(device_event()): kind = DeviceEventKind::ClockChanged, receipts = None),
            false,
        ),
        ("nobody agreed", changed!(AgentRegistration(agent_registration()): consent = false), false),
        ("no E.164", changed!(AgentRegistration(agent_registration()): phone = "0722000003".into()), false),
        (
            "a whole identity number",
            changed!(AgentRegistration(agent_registration()): id_number_masked = "12345678".into()),
            false,
        ),
        ("no name", changed!(AgentRegistration(agent_registration()): name = "".into()), false),
        (
            "a name of 101 characters",
            changed!(AgentRegistration(agent_registration()): name = Personal("x".repeat(101))),
            false,
        ),
        ("no outlet", changed!(AgentRegistration(agent_registration()): outlet = " ".into()), false),
    ]);
}

#[test]
fn rules_of_records_of_an_agent() {
    let asks = |amount_minor| Some(Rebalancing { direction: RebalancingDirection::EMoneyToCash, amount_minor });
    check(vec![
        ("a list of nobody's", changed!(WeeklyContact(weekly_contact()): met = AgentMet::Nobody), false),
        ("nobody was met", changed!(WeeklyContact(weekly_contact()): met = AgentMet::Nobody, checklist = None), true),
        (
            "notes of 501 characters",
            changed!(WeeklyContact(weekly_contact()): competitor_notes = Some(Personal("x".repeat(501)))),
            false,
        ),
        ("nothing at hand", changed!(FloatCheck(float_check()): cash_minor = 0, bank_minor = None), true),
        ("less than nothing", changed!(FloatCheck(float_check()): cash_minor = -1), false),
        ("more than any bank has", changed!(FloatCheck(float_check()): bank_minor = Some(i64::MAX)), false),
        ("an exchange of nothing", changed!(FloatCheck(float_check()): rebalancing = asks(0)), false),
        ("severity 0", changed!(IssueReport(issue_report()): severity = 0), false),
        ("severity 4", changed!(IssueReport(issue_report()): severity = 4), true),
        ("severity 5", changed!(IssueReport(issue_report()): severity = 5), false),
        ("eleven transactions", changed!(IssueReport(issue_report()): txn_refs = Some(vec!["Q".into(); 11])), false),
        (
            "a reference of 61 characters",
            changed!(IssueReport(issue_report()): txn_refs = Some(vec!["x".repeat(61)])),
            false,
        ),
        ("an issue about nothing", changed!(IssueReport(issue_report()): text = "".into()), false),
        ("an assignment to nobody", changed!(IssueEvent(issue_event()): assignee = None), false),
        ("a fix of somebody's", changed!(IssueEvent(issue_event()): kind = IssueEventKind::Fix), false),
        ("a fix", changed!(IssueEvent(issue_event()): kind = IssueEventKind::Fix, assignee = None, text = None), true),
        (
            "a comment without words",
            changed!(IssueEvent(issue_event()): kind = IssueEventKind::Comment, assignee = None, text = None),
            false,
        ),
        (
            "still failing",
            changed!(IssueEvent(issue_event()): kind = IssueEventKind::StillFailing, assignee = None),
            true,
        ),
        ("101 percent", changed!(Training(training()): score = Some(101)), false),
        ("valid before its day", changed!(Training(training()): valid_to = Some(day().plus_days(-1))), false),
        ("valid, and failed", changed!(Training(training()): passed = false), false),
        ("failed", changed!(Training(training()): passed = false, valid_to = None), true),
        ("a training of nothing", changed!(Training(training()): module = String::new()), false),
        ("nobody was taught", changed!(Training(training()): attendee = "".into()), false),
    ]);
}

#[test]
fn where_a_position_is_needed() {
    for body in [
        changed!(WeeklyContact(weekly_contact()): no_fix_reason = None),
        changed!(AgentRegistration(agent_registration()): no_fix_reason = None),
        changed!(ContactUpdate(contact_update()): field = ContactField::Gps, new_value = None),
    ] {
        let mut entry = entry(body);
        assert_eq!(entry.check(), Ok(()));
        entry.head.gps = None;
        assert!(matches!(entry.check(), Err(EntryError::Field { field: "gps", .. })), "{:?}", entry.body);
    }
    let mut called = entry(changed!(WeeklyContact(weekly_contact()): mode = WeeklyMode::Call, no_fix_reason = None));
    called.head.gps = None;
    assert_eq!(called.check(), Ok(()));
}

#[test]
fn what_is_confidential() {
    for kind in ComplaintKind::ALL {
        let confidential = matches!(kind.code(), "CONDUCT" | "FRAUD");
        assert_eq!(
            entry(changed!(Complaint(complaint()): kind = kind.clone())).is_confidential(),
            confidential,
            "{kind}"
        );
    }
    for category in IssueCategory::ALL {
        let confidential = matches!(category.code(), "CONDUCT" | "FRAUD");
        let report = entry(changed!(IssueReport(issue_report()): category = category.clone()));
        assert_eq!(report.is_confidential(), confidential, "{category}");
    }
    assert!(one_of_each().into_iter().all(|body| !entry(body).is_confidential()));
}

/// Words about people are in no log: whatever prints an entry prints how long they are.
#[test]
fn the_debug_form_of_a_record_holds_no_words_about_people() {
    for body in one_of_each() {
        let shown = format!("{:?}", entry(body));
        for word in [
            "+2547",
            "market",
            "kiosk on Monday",
            "promises, then",
            "Njeri",
            "Chebet",
            "Wanjiru",
            "settlement",
            "firmware",
            "PIN",
        ] {
            assert!(!shown.contains(word), "{shown}");
        }
    }
}
