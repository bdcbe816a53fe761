//! Installs: one life of a phone's store each. A phone opens a new one when it starts its way out.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::ids::{AckHash, InstallId};
use daybook_shared::time::Timestamp;

use super::writer::Job;
use crate::auth::device::{self, GrantError, Install};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::recovery::{self, relearn, rollback};

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
    /// The device knows an acknowledgement that the server has not got: it has to show it.
    Behind,
}

batch_row! {
    struct InstallKey { device_id: i64 => "bigint", uid: InstallId => "uuid", after: Option<AckHash> => "bytea" }
}
batch_row! {
    struct Raised { id: i64 => "bigint", number: i64 => "bigint" }
}

const SELECT_INSTALLS: &str = "select i.device_id, i.uid, v.after, i.id, i.last_request,
       v.after is null or exists (select 1 from acknowledgement a where a.device_id = v.device_id and a.hash = v.after)
     from v join install i on i.device_id = v.device_id and i.uid = v.uid";
const RAISE_REQUESTS: &str = "update install set last_request = v.number from v
     where install.id = v.id and install.last_request < v.number returning install.id";

/// The install of a job, opened if the job begins a request of a new one. In a database of which a part
/// was lost an envelope may be of an install that was opened and ended after the backup.
pub async fn open(tx: &mut Tx, job: &Job, now: Timestamp) -> sqlx::Result<Result<Install, Begun>> {
    if let Some(install) = device::install(tx, job.device_id, job.install).await? {
        return Ok(Ok(install));
    }
    if job.request_number.is_none() {
        if job.item.is_none() || !recovery::ever(tx).await? {
            return Ok(Err(Begun::Unknown));
        }
        relearn::ended_install(tx, now, (job.device_id, job.device), job.install).await?;
        return Ok(device::install(tx, job.device_id, job.install).await?.ok_or(Begun::Unknown));
    }
    match device::open_install(tx, now, (job.device_id, job.device), job.install).await {
        Ok(install) => Ok(Ok(install)),
        Err(GrantError::Sql(error)) => Err(error),
        Err(GrantError::TooManyInstalls | GrantError::SeriesUsedUp) => Ok(Err(Begun::Limit)),
    }
}

/// Begins the jobs' requests, in their order: opens installs that are new, and takes requests' numbers.
pub async fn begin(tx: &mut Tx, jobs: &[Job], now: Timestamp) -> sqlx::Result<Vec<Begun>> {
    let keys: BTreeSet<_> = jobs.iter().map(|job| (job.device_id, job.install, job.after)).collect();
    let keys: Vec<_> = keys.into_iter().map(|(device_id, uid, after)| InstallKey { device_id, uid, after }).collect();
    let rows: Vec<(i64, InstallId, Option<AckHash>, i64, i64, bool)> = batch::fetch(tx, &keys, SELECT_INSTALLS).await?;
    let behind: BTreeSet<_> =
        rows.iter().filter(|row| !row.5).map(|(device, uid, after, ..)| (*device, *uid, *after)).collect();
    let mut known: BTreeMap<_, _> =
        rows.into_iter().map(|(device, uid, _, id, last, _)| ((device, uid), (id, last))).collect();
    let mut begun = Vec::with_capacity(jobs.len());
    let mut raised = BTreeMap::new();
    for job in jobs {
        if is_behind(tx, job, &known, &behind).await? {
            begun.push(Begun::Behind);
            continue;
        }
        let (id, last) = match known.get(&(job.device_id, job.install)) {
            Some(install) => *install,
            None => match open(tx, job, now).await? {
                Ok(install) => (install.id, install.last_request),
                Err(not) => {
                    begun.push(not);
                    continue;
                }
            },
        };
        if job.request_number.is_some_and(|number| number <= last) {
            begun.push(Begun::Stale(u64::try_from(last).unwrap_or_default()));
            continue;
        }
        raised.extend(job.request_number.map(|number| (id, number)));
        known.insert((job.device_id, job.install), (id, job.request_number.unwrap_or(last)));
        begun.push(Begun::Open(id));
    }
    let rows: Vec<_> = raised.iter().map(|(&id, &number)| Raised { id, number }).collect();
    let won: Vec<(i64,)> = batch::fetch(tx, &rows, RAISE_REQUESTS).await?;
    // On PostgreSQL another request of the same install may have come between.
    raised.retain(|id, _| !won.contains(&(*id,)));
    for begun in &mut begun {
        if let Begun::Open(id) = begun
            && let Some(number) = raised.get(id)
        {
            *begun = Begun::Stale(u64::try_from(*number).unwrap_or_default());
        }
    }
    Ok(begun)
}

/// Whether the server lacks the acknowledgement that a job's request names.
async fn is_behind(
    tx: &mut Tx,
    job: &Job,
    known: &BTreeMap<(i64, InstallId), (i64, i64)>,
    behind: &BTreeSet<(i64, InstallId, Option<AckHash>)>,
) -> sqlx::Result<bool> {
    match job.after {
        None => Ok(false),
        Some(_) if known.contains_key(&(job.device_id, job.install)) => {
            Ok(behind.contains(&(job.device_id, job.install, job.after)))
        }
        // Its install is new, and no row says it.
        Some(after) => Ok(!rollback::is_held(tx, job.device_id, after).await?),
    }
}
