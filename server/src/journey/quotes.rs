//! Quotes: an offer worked out for an amount and a day. Immutable, and the same bytes wherever it is made.

use daybook_shared::ids::{Hash, OfferId, OrderId, QuoteId};
use daybook_shared::money::Money;
use daybook_shared::quote::{Apr, Quote};
use daybook_shared::schedule::DueLine;
use daybook_shared::time::{Date, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::Tx;
use crate::on_db;

/// A quote that was made to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: QuoteId,
    /// Key of the customer.
    pub customer_id: i64,
    /// Key of the order it is for.
    pub order_id: Option<i64>,
    /// The order it is for.
    pub order: Option<OrderId>,
    /// Key of the offer.
    pub offer_id: i64,
    /// The offer.
    pub offer: OfferId,
    /// What it says.
    pub quote: Quote,
    /// The hash of its bytes.
    pub hash: Hash,
    /// When the server took it.
    pub created_at: Timestamp,
    /// Until when an application may use it.
    pub expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct QuoteRow {
    id: i64,
    uid: QuoteId,
    customer_id: i64,
    order_id: Option<i64>,
    order_uid: Option<OrderId>,
    offer_id: i64,
    offer: OfferId,
    bytes: Vec<u8>,
    hash: Hash,
    created_at: Timestamp,
    expires_at: Timestamp,
}

macro_rules! columns {
    () => {
        "select q.id, q.uid, q.customer_id, q.order_id, o.uid as order_uid, q.offer_id, f.uid as offer, q.bytes, q.hash,
           q.created_at, q.expires_at
         from quote q join offer f on f.id = q.offer_id left join shop_order o on o.id = q.order_id "
    };
}
const SELECT: &str = concat!(columns!(), "where q.uid = $1");
const SELECT_BY_KEY: &str = concat!(columns!(), "where q.id = $1");
const INSERT: &str =
    "insert into quote (uid, customer_id, order_id, offer_id, amount_minor, currency, bytes, hash, offline,
       created_at, expires_at, by_user)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (uid) do nothing returning id";

/// A quote to be written down.
#[derive(Debug, Clone)]
pub struct NewQuote {
    /// Id, which its maker chose.
    pub uid: QuoteId,
    /// Key of the customer.
    pub customer_id: i64,
    /// Key of the order.
    pub order_id: Option<i64>,
    /// The order.
    pub order: Option<OrderId>,
    /// Key of the offer.
    pub offer_id: i64,
    /// The offer.
    pub offer: OfferId,
    /// What it says.
    pub quote: Quote,
    /// Whether a phone made it without a connection.
    pub offline: bool,
    /// Until when an application may use it.
    pub expires_at: Timestamp,
    /// Key of who asked.
    pub by_user: i64,
}

/// The quote with this id, whoever's.
pub async fn find(tx: &mut Tx, quote: QuoteId) -> sqlx::Result<Option<Made>> {
    let row: Option<QuoteRow> = on_db!(tx, conn => sqlx::query_as(SELECT).bind(quote).fetch_optional(conn).await)?;
    row.map(read).transpose()
}

/// The quote with this key.
pub async fn by_key(tx: &mut Tx, id: i64) -> sqlx::Result<Made> {
    read(on_db!(tx, conn => sqlx::query_as(SELECT_BY_KEY).bind(id).fetch_one(conn).await)?)
}

/// Writes a quote down; none when its id came to be in use meanwhile.
pub async fn insert(tx: &mut Tx, now: Timestamp, new: NewQuote) -> sqlx::Result<Option<Made>> {
    let hash = new.quote.hash();
    let id: Option<i64> = on_db!(tx, conn => {
        sqlx::query_scalar(INSERT)
            .bind(new.uid)
            .bind(new.customer_id)
            .bind(new.order_id)
            .bind(new.offer_id)
            .bind(new.quote.price_minor)
            .bind(new.quote.currency)
            .bind(new.quote.to_bytes())
            .bind(hash)
            .bind(new.offline)
            .bind(now)
            .bind(new.expires_at)
            .bind(new.by_user)
            .fetch_optional(conn)
            .await
    })?;
    let NewQuote { uid, customer_id, order_id, order, offer_id, offer, quote, expires_at, .. } = new;
    let made =
        |id| Made { id, uid, customer_id, order_id, order, offer_id, offer, quote, hash, created_at: now, expires_at };
    Ok(id.map(made))
}

fn read(row: QuoteRow) -> sqlx::Result<Made> {
    let QuoteRow { id, uid, customer_id, order_id, order_uid, offer_id, offer, bytes, hash, created_at, expires_at } =
        row;
    let quote = Quote::from_bytes(&bytes);
    drop(bytes);
    let quote = quote.map_err(|error| sqlx::Error::Decode(format!("table quote, id {id}: {error}").into()))?;
    Ok(Made { id, uid, customer_id, order_id, order: order_uid, offer_id, offer, quote, hash, created_at, expires_at })
}

/// An effective rate, which says how it was worked out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AprView {
    /// Percent, with two digits.
    #[schema(example = "19.53")]
    value: String,
    /// reg_z, eu_ccd or sama_2023.
    #[schema(example = "sama_2023")]
    method: String,
}

impl From<Apr> for AprView {
    fn from(apr: Apr) -> Self {
        Self { value: apr.value(), method: apr.method.to_string() }
    }
}

/// What falls due on one day.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InstalmentView {
    /// Its number, from 1.
    n: u16,
    /// When it falls due.
    due_date: Date,
    /// All of it.
    amount: Money,
    /// Of it the price, minor units.
    principal_minor: i64,
    /// Of it profit, minor units.
    profit_minor: i64,
    /// Of it fees, minor units.
    fee_minor: i64,
}

/// Everything a quote says, for people and programs. Minor units are of its currency.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Figures {
    /// The price.
    price: Money,
    /// Paid with the acceptance, before anything is delivered: down payment and fee.
    at_acceptance: Money,
    /// Of it the down payment.
    down_payment: Money,
    /// What is financed.
    financed: Money,
    /// Profit, all of it.
    profit: Money,
    /// Fees, all of them.
    fee: Money,
    /// Everything the customer pays.
    total: Money,
    /// The effective rate.
    apr: AprView,
    /// The day everything is counted from.
    anchor: Date,
    /// The last day on which something falls due.
    ends_on: Option<Date>,
    /// What falls due when.
    instalments: Vec<InstalmentView>,
}

impl Figures {
    /// The figures of a quote.
    pub fn of(quote: &Quote) -> Self {
        let money = |minor| Money::new(minor, quote.currency);
        let instalment = |line: &DueLine| InstalmentView {
            n: line.n,
            due_date: line.due_date,
            amount: money(line.principal + line.interest + line.fee + line.penalty),
            principal_minor: line.principal,
            profit_minor: line.interest,
            fee_minor: line.fee,
        };
        Self {
            price: money(quote.price_minor),
            at_acceptance: money(quote.at_acceptance_minor()),
            down_payment: money(quote.down_payment_minor),
            financed: money(quote.financed_minor),
            profit: money(quote.profit_minor),
            fee: money(quote.fee_minor),
            total: money(quote.total_minor),
            apr: quote.apr.into(),
            anchor: quote.anchor,
            ends_on: quote.last_due(),
            instalments: quote.instalments.iter().map(instalment).collect(),
        }
    }
}

/// A quote.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QuoteView {
    /// Id.
    id: QuoteId,
    /// The offer it was made from.
    offer: OfferId,
    /// The order it is for.
    order: Option<OrderId>,
    /// The hash of its content, hexadecimal: what the customer agrees to.
    hash: String,
    /// When it was made.
    created_at: Timestamp,
    /// Until when an application may use it.
    expires_at: Timestamp,
    #[serde(flatten)]
    figures: Figures,
}

impl From<&Made> for QuoteView {
    fn from(made: &Made) -> Self {
        Self {
            id: made.uid,
            offer: made.offer,
            order: made.order,
            hash: made.hash.to_string(),
            created_at: made.created_at,
            expires_at: made.expires_at,
            figures: Figures::of(&made.quote),
        }
    }
}
