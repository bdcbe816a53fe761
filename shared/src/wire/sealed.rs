//! Boxes that only the server can open, for what somebody else carries to it: an ephemeral X25519 key, and
//! XChaCha20-Poly1305 under a key that both halves of the exchange make. Who sealed is not proven; what is in
//! the box is signed.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use curve25519_dalek::montgomery::MontgomeryPoint;
use rand::Rng;

use crate::ids::{KeyId, sha256};

const CONTEXT: &[u8] = b"daybook/sealed/1";
const KEY_BYTES: usize = 32;
/// A key is used once, so its nonce is always this one.
const NONCE: [u8; 24] = [0; 24];

/// The id of an X25519 key, as envelopes name it: the first 8 bytes of its public half's SHA-256.
pub fn key_id(public: &[u8; KEY_BYTES]) -> KeyId {
    let hash = sha256(&[public]);
    let mut id = [0; 8];
    id.copy_from_slice(&hash[..8]);
    KeyId(id)
}

/// Seals `plain` to the holder of a key, bound to `about`, which travels beside it in the clear. `None` for a
/// key that is a point of small order, with which anybody could open the box.
pub fn seal(public: &[u8; KEY_BYTES], about: &[u8], plain: &[u8], rng: &mut dyn Rng) -> Option<Vec<u8>> {
    let mut secret = [0; KEY_BYTES];
    rng.fill_bytes(&mut secret);
    let ephemeral = MontgomeryPoint::mul_base_clamped(secret).to_bytes();
    let cipher = cipher(secret, &MontgomeryPoint(*public), &ephemeral, public)?;
    let sealed = cipher.encrypt(&XNonce::from(NONCE), Payload { msg: plain, aad: about });
    Some([ephemeral.as_slice(), &sealed.expect("sealing to memory cannot fail below 256 GiB")].concat())
}

/// What was sealed to the key with this secret half, beside `about`; `None` when it was not, or was altered.
pub fn open(secret: &[u8; KEY_BYTES], about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (ephemeral, sealed) = sealed.split_first_chunk::<KEY_BYTES>()?;
    let public = MontgomeryPoint::mul_base_clamped(*secret).to_bytes();
    let cipher = cipher(*secret, &MontgomeryPoint(*ephemeral), ephemeral, &public)?;
    cipher.decrypt(&XNonce::from(NONCE), Payload { msg: sealed, aad: about }).ok()
}

fn cipher(
    secret: [u8; KEY_BYTES],
    other: &MontgomeryPoint,
    ephemeral: &[u8; KEY_BYTES],
    public: &[u8; KEY_BYTES],
) -> Option<XChaCha20Poly1305> {
    let shared = other.mul_clamped(secret).to_bytes();
    let key = sha256(&[CONTEXT, &[0], &shared, ephemeral, public]);
    (shared != [0; KEY_BYTES]).then(|| XChaCha20Poly1305::new(&Key::from(key)))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn a_box_opens_with_its_key_beside_what_it_is_about() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = [7; 32];
        let public = MontgomeryPoint::mul_base_clamped(secret).to_bytes();
        let sealed = seal(&public, b"header", b"Amina", &mut rng).unwrap();
        assert_eq!(open(&secret, b"header", &sealed).as_deref(), Some(b"Amina".as_slice()));
        assert_ne!(seal(&public, b"header", b"Amina", &mut rng).unwrap(), sealed, "another key each time");
        assert_eq!(open(&secret, b"another", &sealed), None);
        assert_eq!(open(&[8; 32], b"header", &sealed), None);
        assert_eq!(open(&secret, b"header", &sealed[..40]), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(open(&secret, b"header", &altered), None, "{at}");
        }
    }

    #[test]
    fn a_key_with_which_anybody_could_open_seals_nothing() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        assert_eq!(seal(&[0; 32], b"", b"Amina", &mut rng), None);
        assert_eq!(open(&[7; 32], b"", &[0; 80]), None);
    }
}
