//! Whatever admission takes does no harm: good changes altered at random.

use proptest::prelude::*;

use super::admit_tests::{Stage, after, judge, other, stage, tag};
use super::hostile::{Parts, with_checksum};
use super::*;

fn good_changes() -> Vec<Vec<u8>> {
    let Stage { tag, note, instruction, done, .. } = stage();
    vec![tag, note, instruction, done]
}

/// Admission has not panicked; and what it took is a board that saves, loads, merges and can be
/// edited on.
fn does_no_harm(board: &Confirmed, change: &[u8]) {
    let Ok(Verdict::Admitted(admitted)) = judge(board, change, BoardRole::Supervisor) else { return };
    let loaded = Confirmed::load(admitted.doc_bytes()).unwrap();
    assert_eq!((loaded.heads(), loaded.view()), (admitted.heads(), admitted.board().view()));
    let merged = board.merged(&[change]).unwrap();
    assert_eq!((merged.heads(), merged.view()), (loaded.heads(), loaded.view()));
    let edits = [Edit::NoteReplace("over".into()), tag("fox"), Edit::RemoveTag("cat".into())];
    let (next, bytes) = after(&loaded, other(), &edits);
    let verdict = admit(&loaded, &bytes, &Expected::new(other(), BoardRole::Supervisor)).unwrap();
    assert!(matches!(verdict, Verdict::Admitted(_)));
    assert_eq!(next.view().note, "over");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random bytes of a good change are altered, its checksum put right. Ten alterations a case.
    #[test]
    fn altered_bytes_never_panic_and_never_harm(
        alterations in prop::collection::vec((0..4_usize, any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 10),
    ) {
        let board = stage().board;
        let good = good_changes();
        for (which, index, byte, how) in alterations {
            let mut bytes = good[which].clone();
            let at = 8 + index.index(bytes.len() - 8);
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                _ => bytes.truncate(at),
            }
            does_no_harm(&board, &with_checksum(bytes));
        }
    }

    /// One column of a good change holds other bytes, all lengths and the checksum being right, so
    /// that the alteration gets past the frame.
    #[test]
    fn altered_columns_never_panic_and_never_harm(
        which in 0..4_usize,
        column in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(prop_oneof![0..24_u8, 110..=127_u8, any::<u8>()], 0..4),
        keep in any::<bool>(),
    ) {
        let mut parts = Parts::of(&good_changes()[which]);
        let column = column.index(parts.columns.len());
        let data = &mut parts.columns[column].1;
        let at = at.index(data.len() + 1);
        let end = if keep { at } else { (at + bytes.len()).min(data.len()) };
        data.splice(at..end, bytes);
        does_no_harm(&stage().board, &parts.bytes());
    }

    #[test]
    fn the_prescan_takes_any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = prescan(&bytes, &Limits::default());
        for (to, from) in bytes.iter_mut().zip([0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1]) {
            *to = from;
        }
        let _ = prescan(&with_checksum(bytes), &Limits::default());
    }
}
