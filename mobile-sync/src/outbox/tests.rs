//! What an envelope says.

use daybook_shared::ids::{AckHash, EnvelopeId};
use daybook_shared::time::DAY_MS;
use daybook_shared::wire::limits::{ANCHORS_MAX, ENVELOPE_BYTES_AIM, ENVELOPE_KEPT_DAYS};

use crate::capture::{Draft, What};
use crate::testing::{Phone, Server, account};

#[test]
fn envelopes_are_a_chain_with_anchors_in_time() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let first = phone.cash(1, 100);
    assert_eq!(phone.store.seal_pending(phone.now, &mut phone.rng).unwrap(), 1);
    assert_eq!(phone.store.seal_pending(phone.now, &mut phone.rng).unwrap(), 0, "nothing is sealed twice");
    let second = phone.cash(1, 200);
    phone.store.seal_pending(phone.now, &mut phone.rng).unwrap();
    let sealed = phone.store.unanswered_envelopes_read().unwrap();
    let key = phone.store.signer().unwrap().public();
    assert!(sealed.iter().all(|envelope| envelope.verify(&key, server.deployment)));
    let headers: Vec<_> = sealed.iter().map(|envelope| &envelope.header).collect();
    assert_eq!((headers[0].number, headers[1].number), (1, 2));
    assert_eq!((headers[0].previous, headers[1].previous), (EnvelopeId::NONE, sealed[0].id));
    assert_eq!((headers[0].after, headers[0].anchors.len()), (AckHash::NONE, 0));
    assert_eq!(headers[1].sealed_at, phone.now);
    let ids: Vec<_> = sealed.iter().map(|envelope| crate::store::entry_id(&envelope.body.entries[0])).collect();
    assert_eq!(ids, [Some(first.id), Some(second.id)]);

    for boot in 0..12 {
        phone.now.boot_id = daybook_shared::ids::BootId([boot; 8]);
        phone.now.boot_ms = 1000;
        phone.cash(1, 100);
        phone.sync(&mut server);
        phone.sync(&mut server);
    }
    phone.cash(1, 100);
    phone.store.seal_pending(phone.now, &mut phone.rng).unwrap();
    let header = phone.store.unanswered_envelopes_read().unwrap().remove(0).header;
    assert_eq!(header.anchors.len(), ANCHORS_MAX);
    let boots: Vec<_> = header.anchors.iter().map(|anchor| anchor.arrived.boot_id.0[0]).collect();
    assert_eq!(boots, [4, 5, 6, 7, 8, 9, 10, 11], "the newest of each boot");
    assert_eq!(header.anchors[7].ack, header.after);
}

#[test]
fn many_captures_take_several_envelopes_in_their_order() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let note = "a visit with a long note, as they are written at the end of the day. ".repeat(14);
    let mut captured = Vec::new();
    for _ in 0..300 {
        let visit = daybook_shared::entry::Visit {
            kind: daybook_shared::entry::VisitKind::Phone,
            started_at: phone.now.wall,
            ended_at: phone.now.wall,
            person_met: daybook_shared::entry::PersonMet::Nobody,
            identity_verified: false,
            outcome: daybook_shared::entry::VisitOutcome::NotHome,
            reasons: None,
            note: Some(note.clone()),
            next_action: None,
            no_fix_reason: None,
            stop: None,
            witness: None,
            id_shown: None,
            customer_invited: None,
        };
        let draft = Draft::from(What::Visit { account: account(1), visit });
        captured.push(phone.store.capture(draft, phone.now, &mut phone.rng).unwrap().id);
    }
    assert_eq!(phone.store.seal_pending(phone.now, &mut phone.rng).unwrap(), 2);
    let sealed = phone.store.unanswered_envelopes_read().unwrap();
    let sizes: Vec<usize> =
        sealed.iter().map(|envelope| envelope.body.entries.iter().map(|entry| entry.len()).sum()).collect();
    assert!(sizes.iter().all(|bytes| *bytes <= ENVELOPE_BYTES_AIM), "{sizes:?}");
    let order: Vec<_> = sealed
        .iter()
        .flat_map(|envelope| &envelope.body.entries)
        .filter_map(|entry| crate::store::entry_id(entry))
        .collect();
    assert_eq!(order, captured);
    let report = phone.sync(&mut server);
    assert_eq!((report.round_trips, report.envelopes_answered, report.entries_answered), (1, 2, 300));
}

#[test]
fn envelopes_are_kept_for_thirty_days_after_they_were_acknowledged() {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    phone.cash(1, 100);
    phone.sync(&mut server);
    let install = phone.store.install().unwrap();
    let kept = |phone: &Phone| phone.store.read().envelope(install, 1).unwrap().is_some();
    let mut later = |phone: &mut Phone, days: i64| {
        let ms = days * DAY_MS;
        server.now = server.now.plus_ms(ms);
        phone.pass_ms(ms.unsigned_abs());
        phone.sync(&mut server);
    };
    later(&mut phone, ENVELOPE_KEPT_DAYS - 1);
    assert!(kept(&phone));
    later(&mut phone, 2);
    later(&mut phone, 0);
    assert!(!kept(&phone));
}
