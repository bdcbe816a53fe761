//! Passwords: what makes one (after NIST SP 800-63B: length, and not what everybody tries first; no rules
//! about characters, no date by which it must change), argon2id at rest, checked off the async threads,
//! only so many at one time.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use rand::Rng;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::app::SharedRng;

/// The shortest password, in characters.
pub const LENGTH_MIN: usize = 12;
/// The longest password, in characters.
pub const LENGTH_MAX: usize = 128;
/// The longest text that is hashed: that many characters of four bytes.
const BYTES_MAX: usize = 4 * LENGTH_MAX;
/// Hashes computed at one time: each takes 19 MiB and some 30 ms of a core.
const AT_ONCE: usize = 2;
/// What is tried first, and what people make longer ones of. Small letters.
const COMMON: &str = include_str!("common_passwords.txt");
/// A login shorter than this may be part of a password.
const LOGIN_LENGTH_MIN: usize = 4;

/// argon2id as OWASP advises: 19 MiB, 2 passes, 1 lane.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

fn hasher() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

static GATE: Semaphore = Semaphore::const_new(AT_ONCE);

/// Hashed when a login is unknown, so that the answer takes as long as for a known one.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now(b"nobody's password", b"nobody's salt 16"));

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPassword {
    /// Too short, or without end.
    #[error("a password has {LENGTH_MIN} to {LENGTH_MAX} characters")]
    Length,
    /// One of the first that are tried.
    #[error("the password is one of those that are tried first; take several words that do not belong together")]
    Common,
    /// It is made of the login.
    #[error("the password holds the login")]
    Login,
}

impl NotAPassword {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Common => "common",
            Self::Login => "login",
        }
    }
}

/// Whether this may be the password of this login.
pub fn check(login: &str, password: &str) -> Result<(), NotAPassword> {
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&password.chars().count()) {
        return Err(NotAPassword::Length);
    }
    let small = password.to_lowercase();
    let name = login.split('@').next().unwrap_or(login);
    if name.chars().count() >= LOGIN_LENGTH_MIN && small.contains(&name.to_lowercase()) {
        return Err(NotAPassword::Login);
    }
    if is_common(&small) { Err(NotAPassword::Common) } else { Ok(()) }
}

/// Whether it is a common one, or what people do to a common one to make it long: again and again, with
/// numbers and signs around it, with figures for letters; or keys and figures in a row.
fn is_common(small: &str) -> bool {
    let core = small.trim_matches(|c: char| !c.is_alphabetic());
    let spelled: String = core.chars().map(letter).filter(|c| c.is_alphanumeric()).collect();
    let common = |text: &str| COMMON.lines().any(|line| line == text);
    [small, core, &spelled].into_iter().any(|text| common(text) || common(period(text)))
        || period(small).chars().count() <= 4
        || spelled.chars().count() <= 2
        || is_run(small)
}

/// The letter that a figure or sign often stands for.
fn letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        c => c,
    }
}

/// The shortest beginning that the text is made of, again and again; the last time may break off.
fn period(text: &str) -> &str {
    let ends = text.char_indices().map(|(at, _)| at).skip(1);
    ends.map(|end| &text[..end])
        .find(|unit| text.as_bytes().iter().zip(unit.bytes().cycle()).all(|(a, b)| *a == b))
        .unwrap_or(text)
}

/// Whether every character is the next after the one in front of it, or every one the one before, but for
/// one step: `abcdefghijkl`, `987654321098`.
fn is_run(text: &str) -> bool {
    let codes: Vec<u32> = text.chars().map(u32::from).collect();
    let steps = |step: i64| codes.windows(2).filter(|pair| i64::from(pair[1]) - i64::from(pair[0]) != step).count();
    steps(1) <= 1 || steps(-1) <= 1
}

/// The hash of a new password, as a PHC string. That it is none of the login's is [`check`]'s.
pub async fn hash(password: &str, rng: &SharedRng) -> Result<String, NotAPassword> {
    check("", password)?;
    Ok(hash_again(password, rng).await)
}

/// The hash of a password that is in use, by today's cost. It may be older than today's rules.
pub async fn hash_again(password: &str, rng: &SharedRng) -> String {
    let mut salt = [0; 16];
    rng.with(|rng| rng.fill_bytes(&mut salt));
    let password = Zeroizing::new(password.as_bytes().to_vec());
    off_thread(move || hash_now(&password, &salt)).await
}

/// Whether a hash was made cheaper than new ones are.
pub fn is_cheap(hash: &str) -> bool {
    let (memory, passes, lanes) = COST;
    let params = PasswordHash::new(hash).ok().and_then(|parsed| Params::try_from(&parsed).ok());
    params.is_some_and(|params| {
        params.m_cost() < memory
            || params.t_cost() < passes
            || params.p_cost() < lanes
            || !hash.starts_with("$argon2id$")
    })
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

/// For tests of others.
#[cfg(test)]
pub(super) mod tests_support {
    use super::*;

    /// A hash that costs less than today's.
    pub fn cheap(password: &str) -> String {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8 * 1024, 1, 1, None).unwrap());
        let hash: PasswordHash = weak.hash_password_with_salt(password.as_bytes(), b"sixteen bytes ok").unwrap();
        hash.to_string()
    }
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
    async fn a_hash_of_lower_cost_still_fits_and_is_known_to_be_cheap() {
        let rng = SharedRng::from_seed(1);
        let weak = tests_support::cheap("correct horse");
        assert!(is_cheap(&weak), "{weak}");
        assert!(verify("correct horse", Some(weak)).await);
        assert!(!is_cheap(&hash_again("short", &rng).await));
        assert!(!is_cheap("none"), "what is no hash is not made one");
    }

    #[test]
    fn a_password_is_long_not_common_and_not_the_login() {
        let long = "x1".repeat(65);
        let cases = [
            ("correct horse", Ok(())),
            ("daybook-demo", Ok(())),
            ("ng'ombe wa maziwa", Ok(())),
            ("mvua kubwa sana 7", Ok(())),
            ("пароль из трёх слов", Ok(())),
            ("elevenchars", Err(NotAPassword::Length)),
            ("", Err(NotAPassword::Length)),
            (&long, Err(NotAPassword::Length)),
            ("amina.wanjiru1", Err(NotAPassword::Login)),
            ("my-AMINA.W-pass", Err(NotAPassword::Login)),
            ("password1234", Err(NotAPassword::Common)),
            ("P@ssw0rd2026!", Err(NotAPassword::Common)),
            ("!!Welcome2026!!", Err(NotAPassword::Common)),
            ("passwordpassword", Err(NotAPassword::Common)),
            ("qwertyqwerty", Err(NotAPassword::Common)),
            ("Manchester2026", Err(NotAPassword::Common)),
            ("123456789012", Err(NotAPassword::Common)),
            ("2026-11-26 01", Err(NotAPassword::Common)),
            ("aaaaaaaaaaaaa", Err(NotAPassword::Common)),
            ("abcabcabcabca", Err(NotAPassword::Common)),
            ("abcdefghijklm", Err(NotAPassword::Common)),
            ("0987654321098", Err(NotAPassword::Common)),
            ("iloveyou iloveyou", Err(NotAPassword::Common)),
            ("correct horse battery staple", Err(NotAPassword::Common)),
        ];
        for (password, verdict) in cases {
            assert_eq!(check("amina.w@example.com", password), verdict, "{password}");
        }
        assert_eq!(check("al", "al is a short login"), Ok(()));
        assert!(check("", &generate(&SharedRng::from_seed(1))).is_ok());
    }

    #[test]
    fn the_list_is_of_small_letters_and_names_each_once() {
        let mut lines: Vec<_> = COMMON.lines().collect();
        let count = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), count);
        assert!(lines.iter().all(|line| !line.is_empty() && line.to_lowercase() == *line));
    }
}
