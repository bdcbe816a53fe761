//! Customers: who they are, what they consented to, and how staff make or find one.
//!
//! * [`profile`]: name, numbers, address; their change reaches officers' phones as facts. [`consents`]: what may
//!   be done with what is known of a customer. [`register`]: customers without the app.
//! * [`routes`], [`register_routes`]: their REST.
//!
//! How a customer signs in is [`crate::auth`]'s, how one is erased [`crate::erasure`]'s.

pub mod consents;
pub mod profile;
pub mod register;
pub mod register_routes;
pub mod routes;

use std::ops::RangeInclusive;

use daybook_shared::time::Date;

use crate::http::problem::Problem;

/// Characters of a name.
pub const NAME_CHARS: RangeInclusive<usize> = 1..=100;
/// Characters of an address.
pub const ADDRESS_CHARS: RangeInclusive<usize> = 1..=300;
/// Characters of a language's tag.
const LANGUAGE_CHARS: RangeInclusive<usize> = 2..=8;
/// Years a person may be old.
const AGE_YEARS_MAX: i32 = 130;

/// A text of one line, without what is around it.
fn text(place: &str, text: &str, chars: RangeInclusive<usize>) -> Result<String, Problem> {
    let text = text.trim();
    if !chars.contains(&text.chars().count()) || text.chars().any(char::is_control) {
        let detail =
            format!("It has {} to {} characters, none of them a control character.", chars.start(), chars.end());
        return Err(Problem::invalid(place, "length", detail));
    }
    Ok(text.to_owned())
}

/// A language's tag, as imports take it: `sw`, `ar-SA`.
fn language(tag: &str) -> Result<String, Problem> {
    let fits = LANGUAGE_CHARS.contains(&tag.len())
        && tag.split('-').all(|part| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if fits {
        return Ok(tag.to_owned());
    }
    Err(Problem::invalid("/language", "shape", "A language is a tag such as en, sw or ar."))
}

/// The day somebody was born.
fn birth_date(born: Date, today: Date) -> Result<Date, Problem> {
    if born <= today && born > today.plus_days(-366 * AGE_YEARS_MAX) {
        return Ok(born);
    }
    Err(Problem::invalid("/birth_date", "range", "It is the day of birth of somebody who lives."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_customer_says_of_himself_is_of_one_line_and_possible() {
        let name = |words: &str| text("/name", words, NAME_CHARS).ok();
        assert_eq!(name("  Zainabu \u{2019}Ubaidi ").as_deref(), Some("Zainabu \u{2019}Ubaidi"));
        for words in ["", "  ", "a\nb", "\u{7}", &"x".repeat(101)] {
            assert_eq!(name(words), None, "{words:?}");
        }
        for (tag, good) in [("sw", true), ("ar-SA", true), ("s", false), ("", false), ("sw-", false), ("s w", false)] {
            assert_eq!(language(tag).is_ok(), good, "{tag}");
        }
        let today: Date = "2026-03-02".parse().unwrap();
        for (born, good) in [("2026-03-02", true), ("2026-03-03", false), ("1990-02-28", true), ("1890-01-01", false)] {
            assert_eq!(birth_date(born.parse().unwrap(), today).is_ok(), good, "{born}");
        }
    }
}
