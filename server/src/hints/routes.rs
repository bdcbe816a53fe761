//! `GET /v1/feed/hints`: server-sent events, each the id of a caseload that moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use daybook_shared::ids::{CaseloadId, DeviceId};
use daybook_shared::wire::sign::DeviceState;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::Seen;
use crate::app::App;
use crate::auth::device;
use crate::http::problem::{Code, Problem};
use crate::on_db;

/// Streams that a device begins in a minute.
pub const STREAMS_A_MINUTE_MAX: u32 = 30;
/// How long a stream lasts; its phone begins another.
const STREAM_MAX: Duration = Duration::from_mins(10);
/// How often a stream says that it is there: phones give up after 45 s of silence.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// How often a stream asks again which caseloads are the device's, and where they stand.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// The first words: the stream is there, and what moves from here on is told.
const READY: &str = ": ready\n\n";
const ALIVE: &str = ": alive\n\n";

/// A device that is online hears which of its caseloads moved, and syncs.
///
/// Each event is named `caseload` and holds an id, nothing else. Comments say that the stream is there. A
/// second stream of a device ends its first; after ten minutes each ends.
#[utoipa::path(
    get,
    path = "/v1/feed/hints",
    tag = "phones",
    params(("Daybook-Device" = String, Header, description = "The device's signed proof of this request (CBOR in base64url).")),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream"))
)]
pub async fn hints(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let request = device::authenticate(&app, &headers, ("GET", uri.path()), &[]).await?;
    if !request.may_read() {
        return Err(Problem::new(Code::DeviceRevoked, "Hints are for a device in use with a lease that is good."));
    }
    app.streams.attempt(&request.device.uid.to_string(), app.now()).map_err(|seconds| {
        let detail = format!("A device begins {STREAMS_A_MINUTE_MAX} streams of hints a minute.");
        Problem::new(Code::TooManyRequests, detail).retry_after(seconds)
    })?;
    let mut tx = app.db.write().await?;
    device::take_number(&mut tx, &request).await??;
    tx.commit().await?;
    let room = Arc::clone(&app.hints.streams).try_acquire_owned();
    let room = room.map_err(|_| Problem::unavailable("Too many devices listen at once; sync now and then."))?;
    // What moves after the first look is seen: this comes before it.
    let seen = app.hints.seen.subscribe();
    let (device_id, serial) = (request.device.id, app.hints.enter(request.device.id));
    let known = own(&app, request.device.uid).await?.unwrap_or_default();
    let now = Instant::now();
    let (ends, look) = (now + STREAM_MAX, now + LOOK_EVERY);
    let device = request.device.uid;
    let said = Some(READY.to_owned());
    let stream = Stream { app, device, device_id, serial, seen, known, said, ends, look, _room: room };
    let mut response = Response::new(Body::from_stream(stream::unfold(stream, Stream::next)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A proxy that collected what it passes on would keep it for minutes.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A caseload of the device's, and where it stood when that was last told.
type Known = BTreeMap<i64, (CaseloadId, i64)>;

struct Stream {
    app: Arc<App>,
    device: DeviceId,
    device_id: i64,
    serial: u64,
    seen: watch::Receiver<Seen>,
    known: Known,
    /// What is to be said next.
    said: Option<String>,
    ends: Instant,
    look: Instant,
    _room: OwnedSemaphorePermit,
}

impl Stream {
    /// The next words, once there are any; none when it is over.
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        if let Some(said) = self.said.take() {
            return Some((Ok(Bytes::from(said)), self));
        }
        let alive = Instant::now() + ALIVE_EVERY;
        loop {
            let wake = alive.min(self.look).min(self.ends);
            // The stream's own times: a sign of life, a look at who may still listen, its end.
            let is_open = tokio::select! {
                changed = self.seen.changed() => changed.is_ok(),
                () = tokio::time::sleep_until(wake) => true,
            };
            let seen = self.seen.borrow_and_update().clone();
            let now = Instant::now();
            if !is_open || seen.closed || now >= self.ends || !self.app.hints.is_newest(self.device_id, self.serial) {
                return None;
            }
            let mut moved = Self::moved(&mut self.known, &seen.seqs);
            if now >= self.look {
                moved.extend(self.look_again().await?);
            }
            if !moved.is_empty() {
                return Some((Ok(Bytes::from(events(&moved))), self));
            }
            if now >= alive {
                return Some((Ok(Bytes::from_static(ALIVE.as_bytes())), self));
            }
        }
    }

    /// Caseloads that stand further on than was told.
    fn moved(known: &mut Known, seqs: &BTreeMap<i64, i64>) -> Vec<CaseloadId> {
        let mut moved = Vec::new();
        for (id, (caseload, told)) in known {
            if let Some(seq) = seqs.get(id).filter(|seq| *seq > told) {
                *told = *seq;
                moved.push(*caseload);
            }
        }
        moved
    }

    /// Asks the database. None ends the stream: the device may not listen any more, or nobody knows.
    async fn look_again(&mut self) -> Option<Vec<CaseloadId>> {
        self.look = Instant::now() + LOOK_EVERY;
        let now = own(&self.app, self.device).await.ok()??;
        let is_news = |id: &i64, seq: i64| self.known.get(id).is_none_or(|(_, told)| *told < seq);
        let moved = now.iter().filter(|(id, (_, seq))| is_news(id, *seq)).map(|(_, (caseload, _))| *caseload).collect();
        self.known = now;
        Some(moved)
    }
}

fn events(moved: &[CaseloadId]) -> String {
    let event = |caseload: &CaseloadId| format!("event: caseload\ndata: {caseload}\n\n");
    moved.iter().map(event).collect::<Vec<_>>().concat()
}

const SELECT_OWN: &str = "select c.id, c.uid, c.seq from caseload_member m join caseload c on c.id = m.caseload_id
     where m.user_id = $1 and m.member
       and m.at = (select max(n.at) from caseload_member n where n.user_id = m.user_id and n.caseload_id = m.caseload_id)
     order by c.id";

/// The caseloads of a device's user; none when the device is not in use.
async fn own(app: &App, device: DeviceId) -> sqlx::Result<Option<Known>> {
    let mut tx = app.db.read().await?;
    let device = device::find(&mut tx, device).await?.filter(|device| device.standing() == DeviceState::Ok);
    let Some(device) = device else { return Ok(None) };
    let rows: Vec<(i64, CaseloadId, i64)> = on_db!(&mut tx, conn => {
        sqlx::query_as(SELECT_OWN).bind(device.user_id).fetch_all(conn).await
    })?;
    Ok(Some(rows.into_iter().map(|(id, caseload, seq)| (id, (caseload, seq))).collect()))
}
