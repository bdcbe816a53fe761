//! `daybook import kiva DIR`: opens an account for every loan with a local schedule, active from the day
//! of its disbursal whatever its status column says, as one taken over (journal line 0).
//!
//! Payments are not imported: they are captured. Every id is derived from the folder's, so a second
//! import opens nothing.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::ids::AccountId;
use daybook_shared::schedule::DueLine;
use daybook_shared::time::Timestamp;
use indicatif::ProgressBar;

use super::account::Stage;
use super::allocation::Waterfall;
use super::kiva::{self, Kiva, Loan, ScheduledLine};
use super::opening::{self, NewAccount, NewCustomer, NewUnit, OpenError};
use crate::batch_row;
use crate::db::{Db, Tx, batch};
use crate::ledger::posting;

/// Accounts of one transaction.
const BATCH_ACCOUNTS: usize = 256;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ImportReport {
    /// Accounts opened now.
    pub accounts: usize,
    /// Accounts that an earlier import opened.
    pub present: usize,
    /// Their customers' debt when they were opened, minor units: of those opened now.
    pub original_minor: i64,
    /// Loans that were not opened, each with the reason.
    pub skipped: BTreeMap<u64, &'static str>,
}

/// Why an import failed. What earlier batches opened stays; the import can be run again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A loan or its sums.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// All of it together.
    #[error("the schedules add up to more than 64 bits hold")]
    TooMuch,
}

const NO_SCHEDULE: &str = "schedule.csv has no line of kind local for it";
const NO_DISBURSAL: &str = "loans.csv has no disbursal_date for it";
const TOO_LONG: &str = "its schedule has more lines than an account can have";

/// Opens the accounts of a folder, one transaction a batch.
pub async fn import(db: &Db, kiva: &Kiva, now: Timestamp, progress: &ProgressBar) -> Result<ImportReport, ImportError> {
    let skipped = kiva.unscheduled().map(|loan| (loan.id, NO_SCHEDULE)).collect();
    let mut report = ImportReport { accounts: 0, present: 0, original_minor: 0, skipped };
    let mut tx = db.write().await?;
    let units = branches(&mut tx, now, kiva).await?;
    tx.commit().await?;
    let mut accounts = Vec::new();
    for (id, lines) in &kiva.schedules {
        let Some(loan) = kiva.loans.get(id) else { continue };
        match account(loan, lines, units[&loan.partner]) {
            Ok(account) => accounts.push(account),
            Err(reason) => {
                report.skipped.insert(*id, reason);
            }
        }
    }
    progress.set_length(accounts.len() as u64);
    while !accounts.is_empty() {
        let rest = accounts.split_off(accounts.len().min(BATCH_ACCOUNTS));
        let batch = std::mem::replace(&mut accounts, rest);
        progress.inc(batch.len() as u64);
        open_missing(db, now, batch, &mut report).await?;
    }
    progress.finish();
    Ok(report)
}

/// The unit of each partner, below the lender's own.
async fn branches(tx: &mut Tx, now: Timestamp, kiva: &Kiva) -> sqlx::Result<BTreeMap<u64, i64>> {
    let company = NewUnit { uid: kiva::company_unit(), parent_id: None, kind: "company", name: "Kiva" };
    let root = match opening::root_unit(tx).await? {
        Some(root) => root,
        None => opening::unit(tx, now, company).await?,
    };
    let partners: BTreeSet<u64> = kiva.loans.values().map(|loan| loan.partner).collect();
    let mut units = BTreeMap::new();
    for partner in partners {
        let name = format!("Partner {partner}");
        let branch = NewUnit { uid: kiva::partner_unit(partner), parent_id: Some(root), kind: "branch", name: &name };
        units.insert(partner, opening::unit(tx, now, branch).await?);
    }
    Ok(units)
}

fn account(loan: &Loan, lines: &[ScheduledLine], unit_id: i64) -> Result<NewAccount, &'static str> {
    let due = |n: u16, line: &ScheduledLine| DueLine {
        n,
        due_date: line.due_date,
        principal: line.amount_minor,
        interest: 0,
        fee: 0,
        penalty: 0,
    };
    if lines.len() > usize::from(u16::MAX) {
        return Err(TOO_LONG);
    }
    let (lat_e6, lon_e6) = loan.position_e6.unzip();
    Ok(NewAccount {
        uid: loan.account_id(),
        number: loan.id.to_string(),
        customer: NewCustomer {
            uid: loan.customer_id(),
            name: format!("Borrower {}", loan.id),
            phone: None,
            national_id_masked: None,
            language: None,
            address: Some(format!("{}, {}", loan.town, loan.country)),
            lat_e6,
            lon_e6,
        },
        unit_id,
        product: format!("{} / {}", loan.sector, loan.activity),
        currency: kiva::CURRENCY,
        disbursed_on: loan.disbursed_on.ok_or(NO_DISBURSAL)?,
        stage: Stage::Field,
        waterfall: Waterfall::default(),
        lines: (1..).zip(lines).map(|(n, line)| due(n, line)).collect(),
    })
}

batch_row! {
    struct Uid {
        uid: AccountId => "uuid",
    }
}

const SELECT_PRESENT: &str = "select a.uid from v join account a on a.uid = v.uid";

async fn open_missing(
    db: &Db,
    now: Timestamp,
    mut accounts: Vec<NewAccount>,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let mut tx = db.write().await?;
    let uids: Vec<_> = accounts.iter().map(|account| Uid { uid: account.uid }).collect();
    let present: Vec<(AccountId,)> = batch::fetch(&mut tx, &uids, SELECT_PRESENT).await?;
    let present: BTreeSet<_> = present.into_iter().map(|(uid,)| uid).collect();
    accounts.retain(|account| !present.contains(&account.uid));
    report.present += present.len();
    report.accounts += accounts.len();
    let mut owed = accounts.iter().flat_map(|account| &account.lines).map(|line| line.principal);
    let sum = owed.try_fold(report.original_minor, i64::checked_add);
    report.original_minor = sum.ok_or(ImportError::TooMuch)?;
    opening::open(&mut tx, now, accounts, posting::import).await?;
    tx.commit().await?;
    Ok(())
}
