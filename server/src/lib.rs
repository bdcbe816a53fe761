//! The Daybook server. Capabilities are modules: rules (pure), SQL and routes in small files.

pub mod app;
pub mod attachments;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod decisions;
pub mod erasure;
pub mod hints;
pub mod http;
pub mod import;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod portfolio;
pub mod rebuild;
pub mod recovery;
pub mod settings;
pub mod spelled;
pub mod sync;
pub mod testing;
pub mod verify;
