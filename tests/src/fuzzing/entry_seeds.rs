//! Entries: one of each type with every field, the barest, and bent ones.

use daybook_shared::entry::{
    Attachment, AttachmentKind, Body, CashHandover, Channel, CheckResult, CheckedTransaction, Correction,
    CorrectionKind, CustomerAck, ENTRY_BYTES_MAX, Entry, EntryType, Gps, HandoverTo, Head, NextAction, PersonMet,
    Promise, PromiseChannel, Proposed, Repayment, SCHEMA_VERSION, TransactionCheck, Visit, VisitKind, VisitOutcome,
    VisitReason,
};
use daybook_shared::ids::{BootId, Hash};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::envelope::PhoneTime;

use super::seeds::{Seed, seed};
use crate::records::{self, About};

/// The capturing device's id.
pub(super) const DEVICE: [u8; 16] = [2; 16];

/// Fixed ids.
pub(super) mod ids {
    use daybook_shared::ids::AckHash;

    /// The newest acknowledgement held.
    pub const ACK: AckHash = AckHash([5; 8]);
}

/// A time, in seconds from the seeds' own.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_326_677_000 + seconds * 1000)
}

/// The same as the phone knows it.
pub(super) fn moment(seconds: i64) -> PhoneTime {
    PhoneTime { wall: at(seconds), boot_id: BootId([4; 8]), boot_ms: 86_400_000 }
}

fn head(entry_type: EntryType) -> Head {
    Head {
        id: [20; 16].into(),
        entry_type,
        schema_version: SCHEMA_VERSION,
        dossier: [9; 16].into(),
        captured_at: at(0),
        offset_min: 180,
        boot_id: BootId([4; 8]),
        boot_ms: 86_400_000,
        after: ids::ACK,
        device: DEVICE.into(),
        basis: 17,
        gps: Some(Gps { lat_e6: -1_292_066, lon_e6: 36_821_945, accuracy_m: 12, age_s: 3, mock: false }),
        attachments: None,
    }
}

fn kes(minor: i64) -> Money {
    Money::new(minor, Currency::new(*b"KES").expect("three capital letters"))
}

fn day(days: i32) -> Date {
    Date::from_days(20_779 + days)
}

/// One entry of every type, with every field.
pub(super) fn each_type() -> Vec<(&'static str, Entry)> {
    let mut each = vec![
        ("visit", Entry { head: head(EntryType::Visit), body: Body::Visit(visit()) }),
        ("repayment", Entry { head: head(EntryType::Repayment), body: Body::Repayment(repayment()) }),
        ("promise", Entry { head: head(EntryType::Promise), body: Body::Promise(promise()) }),
        ("correction", Entry { head: head(EntryType::Correction), body: Body::Correction(correction()) }),
        ("cash_handover", Entry { head: head(EntryType::CashHandover), body: Body::CashHandover(handover()) }),
        ("check", Entry { head: head(EntryType::TransactionCheck), body: Body::TransactionCheck(check()) }),
    ];
    let (link, at, today) = ([21; 16].into(), at(0), day(0));
    let about = About { account: [15; 16].into(), agent: [17; 16].into(), issue: link, link, at, today };
    let entry = |body: Body| Entry { head: head(body.entry_type().expect("a known type")), body };
    each.extend(records::each(about).into_iter().map(|(name, body)| (name, entry(body))));
    each
}

fn visit() -> Visit {
    Visit {
        kind: VisitKind::Field,
        started_at: at(-600),
        ended_at: at(0),
        person_met: PersonMet::Customer,
        identity_verified: true,
        outcome: VisitOutcome::Ptp,
        reasons: Some(vec![VisitReason::SeasonalIncome]),
        note: Some("sells maize after the harvest".into()),
        next_action: Some(NextAction { action: "VISIT".into(), on: day(7) }),
        no_fix_reason: None,
        stop: Some([21; 16].into()),
        witness: Some("the chief".into()),
        id_shown: Some(true),
        customer_invited: Some(false),
    }
}

fn repayment() -> Repayment {
    Repayment {
        account: [15; 16].into(),
        amount: kes(150_000),
        channel: Channel::Cash,
        receipt: "AB12-000042".parse().ok(),
        external_ref: None,
        value_date: day(0),
        payer_name: Some("a brother".into()),
        payer_phone: Some("+254700000001".into()),
        visit: Some([21; 16].into()),
        customer_ack: CustomerAck::Signature,
        over_limit: None,
    }
}

fn promise() -> Promise {
    let channel = PromiseChannel::MobileMoney;
    Promise { amount: kes(50_000), promised_date: day(5), channel, contact_ref: Some([21; 16].into()) }
}

fn correction() -> Correction {
    let proposed = Some(Proposed { amount_minor: Some(140_000), account: None, value_date: Some(day(-1)) });
    let reason = "typed one zero too many".into();
    Correction { target: [21; 16].into(), kind: CorrectionKind::WrongAmount, proposed, reason }
}

fn handover() -> CashHandover {
    let repayments = (30..40).map(|n| [n; 16].into()).collect();
    CashHandover { to: HandoverTo::Cashier, declared: kes(150_000), repayments, slip: Some("S-77".into()) }
}

fn check() -> TransactionCheck {
    TransactionCheck {
        agent: [17; 16].into(),
        txn_ref: "QF12AB34".into(),
        txn_type: CheckedTransaction::CashOut,
        amount: kes(20_000),
        txn_at: at(-86_400),
        book_amount_minor: Some(20_000),
        customer_confirmed: Some(true),
        result: CheckResult::Match,
    }
}

/// The seeds of the target `entry`.
pub(super) fn entry() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = each_type().iter().map(|(name, entry)| seed(name, entry.encode())).collect();
    let with = |name: &str, edit: fn(&mut Entry)| {
        let mut entry = each_type().remove(1).1;
        edit(&mut entry);
        seed(name, entry.encode())
    };
    // What breaks a rule of its type, or is of no build's list.
    let last = |name: &str, edit: fn(&mut Entry)| {
        let mut entry = each_type().pop().expect("there are types").1;
        edit(&mut entry);
        seed(name, entry.encode())
    };
    seeds.extend([
        last("registration_unmasked", |entry| set_id_number(entry, "12345678")),
        last("registration_of_many_stars", |entry| set_id_number(entry, &"*".repeat(4000))),
        last("registration_in_the_past", |entry| entry.head.captured_at = Timestamp::EPOCH),
    ]);
    seeds.extend([
        with("no_gps", |entry| entry.head.gps = None),
        with("attachments", |entry| {
            let kind = AttachmentKind::Receipt;
            let one = Attachment { sha256: Hash([1; 32]), mime: "image/jpeg".into(), bytes: 40_000, kind };
            entry.head.attachments = Some(vec![one; 8]);
        }),
        with("type_of_tomorrow", |entry| entry.head.entry_type = EntryType::from_code("SURVEY")),
        with("nul_in_a_code", |entry| entry.head.entry_type = EntryType::from_code("A\0B")),
        with("zero", |entry| set_amount(entry, 0)),
        with("negative", |entry| set_amount(entry, i64::MIN)),
        with("absurd", |entry| set_amount(entry, i64::MAX)),
        with("another_types_body", |entry| entry.head.entry_type = EntryType::Visit),
    ]);
    let plain = seeds[1].bytes.clone();
    let mut newer = plain.clone();
    newer[0] += 1;
    newer.extend_from_slice(&[0x18, 99, 0x82, 0x01, 0xf6]);
    seeds.extend([
        seed("key_of_tomorrow", newer),
        seed("key_twice", {
            let mut twice = plain.clone();
            twice[0] += 1;
            [twice.as_slice(), &[0x00, 0x01]].concat()
        }),
        seed("cut", plain[..plain.len() / 2].to_vec()),
        seed("longer", [plain.as_slice(), &[0]].concat()),
        seed("too_long", vec![0x40; ENTRY_BYTES_MAX + 1]),
        seed("empty_map", vec![0xa0]),
        seed("nested", vec![0x81; 64]),
        seed("without_end", vec![0xbf, 0x00, 0x9f]),
        seed("claims_4_gib", vec![0xa1, 0x00, 0x5a, 0xff, 0xff, 0xff, 0xff]),
        seed("claims_many", vec![0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        seed("float", vec![0xa1, 0x00, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0]),
    ]);
    seeds
}

fn set_amount(entry: &mut Entry, minor: i64) {
    if let Body::Repayment(repayment) = &mut entry.body {
        repayment.amount.minor = minor;
    }
}

fn set_id_number(entry: &mut Entry, number: &str) {
    if let Body::AgentRegistration(registration) = &mut entry.body {
        registration.id_number_masked = number.into();
    }
}
