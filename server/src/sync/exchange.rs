//! `POST /v1/sync` and `POST /v1/deposit`: what a request goes through, in one place.
//!
//! inflate within bounds -> is this the history the phone knows? -> envelopes, one after the other, each durable before the next -> answers,
//! acknowledgement, officer block -> the feed, read in one snapshot after all of it -> offers to quote from.

use std::borrow::Cow;
use std::sync::Arc;

use daybook_shared::cbor::Malformed;
use daybook_shared::ids::{AckHash, CaseloadId, EntryId, EnvelopeId, Epoch, Hash, InstallId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::envelope::{Envelope, unsealed};
use daybook_shared::wire::exchange::{
    Answer, Audience, CaseloadInfo, End, EnvelopeAnswer, Frame, Request, VERSION, caseloads_hash,
};
use daybook_shared::wire::framing::{self, FrameWriter, InflateError};
use daybook_shared::wire::limits::{BUDGET_BYTES_MAX, BUDGET_BYTES_MIN, INFLATED_BYTES_MAX};
use daybook_shared::wire::outcome::{BoardState, BoardVerdict, Outcome, Reason};
use daybook_shared::wire::sign::{Acknowledgement, Context, DeviceState, Signed, TakenBefore, WipeOrder};
use tokio::sync::OwnedSemaphorePermit;

use super::arrived::{Arrived, NotTaken};
use super::catalogue;
use super::cursor::Cursor;
use super::effects::AcknowledgementRow;
use super::finish::{Finish, Finished};
use super::frames::Frames;
use super::load::outcome_of;
use super::read::{self, Asking, Reader};
use super::take::{self, Item, Taken};
use super::world::is_same;
use super::writer::{self, Done, Job, WriteError};
use crate::app::App;
use crate::auth::alarm;
use crate::auth::device::DeviceRequest;
use crate::auth::lease::{self, Lease};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::http::names;
use crate::http::problem::{Code, Problem};
use crate::on_db;
use crate::recovery::relearn::Shown;
use crate::recovery::{self, relearn, rollback};

/// What is answered to a request of which nothing was taken.
enum Instead {
    /// The phone knows another history of the database: it rewinds.
    Rewind(Epoch),
    /// It has to show its newest acknowledgement.
    Show,
}

impl Instead {
    fn response(self) -> Vec<u8> {
        let frame = match self {
            Self::Rewind(epoch) => Frame { epoch: Some(epoch), ..Frame::default() },
            Self::Show => Frame { show_acknowledgement: Some(true), ..Frame::default() },
        };
        let mut frames = FrameWriter::new();
        frames.push(&Frame { end: Some(End::More), ..frame });
        frames.finish()
    }
}

/// Whether a request's cursors, numbers and envelopes belong to this history of the database; takes in
/// what it shows of others. Nothing is taken of one that knows another history: what came after the backup
/// has to be learnt again before any of it is judged.
async fn other_history(
    app: &App,
    device: &DeviceRequest,
    request: &Request,
    shown: &[Shown],
) -> sqlx::Result<Option<Instead>> {
    let epoch = app.epoch();
    if request.epoch.is_some_and(|known| known != epoch) {
        return Ok(Some(Instead::Rewind(epoch)));
    }
    if let Some(begun) = rollback::find(app, device, request).await? {
        return Ok(Some(Instead::Rewind(begun)));
    }
    relearn::take_in(app, device, request, shown).await?;
    Ok(None)
}

/// What a request's envelopes came to.
struct Upload {
    install_id: i64,
    answers: Vec<EnvelopeAnswer>,
    acknowledgement: Option<Signed>,
    /// The last envelope that had been taken before, of which install.
    again: Option<(InstallId, TakenBefore)>,
    finished: Option<Box<Finished>>,
}

/// Answers `POST /v1/sync`: a body of frames.
pub async fn sync(app: &Arc<App>, device: &DeviceRequest, body: &[u8]) -> Result<Vec<u8>, Problem> {
    let Opened { request, mut bytes_left, _room } = open(app, body).await?;
    let shown = relearn::acknowledgements(app, device, &request);
    if let Some(instead) = other_history(app, device, &request, &shown).await? {
        return Ok(instead.response());
    }
    let handed_out = device.may_read();
    let epoch = app.epoch();
    let upload = match upload(app, device, (&request, &shown), body.len(), &mut bytes_left).await? {
        Ok(upload) => upload,
        Err(instead) => return Ok(instead.response()),
    };
    if app.epoch() != epoch {
        // The database was found set back while this request was under way.
        return Ok(Instead::Rewind(app.epoch()).response());
    }
    let rewinding = request.rewinding == Some(true);
    let Upload { install_id, answers, finished, .. } = upload;
    let finished = finished.map(|finished| *finished).unwrap_or_default();
    let acknowledgement = match upload.acknowledgement {
        Some(signed) => Some(signed),
        None if finished.acknowledge || device.device.standing() != DeviceState::Ok => {
            Some(acknowledge(app, device, install_id).await?.0)
        }
        None => None,
    };
    let renew = matches!(device.lease, Lease::Valid { renew: true }) && handed_out;
    let holder = device.device.holder().filter(|_| renew);
    let head = Frame {
        epoch: Some(epoch).filter(|epoch| request.epoch != Some(*epoch)),
        answers: Some(answers).filter(|answers| !answers.is_empty()),
        acknowledgement,
        send_cursors: finished.send_cursors.then_some(true),
        lease: holder.map(|holder| lease::issue(app, holder, app.now())),
        receipt_block: finished.receipt_block.filter(|_| handed_out),
        officer: (handed_out && !rewinding).then_some(finished.officer),
        news: finished.news.filter(|_| handed_out && !rewinding),
        login_required: (!handed_out).then_some(true),
        settled: if handed_out && request.unsettled == Some(true) { settled(app).await? } else { None },
        ..Frame::default()
    };
    let stop = !handed_out || rewinding || finished.send_cursors;
    let body = if stop {
        let mut frames = FrameWriter::new();
        frames.push(&Frame { end: Some(if handed_out { End::More } else { End::Complete }), ..head });
        frames.finish()
    } else {
        download(app, device, install_id, &request, head).await?
    };
    metrics::counter!(names::SYNC_BYTES_DOWN).increment(body.len() as u64);
    app.answered.note(device.device.id, body.len());
    Ok(body)
}

/// Whether people have looked at what was lost: then what this server did not name has left the phone.
async fn settled(app: &App) -> sqlx::Result<Option<bool>> {
    let mut tx = app.db.read().await?;
    Ok(recovery::unconfirmed_since(&mut tx).await?.is_none().then_some(true))
}

/// Answers `POST /v1/deposit`: an acknowledgement and nothing else; a lost device gets the order to erase itself
/// beside it.
pub async fn deposit(app: &Arc<App>, device: &DeviceRequest, body: &[u8]) -> Result<Vec<u8>, Problem> {
    let Opened { request, mut bytes_left, _room } = open(app, body).await?;
    let shown = relearn::acknowledgements(app, device, &request);
    if let Some(instead) = other_history(app, device, &request, &shown).await? {
        return Ok(instead.response());
    }
    let upload = match upload(app, device, (&request, &shown), body.len(), &mut bytes_left).await? {
        Ok(upload) => upload,
        Err(instead) => return Ok(instead.response()),
    };
    let acknowledgement = match upload.acknowledgement {
        Some(signed) => signed,
        None => acknowledge(app, device, upload.install_id).await?.0,
    };
    let mut frames = FrameWriter::new();
    let lost = device.device.standing() == DeviceState::Wipe && request.wiped != Some(true);
    frames.push(&Frame {
        acknowledgement: Some(acknowledgement),
        wipe: lost.then(|| wipe_order(app, device)),
        end: Some(End::Complete),
        ..Frame::default()
    });
    let body = frames.finish();
    app.answered.note(device.device.id, body.len());
    Ok(body)
}

/// The order to a lost device, for the life of its store that asks: of no use to any other.
fn wipe_order(app: &App, device: &DeviceRequest) -> Signed {
    let order = WipeOrder {
        device: device.device.uid,
        install: device.install,
        epoch: app.epoch(),
        at: app.now(),
        envelope_key: Hash(app.keys.envelope_public()),
    };
    Signed::seal(&app.keys.server, Context::Wipe, app.deployment.id, &order)
}

/// A request that was read.
struct Opened {
    request: Request,
    /// To how much its envelopes' bodies may inflate, all together.
    bytes_left: usize,
    /// Its share of the room for inflated bodies, held as long as it is worked on.
    _room: Vec<OwnedSemaphorePermit>,
}

/// Inflates a request, once there is room for it, and reads it.
async fn open(app: &App, body: &[u8]) -> Result<Opened, Problem> {
    metrics::counter!(names::SYNC_BYTES_UP).increment(body.len() as u64);
    let len = framing::inflated_len(body, INFLATED_BYTES_MAX).map_err(inflate_problem)?;
    let mut room: Vec<_> = app.inflated_room.for_body(len).await?.into_iter().collect();
    let request = parse(&framing::inflate(body, INFLATED_BYTES_MAX).map_err(inflate_problem)?)?;
    let mut bytes_left = 0;
    if request.envelopes.iter().any(|envelope| Envelope::is_compressed(envelope)) {
        // Phones seal without compression, as the whole request is compressed; a relay may not.
        bytes_left = INFLATED_BYTES_MAX - len;
        room.extend(app.inflated_room.for_body(bytes_left).await?);
    }
    Ok(Opened { request, bytes_left, _room: room })
}

fn inflate_problem(error: InflateError) -> Problem {
    match error {
        InflateError::TooLarge => {
            Problem::new(Code::TooLarge, format!("The body inflates beyond {INFLATED_BYTES_MAX} bytes."))
        }
        InflateError::Malformed => Problem::validation("The body is not a whole zstd stream."),
    }
}

fn parse(inflated: &[u8]) -> Result<Request, Problem> {
    let request = Request::decode(inflated).map_err(|error| match error {
        Malformed::TooMany => Problem::validation("A request carries at most 64 envelopes and 64 cursors."),
        _ => Problem::validation("The body is not a request of this exchange (CBOR, version 1)."),
    })?;
    if request.version != VERSION {
        return Err(Problem::validation(format!("This server speaks version {VERSION} of the exchange.")));
    }
    Ok(request)
}

/// A step of a request: an envelope of an install, or only the request's beginning or end.
struct Step<'a> {
    install: InstallId,
    envelope: Option<(Item, Cow<'a, [u8]>)>,
}

/// Takes the request's envelopes, in their order, each durable before the next. The first step
/// carries the request's number and the last one its end; both are of the install that asks, while
/// an envelope may be of an install before it.
async fn upload(
    app: &Arc<App>,
    device: &DeviceRequest,
    (request, shown): (&Request, &[Shown]),
    bytes_up: usize,
    bytes_left: &mut usize,
) -> Result<Result<Upload, Instead>, Problem> {
    // One that is shown has been looked at: see `rollback`.
    let is_shown = |after: &AckHash| {
        request.acknowledgements.iter().flatten().any(|signed| Acknowledgement::hash(signed) == *after)
    };
    let after = request.after.filter(|after| !is_shown(after));
    let mut upload = Upload { install_id: 0, answers: Vec::new(), acknowledgement: None, again: None, finished: None };
    let mut steps = steps(app, device, (request, shown), &mut upload, bytes_left);
    let own = |step: Option<&Step<'_>>| step.is_some_and(|step| step.install == device.install);
    let empty = || Step { install: device.install, envelope: None };
    if !own(steps.first()) {
        steps.insert(0, empty());
    }
    if !own(steps.last()) {
        steps.push(empty());
    }
    let count = steps.len();
    for (i, step) in steps.into_iter().enumerate() {
        let (mut item, bytes) = step.envelope.unzip();
        if let Some(item) = &mut item {
            item.again = upload.again.filter(|(install, _)| *install == step.install).map(|(_, again)| again);
        }
        let number = item.as_ref().map(|item| item.arrived.envelope.header.number);
        let job = Job {
            device_id: device.device.id,
            device: device.device.uid,
            install: step.install,
            request_number: (i == 0).then(|| i64::try_from(device.number).unwrap_or(i64::MAX)),
            after: after.filter(|_| i == 0),
            item,
            finish: (i + 1 == count).then(|| finish_of(app, device, request, bytes_up)),
        };
        let done = writer::write(app, job).await.map_err(problem)?;
        if matches!(done, Done::Behind) {
            return Ok(Err(Instead::Show));
        }
        answer(app, device, done, number, &mut upload, bytes.as_deref()).await?;
    }
    count_answers(&upload.answers);
    Ok(Ok(upload))
}

/// The envelopes that were sealed by this device, as steps; the others are answered as refused.
fn steps<'a>(
    app: &App,
    device: &DeviceRequest,
    (request, shown): (&'a Request, &[Shown]),
    upload: &mut Upload,
    bytes_left: &mut usize,
) -> Vec<Step<'a>> {
    let role = device.device.board_role();
    let mut steps = Vec::with_capacity(request.envelopes.len() + 2);
    for bytes in &request.envelopes {
        let clear = unsealed(bytes, |key| app.keys.envelope_secret(key)).map_err(NotTaken::from);
        let arrived = clear.and_then(|clear| {
            let arrived = Arrived::verify(clear.to_vec(), &device.device, app.deployment.id, bytes_left)?;
            Ok((arrived, clear))
        });
        match arrived {
            Ok((arrived, clear)) => {
                let install = arrived.envelope.header.install;
                let held_since = relearn::held_since(shown, &arrived.envelope);
                let item = Item::new(app, arrived, role, held_since);
                steps.push(Step { install, envelope: Some((item, clear)) });
            }
            Err(error) => {
                alarm::wrong_signature(app, device.device.uid, error.code());
                let number = Envelope::number_of(bytes).unwrap_or_default();
                let answer = Answer::Refused { code: error.code().to_owned() };
                upload.answers.push(EnvelopeAnswer { number, answer });
            }
        }
    }
    steps
}

fn finish_of(app: &App, device: &DeviceRequest, request: &Request, bytes_up: usize) -> Finish {
    Finish {
        unsent: request.unsent,
        wiped: request.wiped == Some(true),
        bytes: app.answered.take(device.device.id, bytes_up),
        user_id: device.device.user_id,
        cursors: request.cursors.clone(),
        cursors_hash: request.cursors_hash,
        news_seen: i64::try_from(request.news_seen).unwrap_or(i64::MAX),
        receipt_last: request.receipt_last,
        receipts_left: request.receipts_left,
        only_hands_in: !device.may_read() || request.rewinding == Some(true),
    }
}

async fn answer(
    app: &App,
    device: &DeviceRequest,
    done: Done,
    number: Option<u64>,
    upload: &mut Upload,
    bytes: Option<&[u8]>,
) -> Result<(), Problem> {
    let (install_id, taken, finished) = match done {
        Done::Stale { last } => {
            let problem = Problem::new(Code::StaleRequest, "Go on with a request number above `last`.");
            return Err(problem.with("last", last));
        }
        Done::InstallLimit => {
            return Err(Problem::new(
                Code::Conflict,
                "The device opened too many installs; a person has to look at it.",
            )
            .with("reason", "install_limit"));
        }
        Done::Behind => return Ok(()),
        Done::Done { install_id, taken, finished } => (install_id, taken, finished),
    };
    if finished.is_some() {
        upload.install_id = install_id;
        upload.finished = finished;
    }
    let answer = match taken {
        None => return Ok(()),
        Some(Taken::Now { answer, acknowledgement }) => {
            upload.acknowledgement = Some(*acknowledgement);
            answer
        }
        Some(Taken::Not(answer)) => answer,
        Some(Taken::Before) => match bytes {
            Some(bytes) => {
                let (signed, again) = acknowledge(app, device, install_id).await?;
                (upload.acknowledgement, upload.again) = (Some(signed), again);
                answer_before(app, install_id, bytes).await?
            }
            None => return Ok(()),
        },
    };
    upload.answers.push(EnvelopeAnswer { number: number.unwrap_or_default(), answer });
    Ok(())
}

fn problem(error: WriteError) -> Problem {
    match error {
        WriteError::Sql(error) => error.into(),
        WriteError::Busy => Problem::unavailable("Many phones are sending at once."),
        WriteError::Panicked => Problem::internal(&error),
    }
}

fn count_answers(answers: &[EnvelopeAnswer]) {
    for answer in answers {
        let word = match &answer.answer {
            Answer::Taken { outcomes, board } => {
                for outcome in outcomes {
                    metrics::counter!(names::SYNC_ENTRIES, "outcome" => outcome.state.code()).increment(1);
                }
                for verdict in board {
                    metrics::counter!(names::SYNC_BOARD_CHANGES, "verdict" => verdict_word(verdict.state)).increment(1);
                }
                "taken"
            }
            Answer::Expect { .. } => "expect",
            Answer::Reactor => "reactor",
            Answer::Refused { .. } => "refused",
        };
        metrics::counter!(names::SYNC_ENVELOPES, "answer" => word).increment(1);
    }
}

fn verdict_word(state: BoardState) -> &'static str {
    match state {
        BoardState::Merged => "merged",
        BoardState::Duplicate => "duplicate",
        BoardState::Quarantined => "quarantined",
    }
}

const SELECT_LAST: &str = "select i.uid, i.last_number, i.last_envelope, e.received_at from install i
     left join envelope e on e.install_id = i.id and e.number = i.last_number where i.id = $1";
const INSERT_ACKNOWLEDGEMENTS: &str = "insert into acknowledgement (device_id, hash, at)
     select device_id, hash, at from v where true on conflict do nothing";

/// An acknowledgement of what the server holds of an install, remembered like every other, and what it says again.
async fn acknowledge(
    app: &App,
    device: &DeviceRequest,
    install_id: i64,
) -> Result<(Signed, Option<(InstallId, TakenBefore)>), Problem> {
    let now = app.now();
    let mut tx = app.db.write().await?;
    let last: Option<(InstallId, i64, EnvelopeId, Option<Timestamp>)> =
        on_db!(&mut tx, conn => sqlx::query_as(SELECT_LAST).bind(install_id).fetch_optional(conn).await)?;
    let (install, number, envelope, taken_at) = last.unwrap_or((device.install, 0, EnvelopeId::NONE, None));
    let number = u64::try_from(number).unwrap_or_default();
    let (state, again) = (device.device.standing(), taken_at.map(|at| TakenBefore { number, at }));
    let signed = take::acknowledgement(app, (device.device.uid, install), (number, envelope), state, (now, again));
    let row = AcknowledgementRow { device_id: device.device.id, hash: Acknowledgement::hash(&signed), at: now };
    batch::execute(&mut tx, &[row], INSERT_ACKNOWLEDGEMENTS).await?;
    tx.commit().await?;
    Ok((signed, again.map(|again| (install, again))))
}

batch_row! {
    struct EntryKey { uid: EntryId => "uuid" }
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    uid: EntryId,
    bytes: Vec<u8>,
    digest: Option<Hash>,
    outcome: String,
    reason: Option<Reason>,
    flags: Option<String>,
}

const SELECT_ENVELOPE: &str = "select uid from envelope where install_id = $1 and number = $2";
const SELECT_KNOWN: &str =
    "select e.uid, e.bytes, e.digest, e.outcome, e.reason, e.flags from v join entry e on e.uid = v.uid";
const SELECT_QUARANTINED: &str = "select position, reason from quarantine where install_id = $1 and number = $2";

/// The answer to an envelope that was taken before, derived from the log; `reactor` if the number
/// was used for other content.
async fn answer_before(app: &App, install_id: i64, bytes: &[u8]) -> Result<Answer, Problem> {
    let Ok(envelope) = Envelope::decode(bytes) else { return Ok(Answer::Reactor) };
    let number = i64::try_from(envelope.header.number).unwrap_or(i64::MAX);
    let mut tx = app.db.read().await?;
    let taken: Option<EnvelopeId> = on_db!(&mut tx, conn => {
        sqlx::query_scalar(SELECT_ENVELOPE).bind(install_id).bind(number).fetch_optional(conn).await
    })?;
    if taken != Some(envelope.id) {
        tracing::error!(install = %envelope.header.install, number, "a number was used again with other content");
        return Ok(Answer::Reactor);
    }
    let outcomes = outcomes_before(&mut tx, &envelope).await?;
    let rows: Vec<(i64, String)> = on_db!(&mut tx, conn => {
        sqlx::query_as(SELECT_QUARANTINED).bind(install_id).bind(number).fetch_all(conn).await
    })?;
    let quarantined: std::collections::BTreeMap<i64, String> = rows.into_iter().collect();
    let board = (0..).zip(&envelope.body.board).map(|(position, _)| match quarantined.get(&position) {
        Some(reason) => BoardVerdict { state: BoardState::Quarantined, reason: Some(reason.clone()) },
        None => BoardVerdict { state: BoardState::Merged, reason: None },
    });
    Ok(Answer::Taken { outcomes, board: board.collect() })
}

async fn outcomes_before(tx: &mut Tx, envelope: &Envelope) -> sqlx::Result<Vec<Outcome>> {
    let entries: Vec<_> =
        envelope.body.entries.iter().map(|bytes| daybook_shared::entry::Entry::decode(bytes)).collect();
    let keys: Vec<_> = entries.iter().flatten().map(|entry| EntryKey { uid: entry.head.id }).collect();
    let rows: Vec<KnownRow> = batch::fetch(tx, &keys, SELECT_KNOWN).await?;
    let known: std::collections::BTreeMap<EntryId, KnownRow> = rows.into_iter().map(|row| (row.uid, row)).collect();
    let outcomes = entries.iter().zip(&envelope.body.entries).map(|(entry, bytes)| {
        let Ok(entry) = entry else { return Ok(Outcome::refused(Reason::Malformed)) };
        if entry.head.device != envelope.header.device {
            return Ok(Outcome::refused(Reason::Foreign));
        }
        match known.get(&entry.head.id) {
            None => Ok(Outcome::refused(Reason::Failed)),
            Some(row) if !is_same((&row.bytes, row.digest), bytes) => Ok(Outcome::refused(Reason::IdTaken)),
            Some(row) => outcome_of(&row.outcome, row.reason.clone(), row.flags.as_deref()),
        }
    });
    outcomes.collect()
}

#[derive(sqlx::FromRow)]
struct CaseloadRow {
    id: i64,
    uid: CaseloadId,
    name: String,
    audience: String,
    seq: i64,
    cursor_bytes: Option<Vec<u8>>,
}

const SELECT_CASELOADS: &str = "select c.id, c.uid, c.name, c.audience, c.seq, k.cursor_bytes
     from caseload_member m join caseload c on c.id = m.caseload_id
     left join device_cursor k on k.caseload_id = c.id and k.device_id = $2
     where m.user_id = $1 and m.member
       and m.at = (select max(n.at) from caseload_member n where n.user_id = m.user_id and n.caseload_id = m.caseload_id)
     order by c.id";

/// Reads the feed in one snapshot and packs the response.
async fn download(
    app: &App,
    device: &DeviceRequest,
    install_id: i64,
    request: &Request,
    head: Frame,
) -> Result<Vec<u8>, Problem> {
    let mut tx = app.db.read().await?;
    let rows: Vec<CaseloadRow> = on_db!(&mut tx, conn => {
        sqlx::query_as(SELECT_CASELOADS).bind(device.device.user_id).bind(device.device.id).fetch_all(conn).await
    })?;
    let list: Vec<CaseloadInfo> = rows.iter().map(caseload_info).collect();
    let changed = caseloads_hash(&list) != request.caseloads_hash;
    let news =
        rows.iter().any(|row| Cursor::decode(row.cursor_bytes.as_deref().unwrap_or_default(), row.seq).done < row.seq);
    let lacking = catalogue::lacking(&mut tx, app, request.catalogue).await?;
    if !changed && !news && lacking.is_none() {
        let mut frames = FrameWriter::new();
        frames.push(&Frame { end: Some(End::Complete), ..head });
        return Ok(frames.finish());
    }
    let rest = Frame { caseloads: changed.then_some(list), ..Frame::default() };
    let budget = request.budget_bytes.clamp(BUDGET_BYTES_MIN, BUDGET_BYTES_MAX) as usize;
    let mut frames = Frames::begin(&head, rest, budget);
    let asking = Asking { install_id };
    let mut end = End::Complete;
    for row in rows {
        let cursor = Cursor::decode(row.cursor_bytes.as_deref().unwrap_or_default(), row.seq);
        let reader = Reader { caseload_id: row.id, caseload: row.uid, seq: row.seq, cursor };
        end = read::news(&mut tx, &reader, asking, &mut frames).await?;
        if end == End::More {
            break;
        }
    }
    // Work comes first: offers follow once a phone has all of its cases.
    if let Some(lacking) = lacking.filter(|_| end == End::Complete) {
        end = frames.catalogue(lacking);
    }
    Ok(frames.finish(end))
}

fn caseload_info(row: &CaseloadRow) -> CaseloadInfo {
    let audience = match row.audience.as_str() {
        "call_officer" => Audience::CallOfficer,
        "supervisor" => Audience::Supervisor,
        _ => Audience::Officer,
    };
    CaseloadInfo { id: row.uid, name: row.name.clone(), audience }
}
