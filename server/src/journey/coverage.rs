//! Where the offer map has gaps: cells of segment, channel, month and amount for which no offer is made. Pure.

use daybook_shared::money::{Currency, Money};
use daybook_shared::schedule::months_after;
use daybook_shared::time::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::offers::{Ineligible, Offer, Purchase, Segment};
use super::orders::Channel;

/// How many months are looked at.
pub const MONTHS: u16 = 12;
/// The most edges of amounts.
pub const EDGES_MAX: usize = 12;

/// A cell without an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Gap {
    /// new or returning.
    pub segment: &'static str,
    /// store, web or app.
    pub channel: &'static str,
    /// The first day of the month.
    pub month: Date,
    /// From this amount on.
    pub from: Money,
    /// To below this one; null: and above.
    pub to: Option<Money>,
}

/// The map, and its gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Coverage {
    /// How many cells were looked at.
    pub cells: usize,
    /// Cells for which no offer is made, for goods of any category.
    pub gaps: Vec<Gap>,
}

/// Looks at the months from `today` on and at the amounts between the edges (minor units, ascending). A cell is
/// covered when somebody of it is made an offer for its lower edge in the middle of the month.
pub fn coverage(offers: &[Offer], currency: Currency, edges: &[i64], today: Date) -> Coverage {
    let (year, month, _) = today.ymd();
    let first = Date::from_ymd(year, month, 1).unwrap_or(today);
    let mut coverage = Coverage { cells: 0, gaps: Vec::new() };
    for segment in Segment::ALL {
        for channel in Channel::ALL {
            for n in 0..MONTHS {
                let month = months_after(first, n);
                let on = month.plus_days(14).max(today);
                for (i, edge) in edges.iter().enumerate() {
                    let amount = Money::new(*edge, currency);
                    let purchase = Purchase {
                        amount,
                        channel: Some(*channel),
                        segment: Some(*segment),
                        categories: Some([].into()),
                        on,
                    };
                    coverage.cells += 1;
                    if !offers.iter().any(|offer| covers(offer, &purchase)) {
                        let to = edges.get(i + 1).map(|to| Money::new(*to, currency));
                        let (segment, channel) = (segment.code(), channel.code());
                        coverage.gaps.push(Gap { segment, channel, month, from: amount, to });
                    }
                }
            }
        }
    }
    coverage
}

/// An offer for some goods only covers a cell too: the map says where there is nothing at all.
fn covers(offer: &Offer, purchase: &Purchase) -> bool {
    matches!(offer.fits(purchase), Ok(()) | Err(Ineligible::Category))
}
