//! The lender's office: makes the database, opens the accounts, hires an officer a phone, deals the
//! cases, and later gives some of them to others.
//!
//! What the lender is made of comes from the server's own functions, in this process and on the same
//! clock; once the server runs, its supervisor works over REST.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use daybook_server::app::{App, ClockChoice, Options};
use daybook_server::audit::Actor;
use daybook_server::auth::caseloads::{self, Caseload, CaseloadAudience, Membership};
use daybook_server::auth::units::Unit;
use daybook_server::auth::users::{self, Holding, NewUser, UserRow};
use daybook_server::auth::{Role, enrolment, password, units};
use daybook_server::batch_row;
use daybook_server::db::{Tx, batch};
use daybook_server::portfolio::assign;
use daybook_server::portfolio::import_kiva::{self, ImportReport};
use daybook_server::portfolio::kiva::Kiva;
use daybook_server::settings::Settings;
use daybook_shared::ids::{CaseloadId, DecisionId, DossierId};
use daybook_shared::time::Timestamp;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::plan::Plan;
use crate::phone::http_client;

/// Everybody's password. Hashed once: it is the same for all.
pub const PASSWORD: &str = "replay-of-real-payments";
/// Phones that sync less often than this get longer leases: else everybody logs in all the time.
const GAP_DAYS_OF_SHORT_LEASES: i64 = 5;
const LONG_LEASE_DAYS: &str = "60";
/// The supervisor's login.
const SUPERVISOR: &str = "supervisor";

/// The office.
#[derive(Debug)]
pub struct Office {
    /// The database, as `--db` takes it.
    pub db_url: String,
    /// The folder of the server's keys.
    pub keys: PathBuf,
    /// The file with the time.
    pub clock: PathBuf,
}

/// An officer and what a phone needs to become his.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Officer {
    /// His login.
    pub login: String,
    /// A code for his first phone.
    pub code: String,
    /// His caseload.
    pub caseload: CaseloadId,
    caseload_key: i64,
}

batch_row! {
    struct DossierKey { uid: DossierId => "uuid" }
}

const SELECT_KEYS: &str = "select d.uid, d.id from v join dossier d on d.uid = v.uid";

impl Office {
    /// Writes the time into the clock's file, at once.
    pub fn set_clock(&self, now: Timestamp) -> anyhow::Result<()> {
        let next = self.clock.with_extension("next");
        std::fs::write(&next, now.to_string())?;
        std::fs::rename(&next, &self.clock).context("the clock's file")
    }

    /// Makes the database and everything in it.
    pub async fn set_up(
        &self,
        kiva: &Kiva,
        plan: &Plan,
        phones: usize,
    ) -> anyhow::Result<(ImportReport, Vec<Officer>)> {
        let app = self.open(true).await?;
        let mut tx = app.db.write().await?;
        if plan.gap_days > GAP_DAYS_OF_SHORT_LEASES {
            Settings::set(&mut tx, app.now(), Actor::OPERATOR, ("lease_days", LONG_LEASE_DAYS)).await?;
        }
        tx.commit().await?;
        let report = import_kiva::import(&app.db, kiva, app.now(), &ProgressBar::hidden()).await?;
        let hash = password::hash(PASSWORD, &app.rng).await?;
        let mut tx = app.db.write().await?;
        hire(&mut tx, &app, (SUPERVISOR, &hash), Role::Supervisor).await?;
        let mut officers = Vec::new();
        for number in 0..phones {
            officers.push(officer(&mut tx, &app, number, &hash).await?);
        }
        let moves: Vec<_> = plan
            .dealt
            .iter()
            .map(|(loan, phone)| (kiva.loans[loan].account_id(), officers[*phone].caseload_key))
            .collect();
        let moves: Vec<_> = moves.into_iter().map(|(account, to)| (DossierId::case(account), to)).collect();
        move_cases(&mut tx, app.now(), &moves).await?;
        tx.commit().await?;
        app.db.close().await;
        Ok((report, officers))
    }

    /// Gives cases to an officer: the supervisor signs in and assigns them, one decision each.
    pub async fn reassign(
        &self,
        server: SocketAddr,
        decisions: &[(DecisionId, DossierId)],
        to: &Officer,
    ) -> anyhow::Result<()> {
        let http = http_client();
        let post = |path: String, body: Value| {
            let request = http.post(format!("http://{server}{path}")).header("content-type", "application/json");
            request.body(body.to_string())
        };
        let login = json!({ "login": SUPERVISOR, "password": PASSWORD });
        let answer = post("/v1/tokens".to_owned(), login).send().await?.error_for_status()?;
        let answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
        let token = answer["access_token"].as_str().context("an answer has a token")?;
        for (decision, case) in decisions {
            let body = json!({ "id": decision, "caseload": to.caseload });
            let request = post(format!("/v1/dossiers/{case}/assignment"), body);
            let request = request.header("authorization", format!("Bearer {token}"));
            // The decision's own id: sent again, it is the same request.
            let answer = request.header("idempotency-key", decision.to_string()).send().await?;
            let status = answer.status();
            ensure!(status.is_success(), "{case} cannot be assigned: {status} {}", answer.text().await?);
        }
        Ok(())
    }

    /// A code for another phone of each officer.
    pub async fn more_codes(&self, officers: &[Officer]) -> anyhow::Result<Vec<String>> {
        let app = self.open(false).await?;
        let mut tx = app.db.write().await?;
        let mut codes = Vec::new();
        for officer in officers {
            let user = users::by_login(&mut tx, &officer.login).await?.context("an officer is a user")?;
            codes.push(enrolment::issue_code(&mut tx, app.now(), &app, Actor::OPERATOR, &user).await?.code);
        }
        tx.commit().await?;
        app.db.close().await;
        Ok(codes)
    }

    /// The server's shared state, on the replay's clock.
    pub async fn open(&self, new: bool) -> anyhow::Result<Arc<App>> {
        let options = Options {
            db_url: self.db_url.clone(),
            key_dir: Some(self.keys.clone()),
            test: new,
            clock: ClockChoice::File(self.clock.clone()),
            seed: None,
            oidc_secret: None,
            sms_secret: None,
        };
        Ok(App::open(&options).await?)
    }
}

/// An officer with a caseload of his own and a code for his phone.
async fn officer(tx: &mut Tx, app: &App, number: usize, hash: &str) -> anyhow::Result<Officer> {
    let (now, login) = (app.now(), format!("officer{number:04}"));
    let (user, root) = hire(tx, app, (&login, hash), Role::Officer).await?;
    let named = (login.as_str(), CaseloadAudience::Officer);
    let caseload: Caseload = caseloads::create(tx, (now, &app.rng), Actor::OPERATOR, &root, named).await?;
    caseloads::set_member(tx, now, Actor::OPERATOR, &caseload, (&user, Membership::Member)).await?;
    let code = enrolment::issue_code(tx, now, app, Actor::OPERATOR, &user).await?.code;
    Ok(Officer { login, code, caseload: caseload.uid, caseload_key: caseload.id })
}

/// A user with a role at the lender's own unit.
async fn hire(tx: &mut Tx, app: &App, (login, hash): (&str, &str), role: Role) -> anyhow::Result<(UserRow, Unit)> {
    let now = app.now();
    let root = units::root(tx).await?.context("the import makes the lender's own unit")?;
    let new = NewUser { login, name: login, password_hash: hash.to_owned() };
    let user = users::create(tx, (now, &app.rng), Actor::OPERATOR, new).await?;
    users::set_role(tx, now, Actor::OPERATOR, &user, (role, &root, Holding::Held)).await?;
    Ok((user, root))
}

async fn move_cases(tx: &mut Tx, now: Timestamp, moves: &[(DossierId, i64)]) -> anyhow::Result<()> {
    let keys: Vec<_> = moves.iter().map(|(uid, _)| DossierKey { uid: *uid }).collect();
    let found: Vec<(DossierId, i64)> = batch::fetch(tx, &keys, SELECT_KEYS).await?;
    let found: BTreeMap<_, _> = found.into_iter().collect();
    let moves: Vec<_> = moves.iter().map(|(uid, to)| (found[uid], Some(*to))).collect();
    assign::assign(tx, now, None, &moves).await?;
    Ok(())
}
