//! Reading a lender's CSV file row by row, within bounds, with an error that names line and column for
//! whatever a spreadsheet can do to it.
//!
//! It knows columns and texts only; what a text means is [`super::cell`]'s. The separator is a comma, a
//! semicolon or a tab, whichever the first line has most of; a byte order mark and empty lines are
//! passed over.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::ByteRecord;

use super::bad::BadLine;
use super::rows::RowRead;

/// The longest row, separators included. More is a quote that nobody closed.
pub const ROW_BYTES_MAX: u64 = 64 * 1024;
/// The longest text of one field.
pub const FIELD_BYTES_MAX: usize = 1_000;
/// The longest first line.
const HEADER_BYTES_MAX: u64 = 16 * 1024;

/// A column of a file: what `--help`, `--template` and errors say about it.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name in the first line.
    pub name: &'static str,
    /// Whether the file must have it.
    pub required: bool,
    /// What it holds.
    pub about: &'static str,
    /// A value, for the template.
    pub example: &'static str,
}

/// A column that a file must have.
pub const fn needed(name: &'static str, example: &'static str, about: &'static str) -> Column {
    Column { name, required: true, about, example }
}

/// A column that a file may have.
pub const fn may(name: &'static str, example: &'static str, about: &'static str) -> Column {
    Column { name, required: false, about, example }
}

/// Why a file cannot be read on. What was read before it stands.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The first line.
    #[error("the first line {0}")]
    Header(String),
    /// A row beyond [`ROW_BYTES_MAX`].
    #[error(
        "line {line}: a row of more than {} KiB: is a quotation mark not closed? Nothing after it was read",
        ROW_BYTES_MAX / 1024
    )]
    TooLong {
        /// Where the row begins.
        line: u64,
    },
}

/// A row: its line and its texts, trimmed, by the columns that its reader asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line it begins on, from 1, the first line included; of a JSON body, its place.
    pub line: u64,
    cells: BTreeMap<&'static str, String>,
}

impl Row {
    /// A row of these texts; empty ones are left out.
    pub fn new(line: u64, cells: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let trimmed = cells.into_iter().map(|(name, text)| (name, trimmed(&text).to_owned()));
        Self { line, cells: trimmed.filter(|(_, text)| !text.is_empty()).collect() }
    }

    /// A text; empty when the file has no such column or nothing in it.
    pub fn text(&self, column: &str) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    /// Nothing in it at all.
    fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

/// Without white space around it, the no-break kinds included.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// A file being read.
pub struct Sheet<R> {
    csv: csv::Reader<Metered<R>>,
    read: Arc<AtomicU64>,
    /// Of each place in a row, its column.
    places: Vec<&'static str>,
    record: ByteRecord,
}

/// Counts what was read since the last row, and stops a row that does not end. Every line comes out with
/// the same end, the last one too: so lines can be counted by their ends.
struct Metered<R> {
    inner: R,
    read: Arc<AtomicU64>,
    last: u8,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.load(Ordering::Relaxed) > ROW_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LONG));
        }
        loop {
            let n = self.inner.read(buffer)?;
            self.read.fetch_add(n as u64, Ordering::Relaxed);
            let Some(end) = (if n == 0 { buffer.first_mut() } else { None }) else {
                let kept = without_returns(&mut buffer[..n]);
                if kept == 0 && n > 0 {
                    continue;
                }
                self.last = if kept > 0 { buffer[kept - 1] } else { self.last };
                return Ok(kept);
            };
            if self.last == b'\n' {
                return Ok(0);
            }
            (*end, self.last) = (b'\n', b'\n');
            return Ok(1);
        }
    }
}

/// Moves what is no carriage return to the front; how many there are.
fn without_returns(bytes: &mut [u8]) -> usize {
    let mut kept = 0;
    for at in 0..bytes.len() {
        if bytes[at] != b'\r' {
            bytes[kept] = bytes[at];
            kept += 1;
        }
    }
    kept
}

const TOO_LONG: &str = "a row is too long";

impl<R: Read> Sheet<BufReader<R>> {
    /// Opens a file that has these columns: every one that is required, and no other.
    pub fn open(inner: R, columns: &'static [Column]) -> Result<Self, SheetError> {
        let mut inner = BufReader::new(inner);
        let mut first = Vec::new();
        let taken = inner.by_ref().take(HEADER_BYTES_MAX).read_until(b'\n', &mut first)?;
        if taken as u64 == HEADER_BYTES_MAX && !first.ends_with(b"\n") {
            return Err(SheetError::Header(format!("is longer than {} KiB", HEADER_BYTES_MAX / 1024)));
        }
        let first = header_text(&first)?;
        let separator = separator_of(first);
        let places = places(first, separator, columns)?;
        let read = Arc::new(AtomicU64::new(0));
        let metered = Metered { inner, read: Arc::clone(&read), last: b'\n' };
        let csv = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(metered);
        Ok(Self { csv, read, places, record: ByteRecord::new() })
    }
}

fn header_text(first: &[u8]) -> Result<&str, SheetError> {
    let wrong = |what: &str| SheetError::Header(what.to_owned());
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) || first.contains(&0) {
        return Err(wrong("is UTF-16 or no text at all: save the file as \"CSV UTF-8\""));
    }
    let first = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first);
    let text = std::str::from_utf8(first).map_err(|_| wrong("is not UTF-8: save the file as \"CSV UTF-8\""))?;
    if text.trim().is_empty() {
        return Err(wrong("is empty: it names the columns"));
    }
    Ok(text)
}

/// Which of the separators the first line has most of.
fn separator_of(first: &str) -> u8 {
    let count = |separator: u8| first.bytes().filter(|byte| *byte == separator).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

fn places(first: &str, separator: u8, columns: &'static [Column]) -> Result<Vec<&'static str>, SheetError> {
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).from_reader(first.as_bytes());
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).map_err(|error| SheetError::Header(format!("cannot be read: {error}")))?;
    let mut places = Vec::new();
    for name in &record {
        let name = trimmed(name).to_lowercase();
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let known: Vec<_> = columns.iter().map(|column| column.name).collect();
            let name: String = name.chars().take(40).collect();
            return Err(SheetError::Header(format!(
                "names a column {name:?} that is not known; take it out, or name it one of {}",
                known.join(", ")
            )));
        };
        if places.contains(&column.name) {
            return Err(SheetError::Header(format!("names the column {} twice", column.name)));
        }
        places.push(column.name);
    }
    let missing: Vec<_> = columns.iter().filter(|column| column.required && !places.contains(&column.name)).collect();
    match missing[..] {
        [] => Ok(places),
        [first, ..] => Err(SheetError::Header(format!("has no column {}: {}", first.name, first.about))),
    }
}

impl<R: Read> Sheet<R> {
    /// The next row that is not empty: `Some(Err(_))` is a row that cannot be read, after which reading
    /// goes on; none at the end of the file.
    pub fn next_row(&mut self) -> Result<Option<RowRead>, SheetError> {
        loop {
            let begins = self.csv.position().line();
            self.read.store(0, Ordering::Relaxed);
            match self.csv.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(sheet_error(error, begins + 1)),
            }
            // The reader stands behind the row's last line; the file's first line was read before.
            let within = self.record.as_slice().split(|byte| *byte == b'\n').count() as u64 - 1;
            let line = self.csv.position().line() - within;
            match self.row(line) {
                Ok(row) if row.is_empty() => {}
                row => return Ok(Some(row)),
            }
        }
    }

    /// How many bytes of the file were read, its first line aside.
    pub fn bytes(&self) -> u64 {
        self.csv.position().byte()
    }

    fn row(&self, line: u64) -> RowRead {
        let mut cells = BTreeMap::new();
        let partly = |cells: &BTreeMap<_, _>, bad| Err((bad, Row { line, cells: cells.clone() }));
        let mut fields = self.record.iter();
        for (at, column) in self.places.iter().enumerate() {
            let Some(field) = fields.next() else {
                // A line of separators, or one cut short after its last value, is read as it is.
                if at == 0 || cells.is_empty() {
                    break;
                }
                let reason = format!("the line has {at} fields where the first line has {}", self.places.len());
                return partly(&cells, BadLine::new(line, column, "", reason));
            };
            match cell(line, column, field) {
                Ok(text) => cells.extend(text.map(|text| (*column, text))),
                Err(bad) => return partly(&cells, bad),
            }
        }
        if fields.any(|field| !field.is_empty()) {
            let (is, should) = (self.record.len(), self.places.len());
            let reason = format!(
                "the line has {is} fields where the first line has {should}: is a text with a separator not in quotation marks?"
            );
            return partly(&cells, BadLine::new(line, self.places.last().copied().unwrap_or(""), "", reason));
        }
        Ok(Row { line, cells })
    }
}

fn cell(line: u64, column: &'static str, field: &[u8]) -> Result<Option<String>, BadLine> {
    if field.len() > FIELD_BYTES_MAX {
        let reason = format!("a text of {} bytes, where at most {FIELD_BYTES_MAX} are taken", field.len());
        return Err(BadLine::new(line, column, &String::from_utf8_lossy(&field[..40]), reason));
    }
    let Ok(text) = std::str::from_utf8(field) else {
        let shown = String::from_utf8_lossy(field);
        return Err(BadLine::new(line, column, &shown, "not UTF-8: save the file as \"CSV UTF-8\""));
    };
    let text = trimmed(text);
    if text.chars().any(char::is_control) {
        return Err(BadLine::new(line, column, text, "holds a control character, such as NUL or a line break"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn sheet_error(error: csv::Error, line: u64) -> SheetError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.to_string() == TOO_LONG => SheetError::TooLong { line },
        csv::ErrorKind::Io(error) => error.into(),
        other => io::Error::other(format!("line {line}: {other:?}")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] =
        &[needed("account", "A-1", "the account"), may("amount", "1.00", "how much"), may("note", "", "words")];

    /// The rows as `line:account|amount|note`, a bad one as its words, then what ended the reading.
    fn read(bytes: &[u8]) -> Vec<String> {
        let mut sheet = match Sheet::open(bytes, COLUMNS) {
            Ok(sheet) => sheet,
            Err(error) => return vec![error.to_string()],
        };
        let mut said = Vec::new();
        loop {
            match sheet.next_row() {
                Ok(None) => return said,
                Ok(Some(Ok(row))) => {
                    let text = |column| row.text(column).to_owned();
                    said.push(format!("{}:{}|{}|{}", row.line, text("account"), text("amount"), text("note")));
                }
                Ok(Some(Err((bad, _)))) => said.push(format!("{}:{}: {}", bad.line, bad.column, bad.reason)),
                Err(error) => {
                    said.push(error.to_string());
                    return said;
                }
            }
        }
    }

    fn check(bytes: &[u8], expected: &[&str]) {
        let said = read(bytes);
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said:?} should begin {expected:?}");
        }
    }

    #[test]
    fn rows_are_read_whatever_a_spreadsheet_made_of_them() {
        check(b"account,amount,note\nA1,5,x\nA2,6,y\n", &["2:A1|5|x", "3:A2|6|y"]);
        check(b"account;amount;note\r\nA1;5;\"x; y\"\r\n\r\n;;\r\nA2;6;", &["2:A1|5|x; y", "5:A2|6|"]);
        check("\u{feff}Amount\tACCOUNT\n5\t A1\u{a0}\n".as_bytes(), &["2:A1|5|"]);
        check(b"account,note\n\"A \"\"1\"\"\",\"x, y\"\n", &["2:A \"1\"||x, y"]);
        check(b"account,amount,note\nA1,5,x,,\n", &["2:A1|5|x"]);
        check(b"account,amount,note\n", &[]);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named_and_the_next_is_read() {
        check(b"account,amount\nA1,1,250\nA2,6\n", &["2:amount: the line has 3 fields where", "3:A2|6|"]);
        check(b"account,amount,note\nA1,5\nA2,6,\n", &["2:note: the line has 2 fields", "3:A2|6|"]);
        check(b"account,note\nA1,caf\xe9\nA2,\n", &["2:note: not UTF-8", "3:A2||"]);
        check(
            b"account,note\nA1,a\0b\nA2,\"a\nb\"\nA3,\n",
            &["2:note: holds a control", "3:note: holds a control", "5:A3||"],
        );
        let long = format!("account,note\nA1,{}\nA2,\n", "x".repeat(FIELD_BYTES_MAX + 1));
        check(long.as_bytes(), &["2:note: a text of 1001 bytes", "3:A2||"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_says_why() {
        check(b"", &["the first line is empty"]);
        check(b"account,amuont\n", &["the first line names a column \"amuont\" that is not known"]);
        check(b"account,Account\n", &["the first line names the column account twice"]);
        check(b"amount\n", &["the first line has no column account: the account"]);
        check(b"\xff\xfea\0c\0", &["the first line is UTF-16"]);
        check(b"acc\xe9\n", &["the first line is not UTF-8"]);
        check(&vec![b'x'; 20_000], &["the first line is longer than 16 KiB"]);
        let open = format!("account,note\nA0,\nA1,\"{}", "x\n".repeat(5_000_000));
        check(open.as_bytes(), &["2:A0||", "line 3: a row of more than 64 KiB"]);
        let wide = format!("account,note\nA0,\nA1,{}", "x".repeat(10_000_000));
        check(wide.as_bytes(), &["2:A0||", "line 3: a row of more than 64 KiB"]);
    }
}
