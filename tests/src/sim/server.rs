//! The real server in this process: one life after another on one database.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use daybook_mobile_sync::session::HttpRequest;
use daybook_server::app::{App, ClockChoice, Options, SharedRng};
use daybook_server::audit::Actor;
use daybook_server::backup;
use daybook_server::db::Tx;
use daybook_server::gateways::GatewayOptions;
use daybook_server::rebuild::{Rebuilt, rebuild};
use daybook_server::settings::Settings;
use daybook_server::{http, on_db};
use http_body_util::BodyExt as _;
use indicatif::ProgressBar;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::clock::SimClock;
use super::database::{Database, Engine, runtime};

/// An answer as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of a problem; empty when it is none.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// One process, as it were.
#[derive(Debug)]
struct Life {
    router: Router,
    app: Arc<App>,
    runtime: Runtime,
}

/// The server. It can be killed at any moment and goes on with the next life.
#[derive(Debug)]
pub struct Server {
    life: Option<Life>,
    lives: u64,
    seed: u64,
    options: Place,
    clock: Arc<SimClock>,
    engine: Engine,
    // Dropped last: the database goes when nobody uses it any more.
    database: Database,
}

/// What [`Options`] is made of; it has no Debug.
#[derive(Debug)]
struct Place {
    db_url: String,
    key_dir: std::path::PathBuf,
    gateways: GatewayOptions,
}

impl Server {
    /// A server on a fresh database, with secrets for its gateways.
    pub fn new(
        engine: Engine,
        folder: &Path,
        clock: &Arc<SimClock>,
        seed: u64,
        (settings, gateways): (&[(&str, &str)], GatewayOptions),
    ) -> Self {
        let database = Database::fresh(engine, folder);
        let options = Place { db_url: database.url.clone(), key_dir: folder.join("keys"), gateways };
        let mut server = Self { life: None, lives: 0, seed, options, clock: Arc::clone(clock), engine, database };
        server.begin();
        server.write(async |app, tx| {
            for setting in settings {
                Settings::set(tx, app.now(), Actor::OPERATOR, *setting).await.expect("a setting of the server");
            }
        });
        server.restart();
        server
    }

    fn begin(&mut self) {
        self.lives += 1;
        let options = Options {
            db_url: self.options.db_url.clone(),
            key_dir: Some(self.options.key_dir.clone()),
            test: true,
            clock: ClockChoice::Given(Arc::clone(&self.clock) as _),
            // No two lives draw the same ids.
            seed: Some(self.seed.wrapping_mul(1_000_003).wrapping_add(self.lives)),
            oidc_secret: None,
            sms_secret: None,
            gateways: self.options.gateways.clone(),
        };
        let runtime = runtime();
        let app = runtime.block_on(App::open(&options)).expect("the database can be opened");
        let router = runtime.block_on(async { http::router(&app) });
        self.life = Some(Life { router, app, runtime });
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("invariant: a server is between two lives only inside restart")
    }

    /// Kills it, whatever it is at, and starts the next one on the same database.
    pub fn restart(&mut self) {
        self.kill();
        self.begin();
    }

    /// Writes a backup while the server serves.
    pub fn back_up(&self, file: &Path) {
        let life = self.life();
        let progress = ProgressBar::hidden();
        let written = backup::write(&life.app.db, self.clock.time(), file, &progress);
        life.runtime.block_on(written).unwrap_or_else(|error| panic!("a backup: {error}"));
    }

    /// The database is lost: a backup is put into a new one, of this engine or another, beside the same keys.
    pub fn restore(&mut self, engine: Engine, file: &Path) {
        if let Some(life) = &self.life {
            life.runtime.block_on(life.app.db.close());
        }
        self.kill();
        let folder = self.options.key_dir.parent().expect("keys are in a folder").to_owned();
        let database = Database::fresh(engine, &folder);
        self.lives += 1;
        let rng = SharedRng::from_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(self.lives));
        let by = (self.clock.time(), &rng);
        let progress = ProgressBar::hidden();
        let restored = backup::restore(&database.url, file, by, &progress);
        runtime().block_on(restored).unwrap_or_else(|error| panic!("a restore: {error}"));
        self.options.db_url.clone_from(&database.url);
        (self.database, self.engine) = (database, engine);
        self.begin();
    }

    /// The database is what it was at a backup, and nobody says so: a machine that was set back.
    pub fn set_back(&mut self, file: &Path) {
        self.restore(self.engine, file);
        for undone in [
            "update deployment set epoch = (select epoch_before from recovery order by id desc limit 1)",
            "update device set receipt_next = receipt_next - 5000",
            "delete from recovery where id = (select max(id) from recovery)",
            "delete from audit where id = (select max(id) from audit)",
        ] {
            self.execute(undone);
        }
        self.restart();
    }

    /// Derives again what can be derived, as `daybook rebuild` does.
    pub fn rebuild(&self) -> Rebuilt {
        let (life, progress) = (self.life(), ProgressBar::hidden());
        life.runtime.block_on(rebuild(&life.app.db, &progress)).expect("a rebuild goes on to its end")
    }

    /// The engine it runs on.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    fn kill(&mut self) {
        let Some(Life { router, app, runtime }) = self.life.take() else { return };
        {
            // Connections that are dropped want a runtime around them, even one that is ending.
            let _entered = runtime.enter();
            drop((router, app));
        }
        drop(runtime);
    }

    /// What the server shares.
    pub fn app(&self) -> &Arc<App> {
        &self.life().app
    }

    /// Answers a request of a phone.
    pub fn answer(&self, request: &HttpRequest) -> Answer {
        let life = self.life();
        life.runtime.block_on(exchange(life.router.clone(), request_of(request)))
    }

    /// Begins to answer a request, and is killed at the `readings`-th time it looks at the clock. None
    /// when that happened; the answer when it was through before.
    pub fn answer_until(&mut self, request: &HttpRequest, readings: i64) -> Option<Answer> {
        let request = request_of(request);
        self.until(readings, async |router, _| exchange(router, request).await)
    }

    /// The same for any request.
    pub fn call_until(&mut self, request: Request<Body>, readings: i64) -> Option<Answer> {
        self.until(readings, async |router, _| exchange(router, request).await)
    }

    /// Runs something of the server's own, such as its background work.
    pub fn run<T>(&self, run: impl AsyncFnOnce(&App) -> T) -> T {
        let life = self.life();
        life.runtime.block_on(run(&life.app))
    }

    /// The same, and is killed at the `readings`-th time it looks at the clock.
    pub fn run_until<T>(&mut self, readings: i64, run: impl AsyncFnOnce(&App) -> T) -> Option<T> {
        self.until(readings, async |_, app| run(&app).await)
    }

    fn until<T>(&mut self, readings: i64, run: impl AsyncFnOnce(Router, Arc<App>) -> T) -> Option<T> {
        self.clock.trip_at(readings);
        let life = self.life();
        let clock = &self.clock;
        let done = life.runtime.block_on(async {
            let mut inner = pin!(run(life.router.clone(), Arc::clone(&life.app)));
            std::future::poll_fn(|context| {
                clock.watch(context.waker());
                if clock.is_tripped() {
                    return Poll::Ready(None);
                }
                let polled = inner.as_mut().poll(context);
                if clock.is_tripped() { Poll::Ready(None) } else { polled.map(Some) }
            })
            .await
        });
        self.clock.trip_at(0);
        if done.is_none() {
            self.restart();
        }
        done
    }

    /// Answers any request.
    pub fn call(&self, request: Request<Body>) -> Answer {
        let life = self.life();
        life.runtime.block_on(exchange(life.router.clone(), request))
    }

    /// Answers requests of phones that come at the same moment.
    pub fn answer_at_once(&self, requests: &[HttpRequest]) -> Vec<Answer> {
        self.call_at_once(requests.iter().map(request_of).collect())
    }

    /// Answers requests that come at the same moment.
    pub fn call_at_once(&self, requests: Vec<Request<Body>>) -> Vec<Answer> {
        let life = self.life();
        let answers = requests.into_iter().map(|request| exchange(life.router.clone(), request));
        life.runtime.block_on(futures_util::future::join_all(answers))
    }

    /// Answers a request of a phone and runs something of the server's own at the same moment.
    pub fn answer_beside<T>(&self, request: &HttpRequest, run: impl AsyncFnOnce(&App) -> T) -> (Answer, T) {
        let life = self.life();
        let answer = exchange(life.router.clone(), request_of(request));
        life.runtime.block_on(futures_util::future::join(answer, run(&life.app)))
    }

    /// Runs something on the server's own functions, in one transaction that writes.
    pub fn write<T>(&self, run: impl AsyncFnOnce(&App, &mut Tx) -> T) -> T {
        let life = self.life();
        life.runtime.block_on(async {
            let mut tx = life.app.db.write().await.expect("the database answers");
            let done = run(&life.app, &mut tx).await;
            tx.commit().await.expect("the database answers");
            done
        })
    }

    /// Runs something that writes, and undoes what it wrote.
    pub fn undone<T>(&self, run: impl AsyncFnOnce(&App, &mut Tx) -> T) -> T {
        let life = self.life();
        life.runtime.block_on(async {
            let mut tx = life.app.db.write().await.expect("the database answers");
            let done = run(&life.app, &mut tx).await;
            tx.rollback().await.expect("the database answers");
            done
        })
    }

    /// Runs something that reads.
    pub fn read<T>(&self, run: impl AsyncFnOnce(&App, &mut Tx) -> T) -> T {
        let life = self.life();
        life.runtime.block_on(async {
            let mut tx = life.app.db.read().await.expect("the database answers");
            run(&life.app, &mut tx).await
        })
    }

    /// The rows of a query without parameters.
    pub fn rows<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.read(async |_, tx| {
            on_db!(tx, conn => sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(conn).await)
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
        })
    }

    /// Runs a statement without parameters.
    pub fn execute(&self, sql: &str) {
        self.write(async |_, tx| {
            on_db!(tx, conn => sqlx::query(AssertSqlSafe(sql.to_owned())).execute(conn).await.map(drop))
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(life) = &self.life
            && !std::thread::panicking()
        {
            life.runtime.block_on(life.app.db.close());
        }
        self.kill();
    }
}

fn request_of(request: &HttpRequest) -> Request<Body> {
    let mut built = Request::builder().method(request.method).uri(&*request.path);
    for (name, value) in &request.headers {
        built = built.header(*name, value);
    }
    built.body(request.body.clone().into()).expect("a phone makes requests that are requests")
}

async fn exchange(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.expect("the router always answers");
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.expect("a body in memory is whole").to_bytes().to_vec();
    Answer { status, retry_after_ms: retry_after.map(|seconds: u64| seconds * 1000), headers, body }
}
