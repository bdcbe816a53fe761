//! Orders to erase a customer: their rows and states.

use daybook_shared::ids::{CustomerId, UserId};
use daybook_shared::time::Timestamp;
use uuid::Uuid;

use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::spelled::spelled;
use crate::{on_db, visible_units};

spelled! {
    /// Why somebody is erased.
    Ground {
        /// He asked for it.
        Request = "request",
        /// The time his data is kept has passed.
        Retention = "retention",
    }
}

spelled! {
    /// How far an order is.
    State {
        /// One person proposed it.
        Proposed = "proposed",
        /// Another refused it.
        Rejected = "rejected",
        /// Another approved it, or the settings did.
        Approved = "approved",
        /// It is being carried out: nothing new is kept.
        Erasing = "erasing",
        /// It is done.
        Done = "done",
    }
}

/// An order as lists show it.
#[derive(Debug, sqlx::FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct ErasureView {
    /// The order.
    pub id: Uuid,
    /// The customer.
    pub customer: CustomerId,
    /// request or retention.
    pub ground: String,
    /// proposed, rejected, approved, erasing or done.
    pub state: String,
    /// Who proposed it; null where the settings did.
    pub proposed_by: Option<UserId>,
    /// When.
    pub proposed_at: Timestamp,
    /// Who decided.
    pub decided_by: Option<UserId>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// When it was done.
    pub done_at: Option<Timestamp>,
}

/// A customer `k` whose erasure has to wait: an account is open, he is owed money, a payment of his is under way,
/// or something about him waits for a person.
macro_rules! unsettled {
    () => {
        "(exists (select 1 from account a where a.customer_id = k.id and (a.status <> 'closed' or a.credit_minor <> 0))
          or exists (select 1 from account a join payment p on p.account_id = a.id
                     where a.customer_id = k.id and p.state = 'pending')
          or exists (select 1 from account a join dossier d on d.account_id = a.id join entry e on e.dossier_id = d.id
                       left join correction c on c.entry_uid = e.uid
                     where a.customer_id = k.id and (e.outcome = 'held' or c.status = 'requested'))
          or exists (select 1 from account a join goods_return r on r.account_id = a.id
                     where a.customer_id = k.id and r.state not in ('closed', 'rejected'))
          or exists (select 1 from account a join refund f on f.account_id = a.id
                     where a.customer_id = k.id and f.state <> 'succeeded'
                       and not exists (select 1 from refund n where n.replaces_id = f.id))
          or exists (select 1 from account a join plan_complaint c on c.account_id = a.id
                     where a.customer_id = k.id and c.ended_at is null))"
    };
}

/// A customer `k` all of whose accounts the user reaches, and the unit that serves him. One who came by himself
/// and never bought is the whole lender's.
macro_rules! reached {
    () => {
        "(not exists (select 1 from account a where a.customer_id = k.id
                        and a.unit_id not in (select id from visible))
          and (k.unit_id is null or k.unit_id in (select id from visible))
          and (k.unit_id is not null or exists (select 1 from account a where a.customer_id = k.id)
               or exists (select 1 from visible v join unit n on n.id = v.id where n.parent_id is null)))"
    };
}

const PAGE: &str = concat!(
    visible_units!(),
    "select r.uid as id, k.uid as customer, r.ground, r.state, p.uid as proposed_by, r.proposed_at, u.uid as decided_by,
       r.decided_at, r.done_at
     from erasure r join customer k on k.id = r.customer_id left join app_user p on p.id = r.proposed_by
       left join app_user u on u.id = r.decided_by
     where r.id > coalesce((select id from erasure where uid = $3), 0) and ",
    reached!(),
    " order by r.id limit $4"
);

/// Orders about customers that the user reaches, oldest first.
pub async fn page(
    tx: &mut Tx,
    (by, roles): (i64, String),
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<ErasureView>> {
    on_db!(tx, conn => sqlx::query_as(PAGE).bind(by).bind(roles).bind(after).bind(limit).fetch_all(conn).await)
}

const CUSTOMER: &str = concat!(
    visible_units!(),
    "select k.id, ",
    unsettled!(),
    " as unsettled, (select r.uid from erasure r where r.customer_id = k.id and r.state <> 'rejected') as known
     from customer k where k.uid = $3 and ",
    reached!()
);

/// A customer that an order may be about.
#[derive(Debug, sqlx::FromRow)]
pub struct Subject {
    /// Row key.
    pub id: i64,
    /// Something about him is not settled.
    pub unsettled: bool,
    /// The order there is about him, unless it was rejected.
    pub known: Option<Uuid>,
}

/// A customer whom the user reaches.
pub async fn subject(tx: &mut Tx, (by, roles): (i64, String), customer: CustomerId) -> sqlx::Result<Option<Subject>> {
    on_db!(tx, conn => sqlx::query_as(CUSTOMER).bind(by).bind(roles).bind(customer).fetch_optional(conn).await)
}

const ONE: &str = concat!(
    visible_units!(),
    "select r.id, r.state, r.proposed_by, ",
    unsettled!(),
    " as unsettled from erasure r join customer k on k.id = r.customer_id where r.uid = $3 and ",
    reached!()
);

/// An order that is to be decided on.
#[derive(Debug, sqlx::FromRow)]
pub struct Proposal {
    /// Row key.
    pub id: i64,
    /// How far it is.
    pub state: State,
    /// Who proposed it.
    pub proposed_by: Option<i64>,
    /// Something about the customer is not settled.
    pub unsettled: bool,
}

/// An order about a customer whom the user reaches.
pub async fn proposal(tx: &mut Tx, (by, roles): (i64, String), order: Uuid) -> sqlx::Result<Option<Proposal>> {
    on_db!(tx, conn => sqlx::query_as(ONE).bind(by).bind(roles).bind(order).fetch_optional(conn).await)
}

const PROPOSE: &str = "insert into erasure (uid, customer_id, ground, state, proposed_by, proposed_at)
     values ($1, $2, 'request', 'proposed', $3, $4) on conflict do nothing";
const IS_OF: &str = "select customer_id from erasure where uid = $1";

/// Writes a proposal down; whether there was none under this id or about this customer.
pub async fn propose(tx: &mut Tx, order: Uuid, customer_id: i64, (by, now): (i64, Timestamp)) -> sqlx::Result<bool> {
    on_db!(tx, conn => {
        sqlx::query(PROPOSE).bind(order).bind(customer_id).bind(by).bind(now).execute(conn).await
            .map(|done| done.rows_affected() == 1)
    })
}

/// The customer of the order with this id, if there is one.
pub async fn customer_of(tx: &mut Tx, order: Uuid) -> sqlx::Result<Option<i64>> {
    on_db!(tx, conn => sqlx::query_scalar(IS_OF).bind(order).fetch_optional(conn).await)
}

const DECIDE: &str = "update erasure set state = $2, decided_by = $3, decided_at = $4 where id = $1";

/// Writes a decision down.
pub async fn decide(tx: &mut Tx, order_id: i64, state: State, (by, now): (i64, Timestamp)) -> sqlx::Result<()> {
    on_db!(tx, conn => {
        sqlx::query(DECIDE).bind(order_id).bind(state).bind(by).bind(now).execute(conn).await.map(|_| ())
    })
}

/// An order that is to be carried out.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Due {
    /// Row key.
    pub id: i64,
    /// The order.
    pub uid: Uuid,
    /// Key of the customer.
    pub customer_id: i64,
    /// The customer.
    pub customer: CustomerId,
}

const SELECT_DUE: &str = concat!(
    "select r.id, r.uid, r.customer_id, k.uid as customer from erasure r join customer k on k.id = r.customer_id
     where r.state = 'approved' and not ",
    unsettled!(),
    " order by r.id limit $1"
);
const SELECT_BEGUN: &str = "select r.id, r.uid, r.customer_id, k.uid as customer
     from erasure r join customer k on k.id = r.customer_id where r.state = 'erasing' order by r.id";

/// Approved orders whose time has come.
pub async fn due(app: &App, limit: i64) -> sqlx::Result<Vec<Due>> {
    let mut tx = app.db.read().await?;
    on_db!(&mut tx, conn => sqlx::query_as(SELECT_DUE).bind(limit).fetch_all(conn).await)
}

/// Orders that are being carried out.
pub async fn begun(app: &App) -> sqlx::Result<Vec<Due>> {
    let mut tx = app.db.read().await?;
    on_db!(&mut tx, conn => sqlx::query_as(SELECT_BEGUN).fetch_all(conn).await)
}

const IS_UNSETTLED: &str = concat!("select ", unsettled!(), " from customer k where k.id = $1");

/// Whether something about a customer is not settled, read under the locks of his cases.
pub async fn is_unsettled(tx: &mut Tx, customer_id: i64) -> sqlx::Result<bool> {
    on_db!(tx, conn => sqlx::query_scalar(IS_UNSETTLED).bind(customer_id).fetch_one(conn).await)
}

const BEGIN: &str = "update erasure set state = 'erasing' where id = $1 and state = 'approved'";
const FINISH: &str = "update erasure set state = 'done', done_at = $2 where id = $1 and state = 'erasing'";

/// An approved order is being carried out; whether it was not before.
pub async fn begin(tx: &mut Tx, order_id: i64) -> sqlx::Result<bool> {
    on_db!(tx, conn => {
        sqlx::query(BEGIN).bind(order_id).execute(conn).await.map(|done| done.rows_affected() == 1)
    })
}

/// An order is done; whether it was not before.
pub async fn finish(tx: &mut Tx, order_id: i64, now: Timestamp) -> sqlx::Result<bool> {
    on_db!(tx, conn => {
        sqlx::query(FINISH).bind(order_id).bind(now).execute(conn).await.map(|done| done.rows_affected() == 1)
    })
}

/// Customers nothing was heard of since $1 (a day) and $2 (the moment it began): accounts closed, no payment,
/// no capture, not signed in.
const SELECT_QUIET: &str = concat!(
    "select k.id from customer k
     where exists (select 1 from account a where a.customer_id = k.id)
       and not exists (select 1 from account a where a.customer_id = k.id
             and (a.status <> 'closed' or a.disbursed_on >= $1 or coalesce(a.last_value_date, a.disbursed_on) >= $1))
       and not exists (select 1 from account a join instalment i on i.account_id = a.id
             where a.customer_id = k.id and a.last_value_date is null and i.due_date >= $1)
       and not exists (select 1 from account a join dossier d on d.account_id = a.id join entry e on e.dossier_id = d.id
             where a.customer_id = k.id and e.received_at >= $2)
       and not exists (select 1 from app_user u join session s on s.user_id = u.id
             where u.customer_id = k.id and s.refreshed_at >= $2)
       and not exists (select 1 from erasure r where r.customer_id = k.id and r.state <> 'rejected')
       and not ",
    unsettled!(),
    " order by k.id limit $3"
);

/// Customers whose data nobody may need any more.
pub async fn quiet_since(
    tx: &mut Tx,
    (day, moment): (daybook_shared::time::Date, Timestamp),
    limit: i64,
) -> sqlx::Result<Vec<i64>> {
    on_db!(tx, conn => sqlx::query_scalar(SELECT_QUIET).bind(day).bind(moment).bind(limit).fetch_all(conn).await)
}

batch_row! {
    /// An order that the settings give.
    pub struct OrderRow {
        /// The order.
        uid: Uuid => "uuid",
        /// Key of the customer.
        customer_id: i64 => "bigint",
        /// When.
        at: Timestamp => "timestamptz",
    }
}

const ORDER: &str = "insert into erasure (uid, customer_id, ground, state, proposed_at, decided_at)
     select uid, customer_id, 'retention', 'approved', at, at from v where true on conflict do nothing";

/// Writes down orders that need nobody's approval; returns how many are new.
pub async fn order(tx: &mut Tx, rows: &[OrderRow]) -> sqlx::Result<u64> {
    batch::execute(tx, rows, ORDER).await
}
