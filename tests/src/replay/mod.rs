//! Real payments, captured offline on their day by phones of field officers, on their way into the
//! ledger: over real HTTP, to a real server process, on a clock that runs through the years in minutes.
//!
//! With faults, every phone has a bad [`crate::link`], phones are killed in the middle of a session,
//! the server is killed with `kill -9`, and cases change hands. The money must be the same.
//!
//! [`plan`] says what happens when, [`office`] makes the lender, [`road`] lets it happen, [`check`]
//! proves what must hold, [`report`] says it. [`folder`] makes up a folder of the same shape for where
//! the real one is not.

pub mod check;
pub mod folder;
pub mod office;
pub mod plan;
pub mod report;
pub mod road;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use daybook_server::portfolio::kiva::Kiva;
use indicatif::ProgressBar;
use tempfile::TempDir;

use crate::cluster::{Commits, Postgres, fresh_database};
use crate::link::{Badness, Link};
use crate::phone::Phone;
use crate::process::{self, Server};
use office::Office;
use plan::{Mishaps, Plan};
pub use report::Report;
use road::Road;

/// The largest number of phones.
pub const PHONES_MAX: usize = 1_000;

/// Which database the server runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A private cluster.
    Postgres,
}

/// What to replay, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The Kiva folder: loans.csv, schedule.csv, payments.csv
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// How many phones the accounts are dealt to
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub phones: usize,
    /// Decides every random thing
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The server's database
    #[arg(long, value_enum, default_value = "sqlite")]
    pub engine: Engine,
    /// A bad network, phones and server killed, cases reassigned
    #[arg(long)]
    pub faults: bool,
    /// Leave the SQLite database there, and its keys beside it
    #[arg(long, value_name = "FILE")]
    pub keep: Option<PathBuf>,
}

/// Replays a folder and checks what must hold. Building the server is not counted as its time.
pub async fn run(options: &Options, progress: &ProgressBar) -> anyhow::Result<Report> {
    ensure!((1..=PHONES_MAX).contains(&options.phones), "--phones is 1 to {PHONES_MAX}");
    ensure!(options.keep.is_none() || options.engine == Engine::Sqlite, "--keep is for --engine sqlite");
    let kiva = Kiva::read(&options.data)?;
    let mishaps = if options.faults { Mishaps::Many } else { Mishaps::None };
    let plan = Plan::new(&kiva, options.phones, options.seed, mishaps);
    progress.set_message("building the server");
    let program = process::build()?;
    progress.reset_elapsed();

    let dir = tempfile::Builder::new().prefix("daybook-replay-").tempdir()?;
    let postgres = match options.engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(Postgres::find_or_start(Commits::Durable)?),
    };
    let db_url = match &postgres {
        None => format!("sqlite:{}", dir.path().join("daybook.db").display()),
        Some(postgres) => fresh_database(&postgres.url()).await?.url,
    };
    let office = Office { db_url, keys: dir.path().join("keys"), clock: dir.path().join("clock") };
    office.set_clock(plan.begins)?;
    progress.set_message("opening the accounts");
    let (import, officers) = office.set_up(&kiva, &plan, options.phones).await?;
    let settings = process::Settings {
        program: program.clone(),
        db_url: office.db_url.clone(),
        keys: office.keys.clone(),
        clock: Some(office.clock.clone()),
        log: dir.path().join("server.log"),
        file_bytes_max: None,
        momo_secrets: None,
    };
    let server = Arc::new(Server::start(settings).await?);
    let (links, phones) = connect(options, &dir, &plan, &server).await?;
    let mut road = Road::new(&kiva, plan, office, officers, phones, links, Arc::clone(&server));
    let travelled = road.travel(progress).await;
    if travelled.is_err() {
        keep_log(&dir, progress);
    }
    travelled?;
    if let Some(keep) = &options.keep {
        keep_database(&dir, keep).await?;
    }
    progress.set_message("comparing phones with fresh ones");
    let converged = road.compare_with_fresh_phones(dir.path()).await?;
    progress.set_message("checking the books");
    let mut report = check::check(&road, options, &import).await?;
    report.phones_converged &= converged.is_empty();
    report.broken.extend(converged);
    server.stop().await?;
    check::verify(&mut report, &program, &road.office).await?;
    report.seconds = progress.elapsed().as_secs_f64();
    if !report.broken.is_empty() {
        keep_log(&dir, progress);
    }
    Ok(report)
}

/// A phone for each officer, behind a link of its own when the network is bad.
async fn connect(
    options: &Options,
    dir: &TempDir,
    plan: &Plan,
    server: &Arc<Server>,
) -> anyhow::Result<(Vec<Link>, Vec<Phone>)> {
    let (mut links, mut phones) = (Vec::new(), Vec::new());
    for number in 0..options.phones {
        let seed = options.seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
        let mut address = server.address();
        if options.faults {
            let link = Link::start(Arc::clone(server), Badness::FIELD, seed).await?;
            address = link.address();
            links.push(link);
        }
        let path = dir.path().join(format!("phone{number}.db"));
        phones.push(Phone::new(path, address, plan.begins, seed)?);
    }
    Ok((links, phones))
}

/// Copies the database as it is between two transactions, and its keys, so that `daybook` opens it.
async fn keep_database(dir: &TempDir, keep: &Path) -> anyhow::Result<()> {
    let (from, keys) =
        (dir.path().join("daybook.db"), daybook_server::keys::default_dir(&format!("sqlite:{}", keep.display())));
    let to = keep.to_owned();
    tokio::task::spawn_blocking(move || {
        if to.exists() {
            std::fs::remove_file(&to)?;
        }
        let to = to.to_str().context("the file to keep has a name in UTF-8")?;
        rusqlite::Connection::open(from)?.execute("vacuum into ?1", [to])?;
        anyhow::Ok(())
    })
    .await??;
    std::fs::create_dir_all(&keys)?;
    for entry in std::fs::read_dir(dir.path().join("keys"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), keys.join(entry.file_name()))?;
    }
    Ok(())
}

/// Moves the server's log out of the folder that is about to go.
fn keep_log(dir: &TempDir, progress: &ProgressBar) {
    let kept = std::env::temp_dir().join(format!("daybook-replay-{}.log", std::process::id()));
    if std::fs::copy(dir.path().join("server.log"), &kept).is_ok() {
        progress.suspend(|| eprintln!("the server's log: {}", kept.display()));
    }
}
