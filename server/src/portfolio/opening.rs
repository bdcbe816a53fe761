//! Opening accounts: customer, account, schedule version 1 and case, with the journal that brings the
//! receivable into the books. What the import and the demo share.

use std::collections::BTreeMap;

use daybook_shared::ids::{AccountId, CustomerId, DossierId, UnitId};
use daybook_shared::money::{Currency, MoneyError};
use daybook_shared::schedule::{DueLine, Portions, oldest_unmet, outstanding};
use daybook_shared::time::{Date, Timestamp};

use super::account::{AccountStatus, Stage};
use super::allocation::Waterfall;
use super::dossier::{self, NewDossier};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::ledger::journal;
use crate::ledger::posting::{Event, Journal, PostingError};
use crate::on_db;

batch_row! {
    /// A row of `customer`.
    pub struct NewCustomer {
        /// Id.
        uid: CustomerId => "uuid",
        /// Name.
        name: String => "text",
        /// Phone number, international form.
        phone: Option<String> => "text",
        /// National id, all but the last digits hidden.
        national_id_masked: Option<String> => "text",
        /// Language (ISO 639-1).
        language: Option<String> => "text",
        /// Where the customer lives, in words.
        address: Option<String> => "text",
        /// Latitude in millionths of a degree.
        lat_e6: Option<i64> => "int8",
        /// Longitude in millionths of a degree.
        lon_e6: Option<i64> => "int8",
    }
}

/// An account to be opened, unpaid.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Id.
    pub uid: AccountId,
    /// The number the customer knows it by.
    pub number: String,
    /// Who owes. Accounts opened together may have one customer.
    pub customer: NewCustomer,
    /// Key of the unit it belongs to.
    pub unit_id: i64,
    /// What was sold.
    pub product: String,
    /// Its currency.
    pub currency: Currency,
    /// When it began.
    pub disbursed_on: Date,
    /// How far collection has gone.
    pub stage: Stage,
    /// Schedule version 1.
    pub lines: Vec<DueLine>,
    /// In which order a payment meets what is owed.
    pub waterfall: Waterfall,
}

/// Which journal brings a receivable into the books: [`crate::ledger::posting::import`] or
/// [`crate::ledger::posting::activation`].
pub type OpeningJournal = fn(Event, i64, i64, i64) -> Result<Journal, PostingError>;

/// The keys of an account that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The account's key.
    pub account: i64,
    /// Its customer's key.
    pub customer: i64,
    /// Its case's key.
    pub dossier: i64,
}

/// Why accounts cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The sums of a schedule.
    #[error("account {number}: {error}")]
    Schedule {
        /// The account's number.
        number: String,
        /// What is wrong.
        error: PostingError,
    },
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

batch_row! {
    struct AccountInsert {
        uid: AccountId => "uuid",
        number: String => "text",
        customer_id: i64 => "int8",
        unit_id: i64 => "int8",
        product: String => "text",
        currency: Currency => "text",
        status: AccountStatus => "text",
        disbursed_on: Date => "date",
        waterfall: Waterfall => "text",
        stage: Stage => "text",
        original_minor: i64 => "int8",
        outstanding_principal: i64 => "int8",
        outstanding_interest: i64 => "int8",
        outstanding_fee: i64 => "int8",
        outstanding_penalty: i64 => "int8",
        oldest_unmet_due: Option<Date> => "date",
    }
}

batch_row! {
    struct InstalmentInsert {
        account_id: i64 => "int8",
        n: i64 => "int8",
        due_date: Date => "date",
        principal: i64 => "int8",
        interest: i64 => "int8",
        fee: i64 => "int8",
        penalty: i64 => "int8",
    }
}

/// A customer who is known stays as he is.
const INSERT_CUSTOMERS: &str =
    "insert into customer (uid, name, phone, national_id_masked, language, address, lat_e6, lon_e6)
     select uid, name, phone, national_id_masked, language, address, lat_e6, lon_e6 from v where true
     on conflict (uid) do update set name = customer.name returning uid, id";

const INSERT_ACCOUNTS: &str = "insert into account (uid, number, customer_id, unit_id, product, currency, status,
       disbursed_on, schedule_version, waterfall, stage, original_minor, outstanding_principal, outstanding_interest,
       outstanding_fee, outstanding_penalty, paid_minor, credit_minor, oldest_unmet_due)
     select uid, number, customer_id, unit_id, product, currency, status, disbursed_on, 1, waterfall, stage,
       original_minor, outstanding_principal, outstanding_interest, outstanding_fee, outstanding_penalty, 0, 0,
       oldest_unmet_due from v where true
     returning uid, id";

const INSERT_INSTALMENTS: &str = "insert into instalment (account_id, version, n, due_date, principal, interest, fee,
       penalty, paid_principal, paid_interest, paid_fee, paid_penalty)
     select account_id, 1, n, due_date, principal, interest, fee, penalty, 0, 0, 0, 0 from v where true";

/// Opens accounts and books each on its day of disbursement. Six statements, however many there are.
pub async fn open(
    tx: &mut Tx,
    now: Timestamp,
    accounts: Vec<NewAccount>,
    book: OpeningJournal,
) -> Result<BTreeMap<AccountId, Opened>, OpenError> {
    open_booked(tx, now, accounts, |account, Receivable { account_id, original_minor, interest_minor }| {
        let (event, booked_on, currency) = (account.uid.0, account.disbursed_on, account.currency);
        let event = Event { id: event, correlation: event, booked_on, currency };
        book(event, account_id, original_minor, interest_minor)
    })
    .await
}

/// What an account that is being opened owes.
#[derive(Debug, Clone, Copy)]
pub struct Receivable {
    /// Its key.
    pub account_id: i64,
    /// All of its schedule, minor units.
    pub original_minor: i64,
    /// The interest in it, minor units.
    pub interest_minor: i64,
}

/// Opens accounts with the journals that `book` makes.
pub async fn open_booked(
    tx: &mut Tx,
    now: Timestamp,
    accounts: Vec<NewAccount>,
    book: impl Fn(&NewAccount, Receivable) -> Result<Journal, PostingError>,
) -> Result<BTreeMap<AccountId, Opened>, OpenError> {
    let written = write(tx, &accounts, AccountStatus::Active).await?;
    let mut journals = Vec::with_capacity(accounts.len());
    for (account, Written { id, row }) in accounts.iter().zip(&written) {
        let (original_minor, interest_minor) = (row.original_minor, row.outstanding_interest);
        let journal = book(account, Receivable { account_id: *id, original_minor, interest_minor });
        journals.push(journal.map_err(|error| schedule_error(account, error))?);
    }
    let cases: Vec<_> =
        accounts.iter().zip(&written).map(|(account, one)| NewDossier::case(account.uid, one.id)).collect();
    let dossiers = dossier::insert(tx, &cases).await?;
    journal::insert(tx, &journals, now).await?;
    let opened = accounts.iter().zip(written).map(|(account, Written { id, row })| {
        let dossier = dossiers.get(&DossierId::case(account.uid)).copied()?;
        Some((account.uid, Opened { account: id, customer: row.customer_id, dossier }))
    });
    Ok(opened.collect::<Option<_>>().ok_or(sqlx::Error::RowNotFound)?)
}

/// Writes an account down that is agreed and has not begun: without a case, and not in the books. Its key.
pub async fn write_pending(tx: &mut Tx, account: NewAccount) -> Result<i64, OpenError> {
    let written = write(tx, &[account], AccountStatus::Pending).await?;
    Ok(written.first().map(|one| one.id).ok_or(sqlx::Error::RowNotFound)?)
}

const BEGIN: &str = "update account set status = 'active' where id = $1 and status = 'pending'";

/// A pending account begins: its case opens and its journal is booked. False when it was not pending.
pub async fn begin(
    tx: &mut Tx,
    now: Timestamp,
    (uid, account_id): (AccountId, i64),
    booked: Journal,
) -> sqlx::Result<bool> {
    let begun = on_db!(&mut *tx, conn => {
        sqlx::query(BEGIN).bind(account_id).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if begun == 0 {
        return Ok(false);
    }
    dossier::insert(tx, &[NewDossier::case(uid, account_id)]).await?;
    journal::insert(tx, &[booked], now).await?;
    Ok(true)
}

/// An account that was written down.
struct Written {
    id: i64,
    row: AccountInsert,
}

/// Customers, accounts and their schedules; the answers are in the accounts' order.
async fn write(tx: &mut Tx, accounts: &[NewAccount], status: AccountStatus) -> Result<Vec<Written>, OpenError> {
    let customers: BTreeMap<_, _> = accounts.iter().map(|account| (account.customer.uid, &account.customer)).collect();
    let customers: Vec<_> = customers.into_values().cloned().collect();
    let customers: Vec<(CustomerId, i64)> = batch::insert(tx, &customers, INSERT_CUSTOMERS).await?;
    let customers: BTreeMap<_, _> = customers.into_iter().collect();
    let mut rows = Vec::with_capacity(accounts.len());
    for account in accounts {
        let customer_id = customers.get(&account.customer.uid).copied().ok_or(sqlx::Error::RowNotFound)?;
        let row = account_row(account, customer_id, status);
        rows.push(row.map_err(|error| schedule_error(account, error.into()))?);
    }
    let keys: Vec<(AccountId, i64)> = batch::insert(tx, &rows, INSERT_ACCOUNTS).await?;
    let keys: BTreeMap<_, _> = keys.into_iter().collect();
    let (mut written, mut instalments) = (Vec::with_capacity(rows.len()), Vec::new());
    for (account, row) in accounts.iter().zip(rows) {
        let id = keys.get(&account.uid).copied().ok_or(sqlx::Error::RowNotFound)?;
        instalments.extend(account.lines.iter().map(|line| instalment_row(id, line)));
        written.push(Written { id, row });
    }
    batch::execute(tx, &instalments, INSERT_INSTALMENTS).await?;
    Ok(written)
}

fn schedule_error(account: &NewAccount, error: PostingError) -> OpenError {
    OpenError::Schedule { number: account.number.clone(), error }
}

fn account_row(account: &NewAccount, customer_id: i64, status: AccountStatus) -> Result<AccountInsert, MoneyError> {
    let instalments: Vec<_> = account.lines.iter().map(|line| line.with_paid(Portions::ZERO)).collect();
    let owed = outstanding(&instalments)?;
    Ok(AccountInsert {
        uid: account.uid,
        number: account.number.clone(),
        customer_id,
        unit_id: account.unit_id,
        product: account.product.clone(),
        currency: account.currency,
        status,
        disbursed_on: account.disbursed_on,
        waterfall: account.waterfall,
        stage: account.stage,
        original_minor: owed.total()?,
        outstanding_principal: owed.principal,
        outstanding_interest: owed.interest,
        outstanding_fee: owed.fee,
        outstanding_penalty: owed.penalty,
        oldest_unmet_due: oldest_unmet(&instalments),
    })
}

fn instalment_row(account_id: i64, line: &DueLine) -> InstalmentInsert {
    let DueLine { n, due_date, principal, interest, fee, penalty } = *line;
    InstalmentInsert { account_id, n: n.into(), due_date, principal, interest, fee, penalty }
}

/// A node of the organisation's tree to be made if it is missing.
#[derive(Debug, Clone, Copy)]
pub struct NewUnit<'a> {
    /// Id.
    pub uid: UnitId,
    /// Key of the unit above it.
    pub parent_id: Option<i64>,
    /// company, zone, region, city, area, branch, aggregator or agent.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
}

const UPSERT_UNIT: &str = "insert into unit (uid, parent_id, kind, name, created_at) values ($1, $2, $3, $4, $5)
     on conflict (uid) do update set name = unit.name returning id";

const SELECT_ROOT: &str = "select id from unit where parent_id is null order by id limit 1";

/// The key of a unit, made if it is missing; one that exists stays as it is.
pub async fn unit(tx: &mut Tx, now: Timestamp, unit: NewUnit<'_>) -> sqlx::Result<i64> {
    let NewUnit { uid, parent_id, kind, name } = unit;
    on_db!(tx, conn => {
        sqlx::query_scalar(UPSERT_UNIT).bind(uid).bind(parent_id).bind(kind).bind(name).bind(now).fetch_one(conn).await
    })
}

/// The key of the unit above all others, if there is one.
pub async fn root_unit(tx: &mut Tx) -> sqlx::Result<Option<i64>> {
    on_db!(tx, conn => sqlx::query_scalar(SELECT_ROOT).fetch_optional(conn).await)
}
