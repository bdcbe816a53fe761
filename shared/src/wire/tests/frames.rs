//! A response that arrives in pieces, or only in part, or damaged.

use std::io::Write as _;

use proptest::prelude::*;

use super::samples;
use crate::cbor;
use crate::ids::sha256;
use crate::wire::exchange::Frame;
use crate::wire::framing::{FrameError, FrameReader, FrameWriter, ZSTD_LEVEL};
use crate::wire::limits::FRAME_BYTES_MAX;

/// A response of these frames, and where in it each is complete.
fn response(frames: &[Frame]) -> (Vec<u8>, Vec<usize>) {
    let mut writer = FrameWriter::new();
    assert!(writer.is_empty());
    let mut ends = Vec::new();
    for frame in frames {
        writer.push(frame);
        ends.push(writer.len());
    }
    (writer.finish(), ends)
}

fn frames() -> Vec<Frame> {
    let mut frames: Vec<_> = (1..5).map(samples::numbered_frame).collect();
    frames.insert(2, samples::frame());
    frames.push(Frame::default());
    frames
}

/// What a stream of these bytes inside gives.
fn read_stream(inside: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).unwrap();
    encoder.write_all(inside).unwrap();
    FrameReader::new().push(&encoder.finish().unwrap())
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&len, bytes, &sha256(&[bytes])[..8]].concat()
}

#[test]
fn every_frame_is_out_as_soon_as_its_bytes_are_in() {
    let frames = frames();
    let (bytes, ends) = response(&frames);
    let mut reader = FrameReader::new();
    let mut seen = Vec::new();
    for (place, byte) in bytes.iter().enumerate() {
        seen.extend(reader.push(&[*byte]).unwrap());
        let complete = ends.iter().filter(|end| **end <= place + 1).count();
        assert!(seen.len() >= complete, "{} of {complete} frames after {} bytes", seen.len(), place + 1);
    }
    assert_eq!(seen, frames);
}

#[test]
fn a_response_cut_anywhere_gives_exactly_its_whole_frames() {
    let frames = frames();
    let (bytes, ends) = response(&frames);
    for cut in 0..=bytes.len() {
        let seen = FrameReader::new().push(&bytes[..cut]).unwrap();
        let complete = ends.iter().filter(|end| **end <= cut).count();
        assert!(seen.len() >= complete, "cut after {cut} bytes");
        assert_eq!(seen, frames[..seen.len()], "cut after {cut} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_do_not_matter(cuts in prop::collection::vec(0_usize..2_000, 0..20), count in 0_u64..60) {
        let frames: Vec<_> = (1..=count).map(samples::numbered_frame).chain([samples::frame()]).collect();
        let (bytes, _) = response(&frames);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let mut reader = FrameReader::new();
        let mut seen = Vec::new();
        for piece in cuts.windows(2) {
            seen.extend(reader.push(&bytes[piece[0]..piece[1]]).unwrap());
        }
        prop_assert_eq!(seen, frames);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), intact in 0_usize..200) {
        let (good, _) = response(&frames());
        let mixed = [&good[..intact.min(good.len())], bytes.as_slice()].concat();
        drop(FrameReader::new().push(&mixed));
        drop(read_stream(&bytes));
    }
}

/// zstd has no checksum of its own here; each frame has one. Damage is found, or did no harm.
#[test]
fn a_damaged_response_never_gives_a_wrong_frame() {
    let frames = frames();
    let (bytes, _) = response(&frames);
    let mut found = 0;
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        let mut reader = FrameReader::new();
        let mut seen = Vec::new();
        for byte in damaged {
            let Ok(more) = reader.push(&[byte]) else {
                found += 1;
                break;
            };
            seen.extend(more);
        }
        assert_eq!(seen, frames[..seen.len().min(frames.len())], "byte {place}");
    }
    assert!(found > 0);
}

#[test]
fn what_a_stream_may_not_hold() {
    let good = cbor::to_vec(&samples::numbered_frame(1));
    assert_eq!(read_stream(&framed(&good)), Ok(vec![samples::numbered_frame(1)]));
    assert_eq!(read_stream(&framed(&good)[..3]), Ok(vec![]), "a length cut off is a frame to come");

    let mut checksum = framed(&good);
    *checksum.last_mut().unwrap() ^= 1;
    assert_eq!(read_stream(&checksum), Err(FrameError::Checksum));

    assert_eq!(read_stream(&[0xff; 4]), Err(FrameError::TooLarge), "a frame that claims 4 GiB");
    let largest = u32::try_from(FRAME_BYTES_MAX).unwrap();
    assert_eq!(read_stream(&largest.to_be_bytes()), Ok(vec![]), "the largest frame is waited for");
    assert_eq!(read_stream(&(largest + 1).to_be_bytes()), Err(FrameError::TooLarge));

    for (what, bytes) in [("an array", &[0x80_u8][..]), ("cut off", &good[..good.len() - 1]), ("nothing", &[])] {
        assert_eq!(read_stream(&framed(bytes)), Err(FrameError::Shape), "{what}");
    }
    assert_eq!(FrameReader::new().push(b"<html>busy</html>"), Err(FrameError::Damaged), "a proxy's page");
}

#[test]
fn a_reader_that_failed_stays_failed_or_gives_nothing_wrong() {
    let (bytes, _) = response(&[samples::numbered_frame(1)]);
    let mut reader = FrameReader::new();
    assert_eq!(reader.push(b"not zstd at all"), Err(FrameError::Damaged));
    assert!(reader.push(&bytes).unwrap_or_default().len() <= 1);
    assert!(format!("{reader:?}").starts_with("FrameReader("));
}
