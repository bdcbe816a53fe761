//! Editing a board: notes, tags, tasks.

use daybook_shared::board::{BoardView, Edit, EditError};
use daybook_shared::ids::DossierId;
use rand::Rng;

use super::CaptureError;
use crate::Moment;
use crate::store::{Store, StoreError};

/// Why an edit was not stored. Nothing is in the file.
#[derive(Debug, thiserror::Error)]
pub enum EditBoardError {
    /// The phone does not hold the dossier, or does not know what kind it is.
    #[error("this phone does not hold this dossier, so it has no board to write on")]
    NotHeld,
    /// The edit breaks a rule of the board.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The phone has to be enrolled first.
    #[error("this phone is not enrolled yet: enrol it with the code from the office")]
    NotEnrolled,
    /// The store erased itself by the server's order.
    #[error("this phone was reported lost and has erased itself: the office has to enrol it anew")]
    Wiped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Edits a board: all of the edits or none, durable when this returns. Gives the board as it
    /// is shown from now on.
    ///
    /// # Errors
    /// See [`EditBoardError`].
    pub fn edit_board(
        &mut self,
        dossier: DossierId,
        edits: &[Edit],
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<BoardView, EditBoardError> {
        let at = match self.read().circumstances(now) {
            Ok(here) => here.at,
            Err(CaptureError::Store(error)) => return Err(error.into()),
            Err(CaptureError::Wiped) => return Err(EditBoardError::Wiped),
            Err(_) => return Err(EditBoardError::NotEnrolled),
        };
        if !self.read().holds(dossier)? {
            return Err(EditBoardError::NotHeld);
        }
        let working = self.read().working_board(dossier)?.ok_or(EditBoardError::NotHeld)?;
        let n = self.read().board_n(dossier)?;
        self.insert_edit(dossier, (&working, n), edits, at, rng)
    }

    /// Opens the officer's day of the present business date, so that its board can be edited before
    /// anything was captured in it. Gives its dossier.
    pub fn open_today(&mut self, now: Moment) -> Result<DossierId, CaptureError> {
        let here = self.read().circumstances(now)?;
        let dossier = DossierId::day(here.enrolment.user, here.today);
        self.write(|db| db.open_day(dossier))?;
        Ok(dossier)
    }
}
