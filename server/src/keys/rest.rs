//! The keys of REST, all from one seed: cursors of lists are authenticated, requests are known by a keyed
//! fingerprint, kept answers and messages that wait are sealed, phone numbers and one-time codes are kept as
//! keyed hashes.
//!
//! None outlives its use: without the seed a client begins its list anew, the answer of a request that is
//! repeated cannot be told again, what waits is not sent, and a customer asks for a new code.

use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use daybook_shared::ids::Hash;
use hmac::{Hmac, Mac as _};
use rand::Rng;
use sha2::Sha256;

/// Bytes of a cursor's tag.
pub const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;

/// The keys of REST.
pub struct RestKeys {
    cursor: [u8; 32],
    request: [u8; 32],
    number: [u8; 32],
    code: [u8; 32],
    answers: XChaCha20Poly1305,
}

impl RestKeys {
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        let derive = |purpose: &[u8]| -> [u8; 32] { mac(seed, &[purpose]).finalize().into_bytes().into() };
        let answers = derive(b"daybook/answer/1");
        let (cursor, request) = (derive(b"daybook/cursor/1"), derive(b"daybook/request/1"));
        let (number, code) = (derive(b"daybook/number/1"), derive(b"daybook/code/1"));
        Self { cursor, request, number, code, answers: XChaCha20Poly1305::new(&Key::from(answers)) }
    }

    /// What proves that this server made a cursor of these parts.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        let whole: [u8; 32] = mac(&self.cursor, parts).finalize().into_bytes().into();
        *whole.first_chunk().expect("a MAC is longer than a tag")
    }

    /// Whether this server made the tag for a cursor of these parts.
    pub fn tag_fits(&self, parts: &[&[u8]], tag: &[u8; TAG_BYTES]) -> bool {
        mac(&self.cursor, parts).verify_truncated_left(tag).is_ok()
    }

    /// What a request of these parts is known by; nobody without the key can try what they were.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Hash {
        Hash(mac(&self.request, parts).finalize().into_bytes().into())
    }

    /// What a phone number is known by: there are so few that a plain hash would be the number.
    pub fn number(&self, phone: &str) -> Hash {
        Hash(mac(&self.number, &[phone.as_bytes()]).finalize().into_bytes().into())
    }

    /// What a one-time code for a number is kept as.
    pub fn code(&self, number: &Hash, code: &str) -> Hash {
        Hash(mac(&self.code, &[&number.0, code.as_bytes()]).finalize().into_bytes().into())
    }

    /// Whether this is the code that was kept for a number, after the same time whatever it is.
    pub fn code_fits(&self, number: &Hash, code: &str, kept: &Hash) -> bool {
        mac(&self.code, &[&number.0, code.as_bytes()]).verify_slice(&kept.0).is_ok()
    }

    /// Seals bytes for who knows what they are `about`.
    pub fn seal(&self, about: &[u8], plain: &[u8], rng: &mut (impl Rng + ?Sized)) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: plain, aad: about };
        let sealed =
            self.answers.encrypt(&XNonce::from(nonce), payload).expect("an answer is far below the cipher's limit");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`RestKeys::seal`] made, about the same.
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.answers.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: about }).ok()
    }
}

/// Each part with its length in front, so that no two lists of parts are the same bytes.
fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn a_tag_depends_on_every_part_and_on_where_it_ends() {
        let keys = RestKeys::from_seed(&[7; 32]);
        let tag = keys.tag(&[b"ab", b"c"]);
        assert!(keys.tag_fits(&[b"ab", b"c"], &tag));
        for other in [&[b"a".as_slice(), b"bc"] as &[&[u8]], &[b"ab", b"d"], &[b"ab", b"c", b""], &[b"abc"]] {
            assert!(!keys.tag_fits(other, &tag));
        }
        assert!(!RestKeys::from_seed(&[8; 32]).tag_fits(&[b"ab", b"c"], &tag));
    }

    #[test]
    fn a_code_fits_its_number_its_digits_and_its_key() {
        let keys = RestKeys::from_seed(&[7; 32]);
        let (number, other) = (keys.number("+254712345678"), keys.number("+254712345679"));
        let kept = keys.code(&number, "012345");
        assert!(keys.code_fits(&number, "012345", &kept));
        assert!(!keys.code_fits(&number, "012346", &kept) && !keys.code_fits(&other, "012345", &kept));
        let strange = RestKeys::from_seed(&[8; 32]);
        assert!(!strange.code_fits(&number, "012345", &kept));
        assert_ne!(strange.number("+254712345678"), number);
    }

    #[test]
    fn what_is_sealed_opens_with_the_key_about_the_same_and_unchanged() {
        let (keys, rng) = (RestKeys::from_seed(&[7; 32]), &mut ChaCha20Rng::seed_from_u64(1));
        let mut sealed = keys.seal(b"this", b"a code", rng);
        assert_eq!(keys.open(b"this", &sealed).as_deref(), Some(b"a code".as_slice()));
        assert_eq!(keys.open(b"that", &sealed), None);
        assert_eq!(RestKeys::from_seed(&[8; 32]).open(b"this", &sealed), None);
        sealed[30] ^= 1;
        assert_eq!(keys.open(b"this", &sealed), None);
        assert_eq!(keys.open(b"this", b"short"), None);
    }
}
