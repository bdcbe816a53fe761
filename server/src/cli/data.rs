//! `daybook import`, `report` and `verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use daybook_shared::money::Currency;
use daybook_shared::time::Date;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Config, NewDatabase};
use crate::portfolio::kiva::Kiva;
use crate::portfolio::{ageing_report, import_kiva};
use crate::verify;

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Open an account for every loan of a Kiva folder that has a local schedule
    #[command(after_help = "\
  daybook --db sqlite:kiva.db import kiva ~/kiva
  daybook --db sqlite:kiva.db report ageing --as-of 2014-06-30

The folder holds loans.csv, schedule.csv and payments.csv. Payments are not imported: they are
captured. A second import opens nothing.")]
    Kiva(ImportKiva),
}

#[derive(Debug, Args)]
pub(super) struct ImportKiva {
    /// The folder
    dir: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    new: NewDatabase,
}

impl Import {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let Self::Kiva(import) = self;
        let kiva = Kiva::read(&import.dir)?;
        let app = config.open_or_create(import.new).await?;
        let report = import_kiva::import(&app.db, &kiva, app.now(), &progress("accounts")).await?;
        app.db.close().await;
        if import.json {
            println!("{}", serde_json::to_string(&report)?);
            return Ok(());
        }
        println!("{} accounts opened, {} were there already", report.accounts, report.present);
        let mut reasons = std::collections::BTreeMap::<&str, usize>::new();
        for reason in report.skipped.values() {
            *reasons.entry(reason).or_default() += 1;
        }
        for (reason, loans) in reasons {
            println!("{loans} loans left out: {reason}");
        }
        Ok(())
    }
}

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
