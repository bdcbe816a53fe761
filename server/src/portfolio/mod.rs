//! Accounts under loan: what is owed along a schedule, what a payment pays of it, and how late it is.
//!
//! The rules are pure: [`allocation`] and [`ageing`] take schedules, payments and a date, and know
//! neither SQL nor a clock. [`account`] and [`dossier`] have the rows, [`opening`] makes them, [`assign`]
//! gives dossiers to caseloads and [`feed`] tells caseloads what changed. [`import_kiva`] opens accounts
//! from real data that [`kiva`] reads, [`demo`] from a seed.

pub mod account;
pub mod ageing;
pub mod ageing_report;
pub mod allocation;
pub mod assign;
pub mod demo;
pub mod dossier;
pub mod earning;
pub mod feed;
pub mod import_kiva;
pub mod kiva;
pub mod lateness;
pub mod opening;
pub mod payment;
pub mod returning;
pub mod settlement;
pub mod status;
pub mod versions;

#[cfg(test)]
mod kiva_tests;
#[cfg(test)]
mod tests;
