//! Issues of agents: a report, and what happened to it since. An issue's state is a fold of its events,
//! and the server's to say.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::personal::{check_optional, check_said};
use super::{EntryError, Personal, field, text};
use crate::ids::{AgentId, EntryId};
use crate::time::Timestamp;

crate::codes! {
    /// What an issue is about.
    IssueCategory {
        /// The network.
        Network = "NETWORK",
        /// The terminal.
        Terminal = "TERMINAL",
        /// A transaction that failed.
        FailedTxn = "FAILED_TXN",
        /// Settlement.
        Settlement = "SETTLEMENT",
        /// Commission.
        Commission = "COMMISSION",
        /// Float.
        Float = "FLOAT",
        /// Fraud: confidential.
        Fraud = "FRAUD",
        /// A customer's complaint.
        CustomerComplaint = "CUSTOMER_COMPLAINT",
        /// Know your customer.
        Kyc = "KYC",
        /// A limit.
        Limit = "LIMIT",
        /// The app.
        App = "APP",
        /// Prices.
        Pricing = "PRICING",
        /// How somebody behaved: confidential.
        Conduct = "CONDUCT",
        /// Another one, said in the text.
        OtherCategory = "OTHER",
    }

    /// What happened to an issue.
    IssueEventKind {
        /// Somebody has seen it.
        Ack = "ACK",
        /// It is somebody's now.
        Assign = "ASSIGN",
        /// More is known.
        Comment = "COMMENT",
        /// It goes on failing.
        StillFailing = "STILL_FAILING",
        /// It was mended.
        Fix = "FIX",
        /// The agent says that it is mended.
        Verify = "VERIFY",
        /// It is open again.
        Reopen = "REOPEN",
        /// It is closed.
        Close = "CLOSE",
    }
}

/// The most references to transactions that a report names.
pub const ISSUE_TXN_REFS_MAX: usize = 10;

/// An issue. One that is confidential belongs to its author's own day; any other to the agent's file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct IssueReport {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// What it is about.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub category: IssueCategory,
    /// 1 (all stands still) to 4 (a wish).
    #[n(2)]
    pub severity: u8,
    /// What is wrong, at most 1,000 characters.
    #[n(3)]
    pub text: Personal,
    /// The operator's references of transactions, at most ten of at most 60 characters.
    #[n(4)]
    pub txn_refs: Option<Vec<String>>,
    /// Since when, by the phone's clock.
    #[n(5)]
    pub first_seen: Timestamp,
}

impl IssueReport {
    /// Whether whoever else holds the agent's file may not read it.
    pub fn is_confidential(&self) -> bool {
        matches!(self.category, IssueCategory::Conduct | IssueCategory::Fraud)
    }

    pub(super) fn check(&self) -> Result<(), EntryError> {
        if !(1..=4).contains(&self.severity) {
            return Err(field("severity", "1 to 4"));
        }
        let refs = self.txn_refs.as_deref().unwrap_or_default();
        if refs.len() > ISSUE_TXN_REFS_MAX {
            return Err(field("txn_refs", "at most ten"));
        }
        refs.iter().try_for_each(|txn_ref| text("txn_refs", txn_ref, 60))?;
        check_said("text", &self.text, 1000)
    }
}

/// Something that happened to an issue. It acts on the report: unknown to the server, the report holds it
/// with MISSING_REF.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct IssueEvent {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// The report.
    #[n(1)]
    pub issue: EntryId,
    /// What happened.
    #[n(2)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub kind: IssueEventKind,
    /// More, at most 1,000 characters. A comment is one.
    #[n(3)]
    pub text: Option<Personal>,
    /// Whose it is, of an assignment, and only of one; at most 100 characters.
    #[n(4)]
    pub assignee: Option<Personal>,
}

impl IssueEvent {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        if matches!(self.kind, IssueEventKind::Comment | IssueEventKind::StillFailing) && self.text.is_none() {
            return Err(field("text", "a comment says something"));
        }
        if (self.kind == IssueEventKind::Assign) != self.assignee.is_some() {
            return Err(field("assignee", "of an assignment, and only of one"));
        }
        self.text.as_ref().map_or(Ok(()), |text| check_said("text", text, 1000))?;
        check_optional("assignee", self.assignee.as_ref(), 100)
    }
}
