//! An envelope that has arrived: read, verified, its entries decoded, before any row is looked at.

use daybook_shared::entry::{Entry, EntryError};
use daybook_shared::ids::{DeploymentId, UserId};
use daybook_shared::wire::envelope::{Envelope, EnvelopeError};

use crate::auth::device::Device;

/// A verified envelope of a known device. Only [`Arrived::verify`] makes one, so nothing unsigned
/// can reach the log.
#[derive(Debug)]
pub struct Arrived {
    /// The device's row key.
    pub device_id: i64,
    /// Its user's row key.
    pub user_id: i64,
    /// Its user.
    pub user: UserId,
    /// The envelope.
    pub envelope: Envelope,
    /// Its bytes as they came.
    pub bytes: Vec<u8>,
    /// Its entries, decoded, in their order.
    pub entries: Vec<Result<Entry, EntryError>>,
}

/// Why an envelope is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It cannot be read.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Not sealed by this device for this lender.
    #[error("the envelope's signature is wrong")]
    Signature,
}

impl NotTaken {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Envelope(error) => error.code(),
            Self::Signature => "envelope_signature",
        }
    }
}

impl Arrived {
    /// Reads an envelope and checks that the device sealed it for this lender. The envelopes of one request
    /// together may inflate to `bytes_left`.
    pub fn verify(
        bytes: Vec<u8>,
        by: &Device,
        deployment: DeploymentId,
        bytes_left: &mut usize,
    ) -> Result<Self, NotTaken> {
        let envelope = Envelope::decode_within(&bytes, bytes_left)?;
        let key = by.key().filter(|_| envelope.header.device == by.uid);
        if !key.is_some_and(|key| envelope.verify(&key, deployment)) {
            return Err(NotTaken::Signature);
        }
        let entries = envelope.body.entries.iter().map(|entry| Entry::decode(entry)).collect();
        Ok(Self { device_id: by.id, user_id: by.user_id, user: by.user_uid, envelope, bytes, entries })
    }
}
