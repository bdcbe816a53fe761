//! The documents that are derived from the code are as the code says: the page of settings and limits, the
//! dashboard and the alerts, the sample configuration. `UPDATE_DOCS=1` writes the page anew.

mod limits;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use daybook_server::http::names;
use daybook_server::settings::Settings;

/// The workspace's folder.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `docs/settings.md` between its marks is what the code declares.
#[test]
fn the_page_of_settings_lists_every_setting_and_every_limit() {
    const PAGE: &str = "docs/settings.md";
    let page = read(PAGE);
    let mut fresh = page.clone();
    for (mark, table) in [("settings", settings()), ("limits", limits::table(&workspace()))] {
        let (begin, end) = (format!("<!-- {mark}: begin -->\n"), format!("<!-- {mark}: end -->"));
        let from = fresh.find(&begin).unwrap_or_else(|| panic!("{PAGE} has no {begin:?}")) + begin.len();
        let to = fresh.find(&end).unwrap_or_else(|| panic!("{PAGE} has no {end:?}"));
        fresh.replace_range(from..to, &format!("\n{table}\n"));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(workspace().join(PAGE), &fresh).expect("the page can be written");
    } else if let Some(line) = fresh.lines().zip(page.lines()).find(|(fresh, page)| fresh != page) {
        panic!(
            "{PAGE} is not as the code says; write it anew with\n\
             UPDATE_DOCS=1 cargo test -p daybook-tests --test documents\nthe code: {}\nthe page: {}",
            line.0, line.1
        );
    }
}

fn settings() -> String {
    let defaults = Settings::default();
    let mut table = "| setting | default | what it is |\n|---|---|---|\n".to_owned();
    for (name, doc) in Settings::ALL {
        let default = defaults.get(name).expect("a declared setting has a value");
        let default = if default.is_empty() { "(empty)".to_owned() } else { format!("`{default}`") };
        writeln!(table, "| `{name}` | {default} | {} |", doc.trim()).expect("a text can be written to");
    }
    table
}

/// Every word of a text that looks like a metric of ours, without the suffixes of a histogram.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("daybook_"))
        .map(|word| {
            let suffix = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
            suffix.unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let text = read("deploy/grafana/daybook.json");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| !panels.is_empty()));
    let declared: BTreeSet<String> = names::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(metrics_in(&text), declared);
}

#[test]
fn alerts_ask_for_metrics_that_exist() {
    let declared: BTreeSet<String> = names::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let asked = metrics_in(&read("deploy/prometheus/alerts.yml"));
    assert!(!asked.is_empty());
    assert!(asked.is_subset(&declared), "{:?}", asked.difference(&declared));
}

#[test]
fn the_sample_configuration_is_one() {
    let config = daybook_server::config::read(&workspace().join("deploy/daybook.toml")).expect("it can be read");
    assert_eq!(config.listen.as_deref(), Some("127.0.0.1:8080"));
}
