//! The demo, on both engines.

use daybook_shared::time::Timestamp;
use indicatif::ProgressBar;

use super::{DemoError, create};
use crate::db::Tx;
use crate::on_db;
use crate::portfolio::ageing_report;
use crate::testing::{TestServer, for_each_engine};

fn now() -> Timestamp {
    "2026-03-04T08:00:00Z".parse().unwrap()
}

async fn db_number(tx: &mut Tx, sql: &'static str) -> i64 {
    on_db!(tx, conn => sqlx::query_scalar(sql).fetch_one(conn).await).unwrap()
}

/// The demo is a lender one could believe in, and its books are right.
#[tokio::test]
async fn a_demo_has_a_lender_a_year_and_books_that_balance() {
    for_each_engine(async |server: &TestServer| {
        let db = &server.app.db;
        let demo = create(db, now(), 7, &ProgressBar::hidden()).await.unwrap();
        assert_eq!((demo.accounts, demo.agents, demo.logins.len()), (1200, 8, 18));
        assert!((4_000..9_000).contains(&demo.payments), "{} payments", demo.payments);
        let mut tx = db.read().await.unwrap();
        let mut number = async |sql| db_number(&mut tx, sql).await;
        assert_eq!(number("select count(*) from dossier where caseload_id is not null and epoch = 1").await, 1208);
        assert_eq!(number("select min(seq) from caseload").await, 151);
        assert_eq!(number("select count(*) from feed where present").await, 1208);
        assert_eq!(number("select cast(sum(minor) as bigint) from line").await, 0);
        let unequal = "select count(*) from account a where outstanding_principal + outstanding_interest <>
            (select sum(minor) from line where gl = 'plan_recv' and subject = a.id)";
        assert_eq!(number(unequal).await, 0);
        let unequal = "select count(*) from officer_cash c where minor <>
            (select sum(minor) from line where gl = 'officer_cash' and subject = c.user_id)";
        assert_eq!(number(unequal).await, 0);
        assert!(number("select min(minor) from officer_cash").await >= 0);
        assert!(number("select count(*) from account where credit_minor > 0").await > 5);
        assert!(number("select count(*) from account where closed_as = 'paid'").await > 50);
        let report = ageing_report::report(&mut tx, demo.today, None, demo.currency).await.unwrap();
        assert_eq!(report.ageing.accounts, 1200);
        assert!(report.ageing.buckets.values().all(|line| line.accounts > 0), "{report}");
        let par30 = report.ageing.par30_bp().unwrap();
        assert!((300..2_500).contains(&par30), "{report}");
        drop(tx);
        assert!(matches!(create(db, now(), 7, &ProgressBar::hidden()).await, Err(DemoError::NotEmpty)));
    })
    .await;
}
