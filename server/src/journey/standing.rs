//! How a customer stands to us when he asks to buy: what he owes, how late he is, what else he asked for.

use daybook_shared::money::Currency;
use daybook_shared::schedule::dpd;
use daybook_shared::time::Date;

use super::offers::Segment;
use super::policy::Standing;
use crate::db::Tx;
use crate::on_db;

#[derive(sqlx::FromRow)]
struct AccountRow {
    currency: Currency,
    owed_minor: i64,
    oldest_unmet_due: Option<Date>,
}

const SELECT_ACCOUNTS: &str = "select currency,
       outstanding_principal + outstanding_interest + outstanding_fee + outstanding_penalty as owed_minor, oldest_unmet_due
     from account where customer_id = $1 and status <> 'closed'";
const SELECT_BIRTH: &str = "select birth_date from customer where id = $1";
const HAD_ACCOUNT: &str =
    "select cast(count(*) as bigint) from (select 1 from account where customer_id = $1 limit 1) found";

/// How a customer stands on a business date. What he owes in another currency is not counted in: limits are
/// in one.
pub async fn of(tx: &mut Tx, customer_id: i64, (today, currency): (Date, Currency)) -> sqlx::Result<Standing> {
    let accounts: Vec<AccountRow> =
        on_db!(&mut *tx, conn => sqlx::query_as(SELECT_ACCOUNTS).bind(customer_id).fetch_all(conn).await)?;
    let birth_date: Option<Date> =
        on_db!(tx, conn => sqlx::query_scalar(SELECT_BIRTH).bind(customer_id).fetch_one(conn).await)?;
    let owed = accounts.iter().filter(|account| account.currency == currency);
    let late = |account: &AccountRow| dpd(account.oldest_unmet_due.filter(|due| *due < today), today);
    Ok(Standing {
        outstanding_minor: owed.fold(0_i64, |sum, account| sum.saturating_add(account.owed_minor)),
        accounts: u32::try_from(accounts.len()).unwrap_or(u32::MAX),
        dpd: accounts.iter().map(late).max().unwrap_or(0),
        birth_date,
        open_applications: 0,
    })
}

/// What a customer is to us.
pub async fn segment(tx: &mut Tx, customer_id: i64) -> sqlx::Result<Segment> {
    let found: i64 = on_db!(tx, conn => sqlx::query_scalar(HAD_ACCOUNT).bind(customer_id).fetch_one(conn).await)?;
    Ok(if found > 0 { Segment::Returning } else { Segment::New })
}
