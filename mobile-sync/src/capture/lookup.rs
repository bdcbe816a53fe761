//! Which account or agent a person means. Shows nothing, so it works while the views are locked.

use daybook_shared::ids::{AccountId, AgentId, DossierId};

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

    /// The agent with this code, or whose id this is. Any other id is taken for an agent this phone does
    /// not hold; `None` for a text that is neither a code here nor an id.
    pub fn agent_named(&self, text: &str) -> Result<Option<AgentId>, StoreError> {
        let id = text.parse::<AgentId>().ok();
        let profiles = self.read().agent_profiles()?;
        let named = profiles.into_iter().find(|(_, profile)| profile.code.eq_ignore_ascii_case(text));
        Ok(named.map(|(_, profile)| profile.agent).or(id))
    }

    /// The dossier of the account that [`Self::account_named`] finds.
    pub fn case_named(&self, text: &str) -> Result<Option<DossierId>, StoreError> {
        Ok(self.account_named(text)?.map(DossierId::case))
    }
}
