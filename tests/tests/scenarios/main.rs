//! Every ruling that model.md lists for the road, as a story: given, when, then, on every engine,
//! through real phones and the real server. Numbers are those of domain.md 4.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod after_sale;
mod after_sale_storms;
mod attachments;
mod boards_and_cases;
mod captures;
mod customers;
mod devices;
mod documents;
mod erasure;
mod failures;
mod feed;
mod figures;
mod handsets;
mod imports;
mod journey;
mod keeping;
mod links;
mod money_back;
mod offers;
mod office;
mod payments;
mod payments_at_once;
mod payments_kept;
mod receipts;
mod records;

use daybook_tests::sim::{Engine, World};

/// Tells a story on every engine.
fn on_every_engine(story: impl Fn(World)) {
    for engine in Engine::all() {
        story(World::new(engine, 1));
    }
}

/// Tells a story of a lender with other settings.
fn on_every_engine_with(settings: &[(&str, &str)], story: impl Fn(World)) {
    for engine in Engine::all() {
        story(World::with_settings(engine, 1, settings));
    }
}
