//! Cases as people see them. Everything that changes with the date is computed here, with the rule
//! the server uses.

use daybook_shared::board::BoardView;
use daybook_shared::facts::{Profile, Promises, ScheduleFacts, SectionKind, State, Timeline};
use daybook_shared::ids::{AccountId, CustomerId, DossierId};
use daybook_shared::money::Money;
use daybook_shared::schedule::{DueLine, dpd};
use daybook_shared::time::{Date, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::entry::EntryView;
use super::near::Position;
use crate::store::{Db, StoreError};

/// One line of a caseload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseSummary {
    /// The dossier.
    pub dossier: DossierId,
    /// The account.
    pub account: AccountId,
    /// The number the customer knows it by.
    pub account_number: String,
    /// The customer, by whom several accounts are joined.
    pub customer: CustomerId,
    /// The customer's name.
    pub customer_name: String,
    /// The customer's phones, best first.
    pub phones: Vec<String>,
    /// Where the customer lives, in words.
    pub address: Option<String>,
    /// What was sold.
    pub product: String,
    /// The account's status, as the server says.
    pub status: String,
    /// CALL, FIELD, LEGAL or WRITE_OFF_REVIEW.
    pub stage: String,
    /// What is owed in all.
    pub outstanding: Money,
    /// What was due before today and is not paid.
    pub arrears: Money,
    /// Since when the account is overdue.
    pub overdue_since: Option<Date>,
    /// Days past due, today.
    pub dpd: u32,
    /// The next date, from today on, at which something unpaid falls due.
    pub next_due: Option<Due>,
    /// Own captures of this case without a verdict.
    pub unsent: usize,
    /// Metres from the position that was asked about.
    pub distance_m: Option<u64>,
    #[serde(skip)]
    pub(super) position: Option<Position>,
}

/// A date and what falls due on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Due {
    /// When.
    pub on: Date,
    /// How much of it is unpaid.
    pub amount: Money,
}

/// One case with all there is about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseView {
    /// The line of the caseload.
    pub summary: CaseSummary,
    /// What falls due when, oldest first.
    pub schedule: Vec<Due>,
    /// What was promised, newest first.
    pub promises: Vec<PromiseView>,
    /// What happened online, newest first.
    pub timeline: Vec<TimelineView>,
    /// What was captured, oldest first; own pending ones are marked by their state.
    pub entries: Vec<EntryView>,
    /// The board, own changes included.
    pub board: BoardShown,
}

/// A promise with the status the server gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromiseView {
    /// How much.
    pub amount: Money,
    /// For when.
    pub on: Date,
    /// ACTIVE or SUPERSEDED.
    pub status: String,
}

/// Something that was done online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineView {
    /// When.
    pub at: Timestamp,
    /// What, as a stable code.
    pub code: String,
    /// The amount, where there is one.
    pub amount: Option<Money>,
    /// By whom.
    pub by: Option<String>,
}

/// A board as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BoardShown {
    /// The shared note.
    pub note: String,
    /// The tags, sorted.
    pub tags: Vec<String>,
    /// The tasks, by id.
    pub tasks: Vec<TaskShown>,
    /// The supervisor's instruction.
    pub instruction: String,
    /// How many own changes the server has not merged yet.
    pub unsent: usize,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskShown {
    /// Its id.
    pub id: Uuid,
    /// What.
    pub text: String,
    /// Who is to do it.
    pub by: String,
    /// Whether it is done.
    pub done: bool,
}

impl BoardShown {
    fn of(view: BoardView, unsent: usize) -> Self {
        let BoardView { note, tags, tasks, instruction, .. } = view;
        let tasks =
            tasks.into_iter().map(|task| TaskShown { id: task.id, text: task.text, by: task.by, done: task.done });
        Self { note, tags, tasks: tasks.collect(), instruction, unsent }
    }
}

/// The lines of all cases here, in no particular order of use.
pub(super) fn summaries(db: Db<'_>, today: Date) -> Result<Vec<CaseSummary>, StoreError> {
    db.profiles()?.into_iter().map(|(dossier, profile)| summary(db, dossier, profile, today)).collect()
}

fn summary(db: Db<'_>, dossier: DossierId, profile: Profile, today: Date) -> Result<CaseSummary, StoreError> {
    let state: Option<State> = db.section(dossier, SectionKind::State)?;
    let schedule: Option<ScheduleFacts> = db.section(dossier, SectionKind::Schedule)?;
    let money = |minor| Money::new(minor, profile.currency);
    let outstanding = state.as_ref().map_or(Ok(0), |state| state.outstanding.total())?;
    let paid_minor = state.as_ref().map_or(0, |state| state.paid_minor);
    let unpaid = unpaid(schedule.as_ref().map_or(&[][..], |schedule| &schedule.lines), paid_minor)?;
    let arrears =
        unpaid.iter().filter(|(on, _)| *on < today).try_fold(0_i64, |sum, (_, minor)| sum.checked_add(*minor));
    let next = unpaid.iter().find(|(on, minor)| *on >= today && *minor > 0);
    let overdue_since = state.as_ref().and_then(|state| state.oldest_unmet_due).filter(|due| *due < today);
    let position = profile.lat_e6.zip(profile.lon_e6).map(|(lat_e6, lon_e6)| Position { lat_e6, lon_e6 });
    Ok(CaseSummary {
        dossier,
        account: profile.account,
        customer: profile.customer,
        outstanding: money(outstanding),
        arrears: money(arrears.ok_or(daybook_shared::money::MoneyError::Overflow)?),
        overdue_since,
        dpd: dpd(overdue_since, today),
        next_due: next.map(|(on, minor)| Due { on: *on, amount: money(*minor) }),
        unsent: db.count_open_entries_of(dossier)?,
        distance_m: None,
        position,
        account_number: profile.account_number,
        customer_name: profile.customer_name,
        phones: profile.phones,
        address: profile.address,
        product: profile.product,
        status: state.as_ref().map_or_else(String::new, |state| state.status.clone()),
        stage: state.map_or_else(String::new, |state| state.stage),
    })
}

/// What each line leaves unpaid when payments meet the oldest first, as the default waterfall does.
fn unpaid(lines: &[DueLine], paid_minor: i64) -> Result<Vec<(Date, i64)>, StoreError> {
    let mut left = paid_minor;
    let mut unpaid = Vec::with_capacity(lines.len());
    for line in lines {
        let due = line.with_paid(daybook_shared::schedule::Portions::ZERO).due.total()?;
        let met = due.min(left.max(0));
        left -= met;
        unpaid.push((line.due_date, due - met));
    }
    Ok(unpaid)
}

/// One case with all there is about it; `None` if it is not here.
pub(super) fn case(db: Db<'_>, dossier: DossierId, today: Date) -> Result<Option<CaseView>, StoreError> {
    let Some(profile) = db.section::<Profile>(dossier, SectionKind::Profile)? else { return Ok(None) };
    let money = |minor| Money::new(minor, profile.currency);
    let schedule: Option<ScheduleFacts> = db.section(dossier, SectionKind::Schedule)?;
    let mut lines = Vec::new();
    for line in schedule.map(|schedule| schedule.lines).unwrap_or_default() {
        let due = line.with_paid(daybook_shared::schedule::Portions::ZERO).due.total()?;
        lines.push(Due { on: line.due_date, amount: money(due) });
    }
    let promises: Promises = db.section(dossier, SectionKind::Promises)?.unwrap_or_default();
    let promises = promises.0.into_iter().map(|promise| PromiseView {
        amount: money(promise.amount_minor),
        on: promise.promised_date,
        status: promise.status,
    });
    let timeline: Timeline = db.section(dossier, SectionKind::Timeline)?.unwrap_or_default();
    let timeline = timeline.0.into_iter().map(|event| TimelineView {
        at: event.at,
        code: event.code,
        amount: event.amount_minor.map(money),
        by: event.by,
    });
    let working = db.working_board(dossier)?;
    let mut entries: Vec<_> = db.entries_of(dossier)?.iter().map(|entry| EntryView::of(entry, db.language)).collect();
    entries.sort_by_key(|entry| entry.captured_at);
    Ok(Some(CaseView {
        schedule: lines,
        promises: promises.collect(),
        timeline: timeline.collect(),
        entries,
        board: working
            .map_or_else(BoardShown::default, |working| BoardShown::of(working.board.view(), working.pending)),
        summary: summary(db, dossier, profile.clone(), today)?,
    }))
}
