//! The audit trail: who did what to which record, written in the transaction of the effect, and sealed
//! in a chain of hashes soon after ([`seal`], by the rules of [`chain`], verified by [`check`]).

pub mod chain;
pub mod check;
pub mod seal;
#[cfg(test)]
mod tests;

use daybook_shared::time::Timestamp;

use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;

/// Who acts: a person over REST or at the command line, or a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actor {
    /// Key of the user; none for the operator at the command line.
    pub user_id: Option<i64>,
    /// Key of the device.
    pub device_id: Option<i64>,
}

impl Actor {
    /// The operator at the command line, who has the database itself.
    pub const OPERATOR: Self = Self { user_id: None, device_id: None };

    /// A user over REST.
    pub fn user(user_id: i64) -> Self {
        Self { user_id: Some(user_id), device_id: None }
    }

    /// A user through a device.
    pub fn device(user_id: i64, device_id: i64) -> Self {
        Self { user_id: Some(user_id), device_id: Some(device_id) }
    }
}

const INSERT: &str = "
    insert into audit (at, user_id, device_id, action, subject, detail)
    values ($1, $2, $3, $4, $5, $6)";

/// Writes one row. `action` is a stable code such as `user.created`, `subject` the id of what it was
/// done to, `detail` a JSON object of ids and codes, never of names, passwords or tokens.
pub async fn record(
    tx: &mut Tx,
    at: Timestamp,
    actor: Actor,
    action: &str,
    subject: impl std::fmt::Display,
    detail: serde_json::Value,
) -> sqlx::Result<()> {
    let subject = subject.to_string();
    let detail = detail.to_string();
    on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(at)
            .bind(actor.user_id)
            .bind(actor.device_id)
            .bind(action)
            .bind(subject)
            .bind(detail)
            .execute(conn)
            .await
            .map(|_| ())
    })
}

batch_row! {
    /// A row of the trail, as [`record`] has it.
    pub struct Record {
        /// When.
        at: Timestamp => "timestamptz",
        /// Key of the user.
        user_id: Option<i64> => "int8",
        /// Key of the device.
        device_id: Option<i64> => "int8",
        /// What was done.
        action: String => "text",
        /// To what.
        subject: String => "text",
        /// A JSON object.
        detail: String => "text",
    }
}

impl Record {
    /// A row.
    pub fn new(
        at: Timestamp,
        Actor { user_id, device_id }: Actor,
        action: &str,
        subject: impl std::fmt::Display,
        detail: &serde_json::Value,
    ) -> Self {
        let (action, subject, detail) = (action.to_owned(), subject.to_string(), detail.to_string());
        Self { at, user_id, device_id, action, subject, detail }
    }
}

const INSERT_ALL: &str = "insert into audit (at, user_id, device_id, action, subject, detail)
     select at, user_id, device_id, action, subject, detail from v where true";

/// Writes several rows, in their order.
pub async fn record_all(tx: &mut Tx, records: &[Record]) -> sqlx::Result<()> {
    batch::execute(tx, records, INSERT_ALL).await.map(drop)
}

const HAPPENED: &str = "select cast(count(*) as bigint) from (select 1 from audit where action = $1 limit 1) found";

/// Whether an action was ever recorded.
pub async fn happened(tx: &mut Tx, action: &str) -> sqlx::Result<bool> {
    let found: i64 = on_db!(tx, conn => sqlx::query_scalar(HAPPENED).bind(action).fetch_one(conn).await)?;
    Ok(found > 0)
}
