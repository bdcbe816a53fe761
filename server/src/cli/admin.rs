//! `daybook migrate`, `user`, `device` and `settings`: what the operator does at the machine.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Config, NewDatabase};
use crate::app::App;
use crate::audit::Actor;
use crate::auth::units::{self, Unit, UnitKind};
use crate::auth::users::{self, Holding, NewUser};
use crate::auth::{Role, enrolment, password};
use crate::db::Tx;
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
pub(super) enum User {
    /// Add a user who can sign in
    Add(UserAdd),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The first user of a new database:
  daybook user add --login root --name 'Grace M.' --role admin

A role is held at a unit and reaches the units below it; without --unit that is the lender's own.
Without --password-stdin a password is made and printed once.")]
pub(super) struct UserAdd {
    /// What he signs in with: a-z, 0-9, dot, dash, underscore, @
    #[arg(long)]
    login: String,
    /// The name colleagues see
    #[arg(long)]
    name: String,
    /// What he may do
    #[arg(long, value_parser = role())]
    role: Role,
    /// The unit the role is held at, by name or id
    #[arg(long)]
    unit: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    new: NewDatabase,
}

impl User {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let Self::Add(add) = self;
        let given = if add.password_stdin { Some(read_password()?) } else { None };
        let app = config.open_or_create(add.new).await?;
        let password = given.clone().unwrap_or_else(|| password::generate(&app.rng));
        let password_hash = password::hash(&password, &app.rng).await?;
        let now = app.now();
        let mut tx = app.db.write().await?;
        let unit = unit(&mut tx, &app, add.unit.as_deref()).await?;
        let new = NewUser { login: &add.login, name: &add.name, password_hash };
        let user = users::create(&mut tx, (now, &app.rng), Actor::OPERATOR, new).await?;
        users::set_role(&mut tx, now, Actor::OPERATOR, &user, (add.role, &unit, Holding::Held)).await?;
        tx.commit().await?;
        app.db.close().await;
        let made = given.is_none().then_some(&password);
        if add.json {
            println!("{}", json!({ "id": user.uid, "login": user.login, "password": made }));
        } else {
            println!("{} is {} at {}", user.login, add.role.code(), unit.name);
            if let Some(password) = made {
                println!("password: {password}  (shown once)");
            }
        }
        Ok(())
    }
}

/// A role by its code; help and refusals name them all.
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.iter().map(|role| role.code())).try_map(|code| code.parse::<Role>())
}

fn read_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        eprintln!("Password, then Ctrl-D:");
    }
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text).context("the password cannot be read")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A unit by name or id; the lender's own, made when there is none, if nothing is named.
async fn unit(tx: &mut Tx, app: &App, named: Option<&str>) -> anyhow::Result<Unit> {
    let Some(named) = named else {
        if let Some(root) = units::root(tx).await? {
            return Ok(root);
        }
        let new = (UnitKind::Company, "Company");
        return Ok(units::create(tx, (app.now(), &app.rng), Actor::OPERATOR, None, new).await?);
    };
    let mut found = units::named(tx, named).await?;
    match (found.pop(), found.is_empty()) {
        (Some(unit), true) => Ok(unit),
        (None, _) => bail!("there is no unit {named:?}"),
        (Some(_), false) => bail!("there are several units {named:?}: name one by its id"),
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
