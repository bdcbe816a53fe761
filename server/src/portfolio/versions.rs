//! Versions of schedules, and how much of each instalment's profit is earned.
//!
//! What is due of an instalment never changes: whoever changes it writes a version, and the old one stays. A
//! version carries over what was earned before, so that nothing is earned twice.

use std::collections::BTreeMap;

use daybook_shared::money::MoneyError;
use daybook_shared::schedule::{DueLine, Instalment};
use daybook_shared::time::Date;

use crate::batch_row;
use crate::db::{Tx, batch};

/// What is earned of instalments, minor units by their numbers.
pub type Earned = BTreeMap<u16, i64>;

/// An instalment of a version to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// What falls due when.
    pub line: DueLine,
    /// How much of its interest is booked as earned, minor units.
    pub earned_minor: i64,
}

/// A schedule as it is, to be changed.
pub fn plan_of(instalments: &[Instalment], earned: &Earned) -> Vec<Planned> {
    let planned = |instalment: &Instalment| Planned {
        line: instalment.due_line(),
        earned_minor: earned.get(&instalment.n).copied().unwrap_or(0),
    };
    instalments.iter().map(planned).collect()
}

/// What of a schedule is not earned, minor units.
pub fn unearned(planned: &[Planned]) -> Result<i64, MoneyError> {
    let left = |planned: &Planned| planned.line.interest.checked_sub(planned.earned_minor);
    planned.iter().try_fold(0_i64, |sum, planned| sum.checked_add(left(planned)?)).ok_or(MoneyError::Overflow)
}

/// All that is due of a schedule, minor units.
pub fn due(planned: &[Planned]) -> Result<i64, MoneyError> {
    planned.iter().try_fold(0_i64, |sum, planned| {
        let DueLine { principal, interest, fee, penalty, .. } = planned.line;
        [principal, interest, fee, penalty].into_iter().try_fold(sum, i64::checked_add).ok_or(MoneyError::Overflow)
    })
}

/// Whether a line is nothing but a fee for being late.
pub fn is_penalty(line: &DueLine) -> bool {
    line.penalty != 0 && line.principal == 0 && line.interest == 0 && line.fee == 0
}

/// The number of a line to be added.
pub fn next_n(instalments: &[Instalment]) -> Option<u16> {
    instalments.iter().map(|line| line.n).max().unwrap_or(0).checked_add(1)
}

batch_row! {
    struct VersionKey {
        account_id: i64 => "int8",
        version: i64 => "int8",
    }
}

const SELECT_EARNED: &str = "select i.account_id, i.n, i.earned_interest
     from v join instalment i on i.account_id = v.account_id and i.version = v.version where i.earned_interest <> 0";

/// What is earned of schedules, by (account, version). An account of which nothing is earned is missing.
pub async fn load_earned(tx: &mut Tx, schedules: &[(i64, i64)]) -> sqlx::Result<BTreeMap<i64, Earned>> {
    let keys: Vec<_> = schedules.iter().map(|&(account_id, version)| VersionKey { account_id, version }).collect();
    let rows: Vec<(i64, i64, i64)> = batch::fetch(tx, &keys, SELECT_EARNED).await?;
    let mut earned: BTreeMap<i64, Earned> = BTreeMap::new();
    for (account, n, minor) in rows {
        let n = u16::try_from(n).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        earned.entry(account).or_default().insert(n, minor);
    }
    Ok(earned)
}

batch_row! {
    struct VersionRow {
        account_id: i64 => "int8",
        version: i64 => "int8",
        n: i64 => "int8",
        due_date: Date => "date",
        principal: i64 => "int8",
        interest: i64 => "int8",
        fee: i64 => "int8",
        penalty: i64 => "int8",
        paid_principal: i64 => "int8",
        paid_interest: i64 => "int8",
        paid_fee: i64 => "int8",
        paid_penalty: i64 => "int8",
        earned_interest: i64 => "int8",
    }
}

const INSERT_VERSION: &str = "insert into instalment (account_id, version, n, due_date, principal, interest, fee,
       penalty, paid_principal, paid_interest, paid_fee, paid_penalty, earned_interest)
     select account_id, version, n, due_date, principal, interest, fee, penalty, paid_principal, paid_interest,
       paid_fee, paid_penalty, earned_interest from v where true";

/// A new version of an account's schedule.
#[derive(Debug, Clone)]
pub struct NewVersion<'a> {
    /// Key of the account.
    pub account_id: i64,
    /// The version.
    pub version: i64,
    /// Its instalments with what is paid of them.
    pub instalments: &'a [Instalment],
    /// What is earned of them.
    pub earned: &'a Earned,
}

/// Writes new versions of schedules.
pub async fn insert(tx: &mut Tx, versions: &[NewVersion<'_>]) -> sqlx::Result<()> {
    let rows = versions.iter().flat_map(|version| version.instalments.iter().map(|one| row(version, one)));
    batch::execute(tx, &rows.collect::<Vec<_>>(), INSERT_VERSION).await?;
    Ok(())
}

fn row(version: &NewVersion<'_>, &Instalment { n, due_date, due, paid }: &Instalment) -> VersionRow {
    VersionRow {
        account_id: version.account_id,
        version: version.version,
        n: n.into(),
        due_date,
        principal: due.principal,
        interest: due.interest,
        fee: due.fee,
        penalty: due.penalty,
        paid_principal: paid.principal,
        paid_interest: paid.interest,
        paid_fee: paid.fee,
        paid_penalty: paid.penalty,
        earned_interest: version.earned.get(&n).copied().unwrap_or(0),
    }
}

batch_row! {
    struct TakenOver {
        account_id: i64 => "int8",
        as_of: Date => "date",
    }
}

const EARNED_BEFORE: &str = "update instalment set earned_interest = instalment.interest
     from v where instalment.account_id = v.account_id and instalment.due_date <= v.as_of";

/// What fell due up to a day was earned elsewhere: accounts were taken over with the rest.
pub async fn earned_before(tx: &mut Tx, accounts: &[i64], as_of: Date) -> sqlx::Result<()> {
    let rows: Vec<_> = accounts.iter().map(|&account_id| TakenOver { account_id, as_of }).collect();
    batch::execute(tx, &rows, EARNED_BEFORE).await?;
    Ok(())
}
