//! A made-up folder of the Kiva data's shape, for where the real one is not: small loans of a few
//! partners with monthly schedules, most of them paid, some early, some twice on a day, some beyond
//! what is owed, and a few loans without a schedule.

use std::fmt::Write as _;
use std::path::Path;

use daybook_shared::time::{DAY_MS, Timestamp, Zone};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// The first disbursal, at US midnight.
const FIRST: &str = "2006-03-01T08:00:00Z";
/// Loans of the folder.
const LOANS: u64 = 60;
/// One loan in so many has no schedule.
const UNSCHEDULED: u64 = 10;
/// Partners they belong to.
const PARTNERS: u64 = 3;
const MONTH_MS: i64 = 30 * DAY_MS;

/// Writes `loans.csv`, `schedule.csv` and `payments.csv`. The same seed writes the same folder.
pub fn write(dir: &Path, seed: u64) -> std::io::Result<()> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut loans = String::from(
        "loan_id,partner_id,sector,activity,country,town,lat,lon,geo_level,disbursal_date,disbursal_amount\n",
    );
    let mut schedule = String::from("loan_id,kind,seq,due_date,amount\n");
    let mut payments = String::from("loan_id,payment_id,processed_date,amount\n");
    let first: Timestamp = FIRST.parse().expect("a time");
    let mut payment_id = 0;
    for loan in 1..=LOANS {
        let partner = loan % PARTNERS + 1;
        let disbursed = first.plus_ms(rng.random_range(0..200) * DAY_MS);
        let (months, amount) = (rng.random_range(3..=8), 25 * rng.random_range(1..=4));
        let total = months * amount;
        line(
            &mut loans,
            &format!("{loan},{partner},Food,Bakery,Kenya,Nakuru,-0.2833,36.0667,town,{disbursed},{total}"),
        );
        let scheduled = loan % UNSCHEDULED != 0;
        for month in 1..=months {
            let due = disbursed.plus_ms(month * MONTH_MS);
            if scheduled {
                line(&mut schedule, &format!("{loan},local,{month},{due},{amount}"));
            }
            line(&mut schedule, &format!("{loan},kiva,{month},{due},{amount}"));
            let mut pay = |days_late: i64, amount: i64| {
                payment_id += 1;
                // Noon of the day in universal time, so that no clock's error makes it another.
                let day = Zone::utc().start_of(Zone::utc().date_of(due.plus_ms(days_late * DAY_MS)));
                let at = day.plus_ms(DAY_MS / 2 + payment_id * 1000);
                line(&mut payments, &format!("{loan},{payment_id},{at},{amount}"));
            };
            match rng.random_range(0..10) {
                0 => {}
                1 => pay(-40, amount),
                2 => {
                    pay(2, amount);
                    pay(2, amount);
                }
                3 => pay(5, 1),
                _ => pay(rng.random_range(0..9), amount),
            }
        }
        if loan % 7 == 0 {
            payment_id += 1;
            let at = disbursed.plus_ms((months + 2) * MONTH_MS);
            line(&mut payments, &format!("{loan},{payment_id},{at},{}", total / 2));
        }
    }
    std::fs::write(dir.join("loans.csv"), loans)?;
    std::fs::write(dir.join("schedule.csv"), schedule)?;
    std::fs::write(dir.join("payments.csv"), payments)
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String does not fail");
}
