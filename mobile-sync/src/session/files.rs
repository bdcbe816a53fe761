//! After the data: files that entries name go up, piece by piece, as far as the session's budget reaches.
//!
//! Nothing here changes how the session ended: what was captured is handed in, whatever becomes of a photo.
//! Each answer says how far the server has come and is durable before the next piece; a later session, of a
//! phone that was killed at any point, goes on from there.

use std::borrow::Cow;

use daybook_shared::ids::Hash;
use daybook_shared::wire::limits::ATTACHMENT_CHUNK_BYTES_MAX;
use daybook_shared::wire::sign::{DeviceState, RequestProof};
use rand::Rng;
use serde::Deserialize;

use super::problem::{Problem, stale_request};
use super::{
    Effect, Event, HttpRequest, PROBLEM_BYTES_MAX, Phase, STALE_REQUESTS_MAX, Session, SessionError, SyncEnd, backoff,
    proof_header,
};
use crate::Moment;
use crate::store::{Db, DueFile, Store, StoreError};

/// Bytes of files that one session sends, unless its host says otherwise.
pub const FILES_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Pieces in a row that brought a file no further, before files wait for the next session.
const FILE_FAILURES_MAX: u32 = 4;

/// A piece on its way, and what came back of its answer.
#[derive(Debug)]
pub(super) struct Piece {
    file: DueFile,
    length: u32,
    status: Option<(u16, Option<u64>)>,
    body: Vec<u8>,
}

/// How far the files of a session are.
#[derive(Debug)]
pub(super) struct Files {
    /// Bytes that may still go.
    pub left: u64,
    failures: u32,
    /// Files that the server would not go on with, this time.
    skipped: Vec<Hash>,
}

impl Files {
    pub(super) fn new(left: u64) -> Self {
        Self { left, failures: 0, skipped: Vec::new() }
    }
}

#[derive(Deserialize)]
struct Progress {
    received: u32,
    #[serde(default)]
    complete: bool,
}

impl Session {
    /// The next piece, or the end of the session.
    pub(super) fn next_piece(&mut self, store: &mut Store) -> Result<Effect, SessionError> {
        let state = store.read().phone()?.state;
        let due = if self.files.left == 0 || state == DeviceState::Wipe {
            None
        } else {
            store.read().due_file(&self.files.skipped)?
        };
        let Some(file) = due else { return self.end_files(store) };
        let left = self.files.left;
        let (request, length) = store.write(|db| request(db, &file, left))?;
        self.files.left = self.files.left.saturating_sub(u64::from(length).max(1));
        self.report.round_trips += 1;
        self.report.bytes_up += u64::from(length);
        self.phase = Phase::SendingFile(Piece { file, length, status: None, body: Vec::new() });
        Ok(Effect::Send(request))
    }

    fn end_files(&mut self, store: &Store) -> Result<Effect, SessionError> {
        self.report.files_left = store.read().count_unsent_files()?.0;
        let end = self.report.end.clone();
        if self.full && end == SyncEnd::UpToDate {
            return Err(StoreError::DiskFull.into());
        }
        Ok(self.finish(end))
    }

    /// What happens while a piece is on its way.
    pub(super) fn piece_event(
        &mut self,
        mut piece: Piece,
        event: Event<'_>,
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Option<Effect>, SessionError> {
        match event {
            Event::Status { status, retry_after_ms } => piece.status = Some((status, retry_after_ms)),
            Event::BodyBytes(bytes) => {
                self.report.bytes_down += bytes.len() as u64;
                let room = PROBLEM_BYTES_MAX.saturating_sub(piece.body.len());
                piece.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Event::BodyEnd => return self.answered(&piece, store, now, rng).map(Some),
            Event::NotSent | Event::TransportFailed => {
                let phone = store.read().phone()?;
                let upload = backoff::after_lost_upload(phone.upload_bytes, piece.length);
                store.write(|db| db.set_upload_budget(upload, 0))?;
                return self.piece_failed(None, store, rng).map(Some);
            }
            Event::Start | Event::TimerFired => {}
        }
        self.phase = Phase::SendingFile(piece);
        Ok(None)
    }

    fn answered(
        &mut self,
        piece: &Piece,
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Effect, SessionError> {
        let Some((status, retry_after_ms)) = piece.status else { return self.piece_failed(None, store, rng) };
        let DueFile { sha256, size, sent } = piece.file;
        let progress = serde_json::from_slice::<Progress>(&piece.body).ok();
        match (status, progress) {
            (200, Some(Progress { complete: true, .. })) => {
                let at = store.read().phone()?.trusted(now);
                store.write(|db| db.set_file_done(sha256, size, at))?;
                self.report.files_sent += 1;
                self.files.failures = 0;
            }
            (200, Some(Progress { received, .. })) if received > sent => {
                let phone = store.read().phone()?;
                let (upload, whole) = backoff::after_upload(phone.upload_bytes, phone.whole_uploads);
                store.write(|db| {
                    db.set_upload_budget(upload, whole)?;
                    db.set_file_sent(sha256, size, received)
                })?;
                self.files.failures = 0;
            }
            // It stands elsewhere than this phone thought: go on from there, but not back and forth for ever.
            (200 | 409, Some(Progress { received, .. })) => {
                store.write(|db| db.set_file_sent(sha256, size, received))?;
                self.files.failures += 1;
            }
            _ => return self.refused_piece(piece, (status, retry_after_ms), store, rng),
        }
        self.go_on(store)
    }

    fn go_on(&mut self, store: &mut Store) -> Result<Effect, SessionError> {
        if self.files.failures >= FILE_FAILURES_MAX { self.end_files(store) } else { self.next_piece(store) }
    }

    fn refused_piece(
        &mut self,
        piece: &Piece,
        (status, retry_after_ms): (u16, Option<u64>),
        store: &mut Store,
        rng: &mut dyn Rng,
    ) -> Result<Effect, SessionError> {
        if let Some(last) = stale_request(status, &piece.body)
            && self.stale_requests < STALE_REQUESTS_MAX
        {
            self.stale_requests += 1;
            store.write(|db| db.raise_request_number(last))?;
            return self.next_piece(store);
        }
        match Problem::read(status, retry_after_ms, &piece.body) {
            // The day's bytes are used up, or too many pieces came: the next session goes on.
            Problem::Passing { status: 429, .. } => self.end_files(store),
            Problem::Passing { retry_after_ms, .. } => self.piece_failed(retry_after_ms, store, rng),
            Problem::Lasting { status: 404 | 413 | 422, code } => {
                let DueFile { sha256, size, .. } = piece.file;
                let code = code.unwrap_or_else(|| status.to_string());
                store.write(|db| db.set_file_failed(sha256, size, &code))?;
                self.files.skipped.push(sha256);
                self.next_piece(store)
            }
            _ => self.end_files(store),
        }
    }

    /// A piece that got lost, or met a server with trouble: again after a while, a few times.
    fn piece_failed(
        &mut self,
        retry_after_ms: Option<u64>,
        store: &Store,
        rng: &mut dyn Rng,
    ) -> Result<Effect, SessionError> {
        self.files.failures += 1;
        if self.files.failures >= FILE_FAILURES_MAX {
            return self.end_files(store);
        }
        self.report.retries += 1;
        self.phase = Phase::FilesWaiting;
        Ok(Effect::Wait { ms: backoff::wait_ms(self.files.failures, retry_after_ms, rng) })
    }
}

/// The request of a file's next piece and its length.
fn request(db: Db<'_>, file: &DueFile, left: u64) -> Result<(HttpRequest, u32), SessionError> {
    let phone = db.phone()?;
    let enrolment = phone.enrolment.clone().ok_or(SessionError::NotEnrolled)?;
    let DueFile { sha256, size, sent } = *file;
    let most =
        (phone.upload_bytes as usize).min(ATTACHMENT_CHUNK_BYTES_MAX).min(usize::try_from(left).unwrap_or(usize::MAX));
    let body = db.file_bytes(sha256, sent, most)?;
    if body.is_empty() && sent < size {
        return Err(StoreError::BadRow { table: "attachment_piece" }.into());
    }
    let path = format!("/v1/attachments/{sha256}?offset={sent}&size={size}");
    let number = db.next_request_number()?;
    let who = (phone.device, phone.install, number);
    let proof = RequestProof::make(&db.signer()?, enrolment.deployment, who, ("PUT", &path, &body));
    let headers = vec![
        ("content-type", "application/octet-stream".to_owned()),
        ("accept", "application/json".to_owned()),
        (RequestProof::HEADER, proof_header(&proof)),
    ];
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    Ok((HttpRequest { method: "PUT", path: Cow::Owned(path), headers, body }, length))
}
