//! Figures as a table: CSV for any tool, and a workbook for people. Both have the same cells.

use rust_xlsxwriter::{Format, Workbook, XlsxError};

use super::funnel::rates::{Median, Rate};
use super::funnel::{Funnel, Line};

/// The media type of a workbook.
pub const WORKBOOK: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// The media type of CSV.
pub const CSV: &str = "text/csv";

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Text(String),
    Number(i64),
    /// Hundredths of a percent.
    Share(i64),
    /// A mean, in hundredths.
    Hundredths(i64),
    Nothing,
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }
}

const HEADINGS: &[&str] = &[
    "key",
    "checkouts",
    "chose",
    "submitted",
    "approved",
    "rejected",
    "cancelled",
    "undecided",
    "activated",
    "selection",
    "approval",
    "undisclosed",
    "conversion",
    "conversion_of_checkouts",
    "cart_instalments_minor",
    "cart_others_minor",
    "returns",
    "returns_by_value",
    "delivered",
    "approval_to_delivery_minutes",
    "rating",
    "complained",
];

fn cells(line: &Line) -> Vec<Cell> {
    let share = |rate: Rate| rate.bp.map_or(Cell::Nothing, Cell::Share);
    let maybe = |rate: Option<Rate>| rate.map_or(Cell::Nothing, share);
    let median = |median: Median| Cell::from(median.minor);
    vec![
        Cell::Text(line.key.clone()),
        line.checkouts.into(),
        line.chose.into(),
        Cell::Number(line.submitted),
        Cell::Number(line.approved),
        Cell::Number(line.rejected),
        Cell::Number(line.cancelled),
        Cell::Number(line.undecided),
        Cell::Number(line.activated),
        maybe(line.selection),
        share(line.approval),
        share(line.undisclosed),
        share(line.conversion),
        maybe(line.conversion_of_checkouts),
        median(line.cart_instalments),
        median(line.cart_others),
        share(line.returns),
        share(line.returns_by_value),
        share(line.delivered),
        line.experience.approval_to_delivery.minutes.into(),
        line.experience.rating.hundredths.map_or(Cell::Nothing, Cell::Hundredths),
        share(line.experience.complained),
    ]
}

/// Funnels as CSV, one after the other, each line with what its funnel is by.
pub fn csv(funnels: &[Funnel]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = ["from", "to", "by"].into_iter().chain(HEADINGS.iter().copied());
    writer.write_record(head).expect("memory takes what is written");
    for funnel in funnels {
        let of = [funnel.from.to_string(), funnel.to.to_string(), funnel.by.clone()];
        for line in &funnel.lines {
            let cells = cells(line).into_iter().map(text);
            writer.write_record(of.iter().cloned().chain(cells)).expect("memory takes what is written");
        }
    }
    writer.into_inner().expect("memory takes what is written")
}

/// As CSV has it: a share in percent with two digits.
fn text(cell: Cell) -> String {
    match cell {
        Cell::Text(text) => text,
        Cell::Number(number) => number.to_string(),
        Cell::Share(hundredths) | Cell::Hundredths(hundredths) => {
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        }
        Cell::Nothing => String::new(),
    }
}

/// Funnels as a workbook, a sheet each.
pub fn workbook(funnels: &[Funnel]) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let (bold, percent) = (Format::new().set_bold(), Format::new().set_num_format("0.00%"));
    let decimals = Format::new().set_num_format("0.00");
    for funnel in funnels {
        let sheet = workbook.add_worksheet().set_name(format!("by {}", funnel.by))?;
        for (column, heading) in (0..).zip(HEADINGS) {
            sheet.write_with_format(0, column, *heading, &bold)?;
        }
        for (row, line) in (1..).zip(&funnel.lines) {
            for (column, cell) in (0..).zip(cells(line)) {
                match cell {
                    Cell::Text(text) => sheet.write(row, column, text)?,
                    Cell::Number(number) => sheet.write(row, column, number)?,
                    Cell::Share(bp) => sheet.write_with_format(row, column, fraction(bp), &percent)?,
                    Cell::Hundredths(mean) => sheet.write_with_format(row, column, fraction(mean * 100), &decimals)?,
                    Cell::Nothing => continue,
                };
            }
        }
        sheet.set_freeze_panes(1, 1)?;
    }
    workbook.save_to_buffer()
}

/// A share as a workbook counts: its cells are floating point, whoever writes them.
#[expect(
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a workbook has no other numbers; shares are small"
)]
fn fraction(bp: i64) -> f64 {
    bp as f64 / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_in_csv() {
        let texts = [
            (Cell::Share(1_953), "19.53"),
            (Cell::Share(5), "0.05"),
            (Cell::Share(10_000), "100.00"),
            (Cell::Hundredths(409), "4.09"),
            (Cell::Nothing, ""),
            (Cell::Number(-3), "-3"),
        ];
        for (cell, expected) in texts {
            assert_eq!(text(cell), expected);
        }
    }
}
