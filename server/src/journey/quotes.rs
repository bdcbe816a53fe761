//! Quotes: an offer worked out for an amount and a day. Immutable, and the same bytes wherever it is made.

use daybook_shared::ids::{Hash, OfferId, OrderId, QuoteId};
use daybook_shared::quote::Quote;
pub use daybook_shared::quote::figures::Figures;
use daybook_shared::time::Timestamp;
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

/// A quote.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = crate::journey::examples::quote)]
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
