//! What may be captured, and what a capture says.

use daybook_shared::board::{Edit, EditError};
use daybook_shared::entry::{
    Body, CashHandover, Channel, CheckResult, CheckedTransaction, Correction, CorrectionKind, Entry, EntryError, Gps,
    HandoverTo, PersonMet, Promise, PromiseChannel, ReceiptNumber, TransactionCheck, Visit, VisitKind, VisitOutcome,
};
use daybook_shared::ids::{AckHash, AgentId, DossierId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::time::Date;
use daybook_shared::wire::exchange::OfficerBlock;

use super::{CaptureError, Captured, Draft, EditBoardError, Override, OverrideReason, RepaymentDraft, Warning, What};
use crate::testing::{BLOCK, Phone, Server, account, at, case, kes, listed, present};

fn holding() -> (Server, Phone) {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
    phone.sync(&mut server);
    (server, phone)
}

fn capture(phone: &mut Phone, draft: impl Into<Draft>) -> Result<Captured, CaptureError> {
    phone.store.capture(draft.into(), phone.now, &mut phone.rng)
}

fn entry(phone: &Phone, captured: &Captured) -> Entry {
    let entries = phone.store.own_entries().unwrap();
    let (_, bytes, _) = entries.into_iter().find(|(id, ..)| *id == captured.id).unwrap();
    Entry::decode(&bytes).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn cash(minor: i64) -> RepaymentDraft {
    RepaymentDraft::cash(account(1), kes(minor))
}

fn visit() -> Visit {
    Visit {
        kind: VisitKind::Field,
        started_at: at("2026-11-22T08:00:00Z"),
        ended_at: at("2026-11-22T08:10:00Z"),
        person_met: PersonMet::Customer,
        identity_verified: true,
        outcome: VisitOutcome::Ptp,
        reasons: None,
        note: None,
        next_action: None,
        no_fix_reason: None,
        stop: None,
        witness: None,
        id_shown: None,
        customer_invited: None,
    }
}

#[test]
fn an_entry_says_what_the_phone_knew() {
    let (_, mut phone) = holding();
    phone.pass_ms(5000);
    let gps = Gps { lat_e6: -1_286_389, lon_e6: 36_817_223, accuracy_m: 8, age_s: 2, mock: false };
    let draft = Draft { gps: Some(gps), ..Draft::from(What::Visit { account: account(1), visit: visit() }) };
    let captured = capture(&mut phone, draft).unwrap();
    let head = entry(&phone, &captured).head;
    assert_eq!((head.id, head.dossier, captured.dossier), (captured.id, case(1), case(1)));
    assert_eq!((head.captured_at, head.boot_id, head.boot_ms), (phone.now.wall, phone.now.boot_id, phone.now.boot_ms));
    assert_eq!((head.offset_min, head.basis), (180, 3), "Nairobi, and the version held");
    assert_eq!(head.device, phone.store.device().unwrap());
    assert_ne!(head.after, AckHash::NONE);
    assert_eq!(head.id.0.get_version_num(), 7);
    assert_eq!((captured.receipt, captured.provisional, captured.warnings), (None, false, vec![]));
}

#[test]
fn what_is_refused_and_why() {
    let (_, mut phone) = holding();
    let usd = Money::new(100, "USD".parse().unwrap());
    let promise = |amount, date| {
        let promise = Promise { amount, promised_date: day(date), channel: PromiseChannel::Cash, contact_ref: None };
        What::Promise { account: account(1), promise }
    };
    let on = |date: &str| What::Repayment(RepaymentDraft { value_date: Some(day(date)), ..cash(100) });
    let paper = |number: &str| What::Repayment(RepaymentDraft { paper_receipt: number.parse().ok(), ..cash(100) });
    let provisional = ReceiptNumber::provisional_series(phone.store.install().unwrap());
    let by = |channel| What::Repayment(RepaymentDraft { channel, ..cash(100) });
    let target = EntryId::from([3; 16]);
    let correction = Correction { target, kind: CorrectionKind::Void, proposed: None, reason: "typo".to_owned() };
    let cases: Vec<(&str, What, &str)> = vec![
        (
            "another currency",
            What::Repayment(RepaymentDraft { amount: usd, ..cash(1) }),
            "the account is in KES, not in USD",
        ),
        ("a promise in another currency", promise(usd, "2026-11-23"), "the account is in KES, not in USD"),
        ("nothing", What::Repayment(cash(0)), "the amount must be above zero"),
        ("tomorrow's money", on("2026-11-23"), "the value date 2026-11-23 is ahead: today is 2026-11-22"),
        ("old money", on("2026-11-14"), "the money came more than 7 days ago"),
        ("yesterday's promise", promise(kes(1), "2026-11-21"), "a promise is for 2026-11-22 to 2026-12-22"),
        ("a promise too far off", promise(kes(1), "2026-12-23"), "a promise is for 2026-11-22 to 2026-12-22"),
        ("no reference", by(Channel::MobileMoney), "needs the provider's reference"),
        ("an own number on paper", paper(&format!("{BLOCK}-000007")), "is a number of this phone"),
        ("an own provisional one", paper(&format!("{provisional}-000001")), "is a number of this phone"),
        ("no position", What::Visit { account: account(1), visit: visit() }, "a field visit has a position"),
        ("an unknown target", What::Correction { dossier: None, correction }, "is not on this phone"),
    ];
    for (what, draft, words) in cases {
        let error = capture(&mut phone, draft).unwrap_err().to_string();
        assert!(error.contains(words), "{what}: {error}");
    }
    assert!(phone.store.unanswered().unwrap().is_empty(), "nothing is stored");
    let first = phone.cash(1, 100).receipt.unwrap();
    assert_eq!(first.number(), 1, "no number was taken");
}

#[test]
fn receipt_numbers_come_from_the_block_then_provisional_and_never_twice() {
    let (mut server, mut phone) = holding();
    let numbers: Vec<_> = (0..52).map(|_| phone.cash(1, 100)).collect();
    let blocks: Vec<_> = numbers[..50].iter().map(|captured| captured.receipt.clone().unwrap().number()).collect();
    assert_eq!(blocks, (1..=50).collect::<Vec<_>>());
    assert!(numbers[..50].iter().all(|captured| !captured.provisional));
    assert!(numbers[50..].iter().all(|captured| captured.provisional));
    assert_eq!(numbers[51].receipt.clone().unwrap().number(), 2);
    let block = server.block(phone.store.install().unwrap());
    server.head.receipt_block = Some(block.clone());
    phone.sync(&mut server);
    server.head.receipt_block = Some(block);
    phone.sync(&mut server);
    assert_eq!(phone.cash(1, 100).receipt.unwrap().to_string(), format!("{BLOCK}-000051"));
    let others = server.block(daybook_shared::ids::InstallId::from([4; 16]));
    server.head.receipt_block = Some(others);
    phone.sync(&mut server);
    assert_eq!(phone.store.status(phone.now).unwrap().receipt_numbers_left, 49, "another install's block is not ours");
    let (_, request) = server.requests.last().unwrap();
    assert_eq!((request.receipt_last, request.receipts_left), (100, 49));
}

#[test]
fn a_paper_receipt_and_money_sent_take_no_number() {
    let (_, mut phone) = holding();
    let paper = RepaymentDraft { paper_receipt: "BOOK7-000123".parse().ok(), ..cash(100) };
    let captured = capture(&mut phone, What::Repayment(paper)).unwrap();
    assert_eq!(captured.receipt.unwrap().to_string(), "BOOK7-000123");
    let sent =
        RepaymentDraft { channel: Channel::MobileMoney, external_ref: Some("MPESA:QF12AB34".to_owned()), ..cash(100) };
    let captured = capture(&mut phone, What::Repayment(sent)).unwrap();
    assert_eq!(captured.receipt, None);
    assert_eq!(phone.store.status(phone.now).unwrap().receipt_numbers_left, 50);
}

#[test]
fn the_allowance_stops_taking_and_never_recording() {
    let (mut server, mut phone) = holding();
    server.head.officer = Some(OfficerBlock { cash_in_hand: vec![kes(1000)], allowance: vec![kes(500)] });
    phone.sync(&mut server);
    phone.cash(1, 300);
    let left = |error: CaptureError| match error {
        CaptureError::OverrideRequired(OverrideReason::Allowance { left }) => left,
        other => panic!("{other}"),
    };
    assert_eq!(left(capture(&mut phone, What::Repayment(cash(201))).unwrap_err()), kes(200));
    phone.reopen();
    assert_eq!(left(capture(&mut phone, What::Repayment(cash(201))).unwrap_err()), kes(200), "also after a kill");
    for (over_limit, words) in [(Override::Code("7Q2K".to_owned()), "7Q2K"), (Override::CashInHand, "CASH_IN_HAND")] {
        let draft = RepaymentDraft { over_limit: Some(over_limit), ..cash(201) };
        let captured = capture(&mut phone, What::Repayment(draft)).unwrap();
        assert!(captured.provisional);
        let Body::Repayment(stored) = entry(&phone, &captured).body else { panic!("a repayment") };
        assert_eq!(stored.over_limit.as_deref(), Some(words));
    }
    assert_eq!(phone.store.cash_in_hand().unwrap(), [kes(1000 + 300 + 201 + 201)]);
    let sent = RepaymentDraft { channel: Channel::Card, external_ref: Some("VISA:1".to_owned()), ..cash(9999) };
    assert!(capture(&mut phone, What::Repayment(sent)).is_ok(), "only cash is limited");

    server.head.officer = Some(OfficerBlock { cash_in_hand: vec![kes(1702)], allowance: vec![kes(0)] });
    phone.sync(&mut server);
    assert_eq!(phone.store.cash_in_hand().unwrap(), [kes(1702)], "the figure holds what has a verdict");
    assert_eq!(left(capture(&mut phone, What::Repayment(cash(1))).unwrap_err()), kes(0));
    let within = RepaymentDraft { over_limit: Some(Override::CashInHand), ..cash(1) };
    server.head.officer = Some(OfficerBlock { cash_in_hand: vec![kes(0)], allowance: vec![kes(5000)] });
    phone.sync(&mut server);
    let captured = capture(&mut phone, What::Repayment(within)).unwrap();
    let Body::Repayment(stored) = entry(&phone, &captured).body else { panic!("a repayment") };
    assert_eq!((stored.over_limit, captured.provisional), (None, false), "an override that was not needed is no flag");
}

#[test]
fn a_lapsed_lease_needs_an_override_for_cash_alone() {
    let (_, mut phone) = holding();
    phone.pass_ms(15 * 86_400_000);
    let error = capture(&mut phone, What::Repayment(cash(1))).unwrap_err();
    assert!(matches!(error, CaptureError::OverrideRequired(OverrideReason::LeaseLapsed)), "{error}");
    let draft = RepaymentDraft { over_limit: Some(Override::CashInHand), ..cash(1) };
    assert!(capture(&mut phone, What::Repayment(draft)).unwrap().provisional);
    let promise =
        Promise { amount: kes(1), promised_date: day("2026-12-10"), channel: PromiseChannel::Cash, contact_ref: None };
    assert!(capture(&mut phone, What::Promise { account: account(1), promise }).is_ok());
}

#[test]
fn slips_are_pointed_out_and_stored() {
    let (_, mut phone) = holding();
    let warnings = |phone: &mut Phone, n, minor| phone.cash(n, minor).warnings;
    assert_eq!(warnings(&mut phone, 1, 3600), []);
    assert_eq!(warnings(&mut phone, 1, 3601), [Warning::OverPayoff { amount: kes(3601), owed: kes(3000) }]);
    assert_eq!(warnings(&mut phone, 9, 100), [Warning::NotHeld]);
    assert_eq!(phone.store.unanswered().unwrap().len(), 3);
}

#[test]
fn each_type_goes_to_the_dossier_it_is_about() {
    let (_, mut phone) = holding();
    let paid = phone.cash(1, 100);
    let today = phone.store.business_date(phone.now).unwrap();
    let handover = CashHandover { to: HandoverTo::Cashier, declared: kes(100), repayments: vec![paid.id], slip: None };
    let handed = capture(&mut phone, What::CashHandover(handover)).unwrap();
    let user = daybook_shared::ids::UserId::from([0xaa; 16]);
    assert_eq!(handed.dossier, DossierId::day(user, today));
    assert!(phone.store.dossiers().unwrap().iter().any(|(id, _)| *id == handed.dossier), "the day is open");

    let wrong = CashHandover { to: HandoverTo::Bank, declared: kes(100), repayments: vec![handed.id], slip: None };
    assert!(
        matches!(capture(&mut phone, What::CashHandover(wrong)), Err(CaptureError::NotCash(id)) if id == handed.id)
    );

    let correction =
        Correction { target: paid.id, kind: CorrectionKind::Void, proposed: None, reason: "typo".to_owned() };
    assert_eq!(capture(&mut phone, What::Correction { dossier: None, correction }).unwrap().dossier, case(1));

    let agent = AgentId::from([6; 16]);
    let check = TransactionCheck {
        agent,
        txn_ref: "T1".to_owned(),
        txn_type: CheckedTransaction::CashIn,
        amount: kes(5),
        txn_at: phone.now.wall,
        book_amount_minor: None,
        customer_confirmed: None,
        result: CheckResult::Match,
    };
    assert_eq!(capture(&mut phone, What::TransactionCheck(check)).unwrap().dossier, DossierId::agent(agent, 2026, 4));
}

#[test]
fn a_phone_that_is_not_enrolled_captures_nothing() {
    let mut phone = Phone::new();
    assert!(matches!(capture(&mut phone, What::Repayment(cash(1))), Err(CaptureError::NotEnrolled)));
    let edit = phone.store.edit_board(case(1), &[], phone.now, &mut phone.rng);
    assert!(matches!(edit, Err(EditBoardError::NotEnrolled)));
}

#[test]
fn the_business_date_is_not_the_wall_clocks() {
    let (_, mut phone) = holding();
    phone.now.wall = at("2030-06-01T00:00:00Z");
    assert_eq!(phone.store.business_date(phone.now).unwrap(), day("2026-11-22"));
    let captured = capture(&mut phone, What::Repayment(cash(1))).unwrap();
    let stored = entry(&phone, &captured);
    assert_eq!(stored.head.captured_at, phone.now.wall, "what the clock said is the record");
    let Body::Repayment(repayment) = stored.body else { panic!("a repayment") };
    assert_eq!(repayment.value_date, day("2026-11-22"));
}

#[test]
fn an_entry_that_is_too_long_is_refused() {
    let (_, mut phone) = holding();
    let visit = Visit { note: Some("x".repeat(1001)), no_fix_reason: Some("indoors".to_owned()), ..visit() };
    let error = capture(&mut phone, What::Visit { account: account(1), visit }).unwrap_err();
    assert!(matches!(error, CaptureError::Entry(EntryError::Field { field: "note", .. })), "{error}");
}

#[test]
fn a_board_is_edited_where_the_phone_holds_it_and_all_or_nothing() {
    let (_, mut phone) = holding();
    let edit =
        |phone: &mut Phone, n: u8, edits: &[Edit]| phone.store.edit_board(case(n), edits, phone.now, &mut phone.rng);
    assert!(matches!(edit(&mut phone, 2, &[Edit::AddTag("a".to_owned())]), Err(EditBoardError::NotHeld)));
    let wrong = [Edit::AddTag("a".to_owned()), Edit::Instruction("do".to_owned())];
    assert!(matches!(edit(&mut phone, 1, &wrong), Err(EditBoardError::Edit(EditError::KeyNotOwned(_)))));
    assert_eq!(phone.store.unanswered_board_changes().unwrap(), 0);
    let long = Edit::NoteReplace("a long note with many words ".repeat(100));
    let view = edit(&mut phone, 1, &[long, Edit::AddTag("b".to_owned())]).unwrap();
    assert_eq!((view.note.len(), view.tags.as_slice()), (2800, ["b".to_owned()].as_slice()));
    assert!(phone.store.unanswered_board_changes().unwrap() > 1, "a long note takes several changes");
}

#[test]
fn drafts_are_read_from_json_and_slips_are_not() {
    let account = account(1);
    let read = |json: &str| serde_json::from_str::<Draft>(&json.replace("ACCOUNT", &account.to_string()));
    let repayment = read(
        r#"{"type": "REPAYMENT", "account": "ACCOUNT", "channel": "CASH", "amount": {"minor": 250, "currency": "KES"}}"#,
    );
    assert_eq!(repayment.unwrap(), Draft::from(What::Repayment(cash(250))));
    let call = read(
        r#"{"type": "VISIT", "account": "ACCOUNT", "visit": {"kind": "FIELD", "started_at": "2026-11-22T08:00:00Z",
        "ended_at": "2026-11-22T08:10:00Z", "person_met": "CUSTOMER", "identity_verified": true, "outcome": "PTP"},
        "gps": {"lat_e6": -1286389, "lon_e6": 36817223, "accuracy_m": 8, "age_s": 2, "mock": false}}"#,
    );
    let gps = Gps { lat_e6: -1_286_389, lon_e6: 36_817_223, accuracy_m: 8, age_s: 2, mock: false };
    assert_eq!(call.unwrap(), Draft { gps: Some(gps), ..Draft::from(What::Visit { account, visit: visit() }) });
    let money = r#""amount": {"minor": 250, "currency": "KES"}"#;
    for (slip, said) in [
        (format!(r#"{{"type": "REPAYMENT", "account": "ACCOUNT", "channel": "CSAH", {money}}}"#), "is none of CASH"),
        (
            format!(r#"{{"type": "REPAYMENT", "account": "ACCOUNT", "channel": "CASH", {money}, "colour": 1}}"#),
            "colour",
        ),
        (format!(r#"{{"type": "REPAY", "account": "ACCOUNT", {money}}}"#), "REPAYMENT"),
        (r#"{"type": "VISIT", "account": "ACCOUNT"}"#.to_owned(), "visit"),
    ] {
        let error = read(&slip).unwrap_err().to_string();
        assert!(error.contains(said), "{slip}: {error}");
    }
}
