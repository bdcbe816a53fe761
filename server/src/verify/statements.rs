//! What was imported: each line of money has one payment and each payment of an import its line; what a
//! line confirms is posted for the line's day; every account that was taken over is there.

use daybook_shared::ids::{EntryId, PaymentId};
use daybook_shared::money::Currency;
use daybook_shared::time::Date;
use daybook_shared::wire::outcome::Reason;

use super::PAGE_ROWS;
use super::findings::{Findings, Place};
use crate::db::Tx;
use crate::import::portfolio::{account_id, customer_id};
use crate::on_db;
use crate::portfolio::payment::{PaymentSource, PaymentState};

const LINES: &str = "imports: lines of money have their payment";
const TAKEN_OVER: &str = "imports: accounts and customers are there";

/// Runs all checks of what was imported.
pub async fn verify(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    lines(tx, findings).await?;
    strays(tx, findings).await?;
    taken_over(tx, findings).await
}

#[derive(sqlx::FromRow)]
struct LineRow {
    id: i64,
    channel: String,
    external_ref: String,
    source: PaymentSource,
    amount_minor: i64,
    currency: Currency,
    value_date: Date,
    payment_uid: Option<PaymentId>,
    entry_uid: Option<EntryId>,
    reason: Option<Reason>,
    state: Option<PaymentState>,
    payment_source: Option<PaymentSource>,
    paid_minor: Option<i64>,
    paid_in: Option<Currency>,
    paid_for: Option<Date>,
    paid_channel: Option<String>,
    paid_ref: Option<String>,
    outcome: Option<String>,
    own_state: Option<PaymentState>,
}

const SELECT_LINES: &str = "select l.id, l.channel, l.external_ref, l.source, l.amount_minor, l.currency, l.value_date,
       l.payment_uid, l.entry_uid, l.reason, p.state, p.source as payment_source, p.amount_minor as paid_minor,
       p.currency as paid_in, p.value_date as paid_for, p.channel as paid_channel, p.external_ref as paid_ref,
       e.outcome, o.state as own_state
     from statement_line l left join payment p on p.uid = l.payment_uid
       left join entry e on e.uid = l.entry_uid left join payment o on o.uid = l.entry_uid
     where l.id > $1 order by l.id limit $2";

async fn lines(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let mut after = 0;
    loop {
        let rows: Vec<LineRow> = on_db!(tx, conn => {
            sqlx::query_as(SELECT_LINES).bind(after).bind(PAGE_ROWS).fetch_all(conn).await
        })?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.id;
        for row in &rows {
            line(row, findings);
        }
    }
}

fn line(row: &LineRow, findings: &mut Findings) {
    let key = format!("{} {}", row.channel, row.external_ref);
    let place = Place { check: LINES, table: "statement_line", key: &key };
    let Some(state) = row.state else {
        // Another amount was posted under the reference, which a person did.
        let expected = row.payment_uid.is_none().then_some(Reason::ProviderDiffers);
        return findings.compare(place, "reason, for want of a payment", &expected, &row.reason);
    };
    let own = row.payment_source == Some(row.source);
    let said = (Some(row.amount_minor), Some(row.currency));
    findings.compare(place, "amount", &said, &(row.paid_minor, row.paid_in));
    findings.compare(place, "external_ref", &Some(&row.external_ref), &row.paid_ref.as_ref());
    if own {
        findings.compare(place, "channel", &Some(&row.channel), &row.paid_channel.as_ref());
        findings.compare(place, "value_date", &Some(row.value_date), &row.paid_for);
        let waits = matches!(row.reason, Some(Reason::UnknownAccount | Reason::CurrencyMismatch));
        findings.compare(place, "waits in suspense", &(state == PaymentState::Held), &waits);
    }
    let Some(entry) = row.entry_uid else { return };
    findings.compare(place, "outcome of what it confirms", &Some("posted"), &row.outcome.as_deref());
    let reversed = state == PaymentState::Reversed;
    let expected = match (row.payment_uid == Some(PaymentId::from(entry)), reversed) {
        (true, _) => state,
        (false, true) => PaymentState::Reversed,
        (false, false) => PaymentState::Matched,
    };
    findings.compare(place, "payment of what it confirms", &Some(expected), &row.own_state);
}

/// Payments that have no line, though they came by one; and captures that no line confirms.
const STRAYS: &str = "select p.uid from payment p left join statement_line l on l.payment_uid = p.uid
     where p.source = 'statement' and l.id is null
     union all
     select p.uid from payment p left join statement_line l on l.entry_uid = p.uid
     where p.state = 'matched' and p.source = 'field' and l.id is null";

async fn strays(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let uids: Vec<PaymentId> = on_db!(tx, conn => sqlx::query_scalar(STRAYS).fetch_all(conn).await)?;
    for uid in uids {
        let place = Place { check: LINES, table: "payment", key: &uid };
        findings.differs(place, "line", "one of a statement", "none");
    }
    Ok(())
}

const SELECT_TAKEN_OVER: &str = "select i.kind, i.number,
       case when i.kind = 'account' then (select a.uid from account a where a.number = i.number) end
     from imported i where i.kind = $1 and i.number > $2 order by i.number limit $3";
const HAS_CUSTOMER: &str = "select count(*) from customer where uid = $1";

async fn taken_over(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    for kind in ["account", "customer"] {
        let mut after = String::new();
        loop {
            let rows: Vec<(String, String, Option<uuid::Uuid>)> = on_db!(&mut *tx, conn => {
                sqlx::query_as(SELECT_TAKEN_OVER).bind(kind).bind(after.clone()).bind(PAGE_ROWS).fetch_all(conn).await
            })?;
            let Some((_, last, _)) = rows.last() else { break };
            after.clone_from(last);
            for (kind, number, uid) in rows {
                let key = format!("{kind} {number}");
                let place = Place { check: TAKEN_OVER, table: "imported", key: &key };
                if kind == "account" {
                    findings.compare(place, "account", &Some(account_id(&number).0), &uid);
                } else {
                    let customer = customer_id(&number);
                    let found: i64 = on_db!(&mut *tx, conn => {
                        sqlx::query_scalar(HAS_CUSTOMER).bind(customer).fetch_one(conn).await
                    })?;
                    findings.compare(place, "customers", &1, &found);
                }
            }
        }
    }
    Ok(())
}
