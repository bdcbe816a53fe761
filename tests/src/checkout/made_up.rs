//! A made-up folder of the orders' shape, for where the real ones are not: most by card, some in instalments,
//! some with two tenders, some cancelled.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use daybook_shared::time::{DAY_MS, Timestamp};

/// Orders of the folder.
const ORDERS: usize = 120;
const FIRST: &str = "2017-01-02T09:00:00Z";

/// Writes the four files. The same seed writes the same folder.
pub fn write(folder: &Path, seed: u64) -> std::io::Result<()> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let first: Timestamp = FIRST.parse().expect("a time");
    let mut orders =
        "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,order_delivered_customer_date\n"
            .to_owned();
    let mut payments = "order_id,payment_sequential,payment_type,payment_installments,payment_value\n".to_owned();
    let mut customers = "customer_id,customer_unique_id\n".to_owned();
    let mut reviews = "review_id,order_id,review_score,review_creation_date\n".to_owned();
    for n in 0..ORDERS {
        let placed = first.plus_ms(rng.random_range(0..90 * DAY_MS) / 1000 * 1000);
        let after = |days: i64| spelled(placed.plus_ms(days * DAY_MS));
        let status = ["delivered", "delivered", "delivered", "canceled", "shipped"][rng.random_range(0..5)];
        let approved = if n % 40 == 7 { String::new() } else { spelled(placed.plus_ms(1_800_000)) };
        let delivered = if status == "delivered" { after(6) } else { String::new() };
        line(&mut orders, &format!("o{n},c{n},{status},{},{approved},{delivered}", spelled(placed)));
        line(&mut customers, &format!("c{n},u{}", n % 100));
        let cents = rng.random_range(2_000..90_000);
        let (kind, instalments) =
            [("credit_card", rng.random_range(2..=12)), ("credit_card", 1), ("boleto", 1)][rng.random_range(0..3)];
        line(&mut payments, &format!("o{n},1,{kind},{instalments},{}.{:02}", cents / 100, cents % 100));
        if n % 9 == 0 {
            line(&mut payments, &format!("o{n},2,voucher,1,10.5"));
        }
        if status == "delivered" {
            line(&mut reviews, &format!("r{n},o{n},{},{}", rng.random_range(1..=5), after(7)));
        }
    }
    let files = [
        ("olist_orders_dataset.csv.gz", orders),
        ("olist_order_payments_dataset.csv.gz", payments),
        ("olist_customers_dataset.csv.gz", customers),
        ("olist_order_reviews_notext.csv.gz", reviews),
    ];
    for (name, text) in files {
        let mut file = GzEncoder::new(File::create(folder.join(name))?, Compression::fast());
        file.write_all(text.as_bytes())?;
        file.finish()?;
    }
    Ok(())
}

/// As the files have it: `2017-01-02 09:00:00`.
fn spelled(at: Timestamp) -> String {
    at.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

fn line(to: &mut String, text: &str) {
    writeln!(to, "{text}").expect("a text can be written to");
}
