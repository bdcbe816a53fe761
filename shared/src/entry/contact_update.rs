//! A contact update: where a customer can be reached, as somebody heard it. A proposal; numbers are
//! added and marked invalid, and never deleted.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::personal::{check_optional, check_phone, check_said};
use super::{EntryError, Gps, Personal, field};

crate::codes! {
    /// Which of the customer's contacts.
    ContactField {
        /// The first phone number.
        Phone = "PHONE",
        /// The other phone number.
        AltPhone = "ALT_PHONE",
        /// Where the customer lives, in words.
        Address = "ADDRESS",
        /// Where the customer lives, as a position: the entry's own.
        Gps = "GPS",
        /// The employer.
        Employer = "EMPLOYER",
        /// The next of kin.
        NextOfKin = "NEXT_OF_KIN",
        /// The language (ISO 639-1).
        Language = "LANGUAGE",
    }

    /// What is to become of it.
    ContactChange {
        /// A new value, beside the old one.
        New = "NEW",
        /// The old value does not lead to the customer any more.
        Invalid = "INVALID",
    }

    /// Who said so.
    ContactSource {
        /// The customer.
        Customer = "CUSTOMER",
        /// A member of the family.
        Family = "FAMILY",
        /// A guarantor.
        Guarantor = "GUARANTOR",
        /// A neighbour.
        Neighbour = "NEIGHBOUR",
        /// The employer.
        Employer = "EMPLOYER",
        /// A document.
        Document = "DOCUMENT",
        /// Seen by the officer himself.
        Officer = "OFFICER",
    }
}

/// A proposal about a customer's contacts. The case names the account, and the account its customer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ContactUpdate {
    /// Which contact.
    #[n(0)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub field: ContactField,
    /// What is to become of it.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub change: ContactChange,
    /// What the officer saw in its place, at most 200 characters. What is marked invalid is this.
    #[n(2)]
    pub old_seen: Option<Personal>,
    /// The new value, at most 200 characters: a phone number in E.164, a language as two letters. A
    /// position has none: it is where the entry was captured.
    #[n(3)]
    pub new_value: Option<Personal>,
    /// Who said so.
    #[n(4)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub source: ContactSource,
    /// The customer agreed to be reached there.
    #[n(5)]
    pub consent: bool,
    /// The new number answered with a one-time code.
    #[n(6)]
    pub confirmed_by_otp: bool,
}

impl ContactUpdate {
    pub(super) fn check(&self, gps: Option<&Gps>) -> Result<(), EntryError> {
        check_optional("old_seen", self.old_seen.as_ref(), 200)?;
        check_optional("new_value", self.new_value.as_ref(), 200)?;
        match self.change {
            ContactChange::New => self.check_new(gps),
            ContactChange::Invalid if self.new_value.is_some() => {
                Err(field("new_value", "what is marked invalid has none"))
            }
            ContactChange::Invalid if self.old_seen.is_none() && self.field != ContactField::Gps => {
                Err(field("old_seen", "what is marked invalid is named"))
            }
            ContactChange::Invalid | ContactChange::Other(_) => Ok(()),
        }
    }

    fn check_new(&self, gps: Option<&Gps>) -> Result<(), EntryError> {
        match (&self.field, &self.new_value) {
            (ContactField::Gps, Some(_)) => Err(field("new_value", "a position is the entry's own")),
            (ContactField::Gps, None) if gps.is_none() => Err(field("gps", "a new position is where you stand")),
            (ContactField::Gps, None) => Ok(()),
            (_, None) => Err(field("new_value", "a new value is given")),
            (ContactField::Phone | ContactField::AltPhone, Some(number)) => check_phone("new_value", number),
            (ContactField::Language, Some(language)) => {
                let two_letters = language.0.len() == 2 && language.0.bytes().all(|byte| byte.is_ascii_lowercase());
                if two_letters { Ok(()) } else { Err(field("new_value", "a language is two small letters")) }
            }
            (_, Some(said)) => check_said("new_value", said, 200),
        }
    }
}
