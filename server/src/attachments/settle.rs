//! What follows when a file has come: the entries of its device that name it, and whose other files are
//! there too, lose EVIDENCE_PENDING. Their phones hear of it as of every later verdict.
//!
//! Each entry in a transaction of its own, under its dossier's lock: so a file and a person's release that
//! meet see each other. Done again it changes nothing; a phone that got no answer asks again, and what was
//! left of this is done then.

use daybook_shared::ids::{DossierId, EntryId, Hash, InstallId};
use daybook_shared::wire::outcome::{Flag, Outcome, Reason};

use crate::app::App;
use crate::batch_row;
use crate::db::{self, Tx, batch};
use crate::on_db;
use crate::sync::effects::{ChangedOutcome, Effects};
use crate::sync::load::{self, Needs, outcome_of};
use crate::sync::persist;

/// How often an entry is tried again when it met another transaction.
const RETRIES_MAX: usize = 20;

#[derive(Debug, sqlx::FromRow)]
struct Named {
    id: i64,
    uid: EntryId,
    dossier: DossierId,
    install: InstallId,
}

const SELECT_NAMED: &str = "select e.id, e.uid, d.uid as dossier, i.uid as install
     from entry_attachment a join entry e on e.uid = a.entry_uid join dossier d on d.id = e.dossier_id
       join install i on i.id = e.install_id
     where a.sha256 = $1 and a.size_bytes = $2 and a.device_id = $3 and a.arrived_at is null
     order by e.id limit 1";

/// Tells the entries of a device that a file of theirs has come.
pub async fn arrived(app: &App, device_id: i64, (sha256, size): (Hash, i64)) -> sqlx::Result<()> {
    loop {
        let mut tx = app.db.read().await?;
        let named: Option<Named> = on_db!(&mut tx, conn => {
            sqlx::query_as(SELECT_NAMED).bind(sha256).bind(size).bind(device_id).fetch_optional(conn).await
        })?;
        drop(tx);
        let Some(named) = named else { return Ok(()) };
        tell_again(app, device_id, &named, (sha256, size)).await?;
    }
}

async fn tell_again(app: &App, device_id: i64, named: &Named, file: (Hash, i64)) -> sqlx::Result<()> {
    for _ in 1..RETRIES_MAX {
        match tell(app, device_id, named, file).await {
            Err(error) if db::is_transient(&error) => {}
            done => return done,
        }
    }
    tell(app, device_id, named, file).await
}

const NOTE_ARRIVED: &str = "update entry_attachment set arrived_at = $1
     where entry_uid = $2 and sha256 = $3 and size_bytes = $4 and arrived_at is null";
const SELECT_OUTCOME: &str = "select outcome, reason, flags from entry where id = $1";

async fn tell(app: &App, device_id: i64, named: &Named, (sha256, size): (Hash, i64)) -> sqlx::Result<()> {
    let now = app.now();
    let mut tx = app.db.write().await?;
    let mut needs = Needs::default();
    needs.device(device_id, named.install);
    needs.dossier(named.dossier);
    let mut world = load::world(&mut tx, &needs).await?;
    on_db!(&mut tx, conn => {
        sqlx::query(NOTE_ARRIVED).bind(now).bind(named.uid).bind(sha256).bind(size).execute(conn).await.map(|_| ())
    })?;
    let (state, reason, flags): (String, Option<Reason>, Option<String>) =
        on_db!(&mut tx, conn => sqlx::query_as(SELECT_OUTCOME).bind(named.id).fetch_one(conn).await)?;
    let known = outcome_of(&state, reason, flags.as_deref())?;
    let is_last = !complete(&mut tx, &[named.id]).await?.is_empty();
    if is_last && pends(&known) {
        let dossier = world.dossiers.get_mut(&named.dossier).ok_or(sqlx::Error::RowNotFound)?;
        let outcome_version = dossier.next_version();
        let changed = ChangedOutcome { entry_id: named.id, device_id, outcome_version, outcome: without(known) };
        persist::persist(&mut tx, &mut world, Effects { outcomes: vec![changed], ..Effects::default() }, now).await?;
    }
    tx.commit().await
}

batch_row! {
    struct Key { id: i64 => "bigint" }
}

const SELECT_COMPLETE: &str = "select e.id from v join entry e on e.id = v.id
     where not exists (select 1 from entry_attachment a where a.entry_uid = e.uid and a.arrived_at is null)";

/// Of these entries, the ones whose files are all here.
async fn complete(tx: &mut Tx, entries: &[i64]) -> sqlx::Result<Vec<i64>> {
    let keys: Vec<_> = entries.iter().map(|&id| Key { id }).collect();
    let rows: Vec<(i64,)> = batch::fetch(tx, &keys, SELECT_COMPLETE).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Later verdicts do not say that evidence is pending which is here: whoever judges an entry again sees its
/// bytes only.
pub async fn correct(tx: &mut Tx, outcomes: &mut [ChangedOutcome]) -> sqlx::Result<()> {
    let pending = outcomes.iter().filter(|changed| pends(&changed.outcome)).map(|changed| changed.entry_id);
    let complete = complete(tx, &pending.collect::<Vec<_>>()).await?;
    for changed in outcomes.iter_mut().filter(|changed| complete.contains(&changed.entry_id)) {
        changed.outcome = without(changed.outcome.clone());
    }
    Ok(())
}

fn pends(outcome: &Outcome) -> bool {
    outcome.flags.iter().flatten().any(|flag| *flag == Flag::EvidencePending)
}

fn without(outcome: Outcome) -> Outcome {
    let flags: Vec<_> = outcome.flags.into_iter().flatten().filter(|flag| *flag != Flag::EvidencePending).collect();
    Outcome { flags: (!flags.is_empty()).then_some(flags), ..outcome }
}
