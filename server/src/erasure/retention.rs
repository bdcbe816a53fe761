//! How long data is kept, by the lender's settings: orders for customers whose accounts have long been
//! closed. Envelopes have a time of their own ([`super::envelopes`]).

use std::time::Duration;

use daybook_shared::ids::DecisionId;
use daybook_shared::time::DAY_MS;
use serde_json::json;

use super::order::{self, OrderRow};
use crate::app::App;
use crate::audit::{self, Actor};

/// How often customers whose time has passed are looked for.
pub const EVERY: Duration = Duration::from_hours(1);
/// Customers that one transaction orders to be erased.
const ORDERED_MAX: i64 = 200;

/// Orders the erasure of customers of whom nothing was heard for `closed_customer_days` since their last
/// account was closed; returns of how many.
pub async fn order_forgotten(app: &App) -> sqlx::Result<u64> {
    let days = app.settings.closed_customer_days;
    if days == 0 {
        return Ok(0);
    }
    let now = app.now();
    let moment = now.plus_ms(-days * DAY_MS);
    let day = app.settings.zone.date_of(moment);
    let mut ordered = 0;
    loop {
        let mut tx = app.db.write().await?;
        let quiet = order::quiet_since(&mut tx, (day, moment), ORDERED_MAX).await?;
        let row = |customer_id| {
            let uid = app.rng.with(|rng| DecisionId::new(now, rng)).0;
            OrderRow { uid, customer_id, at: now }
        };
        let rows: Vec<_> = quiet.into_iter().map(row).collect();
        let new = order::order(&mut tx, &rows).await?;
        if new > 0 {
            let detail = json!({ "customers": new, "closed_customer_days": days });
            audit::record(&mut tx, now, Actor::OPERATOR, "erasure.ordered", "retention", detail).await?;
        }
        tx.commit().await?;
        ordered += new;
        if new < ORDERED_MAX.unsigned_abs() {
            return Ok(ordered);
        }
    }
}
