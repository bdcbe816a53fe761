//! A short code, printed or shown as a QR in a store, that takes on the customer's phone what began there.
//!
//! Whoever has the code has the order, so it is good for an hour and for one customer. Only its hash is kept.

use daybook_shared::ids::{Hash, sha256};
use daybook_shared::time::Timestamp;

use crate::app::SharedRng;
use crate::auth::codes;
use crate::db::Tx;
use crate::on_db;

/// How long a code is good for.
pub const MINUTES: i64 = 60;
/// How long a code that is over is remembered, to say so.
const KEPT_DAYS: i64 = 7;

const INSERT: &str =
    "insert into resume_code (hash, order_id, created_by, created_at, expires_at) values ($1, $2, $3, $4, $5)";
const SELECT: &str = "select c.order_id, c.expires_at, u.customer_id as used_by from resume_code c
     left join app_user u on u.id = c.used_by where c.hash = $1";
const USE: &str = "update resume_code set used_by = $2, used_at = $3 where hash = $1 and used_by is null";
const FORGET: &str = "delete from resume_code where hash in
       (select hash from resume_code where expires_at < $1 order by expires_at limit $2)";

/// A code that was made.
#[derive(Debug, Clone)]
pub struct Issued {
    /// As it is shown: `7KQM-02XF`.
    pub code: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Makes a code for an order.
pub async fn issue(
    tx: &mut Tx,
    (now, rng): (Timestamp, &SharedRng),
    (order_id, by_user): (i64, i64),
) -> sqlx::Result<Issued> {
    let code = codes::grouped::<8>(rng);
    let expires_at = now.plus_ms(MINUTES * 60_000);
    on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(hash(&code))
            .bind(order_id)
            .bind(by_user)
            .bind(now)
            .bind(expires_at)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    Ok(Issued { code, expires_at })
}

/// What a code is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redeemed {
    /// The order with this key.
    Order(i64),
    /// Nothing: there is no such code, its time is over, or another customer used it.
    Nothing,
}

/// Uses a code. The same customer may use it again.
pub async fn redeem(
    tx: &mut Tx,
    now: Timestamp,
    typed: &str,
    (user_id, customer_id): (i64, i64),
) -> sqlx::Result<Redeemed> {
    let hash = hash(typed);
    let row: Option<(i64, Timestamp, Option<i64>)> =
        on_db!(&mut *tx, conn => sqlx::query_as(SELECT).bind(hash).fetch_optional(conn).await)?;
    let Some((order_id, expires_at, used_by)) = row else { return Ok(Redeemed::Nothing) };
    match used_by {
        Some(used_by) if used_by == customer_id => return Ok(Redeemed::Order(order_id)),
        Some(_) => return Ok(Redeemed::Nothing),
        None if expires_at <= now => return Ok(Redeemed::Nothing),
        None => {}
    }
    let used = on_db!(tx, conn => {
        sqlx::query(USE).bind(hash).bind(user_id).bind(now).execute(conn).await.map(|done| done.rows_affected())
    })?;
    Ok(if used == 1 { Redeemed::Order(order_id) } else { Redeemed::Nothing })
}

/// Forgets codes that are over.
pub async fn forget(tx: &mut Tx, now: Timestamp, limit: i64) -> sqlx::Result<u64> {
    let before = now.plus_ms(-KEPT_DAYS * daybook_shared::time::DAY_MS);
    on_db!(tx, conn => {
        sqlx::query(FORGET).bind(before).bind(limit).execute(conn).await.map(|done| done.rows_affected())
    })
}

fn hash(typed: &str) -> Hash {
    Hash(sha256(&[b"daybook/resume-code/1", codes::normalised(typed).as_bytes()]))
}
