//! The pieces of a file, from the device that names it.
//!
//! The database holds how far a file has come; a piece is taken if it begins exactly there, so a piece that
//! comes twice, overlaps or leaves a gap changes nothing and is told where to go on. Of two that come at
//! once one is taken. When all is there the pieces are hashed, one at a time in memory, outside of any
//! transaction that writes; what does not have the hash that the entry names is thrown away.

use daybook_shared::ids::Hash;
use daybook_shared::time::Date;
use sha2::{Digest as _, Sha256};

use super::settle;
use crate::app::App;
use crate::auth::device::{self, DeviceRequest};
use crate::db::{self, Tx};
use crate::http::problem::{Code, Problem};
use crate::on_db;

/// How often a piece is tried again when it met another.
const RETRIES_MAX: usize = 20;

/// A piece of a file, or with no bytes the question how far it has come.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Which file.
    pub sha256: Hash,
    /// Its whole length.
    pub size: i64,
    /// Where the piece begins.
    pub offset: i64,
    /// The piece.
    pub bytes: &'a [u8],
}

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are durable.
    pub received: i64,
    /// All of it is here, and is what its name says.
    pub complete: bool,
}

#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Upload {
    id: i64,
    received_bytes: i64,
    complete: bool,
}

/// Takes a piece; durable when this returns.
pub async fn receive(app: &App, device: &DeviceRequest, piece: Piece<'_>) -> Result<Progress, Problem> {
    let limit = app.settings.attachment_bytes_max;
    if piece.size > limit {
        return Err(Problem::new(Code::TooLarge, format!("A file has at most {limit} bytes.")).with("limit", limit));
    }
    let mut upload = append_again(app, device, piece).await?;
    if !upload.complete && upload.received_bytes == piece.size {
        verify(app, upload, piece).await?;
        upload.complete = true;
    }
    if upload.complete {
        settle::arrived(app, device.device.id, (piece.sha256, piece.size)).await?;
    }
    Ok(Progress { received: upload.received_bytes, complete: upload.complete })
}

async fn append_again(app: &App, device: &DeviceRequest, piece: Piece<'_>) -> Result<Upload, Problem> {
    for _ in 1..RETRIES_MAX {
        match append(app, device, piece).await {
            Err(Failed::Sql(error)) if db::is_transient(&error) => {}
            done => return Ok(done?),
        }
    }
    Ok(append(app, device, piece).await?)
}

/// Why a piece was not taken.
enum Failed {
    Sql(sqlx::Error),
    Refused(Problem),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Sql(error) => error.into(),
            Failed::Refused(problem) => problem,
        }
    }
}

const COUNT_NAMED: &str =
    "select count(*) from entry_attachment where sha256 = $1 and size_bytes = $2 and device_id = $3";
const INSERT_UPLOAD: &str =
    "insert into attachment_upload (device_id, sha256, size_bytes, received_bytes, begun_at, touched_at)
     values ($1, $2, $3, 0, $4, $4) on conflict (device_id, sha256, size_bytes) do nothing";
const SELECT_UPLOAD: &str = "select id, received_bytes, complete_at is not null as complete from attachment_upload
     where device_id = $1 and sha256 = $2 and size_bytes = $3";
const ADVANCE: &str = "update attachment_upload set received_bytes = received_bytes + $1, touched_at = $2
     where id = $3 and received_bytes = $4 and complete_at is null";
const INSERT_CHUNK: &str = "insert into attachment_chunk (upload_id, first_byte, bytes) values ($1, $2, $3)";

async fn append(app: &App, request: &DeviceRequest, piece: Piece<'_>) -> Result<Upload, Failed> {
    let (device_id, now) = (request.device.id, app.now());
    let mut tx = app.db.write().await?;
    device::take_number(&mut tx, request).await?.map_err(Failed::Refused)?;
    let Piece { sha256, size, offset, bytes } = piece;
    let named: i64 = on_db!(&mut tx, conn => {
        sqlx::query_scalar(COUNT_NAMED).bind(sha256).bind(size).bind(device_id).fetch_one(conn).await
    })?;
    if named == 0 {
        return Err(Failed::Refused(Problem::not_found()));
    }
    on_db!(&mut tx, conn => {
        sqlx::query(INSERT_UPLOAD).bind(device_id).bind(sha256).bind(size).bind(now).execute(conn).await.map(|_| ())
    })?;
    let upload: Upload = on_db!(&mut tx, conn => {
        sqlx::query_as(SELECT_UPLOAD).bind(device_id).bind(sha256).bind(size).fetch_one(conn).await
    })?;
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    if upload.complete || length == 0 {
        tx.commit().await?;
        return Ok(upload);
    }
    if length > size.saturating_sub(offset) {
        let detail = format!("The file has {size} bytes; this piece goes beyond its end.");
        return Err(Failed::Refused(Problem::invalid("?offset", "range", detail)));
    }
    let advanced = on_db!(&mut tx, conn => {
        sqlx::query(ADVANCE).bind(length).bind(now).bind(upload.id).bind(offset).execute(conn).await
            .map(|done| done.rows_affected())
    })?;
    if advanced == 0 {
        let received = upload.received_bytes;
        let problem = Problem::new(Code::Conflict, format!("The next piece begins at byte {received}."));
        return Err(Failed::Refused(problem.with("received", received)));
    }
    on_db!(&mut tx, conn => {
        sqlx::query(INSERT_CHUNK).bind(upload.id).bind(offset).bind(bytes).execute(conn).await.map(|_| ())
    })?;
    count_bytes(&mut tx, app, device_id, length).await?;
    tx.commit().await?;
    Ok(Upload { received_bytes: offset + length, ..upload })
}

const COUNT_BYTES: &str = "insert into attachment_day (device_id, on_date, bytes) values ($1, $2, $3)
     on conflict (device_id, on_date) do update set bytes = attachment_day.bytes + excluded.bytes
     returning bytes";

/// Counts bytes against the device's share of the day.
async fn count_bytes(tx: &mut Tx, app: &App, device_id: i64, length: i64) -> Result<(), Failed> {
    let (now, zone) = (app.now(), &app.settings.zone);
    let today: Date = zone.date_of(now);
    let bytes: i64 = on_db!(tx, conn => {
        sqlx::query_scalar(COUNT_BYTES).bind(device_id).bind(today).bind(length).fetch_one(conn).await
    })?;
    let limit = app.settings.attachment_day_bytes_max;
    if bytes <= limit {
        return Ok(());
    }
    let detail = format!("A device hands in at most {limit} bytes of files a day; the rest has time.");
    Err(Failed::Refused(Problem::new(Code::TooManyRequests, detail).retry_after(QUOTA_RETRY_SECONDS)))
}

/// When to ask again after the day's bytes are used up.
const QUOTA_RETRY_SECONDS: u32 = 3_600;

const SELECT_CHUNK: &str = "select first_byte, bytes from attachment_chunk
     where upload_id = $1 and first_byte >= $2 order by first_byte limit 1";

/// The piece of an upload that begins at a byte.
pub async fn chunk_at(app: &App, upload_id: i64, at: i64) -> sqlx::Result<Option<Vec<u8>>> {
    let mut tx = app.db.read().await?;
    let found: Option<(i64, Vec<u8>)> = on_db!(&mut tx, conn => {
        sqlx::query_as(SELECT_CHUNK).bind(upload_id).bind(at).fetch_optional(conn).await
    })?;
    Ok(found.filter(|(first_byte, _)| *first_byte == at).map(|(_, bytes)| bytes))
}

const COMPLETE: &str = "update attachment_upload set complete_at = $1 where id = $2 and complete_at is null";
const INSERT_ATTACHMENT: &str = "insert into attachment (sha256, size_bytes, upload_id, stored_at)
     values ($1, $2, $3, $4) on conflict (sha256) do nothing";
const DELETE_CHUNKS: &str = "delete from attachment_chunk where upload_id = $1";
const DELETE_UPLOAD: &str = "delete from attachment_upload where id = $1 and complete_at is null";

/// Hashes what came and keeps it, or throws it away.
async fn verify(app: &App, upload: Upload, piece: Piece<'_>) -> Result<(), Problem> {
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < piece.size {
        let chunk = chunk_at(app, upload.id, at).await?.filter(|chunk| !chunk.is_empty());
        // Another request may have thrown it away, or kept it and dropped the copy.
        let Some(chunk) = chunk else { return Err(Problem::unavailable("The file is being looked at; ask again.")) };
        hash.update(&chunk);
        at += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
    }
    let fits = Hash(hash.finalize().into()) == piece.sha256;
    let mut tx = app.db.write().await?;
    if !fits {
        on_db!(&mut tx, conn => sqlx::query(DELETE_UPLOAD).bind(upload.id).execute(conn).await.map(|_| ()))?;
        tx.commit().await?;
        let detail = "What came does not have this hash; it was thrown away. Begin again at byte 0.";
        return Err(Problem::invalid("", "hash", detail));
    }
    keep(&mut tx, app, upload.id, piece).await?;
    tx.commit().await?;
    Ok(())
}

async fn keep(tx: &mut Tx, app: &App, upload_id: i64, piece: Piece<'_>) -> sqlx::Result<()> {
    let now = app.now();
    let completed = on_db!(&mut *tx, conn => {
        sqlx::query(COMPLETE).bind(now).bind(upload_id).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if completed == 0 {
        return Ok(());
    }
    let kept = on_db!(&mut *tx, conn => {
        sqlx::query(INSERT_ATTACHMENT)
            .bind(piece.sha256)
            .bind(piece.size)
            .bind(upload_id)
            .bind(now)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    if kept == 0 {
        // It is here already, from somebody else.
        on_db!(&mut *tx, conn => sqlx::query(DELETE_CHUNKS).bind(upload_id).execute(conn).await.map(|_| ()))?;
    }
    Ok(())
}
