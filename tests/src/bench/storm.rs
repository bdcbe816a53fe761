//! 200 phones come back at once with 50 captures each, to a real server process (on PostgreSQL to several, if
//! asked for) with a portfolio of 100,000 accounts in 200 caseloads.
//!
//! The phones are the real library over real HTTP. They have their caseloads, and their envelopes are
//! sealed before the clock starts; it stops when the last of them is up to date. Their stores are in
//! memory where there is a `/dev/shm`, because 200 phones do not write to the server's disk. The
//! server's memory is the most it ever used, their first syncs included.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use daybook_mobile_sync::client::{Client, Options as ClientOptions};
use daybook_mobile_sync::store::KeptInMemory;
use daybook_mobile_sync::{Moment, Store, SyncEnd, SyncReport};
use daybook_server::app::{App, ClockChoice, Options};
use daybook_server::audit::Actor;
use daybook_server::auth::enrolment;
use daybook_server::gateways::GatewayOptions;
use daybook_server::settings::Settings as LenderSettings;
use daybook_shared::ids::BootId;
use daybook_shared::time::{Clock as _, SystemClock};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::task::JoinSet;

use super::figures::{Figures, count, percentile, ratio};
use super::{Engine, Setup, bare, cpu};
use crate::cluster::{Commits, Postgres, fresh_database};
use crate::process::{self, Server};
use crate::workload::history::{self, Case};
use crate::workload::office;

const PHONES: usize = 200;
const ACCOUNTS_A_CASELOAD: usize = 500;
const CAPTURES: usize = 50;
/// Cases over which a phone's captures spread.
const CASES_TOUCHED: usize = 35;
/// Phones that take their caseload at a time, before the clock starts.
const FIRST_SYNCS_AT_ONCE: usize = 8;
const STORE_KEY: [u8; 32] = [7; 32];
const MEMORY: &str = "/dev/shm";

/// Runs it.
pub async fn run(setup: &Setup) -> anyhow::Result<Figures> {
    let program = process::build()?;
    let database = Database::make(setup).await?;
    let portfolio = populate(setup, &database).await?;
    let settings = process::Settings {
        program,
        db_url: database.url.clone(),
        keys: database.keys.clone(),
        clock: None,
        log: setup.dir.join("server.log"),
        file_bytes_max: None,
        momo_secrets: None,
    };
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    for number in 0..setup.servers {
        let log = setup.dir.join(format!("server{number}.log"));
        let server = Server::start(process::Settings { log, ..settings.clone() }).await?;
        clients.push(Client::new(&format!("http://{}", server.address()), ClientOptions::default())?);
        servers.push(server);
    }
    let stores = tempfile::tempdir_in(if Path::new(MEMORY).is_dir() { Path::new(MEMORY) } else { &setup.dir })?;
    let mut phones = Vec::with_capacity(PHONES);
    for (i, (code, cases)) in portfolio.into_iter().enumerate() {
        phones.push(Phone::enrol(&clients[i % setup.servers], stores.path(), (i, setup.seed), &code, cases).await?);
    }
    let mut phones = first_syncs(phones).await?;
    for phone in &mut phones {
        phone.capture()?;
    }
    let (own_before, server_before) = (cpu::own_ns()?, used_ns(&servers).await?);
    let begun = start();
    let (phones, mut latencies) = storm(phones).await?;
    let took_s = seconds_since(begun);
    let server_ns = used_ns(&servers).await? - server_before;
    let phones_ns = cpu::own_ns()?.saturating_sub(own_before);
    let mut rss = 0;
    for server in servers {
        rss = server.peak_memory_bytes().await?.max(rss);
        server.stop().await?;
    }
    let entries: Vec<Vec<u8>> = phones.iter().map(Phone::entries).collect::<anyhow::Result<Vec<_>>>()?.concat();
    ensure!(entries.len() == PHONES * CAPTURES, "{} captures instead of {}", entries.len(), PHONES * CAPTURES);
    drop(phones);
    let floor_s = bare::rows(setup, &database.url, &entries).await?;
    latencies.sort_by(f64::total_cmp);
    let captures = count(entries.len());
    let (rate, floor) = (ratio(captures, took_s), ratio(captures, floor_s));
    let figures = Figures::of("storm");
    let figures = match setup.engine {
        Engine::Sqlite => figures
            .at_least("captures_per_s", rate, "/s", 3_300.0)
            .with("floor_rows_per_s", floor, "/s")
            .at_least("ratio", ratio(rate, floor), "", 0.15),
        Engine::Postgres => figures
            .at_least("captures_per_s", rate, "/s", 3_000.0)
            .with("floor_rows_per_s", floor, "/s")
            .with("ratio", ratio(rate, floor), ""),
    };
    Ok(figures
        .with("server_cpu_us_per_capture", ratio(ratio(count(server_ns), 1000.0), captures), "us")
        .with("phones_cpu_us_per_capture", ratio(ratio(count(phones_ns), 1000.0), captures), "us")
        .with("p50_ms", percentile(&latencies, 50), "ms")
        .with("p99_ms", percentile(&latencies, 99), "ms")
        .at_most("server_rss_mb", count(rss / 1024 / 1024), "MB", 300.0))
}

/// Processor time of all servers.
async fn used_ns(servers: &[Server]) -> anyhow::Result<u64> {
    let mut used = 0;
    for server in servers {
        used += cpu::process_ns(server.pid().await)?;
    }
    Ok(used)
}

struct Database {
    url: String,
    keys: PathBuf,
    /// Keeps the database's server running.
    _cluster: Option<Postgres>,
}

impl Database {
    async fn make(setup: &Setup) -> anyhow::Result<Self> {
        let keys = setup.dir.join("keys");
        match setup.engine {
            Engine::Sqlite => {
                let url = format!("sqlite:{}", setup.dir.join("storm.sqlite").display());
                Ok(Self { url, keys, _cluster: None })
            }
            Engine::Postgres => {
                let cluster = Postgres::find_or_start(Commits::Durable)?;
                let url = fresh_database(&cluster.url()).await?.url;
                Ok(Self { url, keys, _cluster: Some(cluster) })
            }
        }
    }
}

/// Officers, caseloads and accounts; gives each officer's enrolment code and cases.
async fn populate(setup: &Setup, database: &Database) -> anyhow::Result<Vec<(String, Vec<Case>)>> {
    let open = || Options {
        db_url: database.url.clone(),
        key_dir: Some(database.keys.clone()),
        test: false,
        clock: ClockChoice::System,
        seed: Some(setup.seed),
        oidc_secret: None,
        sms_secret: None,
        gateways: GatewayOptions::default(),
    };
    let app = App::open(&open()).await?;
    let mut tx = app.db.write().await?;
    for setting in office::SETTINGS {
        LenderSettings::set(&mut tx, app.now(), Actor::OPERATOR, setting).await?;
    }
    tx.commit().await?;
    app.db.close().await;
    let app = App::open(&open()).await?;
    let rng = &mut ChaCha20Rng::seed_from_u64(setup.seed);
    let unit = office::branch(&app).await?;
    let (mut caseloads, mut codes) = (Vec::new(), Vec::new());
    for n in 1..=PHONES {
        let officer = office::officer(&app, rng, &unit, &format!("officer{n}")).await?;
        caseloads.push(office::caseload(&app, &unit, std::slice::from_ref(&officer), &format!("Route {n}")).await?);
        let mut tx = app.db.write().await?;
        codes.push(enrolment::issue_code(&mut tx, app.now(), &app, Actor::OPERATOR, &officer).await?.code);
        tx.commit().await?;
    }
    let cases = office::accounts(&app, rng, &unit, &caseloads, ACCOUNTS_A_CASELOAD).await?;
    app.db.close().await;
    Ok(codes.into_iter().zip(cases).collect())
}

/// A phone of the storm, and how it reaches its server.
struct Phone {
    client: Client,
    store: Store,
    rng: ChaCha20Rng,
    cases: Vec<Case>,
}

impl Phone {
    async fn enrol(
        client: &Client,
        dir: &Path,
        (place, seed): (usize, u64),
        code: &str,
        cases: Vec<Case>,
    ) -> anyhow::Result<Self> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed.wrapping_add(1 + place as u64));
        let keeper = Box::new(KeptInMemory::default());
        let path = dir.join(format!("{place}.sqlite"));
        let mut store = Store::open(&path, &STORE_KEY, keeper, moment(), &mut rng)?;
        client.enrol(&mut store, (code, "bench"), &moment, &mut rng).await?;
        Ok(Self { client: client.clone(), store, rng, cases })
    }

    async fn sync(&mut self) -> anyhow::Result<SyncReport> {
        let report = self.client.sync(&mut self.store, &moment, &mut self.rng).await?;
        ensure!(report.end == SyncEnd::UpToDate, "a sync ended otherwise: {report:?}");
        Ok(report)
    }

    /// Records what an officer does in two days, and seals it.
    fn capture(&mut self) -> anyhow::Result<()> {
        for i in 0..CAPTURES {
            let case = self.cases[(i % CASES_TOUCHED) * ACCOUNTS_A_CASELOAD / CASES_TOUCHED];
            let draft = history::record(&mut self.rng, &case, SystemClock.now()).draft(case.account);
            self.store.capture(draft, moment(), &mut self.rng)?;
        }
        let sealed = self.store.seal_pending(moment(), &mut self.rng)?;
        ensure!(sealed == 1, "{CAPTURES} captures make one envelope, not {sealed}");
        Ok(())
    }

    /// The raw bytes of what it captured; all of it has been accepted.
    fn entries(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        use daybook_shared::wire::outcome::OutcomeState::{Noted, Posted};
        let own = self.store.own_entries()?;
        let accepted = own
            .iter()
            .all(|(_, _, outcome)| outcome.as_ref().is_some_and(|outcome| matches!(outcome.state, Posted | Noted)));
        ensure!(accepted, "a capture of the storm was not accepted");
        Ok(own.into_iter().map(|(_, bytes, _)| bytes).collect())
    }
}

/// Every phone takes its caseload.
async fn first_syncs(phones: Vec<Phone>) -> anyhow::Result<Vec<Phone>> {
    let permits = Arc::new(tokio::sync::Semaphore::new(FIRST_SYNCS_AT_ONCE));
    let mut syncs = JoinSet::new();
    for mut phone in phones {
        let permits = Arc::clone(&permits);
        syncs.spawn(async move {
            let _permit = permits.acquire().await?;
            phone.sync().await?;
            ensure!(phone.store.dossiers()?.len() == ACCOUNTS_A_CASELOAD, "a phone holds its caseload");
            Ok(phone)
        });
    }
    syncs.join_all().await.into_iter().collect()
}

/// All at once; gives the phones back, and how long each took, in milliseconds.
async fn storm(phones: Vec<Phone>) -> anyhow::Result<(Vec<Phone>, Vec<f64>)> {
    let mut syncs = JoinSet::new();
    for mut phone in phones {
        syncs.spawn(async move {
            let begun = start();
            let report = phone.sync().await?;
            ensure!(report.retries == 0, "a phone had to try again: {report:?}");
            Ok((phone, milliseconds_since(begun)))
        });
    }
    let done = syncs.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>().context("the storm")?;
    Ok(done.into_iter().unzip())
}

/// What moment it is: the machine's clock, as if it had booted with its epoch.
fn moment() -> Moment {
    let wall = SystemClock.now();
    Moment { wall, boot_id: BootId([9; 8]), boot_ms: u64::try_from(wall.millis()).unwrap_or(0) }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn start() -> Instant {
    Instant::now()
}

fn seconds_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64()
}

#[expect(clippy::float_arithmetic, reason = "a figure in milliseconds")]
fn milliseconds_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}
