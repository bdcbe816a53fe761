//! The real server as a process: built, started on a free port, killed, started again.
//!
//! No sleeps: a started server has printed its address, a killed one has been waited for.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail};
use tokio::sync::Mutex;

/// Names a server program to use as it is, instead of building one.
pub const PROGRAM: &str = "DAYBOOK_BIN";

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program, from [`build`].
    pub program: PathBuf,
    /// The database, as `--db` takes it.
    pub db_url: String,
    /// The folder of its keys.
    pub keys: PathBuf,
    /// A file with the time, for a database of the kind `--test`.
    pub clock: Option<PathBuf>,
    /// Where its log goes; later starts append.
    pub log: PathBuf,
    /// No file that it writes may grow beyond this, as on a disk that is full.
    pub file_bytes_max: Option<u64>,
    /// The file of what it shows its mobile-money gateway, where it has one.
    pub momo_secrets: Option<PathBuf>,
}

/// A server that runs, and runs again after it was killed, at the same address.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    address: SocketAddr,
    child: Mutex<Child>,
    kills: AtomicU32,
}

impl Server {
    /// Starts it on a free port and waits until it is bound.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let (child, address) = spawn(settings.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        Ok(Self { settings, address, child: Mutex::new(child), kills: AtomicU32::new(0) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was killed.
    pub fn kills(&self) -> u32 {
        self.kills.load(Ordering::Relaxed)
    }

    /// `kill -9`, whatever it is doing, and a new start at the same address.
    pub async fn kill_and_restart(&self) -> anyhow::Result<()> {
        let mut child = self.child.lock().await;
        self.kill_child(&mut child)?;
        (*child, _) = spawn(self.settings.clone(), self.address).await?;
        Ok(())
    }

    /// `kill -9`, whatever it is doing.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.kill_child(&mut *self.child.lock().await)
    }

    fn kill_child(&self, child: &mut Child) -> anyhow::Result<()> {
        child.kill()?;
        child.wait()?;
        self.kills.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Starts it again at the same address, after it was killed or stopped; its files may grow up to
    /// this from now on.
    pub async fn start_again(&self, file_bytes_max: Option<u64>) -> anyhow::Result<()> {
        let mut child = self.child.lock().await;
        let settings = Settings { file_bytes_max, ..self.settings.clone() };
        (*child, _) = spawn(settings, self.address).await?;
        Ok(())
    }

    /// There is room again: from now on its files may grow, while it runs.
    pub async fn lift_file_limit(&self) -> anyhow::Result<()> {
        let pid = self.pid().await.to_string();
        let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status();
        match lifted.context("prlimit cannot be run")? {
            status if status.success() => Ok(()),
            status => bail!("prlimit ended with {status}"),
        }
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let mut child = self.child.lock().await;
        let pid = child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().context("kill cannot be run")?;
        let status = child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}; its log is {}", self.settings.log.display());
        }
        Ok(())
    }

    /// The process's number.
    pub async fn pid(&self) -> u32 {
        self.child.lock().await.id()
    }

    /// Its memory at the most, in bytes.
    pub async fn peak_memory_bytes(&self) -> anyhow::Result<u64> {
        let pid = self.child.lock().await.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        child.kill().ok();
        child.wait().ok();
    }
}

async fn spawn(settings: Settings, address: SocketAddr) -> anyhow::Result<(Child, SocketAddr)> {
    tokio::task::spawn_blocking(move || spawn_blocking(&settings, address)).await?
}

fn spawn_blocking(settings: &Settings, address: SocketAddr) -> anyhow::Result<(Child, SocketAddr)> {
    let Settings { program, db_url, keys, clock, log, file_bytes_max, momo_secrets } = settings;
    let log_file = File::options().create(true).append(true).open(log)?;
    let mut command = bounded(program, *file_bytes_max);
    command.args(["--db", db_url, "--log-format", "json", "--keys"]).arg(keys);
    if let Some(secrets) = momo_secrets {
        command.arg("--momo-secrets-file").arg(secrets);
    }
    command.args(["serve", "--listen", &address.to_string()]);
    if let Some(clock) = clock {
        command.arg("--test-clock").arg(clock);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file);
    let mut child = command.spawn().with_context(|| format!("{} cannot be run", program.display()))?;
    match read_address(&mut child) {
        Ok(address) => Ok((child, address)),
        Err(error) => {
            child.kill().ok();
            child.wait().ok();
            let log_text = std::fs::read_to_string(log).unwrap_or_default();
            let tail: Vec<_> = log_text.lines().rev().take(5).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            Err(error.context(format!("the server did not start:\n{}", tail.join("\n"))))
        }
    }
}

/// A command for a program none of whose files may grow beyond a size. What would is an error of the
/// write, as on a full disk, and no signal.
fn bounded(program: &Path, file_bytes_max: Option<u64>) -> Command {
    const BLOCK_BYTES: u64 = 512;
    let Some(bytes) = file_bytes_max else { return Command::new(program) };
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -S -f \"$0\"; exec \"$@\"", &(bytes / BLOCK_BYTES).to_string()]);
    command.arg(program);
    command
}

/// Reads the line with which the server says that it is bound; the rest is dropped by a thread.
fn read_address(child: &mut Child) -> anyhow::Result<SocketAddr> {
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next().transpose()? {
        if let Some((_, address)) = line.split_once("listening on http://") {
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(address.trim().parse()?);
        }
    }
    bail!("it printed no address")
}

/// What `daybook verify` says of a database.
pub async fn verify(program: &Path, db_url: &str, keys: &Path) -> anyhow::Result<Output> {
    let mut verify = Command::new(program);
    verify.args(["--db", db_url, "--keys"]).arg(keys).arg("verify").env("DAYBOOK_LOG", "warn");
    tokio::task::spawn_blocking(move || verify.output()).await?.context("daybook verify cannot be run")
}

/// Builds the server in the profile of the running program, if it is missing or stale, and gives its
/// path. [`PROGRAM`] names one to use as it is.
pub fn build() -> anyhow::Result<PathBuf> {
    if let Some(program) = std::env::var_os(PROGRAM) {
        return Ok(program.into());
    }
    let (target, profile) = target_and_profile()?;
    let program = target.join(&profile).join("daybook");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Together with this package, so that the features of what both depend on are those it has been
    // compiled with already.
    cargo.args(["build", "--quiet", "-p", "daybook-server", "-p", "daybook-tests", "--bin", "daybook", "--profile"]);
    cargo.arg(if profile == "debug" { "dev" } else { &profile }).arg("--target-dir").arg(&target);
    cargo.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"));
    match cargo.status() {
        Ok(status) if status.success() => Ok(program),
        Ok(status) => bail!("the server cannot be built: cargo ended with {status}"),
        Err(error) if error.kind() == io::ErrorKind::NotFound && program.is_file() => Ok(program),
        Err(error) => Err(error).context("cargo cannot be run"),
    }
}

/// The target folder of the running program and the folder of its profile in there.
fn target_and_profile() -> anyhow::Result<(PathBuf, String)> {
    let exe = std::env::current_exe()?;
    let mut dir = exe.parent().context("a program is in a folder")?;
    if dir.ends_with("deps") {
        dir = dir.parent().context("deps is in a folder")?;
    }
    let profile = dir.file_name().and_then(|name| name.to_str()).context("a profile has a folder")?;
    let target = dir.parent().context("a profile's folder is in the target folder")?;
    Ok((target.to_owned(), profile.to_owned()))
}
