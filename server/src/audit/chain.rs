//! The rules of the chain: what of an audit row is hashed, and how.
//!
//! A row's hash covers the deployment, its place, the hash of the row before it, when it was sealed and
//! everything it says. Numbers have eight bytes, a text its length before it, and what may be absent a
//! byte that says so: no two rows have the same bytes.

use daybook_shared::ids::{DeploymentId, Hash, sha256};
use daybook_shared::time::Timestamp;

/// An audit row, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Written {
    /// Key.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Key of the user who acted.
    pub user_id: Option<i64>,
    /// Key of the device.
    pub device_id: Option<i64>,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Ids and codes, JSON.
    pub detail: String,
}

/// A row's place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number, from 1 without gaps.
    pub seq: i64,
    /// The hash.
    pub hash: Hash,
}

impl Head {
    /// In front of the first row.
    pub const NONE: Self = Self { seq: 0, hash: Hash([0; 32]) };

    /// The place of the row behind this one.
    #[must_use]
    pub fn followed_by(self, deployment: DeploymentId, sealed_at: Timestamp, row: &Written) -> Self {
        let seq = self.seq + 1;
        Self { seq, hash: hash(deployment, (seq, self.hash, sealed_at), row) }
    }
}

/// The hash of a row at a place.
pub fn hash(deployment: DeploymentId, (seq, previous, sealed_at): (i64, Hash, Timestamp), row: &Written) -> Hash {
    let Written { id, at, user_id, device_id, action, subject, detail } = row;
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(b"daybook/audit/1\0");
    bytes.extend_from_slice(deployment.as_bytes());
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&previous.0);
    for number in [sealed_at.micros(), *id, at.micros()] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    for key in [user_id, device_id] {
        bytes.push(u8::from(key.is_some()));
        bytes.extend_from_slice(&key.unwrap_or_default().to_be_bytes());
    }
    for text in [action, subject, detail] {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    Hash(sha256(&[&bytes]))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A row that says something in every field.
    pub fn row(id: i64) -> Written {
        Written {
            id,
            at: Timestamp::from_millis(1_000 + id),
            user_id: Some(3),
            device_id: None,
            action: "user.created".to_owned(),
            subject: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            detail: "{}".to_owned(),
        }
    }

    const DEPLOYMENT: DeploymentId = DeploymentId(uuid::Uuid::from_bytes([7; 16]));

    fn of(row: &Written) -> Hash {
        hash(DEPLOYMENT, (1, Head::NONE.hash, Timestamp::from_millis(5)), row)
    }

    /// What a chain of today is made of is what a chain of tomorrow verifies.
    #[test]
    fn the_bytes_of_a_row_are_pinned() {
        insta::assert_snapshot!(of(&row(1)));
    }

    #[test]
    fn no_field_can_be_changed_or_its_end_moved_into_the_next() {
        let good = row(1);
        let change = |change: &dyn Fn(&mut Written)| {
            let mut row = good.clone();
            change(&mut row);
            of(&row)
        };
        let changed = [
            change(&|row| row.id = 2),
            change(&|row| row.at = row.at.plus_ms(1)),
            change(&|row| row.user_id = None),
            change(&|row| row.user_id = Some(0)),
            change(&|row| (row.user_id, row.device_id) = (None, Some(3))),
            change(&|row| row.action.push('x')),
            change(&|row| (row.action, row.subject) = (row.action[..11].to_owned(), format!("d{}", row.subject))),
            change(&|row| row.detail = "{ }".to_owned()),
            hash(DeploymentId::from([8; 16]), (1, Head::NONE.hash, Timestamp::from_millis(5)), &good),
            hash(DEPLOYMENT, (2, Head::NONE.hash, Timestamp::from_millis(5)), &good),
            hash(DEPLOYMENT, (1, Hash([1; 32]), Timestamp::from_millis(5)), &good),
            hash(DEPLOYMENT, (1, Head::NONE.hash, Timestamp::from_millis(6)), &good),
        ];
        let mut all: Vec<_> = changed.into_iter().chain([of(&good)]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 13);
    }
}
