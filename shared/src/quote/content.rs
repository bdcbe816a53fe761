//! A quote's bytes and its hash, and how two quotes differ.
//!
//! A quote that a phone made without network is honoured when the server makes the same one from the
//! same terms: then their hashes are equal, and the customer signs that hash. Where they are not, the
//! server says field by field what differs.

use super::price::Quote;
use crate::cbor::{self, Malformed};
use crate::ids::{Hash, sha256};
use crate::schedule::DueLine;

/// The format of the bytes. Another field, another order, another meaning: another number.
pub const FORMAT: u8 = 1;

/// The most bytes of a quote; one with every line is about half as long.
pub const BYTES_MAX: usize = 8 * 1024;

/// The format number, the quote, its lines, the fields of a line.
const DEPTH_MAX: usize = 4;

/// Why bytes are not a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAQuote {
    /// Too many.
    #[error("a quote has at most {BYTES_MAX} bytes, not {0}")]
    TooLong(usize),
    /// Not well formed.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// In a format this build does not know.
    #[error("a quote of format {0}, where this build knows {FORMAT}")]
    Format(u8),
    /// The right values in other bytes than we would write.
    #[error("not in canonical form")]
    NotCanonical,
}

impl Quote {
    /// The canonical bytes: deterministic CBOR, the format's number first.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(&(FORMAT, self))
    }

    /// Reads canonical bytes, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAQuote> {
        if bytes.len() > BYTES_MAX {
            return Err(NotAQuote::TooLong(bytes.len()));
        }
        cbor::check(bytes, DEPTH_MAX)?;
        // The format is read alone: what follows it is only ours to read when it is ours.
        let mut decoder = minicbor::Decoder::new(bytes);
        let format = decoder.array().and_then(|_| decoder.u8()).map_err(|_| Malformed::Shape)?;
        if format != FORMAT {
            return Err(NotAQuote::Format(format));
        }
        let (_, quote) = cbor::decode::<(u8, Self)>(bytes, DEPTH_MAX)?;
        if quote.to_bytes() == bytes { Ok(quote) } else { Err(NotAQuote::NotCanonical) }
    }

    /// The hash of the canonical bytes: what a customer agrees to.
    pub fn hash(&self) -> Hash {
        Hash(sha256(&[b"daybook/quote/1", &self.to_bytes()]))
    }
}

/// A field in which two quotes differ.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// Which field, as a JSON pointer: `/instalments/0/principal`.
    pub path: String,
    /// What the other quote says.
    pub theirs: String,
    /// What ours says.
    pub ours: String,
}

/// Every field in which two quotes differ; none, and their hashes are equal. Lines that only one of them
/// has are said by their number.
pub fn differences(theirs: &Quote, ours: &Quote) -> Vec<Difference> {
    let lines = theirs.instalments.iter().zip(&ours.instalments).enumerate();
    let in_lines = lines.flat_map(|(index, (theirs, ours))| {
        let pairs = line_fields(theirs).into_iter().zip(line_fields(ours));
        pairs.filter_map(move |(theirs, ours)| difference(&format!("/instalments/{index}"), theirs, ours))
    });
    let pairs = fields(theirs).into_iter().zip(fields(ours));
    pairs.filter_map(|(theirs, ours)| difference("", theirs, ours)).chain(in_lines).collect()
}

type Field = (&'static str, String);

fn difference(parent: &str, (name, theirs): Field, (_, ours): Field) -> Option<Difference> {
    (theirs != ours).then(|| Difference { path: format!("{parent}/{name}"), theirs, ours })
}

fn fields(quote: &Quote) -> Vec<Field> {
    // Taken apart, so that a new field cannot be forgotten here.
    let Quote {
        terms,
        currency,
        anchor,
        price_minor,
        down_payment_minor,
        financed_minor,
        profit_minor,
        fee_minor,
        fee_at_acceptance_minor,
        total_minor,
        instalments,
        apr,
    } = quote;
    vec![
        ("terms", terms.to_string()),
        ("currency", currency.to_string()),
        ("anchor", anchor.to_string()),
        ("price_minor", price_minor.to_string()),
        ("down_payment_minor", down_payment_minor.to_string()),
        ("financed_minor", financed_minor.to_string()),
        ("profit_minor", profit_minor.to_string()),
        ("fee_minor", fee_minor.to_string()),
        ("fee_at_acceptance_minor", fee_at_acceptance_minor.to_string()),
        ("total_minor", total_minor.to_string()),
        ("instalments", instalments.len().to_string()),
        ("apr/value", apr.value()),
        ("apr/method", apr.method.to_string()),
    ]
}

fn line_fields(line: &DueLine) -> Vec<Field> {
    let DueLine { n, due_date, principal, interest, fee, penalty } = line;
    vec![
        ("n", n.to_string()),
        ("due_date", due_date.to_string()),
        ("principal", principal.to_string()),
        ("interest", interest.to_string()),
        ("fee", fee.to_string()),
        ("penalty", penalty.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{any_terms, date, fee, murabaha, murabaha_quote, riyal};
    use super::super::terms::{FeeKind, Terms};
    use super::*;

    /// The bytes of a quote and what a customer signs; a phone in the field makes them too, so they never
    /// change.
    #[test]
    fn a_quote_has_these_bytes_and_this_hash() {
        let quote = murabaha_quote();
        insta::assert_snapshot!(cbor::hex(&quote.to_bytes()));
        insta::assert_snapshot!(quote.hash());
        let terms = Terms { fee: Some(fee(FeeKind::Spread)), ..murabaha() };
        let quote = Quote::make(&terms, riyal(100_000), date("2028-02-29")).unwrap();
        insta::assert_snapshot!(cbor::hex(&quote.to_bytes()));
    }

    #[test]
    fn bytes_that_are_no_quote_say_why() {
        let good = murabaha_quote().to_bytes();
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            Quote::from_bytes(&bytes).unwrap_err()
        };
        assert_eq!(good[..2], [0x82, FORMAT]);
        assert_eq!(with(&|bytes| bytes.resize(BYTES_MAX + 1, 0)), NotAQuote::TooLong(BYTES_MAX + 1));
        assert_eq!(with(&|bytes| bytes.push(0)), NotAQuote::Malformed(Malformed::Trailing));
        assert_eq!(with(&|bytes| bytes.truncate(20)), NotAQuote::Malformed(Malformed::Syntax));
        assert_eq!(with(&|bytes| bytes[1] = 2), NotAQuote::Format(2));
        assert_eq!(with(&|bytes| bytes.splice(1..2, [0x18, FORMAT]).for_each(drop)), NotAQuote::NotCanonical);
        assert_eq!(Quote::from_bytes(&[0x01]), Err(NotAQuote::Malformed(Malformed::Shape)));
        assert_eq!(Quote::from_bytes(&[0x82, 0x01, 0x80]), Err(NotAQuote::Malformed(Malformed::Shape)));
        let mut many = murabaha_quote();
        many.instalments = vec![many.instalments[0]; Quote::LINES_MAX + 1];
        assert_eq!(Quote::from_bytes(&many.to_bytes()), Err(NotAQuote::Malformed(Malformed::TooMany)));
    }

    #[test]
    fn differences_name_the_field_and_both_values() {
        let ours = murabaha_quote();
        let texts = |theirs: &Quote| {
            let text = |d: Difference| format!("{} {} {}", d.path, d.theirs, d.ours);
            differences(theirs, &ours).into_iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(differences(&ours, &ours), []);
        let mut theirs = ours.clone();
        theirs.instalments[0].interest += 1;
        theirs.instalments[0].principal -= 1;
        assert_eq!(texts(&theirs), ["/instalments/0/principal 92027 92028", "/instalments/0/interest 17973 17972"]);
        theirs = ours.clone();
        theirs.instalments.pop();
        theirs.apr.hundredths = 1_797;
        theirs.anchor = date("2026-02-01");
        assert_eq!(texts(&theirs), ["/anchor 2026-02-01 2026-01-31", "/instalments 11 12", "/apr/value 17.97 19.53"]);
    }

    proptest! {
        #[test]
        fn quotes_differ_exactly_when_their_hashes_do(terms in any_terms(), price in 1_000_i64..1_000_000, other in 0_i64..2) {
            let Ok(ours) = Quote::make(&terms, riyal(price), date("2026-03-31")) else { return Ok(()) };
            prop_assert_eq!(&Quote::from_bytes(&ours.to_bytes()).unwrap(), &ours);
            let Ok(theirs) = Quote::make(&terms, riyal(price + other), date("2026-03-31")) else { return Ok(()) };
            prop_assert_eq!(differences(&theirs, &ours).is_empty(), theirs.hash() == ours.hash());
            prop_assert_eq!(other == 0, theirs.hash() == ours.hash());
        }

        #[test]
        fn any_bytes_are_read_or_refused(index in 0_usize..200, byte in any::<u8>()) {
            let mut bytes = murabaha_quote().to_bytes();
            if let Some(at) = bytes.get_mut(index) {
                *at = byte;
            }
            if let Ok(quote) = Quote::from_bytes(&bytes) {
                prop_assert_eq!(quote.to_bytes(), bytes);
            }
        }
    }
}
