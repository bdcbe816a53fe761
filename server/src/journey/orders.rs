//! Orders: what customers buy in a store, a web shop or an app, and what happens to an order.
//!
//! A checkout is an order that was shown offers. Shops hand orders over one by one or in lots, again and
//! again: an order is known by its channel and reference, what it is about never changes, and of each kind of
//! event the first counts.

use daybook_shared::ids::{CustomerId, Hash, OrderId, sha256};
use daybook_shared::money::{Currency, Money};
pub use daybook_shared::quote::offered::Channel;
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::{Tx, batch};
use crate::spelled::spelled;
use crate::{batch_row, on_db};

/// The most lines of an order.
pub const LINES_MAX: usize = 200;

spelled! {
    /// What happens to an order.
    EventKind {
        /// Its customer was shown at least one offer.
        Shown = "shown",
        /// He chose instalments.
        Chose = "chose",
        /// It is paid for, whoever paid.
        Paid = "paid",
        /// The goods are with the customer.
        Delivered = "delivered",
        /// Goods came back.
        Returned = "returned",
        /// The customer rated it.
        Rated = "rated",
        /// It will not be delivered.
        Cancelled = "cancelled",
    }
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderLine {
    /// The shop's number of the article.
    #[schema(min_length = 1, max_length = 64, example = "PHONE-A15")]
    pub sku: String,
    /// What it is.
    #[schema(min_length = 1, max_length = 200, example = "Phone A15, 128 GB")]
    pub title: String,
    /// Its category; offers may be for some categories only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "phones")]
    pub category: Option<String>,
    /// How many.
    #[schema(minimum = 1, maximum = 100_000)]
    pub quantity: u32,
    /// The line's amount, minor units of the order's currency.
    #[schema(minimum = 0)]
    pub amount_minor: i64,
}

/// An order as its shop has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Id, which its maker chose.
    pub uid: OrderId,
    /// Where it was placed.
    pub channel: Channel,
    /// The shop's number of it.
    pub reference: String,
    /// Which store or shop.
    pub store: Option<String>,
    /// Key of the unit it belongs to.
    pub unit_id: Option<i64>,
    /// Key of who buys.
    pub customer_id: Option<i64>,
    /// What it costs.
    pub amount: Money,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// What was ordered.
    pub lines: Vec<OrderLine>,
}

/// What is wrong with an order: a JSON pointer, a code and the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct BadOrder {
    /// Which part.
    pub pointer: &'static str,
    /// Why, for programs.
    pub code: &'static str,
    /// Why, for people.
    pub detail: &'static str,
}

impl NewOrder {
    /// Whether it can be taken.
    pub fn check(&self) -> Result<(), BadOrder> {
        let bad = |pointer, code, detail| Err(BadOrder { pointer, code, detail });
        let text = |text: &str, max| (1..=max).contains(&text.chars().count()) && text.trim() == text;
        if !text(&self.reference, 64) {
            return bad("/reference", "length", "reference is 1 to 64 characters, without spaces around them");
        }
        if self.store.as_ref().is_some_and(|store| !text(store, 100)) {
            return bad("/store", "length", "store is 1 to 100 characters, without spaces around them");
        }
        if !(1..=Money::MINOR_MAX).contains(&self.amount.minor) {
            return bad("/amount/minor", "range", "the amount is above zero and at most 2^53 - 1 minor units");
        }
        if self.lines.len() > LINES_MAX {
            return bad("/lines", "length", "an order has at most 200 lines");
        }
        let good = |line: &OrderLine| {
            let category = line.category.as_ref().is_none_or(|category| text(category, 64) && !category.contains(' '));
            text(&line.sku, 64) && text(&line.title, 200) && category && (1..=100_000).contains(&line.quantity)
        };
        if !self.lines.iter().all(good) {
            return bad(
                "/lines",
                "shape",
                "a line has sku (1 to 64), title (1 to 200), category (a word) and quantity (1 to 100,000)",
            );
        }
        let sum = self
            .lines
            .iter()
            .try_fold(0_i64, |sum, line| if line.amount_minor < 0 { None } else { sum.checked_add(line.amount_minor) });
        if !self.lines.is_empty() && sum != Some(self.amount.minor) {
            return bad("/amount/minor", "sum", "the lines' amounts are not negative and sum to the order's");
        }
        Ok(())
    }

    /// What never changes of it: everything but who buys.
    fn content(&self) -> Hash {
        let Self { uid, channel, reference, store, amount, placed_at, lines, .. } = self;
        let lines = serde_json::to_vec(lines).expect("lines are JSON");
        let head = format!("{uid}\n{channel}\n{reference}\n{store:?}\n{}\n{}\n", amount.minor, amount.currency);
        Hash(sha256(&[b"daybook/order/1", head.as_bytes(), &placed_at.micros().to_be_bytes(), &lines]))
    }
}

batch_row! {
    struct OrderInsert {
        uid: OrderId => "uuid",
        channel: String => "text",
        reference: String => "text",
        store: Option<String> => "text",
        unit_id: Option<i64> => "int8",
        customer_id: Option<i64> => "int8",
        amount_minor: i64 => "int8",
        currency: Currency => "text",
        placed_at: Timestamp => "timestamptz",
        content: Hash => "bytea",
        recorded_at: Timestamp => "timestamptz",
    }
}
batch_row! {
    struct LineInsert {
        order_id: i64 => "int8",
        n: i64 => "int8",
        sku: String => "text",
        title: String => "text",
        category: Option<String> => "text",
        quantity: i64 => "int8",
        amount_minor: i64 => "int8",
    }
}
batch_row! {
    struct ReferenceKey { uid: OrderId => "uuid", channel: String => "text", reference: String => "text" }
}

const INSERT: &str =
    "insert into shop_order (uid, channel, reference, store, unit_id, customer_id, amount_minor, currency,
       placed_at, content, recorded_at)
     select uid, channel, reference, store, unit_id, customer_id, amount_minor, currency, placed_at, content,
       recorded_at from v where true
     on conflict do nothing returning uid, id";
const INSERT_LINES: &str = "insert into shop_order_line (order_id, n, sku, title, category, quantity, amount_minor)
     select order_id, n, sku, title, category, quantity, amount_minor from v where true";
const SELECT_KNOWN: &str = "select v.uid as asked, o.uid, o.id, o.content, o.customer_id from v
     join shop_order o on o.uid = v.uid or (o.channel = v.channel and o.reference = v.reference)";

/// What became of an order that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is new; its key.
    New(i64),
    /// It is known as it was handed over; its key.
    Known(i64),
    /// Its id or its reference is another order's.
    Other,
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    asked: OrderId,
    uid: OrderId,
    id: i64,
    content: Hash,
    customer_id: Option<i64>,
}

/// Takes orders over; the answers are in their order. None may be in the list twice. One that is known without
/// a customer gets the one it is handed over with.
pub async fn take(tx: &mut Tx, now: Timestamp, orders: &[NewOrder]) -> sqlx::Result<Vec<Taken>> {
    let rows: Vec<_> = orders.iter().map(|order| row(order, now)).collect();
    let inserted: Vec<(OrderId, i64)> = batch::insert(tx, &rows, INSERT).await?;
    let inserted: std::collections::BTreeMap<_, _> = inserted.into_iter().collect();
    let new = orders.iter().filter_map(|order| Some((inserted.get(&order.uid)?, order)));
    let lines: Vec<_> = new.flat_map(|(id, order)| line_rows(*id, order)).collect();
    batch::execute(tx, &lines, INSERT_LINES).await?;
    let keys: Vec<_> = orders.iter().filter(|order| !inserted.contains_key(&order.uid)).map(reference_key).collect();
    let known: Vec<KnownRow> = batch::fetch(tx, &keys, SELECT_KNOWN).await?;
    let mut taken = Vec::with_capacity(orders.len());
    for order in orders {
        taken.push(match inserted.get(&order.uid) {
            Some(id) => Taken::New(*id),
            None => again(tx, order, &known).await?,
        });
    }
    Ok(taken)
}

/// An order that was handed over before, or something else under its id or reference.
async fn again(tx: &mut Tx, order: &NewOrder, known: &[KnownRow]) -> sqlx::Result<Taken> {
    let mut rows = known.iter().filter(|row| row.asked == order.uid);
    let (Some(row), None) = (rows.next(), rows.next()) else { return Ok(Taken::Other) };
    let same = row.uid == order.uid && row.content == order.content();
    let customer = match (row.customer_id, order.customer_id) {
        (None, Some(customer)) if same => {
            set_customer(tx, row.id, customer).await?;
            true
        }
        (Some(known), Some(asked)) => known == asked,
        (_, None) | (None, _) => true,
    };
    Ok(if same && customer { Taken::Known(row.id) } else { Taken::Other })
}

const SET_CUSTOMER: &str = "update shop_order set customer_id = $1 where id = $2 and customer_id is null";

/// Says who buys, where nobody has said so.
pub async fn set_customer(tx: &mut Tx, order_id: i64, customer_id: i64) -> sqlx::Result<()> {
    on_db!(tx, conn => {
        sqlx::query(SET_CUSTOMER).bind(customer_id).bind(order_id).execute(conn).await.map(|_| ())
    })
}

fn reference_key(order: &NewOrder) -> ReferenceKey {
    ReferenceKey { uid: order.uid, channel: order.channel.to_string(), reference: order.reference.clone() }
}

fn row(order: &NewOrder, now: Timestamp) -> OrderInsert {
    OrderInsert {
        uid: order.uid,
        channel: order.channel.to_string(),
        reference: order.reference.clone(),
        store: order.store.clone(),
        unit_id: order.unit_id,
        customer_id: order.customer_id,
        amount_minor: order.amount.minor,
        currency: order.amount.currency,
        placed_at: order.placed_at,
        content: order.content(),
        recorded_at: now,
    }
}

fn line_rows(order_id: i64, order: &NewOrder) -> impl Iterator<Item = LineInsert> {
    (1_i64..).zip(&order.lines).map(move |(n, line)| LineInsert {
        order_id,
        n,
        sku: line.sku.clone(),
        title: line.title.clone(),
        category: line.category.clone(),
        quantity: line.quantity.into(),
        amount_minor: line.amount_minor,
    })
}

batch_row! {
    /// Something that happened to an order.
    pub struct NewEvent {
        /// Key of the order.
        order_id: i64 => "int8",
        /// What.
        kind: EventKind => "text",
        /// When.
        at: Timestamp => "timestamptz",
        /// Of a rating, 1 to 5.
        stars: Option<i64> => "int8",
        /// Key of who said so.
        by_user: Option<i64> => "int8",
    }
}

const INSERT_EVENTS: &str = "insert into shop_order_event (order_id, kind, at, stars, by_user)
     select order_id, kind, at, stars, by_user from v where true on conflict do nothing";

/// Notes what happened to orders; of each kind the first that is told counts.
pub async fn note(tx: &mut Tx, events: &[NewEvent]) -> sqlx::Result<u64> {
    batch::execute(tx, events, INSERT_EVENTS).await
}

/// An order as it is read.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OrderRow {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: OrderId,
    /// Where it was placed.
    pub channel: Channel,
    /// The shop's number of it.
    pub reference: String,
    /// Which store or shop.
    pub store: Option<String>,
    /// Key of the unit it belongs to.
    pub unit_id: Option<i64>,
    /// Key of who buys.
    pub customer_id: Option<i64>,
    /// Who buys.
    pub customer: Option<CustomerId>,
    /// What it costs, minor units.
    pub amount_minor: i64,
    /// In which currency.
    pub currency: Currency,
    /// When it was placed.
    pub placed_at: Timestamp,
}

macro_rules! columns {
    () => {
        "select o.id, o.uid, o.channel, o.reference, o.store, o.unit_id, o.customer_id, c.uid as customer, o.amount_minor,
           o.currency, o.placed_at from shop_order o left join customer c on c.id = o.customer_id "
    };
}

const SELECT_OWN: &str = concat!(columns!(), "where o.uid = $1 and o.customer_id = $2");
const SELECT: &str = concat!(columns!(), "where o.id = $1");
const PAGE_OWN: &str = concat!(
    columns!(),
    "where o.customer_id = $1 and o.id < coalesce((select id from shop_order where uid = $2), 9223372036854775807)
     order by o.id desc limit $3"
);
const SELECT_LINES: &str =
    "select sku, title, category, quantity, amount_minor from shop_order_line where order_id = $1
     order by n";
const SELECT_EVENTS: &str = "select kind, at, stars from shop_order_event where order_id = $1 order by at, kind";

/// A customer's own order.
pub async fn own(tx: &mut Tx, customer_id: i64, order: OrderId) -> sqlx::Result<Option<OrderRow>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_OWN).bind(order).bind(customer_id).fetch_optional(conn).await)
}

/// An order by its key.
pub async fn by_key(tx: &mut Tx, order_id: i64) -> sqlx::Result<OrderRow> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(order_id).fetch_one(conn).await)
}

/// A customer's orders, the newest first.
pub async fn page_own(
    tx: &mut Tx,
    customer_id: i64,
    (after, limit): (Option<OrderId>, i64),
) -> sqlx::Result<Vec<OrderRow>> {
    on_db!(tx, conn => sqlx::query_as(PAGE_OWN).bind(customer_id).bind(after).bind(limit).fetch_all(conn).await)
}

/// An order's lines.
pub async fn lines(tx: &mut Tx, order_id: i64) -> sqlx::Result<Vec<OrderLine>> {
    let rows: Vec<(String, String, Option<String>, i64, i64)> =
        on_db!(tx, conn => sqlx::query_as(SELECT_LINES).bind(order_id).fetch_all(conn).await)?;
    let line = |(sku, title, category, quantity, amount_minor)| {
        let quantity = u32::try_from(quantity).unwrap_or(u32::MAX);
        OrderLine { sku, title, category, quantity, amount_minor }
    };
    Ok(rows.into_iter().map(line).collect())
}

/// Something that happened to an order, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct EventRow {
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Of a rating.
    pub stars: Option<i64>,
}

/// What happened to an order, in time's order.
pub async fn events(tx: &mut Tx, order_id: i64) -> sqlx::Result<Vec<EventRow>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_EVENTS).bind(order_id).fetch_all(conn).await)
}
