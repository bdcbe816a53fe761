//! The count beside the funnel: kept order by order, by nothing but what the orders say and what was answered.

use std::collections::BTreeMap;

use daybook_shared::time::{Date, Timestamp};
use serde_json::Value;

use super::orders::Order;

/// What became of an order.
#[derive(Debug, Clone, Default)]
struct Fate {
    day: Option<Date>,
    channel: String,
    minor: i64,
    instalments: u16,
    shown: bool,
    applied: bool,
    approved: bool,
    approved_at: Option<Timestamp>,
    financed_minor: Option<i64>,
    told: BTreeMap<String, Timestamp>,
    stars: Option<i64>,
}

/// All orders.
#[derive(Debug, Default)]
pub struct Count(BTreeMap<usize, Fate>);

impl Count {
    /// An order was placed; it is a checkout if it was shown offers.
    pub fn placed(&mut self, day: Date, order: &Order, shown: bool) {
        let fate = self.0.entry(order.number).or_default();
        (fate.day, fate.shown) = (Some(day), shown);
        order.channel.clone_into(&mut fate.channel);
        fate.minor = order.minor;
        fate.instalments = order.instalments.map_or(0, |(n, _)| n);
    }

    /// An order was applied for.
    pub fn applied(&mut self, at: Timestamp, order: &Order, approved: bool) {
        let fate = self.0.entry(order.number).or_default();
        (fate.applied, fate.approved, fate.approved_at) = (true, approved, Some(at));
    }

    /// A contract was signed over so much.
    pub fn signed(&mut self, order: &Order, minor: i64) {
        self.0.entry(order.number).or_default().financed_minor = Some(minor);
    }

    /// Something was told of an order.
    pub fn told(&mut self, at: Timestamp, order: &Order, (kind, stars): (&str, Option<i64>)) {
        let fate = self.0.entry(order.number).or_default();
        fate.told.insert(kind.to_owned(), at);
        fate.stars = fate.stars.or(stars);
    }

    /// The first and the last day on which orders were placed.
    pub fn days(&self) -> Option<(Date, Date)> {
        let days = || self.0.values().filter_map(|fate| fate.day);
        Some((days().min()?, days().max()?))
    }

    /// What all contracts are over, minor units.
    pub fn financed_minor(&self) -> i64 {
        self.0.values().filter_map(|fate| fate.financed_minor).sum()
    }

    /// Where a funnel's answer differs from the count.
    pub fn differences(
        &self,
        by: &str,
        (from, to): (Date, Date),
        offer: impl Fn(u16) -> String,
        answer: &Value,
    ) -> Vec<String> {
        let mut lines: BTreeMap<String, Vec<&Fate>> = BTreeMap::new();
        for fate in self.0.values() {
            let Some(day) = fate.day.filter(|day| (from..=to).contains(day)) else { continue };
            let key = match by {
                "day" => day.to_string(),
                "channel" => fate.channel.clone(),
                "offer" if fate.applied => offer(fate.instalments),
                "offer" => continue,
                _ => "all".to_owned(),
            };
            lines.entry(key).or_default().push(fate);
        }
        let empty = Vec::new();
        let found = answer["lines"].as_array().unwrap_or(&empty);
        let mut differences = Vec::new();
        if found.len() != lines.len() {
            differences.push(format!("by {by} from {from}: {} lines, counted {}", found.len(), lines.len()));
        }
        for (key, fates) in lines {
            let Some(line) = found.iter().find(|line| line["key"] == key.as_str()) else {
                differences.push(format!("by {by} from {from}: no line {key}"));
                continue;
            };
            for (name, counted) in figures(by, &fates) {
                if line.pointer(name) != Some(&counted) {
                    let shown = line.pointer(name).cloned().unwrap_or_default();
                    differences.push(format!("by {by} from {from}, {key}, {name}: {shown}, counted {counted}"));
                }
            }
        }
        differences
    }
}

/// The figures of a line, by their place in it.
fn figures(by: &str, fates: &[&Fate]) -> Vec<(&'static str, Value)> {
    let count = |which: &dyn Fn(&Fate) -> bool| fates.iter().filter(|fate| which(fate)).count();
    let (applied, approved) = (count(&|fate| fate.applied), count(&|fate| fate.approved));
    let plan = |fate: &Fate| fate.financed_minor.is_some();
    let shown = count(&|fate| fate.shown);
    let plans = count(&plan);
    let wait = |fate: &&&Fate| {
        let delivered = fate.told.get("delivered").filter(|_| plan(fate));
        Some(delivered?.ms_since(fate.approved_at?))
    };
    let minutes = match median(fates.iter().filter_map(|fate| wait(&fate)).collect()) {
        Value::Null => Value::Null,
        ms => (ms.as_i64().unwrap_or_default() / 60_000).into(),
    };
    let stars: Vec<i64> = fates.iter().filter(|fate| plan(fate)).filter_map(|fate| fate.stars).collect();
    let (sum, rated) = (stars.iter().sum::<i64>(), i64::try_from(stars.len()).unwrap_or(i64::MAX));
    let mean = if rated == 0 { Value::Null } else { ((sum * 200 + rated) / (rated * 2)).into() };
    let mut figures = vec![
        ("/experience/approval_to_delivery/minutes", minutes),
        ("/experience/rating/hundredths", mean),
        ("/experience/rating/n", rated.into()),
        ("/experience/complained/bp", share(0, plans)),
        ("/submitted", applied.into()),
        ("/approved", approved.into()),
        ("/rejected", (applied - approved).into()),
        ("/activated", plans.into()),
        ("/approval/bp", share(approved, applied)),
        ("/conversion/bp", share(plans, applied)),
        ("/delivered/bp", share(count(&|fate| plan(fate) && fate.told.contains_key("delivered")), plans)),
        ("/returns/bp", share(0, plans)),
        ("/cart_instalments/minor", median(fates.iter().filter(|fate| plan(fate)).map(|fate| fate.minor).collect())),
    ];
    if by != "offer" {
        figures.extend([
            ("/checkouts", shown.into()),
            ("/chose", applied.into()),
            ("/selection/bp", share(applied, shown)),
            ("/conversion_of_checkouts/bp", share(plans, shown)),
            ("/cart_others/minor", median(fates.iter().filter(|fate| !plan(fate)).map(|fate| fate.minor).collect())),
        ]);
    }
    figures
}

/// Hundredths of a percent, half up.
fn share(part: usize, n: usize) -> Value {
    if n == 0 { Value::Null } else { ((part * 10_000 * 2 + n) / (n * 2)).into() }
}

fn median(mut amounts: Vec<i64>) -> Value {
    amounts.sort_unstable();
    let n = amounts.len();
    if n == 0 {
        return Value::Null;
    }
    let (lower, upper) = (amounts[(n - 1) / 2], amounts[n / 2]);
    (lower + (upper - lower) / 2).into()
}
