//! What a text of a file means: amounts, days, times, numbers of phones. Pure; whatever is wrong becomes
//! a [`BadLine`] that says what would be right.

use std::str::FromStr;

use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{Date, Timestamp, Zone};

use super::bad::BadLine;
use super::sheet::Row;

/// Reads the cells of one row and keeps what is wrong with them.
pub struct Cells<'a> {
    row: &'a Row,
    /// What is wrong with the row so far.
    pub bad: Vec<BadLine>,
}

impl<'a> Cells<'a> {
    /// The cells of a row.
    pub fn of(row: &'a Row) -> Self {
        Self { row, bad: Vec::new() }
    }

    /// Whether there is a text.
    pub fn has(&self, column: &str) -> bool {
        !self.row.text(column).is_empty()
    }

    /// Notes what is wrong with a column.
    pub fn wrong(&mut self, column: &str, reason: impl Into<String>) {
        self.bad.push(BadLine::new(self.row.line, column, self.row.text(column), reason));
    }

    /// A text that must be there, of at most `chars_max` characters.
    pub fn text(&mut self, column: &str, chars_max: usize) -> Option<String> {
        if !self.has(column) {
            self.wrong(column, "it is missing");
            return None;
        }
        self.optional_text(column, chars_max)
    }

    /// A text that may be missing.
    pub fn optional_text(&mut self, column: &str, chars_max: usize) -> Option<String> {
        let text = self.row.text(column);
        if text.chars().count() > chars_max {
            self.wrong(column, format!("at most {chars_max} characters are taken"));
            return None;
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A number or code that names something, which no spreadsheet may have rewritten.
    pub fn name(&mut self, column: &str, chars_max: usize) -> Option<String> {
        let text = self.text(column, chars_max)?;
        self.as_written(column, text)
    }

    /// Such a name that may be missing.
    pub fn optional_name(&mut self, column: &str, chars_max: usize) -> Option<String> {
        let text = self.optional_text(column, chars_max)?;
        self.as_written(column, text)
    }

    fn as_written(&mut self, column: &str, text: String) -> Option<String> {
        if is_scientific(&text) {
            self.wrong(column, SCIENTIFIC);
            return None;
        }
        Some(text)
    }

    /// A code of a closed list.
    pub fn code<T: FromStr>(&mut self, column: &str, choices: &str) -> Option<T> {
        let parsed = self.row.text(column).parse().ok();
        if parsed.is_none() {
            self.wrong(column, format!("it is one of {choices}"));
        }
        parsed
    }

    /// A currency.
    pub fn currency(&mut self, column: &str) -> Option<Currency> {
        let currency = self.row.text(column).parse().ok();
        if currency.is_none() {
            self.wrong(column, "a currency is three capital letters (ISO 4217), for example KES");
        }
        currency
    }

    /// A day, written 2026-03-31.
    pub fn date(&mut self, column: &str) -> Option<Date> {
        match date(self.row.text(column)) {
            Ok(date) => Some(date),
            Err(reason) => {
                self.wrong(column, reason);
                None
            }
        }
    }

    /// A day that may be missing.
    pub fn optional_date(&mut self, column: &str) -> Option<Date> {
        if self.has(column) { self.date(column) } else { None }
    }

    /// A moment, or a day in the lender's zone: the moment, if it is one, and its day.
    pub fn moment(&mut self, column: &str, zone: &Zone) -> Option<(Option<Timestamp>, Date)> {
        let text = self.row.text(column);
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some((Some(at), zone.date_of(at)));
        }
        let day = date(text).ok();
        if day.is_none() {
            self.wrong(column, "a time is written 2026-03-31T14:05:00+03:00 with its offset, a day 2026-03-31");
        }
        day.map(|day| (None, day))
    }

    /// An amount that is not negative; nothing written is zero.
    pub fn amount(&mut self, column: &str, currency: Currency) -> Option<i64> {
        if !self.has(column) {
            return Some(0);
        }
        match amount(self.row.text(column), currency) {
            Ok(minor) => Some(minor),
            Err(reason) => {
                self.wrong(column, reason);
                None
            }
        }
    }

    /// An amount above zero.
    pub fn positive(&mut self, column: &str, currency: Currency) -> Option<i64> {
        let minor = self.amount(column, currency)?;
        if minor == 0 {
            self.wrong(column, if self.has(column) { "it is above zero" } else { "it is missing" });
        }
        Some(minor).filter(|minor| *minor > 0)
    }

    /// A whole number from 1 to `max`.
    pub fn count(&mut self, column: &str, max: u16) -> Option<u16> {
        let number = self.row.text(column).parse().ok().filter(|n| (1..=max).contains(n));
        if number.is_none() {
            self.wrong(column, format!("a whole number from 1 to {max}"));
        }
        number
    }

    /// A phone number in international form, that may be missing.
    pub fn phone(&mut self, column: &str, country: Option<&str>) -> Option<String> {
        let text = self.row.text(column);
        if text.is_empty() {
            return None;
        }
        match phone(text, country) {
            Ok(phone) => Some(phone),
            Err(reason) => {
                self.wrong(column, reason);
                None
            }
        }
    }

    /// A position in millionths of a degree, that may be missing.
    pub fn degrees_e6(&mut self, column: &str, max: i64) -> Option<i64> {
        let text = self.row.text(column);
        if text.is_empty() {
            return None;
        }
        let degrees = text.parse::<rust_decimal::Decimal>().ok();
        let e6 = degrees.and_then(|degrees| degrees.checked_mul(1_000_000.into()));
        let e6 = e6.and_then(|e6| i64::try_from(e6.trunc()).ok()).filter(|e6| e6.abs() <= max * 1_000_000);
        if e6.is_none() {
            self.wrong(column, format!("degrees from -{max} to {max} with a point for decimals"));
        }
        e6
    }
}

const SCIENTIFIC: &str =
    "a spreadsheet wrote it in scientific notation and lost digits: make the column text and export it again";

/// `2.54712E+11`: what a spreadsheet makes of a long number.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let decimal = mantissa.trim_start_matches('-').split_once(['.', ',']);
    decimal.is_some_and(|(whole, part)| digits(whole) && digits(part))
        && exponent.strip_prefix(['+', '-']).is_some_and(digits)
        || digits(mantissa) && exponent.strip_prefix('+').is_some_and(digits)
}

/// A day.
pub fn date(text: &str) -> Result<Date, String> {
    let iso = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    if text.is_empty() {
        return Err("it is missing; a day is written 2026-03-31".to_owned());
    }
    if iso && let Ok(date) = text.parse::<Date>() {
        return Ok(date);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    Err(if iso {
        "there is no such day".to_owned()
    } else if digits && text.len() == 5 {
        "a spreadsheet's number of a day: give the column the format yyyy-mm-dd".to_owned()
    } else if text.contains(['/', '.']) {
        "which is the month? A day is written 2026-03-31: give the column the format yyyy-mm-dd".to_owned()
    } else {
        "a day is written 2026-03-31".to_owned()
    })
}

/// An amount that is not negative, exactly.
pub fn amount(text: &str, currency: Currency) -> Result<i64, String> {
    if is_scientific(text) {
        return Err(SCIENTIFIC.to_owned());
    }
    if text.contains(',') {
        return Err("an amount has a point for its decimals and nothing between its thousands: 1250.50".to_owned());
    }
    match Money::parse(text, currency) {
        Ok(money) if money.minor < 0 => Err("it is not negative".to_owned()),
        Ok(money) => Ok(money.minor),
        Err(error) => {
            let said = error.to_string();
            Err(said.split_once("\" is ").map_or_else(|| said.clone(), |(_, reason)| reason.to_owned()))
        }
    }
}

/// A phone number in international form (E.164): `+254712345678`. A national one needs the country's
/// calling code.
pub fn phone(text: &str, country: Option<&str>) -> Result<String, String> {
    if is_scientific(text) {
        return Err(SCIENTIFIC.to_owned());
    }
    let is_filler = |c: char| c == ' ' || c == '\u{a0}' || matches!(c, '-' | '(' | ')' | '.' | '/');
    let plain: String = text.chars().filter(|c| !is_filler(*c)).collect();
    let (international, digits) = match (plain.strip_prefix('+'), plain.strip_prefix("00")) {
        (Some(digits), _) | (None, Some(digits)) => (true, digits),
        (None, None) => (false, plain.as_str()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a phone number has digits only: +254712345678".to_owned());
    }
    let number = match country {
        _ if international => digits.to_owned(),
        None => return Err("a phone number begins with + and the country's code (or name the code for the whole file: --country-code 254)".to_owned()),
        Some(code) if digits.starts_with('0') => format!("{code}{}", &digits[1..]),
        Some(code) if digits.starts_with(code) && digits.len() > 9 => digits.to_owned(),
        Some(code) => format!("{code}{digits}"),
    };
    if number.starts_with('0') || !(8..=15).contains(&number.len()) {
        return Err("a phone number has 8 to 15 digits with the country's code, which does not begin with 0".to_owned());
    }
    Ok(format!("+{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        let cases: &[(&str, &str, Result<i64, &str>)] = &[
            ("12.5", "KES", Ok(1250)),
            ("1250", "UGX", Ok(1250)),
            ("0", "KES", Ok(0)),
            ("12.345", "KES", Err("not an amount in KES")),
            ("12.5", "UGX", Err("not an amount in UGX")),
            ("12,50", "KES", Err("a point for its decimals")),
            ("1,250.00", "KES", Err("nothing between its thousands")),
            ("1.2E+05", "KES", Err("scientific notation")),
            ("-5", "KES", Err("not negative")),
            ("KES 5", "KES", Err("not an amount")),
            ("90071992547409.93", "KES", Err("not an amount")),
        ];
        for (text, currency, expected) in cases {
            let read = amount(text, currency.parse().unwrap());
            match expected {
                Ok(minor) => assert_eq!(read, Ok(*minor), "{text}"),
                Err(words) => assert!(read.as_ref().is_err_and(|said| said.contains(words)), "{text}: {read:?}"),
            }
        }
    }

    #[test]
    fn days_are_iso_and_a_spreadsheets_are_told() {
        assert_eq!(date("2026-02-28").unwrap().to_string(), "2026-02-28");
        let cases = [
            ("2026-02-30", "no such day"),
            ("31/03/2026", "which is the month"),
            ("31.03.2026", "which is the month"),
            ("46112", "spreadsheet's number"),
            ("2026-3-1", "a day is written"),
            ("2026-03-31T00:00:00", "a day is written"),
            ("", "missing"),
        ];
        for (text, words) in cases {
            let said = date(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }

    #[test]
    fn phone_numbers_become_international_or_say_what_is_missing() {
        let cases: &[(&str, Option<&str>, Result<&str, &str>)] = &[
            ("+254 712-345 678", None, Ok("+254712345678")),
            ("00254712345678", None, Ok("+254712345678")),
            ("0712 345 678", Some("254"), Ok("+254712345678")),
            ("254712345678", Some("254"), Ok("+254712345678")),
            ("712345678", Some("254"), Ok("+254712345678")),
            ("0712345678", None, Err("--country-code")),
            ("254712345678", None, Err("--country-code")),
            ("2.54712E+11", Some("254"), Err("scientific")),
            ("+2547", None, Err("8 to 15 digits")),
            ("+0712345678", None, Err("does not begin with 0")),
            ("call me", None, Err("digits only")),
            ("+", None, Err("digits only")),
        ];
        for (text, country, expected) in cases {
            let read = phone(text, *country);
            match expected {
                Ok(number) => assert_eq!(read.as_deref(), Ok(*number), "{text}"),
                Err(words) => assert!(read.as_ref().is_err_and(|said| said.contains(words)), "{text}: {read:?}"),
            }
        }
    }

    #[test]
    fn what_a_spreadsheet_made_of_a_number_is_told_from_a_name() {
        for text in ["2.54712E+11", "1E+05", "2,5e+11", "-1.5E-3"] {
            assert!(is_scientific(text), "{text}");
        }
        for text in ["QF12AB34", "1E5", "E+5", "12E", "AB1.5E+X", "1E05"] {
            assert!(!is_scientific(text), "{text}");
        }
    }
}
