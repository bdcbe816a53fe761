//! Files that a customer adds to his complaint: photos of what came, papers. They are small and whole, so they are
//! rows like the words beside them, and are in every backup.

use daybook_shared::ids::{CustomerId, Hash};
use daybook_shared::time::Timestamp;
use uuid::Uuid;

use crate::db::Tx;
use crate::on_db;
use crate::spelled::spelled;

/// Files of one complaint.
pub const FILES_MAX: i64 = 10;
/// Bytes of one file.
pub const BYTES_MAX: usize = 1024 * 1024;

spelled! {
    /// What a file may be.
    MediaType {
        /// A photo.
        Jpeg = "image/jpeg",
        /// A picture of a screen.
        Png = "image/png",
        /// A photo.
        Webp = "image/webp",
        /// A paper.
        Pdf = "application/pdf",
    }
}

impl MediaType {
    /// Whether a file begins as one of its type does.
    pub fn begins(self, content: &[u8]) -> bool {
        match self {
            Self::Jpeg => content.starts_with(b"\xff\xd8\xff"),
            Self::Png => content.starts_with(b"\x89PNG\r\n\x1a\n"),
            Self::Webp => content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP".as_slice()),
            Self::Pdf => content.starts_with(b"%PDF-"),
        }
    }
}

/// A file, without its content.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct FileRow {
    /// Id, which its maker chose.
    pub uid: Uuid,
    /// Key of the complaint.
    pub complaint_id: i64,
    /// What it is.
    pub media_type: MediaType,
    /// Its hash.
    pub sha256: Hash,
    /// When it was added.
    pub at: Timestamp,
}

const FILES: &str =
    "select uid, complaint_id, media_type, sha256, at from plan_complaint_file where complaint_id = $1 order by id";
const ONE: &str = "select uid, complaint_id, media_type, sha256, at from plan_complaint_file where uid = $1";
const CONTENT: &str = "select f.media_type, f.content from plan_complaint_file f
       join plan_complaint c on c.id = f.complaint_id join account a on a.id = c.account_id
       join customer k on k.id = a.customer_id
     where f.uid = $1 and k.uid = $2";
const INSERT: &str = "insert into plan_complaint_file (uid, complaint_id, media_type, sha256, content, at, by_user)
     select $1, c.id, $3, $4, $5, $6, $7 from plan_complaint c where c.id = $2
       and (select count(*) from plan_complaint_file f where f.complaint_id = c.id) < $8
     on conflict (uid) do nothing";

/// The files of a complaint, in the order in which they came; at most [`FILES_MAX`].
pub async fn of(tx: &mut Tx, complaint_id: i64) -> sqlx::Result<Vec<FileRow>> {
    on_db!(tx, conn => sqlx::query_as(FILES).bind(complaint_id).fetch_all(conn).await)
}

/// The file with this id, whoever's.
pub async fn find(tx: &mut Tx, uid: Uuid) -> sqlx::Result<Option<FileRow>> {
    on_db!(tx, conn => sqlx::query_as(ONE).bind(uid).fetch_optional(conn).await)
}

/// What a file of this customer's is and holds.
pub async fn content(tx: &mut Tx, uid: Uuid, customer: CustomerId) -> sqlx::Result<Option<(MediaType, Vec<u8>)>> {
    on_db!(tx, conn => sqlx::query_as(CONTENT).bind(uid).bind(customer).fetch_optional(conn).await)
}

/// Adds a file; false when there are too many already, or its id is in use.
pub async fn add(tx: &mut Tx, new: &FileRow, (content, by_user): (&[u8], i64)) -> sqlx::Result<bool> {
    on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(new.uid)
            .bind(new.complaint_id)
            .bind(new.media_type)
            .bind(new.sha256)
            .bind(content)
            .bind(new.at)
            .bind(by_user)
            .bind(FILES_MAX)
            .execute(conn)
            .await
            .map(|done| done.rows_affected() == 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_as_its_type_does() {
        let heads: [(&[u8], Option<MediaType>); 6] = [
            (b"\xff\xd8\xff\xe0....", Some(MediaType::Jpeg)),
            (b"\x89PNG\r\n\x1a\n....", Some(MediaType::Png)),
            (b"RIFF....WEBPVP8 ", Some(MediaType::Webp)),
            (b"%PDF-1.7", Some(MediaType::Pdf)),
            (b"<html>", None),
            (b"", None),
        ];
        for (content, expected) in heads {
            let found = MediaType::ALL.iter().copied().find(|media_type| media_type.begins(content));
            assert_eq!(found, expected, "{content:?}");
        }
    }
}
