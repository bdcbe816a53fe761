//! Leases: a device's leave to take data home, a JWT bound to the device's key.
//!
//! A lapsed lease stops what is handed out, never what is handed in. The sync exchange gives a new
//! one when half of its time is gone; after it has lapsed the user logs in again
//! (`POST /v1/leases`).

use daybook_shared::ids::{DeploymentId, DeviceId, KeyId, UserId};
use daybook_shared::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::keys::TokenKind;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: DeploymentId,
    sub: UserId,
    device: DeviceId,
    cnf: Confirmation,
    iat: i64,
    exp: i64,
}

/// The key a lease is bound to (RFC 7800).
#[derive(Debug, Serialize, Deserialize)]
struct Confirmation {
    kid: String,
}

/// Whose lease: user, device, and the device's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// The device's key.
    pub key: KeyId,
}

/// What a lease is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Good. `renew` once half of its time is gone.
    Valid {
        /// Whether the device should be given a new one.
        renew: bool,
    },
    /// It was this device's, and its time is over: uploads are taken, nothing is handed out.
    Lapsed,
    /// None, or not this device's, or not ours: nothing is handed out.
    Invalid,
}

/// A lease for this holder.
pub fn issue(app: &App, holder: Holder, now: Timestamp) -> String {
    let claims = Claims {
        iss: app.deployment.id,
        sub: holder.user,
        device: holder.device,
        cnf: Confirmation { kid: holder.key.to_string() },
        iat: now.seconds(),
        exp: now.plus_ms(app.settings.lease_days * DAY_MS).seconds(),
    };
    app.keys.encode(TokenKind::Lease, now, &claims)
}

/// What a lease is worth in the hands of this holder.
pub fn check(app: &App, lease: &str, holder: Holder, now: Timestamp) -> Lease {
    let Some(claims) = app.keys.decode::<Claims>(TokenKind::Lease, now, lease) else { return Lease::Invalid };
    let bound = claims.iss == app.deployment.id
        && claims.sub == holder.user
        && claims.device == holder.device
        && claims.cnf.kid == holder.key.to_string();
    let now = now.seconds();
    match (bound, now < claims.exp) {
        (false, _) => Lease::Invalid,
        (true, false) => Lease::Lapsed,
        (true, true) => Lease::Valid { renew: now - claims.iat >= (claims.exp - claims.iat) / 2 },
    }
}
