//! A weekly contact: somebody saw or called an agent and went through the list. Which week it counts
//! for is the server's to say, from the corrected capture time.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::personal::check_optional;
use super::{EntryError, Gps, NextAction, Personal, field, optional_text};
use crate::ids::AgentId;

crate::codes! {
    /// How the agent was reached.
    WeeklyMode {
        /// At the outlet.
        Visit = "VISIT",
        /// By telephone.
        Call = "CALL",
        /// By a call with a picture.
        Video = "VIDEO",
    }

    /// Who was met.
    AgentMet {
        /// The agent.
        Agent = "AGENT",
        /// Somebody who works there.
        Attendant = "ATTENDANT",
        /// Nobody.
        Nobody = "NOBODY",
    }

    /// The answer to a question of the list.
    CheckAnswer {
        /// Yes.
        Yes = "Y",
        /// No.
        No = "N",
        /// Does not apply.
        NotApplicable = "NA",
    }
}

/// The list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct Checklist {
    /// The outlet shows whose agent it is.
    #[n(0)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub branding: CheckAnswer,
    /// The tariff is displayed.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub tariff_displayed: CheckAnswer,
    /// There is a printer for receipts.
    #[n(2)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub receipt_printer: CheckAnswer,
    /// The device works.
    #[n(3)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub device_ok: CheckAnswer,
    /// There is enough cash and e-money.
    #[n(4)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub float_ok: CheckAnswer,
    /// Whoever serves was trained.
    #[n(5)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub trained_attendant: CheckAnswer,
    /// The poster against money laundering is displayed.
    #[n(6)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub aml_poster: CheckAnswer,
}

impl Checklist {
    /// The questions and their answers, in order.
    pub fn answers(&self) -> [(&'static str, &CheckAnswer); 7] {
        [
            ("branding", &self.branding),
            ("tariff_displayed", &self.tariff_displayed),
            ("receipt_printer", &self.receipt_printer),
            ("device_ok", &self.device_ok),
            ("float_ok", &self.float_ok),
            ("trained_attendant", &self.trained_attendant),
            ("aml_poster", &self.aml_poster),
        ]
    }
}

/// A contact with an agent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct WeeklyContact {
    /// The agent.
    #[n(0)]
    pub agent: AgentId,
    /// How.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub mode: WeeklyMode,
    /// Who was met.
    #[n(2)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub met: AgentMet,
    /// The list; none when nobody was met.
    #[n(3)]
    pub checklist: Option<Checklist>,
    /// What the agent complains about, at most 500 characters.
    #[n(4)]
    pub complaints: Option<Personal>,
    /// What competitors do, at most 500 characters.
    #[n(5)]
    pub competitor_notes: Option<Personal>,
    /// What is to happen next.
    #[n(6)]
    pub next_action: Option<NextAction>,
    /// Why a visit has no position, at most 100 characters.
    #[n(7)]
    pub no_fix_reason: Option<String>,
}

impl WeeklyContact {
    pub(super) fn check(&self, gps: Option<&Gps>) -> Result<(), EntryError> {
        if self.mode == WeeklyMode::Visit && gps.is_none() && self.no_fix_reason.is_none() {
            return Err(field("gps", "a visit has a position, or a reason why not"));
        }
        if self.met == AgentMet::Nobody && self.checklist.is_some() {
            return Err(field("checklist", "none where nobody was met"));
        }
        check_optional("complaints", self.complaints.as_ref(), 500)?;
        check_optional("competitor_notes", self.competitor_notes.as_ref(), 500)?;
        optional_text("next_action", self.next_action.as_ref().map(|next| &next.action), 40)?;
        optional_text("no_fix_reason", self.no_fix_reason.as_ref(), 100)
    }
}
