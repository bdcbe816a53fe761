//! `daybook report` and `verify`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use daybook_shared::money::Currency;
use daybook_shared::time::Date;
use indicatif::{ProgressBar, ProgressStyle};

use super::Config;
use crate::portfolio::ageing_report;
use crate::verify;

#[derive(Debug, Subcommand)]
pub(super) enum Report {
    /// What is outstanding and how late it is, at the end of a day
    #[command(
        after_help = "  daybook report ageing --as-of 2026-03-31\n  daybook report ageing --as-of 2026-03-31 --json"
    )]
    Ageing(ReportAgeing),
}

#[derive(Debug, Args)]
pub(super) struct ReportAgeing {
    /// The day, for example 2026-03-31
    #[arg(long, value_name = "DATE")]
    as_of: Date,
    /// The currency, when there are accounts in several
    #[arg(long)]
    currency: Option<Currency>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Report {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let Self::Ageing(ageing) = self;
        let app = config.open().await?;
        let mut tx = app.db.read().await?;
        let report = ageing_report::report(&mut tx, ageing.as_of, ageing.currency, app.settings.currency).await?;
        drop(tx);
        app.db.close().await;
        if ageing.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!("{report}");
        }
        Ok(())
    }
}

/// Derives everything again that can be derived, and prints what differs. Exit status 1 if anything does.
#[derive(Debug, Args)]
#[command(after_help = "  daybook verify\n  daybook verify --json | jq .checks")]
pub(super) struct Verify {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    /// How many differences of a check are printed; all are counted
    #[arg(long, default_value_t = 20)]
    lines: usize,
}

impl Verify {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let app = config.open().await?;
        let mut tx = app.db.read().await?;
        let findings = verify::verify(&mut tx, &app.settings.zone, self.lines, &progress("rows")).await?;
        drop(tx);
        app.db.close().await;
        if self.json {
            println!("{}", serde_json::to_string(&findings)?);
        } else {
            println!("{findings}");
        }
        Ok(if findings.differing() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A bar for long work, on standard error and only where a person looks.
pub(super) fn progress(unit: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{bar:40}} {{pos}}/{{len}} {unit} {{msg}}"));
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
