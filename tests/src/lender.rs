//! A small lender whose server runs as a process: its people and accounts are made in this process
//! before the server starts, on a clock that stands.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use daybook_mobile_sync::capture::{Draft, Override, RepaymentDraft, What};
use daybook_server::app::{App, ClockChoice, Options};
use daybook_server::audit::Actor;
use daybook_server::auth::caseloads::{self, Caseload, CaseloadAudience, Membership};
use daybook_server::auth::units::{self, Unit, UnitKind};
use daybook_server::auth::users::{self, Holding, NewUser};
use daybook_server::auth::{Role, enrolment};
use daybook_server::db::Tx;
use daybook_server::gateways::GatewayOptions;
use daybook_server::ledger::posting;
use daybook_server::on_db;
use daybook_server::portfolio::account::Stage;
use daybook_server::portfolio::assign;
use daybook_server::portfolio::opening::{self, NewAccount, NewCustomer};
use daybook_server::settings::Settings;
use daybook_shared::ids::{AccountId, CustomerId, EntryId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::schedule::DueLine;
use daybook_shared::time::Timestamp;
use tempfile::TempDir;

use crate::phone::Phone;
use crate::process::{self, Server};
use crate::sim::database::folder;
use daybook_server::portfolio::allocation::Waterfall;

/// The lender's currency.
pub const KES: Currency = Currency::new(*b"KES").expect("three capital letters");
/// What its clock says: a morning in Nairobi, after the build of every phone.
const NOW: &str = "2027-03-01T06:00:00Z";
/// Instalments of each account, and minor units of each.
const INSTALMENTS: (u16, i64) = (12, 100_000);

/// An officer.
#[derive(Debug, Clone)]
pub struct Officer {
    /// Enrols his phone.
    pub code: String,
    /// His case's account.
    pub account: AccountId,
}

/// A lender.
#[derive(Debug)]
pub struct Lender {
    /// Officers, each with one case.
    pub officers: Vec<Officer>,
    /// What its clock says.
    pub now: Timestamp,
    settings: process::Settings,
    dir: TempDir,
}

impl Lender {
    /// A lender with a SQLite database of its own.
    pub async fn on_sqlite(officers: usize) -> anyhow::Result<Self> {
        let dir = folder();
        let db_url = format!("sqlite:{}", dir.path().join("daybook.db").display());
        Self::new(dir, db_url, officers, Caseloads::Own).await
    }

    /// A lender with this empty database.
    pub async fn on(db_url: String, officers: usize) -> anyhow::Result<Self> {
        Self::new(folder(), db_url, officers, Caseloads::Own).await
    }

    /// A lender with this empty database, whose officers have one caseload together.
    pub async fn with_a_team(db_url: String, officers: usize) -> anyhow::Result<Self> {
        Self::new(folder(), db_url, officers, Caseloads::Shared).await
    }

    async fn new(dir: TempDir, db_url: String, officers: usize, caseloads: Caseloads) -> anyhow::Result<Self> {
        let (now, clock) = (NOW.parse()?, dir.path().join("clock"));
        std::fs::write(&clock, NOW)?;
        let settings = process::Settings {
            program: process::build()?,
            db_url,
            keys: dir.path().join("keys"),
            clock: Some(clock),
            log: dir.path().join("server.log"),
            file_bytes_max: None,
            momo_secrets: None,
        };
        let mut lender = Self { officers: Vec::new(), now, settings, dir };
        let app = lender.open(true).await?;
        let mut tx = app.db.write().await?;
        for setting in [("zone", "Africa/Nairobi"), ("currency", "KES")] {
            Settings::set(&mut tx, now, Actor::OPERATOR, setting).await?;
        }
        let company = (UnitKind::Company, "Lender");
        let unit = units::create(&mut tx, (now, &app.rng), Actor::OPERATOR, None, company).await?;
        let mut shared = None;
        for number in 0..officers {
            let (officer, caseload) = hire(&mut tx, &app, &unit, number, shared).await?;
            lender.officers.push(officer);
            shared = (caseloads == Caseloads::Shared).then_some(caseload);
        }
        tx.commit().await?;
        app.db.close().await;
        Ok(lender)
    }

    /// The server's shared state in this process.
    async fn open(&self, new: bool) -> anyhow::Result<Arc<App>> {
        let process::Settings { db_url, keys, clock, .. } = &self.settings;
        let clock = clock.clone().context("a lender has a clock")?;
        let (db_url, key_dir, clock) = (db_url.clone(), Some(keys.clone()), ClockChoice::File(clock));
        Ok(App::open(&Options {
            db_url,
            key_dir,
            test: new,
            clock,
            seed: None,
            oidc_secret: None,
            sms_secret: None,
            gateways: GatewayOptions::default(),
        })
        .await?)
    }

    /// Writes a backup of its database, as the operator does, while its server runs.
    pub fn back_up(&self, file: &Path) -> anyhow::Result<()> {
        self.run(&["backup".as_ref(), file.as_os_str()])
    }

    /// Its database is lost: a backup is put into this new one, which its next server is on.
    pub fn restore(&mut self, db_url: String, file: &Path) -> anyhow::Result<()> {
        self.settings.db_url = db_url;
        self.run(&["restore".as_ref(), file.as_os_str()])
    }

    /// Runs a command of the program on its database.
    fn run(&self, arguments: &[&OsStr]) -> anyhow::Result<()> {
        let process::Settings { program, db_url, keys, .. } = &self.settings;
        let mut command = Command::new(program);
        command.args(["--db", db_url, "--keys"]).arg(keys).args(arguments).env("DAYBOOK_LOG", "warn");
        let output = command.output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Starts its server.
    pub async fn serve(&self) -> anyhow::Result<Arc<Server>> {
        Server::start(self.settings.clone()).await.map(Arc::new)
    }

    /// A file of the lender's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The enrolled phone of an officer, which reaches the server itself and has synced once.
    pub async fn phone(&self, number: usize, server: &Server) -> anyhow::Result<Phone> {
        let path = self.path(&format!("phone{number}.db"));
        let mut phone = Phone::new(path, server.address(), self.now, number as u64)?;
        phone.enrol(&self.officers[number].code, self.now).await?;
        phone.sync(self.now, None).await?;
        Ok(phone)
    }

    /// Cash for an officer's case, in minor units.
    pub fn cash(&self, number: usize, minor: i64) -> Draft {
        let draft = RepaymentDraft::cash(self.officers[number].account, Money::new(minor, KES));
        Draft::from(What::Repayment(RepaymentDraft { over_limit: Some(Override::CashInHand), ..draft }))
    }

    /// Every entry's outcome, and what all accounts together have been paid.
    pub async fn books(&self) -> anyhow::Result<(BTreeMap<EntryId, String>, i64)> {
        const PAID: &str = "select cast(coalesce(sum(paid_minor + credit_minor), 0) as bigint) from account";
        let app = self.open(false).await?;
        let mut tx = app.db.read().await?;
        let entries: Vec<(EntryId, String)> =
            on_db!(&mut tx, conn => sqlx::query_as("select uid, outcome from entry").fetch_all(conn).await)?;
        let paid = on_db!(&mut tx, conn => sqlx::query_scalar(PAID).fetch_one(conn).await)?;
        drop(tx);
        app.db.close().await;
        Ok((entries.into_iter().collect(), paid))
    }

    /// `daybook verify` finds nothing.
    pub async fn verify(&self) -> anyhow::Result<()> {
        let process::Settings { program, db_url, keys, .. } = &self.settings;
        let output = process::verify(program, db_url, keys).await?;
        ensure!(output.status.success(), "daybook verify: {}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    }
}

/// Whose caseloads there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caseloads {
    /// One an officer.
    Own,
    /// One for all.
    Shared,
}

/// An officer with a caseload, a case in it, and a code for his phone.
async fn hire(
    tx: &mut Tx,
    app: &App,
    unit: &Unit,
    number: usize,
    shared: Option<Caseload>,
) -> anyhow::Result<(Officer, Caseload)> {
    let (by, actor) = ((app.now(), &app.rng), Actor::OPERATOR);
    let login = format!("officer{number}");
    let new = NewUser { login: &login, name: &login, password_hash: "none".to_owned() };
    let user = users::create(tx, by, actor, new).await?;
    users::set_role(tx, app.now(), actor, &user, (Role::Officer, unit, Holding::Held)).await?;
    let caseload = match shared {
        Some(caseload) => caseload,
        None => caseloads::create(tx, by, actor, unit, (&login, CaseloadAudience::Officer)).await?,
    };
    caseloads::set_member(tx, app.now(), actor, &caseload, (&user, Membership::Member)).await?;
    let account = account(app, unit, number);
    let uid = account.uid;
    let opened = opening::open(tx, app.now(), vec![account], posting::activation).await?[&uid];
    assign::assign(tx, app.now(), None, &[(opened.dossier, Some(caseload.id))]).await?;
    let code = enrolment::issue_code(tx, app.now(), app, actor, &user).await?.code;
    Ok((Officer { code, account: uid }, caseload))
}

fn account(app: &App, unit: &Unit, number: usize) -> NewAccount {
    let (uid, customer) = app.rng.with(|rng| (AccountId::new(app.now(), rng), CustomerId::new(app.now(), rng)));
    let began = app.settings.zone.date_of(app.now()).plus_days(-45);
    let (count, principal) = INSTALMENTS;
    let line = |n: u16| {
        let due_date = began.plus_days(30 * i32::from(n));
        DueLine { n, due_date, principal, interest: 0, fee: 0, penalty: 0 }
    };
    NewAccount {
        uid,
        number: format!("A-{number:04}"),
        customer: NewCustomer {
            uid: customer,
            name: format!("Customer {number}"),
            phone: None,
            national_id_masked: None,
            language: None,
            address: None,
            lat_e6: None,
            lon_e6: None,
        },
        unit_id: unit.id,
        product: "Smartphone".to_owned(),
        currency: KES,
        disbursed_on: began,
        stage: Stage::Field,
        waterfall: Waterfall::default(),
        lines: (1..=count).map(line).collect(),
    }
}
