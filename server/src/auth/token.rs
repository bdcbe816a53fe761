//! Access tokens of REST: EdDSA JWTs that live for 15 minutes. They say who, never what he may do:
//! roles are read from the database with every request, so that taking one away works at once.

use daybook_shared::ids::{DeploymentId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::keys::TokenKind;

/// How long a token is good for, in seconds.
pub const SECONDS: i64 = 15 * 60;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: DeploymentId,
    sub: UserId,
    iat: i64,
    exp: i64,
}

/// A token for this user.
pub fn issue(app: &App, user: UserId, now: Timestamp) -> String {
    let iat = now.seconds();
    app.keys.encode(TokenKind::Access, &Claims { iss: app.deployment.id, sub: user, iat, exp: iat + SECONDS })
}

/// Whose token it is, if this deployment made it and its time is not over.
pub fn check(app: &App, token: &str, now: Timestamp) -> Option<UserId> {
    let claims: Claims = app.keys.decode(TokenKind::Access, token)?;
    (claims.iss == app.deployment.id && now.seconds() < claims.exp).then_some(claims.sub)
}
