//! `replay`: real payments through phones, network and server into the ledger. See
//! [`daybook_tests::replay`].

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use daybook_tests::replay::{self, Options, Report};
use indicatif::{ProgressBar, ProgressStyle};

/// Replays real microloans: phones capture every payment offline on its day and sync at random times
/// with a real server process.
///
/// Prints what it came to, last of all one line of JSON; exits with 1 if an invariant broke.
#[derive(Debug, Parser)]
#[command(
    name = "replay",
    after_help = "\
  cargo run --release -p daybook-tests --bin replay -- --data ../shared/data/kiva --phones 10 --seed 1
  cargo run --release -p daybook-tests --bin replay -- --data ../shared/data/kiva --phones 40 --seed 7 \\
      --engine postgres --faults"
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// Print nothing but the line of JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { options, json } = Cli::parse();
    let style = ProgressStyle::with_template("{elapsed_precise} {msg} {bar:30} {pos}/{len}");
    let progress = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    progress.enable_steady_tick(Duration::from_millis(200));
    let done = replay::run(&options, &progress).await;
    progress.finish_and_clear();
    match done {
        Ok(report) => {
            if !json {
                tell(&report);
            }
            println!("{}", serde_json::to_string(&report).expect("a report is JSON"));
            if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("replay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tell(report: &Report) {
    println!("{} accounts, {} loans without a schedule left out", report.accounts, report.loans_left_out);
    println!(
        "{} payments captured on {} phones: {} posted, {} held, {} refused, {} lost, {} twice",
        report.captured,
        report.phones,
        report.posted,
        report.held,
        report.refused,
        report.lost,
        report.duplicates_posted
    );
    println!("ledger {} of {} expected, minor units", report.ledger_minor, report.expected_minor);
    println!(
        "{} syncs, {} requests, {} B up, {} B down",
        report.syncs, report.round_trips, report.bytes_up, report.bytes_down
    );
    for broken in &report.broken {
        println!("BROKEN: {broken}");
    }
}
