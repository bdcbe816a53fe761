//! The constant first change of every board.
//!
//! Made once, kept as bytes: phones and server of every version start from the same change, so any
//! two boards of a kind merge. A key that a later version adds comes as a second constant change
//! that builds on this one, never as one made on a live document.

use automerge::ObjId;

use super::keys::{BoardKey, BoardKind, Shape};
use crate::ids::{ChangeHash, sha256};

const CASE: &[u8] = &[
    133, 111, 74, 131, 195, 134, 151, 78, 1, 74, 0, 16, 100, 97, 121, 98, 111, 111, 107, 47, 103, 101, 110, 101, 115,
    105, 115, 49, 1, 1, 0, 0, 0, 5, 21, 29, 52, 1, 66, 6, 86, 2, 112, 2, 124, 4, 110, 111, 116, 101, 4, 116, 97, 103,
    115, 5, 116, 97, 115, 107, 115, 11, 105, 110, 115, 116, 114, 117, 99, 116, 105, 111, 110, 4, 127, 4, 2, 0, 127, 4,
    4, 0, 4, 0,
];
const DAY: &[u8] = &[
    133, 111, 74, 131, 105, 22, 223, 3, 1, 54, 0, 16, 100, 97, 121, 98, 111, 111, 107, 47, 103, 101, 110, 101, 115,
    105, 115, 49, 1, 1, 0, 0, 0, 5, 21, 13, 52, 1, 66, 2, 86, 2, 112, 2, 127, 11, 111, 102, 102, 105, 99, 101, 114, 95,
    115, 101, 113, 1, 127, 1, 127, 6, 127, 0,
];
const AGENT: &[u8] = &[
    133, 111, 74, 131, 157, 87, 208, 77, 1, 50, 0, 16, 100, 97, 121, 98, 111, 111, 107, 47, 103, 101, 110, 101, 115,
    105, 115, 49, 1, 1, 0, 0, 0, 5, 21, 9, 52, 1, 66, 2, 86, 2, 112, 2, 127, 7, 115, 99, 95, 110, 111, 116, 101, 1,
    127, 4, 127, 0, 127, 0,
];

/// The author of every genesis.
pub(super) const GENESIS_ACTOR: [u8; 16] = *b"daybook/genesis1";

/// The genesis change of a kind of board, as an uncompressed change chunk.
pub fn genesis(kind: BoardKind) -> &'static [u8] {
    match kind {
        BoardKind::Case => CASE,
        BoardKind::Day => DAY,
        BoardKind::Agent => AGENT,
    }
}

/// The hash of a kind's genesis: of its chunk behind magic and checksum.
pub(super) fn genesis_hash(kind: BoardKind) -> ChangeHash {
    ChangeHash(sha256(&[&genesis(kind)[8..]]))
}

/// The object under a root key. Genesis makes the root keys in order, one operation each, and no
/// change may ever replace them, so their ids are constants.
pub(super) fn root_object(kind: BoardKind, key: BoardKey) -> Option<ObjId> {
    let number = (1..).zip(kind.keys()).find(|(_, of_kind)| **of_kind == key)?.0;
    (!matches!(key.shape(), Shape::Scalar(_))).then(|| ObjId::Id(number, GENESIS_ACTOR.into(), 0))
}

/// The root key whose object this is.
pub(super) fn key_of_object(kind: BoardKind, number: u64, actor: &automerge::ActorId) -> Option<BoardKey> {
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    let key = *kind.keys().get(index)?;
    (*actor.to_bytes() == GENESIS_ACTOR && !matches!(key.shape(), Shape::Scalar(_))).then_some(key)
}

#[cfg(test)]
mod tests {
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{Automerge, ObjType, ROOT, ReadDoc, TextEncoding};

    use super::*;
    use crate::board::{Confirmed, view};

    fn made_anew(kind: BoardKind) -> Vec<u8> {
        let mut doc = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint).with_actor(GENESIS_ACTOR.into());
        let mut tx = doc.transaction();
        for key in kind.keys() {
            match key.shape() {
                Shape::Text(_) => drop(tx.put_object(ROOT, key.name(), ObjType::Text).unwrap()),
                Shape::Tags | Shape::Tasks => drop(tx.put_object(ROOT, key.name(), ObjType::Map).unwrap()),
                Shape::Scalar(_) => tx.put(ROOT, key.name(), "").unwrap(),
            }
        }
        let hash = tx.commit_with(CommitOptions::default().with_time(0)).0.unwrap();
        doc.get_change_by_hash(&hash).unwrap().raw_bytes().to_vec()
    }

    #[test]
    fn genesis_made_anew_is_the_same_bytes() {
        for kind in BoardKind::ALL {
            assert_eq!(made_anew(kind), genesis(kind), "{kind:?}");
        }
    }

    #[test]
    fn genesis_never_changes() {
        insta::assert_snapshot!(genesis_hash(BoardKind::Case), @"c386974e8db5a7d7b103ce8e438ea6ee8d70bd1b024f33abca00870ef0eac985");
        insta::assert_snapshot!(genesis_hash(BoardKind::Day), @"6916df03b105f6d3bfd697aad7005b96ea7a0ce55e7366b0edbd45baa8607ef9");
        insta::assert_snapshot!(genesis_hash(BoardKind::Agent), @"9d57d04d5bb7f91d7b43c0afa438a2f57943b8211b160bbb849b35be72f691d0");
    }

    #[test]
    fn every_key_is_where_its_constant_id_says() {
        for kind in BoardKind::ALL {
            let board = Confirmed::genesis(kind);
            assert_eq!(board.heads(), [genesis_hash(kind)]);
            assert_eq!(view(board.doc_bytes()).unwrap(), board.view());
            for &key in kind.keys() {
                let (_, id) = board.doc.get(ROOT, key.name()).unwrap().expect("the key exists");
                let object = root_object(kind, key);
                assert!(object.is_none_or(|object| object == id), "{key}");
                let ObjId::Id(number, actor, _) = id else { panic!("{key} is the root") };
                let is_object = !matches!(key.shape(), Shape::Scalar(_));
                assert_eq!(key_of_object(kind, number, &actor), is_object.then_some(key));
            }
            assert_eq!(board.doc.keys(ROOT).count(), kind.keys().len());
        }
    }
}
