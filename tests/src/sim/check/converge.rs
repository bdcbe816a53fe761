//! I4 and I5: a phone holds what a new phone of the same officer is given, which is what the server
//! holds for its caseloads, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use daybook_mobile_sync::session::SyncEnd;
use daybook_shared::board::BoardView;
use daybook_shared::ids::{DossierId, EntryId, UserId};
use daybook_shared::wire::outcome::Outcome;

use crate::sim::phone::Phone;
use crate::sim::says::words;
use crate::sim::storm::WRONG_CLOCKS;
use crate::sim::world::{On, Who, World};

/// A body that says nothing new may have so many bytes (sync.md 6), for up to 8 caseloads.
const IDLE_BYTES_MAX: u64 = 300;
/// Days around the present, and around what wrong clocks say, that an officer's own days may have.
const DAYS: i32 = 400;

/// All that a phone holds of one dossier.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    version: u64,
    facts: Vec<(u8, Vec<u8>)>,
    entries: BTreeMap<EntryId, (Vec<u8>, Option<Outcome>)>,
    board: BoardView,
}

/// Compares each phone with a new one of the same officer, and that with the server's rows.
pub fn check(world: &mut World, phones: &[On]) {
    let owners: BTreeSet<usize> = phones.iter().map(|on| world.phone(*on).owner).collect();
    for owner in owners {
        let fresh = world.enrolled(Who(owner));
        let report = world.sync(fresh);
        assert_eq!(report.end, SyncEnd::UpToDate, "a new phone of {}", world.people[owner].name);
        with_server(world, fresh);
        let mine: Vec<On> = phones.iter().copied().filter(|on| world.phone(*on).owner == owner).collect();
        for on in mine {
            same(world, on, fresh);
            idle(world, on);
        }
        // The yardstick is not one of the world's phones.
        world.phones.pop();
    }
}

fn held(phone: &Phone) -> BTreeMap<DossierId, Held> {
    let store = phone.store();
    let of = |(dossier, version): (DossierId, u64)| {
        let entries = store.entries_of(dossier).expect("the store can be read");
        let entries = entries.into_iter().map(|(id, bytes, outcome)| (id, (bytes, outcome))).collect();
        let facts = store.facts_of(dossier).expect("the store can be read");
        // A dossier whose kind a phone cannot know yet (a day far off) has no board, or an empty one.
        let board = store.board_of(dossier).expect("the store can be read").unwrap_or_default();
        (dossier, Held { version, facts, entries, board })
    };
    store.dossiers().expect("the store can be read").into_iter().map(of).collect()
}

fn same(world: &World, on: On, fresh: On) {
    let phone = world.phone(on);
    let (mine, theirs) = (held(phone), held(world.phone(fresh)));
    let name = &phone.name;
    for (dossier, expected) in &theirs {
        let Some(found) = mine.get(dossier) else { panic!("I4: {name} lacks dossier {dossier}") };
        assert_eq!(found.version, expected.version, "I4: {name}: version of {dossier}");
        assert_eq!(found.facts, expected.facts, "I4: {name}: facts of {dossier}");
        let ids = |held: &Held| held.entries.keys().copied().collect::<BTreeSet<_>>();
        assert_eq!(ids(found), ids(expected), "I4: {name}: entries of {dossier}");
        for (id, (bytes, outcome)) in &expected.entries {
            let (have, shown) = &found.entries[id];
            assert_eq!(have, bytes, "I4: {name}: bytes of {id}");
            let text = |outcome: &Option<Outcome>| outcome.as_ref().map_or_else(String::new, words);
            assert_eq!(text(shown), text(outcome), "I4: {name}: outcome of {id} in {dossier}");
        }
        assert_eq!(found.board, expected.board, "I4: {name}: board of {dossier}");
    }
    let offers = |phone: &Phone| phone.store().offers().expect("the store can be read");
    assert_eq!(offers(phone), offers(world.phone(fresh)), "I4: {name}: offers");
    let user = world.people[phone.owner].uid;
    let days = own_days(world, user);
    for dossier in mine.keys().filter(|dossier| !theirs.contains_key(*dossier)) {
        // A day that the officer opened himself, and that no caseload of his holds, stays his.
        assert!(days.contains(dossier), "I5: {name} still holds {dossier}");
    }
}

fn own_days(world: &World, user: UserId) -> BTreeSet<DossierId> {
    let present = [world.now()].into_iter().chain(WRONG_CLOCKS.map(|text| text.parse().expect("a time")));
    let around = |at| (-DAYS..=DAYS).map(move |days| world.server.app().settings.zone.date_of(at).plus_days(days));
    present.flat_map(around).map(|day| DossierId::day(user, day)).collect()
}

/// The yardstick against the rows themselves.
fn with_server(world: &World, fresh: On) {
    let phone = world.phone(fresh);
    let user = world.people[phone.owner].id;
    let rows: Vec<(DossierId, i64, i64)> = world.server.rows(&format!(
        "select d.uid, d.version, d.id from dossier d join caseload_member m on m.caseload_id = d.caseload_id
         where m.user_id = {user} and m.member and m.at = (select max(n.at) from caseload_member n
           where n.user_id = m.user_id and n.caseload_id = m.caseload_id) order by d.uid"
    ));
    let mine = held(phone);
    let listed: BTreeSet<_> = rows.iter().map(|row| row.0).collect();
    assert_eq!(mine.keys().copied().collect::<BTreeSet<_>>(), listed, "I4: dossiers of {}", phone.name);
    let entries = world.entries();
    for (dossier, version, id) in rows {
        let held = &mine[&dossier];
        assert_eq!(i64::try_from(held.version), Ok(version), "I4: version of {dossier}");
        let of_dossier: BTreeMap<_, _> = entries
            .iter()
            .filter(|(_, entry)| entry.dossier_id == id && entry.only_for.is_none_or(|author| author == user))
            .map(|(uid, entry)| (*uid, (entry.bytes.clone(), Some(entry.outcome.clone()))))
            .collect();
        assert_eq!(held.entries, of_dossier, "I4: entries of {dossier}");
    }
}

/// I8: a phone with nothing to say and nothing to hear needs one small round trip.
fn idle(world: &mut World, on: On) {
    world.sync(on);
    let report = world.sync(on);
    let name = &world.phone(on).name;
    assert_eq!(report.end, SyncEnd::UpToDate, "I8: {name}");
    assert_eq!((report.round_trips, report.deltas), (1, 0), "I8: {name} is idle: {report:?}");
    assert!(report.bytes_up <= IDLE_BYTES_MAX && report.bytes_down <= IDLE_BYTES_MAX, "I8: {name}: {report:?}");
}
