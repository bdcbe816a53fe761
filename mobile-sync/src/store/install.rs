//! The universal way out: a new install.

use daybook_shared::board::{Confirmed, device_actor};
use daybook_shared::ids::InstallId;
use daybook_shared::time::Timestamp;
use rand::Rng;
use rusqlite::params;

use super::{Db, StoreError};
use crate::Moment;

impl Db<'_> {
    /// Starts a new install: envelopes count from 1 again, after the last one the server was known to
    /// hold; what has no verdict is packed again, entries with the same ids and bytes, board changes
    /// made anew by the new actor; open receipt blocks are closed.
    pub(crate) fn begin_install(self, now: Moment, rng: &mut dyn Rng) -> Result<(), StoreError> {
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
        self.redo_board_changes(install, phone.estimated(now), rng)
    }

    /// Makes the officer's unanswered board edits again, as this install. What cannot be made on the
    /// board as it now is becomes a draft.
    fn redo_board_changes(self, install: InstallId, at: Timestamp, rng: &mut dyn Rng) -> Result<(), StoreError> {
        let device = self.phone()?.device;
        for dossier in self.dossiers_with_changes()? {
            let edits = self.take_edits(dossier)?;
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
