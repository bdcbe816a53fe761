//! Paying off early: what it costs on a day, and a customer's word that he pays it. What happens once he has is
//! [`crate::portfolio::settlement`]'s.

use daybook_shared::quote::Settlement;
use daybook_shared::quote::terms::EarlySettlement;
use daybook_shared::schedule::Instalment;
use daybook_shared::time::Date;

use super::offers;
use crate::db::Tx;
use crate::http::problem::{Code, Problem};
use crate::on_db;
use crate::portfolio::account::{AccountRow, AccountStatus};

/// How many days ahead a figure is worked out.
pub const AHEAD_DAYS_MAX: i32 = 31;

const OFFER_OF: &str = "select offer_id from account_origin where account_id = $1";

/// The rule of the rebate: the offer's. An account that did not begin with an offer has none to give.
pub async fn rule_of(tx: &mut Tx, account_id: i64) -> sqlx::Result<EarlySettlement> {
    let offer: Option<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(OFFER_OF).bind(account_id).fetch_optional(conn).await
    })?;
    match offer {
        Some(offer) => Ok(offers::by_key(tx, offer).await?.terms.early_settlement),
        None => Ok(EarlySettlement::FullProfit),
    }
}

/// What paying off an active account costs on a day that is not over.
pub async fn figure(
    tx: &mut Tx,
    (account, instalments): (&AccountRow, &[Instalment]),
    (on, today): (Date, Date),
    pointer: &str,
) -> Result<Settlement, Problem> {
    if on < today || on > today.plus_days(AHEAD_DAYS_MAX) {
        let detail = format!("A figure is for today or one of the {AHEAD_DAYS_MAX} days to come.");
        return Err(Problem::invalid(pointer, "range", detail));
    }
    if account.status != AccountStatus::Active {
        let detail = format!("The plan is {}: there is nothing to pay off.", account.status_text());
        let problem = Problem::new(Code::IllegalTransition, detail);
        return Err(problem.with("from", account.status_text()).with("event", "settle"));
    }
    let rule = rule_of(tx, account.id).await?;
    Ok(Settlement::on(on, rule, instalments)?)
}
