//! Files that entries name (photos, signatures, receipts), apart from the exchange.
//!
//! A phone hands in a file that an entry of its own names, in pieces of at most 256 KiB, each durable when
//! it is answered ([`receive`]). The bytes are always taken, whether the server has them or not: that a hash
//! is known says nothing to who does not have the file, and naming one opens nothing. Only then do the
//! entries of that device lose EVIDENCE_PENDING ([`settle`]). People read a file by the dossier of an entry
//! that has it ([`routes`]).
//!
//! The bytes are rows of the database: replicas share them, and a backup of it has them. Nothing here can
//! hold up an envelope: an entry is taken, judged and posted without its files.

mod receive;
pub mod routes;
pub mod settle;

use std::time::Duration;

use daybook_shared::entry::{AttachmentKind, Entry};
use daybook_shared::ids::{EntryId, Hash};
use daybook_shared::time::{DAY_MS, Timestamp};

use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;

/// Days after which a file that stopped arriving is forgotten; its phone begins it again.
const PARTIAL_DAYS: i64 = 7;
/// Files that one transaction forgets.
const FORGOTTEN_MAX: i64 = 200;
/// How often files that stopped arriving are looked for.
pub const EVERY: Duration = Duration::from_hours(1);

batch_row! {
    /// A row of `entry_attachment`, from an entry's bytes.
    pub struct AttachmentRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Its place among the entry's files.
        position: i64 => "bigint",
        /// The device that captured the entry.
        device_id: i64 => "bigint",
        /// The file.
        sha256: Hash => "bytea",
        /// Its length.
        size_bytes: i64 => "bigint",
        /// What its phone says it is.
        mime: String => "text",
        /// What it shows.
        kind: AttachmentKind => "text",
    }
}

impl AttachmentRow {
    /// The rows of an entry.
    pub fn of(entry: &Entry, device_id: i64) -> Vec<Self> {
        let files = entry.head.attachments.iter().flatten();
        let row = |(position, file): (i64, &daybook_shared::entry::Attachment)| Self {
            entry_uid: entry.head.id,
            position,
            device_id,
            sha256: file.sha256,
            size_bytes: file.bytes.into(),
            mime: file.mime.clone(),
            kind: file.kind.clone(),
        };
        (0..).zip(files).map(row).collect()
    }
}

const INSERT_NAMED: &str =
    "insert into entry_attachment (entry_uid, position, device_id, sha256, size_bytes, mime, kind)
     select entry_uid, position, device_id, sha256, size_bytes, mime, kind from v where true";

/// Notes which files new entries name.
pub async fn insert_named(tx: &mut Tx, rows: &[AttachmentRow]) -> sqlx::Result<()> {
    batch::execute(tx, rows, INSERT_NAMED).await?;
    Ok(())
}

const FORGET_PARTIAL: &str = "delete from attachment_upload where complete_at is null and touched_at < $1 and id in
     (select id from attachment_upload where complete_at is null and touched_at < $1 order by touched_at limit $2)";
const FORGET_DAYS: &str = "delete from attachment_day where on_date < $1";

/// Forgets files that stopped arriving, with their pieces; returns how many.
pub async fn forget_partial(app: &App) -> sqlx::Result<u64> {
    let before = app.now().plus_ms(-PARTIAL_DAYS * DAY_MS);
    let mut forgotten = 0;
    loop {
        let mut tx = app.db.write().await?;
        let gone = on_db!(&mut tx, conn => {
            sqlx::query(FORGET_PARTIAL).bind(before).bind(FORGOTTEN_MAX).execute(conn).await
                .map(|done| done.rows_affected())
        })?;
        tx.commit().await?;
        forgotten += gone;
        if gone < FORGOTTEN_MAX.unsigned_abs() {
            break;
        }
    }
    forget_days(app, app.now()).await?;
    Ok(forgotten)
}

async fn forget_days(app: &App, now: Timestamp) -> sqlx::Result<()> {
    let today = app.settings.zone.date_of(now);
    let mut tx = app.db.write().await?;
    on_db!(&mut tx, conn => {
        sqlx::query(FORGET_DAYS).bind(today.plus_days(-1)).execute(conn).await.map(|_| ())
    })?;
    tx.commit().await
}
