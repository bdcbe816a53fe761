//! Writes a backup: one read snapshot, table by table, to a new file that gets its name when it is whole.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use daybook_shared::ids::{DeploymentId, Epoch};
use daybook_shared::time::Timestamp;
use indicatif::ProgressBar;

use super::format::{Item, VERSION, Value, Writer, check};
use super::tables::{self, Table};
use super::{BackupError, Manifest, Summary};
use crate::db::{Db, Tx};
use crate::on_db;

/// Rows of one item, and about how many bytes of values.
const ITEM_ROWS: usize = 512;
const ITEM_BYTES: usize = 512 * 1024;

const DEPLOYMENT: &str = "select uid, epoch from deployment where id = 1";

/// Writes the database into a new file, or into a folder under a name of its own, and reads it again to
/// see that it is whole. Others go on reading and writing meanwhile.
pub async fn write(
    db: &Db,
    now: Timestamp,
    file_or_dir: &Path,
    progress: &ProgressBar,
) -> Result<Summary, BackupError> {
    let mut tx = db.read().await?;
    let manifest = manifest(&mut tx, now).await?;
    let tables = tables::all(&mut tx).await?;
    let path = place(file_or_dir, &manifest);
    if path.exists() {
        return Err(BackupError::Exists(path));
    }
    let partial = with_suffix(&path, ".partial");
    let written = contents(&mut tx, &manifest, &tables, &partial, progress).await;
    drop(tx);
    let finished = written.and_then(|()| finish(&partial, &path));
    if finished.is_err() {
        std::fs::remove_file(&partial).ok();
    }
    progress.finish_and_clear();
    finished
}

async fn manifest(tx: &mut Tx, taken_at: Timestamp) -> Result<Manifest, BackupError> {
    let (deployment, epoch): (DeploymentId, Epoch) =
        on_db!(&mut *tx, conn => sqlx::query_as(DEPLOYMENT).fetch_one(conn).await)?;
    let migration: i64 = on_db!(&mut *tx, conn => sqlx::query_scalar(tables::NEWEST_MIGRATION).fetch_one(conn).await)?;
    let tables = tables::all(tx).await?.into_iter().map(|table| table.info).collect();
    let made_by = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Manifest { format: VERSION, made_by, migration, deployment, epoch, taken_at, tables })
}

/// The file; in a folder it is named by the time of the snapshot.
fn place(file_or_dir: &Path, manifest: &Manifest) -> PathBuf {
    if !file_or_dir.is_dir() {
        return file_or_dir.to_owned();
    }
    let at: String = manifest.taken_at.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    file_or_dir.join(format!("daybook-{at}.backup"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Nobody but the owner may read it: it holds all personal data there is.
fn create(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

async fn contents(
    tx: &mut Tx,
    manifest: &Manifest,
    tables: &[Table],
    path: &Path,
    progress: &ProgressBar,
) -> Result<(), BackupError> {
    let file = create(path).map_err(|error| BackupError::Io { path: path.to_owned(), error })?;
    let mut writer = Writer::begin(path, file)?;
    writer.push(&Item::Manifest(manifest.clone()))?;
    let mut counts = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        progress.set_message(table.info.name.clone());
        counts.push(rows(tx, table, u32::try_from(at).expect("some tables"), &mut writer, progress).await?);
    }
    writer.finish(counts)
}

async fn rows(
    tx: &mut Tx,
    table: &Table,
    at: u32,
    writer: &mut Writer,
    progress: &ProgressBar,
) -> Result<u64, BackupError> {
    let (mut rows, mut bytes, mut count) = (Vec::new(), 0, 0);
    tables::each_row(tx, table, |row| {
        bytes += row.iter().map(length).sum::<usize>();
        count += 1;
        rows.push(row);
        if rows.len() >= ITEM_ROWS || bytes >= ITEM_BYTES {
            bytes = 0;
            progress.inc(rows.len() as u64);
            writer.push(&Item::Rows { table: at, rows: std::mem::take(&mut rows) })?;
        }
        Ok(())
    })
    .await?;
    if !rows.is_empty() {
        progress.inc(rows.len() as u64);
        writer.push(&Item::Rows { table: at, rows })?;
    }
    Ok(count)
}

fn length(value: &Value) -> usize {
    match value {
        Value::Null => 1,
        Value::Int(_) => 8,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    }
}

/// Reads what was written, and gives it its name.
fn finish(partial: &Path, path: &Path) -> Result<Summary, BackupError> {
    let (manifest, counts, sha256) = check(partial)?;
    let failed = |error| BackupError::Io { path: path.to_owned(), error };
    // A link and not a rename, which would replace what came there meanwhile.
    std::fs::hard_link(partial, path).map_err(failed)?;
    std::fs::remove_file(partial).map_err(failed)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    Ok(Summary {
        file: path.to_owned(),
        bytes,
        deployment: manifest.deployment,
        epoch: manifest.epoch.to_string(),
        migration: manifest.migration,
        taken_at: manifest.taken_at,
        rows: counts.iter().sum(),
        sha256: sha256.to_string(),
    })
}
