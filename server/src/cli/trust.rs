//! `daybook keys` and `daybook audit`: what makes the server believable.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use daybook_shared::ids::Hash;
use daybook_shared::wire::sign::{Acknowledgement, Context, Signed};
use serde_json::json;

use super::Config;
use crate::app::App;
use crate::audit::check::{self, Claim};
use crate::audit::{self, Actor, seal};
use crate::keys::tokens::Overlap;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a new key for access tokens; the old one stays until its last token has ended
    #[command(after_help = "\
  daybook keys rotate                 a new key, which signs in five minutes
  daybook keys rotate --in 3600       in an hour: time to copy the file to other replicas
  daybook keys rotate --compromised   the old keys are known to others: worth nothing at once

A running server that reads the same folder needs no restart: it looks again every half minute, and when a
token names a key it does not know. A replica with a folder of its own needs a copy of the new file before
it begins. GET /.well-known/jwks.json has all keys that are good.

The root key, which phones pin, is not rotated: a new one means enrolling every phone again.")]
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// Seconds until the new key begins to sign
    #[arg(long = "in", value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(i64).range(0..=604_800))]
    in_seconds: i64,
    /// Others know the old keys: remove them; everybody's access token ends, and is refreshed
    #[arg(long, conflicts_with = "in_seconds")]
    compromised: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Keys {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let Self::Rotate(Rotate { in_seconds, compromised, json }) = self;
        let app = config.open().await?;
        let overlap = if compromised { Overlap::None } else { Overlap::Seconds(in_seconds) };
        let rotation = app.rng.with(|rng| app.keys.access.rotate(app.now(), overlap, rng))?;
        let mut tx = app.db.write().await?;
        let detail = json!({ "begins_at": rotation.begins_at, "compromised": compromised });
        audit::record(&mut tx, app.now(), Actor::OPERATOR, "keys.rotated", rotation.key, detail).await?;
        tx.commit().await?;
        app.db.close().await;
        let paths: Vec<_> = rotation.removed.iter().map(|path| path.display().to_string()).collect();
        if json {
            let (key, path) = (rotation.key.to_string(), rotation.path.display().to_string());
            println!("{}", json!({ "key": key, "path": path, "begins_at": rotation.begins_at, "removed": paths }));
            return Ok(());
        }
        println!("key {} signs from {} on: {}", rotation.key, rotation.begins_at, rotation.path.display());
        for path in &paths {
            println!("removed {path}");
        }
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Check that no row of the audit trail was changed, removed, inserted or moved. Exit status 1 if one was
    #[command(after_help = "\
  daybook audit verify
  daybook audit verify --head 812:fde4464a9bdd0e11db3d091dc6d85bd85cd96eacc05e97f85379cdab4f853135
  daybook audit verify --acknowledgements from-phones.txt --json

Who has the database can write the whole chain anew, or cut its end. That shows only against a head that was
kept elsewhere: one that you noted (`daybook audit head`), or those in acknowledgements, which phones hold
and the server signed. The file has one a line, in base64url.")]
    Verify(Verify),
    /// Print the chain's newest row, to be noted elsewhere
    Head {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a place in the chain to rows that have none yet; a running server does so every few seconds
    Seal,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A head that somebody kept: its row's number and hash. May be given several times
    #[arg(long = "head", value_name = "SEQ:HASH", value_parser = claim)]
    heads: Vec<Claim>,
    /// A file of acknowledgements from phones
    #[arg(long, value_name = "FILE")]
    acknowledgements: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

fn claim(text: &str) -> Result<Claim, String> {
    let parsed = text.split_once(':').and_then(|(seq, hash)| {
        let digits = hash.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let hash: [u8; 32] = digits.collect::<Option<Vec<_>>>()?.try_into().ok()?;
        Some(Claim { seq: Some(seq.parse().ok()?), hash: Hash(hash) })
    });
    parsed.ok_or_else(|| "a head is a number, a colon and 64 hexadecimal digits".to_owned())
}

impl Audit {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let app = config.open().await?;
        let code = match self {
            Self::Verify(verify) => verify.run(&app).await?,
            Self::Head { json } => {
                let head = seal::head(&mut app.db.read().await?).await?;
                let hash = head.hash.to_string();
                println!(
                    "{}",
                    if json {
                        json!({ "seq": head.seq, "hash": hash }).to_string()
                    } else {
                        format!("{}:{hash}", head.seq)
                    }
                );
                ExitCode::SUCCESS
            }
            Self::Seal => {
                println!("{} rows sealed", seal::seal_all(&app).await?);
                ExitCode::SUCCESS
            }
        };
        app.db.close().await;
        Ok(code)
    }
}

impl Verify {
    async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        let mut claims = self.heads;
        if let Some(path) = &self.acknowledgements {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                claims.extend(said(app, line.trim()).with_context(|| format!("{}, line {}", path.display(), n + 1))?);
            }
        }
        let report = check::check(&mut app.db.read().await?, app.deployment.id, &claims).await?;
        println!("{}", if self.json { serde_json::to_string(&report)? } else { report.to_string() });
        Ok(if report.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What an acknowledgement says of the chain, if this server signed it.
fn said(app: &App, line: &str) -> anyhow::Result<Option<Claim>> {
    let bytes = URL_SAFE_NO_PAD.decode(line).context("not base64url")?;
    let signed: Signed = minicbor::decode(&bytes).context("not an acknowledgement")?;
    let said: Acknowledgement = signed.open(&app.keys.public(), Context::Acknowledgement, app.deployment.id)?;
    let seq = match said.audit_seq.map(i64::try_from) {
        Some(Err(_)) => bail!("its number is none"),
        seq => seq.transpose()?,
    };
    Ok(said.audit_head.map(|hash| Claim { seq, hash }))
}
