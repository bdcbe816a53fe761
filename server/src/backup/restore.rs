//! Puts a backup into a new, empty database: checked as a whole first, then all of it or nothing, and with
//! a new epoch.

use std::path::{Path, PathBuf};

use daybook_shared::ids::Epoch;
use daybook_shared::time::Timestamp;
use indicatif::ProgressBar;
use rand::Rng as _;
use serde::Serialize;

use super::format::{Item, Reader, Value, check};
use super::tables::{self, Target};
use super::{BackupError, Manifest, TableInfo};
use crate::app::SharedRng;
use crate::db::{self, Db, Tx};
use crate::recovery::{self, Beginning, Cause};

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The deployment, whose keys belong to it.
    pub deployment: daybook_shared::ids::DeploymentId,
    /// When the backup was taken: what came after it is lost but for what phones keep.
    pub taken_at: Timestamp,
    /// The epoch that begins.
    pub epoch: String,
    /// Rows of all tables.
    pub rows: u64,
}

/// Puts a backup into the database of this URL, which is made. A database with anything in it is refused.
pub async fn restore(
    url: &str,
    file: &Path,
    (now, rng): (Timestamp, &SharedRng),
    progress: &ProgressBar,
) -> Result<Restored, BackupError> {
    progress.set_message("checking");
    let (manifest, counts, _) = check(file)?;
    let known = db::newest_migration();
    if manifest.migration > known {
        let Manifest { made_by, migration: found, .. } = manifest;
        return Err(BackupError::TooNew { made_by, found, known });
    }
    progress.set_length(counts.iter().sum());
    let place = Place::of(url)?;
    let db = Db::open_at(&place.url, manifest.migration).await?;
    refuse_if_used(&db, url).await?;
    let filled = fill(&db, file, &manifest, (now, rng), progress).await;
    db.close().await;
    let epoch = filled?;
    place.finish()?;
    progress.finish_and_clear();
    let rows = counts.iter().sum();
    Ok(Restored { deployment: manifest.deployment, taken_at: manifest.taken_at, epoch: epoch.to_string(), rows })
}

/// Where rows go: a SQLite file gets its name when it is whole.
struct Place {
    url: String,
    rename: Option<(PathBuf, PathBuf)>,
}

impl Place {
    fn of(url: &str) -> Result<Self, BackupError> {
        let Some(path) = url.strip_prefix("sqlite:") else { return Ok(Self { url: url.to_owned(), rename: None }) };
        let path = PathBuf::from(path);
        if std::fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
            let what = "the file is there already".to_owned();
            return Err(BackupError::NotEmpty { place: path.display().to_string(), what });
        }
        let partial = PathBuf::from(format!("{}.restoring", path.display()));
        for leftover in ["", "-wal", "-shm"] {
            std::fs::remove_file(format!("{}{leftover}", partial.display())).ok();
        }
        Ok(Self { url: format!("sqlite:{}", partial.display()), rename: Some((partial, path)) })
    }

    fn finish(self) -> Result<(), BackupError> {
        let Some((partial, path)) = self.rename else { return Ok(()) };
        let failed = |error| BackupError::Io { path: path.clone(), error };
        std::fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(failed)?;
        std::fs::rename(&partial, &path).map_err(failed)?;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

async fn refuse_if_used(db: &Db, url: &str) -> Result<(), BackupError> {
    let mut tx = db.read().await?;
    for table in tables::all(&mut tx).await? {
        let rows = tables::count(&mut tx, &table.info.name).await?;
        if !tables::is_new(&table.info.name, rows) {
            let what = format!("table {} has {rows} rows", table.info.name);
            // A URL of PostgreSQL may hold a password.
            let place = if url.starts_with("sqlite:") { url } else { "the database" }.to_owned();
            return Err(BackupError::NotEmpty { place, what });
        }
    }
    Ok(())
}

/// All rows in one transaction. Where the tables are this program's, the new epoch begins in it; older ones
/// are brought up to date first, and until then the database has an epoch that nobody knows.
async fn fill(
    db: &Db,
    file: &Path,
    manifest: &Manifest,
    (now, rng): (Timestamp, &SharedRng),
    progress: &ProgressBar,
) -> Result<Epoch, BackupError> {
    let is_current = manifest.migration == db::newest_migration();
    let mut before = manifest.epoch;
    if !is_current {
        rng.with(|rng| rng.fill_bytes(&mut before.0));
    }
    let mut tx = db.write().await?;
    load(&mut tx, file, manifest, before, progress).await?;
    let beginning = Beginning { cause: Cause::Restore, before, backup_at: Some(manifest.taken_at), device_id: None };
    if !is_current {
        tx.commit().await?;
        db.migrate().await?;
        tx = db.write().await?;
    }
    let epoch = recovery::begin_epoch(&mut tx, (now, rng), beginning).await?;
    tx.commit().await?;
    epoch.ok_or_else(|| BackupError::Sql(sqlx::Error::RowNotFound))
}

/// A backup's tables come in the order of their references.
async fn load(
    tx: &mut Tx,
    file: &Path,
    manifest: &Manifest,
    epoch: Epoch,
    progress: &ProgressBar,
) -> Result<(), BackupError> {
    let mut targets = Vec::new();
    for info in &manifest.tables {
        targets.push(Target::of(tx, info).await?);
    }
    tables::clear_seeds(tx).await?;
    let (mut reader, _) = Reader::open(file)?;
    let counts = loop {
        match reader.read_item()? {
            Item::Rows { table, mut rows } => {
                let TableInfo { name, columns } = &manifest.tables[table as usize];
                progress.set_message(name.clone());
                if name == "deployment" {
                    set_epoch(columns, &mut rows, epoch);
                }
                targets[table as usize].insert(tx, &rows).await?;
                progress.inc(rows.len() as u64);
            }
            Item::End { counts, .. } => break counts,
            Item::Manifest(_) => {}
        }
    };
    for ((target, info), count) in targets.iter().zip(&manifest.tables).zip(counts) {
        target.finish(tx).await?;
        let there = tables::count(tx, &info.name).await?;
        if u64::try_from(there) != Ok(count) {
            return Err(BackupError::Table {
                table: info.name.clone(),
                why: format!("{there} rows are there of {count}"),
            });
        }
    }
    Ok(())
}

fn set_epoch(columns: &[String], rows: &mut [Vec<Value>], epoch: Epoch) {
    let Some(at) = columns.iter().position(|column| column == "epoch") else { return };
    for row in rows {
        row[at] = Value::Bytes(epoch.0.to_vec());
    }
}
