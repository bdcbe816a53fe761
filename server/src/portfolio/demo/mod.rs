//! `daybook demo`: a generated lender in Kenya. A seed and a time decide every row; the money of its year
//! of history went through the same rules as a phone's.

mod habits;
mod history;
mod people;
mod shop;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use daybook_shared::ids::{AccountId, AgentId};
use daybook_shared::money::{Currency, MoneyError};
use daybook_shared::time::{Date, Timestamp, Zone};
use indicatif::ProgressBar;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use self::history::Collected;
use self::people::{BRANCHES, Market};
use super::allocation::AllocationError;
use super::assign::assign;
use super::dossier::{self, NewDossier};
use super::opening::{self, NewAccount, OpenError, Opened};
use crate::app::SharedRng;
use crate::audit::{self, Actor};
use crate::auth::caseloads::{self, Caseload, CaseloadAudience, Membership};
use crate::auth::password;
use crate::auth::roles::Role;
use crate::auth::units::{self, Unit, UnitKind};
use crate::auth::users::{self, Holding, NewUser, UserError, UserRow};
use crate::batch_row;
use crate::db::{Db, Tx, batch};
use crate::ledger::posting::{self, PostingError};
use crate::on_db;
use crate::settings::{Settings, SettingsError};

/// Everybody's password in a demo. It is printed; a demo holds nothing worth stealing.
pub const PASSWORD: &str = "daybook-demo";

const COMPANY: &str = "Mwangaza Credit";
const ZONE: &str = "Africa/Nairobi";
const CURRENCY: Currency = Currency::new(*b"KES").expect("three capital letters");
const OFFICERS_PER_BRANCH: usize = 4;
const ACCOUNTS_PER_OFFICER: usize = 150;
/// Every so many accounts one customer has a second.
const SECOND_ACCOUNT_EVERY: usize = 25;

/// What a demo holds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DemoSummary {
    /// The lender's name.
    pub company: String,
    /// The lender's currency.
    pub currency: Currency,
    /// The lender's zone.
    pub zone: String,
    /// The business date on which the history ends.
    pub today: Date,
    /// Who can sign in.
    pub logins: Vec<DemoLogin>,
    /// Everybody's password.
    pub password: String,
    /// Accounts, each with a case in an officer's caseload.
    pub accounts: usize,
    /// Payments of the history.
    pub payments: usize,
    /// Their sum, minor units.
    pub paid_minor: i64,
    /// Agents, each with a file for this quarter.
    pub agents: usize,
}

/// Somebody who can sign in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DemoLogin {
    /// The login.
    pub login: String,
    /// The name.
    pub name: String,
    /// The role.
    pub role: String,
    /// The unit the role is held at.
    pub unit: String,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A demo never mixes with anything.
    #[error("the database is not empty: a demo is made in a new one")]
    NotEmpty,
    /// Settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A user.
    #[error(transparent)]
    User(#[from] UserError),
    /// The password.
    #[error(transparent)]
    Password(#[from] password::NotAPassword),
    /// An account.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A payment.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// A journal.
    #[error(transparent)]
    Posting(#[from] PostingError),
    /// A sum.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The zone is not in this build's list.
    #[error("the zone {ZONE} is not known")]
    Zone,
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// Fills an empty database, in one transaction: all of it or nothing. The settings it leaves (zone and
/// currency) are those of its lender; whoever read settings before reads them again.
pub async fn create(db: &Db, now: Timestamp, seed: u64, progress: &ProgressBar) -> Result<DemoSummary, DemoError> {
    let zone = Zone::named(ZONE).map_err(|_| DemoError::Zone)?;
    let market = Market { currency: CURRENCY, zone: &zone, today: zone.date_of(now) };
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    progress.set_length(5);
    let mut tx = db.write().await?;
    refuse_what_is_not_empty(&mut tx).await?;
    for setting in [("zone", ZONE), ("currency", CURRENCY.code()), ("message_gateway", "log")] {
        Settings::set(&mut tx, now, Actor::OPERATOR, setting).await?;
    }
    let staff = hire(&mut tx, now, rng, &SharedRng::from_seed(seed)).await?;
    // Draws of its own: whoever sells changes nothing of what was sold.
    shop::open(&mut tx, now, &mut ChaCha20Rng::seed_from_u64(!seed), (market, staff.partner)).await?;
    progress.inc(1);
    let collected = sell(&mut tx, now, rng, market, &staff).await?;
    progress.inc(1);
    let history = history::book(&mut tx, rng, (market, now), &collected, staff.cashier).await?;
    progress.inc(1);
    let agents = recruit(&mut tx, rng, market, now).await?;
    let cases = collected.iter().map(|one| (one.opened.dossier, Some(staff.officers[one.book - 1].caseload)));
    let files =
        agents.iter().enumerate().map(|(i, file)| (*file, Some(staff.officers[i % staff.officers.len()].caseload)));
    let moves: Vec<_> = cases.chain(files).collect();
    let detail = serde_json::json!({ "seed": seed, "accounts": collected.len() });
    audit::record(&mut tx, now, Actor::OPERATOR, "demo.created", COMPANY, detail).await?;
    assign(&mut tx, now, None, &moves).await?;
    progress.inc(1);
    tx.commit().await?;
    progress.finish();
    Ok(DemoSummary {
        company: COMPANY.to_owned(),
        currency: CURRENCY,
        zone: ZONE.to_owned(),
        today: market.today,
        logins: staff.logins,
        password: PASSWORD.to_owned(),
        accounts: collected.len(),
        payments: history.payments,
        paid_minor: history.paid_minor,
        agents: agents.len(),
    })
}

const COUNT: &str =
    "select (select count(*) from unit) + (select count(*) from app_user) + (select count(*) from account)";

async fn refuse_what_is_not_empty(tx: &mut Tx) -> Result<(), DemoError> {
    let rows: i64 = on_db!(tx, conn => sqlx::query_scalar(COUNT).fetch_one(conn).await)?;
    if rows == 0 { Ok(()) } else { Err(DemoError::NotEmpty) }
}

/// An officer of the demo.
struct Officer {
    id: i64,
    caseload: i64,
    unit: i64,
    branch: usize,
}

struct Staff {
    officers: Vec<Officer>,
    cashier: i64,
    partner: i64,
    logins: Vec<DemoLogin>,
}

/// The people being hired: what every step needs.
struct Hiring<'a> {
    now: Timestamp,
    names: &'a mut ChaCha20Rng,
    ids: &'a SharedRng,
    password_hash: String,
    logins: Vec<DemoLogin>,
}

/// Units, users and caseloads.
async fn hire(tx: &mut Tx, now: Timestamp, names: &mut ChaCha20Rng, ids: &SharedRng) -> Result<Staff, DemoError> {
    let password_hash = password::hash(PASSWORD, ids).await?;
    let mut hiring = Hiring { now, names, ids, password_hash, logins: Vec::new() };
    let company = units::create(tx, (now, ids), Actor::OPERATOR, None, (UnitKind::Company, COMPANY)).await?;
    let (mut officers, mut branches) = (Vec::new(), Vec::new());
    for (branch, (name, _)) in BRANCHES.iter().enumerate() {
        let unit = units::create(tx, (now, ids), Actor::OPERATOR, Some(&company), (UnitKind::Branch, name)).await?;
        for _ in 0..OFFICERS_PER_BRANCH {
            let login = format!("officer{}", officers.len() + 1);
            let user = hiring.user(tx, &login, Role::Officer, &unit).await?;
            let caseload = hiring.caseload(tx, &user, &unit).await?;
            officers.push(Officer { id: user.id, caseload: caseload.id, unit: unit.id, branch });
        }
        hiring.user(tx, &format!("supervisor{}", branch + 1), Role::Supervisor, &unit).await?;
        branches.push(unit);
    }
    let cashier = hiring.user(tx, "cashier", Role::Cashier, &company).await?;
    hiring.user(tx, "auditor", Role::Auditor, &company).await?;
    hiring.user(tx, "admin", Role::Admin, &company).await?;
    let mut own = ChaCha20Rng::seed_from_u64(1);
    hiring.names = &mut own;
    let partner = shop::hire(tx, &mut hiring, (&company, &branches)).await?;
    Ok(Staff { officers, cashier: cashier.id, partner, logins: hiring.logins })
}

impl Hiring<'_> {
    async fn user(&mut self, tx: &mut Tx, login: &str, role: Role, unit: &Unit) -> Result<UserRow, DemoError> {
        let name = people::name(self.names);
        let new = NewUser { login, name: &name, password_hash: self.password_hash.clone() };
        let user = users::create(tx, (self.now, self.ids), Actor::OPERATOR, new).await?;
        users::set_role(tx, self.now, Actor::OPERATOR, &user, (role, unit, Holding::Held)).await?;
        let (login, role, unit) = (login.to_owned(), role.to_string(), unit.name.clone());
        self.logins.push(DemoLogin { login, name, role, unit });
        Ok(user)
    }

    async fn caseload(&mut self, tx: &mut Tx, user: &UserRow, unit: &Unit) -> Result<Caseload, DemoError> {
        let (now, actor) = (self.now, Actor::OPERATOR);
        let caseload =
            caseloads::create(tx, (now, self.ids), actor, unit, (&user.name, CaseloadAudience::Officer)).await?;
        caseloads::set_member(tx, now, actor, &caseload, (user, Membership::Member)).await?;
        Ok(caseload)
    }
}

/// Accounts of all officers, opened with journal line 1.
async fn sell(
    tx: &mut Tx,
    now: Timestamp,
    rng: &mut ChaCha20Rng,
    market: Market<'_>,
    staff: &Staff,
) -> Result<Vec<Collected>, DemoError> {
    let mut accounts: Vec<(usize, NewAccount)> = Vec::new();
    for (i, officer) in staff.officers.iter().enumerate() {
        for _ in 0..ACCOUNTS_PER_OFFICER {
            let number = accounts.len() + 1;
            let customer = match accounts.last() {
                Some((_, before)) if number.is_multiple_of(SECOND_ACCOUNT_EVERY) => before.customer.clone(),
                _ => people::customer(rng, market, BRANCHES[officer.branch].1),
            };
            accounts.push((i, people::account(rng, market, (number, officer.unit), customer)));
        }
    }
    let new = accounts.iter().map(|(_, account)| account.clone()).collect();
    let opened: BTreeMap<AccountId, Opened> = opening::open(tx, now, new, posting::activation).await?;
    let collected = accounts.into_iter().map(|(i, account)| {
        let opened = opened.get(&account.uid).copied().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Collected { account, opened, officer: staff.officers[i].id, book: i + 1 })
    });
    collected.collect()
}

batch_row! {
    struct NewAgent {
        uid: AgentId => "uuid",
        code: String => "text",
        name: String => "text",
        outlet: String => "text",
    }
}

const INSERT_AGENTS: &str =
    "insert into agent (uid, code, name, outlet) select uid, code, name, outlet from v where true returning uid, id";

/// One agent an officer, each with a file for this quarter. Returns the files.
async fn recruit(
    tx: &mut Tx,
    rng: &mut ChaCha20Rng,
    market: Market<'_>,
    now: Timestamp,
) -> Result<Vec<i64>, DemoError> {
    let towns = BRANCHES.iter().flat_map(|(_, towns)| towns.iter().take(OFFICERS_PER_BRANCH));
    let agents: Vec<_> = (1..)
        .zip(towns)
        .map(|(n, (town, ..))| NewAgent {
            uid: AgentId::new(now, rng),
            code: format!("AG-{n:03}"),
            name: people::name(rng),
            outlet: format!("{town} market, stall {n}"),
        })
        .collect();
    let keys: Vec<(AgentId, i64)> = batch::insert(tx, &agents, INSERT_AGENTS).await?;
    let keys: BTreeMap<_, _> = keys.into_iter().collect();
    let (year, month, _) = market.today.ymd();
    let quarter = u8::try_from((month - 1) / 3 + 1).unwrap_or(1);
    let files = agents.iter().map(|agent| {
        let id = keys.get(&agent.uid).copied().ok_or(sqlx::Error::RowNotFound)?;
        Ok(NewDossier::agent(agent.uid, id, (year, quarter)))
    });
    let files = files.collect::<sqlx::Result<Vec<_>>>()?;
    let opened = dossier::insert(tx, &files).await?;
    files.iter().map(|file| opened.get(&file.uid).copied().ok_or_else(|| sqlx::Error::RowNotFound.into())).collect()
}
