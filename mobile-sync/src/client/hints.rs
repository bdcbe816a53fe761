//! Waiting for hints: a phone that is online syncs when the server says that a caseload of its moved.

use std::time::Duration;

use daybook_shared::wire::sign::RequestProof;
use rand::{Rng, RngExt as _};

use super::{Client, ClientError, outgoing};
use crate::Moment;
use crate::session::{HttpRequest, SessionError, SyncEnd, SyncReport, proof_header};
use crate::store::{Db, Store};

const PATH: &str = "/v1/feed/hints";
/// The longest wait before a stream that ended is begun again.
const AGAIN_MS_MAX: u64 = 30_000;
/// Bytes of a line that are looked at; an event's are some 50.
const LINE_BYTES_MAX: usize = 256;

impl Client {
    /// Syncs now and each time the server says that something moved, for as long as `go_on` says after each
    /// sync. It ends by itself when a sync ends in a way that only a person can change.
    ///
    /// # Errors
    /// As [`Client::sync`]. That the server could not be reached is not an error: it is tried again.
    pub async fn watch(
        &self,
        store: &mut Store,
        clock: &(impl Fn() -> Moment + Sync),
        rng: &mut (impl Rng + Send),
        go_on: &mut (impl FnMut(&SyncReport) -> bool + Send),
    ) -> Result<SyncReport, ClientError> {
        loop {
            // What moved before the stream was there is found by the sync after its first words.
            let stream = self.open(store, clock).await?;
            let report = self.sync(store, clock, rng).await?;
            if !goes_on(&report, go_on) {
                return Ok(report);
            }
            if let Some(mut stream) = stream {
                let mut lines = Lines::default();
                while let Ok(Some(bytes)) = stream.chunk().await {
                    if lines.push(&bytes) {
                        let report = self.sync(store, clock, rng).await?;
                        if !goes_on(&report, go_on) {
                            return Ok(report);
                        }
                    }
                }
            }
            // Not at once, and not all phones together: the stream ended for all of them when a server stopped.
            let ms = rng.random_range(0..=AGAIN_MS_MAX);
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }

    /// A stream of hints; none where there is no server, or it has none for this phone now.
    async fn open(
        &self,
        store: &mut Store,
        clock: &(impl Fn() -> Moment + Sync),
    ) -> Result<Option<reqwest::Response>, ClientError> {
        let http = self.http(store, clock())?;
        let request = store.write(request)?;
        let response = outgoing(&http.0, &self.base, request).send().await;
        Ok(response.ok().filter(|response| response.status().as_u16() == 200))
    }
}

fn goes_on(report: &SyncReport, go_on: &mut impl FnMut(&SyncReport) -> bool) -> bool {
    let is_over = matches!(report.end, SyncEnd::LoginRequired | SyncEnd::Locked(_) | SyncEnd::Rejected { .. });
    go_on(report) && !is_over
}

fn request(db: Db<'_>) -> Result<HttpRequest, SessionError> {
    let phone = db.phone()?;
    let enrolment = phone.enrolment.clone().ok_or(SessionError::NotEnrolled)?;
    let who = (phone.device, phone.install, db.next_request_number()?);
    let proof = RequestProof::make(&db.signer()?, enrolment.deployment, who, ("GET", PATH, &[]));
    let mut headers = vec![("accept", "text/event-stream".to_owned()), (RequestProof::HEADER, proof_header(&proof))];
    headers.extend(db.lease()?.map(|lease| ("authorization", format!("Bearer {lease}"))));
    Ok(HttpRequest { method: "GET", path: PATH.into(), headers, body: Vec::new() })
}

/// The lines of a stream, as they come.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// Whether these bytes end a line that says that a caseload moved.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let mut moved = false;
        for byte in bytes {
            if *byte == b'\n' {
                moved |= self.0.starts_with(b"data:");
                self.0.clear();
            } else if self.0.len() < LINE_BYTES_MAX {
                self.0.push(*byte);
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_a_whole_line_of_data_however_it_is_cut() {
        let mut lines = Lines::default();
        assert!(!lines.push(b": ready\n\n: alive\n\nevent: caseload\nda"));
        assert!(!lines.push(b"ta: 01890a5d"));
        assert!(lines.push(b"\n\n"));
        assert!(!lines.push(&[b'd'; 10_000]) && lines.0.len() == LINE_BYTES_MAX);
        assert!(lines.push(b"\ndata: x\nda"));
    }
}
