//! Reading and importing Kiva folders: the real one where it is present, and bad ones.

use std::io::Write as _;
use std::path::PathBuf;

use daybook_shared::ids::DossierId;
use daybook_shared::time::{Date, Timestamp};
use indicatif::ProgressBar;

use super::ageing_report;
use super::import_kiva::import;
use super::kiva::{Kiva, KivaError};
use crate::db::Tx;
use crate::on_db;
use crate::testing::{TestServer, for_each_engine};

fn now() -> Timestamp {
    "2026-03-01T08:00:00Z".parse().unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

async fn db_count(tx: &mut Tx, sql: &'static str) -> i64 {
    on_db!(tx, conn => sqlx::query_scalar(sql).fetch_one(conn).await).unwrap()
}

/// The real folder: the one that `DAYBOOK_DATA` names, else the one beside the repository, if it is
/// there.
fn kiva_folder() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/kiva"));
    let named = std::env::var_os("DAYBOOK_DATA").map(PathBuf::from);
    let dir = named.or_else(|| beside.join("loans.csv").is_file().then_some(beside));
    if dir.is_none() {
        // Not by eprintln, which a passing test keeps to itself.
        writeln!(std::io::stderr(), "no real data (DAYBOOK_DATA names their folder): the import is not tested").ok();
    }
    dir
}

/// The whole real folder: what data/README.md counts, ageing of what its payments leave, twice.
#[tokio::test]
async fn the_real_loans_are_imported_once() {
    let Some(dir) = kiva_folder() else { return };
    let kiva = Kiva::read(&dir).unwrap();
    let scheduled: Vec<_> = kiva.payments.iter().filter(|payment| kiva.schedules.contains_key(&payment.loan)).collect();
    assert_eq!((kiva.loans.len(), kiva.schedules.len(), kiva.payments.len()), (1000, 784, 6527));
    assert_eq!(scheduled.len(), 4831);
    assert_eq!(scheduled.iter().map(|payment| payment.amount_minor).sum::<i64>(), 33_757_500);
    let overpaid = kiva.schedules.iter().filter(|(loan, lines)| {
        let paid: i64 =
            scheduled.iter().filter(|payment| payment.loan == **loan).map(|payment| payment.amount_minor).sum();
        paid > lines.iter().map(|line| line.amount_minor).sum()
    });
    assert_eq!(overpaid.count(), 92);
    for_each_engine(async |server: &TestServer| {
        let db = &server.app.db;
        let report = import(db, &kiva, now(), &ProgressBar::hidden()).await.unwrap();
        assert_eq!((report.accounts, report.present, report.skipped.len()), (784, 0, 216));
        let again = import(db, &kiva, now(), &ProgressBar::hidden()).await.unwrap();
        assert_eq!((again.accounts, again.present, again.original_minor), (0, 784, 0));
        let mut tx = db.read().await.unwrap();
        assert_eq!(db_count(&mut tx, "select count(*) from dossier where version = 1 and epoch = 0").await, 784);
        let usd = "USD".parse().unwrap();
        let aged = ageing_report::report(&mut tx, date("2009-01-01"), None, usd).await.unwrap().ageing;
        assert_eq!((aged.accounts, aged.outstanding_minor), (784, report.original_minor));
        let owed = db_count(&mut tx, "select cast(sum(minor) as bigint) from line where gl = 'plan_recv'").await;
        assert_eq!(owed, report.original_minor);
        let any = &kiva.loans[kiva.schedules.keys().next().unwrap()];
        let dossier = DossierId::case(any.account_id());
        let found: i64 = on_db!(&mut tx, conn => sqlx::query_scalar("select count(*) from dossier where uid = $1").bind(dossier).fetch_one(conn).await).unwrap();
        assert_eq!(found, 1);
    })
    .await;
}

#[test]
fn a_bad_folder_is_named_by_file_line_and_column() {
    let loans = "loan_id,partner_id,sector,activity,country,town,lat,lon,geo_level,disbursal_date,disbursal_amount\n7,1,Food,Fish,Kenya,Kisii,-0.68,34.76,town,2006-01-02T08:00:00Z,100\n";
    let schedule = "loan_id,kind,seq,due_date,amount\n7,kiva,1,2006-02-01T08:00:00Z,9\n7,local,1,2006-02-01T08:00:00Z,60\n7,local,2,2006-03-01T08:00:00Z,40\n";
    let payments = "loan_id,payment_id,processed_date,amount\n7,1,2006-02-01T08:00:00Z,60\n";
    let read = |loans: &str, schedule: &str, payments: &str| {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("loans.csv", loans), ("schedule.csv", schedule), ("payments.csv", payments)] {
            if !text.is_empty() {
                std::fs::write(dir.path().join(name), text).unwrap();
            }
        }
        Kiva::read(dir.path()).map_err(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))
    };
    let kiva = read(loans, schedule, payments).unwrap();
    assert_eq!(kiva.loans[&7].position_e6, Some((-680_000, 34_760_000)));
    assert_eq!(kiva.schedules[&7].iter().map(|line| line.amount_minor).collect::<Vec<_>>(), [6000, 4000]);
    let cases = [
        (read("", schedule, payments), "loans.csv: No such file"),
        (read(&loans.replace("lat", "x"), schedule, payments), "loans.csv: no column lat in the first line"),
        (
            read(&loans.replace("-0.68", "95"), schedule, payments),
            "loans.csv, line 2, column lat: \"95\" is not a position",
        ),
        (
            read(&loans.replace(",1,F", ",one,F"), schedule, payments),
            "loans.csv, line 2, column partner_id: \"one\" is not a whole number",
        ),
        (
            read(loans, &schedule.replace(",60", ",60.001"), payments),
            "schedule.csv, line 3, column amount: \"60.001\" is not an amount",
        ),
        (read(loans, &schedule.replace(",60", ",60,1"), payments), "schedule.csv: CSV error: record 2 (line: 3"),
        (
            read(loans, &schedule.replace(",60", ",61"), payments),
            "schedule.csv: the schedule of loan 7 sums to 10100 cents",
        ),
        (
            read(loans, schedule, &payments.replace("7,1", "8,1")),
            "payments.csv, line 2, column loan_id: \"8\" is not a loan",
        ),
        (
            read(loans, schedule, &payments.replace("2006-02-01T", "2006-02-31T")),
            "column processed_date: \"2006-02-31T08:00:00Z\" is not a time",
        ),
        (
            read(loans, schedule, &payments.replace(",60", ",-60")),
            "column amount: \"-60\" is not an amount in dollars above zero",
        ),
    ];
    for (result, expected) in cases {
        let error = result.unwrap_err();
        assert!(error.contains(expected), "{error:?} should say {expected:?}");
    }
    assert!(matches!(Kiva::read(std::path::Path::new("/nowhere")), Err(KivaError::File { .. })));
}
