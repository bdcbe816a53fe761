//! The keys that sign access tokens, and their rotation.
//!
//! Each is a file of the folder: `token.key`, the first, and `token-SECONDS.key`, which signs from that
//! moment on. A key is there, and in the published set, before it signs, and stays until the last token
//! that it signed has ended; then the next rotation removes its file. A server looks at the folder again
//! every half minute, and when a token names a key it does not know; so replicas that share the folder, or
//! get a copy of the new file before it begins, take a rotation up without a restart.
//!
//! Nothing of this touches phones: what they are given is signed by the root, which they pin.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::ids::KeyId;
use daybook_shared::time::Timestamp;
use rand::Rng;
use serde_json::{Value, json};

use super::{JwtKey, KeysError, files};
use crate::auth::token;

/// How long a key is kept behind its successor: the longest token, and clocks that differ.
const KEPT_SECONDS: i64 = token::SECONDS + 60;
/// A folder is looked at again for a stranger's key at most so often.
const LOOK_AGAIN_MS: i64 = 5_000;
/// Keys of a folder that are read; a rotation leaves three at most.
const KEYS_MAX: usize = 32;

struct TokenKey {
    begins_at: i64,
    path: PathBuf,
    jwt: JwtKey,
}

/// All token keys of a folder, by when they begin.
pub struct TokenKeys {
    dir: PathBuf,
    ring: RwLock<Ring>,
}

struct Ring {
    keys: Vec<Arc<TokenKey>>,
    looked_at: Timestamp,
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The new key.
    pub key: KeyId,
    /// Its file.
    pub path: PathBuf,
    /// When it begins to sign.
    pub begins_at: Timestamp,
    /// Files of keys that nobody needs any more, which are gone.
    pub removed: Vec<PathBuf>,
}

/// How the new key takes the old one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// It begins so many seconds from now, and the old ones are good until their tokens have ended.
    Seconds(i64),
    /// At once, and the old ones are removed: somebody else has them. Everybody refreshes.
    None,
}

impl TokenKeys {
    pub(super) fn read(dir: &Path) -> Result<Self, KeysError> {
        let keys = read_all(dir)?;
        if keys.is_empty() {
            return Err(KeysError::Missing(dir.to_owned()));
        }
        Ok(Self { dir: dir.to_owned(), ring: RwLock::new(Ring { keys, looked_at: Timestamp::EPOCH }) })
    }

    /// The key that signs now.
    pub(super) fn signing(&self, now: Timestamp, sign: impl FnOnce(&JwtKey) -> String) -> String {
        let keys = self.keys();
        let begun = keys.iter().rev().find(|key| key.begins_at <= now.seconds());
        sign(&begun.or(keys.first()).expect("there is at least one").jwt)
    }

    /// Gives the key with this id to `check`, if it is one whose tokens may still be good.
    pub(super) fn with<T>(&self, kid: &str, now: Timestamp, check: impl FnOnce(&JwtKey) -> Option<T>) -> Option<T> {
        let find = || self.current(now).into_iter().find(|key| key.jwt.id.to_string() == kid);
        let key = find().or_else(|| if self.look_again(now) { find() } else { None })?;
        check(&key.jwt)
    }

    /// The public halves of all keys whose tokens may be good, or will be (RFC 7517, RFC 8037).
    pub fn jwks(&self, now: Timestamp) -> Value {
        let jwk = |key: &Arc<TokenKey>| {
            let x = URL_SAFE_NO_PAD.encode(key.jwt.public.bytes.0);
            let kid = key.jwt.id.to_string();
            json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x })
        };
        json!({ "keys": self.current(now).iter().map(jwk).collect::<Vec<_>>() })
    }

    /// Looks at the folder again, now.
    pub fn look(&self, now: Timestamp) {
        match read_all(&self.dir) {
            Ok(keys) if !keys.is_empty() => {
                *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Ring { keys, looked_at: now };
            }
            Ok(_) => tracing::error!("the folder of keys holds no token key any more; the known ones go on"),
            Err(error) => tracing::error!(%error, "the token keys cannot be read again; the known ones go on"),
        }
    }

    /// Makes a key that takes the place of the one that signs now.
    pub fn rotate(
        &self,
        now: Timestamp,
        overlap: Overlap,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<Rotation, KeysError> {
        self.look(now);
        let newest = self.keys().last().map_or(0, |key| key.begins_at);
        let begins_at = match overlap {
            // Two of one second would be one file.
            Overlap::Seconds(seconds) => (now.seconds() + seconds.max(0)).max(newest + 1),
            Overlap::None => now.seconds(),
        };
        if overlap == Overlap::None {
            // What has not begun, and what began in this very second, is somebody else's too.
            for key in self.keys().iter().filter(|key| key.begins_at >= begins_at) {
                files::remove(&key.path)?;
            }
        }
        let path = self.dir.join(name(begins_at));
        files::make_seed(&path, rng)?;
        self.look(now);
        let keys = self.keys();
        let made = keys.iter().find(|key| key.path == path).ok_or_else(|| KeysError::Missing(path.clone()))?;
        let kept: Vec<_> = match overlap {
            Overlap::Seconds(_) => self.current(now).iter().map(|key| key.path.clone()).collect(),
            Overlap::None => vec![path.clone()],
        };
        let removed: Vec<_> = keys.iter().map(|key| key.path.clone()).filter(|path| !kept.contains(path)).collect();
        removed.iter().try_for_each(|path| files::remove(path))?;
        let key = made.jwt.id;
        self.look(now);
        Ok(Rotation { key, path, begins_at: Timestamp::from_millis(begins_at * 1000), removed })
    }

    fn keys(&self) -> Vec<Arc<TokenKey>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// All but those whose successor began so long ago that none of their tokens is left.
    fn current(&self, now: Timestamp) -> Vec<Arc<TokenKey>> {
        let keys = self.keys();
        let gone = keys.iter().skip(1).take_while(|next| next.begins_at + KEPT_SECONDS <= now.seconds()).count();
        keys[gone..].to_vec()
    }

    /// Looks at the folder for a key that a token names; false when that was done just now.
    fn look_again(&self, now: Timestamp) -> bool {
        let looked_at = self.ring.read().unwrap_or_else(PoisonError::into_inner).looked_at;
        let due = looked_at == Timestamp::EPOCH || now.ms_since(looked_at).abs() >= LOOK_AGAIN_MS;
        if due {
            self.look(now);
        }
        due
    }
}

/// Makes the first token key of a folder that has none.
pub(super) fn make_first(dir: &Path, rng: &mut (impl Rng + ?Sized)) -> Result<(), KeysError> {
    if files::names(dir)?.iter().any(|name| begins_at(name).is_some()) {
        return Ok(());
    }
    files::make_seed(&dir.join(files::TOKEN), rng)
}

fn name(begins_at: i64) -> String {
    format!("token-{begins_at}.key")
}

/// When the key in a file of this name begins; none for other files.
fn begins_at(name: &str) -> Option<i64> {
    if name == files::TOKEN {
        return Some(0);
    }
    name.strip_prefix("token-")?.strip_suffix(".key")?.parse().ok().filter(|seconds| *seconds > 0)
}

fn read_all(dir: &Path) -> Result<Vec<Arc<TokenKey>>, KeysError> {
    let mut found: Vec<_> = files::names(dir)?.into_iter().filter_map(|name| Some((begins_at(&name)?, name))).collect();
    found.sort();
    let newest = found.into_iter().rev().take(KEYS_MAX).rev();
    newest
        .map(|(begins_at, name)| {
            let path = dir.join(name);
            let seed = files::read_seed(&path)?;
            let jwt = JwtKey::new(&seed);
            Ok(Arc::new(TokenKey { begins_at, path, jwt }))
        })
        .collect()
}
