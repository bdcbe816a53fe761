//! Rows of an import, from a CSV file or from a JSON body.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::vec;

use serde_json::{Map, Value};

use super::bad::BadLine;
use super::sheet::{Column, FIELD_BYTES_MAX, Row, Sheet, SheetError};

/// A row, or what is wrong with it and what of it could be read.
pub type RowRead = Result<Row, (BadLine, Row)>;

/// Rows, one after the other.
pub enum Rows {
    /// Of a CSV file.
    Csv(Box<Sheet<BufReader<Box<dyn Read + Send>>>>),
    /// Of a JSON body.
    Given(vec::IntoIter<RowRead>),
}

impl Rows {
    /// The rows of a file.
    pub fn file(path: &Path, columns: &'static [Column]) -> Result<Self, SheetError> {
        Self::csv(Box::new(File::open(path)?), columns)
    }

    /// The rows of a CSV body.
    pub fn body(bytes: Vec<u8>, columns: &'static [Column]) -> Result<Self, SheetError> {
        Self::csv(Box::new(Cursor::new(bytes)), columns)
    }

    /// The rows of CSV from anywhere.
    pub fn csv(read: Box<dyn Read + Send>, columns: &'static [Column]) -> Result<Self, SheetError> {
        Ok(Self::Csv(Box::new(Sheet::open(read, columns)?)))
    }

    /// Rows given as JSON objects of texts, by column.
    pub fn json(rows: Vec<Map<String, Value>>, columns: &'static [Column]) -> Self {
        let rows: Vec<_> = (1..).zip(rows).map(|(place, row)| json_row(place, row, columns)).collect();
        Self::Given(rows.into_iter())
    }

    /// The next row; none at the end.
    pub fn next_row(&mut self) -> Result<Option<RowRead>, SheetError> {
        match self {
            Self::Csv(sheet) => sheet.next_row(),
            Self::Given(rows) => Ok(rows.next()),
        }
    }

    /// How many bytes of a file were read.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Csv(sheet) => sheet.bytes(),
            Self::Given(_) => 0,
        }
    }
}

fn json_row(place: u64, row: Map<String, Value>, columns: &'static [Column]) -> RowRead {
    let (mut cells, mut bad) = (Vec::new(), None);
    for (name, value) in row {
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            bad = Some(BadLine::new(place, &name, "", "there is no such column"));
            continue;
        };
        match value {
            Value::String(text) if text.len() > FIELD_BYTES_MAX || text.chars().any(char::is_control) => {
                let reason = format!("a text of at most {FIELD_BYTES_MAX} bytes without control characters");
                bad = Some(BadLine::new(place, column.name, &text, reason));
            }
            Value::String(text) => cells.push((column.name, text)),
            Value::Null => {}
            other => {
                let reason = "a text: amounts too, so that no number is rounded on its way";
                bad = Some(BadLine::new(place, column.name, &other.to_string(), reason));
            }
        }
    }
    let row = Row::new(place, cells);
    match bad {
        Some(bad) => Err((bad, row)),
        None => Ok(row),
    }
}
