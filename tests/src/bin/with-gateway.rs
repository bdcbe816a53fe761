//! `with-gateway COMMAND...`: runs a server beside a gateway that plays mobile money and a card page, so that payments
//! in the app can be tried on one machine.
//!
//! Payers confirm by themselves after a few seconds; the last two whole units of an amount make it misbehave (see
//! `daybook_tests::gateway`): 01 declines, 03 takes the money and fails, 07 signs wrongly, 08 is too late.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use daybook_shared::time::{Clock as _, SystemClock};
use daybook_tests::gateway::{self, Callback, StubGateway};
use daybook_tests::phone::http_client;
use tokio::signal::unix::{SignalKind, signal};

/// How often payers are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs a command beside a gateway that plays mobile money and a card page: its secrets are in
/// DAYBOOK_MOMO_SECRETS_FILE and DAYBOOK_CARD_SECRETS_FILE, its address in DAYBOOK_DEMO_GATEWAY.
#[derive(Debug, Parser)]
#[command(after_help = "  with-gateway target/debug/daybook --db sqlite:demo.db demo")]
struct Cli {
    /// Where the gateway listens
    #[arg(long, default_value = "127.0.0.1:8090")]
    gateway: SocketAddr,
    /// The server that is called back
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    calls: String,
    /// Seconds until a payer confirms
    #[arg(long, default_value_t = 5)]
    confirms_after: i64,
    /// The command and what it is told
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(cli.gateway)
        .with_context(|| format!("{} cannot be listened on; name another with --gateway", cli.gateway))?;
    let gateway = StubGateway::on(listener, || SystemClock.now());
    let folder = tempfile::tempdir().context("a folder for the gateway's secrets cannot be made")?;
    let mut child = start(&cli, &gateway, folder.path())?;
    // The command is interrupted with us, and ends in its own time.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let http = http_client();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let status = loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = interrupted.recv() => {}
            _ = terminated.recv() => child.kill()?,
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        gateway.approve_all(SystemClock.now().plus_ms(-cli.confirms_after * 1_000));
        for callback in gateway.callbacks() {
            deliver(&http, &cli.calls, &callback).await;
        }
    };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn start(cli: &Cli, gateway: &StubGateway, folder: &Path) -> anyhow::Result<Child> {
    let (momo, card) = (folder.join("momo.toml"), folder.join("card.toml"));
    let [of_momo, of_card] = gateway::secrets();
    std::fs::write(&momo, of_momo)?;
    std::fs::write(&card, of_card)?;
    let (program, told) = cli.command.split_first().context("name the command to run")?;
    Command::new(program)
        .args(told)
        .env("DAYBOOK_MOMO_SECRETS_FILE", momo)
        .env("DAYBOOK_CARD_SECRETS_FILE", card)
        .env("DAYBOOK_DEMO_GATEWAY", &gateway.url)
        .spawn()
        .with_context(|| format!("{program} cannot be run"))
}

/// Calls the server back; one that does not hear it asks by itself.
async fn deliver(http: &reqwest::Client, server: &str, callback: &Callback) {
    let mut request = http
        .post(format!("{}{}", server.trim_end_matches('/'), callback.path))
        .header("content-type", "application/json")
        .body(callback.body.clone());
    for (name, value) in &callback.headers {
        request = request.header(*name, value);
    }
    match request.send().await {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => eprintln!("with-gateway: a callback was answered with {}", answer.status()),
        Err(error) => eprintln!("with-gateway: a callback did not arrive: {error}"),
    }
}
