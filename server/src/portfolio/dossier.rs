//! The rows of dossiers that the server opens: the cases of accounts and the files of agents. (An
//! officer's day opens with his first entry in it: `sync`.) And what happens to all cases of a customer at once.

use std::collections::BTreeMap;

use daybook_shared::ids::{AccountId, AgentId, DossierId};

use super::feed::{self, FeedRow};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;
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

/// A case of a customer, locked by this transaction.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LockedCase {
    /// Key.
    pub id: i64,
    /// Key of the caseload it is in.
    pub caseload_id: Option<i64>,
    /// The epoch of its membership.
    pub epoch: i64,
    /// Its version.
    pub version: i64,
}

const SELECT_CASES: &str = "select d.id, d.caseload_id, d.epoch, d.version from dossier d
     join account a on a.id = d.account_id where a.customer_id = $1 and d.erased_at is null order by d.id";
/// PostgreSQL locks dossiers one by one in this order, as everything that changes them does.
const LOCKED_CASES: &str = "select d.id, d.caseload_id, d.epoch, d.version from dossier d
     join account a on a.id = d.account_id where a.customer_id = $1 and d.erased_at is null order by d.id
     for no key update of d";

/// Locks the cases of a customer that are not erased. Before anything of the customer's own row is changed.
pub async fn lock_cases(tx: &mut Tx, customer_id: i64) -> sqlx::Result<Vec<LockedCase>> {
    let sql = if tx.is_postgres() { LOCKED_CASES } else { SELECT_CASES };
    on_db!(tx, conn => sqlx::query_as(sql).bind(customer_id).fetch_all(conn).await)
}

batch_row! {
    struct Renewed { id: i64 => "int8", version: i64 => "int8" }
}

const RENEW_PROFILES: &str =
    "update dossier set version = v.version, profile_version = v.version from v where dossier.id = v.id";

/// Says in these cases that who the customer is has changed. Caseloads change: the last thing a transaction does.
pub async fn renew_profiles(tx: &mut Tx, cases: &[LockedCase]) -> sqlx::Result<()> {
    let renewed: Vec<_> = cases.iter().map(|case| Renewed { id: case.id, version: case.version + 1 }).collect();
    batch::execute(tx, &renewed, RENEW_PROFILES).await?;
    let said = cases.iter().filter_map(|case| {
        let (dossier_id, version) = (case.id, case.version + 1);
        Some(FeedRow { caseload_id: case.caseload_id?, dossier_id, version, epoch: case.epoch, gone: None })
    });
    feed::append(tx, said.collect()).await?;
    Ok(())
}
