//! Entries made by hand for a device's key: what no phone's own rules would let through.

use daybook_shared::entry::{
    Body, Channel, CustomerAck, Entry, EntryType, Head, PersonMet, ReceiptNumber, Repayment, SCHEMA_VERSION, Visit,
    VisitKind, VisitOutcome,
};
use daybook_shared::ids::{AckHash, BootId, DossierId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;

use super::raw::Raw;
use super::world::{Acc, World};

/// The common fields of an entry captured now about a case.
pub fn head(world: &mut World, raw: &Raw, acc: Acc, entry_type: EntryType) -> Head {
    let dossier = world.accounts[acc.0].dossier;
    head_in(world, raw, dossier, entry_type)
}

/// The common fields of an entry captured now in any dossier.
pub fn head_in(world: &mut World, raw: &Raw, dossier: DossierId, entry_type: EntryType) -> Head {
    let now: Timestamp = world.now();
    Head {
        id: EntryId::new(now, &mut world.rng),
        entry_type,
        schema_version: SCHEMA_VERSION,
        dossier,
        captured_at: now,
        offset_min: 180,
        boot_id: BootId([1; 8]),
        boot_ms: 1,
        after: AckHash::NONE,
        device: raw.device,
        basis: 0,
        gps: None,
        attachments: None,
    }
}

/// The series of a device's receipt numbers.
pub fn series(world: &World, raw: &Raw) -> String {
    let rows: Vec<(daybook_shared::ids::DeviceId, String)> = world.server.rows("select uid, series from device");
    rows.into_iter().find(|row| row.0 == raw.device).expect("an enrolled device").1
}

/// Cash under a receipt number.
pub fn cash(world: &mut World, raw: &Raw, acc: Acc, amount: Money, receipt: &str) -> Entry {
    let head = head(world, raw, acc, EntryType::Repayment);
    let body = Body::Repayment(Repayment {
        account: world.accounts[acc.0].uid,
        amount,
        channel: Channel::Cash,
        receipt: Some(receipt.parse::<ReceiptNumber>().expect("a receipt number")),
        external_ref: None,
        value_date: world.today(),
        payer_name: None,
        payer_phone: None,
        visit: None,
        customer_ack: CustomerAck::None,
        over_limit: None,
    });
    Entry { head, body }
}

/// A visit.
pub fn visit(world: &mut World, raw: &Raw, acc: Acc) -> Entry {
    let head = head(world, raw, acc, EntryType::Visit);
    let at = head.captured_at;
    let body = Body::Visit(Visit {
        kind: VisitKind::Phone,
        started_at: at,
        ended_at: at,
        person_met: PersonMet::Customer,
        identity_verified: true,
        outcome: VisitOutcome::Callback,
        reasons: None,
        note: None,
        next_action: None,
        no_fix_reason: None,
        stop: None,
        witness: None,
        id_shown: None,
        customer_invited: None,
    });
    Entry { head, body }
}

/// An entry's bytes with one text in them replaced by another of the same length.
pub fn with_text(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "lengths are part of the encoding");
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("the text is there");
    [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
}
