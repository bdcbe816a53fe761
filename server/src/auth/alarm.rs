//! The alarm about signatures that do not fit: every one is counted, and a device's are logged once a
//! minute, so that who sends many does not fill the log.

use daybook_shared::ids::DeviceId;

use super::throttle::Throttle;
use crate::app::App;
use crate::http::names;

/// Log lines about one device in a minute.
const LINES_MAX: u32 = 1;

/// Which devices were written about lately.
#[derive(Debug)]
pub struct Alarm(Throttle);

impl Default for Alarm {
    fn default() -> Self {
        Self(Throttle::new(LINES_MAX))
    }
}

/// Something came in a device's name that its key did not sign: `code` says what.
pub fn wrong_signature(app: &App, device: DeviceId, code: &str) {
    metrics::counter!(names::SYNC_WRONG_SIGNATURES).increment(1);
    if app.alarm.0.attempt(&device.to_string(), app.now()).is_ok() {
        tracing::warn!(%device, code, "a signature does not fit its device; more of it in this minute are only counted");
    }
}
