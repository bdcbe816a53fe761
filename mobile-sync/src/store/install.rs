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
        let install = InstallId::new(phone.estimated(now), rng);
        self.execute_one(PHONE, params![install.as_bytes()])?;
        self.execute("update entry set state = 0, envelope = null where state < 2", [])?;
        // The entries are packed again, so the envelopes that nobody may have got are of no more use.
        self.execute("delete from envelope where answered = 0", [])?;
        self.execute("update receipt_block set closed = 1", [])?;
        self.execute("delete from board_actor", [])?;
        self.redo_board_changes(why, install, phone.estimated(now), rng)
    }

    /// Makes the officer's unanswered board edits again, as this install. Two kinds become drafts: what
    /// cannot be made on the board as it now is, and words that may have arrived as the old install's,
    /// because two authors of the same words are the words twice.
    fn redo_board_changes(
        self,
        why: WayOut,
        install: InstallId,
        at: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        let device = self.phone()?.device;
        for dossier in self.dossiers_with_changes()? {
            let may_have_arrived = |is_sealed| is_sealed || why == WayOut::OldCopy;
            let (drafts, edits): (Vec<_>, Vec<_>) = self
                .take_edits(dossier)?
                .into_iter()
                .partition(|(edit, is_sealed)| may_have_arrived(*is_sealed) && !is_repeatable(edit));
            let drafts: Vec<_> = drafts.into_iter().map(|(edit, _)| edit).collect();
            let edits: Vec<_> = edits.into_iter().map(|(edit, _)| edit).collect();
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
