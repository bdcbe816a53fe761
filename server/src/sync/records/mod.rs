//! Verdicts on the records without money: call attempts, contact updates, complaints, case hand-overs,
//! events of stops and devices, and what is recorded of agents.
//!
//! Each belongs into one kind of dossier; elsewhere it is held, and a person may release it where the
//! record itself says what it is about. What may not be read by whoever else holds the dossier
//! ([`Entry::is_confidential`](daybook_shared::entry::Entry::is_confidential)) belongs into its author's
//! own day; wherever it is, the feed (`sync/read.rs`) gives it to its author only.
//!
//! Not here: what a record means for strategies, contacts, service levels, assignment or ratings. It is
//! noted, kept in its table, and told on the case's timeline.

pub mod agent;
pub mod field;
pub mod rows;

use daybook_shared::entry::{Body, Entry, IssueEvent};
use daybook_shared::ids::{AccountId, AgentId, DossierId};
use daybook_shared::wire::outcome::{Flag, Outcome, OutcomeState, Reason};

use self::rows::Source;
use super::effects::{Effects, NewTimelineEvent};
use super::judge::Capture;
use super::world::{About, World};
use crate::settings::Settings;

/// Where a record belongs.
enum Home {
    /// The case of the account it names; of any, where it names none.
    Case(Option<AccountId>),
    /// Its author's day.
    Day,
    /// The file of the agent it names.
    Agent(AgentId),
    /// The same, or its author's day, beside a confidential report.
    AgentOrDay(AgentId),
}

fn home(entry: &Entry) -> Home {
    let is_confidential = entry.is_confidential();
    match &entry.body {
        Body::CallAttempt(_) | Body::ContactUpdate(_) | Body::CaseHandover(_) => Home::Case(None),
        Body::Complaint(complaint) if !is_confidential => Home::Case(Some(complaint.account)),
        Body::WeeklyContact(contact) => Home::Agent(contact.agent),
        Body::FloatCheck(check) => Home::Agent(check.agent),
        Body::IssueReport(report) if !is_confidential => Home::Agent(report.agent),
        Body::IssueEvent(event) => Home::AgentOrDay(event.agent),
        Body::Training(training) => Home::Agent(training.agent),
        _ => Home::Day,
    }
}

/// The agent a record is about.
pub fn agent_of(body: &Body) -> Option<AgentId> {
    match body {
        Body::TransactionCheck(check) => Some(check.agent),
        Body::WeeklyContact(contact) => Some(contact.agent),
        Body::FloatCheck(check) => Some(check.agent),
        Body::IssueReport(report) => Some(report.agent),
        Body::IssueEvent(event) => Some(event.agent),
        Body::Training(training) => Some(training.agent),
        _ => None,
    }
}

/// The account a record names from outside of its case.
pub fn account_of(body: &Body) -> Option<AccountId> {
    if let Body::Complaint(complaint) = body { Some(complaint.account) } else { None }
}

/// Judges a record that nothing about its capture holds.
pub(super) fn judge(
    world: &mut World,
    effects: &mut Effects,
    settings: &Settings,
    capture: Capture<'_>,
    mut flags: Vec<Flag>,
) -> Outcome {
    let entry = capture.entry;
    if let Err(reason) = placed(world, capture) {
        return Outcome::held(reason);
    }
    if let Body::IssueEvent(event) = &entry.body
        && let Err(outcome) = acts_on(world, effects, capture, event)
    {
        return outcome;
    }
    let captured_on = settings.zone.date_of(capture.captured_at);
    let source = Source { entry, user_id: capture.user_id, captured_at: capture.captured_at, captured_on };
    effects.records.add(source);
    tell(world, effects, capture);
    if entry.head.attachments.as_ref().is_some_and(|files| !files.is_empty()) {
        flags.push(Flag::EvidencePending);
    }
    Outcome::accepted(OutcomeState::Noted, flags)
}

/// Whether a record is where it belongs, about something that is known. A person's leave passes the
/// dossier, not what the record is about.
fn placed(world: &World, capture: Capture<'_>) -> Result<(), Reason> {
    let about = world.dossiers[&capture.dossier].about;
    let known_account = account_of(&capture.entry.body).is_none_or(|account| is_known(world, account));
    let known_agent = agent_of(&capture.entry.body).is_none_or(|agent| world.agents.contains_key(&agent));
    if !known_account || !known_agent {
        return Err(Reason::UnknownAccount);
    }
    let is_agents =
        |agent| matches!(about, About::Agent(id) if world.agents.get(&agent).is_some_and(|known| known.0 == id));
    let own_day = about == About::Day(capture.user_id);
    let (at_home, says_what) = match home(capture.entry) {
        Home::Case(None) if about == About::Unknown => return Err(Reason::UnknownAccount),
        Home::Case(None) => (matches!(about, About::Case(_)), false),
        Home::Case(Some(account)) => (DossierId::case(account) == capture.dossier, true),
        Home::Day => (own_day, true),
        Home::Agent(agent) => (is_agents(agent), true),
        Home::AgentOrDay(agent) => (own_day || is_agents(agent), true),
    };
    let released = says_what && capture.release.is_some();
    if at_home || released { Ok(()) } else { Err(Reason::WrongDossier) }
}

fn is_known(world: &World, account: AccountId) -> bool {
    let case = world.dossiers.get(&DossierId::case(account));
    case.is_some_and(|dossier| matches!(dossier.about, About::Case(_)))
}

/// An event acts on its report: it waits until that is known (ruling S36), and it is about the same agent.
fn acts_on(world: &World, effects: &mut Effects, capture: Capture<'_>, event: &IssueEvent) -> Result<(), Outcome> {
    let Some(target) = world.entries.get(&event.issue) else {
        effects.waiting.push((event.issue, capture.entry.head.id));
        return Err(Outcome::held(Reason::MissingRef));
    };
    let report = Entry::decode(&target.bytes).ok().map(|entry| entry.body);
    match report {
        Some(Body::IssueReport(report)) if report.agent == event.agent => Ok(()),
        _ => Err(Outcome::refused(Reason::WrongRef)),
    }
}

/// The timeline of a case tells what was recorded of it. What is confidential is no case's.
fn tell(world: &mut World, effects: &mut Effects, capture: Capture<'_>) {
    let code = match &capture.entry.body {
        Body::CallAttempt(_) => "CALL_ATTEMPT",
        Body::ContactUpdate(_) => "CONTACT_UPDATE",
        Body::Complaint(_) if !capture.entry.is_confidential() => "COMPLAINT",
        Body::CaseHandover(_) => "CASE_HANDOVER",
        _ => return,
    };
    let dossier = world.dossiers.get_mut(&capture.dossier).expect("the dossier of a capture is loaded");
    if !matches!(dossier.about, About::Case(_)) {
        return;
    }
    dossier.timeline_changed = true;
    effects.timeline.push(NewTimelineEvent {
        dossier: capture.dossier,
        version: dossier.next_version(),
        at: capture.captured_at,
        code,
        amount_minor: None,
        user_id: capture.user_id,
    });
}
