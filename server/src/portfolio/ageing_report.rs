//! `daybook report ageing`: the portfolio as it stood at the end of any day, by a replay of the payments
//! valued by then.
//!
//! Accounts that never began or that ended otherwise than by payment are not counted: what is left of
//! them is not a receivable, and the road keeps no history of such ends.

use std::fmt;

use daybook_shared::ids::AccountId;
use daybook_shared::money::{Currency, Money, MoneyError};
use daybook_shared::time::Date;

use super::account::{load_instalments, load_payments};
use super::ageing::{AccountHistory, AccountState, Ageing, ageing};
use super::allocation::{AllocationError, Waterfall};
use crate::db::Tx;
use crate::on_db;

/// Accounts read at a time.
const PAGE_ACCOUNTS: i64 = 2_000;

/// The report of one currency; `--json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AgeingReport {
    /// The currency of every amount.
    pub currency: Currency,
    /// The figures.
    #[serde(flatten)]
    pub ageing: Ageing,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Amounts of several currencies have no sum.
    #[error("there are accounts in {}: name one with --currency", list(.0))]
    Currencies(Vec<Currency>),
    /// An account's payments or sums.
    #[error("account {account}: {error}")]
    Account {
        /// The account.
        account: AccountId,
        /// What is wrong.
        error: AllocationError,
    },
    /// The sums of the report.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

fn list(currencies: &[Currency]) -> String {
    currencies.iter().map(Currency::code).collect::<Vec<_>>().join(", ")
}

const CURRENCIES: &str = "select distinct currency from account order by currency";

/// Ages the accounts of a currency; of the only one there is when none is named, of `default` when
/// there are no accounts.
pub async fn report(
    tx: &mut Tx,
    as_of: Date,
    currency: Option<Currency>,
    default: Currency,
) -> Result<AgeingReport, ReportError> {
    let currency = match currency {
        Some(currency) => currency,
        None => only_currency(tx, default).await?,
    };
    let mut states = Vec::new();
    let mut after = 0;
    loop {
        let page = page(tx, currency, after).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        age(tx, &page, as_of, &mut states).await?;
    }
    Ok(AgeingReport { currency, ageing: ageing(&states, as_of)? })
}

async fn only_currency(tx: &mut Tx, default: Currency) -> Result<Currency, ReportError> {
    let found: Vec<(Currency,)> = on_db!(tx, conn => sqlx::query_as(CURRENCIES).fetch_all(conn).await)?;
    match found.as_slice() {
        [] => Ok(default),
        [(only,)] => Ok(*only),
        several => Err(ReportError::Currencies(several.iter().map(|(currency,)| *currency).collect())),
    }
}

#[derive(sqlx::FromRow)]
struct AgedAccount {
    id: i64,
    uid: AccountId,
    disbursed_on: Date,
    schedule_version: i64,
    waterfall: Waterfall,
}

const SELECT_PAGE: &str = "select id, uid, disbursed_on, schedule_version, waterfall from account
     where id > $1 and currency = $2 and (status = 'active' or closed_as = 'paid') order by id limit $3";

async fn page(tx: &mut Tx, currency: Currency, after: i64) -> sqlx::Result<Vec<AgedAccount>> {
    on_db!(tx, conn => {
        sqlx::query_as(SELECT_PAGE).bind(after).bind(currency).bind(PAGE_ACCOUNTS).fetch_all(conn).await
    })
}

async fn age(
    tx: &mut Tx,
    accounts: &[AgedAccount],
    as_of: Date,
    states: &mut Vec<AccountState>,
) -> Result<(), ReportError> {
    let schedules: Vec<_> = accounts.iter().map(|account| (account.id, account.schedule_version)).collect();
    let instalments = load_instalments(tx, &schedules).await?;
    let ids: Vec<_> = accounts.iter().map(|account| account.id).collect();
    let payments = load_payments(tx, &ids).await?;
    for account in accounts {
        let history = AccountHistory {
            account: account.uid,
            disbursed_on: account.disbursed_on,
            instalments: instalments.get(&account.id).map_or(&[], Vec::as_slice),
            payments: payments.get(&account.id).map_or(&[], Vec::as_slice),
            waterfall: account.waterfall,
            grace_days: 0,
            pauses: &[],
        };
        let state = history.at(as_of);
        states.push(state.map_err(|error| ReportError::Account { account: account.uid, error })?);
    }
    Ok(())
}

/// A table for people.
impl fmt::Display for AgeingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ageing { as_of, accounts, outstanding_minor, overpaid_minor, par30_minor, par90_minor, buckets } =
            &self.ageing;
        let money = |minor: i64| Money::new(minor, self.currency).to_string();
        writeln!(f, "Ageing as of {as_of}: {accounts} accounts\n")?;
        writeln!(f, "{:<12} {:>9} {:>22} {:>8}", "days late", "accounts", "balance", "share")?;
        for (bucket, line) in buckets {
            let share = percent(super::ageing::ratio_bp(line.balance_minor, *outstanding_minor));
            let balance = money(line.balance_minor);
            writeln!(f, "{:<12} {:>9} {balance:>22} {share:>8}", bucket.name(), line.accounts)?;
        }
        writeln!(f, "{:<12} {accounts:>9} {:>22}\n", "all", money(*outstanding_minor))?;
        let par = |days, minor, bp| format!("PAR{days} {} ({})", money(minor), percent(bp));
        writeln!(f, "{}", par(30, *par30_minor, self.ageing.par30_bp()))?;
        writeln!(f, "{}", par(90, *par90_minor, self.ageing.par90_bp()))?;
        write!(f, "overpaid {}", money(*overpaid_minor))
    }
}

/// Basis points as a percentage; a share of nothing is no number.
fn percent(bp: Option<i64>) -> String {
    bp.map_or_else(|| "-".to_owned(), |bp| format!("{}.{:02} %", bp / 100, bp % 100))
}
