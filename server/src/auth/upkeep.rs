//! What a running server does for identity meanwhile: looks for new token keys, forgets old sessions.

use std::sync::Arc;
use std::time::Duration;

use super::session;
use crate::app::App;

/// How often the folder of keys is looked at: a rotation begins later than that, unless it is told to.
const EVERY: Duration = Duration::from_secs(30);
/// Sessions are forgotten with every so manieth look: once an hour.
const FORGET_EVERY: u32 = 120;

/// Goes on until the task is ended.
pub async fn keep_identity(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    for turn in (0..FORGET_EVERY).cycle() {
        ticks.tick().await;
        app.keys.access.look(app.now());
        if turn == 0 {
            match forget(&app).await {
                Ok(0) => {}
                Ok(sessions) => tracing::info!(sessions, "sessions that ended long ago are forgotten"),
                Err(error) => tracing::warn!(%error, "old sessions were not forgotten"),
            }
        }
    }
}

async fn forget(app: &App) -> sqlx::Result<u64> {
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
