//! The command line: flags, environment and file become one configuration; commands call the
//! capabilities and print what they answer.

mod admin;
mod data;
mod demo;
mod dossier;
mod import;
mod jobs;
mod log;
mod recovery;
mod serve;
mod trust;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::app::{App, AppError, ClockChoice, Options};
use crate::auth::oidc::Secret;
use crate::config::{self, ConfigError, FileConfig, LogFormat};
use crate::db::Absent;
use crate::gateways::{GatewayOptions, Secrets};

const EXAMPLES: &str = "\
Examples:
  daybook --db sqlite:demo.db demo                a lender to look at, with logins and codes
  daybook serve                                   a server on 127.0.0.1:8080, data in ./daybook.db
  daybook user add --login amina --name 'Amina W.' --role officer
  daybook device code --login amina               a code to type into her phone
  daybook import portfolio accounts.csv --check   what taking over a lender's accounts would do
  daybook report ageing --as-of 2026-03-31        what is overdue, and for how long
  daybook verify                                  is every balance what its records say?
  daybook --db postgres://daybook@db/daybook --keys /etc/daybook/keys serve --listen 0.0.0.0:8080

The server's keys are files beside the database (daybook.db.keys/): back up both. Whoever has the
keys can speak for the server; without them every phone must be enrolled again.

A flag wins over its environment variable, that over the file named by --config, that over the
default. The file is TOML; its keys are db, keys, listen, log-format, oidc-client-secret-file,
sms-secret-file, momo-secrets-file and card-secrets-file.";

/// Offline-first backend of a lender that collects in the field.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
struct Global {
    /// The database: sqlite:PATH or postgres://USER@HOST/NAME [default: sqlite:daybook.db]
    #[arg(long, global = true, env = "DAYBOOK_DB", value_name = "URL", hide_env_values = true)]
    db: Option<String>,
    /// The folder of the server's keys [default: PATH.keys beside SQLite, ./daybook.keys for PostgreSQL]
    #[arg(long, global = true, env = "DAYBOOK_KEYS", value_name = "DIR")]
    keys: Option<PathBuf>,
    /// A configuration file (TOML)
    #[arg(long, global = true, env = "DAYBOOK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file with the secret that the identity provider knows this server by (settings oidc_*). The
    /// environment may hold the secret itself: DAYBOOK_OIDC_CLIENT_SECRET
    #[arg(long, global = true, env = "DAYBOOK_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    oidc_client_secret_file: Option<PathBuf>,
    /// A file with what the SMS gateway expects in its header (settings sms_*). The environment may hold it
    /// itself: DAYBOOK_SMS_SECRET
    #[arg(long, global = true, env = "DAYBOOK_SMS_SECRET_FILE", value_name = "FILE")]
    sms_secret_file: Option<PathBuf>,
    /// A file (TOML) with the secrets of the mobile-money gateway (settings momo_*): bearer is shown to it,
    /// callback lists what it signs callbacks with
    #[arg(long, global = true, env = "DAYBOOK_MOMO_SECRETS_FILE", value_name = "FILE")]
    momo_secrets_file: Option<PathBuf>,
    /// The same of the card gateway (settings card_*)
    #[arg(long, global = true, env = "DAYBOOK_CARD_SECRETS_FILE", value_name = "FILE")]
    card_secrets_file: Option<PathBuf>,
    /// How log lines look [default: pretty]
    #[arg(long, global = true, env = "DAYBOOK_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve phones and people over HTTP
    Serve(serve::Serve),
    /// Make a lender to look at, and serve it
    Demo(demo::Demo),
    /// Bring in accounts and payments from elsewhere
    #[command(subcommand)]
    Import(import::Import),
    /// Print a report
    #[command(subcommand)]
    Report(data::Report),
    /// Check that everything derived is as its records say
    Verify(data::Verify),
    /// Write the whole database into one file, while the server serves
    Backup(recovery::Backup),
    /// Put a backup into a new, empty database
    Restore(recovery::Restore),
    /// What was lost and recovered, and a person's confirmation
    #[command(subcommand)]
    Recovery(recovery::Recovery),
    /// Derive again what differs from its records, and write it
    Rebuild(recovery::Rebuild),
    /// Create the database, or bring its tables up to date
    Migrate(admin::Migrate),
    /// Users
    #[command(subcommand)]
    User(users::User),
    /// The server's keys
    #[command(subcommand)]
    Keys(trust::Keys),
    /// The audit trail
    #[command(subcommand)]
    Audit(trust::Audit),
    /// Devices
    #[command(subcommand)]
    Device(admin::Device),
    /// Dossiers
    #[command(subcommand)]
    Dossier(dossier::Dossier),
    /// The lender's settings
    #[command(subcommand)]
    Settings(admin::Settings),
    /// Print the description of the REST API (OpenAPI 3.1)
    Openapi,
    /// Background work: when it was done, and do it now
    Jobs(jobs::Jobs),
}

/// Runs the program.
pub async fn run() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    match start(global, command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("daybook: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes on one line. Many an error's text holds its cause's already: it is not
/// said twice.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

async fn start(global: Global, command: Command) -> anyhow::Result<ExitCode> {
    let config = Config::new(global)?;
    log::init(config.log_format);
    match command {
        Command::Serve(serve) => serve.run(&config).await?,
        Command::Demo(demo) => demo.run(&config).await?,
        Command::Import(import) => return import.run(&config).await,
        Command::Report(report) => report.run(&config).await?,
        Command::Verify(verify) => return verify.run(&config).await,
        Command::Backup(backup) => backup.run(&config).await?,
        Command::Restore(restore) => restore.run(&config).await?,
        Command::Recovery(recovery) => recovery.run(&config).await?,
        Command::Rebuild(rebuild) => rebuild.run(&config).await?,
        Command::Migrate(migrate) => migrate.run(&config).await?,
        Command::User(user) => user.run(&config).await?,
        Command::Keys(keys) => keys.run(&config).await?,
        Command::Audit(audit) => return audit.run(&config).await,
        Command::Device(device) => device.run(&config).await?,
        Command::Dossier(dossier) => dossier.run(&config).await?,
        Command::Settings(settings) => settings.run(&config).await?,
        Command::Openapi => println!("{:#}", crate::http::describe::document()),
        Command::Jobs(jobs) => jobs.run(&config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The variable that holds the secret of the identity provider's client itself.
const OIDC_CLIENT_SECRET: &str = "DAYBOOK_OIDC_CLIENT_SECRET";
/// The variable that holds what the SMS gateway expects.
const SMS_SECRET: &str = "DAYBOOK_SMS_SECRET";

/// What the process was told, after flags, environment, file and defaults.
#[derive(Debug, Clone)]
struct Config {
    db: String,
    keys: Option<PathBuf>,
    listen: String,
    log_format: LogFormat,
    oidc_secret: Option<Secret>,
    sms_secret: Option<Secret>,
    gateways: GatewayOptions,
}

impl Config {
    fn new(global: Global) -> Result<Self, ConfigError> {
        let file = global.config.as_deref().map(config::read).transpose()?.unwrap_or_default();
        let secret_file = global.oidc_client_secret_file.clone().or(file.oidc_client_secret_file.clone());
        let oidc_secret = config::secret(secret_file.as_deref(), std::env::var(OIDC_CLIENT_SECRET).ok())?;
        let secret_file = global.sms_secret_file.clone().or(file.sms_secret_file.clone());
        let sms_secret = config::secret(secret_file.as_deref(), std::env::var(SMS_SECRET).ok())?;
        let secrets = |flag: &Option<PathBuf>, file: &Option<PathBuf>| {
            flag.as_ref().or(file.as_ref()).map(|path| Secrets::read(path)).transpose()
        };
        let gateways = GatewayOptions {
            momo: secrets(&global.momo_secrets_file, &file.momo_secrets_file)?,
            card: secrets(&global.card_secrets_file, &file.card_secrets_file)?,
            ..GatewayOptions::default()
        };
        Ok(Self { oidc_secret, sms_secret, gateways, ..Self::resolve(global, file) })
    }

    fn resolve(global: Global, file: FileConfig) -> Self {
        let Global { db, keys, log_format, .. } = global;
        Self {
            db: db.or(file.db).unwrap_or_else(|| "sqlite:daybook.db".to_owned()),
            keys: keys.or(file.keys),
            listen: file.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            log_format: log_format.or(file.log_format).unwrap_or(LogFormat::Pretty),
            oidc_secret: None,
            sms_secret: None,
            gateways: GatewayOptions::default(),
        }
    }

    /// Opens the database, which must be there, on the machine's clock.
    async fn open(&self) -> Result<Arc<App>, AppError> {
        App::open_or(Absent::Refuse, &self.options(NewDatabase::default(), ClockChoice::System)).await
    }

    /// Opens the database, or creates it: for the commands that may be a lender's first.
    async fn open_or_create(&self, new: NewDatabase) -> Result<Arc<App>, AppError> {
        App::open(&self.options(new, ClockChoice::System)).await
    }

    fn options(&self, new: NewDatabase, clock: ClockChoice) -> Options {
        Options {
            db_url: self.db.clone(),
            key_dir: self.keys.clone(),
            test: new.test,
            clock,
            seed: None,
            oidc_secret: self.oidc_secret.clone(),
            sms_secret: self.sms_secret.clone(),
            gateways: self.gateways.clone(),
        }
    }
}

/// What a database is when this command creates it.
#[derive(Debug, Clone, Copy, Default, Args)]
struct NewDatabase {
    /// A new database is for tests: it may later run on a clock in a file. Refused for one that exists
    /// and is not
    #[arg(long)]
    test: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = || FileConfig {
            db: Some("sqlite:file.db".to_owned()),
            log_format: Some(LogFormat::Json),
            ..FileConfig::default()
        };
        let flags = Global { db: Some("sqlite:flag.db".to_owned()), ..Global::default() };
        let both = Config::resolve(flags, file());
        assert_eq!((both.db.as_str(), both.log_format), ("sqlite:flag.db", LogFormat::Json));
        assert_eq!(Config::resolve(Global::default(), file()).db, "sqlite:file.db");
        let neither = Config::resolve(Global::default(), FileConfig::default());
        assert_eq!((neither.db.as_str(), neither.listen.as_str()), ("sqlite:daybook.db", "127.0.0.1:8080"));
        assert_eq!(neither.log_format, LogFormat::Pretty);
    }

    #[test]
    fn a_cause_is_told_once() {
        let refused = || std::io::Error::other("refused");
        let inline = sqlx::Error::Io(refused());
        assert_eq!(told(&anyhow::Error::from(inline)), "error communicating with database: refused");
        let apart = anyhow::Error::from(refused()).context("the socket").context("the server");
        assert_eq!(told(&apart), "the server: the socket: refused");
    }
}
