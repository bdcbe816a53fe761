//! `daybook-phone`: a phone on the command line. Everything is in [`daybook_mobile_sync::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    daybook_mobile_sync::cli::main()
}
