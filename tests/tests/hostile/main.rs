//! Bad input, and what it gets, sent with a real device key through `POST /v1/sync`, and once more through
//! `POST /v1/deposit`: each item ends as it should, its neighbours in the same envelope are untouched, and the
//! dossier loads afterwards.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod attachments;
mod boards;
mod customers;
mod elsewhere;
mod entries;
mod everywhere;
mod identity;

use daybook_mobile_sync::session::SyncEnd;
use daybook_tests::sim::raw::Raw;
use daybook_tests::sim::{Acc, Engine, On, Terms, Who, World};

/// A world with an officer, her case, and her phone's key in a stranger's hands.
struct Scene {
    world: World,
    amina: Who,
    on: On,
    acc: Acc,
    raw: Raw,
}

/// Plays a scene on every engine and by both ways in, then shows that a new phone of the officer still gets all
/// of it.
fn on_every_engine(play: impl Fn(&mut Scene)) {
    for (engine, deposits) in Engine::all().into_iter().flat_map(|engine| [(engine, false), (engine, true)]) {
        let mut world = World::new(engine, 1);
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(12));
        world.sync(on);
        let raw = Raw { deposits, ..Raw::of(&world, on) };
        let mut scene = Scene { world, amina, on, acc, raw };
        play(&mut scene);
        let Scene { mut world, amina, acc, .. } = scene;
        daybook_tests::sim::check::ledger::check(&world);
        world.server.restart();
        let fresh = world.enrolled(amina);
        assert_eq!(world.sync(fresh).end, SyncEnd::UpToDate, "the officer's dossiers load");
        let held = world.phone(fresh).store().dossiers().unwrap();
        assert!(held.iter().any(|(dossier, _)| *dossier == world.accounts[acc.0].dossier));
    }
}
