//! What envelopes and frames promise, and their bytes, pinned.

mod diagnostic;
mod envelopes;
mod formats;
mod frames;
mod hostile;
mod samples;
mod signatures;
