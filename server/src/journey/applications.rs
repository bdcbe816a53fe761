//! The rows of applications and of their attempts.

use daybook_shared::ids::{AccountId, ApplicationId, OrderId, QuoteId};
use daybook_shared::time::Timestamp;
use uuid::Uuid;

use super::offers::Segment;
use super::orders::Channel;
use super::states::{ApplicationState, AttemptState, Reason};
use crate::db::Tx;
use crate::on_db;

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Application {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: ApplicationId,
    /// Key of the customer.
    pub customer_id: i64,
    /// Key of the quote it is for.
    pub quote_id: i64,
    /// The quote it is for.
    pub quote: QuoteId,
    /// Key of the order it pays for.
    pub order_id: Option<i64>,
    /// The order it pays for.
    pub order: Option<OrderId>,
    /// Key of the unit its account will belong to.
    pub unit_id: i64,
    /// How far it is.
    pub state: ApplicationState,
    /// Why it was rejected.
    pub reason: Option<Reason>,
    /// Whether other providers may be asked when one declines.
    pub cascade_ok: bool,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// Until when the customer may sign.
    pub approval_expires_at: Option<Timestamp>,
    /// The account it became.
    pub account: Option<AccountId>,
    /// Its version, for ETag.
    pub row_version: i64,
}

macro_rules! columns {
    () => {
        "select a.id, a.uid, a.customer_id, a.quote_id, q.uid as quote, a.order_id, o.uid as \"order\", a.unit_id, a.state, a.reason,
           a.cascade_ok, a.submitted_at, a.decided_at, a.approval_expires_at, n.uid as account, a.row_version
         from application a join quote q on q.id = a.quote_id left join shop_order o on o.id = a.order_id
           left join account n on n.id = a.account_id "
    };
}
const SELECT: &str = concat!(columns!(), "where a.uid = $1");
const SELECT_BY_KEY: &str = concat!(columns!(), "where a.id = $1");
const SELECT_OF_QUOTE: &str = "select uid from application where quote_id = $1";
const PAGE_OWN: &str = concat!(
    columns!(),
    "where a.customer_id = $1 and a.id < coalesce((select id from application where uid = $2), 9223372036854775807)
     order by a.id desc limit $3"
);
// Whatever is decided, signed or taken back about an application waits for the row of its customer.
const LOCK_CUSTOMER: &str = "update customer set row_version = row_version where id = $1";
const INSERT: &str =
    "insert into application (uid, customer_id, quote_id, order_id, unit_id, channel, segment, state, cascade_ok,
       submitted_at, row_version, by_user)
     values ($1, $2, $3, $4, $5, $6, $7, 'deciding', $8, $9, 1, $10) on conflict do nothing returning id";
const DECIDE: &str = "update application set state = $2, reason = $3, decided_at = $4, approval_expires_at = $5,
       ended_at = $6, row_version = row_version + 1
     where id = $1 and state = 'deciding'";
const END: &str = "update application set state = $2, ended_at = $3, row_version = row_version + 1
     where id = $1 and state in ('deciding', 'approved')";
const ACCEPT: &str =
    "update application set state = 'accepted', account_id = $2, ended_at = $3, row_version = row_version + 1
     where id = $1 and state = 'approved'";
const OVERDUE: &str = "select id, customer_id from application where ended_at is null
       and (state = 'approved' and approval_expires_at <= $1 or state = 'deciding' and submitted_at <= $2)
     order by id limit $3";
const OTHERS_OPEN: &str = "select cast(count(*) as bigint) from application
     where customer_id = $1 and id <> $2 and ended_at is null";

/// An application to be written down.
#[derive(Debug, Clone)]
pub struct NewApplication {
    /// Id, which its maker chose.
    pub uid: ApplicationId,
    /// Key of the customer.
    pub customer_id: i64,
    /// Key of the quote.
    pub quote_id: i64,
    /// Key of the order.
    pub order_id: Option<i64>,
    /// Key of the unit.
    pub unit_id: i64,
    /// Where it was made.
    pub channel: Channel,
    /// What the customer is to us.
    pub segment: Segment,
    /// Whether other providers may be asked when one declines.
    pub cascade_ok: bool,
    /// Key of who submitted it.
    pub by_user: i64,
}

/// Holds a customer's applications until the end of the transaction: of two requests about them the second
/// sees what the first did.
pub async fn lock(tx: &mut Tx, customer_id: i64) -> sqlx::Result<()> {
    on_db!(tx, conn => sqlx::query(LOCK_CUSTOMER).bind(customer_id).execute(conn).await.map(|_| ()))
}

/// The application with this id.
pub async fn find(tx: &mut Tx, application: ApplicationId) -> sqlx::Result<Option<Application>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(application).fetch_optional(conn).await)
}

/// The application with this key.
pub async fn by_key(tx: &mut Tx, id: i64) -> sqlx::Result<Application> {
    on_db!(tx, conn => sqlx::query_as(SELECT_BY_KEY).bind(id).fetch_one(conn).await)
}

/// The application that uses a quote.
pub async fn of_quote(tx: &mut Tx, quote_id: i64) -> sqlx::Result<Option<ApplicationId>> {
    on_db!(tx, conn => sqlx::query_scalar(SELECT_OF_QUOTE).bind(quote_id).fetch_optional(conn).await)
}

/// A customer's applications, the newest first.
pub async fn page_own(
    tx: &mut Tx,
    customer_id: i64,
    (after, limit): (Option<ApplicationId>, i64),
) -> sqlx::Result<Vec<Application>> {
    on_db!(tx, conn => sqlx::query_as(PAGE_OWN).bind(customer_id).bind(after).bind(limit).fetch_all(conn).await)
}

/// How many others of the customer are open.
pub async fn others_open(tx: &mut Tx, customer_id: i64, but: i64) -> sqlx::Result<i64> {
    on_db!(tx, conn => sqlx::query_scalar(OTHERS_OPEN).bind(customer_id).bind(but).fetch_one(conn).await)
}

/// Writes an application down; its key, or none when its id or its quote came to be in use meanwhile.
pub async fn insert(tx: &mut Tx, now: Timestamp, new: &NewApplication) -> sqlx::Result<Option<i64>> {
    on_db!(tx, conn => {
        sqlx::query_scalar(INSERT)
            .bind(new.uid)
            .bind(new.customer_id)
            .bind(new.quote_id)
            .bind(new.order_id)
            .bind(new.unit_id)
            .bind(new.channel)
            .bind(new.segment)
            .bind(new.cascade_ok)
            .bind(now)
            .bind(new.by_user)
            .fetch_optional(conn)
            .await
    })
}

/// What a provider's answer makes of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// What it is now.
    pub state: ApplicationState,
    /// Why not.
    pub reason: Option<Reason>,
    /// Until when the customer may sign.
    pub approval_expires_at: Option<Timestamp>,
}

/// Writes down that it is decided; false when it was not waiting for that.
pub async fn decide(tx: &mut Tx, now: Timestamp, id: i64, decided: Decided) -> sqlx::Result<bool> {
    let Decided { state, reason, approval_expires_at } = decided;
    let touched = on_db!(tx, conn => {
        sqlx::query(DECIDE)
            .bind(id)
            .bind(state)
            .bind(reason)
            .bind(now)
            .bind(approval_expires_at)
            .bind((!state.is_open()).then_some(now))
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(touched == 1)
}

/// Writes down that it is cancelled; false when it was over already.
pub async fn end(tx: &mut Tx, now: Timestamp, id: i64, state: ApplicationState) -> sqlx::Result<bool> {
    let touched = on_db!(tx, conn => {
        sqlx::query(END).bind(id).bind(state).bind(now).execute(conn).await.map(|done| done.rows_affected())
    })?;
    Ok(touched == 1)
}

/// Writes down that it was signed, and which account it became; false when it could not be signed.
pub async fn accept(tx: &mut Tx, now: Timestamp, id: i64, account_id: i64) -> sqlx::Result<bool> {
    let touched = on_db!(tx, conn => {
        sqlx::query(ACCEPT).bind(id).bind(account_id).bind(now).execute(conn).await.map(|done| done.rows_affected())
    })?;
    Ok(touched == 1)
}

const EXPIRE: &str = "update application set state = 'expired', ended_at = $2, row_version = row_version + 1
     where id = $1 and (state = 'approved' and approval_expires_at <= $2 or state = 'deciding' and submitted_at <= $3)";

/// Writes down that an application has expired; false when its time is not over, or it is.
pub async fn expire(tx: &mut Tx, (now, undecided_since): (Timestamp, Timestamp), id: i64) -> sqlx::Result<bool> {
    let touched = on_db!(tx, conn => {
        sqlx::query(EXPIRE).bind(id).bind(now).bind(undecided_since).execute(conn).await.map(|done| done.rows_affected())
    })?;
    Ok(touched == 1)
}

/// Applications, with their customers, that were approved and not signed in time, or never decided.
pub async fn overdue(
    tx: &mut Tx,
    (now, undecided_since): (Timestamp, Timestamp),
    limit: i64,
) -> sqlx::Result<Vec<(i64, i64)>> {
    on_db!(tx, conn => {
        sqlx::query_as(OVERDUE).bind(now).bind(undecided_since).bind(limit).fetch_all(conn).await
    })
}

/// An asking of a provider.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Attempt {
    /// Key.
    pub id: i64,
    /// Id: our reference with the provider.
    pub uid: Uuid,
    /// Which of the application, from 1.
    pub n: i64,
    /// The provider's code.
    pub provider: String,
    /// How far it is.
    pub state: AttemptState,
    /// Why not.
    pub reason: Option<Reason>,
}

const ATTEMPTS: &str = "select id, uid, n, provider, state, reason from attempt where application_id = $1 order by n";
const INSERT_ATTEMPT: &str = "insert into attempt (uid, application_id, n, provider, state, created_at, updated_at)
     values ($1, $2, $3, $4, 'created', $5, $5) returning id";
const UPDATE_ATTEMPT: &str = "update attempt set state = $2, reason = $3, raw_code = $4, updated_at = $5 where id = $1";

/// An application's attempts, in order.
pub async fn attempts(tx: &mut Tx, application_id: i64) -> sqlx::Result<Vec<Attempt>> {
    on_db!(tx, conn => sqlx::query_as(ATTEMPTS).bind(application_id).fetch_all(conn).await)
}

/// Writes down that a provider is about to be asked, before he is.
pub async fn begin_attempt(
    tx: &mut Tx,
    now: Timestamp,
    application_id: i64,
    (uid, n, provider): (Uuid, i64, &str),
) -> sqlx::Result<Attempt> {
    let id = on_db!(tx, conn => {
        sqlx::query_scalar(INSERT_ATTEMPT)
            .bind(uid)
            .bind(application_id)
            .bind(n)
            .bind(provider)
            .bind(now)
            .fetch_one(conn)
            .await
    })?;
    let (provider, state) = (provider.to_owned(), AttemptState::Created);
    Ok(Attempt { id, uid, n, provider, state, reason: None })
}

/// Writes down what was heard of an attempt.
pub async fn heard(
    tx: &mut Tx,
    now: Timestamp,
    attempt_id: i64,
    (state, reason, raw_code): (AttemptState, Option<Reason>, Option<&str>),
) -> sqlx::Result<()> {
    on_db!(tx, conn => {
        sqlx::query(UPDATE_ATTEMPT)
            .bind(attempt_id)
            .bind(state)
            .bind(reason)
            .bind(raw_code)
            .bind(now)
            .execute(conn)
            .await
            .map(|_| ())
    })
}
