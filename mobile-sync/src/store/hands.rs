//! A handset that goes from one officer to the next.
//!
//! One install is one user. Before the store changes hands, everything in it is handed in: answered, or, on
//! a phone that the office has locked and that gets no answers, acknowledged by the server; files that entries
//! name have arrived. On a phone that rewinds, what it is to hand in again is not handed in. Then all that was
//! the officer's goes, and the store draws another device, key and install, as if it were new. What stays is
//! sealed and shown to nobody: the envelopes, for as long as any phone keeps them, and trusted time.
//!
//! What this does not do: an envelope of the officer before cannot be sent from here any more, because the key
//! of his device is gone. A server that is set back later does not get it again by a sync.

use rand::Rng;
use rusqlite::params;

use super::{Db, Phone, Store, StoreError};
use crate::Moment;
use daybook_shared::wire::sign::DeviceState;

/// Why a store does not change hands. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeHandsError {
    /// Something of the officer before is on this phone only.
    #[error(
        "{captures} captures, {board_changes} board changes and {files} files of {user} are not handed in: sync this \
         phone with a connection first, and enrol again; if the server would not take them, keep the phone and ask \
         the office"
    )]
    NotHandedIn {
        /// Whose they are.
        user: String,
        /// Captures that the server does not hold, or has not answered.
        captures: u64,
        /// Board changes that the server does not hold, or has not answered.
        board_changes: u64,
        /// Files that have not arrived.
        files: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Makes this store a new one for another user, once everything in it is handed in.
    ///
    /// # Errors
    /// [`ChangeHandsError::NotHandedIn`], and then nothing was changed.
    pub fn change_hands(&mut self, now: Moment, rng: &mut dyn Rng) -> Result<(), ChangeHandsError> {
        let generation = self.write(|db| db.change_hands(now, rng))?;
        self.uncounted_cash = None;
        Ok(self.keep_generation(generation)?)
    }
}

impl Db<'_> {
    fn change_hands(self, now: Moment, rng: &mut dyn Rng) -> Result<u64, ChangeHandsError> {
        let phone = self.phone()?;
        let (captures, board_changes) = (self.count_captures_here_only(&phone)?, self.count_changes_here_only(&phone)?);
        let (files, _) = self.count_unsent_files()?;
        if captures + board_changes + files > 0 {
            let user = self.user_name()?.unwrap_or_default();
            return Err(ChangeHandsError::NotHandedIn { user, captures, board_changes, files });
        }
        if phone.wiped_at.is_some() {
            // All of them are with the server, and nobody here can read them.
            self.execute("delete from envelope", [])?;
        }
        self.keep_envelopes_of_former_hands(phone.trusted(now))?;
        self.erase_rows()?;
        self.execute("delete from anchor", [])?;
        self.execute_one("delete from phone", [])?;
        let generation = phone.generation.saturating_add(1);
        self.insert_phone(generation, now, rng)?;
        if let Some(heard) = phone.heard {
            self.write_heard(heard)?;
        }
        Ok(generation)
    }

    /// Captures without a verdict, or whose verdict a server that was set back has not confirmed. Their entries
    /// may have left the phone; then their envelopes are to be handed in again.
    fn count_captures_here_only(self, phone: &Phone) -> Result<u64, StoreError> {
        const SQL: &str = "select count(*) from entry where state = 0 or (state = 1 and envelope > ?1) \
            or (unconfirmed = 1 and own = 1 and ?2)";
        let answered = phone.state == DeviceState::Ok;
        let count = self.first(SQL, params![held(phone), answered], |row| Ok(row.get::<_, i64>(0)?))?;
        // Of a store that erased itself the envelopes are all that is left, and nobody knows how much is in them.
        let sealed = if phone.wiped_at.is_some() { phone.number_last.saturating_sub(phone.acked_number) } else { 0 };
        Ok(count.unwrap_or(0).cast_unsigned().max(self.count_envelopes_again()?).max(sealed))
    }

    fn count_changes_here_only(self, phone: &Phone) -> Result<u64, StoreError> {
        const SQL: &str = "select count(*) from board_change where envelope is null or envelope > ?1";
        let count = self.first(SQL, params![held(phone)], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }
}

/// The envelope up to which a phone will hear no more. A locked phone gets no verdicts: what the server holds
/// of its captures is all it will hear. Any other waits for its verdicts, and none of this is enough.
fn held(phone: &Phone) -> i64 {
    if phone.state == DeviceState::Ok { 0 } else { phone.acked_number.cast_signed() }
}

#[cfg(test)]
mod tests {
    use daybook_shared::entry::AttachmentKind;
    use daybook_shared::ids::Epoch;
    use daybook_shared::time::DAY_MS;
    use daybook_shared::wire::limits::ENVELOPE_KEPT_DAYS;

    use super::*;
    use crate::capture::{NewFile, RepaymentDraft, What};
    use crate::testing::{Phone, Server, account, kes, listed, present};

    /// What keeps the store from changing hands: captures, board changes, files.
    fn here_only(phone: &mut Phone) -> (u64, u64, u64) {
        match phone.store.change_hands(phone.now, &mut phone.rng).unwrap_err() {
            ChangeHandsError::NotHandedIn { captures, board_changes, files, .. } => (captures, board_changes, files),
            ChangeHandsError::Store(error) => panic!("{error}"),
        }
    }

    #[test]
    fn nothing_changes_hands_that_is_not_handed_in() {
        let mut server = Server::new();
        let mut phone = Phone::enrolled(&mut server);
        server.hand_out(vec![listed(&[1]), present(1, 1, 1, 3)]);
        phone.sync(&mut server);
        let paid = phone.cash(1, 100);
        let device = phone.store.device().unwrap();
        assert_eq!(here_only(&mut phone), (1, 0, 0));
        assert_eq!(phone.store.unanswered().unwrap(), [paid.id]);
        phone.sync(&mut server);
        phone.store.change_hands(phone.now, &mut phone.rng).unwrap();
        assert_ne!(phone.store.device().unwrap(), device);
        assert!(phone.store.own_entries().unwrap().is_empty());
        assert!(matches!(phone.store.view(phone.now), Err(crate::view::ViewError::NotEnrolled)));
        phone.reopen();
        assert!(!phone.store.began_new_install(), "the host knows the generation");
    }

    #[test]
    fn a_file_that_has_not_arrived_is_not_handed_in() {
        let mut server = Server::new();
        let mut phone = Phone::enrolled(&mut server);
        let photo = NewFile { bytes: vec![1; 100], mime: "image/jpeg".to_owned(), kind: AttachmentKind::Photo };
        let draft = What::Repayment(RepaymentDraft::cash(account(1), kes(100)));
        phone.store.capture_with(draft.into(), &[photo], phone.now, &mut phone.rng).unwrap();
        assert_eq!(here_only(&mut phone), (1, 0, 1));
        phone.sync(&mut server);
        // As when the server was set back: the file is to go once more.
        let waiting = phone.store.write(|db| db.send_files_again().and_then(|()| db.count_unsent_files()));
        assert_eq!(waiting.unwrap(), (1, 100));
        assert_eq!(here_only(&mut phone), (0, 0, 1));
        phone.sync(&mut server);
        phone.store.change_hands(phone.now, &mut phone.rng).unwrap();
        assert_eq!(phone.store.read().kept_file_bytes().unwrap(), 0);
    }

    #[test]
    fn what_a_phone_is_to_hand_in_again_is_not_handed_in() {
        let mut server = Server::new();
        let mut phone = Phone::enrolled(&mut server);
        phone.cash(1, 100);
        phone.sync(&mut server);
        phone.store.write(|db| db.rewind(Epoch([2; 8]))).unwrap();
        assert_eq!(here_only(&mut phone), (1, 0, 0));
    }

    #[test]
    fn envelopes_of_former_hands_stay_their_time_and_are_never_handed_in_again() {
        let mut server = Server::new();
        let mut phone = Phone::enrolled(&mut server);
        phone.cash(1, 100);
        phone.sync(&mut server);
        phone.store.change_hands(phone.now, &mut phone.rng).unwrap();
        let mut kept_after = |days: i64| {
            let then = server.now.plus_ms(days * DAY_MS);
            phone.store.write(|db| db.drop_old(then)).unwrap();
            phone.store.write(|db| db.rewind(Epoch([2; 8]))).unwrap();
            assert_eq!(phone.store.read().count_envelopes_again().unwrap(), 0);
            phone.store.read().kept_envelopes().unwrap().len()
        };
        assert_eq!((kept_after(ENVELOPE_KEPT_DAYS - 1), kept_after(ENVELOPE_KEPT_DAYS + 1)), (1, 0));
    }
}
