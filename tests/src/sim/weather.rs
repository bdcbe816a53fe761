//! What can go wrong in a world, and how often: drawn from the seed, so that seeds differ.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Chances in a thousand, each asked where it can happen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// A request is lost on its way up.
    pub request_lost: u32,
    /// A request is taken for lost, and arrives later.
    pub request_late: u32,
    /// A request arrives a second time later.
    pub request_twice: u32,
    /// A byte of a request or an answer is changed.
    pub garbled: u32,
    /// The server commits, and the answer never leaves.
    pub answer_lost: u32,
    /// An answer breaks off.
    pub answer_cut: u32,
    /// The server is killed in the middle of a request.
    pub server_midway: u32,
    /// The server is killed between two requests.
    pub server_killed: u32,
    /// An app is killed.
    pub phone_killed: u32,
    /// A phone is rebooted, perhaps with a wrong clock.
    pub phone_rebooted: u32,
    /// A phone's file is copied, or the copy put back.
    pub backup: u32,
    /// Somebody online moves cases, caseloads, people and devices, or decides.
    pub office: u32,
    /// Phones ask for the smallest budget.
    pub small_budgets: bool,
    /// A phone is cloned once.
    pub clone: bool,
    /// The server's database is backed up, or lost and the backup put back.
    pub server_lost: u32,
}

impl Weather {
    /// Nothing goes wrong.
    pub fn calm() -> Self {
        Self { office: 20, ..Self::default() }
    }

    /// What this seed has in store. Every fault is absent from some seeds, so that the others get room.
    pub fn drawn(rng: &mut ChaCha8Rng) -> Self {
        // Drawn aside, so that the other faults of a seed stay what they were.
        let mut aside = rng.clone();
        let server_lost = if aside.random_ratio(1, 2) { 0 } else { aside.random_range(1..=8) };
        let mut up_to = |most: u32| if rng.random_ratio(1, 3) { 0 } else { rng.random_range(1..=most) };
        Self {
            request_lost: up_to(150),
            request_late: up_to(100),
            request_twice: up_to(100),
            garbled: up_to(40),
            answer_lost: up_to(150),
            answer_cut: up_to(250),
            server_midway: up_to(100),
            server_killed: up_to(10),
            phone_killed: up_to(20),
            phone_rebooted: up_to(15),
            backup: up_to(15),
            office: up_to(200),
            small_budgets: rng.random_ratio(1, 2),
            clone: rng.random_ratio(1, 6),
            server_lost,
        }
        .possible()
    }

    /// Of twins nobody can say which of them the lost answers were for.
    fn possible(self) -> Self {
        Self { server_lost: if self.clone { 0 } else { self.server_lost }, ..self }
    }
}

/// Whether something with this chance in a thousand happens now.
pub fn happens(rng: &mut ChaCha8Rng, chance: u32) -> bool {
    chance > 0 && rng.random_ratio(chance.min(1000), 1000)
}
