//! Which account a person means. Shows nothing, so it works while the views are locked.

use daybook_shared::ids::{AccountId, DossierId};

use crate::store::{Store, StoreError};

impl Store {
    /// The account with this number, or whose id or dossier's id this is. Any other id is taken for
    /// an account this phone does not hold; `None` for a text that is neither a number here nor an id.
    pub fn account_named(&self, text: &str) -> Result<Option<AccountId>, StoreError> {
        let id = text.parse::<AccountId>().ok();
        for (dossier, profile) in self.read().profiles()? {
            let is_id = id.is_some_and(|id| profile.account == id || dossier.0 == id.0);
            if is_id || profile.account_number.eq_ignore_ascii_case(text) {
                return Ok(Some(profile.account));
            }
        }
        Ok(id)
    }

    /// The dossier of the account that [`Self::account_named`] finds.
    pub fn case_named(&self, text: &str) -> Result<Option<DossierId>, StoreError> {
        Ok(self.account_named(text)?.map(DossierId::case))
    }
}
