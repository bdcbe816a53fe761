//! `checkout`: real web orders through the instalment journey. See [`daybook_tests::checkout`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use daybook_tests::checkout::{self, Options};
use daybook_tests::sim::Engine;
use indicatif::{ProgressBar, ProgressStyle};

/// Takes real web orders from the checkout to a contract or a cancellation, to delivery and rating, and compares
/// the funnel with a count that is kept beside it.
///
/// Prints one line of JSON; exits with 1 if anything differs. On PostgreSQL run it under `with-postgres`.
#[derive(Debug, Parser)]
#[command(
    name = "checkout",
    after_help = "  cargo run --release -p daybook-tests --bin checkout -- --data ../shared/data/olist"
)]
struct Cli {
    /// The folder of the orders
    #[arg(long)]
    data: PathBuf,
    /// The server's engine
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: Which,
    /// Decides who is approved
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Takes one order of so many
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// A file
    Sqlite,
    /// The cluster that `with-postgres` has made
    Postgres,
}

fn main() -> ExitCode {
    let Cli { data, engine, seed, every } = Cli::parse();
    let engine = match engine {
        Which::Sqlite => Engine::Sqlite,
        Which::Postgres => Engine::Postgres,
    };
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len}");
    let progress = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let done = checkout::run(Options { data: &data, engine, seed, every: every.into() }, &progress);
    progress.finish_and_clear();
    match done {
        Ok(report) => {
            println!("{}", serde_json::to_string(&report).expect("a report is JSON"));
            if report.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("checkout: {error:#}");
            ExitCode::FAILURE
        }
    }
}
