//! What must be true of a world that has come to rest: the invariants of sync.md 8, one file each.

pub mod again;
pub mod books;
pub mod converge;
pub mod entries;
pub mod files;
pub mod ledger;

use daybook_server::verify::verify;
use indicatif::ProgressBar;

use super::world::{On, World};

/// Differences of each check that a failure shows.
const LINES_MAX: usize = 10;

impl World {
    /// I1 to I7, and that `daybook verify` finds nothing, on a world whose phones have all synced and whose
    /// road is empty. `phones` are those that still get data.
    pub fn check_all(&mut self, phones: &[On]) {
        ledger::check(self);
        entries::check(self);
        converge::check(self, phones);
        files::check(self, phones);
        again::check(self);
        verified(self);
    }
}

/// `daybook verify` finds nothing.
fn verified(world: &World) {
    let zone = &world.server.app().settings.zone;
    let found = world.server.read(async |_, tx| verify(tx, zone, LINES_MAX, &ProgressBar::hidden()).await);
    let found = found.expect("the database can be verified");
    assert_eq!(found.differing(), 0, "{found}");
}
