//! Accounts from their payments: allocations, instalments, state; promises from their captures.

use std::collections::BTreeMap;

use daybook_shared::ids::{EntryId, PaymentId};
use daybook_shared::schedule::{Instalment, Portions};
use daybook_shared::time::Timestamp;
use indicatif::ProgressBar;

use super::PAGE_ROWS;
use super::findings::{Findings, Place};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;
use crate::portfolio::account::{AccountRow, Lock, load_accounts, load_instalments, load_payments};
use crate::portfolio::allocation::{Payment, replay};

/// Allocations by payment and instalment.
type Allocations = BTreeMap<(PaymentId, i64), Portions>;
/// Promises: capture time, id, status.
type Promises = Vec<(Timestamp, EntryId, String)>;

const SELECT_PAGE: &str = "select id from account where id > $1 order by id limit $2";

/// Replays every account.
pub async fn verify(tx: &mut Tx, findings: &mut Findings, progress: &ProgressBar) -> sqlx::Result<()> {
    let mut after = 0;
    loop {
        let ids: Vec<i64> = on_db!(tx, conn => {
            sqlx::query_scalar(SELECT_PAGE).bind(after).bind(PAGE_ROWS).fetch_all(conn).await
        })?;
        let Some(last) = ids.last() else { return Ok(()) };
        after = *last;
        page(tx, &ids, findings).await?;
        progress.inc(ids.len() as u64);
    }
}

batch_row! {
    struct Key { id: i64 => "int8" }
}

const SELECT_ALLOCATIONS: &str = "select a.account_id, a.payment_uid, a.n, a.principal, a.interest, a.fee, a.penalty
     from v join allocation a on a.account_id = v.id";
const SELECT_PROMISES: &str = "select p.account_id, p.captured_at, p.entry_uid, p.status
     from v join promise p on p.account_id = v.id";

async fn page(tx: &mut Tx, ids: &[i64], findings: &mut Findings) -> sqlx::Result<()> {
    let accounts = load_accounts(tx, ids, Lock::No).await?;
    let versions: Vec<_> = accounts.iter().map(|account| (account.id, account.schedule_version)).collect();
    let schedules = load_instalments(tx, &versions).await?;
    let payments = load_payments(tx, ids).await?;
    let keys: Vec<_> = ids.iter().map(|id| Key { id: *id }).collect();
    let rows: Vec<(i64, PaymentId, i64, i64, i64, i64, i64)> = batch::fetch(tx, &keys, SELECT_ALLOCATIONS).await?;
    let mut allocations: BTreeMap<i64, Allocations> = BTreeMap::new();
    for (account, payment, n, principal, interest, fee, penalty) in rows {
        let portions = Portions { principal, interest, fee, penalty };
        allocations.entry(account).or_default().insert((payment, n), portions);
    }
    let rows: Vec<(i64, Timestamp, EntryId, String)> = batch::fetch(tx, &keys, SELECT_PROMISES).await?;
    let mut promises: BTreeMap<i64, Promises> = BTreeMap::new();
    for (account, at, id, status) in rows {
        promises.entry(account).or_default().push((at, id, status));
    }
    for account in &accounts {
        let schedule = schedules.get(&account.id).map_or(&[][..], Vec::as_slice);
        let payments = payments.get(&account.id).map_or(&[][..], Vec::as_slice);
        compare_replay(account, schedule, payments, &allocations.remove(&account.id).unwrap_or_default(), findings);
        compare_promises(account, promises.remove(&account.id).unwrap_or_default(), findings);
    }
    Ok(())
}

fn compare_replay(
    account: &AccountRow,
    schedule: &[Instalment],
    payments: &[Payment],
    allocations: &Allocations,
    findings: &mut Findings,
) {
    let replayed = match replay(schedule, payments, account.waterfall) {
        Ok(replayed) => replayed,
        Err(error) => {
            let place = Place { check: "accounts: payments allocate", table: "payment", key: &account.id };
            return findings.differs(place, "its payments", "amounts that allocate", error);
        }
    };
    for (derived, stored) in replayed.instalments.iter().zip(schedule) {
        let key = format!("account {}, n {}", account.id, stored.n);
        let place = Place { check: "accounts: instalments", table: "instalment", key: &key };
        findings.compare(place, "paid", &derived.paid, &stored.paid);
    }
    let mut derived = Allocations::new();
    for (payment, allocation) in &replayed.allocations {
        derived.extend(allocation.parts.iter().map(|part| ((*payment, i64::from(part.n)), part.portions)));
    }
    let keys = derived.keys().chain(allocations.keys().filter(|key| !derived.contains_key(key)));
    for (payment, n) in keys {
        let key = format!("account {}, payment {payment}, n {n}", account.id);
        let place = Place { check: "accounts: allocations", table: "allocation", key: &key };
        findings.compare(place, "portions", &derived.get(&(*payment, *n)), &allocations.get(&(*payment, *n)));
    }
    compare_state(account, &replayed.instalments, replayed.credit_minor, payments.last().copied(), findings);
}

fn compare_state(
    account: &AccountRow,
    instalments: &[Instalment],
    credit_minor: i64,
    last: Option<Payment>,
    findings: &mut Findings,
) {
    let place = Place { check: "accounts: state", table: "account", key: &account.id };
    let mut derived = account.clone();
    if let Err(error) = derived.restate(instalments, credit_minor, last) {
        return findings.differs(place, "its sums", "sums that fit", error);
    }
    findings.compare(place, "outstanding", &derived.outstanding(), &account.outstanding());
    findings.compare(place, "paid_minor", &derived.paid_minor, &account.paid_minor);
    findings.compare(place, "credit_minor", &derived.credit_minor, &account.credit_minor);
    findings.compare(place, "oldest_unmet_due", &derived.oldest_unmet_due, &account.oldest_unmet_due);
    let newest = |row: &AccountRow| (row.last_value_date, row.last_payment, row.last_paid_minor);
    findings.compare(place, "last payment", &newest(&derived), &newest(account));
    findings.compare(place, "status", &derived.status_text(), &account.status_text());
}

/// The latest captured is active, the others are superseded (ruling S28).
fn compare_promises(account: &AccountRow, mut promises: Promises, findings: &mut Findings) {
    promises.sort_unstable();
    let latest = promises.last().map(|(at, id, _)| (*at, *id));
    let place = Place { check: "accounts: active promise", table: "account", key: &account.id };
    findings.compare(place, "active_promise", &latest, &account.active_promise_at.zip(account.active_promise));
    for (at, id, status) in &promises {
        let expected = if latest == Some((*at, *id)) { "ACTIVE" } else { "SUPERSEDED" };
        let place = Place { check: "accounts: promises", table: "promise", key: id };
        findings.compare(place, "status", &expected, &status.as_str());
    }
}
