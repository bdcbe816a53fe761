//! Helpers around `minicbor` for bytes that strangers send.

use minicbor::Decode;
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

/// Reads a byte string of exactly `N` bytes.
pub fn array<const N: usize>(d: &mut Decoder<'_>) -> Result<[u8; N], Error> {
    d.bytes()?.try_into().map_err(|_| Error::message("byte string of another length").at(d.position()))
}

/// Encodes a value whose encoder cannot fail.
pub fn to_vec(value: &impl minicbor::Encode<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    minicbor::encode(value, &mut bytes).expect("writing to a Vec cannot fail");
    bytes
}

/// Why bytes are not one well-formed item of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not CBOR, or cut off.
    #[error("not CBOR, or cut off")]
    Syntax,
    /// An indefinite length.
    #[error("an indefinite length")]
    Indefinite,
    /// Nested deeper than allowed.
    #[error("nested too deep")]
    TooDeep,
    /// A key twice in one map.
    #[error("a key twice in one map")]
    DuplicateKey,
    /// A tag or a float, which no record of ours has.
    #[error("a tag, a float or a simple value")]
    ForeignType,
    /// A text that holds the character NUL, which PostgreSQL does not store.
    #[error("a text that holds the character NUL")]
    Nul,
    /// Bytes after the end.
    #[error("bytes after the end")]
    Trailing,
    /// More items in an array than it may hold.
    #[error("more items in an array than it may hold")]
    TooMany,
    /// A field is missing or of another type.
    #[error("a field is missing or of another type")]
    Shape,
}

/// Reads exactly one item of ours from a stranger's bytes: [`check`] first, so that neither a claimed
/// length nor a deep nesting costs more than the bytes themselves, then the shape.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8], depth_max: usize) -> Result<T, Malformed> {
    check(bytes, depth_max)?;
    // `at_most` is the only decoder of ours with an error of its own.
    minicbor::decode(bytes).map_err(|error| if error.is_custom() { Malformed::TooMany } else { Malformed::Shape })
}

/// Reads an array of at most `MAX` items, for `#[cbor(decode_with)]`: an item of one byte on the wire
/// can be many in memory.
pub fn at_most<'b, C, T: Decode<'b, C>, const MAX: usize>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<T>, Error> {
    let len = d.array()?.ok_or_else(|| Error::custom(Malformed::Indefinite).at(d.position()))?;
    if usize::try_from(len).is_ok_and(|len| len <= MAX) {
        (0..len).map(|_| T::decode(d, ctx)).collect()
    } else {
        Err(Error::custom(Malformed::TooMany).at(d.position()))
    }
}

/// Checks that `bytes` are exactly one item: definite lengths, nesting at most `depth_max`, no key
/// twice, no tags, no floats, no NUL in a text. Costs time and memory linear in the length of `bytes`, whatever
/// lengths they claim.
pub fn check(bytes: &[u8], depth_max: usize) -> Result<(), Malformed> {
    let mut decoder = Decoder::new(bytes);
    check_item(&mut decoder, bytes, depth_max)?;
    if decoder.position() == bytes.len() { Ok(()) } else { Err(Malformed::Trailing) }
}

fn check_item(d: &mut Decoder<'_>, bytes: &[u8], depth_left: usize) -> Result<(), Malformed> {
    let syntax = |_| Malformed::Syntax;
    match d.datatype().map_err(syntax)? {
        Type::Bool => d.bool().map(drop).map_err(syntax),
        Type::Null => d.null().map_err(syntax),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            d.int().map(drop).map_err(syntax)
        }
        Type::Bytes => d.bytes().map(drop).map_err(syntax),
        Type::String => no_nul(d.str().map_err(syntax)?),
        Type::Array => {
            let depth_left = depth_left.checked_sub(1).ok_or(Malformed::TooDeep)?;
            let len = d.array().map_err(syntax)?.ok_or(Malformed::Indefinite)?;
            for _ in 0..len {
                check_item(d, bytes, depth_left)?;
            }
            Ok(())
        }
        Type::Map => {
            let depth_left = depth_left.checked_sub(1).ok_or(Malformed::TooDeep)?;
            let len = d.map().map_err(syntax)?.ok_or(Malformed::Indefinite)?;
            // Every pair takes at least two bytes, so a claimed length beyond that is a lie.
            let room = bytes.len().saturating_sub(d.position()) / 2;
            let len = usize::try_from(len).ok().filter(|len| *len <= room).ok_or(Malformed::Syntax)?;
            let mut keys = std::collections::BTreeSet::new();
            for _ in 0..len {
                let start = d.position();
                match d.datatype().map_err(syntax)? {
                    Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::String => {}
                    _ => return Err(Malformed::ForeignType),
                }
                let key = key_of(d).map_err(syntax)?;
                debug_assert!(d.position() > start, "a key takes at least one byte");
                if let Key::Text(text) = key {
                    no_nul(text)?;
                }
                if !keys.insert(key) {
                    return Err(Malformed::DuplicateKey);
                }
                check_item(d, bytes, depth_left)?;
            }
            Ok(())
        }
        Type::BytesIndef | Type::StringIndef | Type::ArrayIndef | Type::MapIndef | Type::Break => {
            Err(Malformed::Indefinite)
        }
        _ => Err(Malformed::ForeignType),
    }
}

fn no_nul(text: &str) -> Result<(), Malformed> {
    if text.contains('\0') { Err(Malformed::Nul) } else { Ok(()) }
}

/// A map key by value, so that a number written in two widths is still one key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'b> {
    Number(u64),
    Text(&'b str),
}

fn key_of<'b>(d: &mut Decoder<'b>) -> Result<Key<'b>, Error> {
    if d.datatype()? == Type::String { d.str().map(Key::Text) } else { d.u64().map(Key::Number) }
}

/// Bytes as people compare them.
#[cfg(test)]
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_item_of_ours_and_what_is_not() {
        let cases: &[(&str, &[u8], Result<(), Malformed>)] = &[
            ("a map", &[0xa1, 0x01, 0x02], Ok(())),
            ("cut off", &[0xa1, 0x01], Err(Malformed::Syntax)),
            ("empty", &[], Err(Malformed::Syntax)),
            ("a key twice", &[0xa2, 0x01, 0x02, 0x01, 0x02], Err(Malformed::DuplicateKey)),
            ("a key twice in two widths", &[0xa2, 0x01, 0x02, 0x18, 0x01, 0x02], Err(Malformed::DuplicateKey)),
            ("indefinite map", &[0xbf, 0xff], Err(Malformed::Indefinite)),
            ("indefinite text", &[0x7f, 0xff], Err(Malformed::Indefinite)),
            ("an array that claims 2^63 items", &[0x9b, 0x7f, 0, 0, 0, 0, 0, 0, 0], Err(Malformed::Syntax)),
            ("a map that claims 2^63 pairs", &[0xbb, 0x7f, 0, 0, 0, 0, 0, 0, 0], Err(Malformed::Syntax)),
            ("a text that claims 2^32 bytes", &[0x7a, 0xff, 0xff, 0xff, 0xff], Err(Malformed::Syntax)),
            ("nested five deep", &[0x81, 0x81, 0x81, 0x81, 0x80], Err(Malformed::TooDeep)),
            ("nested four deep", &[0x81, 0x81, 0x81, 0x80], Ok(())),
            ("a float", &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], Err(Malformed::ForeignType)),
            ("a tag", &[0xc0, 0x00], Err(Malformed::ForeignType)),
            ("bytes after the end", &[0x00, 0x00], Err(Malformed::Trailing)),
            ("a NUL in a text", &[0x63, b'a', 0, b'b'], Err(Malformed::Nul)),
            ("a NUL in a key", &[0xa1, 0x61, 0, 0x01], Err(Malformed::Nul)),
            ("a NUL in a byte string", &[0x41, 0], Ok(())),
            ("a byte string as key", &[0xa1, 0x41, 0x00, 0x00], Err(Malformed::ForeignType)),
        ];
        for (what, bytes, expected) in cases {
            assert_eq!(check(bytes, 4), *expected, "{what}");
        }
    }
}
