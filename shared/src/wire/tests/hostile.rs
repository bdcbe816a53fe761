//! Bytes made to cost more than they weigh: bombs, windows, claimed lengths, nesting.

use super::envelopes::outer;
use super::samples;
use crate::cbor::{self, Malformed};
use crate::wire::envelope::{Envelope, EnvelopeError};
use crate::wire::exchange::Request;
use crate::wire::framing::{FrameError, FrameReader, InflateError, deflate, inflate};
use crate::wire::limits::{INFLATED_BYTES_MAX, REQUEST_ENVELOPES_MAX};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BLOCK_BYTES: usize = 128 * 1024;

/// A zstd frame with this window (its logarithm) of blocks that each say: one byte, 131,072 times.
fn run_length_bomb(byte: u8, blocks: usize, window_log: u8) -> Vec<u8> {
    const RLE: usize = 1;
    let descriptor = [0, (window_log - 10) << 3];
    let mut bytes = [&ZSTD_MAGIC[..], &descriptor].concat();
    for block in 1..=blocks {
        let last = usize::from(block == blocks);
        let header = u32::try_from(last | RLE << 1 | BLOCK_BYTES << 3).unwrap();
        bytes.extend_from_slice(&header.to_le_bytes()[..3]);
        bytes.push(byte);
    }
    bytes
}

/// 10 GiB in 320 KiB.
fn ten_gibibytes() -> Vec<u8> {
    run_length_bomb(0, 10 * 1024 * 1024 * 1024 / BLOCK_BYTES, 20)
}

#[test]
fn a_bomb_of_10_gib_stops_at_the_limit() {
    let bomb = ten_gibibytes();
    assert!(bomb.len() < 512 * 1024);
    assert_eq!(inflate(&bomb, INFLATED_BYTES_MAX), Err(InflateError::TooLarge));
    let mut packed = outer();
    packed.compression = 1;
    packed.body = bomb.clone();
    assert_eq!(Envelope::decode(&cbor::to_vec(&packed)), Err(EnvelopeError::TooLarge));
    // A frame of length 0 whose checksum is zero: refused before the second chunk is inflated.
    assert_eq!(FrameReader::new().push(&bomb), Err(FrameError::Checksum));
}

#[test]
fn the_limit_is_exact() {
    let bomb = run_length_bomb(7, 2, 17);
    assert_eq!(inflate(&bomb, 2 * BLOCK_BYTES), Ok(vec![7; 2 * BLOCK_BYTES]));
    assert_eq!(inflate(&bomb, 2 * BLOCK_BYTES - 1), Err(InflateError::TooLarge));
    assert_eq!(inflate(&deflate(b""), 0), Ok(vec![]));
    assert_eq!(inflate(b"", 0), Err(InflateError::Malformed), "an empty body is one empty frame, not none");
}

/// A decoder reserves the window a stream asks for before it has seen a byte of content.
#[test]
fn a_huge_window_is_refused() {
    for (window_log, accepted) in [(23, true), (24, false), (27, false), (31, false), (40, false)] {
        let bytes = run_length_bomb(1, 1, window_log);
        assert_eq!(inflate(&bytes, BLOCK_BYTES).is_ok(), accepted, "inflate, 2^{window_log}");
        let damaged = FrameReader::new().push(&bytes) == Err(FrameError::Damaged);
        assert_eq!(damaged, !accepted, "frames, 2^{window_log}");
    }
}

#[test]
fn a_body_cut_anywhere_is_malformed_and_never_short() {
    let packed = deflate(&cbor::to_vec(&samples::request()));
    for len in 1..packed.len() {
        assert_eq!(inflate(&packed[..len], INFLATED_BYTES_MAX), Err(InflateError::Malformed), "{len} bytes");
    }
    let garbage = [packed.as_slice(), b"and then some"].concat();
    assert_eq!(inflate(&garbage, INFLATED_BYTES_MAX), Err(InflateError::Malformed));
}

/// 16 MiB of empty byte strings inflate from a few KiB and would be 384 MiB of vectors: the count is
/// looked at before the first of them is read.
#[test]
fn millions_of_empty_items_are_counted_before_they_are_read() {
    let claim = [0x9a, 0x00, 0x1f, 0xff, 0xff];
    let many = [&claim[..], &vec![0x40; 0x001f_ffff]].concat();
    let mut packed = outer();
    packed.body = [&[0x82][..], &many, &[0x80]].concat();
    assert_eq!(Envelope::decode(&cbor::to_vec(&packed)), Err(EnvelopeError::TooMany));

    let mut request = cbor::to_vec(&samples::idle_request());
    // The request's sixth field, the envelopes, is its second empty array.
    let place = request.windows(2).position(|pair| pair == [0x80, 0x80]).unwrap() + 1;
    request.splice(place..=place, many);
    assert_eq!(Request::decode(&request), Err(Malformed::TooMany));
}

#[test]
fn a_request_is_one_item_of_bounded_lists() {
    let good = cbor::to_vec(&samples::request());
    assert_eq!(Request::decode(&good), Ok(samples::request()));
    for len in 0..good.len() {
        assert!(Request::decode(&good[..len]).is_err(), "{len} bytes");
    }
    assert_eq!(Request::decode(&[good.as_slice(), &[0]].concat()), Err(Malformed::Trailing));
    let full = |count| {
        let envelopes = vec![vec![1].into(); count];
        Request::decode(&cbor::to_vec(&Request { envelopes, ..samples::idle_request() }))
    };
    assert!(full(REQUEST_ENVELOPES_MAX).is_ok());
    assert_eq!(full(REQUEST_ENVELOPES_MAX + 1), Err(Malformed::TooMany));
    assert_eq!(Request::decode(&[0x8d]), Err(Malformed::Syntax));
    assert_eq!(Request::decode(&[0x80]), Err(Malformed::Shape));
}

/// A reader that skips what it does not know would keep a stack as deep as the bytes say.
#[test]
fn nesting_and_claims_in_an_unknown_field_cost_nothing() {
    let newer = |tail: &[u8]| {
        let mut bytes = cbor::to_vec(&samples::request());
        bytes[0] += 1;
        [bytes.as_slice(), tail].concat()
    };
    assert_eq!(Request::decode(&newer(&vec![0x9f; INFLATED_BYTES_MAX])), Err(Malformed::Indefinite));
    assert_eq!(Request::decode(&newer(&vec![0x81; INFLATED_BYTES_MAX])), Err(Malformed::TooDeep));
    assert_eq!(Request::decode(&newer(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])), Err(Malformed::Syntax));
    assert_eq!(Request::decode(&newer(&[0x7b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])), Err(Malformed::Syntax));
    assert_eq!(Request::decode(&newer(&[0xc0, 0x00])), Err(Malformed::ForeignType));
    let mut packed = outer();
    packed.body = vec![0x9f; 1024];
    assert_eq!(Envelope::decode(&cbor::to_vec(&packed)), Err(EnvelopeError::Malformed));
}
