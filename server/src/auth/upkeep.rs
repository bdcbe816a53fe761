//! What a running server does for identity meanwhile: each looks for new token keys by itself; of all, one
//! forgets old sessions.

use std::sync::Arc;
use std::time::Duration;

use super::session;
use crate::app::App;

/// How often the folder of keys is looked at: a rotation begins later than that, unless it is told to.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often old sessions are forgotten.
pub const FORGET_EVERY: Duration = Duration::from_hours(1);

/// Looks for token keys again and again, until the task is ended.
pub async fn keep_keys(app: Arc<App>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        app.keys.access.look(app.now());
    }
}

/// Forgets sessions that ended long ago; returns how many.
pub async fn forget_sessions(app: &App) -> sqlx::Result<u64> {
    let mut forgotten = 0;
    loop {
        let mut tx = app.db.write().await?;
        let gone = session::forget(&mut tx, app.now()).await?;
        tx.commit().await?;
        forgotten += gone;
        if gone == 0 {
            return Ok(forgotten);
        }
    }
}
