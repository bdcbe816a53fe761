//! `daybook demo`: a lender to look at, ready to be served.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;

use super::data::progress;
use super::serve::{self, Listen};
use super::{Config, NewDatabase};
use crate::app::App;
use crate::audit::{self, Actor};
use crate::auth::users::{self, Roster};
use crate::auth::{Role, enrolment};
use crate::on_db;
use crate::portfolio::demo;
use crate::settings::Settings;

/// Fills a new database with a lender in Kenya (2 branches, 8 officers, 1,200 accounts, a year of
/// history), serves it, and prints who can sign in and what to try. A demo that exists is served again.
#[derive(Debug, Args)]
#[command(after_help = "\
  daybook --db sqlite:demo.db demo
  daybook --db sqlite:demo.db demo --no-serve --seed 7")]
pub(super) struct Demo {
    /// Decides every row of the demo
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make it, and do not serve it
    #[arg(long)]
    no_serve: bool,
    /// A gateway that plays mobile money and a card page: customers of the demo pay in the app through it
    #[arg(long, env = "DAYBOOK_DEMO_GATEWAY", value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    new: NewDatabase,
}

/// Users of a demo that are printed; there are 13.
const ROSTER_MAX: i64 = 50;

impl Demo {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let mut app = config.open_or_create(self.new).await?;
        let mut tx = app.db.read().await?;
        let made = audit::happened(&mut tx, "demo.created").await?;
        drop(tx);
        if !made {
            match demo::create(&app.db, app.now(), self.seed, &progress("steps")).await {
                Err(demo::DemoError::NotEmpty) => {
                    bail!("the database holds data and is no demo: name another --db, or `daybook serve` it")
                }
                made => made?,
            };
        }
        if let Some(url) = &self.gateway {
            use_gateway(&app, url).await?;
        }
        if !made || self.gateway.is_some() {
            // The demo has its own zone and currency, and its gateway: settings are read again.
            app.db.close().await;
            app = config.open().await?;
        }
        if self.no_serve {
            println!("{}", invitation(&app, config, &format!("http://{}", self.listen.address(config))).await?);
            app.db.close().await;
            return Ok(());
        }
        let bound = serve::bind(config, &self.listen).await?;
        let text = invitation(&app, config, &format!("http://{}", bound.address()?)).await?;
        println!("{text}");
        serve::run(&app, bound).await
    }
}

/// Payments in the app go through the gateway at this address.
async fn use_gateway(app: &App, url: &str) -> anyhow::Result<()> {
    let mut tx = app.db.write().await?;
    for setting in [("momo_url", url), ("momo_code", "MPESA"), ("card_url", url), ("card_code", "CARD")] {
        Settings::set(&mut tx, app.now(), Actor::OPERATOR, setting).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Who can sign in, codes for phones, and three commands.
async fn invitation(app: &Arc<App>, config: &Config, url: &str) -> anyhow::Result<String> {
    let mut tx = app.db.write().await?;
    let roster = users::roster(&mut tx, ROSTER_MAX).await?;
    let mut lines = vec![
        format!("Everybody's password is {}\n", demo::PASSWORD),
        format!("{:14}{:17}{:18}{:18}{}", "login", "role", "unit", "enrolment code", "name"),
    ];
    let mut example = None;
    for Roster { user, role, unit_name } in &roster {
        let code = match role {
            Role::Officer => enrolment::issue_code(&mut tx, app.now(), app, Actor::OPERATOR, user).await?.code,
            _ => String::new(),
        };
        lines.push(format!("{:14}{:17}{unit_name:18}{code:18}{}", user.login, role.code(), user.name));
        if example.is_none() && *role == Role::Officer {
            example = account_of(&mut tx, user.id).await?.map(|number| (code, number));
        }
    }
    tx.commit().await?;
    if let Some((code, number)) = example {
        let (phone, daybook) = (program("daybook-phone"), program("daybook"));
        // The URL of a PostgreSQL may hold a password.
        let db = if config.db.starts_with("sqlite:") { &config.db } else { "$DAYBOOK_DB" };
        let today = app.settings.zone.date_of(app.now());
        lines.push("\nTry:".to_owned());
        lines.push(format!("  {phone} --home phone1 enrol {url} {code} && {phone} --home phone1 sync"));
        lines.push(format!("  {phone} --home phone1 repay {number} 250 && {phone} --home phone1 sync"));
        lines.push(format!("  {daybook} --db {db} report ageing --as-of {today}\n"));
    }
    Ok(lines.join("\n"))
}

const ACCOUNT: &str = "
    select min(a.number) from account a join dossier d on d.account_id = a.id
    join caseload_member m on m.caseload_id = d.caseload_id
    where m.user_id = $1 and a.status = 'active' and a.oldest_unmet_due is not null";

/// The number of an account in a user's caseload.
async fn account_of(tx: &mut crate::db::Tx, user_id: i64) -> sqlx::Result<Option<String>> {
    on_db!(tx, conn => sqlx::query_scalar(ACCOUNT).bind(user_id).fetch_one(conn).await)
}

/// How to call a program that lies beside this one.
fn program(name: &str) -> String {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name(name)).filter(|path| path.exists());
    let here = std::env::current_dir().unwrap_or_default();
    let path = beside.map_or_else(|| PathBuf::from(name), |path| path.strip_prefix(here).unwrap_or(&path).to_owned());
    path.display().to_string()
}
