//! Giving dossiers to caseloads: the membership ends in one feed and begins in another, under a new
//! epoch, in one transaction.

use std::collections::BTreeMap;

use daybook_shared::time::Timestamp;

use super::feed::{self, FeedRow, GoneReason};
use crate::batch_row;
use crate::db::{Tx, batch};

batch_row! {
    struct Key {
        id: i64 => "int8",
    }
}

#[derive(sqlx::FromRow)]
struct Membership {
    id: i64,
    caseload_id: Option<i64>,
    epoch: i64,
    version: i64,
}

batch_row! {
    struct NewMembership {
        dossier_id: i64 => "int8",
        epoch: i64 => "int8",
        caseload_id: Option<i64> => "int8",
        at: Timestamp => "timestamptz",
        by_user: Option<i64> => "int8",
    }
}

const SELECT: &str = "select d.id, d.caseload_id, d.epoch, d.version from v join dossier d on d.id = v.id";

/// PostgreSQL locks dossiers one by one in this order, as everything that changes them does.
const LOCKED: &str = " order by d.id for no key update of d";

const UPDATE: &str =
    "update dossier set caseload_id = v.caseload_id, epoch = v.epoch from v where dossier.id = v.dossier_id";

const INSERT: &str = "insert into assignment (dossier_id, epoch, caseload_id, at, by_user)
     select dossier_id, epoch, caseload_id, at, by_user from v where true";

/// Moves dossiers (by key) into a caseload, or out of any. One that is there already stays as it is; of
/// two moves of one dossier the later in the list counts. Returns how many moved. Changes caseloads, so
/// it is the last thing a transaction does.
pub async fn assign(
    tx: &mut Tx,
    now: Timestamp,
    by_user: Option<i64>,
    moves: &[(i64, Option<i64>)],
) -> sqlx::Result<usize> {
    let moves: BTreeMap<i64, Option<i64>> = moves.iter().copied().collect();
    let keys: Vec<_> = moves.keys().map(|id| Key { id: *id }).collect();
    let mut dossiers: Vec<Membership> = if tx.is_postgres() {
        let locking = format!("{SELECT}{LOCKED}");
        batch::fetch(tx, &keys, &locking).await?
    } else {
        batch::fetch(tx, &keys, SELECT).await?
    };
    if dossiers.len() != moves.len() {
        return Err(sqlx::Error::RowNotFound);
    }
    dossiers.sort_unstable_by_key(|dossier| dossier.id);
    let (mut begun, mut said) = (Vec::new(), Vec::new());
    for Membership { id, caseload_id: from, epoch, version } in dossiers {
        let to = moves[&id];
        if from == to {
            continue;
        }
        let row = |caseload_id, epoch, gone| FeedRow { caseload_id, dossier_id: id, version, epoch, gone };
        said.extend(from.map(|from| row(from, epoch, Some(GoneReason::Moved))));
        said.extend(to.map(|to| row(to, epoch + 1, None)));
        begun.push(NewMembership { dossier_id: id, epoch: epoch + 1, caseload_id: to, at: now, by_user });
    }
    batch::execute(tx, &begun, UPDATE).await?;
    batch::execute(tx, &begun, INSERT).await?;
    feed::append(tx, said).await?;
    Ok(begun.len())
}
