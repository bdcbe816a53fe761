//! What phone and server say to each other: envelopes up, frames down, signatures on both.
//!
//! * [`sign`]: keys, contexts, signed payloads (acknowledgement, receipt block, certificate).
//! * [`envelope`]: the sealed, signed, gapless-numbered batch a device uploads.
//! * [`exchange`]: the request of `POST /v1/sync` and the frames of its response.
//! * [`catalogue`]: the offers that a phone may quote from.
//! * [`framing`]: compression with bounds, and the stream of frames that survives a cut.
//! * [`outcome`]: the server's verdicts on entries and board changes.
//! * [`sealed`]: boxes that only the server can open.
//! * [`limits`]: every limit of the road in one place.

pub mod catalogue;
pub mod envelope;
pub mod exchange;
pub mod framing;
pub mod limits;
pub mod outcome;
pub mod sealed;
pub mod sign;

#[cfg(test)]
mod tests;
