//! Installs: one life of a phone's store each. A phone opens a new one when it starts its way out.

use daybook_shared::time::Timestamp;

use super::writer::Job;
use crate::auth::device::{self, GrantError};
use crate::db::Tx;
use crate::on_db;

/// How a request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The install is known (now) and the request's number is the highest.
    Open(i64),
    /// The request's number is not above this one.
    Stale(u64),
    /// Too many installs in a month.
    Limit,
    /// An envelope of an install that the server has never seen ask.
    Unknown,
}

const RAISE_REQUEST: &str = "update install set last_request = $2 where id = $1 and last_request < $2";

/// Begins a request: opens its install if it is new, and takes its number.
pub async fn begin(tx: &mut Tx, job: &Job, now: Timestamp) -> sqlx::Result<Begun> {
    let install = match device::install(tx, job.device_id, job.install).await? {
        Some(install) => install,
        None if job.request_number.is_none() => return Ok(Begun::Unknown),
        None => match device::open_install(tx, now, (job.device_id, job.device), job.install).await {
            Ok(install) => install,
            Err(GrantError::Sql(error)) => return Err(error),
            Err(GrantError::TooManyInstalls | GrantError::SeriesUsedUp) => return Ok(Begun::Limit),
        },
    };
    let Some(number) = job.request_number else { return Ok(Begun::Open(install.id)) };
    let id = install.id;
    let raised = on_db!(tx, conn => {
        sqlx::query(RAISE_REQUEST).bind(id).bind(number).execute(conn).await.map(|done| done.rows_affected())
    })?;
    Ok(if raised == 1 {
        Begun::Open(id)
    } else {
        Begun::Stale(u64::try_from(install.last_request).unwrap_or_default())
    })
}
