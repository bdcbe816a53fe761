//! Customers and their accounts.

use daybook_server::portfolio::account::Stage;
use daybook_server::portfolio::allocation::Waterfall;
use daybook_server::portfolio::opening::{NewAccount, NewCustomer};
use daybook_shared::ids::{AccountId, CustomerId};
use daybook_shared::money::Currency;
use daybook_shared::schedule::{DueLine, due_dates, split};
use daybook_shared::time::{Date, Timestamp};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha20Rng;

/// The lender's currency.
pub const CURRENCY: Currency = Currency::new(*b"KES").expect("three capital letters");
/// The lender's zone.
pub const ZONE: &str = "Africa/Nairobi";
/// Instalments of an account.
const INSTALMENTS: u16 = 12;
/// Amounts of schedules are whole ten shillings.
const INCREMENT_MINOR: i64 = 1_000;

const FIRST: &str = "Achieng Akinyi Amina Anyango Atieno Barasa Brian Chebet Cherono David Esther Faith Gathoni Grace \
    Halima Hassan Jane John Joseph Juma Kamau Kevin Kiprono Lucy Mary Mercy Moses Muthoni Naliaka Nekesa Njeri Nyambura \
    Ochieng Otieno Paul Peter Rose Samuel Wambui Zainab";
const LAST: &str = "Abdi Chepkemoi Cheruiyot Gitau Karanja Kariuki Kibet Kimani Kiptoo Koech Korir Langat Maina Makokha \
    Mbugua Muriithi Mutua Mwangi Mwikali Ndirangu Ndungu Njoroge Nyaga Odhiambo Okello Omondi Onyango Oduor Rotich Ruto \
    Simiyu Wafula Wairimu Waweru Wekesa Were Yego";
/// Towns of western Kenya: name, latitude and longitude in millionths of a degree.
const TOWNS: [(&str, i64, i64); 8] = [
    ("Kisumu", -102_210, 34_761_710),
    ("Ahero", -173_870, 34_918_930),
    ("Maseno", -4_380, 34_600_830),
    ("Luanda", 32_560, 34_586_110),
    ("Bondo", -98_330, 34_272_780),
    ("Siaya", 60_700, 34_288_060),
    ("Oyugis", -507_420, 34_731_290),
    ("Awasi", -164_550, 35_046_500),
];
const PRODUCTS: [(&str, i64); 4] = [
    ("Solar home system 50 W", 2_400_000),
    ("Smartphone 4G", 1_500_000),
    ("Clean cookstove", 900_000),
    ("Solar water pump", 6_000_000),
];

/// A first and a last name.
pub fn name(rng: &mut ChaCha20Rng) -> String {
    let first: Vec<&str> = FIRST.split_whitespace().collect();
    let last: Vec<&str> = LAST.split_whitespace().collect();
    format!("{} {}", first.choose(rng).copied().unwrap_or("Mary"), last.choose(rng).copied().unwrap_or("Were"))
}

fn customer(rng: &mut ChaCha20Rng, since: Timestamp) -> NewCustomer {
    let (town, lat, lon) = TOWNS.choose(rng).copied().unwrap_or(TOWNS[0]);
    NewCustomer {
        uid: CustomerId::new(since, rng),
        name: name(rng),
        phone: Some(format!("+2547{:08}", rng.random_range(0..100_000_000))),
        national_id_masked: Some(format!("*****{:03}", rng.random_range(0..1000))),
        language: Some((*["sw", "en", "luo"].choose(rng).unwrap_or(&"sw")).to_owned()),
        address: Some(format!("{town}, plot {}", rng.random_range(1..400))),
        lat_e6: Some(lat + rng.random_range(-30_000..=30_000)),
        lon_e6: Some(lon + rng.random_range(-30_000..=30_000)),
    }
}

/// An account of a customer of its own, begun up to half a year before `today`.
pub fn account(rng: &mut ChaCha20Rng, number: usize, unit_id: i64, (now, today): (Timestamp, Date)) -> NewAccount {
    let age_days = rng.random_range(30..180);
    let since = now.plus_ms(-i64::from(age_days) * daybook_shared::time::DAY_MS);
    let disbursed_on = today.plus_days(-age_days);
    let (product, price) = PRODUCTS.choose(rng).copied().unwrap_or(PRODUCTS[0]);
    let principal = price + rng.random_range(0..200) * INCREMENT_MINOR;
    // Flat interest of 1.5 % a month.
    let interest = principal / 1000 * 15 * i64::from(INSTALMENTS) / INCREMENT_MINOR * INCREMENT_MINOR;
    NewAccount {
        uid: AccountId::new(since, rng),
        number: format!("KE-{number:06}"),
        customer: customer(rng, since),
        unit_id,
        product: product.to_owned(),
        currency: CURRENCY,
        disbursed_on,
        stage: if rng.random_bool(0.7) { Stage::Call } else { Stage::Field },
        waterfall: Waterfall::default(),
        lines: lines(principal, interest, disbursed_on),
    }
}

fn lines(principal: i64, interest: i64, disbursed_on: Date) -> Vec<DueLine> {
    let parts = |total| split(total, INSTALMENTS, INCREMENT_MINOR).expect("a positive total splits into twelve");
    let amounts = parts(principal).into_iter().zip(parts(interest));
    let line =
        |((n, due_date), (principal, interest))| DueLine { n, due_date, principal, interest, fee: 0, penalty: 0 };
    (1..).zip(due_dates(disbursed_on, INSTALMENTS)).zip(amounts).map(line).collect()
}
