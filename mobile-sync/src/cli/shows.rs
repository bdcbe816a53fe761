//! Commands that show something.

use anyhow::{Result, anyhow};
use daybook_shared::ids::DossierId;
use serde::Serialize;

use super::Phone;
use super::captures::position;
use crate::view::{CaseSummary, EntryView};

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
        self.show(&cases, || {
            for case in cases {
                let distance = case.distance_m.map(|metres| format!("  {metres} m")).unwrap_or_default();
                let unsent = if case.unsent > 0 { format!("  {} unsent", case.unsent) } else { String::new() };
                println!(
                    "{:<12} {:<28} {:>4} d  arrears {}  owed {}{distance}{unsent}",
                    case.account_number, case.customer_name, case.dpd, case.arrears, case.outstanding
                );
            }
            println!("{} cases", cases.len());
        })
    }

    pub(super) fn case(&self, named: &str) -> Result<()> {
        let view = self.store.view(self.clock.now())?;
        let dossier = DossierId::case(self.account(named)?);
        let case = view.case(dossier)?.ok_or_else(|| anyhow!("this phone does not hold {named:?}"))?;
        self.show(&case, || {
            let summary = &case.summary;
            println!("{}  {}  {} {}", summary.account_number, summary.customer_name, summary.product, summary.status);
            println!("phones: {}", summary.phones.join(", "));
            if let Some(address) = &summary.address {
                println!("address: {address}");
            }
            println!("owed {}, arrears {}, {} days past due", summary.outstanding, summary.arrears, summary.dpd);
            if let Some(due) = &summary.next_due {
                println!("next: {} on {}", due.amount, due.on);
            }
            for promise in &case.promises {
                println!("promise: {} on {} ({})", promise.amount, promise.on, promise.status);
            }
            for entry in &case.entries {
                show_entry(entry);
            }
            let board = &case.board;
            if !board.instruction.is_empty() {
                println!("instruction: {}", board.instruction);
            }
            if !board.note.is_empty() {
                println!("note: {}", board.note);
            }
            if !board.tags.is_empty() {
                println!("tags: {}", board.tags.join(", "));
            }
            for task in &board.tasks {
                println!("task {} [{}] {} {}", task.id, if task.done { "x" } else { " " }, task.text, task.by);
            }
            if board.unsent > 0 {
                println!("{} changes of the board unsent", board.unsent);
            }
        })
    }

    pub(super) fn pending(&self) -> Result<()> {
        let entries = self.store.view(self.clock.now())?.unsent()?;
        self.show(&entries, || {
            entries.iter().for_each(show_entry);
            println!("{} unsent", entries.len());
        })
    }

    pub(super) fn held(&self) -> Result<()> {
        let attention = self.store.view(self.clock.now())?.attention()?;
        self.show(&attention, || {
            attention.entries.iter().for_each(show_entry);
            for draft in &attention.drafts {
                println!("draft {} of {}: {}\n{}", draft.number, draft.dossier, draft.reason_words, draft.words);
            }
            if attention.entries.is_empty() && attention.drafts.is_empty() {
                println!("nothing is held");
            }
        })
    }

    pub(super) fn cash(&self) -> Result<()> {
        let cash = self.store.view(self.clock.now())?.cash()?;
        self.show(&cash, || {
            for amount in &cash.in_hand {
                println!("in hand: {amount}");
            }
            for amount in &cash.uncounted {
                println!("  of it not with the office yet: {amount}");
            }
            for amount in &cash.allowance_left {
                println!("you may still take: {amount}");
            }
            println!("{} repayments to hand over", cash.to_hand_over.len());
        })
    }

    pub(super) fn status(&self) -> Result<()> {
        let status = self.store.status(self.clock.now())?;
        self.show(&status, || {
            println!("user: {}", status.user.as_deref().unwrap_or("not enrolled"));
            println!("unsent: {} captures, {} board changes", status.unsent, status.unsent_board_changes);
            println!("last sync: {}", status.last_sync.map_or_else(|| "never".to_owned(), |at| at.to_string()));
            let lapsed = if status.lease_lapsed { " (lapsed: log in)" } else { "" };
            println!("lease: {}{lapsed}", status.lease_until.map_or_else(|| "none".to_owned(), |at| at.to_string()));
            println!("state: {}, {} receipt numbers left", status.state, status.receipt_numbers_left);
        })
    }

    /// JSON for programs, else what the closure prints.
    fn show(&self, value: &impl Serialize, print: impl FnOnce()) -> Result<()> {
        if self.args.json {
            println!("{}", serde_json::to_string_pretty(value)?);
        } else {
            print();
        }
        Ok(())
    }
}

fn show_entry(entry: &EntryView) {
    let amount = entry.amount.map(|amount| format!(" {amount}")).unwrap_or_default();
    let receipt = entry.receipt.as_deref().map(|receipt| format!(" receipt {receipt}")).unwrap_or_default();
    let by = entry.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    println!(
        "{} {} {}{amount}{receipt}{by}: {} [{}]",
        entry.captured_at, entry.id, entry.kind, entry.text, entry.state
    );
    if let (Some(reason), Some(words)) = (&entry.reason, entry.reason_words) {
        println!("    {reason}: {words}");
    }
    for flag in &entry.flags {
        println!("    note: {flag}");
    }
}
