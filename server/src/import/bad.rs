//! Lines that were not imported: each with line, column and reason; the first of them kept, all counted,
//! all written to a file where one is named.

use std::fs::File;
use std::path::Path;

/// How many bad lines an answer holds; all are counted.
pub const KEPT_MAX: usize = 100;
/// How much of a value is shown.
const SHOWN_CHARS: usize = 40;

/// A line that was not imported, or one that was and has something to be known about it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct BadLine {
    /// The line, from 1; of a JSON body, its place.
    pub line: u64,
    /// The column.
    pub column: String,
    /// The value, cut off.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BadLine {
    /// What is wrong with a value.
    pub fn new(line: u64, column: &str, value: &str, reason: impl Into<String>) -> Self {
        let value = value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect();
        Self { line, column: column.to_owned(), value, reason: reason.into() }
    }
}

/// `line 7, column amount: "12.345" is not an amount in KES ...`
impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, column, value, reason } = self;
        write!(f, "line {line}, column {column}: ")?;
        if value.is_empty() { write!(f, "{reason}") } else { write!(f, "{value:?}: {reason}") }
    }
}

/// Bad lines as they are found.
#[derive(Debug)]
pub struct BadLines {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<BadLine>,
    kept_max: usize,
    file: Option<csv::Writer<File>>,
}

impl Default for BadLines {
    fn default() -> Self {
        Self::keeping(KEPT_MAX)
    }
}

impl BadLines {
    /// Keeps at most so many.
    pub fn keeping(kept_max: usize) -> Self {
        Self { count: 0, first: Vec::new(), kept_max, file: None }
    }

    /// Also writes all of them to a new file.
    pub fn to_file(path: &Path) -> csv::Result<Self> {
        let mut file = csv::Writer::from_path(path)?;
        file.write_record(["line", "column", "value", "reason"])?;
        Ok(Self { file: Some(file), ..Self::default() })
    }

    /// One more.
    pub fn push(&mut self, bad: BadLine) -> csv::Result<()> {
        if let Some(file) = &mut self.file {
            // A value that a spreadsheet would take for a formula is shown as the text it is.
            let formula = bad.value.starts_with(['=', '+', '-', '@']);
            let value = if formula { format!("'{}", bad.value) } else { bad.value.clone() };
            file.write_record([&bad.line.to_string(), &bad.column, &value, &bad.reason])?;
        }
        self.count += 1;
        if self.first.len() < self.kept_max {
            self.first.push(bad);
        }
        Ok(())
    }

    /// Several more.
    pub fn extend(&mut self, bad: impl IntoIterator<Item = BadLine>) -> csv::Result<()> {
        bad.into_iter().try_for_each(|bad| self.push(bad))
    }

    /// Writes what waits to the file.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_mut().map_or(Ok(()), csv::Writer::flush)
    }
}
