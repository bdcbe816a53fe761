//! Where a reader of a caseload's feed stands. Opaque to the phone.
//!
//! A reader sweeps: it takes the rows above `from`, newest row a dossier, in the order of those
//! rows, and `done` is how far it has come. What it sends of a dossier is the difference to what the
//! phone had at `from`, so a sweep may be cut anywhere and go on. When it reaches the end of its
//! snapshot, `from` and `done` become that end. A dossier that was sent in part is a pair
//! (dossier, version) and goes on from there.

use daybook_shared::cbor;
use daybook_shared::wire::exchange::CursorBytes;
use daybook_shared::wire::limits::{CURSOR_BYTES_MAX, CURSOR_PAIRS_MAX};
use minicbor::{Decode, Encode};

/// A decoded cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Cursor {
    /// The sequence the sweep began at: differences are taken to what the phone had then.
    #[n(0)]
    pub from: i64,
    /// Dossiers whose newest row is at or below this are sent.
    #[n(1)]
    pub done: i64,
    /// Dossiers sent in part: row key and the version reached.
    #[n(2)]
    pub pairs: Vec<(i64, i64)>,
}

impl Cursor {
    /// A reader that has read everything up to a sequence.
    pub fn at(seq: i64) -> Self {
        Self { from: seq, done: seq, pairs: Vec::new() }
    }

    /// Reads a cursor a phone sent; anything else than one of ours starts from the beginning, which
    /// costs bytes and loses nothing.
    pub fn decode(bytes: &[u8], seq: i64) -> Self {
        let within = |cursor: &Self| {
            0 <= cursor.from
                && cursor.from <= cursor.done
                && cursor.done <= seq
                && cursor.pairs.len() <= CURSOR_PAIRS_MAX
        };
        let decoded = (bytes.len() <= CURSOR_BYTES_MAX).then(|| minicbor::decode(bytes).ok()).flatten();
        decoded.filter(within).unwrap_or_default()
    }

    /// As it travels.
    pub fn encode(&self) -> CursorBytes {
        CursorBytes(cbor::to_vec(self).into())
    }

    /// Notes that a dossier was sent up to a version; the oldest pair makes room.
    pub fn reached(&mut self, dossier: i64, version: i64) {
        self.pairs.retain(|(known, _)| *known != dossier);
        if self.pairs.len() == CURSOR_PAIRS_MAX {
            self.pairs.remove(0);
        }
        self.pairs.push((dossier, version));
    }

    /// Notes that a dossier was sent whole, or that it left, with its newest row.
    pub fn passed(&mut self, dossier: i64, seq: i64) {
        self.pairs.retain(|(known, _)| *known != dossier);
        self.done = seq;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_fits_and_a_strangers_starts_from_the_beginning() {
        let mut cursor = Cursor { from: i64::MAX - 1, done: i64::MAX, pairs: Vec::new() };
        for dossier in 0..20 {
            cursor.reached(i64::MAX - dossier, i64::MAX);
        }
        let bytes = cursor.encode();
        assert!(bytes.0.len() <= CURSOR_BYTES_MAX, "{} bytes", bytes.0.len());
        assert_eq!(Cursor::decode(&bytes.0, i64::MAX), cursor);
        assert_eq!(Cursor::decode(&bytes.0, 5), Cursor::default(), "ahead of the caseload");
        assert_eq!(Cursor::decode(b"anything", i64::MAX), Cursor::default());
        assert_eq!(Cursor::decode(&[0xff; 300], i64::MAX), Cursor::default());
    }
}
