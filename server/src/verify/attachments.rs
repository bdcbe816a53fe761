//! Files: what entries name is what their bytes say, what arrived is whole and has its hash, and evidence
//! is pending exactly where something has not arrived.

use std::collections::BTreeMap;

use daybook_shared::entry::{AttachmentKind, Entry};
use daybook_shared::ids::{EntryId, Hash};
use daybook_shared::wire::outcome::Flag;
use sha2::{Digest as _, Sha256};

use super::PAGE_ROWS;
use super::findings::{Findings, Place};
use super::log::LogRow;
use crate::attachments::AttachmentRow;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;

const NAMED: &str = "attachments: entries name what their bytes say";
const PENDING: &str = "attachments: evidence is pending where it has not arrived";
const WHOLE: &str = "attachments: files are whole";

batch_row! {
    struct Key { uid: EntryId => "uuid" }
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct NamedRow {
    entry_uid: EntryId,
    position: i64,
    device_id: i64,
    own_device: i64,
    sha256: Hash,
    size_bytes: i64,
    mime: String,
    kind: AttachmentKind,
    arrived: bool,
    has_come: bool,
}

const SELECT_NAMED: &str =
    "select a.entry_uid, a.position, a.device_id, e.device_id as own_device, a.sha256, a.size_bytes,
       a.mime, a.kind, a.arrived_at is not null as arrived,
       exists (select 1 from attachment_upload u where u.device_id = e.device_id and u.sha256 = a.sha256
                 and u.size_bytes = a.size_bytes and u.complete_at is not null) as has_come
     from v join entry_attachment a on a.entry_uid = v.uid join entry e on e.uid = a.entry_uid";

/// Compares what a page of the log names.
pub async fn verify_named(tx: &mut Tx, entries: &[(LogRow, Entry)], findings: &mut Findings) -> sqlx::Result<()> {
    let keys: Vec<_> = entries.iter().map(|(row, _)| Key { uid: row.uid }).collect();
    let rows: Vec<NamedRow> = batch::fetch(tx, &keys, SELECT_NAMED).await?;
    let mut stored: BTreeMap<EntryId, Vec<NamedRow>> = BTreeMap::new();
    for row in rows {
        stored.entry(row.entry_uid).or_default().push(row);
    }
    for (row, entry) in entries {
        let mut found = stored.remove(&row.uid).unwrap_or_default();
        found.sort_by_key(|named| named.position);
        let place = Place { check: NAMED, table: "entry_attachment", key: &row.uid };
        let own = found.first().map_or(0, |named| named.own_device);
        let said: Vec<_> = AttachmentRow::of(entry, own).into_iter().map(said_of).collect();
        findings.compare(place, "files", &said, &found.iter().map(stored_of).collect());
        let place = Place { check: PENDING, table: "entry_attachment", key: &row.uid };
        for named in &found {
            findings.compare(
                place,
                "arrived only from its own device",
                &named.arrived,
                &(named.arrived && named.has_come),
            );
        }
        let is_accepted = matches!(row.outcome.as_str(), "posted" | "noted");
        let pending = is_accepted && found.iter().any(|named| !named.arrived);
        let place = Place { check: PENDING, table: "entry", key: &row.uid };
        findings.compare(place, "EVIDENCE_PENDING", &pending, &row.flagged(&Flag::EvidencePending));
    }
    Ok(())
}

type File = (i64, i64, Hash, i64, String, AttachmentKind);

fn said_of(row: AttachmentRow) -> File {
    (row.position, row.device_id, row.sha256, row.size_bytes, row.mime, row.kind)
}

fn stored_of(row: &NamedRow) -> File {
    (row.position, row.device_id, row.sha256, row.size_bytes, row.mime.clone(), row.kind.clone())
}

const STRAYS: &str =
    "select a.entry_uid from entry_attachment a left join entry e on e.uid = a.entry_uid where e.id is null";
const KEPT_NOWHERE: &str = "select u.sha256 from attachment_upload u left join attachment f on f.sha256 = u.sha256
     where u.complete_at is not null and f.sha256 is null";
const SELECT_FILES: &str =
    "select sha256, size_bytes, upload_id from attachment where upload_id > $1 order by upload_id limit $2";
const SELECT_CHUNK: &str = "select first_byte, bytes from attachment_chunk
     where upload_id = $1 and first_byte >= $2 order by first_byte limit 1";

/// Reads every file again, one piece in memory at a time.
pub async fn verify(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let strays: Vec<EntryId> = on_db!(&mut *tx, conn => sqlx::query_scalar(STRAYS).fetch_all(conn).await)?;
    for uid in strays {
        let place = Place { check: NAMED, table: "entry_attachment", key: &uid };
        findings.differs(place, "entry", "one in the log", "none");
    }
    let nowhere: Vec<Hash> = on_db!(&mut *tx, conn => sqlx::query_scalar(KEPT_NOWHERE).fetch_all(conn).await)?;
    for sha256 in nowhere {
        let place = Place { check: WHOLE, table: "attachment_upload", key: &sha256 };
        findings.differs(place, "file", "kept", "nowhere");
    }
    let mut after = 0;
    loop {
        let files: Vec<(Hash, i64, i64)> = on_db!(&mut *tx, conn => {
            sqlx::query_as(SELECT_FILES).bind(after).bind(PAGE_ROWS).fetch_all(conn).await
        })?;
        let Some((_, _, last)) = files.last() else { return Ok(()) };
        after = *last;
        for (sha256, size, upload_id) in files {
            let found = read(tx, upload_id).await?;
            let place = Place { check: WHOLE, table: "attachment", key: &sha256 };
            findings.compare(place, "length and hash", &(size, sha256), &found);
        }
    }
}

/// How long the pieces of an upload are together, up to the first gap, and their hash.
async fn read(tx: &mut Tx, upload_id: i64) -> sqlx::Result<(i64, Hash)> {
    let (mut at, mut hash) = (0, Sha256::new());
    loop {
        let chunk: Option<(i64, Vec<u8>)> = on_db!(&mut *tx, conn => {
            sqlx::query_as(SELECT_CHUNK).bind(upload_id).bind(at).fetch_optional(conn).await
        })?;
        match chunk {
            Some((first_byte, bytes)) if first_byte == at && !bytes.is_empty() => {
                hash.update(&bytes);
                at += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            }
            _ => return Ok((at, Hash(hash.finalize().into()))),
        }
    }
}
