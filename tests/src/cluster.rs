//! A private PostgreSQL cluster: made in a temporary folder, listening on a unix socket there and
//! nowhere else, stopped and removed when it is dropped.
//!
//! PostgreSQL refuses to run as root; then the cluster belongs to the system's `postgres` user, or to
//! `nobody`. What is not here: the tables (the server migrates what it opens).

use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;

/// The variable that names a cluster which is running already.
pub const RUNNING: &str = "DAYBOOK_TEST_POSTGRES";
/// The cluster's superuser, trusted on the socket.
const USER: &str = "daybook";
/// The longest folder whose socket's path still fits into a socket's address.
const SOCKET_DIR_MAX: usize = 80;
/// The folder of its files, in the cluster's own.
const DATA: &str = "data";

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The server's programs are not installed.
    #[error("PostgreSQL's server programs ({0}) were not found: install the Debian package `postgresql`")]
    Missing(&'static str),
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it said.
        output: String,
    },
    /// The operating system says no.
    #[error("the cluster cannot be made: {0}")]
    Io(#[from] io::Error),
    /// The cluster says no.
    #[error("the cluster does not answer: {0}")]
    Sql(#[from] sqlx::Error),
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// The disk, as in a lender's installation: for replays and benches.
    Durable,
    /// Nothing: survives the end of any process, not of the machine. For tests.
    Fast,
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    postgres: Child,
    bin: PathBuf,
    owner: Option<(u32, u32)>,
    commits: Commits,
    dir: TempDir,
}

/// A database of its own in a cluster. It stays until the cluster goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// As `daybook --db` takes it.
    pub url: String,
}

impl Cluster {
    /// Makes and starts a cluster, and waits until it answers.
    pub fn start(commits: Commits) -> Result<Self, ClusterError> {
        let bin = programs()?;
        let owner = foreign_owner()?;
        let dir = tempfile::Builder::new().prefix("daybook-pg-").tempdir_in(base_dir())?;
        if let Some((uid, gid)) = owner {
            chown(dir.path(), Some(uid), Some(gid))?;
        }
        let data = dir.path().join(DATA);
        let mut initdb = program(&bin.join("initdb"), owner, dir.path());
        initdb.arg("--pgdata").arg(&data).args(["--username", USER, "--auth=trust", "--encoding=UTF8"]);
        run("initdb", initdb.args(["--locale=C", "--no-sync", "--no-instructions"]))?;
        let postgres = launch(&bin, owner, dir.path(), commits)?;
        Ok(Self { postgres, bin, owner, commits, dir })
    }

    /// Asks it to stop: what it is at is rolled back, and its connections end.
    pub fn stop(&mut self) -> Result<(), ClusterError> {
        self.stop_how("fast")?;
        self.postgres.wait()?;
        Ok(())
    }

    /// `kill -9` of every process it has.
    pub fn kill(&mut self) -> Result<(), ClusterError> {
        let parent = self.postgres.id();
        // Standing, so that it makes no more of them.
        Command::new("kill").args(["-STOP", &parent.to_string()]).status()?;
        let children = children_of(parent)?;
        self.postgres.kill()?;
        self.postgres.wait()?;
        let pids: Vec<String> = children.iter().map(ToString::to_string).collect();
        // One that has ended by itself meanwhile is as good as killed.
        let _ = Command::new("kill").arg("-9").args(pids).stderr(Stdio::null()).status()?;
        while children.iter().any(|child| is_alive(*child)) {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Starts it again on the same data, after it was stopped or killed, and waits until it answers.
    pub fn start_again(&mut self) -> Result<(), ClusterError> {
        self.postgres = launch(&self.bin, self.owner, self.dir.path(), self.commits)?;
        Ok(())
    }

    fn stop_how(&self, how: &str) -> Result<(), ClusterError> {
        let mut stop = program(&self.bin.join("pg_ctl"), self.owner, self.dir.path());
        stop.arg("stop").arg("-D").arg(self.dir.path().join(DATA)).args(["-m", how, "-s"]);
        run("pg_ctl", &mut stop)
    }

    /// One of PostgreSQL's programs, to be run as whom the cluster belongs to.
    pub fn program(&self, name: &str) -> Command {
        program(&self.bin.join(name), self.owner, self.dir.path())
    }

    /// The URL of its maintenance database, of the kind [`fresh_database`] takes.
    pub fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user={USER}", self.dir.path().display())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // `immediate` leaves nothing running and asks for no checkpoint: the folder goes anyway.
        if self.stop_how("immediate").is_err() {
            self.postgres.kill().ok();
        }
        self.postgres.wait().ok();
    }
}

/// A cluster that this process started, or the one that [`RUNNING`] names.
#[derive(Debug)]
pub enum Postgres {
    /// Somebody else's, by its URL.
    Running(String),
    /// Our own.
    Own(Cluster),
}

impl Postgres {
    /// The cluster of the whole test run, or a new one.
    pub fn find_or_start(commits: Commits) -> Result<Self, ClusterError> {
        match std::env::var(RUNNING) {
            Ok(url) => Ok(Self::Running(url)),
            Err(_) => Cluster::start(commits).map(Self::Own),
        }
    }

    /// The URL of its maintenance database.
    pub fn url(&self) -> String {
        match self {
            Self::Running(url) => url.clone(),
            Self::Own(cluster) => cluster.url(),
        }
    }
}

/// Makes an empty database in the cluster with this URL.
pub async fn fresh_database(cluster: &str) -> Result<Database, ClusterError> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("replay_{}_{number}", std::process::id());
    let admin = PgPool::connect(cluster).await?;
    for statement in ["drop database if exists", "create database"] {
        sqlx::query(AssertSqlSafe(format!("{statement} {name}"))).execute(&admin).await?;
    }
    admin.close().await;
    Ok(Database { url: with_database(cluster, &name) })
}

/// The URL with another database in it.
fn with_database(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let parameters = rest.split_once('?').map(|(_, parameters)| format!("?{parameters}")).unwrap_or_default();
    format!("{scheme}://{host}/{name}{parameters}")
}

/// The folder of the newest server's programs.
fn programs() -> Result<PathBuf, ClusterError> {
    let named = Command::new("pg_config").arg("--bindir").output().ok();
    let named = named.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_unstable();
    let candidates = versions.into_iter().rev().map(|(_, bin)| bin).chain(named);
    let has_all = |bin: &PathBuf| ["initdb", "postgres", "pg_ctl"].iter().all(|name| bin.join(name).is_file());
    candidates.into_iter().find(has_all).ok_or(ClusterError::Missing("initdb, postgres, pg_ctl"))
}

/// Whom the cluster has to belong to; nobody else when this process is not root's.
fn foreign_owner() -> Result<Option<(u32, u32)>, ClusterError> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let ids = |wanted: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let owner = ids("postgres").or_else(|| ids("nobody"));
    owner.map(Some).ok_or(ClusterError::Missing("a user `postgres` or `nobody` to run them as"))
}

/// Where temporary folders go, unless a socket's path would become too long there.
fn base_dir() -> PathBuf {
    let dir = std::env::temp_dir();
    if dir.as_os_str().len() <= SOCKET_DIR_MAX { dir } else { PathBuf::from("/tmp") }
}

fn program(path: &Path, owner: Option<(u32, u32)>, dir: &Path) -> Command {
    let mut command = Command::new(path);
    // Not the caller's folder, which the owner may not be allowed to enter.
    command.current_dir(dir).env("HOME", dir);
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command
}

fn run(program: &'static str, command: &mut Command) -> Result<(), ClusterError> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(ClusterError::Failed { program, output: String::from_utf8_lossy(&output.stderr).into_owned() })
}

/// Starts the server on its data and waits until it is ready.
fn launch(bin: &Path, owner: Option<(u32, u32)>, dir: &Path, commits: Commits) -> Result<Child, ClusterError> {
    let mut postgres = program(&bin.join("postgres"), owner, dir);
    postgres.arg("-D").arg(dir.join(DATA)).arg("-k").arg(dir).args(["-c", "listen_addresses="]);
    postgres.args(["-c", "max_connections=200", "-c", "lc_messages=C", "-c", "logging_collector=off"]);
    if commits == Commits::Fast {
        postgres.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
    }
    let mut postgres = postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    match await_ready(&mut postgres) {
        Ok(()) => Ok(postgres),
        Err(output) => {
            postgres.kill().ok();
            postgres.wait().ok();
            Err(ClusterError::Failed { program: "postgres", output })
        }
    }
}

/// The state and the parent of a process, while it exists.
fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything, in brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> io::Result<Vec<u32>> {
    let processes = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(processes.filter(|pid| state_and_parent(*pid).is_some_and(|(_, of)| of == parent)).collect())
}

/// Whether it still runs; a zombie, which nobody has waited for, does not.
fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Reads what the server says until it is ready; from then on its words are dropped by a thread.
fn await_ready(postgres: &mut Child) -> Result<(), String> {
    let stderr = postgres.stderr.take().expect("stderr is piped");
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    for line in lines.by_ref().map_while(Result::ok) {
        if line.contains("ready to accept connections") {
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(());
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_cluster_gives_databases_and_leaves_nothing_behind() {
        let cluster = Cluster::start(Commits::Fast).unwrap();
        let dir = cluster.dir.path().to_owned();
        let first = fresh_database(&cluster.url()).await.unwrap();
        let second = fresh_database(&cluster.url()).await.unwrap();
        assert_ne!(first, second);
        let pool = PgPool::connect(&second.url).await.unwrap();
        let one: i32 = sqlx::query_scalar("select 1").fetch_one(&pool).await.unwrap();
        assert_eq!(one, 1);
        pool.close().await;
        drop(cluster);
        assert!(!dir.exists());
    }

    #[test]
    fn a_database_takes_the_place_of_another_in_a_url() {
        for (url, expected) in [
            ("postgres:///postgres?host=/tmp/x&user=u", "postgres:///mine?host=/tmp/x&user=u"),
            ("postgres://u@localhost:5433", "postgres://u@localhost:5433/mine"),
        ] {
            assert_eq!(with_database(url, "mine"), expected);
        }
    }
}
