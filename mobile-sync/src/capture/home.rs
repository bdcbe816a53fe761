//! The dossier an entry belongs to, derived from what it is about.
//!
//! What nobody else who holds a case or an agent's file may read goes into the officer's own day: a
//! complaint about conduct or fraud, a report of an issue of that kind, and what happens to one.

use daybook_shared::entry::Entry;
use daybook_shared::ids::{AgentId, DossierId};
use daybook_shared::time::Date;

use super::{CaptureError, Circumstances, What};
use crate::store::{Db, StoreError};

impl Db<'_> {
    pub(super) fn dossier_for(self, what: &What, here: &Circumstances) -> Result<DossierId, CaptureError> {
        let own_day = DossierId::day(here.enrolment.user, here.today);
        Ok(match what {
            What::Visit { account, .. }
            | What::Promise { account, .. }
            | What::CallAttempt { account, .. }
            | What::ContactUpdate { account, .. }
            | What::CaseHandover { account, .. } => DossierId::case(*account),
            What::Repayment(draft) => DossierId::case(draft.account),
            What::Correction { dossier: Some(dossier), .. } => *dossier,
            What::Correction { dossier: None, correction } => {
                let target = self.entry(correction.target)?;
                target.ok_or(CaptureError::UnknownTarget(correction.target))?.dossier
            }
            What::Complaint(complaint) if complaint.is_confidential() => own_day,
            What::Complaint(complaint) => DossierId::case(complaint.account),
            What::IssueReport(report) if report.is_confidential() => own_day,
            What::IssueEvent(event) if self.is_confidential(event.issue)? => own_day,
            What::CashHandover(_) | What::StopEvent(_) | What::DeviceEvent(_) | What::AgentRegistration(_) => own_day,
            What::TransactionCheck(check) => agents_file(check.agent, here.today),
            What::WeeklyContact(contact) => agents_file(contact.agent, here.today),
            What::FloatCheck(check) => agents_file(check.agent, here.today),
            What::IssueReport(report) => agents_file(report.agent, here.today),
            What::IssueEvent(event) => agents_file(event.agent, here.today),
            What::Training(training) => agents_file(training.agent, here.today),
        })
    }

    fn is_confidential(self, entry: daybook_shared::ids::EntryId) -> Result<bool, StoreError> {
        let stored = self.entry(entry)?;
        Ok(stored.is_some_and(|stored| Entry::decode(&stored.bytes).is_ok_and(|entry| entry.is_confidential())))
    }

    /// Whether a dossier is the present file of an agent of whom this phone holds an earlier one: the
    /// office opens it with its first entry.
    pub(super) fn is_new_quarter(self, dossier: DossierId, today: Date) -> Result<bool, StoreError> {
        let agents = self.agent_profiles()?;
        Ok(agents.iter().any(|(_, profile)| agents_file(profile.agent, today) == dossier))
    }
}

/// An agent's file of the quarter a date is in.
pub(crate) fn agents_file(agent: AgentId, on: Date) -> DossierId {
    let (year, month, _) = on.ymd();
    let quarter = u8::try_from((month - 1) / 3 + 1).expect("a month is 1 to 12");
    DossierId::agent(agent, year, quarter)
}
