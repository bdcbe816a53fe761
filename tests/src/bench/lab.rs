//! A server in this process with one caseload of 500 cases and their history: where link, fresh and
//! phone begin.

use daybook_server::auth::caseloads::Caseload;
use daybook_server::auth::users::UserRow;
use daybook_server::testing::{self, TestServer};
use daybook_shared::time::{DAY_MS, Timestamp};
use daybook_shared::wire::envelope::Body;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{Engine, Setup};
use crate::cluster::{Commits, Postgres, fresh_database};
use crate::workload::handset::Handset;
use crate::workload::history::{self, Case, DAYS, DEVICES};
use crate::workload::office;

/// Cases of one officer's phone.
pub const CASES: usize = 500;
/// When the lab's lender begins: after every phone's build.
const BEGINNING: &str = "2026-11-02T00:00:00Z";
/// One case in so many has an edited board.
const BOARD_EVERY: usize = 5;

/// A server, its officers and their cases.
pub struct Lab {
    /// The server.
    pub server: TestServer,
    /// Who has the phone that is measured. He holds the caseload too, and has not been in the field.
    pub officer: UserRow,
    /// The officers' handsets.
    pub handsets: Vec<Handset>,
    /// The caseload.
    pub caseload: Caseload,
    /// Its cases.
    pub cases: Vec<Case>,
    /// The workload's randomness.
    pub rng: ChaCha20Rng,
    /// Keeps the database's server running.
    _cluster: Option<Postgres>,
}

/// An empty database, and what keeps it running.
async fn database(setup: &Setup) -> anyhow::Result<(String, Option<Postgres>)> {
    match setup.engine {
        Engine::Sqlite => Ok(("sqlite:".to_owned(), None)),
        Engine::Postgres => {
            let cluster = Postgres::find_or_start(Commits::Durable)?;
            let database = fresh_database(&cluster.url()).await?;
            Ok((database.url, Some(cluster)))
        }
    }
}

impl Lab {
    /// A server with `cases` cases and no history.
    pub async fn new(setup: &Setup, cases: usize) -> anyhow::Result<Self> {
        let mut rng = ChaCha20Rng::seed_from_u64(setup.seed);
        let (url, cluster) = database(setup).await?;
        let server = testing::open(&url, &office::SETTINGS).await;
        server.clock.advance_to(BEGINNING.parse()?);
        let unit = office::branch(&server.app).await?;
        let mut officers = Vec::new();
        for n in 0..=DEVICES {
            officers.push(office::officer(&server.app, &mut rng, &unit, &format!("officer{n}")).await?);
        }
        let caseload = office::caseload(&server.app, &unit, &officers, "Kisumu").await?;
        let opened = office::accounts(&server.app, &mut rng, &unit, std::slice::from_ref(&caseload), cases).await?;
        let cases = opened.into_iter().flatten().collect();
        let mut handsets = Vec::new();
        let mut officers = officers.into_iter();
        let officer = officers.next().expect("there are four");
        for colleague in officers {
            handsets.push(Handset::enrol(&server, &colleague, &mut rng).await?);
        }
        Ok(Self { server, officer, handsets, caseload, cases, rng, _cluster: cluster })
    }

    /// The caseload with its 60 days of history.
    pub async fn with_history(setup: &Setup) -> anyhow::Result<Self> {
        let mut lab = Self::new(setup, CASES).await?;
        lab.live().await?;
        Ok(lab)
    }

    /// Sixty days: every handset captures by day and syncs in the evening.
    async fn live(&mut self) -> anyhow::Result<()> {
        let begin = self.server.now();
        let records = history::draw(&mut self.rng, &self.cases, begin);
        let mut records = records.into_iter().peekable();
        for day in 1..=DAYS {
            let evening = begin.plus_ms(day * DAY_MS - 3_600_000);
            let mut bodies: Vec<Body> = (0..DEVICES).map(|_| Body::default()).collect();
            while let Some(record) = records.next_if(|record| record.at < evening) {
                let (case, handset) = (&self.cases[record.case], &mut self.handsets[record.device]);
                let entry = handset.entry(&mut self.rng, case, record.at, record.what);
                bodies[record.device].entries.push(entry.into());
            }
            self.server.clock.advance_to(evening);
            if day % 10 == 0 {
                self.write_boards(&mut bodies, usize::try_from(day / 10).unwrap_or(0), evening)?;
            }
            for (device, body) in bodies.into_iter().enumerate() {
                self.hand_in(device, body).await?;
            }
        }
        self.server.clock.advance_to(begin.plus_ms(DAYS * DAY_MS + 7 * 3_600_000));
        Ok(())
    }

    /// A share of the edited boards, one of six.
    fn write_boards(&mut self, bodies: &mut [Body], share: usize, at: Timestamp) -> anyhow::Result<()> {
        let edited = self.cases.iter().step_by(BOARD_EVERY).enumerate().filter(|(i, _)| i % 6 + 1 == share);
        for (_, case) in edited {
            let device = self.rng.random_range(0..DEVICES);
            bodies[device].board.extend(self.handsets[device].board(&mut self.rng, case, at)?);
        }
        Ok(())
    }

    /// A handset hands in what it has and reads nothing of others.
    pub async fn hand_in(&mut self, device: usize, body: Body) -> anyhow::Result<()> {
        let cursor = (self.caseload.uid, self.sequence().await?);
        let handset = &mut self.handsets[device];
        let request = handset.request(self.server.now(), &body, Some(cursor));
        handset.send(&self.server, request).await.map(drop)
    }

    /// Where the caseload's feed stands.
    pub async fn sequence(&self) -> anyhow::Result<i64> {
        const SELECT: &str = "select seq from caseload where id = $1";
        let mut tx = self.server.app.db.read().await?;
        let id = self.caseload.id;
        Ok(daybook_server::on_db!(&mut tx, conn => sqlx::query_scalar(SELECT).bind(id).fetch_one(conn).await)?)
    }
}
