//! `daybook import`: portfolios, payments recorded elsewhere, statements, and the Kiva folder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use daybook_shared::time::Date;
use indicatif::ProgressBar;

use super::data::progress;
use super::{Config, NewDatabase, users};
use crate::app::App;
use crate::import::bad::{BadLine, BadLines};
use crate::import::money_in::{self, Kind, provider_code};
use crate::import::portfolio::{self, Accounts, Reading};
use crate::import::rows::Rows;
use crate::import::sheet::Column;
use crate::import::take_in::{MoneyReport, TakeIn};
use crate::import::take_over::{Mode, PortfolioReport, TakeOver};
use crate::import::{ImportError, Scope, template};
use crate::portfolio::import_kiva;
use crate::portfolio::kiva::Kiva;

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Take over a lender's accounts, with their schedules and what is paid
    #[command(after_help = PORTFOLIO_HELP)]
    Portfolio(ImportPortfolio),
    /// Post payments that were recorded elsewhere
    #[command(after_help = REPAYMENTS_HELP)]
    Repayments(ImportRepayments),
    /// Match a mobile-money operator's statement with what officers captured, and post the rest
    #[command(after_help = STATEMENT_HELP)]
    Statement(ImportStatement),
    /// Open an account for every loan of a Kiva folder that has a local schedule
    #[command(after_help = "\
  daybook --db sqlite:kiva.db import kiva ~/kiva
  daybook --db sqlite:kiva.db report ageing --as-of 2014-06-30

The folder holds loans.csv, schedule.csv and payments.csv. Payments are not imported: they are
captured. A second import opens nothing.")]
    Kiva(ImportKiva),
}

const PORTFOLIO_HELP: &str = "\
  daybook import portfolio --template > accounts.csv
  daybook import portfolio accounts.csv --check --errors wrong.csv
  daybook import portfolio accounts.csv --as-of 2026-03-31

One row an instalment, the account's columns repeated or empty after its first row; or one row an
account with first_due, instalments and every. Rows of an account stand together. --template prints
all columns; docs/import.md says what each holds. A line that is wrong leaves out its account and no
other (--all-or-nothing: then nothing is imported). A second import of the same file does nothing;
one that says something else of an account is a conflict, and changes nothing.

Exit status: 0 all is in; 1 some lines were wrong, or nothing could be done.";

const REPAYMENTS_HELP: &str = "\
  daybook import repayments --template > paid.csv
  daybook import repayments paid.csv --check
  daybook import repayments paid.csv --errors wrong.csv

A payment is known by its channel and external_ref, and is posted once, however often the file comes.
Cash is in a cashier's till; bank transfers, cheques and vouchers are at the bank, cards at the
acquirer, mobile money at the operator. A payment for an account that is not known waits in suspense
and is listed; the same line again, once the account is there, takes it out. What was recorded with
other content before is a conflict, and changes nothing.

Exit status: 0 all is in its place; 1 something is in suspense, in conflict or left out.";

const STATEMENT_HELP: &str = "\
  daybook import statement --template > mpesa.csv
  daybook import statement mpesa.csv --provider MPESA

A line whose PROVIDER:reference an officer captured confirms the capture, if amount and account are the
same; if not, the capture stays held for a person. Any other line goes to the account that the payer
named, or waits in suspense. Whatever comes first, statement or phone, the money is booked once. Leave
out lines of money that went out.

Exit status: 0 all is in its place; 1 something is in suspense, in conflict or left out.";

#[derive(Debug, Args)]
pub(super) struct ImportPortfolio {
    #[command(flatten)]
    file: ImportFile,
    /// The day of the balances, for example 2026-03-31 [default: today]
    #[arg(long, value_name = "DATE")]
    as_of: Option<Date>,
    /// The country's calling code, for phone numbers that have none: 254
    #[arg(long, value_name = "DIGITS", value_parser = calling_code)]
    country_code: Option<String>,
    #[command(flatten)]
    new: NewDatabase,
}

/// What every import of a file takes.
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are each on their own")]
#[derive(Debug, Args)]
pub(super) struct ImportFile {
    /// The file: CSV in UTF-8, with a comma, a semicolon or a tab between
    #[arg(required_unless_present = "template")]
    file: Option<PathBuf>,
    /// Print a file with all columns and an example, and do nothing
    #[arg(long)]
    template: bool,
    /// Say what would be done and what is wrong, and do nothing
    #[arg(long)]
    check: bool,
    /// Import nothing if anything is wrong: the file is checked to its end first
    #[arg(long)]
    all_or_nothing: bool,
    /// Write every line that is wrong to this file
    #[arg(long, value_name = "FILE.csv")]
    errors: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

fn calling_code(text: &str) -> Result<String, &'static str> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let good =
        (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if good { Ok(digits.to_owned()) } else { Err("a calling code is one to three digits, such as 254") }
}

impl Import {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Portfolio(import) => import.run(config).await,
            Self::Repayments(import) => import.money.run(config, Kind::Repayments).await,
            Self::Statement(import) => {
                let provider = import.provider.unwrap_or_default();
                import.money.run(config, Kind::Statement(provider)).await
            }
            Self::Kiva(import) => import.run(config).await,
        }
    }
}

impl ImportFile {
    /// The file's name, unless only the template is wanted, which is printed.
    fn path(&self, columns: &'static [Column]) -> Option<&PathBuf> {
        if self.template {
            print!("{}", template(columns));
        }
        self.file.as_ref().filter(|_| !self.template)
    }

    fn bad_lines(&self) -> Result<BadLines, ImportError> {
        Ok(self.errors.as_ref().map_or_else(|| Ok(BadLines::default()), |path| BadLines::to_file(path))?)
    }

    /// A bar as long as the file.
    fn progress(&self) -> ProgressBar {
        let bar = progress("bytes");
        let length = self.file.as_ref().and_then(|path| path.metadata().ok()).map(|file| file.len());
        bar.set_length(length.unwrap_or(0));
        bar
    }

    /// Says which lines were wrong, on standard error.
    fn tell(&self, lines: &[BadLine], count: u64) {
        for line in lines {
            eprintln!("{line}");
        }
        let more = count - lines.len() as u64;
        if more > 0 {
            let hint = if self.errors.is_some() { "" } else { " (--errors FILE.csv has all)" };
            eprintln!("and {more} more{hint}");
        }
    }
}

impl ImportPortfolio {
    async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let Some(path) = self.file.path(portfolio::COLUMNS) else { return Ok(ExitCode::SUCCESS) };
        // A file that is not there makes no database.
        let rows = Rows::file(path, portfolio::COLUMNS)?;
        let app = config.open_or_create(self.new).await?;
        if !self.file.check {
            // An import may be a lender's first command: then the accounts' unit is his own.
            let mut tx = app.db.write().await?;
            users::unit(&mut tx, &app, None).await?;
            tx.commit().await?;
        }
        let report = self.import(&app, rows).await;
        app.db.close().await;
        let report = report?;
        if self.file.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            self.file.tell(&report.lines, report.bad_lines);
            let PortfolioReport { opened, present, conflicts, refused, .. } = report;
            let will = if self.file.check { "would be opened" } else { "opened" };
            println!(
                "{opened} accounts {will}, {present} were there already, {conflicts} conflicts, {refused} left out"
            );
        }
        Ok(if report.conflicts + report.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn import(&self, app: &App, rows: Rows) -> Result<PortfolioReport, ImportError> {
        let as_of = self.as_of.unwrap_or_else(|| app.settings.zone.date_of(app.now()));
        let reading = Reading { as_of, country: self.country_code.clone() };
        let take_over = |mode| TakeOver { app, scope: &Scope::OPERATOR, as_of, mode };
        let path = self.file.file.as_ref().filter(|_| self.file.all_or_nothing && !self.file.check);
        let bar = self.file.progress();
        let Some(path) = path else {
            let mode = if self.file.check { Mode::Check } else { Mode::Import };
            let accounts = Accounts::new(rows, reading);
            return take_over(mode).run(accounts, self.file.bad_lines()?, &bar).await;
        };
        let accounts = Accounts::new(rows, reading.clone());
        let checked = take_over(Mode::Check).run(accounts, self.file.bad_lines()?, &bar).await?;
        if checked.refused + checked.conflicts > 0 {
            return Ok(PortfolioReport { opened: 0, ..checked });
        }
        let accounts = Accounts::new(Rows::file(path, portfolio::COLUMNS)?, reading);
        take_over(Mode::Import).run(accounts, self.file.bad_lines()?, &bar).await
    }
}

#[derive(Debug, Args)]
pub(super) struct ImportRepayments {
    #[command(flatten)]
    money: ImportMoney,
}

#[derive(Debug, Args)]
pub(super) struct ImportStatement {
    #[command(flatten)]
    money: ImportMoney,
    /// The provider's code, as captured references begin with it: MPESA
    #[arg(long, value_name = "CODE", value_parser = provider_code, required_unless_present = "template")]
    provider: Option<String>,
}

#[derive(Debug, Args)]
struct ImportMoney {
    #[command(flatten)]
    file: ImportFile,
    /// The country's calling code, for phone numbers that have none: 254
    #[arg(long, value_name = "DIGITS", value_parser = calling_code)]
    country_code: Option<String>,
}

impl ImportMoney {
    async fn run(self, config: &Config, kind: Kind) -> anyhow::Result<ExitCode> {
        let Some(path) = self.file.path(kind.columns()) else { return Ok(ExitCode::SUCCESS) };
        let rows = Rows::file(path, kind.columns())?;
        let app = config.open().await?;
        let report = self.import(&app, kind, rows).await;
        app.db.close().await;
        let report = report?;
        if self.file.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            self.file.tell(&report.lines, report.bad_lines);
            let MoneyReport { posted, confirmed, suspense, present, conflicts, differing, refused, .. } = report;
            let would = if self.file.check { "would be " } else { "" };
            println!(
                "{would}{posted} posted, {confirmed} captures confirmed, {suspense} in suspense; {present} were there \
                 already, {conflicts} conflicts, {differing} posted with another amount, {refused} left out"
            );
        }
        Ok(if report.unclear() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn import(&self, app: &App, kind: Kind, rows: Rows) -> Result<MoneyReport, ImportError> {
        let columns = kind.columns();
        let (zone, country) = (app.settings.zone.clone(), self.country_code.clone());
        let reading = money_in::Reading { kind, today: zone.date_of(app.now()), zone, country };
        let take_in = |mode| TakeIn { app, scope: &Scope::OPERATOR, reading: reading.clone(), mode };
        let bar = self.file.progress();
        let mode = if self.file.check || self.file.all_or_nothing { Mode::Check } else { Mode::Import };
        let report = take_in(mode).run(rows, self.file.bad_lines()?, &bar, |_| ()).await?;
        if self.file.check || !self.file.all_or_nothing {
            return Ok(report);
        }
        let Some(path) = self.file.file.as_ref().filter(|_| report.unclear() == 0) else {
            return Ok(MoneyReport { posted: 0, confirmed: 0, ..report });
        };
        take_in(Mode::Import).run(Rows::file(path, columns)?, self.file.bad_lines()?, &bar, |_| ()).await
    }
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

impl ImportKiva {
    async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let kiva = Kiva::read(&self.dir)?;
        let app = config.open_or_create(self.new).await?;
        let report = import_kiva::import(&app.db, &kiva, app.now(), &progress("accounts")).await?;
        app.db.close().await;
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
            return Ok(ExitCode::SUCCESS);
        }
        println!("{} accounts opened, {} were there already", report.accounts, report.present);
        let mut reasons = std::collections::BTreeMap::<&str, usize>::new();
        for reason in report.skipped.values() {
            *reasons.entry(reason).or_default() += 1;
        }
        for (reason, loans) in reasons {
            println!("{loans} loans left out: {reason}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
