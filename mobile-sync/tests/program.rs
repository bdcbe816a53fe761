//! `daybook-phone` as it is typed: every command teaches, and a slip is answered before anything is stored.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn phone(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daybook-phone"));
    command.env("DAYBOOK_PHONE_HOME", home).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_command_that_records_something_teaches() {
    let dir = tempfile::tempdir().unwrap();
    for (command, word) in [
        ("call", "RPC_PROMISED"),
        ("contact", "NEXT_OF_KIN"),
        ("complain", "PAID_NOT_CREDITED"),
        ("case-handover", "CITY_MANAGER"),
        ("stop", "SKIPPED"),
        ("device-event", "CLOCK_CHANGED"),
        ("weekly", "branding=Y"),
        ("float", "CASH_TO_E_MONEY"),
        ("issue", "SETTLEMENT"),
        ("issue-event", "STILL_FAILING"),
        ("training", "percent"),
        ("register-agent", "DRIVING_LICENCE"),
        ("agents", "agents"),
        ("agent", "recorded"),
        ("day", "YYYY-MM-DD"),
    ] {
        let output = phone(dir.path(), &[command, "--help"]);
        let help = said(&output.stdout);
        assert!(output.status.success() && help.contains(word), "{command}: {help}");
    }
}

#[test]
fn a_slip_is_answered_in_one_line_with_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let id = "01a3ffac-9f00-7281-9257-9b2ed10dc80f";
    let cases: [(&[&str], &str); 9] = [
        (&["call", id, "ANSWERED"], "NO_ANSWER, BUSY"),
        (&["call", "KE-1001", "BUSY"], "this phone holds no case \"KE-1001\""),
        (&["contact", id, "FAX", "1"], "PHONE, ALT_PHONE"),
        (&["case-handover", id, "MOON", "far", "--reason", "DPD"], "CALL_CENTRE, FIELD"),
        (&["stop", "first", "DONE"], "\"first\" is not an id"),
        (&["weekly", "AG-17"], "this phone holds no agent \"AG-17\" (daybook-phone agents)"),
        (&["weekly", id, "--check", "colour=Y"], "it is one of branding, tariff_displayed"),
        (&["issue-event", id, "FIX"], "is not on this phone (add --agent AGENT)"),
        (&["register-agent", "+254722000003", "W", "Kiosk", "--id-number", "12345678"], "daybook-phone enrol URL CODE"),
    ];
    for (arguments, words) in cases {
        let output = phone(dir.path(), arguments);
        let error = said(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(error.contains(words) && error.lines().count() == 1, "{arguments:?}: {error}");
        assert!(!error.contains("12345678"), "{error}");
    }
}
