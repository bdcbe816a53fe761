//! What a bench found: JSON for machines, a table for people.

use serde_json::{Map, Number, Value};

/// Whether a figure is as promised.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Goal {
    /// Reported only.
    None,
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
}

#[derive(Debug, Clone)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    goal: Goal,
}

/// The figures of one bench.
#[derive(Debug, Clone)]
pub struct Figures {
    /// The bench's name.
    pub bench: &'static str,
    rows: Vec<Figure>,
}

impl Figures {
    /// None yet.
    pub fn of(bench: &'static str) -> Self {
        Self { bench, rows: Vec::new() }
    }

    /// A figure without a goal.
    #[must_use]
    pub fn with(self, name: &'static str, value: f64, unit: &'static str) -> Self {
        self.row(name, value, unit, Goal::None)
    }

    /// A figure that is to be at most `goal`.
    #[must_use]
    pub fn at_most(self, name: &'static str, value: f64, unit: &'static str, goal: f64) -> Self {
        self.row(name, value, unit, Goal::AtMost(goal))
    }

    /// A figure that is to be at least `goal`.
    #[must_use]
    pub fn at_least(self, name: &'static str, value: f64, unit: &'static str, goal: f64) -> Self {
        self.row(name, value, unit, Goal::AtLeast(goal))
    }

    fn row(mut self, name: &'static str, value: f64, unit: &'static str, goal: Goal) -> Self {
        self.rows.push(Figure { name, value, unit, goal });
        self
    }

    /// One JSON object; whole numbers as such, others with three decimals.
    pub fn json(&self) -> Value {
        let value = |figure: &Figure| (figure.name.to_owned(), number(figure.value));
        Value::Object(self.rows.iter().map(value).collect::<Map<_, _>>())
    }

    /// Lines of a table.
    pub fn table(&self) -> String {
        let mut table = format!("{}\n", self.bench);
        for figure in &self.rows {
            let (goal, verdict) = match figure.goal {
                Goal::None => (String::new(), ""),
                Goal::AtMost(goal) => (format!("<= {}", number(goal)), verdict(figure.value <= goal)),
                Goal::AtLeast(goal) => (format!(">= {}", number(goal)), verdict(figure.value >= goal)),
            };
            let value = number(figure.value).to_string();
            let line = format!("  {:<28} {value:>12} {:<4} {goal:<14} {verdict}", figure.name, figure.unit);
            table.push_str(line.trim_end());
            table.push('\n');
        }
        table
    }
}

fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}

fn number(value: f64) -> Value {
    #[expect(clippy::float_arithmetic, reason = "figures are rounded for people")]
    let rounded = (value * 1000.0).round() / 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole figures are printed as such")]
    if rounded.fract().abs() < f64::EPSILON {
        return Value::Number(Number::from(rounded as i64));
    }
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^52")]
pub fn count(value: impl TryInto<u64>) -> f64 {
    value.try_into().unwrap_or(u64::MAX) as f64
}

/// One figure per another.
#[expect(clippy::float_arithmetic, reason = "a ratio of two figures")]
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// The value below which `percent` of the sorted samples lie.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0.0)
}
