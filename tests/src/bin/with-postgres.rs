//! `with-postgres COMMAND...`: runs a command with a private PostgreSQL cluster, named by
//! `DAYBOOK_TEST_POSTGRES`, and ends as it ended. One cluster for a whole run of all tests.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use daybook_tests::cluster::{Cluster, Commits, RUNNING};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-postgres: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let mut words = std::env::args_os().skip(1).skip_while(|word| word == "--");
    let program = words.next().context("name the command to run: with-postgres cargo test")?;
    let cluster = Cluster::start(Commits::Fast)?;
    eprintln!("with-postgres: {RUNNING}={}", cluster.url());
    let status = Command::new(&program).args(words).env(RUNNING, cluster.url()).status();
    drop(cluster);
    let status = status.with_context(|| format!("{} cannot be run", program.display()))?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
