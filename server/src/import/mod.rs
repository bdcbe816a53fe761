//! Bringing in what a lender has elsewhere: his portfolio, payments recorded in other books, and
//! statements of mobile-money operators.
//!
//! [`sheet`] reads CSV, [`rows`] that or JSON, [`cell`] says what a text means and [`bad`] collects what
//! is wrong. [`portfolio`] has the columns of accounts and [`take_over`] opens them; [`money_in`] has those
//! of payments and statements, [`receive`] decides on their lines ([`begun`]: payments in the app that they are) and [`take_in`] runs a file through it. [`routes`] takes
//! the same over REST, in smaller pieces.
//!
//! What is deliberately not here: changing anything that is there. A file that says something else of an
//! account, a customer or a payment than an earlier one is a conflict for people to look into.

pub mod bad;
pub mod begun;
pub mod cell;
pub mod money_in;
pub mod portfolio;
pub mod receive;
pub mod routes;
pub mod rows;
pub mod sheet;
pub mod take_in;
pub mod take_over;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use daybook_shared::money::MoneyError;
use daybook_shared::time::Timestamp;
use uuid::Uuid;

use crate::audit::Actor;
use crate::db;
use crate::journey::acceptance::BeginError;
use crate::ledger::posting::PostingError;
use crate::portfolio::allocation::AllocationError;
use crate::portfolio::opening::OpenError;
use crate::sync::money::PayError;

/// Why an import ended before its file did. What it did before stays; it can be run again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file.
    #[error(transparent)]
    Sheet(#[from] sheet::SheetError),
    /// The file for what is wrong.
    #[error("the file for bad lines: {0}")]
    Bad(#[from] csv::Error),
    /// The same.
    #[error("the file for bad lines: {0}")]
    Io(#[from] std::io::Error),
    /// An account's sums.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A journal.
    #[error(transparent)]
    Posting(#[from] PostingError),
    /// An allocation.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// A payment.
    #[error(transparent)]
    Pay(#[from] PayError),
    /// A sum.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

impl From<BeginError> for ImportError {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Sql(error) => Self::Sql(error),
            BeginError::Posting(error) => Self::Posting(error),
        }
    }
}

/// How often a transaction that met another is run again.
const RETRIES_MAX: usize = 20;

impl ImportError {
    /// Whether the rows themselves are at fault, and the next ones may go.
    fn blames_the_rows(&self) -> bool {
        match self {
            Self::Sql(error) | Self::Open(OpenError::Sql(error)) => db::is_constraint_violation(error),
            Self::Open(OpenError::Schedule { .. })
            | Self::Posting(_)
            | Self::Allocation(_)
            | Self::Pay(_)
            | Self::Money(_) => true,
            Self::Sheet(_) | Self::Bad(_) | Self::Io(_) => false,
        }
    }
}

/// Who imports, and how far he reaches.
#[derive(Debug, Clone)]
pub struct Scope {
    /// For the audit trail.
    pub actor: Actor,
    /// Keys of the units whose accounts he may touch; none for the operator at the machine, who may all.
    pub units: Option<BTreeSet<i64>>,
}

impl Scope {
    /// The operator at the machine.
    pub const OPERATOR: Self = Self { actor: Actor::OPERATOR, units: None };

    /// Whether he reaches a unit.
    pub fn reaches(&self, unit: i64) -> bool {
        self.units.as_ref().is_none_or(|units| units.contains(&unit))
    }
}

/// An id that sorts by its time, as those of captures do, and that a second import finds again.
fn dated_id(at: Timestamp, hash: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&hash[..10]);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.millis()).unwrap_or(0), &bytes).into_uuid()
}

/// A file with all columns and an example.
pub fn template(columns: &[sheet::Column]) -> String {
    let line = |texts: Vec<&str>| {
        let quoted =
            texts.into_iter().map(|text| if text.contains(',') { format!("\"{text}\"") } else { text.to_owned() });
        quoted.collect::<Vec<_>>().join(",")
    };
    let names = line(columns.iter().map(|column| column.name).collect());
    let example = line(columns.iter().map(|column| column.example).collect());
    format!("{names}\n{example}\n")
}
