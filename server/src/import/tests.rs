//! Portfolios: tables of bad lines, the example, reruns and conflicts, on both engines.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{Request, header};
use daybook_shared::time::Date;
use indicatif::ProgressBar;

use super::bad::BadLines;
use super::portfolio::{Accounts, COLUMNS, FileAccount, Reading};
use super::rows::Rows;
use super::take_over::{Mode, PortfolioReport, TakeOver};
use super::{Scope, template};
use crate::app::App;
use crate::auth::Role;
use crate::http::idempotency;
use crate::portfolio::ageing_report;
use crate::testing::{Answer, TestServer, for_each_engine_with};
use crate::verify::verify;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn reading() -> Reading {
    Reading { as_of: date("2026-03-01"), country: Some("254".to_owned()) }
}

fn rows(text: &str) -> Rows {
    Rows::body(text.as_bytes().to_vec(), COLUMNS).unwrap()
}

/// The accounts of a file and the words about what is wrong.
fn read(text: &str) -> (Vec<FileAccount>, Vec<String>) {
    let (mut accounts, mut bad) = (Accounts::new(rows(text), reading()), BadLines::default());
    let mut good = Vec::new();
    while let Some(account) = accounts.next_account(&mut bad).unwrap() {
        good.push(account);
    }
    (good, bad.first.iter().map(ToString::to_string).collect())
}

const HEADER: &str =
    "account,customer,name,product,currency,disbursed_on,due_date,principal,interest,paid,balance,phone,last_paid_on\n";

/// A file of one account with two instalments, one field replaced.
fn with(line: usize, column: &str, text: &str) -> String {
    let names: Vec<_> = HEADER.trim().split(',').collect();
    let mut lines = vec![
        "A1,C1,Wanjiku,Solar,KES,2026-01-15,2026-02-15,1000.00,100.00,1100.00,1100.00,0712345678,2026-02-14",
        "A1,,,,,,2026-03-15,1000,100,,,,",
        "A2,C2,Otieno,Phone,KES,2026-01-15,2026-02-15,500,,,,,",
    ]
    .into_iter()
    .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>())
    .collect::<Vec<_>>();
    let at = names.iter().position(|name| *name == column).unwrap();
    lines[line - 2][at] = text.to_owned();
    lines.iter().fold(HEADER.to_owned(), |file, line| file + &line.join(",") + "\n")
}

#[test]
fn a_file_becomes_accounts() {
    let (accounts, bad) = read(&with(2, "name", "Wanjiku"));
    assert_eq!((accounts.len(), bad), (2, vec![]));
    let first = &accounts[0];
    assert_eq!(
        (first.lines.len(), first.paid_minor, first.customer.phone.as_deref()),
        (2, 110_000, Some("+254712345678"))
    );
    assert_eq!(accounts[1].lines[0].principal, 50_000);
    // However it is written, it is the same.
    let (again, _) = read(&with(2, "principal", "1000"));
    assert_eq!(again[0].content(), first.content());
    let (other, _) = read(&with(3, "principal", "1000.01").replace("1100.00,1100.00", "1100.00,1100.01"));
    assert_ne!(other[0].content(), first.content());
}

#[test]
fn the_template_is_a_file_that_can_be_imported() {
    let (accounts, bad) = read(&template(COLUMNS));
    assert_eq!((accounts.len(), bad), (1, vec![]));
}

#[test]
fn a_term_is_split_as_a_schedule() {
    let header =
        "account,customer,name,product,currency,disbursed_on,first_due,instalments,every,principal,fee,paid_to_date\n";
    let (accounts, bad) = read(&format!(
        "{header}A1,C1,W,S,UGX,2026-01-31,2026-01-31,3,month,1000,2,400\nA2,C1,W,S,UGX,2026-01-31,2026-02-07,2,week,3,,\n"
    ));
    assert_eq!(bad, Vec::<String>::new());
    let told: Vec<_> =
        accounts[0].lines.iter().map(|line| format!("{} {} {}", line.due_date, line.principal, line.fee)).collect();
    assert_eq!(told, ["2026-01-31 334 1", "2026-02-28 333 1", "2026-03-31 333 0"]);
    assert_eq!(accounts[1].lines[1].due_date, date("2026-02-14"));
}

#[test]
fn bad_lines_are_named_by_line_column_and_reason_and_leave_out_their_account_only() {
    let cases = [
        (2, "account", "", "line 2, column account: it is missing"),
        (2, "account", "2.54E+11", "scientific notation"),
        (2, "name", &"x".repeat(101), "at most 100 characters"),
        (2, "currency", "Ksh", "line 2, column currency: \"Ksh\": a currency is three capital letters"),
        (2, "disbursed_on", "15/01/2026", "which is the month?"),
        (2, "disbursed_on", "2026-04-01", "is after the day of the balances, 2026-03-01"),
        (2, "due_date", "2026-02-30", "there is no such day"),
        (3, "due_date", "2026-02-14", "line 3, column due_date: \"2026-02-14\": is before 2026-02-15"),
        (3, "due_date", "", "it is missing"),
        (3, "name", "Otieno", "line 3, column name: \"Otieno\": line 2 says \"Wanjiku\" of the same account"),
        (2, "principal", "12.345", "not an amount in KES"),
        (2, "principal", "1.2E+05", "scientific notation"),
        (3, "principal", "-1000", "it is not negative"),
        (2, "principal", "90071992547409.91", "more than any account holds"),
        (2, "paid", "1000.00", "the instalments less what is paid come to KES 1200.00"),
        (3, "paid", "1", "the instalments less what is paid come to KES 1099.00"),
        (2, "balance", "1000", "the instalments less what is paid come to KES 1100.00"),
        (2, "phone", "call me", "digits only"),
        (2, "last_paid_on", "2026-03-02", "is after the day of the balances"),
    ];
    for (line, column, text, words) in cases {
        let (accounts, bad) = read(&with(line, column, text));
        assert!(bad.iter().any(|bad| bad.contains(words)), "{column} {text}: {bad:?} should say {words}");
        let left: Vec<_> = accounts.iter().map(|account| account.number.as_str()).collect();
        assert_eq!(left, ["A2"], "{column} {text}");
    }
}

#[test]
fn what_is_paid_of_instalments_is_paid_of_the_oldest_first() {
    let file = with(2, "paid", "0").replace("2026-03-15,1000,100,,", "2026-03-15,1000,100,1100,");
    let (_, bad) = read(&file);
    let words = "the oldest instalment is paid first here, and KES 0.00 would be paid of this one";
    assert!(bad.iter().any(|bad| bad.starts_with("line 3, column paid") && bad.contains(words)), "{bad:?}");
    let given = file.replace("balance", "paid_to_date").replace("2026-03-15,1000,100,1100,", "2026-03-15,1000,100,,");
    assert_eq!(read(&given).0[0].paid_minor, 110_000);
}

#[test]
fn rows_that_cannot_be_read_spoil_what_they_may_belong_to_and_no_more() {
    let good = with(2, "name", "Wanjiku");
    let (accounts, bad) = read(&good.replace("A1,,,,,,2026-03-15", "A1,,,,,,2026-03-15,,,,,,,,,x"));
    assert_eq!(accounts.iter().map(|account| account.number.as_str()).collect::<Vec<_>>(), ["A2"]);
    assert!(bad[0].starts_with("line 3,") && bad[1].contains("left out: a row"), "{bad:?}");
    let (accounts, bad) = read(&good.replace("A2,C2", "A\u{1}2,C2"));
    assert_eq!((accounts.len(), bad.len()), (0, 2), "{bad:?}");
    let apart = format!("{good}A1,C1,Wanjiku,Solar,KES,2026-01-15,2026-04-15,5,,,,,\n");
    let (accounts, bad) = read(&apart);
    assert_eq!(accounts.len(), 2);
    assert_eq!(bad, ["line 5, column account: \"A1\": its rows do not stand together: sort the file by account"]);
}

async fn take(app: &App, text: &str, mode: Mode) -> PortfolioReport {
    let take_over = TakeOver { app, scope: &Scope::OPERATOR, as_of: reading().as_of, mode };
    let accounts = Accounts::new(rows(text), reading());
    take_over.run(accounts, BadLines::default(), &ProgressBar::hidden()).await.unwrap()
}

async fn check_books(app: &App) {
    let mut tx = app.db.read().await.unwrap();
    let found = verify(&mut tx, &app.settings.zone, 5, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(found.differing(), 0, "{found}");
}

#[tokio::test]
async fn a_portfolio_is_taken_over_once_and_a_conflict_changes_nothing() {
    for_each_engine_with(&[("currency", "KES"), ("zone", "Africa/Nairobi")], async |server: &TestServer| {
        let app = &*server.app;
        server.root().await;
        let file = with(2, "name", "Wanjiku");
        let said = |report: &PortfolioReport| (report.opened, report.present, report.conflicts, report.refused);
        assert_eq!(said(&take(app, &file, Mode::Check).await), (2, 0, 0, 0));
        assert_eq!(said(&take(app, &file, Mode::Import).await), (2, 0, 0, 0));
        assert_eq!(said(&take(app, &file, Mode::Import).await), (0, 2, 0, 0));
        let other = file.replace("A2,C2,Otieno,Phone", "A2,C2,Otieno,Laptop");
        let conflict = take(app, &other, Mode::Import).await;
        assert_eq!((said(&conflict), conflict.lines[0].line), ((0, 1, 1, 0), 4));
        // The customer of a new account is kept as he is, and that is said.
        let more = "A3,C2,Otieno O.,Phone,KES,2026-01-15,2026-02-15,500,,,,,\n";
        let report = take(app, &format!("{HEADER}{more}"), Mode::Import).await;
        assert_eq!((said(&report), report.bad_lines), ((1, 0, 0, 0), 1));
        let mut tx = app.db.read().await.unwrap();
        let aged = ageing_report::report(&mut tx, date("2026-03-01"), None, app.settings.currency).await.unwrap();
        // Owed: 1100 of A1, 500 of A2 and A3, which are 14 days late.
        assert_eq!((aged.ageing.accounts, aged.ageing.outstanding_minor), (3, 210_000));
        drop(tx);
        check_books(app).await;
    })
    .await;
}

/// A file of accounts with some instalments paid, and what is owed by the bucket of days late: counted
/// here on the file alone.
fn made_up(accounts: u32) -> (String, std::collections::BTreeMap<&'static str, i64>) {
    let (mut file, mut owed) = (HEADER.replace("paid,", "paid_to_date,"), std::collections::BTreeMap::new());
    // A small generator of its own: the same file every time.
    let mut state = 7_u64;
    let mut below = |n: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(state >> 33).unwrap() % n
    };
    let as_of = reading().as_of;
    for number in 0..accounts {
        let (count, first) = (1 + below(6), as_of.plus_days(-i32::try_from(below(300)).unwrap()));
        let amounts: Vec<(i64, i64)> = (0..count).map(|_| (1 + below(5_000), below(500))).collect();
        let total: i64 = amounts.iter().map(|(principal, interest)| principal + interest).sum();
        let paid = below(total + total / 5 + 1);
        let (mut left, mut late) = (paid, 0);
        for (n, (principal, interest)) in (0..).zip(&amounts) {
            let due = first.plus_days(30 * n);
            let unmet = principal + interest > left;
            left = (left - principal - interest).max(0);
            if unmet && due < as_of {
                late = late.max(as_of.days_since(due));
            }
            let text = |minor: i64| format!("{}.{:02}", minor / 100, minor % 100);
            let once = if n == 0 { text(paid) } else { String::new() };
            let (principal, interest) = (text(*principal), text(*interest));
            let row = [
                format!("N{number},C{},Name,Solar,KES,2025-01-01", number / 2),
                due.to_string(),
                principal,
                interest,
                once,
            ];
            file += &(row.join(",") + ",,,\n");
        }
        let bucket = match late {
            0 => "current",
            1..=30 => "1-30",
            31..=60 => "31-60",
            61..=90 => "61-90",
            91..=180 => "91-180",
            _ => ">180",
        };
        *owed.entry(bucket).or_default() += (total - paid).max(0);
    }
    owed.retain(|_, minor| *minor > 0);
    (file, owed)
}

#[tokio::test]
async fn the_ageing_after_an_import_is_what_the_file_itself_comes_to() {
    for_each_engine_with(&[("currency", "KES")], async |server: &TestServer| {
        let app = &*server.app;
        server.root().await;
        let (file, owed) = made_up(300);
        let report = take(app, &file, Mode::Import).await;
        assert_eq!((report.opened, report.bad_lines), (300, 0), "{:?}", report.lines);
        let mut tx = app.db.read().await.unwrap();
        let aged = ageing_report::report(&mut tx, reading().as_of, None, app.settings.currency).await.unwrap().ageing;
        let told: Vec<i64> = aged.buckets.values().map(|line| line.balance_minor).filter(|minor| *minor > 0).collect();
        let order = ["current", "1-30", "31-60", "61-90", "91-180", ">180"];
        let counted: Vec<i64> = order.iter().filter_map(|bucket| owed.get(bucket).copied()).collect();
        assert_eq!((told, aged.outstanding_minor), (counted.clone(), counted.iter().sum()));
        drop(tx);
        check_books(app).await;
    })
    .await;
}

/// A file that breaks off after so many bytes, as when the disk does.
struct BreaksOff(std::io::Cursor<Vec<u8>>, u64);

impl std::io::Read for BreaksOff {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0.position() >= self.1 {
            return Err(std::io::Error::other("the disk is gone"));
        }
        let n = buffer.len().min(512);
        std::io::Read::read(&mut self.0, &mut buffer[..n])
    }
}

#[tokio::test]
async fn an_import_that_ends_in_between_goes_on_when_it_is_run_again() {
    for_each_engine_with(&[("currency", "KES")], async |server: &TestServer| {
        let app = &*server.app;
        server.root().await;
        let (file, _) = made_up(600);
        let half = BreaksOff(std::io::Cursor::new(file.clone().into_bytes()), file.len() as u64 / 2);
        let broken = Rows::csv(Box::new(half), COLUMNS).unwrap();
        let take_over = TakeOver { app, scope: &Scope::OPERATOR, as_of: reading().as_of, mode: Mode::Import };
        let ended = take_over.run(Accounts::new(broken, reading()), BadLines::default(), &ProgressBar::hidden()).await;
        assert!(ended.unwrap_err().to_string().contains("the disk is gone"));
        check_books(app).await;
        let again = take(app, &file, Mode::Import).await;
        assert!(again.present >= 128 && again.opened + again.present == 600, "{again:?}");
        let once_more = take(app, &file, Mode::Import).await;
        assert_eq!((once_more.opened, once_more.present, once_more.conflicts), (0, 600, 0));
        check_books(app).await;
    })
    .await;
}

/// Keys that [`send`] has used.
static KEYS: AtomicU64 = AtomicU64::new(0);

async fn send(server: &TestServer, path: &str, token: &str, (media, body): (&str, &str)) -> Answer {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, media)
        .header(idempotency::KEY, format!("key-{}", KEYS.fetch_add(1, Ordering::Relaxed)))
        .body(Body::from(body.to_owned()));
    server.send(request.unwrap()).await
}

#[tokio::test]
async fn over_rest_pieces_come_in_once_and_reach_as_far_as_who_sends_them() {
    for_each_engine_with(&[("currency", "KES"), ("zone", "Africa/Nairobi")], async |server: &TestServer| {
        let root = server.root().await;
        let kisii = server.unit(&root, "Kisii").await;
        let (_, everywhere) = server.user("deka", Role::Supervisor, &root).await;
        let (_, below) = server.user("faraji", Role::Supervisor, &kisii).await;
        let (_, officer) = server.user("amina", Role::Officer, &root).await;
        let file = with(2, "name", "Wanjiku");
        let path = "/v1/imports/portfolio?as_of=2026-03-01&country_code=254";
        let csv = ("text/csv; charset=utf-8", file.as_str());
        assert_eq!(send(server, path, &officer, csv).await.code(), "forbidden");
        // The file names no unit, and the lender's own is not his.
        assert_eq!(send(server, path, &below, csv).await.json()["refused"], 2);
        let answer = send(server, path, &everywhere, csv).await;
        assert_eq!((answer.json()["opened"].clone(), answer.json()["bad_lines"].clone()), (2.into(), 0.into()));
        assert_eq!(send(server, path, &everywhere, csv).await.json()["present"], 2);

        let rows = r#"{"rows": [
            {"reference": "QF1", "at": "2026-03-01", "amount": "5.50", "currency": "KES", "account": "A2"},
            {"reference": "QF2", "at": "2026-03-01", "amount": 5.5, "currency": "KES"}]}"#;
        let path = "/v1/imports/statements?provider=mpesa";
        let json = ("application/json", rows);
        assert_eq!(send(server, path, &below, json).await.code(), "forbidden");
        let answer = send(server, path, &everywhere, json).await.json();
        assert_eq!(
            (&answer["report"]["posted"], &answer["report"]["refused"], &answer["results"][0]["came"]),
            (&1.into(), &1.into(), &"posted".into())
        );
        assert!(answer["report"]["lines"][0]["reason"].as_str().unwrap().contains("a text: amounts too"), "{answer}");
        assert_eq!(send(server, path, &everywhere, json).await.json()["report"]["present"], 1);
        for (path, body, code) in [
            ("/v1/imports/statements", json, "validation"),
            ("/v1/imports/repayments?provider=X1", json, "validation"),
            ("/v1/imports/repayments", ("text/plain", ""), "unsupported-media-type"),
            ("/v1/imports/repayments", ("text/csv", "account\n"), "validation"),
            ("/v1/imports/repayments", ("application/json", "{"), "malformed-request"),
            ("/v1/imports/portfolio?as_of=2027-01-01", csv, "validation"),
        ] {
            assert_eq!(send(server, path, &everywhere, body).await.code(), code, "{path}");
        }
        let many = format!("{HEADER}{}", "x\n".repeat(5_001));
        assert_eq!(send(server, "/v1/imports/portfolio", &everywhere, ("text/csv", &many)).await.code(), "validation");
        check_books(&server.app).await;
    })
    .await;
}

#[tokio::test]
async fn accounts_go_to_units_and_caseloads_by_name_or_stay_out() {
    for_each_engine_with(&[], async |server: &TestServer| {
        let root = server.root().await;
        server.unit(&root, "Kisii").await;
        let header = "account,customer,name,product,currency,disbursed_on,due_date,principal,unit,officer,caseload\n";
        let row = |number: &str, rest: &str| format!("{number},C,N,P,USD,2026-01-15,2026-02-15,5,{rest}\n");
        let file = [row("1", "Kisii,,"), row("2", "Nowhere,,"), row("3", ",nobody,"), row("4", ",,none")].concat();
        let report = take(&server.app, &format!("{header}{file}"), Mode::Import).await;
        assert_eq!((report.opened, report.refused), (1, 3));
        let columns: Vec<_> = report.lines.iter().map(|bad| bad.column.as_str()).collect();
        assert_eq!(columns, ["unit", "officer", "caseload"]);
    })
    .await;
}
