//! What every part of the server shares: database, clock, deployment, keys, settings, randomness.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use daybook_shared::ids::{DeploymentId, Epoch};
use daybook_shared::time::{Clock, Timestamp};
use daybook_shared::wire::limits::INFLATED_PERMITS_BYTES;
use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use tokio::sync::Semaphore;

use crate::attachments::routes::PIECES_A_MINUTE_MAX;
use crate::audit::seal::KnownHead;
use crate::auth::alarm::Alarm;
use crate::auth::guesses::Guesses;
use crate::auth::oidc::customers::CustomerProvider;
use crate::auth::oidc::{OidcError, Provider, Secret};
use crate::auth::one_time::ASKED_A_MINUTE_MAX;
use crate::auth::throttle::Throttle;
use crate::clock::{FileClock, FileClockError, SystemClock};
use crate::db::{Absent, Db, OpenError, Tx};
use crate::gateways::{self, GatewayOptions, Gateways};
use crate::hints::Hub;
use crate::hints::routes::STREAMS_A_MINUTE_MAX;
use crate::http::extract::BodyRoom;
use crate::http::idempotency::InFlight;
use crate::journey::payments::callbacks::Inbox;
use crate::journey::payments::work::Hinted;
use crate::keys::{self, Identity, Keys, KeysError};
use crate::messages::send::AT_ONCE_MAX;
use crate::messages::{Gateway, GatewayError};
use crate::on_db;
use crate::settings::{Settings, SettingsError};
use crate::sync::catalogue::Newest;
use crate::sync::health::{Answered, FleetAge};
use crate::sync::routes::DEPOSITS_A_MINUTE_MAX;
use crate::sync::writer::Writer;

/// Bytes of all request bodies being handled, beyond the first 64 KiB of each.
pub const BODY_ROOM_BYTES: usize = 64 * 1024 * 1024;

/// The running server's shared state.
pub struct App {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Which deployment this is.
    pub deployment: Deployment,
    /// Which history of the database this is, as it was last read: see [`App::epoch`].
    epoch: AtomicU64,
    /// The server's keys.
    pub keys: Keys,
    /// The lender's settings, as they were when the server started.
    pub settings: Settings,
    /// Randomness.
    pub rng: SharedRng,
    /// Takes envelopes.
    pub writer: Writer,
    /// Slows down who guesses passwords, tokens and codes.
    pub guesses: Guesses,
    /// The identity provider that staff may sign in with.
    pub oidc: Option<Provider>,
    /// The identity provider whose tokens customers may bring.
    pub customer_oidc: Option<CustomerProvider>,
    /// Slows down addresses that ask for one-time codes.
    pub code_requests: Throttle,
    /// Who carries messages to customers.
    pub messages: Option<Gateway>,
    /// Room for requests that wait for it.
    pub message_room: Arc<Semaphore>,
    /// The gateways that customers pay through.
    pub gateways: Gateways,
    /// Callbacks of gateways on their way into the database.
    pub callbacks: Inbox,
    /// Payments in the app that are to be looked at, for who does what is due.
    pub payments_due: Hinted,
    /// Slows down devices that may only hand in.
    pub deposits: Throttle,
    /// Tells who is online that something moved.
    pub hints: Hub,
    /// Slows down devices that begin streams of hints.
    pub streams: Throttle,
    /// Slows down devices that hand in pieces of files.
    pub pieces: Throttle,
    /// The head of the audit trail, as this replica last saw it.
    pub audit_head: KnownHead,
    /// Writes that are being handled, by their Idempotency-Key.
    pub in_flight: InFlight,
    /// Tells of signatures that do not fit.
    pub alarm: Alarm,
    /// When the metrics last had the numbers of all devices.
    pub fleet_age: FleetAge,
    /// Bytes of answers to phones that are not in the database yet.
    pub answered: Answered,
    /// The offers that phones get, as they were last read.
    pub catalogue: Newest,
    /// Room for the bodies of all requests, as they come.
    pub body_room: BodyRoom,
    /// Room for the bodies of all requests of phones, once inflated.
    pub inflated_room: BodyRoom,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("deployment", &self.deployment).finish_non_exhaustive()
    }
}

/// The lender's installation: the one row of table `deployment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// Its id, which every signature covers.
    pub id: DeploymentId,
    /// Made with `--test`: it may run on a clock in a file.
    pub is_test: bool,
}

/// A random generator behind a lock.
#[derive(Debug)]
pub struct SharedRng(Mutex<ChaCha20Rng>);

impl SharedRng {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        let rng = ChaCha20Rng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes");
        Self(Mutex::new(rng))
    }

    /// The same numbers every time: for tests.
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))
    }

    /// Draws from it.
    pub fn with<T>(&self, draw: impl FnOnce(&mut ChaCha20Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Which clock a server runs on.
#[derive(Clone, Default)]
pub enum ClockChoice {
    /// The machine's.
    #[default]
    System,
    /// The time in a file; only for databases created with `--test`.
    File(PathBuf),
    /// A clock of the caller's, for tests in one process.
    Given(Arc<dyn Clock>),
}

/// How to open a server's database.
#[derive(Clone, Default)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://...`.
    pub db_url: String,
    /// The folder of keys; [`keys::default_dir`] when none is named.
    pub key_dir: Option<PathBuf>,
    /// A database that is created now is one for tests. One that exists must be.
    pub test: bool,
    /// The clock.
    pub clock: ClockChoice,
    /// A seed for the random generator, for tests; the operating system's randomness otherwise.
    pub seed: Option<u64>,
    /// What this server shows the identity provider to be believed; never in the database.
    pub oidc_secret: Option<Secret>,
    /// The value of the header that the SMS gateway knows this server by; never in the database.
    pub sms_secret: Option<Secret>,
    /// The secrets of gateways; never in the database.
    pub gateways: GatewayOptions,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database fails.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The identity provider's settings.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The gateway of messages.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The gateways' settings.
    #[error(transparent)]
    Gateways(#[from] gateways::GatewayError),
    /// The clock's file.
    #[error(transparent)]
    Clock(#[from] FileClockError),
    /// `--test` or `--test-clock` on a lender's own database.
    #[error("this database was not created with --test: test clocks are refused, time is the machine's")]
    NotATest,
    /// Live keys for a test database, or the other way round.
    #[error("the keys in {} were made {}: use another folder (--keys)", dir.display(), if *is_test { "with --test" } else { "without --test" })]
    KeysOfOtherKind {
        /// The folder.
        dir: PathBuf,
        /// What they are.
        is_test: bool,
    },
}

impl App {
    /// Opens the database (made, migrated and given its identity when it is new), its keys and its
    /// settings.
    pub async fn open(options: &Options) -> Result<Arc<Self>, AppError> {
        Self::open_or(Absent::Create, options).await
    }

    /// As [`App::open`], and says what becomes of a database that is not there.
    pub async fn open_or(absent: Absent, options: &Options) -> Result<Arc<Self>, AppError> {
        let clock: Arc<dyn Clock> = match &options.clock {
            ClockChoice::System => Arc::new(SystemClock),
            ClockChoice::File(path) => Arc::new(FileClock::open(path.clone())?),
            ClockChoice::Given(clock) => Arc::clone(clock),
        };
        let rng = options.seed.map_or_else(SharedRng::from_os, SharedRng::from_seed);
        let dir = options.key_dir.clone().unwrap_or_else(|| keys::default_dir(&options.db_url));
        let db = Db::open_or(absent, &options.db_url).await?;

        let mut tx = db.write().await?;
        let (deployment, epoch, keys) = match read_deployment(&mut tx).await? {
            Some((deployment, epoch)) => (deployment, epoch, rng.with(|rng| Keys::open(&dir, deployment.id, rng))?),
            None => create_deployment(&mut tx, options.test, &dir, clock.now(), &rng).await?,
        };
        let wants_test = options.test || matches!(options.clock, ClockChoice::File(_));
        if wants_test && !deployment.is_test {
            return Err(AppError::NotATest);
        }
        let settings = Settings::load(&mut tx).await?;
        tx.commit().await?;
        let oidc = Provider::new(&settings, options.oidc_secret.clone())?;
        let customer_oidc = CustomerProvider::new(&settings)?;
        let messages = Gateway::new(&settings, options.sms_secret.clone())?;
        let gateways = Gateways::new(&settings, &options.gateways)?;
        Ok(Arc::new(Self {
            db,
            clock,
            deployment,
            epoch: AtomicU64::new(u64::from_be_bytes(epoch.0)),
            keys,
            settings,
            rng,
            writer: Writer::default(),
            guesses: Guesses::default(),
            oidc,
            customer_oidc,
            code_requests: Throttle::new(ASKED_A_MINUTE_MAX),
            messages,
            message_room: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            gateways,
            callbacks: Inbox::default(),
            payments_due: Hinted::default(),
            deposits: Throttle::new(DEPOSITS_A_MINUTE_MAX),
            hints: Hub::default(),
            streams: Throttle::new(STREAMS_A_MINUTE_MAX),
            pieces: Throttle::new(PIECES_A_MINUTE_MAX),
            audit_head: KnownHead::default(),
            in_flight: InFlight::default(),
            alarm: Alarm::default(),
            fleet_age: FleetAge::default(),
            answered: Answered::default(),
            catalogue: Newest::default(),
            body_room: BodyRoom::new(BODY_ROOM_BYTES),
            inflated_room: BodyRoom::new(INFLATED_PERMITS_BYTES),
        }))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Which history of the database this is. Another process may begin a new one, so every request of a
    /// phone reads it anew and says it to [`App::set_epoch`].
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst).to_be_bytes())
    }

    /// Takes in the epoch that the database has.
    pub fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(u64::from_be_bytes(epoch.0), Ordering::SeqCst);
    }
}

const SELECT_DEPLOYMENT: &str = "select uid, epoch, is_test from deployment where id = 1";
const INSERT_DEPLOYMENT: &str =
    "insert into deployment (id, uid, epoch, is_test, created_at) values (1, $1, $2, $3, $4)";

async fn read_deployment(tx: &mut Tx) -> sqlx::Result<Option<(Deployment, Epoch)>> {
    let row: Option<(DeploymentId, Epoch, bool)> =
        on_db!(tx, conn => sqlx::query_as(SELECT_DEPLOYMENT).fetch_optional(conn).await)?;
    Ok(row.map(|(id, epoch, is_test)| (Deployment { id, is_test }, epoch)))
}

async fn create_deployment(
    tx: &mut Tx,
    is_test: bool,
    dir: &std::path::Path,
    now: Timestamp,
    rng: &SharedRng,
) -> Result<(Deployment, Epoch, Keys), AppError> {
    let mut epoch = Epoch([0; 8]);
    rng.with(|rng| rng.fill_bytes(&mut epoch.0));
    let proposed = Identity { deployment: rng.with(|rng| DeploymentId::new(now, rng)), is_test };
    let (keys, identity) = rng.with(|rng| Keys::create(dir, proposed, rng))?;
    if identity.is_test != is_test {
        return Err(AppError::KeysOfOtherKind { dir: dir.to_owned(), is_test: identity.is_test });
    }
    let deployment = Deployment { id: identity.deployment, is_test };
    on_db!(tx, conn => {
        sqlx::query(INSERT_DEPLOYMENT)
            .bind(deployment.id)
            .bind(epoch)
            .bind(deployment.is_test)
            .bind(now)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    Ok((deployment, epoch, keys))
}
