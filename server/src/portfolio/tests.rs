//! The SQL of this folder and of the journal, on both engines.

use daybook_shared::ids::{AccountId, CaseloadId, CustomerId, PaymentId, UnitId};
use daybook_shared::money::Currency;
use daybook_shared::schedule::{DueLine, Portions};
use daybook_shared::time::{Date, Timestamp};
use uuid::Uuid;

use super::account::{self, AccountRow, AccountStatus, AllocationRow, ClosedAs, Lock, Stage};
use super::ageing_report::{self, ReportError};
use super::allocation::{Payment, Waterfall, allocate, replay};
use super::assign::assign;
use super::earning;
use super::opening::{self, NewAccount, NewCustomer, NewUnit, Opened};
use crate::db::Tx;
use crate::ledger::journal;
use crate::ledger::posting::{self, Applied, Event, GlAccount};
use crate::on_db;
use crate::testing::{TestServer, for_each_engine};

fn now() -> Timestamp {
    "2026-03-01T08:00:00Z".parse().unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn kes() -> Currency {
    "KES".parse().unwrap()
}

fn new_account(n: u8, unit_id: i64, currency: Currency) -> NewAccount {
    let line = |n, text, principal| DueLine { n, due_date: date(text), principal, interest: 10, fee: 0, penalty: 0 };
    NewAccount {
        uid: AccountId::from([n; 16]),
        number: format!("A{n}"),
        customer: NewCustomer {
            uid: CustomerId::from([n; 16]),
            name: format!("Customer {n}"),
            phone: Some("+254700000000".into()),
            national_id_masked: None,
            language: None,
            address: None,
            lat_e6: Some(-1_286_389),
            lon_e6: None,
        },
        unit_id,
        product: "Phone".into(),
        currency,
        disbursed_on: date("2026-01-01"),
        stage: Stage::Field,
        waterfall: Waterfall::default(),
        lines: vec![line(1, "2026-02-01", 90), line(2, "2026-03-01", 90)],
    }
}

async fn db_open(tx: &mut Tx, count: u8) -> Vec<Opened> {
    let company = NewUnit { uid: UnitId::from([1; 16]), parent_id: None, kind: "company", name: "Lender" };
    let unit = opening::unit(tx, now(), company).await.unwrap();
    assert_eq!(opening::unit(tx, now(), company).await.unwrap(), unit);
    let accounts = (1..=count).map(|n| new_account(n, unit, kes())).collect();
    opening::open(tx, now(), accounts, posting::activation).await.unwrap().into_values().collect()
}

async fn db_caseload(tx: &mut Tx, n: u8) -> i64 {
    on_db!(tx, conn => {
        sqlx::query_scalar("insert into caseload (uid, name, audience, unit_id, seq, pruned_to) values ($1, 'c', 'officer', 1, 0, 0) returning id")
            .bind(CaseloadId::from([n; 16])).fetch_one(conn).await
    })
    .unwrap()
}

type Fed = (i64, i64, i64, bool, i64, Option<String>);

async fn db_feed(tx: &mut Tx) -> Vec<Fed> {
    on_db!(tx, conn => {
        sqlx::query_as("select caseload_id, seq, dossier_id, present, epoch, reason from feed order by caseload_id, seq")
            .fetch_all(conn).await
    })
    .unwrap()
}

async fn db_count(tx: &mut Tx, sql: &'static str) -> i64 {
    on_db!(tx, conn => sqlx::query_scalar(sql).fetch_one(conn).await).unwrap()
}

async fn db_pay(tx: &mut Tx, account: i64, n: u8, value_date: &str, amount_minor: i64) -> Payment {
    let id = PaymentId::from([n; 16]);
    on_db!(tx, conn => {
        sqlx::query("insert into payment (uid, account_id, source, channel, amount_minor, currency, value_date, state, debited) values ($1, $2, 'field', 'CASH', $3, 'KES', $4, 'posted', $5)")
            .bind(id).bind(account).bind(amount_minor).bind(date(value_date)).bind(true).execute(conn).await.map(|_| ())
    })
    .unwrap();
    Payment { value_date: date(value_date), id, amount_minor }
}

#[tokio::test]
async fn an_account_is_saved_as_it_was_restated() {
    for_each_engine(async |server: &TestServer| {
        let db = &server.app.db;
        let mut tx = db.write().await.unwrap();
        let opened = db_open(&mut tx, 3).await;
        let ids: Vec<_> = opened.iter().rev().map(|opened| opened.account).chain([i64::MAX]).collect();
        let mut rows = account::load_accounts(&mut tx, &ids, Lock::ForUpdate).await.unwrap();
        assert_eq!(rows, account::load_accounts(&mut tx, &ids, Lock::No).await.unwrap());
        assert!(rows.len() == 3 && rows.is_sorted_by_key(|row| row.id));
        let row = &mut rows[0];
        assert_eq!(
            (row.status_text().as_str(), row.original_minor, row.oldest_unmet_due),
            ("active", 200, Some(date("2026-02-01")))
        );
        let schedules = account::load_instalments(&mut tx, &[(row.id, 1), (rows[1].id, 2)]).await.unwrap();
        assert_eq!(schedules.len(), 1);
        let row = &mut rows[0];
        let payment = db_pay(&mut tx, row.id, 9, "2026-02-03", 210).await;
        assert!(row.sorts_last(&payment));
        let mut instalments = schedules[&row.id].clone();
        let allocation = allocate(&mut instalments, 210, row.waterfall, payment.value_date).unwrap();
        row.restate(&instalments, allocation.credit_minor, Some(payment)).unwrap();
        assert_eq!((row.closed_as, row.paid_minor, row.credit_minor), (Some(ClosedAs::Paid), 200, 10));
        assert!(!row.sorts_last(&payment));
        let saved: Vec<_> = instalments.iter().map(|instalment| (row.id, 1, *instalment)).collect();
        account::save_instalments(&mut tx, &saved).await.unwrap();
        account::save_accounts(&mut tx, &rows[..1]).await.unwrap();
        let parts: Vec<_> = AllocationRow::of(rows[0].id, payment.id, &allocation).collect();
        account::insert_allocations(&mut tx, &parts).await.unwrap();
        account::replace_allocations(&mut tx, &[rows[0].id], &parts).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = db.read().await.unwrap();
        assert_eq!(account::load_accounts(&mut tx, &ids, Lock::No).await.unwrap(), rows);
        assert_eq!(account::load_instalments(&mut tx, &[(rows[0].id, 1)]).await.unwrap()[&rows[0].id], instalments);
        assert_eq!(account::load_payments(&mut tx, &ids).await.unwrap()[&rows[0].id], [payment]);
        assert_eq!(db_count(&mut tx, "select count(*) from allocation").await, 2);
        let missing = AccountRow { id: i64::MAX, ..rows[0].clone() };
        let mut tx = db.write().await.unwrap();
        assert!(account::save_accounts(&mut tx, &[missing]).await.is_err());
    })
    .await;
}

#[test]
fn an_account_closes_and_reopens_by_payment_only() {
    let due = Portions { principal: 100, ..Portions::ZERO };
    let schedule = [DueLine { n: 1, due_date: date("2026-02-01"), principal: 100, interest: 0, fee: 0, penalty: 0 }
        .with_paid(Portions::ZERO)];
    let paid = [daybook_shared::schedule::Instalment { paid: due, ..schedule[0] }];
    let cases = [
        (AccountStatus::Active, None, &paid, "closed(paid)"),
        (AccountStatus::Active, None, &schedule, "active"),
        (AccountStatus::Closed, Some(ClosedAs::Paid), &schedule, "active"),
        (AccountStatus::Closed, Some(ClosedAs::WrittenOff), &schedule, "closed(written_off)"),
        (AccountStatus::Pending, None, &paid, "pending"),
    ];
    for (status, closed_as, instalments, expected) in cases {
        let mut row = blank_row(status, closed_as);
        row.restate(instalments, 0, None).unwrap();
        assert_eq!(row.status_text(), expected);
    }
}

fn blank_row(status: AccountStatus, closed_as: Option<ClosedAs>) -> AccountRow {
    AccountRow {
        id: 1,
        uid: AccountId::from([1; 16]),
        number: "1".into(),
        customer_id: 1,
        unit_id: 1,
        product: String::new(),
        currency: kes(),
        status,
        closed_as,
        disbursed_on: date("2026-01-01"),
        schedule_version: 1,
        waterfall: Waterfall::InstalmentFirst,
        stage: Stage::Call,
        original_minor: 0,
        outstanding_principal: 0,
        outstanding_interest: 0,
        outstanding_fee: 0,
        outstanding_penalty: 0,
        paid_minor: 0,
        credit_minor: 0,
        oldest_unmet_due: None,
        last_value_date: None,
        last_payment: None,
        last_paid_minor: None,
        active_promise: None,
        settlement_id: None,
        active_promise_at: None,
    }
}

#[tokio::test]
async fn a_journal_is_booked_once_and_read_as_it_was_booked() {
    for_each_engine(async |server: &TestServer| {
        let db = &server.app.db;
        let (id, other) = (Uuid::from_bytes([7; 16]), Uuid::from_bytes([8; 16]));
        let event = Event { id, correlation: other, booked_on: date("2026-03-01"), currency: kes() };
        let applied = Applied { account: 1, customer: 2, to_plan_minor: 60, to_credit_minor: 40 };
        let booked = [
            posting::suspense(event, GlAccount::officer_cash(5), 100).unwrap(),
            posting::identified(event, 100, applied).unwrap(),
            posting::suspense(Event { id: other, ..event }, GlAccount::MOMO, 5).unwrap(),
        ];
        let mut tx = db.write().await.unwrap();
        journal::insert(&mut tx, &booked, now()).await.unwrap();
        journal::insert(&mut tx, &[], now()).await.unwrap();
        let mut read = journal::read(&mut tx, id).await.unwrap();
        read.sort_by_key(posting::Journal::kind);
        let mut expected = booked[..2].to_vec();
        expected.sort_by_key(posting::Journal::kind);
        assert_eq!(read, expected);
        assert_eq!(journal::read_many(&mut tx, &[other, id, Uuid::nil()]).await.unwrap().len(), 2);
        tx.commit().await.unwrap();
        let mut tx = db.write().await.unwrap();
        let error = journal::insert(&mut tx, &booked[2..], now()).await.unwrap_err();
        assert!(crate::db::is_constraint_violation(&error));
        drop(tx);
        let mut tx = db.write().await.unwrap();
        on_db!(&mut tx, conn => sqlx::query("update line set minor = minor + 1 where n = 1").execute(conn).await.map(|_| ())).unwrap();
        let error = journal::read(&mut tx, other).await.unwrap_err().to_string();
        assert!(error.contains("table journal, id "), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_move_ends_one_membership_and_begins_another() {
    for_each_engine(async |server: &TestServer| {
        let db = &server.app.db;
        let mut tx = db.write().await.unwrap();
        let opened = db_open(&mut tx, 3).await;
        let (one, two) = (db_caseload(&mut tx, 1).await, db_caseload(&mut tx, 2).await);
        let [x, y, z] = [0, 1, 2].map(|i: usize| opened[i].dossier);
        let moved = assign(&mut tx, now(), None, &[(x, Some(one)), (y, Some(one)), (z, None)]).await.unwrap();
        assert_eq!(moved, 2);
        assert_eq!(assign(&mut tx, now(), None, &[(x, Some(two)), (y, Some(one)), (z, Some(one))]).await.unwrap(), 2);
        assert_eq!(assign(&mut tx, now(), None, &[(x, Some(one)), (x, None)]).await.unwrap(), 1);
        let moved = Some("moved".to_owned());
        let expected = [
            (one, 1, x, true, 1, None),
            (one, 2, y, true, 1, None),
            (one, 3, x, false, 1, moved.clone()),
            (one, 4, z, true, 1, None),
            (two, 1, x, true, 2, None),
            (two, 2, x, false, 2, moved),
        ];
        assert_eq!(db_feed(&mut tx).await, expected);
        assert_eq!(db_count(&mut tx, "select cast(sum(seq) as bigint) from caseload").await, 6);
        assert_eq!(db_count(&mut tx, "select count(*) from assignment").await, 5);
        assert_eq!(db_count(&mut tx, "select count(*) from dossier where epoch = 3 and caseload_id is null").await, 1);
        assert!(assign(&mut tx, now(), None, &[(i64::MAX, Some(one))]).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_report_is_of_one_currency_and_of_any_day() {
    for_each_engine(async |server: &TestServer| {
        let db = &server.app.db;
        let mut tx = db.write().await.unwrap();
        let usd: Currency = "USD".parse().unwrap();
        let empty = ageing_report::report(&mut tx, date("2026-03-01"), None, usd).await.unwrap();
        assert_eq!((empty.currency, empty.ageing.accounts), (usd, 0));
        let opened = db_open(&mut tx, 2).await;
        db_pay(&mut tx, opened[0].account, 9, "2026-02-20", 150).await;
        let on = async |tx: &mut Tx, day: &str| ageing_report::report(tx, date(day), None, usd).await.unwrap();
        assert_eq!(on(&mut tx, "2025-12-31").await.ageing.accounts, 0);
        let before = on(&mut tx, "2026-02-19").await.ageing;
        assert_eq!((before.accounts, before.outstanding_minor, before.par30_minor), (2, 400, 0));
        let after = on(&mut tx, "2026-03-04").await;
        assert_eq!((after.ageing.outstanding_minor, after.ageing.par30_minor), (250, 200));
        assert!(after.to_string().contains("PAR30 KES 2.00 (80.00 %)"), "{after}");
        assert!(
            serde_json::to_string(&after)
                .unwrap()
                .starts_with(r#"{"currency":"KES","as_of":"2026-03-04","accounts":2"#)
        );
        opening::open(&mut tx, now(), vec![new_account(9, 1, usd)], posting::import).await.unwrap();
        let error = ageing_report::report(&mut tx, date("2026-03-01"), None, usd).await.unwrap_err();
        assert!(matches!(error, ReportError::Currencies(_)));
        assert_eq!(error.to_string(), "there are accounts in KES, USD: name one with --currency");
        let dollars = ageing_report::report(&mut tx, date("2026-03-01"), Some(usd), kes()).await.unwrap();
        assert_eq!(dollars.ageing.accounts, 1);
    })
    .await;
}

/// Allocation is what a replay says, stored rows or not.
#[tokio::test]
async fn a_replay_of_stored_rows_is_the_replay_of_the_rules() {
    for_each_engine(async |server: &TestServer| {
        let db = &server.app.db;
        let mut tx = db.write().await.unwrap();
        let id = db_open(&mut tx, 1).await[0].account;
        let late = db_pay(&mut tx, id, 3, "2026-02-28", 30).await;
        let early = db_pay(&mut tx, id, 9, "2026-02-01", 80).await;
        let payments = &account::load_payments(&mut tx, &[id]).await.unwrap()[&id];
        assert_eq!(payments, &[early, late]);
        let schedule = &account::load_instalments(&mut tx, &[(id, 1)]).await.unwrap()[&id];
        let replayed = replay(schedule, payments, Waterfall::InstalmentFirst).unwrap();
        assert_eq!(replayed.instalments[0].paid.total(), Ok(100));
        assert_eq!(replayed.instalments[1].paid.total(), Ok(10));
    })
    .await;
}

#[tokio::test]
async fn profit_is_earned_once_however_many_lots_it_takes() {
    for_each_engine(async |server: &TestServer| {
        let mut tx = server.app.db.write().await.unwrap();
        db_open(&mut tx, 3).await;
        tx.commit().await.unwrap();
        // Two instalments each, both of the past: lots end between and within accounts.
        assert_eq!(earning::earn(&server.app, 2).await.unwrap(), 6);
        assert_eq!(earning::earn(&server.app, 2).await.unwrap(), 0);
        let mut tx = server.app.db.read().await.unwrap();
        let profit: i64 = on_db!(&mut tx, conn => {
            sqlx::query_scalar("select cast(-sum(minor) as bigint) from line where gl = 'profit'").fetch_one(conn).await
        })
        .unwrap();
        assert_eq!(profit, 60);
    })
    .await;
}
