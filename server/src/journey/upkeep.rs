//! What time ends: approvals that nobody signed, applications that nobody decided, codes that are over.

use std::time::Duration;

use daybook_shared::time::DAY_MS;

use super::applications;
use super::resume;
use crate::app::App;
use crate::jobs::Outcome;

/// How often it is looked.
pub const EVERY: Duration = Duration::from_mins(1);
/// Applications of one transaction.
const LOT: i64 = 100;
/// Codes of one transaction.
const CODES: i64 = 1_000;
/// How many days an application may wait for a decision.
const UNDECIDED_DAYS: i64 = 7;

/// Ends what is over, a lot at a time; how much it was.
pub async fn turn(app: &App) -> Outcome {
    let mut ended = 0;
    loop {
        let now = app.now();
        let mut tx = app.db.write().await?;
        let undecided_since = now.plus_ms(-UNDECIDED_DAYS * DAY_MS);
        let overdue = applications::overdue(&mut tx, (now, undecided_since), LOT).await?;
        for (id, customer_id) in &overdue {
            // Somebody may be signing it at this moment.
            applications::lock(&mut tx, *customer_id).await?;
            ended += u64::from(applications::expire(&mut tx, (now, undecided_since), *id).await?);
        }
        let forgotten = resume::forget(&mut tx, now, CODES).await?;
        tx.commit().await?;
        ended += forgotten;
        if overdue.is_empty() && forgotten == 0 {
            return Ok(ended);
        }
    }
}
