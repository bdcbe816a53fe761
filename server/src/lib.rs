//! The Daybook server. Capabilities are modules: rules (pure), SQL and routes in small files.

pub mod db;
pub mod ledger;
pub mod portfolio;
