//! What must be true of a world that has come to rest: the invariants of sync.md 8, one file each.

pub mod again;
pub mod converge;
pub mod entries;
pub mod ledger;

use super::world::{On, World};

impl World {
    /// I1 to I7, on a world whose phones have all synced and whose road is empty. `phones` are those
    /// that still get data.
    pub fn check_all(&mut self, phones: &[On]) {
        ledger::check(self);
        entries::check(self);
        converge::check(self, phones);
        again::check(self);
    }
}
