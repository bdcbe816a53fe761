//! Deterministic damage to bytes.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Bytes that begin, end or stretch something in CBOR, zstd or LEB128.
const TELLING: [u8; 14] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x9b, 0xbb, 0x5b, 0x7b, 0x9f, 0xbf, 0xf6, 0xfb, 0xc0];
/// The most that a mutant grows by.
const GROWTH_MAX: usize = 64;

/// So many mutants of some bytes; the same ones every time.
pub fn mutants<'a>(
    name: &str,
    original: &'a [u8],
    others: &'a [Vec<u8>],
    count: usize,
) -> impl Iterator<Item = Vec<u8>> {
    let mut rng = ChaCha8Rng::from_seed(daybook_shared::ids::sha256(&[name.as_bytes(), original]));
    (0..count).map(move |_| {
        let mut bytes = original.to_vec();
        for _ in 0..rng.random_range(1..4) {
            damage(&mut bytes, others, &mut rng);
        }
        bytes
    })
}

fn damage(bytes: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..=bytes.len());
    let end = rng.random_range(at..=bytes.len().min(at + GROWTH_MAX));
    match rng.random_range(0..7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = TELLING[rng.random_range(0..TELLING.len())],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        5 => {
            let claim = [TELLING[rng.random_range(5..9)], 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
            bytes.splice(at..end, claim);
        }
        _ => {
            let other = &others[rng.random_range(0..others.len())];
            let cut = rng.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[cut..]);
        }
    }
}
