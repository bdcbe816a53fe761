//! `daybook user`: who may sign in, and who is signed in.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use daybook_shared::ids::SessionId;
use serde_json::json;

use super::{Config, NewDatabase};
use crate::app::App;
use crate::audit::Actor;
use crate::auth::oidc::link;
use crate::auth::session::{self, Ending, Session};
use crate::auth::units::{self, Unit, UnitKind};
use crate::auth::users::{self, Holding, NewUser, UserRow};
use crate::auth::{Role, password};
use crate::db::Tx;

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add a user who can sign in
    Add(UserAdd),
    /// List a user's open sign-ins
    #[command(after_help = "  daybook user sessions --login amina\n  daybook user sessions --login amina --json")]
    Sessions(UserSessions),
    /// End a user's sign-ins, all or one; his tokens are worth nothing at once
    #[command(after_help = "\
  daybook user revoke --login amina
  daybook user revoke --login amina --session 01890a5d-ac96-774b-bcce-b302099a8057")]
    Revoke(UserRevoke),
    /// Give a user another password, and end his sign-ins
    #[command(after_help = "Without --password-stdin a password is made and printed once.")]
    Password(UserPassword),
    /// Link a user with a subject of the identity provider, who signs in as him from now on
    #[command(
        after_help = "  daybook user link --login amina --subject 248289761001\n  daybook user link --login amina --none"
    )]
    Link(UserLink),
}

/// The sign-ins of a user that are listed.
const SESSIONS_MAX: i64 = 100;

/// Whose it is, and how to answer.
#[derive(Debug, Args)]
pub(super) struct OfUser {
    /// The user's login
    #[arg(long)]
    login: String,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl OfUser {
    async fn find(&self, tx: &mut Tx) -> anyhow::Result<UserRow> {
        let user = users::by_login(tx, &self.login).await?;
        user.with_context(|| format!("there is no user {:?}", self.login))
    }

    /// Prints one of two answers.
    fn print(&self, json: &serde_json::Value, text: &str) {
        println!("{}", if self.json { json.to_string() } else { text.to_owned() });
    }
}

#[derive(Debug, Args)]
pub(super) struct UserSessions {
    #[command(flatten)]
    of: OfUser,
}

#[derive(Debug, Args)]
pub(super) struct UserRevoke {
    #[command(flatten)]
    of: OfUser,
    /// One sign-in, by its id; without it all of them
    #[arg(long)]
    session: Option<SessionId>,
}

#[derive(Debug, Args)]
pub(super) struct UserPassword {
    #[command(flatten)]
    of: OfUser,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct UserLink {
    #[command(flatten)]
    of: OfUser,
    /// The provider's name for him (`sub`)
    #[arg(long, required_unless_present = "none", conflicts_with = "none")]
    subject: Option<String>,
    /// End all his links
    #[arg(long)]
    none: bool,
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
        match self {
            Self::Add(add) => add.run(config).await,
            Self::Sessions(sessions) => sessions.run(config).await,
            Self::Revoke(revoke) => revoke.run(config).await,
            Self::Password(password) => password.run(config).await,
            Self::Link(link) => link.run(config).await,
        }
    }
}

impl UserAdd {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let add = self;
        let given = if add.password_stdin { Some(read_password()?) } else { None };
        let app = config.open_or_create(add.new).await?;
        let password = given.clone().unwrap_or_else(|| password::generate(&app.rng));
        password::check(&add.login, &password)?;
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

impl UserSessions {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = config.open().await?;
        let mut tx = app.db.read().await?;
        let user = self.of.find(&mut tx).await?;
        let sessions = session::page(&mut tx, app.now(), user.id, (None, SESSIONS_MAX)).await?;
        drop(tx);
        let ends_at = |session: &Session| session.ends_at(&app);
        let rows = sessions.iter().map(|session| {
            json!({
                "id": session.uid, "method": session.method.code(), "agent": session.agent,
                "created_at": session.created_at, "refreshed_at": session.refreshed_at, "ends_at": ends_at(session),
            })
        });
        let lines = sessions.iter().map(|session| {
            let agent = session.agent.as_deref().unwrap_or("-");
            let Session { uid, method, created_at, .. } = session;
            format!("{uid}  {method:9} since {created_at}, until {}  {agent}", ends_at(session))
        });
        let lines: Vec<_> = lines.collect();
        let text = if lines.is_empty() { format!("{} is not signed in", user.login) } else { lines.join("\n") };
        self.of.print(&json!({ "user": user.uid, "sessions": rows.collect::<Vec<_>>() }), &text);
        app.db.close().await;
        Ok(())
    }
}

impl UserRevoke {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = config.open().await?;
        let mut tx = app.db.write().await?;
        let user = self.of.find(&mut tx).await?;
        let (now, actor) = (app.now(), Actor::OPERATOR);
        let ended = if let Some(id) = self.session {
            let found = session::find(&mut tx, id).await?.filter(|session| session.user_id == user.id);
            let found = found.with_context(|| format!("{} has no sign-in {id}", user.login))?;
            session::end(&mut tx, now, actor, &found, Ending::Revoked).await?;
            u64::from(found.ended_at.is_none())
        } else {
            session::end_all(&mut tx, now, actor, (user.id, user.uid), Ending::Revoked).await?
        };
        tx.commit().await?;
        self.of
            .print(&json!({ "user": user.uid, "ended": ended }), &format!("{ended} sign-ins of {} ended", user.login));
        app.db.close().await;
        Ok(())
    }
}

impl UserPassword {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let given = if self.password_stdin { Some(read_password()?) } else { None };
        let app = config.open().await?;
        let password = given.clone().unwrap_or_else(|| password::generate(&app.rng));
        let mut tx = app.db.read().await?;
        let user = self.of.find(&mut tx).await?;
        drop(tx);
        password::check(&user.login, &password)?;
        let hash = password::hash(&password, &app.rng).await?;
        let mut tx = app.db.write().await?;
        users::set_password(&mut tx, app.now(), Actor::OPERATOR, (user.id, user.uid), &hash).await?;
        tx.commit().await?;
        let made = given.is_none().then_some(&password);
        let text = made.map_or_else(
            || format!("{} has another password", user.login),
            |password| format!("password of {}: {password}  (shown once)", user.login),
        );
        self.of.print(&json!({ "user": user.uid, "password": made }), &text);
        app.db.close().await;
        Ok(())
    }
}

impl UserLink {
    async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = config.open().await?;
        let issuer = app.settings.oidc_issuer.clone();
        let mut tx = app.db.write().await?;
        let user = self.of.find(&mut tx).await?;
        let (now, actor, to) = (app.now(), Actor::OPERATOR, (user.id, user.uid));
        match &self.subject {
            Some(_) if issuer.is_empty() => bail!("no identity provider is set: daybook settings set oidc_issuer URL"),
            Some(subject) => {
                if !link::set(&mut tx, now, actor, to, (&issuer, subject)).await? {
                    bail!("the subject is linked already");
                }
            }
            None => drop(link::clear(&mut tx, now, actor, to).await?),
        }
        tx.commit().await?;
        let text = if self.none { "is linked with nobody" } else { "is linked" };
        self.of.print(&json!({ "user": user.uid, "linked": !self.none }), &format!("{} {text}", user.login));
        app.db.close().await;
        Ok(())
    }
}

/// A role by its code; help and refusals name them all.
fn role() -> impl TypedValueParser<Value = Role> {
    let given = Role::ALL.iter().filter(|role| role.is_given());
    PossibleValuesParser::new(given.map(|role| role.code())).try_map(|code| code.parse::<Role>())
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
pub(super) async fn unit(tx: &mut Tx, app: &App, named: Option<&str>) -> anyhow::Result<Unit> {
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
