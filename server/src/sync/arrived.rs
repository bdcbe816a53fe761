//! An envelope that has arrived: read, verified, its entries decoded, before any row is looked at.

use daybook_shared::entry::{Entry, EntryError};
use daybook_shared::ids::DeploymentId;
use daybook_shared::wire::envelope::{Envelope, EnvelopeError};
use daybook_shared::wire::sign::PublicKey;

use daybook_shared::ids::DeviceId;

/// A verified envelope of a known device. Only [`Arrived::verify`] makes one, so nothing unsigned
/// can reach the log.
#[derive(Debug)]
pub struct Arrived {
    /// The device's row key.
    pub device_id: i64,
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
    /// Reads an envelope and checks that the device sealed it for this lender.
    pub fn verify(
        bytes: Vec<u8>,
        (device_id, device, key): (i64, DeviceId, &PublicKey),
        deployment: DeploymentId,
    ) -> Result<Self, NotTaken> {
        let envelope = Envelope::decode(&bytes)?;
        if envelope.header.device != device || !envelope.verify(key, deployment) {
            return Err(NotTaken::Signature);
        }
        let entries = envelope.body.entries.iter().map(|entry| Entry::decode(entry)).collect();
        Ok(Self { device_id, envelope, bytes, entries })
    }
}
