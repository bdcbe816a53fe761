//! The server's keys: files beside the database, never in it.
//!
//! A folder holds four secrets and the deployment's id:
//!
//! * `root.key`: Ed25519. Signs acknowledgements, receipt blocks, certificates and leases; phones
//!   pin its public half when they enrol, so losing it means enrolling every phone again.
//! * `token.key` and its successors: Ed25519. Sign the access tokens of REST, which live for minutes;
//!   `daybook keys rotate` makes the next one, see [`tokens`].
//! * `envelope.key`: X25519. Opens envelopes that come through a relay; its public half is handed out
//!   from the first day, so that phones enrolled now can use one.
//! * `rest.key`: authenticates the cursors of lists and seals kept answers, see [`rest`]. It may be
//!   removed like the token's.
//! * `deployment`: the deployment's id, and whether it is a test. A database made anew beside the
//!   folder is the same deployment with a new epoch.
//!
//! The root is not rotated. A phone opens what it is handed with the one key it pinned, and version 1 of its
//! formats has no certificate by which one key of the server vouches for another: until phones know one,
//! a new root means enrolling again. So the root signs as little as it can (acknowledgements, blocks,
//! certificates, leases), and what people's browsers carry has keys of its own.

use std::path::{Path, PathBuf};

use curve25519_dalek::montgomery::MontgomeryPoint;
use daybook_shared::ids::{DeploymentId, KeyId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::sealed;
use daybook_shared::wire::sign::{PublicKey, Signer};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use rest::RestKeys;
use tokens::TokenKeys;

mod files;
pub mod rest;
pub mod tokens;
#[cfg(test)]
mod tokens_tests;

/// What a token is for. Each kind has its own `typ` and its own key, so that none passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token of REST (RFC 9068's `typ`).
    Access,
    /// A device's lease.
    Lease,
}

impl TokenKind {
    /// The header's `typ`.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Lease => "daybook-lease+jwt",
        }
    }
}

/// All keys of the server. Debug shows ids only.
pub struct Keys {
    /// The root: acknowledgements, receipt blocks, certificates, leases.
    pub server: Signer,
    /// Access tokens of REST.
    pub access: TokenKeys,
    lease: JwtKey,
    /// For envelopes that come through a relay.
    envelope: Zeroizing<[u8; 32]>,
    /// For cursors and kept answers.
    pub rest: RestKeys,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What a key folder says it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Made with `--test`.
    pub is_test: bool,
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The folder or a file in it cannot be read or written.
    #[error("the key file {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file that holds something else.
    #[error("{} is not a key file of this server; restore it from its backup", .0.display())]
    Damaged(PathBuf),
    /// A secret that everyone on the machine can read.
    #[error("{} can be read by others: chmod 600 it", .0.display())]
    Exposed(PathBuf),
    /// The database exists and its keys do not.
    #[error(
        "the keys of this database are not in {}: name their folder with --keys, or restore it from its backup \
         (phones trust no other key)",
        .0.display()
    )]
    Missing(PathBuf),
    /// The folder belongs to another database.
    #[error("the keys in {} belong to deployment {found}, the database is {expected}", path.display())]
    OtherDeployment {
        /// The folder.
        path: PathBuf,
        /// Whose keys they are.
        found: DeploymentId,
        /// Whose database it is.
        expected: DeploymentId,
    },
}

/// The folder of keys that goes with a database when none is named: `PATH.keys` beside the file,
/// `daybook.keys` here for PostgreSQL.
pub fn default_dir(db_url: &str) -> PathBuf {
    match db_url.strip_prefix("sqlite:") {
        Some(path) => PathBuf::from(format!("{path}.keys")),
        None => PathBuf::from("daybook.keys"),
    }
}

/// What a key folder belongs to, if it is one.
pub fn identity(dir: &Path) -> Result<Option<Identity>, KeysError> {
    files::read_identity(dir)
}

impl Keys {
    /// Makes the folder and what is missing in it, for a database that is being created, and says
    /// whose keys they are: `proposed` for a new folder, what it says of itself otherwise.
    pub fn create(
        dir: &Path,
        proposed: Identity,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<(Self, Identity), KeysError> {
        files::make_dir(dir)?;
        files::write_identity(dir, proposed)?;
        let identity = files::read_identity(dir)?.ok_or_else(|| KeysError::Missing(dir.to_owned()))?;
        for name in [files::ROOT, files::ENVELOPE, files::REST] {
            files::make_seed(&dir.join(name), rng)?;
        }
        tokens::make_first(dir, rng)?;
        Ok((Self::read(dir)?, identity))
    }

    /// The keys of an existing database. Only the keys of tokens and of REST are made anew when
    /// they are missing: what they protect is short-lived and nobody pins them.
    pub fn open(dir: &Path, deployment: DeploymentId, rng: &mut (impl Rng + ?Sized)) -> Result<Self, KeysError> {
        let found = files::read_identity(dir)?.ok_or_else(|| KeysError::Missing(dir.to_owned()))?.deployment;
        if found != deployment {
            return Err(KeysError::OtherDeployment { path: dir.to_owned(), found, expected: deployment });
        }
        tokens::make_first(dir, rng)?;
        files::make_seed(&dir.join(files::REST), rng)?;
        Self::read(dir)
    }

    fn read(dir: &Path) -> Result<Self, KeysError> {
        let root = files::read_seed(&dir.join(files::ROOT))?;
        let envelope = files::read_seed(&dir.join(files::ENVELOPE))?;
        let rest = RestKeys::from_seed(&*files::read_seed(&dir.join(files::REST))?);
        let (access, lease) = (TokenKeys::read(dir)?, JwtKey::new(&root));
        Ok(Self { server: Signer::from_seed(&root), access, lease, envelope, rest })
    }

    /// The public half of the root, which phones pin.
    pub fn public(&self) -> PublicKey {
        self.server.public()
    }

    /// The public half of the key that opens relayed envelopes (X25519, RFC 7748), which phones keep.
    pub fn envelope_public(&self) -> [u8; 32] {
        MontgomeryPoint::mul_base_clamped(*self.envelope).to_bytes()
    }

    /// The secret half of that key, if it is the one that is named.
    pub fn envelope_secret(&self, key: KeyId) -> Option<&[u8; 32]> {
        (key == sealed::key_id(&self.envelope_public())).then_some(&*self.envelope)
    }

    /// A signed token of this kind.
    pub fn encode(&self, kind: TokenKind, now: Timestamp, claims: &impl Serialize) -> String {
        match kind {
            TokenKind::Access => self.access.signing(now, |key| key.encode(kind, claims)),
            TokenKind::Lease => self.lease.encode(kind, claims),
        }
    }

    /// The claims of a token of this kind that this server signed. Algorithm, type and key id are
    /// pinned; issuer and times are the caller's, who has the clock.
    pub fn decode<T: DeserializeOwned>(&self, kind: TokenKind, now: Timestamp, token: &str) -> Option<T> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        match kind {
            TokenKind::Access => {
                let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
                self.access.with(&kid, now, |key| key.decode(kind, token))
            }
            TokenKind::Lease => self.lease.decode(kind, token),
        }
    }
}

/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 4 * 1024;
/// PKCS #8 in front of an Ed25519 seed (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

struct JwtKey {
    id: KeyId,
    public: PublicKey,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl JwtKey {
    fn new(seed: &[u8; 32]) -> Self {
        let public = Signer::from_seed(seed).public();
        let der = Zeroizing::new([PKCS8_ED25519.as_slice(), seed].concat());
        Self {
            id: public.id(),
            public,
            encoding: EncodingKey::from_ed_der(&der),
            decoding: DecodingKey::from_ed_der(&public.bytes.0),
        }
    }

    fn encode(&self, kind: TokenKind, claims: &impl Serialize) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(kind.typ().to_owned());
        header.kid = Some(self.id.to_string());
        jsonwebtoken::encode(&header, claims, &self.encoding).expect("our claims are JSON and our key is Ed25519")
    }

    fn decode<T: DeserializeOwned>(&self, kind: TokenKind, token: &str) -> Option<T> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let token = jsonwebtoken::decode::<T>(token, &self.decoding, &validation).ok()?;
        let ours = token.header.typ.as_deref() == Some(kind.typ())
            && token.header.kid.as_deref() == Some(self.id.to_string().as_str())
            && token.header.crit.is_none();
        ours.then_some(token.claims)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn identity_of(byte: u8) -> Identity {
        Identity { deployment: DeploymentId::from([byte; 16]), is_test: false }
    }

    #[test]
    fn keys_are_made_once_and_read_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("keys");
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        assert!(matches!(Keys::open(&dir, identity_of(1).deployment, rng), Err(KeysError::Missing(_))));
        let (made, identity) = Keys::create(&dir, identity_of(1), rng).unwrap();
        assert_eq!(identity, identity_of(1));
        let read = Keys::open(&dir, identity_of(1).deployment, rng).unwrap();
        assert_eq!((read.public(), read.envelope_public()), (made.public(), made.envelope_public()));
        let (again, identity) = Keys::create(&dir, identity_of(2), rng).unwrap();
        assert_eq!((again.public(), identity), (made.public(), identity_of(1)));
        let other = Keys::open(&dir, identity_of(2).deployment, rng);
        assert!(matches!(other, Err(KeysError::OtherDeployment { .. })));
    }

    #[test]
    fn a_damaged_or_missing_root_is_an_error_and_a_missing_token_key_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let (keys, identity) = Keys::create(dir.path(), identity_of(1), rng).unwrap();
        let token = keys.encode(TokenKind::Access, Timestamp::EPOCH, &serde_json::json!({}));
        std::fs::remove_file(dir.path().join("token.key")).unwrap();
        let rotated = Keys::open(dir.path(), identity.deployment, rng).unwrap();
        assert!(rotated.decode::<serde_json::Value>(TokenKind::Access, Timestamp::EPOCH, &token).is_none());
        assert_eq!(rotated.public(), keys.public());

        std::fs::write(dir.path().join("root.key"), "not a key").unwrap();
        assert!(matches!(Keys::open(dir.path(), identity.deployment, rng), Err(KeysError::Damaged(_))));
        std::fs::remove_file(dir.path().join("root.key")).unwrap();
        assert!(matches!(Keys::open(dir.path(), identity.deployment, rng), Err(KeysError::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let (_, identity) = Keys::create(dir.path(), identity_of(1), rng).unwrap();
        let root = dir.path().join("root.key");
        assert_eq!(std::fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::open(dir.path(), identity.deployment, rng), Err(KeysError::Exposed(_))));
    }

    #[test]
    fn a_token_of_one_kind_is_none_of_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let (keys, _) = Keys::create(dir.path(), identity_of(1), &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        let claims = serde_json::json!({ "sub": "x" });
        for (kind, other) in [(TokenKind::Access, TokenKind::Lease), (TokenKind::Lease, TokenKind::Access)] {
            let token = keys.encode(kind, Timestamp::EPOCH, &claims);
            assert_eq!(keys.decode(kind, Timestamp::EPOCH, &token), Some(claims.clone()));
            assert_eq!(keys.decode::<serde_json::Value>(other, Timestamp::EPOCH, &token), None);
        }
    }

    /// Goal: what phones keep is what who seals for the server needs. Method: the first iteration of RFC
    /// 7748, section 5.2, whose scalar and point are both 9.
    #[test]
    fn the_envelope_keys_public_half_is_x25519s() {
        let dir = tempfile::tempdir().unwrap();
        let (mut keys, _) = Keys::create(dir.path(), identity_of(1), &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        let mut nine = [0; 32];
        nine[0] = 9;
        keys.envelope = Zeroizing::new(nine);
        let public = daybook_shared::ids::Hash(keys.envelope_public());
        assert_eq!(public.to_string(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
}
