//! Accounts under loan: what is owed along a schedule, what a payment pays of it, and how late it is.
//!
//! The rules are pure: [`allocation`] and [`ageing`] take schedules, payments and a date, and know
//! neither SQL nor a clock.

pub mod ageing;
pub mod allocation;
