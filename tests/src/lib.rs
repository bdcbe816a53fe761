//! What proves Daybook from end to end, on the real phone library and the real server.
//!
//! * [`replay`]: real payments, captured offline by phones, over HTTP to a server process.
//! * [`checkout`]: real web orders through the instalment journey.
//! * [`fuzzing`]: what a stranger's bytes go through, for cargo-fuzz and for `make test`.
//! * [`cluster`], [`process`], [`link`], [`phone`]: a private PostgreSQL, the server as a process, a
//!   bad network, and a phone that can be killed.
//! * [`loss`]: the database of a server process is lost, and phones bring back what they recorded.
//! * [`lender`], [`tls`]: a small lender for a server process, and what stands in front of it.

pub mod checkout;
pub mod cluster;
pub mod fuzzing;
pub mod lender;
pub mod link;
pub mod loss;
pub mod phone;
pub mod process;
pub mod records;
pub mod replay;
pub mod tls;

pub mod bench;
pub mod sim;
pub mod workload;
