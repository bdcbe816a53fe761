//! Signatures. Each covers a context, the deployment and the signing key's id, so that a signature
//! made for one purpose or one lender is worth nothing for another.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

use crate::cbor;
use crate::entry::ReceiptNumber;
use crate::ids::{AckHash, DeploymentId, DeviceId, EnvelopeId, Epoch, Hash, InstallId, KeyId, UserId, sha256};
use crate::time::Timestamp;

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A device's envelope.
    Envelope,
    /// A device's request.
    Request,
    /// The server's acknowledgement.
    Acknowledgement,
    /// The server's lease (the JWT's own signature; the context is its type).
    Lease,
    /// The server's grant of receipt numbers.
    Block,
    /// The server's order to wipe a phone.
    Wipe,
    /// The server's statement that a device key was enrolled.
    Certificate,
}

impl Context {
    /// The text that is signed in front of everything else.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Envelope => "daybook/envelope/1",
            Self::Request => "daybook/request/1",
            Self::Acknowledgement => "daybook/acknowledgement/1",
            Self::Lease => "daybook/lease/1",
            Self::Block => "daybook/block/1",
            Self::Wipe => "daybook/wipe/1",
            Self::Certificate => "daybook/certificate/1",
        }
    }

    fn message(self, deployment: DeploymentId, key: KeyId, payload: &[u8]) -> Vec<u8> {
        [self.text().as_bytes(), &[0], deployment.as_bytes(), &key.0, payload].concat()
    }
}

/// Signature algorithms. ES256 is reserved for phones whose keystore has nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Algorithm {
    /// Ed25519.
    #[n(0)]
    Ed25519,
}

/// A public key as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PublicKey {
    /// The algorithm.
    #[n(0)]
    pub algorithm: Algorithm,
    /// The key: 32 bytes of Ed25519.
    #[n(1)]
    pub bytes: Hash,
}

impl PublicKey {
    /// The key's id: the first 8 bytes of its SHA-256.
    pub fn id(&self) -> KeyId {
        KeyId(first_8(sha256(&[&self.bytes.0])))
    }

    /// Whether `signature` was made with this key over the payload, for this purpose and lender.
    pub fn verify(&self, context: Context, deployment: DeploymentId, payload: &[u8], signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.bytes.0) else { return false };
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&context.message(deployment, self.id(), payload), &signature).is_ok()
    }
}

/// 64 bytes of Ed25519.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

impl<C> Encode<C> for Signature {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Signature {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        cbor::array::<64>(d).map(Self)
    }
}

/// A private key and what it signs for. Debug shows the key's id only.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.public.id())
    }
}

impl Signer {
    /// The key with this 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey { algorithm: Algorithm::Ed25519, bytes: Hash(key.verifying_key().to_bytes()) };
        Self { key, public }
    }

    /// A new key.
    pub fn generate(rng: &mut (impl rand::Rng + ?Sized)) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self::from_seed(&seed)
    }

    /// The seed, for keeping it. A secret.
    pub fn seed(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a payload for one purpose and lender.
    pub fn sign(&self, context: Context, deployment: DeploymentId, payload: &[u8]) -> Signature {
        Signature(self.key.sign(&context.message(deployment, self.public.id(), payload)).to_bytes())
    }
}

/// A payload with its signature: what the server hands out and the phone keeps.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Signed {
    /// Which key signed.
    #[n(0)]
    pub key: KeyId,
    /// The payload's CBOR, as it was signed.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub payload: Vec<u8>,
    /// The signature.
    #[n(2)]
    pub signature: Signature,
}

/// A signed payload that is not what it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Signed by another key.
    #[error("signed by another key")]
    OtherKey,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Signature,
    /// The payload is not what was expected.
    #[error("the payload is not what was expected")]
    Payload,
}

impl Signed {
    /// Signs `payload` for one purpose and lender.
    pub fn seal(signer: &Signer, context: Context, deployment: DeploymentId, payload: &impl Encode<()>) -> Self {
        let payload = cbor::to_vec(payload);
        let signature = signer.sign(context, deployment, &payload);
        Self { key: signer.public().id(), payload, signature }
    }

    /// The payload, if `key` signed it for this purpose and lender.
    pub fn open<'b, T: Decode<'b, ()>>(
        &'b self,
        key: &PublicKey,
        context: Context,
        deployment: DeploymentId,
    ) -> Result<T, SignedError> {
        if self.key != key.id() {
            return Err(SignedError::OtherKey);
        }
        if !key.verify(context, deployment, &self.payload, &self.signature) {
            return Err(SignedError::Signature);
        }
        minicbor::decode(&self.payload).map_err(|_| SignedError::Payload)
    }
}

/// What the server thinks of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum DeviceState {
    /// In use.
    #[n(0)]
    Ok,
    /// Retired, or its user is no longer active: it may hand in, it gets nothing.
    #[n(1)]
    Revoked,
    /// Lost or stolen: what comes from it waits for a person.
    #[n(2)]
    Wipe,
}

/// The server's signed answer: what it holds of this install, and when it said so.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Acknowledgement {
    /// The history of the database this is true of.
    #[n(0)]
    pub epoch: Epoch,
    /// The device.
    #[n(1)]
    pub device: DeviceId,
    /// The install.
    #[n(2)]
    pub install: InstallId,
    /// The number of the last envelope taken, 0 before the first.
    #[n(3)]
    pub number: u64,
    /// That envelope.
    #[n(4)]
    pub envelope: EnvelopeId,
    /// The server's time.
    #[n(5)]
    pub at: Timestamp,
    /// What the server thinks of the device.
    #[n(6)]
    pub state: DeviceState,
    /// The hash of the newest sealed row of the audit trail; absent until one is sealed.
    #[n(7)]
    pub audit_head: Option<Hash>,
    /// That row's place in the chain. A phone keeps both, and so can tell when a tail was cut off.
    #[n(8)]
    pub audit_seq: Option<u64>,
    /// The last of what was sent again: the first word of it may not have been heard.
    #[n(9)]
    pub again: Option<TakenBefore>,
}

/// An envelope that had been taken before it was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct TakenBefore {
    /// Its number.
    #[n(0)]
    pub number: u64,
    /// When it was taken.
    #[n(1)]
    pub at: Timestamp,
}

impl Acknowledgement {
    /// What entries and envelopes name as `after`: the first 8 bytes of the payload's SHA-256.
    pub fn hash(signed: &Signed) -> AckHash {
        AckHash(first_8(sha256(&[&signed.payload])))
    }

    /// By when the envelope with this number had been taken; none beyond those that it speaks of.
    pub fn held_since(&self, number: u64) -> Option<Timestamp> {
        let again = self.again.filter(|again| again.number >= number).map(|again| again.at);
        (self.number >= number).then(|| again.unwrap_or(self.at))
    }
}

/// A grant of receipt numbers to one install: `series-first` to `series-last`, both included.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ReceiptBlock {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The install.
    #[n(1)]
    pub install: InstallId,
    /// The first number; its series is the device's.
    #[n(2)]
    pub first: ReceiptNumber,
    /// The last number within the series.
    #[n(3)]
    pub last: u32,
    /// When it was granted.
    #[n(4)]
    pub granted_at: Timestamp,
}

/// The server's order that a phone erase itself: first it seals what it still has to hand in to the server's
/// relay key. It is for one life of one device's store, in one history of the database.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct WipeOrder {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The install.
    #[n(1)]
    pub install: InstallId,
    /// The history of the database in which the device was reported lost.
    #[n(2)]
    pub epoch: Epoch,
    /// When it was given.
    #[n(3)]
    pub at: Timestamp,
    /// The public half of the X25519 key to seal to.
    #[n(4)]
    pub envelope_key: Hash,
}

/// The server's statement that this key is this user's device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Certificate {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Whose device it is.
    #[n(1)]
    pub user: UserId,
    /// The device's key.
    #[n(2)]
    pub key: PublicKey,
    /// When it was enrolled.
    #[n(3)]
    pub issued_at: Timestamp,
}

impl Certificate {
    /// The request header that carries it, as base64url of the [`Signed`] certificate in CBOR: a restored
    /// server may not know the device.
    pub const HEADER: &'static str = "daybook-certificate";
}

/// How a request proves its device: beside the lease, in the header `daybook-device`, as base64url
/// of this in CBOR.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RequestProof {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The install.
    #[n(1)]
    pub install: InstallId,
    /// The request number: it only goes up, and is durable on the phone before the request leaves.
    #[n(2)]
    pub number: u64,
    /// The device's key.
    #[n(3)]
    pub key: KeyId,
    /// Over method, path, SHA-256 of the body as sent, install and number.
    #[n(4)]
    pub signature: Signature,
}

impl RequestProof {
    /// The request header that carries the proof.
    pub const HEADER: &'static str = "daybook-device";

    /// Signs one request.
    pub fn make(
        signer: &Signer,
        deployment: DeploymentId,
        (device, install, number): (DeviceId, InstallId, u64),
        (method, path, body): (&str, &str, &[u8]),
    ) -> Self {
        let payload = request_payload(method, path, body, install, number);
        let signature = signer.sign(Context::Request, deployment, &payload);
        Self { device, install, number, key: signer.public().id(), signature }
    }

    /// Whether the device's key made this proof for this very request.
    pub fn verify(&self, key: &PublicKey, deployment: DeploymentId, method: &str, path: &str, body: &[u8]) -> bool {
        let payload = request_payload(method, path, body, self.install, self.number);
        key.verify(Context::Request, deployment, &payload, &self.signature)
    }
}

fn request_payload(method: &str, path: &str, body: &[u8], install: InstallId, number: u64) -> Vec<u8> {
    let mut payload = Vec::with_capacity(128);
    for part in [method.as_bytes(), path.as_bytes()] {
        payload.extend_from_slice(part);
        payload.push(0);
    }
    payload.extend_from_slice(&sha256(&[body]));
    payload.extend_from_slice(install.as_bytes());
    payload.extend_from_slice(&number.to_be_bytes());
    payload
}

fn first_8(hash: [u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    first
}
