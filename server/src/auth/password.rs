//! Passwords: argon2id at rest, checked off the async threads, only so many at one time.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use rand::Rng;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::app::SharedRng;

/// The shortest password, in characters.
pub const LENGTH_MIN: usize = 10;
/// The longest password, in bytes.
pub const BYTES_MAX: usize = 256;
/// Hashes computed at one time: each takes 19 MiB and some 30 ms of a core.
const AT_ONCE: usize = 2;

/// argon2id as OWASP advises: 19 MiB, 2 passes, 1 lane.
fn hasher() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

static GATE: Semaphore = Semaphore::const_new(AT_ONCE);

/// Hashed when a login is unknown, so that the answer takes as long as for a known one.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now(b"nobody's password", b"nobody's salt 16"));

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has at least {LENGTH_MIN} characters and at most {BYTES_MAX} bytes")]
pub struct NotAPassword;

/// The hash of a new password, as a PHC string.
pub async fn hash(password: &str, rng: &SharedRng) -> Result<String, NotAPassword> {
    if password.chars().count() < LENGTH_MIN || password.len() > BYTES_MAX {
        return Err(NotAPassword);
    }
    let mut salt = [0; 16];
    rng.with(|rng| rng.fill_bytes(&mut salt));
    let password = Zeroizing::new(password.as_bytes().to_vec());
    Ok(off_thread(move || hash_now(&password, &salt)).await)
}

/// Whether the password belongs to the hash. Without a hash (an unknown login) it takes as long and
/// says no.
pub async fn verify(password: &str, hash: Option<String>) -> bool {
    if password.len() > BYTES_MAX {
        return false;
    }
    let password = Zeroizing::new(password.as_bytes().to_vec());
    off_thread(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let parsed = PasswordHash::new(&hash);
        parsed.is_ok_and(|parsed| hasher().verify_password(&password, &parsed).is_ok()) && known
    })
    .await
}

fn hash_now(password: &[u8], salt: &[u8]) -> String {
    let hash = hasher().hash_password_with_salt(password, salt).expect("password and salt are within argon2's bounds");
    let hash: PasswordHash = hash;
    hash.to_string()
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _permit = GATE.acquire().await.expect("the semaphore is never closed");
    tokio::task::spawn_blocking(work).await.expect("hashing does not panic")
}

/// A password nobody chose: 16 characters without look-alikes, in groups.
pub fn generate(rng: &SharedRng) -> String {
    super::codes::grouped::<16>(rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits_and_no_two_hashes_are_alike() {
        let rng = SharedRng::from_seed(1);
        let first = hash("correct horse", &rng).await.unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(first, hash("correct horse", &rng).await.unwrap());
        assert!(verify("correct horse", Some(first.clone())).await);
        assert!(!verify("correct horsf", Some(first.clone())).await);
        assert!(!verify("", Some(first)).await);
        assert!(!verify("nobody's password", None).await);
        assert!(!verify("anything", Some("not a hash".to_owned())).await);
    }

    #[tokio::test]
    async fn a_password_is_neither_short_nor_endless() {
        let rng = SharedRng::from_seed(1);
        assert_eq!(hash("123456789", &rng).await, Err(NotAPassword));
        assert_eq!(hash(&"x".repeat(257), &rng).await, Err(NotAPassword));
        assert!(hash(&generate(&rng), &rng).await.is_ok());
    }
}
