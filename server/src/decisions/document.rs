//! A dossier as one Automerge document, for tools that read those: over HTTP by `Accept`, and as a file.
//!
//! It is rendered when asked for, from all entries that the asker may see and the board as it is merged; what
//! it looks like is `daybook_shared::dossier`'s.

use axum::http::{HeaderMap, header};
use daybook_shared::dossier;
use daybook_shared::ids::{DossierId, EntryId};
use daybook_shared::messages::weighed;

use crate::app::BODY_ROOM_BYTES;
use crate::db::Tx;
use crate::http::problem::{Code, Problem};
use crate::on_db;
use crate::sync::boards;

/// What the document is called where media types are named.
pub const MEDIA_TYPE: &str = "application/vnd.automerge";
/// How much memory a byte of an entry takes while its document is made, at most: entries, the tree of values, the
/// document and its saved form are there together. `bench document` measures it.
pub const MEMORY_PER_BYTE: usize = 28;

/// Whose document it is: what is confidential is shown to its author and to those who review.
#[derive(Debug, Clone, Copy)]
pub enum Reader {
    /// A user, by his row's key.
    User {
        /// The key.
        id: i64,
        /// Whether he reviews what is held.
        reviews: bool,
    },
    /// Whoever runs the server sees all.
    Operator,
}

impl Reader {
    fn bounds(self) -> (i64, bool) {
        match self {
            Self::User { id, reviews } => (id, reviews),
            Self::Operator => (0, true),
        }
    }
}

const MEASURE_ENTRIES: &str = "select cast(coalesce(sum(length(e.bytes)), 0) as bigint) from entry e
     where e.dossier_id = $1 and (not e.confidential or e.user_id = $2 or $3)";
const SELECT_ENTRY_BYTES: &str = "select e.uid, e.bytes from entry e
     where e.dossier_id = $1 and (not e.confidential or e.user_id = $2 or $3) order by e.uid";

/// How many bytes of memory it takes to render a document, where the server ever has that much room for one request.
pub async fn memory_needed(tx: &mut Tx, dossier: i64, reader: Reader) -> Result<usize, Problem> {
    let (user, reviews) = reader.bounds();
    let bytes: i64 = on_db!(tx, conn => {
        sqlx::query_scalar(MEASURE_ENTRIES).bind(dossier).bind(user).bind(reviews).fetch_one(conn).await
    })?;
    within_room(usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn within_room(entry_bytes: usize) -> Result<usize, Problem> {
    let needed = entry_bytes.saturating_mul(MEMORY_PER_BYTE);
    if needed <= BODY_ROOM_BYTES {
        return Ok(needed);
    }
    let detail = "This dossier is too large to be rendered over HTTP: daybook dossier export writes it into a file.";
    Err(Problem::new(Code::TooLarge, detail))
}

/// The document, saved, of the dossier with this key, kind and stored board.
pub async fn render(
    tx: &mut Tx,
    (key, dossier): (i64, DossierId),
    (kind, board): (&str, Option<&[u8]>),
    reader: Reader,
) -> Result<Vec<u8>, sqlx::Error> {
    let (user, reviews) = reader.bounds();
    let entries: Vec<(EntryId, Vec<u8>)> = on_db!(tx, conn => {
        sqlx::query_as(SELECT_ENTRY_BYTES).bind(key).bind(user).bind(reviews).fetch_all(conn).await
    })?;
    let board = boards::confirmed(kind, board)?.map(|board| board.view());
    let work = move || {
        let entries = entries.iter().map(|(id, bytes)| (*id, bytes.as_slice()));
        dossier::document(dossier, entries, board.as_ref())
    };
    // Ten thousand entries take a good part of a second: others are answered meanwhile.
    Ok(tokio::task::spawn_blocking(work).await.expect("any entries and board make a document"))
}

/// Whether a request asks for the document: it names the media type, and JSON not rather.
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    let (mut document, mut json) = (0, 0);
    for header in headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for (media, weight) in header.split(',').map(weighed) {
            if media.eq_ignore_ascii_case(MEDIA_TYPE) {
                document = weight.max(document);
            } else if media.eq_ignore_ascii_case("application/json") {
                json = weight.max(json);
            }
        }
    }
    document > json
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_never_finds_room_is_refused_at_once() {
        let most = BODY_ROOM_BYTES / MEMORY_PER_BYTE;
        assert_eq!(within_room(most), Ok(most * MEMORY_PER_BYTE));
        for bytes in [most + 1, usize::MAX] {
            assert_eq!(within_room(bytes).unwrap_err().code(), Code::TooLarge);
        }
    }

    #[test]
    fn the_document_is_for_who_names_it() {
        for (accept, document) in [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (Some("application/vnd.automerge"), true),
            (Some("text/html, Application/Vnd.Automerge;q=0.1, */*"), true),
            (Some("application/vnd.automerge;q=0"), false),
            (Some("application/vnd.automerge;q=much"), false),
            (Some("application/vnd.automerge;q=0.8, application/json"), false),
            (Some("application/json;q=0.5,application/vnd.automerge"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept))));
            assert_eq!(is_asked_for(&headers), document, "{accept:?}");
        }
    }
}
