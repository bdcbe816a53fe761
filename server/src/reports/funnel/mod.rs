//! The funnel: of the checkouts of a period, how many chose, applied, were approved and have a plan, by day,
//! channel, offer or offer segment (journey.md 3, analytics definitions).
//!
//! A checkout is an order that was shown an eligible offer; it belongs to the day on which it was. What became
//! of it counts for that day, whenever it happened, so that every line is of the same orders. Undecided and
//! cancelled are outside of the rate of approval and shown beside it.
//!
//! * [`rows`], [`mod@experience`]: what is counted, in SQL. [`rates`]: what the counts come to.

pub mod experience;
pub mod rates;
pub mod rows;

use std::collections::BTreeMap;

use daybook_shared::time::Date;
use serde::Serialize;
use utoipa::ToSchema;

use self::experience::Experience;
use self::rates::{Median, Rate};
use crate::app::App;
use crate::db::Tx;
use crate::spelled::spelled;

/// The most days of a period.
pub const DAYS_MAX: i32 = 366;

spelled! {
    /// What lines are by.
    By {
        /// One line for all.
        Nothing = "none",
        /// By the day of the checkout.
        Day = "day",
        /// By where the order was placed.
        Channel = "channel",
        /// By the offer that was applied for.
        Offer = "offer",
        /// By what the customer was to us.
        Segment = "segment",
    }
}

/// Orders of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkouts {
    /// Shown at least one offer.
    pub shown: i64,
    /// Of these, chose instalments.
    pub chose: i64,
}

/// Applications of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applications {
    /// All.
    pub submitted: i64,
    /// Approved, whatever became of them.
    pub approved: i64,
    /// Rejected.
    pub rejected: i64,
    /// Taken back, before or after they were decided.
    pub cancelled: i64,
    /// Plans that began.
    pub activated: i64,
    /// Of these orders, delivered.
    pub delivered: i64,
    /// Of these orders, goods came back.
    pub returned: i64,
    /// What the plans that began were for, minor units.
    pub activated_minor: i64,
    /// What of it came back, minor units.
    pub returned_minor: i64,
}

/// A line of the funnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Line {
    /// What it is of: a day, a channel, an offer's id, a segment; `all` of all.
    pub key: String,
    /// Checkouts: orders that were shown at least one eligible offer. Null by offer and by segment, which are
    /// known only of who chose.
    pub checkouts: Option<i64>,
    /// Of these, chose instalments.
    pub chose: Option<i64>,
    /// Applications about them.
    pub submitted: i64,
    /// Of these, approved.
    pub approved: i64,
    /// Of these, rejected.
    pub rejected: i64,
    /// Of these, taken back.
    pub cancelled: i64,
    /// Of these, neither decided nor taken back.
    pub undecided: i64,
    /// Plans that began.
    pub activated: i64,
    /// Chose of checkouts.
    pub selection: Option<Rate>,
    /// Approved of approved and rejected.
    pub approval: Rate,
    /// Rejected by reason, of approved and rejected.
    pub rejections: BTreeMap<String, Rate>,
    /// Rejections whose reason nobody may say, of all rejections.
    pub undisclosed: Rate,
    /// Plans that began, of applications.
    pub conversion: Rate,
    /// Plans that began, of checkouts.
    pub conversion_of_checkouts: Option<Rate>,
    /// The middle order that was bought in instalments.
    pub cart_instalments: Median,
    /// The middle of all others of the same period.
    pub cart_others: Median,
    /// Orders with goods that came back, of plans that began.
    pub returns: Rate,
    /// The same by value.
    pub returns_by_value: Rate,
    /// Delivered, of plans that began.
    pub delivered: Rate,
    /// What customers met with, of plans that began.
    pub experience: Experience,
}

/// A funnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Funnel {
    /// The first day of its checkouts.
    pub from: Date,
    /// The last.
    pub to: Date,
    /// none, day, channel, offer or segment.
    pub by: String,
    /// Its lines, by key.
    pub lines: Vec<Line>,
}

/// The funnel of the checkouts of these days, both included.
pub async fn funnel(tx: &mut Tx, app: &App, (from, to): (Date, Date), by: By) -> sqlx::Result<Funnel> {
    let periods = rows::periods(&app.settings.zone, (from, to), by == By::Day);
    let checkouts = rows::checkouts(tx, &periods, by).await?;
    let applications = rows::applications(tx, &periods, by).await?;
    let reasons = rows::reasons(tx, &periods, by).await?;
    let carts = rows::carts(tx, &periods, by).await?;
    let mut experiences = experience::experience(tx, &periods, by).await?;
    let keys = checkouts.keys().chain(applications.keys()).chain(carts.keys().map(|(key, _)| key));
    let mut keys: Vec<_> = keys.cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    let mut line = |key: String| {
        let reached = matches!(by, By::Nothing | By::Day | By::Channel);
        let checkouts = reached.then(|| checkouts.get(&key).copied().unwrap_or_default());
        let applications = applications.get(&key).copied().unwrap_or_default();
        let cart = |instalments| carts.get(&(key.clone(), instalments)).copied().unwrap_or(Median::NONE);
        let of_key = reasons.iter().filter(|((of, _), _)| *of == key);
        let reasons = of_key.map(|((_, reason), n)| (reason.clone(), *n)).collect();
        let carts = (cart(true), cart(false));
        let (experience, complained) = experiences.remove(&key).unwrap_or_default();
        let complained = Rate::of(complained, applications.activated);
        let line = Line::of(key, checkouts, applications, reasons, carts);
        Line { experience: Experience { complained, ..experience }, ..line }
    };
    Ok(Funnel { from, to, by: by.to_string(), lines: keys.into_iter().map(&mut line).collect() })
}

impl Line {
    fn of(
        key: String,
        checkouts: Option<Checkouts>,
        of: Applications,
        reasons: BTreeMap<String, i64>,
        (cart_instalments, cart_others): (Median, Median),
    ) -> Self {
        let decided = of.approved + of.rejected;
        let undisclosed = reasons.get("undisclosed").copied().unwrap_or(0);
        Self {
            key,
            checkouts: checkouts.map(|of| of.shown),
            chose: checkouts.map(|of| of.chose),
            submitted: of.submitted,
            approved: of.approved,
            rejected: of.rejected,
            cancelled: of.cancelled,
            undecided: of.submitted - decided - of.cancelled,
            activated: of.activated,
            selection: checkouts.map(|of| Rate::of(of.chose, of.shown)),
            approval: Rate::of(of.approved, decided),
            rejections: reasons.into_iter().map(|(reason, n)| (reason, Rate::of(n, decided))).collect(),
            undisclosed: Rate::of(undisclosed, of.rejected),
            conversion: Rate::of(of.activated, of.submitted),
            conversion_of_checkouts: checkouts.map(|checkouts| Rate::of(of.activated, checkouts.shown)),
            cart_instalments,
            cart_others,
            returns: Rate::of(of.returned, of.activated),
            returns_by_value: Rate::of(of.returned_minor, of.activated_minor),
            delivered: Rate::of(of.delivered, of.activated),
            experience: Experience::default(),
        }
    }

    /// The same for somebody outside: rates of fewer than twenty are hidden, or one customer could be told from
    /// them.
    #[must_use]
    pub fn for_outsiders(mut self) -> Self {
        /// A rate of fewer is hidden from outsiders.
        const N_MIN: i64 = 20;
        let hide = |rate: &mut Rate| {
            if rate.n < N_MIN {
                rate.bp = None;
            }
        };
        for rate in [
            &mut self.approval,
            &mut self.undisclosed,
            &mut self.conversion,
            &mut self.returns,
            &mut self.returns_by_value,
            &mut self.delivered,
        ] {
            hide(rate);
        }
        let Experience { approval_to_delivery, rating, complained, complaints } = &mut self.experience;
        hide(complained);
        if approval_to_delivery.n < N_MIN {
            approval_to_delivery.minutes = None;
        }
        if rating.n < N_MIN {
            rating.hundredths = None;
        }
        complaints.retain(|_, n| *n >= N_MIN);
        self.rejections.values_mut().chain(&mut self.selection).chain(&mut self.conversion_of_checkouts).for_each(hide);
        for median in [&mut self.cart_instalments, &mut self.cart_others] {
            if median.n < N_MIN {
                median.minor = None;
            }
        }
        self
    }
}
