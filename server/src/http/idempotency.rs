//! Idempotency-Key: a write that is sent again has its effect once, and the same answer.
//!
//! Every POST of a signed-in user names a key. Its scope is the caller, the method and the route; what it
//! stands for is a keyed fingerprint of the request. The answer is kept in the transaction of the effect: a
//! handler takes [`Effect`], begins with [`Effect::begin`] and ends with [`Effect::commit`], so the two
//! are there together or not at all.
//!
//! * Sent again, a request is answered from what was kept, with `Idempotency-Replayed: true`; with other
//!   content under the same key it is refused.
//! * While the first one runs on this server the second is told to ask again. On another replica it runs
//!   too, until the unique index lets only one of them commit; the other is rolled back, run again by
//!   [`super::layers::rerun`], and answered from what the first one kept.
//! * A refusal that came from the rows (a 4xx after `begin`) is kept as well, in a transaction of its own,
//!   after the effect's was rolled back. What depends on the caller's standing or on the server's health
//!   (401, 403, 408, 429, 5xx) leaves nothing: trying again is right.
//!
//! What is kept is sealed with a key outside of the database (an answer may hold a code that is shown
//! once) and goes after `idempotency_days`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest as _, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use daybook_shared::ids::{Hash, UserId, sha256};
use daybook_shared::time::{DAY_MS, Timestamp};

use super::answer::Answer;
use super::extract::RawBody;
use super::guard::Guard;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::auth::{Party, User};
use crate::db::{Db, Tx};
use crate::keys::rest::RestKeys;
use crate::on_db;

/// The header.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is a kept one.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in characters.
pub const KEY_MAX: usize = 255;
/// The longest body of a refusal.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// One request with a key.
#[derive(Debug)]
struct Attempt {
    subject: UserId,
    method: Method,
    route: &'static str,
    key: String,
    fingerprint: Hash,
    began: AtomicBool,
}

/// In an answer's extensions: it was committed with its effect.
#[derive(Debug, Clone, Copy)]
struct Kept;

/// The layer around a handler that takes [`Effect`].
pub async fn once(
    State(Guard { app, route }): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = RawBody::from_request(Request::from_parts(parts.clone(), body), &app).await?;
    let attempt = Arc::new(Attempt::of(&app.keys.rest, &parts, route.path, &body.bytes)?);
    let Some(_flight) = app.in_flight.enter(attempt.id()) else {
        let detail = "A request with this key is being handled; ask again for its answer.";
        return Err(Problem::new(Code::IdempotencyInFlight, detail).retry_after(1));
    };
    let mut tx = app.db.look().await?;
    let kept = find(&mut tx, &attempt).await?;
    drop(tx);
    if let Some(kept) = kept {
        return kept.replay(&app, &attempt);
    }
    let mut request = Request::from_parts(parts, body.bytes.clone().into());
    request.extensions_mut().insert(Arc::clone(&attempt));
    finish(&app, &attempt, next.run(request).await).await
}

/// Sees to it that what is to be kept was: an effect by its handler, a refusal here.
async fn finish(app: &App, attempt: &Attempt, response: Response) -> Result<Response, Problem> {
    let status = response.status();
    if status.is_success() {
        return match response.extensions().get::<Kept>() {
            Some(_) => Ok(response),
            None => Err(Problem::internal(&format_args!("{} does not keep its answers", attempt.route))),
        };
    }
    if !is_deterministic(status) || !attempt.began.load(Ordering::Relaxed) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, PROBLEM_BYTES_MAX).await.map_err(|error| Problem::internal(&error))?;
    let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    let answer = Answer { status, location: text(header::LOCATION), etag: text(header::ETAG), body: body.to_vec() };
    let mut tx = app.db.write().await?;
    keep(&mut tx, app, attempt, &answer).await?;
    tx.commit().await?;
    Ok(Response::from_parts(parts, body.into()))
}

/// Whether the same request would be refused again, whoever's fault it is not.
fn is_deterministic(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 408 | 429)
}

/// A transaction whose answer is kept with its effect.
#[derive(Debug)]
pub struct Effect {
    app: Arc<App>,
    attempt: Arc<Attempt>,
}

impl Effect {
    /// Begins the transaction of the effect.
    pub async fn begin(&self) -> Result<Tx, Problem> {
        let tx = self.app.db.write().await?;
        self.attempt.began.store(true, Ordering::Relaxed);
        Ok(tx)
    }

    /// Keeps the answer and commits; gives it to be sent.
    pub async fn commit(self, mut tx: Tx, answer: Answer) -> Result<Response, Problem> {
        keep(&mut tx, &self.app, &self.attempt, &answer).await?;
        tx.commit().await?;
        let mut response = answer.into_response();
        response.extensions_mut().insert(Kept);
        Ok(response)
    }
}

impl FromRequestParts<Arc<App>> for Effect {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let attempt = parts.extensions.get::<Arc<Attempt>>().cloned();
        let attempt = attempt.ok_or_else(|| Problem::internal(&"only a POST of a signed-in user has an effect"))?;
        Ok(Self { app: Arc::clone(app), attempt })
    }
}

impl Attempt {
    fn of(keys: &RestKeys, parts: &Parts, route: &'static str, body: &[u8]) -> Result<Self, Problem> {
        let user = parts.extensions.get::<User>().ok_or_else(|| Problem::internal(&"a write without a caller"))?;
        let media = parts.headers.get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        let method = parts.method.clone();
        // The query too: it says what is done with the body.
        let asked = parts.uri.path_and_query().map_or(parts.uri.path(), |asked| asked.as_str());
        let mut content = vec![method.as_str().as_bytes(), asked.as_bytes(), media, body];
        // And for whom it is done.
        if let Some(party) = parts.extensions.get::<Party>() {
            content.push(party.customer.uid.as_bytes());
        }
        // Keyed: a body may hold a password, which nobody is to guess from what is kept.
        let fingerprint = keys.fingerprint(&content);
        let key = key_of(&parts.headers)?;
        Ok(Self { subject: user.uid, method, route, key, fingerprint, began: AtomicBool::new(false) })
    }

    /// Names the scope and the key.
    fn id(&self) -> Hash {
        let Self { subject, method, route, key, .. } = self;
        hash(
            b"daybook/idempotency/1",
            &[subject.as_bytes(), method.as_str().as_bytes(), route.as_bytes(), key.as_bytes()],
        )
    }
}

/// Each part by its own hash, so that no two lists of parts are the same bytes.
fn hash(context: &[u8], parts: &[&[u8]]) -> Hash {
    let hashes: Vec<[u8; 32]> = parts.iter().map(|part| sha256(&[part])).collect();
    Hash(sha256(&[context, hashes.as_flattened()]))
}

fn key_of(headers: &HeaderMap) -> Result<String, Problem> {
    let refused = |detail: &str| Problem::new(Code::IdempotencyKeyMissing, detail);
    let mut keys = headers.get_all(KEY).iter();
    let key = keys.next().ok_or_else(|| refused("Every write by POST names an Idempotency-Key of its own."))?;
    let fits = (1..=KEY_MAX).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
    match key.to_str() {
        Ok(key) if fits && keys.next().is_none() => Ok(key.to_owned()),
        _ => Err(refused("An Idempotency-Key is one text of 1 to 255 visible ASCII characters.")),
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    fingerprint: Vec<u8>,
    status: i64,
    location: Option<String>,
    etag: Option<String>,
    body: Vec<u8>,
}

const FIND: &str = "select fingerprint, status, location, etag, body from idempotency
     where subject = $1 and method = $2 and route = $3 and request_key = $4";
const KEEP: &str = "insert into idempotency
       (subject, method, route, request_key, fingerprint, status, location, etag, body, at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing";

async fn find(tx: &mut Tx, attempt: &Attempt) -> sqlx::Result<Option<Row>> {
    let Attempt { subject, method, route, key, .. } = attempt;
    on_db!(tx, conn => {
        sqlx::query_as(FIND).bind(*subject).bind(method.as_str()).bind(*route).bind(key).fetch_optional(conn).await
    })
}

/// Writes the answer down. Where another has, this transaction comes too late.
async fn keep(tx: &mut Tx, app: &App, attempt: &Attempt, answer: &Answer) -> Result<(), Problem> {
    let Attempt { subject, method, route, key, fingerprint, .. } = attempt;
    let body = app.rng.with(|rng| app.keys.rest.seal(&attempt.id().0, &answer.body, rng));
    let status = i64::from(answer.status.as_u16());
    let kept = on_db!(tx, conn => {
        sqlx::query(KEEP)
            .bind(*subject)
            .bind(method.as_str())
            .bind(*route)
            .bind(key)
            .bind(fingerprint.0.to_vec())
            .bind(status)
            .bind(&answer.location)
            .bind(&answer.etag)
            .bind(body)
            .bind(app.now())
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    if kept == 1 { Ok(()) } else { Err(Problem::met_another()) }
}

impl Row {
    fn replay(self, app: &App, attempt: &Attempt) -> Result<Response, Problem> {
        if self.fingerprint != attempt.fingerprint.0 {
            let detail = "This key stands for a request with another path or body: a new write needs a new key.";
            return Err(Problem::new(Code::IdempotencyReused, detail));
        }
        let body = app.keys.rest.open(&attempt.id().0, &self.body);
        let detail = "It was done, and its answer can be told no more: the server's key for it is gone.";
        let body = body.ok_or_else(|| Problem::new(Code::Conflict, detail))?;
        let status = u16::try_from(self.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.ok_or_else(|| Problem::internal(&format_args!("idempotency.status is {}", self.status)))?;
        let answer = Answer { status, location: self.location, etag: self.etag, body };
        let mut response = answer.into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }
}

/// Requests with a key that are being handled.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<HashSet<Hash>>);

/// One of them, until it is dropped.
struct Flight<'a> {
    all: &'a InFlight,
    id: Hash,
}

impl InFlight {
    fn enter(&self, id: Hash) -> Option<Flight<'_>> {
        let is_first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        is_first.then_some(Flight { all: self, id })
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Rows of one transaction: others wait for the writer meanwhile.
const PURGE_ROWS_MAX: i64 = 1_000;
/// How often answers are purged.
pub const EVERY: Duration = Duration::from_hours(1);
const PURGE: &str = "delete from idempotency where id in
     (select o.id from idempotency o where o.at < $1 order by o.at limit $2)";

/// Deletes answers that are older than so many days; returns how many.
pub async fn purge(db: &Db, now: Timestamp, days: i64) -> sqlx::Result<u64> {
    let before = now.plus_ms(-days * DAY_MS);
    let mut gone = 0;
    loop {
        let mut tx = db.write().await?;
        let deleted = on_db!(&mut tx, conn => {
            sqlx::query(PURGE).bind(before).bind(PURGE_ROWS_MAX).execute(conn).await.map(|done| done.rows_affected())
        })?;
        tx.commit().await?;
        gone += deleted;
        if deleted < PURGE_ROWS_MAX.unsigned_abs() {
            return Ok(gone);
        }
    }
}
