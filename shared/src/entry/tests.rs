//! The stored form of every entry type, pinned, and what is refused before any field is read.

use super::*;
use crate::ids::{AccountId, AgentId};
use crate::money::Money;
use crate::time::Date;

pub(crate) fn head(entry_type: EntryType) -> Head {
    Head {
        id: EntryId::from([1; 16]),
        entry_type,
        schema_version: SCHEMA_VERSION,
        dossier: DossierId::from([2; 16]),
        captured_at: Timestamp::from_millis(1_795_326_677_250),
        offset_min: 180,
        boot_id: BootId([3; 8]),
        boot_ms: 86_400_000,
        after: AckHash([4; 8]),
        device: DeviceId::from([5; 16]),
        basis: 17,
        gps: Some(Gps { lat_e6: -1_292_066, lon_e6: 36_821_945, accuracy_m: 12, age_s: 3, mock: false }),
        attachments: None,
    }
}

pub(super) fn kes(minor: i64) -> Money {
    Money::new(minor, "KES".parse().unwrap())
}

/// One entry of every type, with every field that a phone can fill.
pub(crate) fn one_of_each() -> Vec<(&'static str, Entry)> {
    let day = Date::from_days(20_779);
    let at = Timestamp::from_millis(1_795_326_600_000);
    let other = EntryId::from([9; 16]);
    vec![
        (
            "visit",
            Entry {
                head: head(EntryType::Visit),
                body: Body::Visit(Visit {
                    kind: VisitKind::Field,
                    started_at: at,
                    ended_at: at.plus_ms(600_000),
                    person_met: PersonMet::Customer,
                    identity_verified: true,
                    outcome: VisitOutcome::Ptp,
                    reasons: Some(vec![VisitReason::SeasonalIncome]),
                    note: Some("sells maize after the harvest".into()),
                    next_action: Some(NextAction { action: "VISIT".into(), on: day.plus_days(7) }),
                    no_fix_reason: None,
                    stop: Some(other),
                    witness: Some("the chief".into()),
                    id_shown: Some(true),
                    customer_invited: Some(false),
                }),
            },
        ),
        (
            "repayment",
            Entry {
                head: head(EntryType::Repayment),
                body: Body::Repayment(Repayment {
                    account: AccountId::from([6; 16]),
                    amount: kes(150_000),
                    channel: Channel::Cash,
                    receipt: Some("AB12-000042".parse().unwrap()),
                    external_ref: None,
                    value_date: day,
                    payer_name: Some("a brother".into()),
                    payer_phone: Some("+254700000001".into()),
                    visit: Some(other),
                    customer_ack: CustomerAck::Signature,
                    over_limit: None,
                }),
            },
        ),
        (
            "promise",
            Entry {
                head: head(EntryType::Promise),
                body: Body::Promise(Promise {
                    amount: kes(50_000),
                    promised_date: day.plus_days(5),
                    channel: PromiseChannel::MobileMoney,
                    contact_ref: Some(other),
                }),
            },
        ),
        (
            "correction",
            Entry {
                head: head(EntryType::Correction),
                body: Body::Correction(Correction {
                    target: other,
                    kind: CorrectionKind::WrongAmount,
                    proposed: Some(Proposed { amount_minor: Some(140_000), account: None, value_date: None }),
                    reason: "typed one zero too many".into(),
                }),
            },
        ),
        (
            "cash_handover",
            Entry {
                head: head(EntryType::CashHandover),
                body: Body::CashHandover(CashHandover {
                    to: HandoverTo::Cashier,
                    declared: kes(150_000),
                    repayments: vec![other],
                    slip: Some("S-77".into()),
                }),
            },
        ),
        (
            "transaction_check",
            Entry {
                head: head(EntryType::TransactionCheck),
                body: Body::TransactionCheck(TransactionCheck {
                    agent: AgentId::from([7; 16]),
                    txn_ref: "QF12AB34".into(),
                    txn_type: CheckedTransaction::CashOut,
                    amount: kes(20_000),
                    txn_at: at,
                    book_amount_minor: Some(20_000),
                    customer_confirmed: Some(true),
                    result: CheckResult::Match,
                }),
            },
        ),
    ]
}

/// The bytes of version 1 are final: a change here makes records unreadable that phones hold.
#[test]
fn stored_form_of_every_type_is_pinned_and_reads_back() {
    for (name, entry) in one_of_each() {
        entry.check().unwrap();
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes).unwrap(), entry, "{name}");
        insta::assert_snapshot!(name, cbor::hex(&bytes));
    }
}

#[test]
fn unknown_types_keys_and_codes_are_kept() {
    let (_, visit) = one_of_each().remove(0);
    let mut newer = visit.encode();
    newer[0] += 1;
    newer.extend_from_slice(&[0x18, 99, 0x01]);
    assert_eq!(Entry::decode(&newer).unwrap(), visit, "an unknown key is skipped");

    let mut other_type = visit;
    other_type.head.entry_type = EntryType::from_code("SURVEY");
    let decoded = Entry::decode(&other_type.encode()).unwrap();
    assert_eq!((decoded.body, decoded.head.entry_type.code()), (Body::Unknown, "SURVEY"));
    assert_eq!(CorrectionKind::from_code("WRONG_LOAN"), CorrectionKind::WrongAccount, "a retired code is an alias");
    assert_eq!(VisitOutcome::from_code("ELOPED").code(), "ELOPED");
}

#[test]
fn rules_of_one_entry() {
    fn change(index: usize, change: impl FnOnce(&mut Entry)) -> Entry {
        let mut entry = one_of_each().remove(index).1;
        change(&mut entry);
        entry
    }
    let repayment = |edit: fn(&mut Repayment)| {
        change(1, |entry| {
            let Body::Repayment(body) = &mut entry.body else { unreachable!() };
            edit(body);
        })
    };
    let visit = |edit: fn(&mut Visit)| {
        change(0, |entry| {
            let Body::Visit(body) = &mut entry.body else { unreachable!() };
            edit(body);
        })
    };
    let cases: Vec<(&str, Entry, bool)> = vec![
        ("zero amount", repayment(|r| r.amount.minor = 0), false),
        ("negative amount", repayment(|r| r.amount.minor = -1), false),
        ("more than JSON can hold", repayment(|r| r.amount.minor = Money::MINOR_MAX + 1), false),
        ("cash without receipt", repayment(|r| r.receipt = None), false),
        ("mobile money without reference", repayment(|r| r.channel = Channel::MobileMoney), false),
        ("payer name too long", repayment(|r| r.payer_name = Some("x".repeat(101))), false),
        ("visit ends before it starts", visit(|v| v.ended_at = v.started_at.plus_ms(-1)), false),
        ("visit of nine hours", visit(|v| v.ended_at = v.started_at.plus_ms(9 * 3_600_000)), false),
        ("note of 1,000 characters", visit(|v| v.note = Some("é".repeat(1000))), true),
        ("note of 1,001 characters", visit(|v| v.note = Some("é".repeat(1001))), false),
        ("four reasons", visit(|v| v.reasons = Some(vec![VisitReason::Price; 4])), false),
        ("field visit without position", change(0, |entry| entry.head.gps = None), false),
        ("latitude of 91 degrees", change(0, |entry| entry.head.gps.as_mut().unwrap().lat_e6 = 91_000_000), false),
    ];
    for (what, entry, accepted) in cases {
        assert_eq!(entry.check().is_ok(), accepted, "{what}: {:?}", entry.check());
    }
}

#[test]
fn receipt_numbers() {
    for good in ["AB-000000", "AB12CD34-999999", "P0Z3KQ-000001"] {
        assert_eq!(good.parse::<ReceiptNumber>().unwrap().to_string(), good);
    }
    for bad in ["", "A-000001", "ABCDEFGHJ-000001", "ab-000001", "AB-00001", "AB-0000001", "AB-+00001", "AB000001"] {
        assert!(bad.parse::<ReceiptNumber>().is_err(), "{bad}");
    }
}

#[test]
fn too_long_or_malformed_bytes_are_not_an_entry() {
    assert_eq!(Entry::decode(&vec![0; ENTRY_BYTES_MAX + 1]), Err(EntryError::TooLong));
    assert!(matches!(Entry::decode(&[0xa1, 0x00]), Err(EntryError::Malformed(_))));
    assert!(matches!(Entry::decode(&[0xa0]), Err(EntryError::Shape(_))));
}
