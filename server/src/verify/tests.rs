//! Verification of the demo, whole and damaged, on both engines. (Verification of what phones capture is
//! part of the end-to-end tests.)

use indicatif::ProgressBar;

use super::{Findings, verify};
use crate::db::Db;
use crate::on_db;
use crate::portfolio::demo;
use crate::testing::{TestServer, for_each_engine};

async fn db_verify(db: &Db) -> Findings {
    let mut tx = db.read().await.unwrap();
    let zone = daybook_shared::time::Zone::named("Africa/Nairobi").unwrap();
    verify(&mut tx, &zone, 3, &ProgressBar::hidden()).await.unwrap()
}

/// Damage, what is to be restored after it, the checks that notice and a line they say.
const DAMAGES: [(&str, &str, &[&str], &str); 8] = [
    (
        "update line set minor = minor + 1 where journal_id = 5 and n = 1",
        "update line set minor = minor - 1 where journal_id = 5 and n = 1",
        &["ledger: journals balance", "ledger: outstanding of accounts"],
        "journal 5, sum of its lines: expected 0 over at least 2 lines, found 1 over 3 lines",
    ),
    (
        "update officer_cash set minor = minor + 7 where user_id = 1",
        "update officer_cash set minor = minor - 7 where user_id = 1",
        &["ledger: cash of officers"],
        "officer_cash user 1 KES, minor: expected ",
    ),
    (
        "update account set paid_minor = paid_minor + 1",
        "update account set paid_minor = paid_minor - 1",
        &["accounts: state"],
        "and 1197 more",
    ),
    (
        "update instalment set paid_principal = paid_principal + 1 where account_id = 9 and n = 2",
        "update instalment set paid_principal = paid_principal - 1 where account_id = 9 and n = 2",
        &["accounts: instalments"],
        "instalment account 9, n 2, paid: expected ",
    ),
    (
        "update payment set state = 'held' where id = 3",
        "update payment set state = 'posted' where id = 3",
        &["ledger: payments are booked once", "accounts: state", "accounts: allocations"],
        "credited to account, credit and recovery: expected 0, found ",
    ),
    (
        "update caseload set seq = seq + 1 where id = 2",
        "update caseload set seq = seq - 1 where id = 2",
        &["feeds: sequence"],
        "caseload 2, seq: expected 151, found 152",
    ),
    (
        "update dossier set version = 2 where id = 17",
        "update dossier set version = 1 where id = 17",
        &["feeds: dossiers are present"],
        "feed dossier 17, present, version, epoch: expected (Some(true), Some(2), Some(1)), found (Some(true), Some(1), Some(1))",
    ),
    (
        "update receipt_claim set payment_uid = (select uid from payment where receipt_no is null limit 1)
         where receipt_no = 'BK01-000001'",
        "update receipt_claim set payment_uid = (select uid from payment where receipt_no = 'BK01-000001')
         where receipt_no = 'BK01-000001'",
        &["log: receipt numbers"],
        "receipt_claim BK01-000001, payment_uid: expected ",
    ),
];

#[tokio::test]
async fn what_was_changed_by_hand_is_found_by_table_and_key() {
    for_each_engine(async |server: &TestServer| {
        let db = &server.app.db;
        demo::create(db, server.now(), 3, &ProgressBar::hidden()).await.unwrap();
        let whole = db_verify(db).await;
        assert_eq!(whole.differing(), 0, "{whole}");
        assert!(whole.checks["accounts: instalments"].checked > 8_000, "{whole}");
        for (damage, repair, checks, line) in DAMAGES {
            let execute = async |sql: &'static str| {
                let mut tx = db.write().await.unwrap();
                let done =
                    on_db!(&mut tx, conn => sqlx::query(sql).execute(conn).await.map(|done| done.rows_affected()));
                assert_ne!(done.unwrap(), 0, "{sql}");
                tx.commit().await.unwrap();
            };
            execute(damage).await;
            let found = db_verify(db).await;
            for check in checks {
                assert!(found.checks[check].differing > 0, "{check} should notice {damage}\n{found}");
            }
            assert!(found.to_string().contains(line), "{damage} should say {line}\n{found}");
            execute(repair).await;
        }
        let json = serde_json::to_value(db_verify(db).await).unwrap();
        assert_eq!(json["checks"]["feeds: sequence"]["differing"], 0);
    })
    .await;
}
