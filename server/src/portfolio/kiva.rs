//! Reading a Kiva folder: `loans.csv`, `schedule.csv` and `payments.csv`, real microloans of 2005 to
//! 2008 in whole and broken US dollars. Only reads: the import opens accounts from it, the replay lets
//! phones capture its payments.
//!
//! Times are US midnight in universal time; their UTC date part is the date. Of the schedule only lines
//! of kind `local` are the customer's. A loan without any is reported, not given an invented one.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use csv::StringRecord;
use daybook_shared::ids::{AccountId, CustomerId, UnitId, sha256, uuid_v8};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{Date, Timestamp, Zone};

/// The currency of all amounts in the folder.
pub const CURRENCY: Currency = Currency::new(*b"USD").expect("three capital letters");

/// A Kiva folder, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kiva {
    /// Every loan, by its id.
    pub loans: BTreeMap<u64, Loan>,
    /// What borrowers owe, by loan and due date. Loans without a local schedule are missing.
    pub schedules: BTreeMap<u64, Vec<ScheduledLine>>,
    /// Every payment, of loans without a schedule too, by time, loan and id.
    pub payments: Vec<KivaPayment>,
}

/// A row of `loans.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loan {
    /// The loan's id.
    pub id: u64,
    /// The organisation in the field.
    pub partner: u64,
    /// Sector, for example Food.
    pub sector: String,
    /// Activity, for example Butcher Shop.
    pub activity: String,
    /// Country.
    pub country: String,
    /// Town.
    pub town: String,
    /// Latitude and longitude of the town in millionths of a degree; none where the file has only the
    /// country's centroid.
    pub position_e6: Option<(i64, i64)>,
    /// When the borrower got the money.
    pub disbursed_on: Option<Date>,
    /// How much, minor units.
    pub disbursed_minor: Option<i64>,
}

impl Loan {
    /// The account it becomes.
    pub fn account_id(&self) -> AccountId {
        AccountId(derived("loan", self.id))
    }

    /// The borrower.
    pub fn customer_id(&self) -> CustomerId {
        CustomerId(derived("borrower", self.id))
    }
}

/// The branch that a partner becomes.
pub fn partner_unit(partner: u64) -> UnitId {
    UnitId(derived("partner", partner))
}

/// The unit above all partners, where the database has none yet.
pub fn company_unit() -> UnitId {
    UnitId(derived("company", 0))
}

/// Ids that a second import finds again.
fn derived(what: &str, id: u64) -> uuid::Uuid {
    uuid_v8(&sha256(&[format!("kiva/{what}/{id}").as_bytes()]))
}

/// A line of a local schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduledLine {
    /// When it falls due.
    pub due_date: Date,
    /// Its number in the file.
    pub seq: u64,
    /// How much, minor units.
    pub amount_minor: i64,
}

/// A row of `payments.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KivaPayment {
    /// When it was processed.
    pub at: Timestamp,
    /// The loan's id.
    pub loan: u64,
    /// The payment's id.
    pub id: u64,
    /// The day it counts for: the UTC date part.
    pub value_date: Date,
    /// How much, minor units.
    pub amount_minor: i64,
}

/// Why a Kiva folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KivaError {
    /// The file is missing, cut off, or not text in columns.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: csv::Error,
    },
    /// The first line does not name a column.
    #[error("{path}: no column {column} in the first line")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A value is not what its column holds.
    #[error("{path}, line {line}, column {column}: {text:?} is not {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, from 1, the first line included.
        line: u64,
        /// The column.
        column: &'static str,
        /// The value.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A schedule does not add up to what was disbursed.
    #[error(
        "{path}: the schedule of loan {loan} sums to {sum_minor} cents, but loans.csv says {disbursed_minor} were disbursed"
    )]
    Sum {
        /// The file.
        path: PathBuf,
        /// The loan.
        loan: u64,
        /// The schedule's sum.
        sum_minor: i64,
        /// What was disbursed.
        disbursed_minor: i64,
    },
}

impl Kiva {
    /// Reads a folder.
    pub fn read(dir: &Path) -> Result<Self, KivaError> {
        let mut loans = BTreeMap::new();
        each(&dir.join("loans.csv"), LOAN_COLUMNS, |row| {
            let loan = loan(row)?;
            loans.insert(loan.id, loan);
            Ok(())
        })?;
        let mut schedules: BTreeMap<u64, Vec<ScheduledLine>> = BTreeMap::new();
        let path = dir.join("schedule.csv");
        each(&path, SCHEDULE_COLUMNS, |row| {
            if row.text("kind") == "local" {
                let loan = row.one_of("loan_id", &loans)?;
                let line = ScheduledLine {
                    due_date: utc_date(row.time("due_date")?),
                    seq: row.number("seq")?,
                    amount_minor: row.amount("amount")?,
                };
                schedules.entry(loan).or_default().push(line);
            }
            Ok(())
        })?;
        for (id, lines) in &mut schedules {
            lines.sort_unstable();
            check_sum(&path, &loans[id], lines)?;
        }
        let mut payments = Vec::new();
        each(&dir.join("payments.csv"), PAYMENT_COLUMNS, |row| {
            let at = row.time("processed_date")?;
            payments.push(KivaPayment {
                at,
                loan: row.one_of("loan_id", &loans)?,
                id: row.number("payment_id")?,
                value_date: utc_date(at),
                amount_minor: row.amount("amount")?,
            });
            Ok(())
        })?;
        payments.sort_unstable();
        Ok(Self { loans, schedules, payments })
    }

    /// Loans that cannot be opened, because the file has no schedule of theirs.
    pub fn unscheduled(&self) -> impl Iterator<Item = &Loan> {
        self.loans.values().filter(|loan| !self.schedules.contains_key(&loan.id))
    }
}

const LOAN_COLUMNS: &[&str] = &[
    "loan_id",
    "partner_id",
    "sector",
    "activity",
    "country",
    "town",
    "lat",
    "lon",
    "geo_level",
    "disbursal_date",
    "disbursal_amount",
];
const SCHEDULE_COLUMNS: &[&str] = &["loan_id", "kind", "seq", "due_date", "amount"];
const PAYMENT_COLUMNS: &[&str] = &["loan_id", "payment_id", "processed_date", "amount"];

fn loan(row: &Row<'_>) -> Result<Loan, KivaError> {
    let has = |column| !row.text(column).is_empty();
    let position_e6 = (row.text("geo_level") == "town" && has("lat") && has("lon"))
        .then(|| Ok((row.degrees_e6("lat", 90)?, row.degrees_e6("lon", 180)?)))
        .transpose()?;
    Ok(Loan {
        id: row.number("loan_id")?,
        partner: row.number("partner_id")?,
        sector: row.text("sector").to_owned(),
        activity: row.text("activity").to_owned(),
        country: row.text("country").to_owned(),
        town: row.text("town").to_owned(),
        position_e6,
        disbursed_on: has("disbursal_date").then(|| row.time("disbursal_date")).transpose()?.map(utc_date),
        disbursed_minor: has("disbursal_amount").then(|| row.amount("disbursal_amount")).transpose()?,
    })
}

fn check_sum(path: &Path, loan: &Loan, lines: &[ScheduledLine]) -> Result<(), KivaError> {
    let sum = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount_minor)).unwrap_or(i64::MAX);
    match loan.disbursed_minor {
        Some(disbursed) if disbursed != sum => {
            Err(KivaError::Sum { path: path.into(), loan: loan.id, sum_minor: sum, disbursed_minor: disbursed })
        }
        _ => Ok(()),
    }
}

fn utc_date(at: Timestamp) -> Date {
    Zone::utc().date_of(at)
}

/// Runs `read` on every row of a file that has these columns.
fn each(
    path: &Path,
    columns: &'static [&'static str],
    mut read: impl FnMut(&Row<'_>) -> Result<(), KivaError>,
) -> Result<(), KivaError> {
    let file_error = |error| KivaError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(|error| file_error(error.into()))?;
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().map_err(file_error)?.clone();
    let mut places = BTreeMap::new();
    for column in columns {
        let place = header.iter().position(|name| name == *column);
        places.insert(*column, place.ok_or_else(|| KivaError::Column { path: path.to_owned(), column })?);
    }
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(file_error)? {
        read(&Row { path, places: &places, record: &record })?;
    }
    Ok(())
}

/// One row, whose errors name the file, the line and the column.
struct Row<'a> {
    path: &'a Path,
    places: &'a BTreeMap<&'static str, usize>,
    record: &'a StringRecord,
}

impl Row<'_> {
    /// The text of a column that `each` was asked for.
    fn text(&self, column: &'static str) -> &str {
        self.places.get(column).and_then(|place| self.record.get(*place)).unwrap_or_default()
    }

    fn number(&self, column: &'static str) -> Result<u64, KivaError> {
        self.parsed(column, "a whole number", u64::from_str)
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, KivaError> {
        self.parsed(column, "a time such as 2006-06-03T07:00:00Z", Timestamp::from_str)
    }

    fn amount(&self, column: &'static str) -> Result<i64, KivaError> {
        let expected = "an amount in dollars above zero, with at most two decimals";
        let money = self.parsed(column, expected, |text| Money::parse(text, CURRENCY))?;
        if money.minor > 0 { Ok(money.minor) } else { Err(self.wrong(column, expected)) }
    }

    /// A loan's id that is in `loans.csv`.
    fn one_of(&self, column: &'static str, loans: &BTreeMap<u64, Loan>) -> Result<u64, KivaError> {
        let id = self.number(column)?;
        if loans.contains_key(&id) { Ok(id) } else { Err(self.wrong(column, "a loan of loans.csv")) }
    }

    /// Degrees with up to six decimals that count, exactly.
    fn degrees_e6(&self, column: &'static str, max: i64) -> Result<i64, KivaError> {
        let expected = "a position in degrees";
        let degrees: rust_decimal::Decimal = self.parsed(column, expected, str::parse)?;
        let e6 = degrees.checked_mul(1_000_000.into()).and_then(|e6| i64::try_from(e6.trunc()).ok());
        e6.filter(|e6| e6.abs() <= max * 1_000_000).ok_or_else(|| self.wrong(column, expected))
    }

    fn parsed<T, E>(
        &self,
        column: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, KivaError> {
        parse(self.text(column)).map_err(|_| self.wrong(column, expected))
    }

    fn wrong(&self, column: &'static str, expected: &'static str) -> KivaError {
        let line = self.record.position().map_or(0, csv::Position::line);
        let text = self.text(column).chars().take(40).collect();
        KivaError::Value { path: self.path.to_owned(), line, column, text, expected }
    }
}
