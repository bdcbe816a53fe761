//! What a stranger's bytes go through, as functions of bytes: for cargo-fuzz and for `make test`.
//!
//! * [`bodies`]: one function a target; it panics where a promise is broken.
//! * [`seeds`]: where the corpora under `fuzz/corpus` come from: real encoders, and hostile variants.
//! * [`mutate`]: deterministic damage, so that the corpora find something without a fuzzer too.

mod board_seeds;
pub mod bodies;
mod entry_seeds;
pub mod mutate;
pub mod seeds;
