//! `daybook migrate`, `device` and `settings`: what the operator does at the machine.

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Config, NewDatabase};
use crate::audit::Actor;
use crate::auth::enrolment;
use crate::auth::fleet::{self, DeviceView, Wanted};
use crate::auth::users;
use crate::settings;
use crate::sync::health::Health;

/// Creates the database if it is missing, and brings its tables up to date. `serve`, `demo`, `import`
/// and `user add` do so too; this one does nothing else. No other command creates a database.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    new: NewDatabase,
}

impl Migrate {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = config.open_or_create(self.new).await?;
        let kind = if app.deployment.is_test { ", for tests" } else { "" };
        println!("deployment {}{kind}: tables are up to date", app.deployment.id);
        app.db.close().await;
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Print a code with which a phone becomes a user's device
    Code(DeviceCode),
    /// List devices: whose each is, and how it does
    List(DeviceList),
}

#[derive(Debug, Args)]
#[command(after_help = "\
  daybook device code --login amina
  daybook-phone --home amina enrol http://127.0.0.1:8080 7KQM-02XF-9ATB

A code serves one phone and ends after three days (setting enrolment_code_hours).")]
pub(super) struct DeviceCode {
    /// The user's login
    #[arg(long)]
    login: String,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "  daybook device list\n  daybook device list --health silent --json")]
pub(super) struct DeviceList {
    /// Only devices that do so
    #[arg(long, value_parser = health())]
    health: Option<Health>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

fn health() -> impl TypedValueParser<Value = Health> {
    PossibleValuesParser::new(Health::ALL.iter().map(|health| health.code())).try_map(|code| code.parse::<Health>())
}

/// Devices that are read at one time.
const DEVICES_MAX: i64 = 500;

impl DeviceList {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = config.open().await?;
        let mut wanted = Wanted { health: self.health, after: None, limit: DEVICES_MAX };
        let mut devices = Vec::new();
        loop {
            let page = fleet::page(&mut app.db.read().await?, &app, None, wanted).await?;
            wanted.after = page.last().map(|device| device.id);
            devices.extend(page);
            if wanted.after.is_none() {
                break;
            }
        }
        app.db.close().await;
        if self.json {
            println!("{}", json!(devices));
        } else {
            for device in &devices {
                println!("{}", words(device));
            }
        }
        Ok(())
    }
}

/// A device on one line.
fn words(device: &DeviceView) -> String {
    let DeviceView { id, login, state, unsent, held, .. } = device;
    let does = device.health.unwrap_or(state);
    let last = device.last_sync_at.map_or_else(|| "never synced".to_owned(), |at| format!("last synced {at}"));
    let since = unsent.oldest_at.map(|at| format!(" (oldest {at})")).unwrap_or_default();
    format!("{id}  {does:<7} {login}: {last}, {} unsent{since}, {held} held", unsent.count)
}

impl Device {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Code(code) => code.run(config).await,
            Self::List(list) => list.run(config).await,
        }
    }
}

impl DeviceCode {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let code = self;
        let app = config.open().await?;
        let mut tx = app.db.write().await?;
        let user = users::by_login(&mut tx, &code.login).await?;
        let user = user.filter(|user| user.active).with_context(|| format!("no active user {:?}", code.login))?;
        let issued = enrolment::issue_code(&mut tx, app.now(), &app, Actor::OPERATOR, &user).await?;
        tx.commit().await?;
        app.db.close().await;
        if code.json {
            println!("{}", json!({ "code": issued.code, "expires_at": issued.expires_at, "user": user.uid }));
        } else {
            println!("{}  for {}, until {}", issued.code, user.login, issued.expires_at);
        }
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Settings {
    /// Print all settings, what each means, and its value
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a setting; a running server takes it up with its next start
    #[command(after_help = "  daybook settings set zone Africa/Nairobi\n  daybook settings set currency KES")]
    Set {
        /// The setting
        name: String,
        /// Its new value
        value: String,
    },
}

impl Settings {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = config.open().await?;
        match self {
            Self::List { json: true } => {
                let all =
                    settings::Settings::ALL.iter().map(|(name, _)| ((*name).to_owned(), json!(app.settings.get(name))));
                println!("{}", serde_json::Value::Object(all.collect()));
            }
            Self::List { json: false } => {
                for (name, doc) in settings::Settings::ALL {
                    println!("{name} = {}\n   {doc}", app.settings.get(name).unwrap_or_default());
                }
            }
            Self::Set { name, value } => {
                let mut tx = app.db.write().await?;
                settings::Settings::set(&mut tx, app.now(), Actor::OPERATOR, (&name, &value)).await?;
                tx.commit().await?;
                println!("{name} = {value}; a running server takes it up with its next start");
            }
        }
        app.db.close().await;
        Ok(())
    }
}
