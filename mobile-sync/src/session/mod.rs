//! One sync with the server, as a state machine: `(now, rng, event) -> effects`.
//!
//! There is no socket, clock, thread or sleep in here. A host feeds [`Event`]s and carries out the
//! [`Effect`]s: the HTTP client does it over a network, a simulation in memory. Everything that must
//! outlive a crash is in the [`Store`] before the effect that depends on it is given out, so a
//! session may be dropped at any point and a new one goes on from there.
//!
//! One round is one request and its response:
//!
//! 1. Seal what is pending and take the next request number: one transaction.
//! 2. Send. The unanswered envelopes go, oldest first, as many as the link is good for and at least
//!    one, and the cursors that changed.
//! 3. Apply each whole frame of the response in a transaction of its own, as it comes.
//! 4. Go on while there is more, or while there is something left to send; wait and try again,
//!    with full jitter, when the connection or the server failed.
//!
//! Then files that entries name go up, as far as the session's budget for them reaches ([`files`]): they
//! hold up nothing, and change nothing about how the session ended.
//! When a response names another epoch of the database, the server has lost a part of its history: the
//! phone rewinds ([`crate::store`]) and begins anew. It hands in again what it keeps, with what the server
//! has to learn first, and reads the feed from its start.
//!
//! A phone that was lost erases itself by the server's signed order, hands in what it had, and is nobody's.
//! A phone that was revoked only hands in (`POST /v1/deposit`) and learns whether that changed.

mod answers;
mod apply;
mod backoff;
mod files;
mod problem;
mod request;
mod types;

use daybook_shared::wire::exchange::{End, Frame};
use daybook_shared::wire::framing::FrameReader;
use daybook_shared::wire::limits::{BUDGET_BYTES_MIN, REQUEST_BYTES_MAX};
use daybook_shared::wire::sign::DeviceState;
use rand::Rng;

use crate::Moment;
use crate::store::{Phone, Store, StoreError, WayOut};
use apply::{Applied, ApplyError, Extent};
pub use backoff::{BACKOFF_MS_MAX, BACKOFF_MS_MIN, RETRY_AFTER_MS_MAX};
pub use files::FILES_BYTES_MAX;
use files::{Files, Piece};
use problem::Problem;
pub(crate) use problem::{code_of, stale_request};
use request::Sent;
pub(crate) use request::proof_header;
pub use types::{Effect, Event, GaveUp, HttpRequest, SessionError, SyncEnd, SyncReport};

/// Failures in a row, without a whole frame in between, before a session gives up.
pub const FAILURES_MAX: u32 = 6;
/// Failures of one session altogether: a server that always breaks after the first frame.
pub const FAILURES_TOTAL_MAX: u32 = 200;
/// Requests of one session. Half a gigabyte at the smallest budget: beyond that, something is wrong.
pub const ROUND_TRIPS_MAX: u32 = 100_000;
/// Rounds in a row that say "more" and bring nothing.
pub const IDLE_ROUNDS_MAX: u32 = 3;
/// New installs a session may start before it leaves the matter to people.
pub const NEW_INSTALLS_MAX: u32 = 2;
/// Times a session follows the server's "stale request number".
pub const STALE_REQUESTS_MAX: u32 = 3;
/// Rewinds of one session: a server that is set back again and again.
pub const REWINDS_MAX: u32 = 4;
/// The largest budget a phone asks for.
pub const BUDGET_BYTES_UP_TO: u32 = 2 * 1024 * 1024;
/// Raw bytes of envelopes in one request; what does not compress still stays below the server's limit.
pub const UPLOAD_BYTES_UP_TO: u32 = 2 * 1024 * 1024;
const _: () = assert!(UPLOAD_BYTES_UP_TO as usize <= REQUEST_BYTES_MAX / 2);
/// Whole responses in a row after which the budget is doubled.
pub const WHOLE_RESPONSES_TO_DOUBLE: u32 = 2;
/// The longest problem document that is read, in bytes.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// Where the machine stands.
#[derive(Debug)]
enum Phase {
    Idle,
    AwaitingStatus(Sent),
    Reading(Reading),
    ReadingProblem { sent: Sent, status: u16, retry_after_ms: Option<u64>, body: Vec<u8> },
    Waiting,
    SendingFile(Piece),
    FilesWaiting,
    Done,
}

#[derive(Debug)]
struct Reading {
    sent: Sent,
    reader: FrameReader,
    frames: u32,
    /// Something in this response was new to this phone.
    news: bool,
    /// The database has another epoch: the rest of the response is of no interest.
    rewound: bool,
    ended: Option<End>,
}

/// One sync. See the module's documentation.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    report: SyncReport,
    failures: u32,
    failures_total: u32,
    idle_rounds: u32,
    stale_requests: u32,
    asked_twice: bool,
    /// The server did not know this device; its certificate was shown.
    certified: bool,
    /// The envelope the server would not read: nothing after it can be taken this time.
    refused: Option<(u64, String)>,
    /// There was no room for a frame: from there on only what was sent up is attended to.
    full: bool,
    last_failure: GaveUp,
    files: Files,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A session that has not begun.
    pub fn new() -> Self {
        Self::with_files(FILES_BYTES_MAX)
    }

    /// A session that sends at most so many bytes of files; none where bytes are dear.
    pub fn with_files(bytes_max: u64) -> Self {
        Self {
            phase: Phase::Idle,
            report: SyncReport::default(),
            failures: 0,
            failures_total: 0,
            idle_rounds: 0,
            stale_requests: 0,
            asked_twice: false,
            certified: false,
            refused: None,
            full: false,
            last_failure: GaveUp::Unreachable,
            files: Files::new(bytes_max),
        }
    }

    /// Whether [`Effect::Finished`] was given out.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// What it did so far.
    pub fn report(&self) -> &SyncReport {
        &self.report
    }

    /// Ends it where it is, as when the app closes its store: a new session goes on from there.
    pub fn stop(&mut self) -> Effect {
        self.finish(SyncEnd::GaveUp(self.last_failure))
    }

    /// Why the last request failed, when the session waits to try again.
    pub fn last_failure(&self) -> GaveUp {
        self.last_failure
    }

    /// Takes an event. Events that make no sense in the present state are ignored.
    ///
    /// # Errors
    /// [`SessionError`]: the store failed, or the phone is not enrolled. The session is over then. Where the
    /// storage is full, what was captured is handed in first.
    pub fn handle(
        &mut self,
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
        event: Event<'_>,
    ) -> Result<Vec<Effect>, SessionError> {
        // Whatever fails below leaves the session over.
        let phase = std::mem::replace(&mut self.phase, Phase::Done);
        let effect = match (phase, event) {
            (Phase::Idle, Event::Start) | (Phase::Waiting, Event::TimerFired) => {
                Some(self.begin_round(store, now, rng)?)
            }
            (Phase::AwaitingStatus(sent), Event::Status { status: 200, .. }) => {
                self.phase = Phase::Reading(Reading {
                    sent,
                    reader: FrameReader::new(),
                    frames: 0,
                    news: false,
                    rewound: false,
                    ended: None,
                });
                None
            }
            (Phase::AwaitingStatus(sent), Event::Status { status, retry_after_ms }) => {
                self.phase = Phase::ReadingProblem { sent, status, retry_after_ms, body: Vec::new() };
                None
            }
            (Phase::AwaitingStatus(sent), Event::NotSent) => {
                self.report.bytes_up = self.report.bytes_up.saturating_sub(sent.body_bytes);
                Some(self.fail(GaveUp::Unreachable, None, rng))
            }
            (Phase::AwaitingStatus(sent), Event::TransportFailed | Event::BodyEnd) => {
                lost_upload(&sent, store)?;
                Some(self.fail(GaveUp::Unreachable, None, rng))
            }
            (Phase::Reading(reading), Event::BodyBytes(bytes)) => self.read_body(reading, bytes, store, now, rng)?,
            (Phase::Reading(reading), Event::BodyEnd | Event::TransportFailed) => {
                Some(self.end_response(&reading, store, now, rng)?)
            }
            (Phase::ReadingProblem { sent, status, retry_after_ms, mut body }, Event::BodyBytes(bytes)) => {
                self.report.bytes_down += bytes.len() as u64;
                body.extend_from_slice(&bytes[..bytes.len().min(PROBLEM_BYTES_MAX.saturating_sub(body.len()))]);
                self.phase = Phase::ReadingProblem { sent, status, retry_after_ms, body };
                None
            }
            (Phase::ReadingProblem { sent, status, retry_after_ms, body }, Event::BodyEnd | Event::TransportFailed) => {
                Some(self.end_problem(&sent, Problem::read(status, retry_after_ms, &body), store, now, rng)?)
            }
            (Phase::SendingFile(piece), event) => self.piece_event(piece, event, store, now, rng)?,
            (Phase::FilesWaiting, Event::TimerFired) => Some(self.next_piece(store)?),
            (phase, _) => {
                self.phase = phase;
                None
            }
        };
        Ok(effect.into_iter().collect())
    }

    /// Seals, numbers, and gives out the next request.
    fn begin_round(&mut self, store: &mut Store, now: Moment, rng: &mut dyn Rng) -> Result<Effect, SessionError> {
        if self.report.round_trips >= ROUND_TRIPS_MAX {
            return Ok(self.finish(SyncEnd::GaveUp(GaveUp::Protocol)));
        }
        let phone = store.read().phone()?;
        if phone.wiped_at.is_some() && phone.enrolment.is_none() {
            return Ok(self.finish(SyncEnd::Locked(DeviceState::Wipe)));
        }
        let first = self.report.round_trips == 0;
        let uploads = self.refused.is_none();
        let (request, sent, generation) =
            store.write_in_need(now, SessionError::is_full, |db| request::build(db, uploads, first, now, rng))?;
        if let Some(generation) = generation {
            store.keep_generation(generation)?;
        }
        self.report.round_trips += 1;
        self.report.bytes_up += request.body.len() as u64;
        self.phase = Phase::AwaitingStatus(sent);
        Ok(Effect::Send(request))
    }

    /// Applies what the next bytes complete, one frame and one transaction after the other.
    fn read_body(
        &mut self,
        mut reading: Reading,
        bytes: &[u8],
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Option<Effect>, SessionError> {
        self.report.bytes_down += bytes.len() as u64;
        let Ok(frames) = reading.reader.push(bytes) else {
            return self.broken(&reading, GaveUp::Protocol, store, rng).map(Some);
        };
        for frame in frames {
            reading.ended = frame.end.or(reading.ended);
            if reading.rewound {
                continue;
            }
            store.uncounted_cash = None;
            let first = reading.frames == 0;
            let sent = &reading.sent;
            let applied = match self.apply(&frame, sent, first, store, now, rng) {
                Ok(applied) => applied,
                Err(ApplyError::Store(error)) => return Err(error.into()),
                Err(ApplyError::Protocol(_)) => {
                    return self.broken(&reading, GaveUp::Protocol, store, rng).map(Some);
                }
            };
            if applied.wiped {
                store.forget_writes()?;
            }
            reading.frames += 1;
            reading.news |= applied.news;
            reading.rewound |= applied.rewound;
            self.failures = 0;
            self.count(applied);
        }
        self.phase = Phase::Reading(reading);
        Ok(None)
    }

    /// One frame into the store; without room for all of it, at least what it says of what was sent up.
    fn apply(
        &mut self,
        frame: &Frame,
        sent: &Sent,
        first: bool,
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Applied, ApplyError> {
        if !self.full {
            let whole = (first, Extent::Whole);
            match store.write_in_need(now, ApplyError::is_full, |db| apply::frame(db, frame, sent, whole, now, rng)) {
                Err(error) if error.is_full() => self.full = true,
                applied => return applied,
            }
        }
        store.write(|db| apply::frame(db, frame, sent, (first, Extent::Answers), now, rng))
    }

    fn count(&mut self, applied: Applied) {
        let report = &mut self.report;
        report.frames += 1;
        report.envelopes_answered += applied.envelopes_answered;
        report.entries_answered += applied.entries_answered;
        report.deltas += applied.deltas;
        report.quarantined += applied.quarantined;
        report.new_installs += applied.new_installs;
        report.rewinds += u32::from(applied.rewound);
        report.purged.extend(applied.purged);
        self.refused = applied.refused.or(self.refused.take());
    }

    /// The body is over, as it should be or not: what counts is whether its last frame came.
    fn end_response(
        &mut self,
        reading: &Reading,
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Effect, SessionError> {
        let Some(end) = reading.ended else { return self.broken(reading, GaveUp::Unreachable, store, rng) };
        let phone = store.read().phone()?;
        let (budget, whole) = backoff::after_whole(phone.budget_bytes, phone.whole_responses);
        let complete =
            end == End::Complete && !(reading.sent.deposit || reading.rewound || phone.login_required || self.full);
        if complete {
            store.reserve.fill();
        }
        store.write(|db| {
            if complete {
                db.set_synced_at(phone.trusted(now))?;
            }
            if !reading.sent.envelopes.is_empty() {
                let (upload, whole) = backoff::after_upload(phone.upload_bytes, phone.whole_uploads);
                db.set_upload_budget(upload, whole)?;
            }
            db.set_budget(budget, whole)
        })?;
        self.failures = 0;
        self.idle_rounds = if reading.news { 0 } else { self.idle_rounds + 1 };
        if reading.rewound && self.report.rewinds <= REWINDS_MAX {
            return self.begin_round(store, now, rng);
        }
        self.next(&reading.sent, end, store, now, rng)
    }

    /// After a whole response: another round, or the end.
    fn next(
        &mut self,
        sent: &Sent,
        end: End,
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Effect, SessionError> {
        let db = store.read();
        let phone = db.phone()?;
        if phone.wiped_at.is_some() {
            return self.next_of_wipe(sent, &phone, store, now, rng);
        }
        let unsent = db.count_pending_entries()? + db.count_pending_changes()?;
        let unanswered = db.count_unanswered_envelopes(phone.install)?;
        let again = db.count_envelopes_again()?;
        let to_send = self.refused.is_none() && unsent + unanswered + again > 0;
        if self.report.new_installs > NEW_INSTALLS_MAX {
            return Ok(self.finish(SyncEnd::GaveUp(GaveUp::Numbering)));
        }
        if phone.state != DeviceState::Ok {
            // Handing in has no verdicts; the acknowledgement's number says what is held.
            let moved = phone.acked_number > sent.acked_number || again < sent.again || !sent.deposit;
            let asked = phone.show_acknowledgement && !std::mem::replace(&mut self.asked_twice, true);
            let left = unsent > 0 || again > 0 || phone.acked_number < phone.number_last;
            if asked {
                return self.begin_round(store, now, rng);
            }
            if left && moved {
                return self.begin_round(store, now, rng);
            }
            return self.files_then(SyncEnd::Locked(phone.state), store);
        }
        if phone.login_required && !to_send {
            return self.files_then(SyncEnd::LoginRequired, store);
        }
        if self.full && !to_send {
            // What was captured is handed in, and its files go; what the server has for this phone finds no room.
            return self.files_then(SyncEnd::UpToDate, store);
        }
        let wishes = (phone.send_cursors || phone.send_have) && !self.asked_twice;
        self.asked_twice |= phone.send_cursors || phone.send_have;
        let more = end == End::More || to_send || wishes || sent.deposit;
        if more && self.idle_rounds < IDLE_ROUNDS_MAX {
            return self.begin_round(store, now, rng);
        }
        if more && !wishes {
            return Ok(self.finish(SyncEnd::GaveUp(GaveUp::Protocol)));
        }
        let end = match self.refused.take() {
            Some((number, code)) => SyncEnd::EnvelopeRefused { number, code },
            None => SyncEnd::UpToDate,
        };
        self.files_then(end, store)
    }

    /// The data has gone as far as it can: files go now, and then the session ends like this.
    fn files_then(&mut self, end: SyncEnd, store: &mut Store) -> Result<Effect, SessionError> {
        self.report.end = end;
        self.next_piece(store)
    }

    /// A store that erased itself hands in what it had. Once the server has all of it and knows that this was
    /// all, the key goes too.
    fn next_of_wipe(
        &mut self,
        sent: &Sent,
        phone: &Phone,
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Effect, SessionError> {
        if phone.show_acknowledgement {
            // The server took nothing: it lacks what it had said, and has to be shown it first.
            let asked_twice = std::mem::replace(&mut self.asked_twice, true);
            let lost = SyncEnd::GaveUp(GaveUp::Protocol);
            return if asked_twice { Ok(self.finish(lost)) } else { self.begin_round(store, now, rng) };
        }
        let again = store.read().count_envelopes_again()?;
        let handed_in = phone.acked_number >= phone.number_last && again == 0;
        if sent.wiped && handed_in {
            store.write(|db| db.finish_wipe(now, rng))?;
            store.forget_writes()?;
        } else if !sent.wiped || handed_in || phone.acked_number > sent.acked_number || again < sent.again {
            return self.begin_round(store, now, rng);
        }
        Ok(self.finish(SyncEnd::Locked(DeviceState::Wipe)))
    }

    /// A response that broke off or made no sense: smaller pieces next time.
    fn broken(
        &mut self,
        reading: &Reading,
        why: GaveUp,
        store: &mut Store,
        rng: &mut dyn Rng,
    ) -> Result<Effect, SessionError> {
        if reading.ended.is_none() {
            let budget = backoff::after_broken(store.read().phone()?.budget_bytes);
            store.write(|db| db.set_budget(budget, 0))?;
        }
        // The first frame says what became of the envelopes: from there on they are not to blame.
        if reading.frames == 0 {
            lost_upload(&reading.sent, store)?;
        }
        Ok(self.fail(why, None, rng))
    }

    /// The server answered with a problem.
    fn end_problem(
        &mut self,
        sent: &Sent,
        problem: Problem,
        store: &mut Store,
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Effect, SessionError> {
        match problem {
            Problem::StaleRequest { last } if self.stale_requests < STALE_REQUESTS_MAX => {
                self.stale_requests += 1;
                // Raising the number is all an intact phone needs. The last try is for one whose
                // numbers somebody else is using at the same time.
                let way_out = self.stale_requests == STALE_REQUESTS_MAX;
                store.write(|db| {
                    db.raise_request_number(last)?;
                    if way_out {
                        db.begin_install(WayOut::Numbering, now, rng)?;
                        db.forget_cursors()?;
                    }
                    Ok::<_, StoreError>(())
                })?;
                self.report.new_installs += u32::from(way_out);
                self.begin_round(store, now, rng)
            }
            Problem::LoginRequired => {
                store.write(|db| db.set_login_required(true))?;
                Ok(self.finish(SyncEnd::LoginRequired))
            }
            Problem::Revoked if !sent.deposit => {
                store.write(|db| db.set_state(DeviceState::Revoked))?;
                self.begin_round(store, now, rng)
            }
            Problem::Passing { status, retry_after_ms } => {
                Ok(self.fail(GaveUp::ServerError(status), retry_after_ms, rng))
            }
            // A restored server may not know this device: its certificate makes it known again.
            Problem::Lasting { status: 401, .. } if !self.certified && !sent.relearns => {
                self.certified = true;
                store.write(|db| db.set_relearn(true))?;
                self.begin_round(store, now, rng)
            }
            Problem::StaleRequest { .. } => Ok(self.finish(SyncEnd::GaveUp(GaveUp::Numbering))),
            Problem::Revoked => Ok(self.finish(SyncEnd::Locked(DeviceState::Revoked))),
            Problem::Lasting { status, code } => Ok(self.finish(SyncEnd::Rejected { status, code })),
        }
    }

    fn fail(&mut self, why: GaveUp, retry_after_ms: Option<u64>, rng: &mut dyn Rng) -> Effect {
        self.last_failure = why;
        self.failures_total += 1;
        if self.failures >= FAILURES_MAX || self.failures_total >= FAILURES_TOTAL_MAX {
            return self.finish(SyncEnd::GaveUp(self.last_failure));
        }
        let ms = backoff::wait_ms(self.failures, retry_after_ms, rng);
        self.failures += 1;
        self.report.retries += 1;
        self.phase = Phase::Waiting;
        Effect::Wait { ms }
    }

    fn finish(&mut self, end: SyncEnd) -> Effect {
        self.phase = Phase::Done;
        self.report.end = end;
        Effect::Finished(self.report.clone())
    }
}

/// A request was lost on its way or unanswered: fewer envelopes next time, unless it was one alone.
fn lost_upload(sent: &Sent, store: &mut Store) -> Result<(), StoreError> {
    if sent.envelopes.len() < 2 {
        return Ok(());
    }
    let upload = backoff::after_lost_upload(store.read().phone()?.upload_bytes, sent.upload_bytes);
    store.write(|db| db.set_upload_budget(upload, 0))
}

const _: () = assert!(BUDGET_BYTES_MIN <= BUDGET_BYTES_UP_TO);

#[cfg(test)]
mod tests;
