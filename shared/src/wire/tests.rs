//! What envelopes and frames promise, and their bytes, pinned.
