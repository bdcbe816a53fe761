//! Whose a provider's subject is here: the user it is linked with.
//!
//! A subject is linked by hand, or, where the lender says so, when somebody first signs in whose verified
//! e-mail address is a user's login. An address may later be another's: whoever is linked already is found
//! by his subject alone, and gets no second one by an address.

use daybook_shared::ids::UserId;
use daybook_shared::time::Timestamp;
use serde_json::json;

use super::Person;
use crate::audit::{self, Actor};
use crate::auth::users;
use crate::db::Tx;
use crate::on_db;

/// What may link a subject that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstLink {
    /// A person, by hand.
    ByHand,
    /// A verified e-mail address that is a login.
    ByEmail,
}

/// A user who may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Linked {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: UserId,
    /// Whether he may sign in.
    pub active: bool,
}

const SELECT: &str = "
    select u.id, u.uid, u.active from identity_link l join app_user u on u.id = l.user_id
    where l.issuer = $1 and l.subject = $2 and u.customer_id is null";
const SELECT_CUSTOMERS: &str = "
    select u.id, u.uid, u.active from identity_link l join app_user u on u.id = l.user_id
    where l.issuer = $1 and l.subject = $2 and u.customer_id is not null";
const COUNT: &str = "select cast(count(*) as bigint) from identity_link where issuer = $1 and user_id = $2";
const INSERT: &str = "
    insert into identity_link (issuer, subject, user_id, linked_at) values ($1, $2, $3, $4) on conflict do nothing";
const DELETE: &str = "delete from identity_link where user_id = $1";

/// The active user somebody is; none if he is nobody's, or no longer active.
pub async fn resolve(
    tx: &mut Tx,
    now: Timestamp,
    (issuer, first): (&str, FirstLink),
    person: &Person,
) -> sqlx::Result<Option<Linked>> {
    let known = find(tx, issuer, &person.subject).await?;
    if known.is_some() || first == FirstLink::ByHand {
        return Ok(known.filter(|user| user.active));
    }
    let Some(email) = &person.email else { return Ok(None) };
    let Some(user) = users::by_login(tx, email).await?.filter(|user| user.active) else { return Ok(None) };
    let linked: i64 =
        on_db!(&mut *tx, conn => sqlx::query_scalar(COUNT).bind(issuer).bind(user.id).fetch_one(conn).await)?;
    if linked > 0 {
        return Ok(None);
    }
    set(tx, now, Actor::user(user.id), (user.id, user.uid), (issuer, &person.subject)).await?;
    Ok(find(tx, issuer, &person.subject).await?.filter(|user| user.active))
}

async fn find(tx: &mut Tx, issuer: &str, subject: &str) -> sqlx::Result<Option<Linked>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(issuer).bind(subject).fetch_optional(conn).await)
}

/// The login of a customer that a subject is linked with, active or not.
pub async fn customers(tx: &mut Tx, issuer: &str, subject: &str) -> sqlx::Result<Option<Linked>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_CUSTOMERS).bind(issuer).bind(subject).fetch_optional(conn).await)
}

/// Links a subject with a user; false if it is linked with somebody already.
pub async fn set(
    tx: &mut Tx,
    now: Timestamp,
    actor: Actor,
    (user_id, user): (i64, UserId),
    (issuer, subject): (&str, &str),
) -> sqlx::Result<bool> {
    let set = on_db!(&mut *tx, conn => {
        let query = sqlx::query(INSERT).bind(issuer).bind(subject).bind(user_id).bind(now);
        query.execute(conn).await.map(|done| done.rows_affected())
    })?;
    if set > 0 {
        audit::record(tx, now, actor, "user.identity_linked", user, json!({ "issuer": issuer })).await?;
    }
    Ok(set > 0)
}

/// Ends all links of a user; returns how many there were.
pub async fn clear(tx: &mut Tx, now: Timestamp, actor: Actor, (user_id, user): (i64, UserId)) -> sqlx::Result<u64> {
    let cleared = on_db!(&mut *tx, conn => {
        sqlx::query(DELETE).bind(user_id).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if cleared > 0 {
        audit::record(tx, now, actor, "user.identity_unlinked", user, json!({ "links": cleared })).await?;
    }
    Ok(cleared)
}
