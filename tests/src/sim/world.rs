//! A world: people, accounts, phones, a server and one clock; and the calm road between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use daybook_mobile_sync::session::HttpRequest;
use daybook_mobile_sync::{Event, SyncReport};
use daybook_server::app::App;
use daybook_server::audit::Actor;
use daybook_server::gateways::GatewayOptions;
use daybook_server::recovery;
use daybook_shared::ids::{AccountId, AgentId, CaseloadId, DeviceId, DossierId, UserId};
use daybook_shared::time::{Date, Timestamp};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::clock::SimClock;
use super::database::{self, Engine};
use super::phone::{Phone, Step};
use super::server::{Answer, Server};
use super::upload::{UploadLog, verdicts_of};

/// When worlds begin: a morning in Nairobi, after the build of every phone.
pub const BEGINNING: &str = "2027-03-01T06:00:00Z";

/// A person's place among the world's people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who(pub usize);

/// A phone's place among the world's phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct On(pub usize);

/// An account's place among the world's accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acc(pub usize);

/// A person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Login and name.
    pub name: String,
    /// Row key.
    pub id: i64,
    /// Id.
    pub uid: UserId,
    /// The caseload made with an officer: row key and id.
    pub caseload: Option<(i64, CaseloadId)>,
}

/// An account.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Id.
    pub uid: AccountId,
    /// Row key.
    pub id: i64,
    /// Row key of its customer.
    pub customer: i64,
    /// Row key of its case.
    pub dossier_id: i64,
    /// Its case.
    pub dossier: DossierId,
}

/// A world.
#[derive(Debug)]
pub struct World {
    /// The server.
    pub server: Server,
    /// The clock.
    pub clock: Arc<SimClock>,
    /// Decides everything.
    pub rng: ChaCha8Rng,
    /// People, in the order they came.
    pub people: Vec<Person>,
    /// Phones, in the order they were enrolled.
    pub phones: Vec<Phone>,
    /// Accounts, in the order they were opened.
    pub accounts: Vec<Account>,
    /// Agents: id and the row key of the present quarter's dossier.
    pub agents: Vec<(AgentId, i64)>,
    /// Every envelope any phone ever sent.
    pub uploads: UploadLog,
    /// What happened, for people who look at a failing seed.
    pub trace: Vec<String>,
    /// Row keys of the lender's unit, once it is made.
    pub unit: i64,
    /// How often the server's database was lost and a backup put in its place.
    pub server_losses: u32,
    /// Phones ever enrolled: no two have one file.
    enrolments: usize,
    // Dropped last.
    folder: TempDir,
}

impl World {
    /// A world of this engine and seed: a lender in Nairobi whose currency is the shilling.
    pub fn new(engine: Engine, seed: u64) -> Self {
        Self::with_settings(engine, seed, &[])
    }

    /// A world whose lender has other settings.
    pub fn with_settings(engine: Engine, seed: u64, settings: &[(&str, &str)]) -> Self {
        Self::with_gateways(engine, seed, settings, GatewayOptions::default())
    }

    /// A world whose lender has gateways: their settings and secrets.
    pub fn with_gateways(engine: Engine, seed: u64, settings: &[(&str, &str)], gateways: GatewayOptions) -> Self {
        let folder = database::folder();
        let clock = Arc::new(SimClock::at(BEGINNING.parse().expect("a time")));
        let all: Vec<_> = [("zone", "Africa/Nairobi"), ("currency", "KES")].iter().chain(settings).copied().collect();
        let server = Server::new(engine, folder.path(), &clock, seed, (&all, gateways));
        let mut world = Self {
            server,
            clock,
            rng: ChaCha8Rng::seed_from_u64(seed),
            people: Vec::new(),
            phones: Vec::new(),
            accounts: Vec::new(),
            agents: Vec::new(),
            uploads: UploadLog::default(),
            trace: Vec::new(),
            unit: 0,
            server_losses: 0,
            enrolments: 0,
            folder,
        };
        world.unit = world.open_unit();
        world
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.time()
    }

    /// The lender's business date.
    pub fn today(&self) -> Date {
        self.server.app().settings.zone.date_of(self.now())
    }

    /// Time passes.
    pub fn pass_ms(&self, ms: i64) {
        self.clock.advance_ms(ms);
    }

    /// Days pass.
    pub fn pass_days(&self, days: i32) {
        self.clock.advance_ms(i64::from(days) * daybook_shared::time::DAY_MS);
    }

    /// Notes what happened.
    pub fn note(&mut self, what: impl Into<String>) {
        let line = format!("{} {}", self.now(), what.into());
        if std::env::var_os("SIM_TRACE").is_some() {
            eprintln!("{line}");
        }
        self.trace.push(line);
    }

    /// A phone.
    pub fn phone(&self, on: On) -> &Phone {
        &self.phones[on.0]
    }

    /// The device of a phone.
    pub fn device(&self, on: On) -> DeviceId {
        let enrolled = self.phone(on).enrolled_as.as_ref().map(|(device, _)| *device);
        enrolled.expect("a phone of this world was enrolled")
    }

    /// A new phone for a person, enrolled, not synced yet.
    pub fn enrolled(&mut self, owner: Who) -> On {
        let code = self.enrolment_code(owner);
        let name = format!("{}-{}", self.people[owner.0].name, self.enrolments);
        self.enrolments += 1;
        let now = self.now();
        let mut phone = Phone::new(&name, owner.0, self.folder.path(), now, &mut self.rng);
        phone.enrol(&self.server, &code, now, &mut self.rng);
        self.phones.push(phone);
        On(self.phones.len() - 1)
    }

    /// Adds a phone made elsewhere: a clone.
    pub fn add_phone(&mut self, phone: Phone) -> On {
        self.phones.push(phone);
        On(self.phones.len() - 1)
    }

    /// One sync over a road without faults, to its end.
    pub fn sync(&mut self, on: On) -> SyncReport {
        let now = self.now();
        let mut step = self.phones[on.0].begin_sync(now, &mut self.rng);
        loop {
            match step.expect("a session goes on until it is finished") {
                Step::Finished(report) => return *report,
                Step::Wait(ms) => {
                    self.pass_ms(i64::try_from(ms).unwrap_or(i64::MAX));
                    let now = self.now();
                    step = self.phones[on.0].tell(Event::TimerFired, now, &mut self.rng);
                }
                Step::Send(request) => {
                    let answer = self.deliver(on, &request);
                    step = self.hand_over(on, &answer);
                }
            }
        }
    }

    /// Phones begin a sync at the same moment, each request comes twice, and no answer finds its way back.
    pub fn send_at_once(&mut self, phones: &[On]) -> Vec<Answer> {
        let now = self.now();
        let mut requests = Vec::new();
        for on in phones {
            let step = self.phones[on.0].begin_sync(now, &mut self.rng);
            let Some(Step::Send(request)) = step else { panic!("a sync begins with a request") };
            self.uploads.note(*on, &request);
            requests.push(request.clone());
            requests.push(request);
        }
        self.server.answer_at_once(&requests)
    }

    /// A phone begins a sync while the server does something of its own; no answer finds its way back.
    pub fn send_beside(&mut self, on: On, run: impl AsyncFnOnce(&App)) {
        let now = self.now();
        let step = self.phones[on.0].begin_sync(now, &mut self.rng);
        let Some(Step::Send(request)) = step else { panic!("a sync begins with a request") };
        self.uploads.note(on, &request);
        let (answer, ()) = self.server.answer_beside(&request, run);
        assert_eq!(answer.status, 200, "{}", answer.json());
    }

    /// A backup of the server's database, as it is now.
    pub fn back_up(&mut self) -> PathBuf {
        let file = self.folder.path().join(format!("{}.backup", self.trace.len()));
        self.server.back_up(&file);
        self.note("the server's database is backed up");
        file
    }

    /// The server's database is lost, and a backup is put in its place.
    pub fn restore(&mut self, backup: &Path) {
        self.server.restore(self.server.engine(), backup);
        self.server_losses += 1;
        self.note("the server's database is lost, and a backup put in its place");
    }

    /// Somebody has looked at what was lost.
    pub fn confirm_recovery(&mut self) {
        self.server.write(async |app, tx| {
            recovery::confirm(tx, app.now(), Actor::OPERATOR).await.expect("a recovery can be confirmed");
        });
    }

    /// Gives a request of a phone to the server.
    pub fn deliver(&mut self, on: On, request: &HttpRequest) -> Answer {
        self.uploads.note(on, request);
        let answer = self.server.answer(request);
        self.uploads.check_answer(request, &answer);
        assert!(answer.status != 500, "the server fails: {}", answer.json());
        self.phones[on.0].expect_verdicts(verdicts_of(request, &answer));
        answer
    }

    /// Gives a whole answer to a phone.
    fn hand_over(&mut self, on: On, answer: &Answer) -> Option<Step> {
        let now = self.now();
        let phone = &mut self.phones[on.0];
        let status = Event::Status { status: answer.status, retry_after_ms: answer.retry_after_ms };
        let first = phone.tell(status, now, &mut self.rng);
        let second = first.or_else(|| phone.tell(Event::BodyBytes(&answer.body), now, &mut self.rng));
        second.or_else(|| phone.tell(Event::BodyEnd, now, &mut self.rng))
    }

    /// Syncs phones in turn until a whole round brings nothing new to anybody.
    pub fn settle(&mut self, phones: &[On]) {
        for _ in 0..20 {
            let mut reports = BTreeMap::new();
            for on in phones {
                reports.insert(*on, self.sync(*on));
            }
            let quiet = reports
                .values()
                .all(|report| report.deltas == 0 && report.entries_answered == 0 && report.envelopes_answered == 0);
            if quiet {
                return;
            }
        }
        panic!("twenty rounds of syncs do not come to an end");
    }
}
