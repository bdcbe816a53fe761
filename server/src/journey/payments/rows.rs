//! The rows of payments in the app: what they say, who has them in hand, how they move.
//!
//! A row is in hand while its `next_at` is the time until which somebody took it; when that has passed he is gone.
//! It moves from the stage that was read or not at all, so of two who know something the slower one's word is
//! dropped, and asked for again.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::entry::Channel;
use daybook_shared::ids::PaymentId;
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::Timestamp;

use super::state::{Course, Purpose, Stage};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::gateways::{Failure, GatewayName, StartRequest};
use crate::on_db;

/// How long whoever takes a row has it: longer than any call.
const IN_HAND_MS: i64 = 60_000;

/// A payment in the app.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AppPayment {
    /// The payment.
    pub payment: PaymentId,
    /// The account's number.
    pub account_number: String,
    /// How much was asked for, and once paid, came.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// What it is for.
    pub purpose: Purpose,
    /// Through whom.
    pub gateway: GatewayName,
    /// How far it is.
    pub stage: Stage,
    /// The payer's phone.
    pub phone: Option<String>,
    /// Where his browser goes back to.
    pub return_url: Option<String>,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When we stop to wait.
    pub expires_at: Timestamp,
    /// How often in a row it was asked for.
    pub tries: i64,
    /// When it is asked for next.
    pub next_at: Option<Timestamp>,
}

impl AppPayment {
    /// What its next step depends on.
    pub fn course(&self) -> Course {
        Course { stage: self.stage, tries: self.tries, expires_at: self.expires_at }
    }

    /// What its gateway is to ask for; none when who pays was erased.
    pub fn start_request(&self) -> Option<StartRequest> {
        Some(StartRequest {
            reference: self.payment,
            amount: Money::new(self.amount_minor, self.currency),
            account_number: self.account_number.clone(),
            payer: self.phone.clone().or_else(|| self.return_url.clone())?,
            expires_at: super::state::pay_until(self.expires_at),
        })
    }
}

/// How the money of a gateway comes.
pub fn channel_of(gateway: GatewayName) -> Channel {
    match gateway {
        GatewayName::MobileMoney => Channel::MobileMoney,
        GatewayName::Card => Channel::Card,
    }
}

macro_rules! select {
    () => {
        "select b.payment_uid as payment, a.number as account_number, p.amount_minor, p.currency, b.purpose, b.gateway,
           b.stage, b.phone, b.return_url, b.begun_at, b.expires_at, b.tries, b.next_at
         from app_payment b join payment p on p.uid = b.payment_uid join account a on a.id = b.account_id "
    };
}

const ONE: &str = concat!(select!(), "where b.payment_uid = $1");

macro_rules! due {
    ($lock:literal) => {
        concat!(
            "with due as (select o.payment_uid as uid from app_payment o where o.next_at <= $1
               order by o.next_at, o.payment_uid limit $2",
            $lock,
            ") ",
            select!(),
            "join due on due.uid = b.payment_uid"
        )
    };
}

const DUE: &str = due!("");
// What somebody else has in hand at this moment is not waited for.
const DUE_LOCKED: &str = due!(" for no key update skip locked");

/// One of them.
pub async fn find(tx: &mut Tx, payment: PaymentId) -> sqlx::Result<Option<AppPayment>> {
    on_db!(tx, conn => sqlx::query_as(ONE).bind(payment).fetch_optional(conn).await)
}

/// Where somebody else has it in hand by now, or its call may be begun again, it is for who takes it.
const TAKEN: &str =
    concat!(select!(), "join v on v.payment = b.payment_uid and v.until = b.next_at where b.stage <> 'created'");

/// Those of them that are still in hand, in the order in which they are named.
pub async fn find_taken(tx: &mut Tx, taken: &[Taken]) -> sqlx::Result<Vec<AppPayment>> {
    let rows: Vec<AppPayment> = batch::fetch(tx, taken, TAKEN).await?;
    let mut rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.payment, row)).collect();
    Ok(taken.iter().filter_map(|taken| rows.remove(&taken.payment)).collect())
}

/// A payment to be written down.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration")]
pub struct NewAppPayment {
    pub payment: PaymentId,
    pub account_id: i64,
    pub purpose: Purpose,
    pub gateway: GatewayName,
    pub content: Vec<u8>,
    pub phone: Option<String>,
    pub return_url: Option<String>,
    pub begun_by: i64,
    pub begun_at: Timestamp,
    pub expires_at: Timestamp,
}

const INSERT: &str = "insert into app_payment (payment_uid, account_id, purpose, gateway, stage, content, phone,
       return_url, begun_by, begun_at, expires_at, next_at, tries)
     values ($1, $2, $3, $4, 'created', $5, $6, $7, $8, $9, $10, $9, 0)";

/// Writes one down; it is due at once.
pub async fn insert(tx: &mut Tx, new: &NewAppPayment) -> sqlx::Result<()> {
    on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(new.payment)
            .bind(new.account_id)
            .bind(new.purpose)
            .bind(new.gateway)
            .bind(&new.content)
            .bind(&new.phone)
            .bind(&new.return_url)
            .bind(new.begun_by)
            .bind(new.begun_at)
            .bind(new.expires_at)
            .execute(conn)
            .await
            .map(|_| ())
    })
}

const TAKE: &str = "update app_payment set stage = $2, next_at = $3
     where payment_uid = $1 and stage = $4 and next_at <= $5";

/// Takes a row in hand, if it is due and nobody has: until when. What was created is starting from here on.
pub async fn take(tx: &mut Tx, row: &AppPayment, now: Timestamp) -> sqlx::Result<Option<Timestamp>> {
    let stage = if row.stage == Stage::Created { Stage::Starting } else { row.stage };
    let until = now.plus_ms(IN_HAND_MS);
    let taken = on_db!(tx, conn => {
        sqlx::query(TAKE).bind(row.payment).bind(stage).bind(until).bind(row.stage).bind(now).execute(conn).await
            .map(|done| done.rows_affected())
    })?;
    Ok((taken == 1).then_some(until))
}

batch_row! {
    /// A payment that somebody has in hand.
    pub struct Taken {
        /// The payment.
        payment: PaymentId => "uuid",
        /// Until when.
        until: Timestamp => "timestamptz",
    }
}

batch_row! {
    struct HintRow { payment: PaymentId => "uuid", at: Timestamp => "timestamptz" }
}

/// Whoever began one asks about it before anybody else does.
const HINT: &str = "update app_payment set next_at = v.at, tries = 0 from v
     where app_payment.payment_uid = v.payment and app_payment.stage <> 'created' returning app_payment.payment_uid";

/// A gateway hinted at these: from then on they are looked at. Gives those that are.
pub async fn hint(tx: &mut Tx, payments: &[PaymentId], at: Timestamp) -> sqlx::Result<Vec<PaymentId>> {
    let rows: Vec<_> = payments.iter().map(|payment| HintRow { payment: *payment, at }).collect();
    let hinted: Vec<(PaymentId,)> = batch::fetch(tx, &rows, HINT).await?;
    Ok(hinted.into_iter().map(|(payment,)| payment).collect())
}

/// A gateway hinted at these: they are in hand now, whoever had them.
pub async fn take_hinted(tx: &mut Tx, payments: &[PaymentId], now: Timestamp) -> sqlx::Result<Vec<Taken>> {
    let until = now.plus_ms(IN_HAND_MS);
    let taken = hint(tx, payments, until).await?;
    Ok(taken.into_iter().map(|payment| Taken { payment, until }).collect())
}

batch_row! {
    struct TakeRow {
        payment: PaymentId => "uuid",
        from_stage: Stage => "text",
        to_stage: Stage => "text",
        now: Timestamp => "timestamptz",
        until: Timestamp => "timestamptz",
    }
}

const TAKE_ALL: &str = "update app_payment set stage = v.to_stage, next_at = v.until from v
     where app_payment.payment_uid = v.payment and app_payment.stage = v.from_stage and app_payment.next_at <= v.now
     returning app_payment.payment_uid";

/// Takes some of the rows in hand that are due, the longest due first: they, and until when.
pub async fn take_due(tx: &mut Tx, now: Timestamp, limit: usize) -> sqlx::Result<(Vec<AppPayment>, Timestamp)> {
    let until = now.plus_ms(IN_HAND_MS);
    let sql = if tx.is_postgres() { DUE_LOCKED } else { DUE };
    let mut due: Vec<AppPayment> = on_db!(&mut *tx, conn => sqlx::query_as(sql).bind(now).bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(conn).await)?;
    let rows = due.iter().map(|row| TakeRow {
        payment: row.payment,
        from_stage: row.stage,
        to_stage: if row.stage == Stage::Created { Stage::Starting } else { row.stage },
        now,
        until,
    });
    let taken: Vec<(PaymentId,)> = batch::fetch(tx, &rows.collect::<Vec<_>>(), TAKE_ALL).await?;
    let taken: BTreeSet<_> = taken.into_iter().map(|(payment,)| payment).collect();
    due.retain(|row| taken.contains(&row.payment));
    due.sort_by_key(|row| (row.next_at, row.payment));
    Ok((due, until))
}

/// Where a row goes from what was read of it.
#[derive(Debug, Clone)]
pub struct Move {
    /// The payment.
    pub payment: PaymentId,
    /// From where.
    pub from: Stage,
    /// To where.
    pub to: Stage,
    /// Until when it was in hand.
    pub in_hand: Timestamp,
    /// When it is asked for next.
    pub next_at: Option<Timestamp>,
    /// How often it was.
    pub tries: i64,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Where the payer goes on, if that is news.
    pub redirect_url: Option<String>,
    /// What statements call it, if that is news.
    pub external_ref: Option<String>,
    /// Now.
    pub at: Timestamp,
}

/// A hint that came meanwhile stands: the row is looked at again, sooner.
const MOVE: &str = "update app_payment set stage = $3, tries = $4, failure = coalesce($5, failure),
       redirect_url = coalesce($6, redirect_url), settled_at = coalesce(settled_at, $7),
       next_at = case when next_at = $8 then $9 else next_at end
     where payment_uid = $1 and stage = $2";
const SET_STATE: &str = "update payment set state = $2 where uid = $1 and state = 'pending'";
const SET_REFERENCE: &str =
    "update payment set external_ref = $2 where uid = $1 and external_ref is null and state = 'pending'";

/// Moves a row, with its payment's state; false when it is not where it was read.
pub async fn move_on(tx: &mut Tx, step: &Move) -> sqlx::Result<bool> {
    let settled_at = step.to.is_over().then_some(step.at);
    let moved = on_db!(&mut *tx, conn => {
        sqlx::query(MOVE)
            .bind(step.payment)
            .bind(step.from)
            .bind(step.to)
            .bind(step.tries)
            .bind(step.failure)
            .bind(&step.redirect_url)
            .bind(settled_at)
            .bind(step.in_hand)
            .bind(step.next_at)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    if moved == 0 {
        return Ok(false);
    }
    if let Some(external_ref) = &step.external_ref {
        on_db!(&mut *tx, conn => {
            sqlx::query(SET_REFERENCE).bind(step.payment).bind(external_ref).execute(conn).await.map(|_| ())
        })?;
    }
    let state = match step.to {
        Stage::Failed => "failed",
        Stage::Expired => "expired",
        Stage::Created | Stage::Starting | Stage::Sent | Stage::Paid => return Ok(true),
    };
    on_db!(tx, conn => sqlx::query(SET_STATE).bind(step.payment).bind(state).execute(conn).await.map(|_| ()))?;
    Ok(true)
}

batch_row! {
    /// A payment about which there is nothing left to ask.
    pub struct Rest {
        /// The payment.
        payment: PaymentId => "uuid",
        /// Until when it was in hand.
        in_hand: Timestamp => "timestamptz",
    }
}

const REST: &str = "update app_payment set tries = 0, next_at = null from v
     where app_payment.payment_uid = v.payment and app_payment.next_at = v.in_hand";

/// There is nothing left to ask, unless a hint came meanwhile.
pub async fn rest(tx: &mut Tx, rows: &[Rest]) -> sqlx::Result<()> {
    batch::execute(tx, rows, REST).await.map(drop)
}
