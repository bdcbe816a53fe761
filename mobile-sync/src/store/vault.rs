//! Sealing of rows: XChaCha20-Poly1305 under the host app's key, bound to table and row.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::Rng;

const NONCE_BYTES: usize = 24;

/// The cipher under the host app's key.
pub(crate) struct Vault {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

/// Where a sealed value lives: it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The table, and the column where a table has several.
    pub table: &'static str,
    /// What names the row.
    pub row: &'a [u8],
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        [self.table.as_bytes(), &[0], self.row].concat()
    }
}

impl Vault {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&Key::from(*key)) }
    }

    /// Nonce and ciphertext. The nonce is random: 192 bits never meet again.
    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8], rng: &mut dyn Rng) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: plain, aad: &place.associated_data() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        [nonce.as_slice(), &sealed.expect("sealing to memory cannot fail below 256 GiB")].concat()
    }

    /// The plain bytes; `None` under another key, for another place, or when damaged.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: &place.associated_data() };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_in_its_place() {
        let (vault, mut rng) = (Vault::new(&[1; 32]), rng(1));
        let place = Place { table: "entry", row: b"1" };
        let sealed = vault.seal(place, b"Amina", &mut rng);
        assert_eq!(vault.open(place, &sealed).as_deref(), Some(b"Amina".as_slice()));
        assert_ne!(vault.seal(place, b"Amina", &mut rng), sealed, "another nonce");
        assert_eq!(vault.open(Place { table: "entry", row: b"2" }, &sealed), None);
        assert_eq!(vault.open(Place { table: "section", row: b"1" }, &sealed), None);
        assert_eq!(Vault::new(&[2; 32]).open(place, &sealed), None);
        assert_eq!(vault.open(place, &sealed[..10]), None);
        let mut damaged = sealed;
        damaged[30] ^= 1;
        assert_eq!(vault.open(place, &damaged), None);
    }
}
