//! Files: a phone's pieces, a person's look at one, and the list of what does not come.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use daybook_shared::entry::EntryType;
use daybook_shared::ids::{DossierId, EntryId, Hash, UserId};
use daybook_shared::time::Timestamp;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::receive::{self, Piece};
use crate::app::App;
use crate::auth::device;
use crate::auth::{Permission, User};
use crate::http::etag::IfNoneMatch;
use crate::http::extract::{Json, Path, Query, RawBody};
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};
use crate::{on_db, seen_dossiers, visible_units};

/// Pieces of files that a device hands in, in a minute.
pub const PIECES_A_MINUTE_MAX: u32 = 600;
/// After how long evidence that has not come is on a supervisor's list: 72 hours.
const MISSING_AFTER_MS: i64 = 72 * 3_600_000;

/// Where a piece belongs. The device's signature covers it, with the path.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PieceQuery {
    /// The byte at which the piece begins.
    #[param(minimum = 0, example = 0)]
    offset: u32,
    /// The length of the whole file, as the entry names it.
    #[param(minimum = 0, example = 184_320)]
    size: u32,
}

/// How far a file has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// Bytes that are durable: where the next piece begins.
    received: i64,
    /// All of it is here, and has its hash.
    complete: bool,
}

/// The bytes of a file.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct FileBytes(#[expect(dead_code, reason = "it is only described")] Vec<u8>);

/// A device hands in a piece of a file that an entry of its own names.
///
/// At most 256 KiB, and it begins where the piece before ended: any other one is a `conflict` whose
/// `received` says where to go on. Without bytes it only asks how far the file has come.
#[utoipa::path(
    put,
    path = "/v1/attachments/{sha256}",
    tag = "phones",
    params(
        ("sha256" = String, Path, description = "The file's SHA-256, in hex."),
        PieceQuery,
        ("Daybook-Device" = String, Header, description = "The device's signed proof of this request (CBOR in base64url), over path and query.")
    ),
    request_body(content = FileBytes, content_type = "application/octet-stream", description = "The piece."),
    responses((status = 200, description = "It is durable.", body = ProgressView))
)]
pub async fn put(
    State(app): State<Arc<App>>,
    Path(sha256): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    // Looked at after the device's proof: who has none learns nothing.
    query: Result<Query<PieceQuery>, Problem>,
    body: RawBody,
) -> Result<Json<ProgressView>, Problem> {
    let target = uri.path_and_query().map_or(uri.path(), |target| target.as_str());
    let device = device::authenticate(&app, &headers, ("PUT", target), &body.bytes).await?;
    let Query(PieceQuery { offset, size }) = query?;
    let sha256 = hash_of(&sha256).ok_or_else(Problem::not_found)?;
    app.pieces.attempt(&device.device.uid.to_string(), app.now()).map_err(|seconds| {
        let detail = format!("A device hands in {PIECES_A_MINUTE_MAX} pieces a minute; this one was not taken.");
        Problem::new(Code::TooManyRequests, detail).retry_after(seconds)
    })?;
    let piece = Piece { sha256, size: size.into(), offset: offset.into(), bytes: &body.bytes };
    let progress = receive::receive(&app, &device, piece).await?;
    Ok(Json(ProgressView { received: progress.received, complete: progress.complete }))
}

/// A hash from its 64 digits of hex, in small letters.
fn hash_of(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(Hash(hash))
}

#[derive(Debug, sqlx::FromRow)]
struct FileRow {
    mime: String,
    size_bytes: i64,
    upload_id: i64,
}

/// A file is seen by an entry that has it: one whose own device handed it in, in a dossier that is seen.
const ONE: &str = concat!(
    visible_units!(),
    "select n.mime, f.size_bytes, f.upload_id
     from entry_attachment n join attachment f on f.sha256 = n.sha256 and f.size_bytes = n.size_bytes
       join entry e on e.uid = n.entry_uid join dossier d on d.id = e.dossier_id
       left join caseload c on c.id = d.caseload_id left join account a on a.id = d.account_id
     where n.sha256 = $3 and n.arrived_at is not null and (not e.confidential or e.user_id = $1 or $4) and ",
    seen_dossiers!(),
    " order by e.id limit 1"
);

/// A file, for who may read a dossier with an entry that has it.
#[utoipa::path(
    get,
    path = "/v1/attachments/{sha256}",
    tag = "dossiers",
    params(
        ("sha256" = String, Path, description = "The file's SHA-256, in hex."),
        ("If-None-Match" = Option<String>, Header, description = "The file the caller has.")
    ),
    responses(
        (status = 200, description = "The file, of the type that its phone named.", body = FileBytes, content_type = "*/*", headers(("ETag" = String, description = "Its hash."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    known: IfNoneMatch,
    Path(sha256): Path<String>,
) -> Result<Response, Problem> {
    let hash = hash_of(&sha256).ok_or_else(Problem::not_found)?;
    let reviews = by.roles.iter().any(|(role, _)| role.may(Permission::ReadHeld));
    let mut tx = app.db.read().await?;
    let roles = Permission::ReadCases.role_list();
    let row: Option<FileRow> = on_db!(&mut tx, conn => {
        sqlx::query_as(ONE).bind(by.id).bind(roles).bind(hash).bind(reviews).fetch_optional(conn).await
    })?;
    drop(tx);
    let row = row.ok_or_else(Problem::not_found)?;
    Ok(known.answer(&format!("\"{sha256}\""), file(app, &row, &sha256)))
}

/// A download, never shown in the place of a page: what a phone says of its type is believed no further.
fn file(app: Arc<App>, row: &FileRow, sha256: &str) -> Response {
    let mut response = Response::new(body(app, row));
    let media = if is_media_type(&row.mime) { row.mime.as_str() } else { "application/octet-stream" };
    let name = format!("attachment; filename=\"{}\"", &sha256[..16]);
    let headers = response.headers_mut();
    for (header, value) in [
        (header::CONTENT_TYPE, media.to_owned()),
        (header::CONTENT_LENGTH, row.size_bytes.to_string()),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ] {
        headers.insert(header, HeaderValue::try_from(value).expect("made of plain ASCII"));
    }
    response
}

fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-'))
    };
    text.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
}

/// One piece in memory at a time, and no transaction open while a slow reader takes it.
fn body(app: Arc<App>, row: &FileRow) -> Body {
    let (upload_id, size) = (row.upload_id, row.size_bytes);
    Body::from_stream(stream::try_unfold(0, move |at| {
        let app = Arc::clone(&app);
        async move {
            if at >= size {
                return Ok::<_, sqlx::Error>(None);
            }
            let chunk = receive::chunk_at(&app, upload_id, at).await?.ok_or(sqlx::Error::RowNotFound)?;
            let next = at + i64::try_from(chunk.len()).unwrap_or(i64::MAX);
            Ok(Some((Bytes::from(chunk), next)))
        }
    }))
}

/// An entry whose evidence does not come.
#[derive(Debug, Serialize, sqlx::FromRow, ToSchema)]
pub struct MissingView {
    entry: EntryId,
    #[schema(value_type = String, example = "VISIT")]
    entry_type: EntryType,
    dossier: DossierId,
    author: UserId,
    author_name: String,
    captured_at: Timestamp,
    received_at: Timestamp,
    /// Files that have not come.
    missing: i64,
}

const PAGE_MISSING: &str = concat!(
    visible_units!(),
    "select e.uid as entry, e.entry_type, d.uid as dossier, u.uid as author, u.name as author_name, e.captured_at,
       e.received_at, count(*) as missing
     from entry_attachment a join entry e on e.uid = a.entry_uid join dossier d on d.id = e.dossier_id
       join app_user u on u.id = e.user_id
     where a.arrived_at is null and e.outcome in ('posted', 'noted') and e.received_at < $3
       and exists (select 1 from user_role r join visible v on v.id = r.unit_id
                   where r.user_id = e.user_id and r.ended_at is null)
       and e.id > coalesce((select id from entry where uid = $4), 0)
     group by e.id, e.uid, e.entry_type, d.uid, u.uid, u.name, e.captured_at, e.received_at
     order by e.id limit $5"
);

/// Entries whose photos or signatures have not come within 72 hours, oldest first.
#[utoipa::path(
    get,
    path = "/v1/attachments/missing",
    tag = "held",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<MissingView>))
)]
pub async fn missing(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<EntryId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let (roles, before) = (Permission::ReadHeld.role_list(), app.now().plus_ms(-MISSING_AFTER_MS));
    let rows: Vec<MissingView> = on_db!(&mut tx, conn => {
        sqlx::query_as(PAGE_MISSING)
            .bind(by.id)
            .bind(roles)
            .bind(before)
            .bind(page.after)
            .bind(page.rows())
            .fetch_all(conn)
            .await
    })?;
    Ok(page.page(rows, |view: &MissingView| view.entry))
}
