//! What ties a sign-in to the browser that began it: one secret, in a cookie.
//!
//! State, nonce and PKCE verifier are all derived from it, so that a server keeps nothing between the two
//! requests, any replica can answer the second, and nobody fills a table by beginning. Who sees the state
//! in an address cannot find the others from it; a callback in another browser has no secret, or one that
//! the state is not of.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::ids::sha256;
use daybook_shared::time::Timestamp;
use rand::Rng;

/// How long somebody may take at the provider's.
pub const SECONDS: i64 = 10 * 60;

/// The secret: when the sign-in began, and 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Browser([u8; 40]);

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Browser")
    }
}

impl Browser {
    /// A new one.
    pub fn new(now: Timestamp, rng: &mut (impl Rng + ?Sized)) -> Self {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&now.seconds().to_be_bytes());
        rng.fill_bytes(&mut bytes[8..]);
        Self(bytes)
    }

    /// The one in a cookie's value, unless it is garbage or its time is over.
    pub fn parse(text: &str, now: Timestamp) -> Option<Self> {
        let bytes: [u8; 40] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (begun, _) = bytes.split_first_chunk::<8>()?;
        let age = now.seconds().checked_sub(i64::from_be_bytes(*begun))?;
        (0..SECONDS).contains(&age).then_some(Self(bytes))
    }

    /// The cookie's value.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What comes back in the callback's address.
    pub fn state(&self) -> String {
        self.derived(b"daybook/oidc-state/1")
    }

    /// What comes back in the identity token.
    pub fn nonce(&self) -> String {
        self.derived(b"daybook/oidc-nonce/1")
    }

    /// What the provider is shown with the code (RFC 7636).
    pub fn verifier(&self) -> String {
        self.derived(b"daybook/oidc-verifier/1")
    }

    /// What the provider is told of the verifier beforehand: S256.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(&[self.verifier().as_bytes()]))
    }

    fn derived(&self, purpose: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(sha256(&[purpose, &self.0]))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn a_browsers_secret_lasts_ten_minutes_and_gives_three_different_words() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let browser = Browser::new(now, &mut ChaCha20Rng::seed_from_u64(1));
        let text = browser.text();
        for (seconds, good) in [(-1, false), (0, true), (599, true), (600, false)] {
            assert_eq!(Browser::parse(&text, now.plus_ms(seconds * 1000)).is_some(), good, "{seconds}");
        }
        let words = [browser.state(), browser.nonce(), browser.verifier(), browser.challenge()];
        assert!(words.iter().all(|word| word.len() == 43), "{words:?}");
        assert!((0..4).all(|i| (0..i).all(|j| words[i] != words[j])));
        let other = Browser::new(now, &mut ChaCha20Rng::seed_from_u64(2));
        assert_ne!(other.state(), browser.state());
        for text in ["", "AAAA", &text[1..], &"_".repeat(54)] {
            assert_eq!(Browser::parse(text, now), None, "{text}");
        }
    }
}
