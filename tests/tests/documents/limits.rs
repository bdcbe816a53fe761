//! Every limit that the sources declare: constants whose name says that they bound something.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A constant is a limit if its name has one of these words, or ends in one of the units.
const WORDS: &[&str] = &["MAX", "MIN", "AIM", "WAIT", "TIMEOUT", "EVERY", "SIZE", "KEPT", "RENEW"];
const UNITS: &[&str] = &["DAYS", "SECONDS", "MS"];
/// Files whose constants bound nothing that a reader of the page could meet.
const LEFT_OUT: &[&str] = &["tests", "testing", "demo", "hostile"];

struct Limit {
    name: String,
    value: String,
    doc: String,
}

/// The table of all limits, by crate and file.
pub fn table(workspace: &Path) -> String {
    let mut table = "| limit | value | what it bounds |\n|---|---|---|\n".to_owned();
    for source in sources(workspace) {
        let text = std::fs::read_to_string(&source).expect("a source can be read");
        let shown = source.strip_prefix(workspace).expect("it is in the workspace").display().to_string();
        let shown = shown.replace("/src/", "/");
        for Limit { name, value, doc } in limits(&text) {
            assert!(!doc.is_empty(), "{shown}: {name} has no document");
            writeln!(table, "| `{name}` ({shown}) | {value} | {doc} |").expect("a text can be written to");
        }
    }
    table
}

fn sources(workspace: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["shared", "mobile-sync", "server"].map(|name| workspace.join(name).join("src")).into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).expect("a folder of sources can be read") {
            let path = item.expect("an item of a folder can be read").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if LEFT_OUT.iter().any(|left| stem.contains(left)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn limits(text: &str) -> Vec<Limit> {
    let mut doc = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            doc = format!("{doc} {}", words.trim()).trim().to_owned();
            continue;
        }
        if let Some((name, value)) = constant(line)
            && is_limit(name)
        {
            found.push(Limit { name: name.to_owned(), value: readable(name, value), doc: doc.replace('|', "\\|") });
        }
        doc.clear();
    }
    found
}

fn is_limit(name: &str) -> bool {
    name.split('_').any(|word| WORDS.contains(&word))
        || name.rsplit('_').next().is_some_and(|unit| UNITS.contains(&unit))
}

/// Name and expression of a constant that is a number or a duration.
fn constant(line: &str) -> Option<(&str, &str)> {
    let from = line.strip_prefix("const ").or_else(|| line.split_once(" const ").map(|(_, rest)| rest))?;
    let (name, rest) = from.split_once(": ")?;
    let (kind, value) = rest.strip_suffix(';')?.split_once(" = ")?;
    let number = ["usize", "u8", "u16", "u32", "u64", "i32", "i64", "Duration"].contains(&kind);
    let named = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    (number && named && line.starts_with(['c', 'p'])).then_some((name, value))
}

/// A value as a person reads it: bytes in KiB and MiB, durations in their unit, the rest as written.
fn readable(name: &str, value: &str) -> String {
    let durations = [("Duration::from_millis(", "ms"), ("Duration::from_secs(", "s"), ("Duration::from_mins(", "min")];
    for (call, unit) in durations {
        if let Some(count) = value.strip_prefix(call).and_then(|rest| rest.strip_suffix(')')) {
            return format!("{count} {unit}");
        }
    }
    let Some(product) = product(value) else { return format!("`{value}`") };
    match product {
        0 => "0".to_owned(),
        bytes if name.contains("BYTES") && bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if name.contains("BYTES") && bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes if name.contains("BYTES") => format!("{bytes} B"),
        number => number.to_string(),
    }
}

/// The product of literals that an expression is, if it is one.
fn product(value: &str) -> Option<u64> {
    value
        .split(" * ")
        .map(|factor| factor.replace('_', "").parse().ok())
        .try_fold(1_u64, |all, factor: Option<u64>| all.checked_mul(factor?))
}
