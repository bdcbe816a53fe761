//! Envelopes: what a device uploads, sealed once and never repacked.
//!
//! The clear header and the body are signed together: the envelope's id is SHA-256 over both, the
//! chain (each names the id before it), the duplicate test and the signature are over that id. The
//! outer frame around them is not signed; it only says how the bytes are packed, so that a relayed
//! form (the body sealed to the server's key) has its place.

use std::borrow::Cow;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::framing::{self, InflateError};
use super::limits::{
    ANCHORS_MAX, DOSSIER_BOARD_CHANGES_MAX, ENVELOPE_BOARD_CHANGES_MAX, ENVELOPE_ITEMS_MAX, INFLATED_BYTES_MAX,
};
use super::sealed;
use super::sign::{Context, PublicKey, Signature, Signer};
use crate::cbor::{self, Malformed};
use crate::ids::{AckHash, BootId, DeploymentId, DeviceId, DossierId, EnvelopeId, InstallId, KeyId, sha256};
use crate::time::Timestamp;

/// The header's format version.
pub const FORMAT: u8 = 1;
const FORM_CLEAR: u8 = 0;
/// The body is in a box that only the server can open.
const FORM_SEALED: u8 = 1;
const COMPRESSION_NONE: u8 = 0;
const COMPRESSION_ZSTD: u8 = 1;
/// How deep an envelope's parts nest: header, anchors, an anchor, its moment.
const DEPTH_MAX: usize = 4;

/// A moment as a phone knows it: its wall clock, and the time since its boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PhoneTime {
    /// What the clock says.
    #[n(0)]
    pub wall: Timestamp,
    /// The run between two boots.
    #[n(1)]
    pub boot_id: BootId,
    /// Milliseconds since that boot.
    #[n(2)]
    pub boot_ms: u64,
}

/// An acknowledgement and when it arrived: ties the phone's clocks to the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Anchor {
    /// The acknowledgement.
    #[n(0)]
    pub ack: AckHash,
    /// The phone's time when it arrived.
    #[n(1)]
    pub arrived: PhoneTime,
}

/// The clear header.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Header {
    /// [`FORMAT`].
    #[n(0)]
    pub format: u8,
    /// The lender's installation.
    #[n(1)]
    pub deployment: DeploymentId,
    /// The device.
    #[n(2)]
    pub device: DeviceId,
    /// The install.
    #[n(3)]
    pub install: InstallId,
    /// 1 for an install's first, then one more each, without a gap.
    #[n(4)]
    pub number: u64,
    /// The id of the envelope before; of a later install's first, the last acknowledged one of the
    /// install before.
    #[n(5)]
    pub previous: EnvelopeId,
    /// The newest acknowledgement held when sealing.
    #[n(6)]
    pub after: AckHash,
    /// When it was sealed.
    #[n(7)]
    pub sealed_at: PhoneTime,
    /// At most 8.
    #[cbor(n(8), decode_with = "cbor::at_most::<_, _, { ANCHORS_MAX }>")]
    pub anchors: Vec<Anchor>,
}

/// A change to a dossier's board.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct BoardChange {
    /// The dossier.
    #[n(0)]
    pub dossier: DossierId,
    /// How often this device had to begin again on this board: part of the actor.
    #[n(1)]
    pub n: u32,
    /// One Automerge change, uncompressed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub change: Vec<u8>,
}

/// What an envelope carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Body {
    /// Entries in capture order, each as the phone made it.
    #[cbor(n(0), decode_with = "cbor::at_most::<_, _, { ENVELOPE_ITEMS_MAX }>")]
    pub entries: Vec<ByteVec>,
    /// Board changes in the order they were made.
    #[cbor(n(1), decode_with = "cbor::at_most::<_, _, { ENVELOPE_BOARD_CHANGES_MAX }>")]
    pub board: Vec<BoardChange>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Outer {
    #[n(0)]
    form: u8,
    #[n(1)]
    compression: u8,
    #[n(2)]
    key: KeyId,
    #[n(3)]
    signature: Signature,
    #[cbor(n(4), with = "minicbor::bytes")]
    header: Vec<u8>,
    #[cbor(n(5), with = "minicbor::bytes")]
    body: Vec<u8>,
    /// To which key of the server the body is sealed.
    #[n(6)]
    sealed_to: Option<KeyId>,
}

/// An envelope that was read but whose signature has not been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// SHA-256 over header and body.
    pub id: EnvelopeId,
    /// Which key is said to have signed.
    pub key: KeyId,
    /// The signature over the id.
    pub signature: Signature,
    /// The header.
    pub header: Header,
    /// The body.
    pub body: Body,
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not CBOR of the right shape.
    #[error("not an envelope")]
    Malformed,
    /// A form, compression or format this server does not know.
    #[error("an envelope of a form this server does not know")]
    UnknownForm,
    /// More items, board changes or anchors than allowed.
    #[error("more items than one envelope may carry")]
    TooMany,
    /// Inflates beyond the limit.
    #[error("too large once inflated")]
    TooLarge,
}

impl From<Malformed> for EnvelopeError {
    fn from(error: Malformed) -> Self {
        if error == Malformed::TooMany { Self::TooMany } else { Self::Malformed }
    }
}

impl EnvelopeError {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "envelope_malformed",
            Self::UnknownForm => "envelope_form",
            Self::TooMany => "envelope_items",
            Self::TooLarge => "envelope_size",
        }
    }
}

/// Seals an envelope: the one time it is encoded. Returns its id and its bytes.
pub fn seal(signer: &Signer, header: &Header, body: &Body) -> (EnvelopeId, Vec<u8>) {
    let (header_bytes, body_bytes) = (cbor::to_vec(header), cbor::to_vec(body));
    let id = id_of(&header_bytes, &body_bytes);
    let outer = Outer {
        form: FORM_CLEAR,
        compression: COMPRESSION_NONE,
        key: signer.public().id(),
        signature: signer.sign(Context::Envelope, header.deployment, &id.0),
        header: header_bytes,
        body: body_bytes,
        sealed_to: None,
    };
    (id, cbor::to_vec(&outer))
}

/// Puts the body of an envelope into a box for the holder of a key of the server. Id and signature are over the
/// clear body and stay: it is the same envelope in another wrapping. `None` for a key that protects nothing.
pub fn sealed_to(key: &[u8; 32], bytes: &[u8], rng: &mut dyn rand::Rng) -> Result<Option<Vec<u8>>, EnvelopeError> {
    let outer: Outer = cbor::decode(bytes, DEPTH_MAX)?;
    if outer.form != FORM_CLEAR {
        return Err(EnvelopeError::UnknownForm);
    }
    let body = sealed::seal(key, &outer.header, &outer.body, rng);
    let wrap = |body| Outer { form: FORM_SEALED, sealed_to: Some(sealed::key_id(key)), body, ..outer };
    Ok(body.map(wrap).map(|outer| cbor::to_vec(&outer)))
}

/// The clear form of an envelope. One that is sealed is opened with the secret half that `secret` has of the key
/// it names.
pub fn unsealed<'a, 'k>(
    bytes: &'a [u8],
    secret: impl FnOnce(KeyId) -> Option<&'k [u8; 32]>,
) -> Result<Cow<'a, [u8]>, EnvelopeError> {
    let outer: Outer = cbor::decode(bytes, DEPTH_MAX)?;
    if outer.form != FORM_SEALED {
        return Ok(bytes.into());
    }
    let secret = outer.sealed_to.and_then(secret).ok_or(EnvelopeError::UnknownForm)?;
    let body = sealed::open(secret, &outer.header, &outer.body).ok_or(EnvelopeError::Malformed)?;
    Ok(cbor::to_vec(&Outer { form: FORM_CLEAR, sealed_to: None, body, ..outer }).into())
}

impl Envelope {
    /// Reads an envelope. Its items are not looked into, its signature is not checked.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::decode_within(bytes, &mut INFLATED_BYTES_MAX.clone())
    }

    /// Reads one of several envelopes whose bodies together may inflate to `bytes_left`; what this one
    /// takes is gone from it.
    pub fn decode_within(bytes: &[u8], bytes_left: &mut usize) -> Result<Self, EnvelopeError> {
        let outer: Outer = cbor::decode(bytes, DEPTH_MAX)?;
        if outer.form != FORM_CLEAR {
            return Err(EnvelopeError::UnknownForm);
        }
        let body_bytes = match outer.compression {
            COMPRESSION_NONE => outer.body,
            COMPRESSION_ZSTD => framing::inflate(&outer.body, *bytes_left).map_err(|error| match error {
                InflateError::Malformed => EnvelopeError::Malformed,
                InflateError::TooLarge => EnvelopeError::TooLarge,
            })?,
            _ => return Err(EnvelopeError::UnknownForm),
        };
        if outer.compression == COMPRESSION_ZSTD {
            *bytes_left -= body_bytes.len();
        }
        let header: Header = cbor::decode(&outer.header, DEPTH_MAX)?;
        if header.format != FORMAT {
            return Err(EnvelopeError::UnknownForm);
        }
        let body: Body = cbor::decode(&body_bytes, DEPTH_MAX)?;
        let id = id_of(&outer.header, &body_bytes);
        let envelope = Self { id, key: outer.key, signature: outer.signature, header, body };
        if envelope.within_limits() { Ok(envelope) } else { Err(EnvelopeError::TooMany) }
    }

    /// Whether an envelope's body is compressed; not if it cannot be read.
    pub fn is_compressed(bytes: &[u8]) -> bool {
        cbor::decode::<Outer>(bytes, DEPTH_MAX).is_ok_and(|outer| outer.compression != COMPRESSION_NONE)
    }

    /// The number in an envelope's header, whatever its body is worth.
    pub fn number_of(bytes: &[u8]) -> Option<u64> {
        let outer: Outer = cbor::decode(bytes, DEPTH_MAX).ok()?;
        cbor::decode::<Header>(&outer.header, DEPTH_MAX).ok().map(|header| header.number)
    }

    fn within_limits(&self) -> bool {
        let items = self.body.entries.len() + self.body.board.len();
        let mut per_dossier = std::collections::BTreeMap::new();
        for change in &self.body.board {
            *per_dossier.entry(change.dossier).or_insert(0_usize) += 1;
        }
        items <= ENVELOPE_ITEMS_MAX && per_dossier.values().all(|count| *count <= DOSSIER_BOARD_CHANGES_MAX)
    }

    /// Whether the device's key signed this envelope for this lender.
    pub fn verify(&self, key: &PublicKey, deployment: DeploymentId) -> bool {
        self.header.deployment == deployment
            && self.key == key.id()
            && key.verify(Context::Envelope, deployment, &self.id.0, &self.signature)
    }
}

fn id_of(header: &[u8], body: &[u8]) -> EnvelopeId {
    let len = (header.len() as u64).to_be_bytes();
    EnvelopeId(sha256(&[&len, header, body]))
}
