//! REST of the files of complaints.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_shared::ids::{ComplaintId, Hash, sha256};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::complaints::{ComplaintView, added, must_go_on, own, shown};
use super::parse_code;
use crate::app::App;
use crate::attachments::routes::FileBytes;
use crate::auth::Party;
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};
use crate::journey::evidence::{self, BYTES_MAX, FILES_MAX, FileRow, MediaType};

/// A file to be added to a complaint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000031", "media_type": "application/pdf",
    "sha256": "0716f9264c9fe19f5d7455276107f3ddcc1d3497f63d60689a73558ae8a1bf5e", "content": "JVBERi0xLjcK"
}))]
pub struct FileRequest {
    /// Its id, which its maker chose: sent again, it is the same file.
    id: Uuid,
    /// image/jpeg, image/png, image/webp or application/pdf; the content begins as one of these does.
    media_type: String,
    /// The SHA-256 of the content, 64 digits of hex: what arrives otherwise is not kept.
    #[schema(min_length = 64, max_length = 64)]
    sha256: String,
    /// The file in base64; at most 1 MiB of it.
    content: String,
}

impl FileRequest {
    fn read(&self) -> Result<(MediaType, Hash, Vec<u8>), Problem> {
        let media_type: MediaType = parse_code("/media_type", &self.media_type)?;
        let content = STANDARD.decode(&self.content);
        let content = content.map_err(|_| Problem::invalid("/content", "shape", "This is not base64."))?;
        if !(1..=BYTES_MAX).contains(&content.len()) {
            return Err(Problem::invalid("/content", "length", format!("A file has 1 to {BYTES_MAX} bytes.")));
        }
        let hash = Hash(sha256(&[&content]));
        if hash.to_string() != self.sha256 {
            return Err(Problem::invalid("/sha256", "digest", "The content has another hash: send the file again."));
        }
        if !media_type.begins(&content) {
            return Err(Problem::invalid("/media_type", "shape", format!("The content is no {media_type}.")));
        }
        Ok((media_type, hash, content))
    }
}

/// The customer adds a file to his complaint.
#[utoipa::path(
    post,
    path = "/v1/disputes/{id}/evidence",
    tag = "disputes",
    params(("id" = ComplaintId, Path, description = "The complaint.")),
    request_body = FileRequest,
    responses((status = 200, description = "The complaint.", body = ComplaintView))
)]
pub async fn attach(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Path(id): Path<ComplaintId>,
    Json(request): Json<FileRequest>,
) -> Result<Response, Problem> {
    let (media_type, sha256, content) = request.read()?;
    let mut tx = effect.begin().await?;
    let known = own(&mut tx, &party, id).await?;
    match evidence::find(&mut tx, request.id).await? {
        Some(file) if file.complaint_id == known.id && file.sha256 == sha256 && file.media_type == media_type => {}
        Some(_) => return Err(Problem::new(Code::IdTaken, "The file's id was used for another file.")),
        None => {
            must_go_on(&known, "evidence")?;
            let new = FileRow { uid: request.id, complaint_id: known.id, media_type, sha256, at: app.now() };
            if !evidence::add(&mut tx, &new, (&content, party.user.id)).await? {
                let detail = format!("A complaint has at most {FILES_MAX} files.");
                return Err(Problem::new(Code::Conflict, detail));
            }
            added(&mut tx, &app, &known, (party.user.id, false)).await?;
            party.audit(&mut tx, app.now(), "complaint.evidence", id, json!({ "file": request.id })).await?;
        }
    }
    let answer = shown(&mut tx, id, Answer::ok).await?;
    effect.commit(tx, answer).await
}

/// A file of a complaint, for the customer and who acts for him.
#[utoipa::path(
    get,
    path = "/v1/evidence/{id}",
    tag = "disputes",
    params(("id" = Uuid, Path, description = "The file.")),
    responses((status = 200, description = "The file.", content(
        (FileBytes = "image/jpeg"), (FileBytes = "image/png"), (FileBytes = "image/webp"), (FileBytes = "application/pdf")
    )))
)]
pub async fn file(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = evidence::content(&mut tx, id, party.customer.uid).await?;
    let (media_type, content) = found.ok_or_else(Problem::not_found)?;
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    // A download, never shown in the place of a page.
    for (name, value) in [
        (header::CONTENT_TYPE, media_type.code()),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
