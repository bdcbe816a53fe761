//! `daybook migrate`, `device` and `settings`: what the operator does at the machine.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Config, NewDatabase};
use crate::audit::Actor;
use crate::auth::enrolment;
use crate::auth::users;
use crate::settings;

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

impl Device {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let Self::Code(code) = self;
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
