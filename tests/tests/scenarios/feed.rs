//! What reaches a phone over a link that carries next to nothing: the smallest budget, answers that
//! break off anywhere, and dossiers that move on, leave and come back in between.

use std::collections::BTreeSet;

use daybook_mobile_sync::Event;
use daybook_mobile_sync::capture::What;
use daybook_mobile_sync::session::SyncEnd;
use daybook_server::auth::caseloads::Membership;
use daybook_shared::entry::{Head, PersonMet, Visit, VisitKind, VisitOutcome};
use daybook_shared::ids::EntryId;
use daybook_shared::wire::exchange::Frame;
use daybook_shared::wire::limits::ENVELOPE_ITEMS_MAX;
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::upload::frames_of;
use daybook_tests::sim::{Acc, Engine, On, Terms, World, forge};
use rand::RngExt as _;

use crate::on_every_engine;

/// Responses after which a phone must have what there is.
const RESPONSES_MAX: usize = 200;
/// Of a dossier that fills many frames.
const ENTRIES: usize = 10_000;

/// A visit with words that do not compress to nothing.
fn long_visit(world: &mut World, on: On, acc: Acc) -> EntryId {
    let note = (0..900).map(|_| char::from(world.rng.random_range(b'a'..=b'z'))).collect();
    let ended_at = world.now();
    let visit = Visit {
        kind: VisitKind::Phone,
        started_at: ended_at,
        ended_at,
        person_met: PersonMet::Customer,
        identity_verified: true,
        outcome: VisitOutcome::Callback,
        reasons: None,
        note: Some(note),
        next_action: None,
        no_fix_reason: None,
        stop: None,
        witness: None,
        id_shown: None,
        customer_invited: None,
    };
    let account = world.accounts[acc.0].uid;
    world.record(on, What::Visit { account, visit })
}

/// One response at the smallest budget, of which only a part arrives. Gives the whole frames that did,
/// and how the sync ended, if it has.
fn one_response(world: &mut World, on: On, part: impl Fn(usize) -> usize) -> (Vec<Frame>, Option<SyncEnd>) {
    let now = world.now();
    world.phones[on.0].ask_for_little(now, &mut world.rng);
    let Some(Step::Send(request)) = world.phones[on.0].begin_sync(now, &mut world.rng) else { panic!("a request") };
    let answer = world.deliver(on, &request);
    assert_eq!(answer.status, 200, "{}", answer.json());
    let arrives = part(answer.body.len());
    let rng = &mut world.rng;
    let phone = &mut world.phones[on.0];
    assert!(phone.tell(Event::Status { status: 200, retry_after_ms: None }, now, rng).is_none());
    assert!(phone.tell(Event::BodyBytes(&answer.body[..arrives]), now, rng).is_none());
    let is_whole = arrives == answer.body.len();
    let step = phone.tell(if is_whole { Event::BodyEnd } else { Event::TransportFailed }, now, rng);
    let end = match step {
        Some(Step::Finished(report)) => Some(report.end),
        _ => None,
    };
    (frames_of(&answer.body[..arrives]), end)
}

/// What has come down to a phone in whole frames.
#[derive(Default)]
struct Received {
    entries: BTreeSet<EntryId>,
    frames: usize,
}

impl Received {
    /// I8: no frame brings an entry that had come before.
    fn take(&mut self, frames: &[Frame]) {
        self.frames += frames.len();
        let deltas = frames.iter().flat_map(|frame| frame.deltas.iter().flatten());
        for entry in deltas.flat_map(|delta| &delta.entries) {
            let head: Head = minicbor::decode(&entry.bytes).unwrap();
            assert!(self.entries.insert(head.id), "I8: {} comes a second time", head.id);
        }
    }
}

#[test]
fn answers_cut_anywhere_at_the_smallest_budget_bring_everything_once() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let cases: Vec<_> = (0..3).map(|_| world.account(amina, Terms::months(3))).collect();
        world.sync(on);
        let visits: BTreeSet<_> =
            (0..45).map(|index: usize| long_visit(&mut world, on, cases[index % cases.len()])).collect();
        world.settle(&[on]);
        // When a new phone gets all of it over a link on which two of three answers break off.
        let fresh = world.enrolled(amina);
        let mut received = Received::default();
        let mut responses = 0;
        loop {
            responses += 1;
            assert!(responses < RESPONSES_MAX, "it never comes to its end");
            let permille: usize = world.rng.random_range(0..1500);
            let (frames, end) = one_response(&mut world, fresh, |length| (length * permille / 1000).min(length));
            received.take(&frames);
            if end.is_some_and(|end| end == SyncEnd::UpToDate) {
                break;
            }
        }
        // Then nothing was skipped and nothing came twice.
        assert!(received.frames > 10, "{} frames are no test", received.frames);
        assert_eq!(received.entries, visits);
        let versions = |held: Vec<(_, u64)>| held.iter().map(|(_, version)| version).sum::<u64>();
        let on_phone = versions(world.phone(fresh).store().dossiers().unwrap());
        let on_server: Vec<(i64,)> = world.server.rows("select version from dossier where caseload_id is not null");
        assert_eq!(on_server.iter().map(|row| row.0.cast_unsigned()).sum::<u64>(), on_phone);
        world.check_all(&[on, fresh]);
    });
}

#[test]
fn a_dossier_that_moves_on_leaves_and_comes_back_between_two_frames_of_itself_is_whole() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let acc = world.account(amina, Terms::months(3));
        let other = world.account(amina, Terms::months(3));
        world.settle(&[on, barasa_on]);
        for _ in 0..30 {
            long_visit(&mut world, on, acc);
        }
        long_visit(&mut world, on, other);
        world.settle(&[on]);
        // When a new phone gets it in small pieces, and between them it moves on, leaves, and comes back.
        let fresh = world.enrolled(amina);
        let held = |world: &World| world.phone(fresh).store().entries_of(world.accounts[acc.0].dossier).unwrap().len();
        let mut left_at = None;
        for response in 0.. {
            assert!(response < RESPONSES_MAX, "it never comes to its end");
            let (_, end) = one_response(&mut world, fresh, |length| length);
            match response {
                2 | 9 => {
                    long_visit(&mut world, on, acc);
                }
                3 => {
                    left_at = Some(held(&world));
                    world.assign(acc, Some(barasa));
                }
                5 => {
                    world.sync(barasa_on);
                    long_visit(&mut world, barasa_on, acc);
                    world.sync(barasa_on);
                    world.assign(acc, Some(amina));
                }
                7 => world.set_member(amina, amina, Membership::Gone),
                8 => world.set_member(amina, amina, Membership::Member),
                _ => {}
            }
            world.sync(on);
            world.pass_ms(1000);
            if response > 10 && end.is_some_and(|end| end == SyncEnd::UpToDate) {
                break;
            }
        }
        // Then it was in the middle of it, and has all of it in the end.
        assert!(left_at.is_some_and(|entries| entries > 0 && entries < 30), "{left_at:?}");
        world.settle(&[on, fresh, barasa_on]);
        assert_eq!(held(&world), 33);
        world.check_all(&[on, fresh, barasa_on]);
    });
}

#[test]
fn a_caseload_that_is_taken_away_leaves_nothing_behind_and_loses_nothing() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let cases: Vec<_> = (0..3).map(|_| world.account(amina, Terms::months(3))).collect();
        world.sync(on);
        let paid: Vec<_> = cases.iter().map(|acc| world.cash(on, *acc, 100)).collect();
        // When all of it is taken away while captures wait.
        world.set_member(amina, amina, Membership::Gone);
        world.settle(&[on]);
        // Then what waited is posted, and no case is left, on the phone or in its views.
        assert!(paid.iter().all(|id| world.outcome(*id).starts_with("posted")));
        assert_eq!(world.phone(on).store().dossiers().unwrap(), []);
        let moment = world.phone(on).moment(world.now());
        assert_eq!(world.phone(on).store().view(moment).unwrap().caseload().unwrap(), []);
        // Given back, it is whole.
        world.set_member(amina, amina, Membership::Member);
        world.settle(&[on]);
        assert_eq!(world.phone(on).store().dossiers().unwrap().len(), cases.len());
        world.check_all(&[on]);
    });
}

/// Goal: a dossier as long as a year of visits a minute is taken in pieces, each of them progress.
#[test]
fn a_dossier_of_ten_thousand_entries_comes_down_in_pieces_opens_and_goes_on() {
    let mut world = World::new(Engine::Sqlite, 1);
    let (amina, on) = world.officer("Amina");
    let acc = world.account(amina, Terms::months(3));
    world.sync(on);
    let mut raw = Raw::of(&world, on);
    for _ in 0..ENTRIES / ENVELOPE_ITEMS_MAX {
        let visits: Vec<_> = (0..ENVELOPE_ITEMS_MAX).map(|_| forge::visit(&mut world, &raw, acc).encode()).collect();
        let verdicts = raw.upload(&world, &visits, Vec::new());
        assert!(verdicts.outcomes.iter().all(|outcome| outcome.state.code() == "noted"));
    }
    let fresh = world.enrolled(amina);
    let now = world.now();
    world.phones[fresh.0].ask_for_little(now, &mut world.rng);
    let report = world.sync(fresh);
    assert_eq!((&report.end, report.retries), (&SyncEnd::UpToDate, 0));
    assert!(report.round_trips > 5 && report.frames > 100, "{report:?}");
    let moment = world.phone(fresh).moment(now);
    let view = world.phone(fresh).store().view(moment).unwrap();
    let case = view.case(world.accounts[acc.0].dossier).unwrap().unwrap();
    assert_eq!(case.entries.len(), ENTRIES);
    let paid = world.cash(fresh, acc, 100);
    let report = world.sync(fresh);
    assert_eq!((&report.end, report.round_trips), (&SyncEnd::UpToDate, 1));
    assert!(report.bytes_down < 8 * 1024, "only what is new: {report:?}");
    assert!(world.shown(fresh, paid).starts_with("posted"));
    assert_eq!(world.stands(acc), "active, owes 2900, paid 100, credit 0");
}

/// Goal: I8 on the day's first exchange of an idle phone, too. Method: the server's daily acknowledgement, which repeats
/// when it took the phone's last envelope, beside cash in hand.
#[test]
fn the_daily_acknowledgement_of_an_idle_phone_is_small() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        world.cash(on, acc, 300);
        world.settle(&[on]);
        let idle = world.sync(on);
        world.pass_days(1);
        let daily = world.sync(on);
        assert!(daily.bytes_down >= idle.bytes_down + 150, "an acknowledgement came: {idle:?} {daily:?}");
        assert_eq!(daily.round_trips, 1);
        assert!(daily.bytes_up <= 300 && daily.bytes_down <= 300, "{daily:?}");
    });
}
