//! TPC-B on the same cluster: pgbench's own script, scale and transactions, over the unix socket.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::Size;
use crate::cluster::{Cluster, fresh_database};

/// Threads of pgbench: as many as the machine of the aim has cores.
const THREADS: usize = 2;

/// Transactions a second.
pub async fn run(cluster: &Cluster, size: Size, duration: Duration) -> anyhow::Result<f64> {
    let url = fresh_database(&cluster.url()).await?.url;
    // At least a branch a client: with fewer they would wait for each other's row.
    let scale = (2 * size.clients).to_string();
    pgbench(cluster, &["--initialize", "--quiet", "--scale", &scale, &url]).await?;
    let (clients, threads) = (size.clients.to_string(), THREADS.min(size.clients).to_string());
    let seconds = duration.as_secs().max(1).to_string();
    let said = pgbench(cluster, &["--client", &clients, "--jobs", &threads, "--time", &seconds, &url]).await?;
    tps(&said).with_context(|| format!("pgbench says no rate: {said}"))
}

/// `tps = 1234.567890 (without initial connection time)`
fn tps(said: &str) -> Option<f64> {
    said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok())
}

async fn pgbench(cluster: &Cluster, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = cluster.program("pgbench");
    command.args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await?.context("pgbench cannot be run")?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_out_of_what_pgbench_says() {
        let said = "number of failed transactions: 0 (0.000%)\nlatency average = 5.1 ms\n\
                    tps = 1567.250000 (without initial connection time)\n";
        assert_eq!(tps(said), Some(1_567.25));
        assert_eq!(tps("latency average = 5.1 ms"), None);
    }
}
