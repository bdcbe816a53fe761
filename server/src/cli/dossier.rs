//! `daybook dossier`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use daybook_shared::ids::DossierId;
use serde_json::json;

use super::Config;
use crate::db::Tx;
use crate::decisions::document::{self, Reader};
use crate::on_db;

#[derive(Debug, Subcommand)]
pub(super) enum Dossier {
    /// Write a dossier, all its entries and its board, as one Automerge document
    #[command(after_help = "\
  daybook dossier export --account LN-0042
  daybook dossier export 2f0e4b0c-3c5e-8c4f-9a43-5d7f2e0f9a11 --out case.automerge
  daybook dossier export --account LN-0042 --out - | sha256sum

Any Automerge library opens it. The same entries and board always give the same bytes.")]
    Export(DossierExport),
}

#[derive(Debug, Args)]
pub(super) struct DossierExport {
    /// The dossier's id
    #[arg(required_unless_present = "account", value_name = "DOSSIER")]
    id: Option<DossierId>,
    /// The case of the account with this number
    #[arg(long, value_name = "NUMBER", conflicts_with = "id")]
    account: Option<String>,
    /// The file to write, - for the standard output [default: DOSSIER.automerge]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, sqlx::FromRow)]
struct Found {
    id: i64,
    uid: DossierId,
    kind: String,
    bytes: Option<Vec<u8>>,
}

const SELECT_DOSSIER: &str = "select d.id, d.uid, d.kind, b.bytes from dossier d
     left join board b on b.dossier_id = d.id where d.uid = $1";
const SELECT_CASE: &str = "select d.id, d.uid, d.kind, b.bytes from dossier d
     join account a on a.id = d.account_id left join board b on b.dossier_id = d.id where a.number = $1";

impl Dossier {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let Self::Export(export) = self;
        let app = config.open().await?;
        let mut tx = app.db.read().await?;
        let found = export.find(&mut tx).await?;
        let board = (found.kind.as_str(), found.bytes.as_deref());
        let bytes = document::render(&mut tx, (found.id, found.uid), board, Reader::Operator).await?;
        drop(tx);
        app.db.close().await;
        export.write(found.uid, &bytes)
    }
}

impl DossierExport {
    async fn find(&self, tx: &mut Tx) -> anyhow::Result<Found> {
        let found: Option<Found> = match (&self.id, &self.account) {
            (Some(id), _) => on_db!(tx, conn => {
                sqlx::query_as(SELECT_DOSSIER).bind(*id).fetch_optional(conn).await
            })?,
            (None, Some(number)) => on_db!(tx, conn => {
                sqlx::query_as(SELECT_CASE).bind(number).fetch_optional(conn).await
            })?,
            (None, None) => bail!("name a dossier, or an account"),
        };
        let what = self.account.as_ref().map_or("dossier with this id", |_| "account with this number");
        found.with_context(|| format!("there is no {what}"))
    }

    fn write(&self, dossier: DossierId, bytes: &[u8]) -> anyhow::Result<()> {
        let out = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("{dossier}.automerge")));
        if out.as_os_str() == "-" {
            return std::io::stdout().lock().write_all(bytes).context("the standard output");
        }
        std::fs::write(&out, bytes).with_context(|| format!("cannot write {}", out.display()))?;
        if self.json {
            println!("{}", json!({ "dossier": dossier, "file": out, "bytes": bytes.len() }));
        } else {
            println!("{}: {} bytes", out.display(), bytes.len());
        }
        Ok(())
    }
}
