//! The pre-scan of a change chunk: everything that can be known without expanding it.
//!
//! The layout is Automerge's, version 0.12 (design/examples/automerge-change.md). The library's own
//! parser neither verifies the checksum nor bounds what a run length makes it allocate, so a
//! stranger's bytes come here first. This reads each byte at most once and allocates nothing but
//! the list of dependencies.

use super::actor::ActorId;
use super::keys::Limits;
use super::reject::Reject;
use crate::ids::{ChangeHash, sha256};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const TYPE_CHANGE: u8 = 1;
const TYPE_DEFLATED: u8 = 2;
/// Other actors that one change names.
const OTHER_ACTORS_MAX: u64 = 256;
const DEFLATE_BIT: u64 = 8;
/// 9999-12-31T23:59:59Z in seconds. A wild time would overflow the document's delta columns.
const TIME_MAX: i64 = 253_402_300_799;

const KEY_STRING: u64 = 1 << 4 | 5;
const ACTION: u64 = 4 << 4 | 2;
const PRED_GROUP: u64 = 7 << 4;
/// The columns a board's change can have (id and type): object, key, insert, action, value,
/// predecessors. The columns of rich-text marks are missing on purpose.
const COLUMNS: [u64; 12] = [
    1,
    2,
    1 << 4 | 1,
    1 << 4 | 3,
    KEY_STRING,
    3 << 4 | 4,
    ACTION,
    5 << 4 | 6,
    5 << 4 | 7,
    PRED_GROUP,
    7 << 4 | 1,
    7 << 4 | 3,
];

/// What the frame of a change says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The change's hash.
    pub hash: ChangeHash,
    /// The changes it builds on, ascending.
    pub deps: Vec<ChangeHash>,
    /// Its author.
    pub actor: ActorId,
    /// Its number in its author's chain, from 1.
    pub seq: u64,
    /// The number of its first operation.
    pub start_op: u64,
    /// Its author's clock, seconds since 1970.
    pub time: i64,
    /// How many operations it claims.
    pub ops: u64,
    /// How many predecessors it claims.
    pub preds: u64,
}

/// Reads a change chunk's frame and sums its run lengths. Never panics, costs O(input).
pub fn prescan(bytes: &[u8], limits: &Limits) -> Result<Scan, Reject> {
    if bytes.len() > limits.change_bytes_max {
        return Err(Reject::TooLong);
    }
    let (hash, mut body) = chunk(bytes)?;
    let dep_count = body.uleb()?;
    let deps = (0..dep_count).map(|_| body.hash()).collect::<Result<Vec<_>, _>>()?;
    let actor = body.actor()?;
    let (seq, start_op, time) = (body.uleb()?, body.uleb()?, body.sleb()?);
    let message = body.prefixed()?;
    let other_actors = body.uleb()?;
    if other_actors > OTHER_ACTORS_MAX {
        return Err(Reject::Malformed);
    }
    for _ in 0..other_actors {
        body.actor()?;
    }
    let (ops, preds) = columns(&mut body, limits)?;
    if !message.is_empty() || !body.0.is_empty() {
        return Err(Reject::Extra);
    }
    if !(0..=TIME_MAX).contains(&time) {
        return Err(Reject::Time);
    }
    if !deps.is_sorted_by(|a, b| a < b) {
        return Err(Reject::NotCanonical);
    }
    Ok(Scan { hash, deps, actor, seq, start_op, time, ops, preds })
}

/// The hash and the body of a chunk whose magic, type, length and checksum are right.
fn chunk(bytes: &[u8]) -> Result<(ChangeHash, Reader<'_>), Reject> {
    let mut reader = Reader(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(Reject::Malformed);
    }
    let checksum = reader.take(4)?;
    let hashed = reader.0;
    let kind = reader.byte()?;
    let len = reader.uleb()?;
    if reader.0.len() as u64 != len {
        return Err(Reject::Malformed);
    }
    let hash = sha256(&[hashed]);
    if hash[..4] != *checksum {
        return Err(Reject::Checksum);
    }
    match kind {
        TYPE_CHANGE => Ok((ChangeHash(hash), reader)),
        TYPE_DEFLATED => Err(Reject::Deflated),
        _ => Err(Reject::Malformed),
    }
}

/// Reads the columns' list and data; the numbers of operations and predecessors.
fn columns(body: &mut Reader<'_>, limits: &Limits) -> Result<(u64, u64), Reject> {
    let count = body.uleb()?;
    let mut list = [(0, 0); COLUMNS.len()];
    if count > COLUMNS.len() as u64 {
        return Err(Reject::UnknownColumn);
    }
    let list = &mut list[..usize::try_from(count).unwrap_or(0)];
    let mut last = None;
    for slot in list.iter_mut() {
        let (spec, len) = (body.uleb()?, body.uleb()?);
        if spec & DEFLATE_BIT != 0 {
            return Err(Reject::Deflated);
        }
        if !COLUMNS.contains(&spec) {
            return Err(Reject::UnknownColumn);
        }
        if last.replace(spec) >= Some(spec) {
            return Err(Reject::NotCanonical);
        }
        *slot = (spec, len);
    }
    let (mut ops, mut preds) = (0, 0);
    for &(spec, len) in list.iter() {
        let data = Reader(body.take(usize::try_from(len).map_err(|_| Reject::Malformed)?)?);
        match spec {
            ACTION => ops = data.run_lengths(|_| 1)?,
            PRED_GROUP => preds = data.run_lengths(|count| count)?,
            KEY_STRING => data.strings()?,
            _ => {}
        }
    }
    if ops > limits.ops_max || preds > limits.preds_max {
        return Err(Reject::TooManyOps);
    }
    Ok((ops, preds))
}

/// The bytes not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Reject> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Reject::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Reject> {
        Ok(self.take(1)?[0])
    }

    fn hash(&mut self) -> Result<ChangeHash, Reject> {
        let bytes = self.take(32)?;
        Ok(ChangeHash(bytes.try_into().expect("invariant: 32 bytes were taken")))
    }

    /// An actor; every author of a board's changes has 16 bytes.
    fn actor(&mut self) -> Result<ActorId, Reject> {
        self.prefixed()?.try_into().map(ActorId).map_err(|_| Reject::Malformed)
    }

    fn prefixed(&mut self) -> Result<&'a [u8], Reject> {
        let len = self.uleb()?;
        self.take(usize::try_from(len).map_err(|_| Reject::Malformed)?)
    }

    /// The payload bits of a LEB128 number of at most 64 bits, how many there are, and its last byte.
    fn leb(&mut self) -> Result<(u64, u32, u8), Reject> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value, shift + 7, byte));
            }
        }
        Err(Reject::Malformed)
    }

    fn uleb(&mut self) -> Result<u64, Reject> {
        match self.leb()? {
            (_, bits, last) if bits > 64 && last > 1 => Err(Reject::Malformed),
            (value, ..) => Ok(value),
        }
    }

    fn sleb(&mut self) -> Result<i64, Reject> {
        let (value, bits, last) = self.leb()?;
        if bits > 64 {
            return if matches!(last, 0 | 0x7f) { Ok(value.cast_signed()) } else { Err(Reject::Malformed) };
        }
        let sign = if last & 0x40 == 0 { 0 } else { u64::MAX << bits };
        Ok((value | sign).cast_signed())
    }

    /// The sum of `worth(value)` over a run-length column of integers, saturating, unexpanded.
    fn run_lengths(mut self, worth: impl Fn(u64) -> u64) -> Result<u64, Reject> {
        let mut sum = 0_u64;
        while !self.0.is_empty() {
            let run = self.sleb()?;
            if run == 0 {
                return Err(Reject::Malformed);
            }
            if run > 0 {
                let value = worth(self.uleb()?);
                sum = sum.saturating_add(value.saturating_mul(run.unsigned_abs()));
                continue;
            }
            // Each literal takes a byte, so a false count ends with the column.
            for _ in 0..run.unsigned_abs() {
                sum = sum.saturating_add(worth(self.uleb()?));
            }
        }
        Ok(sum)
    }

    /// Walks a run-length column of strings: the library allocates what a string's length says
    /// before it looks whether the string is there.
    fn strings(mut self) -> Result<(), Reject> {
        while !self.0.is_empty() {
            match self.sleb()? {
                0 => {
                    self.uleb()?;
                }
                1.. => {
                    self.prefixed()?;
                }
                literals => {
                    for _ in 0..literals.unsigned_abs() {
                        self.prefixed()?;
                    }
                }
            }
        }
        Ok(())
    }
}
