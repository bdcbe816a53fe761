//! Commands that show something.

use anyhow::{Result, anyhow};
use daybook_shared::ids::DossierId;
use serde::Serialize;

use super::captures::{day, position};
use super::{Phone, say};
use crate::view::{CaseSummary, EntryView};

/// Adds a line to a text; writing to a text cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        $out.push_str(&format!($($arg)*));
        $out.push('\n');
    }};
}
pub(super) use line;

impl Phone<'_> {
    pub(super) fn list(&self, near: Option<&str>) -> Result<()> {
        let view = self.store.view(self.clock.now())?;
        let cases = match near {
            None => view.caseload()?,
            Some(here) => view.near(position(here)?)?,
        };
        self.show_cases(&cases)
    }

    pub(super) fn find(&self, text: &str) -> Result<()> {
        let cases = self.store.view(self.clock.now())?.find(text)?;
        self.show_cases(&cases)
    }

    fn show_cases(&self, cases: &[CaseSummary]) -> Result<()> {
        self.show(&cases, |out| {
            for case in cases {
                let distance = case.distance_m.map(|metres| format!("  {metres} m")).unwrap_or_default();
                let unsent = if case.unsent > 0 { format!("  {} unsent", case.unsent) } else { String::new() };
                line!(
                    out,
                    "{:<12} {:<28} {:>4} d  arrears {}  owed {}{distance}{unsent}",
                    case.account_number,
                    case.customer_name,
                    case.dpd,
                    case.arrears,
                    case.outstanding
                );
            }
            line!(out, "{} cases", cases.len());
        })
    }

    pub(super) fn case(&self, named: &str) -> Result<()> {
        let view = self.store.view(self.clock.now())?;
        let dossier = DossierId::case(self.account(named)?);
        let case = view.case(dossier)?.ok_or_else(|| anyhow!("this phone does not hold {named:?}"))?;
        self.show(&case, |out| {
            let summary = &case.summary;
            line!(out, "{}  {}  {} {}", summary.account_number, summary.customer_name, summary.product, summary.status);
            line!(out, "phones: {}", summary.phones.join(", "));
            if let Some(address) = &summary.address {
                line!(out, "address: {address}");
            }
            line!(out, "owed {}, arrears {}, {} days past due", summary.outstanding, summary.arrears, summary.dpd);
            if let Some(due) = &summary.next_due {
                line!(out, "next: {} on {}", due.amount, due.on);
            }
            for promise in &case.promises {
                line!(out, "promise: {} on {} ({})", promise.amount, promise.on, promise.status);
            }
            for entry in &case.entries {
                show_entry(out, entry);
            }
            let board = &case.board;
            if !board.instruction.is_empty() {
                line!(out, "instruction: {}", board.instruction);
            }
            if !board.note.is_empty() {
                line!(out, "note: {}", board.note);
            }
            if !board.tags.is_empty() {
                line!(out, "tags: {}", board.tags.join(", "));
            }
            for task in &board.tasks {
                line!(out, "task {} [{}] {} {}", task.id, if task.done { "x" } else { " " }, task.text, task.by);
            }
            if board.unsent > 0 {
                line!(out, "{} changes of the board unsent", board.unsent);
            }
        })
    }

    pub(super) fn agents(&self) -> Result<()> {
        let agents = self.store.view(self.clock.now())?.agents()?;
        self.show(&agents, |out| {
            for agent in &agents {
                let outlet = agent.outlet.as_deref().unwrap_or_default();
                let unsent = if agent.unsent > 0 { format!("  {} unsent", agent.unsent) } else { String::new() };
                line!(out, "{:<12} {:<28} {outlet}{unsent}", agent.code, agent.name);
            }
            line!(out, "{} agents", agents.len());
        })
    }

    pub(super) fn agent(&self, named: &str) -> Result<()> {
        let view = self.store.view(self.clock.now())?;
        let agent = view.agent(self.agent_named(named)?)?;
        let agent = agent.ok_or_else(|| anyhow!("this phone does not hold {named:?} (daybook-phone agents)"))?;
        self.show(&agent, |out| {
            let summary = &agent.summary;
            line!(out, "{}  {}  {}", summary.code, summary.name, summary.outlet.as_deref().unwrap_or_default());
            for entry in &agent.entries {
                show_entry(out, entry);
            }
        })
    }

    pub(super) fn day(&self, date: Option<&str>) -> Result<()> {
        let view = self.store.view(self.clock.now())?;
        let shown = view.day(date.map_or_else(|| Ok(view.today()), day)?)?;
        self.show(&shown, |out| {
            for entry in &shown.entries {
                show_entry(out, entry);
            }
            line!(out, "{} records on {}", shown.entries.len(), shown.date);
        })
    }

    pub(super) fn pending(&self) -> Result<()> {
        let entries = self.store.view(self.clock.now())?.unsent()?;
        self.show(&entries, |out| {
            for entry in &entries {
                show_entry(out, entry);
            }
            line!(out, "{} unsent", entries.len());
        })
    }

    pub(super) fn held(&self) -> Result<()> {
        let attention = self.store.view(self.clock.now())?.attention()?;
        self.show(&attention, |out| {
            for entry in &attention.entries {
                show_entry(out, entry);
            }
            for draft in &attention.drafts {
                line!(out, "draft {} of {}: {}\n{}", draft.number, draft.dossier, draft.reason_words, draft.words);
            }
            if attention.entries.is_empty() && attention.drafts.is_empty() {
                line!(out, "nothing is held");
            }
        })
    }

    pub(super) fn cash(&self) -> Result<()> {
        let cash = self.store.view(self.clock.now())?.cash()?;
        self.show(&cash, |out| {
            for amount in &cash.in_hand {
                line!(out, "in hand: {amount}");
            }
            for amount in &cash.uncounted {
                line!(out, "  of it not with the office yet: {amount}");
            }
            for amount in &cash.allowance_left {
                line!(out, "you may still take: {amount}");
            }
            line!(out, "{} repayments to hand over", cash.to_hand_over.len() + cash.left_to_hand_over);
        })
    }

    pub(super) fn status(&self) -> Result<()> {
        let status = self.store.status(self.clock.now())?;
        self.show(&status, |out| {
            line!(out, "user: {}", status.user.as_deref().unwrap_or("not enrolled"));
            line!(out, "unsent: {} captures, {} board changes", status.unsent, status.unsent_board_changes);
            if status.unsent_files > 0 {
                line!(out, "photos to send: {} ({} bytes)", status.unsent_files, status.unsent_file_bytes);
            }
            line!(out, "last sync: {}", status.last_sync.map_or_else(|| "never".to_owned(), |at| at.to_string()));
            let lapsed = if status.lease_lapsed { " (lapsed: log in)" } else { "" };
            line!(out, "lease: {}{lapsed}", status.lease_until.map_or_else(|| "none".to_owned(), |at| at.to_string()));
            line!(out, "state: {}, {} receipt numbers left", status.state, status.receipt_numbers_left);
        })
    }

    /// JSON for programs, else what the closure writes.
    pub(super) fn show(&self, value: &impl Serialize, write: impl FnOnce(&mut String)) -> Result<()> {
        if self.args.json {
            return say(&serde_json::to_string_pretty(value)?);
        }
        let mut text = String::new();
        write(&mut text);
        say(text.trim_end())
    }
}

fn show_entry(out: &mut String, entry: &EntryView) {
    let amount = entry.amount.map(|amount| format!(" {amount}")).unwrap_or_default();
    let receipt = entry.receipt.as_deref().map(|receipt| format!(" receipt {receipt}")).unwrap_or_default();
    let by = entry.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    line!(
        out,
        "{} {} {}{amount}{receipt}{by}: {} [{}]",
        entry.captured_at,
        entry.id,
        entry.kind,
        entry.text,
        entry.state
    );
    if let (Some(reason), Some(words)) = (&entry.reason, &entry.reason_words) {
        line!(out, "    {reason}: {words}");
    }
    for flag in &entry.flags {
        line!(out, "    note: {flag}");
    }
}
