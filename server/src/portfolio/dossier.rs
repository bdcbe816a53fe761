//! The rows of dossiers that the server opens: the cases of accounts and the files of agents. (An
//! officer's day opens with his first entry in it: `sync`.)

use std::collections::BTreeMap;

use daybook_shared::ids::{AccountId, AgentId, DossierId};

use crate::batch_row;
use crate::db::{Tx, batch};
use crate::spelled::spelled;

spelled! {
    /// What a dossier is about.
    DossierKind {
        /// The collection work on an account.
        Case = "case",
        /// An officer's business date.
        Day = "day",
        /// An agent, in one quarter.
        Agent = "agent",
        /// Named by an entry only.
        Unknown = "unknown",
    }
}

batch_row! {
    /// A dossier to be opened, in no caseload. Sections of its facts that have something to say begin at
    /// version 1; promises, timeline and board begin when something happens.
    pub struct NewDossier {
        /// Its derived id.
        uid: DossierId => "uuid",
        /// What it is about.
        kind: DossierKind => "text",
        /// The account of a case.
        account_id: Option<i64> => "int8",
        /// The agent of an agent's file.
        agent_id: Option<i64> => "int8",
        /// Its version.
        version: i64 => "int8",
        /// The version of who and where.
        profile_version: i64 => "int8",
        /// The version of what is due when.
        schedule_version: i64 => "int8",
        /// The version of where the account stands.
        state_version: i64 => "int8",
    }
}

impl NewDossier {
    /// The case of an account.
    pub fn case(uid: AccountId, account_id: i64) -> Self {
        Self {
            uid: DossierId::case(uid),
            kind: DossierKind::Case,
            account_id: Some(account_id),
            agent_id: None,
            version: 1,
            profile_version: 1,
            schedule_version: 1,
            state_version: 1,
        }
    }

    /// The file of an agent for a quarter (1 to 4) of a year.
    pub fn agent(uid: AgentId, agent_id: i64, (year, quarter): (i16, u8)) -> Self {
        Self {
            uid: DossierId::agent(uid, year, quarter),
            kind: DossierKind::Agent,
            account_id: None,
            agent_id: Some(agent_id),
            version: 1,
            profile_version: 1,
            schedule_version: 0,
            state_version: 0,
        }
    }
}

const INSERT: &str = "insert into dossier (uid, kind, account_id, user_id, agent_id, caseload_id, epoch, version,
       profile_version, schedule_version, state_version, promises_version, timeline_version, board_version)
     select uid, kind, account_id, null, agent_id, null, 0, version, profile_version, schedule_version, state_version,
       0, 0, 0 from v where true
     on conflict (uid) do update set kind = excluded.kind, account_id = excluded.account_id,
       agent_id = excluded.agent_id, version = dossier.version + 1,
       profile_version = case when excluded.profile_version > 0 then dossier.version + 1 else 0 end,
       schedule_version = case when excluded.schedule_version > 0 then dossier.version + 1 else 0 end,
       state_version = case when excluded.state_version > 0 then dossier.version + 1 else 0 end
     where dossier.kind = 'unknown'
     returning uid, id";

/// Opens dossiers and returns their keys. One that an entry had named before it was about anything is
/// opened in its place; one that is open already is missing from the answer.
pub async fn insert(tx: &mut Tx, dossiers: &[NewDossier]) -> sqlx::Result<BTreeMap<DossierId, i64>> {
    let keys: Vec<(DossierId, i64)> = batch::insert(tx, dossiers, INSERT).await?;
    Ok(keys.into_iter().collect())
}
