//! What a verification found: counts of each check, and the differences by table and key.

use std::collections::BTreeMap;
use std::fmt;

/// The result of all checks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    /// Every check, by name.
    pub checks: BTreeMap<&'static str, Check>,
    #[serde(skip)]
    lines_max: usize,
}

/// One check.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// How many values were derived again.
    pub checked: u64,
    /// How many of them differ.
    pub differing: u64,
    /// The first of those.
    pub differences: Vec<Difference>,
}

/// A stored value that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row's key.
    pub key: String,
    /// What of it.
    pub what: &'static str,
    /// What follows from the records.
    pub expected: String,
    /// What is stored.
    pub found: String,
}

/// Where a value is stored.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The check it belongs to.
    pub check: &'static str,
    /// The table.
    pub table: &'static str,
    /// The row's key.
    pub key: &'a dyn fmt::Display,
}

impl Findings {
    /// Nothing checked yet; keeps at most `lines_max` differences of each check.
    pub fn new(lines_max: usize) -> Self {
        Self { checks: BTreeMap::new(), lines_max }
    }

    /// How many values differ in all.
    pub fn differing(&self) -> u64 {
        self.checks.values().map(|check| check.differing).sum()
    }

    /// Counts values that were compared elsewhere and agree.
    pub(super) fn agree(&mut self, check: &'static str, values: u64) {
        self.checks.entry(check).or_default().checked += values;
    }

    /// Compares a stored value with what it should be.
    pub(super) fn compare<T: PartialEq + fmt::Debug>(
        &mut self,
        place: Place<'_>,
        what: &'static str,
        expected: &T,
        found: &T,
    ) {
        if expected == found {
            self.agree(place.check, 1);
        } else {
            self.differs(place, what, format_args!("{expected:?}"), format_args!("{found:?}"));
        }
    }

    /// Notes a value that differs.
    pub(super) fn differs(
        &mut self,
        place: Place<'_>,
        what: &'static str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        let check = self.checks.entry(place.check).or_default();
        check.checked += 1;
        check.differing += 1;
        if check.differences.len() < self.lines_max {
            let (expected, found) = (expected.to_string(), found.to_string());
            check.differences.push(Difference {
                table: place.table,
                key: place.key.to_string(),
                what,
                expected,
                found,
            });
        }
    }
}

/// For people: a line a check, and under it what differs.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, check) in &self.checks {
            let Check { checked, differing, differences } = check;
            if *differing == 0 {
                writeln!(f, "ok    {name}: {checked} checked")?;
                continue;
            }
            writeln!(f, "WRONG {name}: {differing} of {checked} differ")?;
            for Difference { table, key, what, expected, found } in differences {
                writeln!(f, "      {table} {key}, {what}: expected {expected}, found {found}")?;
            }
            let kept = u64::try_from(differences.len()).unwrap_or(u64::MAX);
            if *differing > kept {
                writeln!(f, "      and {} more", differing - kept)?;
            }
        }
        match self.differing() {
            0 => write!(f, "everything that can be derived is as it was derived"),
            differing => write!(f, "{differing} values differ from what the records say"),
        }
    }
}
