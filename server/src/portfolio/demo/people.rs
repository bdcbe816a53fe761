//! Who lives in the demo, where, and what was sold to him. Pure: a seed decides everything.

use daybook_shared::ids::{AccountId, CustomerId};
use daybook_shared::money::Currency;
use daybook_shared::schedule::{DueLine, due_dates, split};
use daybook_shared::time::{Date, Zone};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha20Rng;

use crate::portfolio::account::Stage;
use crate::portfolio::allocation::Waterfall;
use crate::portfolio::opening::{NewAccount, NewCustomer};

/// A town: name, latitude and longitude in millionths of a degree (GeoNames).
type Town = (&'static str, i64, i64);

/// The branches and the towns around them.
pub const BRANCHES: [(&str, &[Town]); 2] = [
    (
        "Nairobi",
        &[
            ("Nairobi", -1_283_330, 36_816_670),
            ("Kikuyu", -1_246_270, 36_662_910),
            ("Ngong", -1_352_700, 36_669_900),
            ("Ruiru", -1_146_650, 36_960_870),
            ("Thika", -1_033_260, 37_069_330),
            ("Athi River", -1_456_300, 36_978_260),
            ("Limuru", -1_113_600, 36_642_050),
        ],
    ),
    (
        "Nakuru",
        &[
            ("Nakuru", -307_190, 36_072_250),
            ("Naivasha", -713_830, 36_432_610),
            ("Gilgil", -503_970, 36_318_450),
            ("Njoro", -330_240, 35_944_450),
            ("Molo", -248_490, 35_731_940),
            ("Nyahururu", 38_130, 36_363_390),
        ],
    ),
];

/// Products: name, cash price in shillings from and to.
const PRODUCTS: [(&str, i64, i64); 5] = [
    ("Solar home system", 12_000, 38_000),
    ("Smartphone", 9_000, 24_000),
    ("Clean cookstove", 4_000, 9_000),
    ("Solar water pump", 35_000, 90_000),
    ("Television 32 inch", 15_000, 28_000),
];

const FIRST: [&str; 40] = [
    "Achieng",
    "Akinyi",
    "Amina",
    "Anyango",
    "Atieno",
    "Barasa",
    "Chebet",
    "Chepkoech",
    "Cherono",
    "Esther",
    "Faith",
    "Gathoni",
    "Grace",
    "Halima",
    "Hassan",
    "Jane",
    "John",
    "Joseph",
    "Juma",
    "Kamau",
    "Kiprono",
    "Kipchoge",
    "Mary",
    "Mercy",
    "Moses",
    "Muthoni",
    "Naliaka",
    "Nekesa",
    "Njeri",
    "Nyambura",
    "Ochieng",
    "Otieno",
    "Paul",
    "Peter",
    "Rose",
    "Samuel",
    "Wafula",
    "Wambui",
    "Wanjiku",
    "Zainab",
];
const LAST: [&str; 40] = [
    "Abdi",
    "Barasa",
    "Chepkemoi",
    "Cheruiyot",
    "Gitau",
    "Kamau",
    "Karanja",
    "Kariuki",
    "Kibet",
    "Kimani",
    "Kiptoo",
    "Koech",
    "Korir",
    "Langat",
    "Maina",
    "Makokha",
    "Mbugua",
    "Muriithi",
    "Mutua",
    "Mwangi",
    "Mwikali",
    "Ndirangu",
    "Ndungu",
    "Njoroge",
    "Njuguna",
    "Nyaga",
    "Odhiambo",
    "Okello",
    "Omondi",
    "Onyango",
    "Oduor",
    "Rotich",
    "Ruto",
    "Simiyu",
    "Wafula",
    "Wairimu",
    "Waweru",
    "Wekesa",
    "Were",
    "Yego",
];

/// Two names.
pub fn name(rng: &mut ChaCha20Rng) -> String {
    let pick = |names: &[&'static str], rng: &mut ChaCha20Rng| names.choose(rng).copied().unwrap_or("Wanjiku");
    format!("{} {}", pick(&FIRST, rng), pick(&LAST, rng))
}

/// What the accounts of a demo have in common.
#[derive(Debug, Clone, Copy)]
pub struct Market<'a> {
    /// The lender's currency.
    pub currency: Currency,
    /// The lender's zone.
    pub zone: &'a Zone,
    /// The business date.
    pub today: Date,
}

/// A customer near one of the towns.
pub fn customer(rng: &mut ChaCha20Rng, market: Market<'_>, towns: &[Town]) -> NewCustomer {
    let (town, lat, lon) = towns.choose(rng).copied().unwrap_or(("Nairobi", -1_283_330, 36_816_670));
    let since = market.zone.start_of(market.today.plus_days(-500));
    NewCustomer {
        uid: CustomerId::new(since, rng),
        name: name(rng),
        phone: Some(format!("+2547{:08}", rng.random_range(0..100_000_000))),
        national_id_masked: Some(format!("*****{:03}", rng.random_range(0..1000))),
        language: Some(if rng.random_range(0..4) == 0 { "en" } else { "sw" }.to_owned()),
        address: Some(format!("{town}, plot {}", rng.random_range(1..400))),
        lat_e6: Some(lat + rng.random_range(-30_000..=30_000)),
        lon_e6: Some(lon + rng.random_range(-30_000..=30_000)),
    }
}

/// An account with 6 to 12 monthly instalments, begun within the last 13 months.
pub fn account(
    rng: &mut ChaCha20Rng,
    market: Market<'_>,
    (number, unit_id): (usize, i64),
    customer: NewCustomer,
) -> NewAccount {
    let (product, from, to) = PRODUCTS.choose(rng).copied().unwrap_or(PRODUCTS[0]);
    let months: u16 = rng.random_range(6..=12);
    let disbursed_on = market.today.plus_days(-rng.random_range(10..395));
    let principal = rng.random_range(from / 100..=to / 100) * 10_000;
    // Flat interest of 1.5 % a month, in whole shillings.
    let interest = principal * i64::from(months) * 15 / 1000 / 100 * 100;
    NewAccount {
        uid: AccountId::new(market.zone.start_of(disbursed_on).plus_ms(10 * 3_600_000), rng),
        number: format!("KE-{number:06}"),
        customer,
        unit_id,
        product: product.to_owned(),
        currency: market.currency,
        disbursed_on,
        stage: Stage::Call,
        waterfall: Waterfall::default(),
        lines: lines(principal, interest, months, disbursed_on),
    }
}

fn lines(principal: i64, interest: i64, months: u16, disbursed_on: Date) -> Vec<DueLine> {
    const INCREMENT_MINOR: i64 = 1_000;
    let parts =
        |total| split(total, months, INCREMENT_MINOR).expect("a positive total splits into at least six months");
    let amounts = parts(principal).into_iter().zip(parts(interest));
    let due = (1..).zip(due_dates(disbursed_on, months)).zip(amounts);
    let line =
        |((n, due_date), (principal, interest))| DueLine { n, due_date, principal, interest, fee: 0, penalty: 0 };
    due.map(line).collect()
}
