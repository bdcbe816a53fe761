//! Compression with bounds, and the stream of frames.
//!
//! A response is one zstd stream, flushed at each frame's end. A frame is its length (4 bytes, big
//! endian), its CBOR, and the first 8 bytes of the CBOR's SHA-256. [`FrameReader`] takes bytes as
//! they come and gives out every frame that is whole, so a cut connection costs only the frame it
//! cut.

use std::io::{Read, Write};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::exchange::Frame;
use super::limits::FRAME_BYTES_MAX;
use crate::cbor;
use crate::ids::sha256;

/// zstd's level on the wire, both ways.
pub const ZSTD_LEVEL: i32 = 3;
/// The largest window a stranger's stream may ask for: 8 MiB, what every zstd decoder supports.
const WINDOW_LOG_MAX: u32 = 23;
const CHECKSUM_BYTES: usize = 8;

/// Bytes that do not inflate within their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Not a whole zstd stream.
    #[error("not a whole zstd stream")]
    Malformed,
    /// More than allowed once inflated.
    #[error("too large once inflated")]
    TooLarge,
}

/// Compresses a whole body.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, ZSTD_LEVEL).expect("compressing to memory cannot fail")
}

/// How long a whole body is once inflated, if that is at most `bytes_max`; none of it is kept, so that room
/// can be found for it first.
pub fn inflated_len(bytes: &[u8], bytes_max: usize) -> Result<usize, InflateError> {
    let mut inflated = inflating(bytes, bytes_max)?;
    let len = std::io::copy(&mut inflated, &mut std::io::sink()).map_err(|_| InflateError::Malformed)?;
    usize::try_from(len).ok().filter(|len| *len <= bytes_max).ok_or(InflateError::TooLarge)
}

/// Inflates a whole body to at most `bytes_max`; memory grows with what really comes out, never
/// with what a header claims.
pub fn inflate(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut inflated = Vec::new();
    inflating(bytes, bytes_max)?.read_to_end(&mut inflated).map_err(|_| InflateError::Malformed)?;
    if inflated.len() > bytes_max { Err(InflateError::TooLarge) } else { Ok(inflated) }
}

/// Inflates as it is read, one byte beyond `bytes_max` at most.
fn inflating(bytes: &[u8], bytes_max: usize) -> Result<impl Read, InflateError> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| InflateError::Malformed)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(|_| InflateError::Malformed)?;
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    Ok(decoder.take(limit))
}

/// Writes a response.
pub struct FrameWriter {
    encoder: zstd::stream::write::Encoder<'static, Vec<u8>>,
}

impl std::fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameWriter({} bytes)", self.len())
    }
}

impl Default for FrameWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameWriter {
    /// An empty response.
    pub fn new() -> Self {
        let encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL);
        Self { encoder: encoder.expect("level 3 is a level of zstd") }
    }

    /// Adds a frame and flushes, so that it can be read as soon as its bytes have arrived.
    pub fn push(&mut self, frame: &Frame) {
        let bytes = cbor::to_vec(frame);
        let len = u32::try_from(bytes.len()).expect("a frame is far below 4 GiB");
        let checksum = &sha256(&[&bytes])[..CHECKSUM_BYTES];
        for part in [&len.to_be_bytes(), bytes.as_slice(), checksum] {
            self.encoder.write_all(part).expect("writing to memory cannot fail");
        }
        self.encoder.flush().expect("writing to memory cannot fail");
    }

    /// Compressed bytes so far.
    pub fn len(&self) -> usize {
        self.encoder.get_ref().len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The response's body.
    pub fn finish(self) -> Vec<u8> {
        self.encoder.finish().expect("writing to memory cannot fail")
    }
}

/// Why a stream of frames cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not a zstd stream.
    #[error("the response is damaged")]
    Damaged,
    /// A frame's checksum does not fit.
    #[error("a frame of the response is damaged")]
    Checksum,
    /// A frame longer than a phone accepts.
    #[error("a frame of the response is too large")]
    TooLarge,
    /// A frame that is not of the known shape.
    #[error("a frame of the response is of an unknown shape")]
    Shape,
}

/// Reads a response as it comes.
pub struct FrameReader {
    decoder: Decoder<'static>,
    pending: Vec<u8>,
}

impl std::fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameReader({} bytes pending)", self.pending.len())
    }
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameReader {
    /// A reader at the start of a response.
    pub fn new() -> Self {
        let mut decoder = Decoder::new().expect("a zstd decoder needs only memory");
        let window = DParameter::WindowLogMax(WINDOW_LOG_MAX);
        decoder.set_parameter(window).expect("8 MiB is a window of zstd");
        Self { decoder, pending: Vec::new() }
    }

    /// Takes the next bytes of the body and gives out the frames they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
        let mut frames = Vec::new();
        let mut input = InBuffer::around(bytes);
        let mut chunk = [0; 16 * 1024];
        loop {
            let mut output = OutBuffer::around(&mut chunk[..]);
            self.decoder.run(&mut input, &mut output).map_err(|_| FrameError::Damaged)?;
            let (written, full) = (output.pos(), output.pos() == output.capacity());
            self.pending.extend_from_slice(&chunk[..written]);
            while let Some(frame) = self.next_frame()? {
                frames.push(frame);
            }
            if input.pos() == bytes.len() && !full {
                return Ok(frames);
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((len, rest)) = self.pending.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_be_bytes(*len) as usize;
        if len > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge);
        }
        let Some(whole) = rest.get(..len + CHECKSUM_BYTES) else { return Ok(None) };
        let (bytes, checksum) = whole.split_at(len);
        if sha256(&[bytes])[..CHECKSUM_BYTES] != *checksum {
            return Err(FrameError::Checksum);
        }
        let frame = minicbor::decode(bytes).map_err(|_| FrameError::Shape)?;
        self.pending.drain(..4 + len + CHECKSUM_BYTES);
        Ok(Some(frame))
    }
}
