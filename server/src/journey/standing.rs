//! How a customer stands to us when he asks to buy: what he owes, how late he is, what else he asked for.

use daybook_shared::money::Currency;
use daybook_shared::schedule::dpd;
use daybook_shared::time::Date;

use super::offers::Segment;
use super::policy::Standing;
use crate::db::Tx;
use crate::on_db;

/// The customer beside each account that he has; with none, by himself.
#[derive(sqlx::FromRow)]
struct Row {
    birth_date: Option<Date>,
    account_id: Option<i64>,
    currency: Option<Currency>,
    owed_minor: Option<i64>,
    oldest_unmet_due: Option<Date>,
}

const SELECT: &str = "select c.birth_date, a.id as account_id, a.currency, a.outstanding_principal
       + a.outstanding_interest + a.outstanding_fee + a.outstanding_penalty as owed_minor, a.oldest_unmet_due
     from customer c left join account a on a.customer_id = c.id and a.status <> 'closed' where c.id = $1";
const HAD_ACCOUNT: &str =
    "select cast(count(*) as bigint) from (select 1 from account where customer_id = $1 limit 1) found";

/// How a customer stands on a business date. What he owes in another currency is not counted in: limits are
/// in one.
pub async fn of(tx: &mut Tx, customer_id: i64, (today, currency): (Date, Currency)) -> sqlx::Result<Standing> {
    let rows: Vec<Row> = on_db!(tx, conn => sqlx::query_as(SELECT).bind(customer_id).fetch_all(conn).await)?;
    let birth_date = rows.first().ok_or(sqlx::Error::RowNotFound)?.birth_date;
    let owed = rows.iter().filter(|row| row.currency == Some(currency)).filter_map(|row| row.owed_minor);
    let late = |row: &Row| dpd(row.oldest_unmet_due.filter(|due| *due < today), today);
    let accounts = rows.iter().filter(|row| row.account_id.is_some()).count();
    Ok(Standing {
        outstanding_minor: owed.fold(0, i64::saturating_add),
        accounts: u32::try_from(accounts).unwrap_or(u32::MAX),
        dpd: rows.iter().map(late).max().unwrap_or(0),
        birth_date,
        open_applications: 0,
    })
}

/// What a customer is to us.
pub async fn segment(tx: &mut Tx, customer_id: i64) -> sqlx::Result<Segment> {
    let found: i64 = on_db!(tx, conn => sqlx::query_scalar(HAD_ACCOUNT).bind(customer_id).fetch_one(conn).await)?;
    Ok(if found > 0 { Segment::Returning } else { Segment::New })
}
