//! Payments in the app: each has its row, the state that its stage says, and the money once: one journal where it
//! is posted, none where another payment is the same money or none came, and one line by its reference.

use daybook_shared::ids::PaymentId;

use super::PAGE_ROWS;
use super::findings::{Findings, Place};
use crate::db::Tx;
use crate::journey::payments::state::Stage;
use crate::on_db;
use crate::portfolio::payment::{PaymentSource, PaymentState};

pub(super) const CHECK: &str = "app payments: posted once";

/// Runs all checks of payments in the app.
pub async fn verify(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    rows(tx, findings).await?;
    strays(tx, findings).await
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    uid: PaymentId,
    source: PaymentSource,
    state: PaymentState,
    stage: Stage,
    of_its_account: bool,
    same_as: Option<PaymentId>,
    other: Option<PaymentState>,
    lines: i64,
    unclear: i64,
    placed: i64,
    suspended: i64,
}

const SELECT: &str = "select p.id, p.uid, p.source, p.state, b.stage,
       p.account_id is not null and p.account_id = b.account_id as of_its_account,
       b.same_as, o.state as other,
       (select count(*) from statement_line l where l.payment_uid = p.uid) as lines,
       (select count(*) from statement_line l where l.channel = p.channel and l.external_ref = p.external_ref
          and l.reason = 'PROVIDER_DIFFERS') as unclear,
       (select count(*) from journal j where j.event = p.uid
          and j.kind in ('repayment', 'identified', 'recovery', 'down_payment')) as placed,
       (select count(*) from journal j where j.event = p.uid and j.kind = 'suspense') as suspended
     from app_payment b join payment p on p.uid = b.payment_uid left join payment o on o.uid = b.same_as
     where p.id > $1 order by p.id limit $2";

async fn rows(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let mut after = 0;
    loop {
        let rows: Vec<Row> =
            on_db!(tx, conn => sqlx::query_as(SELECT).bind(after).bind(PAGE_ROWS).fetch_all(conn).await)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.id;
        for row in &rows {
            one(row, findings);
        }
    }
}

fn one(row: &Row, findings: &mut Findings) {
    use PaymentState as S;
    let place = Place { check: CHECK, table: "app_payment", key: &row.uid };
    findings.compare(place, "source", &PaymentSource::App, &row.source);
    findings.compare(place, "account", &true, &row.of_its_account);
    let stage_fits = match row.stage {
        Stage::Created | Stage::Starting | Stage::Sent => row.state == S::Pending,
        Stage::Failed => row.state == S::Failed,
        Stage::Expired => row.state == S::Expired,
        Stage::Paid => matches!(row.state, S::Posted | S::Held | S::Matched | S::Reversed),
    };
    if !stage_fits {
        findings.differs(place, "stage", format_args!("one of a payment that is {}", row.state), row.stage);
    }
    // Held money that found its place went through suspense before.
    let (placed, suspended) = match row.state {
        S::Posted | S::Reversed => (1, row.suspended.min(1)),
        S::Held => (0, 1),
        S::Pending | S::Failed | S::Expired | S::Matched | S::Refused => (0, 0),
    };
    findings.compare(place, "journals", &placed, &row.placed);
    findings.compare(place, "journals of suspense", &suspended, &row.suspended);
    let has_money = matches!(row.state, S::Posted | S::Reversed | S::Held);
    findings.compare(place, "lines of statements", &i64::from(has_money), &row.lines);
    match (row.state, row.same_as) {
        (S::Matched, Some(_)) => {
            let other_has_it = matches!(row.other, Some(S::Posted | S::Held | S::Reversed));
            findings.compare(place, "the payment that is the same money", &true, &other_has_it);
        }
        // Another amount was posted under its reference, by a person.
        (S::Matched, None) => findings.compare(place, "the line that says another amount", &1, &row.unclear),
        (_, same_as) => findings.compare(place, "same_as", &None, &same_as),
    }
}

const STRAYS: &str = "select p.uid from payment p left join app_payment b on b.payment_uid = p.uid
     where p.source = 'app' and b.payment_uid is null
     union all
     select b.payment_uid from app_payment b left join payment p on p.uid = b.payment_uid where p.id is null";

async fn strays(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let uids: Vec<PaymentId> = on_db!(tx, conn => sqlx::query_scalar(STRAYS).fetch_all(conn).await)?;
    for uid in uids {
        let place = Place { check: CHECK, table: "app_payment", key: &uid };
        findings.differs(place, "row", "one of each", "one without the other");
    }
    Ok(())
}
