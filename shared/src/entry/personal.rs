//! Texts about a person: kept, sent and stored like any other, and never shown by a log or a report of
//! differences.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, field, text};

/// A text about a person. Its debug form says only how long it is; serialized it is the text, for who may
/// read the entry.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct Personal(#[n(0)] pub String);

impl Personal {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Personal({} characters)", self.0.chars().count())
    }
}

impl From<&str> for Personal {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Personal {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(feature = "sql")]
crate::ids::sql_as!(Personal, String, |text| text.0.clone(), |raw| Ok(Self(raw)));

/// Characters of an identity number that a mask leaves.
const SHOWN: usize = 4;

/// An identity number as it may be kept: its last four characters, at most half of them, stars before.
pub fn masked(number: &str) -> Personal {
    let plain: Vec<char> = number.chars().filter(|char| char.is_alphanumeric()).collect();
    let shown = SHOWN.min(plain.len() / 2);
    let hidden = plain.len() - shown;
    Personal(std::iter::repeat_n('*', hidden).chain(plain.into_iter().skip(hidden)).collect())
}

/// A number as a mask leaves it: stars, then at most four characters.
pub(super) fn check_masked(name: &'static str, number: &Personal) -> Result<(), EntryError> {
    text(name, &number.0, 40)?;
    let shown = number.0.trim_start_matches('*');
    let stars = number.0.len() - shown.len();
    let is_masked = stars > 0 && shown.chars().count() <= SHOWN && shown.chars().all(char::is_alphanumeric);
    if is_masked { Ok(()) } else { Err(field(name, "stars, and at most the last four characters")) }
}

/// A phone number as the world writes it (E.164): a plus, a country, 7 to 15 digits in all.
pub(super) fn check_phone(name: &'static str, number: &Personal) -> Result<(), EntryError> {
    let digits = number.0.strip_prefix('+').filter(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if digits.is_some() { Ok(()) } else { Err(field(name, "a number as +254700000001 is written")) }
}

/// A text that says something, of at most so many characters.
pub(super) fn check_said(name: &'static str, said: &Personal, chars_max: usize) -> Result<(), EntryError> {
    if said.0.trim().is_empty() {
        return Err(field(name, "it has to say something"));
    }
    text(name, &said.0, chars_max)
}

/// The same for a text that may be absent.
pub(super) fn check_optional(name: &'static str, said: Option<&Personal>, chars_max: usize) -> Result<(), EntryError> {
    said.map_or(Ok(()), |said| text(name, &said.0, chars_max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn phone_numbers() {
        for good in ["+254700000001", "+9665012345678", "+1234567", "+123456789012345"] {
            assert_eq!(check_phone("phone", &good.into()), Ok(()), "{good}");
        }
        for bad in [
            "",
            "+",
            "0700000001",
            "254700000001",
            "+0254700000",
            "+123456",
            "+1234567890123456",
            "+2547 00000",
            "+٢٥٤٧٠٠٠٠٠",
        ] {
            assert!(check_phone("phone", &bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_masked_and_a_number_that_is_not_is_refused() {
        for (number, expected) in
            [("12345678", "****5678"), ("A-123 456", "****456"), ("1234", "**34"), ("1", "*"), ("", "")]
        {
            assert_eq!(masked(number).as_str(), expected);
        }
        for bad in ["", "12345678", "5678", "***56789", "****5-78", "12**5678"] {
            assert!(check_masked("id", &bad.into()).is_err(), "{bad}");
        }
        assert_eq!(check_masked("id", &"****5678".into()), Ok(()));
    }

    #[test]
    fn a_log_does_not_show_it() {
        assert_eq!(format!("{:?}", Personal::from("+254700000001")), "Personal(13 characters)");
    }

    proptest! {
        #[test]
        fn a_mask_passes_its_own_check_and_shows_at_most_half(number in "[A-Z0-9 /-]{1,30}[0-9]") {
            let masked = masked(&number);
            prop_assert_eq!(check_masked("id", &masked), Ok(()));
            let plain = number.chars().filter(|char| char.is_alphanumeric()).count();
            let shown = masked.as_str().chars().filter(|char| *char != '*').count();
            prop_assert!(shown <= 4 && 2 * shown <= plain);
        }
    }
}
