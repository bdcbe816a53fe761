//! A phone of the lender's that drives the library's own HTTP client.

use daybook_mobile_sync::capture::Captured;
use daybook_mobile_sync::client::Client;
use daybook_mobile_sync::store::KeptInMemory;
use daybook_mobile_sync::{Moment, Store, SyncReport};
use daybook_shared::ids::{BootId, EntryId};
use daybook_shared::time::Timestamp;
use daybook_tests::lender::Lender;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

/// An officer's phone, its wall clock and its clock since boot.
pub struct Handset {
    pub store: Store,
    pub rng: ChaCha20Rng,
    pub now: Moment,
}

impl Handset {
    /// A new phone whose wall clock says this.
    pub fn new(lender: &Lender, number: usize, wall: Timestamp) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(number as u64);
        let now = Moment { wall, boot_id: BootId([7; 8]), boot_ms: 20_000 };
        let (path, keeper) = (lender.path(&format!("handset{number}.db")), Box::new(KeptInMemory::default()));
        let store = Store::open(&path, &[7; 32], keeper, now, &mut rng).unwrap();
        Self { store, rng, now }
    }

    /// Time passes, by both clocks.
    pub fn pass_ms(&mut self, ms: u64) {
        self.now.boot_ms += ms;
        self.now.wall = self.now.wall.plus_ms(ms.cast_signed());
    }

    pub async fn enrol(&mut self, client: &Client, lender: &Lender, number: usize) {
        let (now, code) = (self.now, lender.officers[number].code.as_str());
        client.enrol(&mut self.store, (code, "test"), &|| now, &mut self.rng).await.unwrap();
    }

    pub fn cash(&mut self, lender: &Lender, number: usize, minor: i64) -> EntryId {
        let draft = lender.cash(number, minor);
        let captured: Captured = self.store.capture(draft, self.now, &mut self.rng).unwrap();
        captured.id
    }

    pub async fn sync(&mut self, client: &Client) -> SyncReport {
        let now = self.now;
        client.sync(&mut self.store, &|| now, &mut self.rng).await.unwrap()
    }

    /// Own captures and the state of each; `pending` before there is a verdict.
    pub fn shown(&self) -> Vec<(EntryId, String)> {
        let own = self.store.own_entries().unwrap().into_iter();
        let state = |outcome: Option<daybook_shared::wire::outcome::Outcome>| {
            outcome.map_or_else(|| "pending".to_owned(), |outcome| outcome.state.code().to_owned())
        };
        own.map(|(id, _, outcome)| (id, state(outcome))).collect()
    }
}
