//! The orders of the Olist data: `olist_orders_dataset.csv.gz`, `olist_order_payments_dataset.csv.gz`,
//! `olist_customers_dataset.csv.gz` and `olist_order_reviews_notext.csv.gz`. Times are taken as universal.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use daybook_shared::ids::sha256;
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::Timestamp;
use flate2::read::GzDecoder;
use serde::Deserialize;

/// Reais.
const BRL: Currency = Currency::new(*b"BRL").expect("three capital letters");

/// How an order ended, as far as its contract is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It stood.
    Kept,
    /// It was cancelled, or could not be delivered.
    Cancelled,
}

/// An order.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its place in the files.
    pub number: usize,
    /// Id.
    pub id: [u8; 16],
    /// The shop's number.
    pub reference: String,
    /// store, web or app, by its number: the files say nothing.
    pub channel: &'static str,
    /// Id of who buys.
    pub customer: [u8; 16],
    /// What it costs, minor units.
    pub minor: i64,
    /// The card tender in instalments: how many, and how much, minor units.
    pub instalments: Option<(u16, i64)>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When the payment was approved; when it was placed where nobody says.
    pub paid_at: Timestamp,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was rated, and with how many stars.
    pub rated: Option<(Timestamp, i64)>,
    /// How it ended.
    pub ending: Ending,
}

#[derive(Deserialize)]
struct OrderRow {
    order_id: String,
    customer_id: String,
    order_status: String,
    order_purchase_timestamp: String,
    order_approved_at: String,
    order_delivered_customer_date: String,
}
#[derive(Deserialize)]
struct PaymentRow {
    order_id: String,
    payment_type: String,
    payment_installments: u16,
    payment_value: String,
}
#[derive(Deserialize)]
struct CustomerRow {
    customer_id: String,
    customer_unique_id: String,
}
#[derive(Deserialize)]
struct ReviewRow {
    order_id: String,
    review_score: i64,
    review_creation_date: String,
}

/// Whether a folder holds them.
pub fn are_in(folder: &Path) -> bool {
    folder.join("olist_orders_dataset.csv.gz").is_file()
}

/// Reads a folder, in the order of its files. Nothing is left out; what costs nothing costs a centavo.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Order>> {
    let rows = |name: &str| -> anyhow::Result<csv::Reader<GzDecoder<File>>> {
        let path = folder.join(name);
        let file = File::open(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(csv::Reader::from_reader(GzDecoder::new(file)))
    };
    let mut tenders: HashMap<String, Vec<PaymentRow>> = HashMap::new();
    for row in rows("olist_order_payments_dataset.csv.gz")?.deserialize() {
        let row: PaymentRow = row?;
        tenders.entry(row.order_id.clone()).or_default().push(row);
    }
    let mut people = HashMap::new();
    for row in rows("olist_customers_dataset.csv.gz")?.deserialize() {
        let row: CustomerRow = row?;
        people.insert(row.customer_id, row.customer_unique_id);
    }
    let mut reviews: HashMap<String, (Timestamp, i64)> = HashMap::new();
    for row in rows("olist_order_reviews_notext.csv.gz")?.deserialize() {
        let row: ReviewRow = row?;
        let at = time(&row.review_creation_date)?.ok_or_else(|| anyhow!("a review has a day"))?;
        let first = reviews.entry(row.order_id).or_insert((at, row.review_score));
        *first = (*first).min((at, row.review_score));
    }
    let mut orders = Vec::new();
    for (number, row) in rows("olist_orders_dataset.csv.gz")?.deserialize().enumerate() {
        let row: OrderRow = row?;
        let tenders = tenders.get(&row.order_id).map_or(&[][..], Vec::as_slice);
        let person = people.get(&row.customer_id).unwrap_or(&row.customer_id);
        orders.push(order(number, &row, (tenders, person, reviews.get(&row.order_id).copied()))?);
    }
    Ok(orders)
}

fn order(
    number: usize,
    row: &OrderRow,
    (tenders, person, rated): (&[PaymentRow], &str, Option<(Timestamp, i64)>),
) -> anyhow::Result<Order> {
    let placed_at = time(&row.order_purchase_timestamp)?.context("an order has a time")?;
    let mut minor = 0;
    let mut instalments: Option<(u16, i64)> = None;
    for tender in tenders {
        let amount = Money::parse(&tender.payment_value, BRL)?.minor;
        minor += amount;
        if tender.payment_type == "credit_card" && tender.payment_installments > 1 {
            // Of two cards the one with more instalments is the plan; the other is paid at once.
            instalments = instalments.max(Some((tender.payment_installments, amount)));
        }
    }
    let id = |text: &str| -> [u8; 16] { *sha256(&[text.as_bytes()]).first_chunk().expect("a hash has 32 bytes") };
    Ok(Order {
        number,
        id: id(&row.order_id),
        reference: row.order_id.clone(),
        channel: ["web", "app", "store"][number % 3],
        customer: id(person),
        minor: minor.max(1),
        instalments,
        placed_at,
        paid_at: time(&row.order_approved_at)?.unwrap_or(placed_at).max(placed_at),
        delivered_at: time(&row.order_delivered_customer_date)?,
        rated,
        ending: if matches!(row.order_status.as_str(), "canceled" | "unavailable") {
            Ending::Cancelled
        } else {
            Ending::Kept
        },
    })
}

fn time(text: &str) -> anyhow::Result<Option<Timestamp>> {
    if text.is_empty() {
        return Ok(None);
    }
    let spelled = format!("{}Z", text.replace(' ', "T"));
    Ok(Some(spelled.parse().map_err(|_| anyhow!("{text:?} is no time"))?))
}
