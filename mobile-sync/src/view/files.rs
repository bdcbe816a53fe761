//! Agents' files and the officer's days as people see them.

use std::collections::BTreeMap;

use daybook_shared::facts::AgentProfile;
use daybook_shared::ids::{AgentId, DossierId, UserId};
use daybook_shared::time::Date;
use serde::Serialize;

use super::entry::EntryView;
use crate::capture::home::agents_file;
use crate::store::{Db, StoreError};

/// One line of the agents here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentSummary {
    /// The agent.
    pub agent: AgentId,
    /// The agent's code.
    pub code: String,
    /// The agent's name.
    pub name: String,
    /// The outlet.
    pub outlet: Option<String>,
    /// Own captures in the agent's files without a verdict.
    pub unsent: usize,
}

/// One agent with what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentView {
    /// The line of the agents.
    pub summary: AgentSummary,
    /// What was captured in all of the agent's files here, oldest first; own pending ones are marked by
    /// their state.
    pub entries: Vec<EntryView>,
}

/// A day of the officer's with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayView {
    /// The business date.
    pub date: Date,
    /// Its dossier.
    pub dossier: DossierId,
    /// What was captured, oldest first.
    pub entries: Vec<EntryView>,
}

/// All agents with a file here, by code.
pub(super) fn agents(db: Db<'_>, today: Date) -> Result<Vec<AgentSummary>, StoreError> {
    let mut agents = Vec::new();
    for profile in profiles(db)?.into_values() {
        let mut unsent = 0;
        for file in files(db, profile.agent, today)? {
            unsent += db.count_open_entries_of(file)?;
        }
        let AgentProfile { agent, code, name, outlet } = profile;
        agents.push(AgentSummary { agent, code, name, outlet, unsent });
    }
    agents.sort_by(|a, b| a.code.cmp(&b.code).then(a.agent.cmp(&b.agent)));
    Ok(agents)
}

/// One agent; `None` if no file is here.
pub(super) fn agent(db: Db<'_>, agent: AgentId, today: Date) -> Result<Option<AgentView>, StoreError> {
    let Some(summary) = agents(db, today)?.into_iter().find(|summary| summary.agent == agent) else { return Ok(None) };
    let mut all = Vec::new();
    for file in files(db, agent, today)? {
        all.extend(entries(db, file)?);
    }
    all.sort_by_key(|entry| entry.captured_at);
    Ok(Some(AgentView { summary, entries: all }))
}

/// A day of the officer's.
pub(super) fn day(db: Db<'_>, user: UserId, date: Date) -> Result<DayView, StoreError> {
    let dossier = DossierId::day(user, date);
    Ok(DayView { date, dossier, entries: entries(db, dossier)? })
}

fn profiles(db: Db<'_>) -> Result<BTreeMap<AgentId, AgentProfile>, StoreError> {
    Ok(db.agent_profiles()?.into_iter().map(|(_, profile)| (profile.agent, profile)).collect())
}

/// The agent's files here, and the one of the present quarter, in which something may be captured already.
fn files(db: Db<'_>, agent: AgentId, today: Date) -> Result<Vec<DossierId>, StoreError> {
    let held = db.agent_profiles()?.into_iter().filter(|(_, profile)| profile.agent == agent);
    let mut files: Vec<_> = held.map(|(dossier, _)| dossier).chain([agents_file(agent, today)]).collect();
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

fn entries(db: Db<'_>, dossier: DossierId) -> Result<Vec<EntryView>, StoreError> {
    let mut entries: Vec<_> = db.entries_of(dossier)?.iter().map(|entry| EntryView::of(entry, db.language)).collect();
    entries.sort_by_key(|entry| entry.captured_at);
    Ok(entries)
}
