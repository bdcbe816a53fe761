//! Access tokens of REST: EdDSA JWTs (RFC 9068) that live for 15 minutes. They say who and since which
//! sign-in, never what he may do: user, roles and session are read from the database with every request, so
//! that ending one works at once.

use daybook_shared::ids::{DeploymentId, SessionId, UserId};
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::session::Session;
use crate::app::App;
use crate::keys::TokenKind;

/// How long a token is good for, in seconds.
pub const SECONDS: i64 = 15 * 60;
/// Whom a token is for.
const AUDIENCE: &str = "daybook";

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: DeploymentId,
    aud: String,
    sub: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    iat: i64,
    exp: i64,
}

/// Who a good token says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The user.
    pub user: UserId,
    /// The sign-in it came from; none for a token that [`issue`] made.
    pub session: Option<SessionId>,
}

/// A token for this user without a sign-in, for who holds the server itself: tests and benches.
pub fn issue(app: &App, user: UserId, now: Timestamp) -> String {
    encode(app, Bearer { user, session: None }, (now, now.seconds() + SECONDS))
}

/// A token of a session, and how many seconds it is good for.
pub fn of_session(app: &App, session: &Session, now: Timestamp) -> (String, i64) {
    let exp = (now.seconds() + SECONDS).min(session.expires_at.seconds());
    let bearer = Bearer { user: session.user_uid, session: Some(session.uid) };
    (encode(app, bearer, (now, exp)), exp - now.seconds())
}

fn encode(app: &App, Bearer { user, session }: Bearer, (now, exp): (Timestamp, i64)) -> String {
    let (iss, aud, iat) = (app.deployment.id, AUDIENCE.to_owned(), now.seconds());
    app.keys.encode(TokenKind::Access, now, &Claims { iss, aud, sub: user, sid: session, iat, exp })
}

/// Whose token it is, if this deployment made it and its time is not over.
pub fn check(app: &App, token: &str, now: Timestamp) -> Option<Bearer> {
    let claims: Claims = app.keys.decode(TokenKind::Access, now, token)?;
    let ours = claims.iss == app.deployment.id && claims.aud == AUDIENCE && now.seconds() < claims.exp;
    ours.then_some(Bearer { user: claims.sub, session: claims.sid })
}
