//! A portfolio file: its columns, and how its rows become accounts. Pure but for reading; what becomes of
//! the accounts is [`super::take_over`]'s.
//!
//! Two shapes, which may be mixed: a row an instalment, with the account's columns repeated or left empty
//! after its first row; or one row an account with its term. Rows of one account stand together.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use daybook_shared::ids::{AccountId, CustomerId, sha256, uuid_v8};
use daybook_shared::money::{Currency, Money};
use daybook_shared::schedule::{DueLine, Portions, months_after, split};
use daybook_shared::time::Date;

use super::ImportError;
use super::bad::{BadLine, BadLines};
use super::cell::Cells;
use super::rows::Rows;
use super::sheet::{Column, Row, may, needed};
use crate::portfolio::account::Stage;
use crate::portfolio::allocation::{Waterfall, allocate};
use crate::portfolio::opening::NewCustomer;

/// The most instalments of an account.
pub const INSTALMENTS_MAX: u16 = 2_000;

/// The columns of a portfolio file.
pub const COLUMNS: &[Column] = &[
    needed("account", "L-1001", "the account's number, as the customer knows it"),
    needed("customer", "C-77", "the customer's number in the books it comes from"),
    needed("name", "Wanjiku Kamau", "the customer's name"),
    needed("product", "Solar home 20W", "what was sold"),
    needed("currency", "KES", "ISO 4217"),
    needed("disbursed_on", "2026-01-15", "the day it began"),
    may("due_date", "2026-02-15", "a row an instalment: the day it falls due"),
    may("first_due", "", "a row an account: the day its first instalment falls due"),
    may("instalments", "", "a row an account: how many there are"),
    may("every", "", "a row an account: month, week, fortnight or a number of days"),
    needed("principal", "1000.00", "principal of the instalment, or of the whole term"),
    may("interest", "100.00", "interest or profit, likewise"),
    may("fee", "", "fees, likewise"),
    may("penalty", "", "penalties, likewise"),
    may("paid", "1100.00", "a row an instalment: what is paid of it"),
    may("paid_to_date", "", "what is paid in all, instead of `paid`"),
    may("last_paid_on", "2026-02-14", "the day of the last payment"),
    may("balance", "", "what is still owed in all: compared, not stored"),
    may("phone", "+254712345678", "the customer's phone, with the country's code"),
    may("national_id", "****5678", "all but its last digits hidden; four digits stay of one that is not"),
    may("language", "sw", "ISO 639-1"),
    may("address", "Kisii, behind the market", "where the customer lives"),
    may("latitude", "-0.677", "degrees"),
    may("longitude", "34.779", "degrees"),
    may("unit", "Kisii branch", "name or id of the unit; the lender's own when empty"),
    may("stage", "FIELD", "CALL, FIELD, LEGAL or WRITE_OFF_REVIEW; FIELD when empty"),
    may("officer", "", "login of the officer whose caseload it goes to"),
    may("caseload", "", "name or id of the caseload it goes to, instead of `officer`"),
];

/// Columns that may change from one row of an account to the next.
const OF_A_ROW: &[&str] = &["due_date", "principal", "interest", "fee", "penalty", "paid"];

/// How a portfolio file is read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The day whose balances the file has.
    pub as_of: Date,
    /// The country's calling code for phone numbers without one, `254`.
    pub country: Option<String>,
}

/// An account as a file has it, checked.
#[derive(Debug, Clone)]
pub struct FileAccount {
    /// The line it begins on.
    pub line: u64,
    /// Its number.
    pub number: String,
    /// The customer's number.
    pub customer_number: String,
    /// The customer.
    pub customer: NewCustomer,
    /// Name or id of its unit.
    pub unit: Option<String>,
    /// Whose caseload it goes to.
    pub goes_to: Option<GoesTo>,
    /// What was sold.
    pub product: String,
    /// Its currency.
    pub currency: Currency,
    /// When it began.
    pub disbursed_on: Date,
    /// How far collection has gone.
    pub stage: Stage,
    /// The schedule.
    pub lines: Vec<DueLine>,
    /// What is paid in all.
    pub paid_minor: i64,
    /// The day of the last payment, if the file says it.
    pub last_paid_on: Option<Date>,
}

/// Which caseload an account goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GoesTo {
    /// The one that the user with this login holds.
    Officer(String),
    /// The one with this name or id.
    Caseload(String),
}

/// The id of an imported account, from its number.
pub fn account_id(number: &str) -> AccountId {
    AccountId(uuid_v8(&sha256(&[b"daybook/import/account/", number.as_bytes()])))
}

/// The id of an imported customer, from the lender's number.
pub fn customer_id(number: &str) -> CustomerId {
    CustomerId(uuid_v8(&sha256(&[b"daybook/import/customer/", number.as_bytes()])))
}

impl FileAccount {
    /// A hash of what the file says of the account, however it is written.
    pub fn content(&self) -> [u8; 32] {
        let Self { number, customer_number, unit, goes_to, product, currency, disbursed_on, .. } = self;
        let mut text = format!("{number}\n{customer_number}\n{product}\n{currency}\n{disbursed_on}\n");
        write!(text, "{unit:?}\n{goes_to:?}\n{}\n{}\n{:?}\n", self.stage, self.paid_minor, self.last_paid_on)
            .expect("a text takes more");
        for DueLine { n, due_date, principal, interest, fee, penalty } in &self.lines {
            writeln!(text, "{n} {due_date} {principal} {interest} {fee} {penalty}").expect("a text takes more");
        }
        sha256(&[text.as_bytes()])
    }

    /// A hash of what the file says of the customer.
    pub fn customer_content(&self) -> [u8; 32] {
        let NewCustomer { uid: _, name, phone, national_id_masked, language, address, lat_e6, lon_e6 } = &self.customer;
        let told = (name, phone, national_id_masked, language, address, lat_e6, lon_e6);
        sha256(&[format!("{told:?}").as_bytes()])
    }
}

/// The accounts of a file, one after the other.
pub struct Accounts {
    rows: Rows,
    reading: Reading,
    /// The first row of the next account, read already.
    next: Option<Row>,
    seen: BTreeSet<AccountId>,
    /// A row nobody can say the account of stands before the next one.
    spoiled: bool,
    /// Accounts left out for what is wrong with them.
    pub refused: u64,
    /// Rows read.
    pub read: u64,
}

impl Accounts {
    /// Reads accounts from rows.
    pub fn new(rows: Rows, reading: Reading) -> Self {
        Self { rows, reading, next: None, seen: BTreeSet::new(), spoiled: false, refused: 0, read: 0 }
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.rows.bytes()
    }

    /// The next account that is as it should be; what is wrong with others goes to `bad`.
    pub fn next_account(&mut self, bad: &mut BadLines) -> Result<Option<FileAccount>, ImportError> {
        loop {
            let Some(group) = self.group(bad)? else { return Ok(None) };
            let Group { rows, spoiled } = group;
            let Some(first) = rows.first() else { continue };
            let number = first.text("account");
            let mut wrong = Vec::new();
            if !number.is_empty() && !self.seen.insert(account_id(number)) {
                let reason = "its rows do not stand together: sort the file by account";
                wrong.push(BadLine::new(first.line, "account", number, reason));
            }
            let account = if spoiled {
                // Its sums would be wrong for want of the row, and mislead.
                let reason = "left out: a row that cannot be read may be of this account";
                wrong.push(BadLine::new(first.line, "account", number, reason));
                None
            } else {
                account(&rows, &self.reading, &mut wrong)
            };
            let account = account.filter(|_| wrong.is_empty());
            bad.extend(wrong)?;
            match account {
                Some(account) => return Ok(Some(account)),
                None => self.refused += 1,
            }
        }
    }

    /// The rows of the next account, at least one; fewer than it has where it has too many.
    fn group(&mut self, bad: &mut BadLines) -> Result<Option<Group>, ImportError> {
        let mut group = Group { rows: Vec::new(), spoiled: std::mem::take(&mut self.spoiled) };
        group.rows.extend(self.next.take());
        loop {
            let Some(row) = self.rows.next_row()? else {
                return Ok((!group.rows.is_empty()).then_some(group));
            };
            self.read += 1;
            let row = match row {
                Ok(row) => row,
                Err((line, told)) => {
                    bad.push(line)?;
                    let number = told.text("account");
                    match group.rows.first() {
                        _ if number.is_empty() => (group.spoiled, self.spoiled) = (true, true),
                        Some(first) if first.text("account") == number => group.spoiled = true,
                        _ => self.spoiled = true,
                    }
                    continue;
                }
            };
            let Some(first) = group.rows.first() else {
                group.rows.push(row);
                continue;
            };
            if row.text("account") != first.text("account") {
                self.next = Some(row);
                return Ok(Some(group));
            }
            if group.rows.len() < usize::from(INSTALMENTS_MAX) {
                group.rows.push(row);
            } else if !group.spoiled {
                let reason = format!("an account has at most {INSTALMENTS_MAX} instalments");
                bad.push(BadLine::new(row.line, "account", row.text("account"), reason))?;
                group.spoiled = true;
            }
        }
    }
}

struct Group {
    rows: Vec<Row>,
    spoiled: bool,
}

/// An account from its rows, the first of which has everything; what is wrong goes to `wrong`.
fn account(rows: &[Row], reading: &Reading, wrong: &mut Vec<BadLine>) -> Option<FileAccount> {
    let first = &rows[0];
    for row in &rows[1..] {
        for column in COLUMNS.iter().filter(|column| !OF_A_ROW.contains(&column.name)) {
            let (text, in_first) = (row.text(column.name), first.text(column.name));
            if !text.is_empty() && text != in_first {
                let reason = format!("line {} says {in_first:?} of the same account", first.line);
                wrong.push(BadLine::new(row.line, column.name, text, reason));
            }
        }
    }
    let mut cells = Cells::of(first);
    let head = head(&mut cells, reading);
    let currency = cells.currency("currency");
    let last_paid_on = cells.optional_date("last_paid_on");
    if last_paid_on.is_some_and(|day| day > reading.as_of) {
        cells.wrong("last_paid_on", format!("is after the day of the balances, {}", reading.as_of));
    }
    wrong.append(&mut cells.bad);
    let currency = currency?;
    let lines = match (cells.has("due_date"), cells.has("first_due")) {
        (true, true) => {
            wrong.push(BadLine::new(first.line, "first_due", first.text("first_due"), "either due_date or first_due"));
            None
        }
        (false, true) => term(rows, currency, wrong),
        _ => instalments(rows, currency, wrong),
    }?;
    let paid_minor = paid(rows, &lines, currency, reading, wrong)?;
    let account = FileAccount { line: first.line, currency, lines, paid_minor, last_paid_on, ..head? };
    Some(account)
}

/// Everything but money.
fn head(cells: &mut Cells<'_>, reading: &Reading) -> Option<FileAccount> {
    let number = cells.name("account", 64);
    let customer_number = cells.name("customer", 64);
    let name = cells.text("name", 100);
    let product = cells.text("product", 100);
    let disbursed_on = cells.date("disbursed_on");
    if disbursed_on.is_some_and(|day| day > reading.as_of) {
        cells.wrong("disbursed_on", format!("is after the day of the balances, {}", reading.as_of));
    }
    let phone = cells.phone("phone", reading.country.as_deref());
    let national_id_masked = cells.optional_name("national_id", 40).map(|id| masked(&id));
    let language = cells.optional_text("language", 8);
    let address = cells.optional_text("address", 300);
    let (lat_e6, lon_e6) = (cells.degrees_e6("latitude", 90), cells.degrees_e6("longitude", 180));
    let unit = cells.optional_text("unit", 100);
    let stage = if cells.has("stage") { cells.code("stage", STAGES) } else { Some(Stage::Field) };
    let (officer, caseload) = (cells.optional_text("officer", 100), cells.optional_text("caseload", 100));
    if officer.is_some() && caseload.is_some() {
        cells.wrong("caseload", "either officer or caseload");
    }
    let goes_to = caseload.map(GoesTo::Caseload).or(officer.map(GoesTo::Officer));
    let customer_number = customer_number?;
    let uid = customer_id(&customer_number);
    let customer = NewCustomer { uid, name: name?, phone, national_id_masked, language, address, lat_e6, lon_e6 };
    Some(FileAccount {
        line: 0,
        number: number?,
        customer_number,
        customer,
        unit,
        goes_to,
        product: product?,
        currency: NO_CURRENCY,
        disbursed_on: disbursed_on?,
        stage: stage?,
        lines: Vec::new(),
        paid_minor: 0,
        last_paid_on: None,
    })
}

const STAGES: &str = "CALL, FIELD, LEGAL, WRITE_OFF_REVIEW";
/// ISO 4217's code for no currency, in a head that is read before the currency is: `account` puts the account's
/// own in its place, or gives no account. So a row that lacks both has both faults told.
const NO_CURRENCY: Currency = Currency::new(*b"XXX").expect("three capital letters");

/// All but the last four characters hidden, unless the file hides them itself.
fn masked(id: &str) -> String {
    if id.contains('*') {
        return id.to_owned();
    }
    let shown = id.chars().count().saturating_sub(4);
    id.chars().enumerate().map(|(at, c)| if at < shown { '*' } else { c }).collect()
}

fn portions(cells: &mut Cells<'_>, currency: Currency) -> Option<Portions> {
    let principal = cells.amount("principal", currency);
    let (interest, fee) = (cells.amount("interest", currency), cells.amount("fee", currency));
    let penalty = cells.amount("penalty", currency);
    let portions = Portions { principal: principal?, interest: interest?, fee: fee?, penalty: penalty? };
    match portions.total() {
        Ok(0) => cells.wrong("principal", "nothing is due by this line"),
        Ok(total) if total <= Money::MINOR_MAX => return Some(portions),
        _ => cells.wrong("principal", "more than any account holds"),
    }
    None
}

/// A schedule of a row an instalment.
fn instalments(rows: &[Row], currency: Currency, wrong: &mut Vec<BadLine>) -> Option<Vec<DueLine>> {
    let mut lines: Vec<DueLine> = Vec::with_capacity(rows.len());
    let mut whole = true;
    for (n, row) in (1..).zip(rows) {
        let mut cells = Cells::of(row);
        let due_date = cells.date("due_date");
        let portions = portions(&mut cells, currency);
        if let (Some(due_date), Some(last)) = (due_date, lines.last())
            && due_date < last.due_date
        {
            cells.wrong(
                "due_date",
                format!("is before {} of the line above: instalments stand by their day", last.due_date),
            );
        }
        wrong.append(&mut cells.bad);
        match due_date.zip(portions) {
            Some((due_date, Portions { principal, interest, fee, penalty })) => {
                lines.push(DueLine { n, due_date, principal, interest, fee, penalty });
            }
            None => whole = false,
        }
    }
    whole.then_some(lines)
}

/// A schedule of one row with its term.
fn term(rows: &[Row], currency: Currency, wrong: &mut Vec<BadLine>) -> Option<Vec<DueLine>> {
    let mut cells = Cells::of(&rows[0]);
    let first_due = cells.date("first_due");
    let n = cells.count("instalments", INSTALMENTS_MAX);
    let every = cells.code::<Every>("every", "month, week, fortnight or a number of days from 1 to 366");
    let portions = portions(&mut cells, currency);
    if let [_, second, ..] = rows {
        let reason = "an account with a term has one row";
        wrong.push(BadLine::new(second.line, "account", second.text("account"), reason));
    }
    wrong.append(&mut cells.bad);
    let (first_due, n, every, portions) = (first_due?, n?, every?, portions?);
    let of = |total| split(total, n, 1).ok();
    let (principal, interest) = (of(portions.principal)?, of(portions.interest)?);
    let (fee, penalty) = (of(portions.fee)?, of(portions.penalty)?);
    let line = |i: u16| {
        let at = usize::from(i);
        DueLine {
            n: i + 1,
            due_date: every.after(first_due, i),
            principal: principal[at],
            interest: interest[at],
            fee: fee[at],
            penalty: penalty[at],
        }
    };
    Some((0..n).map(line).collect())
}

/// How far instalments are apart.
enum Every {
    Month,
    Days(u16),
}

impl Every {
    fn after(&self, first: Date, i: u16) -> Date {
        match self {
            Self::Month => months_after(first, i),
            Self::Days(days) => first.plus_days(i32::from(*days) * i32::from(i)),
        }
    }
}

impl std::str::FromStr for Every {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "month" => Ok(Self::Month),
            "week" => Ok(Self::Days(7)),
            "fortnight" => Ok(Self::Days(14)),
            days => days.parse().ok().filter(|days| (1..=366).contains(days)).map(Self::Days).ok_or(()),
        }
    }
}

/// What is paid in all. What the rows say is paid of each must be what it comes to here, where the oldest
/// instalment is paid first; and the balance, if there is one, must be what is left.
fn paid(
    rows: &[Row],
    lines: &[DueLine],
    currency: Currency,
    reading: &Reading,
    wrong: &mut Vec<BadLine>,
) -> Option<i64> {
    let mut of_rows = Vec::with_capacity(rows.len());
    for row in rows {
        let mut cells = Cells::of(row);
        of_rows.push(cells.amount("paid", currency));
        wrong.append(&mut cells.bad);
    }
    let of_rows: Vec<i64> = of_rows.into_iter().collect::<Option<_>>()?;
    let mut cells = Cells::of(&rows[0]);
    let in_all = cells.amount("paid_to_date", currency)?;
    let by_rows = of_rows.iter().try_fold(0_i64, |sum, minor| sum.checked_add(*minor))?;
    if in_all > 0 && by_rows > 0 {
        cells.wrong("paid_to_date", "either paid of each instalment or paid_to_date");
    } else if by_rows > 0 && cells.has("first_due") {
        cells.wrong("paid", "an account with a term has paid_to_date");
    }
    let paid_minor = in_all.max(by_rows);
    let mut schedule: Vec<_> = lines.iter().map(|line| line.with_paid(Portions::ZERO)).collect();
    if paid_minor > 0 && allocate(&mut schedule, paid_minor, Waterfall::default(), reading.as_of).is_err() {
        cells.wrong("paid_to_date", "more than any account holds");
    }
    let owed = daybook_shared::schedule::outstanding(&schedule).and_then(|owed| owed.total());
    let owed = owed.ok().filter(|owed| *owed <= Money::MINOR_MAX);
    if owed.is_none() {
        cells.wrong("principal", "the instalments add up to more than any account holds");
    }
    if cells.has("balance")
        && let (Some(balance), Some(owed)) = (cells.amount("balance", currency), owed)
        && balance != owed
    {
        let owed = Money::new(owed, currency);
        cells.wrong("balance", format!("the instalments less what is paid come to {owed}"));
    }
    if by_rows > 0 && in_all == 0 {
        for ((row, said), instalment) in rows.iter().zip(&of_rows).zip(&schedule) {
            let comes_to = instalment.paid.total().unwrap_or(i64::MAX);
            if *said != comes_to {
                let comes_to = Money::new(comes_to, currency);
                let reason = format!(
                    "the oldest instalment is paid first here, and {comes_to} would be paid of this one: give the sum in paid_to_date instead"
                );
                cells.bad.push(BadLine::new(row.line, "paid", row.text("paid"), reason));
            }
        }
    }
    let is_good = cells.bad.is_empty();
    wrong.append(&mut cells.bad);
    is_good.then_some(paid_minor)
}
