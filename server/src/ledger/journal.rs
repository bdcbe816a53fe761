//! The journal's rows: what was booked, insert-only.
//!
//! (event, kind) is unique, so booking an event twice is an error of the database that leaves nothing
//! behind; whoever books has decided before that the event is new. Every journal balances before it is
//! written and again when it is read.

use std::collections::BTreeMap;

use daybook_shared::money::Currency;
use daybook_shared::time::{Date, Timestamp};
use uuid::Uuid;

use super::posting::{Event, GlAccount, GlCode, Journal, JournalKind, Line};
use crate::batch_row;
use crate::db::{Tx, batch};

batch_row! {
    struct JournalRow {
        kind: JournalKind => "text",
        event: Uuid => "uuid",
        booked_on: Date => "date",
        currency: Currency => "text",
        correlation: Uuid => "uuid",
        recorded_at: Timestamp => "timestamptz",
    }
}

batch_row! {
    struct LineRow {
        event: Uuid => "uuid",
        kind: JournalKind => "text",
        n: i64 => "int8",
        gl: GlCode => "text",
        subject: Option<i64> => "int8",
        minor: i64 => "int8",
    }
}

batch_row! {
    struct EventKey {
        event: Uuid => "uuid",
    }
}

/// One row a journal.
const INSERT_JOURNALS: &str = "insert into journal (kind, event, booked_on, currency, correlation, recorded_at)
     select kind, event, booked_on, currency, correlation, recorded_at from v where true";

/// All lines of all journals of a batch; each finds its journal by (event, kind).
const INSERT_LINES: &str = "insert into line (journal_id, n, gl, subject, minor)
     select j.id, v.n, v.gl, v.subject, v.minor from v join journal j on j.event = v.event and j.kind = v.kind
     where true";

/// The journals of events with their lines, a row a line.
const SELECT_JOURNALS: &str =
    "select j.id, j.kind, j.event, j.booked_on, j.currency, j.correlation, l.n, l.gl, l.subject, l.minor
     from v join journal j on j.event = v.event join line l on l.journal_id = j.id";

/// Books journals: two statements, however many there are.
///
/// # Panics
/// When a journal does not balance, which no [`Journal`] can.
pub async fn insert(tx: &mut Tx, journals: &[Journal], recorded_at: Timestamp) -> sqlx::Result<()> {
    let rows: Vec<_> = journals.iter().map(|journal| journal_row(journal, recorded_at)).collect();
    batch::execute(tx, &rows, INSERT_JOURNALS).await?;
    let mut lines = Vec::with_capacity(journals.len() * 3);
    for journal in journals {
        let sum: i128 = journal.lines().iter().map(|line| i128::from(line.minor)).sum();
        assert_eq!(sum, 0, "journal {:?} of {} does not balance", journal.kind(), journal.event().id);
        let (event, kind) = (journal.event().id, journal.kind());
        lines.extend((1..).zip(journal.lines()).map(|(n, line)| {
            let GlAccount { code, subject } = line.account;
            LineRow { event, kind, n, gl: code, subject, minor: line.minor }
        }));
    }
    let booked = batch::execute(tx, &lines, INSERT_LINES).await?;
    if usize::try_from(booked) == Ok(lines.len()) { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

fn journal_row(journal: &Journal, recorded_at: Timestamp) -> JournalRow {
    let Event { id, correlation, booked_on, currency } = journal.event();
    JournalRow { kind: journal.kind(), event: id, booked_on, currency, correlation, recorded_at }
}

#[derive(Clone, sqlx::FromRow)]
struct BookedLine {
    id: i64,
    kind: JournalKind,
    event: Uuid,
    booked_on: Date,
    currency: Currency,
    correlation: Uuid,
    n: i64,
    gl: GlCode,
    subject: Option<i64>,
    minor: i64,
}

/// What was booked for an event, in the order it was booked.
pub async fn read(tx: &mut Tx, event: Uuid) -> sqlx::Result<Vec<Journal>> {
    let mut journals = read_many(tx, &[event]).await?;
    Ok(journals.remove(&event).unwrap_or_default())
}

/// What was booked for each of many events, in one statement. An event without journals is missing.
pub async fn read_many(tx: &mut Tx, events: &[Uuid]) -> sqlx::Result<BTreeMap<Uuid, Vec<Journal>>> {
    let keys: Vec<_> = events.iter().map(|event| EventKey { event: *event }).collect();
    let mut lines: Vec<BookedLine> = batch::fetch(tx, &keys, SELECT_JOURNALS).await?;
    lines.sort_unstable_by_key(|line| (line.id, line.n));
    lines.dedup_by_key(|line| (line.id, line.n));
    let mut journals: BTreeMap<Uuid, Vec<Journal>> = BTreeMap::new();
    for of_journal in lines.chunk_by(|a, b| a.id == b.id) {
        journals.entry(of_journal[0].event).or_default().push(journal_of(of_journal)?);
    }
    Ok(journals)
}

/// The lines of one journal, at least one, as a journal; an error names its row.
fn journal_of(lines: &[BookedLine]) -> sqlx::Result<Journal> {
    let BookedLine { id, kind, event, booked_on, currency, correlation, .. } = lines[0].clone();
    let booked = lines.iter().map(|line| {
        let account = GlAccount { code: line.gl, subject: line.subject };
        Line { account, minor: line.minor }
    });
    let event = Event { id: event, correlation, booked_on, currency };
    Journal::new(kind, event, booked.collect())
        .map_err(|error| sqlx::Error::Decode(format!("table journal, id {id}: {error}").into()))
}
