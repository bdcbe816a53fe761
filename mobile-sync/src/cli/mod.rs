//! The command-line phone, `daybook-phone`.
//!
//! It is an app like any other: a store in a directory, a key and a generation beside it (stand-ins
//! for a phone's keystore, see [`home`]), the captures and views of this library, and its client.
//! It reads the clock and draws randomness; nothing below it does.

mod args;
mod captures;
pub mod clock;
pub mod home;
mod quotes;
mod records;
mod shows;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use daybook_shared::entry::EntryError;
use rand::rngs::StdRng;

use crate::capture::{CaptureError, EditBoardError};
use crate::client::{Client, Options, Roots};
use crate::session::{GaveUp, SyncEnd, SyncReport};
use crate::store::Store;
use args::{Args, Command};
use clock::BootClock;
use home::Home;

/// Runs the program and says what went wrong, on one line each.
pub fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// An open phone: what every command works on.
pub(crate) struct Phone<'a> {
    pub args: &'a Args,
    pub home: Home,
    pub store: Store,
    pub clock: BootClock,
    pub rng: StdRng,
}

fn run(args: &Args) -> Result<()> {
    let clock = BootClock::read()?;
    let mut rng = clock::system_rng()?;
    let home = Home::at(&args.home, &mut rng)?;
    let mut store = Store::open(&home.store_file(), &home.key()?, Box::new(home.keeper()), clock.now(), &mut rng)
        .with_context(|| format!("the phone in {} cannot be opened", args.home.display()))?;
    store.speak(args.language);
    if store.began_new_install() {
        eprintln!("note: this is an older copy of the store; it goes on under a new install");
    }
    let mut phone = Phone { args, home, store, clock, rng };
    match &args.command {
        Command::Enrol { url, code } => phone.enrol(url, code),
        Command::Login { login } => phone.login(login),
        Command::Sync => phone.sync(),
        Command::Watch { times } => phone.watch(*times),
        Command::List { near } => phone.list(near.as_deref()),
        Command::Find { text } => phone.find(&text.join(" ")),
        Command::Case { case } => phone.case(case),
        Command::Offers => phone.offers(),
        Command::Quote { .. } => phone.quote(&args.command),
        Command::Agents => phone.agents(),
        Command::Agent { agent } => phone.agent(agent),
        Command::Day { date } => phone.day(date.as_deref()),
        Command::Record(record) => phone.record_command(record),
        Command::Pending => phone.pending(),
        Command::Held => phone.held(),
        Command::Cash => phone.cash(),
        Command::Status => phone.status(),
        Command::Dismiss { number } => Ok(phone.store.dismiss_draft(*number)?),
        capture => phone.capture_command(capture),
    }
}

impl Phone<'_> {
    fn enrol(&mut self, url: &str, code: &str) -> Result<()> {
        let client = self.client(url)?;
        let clock = self.clock;
        let platform = format!("daybook-phone {}", std::env::consts::OS);
        let now = || clock.now();
        block_on(client.enrol(&mut self.store, (code, &platform), &now, &mut self.rng))?;
        self.home.keep_server(url)?;
        let user = self.store.status(clock.now())?.user.unwrap_or_default();
        say(&format!("enrolled as {user}. Next: daybook-phone sync"))
    }

    fn login(&mut self, login: &str) -> Result<()> {
        let client = self.client(&self.home.server()?)?;
        let password = if let Ok(password) = std::env::var("DAYBOOK_PASSWORD") {
            password
        } else {
            eprintln!("password:");
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).context("the password cannot be read")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        };
        let clock = self.clock;
        block_on(client.login(&mut self.store, (login, &password), &|| clock.now(), &mut self.rng))?;
        say("logged in. Next: daybook-phone sync")
    }

    fn sync(&mut self) -> Result<()> {
        let client = self.client(&self.home.server()?)?;
        let clock = self.clock;
        let json = self.args.json;
        let tell = |why: GaveUp, ms: u64| {
            if !json {
                eprintln!("{why}; trying again in {} s (what you captured is safe)", ms.div_ceil(1000));
            }
        };
        let report = block_on(client.sync_telling(&mut self.store, &|| clock.now(), &mut self.rng, &tell))?;
        if self.args.json {
            say(&report_json(&report).to_string())?;
        } else {
            self.say_synced(&report)?;
        }
        ended(report.end)
    }

    /// Syncs whenever the server hints that something moved.
    fn watch(&mut self, times: Option<u32>) -> Result<()> {
        let client = self.client(&self.home.server()?)?;
        let clock = self.clock;
        let mut left = times;
        let mut go_on = |report: &SyncReport| {
            let told = say(&report_json(report).to_string());
            left = left.map(|left| left.saturating_sub(1));
            told.is_ok() && left != Some(0)
        };
        let report = block_on(client.watch(&mut self.store, &|| clock.now(), &mut self.rng, &mut go_on))?;
        ended(report.end)
    }

    fn say_synced(&self, report: &SyncReport) -> Result<()> {
        let SyncReport { round_trips, bytes_up, bytes_down, entries_answered, deltas, purged, .. } = report;
        let cost = format!("{round_trips} round trips, {bytes_up} B up, {bytes_down} B down");
        say(&format!("{entries_answered} captures answered, {deltas} parts of cases received ({cost})"))?;
        if report.files_sent + u32::from(report.files_left > 0) > 0 {
            say(&format!("{} photos handed in, {} left", report.files_sent, report.files_left))?;
        }
        if !purged.is_empty() {
            say(&format!("{} cases left this phone", purged.len()))?;
        }
        let waiting = self.store.read().entries_needing_attention()?.len() + self.store.read().drafts()?.len();
        if waiting > 0 {
            say(&format!("{waiting} of yours held, refused or not merged: daybook-phone held"))?;
        }
        Ok(())
    }

    fn client(&self, url: &str) -> Result<Client> {
        if self.args.offline {
            bail!("--offline is set, and this command needs the network");
        }
        let roots = match &self.args.ca {
            None => Roots::Native,
            Some(path) => home::certificates(path)?,
        };
        Ok(Client::new(url, Options { roots, plain_http: self.args.plain_http, ..Options::default() })?)
    }
}

/// What the end of a sync asks of the officer.
fn ended(end: SyncEnd) -> Result<()> {
    match end {
        SyncEnd::UpToDate => Ok(()),
        SyncEnd::LoginRequired => {
            bail!("what you captured is handed in; to see new data: daybook-phone login NAME")
        }
        SyncEnd::Locked(_) => bail!("the office has locked this phone; what you captured is handed in"),
        SyncEnd::EnvelopeRefused { number, code } => {
            bail!("the server would not read envelope {number} ({code}); it is kept: tell the office")
        }
        SyncEnd::Rejected { status, code } => {
            bail!("the server rejected the request (status {status}, {}): tell the office", code.unwrap_or_default())
        }
        SyncEnd::GaveUp(why) => bail!("{why}; what you captured is safe: try again later"),
    }
}

/// Prints a text and a line's end. A reader that has gone, as `| head` does, is no error.
pub(crate) fn say(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The report for programs.
fn report_json(report: &SyncReport) -> serde_json::Value {
    serde_json::json!({
        "end": format!("{:?}", report.end),
        "round_trips": report.round_trips,
        "retries": report.retries,
        "bytes_up": report.bytes_up,
        "bytes_down": report.bytes_down,
        "frames": report.frames,
        "envelopes_answered": report.envelopes_answered,
        "entries_answered": report.entries_answered,
        "deltas": report.deltas,
        "quarantined": report.quarantined,
        "purged": report.purged,
        "new_installs": report.new_installs,
        "files_sent": report.files_sent,
        "files_left": report.files_left,
    })
}

fn block_on<T>(work: impl Future<Output = Result<T, crate::client::ClientError>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("the network cannot be started")?.block_on(work)?)
}

/// What to type next, where an error has an answer.
fn hint(error: CaptureError) -> anyhow::Error {
    let next = match &error {
        CaptureError::NotEnrolled => "daybook-phone enrol URL CODE",
        CaptureError::OverrideRequired(_) => "add --code CODE, or --in-hand if you hold the cash already",
        CaptureError::UnknownTarget(_) => "add --case ID",
        CaptureError::Entry(EntryError::Field { field: "external_ref", .. }) => "add --ref PROVIDER:REFERENCE",
        CaptureError::Entry(EntryError::Field { field: "gps", .. }) => "add --gps LAT,LON, or --no-fix REASON",
        _ => return error.into(),
    };
    anyhow::Error::new(error).context(format!("not stored ({next})"))
}

fn board_hint(error: EditBoardError) -> anyhow::Error {
    anyhow::Error::new(error).context("not stored")
}
