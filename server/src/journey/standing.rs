//! How a customer stands to us when he asks to buy: whether he had an account, what he owes, how late he is.

use daybook_shared::money::Currency;
use daybook_shared::schedule::dpd;
use daybook_shared::time::Date;

use super::offers::Segment;
use super::policy::Standing;
use crate::db::Tx;
use crate::on_db;

/// The customer beside each account that he has or had; with none, by himself.
#[derive(sqlx::FromRow)]
struct Row {
    birth_date: Option<Date>,
    status: Option<String>,
    currency: Option<Currency>,
    owed_minor: Option<i64>,
    oldest_unmet_due: Option<Date>,
}

impl Row {
    fn is_open(&self) -> bool {
        self.status.as_deref().is_some_and(|status| status != "closed")
    }
}

const SELECT: &str = "select c.birth_date, a.status, a.currency, a.outstanding_principal
       + a.outstanding_interest + a.outstanding_fee + a.outstanding_penalty as owed_minor, a.oldest_unmet_due
     from customer c left join account a on a.customer_id = c.id where c.id = $1";
const HAD_ACCOUNT: &str =
    "select cast(count(*) as bigint) from (select 1 from account where customer_id = $1 limit 1) found";

/// How a customer stands on a business date. What he owes in another currency is not counted in: limits are
/// in one.
pub async fn of(tx: &mut Tx, customer_id: i64, at: (Date, Currency)) -> sqlx::Result<Standing> {
    Ok(with_segment(tx, customer_id, at).await?.1)
}

/// What a customer is to us, and how he stands: see [`segment`] and [`of`].
pub async fn with_segment(
    tx: &mut Tx,
    customer_id: i64,
    (today, currency): (Date, Currency),
) -> sqlx::Result<(Segment, Standing)> {
    let rows: Vec<Row> = on_db!(tx, conn => sqlx::query_as(SELECT).bind(customer_id).fetch_all(conn).await)?;
    let birth_date = rows.first().ok_or(sqlx::Error::RowNotFound)?.birth_date;
    let had_account = rows.iter().any(|row| row.status.is_some());
    let open = || rows.iter().filter(|row| row.is_open());
    let owed = open().filter(|row| row.currency == Some(currency)).filter_map(|row| row.owed_minor);
    let late = |row: &Row| dpd(row.oldest_unmet_due.filter(|due| *due < today), today);
    let standing = Standing {
        outstanding_minor: owed.fold(0, i64::saturating_add),
        accounts: u32::try_from(open().count()).unwrap_or(u32::MAX),
        dpd: open().map(late).max().unwrap_or(0),
        birth_date,
        open_applications: 0,
    };
    Ok((if had_account { Segment::Returning } else { Segment::New }, standing))
}

/// What a customer is to us.
pub async fn segment(tx: &mut Tx, customer_id: i64) -> sqlx::Result<Segment> {
    let found: i64 = on_db!(tx, conn => sqlx::query_scalar(HAD_ACCOUNT).bind(customer_id).fetch_one(conn).await)?;
    Ok(if found > 0 { Segment::Returning } else { Segment::New })
}
