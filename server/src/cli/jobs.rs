//! `daybook jobs`.

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::Config;
use crate::jobs::{self, JOBS, Job, Status};

/// Lists the background work of the server, or does one piece of it now. A running server does it all by
/// itself: of many replicas the one that claims it first.
#[derive(Debug, Args)]
#[command(after_help = "  daybook jobs\n  daybook jobs --run compact_feeds")]
pub(super) struct Jobs {
    /// Do this job now
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Jobs {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let chosen = self.run.as_deref().map(named).transpose()?;
        let app = config.open().await?;
        if let Some(job) = chosen {
            let items = jobs::run(&app, job).await?.with_context(|| format!("{} failed", job.name))?;
            if self.json {
                println!("{}", json!({ "job": job.name, "items": items }));
            } else {
                println!("{}: {items}", job.name);
            }
        } else {
            let status = jobs::status(&mut app.db.read().await?).await?;
            self.list(&status);
        }
        app.db.close().await;
        Ok(())
    }

    fn list(&self, status: &[Status]) {
        let of = |job: &Job| status.iter().find(|status| status.name == job.name);
        if self.json {
            let all = JOBS.iter().map(|job| json!({ "job": job.name, "what": job.what, "status": of(job) }));
            println!("{}", serde_json::Value::Array(all.collect()));
            return;
        }
        for job in JOBS {
            println!("{}: {}", job.name, job.what);
            match of(job) {
                None => println!("   never done"),
                Some(status) => println!("   {}", words(status)),
            }
        }
    }
}

fn named(name: &str) -> anyhow::Result<&'static Job> {
    let names: Vec<_> = JOBS.iter().map(|job| job.name).collect();
    let found = JOBS.iter().find(|job| job.name == name);
    found.with_context(|| format!("there is no job {name:?}; there are {}", names.join(", ")))
}

fn words(status: &Status) -> String {
    let done = status.done_at.map_or("never done".to_owned(), |at| format!("done {at} ({})", status.items));
    let failed = status.failed_at.filter(|at| status.done_at.is_none_or(|done| *at > done));
    let failed = failed.zip(status.failure.as_deref()).map(|(at, why)| format!("; failed {at}: {why}"));
    format!("{done}{}; due {}", failed.unwrap_or_default(), status.next_at)
}
