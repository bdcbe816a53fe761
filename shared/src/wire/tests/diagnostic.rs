//! CBOR in its diagnostic notation (RFC 8949, 8), a line an item.

use std::fmt::Write as _;

use minicbor::Decoder;
use minicbor::data::Type;

pub(super) use crate::cbor::hex;

/// The one item in `bytes`, as text.
pub fn diagnostic(bytes: &[u8]) -> String {
    let mut text = String::new();
    item(&mut Decoder::new(bytes), 0, &mut text).unwrap();
    text
}

fn item(d: &mut Decoder<'_>, depth: usize, text: &mut String) -> Result<(), minicbor::decode::Error> {
    match d.datatype()? {
        Type::Bool => write!(text, "{}", d.bool()?),
        Type::Null => {
            d.null()?;
            write!(text, "null")
        }
        Type::Bytes => write!(text, "h'{}'", hex(d.bytes()?)),
        Type::String => write!(text, "{:?}", d.str()?),
        Type::Array => {
            let len = d.array()?.expect("definite lengths");
            text.push('[');
            list(d, depth, len, text, |d, text| item(d, depth + 1, text))?;
            write!(text, "]")
        }
        Type::Map => {
            let len = d.map()?.expect("definite lengths");
            text.push('{');
            list(d, depth, len, text, |d, text| {
                item(d, depth + 1, text)?;
                text.push_str(": ");
                item(d, depth + 1, text)
            })?;
            write!(text, "}}")
        }
        _ => write!(text, "{}", d.int()?),
    }
    .expect("writing to a String cannot fail");
    Ok(())
}

fn list<'b>(
    d: &mut Decoder<'b>,
    depth: usize,
    len: u64,
    text: &mut String,
    mut member: impl FnMut(&mut Decoder<'b>, &mut String) -> Result<(), minicbor::decode::Error>,
) -> Result<(), minicbor::decode::Error> {
    for _ in 0..len {
        text.push('\n');
        text.push_str(&"  ".repeat(depth + 1));
        member(d, text)?;
        text.push(',');
    }
    if len > 0 {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    }
    Ok(())
}
