//! Installs: one life of a phone's store each. A phone opens a new one when it starts its way out.

use daybook_shared::time::Timestamp;

use super::writer::Job;
use crate::auth::device::{self, GrantError, Install};
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

/// The install of a job, opened if the job begins a request of a new one.
pub async fn open(tx: &mut Tx, job: &Job, now: Timestamp) -> sqlx::Result<Result<Install, Begun>> {
    if let Some(install) = device::install(tx, job.device_id, job.install).await? {
        return Ok(Ok(install));
    }
    if job.request_number.is_none() {
        return Ok(Err(Begun::Unknown));
    }
    match device::open_install(tx, now, (job.device_id, job.device), job.install).await {
        Ok(install) => Ok(Ok(install)),
        Err(GrantError::Sql(error)) => Err(error),
        Err(GrantError::TooManyInstalls | GrantError::SeriesUsedUp) => Ok(Err(Begun::Limit)),
    }
}

/// Begins a request: opens its install if it is new, and takes its number.
pub async fn begin(tx: &mut Tx, job: &Job, now: Timestamp) -> sqlx::Result<Begun> {
    let install = match open(tx, job, now).await? {
        Ok(install) => install,
        Err(begun) => return Ok(begun),
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
