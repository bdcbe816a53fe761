//! How the demo's customers pay. Pure: a seed decides everything.

use daybook_shared::schedule::DueLine;
use daybook_shared::time::Date;
use rand::RngExt;
use rand_chacha::ChaCha20Rng;

/// A customer's way with due dates. The weights make a portfolio of a lender whose collection works:
/// about a fifth of it late, a tenth very late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// A few days around the due date.
    Prompt,
    /// Always, a week to a month late.
    Slow,
    /// Parts of it, at odd times.
    Irregular,
    /// Until one day.
    Stopped,
    /// Not once.
    Never,
    /// Two at a time, before they are due.
    Ahead,
    /// Rounds up, and in the end has paid too much.
    RoundsUp,
}

const WEIGHTS: [(Habit, u32); 7] = [
    (Habit::Prompt, 58),
    (Habit::Slow, 18),
    (Habit::Irregular, 9),
    (Habit::Stopped, 6),
    (Habit::Never, 2),
    (Habit::Ahead, 4),
    (Habit::RoundsUp, 3),
];

/// When and how much a customer paid before `today`, in order of the days.
pub fn payments(rng: &mut ChaCha20Rng, disbursed_on: Date, lines: &[DueLine], today: Date) -> Vec<(Date, i64)> {
    let habit = habit(rng);
    let stops_after = rng.random_range(1..lines.len().max(2));
    let mut paid = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let amount = line.principal + line.interest;
        let day = |days: i32| line.due_date.plus_days(days);
        match habit {
            Habit::Prompt => paid.push((day(rng.random_range(-6..=1)), amount)),
            Habit::Slow => paid.push((day(rng.random_range(4..=32)), amount)),
            Habit::Irregular => irregular(rng, line, amount, &mut paid),
            Habit::Stopped if i < stops_after => paid.push((day(rng.random_range(-2..=9)), amount)),
            Habit::Ahead if i % 2 == 0 => {
                let next = lines.get(i + 1).map_or(0, |line| line.principal + line.interest);
                paid.push((day(-rng.random_range(3..=20)), amount + next));
            }
            Habit::Ahead | Habit::Stopped | Habit::Never => {}
            Habit::RoundsUp => paid.push((day(rng.random_range(-5..=3)), (amount / 50_000 + 1) * 50_000)),
        }
    }
    paid.retain(|(day, _)| *day > disbursed_on && *day < today);
    paid.sort_unstable();
    paid
}

/// None, one or two parts of an instalment, in steps of 50 shillings.
fn irregular(rng: &mut ChaCha20Rng, line: &DueLine, amount: i64, paid: &mut Vec<(Date, i64)>) {
    for _ in 0..rng.random_range(0..=2) {
        let part = amount * rng.random_range(30..=80) / 100 / 5_000 * 5_000;
        paid.push((line.due_date.plus_days(rng.random_range(-4..=26)), part.max(5_000)));
    }
}

fn habit(rng: &mut ChaCha20Rng) -> Habit {
    let total: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.random_range(0..total);
    for (habit, weight) in WEIGHTS {
        if left < weight {
            return habit;
        }
        left -= weight;
    }
    Habit::Prompt
}
