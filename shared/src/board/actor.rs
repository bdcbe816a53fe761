//! Who makes a board's changes.

use std::fmt;

use crate::ids::{DeviceId, DossierId, Epoch, InstallId, UserId, sha256};

/// The author of a chain of changes in one board; derived, never drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub [u8; 16]);

/// The actor of a device's own changes to a dossier's board. `n` goes up by one each time a change
/// of the device was quarantined there, so that the new chain owes nothing to the refused one.
pub fn device_actor(device: DeviceId, install: InstallId, dossier: DossierId, n: u32) -> ActorId {
    let n = n.to_be_bytes();
    derived(b"daybook/board/device", &[device.as_bytes(), install.as_bytes(), dossier.as_bytes(), &n])
}

/// The actor of a user who edits online; then the server makes the change. A restored server has
/// another epoch and so never uses a (actor, number) twice.
pub fn user_actor(user: UserId, epoch: Epoch, dossier: DossierId) -> ActorId {
    derived(b"daybook/board/user", &[user.as_bytes(), &epoch.0, dossier.as_bytes()])
}

fn derived(context: &[u8], parts: &[&[u8]]) -> ActorId {
    let hash = sha256(&[&[context], parts].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    ActorId(bytes)
}

impl From<ActorId> for automerge::ActorId {
    fn from(actor: ActorId) -> Self {
        Self::from(actor.0)
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_never_changes() {
        let (device, install, dossier) = ([1; 16].into(), [2; 16].into(), [3; 16].into());
        insta::assert_snapshot!(device_actor(device, install, dossier, 0), @"102b14b74e22a321c19b59b877af45f0");
        insta::assert_snapshot!(device_actor(device, install, dossier, 1), @"cdf975105938f38cc3193b714f206069");
        insta::assert_snapshot!(user_actor([4; 16].into(), Epoch([5; 8]), dossier), @"461a73f7d6bb8ef1e5a20cbab7f8e58f");
    }
}
