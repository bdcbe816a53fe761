//! The universal way out: a new install.

use daybook_shared::board::{Confirmed, Edit, device_actor};
use daybook_shared::ids::InstallId;
use daybook_shared::time::Timestamp;
use rand::Rng;
use rusqlite::params;

use super::{Db, StoreError};
use crate::Moment;

/// Why a new install begins, and so which of its board edits the server may have already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayOut {
    /// The file is an old copy: anything in it may have been sent after the copy was made.
    OldCopy,
    /// The server does not accept this install's numbers: what was packed may have been taken.
    Numbering,
}

impl Db<'_> {
    /// Starts a new install: envelopes count from 1 again, after the last one the server was known to
    /// hold; what has no verdict is packed again, entries with the same ids and bytes, board changes
    /// made anew by the new actor; open receipt blocks are closed.
    pub(crate) fn begin_install(self, why: WayOut, now: Moment, rng: &mut dyn Rng) -> Result<(), StoreError> {
        const PHONE: &str = "update phone set install = ?1, number_last = 0, envelope_last = acked_envelope, \
            acked_number = 0, provisional_last = 0";
        let phone = self.phone()?;
        // Of a store that erased itself the envelopes are the captures: nothing could be packed again.
        if phone.wiped_at.is_some() {
            return Ok(());
        }
        let install = InstallId::new(phone.estimated(now), rng);
        self.execute_one(PHONE, params![install.as_bytes()])?;
        self.execute("update entry set state = 0, envelope = null where state < 2", [])?;
        // The entries are packed again, so the envelopes that nobody may have got are of no more use.
        self.execute("delete from envelope where answered = 0", [])?;
        self.execute("update receipt_block set closed = 1", [])?;
        self.execute("delete from board_actor", [])?;
        self.redo_board_changes(why, install, phone.estimated(now), rng)
    }

    /// Makes the officer's unanswered board edits again, as this install. What cannot be made on the board
    /// as it now is becomes a draft, and so does what [`may_have_arrived`].
    fn redo_board_changes(
        self,
        why: WayOut,
        install: InstallId,
        at: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        let device = self.phone()?.device;
        for dossier in self.dossiers_with_changes()? {
            let (drafts, edits) = may_have_arrived(why, self.take_edits(dossier)?);
            self.insert_draft(dossier, &drafts, "MAY_HAVE_ARRIVED", at, rng)?;
            let Some(mut board) = self.confirmed_board(dossier)? else {
                self.insert_draft(dossier, &edits, "BOARD_UNKNOWN", at, rng)?;
                continue;
            };
            let actor = device_actor(device, install, dossier, 0);
            let role = self.board_role(dossier)?;
            for edit in edits {
                match board.edited(actor, role, std::slice::from_ref(&edit), at) {
                    Ok(edited) => {
                        self.insert_board_changes(dossier, 0, edited.changes(), &[edit], at, rng)?;
                        board = Confirmed::clone(edited.board());
                    }
                    Err(error) => self.insert_draft(dossier, &[edit], error.code(), at, rng)?,
                }
            }
        }
        Ok(())
    }
}

/// Parts a dossier's edits, each with whether it was sealed, into those that may have arrived as the old
/// install's and those to make again.
///
/// Two authors of the same words are the words twice, so what was sealed is not made again; nor are later
/// words, which were written on top of it. An old copy knows nothing of what came after it: its tags may
/// have been removed again, its tasks reopened.
fn may_have_arrived(why: WayOut, edits: Vec<(Edit, bool)>) -> (Vec<Edit>, Vec<Edit>) {
    let (mut drafts, mut again) = (Vec::new(), Vec::new());
    for (edit, is_sealed) in edits {
        let is_word = !is_repeatable(&edit);
        let follows_words = drafts.iter().any(|draft| !is_repeatable(draft));
        if why == WayOut::OldCopy || (is_word && (is_sealed || follows_words)) {
            drafts.push(edit);
        } else {
            again.push(edit);
        }
    }
    (drafts, again)
}

/// Whether an edit that two actors make is the same as one that one makes.
fn is_repeatable(edit: &Edit) -> bool {
    match edit {
        Edit::AddTag(_) | Edit::RemoveTag(_) | Edit::SetTaskDone { .. } | Edit::OfficerSeq(_) => true,
        Edit::NoteSplice { .. }
        | Edit::NoteReplace(_)
        | Edit::AddTask { .. }
        | Edit::Instruction(_)
        | Edit::ScNote(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::WayOut::{Numbering, OldCopy};
    use super::*;

    #[test]
    fn what_may_have_arrived_is_not_made_again() {
        let replace = |text: &str| Edit::NoteReplace(text.to_owned());
        let splice = |at| Edit::NoteSplice { at, delete: 1, insert: "x".to_owned() };
        let tag = || Edit::AddTag("dispute".to_owned());
        let parted = |why, edits: &[(Edit, bool)]| {
            let (drafts, again) = may_have_arrived(why, edits.to_vec());
            (drafts.len(), again)
        };
        for (why, edits, drafts, again) in [
            (Numbering, vec![(replace("a"), true), (replace("ab"), false)], 2, vec![]),
            (Numbering, vec![(replace("a"), true), (tag(), false), (splice(1), false)], 2, vec![tag()]),
            (Numbering, vec![(tag(), true), (replace("a"), false)], 0, vec![tag(), replace("a")]),
            (OldCopy, vec![(tag(), false), (replace("a"), false)], 2, vec![]),
        ] {
            assert_eq!(parted(why, &edits), (drafts, again), "{why:?} {edits:?}");
        }
    }
}
