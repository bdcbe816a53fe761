//! The rows of policies: append-only, the newest is in force.

use daybook_shared::time::Timestamp;
use uuid::Uuid;

use super::policy::Policy;
use crate::db::Tx;
use crate::on_db;

/// A policy that was put into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Id.
    pub uid: Uuid,
    /// What it says.
    pub rules: Policy,
    /// Since when.
    pub since: Timestamp,
}

const CURRENT: &str = "select uid, rules, created_at from credit_policy order by id desc limit 1";
const FIND: &str = "select uid, rules, created_at from credit_policy where uid = $1";
const INSERT: &str = "insert into credit_policy (uid, rules, created_at, by_user) values ($1, $2, $3, $4)
     on conflict (uid) do nothing";

type Row = (Uuid, String, Timestamp);

/// The policy in force; none while nobody has said anything, and then nothing limits.
pub async fn current(tx: &mut Tx) -> sqlx::Result<Option<InForce>> {
    let row: Option<Row> = on_db!(tx, conn => sqlx::query_as(CURRENT).fetch_optional(conn).await)?;
    row.map(read).transpose()
}

/// The policy with this id.
pub async fn find(tx: &mut Tx, policy: Uuid) -> sqlx::Result<Option<InForce>> {
    let row: Option<Row> = on_db!(tx, conn => sqlx::query_as(FIND).bind(policy).fetch_optional(conn).await)?;
    row.map(read).transpose()
}

/// Puts a policy into force; false when its id came to be in use meanwhile.
pub async fn insert(tx: &mut Tx, new: &InForce, by_user: i64) -> sqlx::Result<bool> {
    let rules = serde_json::to_string(&new.rules).expect("a policy is JSON");
    let inserted = on_db!(tx, conn => {
        let insert = sqlx::query(INSERT).bind(new.uid).bind(rules).bind(new.since).bind(by_user);
        insert.execute(conn).await.map(|done| done.rows_affected())
    })?;
    Ok(inserted == 1)
}

fn read((uid, rules, since): Row) -> sqlx::Result<InForce> {
    let rules = serde_json::from_str(&rules)
        .map_err(|error| sqlx::Error::Decode(format!("table credit_policy, {uid}: {error}").into()))?;
    Ok(InForce { uid, rules, since })
}
