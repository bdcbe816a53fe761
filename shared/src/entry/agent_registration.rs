//! An agent registration: somebody at an outlet wants to become an agent. The agent does not exist before
//! the office has decided, so the entry belongs to its author's own day.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::personal::{check_masked, check_phone, check_said};
use super::{EntryError, Gps, Personal, field, optional_text};

crate::codes! {
    /// The document that was shown.
    IdKind {
        /// The national identity card.
        NationalId = "NATIONAL_ID",
        /// A passport.
        Passport = "PASSPORT",
        /// A driving licence.
        DrivingLicence = "DRIVING_LICENCE",
        /// A voter's card.
        VoterCard = "VOTER_CARD",
        /// A residence permit.
        ResidencePermit = "RESIDENCE_PERMIT",
    }
}

/// A registration. Photos are attachments, the place is the entry's own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct AgentRegistration {
    /// The phone number, in E.164.
    #[n(0)]
    pub phone: Personal,
    /// The person's name, at most 100 characters.
    #[n(1)]
    pub name: Personal,
    /// The document that was shown.
    #[n(2)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub id_kind: IdKind,
    /// Its number, masked (see [`masked`](super::masked)): the whole number never is in an entry.
    #[n(3)]
    pub id_number_masked: Personal,
    /// The outlet's name, at most 100 characters.
    #[n(4)]
    pub outlet: Personal,
    /// The person agreed to the registration and to what is kept of it. Without that there is none.
    #[n(5)]
    pub consent: bool,
    /// Why there is no position, at most 100 characters.
    #[n(6)]
    pub no_fix_reason: Option<String>,
}

impl AgentRegistration {
    pub(super) fn check(&self, gps: Option<&Gps>) -> Result<(), EntryError> {
        if !self.consent {
            return Err(field("consent", "without it nobody is registered"));
        }
        if gps.is_none() && self.no_fix_reason.is_none() {
            return Err(field("gps", "an outlet has a position, or a reason why not"));
        }
        check_phone("phone", &self.phone)?;
        check_said("name", &self.name, 100)?;
        check_masked("id_number_masked", &self.id_number_masked)?;
        check_said("outlet", &self.outlet, 100)?;
        optional_text("no_fix_reason", self.no_fix_reason.as_ref(), 100)
    }
}
