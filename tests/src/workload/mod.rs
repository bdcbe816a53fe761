//! The one workload that benches run on: seeded, so that everybody's figures are of the same work.
//!
//! **A case** is an account with a customer (name, phone, masked national id, language, address and
//! position), a product and 12 monthly instalments of principal and interest in KES: all that a
//! case's facts are rendered from ([`people`]).
//!
//! **Its history** is 0 to 40 entries, uniform, so 20 on average, over the 60 days before the bench
//! begins, by 3 devices of 3 officers who hold the caseload ([`history`]):
//!
//! | share | entry | what it holds |
//! |---|---|---|
//! | 55 % | visit | position to 6 decimals within 2 km of the customer's, accuracy, age of the fix; who was met, outcome, up to two reasons, duration; a note of 40 to 120 characters from a list of 273 words ([`words`]) |
//! | 35 % | cash repayment | 200 to 1,900 shillings, the next number of the device's receipt block |
//! | 10 % | promise | an amount, a day within 30, how it will be paid |
//!
//! **Boards**: one case in five has a note, two tags and a task, written by one of the devices.
//!
//! The history reaches the server by the real road: handsets ([`handset`]) seal envelopes once a day
//! and send them to `POST /v1/sync`; each entry names the acknowledgement its handset then held, each
//! header its anchors. A handset is a phone without a store: it signs and chains as a phone does, and
//! forgets what it is told about others.
//!
//! What a bench captures itself is drawn from the same generator ([`history::Recorded`]).

pub mod handset;
pub mod history;
pub mod office;
pub mod people;
pub mod words;

/// The seed when none is given.
pub const SEED: u64 = 2;
