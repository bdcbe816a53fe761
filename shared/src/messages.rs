//! What people read: one message a code and language, by Project Fluent.
//!
//! A server sends codes and parameters; the phone and the pages say them with [`say`], in the language of who
//! reads. English and Swahili have every message; Arabic has those that customers meet, and the rest is said in
//! English. The catalogues are `shared/messages/*.ftl`; a message's id is a kind and the code as it is stored:
//! `reason-DUP_RECEIPT`, `problem-not-found`.
//!
//! Amounts and dates come as text that is formatted already: there is no arithmetic here.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

/// A language with a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Language {
    /// Complete.
    #[default]
    English,
    /// Complete.
    Swahili,
    /// What customers meet.
    Arabic,
}

/// The codes of a kind that this build does not know are all said by this one.
const OTHER: &str = "OTHER";
/// Ranges of an `Accept-Language` that are looked at.
const RANGES_MAX: usize = 16;

impl Language {
    /// Every language.
    pub const ALL: &'static [Self] = &[Self::English, Self::Swahili, Self::Arabic];

    /// Its tag (BCP 47), as in `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Swahili => "sw",
            Self::Arabic => "ar",
        }
    }

    /// The language of a tag, whatever its region or script; none if there is no catalogue.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.iter().copied().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The best of what an `Accept-Language` asks for; English when nothing fits (RFC 9110, 12.5.4).
    pub fn accepted(header: &str) -> Self {
        let mut best: (u16, Self) = (0, Self::English);
        for range in header.split(',').take(RANGES_MAX) {
            let (tag, weight) = weighed(range);
            if let Some(language) = Self::from_tag(tag).filter(|_| weight > best.0) {
                best = (weight, language);
            }
        }
        best.1
    }

    fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../messages/en.ftl"),
            Self::Swahili => include_str!("../messages/sw.ftl"),
            Self::Arabic => include_str!("../messages/ar.ftl"),
        }
    }

    fn bundle(self) -> &'static FluentBundle<FluentResource> {
        static BUNDLES: [OnceLock<FluentBundle<FluentResource>>; 3] = [const { OnceLock::new() }; 3];
        BUNDLES[self as usize].get_or_init(|| {
            let id = self.tag().parse().expect("a tag of ours is one");
            let resource = FluentResource::try_new(self.source().to_owned()).expect("a catalogue of ours is sound");
            let mut bundle = FluentBundle::new_concurrent(vec![id]);
            // Marks of direction help where a text runs from right to left and its parameters do not.
            bundle.set_use_isolating(self == Self::Arabic);
            bundle.add_resource(resource).expect("a catalogue of ours names each message once");
            bundle
        })
    }
}

/// One range of a header that negotiates, such as `sw;q=0.8`: its name and its quality in thousandths, 1000
/// where none is said and 0 where it is none (RFC 9110, 12.4.2).
pub fn weighed(range: &str) -> (&str, u16) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let quality = parts.find_map(|parameter| parameter.strip_prefix("q="));
    (name, quality.map_or(1000, |quality| thousandths(quality).unwrap_or(0)))
}

/// A quality such as `0.8`, in thousandths.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction: u16 = if digits { format!("{fraction:0<3}").parse().ok()? } else { return None };
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

/// What a message is told with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param<'a> {
    /// A text: a name, an amount or a date that is formatted already.
    Text(&'a str),
    /// A count, which chooses the plural.
    Count(u32),
}

/// A message by its id; none if no catalogue has it. A language that lacks it says it in English.
pub fn message(language: Language, id: &str, params: &[(&str, Param<'_>)]) -> Option<String> {
    let mut args = FluentArgs::with_capacity(params.len());
    for (name, param) in params {
        match param {
            Param::Text(text) => args.set(*name, FluentValue::from(*text)),
            Param::Count(count) => args.set(*name, FluentValue::from(*count)),
        }
    }
    [language, Language::English].into_iter().find_map(|language| {
        let bundle = language.bundle();
        let pattern = bundle.get_message(id)?.value()?;
        // A parameter that is missing is shown by its name: better than no words at all.
        let mut errors = Vec::new();
        Some(bundle.format_pattern(pattern, Some(&args), &mut errors).into_owned())
    })
}

/// What people read for a code of a kind, such as ("reason", "DUP_RECEIPT"). A code without words is said by
/// those of the kind's OTHER, and one of a kind without such by itself.
pub fn say(language: Language, kind: &str, code: &str) -> String {
    let known = message(language, &format!("{kind}-{code}"), &[]);
    known.or_else(|| message(language, &format!("{kind}-{OTHER}"), &[])).unwrap_or_else(|| code.to_owned())
}

/// The ids of a language's own messages.
pub fn ids(language: Language) -> BTreeSet<String> {
    let ids = language.source().lines().filter_map(|line| line.split_once(" = ").map(|(id, _)| id));
    ids.filter(|id| !id.starts_with([' ', '#'])).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Reject;
    use crate::entry::EntryType;
    use crate::wire::outcome::{BoardReason, Flag, Reason};

    #[test]
    fn every_code_has_words_in_english_and_swahili() {
        let types = EntryType::ALL.iter().map(|code| format!("type-{code}"));
        let reasons = Reason::ALL.iter().map(|code| format!("reason-{code}"));
        let flags = Flag::ALL.iter().map(|code| format!("flag-{code}"));
        let needed: BTreeSet<String> = types.chain(reasons).chain(flags).collect();
        for language in [Language::English, Language::Swahili] {
            let missing: Vec<_> = needed.difference(&ids(language)).cloned().collect();
            assert!(missing.is_empty(), "{}: {missing:?}", language.tag());
        }
    }

    #[test]
    fn swahili_is_complete_and_arabic_has_what_customers_meet() {
        let english = ids(Language::English);
        assert_eq!(ids(Language::Swahili), english);
        let customers = |id: &String| id.starts_with("customer-") || id.starts_with("problem-");
        let met: BTreeSet<String> = english.iter().filter(|id| customers(id)).cloned().collect();
        assert_eq!(ids(Language::Arabic), met);
    }

    /// The parameters that a message names in English are those it names in every language.
    #[test]
    fn a_message_asks_for_the_same_parameters_in_every_language() {
        let params = |language: Language, id: &str| -> BTreeSet<String> {
            let said = message(language, id, &[]).unwrap();
            let named = said.split('{').skip(1).filter_map(|part| part.split('}').next());
            named.map(|name| name.trim().to_owned()).collect()
        };
        for language in [Language::Swahili, Language::Arabic] {
            for id in ids(language).iter().filter(|id| *id != "customer-instalments_left") {
                assert_eq!(params(language, id), params(Language::English, id), "{} {id}", language.tag());
            }
        }
        let receipt = params(Language::English, "customer-receipt");
        assert_eq!(receipt.into_iter().collect::<Vec<_>>(), ["$account", "$amount", "$date", "$lender", "$receipt"]);
    }

    #[test]
    fn words_are_of_the_language_and_never_nothing() {
        for (language, kind, code, said) in [
            (Language::English, "flag", "RELEASED", "released by the office"),
            (Language::Swahili, "flag", "RELEASED", "imeruhusiwa na ofisi"),
            (Language::Arabic, "flag", "RELEASED", "released by the office"),
            (Language::Arabic, "problem", "not-found", "لا يوجد شيء بهذا المعرّف"),
            (Language::English, "flag", "OF_TOMORROW", "flagged by the office"),
            (Language::English, "nothing", "OF_TOMORROW", "OF_TOMORROW"),
        ] {
            assert_eq!(say(language, kind, code), said);
        }
        for code in Reject::ALL.iter().map(|reject| reject.code()).chain(BoardReason::ALL.iter().map(BoardReason::code))
        {
            assert!(!say(Language::English, "board", code).contains('_'), "{code}");
        }
    }

    #[test]
    fn a_count_chooses_the_plural() {
        let left = |language, count| message(language, "customer-instalments_left", &[("count", Param::Count(count))]);
        for (language, count, said) in [
            (Language::English, 0, "No instalment is left."),
            (Language::English, 1, "One instalment is left."),
            (Language::English, 7, "7 instalments are left."),
            (Language::Swahili, 1, "Imebaki awamu moja."),
            (Language::Swahili, 7, "Zimebaki awamu 7."),
            (Language::Arabic, 0, "لم يبقَ أي قسط."),
            (Language::Arabic, 2, "بقي قسطان."),
            (Language::Arabic, 5, "بقيت \u{2068}5\u{2069} أقساط."),
            (Language::Arabic, 12, "بقي \u{2068}12\u{2069} قسطاً."),
        ] {
            assert_eq!(left(language, count).unwrap(), said);
        }
    }

    #[test]
    fn the_language_is_the_best_that_is_accepted() {
        for (header, language) in [
            ("", Language::English),
            ("sw", Language::Swahili),
            ("sw-KE,sw;q=0.9,en;q=0.8", Language::Swahili),
            ("fr-FR, ar;q=0.5, en;q=0.4", Language::Arabic),
            ("en;q=0.4, ar;q=0.5", Language::Arabic),
            ("ar;q=0, sw;q=0.001", Language::Swahili),
            ("fr, *;q=0.1", Language::English),
            ("AR-sa", Language::Arabic),
            ("ar;q=2, sw;q=x", Language::English),
        ] {
            assert_eq!(Language::accepted(header), language, "{header:?}");
        }
        assert_eq!(Language::accepted(&"ab,".repeat(10_000)), Language::English);
        assert_eq!(Language::accepted(&"م".repeat(1000)), Language::English);
    }
}
