//! The `daybook` program: see `daybook --help`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    daybook_server::cli::run().await
}
