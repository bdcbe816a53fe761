//! What a replay came to: one JSON object, and what broke, in words.

use serde::Serialize;

/// What a replay came to.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own in the JSON object")]
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Phones.
    pub phones: usize,
    /// The seed.
    pub seed: u64,
    /// Whether things went wrong on purpose.
    pub faults: bool,
    /// Accounts opened.
    pub accounts: i64,
    /// Loans without a schedule, which are not opened.
    pub loans_left_out: usize,
    /// Payments captured on phones.
    pub captured: usize,
    /// Captures whose money is in the ledger.
    pub posted: i64,
    /// Captures that wait for a person.
    pub held: i64,
    /// Captures without effect.
    pub refused: i64,
    /// Board changes put aside.
    pub quarantined: i64,
    /// Captures posted with a flag that says why a person may want to look, by flag.
    pub flagged: std::collections::BTreeMap<String, u64>,
    /// Credits to accounts and to customers' credit, minor units.
    pub ledger_minor: i64,
    /// The sum of the payments in the folder.
    pub expected_minor: i64,
    /// Accounts with credit.
    pub overpaid_accounts: i64,
    /// Accounts that are overpaid by the folder's own numbers.
    pub expected_overpaid_accounts: i64,
    /// Whether every journal sums to zero.
    pub journals_balanced: bool,
    /// Whether every phone holds what the server has for it, and what a fresh phone gets.
    pub phones_converged: bool,
    /// Money posted more than once.
    pub duplicates_posted: i64,
    /// Captures the server does not have.
    pub lost: usize,
    /// Whether `daybook verify` found no difference.
    pub verified: bool,
    /// Cases that changed hands.
    pub reassigned: usize,
    /// Times the server was killed.
    pub server_kills: u32,
    /// Times a phone was killed.
    pub phone_kills: u64,
    /// Connections that something happened to.
    pub connections_harmed: u64,
    /// Logins because a lease had lapsed.
    pub logins: u64,
    /// Syncs.
    pub syncs: u64,
    /// Requests.
    pub round_trips: u64,
    /// Bytes of request bodies.
    pub bytes_up: u64,
    /// Bytes of response bodies.
    pub bytes_down: u64,
    /// How long it all took.
    pub seconds: f64,
    /// What does not hold, in words.
    pub broken: Vec<String>,
}

impl Report {
    /// Notes what does not hold.
    pub fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }
}
