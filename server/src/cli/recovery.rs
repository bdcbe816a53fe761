//! `daybook backup`, `restore`, `recovery` and `rebuild`: against the loss of the database, and its damage.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use daybook_shared::time::Clock as _;
use serde_json::json;

use super::Config;
use super::data::progress;
use crate::app::SharedRng;
use crate::audit::{self, Actor};
use crate::clock::SystemClock;
use crate::db::{Absent, Db};
use crate::{backup, keys, rebuild, recovery};

/// Writes everything in the database, as it is at one moment, into one new file; a server on it goes on
/// serving. The file is read again and checked before it gets its name. It holds all personal data and
/// none of the keys.
#[derive(Debug, Args)]
#[command(after_help = "\
  daybook backup /var/backups/daybook/          # named by its time
  daybook --db postgres://daybook@db/daybook backup monday.backup --json

The keys are not in it: copy their folder once, and keep it apart. Whoever has both can speak for the
server.")]
pub(super) struct Backup {
    /// A file that is not there yet, or a folder
    file: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let db = Db::open_or(Absent::Refuse, &config.db).await?;
        let written = backup::write(&db, SystemClock.now(), &self.file, &progress("rows")).await;
        db.close().await;
        let summary = written?;
        let keys = config.keys.clone().unwrap_or_else(|| keys::default_dir(&config.db));
        if self.json {
            println!("{}", json!({ "backup": summary, "keys_not_in_it": keys }));
            return Ok(());
        }
        println!("{}: {} rows, {} bytes, whole", summary.file.display(), summary.rows, summary.bytes);
        println!("sha256 of its contents {}", summary.sha256);
        println!("the keys are not in it: {} is needed beside it, kept apart", keys.display());
        Ok(())
    }
}

/// Puts a backup into a database that is not there or empty: of SQLite or PostgreSQL, whichever it came
/// from. The restored database has a new epoch: phones hand in again what they recorded in the last 30 days.
#[derive(Debug, Args)]
#[command(after_help = "\
  daybook --db sqlite:restored.db --keys daybook.db.keys restore monday.backup
  daybook --db sqlite:restored.db --keys daybook.db.keys verify
  daybook --db sqlite:restored.db --keys daybook.db.keys serve
  daybook --db sqlite:restored.db --keys daybook.db.keys recovery confirm

What people decided online after the backup is lost and has to be decided again. Payouts and exports stop
until `recovery confirm`: say it when phones have synced and you have looked.")]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let rng = SharedRng::from_os();
        let by = (SystemClock.now(), &rng);
        let restored = backup::restore(&config.db, &self.file, by, &progress("rows")).await?;
        let dir = config.keys.clone().unwrap_or_else(|| keys::default_dir(&config.db));
        let has_keys = keys::identity(&dir)?.is_some_and(|keys| keys.deployment == restored.deployment);
        if self.json {
            println!("{}", json!({ "restored": restored, "keys_are_there": has_keys }));
            return Ok(());
        }
        println!("deployment {} as of {}: {} rows", restored.deployment, restored.taken_at, restored.rows);
        println!("a new epoch {} begins; payouts and exports stop until `daybook recovery confirm`", restored.epoch);
        if !has_keys {
            println!("its keys are not in {}: put their folder there, or name it with --keys", dir.display());
        }
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Recovery {
    /// Print every restore and rollback, and whether somebody has confirmed it
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Say that somebody has looked at what was lost: payouts and exports go on, and phones give back cases
    /// whose assignment was lost
    Confirm,
}

impl Recovery {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = config.open().await?;
        match self {
            Self::List { json } => {
                let mut tx = app.db.read().await?;
                let list = recovery::list(&mut tx).await?;
                drop(tx);
                if json {
                    let list: Vec<_> = list.into_iter().map(recovery::routes::RecoveryView::from).collect();
                    println!("{}", serde_json::to_string(&list)?);
                } else {
                    for recovery in &list {
                        println!("{}", told(recovery));
                    }
                }
            }
            Self::Confirm => {
                let mut tx = app.db.write().await?;
                let confirmed = recovery::confirm(&mut tx, app.now(), Actor::OPERATOR).await?;
                tx.commit().await.context("nothing is confirmed")?;
                println!("{confirmed} confirmed; payouts and exports go on");
            }
        }
        app.db.close().await;
        Ok(())
    }
}

/// Derives again what `verify` finds: accounts from their payments, promises, officers' cash, boards, feeds.
/// A server may serve meanwhile. Say `verify` afterwards: what it still finds cannot be derived.
#[derive(Debug, Args)]
#[command(after_help = "  daybook rebuild && daybook verify")]
pub(super) struct Rebuild {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Rebuild {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = config.open().await?;
        let rebuilt = rebuild::rebuild(&app.db, &progress("accounts and boards")).await?;
        let mut tx = app.db.write().await?;
        let detail = serde_json::to_value(rebuilt)?;
        audit::record(&mut tx, app.now(), Actor::OPERATOR, "database.rebuilt", app.deployment.id, detail).await?;
        tx.commit().await?;
        app.db.close().await;
        if self.json {
            println!("{}", serde_json::to_string(&rebuilt)?);
            return Ok(());
        }
        let rebuild::Rebuilt { accounts, not_allocating, officers, boards, dossiers } = rebuilt;
        println!(
            "rebuilt: {accounts} accounts, cash of {officers} officers, {boards} boards, {dossiers} dossiers in feeds"
        );
        if not_allocating > 0 {
            println!("{not_allocating} accounts have payments that do not allocate, and stay as they are");
        }
        Ok(())
    }
}

fn told(recovery: &recovery::Recovery) -> String {
    let backup = recovery.backup_at.map(|at| format!(" of {at}")).unwrap_or_default();
    let confirmed = recovery.confirmed_at.map_or_else(|| "not confirmed".to_owned(), |at| format!("confirmed {at}"));
    format!("{}  {}{backup}  epoch {}  {confirmed}", recovery.at, recovery.cause, recovery.epoch)
}
