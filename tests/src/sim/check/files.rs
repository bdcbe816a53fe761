//! Files go the way of their entries: what a phone keeps goes up whole, and what it is evidence of says so no more.

use daybook_shared::wire::outcome::{Flag, OutcomeState};

use crate::sim::world::{On, World};

/// Checks the phones that still get data.
pub fn check(world: &World, phones: &[On]) {
    let server = world.entries();
    for on in phones {
        let phone = world.phone(*on);
        let status = phone.store().status(phone.moment(world.now())).expect("the store can be read");
        assert_eq!(status.unsent_files, 0, "{}: files have not gone", phone.name);
        // A server that was set back may lack what a phone has dropped: that is listed as missing.
        if world.server_losses > 0 {
            continue;
        }
        let lasting = phone.filed.iter().filter(|id| phone.captured.contains_key(id));
        for entry in lasting.filter_map(|id| server.get(id)) {
            let pending = entry.outcome.flags.iter().flatten().any(|flag| *flag == Flag::EvidencePending);
            let accepted = matches!(entry.outcome.state, OutcomeState::Posted | OutcomeState::Noted);
            assert!(!(accepted && pending), "{}: evidence never came of {:?}", phone.name, entry.outcome);
        }
    }
}
