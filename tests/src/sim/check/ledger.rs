//! I2: the ledger and what is posted and held are the same money, and every account is what a replay
//! of its payments says.

use std::collections::BTreeMap;

use daybook_server::portfolio::account::{self, AccountRow, Lock};
use daybook_server::portfolio::allocation::{self, Payment};
use daybook_shared::ids::{EntryId, PaymentId};
use daybook_shared::schedule::{Instalment, Portions, outstanding};
use daybook_shared::time::Timestamp;

use crate::sim::world::World;

/// Checks the books.
pub fn check(world: &World) {
    balanced(world);
    sums(world);
    officer_cash(world);
    accounts(world);
    promises(world);
}

fn balanced(world: &World) {
    let off: Vec<(i64, i64)> = world
        .server
        .rows("select journal_id, cast(sum(minor) as bigint) from line group by journal_id having sum(minor) <> 0");
    assert!(off.is_empty(), "I2: journals that do not balance: {off:?}");
}

/// Sums by currency and some text.
fn by_currency(rows: Vec<(String, String, i64)>) -> BTreeMap<(String, String), i64> {
    rows.into_iter().map(|(currency, what, minor)| ((currency, what), minor)).collect()
}

fn sums(world: &World) {
    let lines = by_currency(world.server.rows(
        "select j.currency, l.gl, cast(sum(l.minor) as bigint) from line l join journal j on j.id = l.journal_id
         where j.kind not in ('import', 'activation', 'late_fee', 'early_settlement', 'return', 'refund_owed')
           and not (j.kind = 'reversal' and j.correlation not in (select uid from payment)) group by j.currency, l.gl",
    ));
    let payments = by_currency(world.server.rows(
        "select currency, state, cast(sum(amount_minor) as bigint) from payment
         where state = 'posted' or (state = 'held' and (debited or source <> 'field')) group by currency, state",
    ));
    let currencies: std::collections::BTreeSet<_> = lines.keys().chain(payments.keys()).map(|key| &key.0).collect();
    for currency in currencies {
        let of = |sums: &BTreeMap<_, i64>, what: &str| {
            sums.get(&(currency.clone(), what.to_owned())).copied().unwrap_or_default()
        };
        // Activations apart, only down payments are credited to orders.
        let credited = -["plan_recv", "credit", "recovery", "orders"].iter().map(|gl| of(&lines, gl)).sum::<i64>();
        assert_eq!(credited, of(&payments, "posted"), "I2: {currency} credited and posted");
        assert_eq!(-of(&lines, "suspense"), of(&payments, "held"), "I2: {currency} in suspense and held");
    }
}

fn officer_cash(world: &World) {
    let kept: Vec<(i64, String, i64)> = world
        .server
        .rows("select user_id, currency, minor from officer_cash where minor <> 0 order by user_id, currency");
    let booked: Vec<(i64, String, i64)> = world.server.rows(
        "select l.subject, j.currency, cast(sum(l.minor) as bigint) from line l join journal j on j.id = l.journal_id
         where l.gl = 'officer_cash' group by l.subject, j.currency having sum(l.minor) <> 0
         order by l.subject, j.currency",
    );
    assert_eq!(kept, booked, "I2: cash in hand and the ledger");
}

fn accounts(world: &World) {
    let ids: Vec<i64> = world.accounts.iter().map(|account| account.id).collect();
    let (rows, schedules, payments) = world.server.read(async |_, tx| {
        let rows = account::load_accounts(tx, &ids, Lock::No).await.expect("accounts can be read");
        let versions: Vec<_> = rows.iter().map(|row| (row.id, row.schedule_version)).collect();
        let schedules = account::load_instalments(tx, &versions).await.expect("schedules can be read");
        let payments = account::load_payments(tx, &ids).await.expect("payments can be read");
        (rows, schedules, payments)
    });
    let lines: Vec<(i64, String, i64)> = world.server.rows(
        "select l.subject, l.gl, cast(sum(l.minor) as bigint) from line l
         where l.gl in ('plan_recv', 'credit') group by l.subject, l.gl",
    );
    let balance = |gl: &str, subject| lines.iter().find(|row| row.0 == subject && row.1 == gl).map_or(0, |row| row.2);
    let none = Vec::new();
    for row in &rows {
        account(row, &schedules[&row.id], payments.get(&row.id).unwrap_or(&none));
        let owed = row.outstanding().total().expect("a sum");
        assert_eq!(balance("plan_recv", row.id), owed, "I2: receivable of {}", row.number);
        let credits = rows.iter().filter(|other| other.customer_id == row.customer_id).map(|other| other.credit_minor);
        assert_eq!(-balance("credit", row.customer_id), credits.sum::<i64>(), "I2: credit of {}", row.number);
    }
}

/// An account is what its payments say, in the order of value date and id.
fn account(row: &AccountRow, stored: &[Instalment], payments: &[Payment]) {
    let blank: Vec<_> = stored.iter().map(|line| Instalment { paid: Portions::ZERO, ..*line }).collect();
    let replayed = allocation::replay(&blank, payments, row.waterfall).expect("payments can be replayed");
    assert_eq!(stored, replayed.instalments, "I3: the schedule of {} is not what its payments make", row.number);
    assert_eq!(row.credit_minor, replayed.credit_minor, "I3: credit of {}", row.number);
    assert_eq!(row.outstanding(), outstanding(stored).expect("a sum"), "I3: outstanding of {}", row.number);
    let last = payments.last().map(|payment| (payment.value_date, payment.id));
    assert_eq!(row.last_value_date.zip(row.last_payment), last, "I3: last payment of {}", row.number);
    let paid_up = row.outstanding().is_zero();
    let status = row.status_text();
    assert!(
        (status == "closed(paid)") == paid_up || status.starts_with("closed(") && status != "closed(paid)",
        "I3: {} is {status}, owed {:?}",
        row.number,
        row.outstanding()
    );
}

/// Of an account's promises the latest captured is ACTIVE, and no other.
fn promises(world: &World) {
    let rows: Vec<(i64, Timestamp, EntryId, String)> = world.server.rows(
        "select account_id, captured_at, entry_uid, status from promise order by account_id, captured_at, entry_uid",
    );
    for of_account in rows.chunk_by(|a, b| a.0 == b.0) {
        let (last, earlier) = of_account.split_last().expect("a chunk is not empty");
        assert_eq!(last.3, "ACTIVE", "I3: the latest promise of account {}", last.0);
        assert!(earlier.iter().all(|row| row.3 == "SUPERSEDED"), "I3: promises of account {}", last.0);
    }
}

/// Payments the server has: id, state, and whether the officer's cash was charged.
pub fn payments(world: &World) -> BTreeMap<PaymentId, (String, bool)> {
    let rows: Vec<(PaymentId, String, bool)> = world.server.rows("select uid, state, debited from payment");
    rows.into_iter().map(|(id, state, debited)| (id, (state, debited))).collect()
}
