//! What people read who run the journey: figures, frozen reports, campaigns and what came of them.
//!
//! Everything here reads; what it shows is worked out from the journey's rows each time, and never stored but in
//! a frozen report.
//!
//! * [`funnel`]: from a checkout to a plan. [`table`]: figures as CSV and as a workbook.
//! * [`frozen`]: a week's or a month's figures, as they stood. [`campaigns`]: offers put forward for a time.
//! * [`routes`]: REST.

pub mod campaigns;
pub mod frozen;
pub mod funnel;
pub mod routes;
pub mod table;
