//! Sign-ins of people: each is a family of refresh tokens, used one after the other.
//!
//! An access token lives for minutes and names its session; every request looks that up beside the user,
//! so ending a session ends its tokens at once. A refresh token is random, kept as a hash and spent by its
//! use, which gives its successor. One that comes again says that two hold it: the whole session ends,
//! and the audit trail says so.
//!
//! A lost answer is no theft. A spent token that comes again soon, while its successor was never used, is
//! given the same successor once more: it is derived from the token itself and a salt, which is forgotten
//! when the successor is used. Whoever of two holders refreshes next wins, and the other ends the session.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_shared::ids::{Hash, SessionId, UserId, sha256};
use daybook_shared::time::{DAY_MS, Timestamp};
use rand::Rng;
use serde_json::json;

use crate::app::App;
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::on_db;
use crate::spelled::spelled;

/// How long a spent token may still be answered with its successor.
pub const GRACE_MS: i64 = 2 * 60_000;
/// Sessions of one user at one time; the oldest ends when there is one more.
const OPEN_MAX: i64 = 20;
/// Characters of what a client says it is.
const AGENT_MAX: usize = 120;
/// How long an ended session is remembered.
const KEPT_DAYS: i64 = 90;
/// In front of every refresh token, so that one in a log or a repository is recognised.
const PREFIX: &str = "dbr_";

spelled! {
    /// How somebody proved who he is.
    Method {
        /// By login and password.
        Password = "password",
        /// By an identity provider.
        Provider = "provider",
        /// A customer, by a one-time code.
        Code = "code",
        /// A customer, by an identity token of a shop's app.
        Token = "token",
    }
    /// Why a session ended.
    Ending {
        /// Its holder signed out.
        SignedOut = "signed_out",
        /// He, or who manages users, ended it.
        Revoked = "revoked",
        /// A spent refresh token came again.
        Reused = "reused",
        /// The password changed.
        Password = "password_changed",
        /// The user was deactivated.
        Deactivated = "deactivated",
        /// He lost a role.
        Role = "role_ended",
        /// There were too many.
        Crowded = "crowded_out",
    }
}

/// How long sessions last.
struct Lasting {
    days: i64,
    idle_hours: i64,
}

impl Method {
    fn lasting(self, app: &App) -> Lasting {
        let settings = &app.settings;
        match self {
            Self::Password | Self::Provider => {
                Lasting { days: settings.session_days, idle_hours: settings.session_idle_hours }
            }
            Self::Code | Self::Token => {
                Lasting { days: settings.customer_session_days, idle_hours: settings.customer_session_idle_hours }
            }
        }
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Session {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: SessionId,
    /// Key of the user.
    pub user_id: i64,
    /// The user.
    pub user_uid: UserId,
    /// Whether the user may sign in.
    pub user_active: bool,
    /// How he proved who he is.
    pub method: Method,
    /// What his client said it is.
    pub agent: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When its last token was made.
    pub refreshed_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it ended before that.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub ended_as: Option<Ending>,
}

impl Session {
    /// When it ends if nobody refreshes it.
    pub fn ends_at(&self, app: &App) -> Timestamp {
        self.expires_at.min(self.refreshed_at.plus_ms(self.method.lasting(app).idle_hours * 3_600_000))
    }
}

/// A refresh token in the clear. Debug says nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken([u8; 32]);

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken")
    }
}

impl RefreshToken {
    /// The token of this text, if it can be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Its text.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    fn hash(&self) -> Hash {
        Hash(sha256(&[b"daybook/refresh-token/1", &self.0]))
    }

    fn successor(&self, salt: &Hash) -> Self {
        Self(sha256(&[b"daybook/refresh-successor/1", &self.0, &salt.0]))
    }
}

/// What a person is given when he signs in or refreshes.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The session.
    pub session: Session,
    /// Its newest refresh token.
    pub refresh: RefreshToken,
}

macro_rules! columns {
    () => {
        " s.id, s.uid, s.user_id, u.uid as user_uid, u.active as user_active, s.method, s.agent, s.created_at,
          s.refreshed_at, s.expires_at, s.ended_at, s.ended_as
          from session s join app_user u on u.id = s.user_id "
    };
}

const SELECT: &str = concat!("select", columns!(), "where s.uid = $1");
const SELECT_BY_TOKEN: &str =
    concat!("select", columns!(), "where s.id = (select session_id from refresh_token where hash = $1)");
const PAGE: &str = concat!(
    "select",
    columns!(),
    "where s.user_id = $1 and s.ended_at is null and s.expires_at > $2
       and s.id < coalesce((select id from session where uid = $3), 9223372036854775807)
     order by s.id desc limit $4"
);
const INSERT: &str = "
    insert into session (uid, user_id, method, agent, created_at, refreshed_at, expires_at)
    values ($1, $2, $3, $4, $5, $5, $6) returning id";
const CROWDED: &str =
    concat!("select", columns!(), "where s.user_id = $1 and s.ended_at is null order by s.id desc limit 100 offset $2");
const LOCK: &str = "
    update session set refreshed_at = refreshed_at where id = (select session_id from refresh_token where hash = $1)";
const TOKEN: &str = "
    select t.n, t.spent_at, t.salt, cast((select max(n) from refresh_token where session_id = t.session_id) as bigint)
    from refresh_token t where t.hash = $1";
const INSERT_TOKEN: &str = "insert into refresh_token (hash, session_id, n) values ($1, $2, $3)";
const SPEND: &str = "update refresh_token set spent_at = $1, salt = $2 where hash = $3";
const FORGET_SALTS: &str = "update refresh_token set salt = null where session_id = $1 and n < $2 and salt is not null";
const REFRESHED: &str = "update session set refreshed_at = $1 where id = $2";
const END: &str = "update session set ended_at = $1, ended_as = $2 where id = $3 and ended_at is null";
const END_ALL: &str = "update session set ended_at = $1, ended_as = $2 where user_id = $3 and ended_at is null";
const DELETE_TOKENS: &str = "
    delete from refresh_token where session_id in
        (select id from session where coalesce(ended_at, expires_at) < $1 order by id limit $2)";
const DELETE: &str = "
    delete from session where id in (select id from session where coalesce(ended_at, expires_at) < $1
                                     and not exists (select 1 from refresh_token t where t.session_id = session.id)
                                     order by id limit $2)";

/// The session with this id.
pub async fn find(tx: &mut Tx, session: SessionId) -> sqlx::Result<Option<Session>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(session).fetch_optional(conn).await)
}

/// A user's open sessions, the newest first.
pub async fn page(
    tx: &mut Tx,
    now: Timestamp,
    user_id: i64,
    (after, limit): (Option<SessionId>, i64),
) -> sqlx::Result<Vec<Session>> {
    on_db!(tx, conn => {
        sqlx::query_as(PAGE).bind(user_id).bind(now).bind(after).bind(limit).fetch_all(conn).await
    })
}

/// Begins a session of an active user.
pub async fn open(
    tx: &mut Tx,
    app: &App,
    (user_id, user): (i64, UserId),
    (method, agent): (Method, Option<&str>),
) -> sqlx::Result<Opened> {
    let now = app.now();
    let (uid, refresh) = app.rng.with(|rng| {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        (SessionId::new(now, rng), RefreshToken(bytes))
    });
    let agent = agent.map(plain).filter(|agent| !agent.is_empty());
    let expires_at = now.plus_ms(method.lasting(app).days * DAY_MS);
    let id: i64 = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(INSERT)
            .bind(uid)
            .bind(user_id)
            .bind(method)
            .bind(agent.as_deref())
            .bind(now)
            .bind(expires_at)
            .fetch_one(conn)
            .await
    })?;
    insert_token(tx, &refresh, id, 1).await?;
    audit::record(tx, now, Actor::user(user_id), "session.opened", uid, json!({ "method": method.code() })).await?;
    let crowded: Vec<Session> =
        on_db!(&mut *tx, conn => sqlx::query_as(CROWDED).bind(user_id).bind(OPEN_MAX).fetch_all(conn).await)?;
    for session in &crowded {
        end(tx, now, Actor::user(user_id), session, Ending::Crowded).await?;
    }
    let session = Session {
        id,
        uid,
        user_id,
        user_uid: user,
        user_active: true,
        method,
        agent,
        created_at: now,
        refreshed_at: now,
        expires_at,
        ended_at: None,
        ended_as: None,
    };
    Ok(Opened { session, refresh })
}

/// What a client says it is, as far as it can be shown.
fn plain(agent: &str) -> String {
    agent.chars().filter(|c| matches!(c, ' '..='~')).take(AGENT_MAX).collect::<String>().trim().to_owned()
}

async fn insert_token(tx: &mut Tx, token: &RefreshToken, session_id: i64, n: i64) -> sqlx::Result<()> {
    on_db!(tx, conn => {
        sqlx::query(INSERT_TOKEN).bind(token.hash()).bind(session_id).bind(n).execute(conn).await.map(|_| ())
    })
}

/// Where a refresh token stands among its session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    spent_at: Option<Timestamp>,
    /// Its successor is the newest and the salt is still there: it was never used.
    successor_unused: bool,
}

/// What becomes of a refresh token that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is spent, and gives the next.
    Spend,
    /// Its answer was lost: the same successor again.
    Again,
    /// Two hold it.
    Reused,
}

fn judge(Standing { spent_at, successor_unused }: Standing, now: Timestamp) -> Verdict {
    match spent_at {
        None => Verdict::Spend,
        Some(spent_at) if successor_unused && now.ms_since(spent_at) <= GRACE_MS => Verdict::Again,
        Some(_) => Verdict::Reused,
    }
}

/// What became of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    /// The next token.
    Opened(Box<Opened>),
    /// A spent one came again: the session has ended, once this transaction is committed.
    Reused,
    /// There is no such token, or its session is over.
    Over,
}

/// Uses a refresh token. The caller commits, whatever it answers.
pub async fn refresh(tx: &mut Tx, app: &App, token: &RefreshToken) -> sqlx::Result<Refreshed> {
    let (now, hash) = (app.now(), token.hash());
    on_db!(&mut *tx, conn => sqlx::query(LOCK).bind(hash).execute(conn).await.map(|_| ()))?;
    let Some(mut session) = by_token(tx, token).await? else { return Ok(Refreshed::Over) };
    let found: Option<(i64, Option<Timestamp>, Option<Hash>, i64)> =
        on_db!(&mut *tx, conn => sqlx::query_as(TOKEN).bind(hash).fetch_optional(conn).await)?;
    let Some((n, spent_at, salt, newest)) = found else { return Ok(Refreshed::Over) };
    if session.ended_at.is_some() || now >= session.ends_at(app) || !session.user_active {
        return Ok(Refreshed::Over);
    }
    let standing = Standing { spent_at, successor_unused: salt.is_some() && newest == n + 1 };
    match (judge(standing, now), salt) {
        (Verdict::Again, Some(salt)) => {
            Ok(Refreshed::Opened(Box::new(Opened { session, refresh: token.successor(&salt) })))
        }
        (Verdict::Spend, _) => {
            let mut salt = Hash([0; 32]);
            app.rng.with(|rng| rng.fill_bytes(&mut salt.0));
            let refresh = token.successor(&salt);
            on_db!(&mut *tx, conn => {
                sqlx::query(SPEND).bind(now).bind(salt).bind(hash).execute(conn).await.map(|_| ())
            })?;
            on_db!(&mut *tx, conn => {
                sqlx::query(FORGET_SALTS).bind(session.id).bind(n).execute(conn).await.map(|_| ())
            })?;
            insert_token(tx, &refresh, session.id, n + 1).await?;
            on_db!(&mut *tx, conn => sqlx::query(REFRESHED).bind(now).bind(session.id).execute(conn).await.map(|_| ()))?;
            session.refreshed_at = now;
            Ok(Refreshed::Opened(Box::new(Opened { session, refresh })))
        }
        (Verdict::Again | Verdict::Reused, _) => {
            end(tx, now, Actor::user(session.user_id), &session, Ending::Reused).await?;
            Ok(Refreshed::Reused)
        }
    }
}

/// The session that a refresh token, spent or not, belongs to.
pub async fn by_token(tx: &mut Tx, token: &RefreshToken) -> sqlx::Result<Option<Session>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_BY_TOKEN).bind(token.hash()).fetch_optional(conn).await)
}

/// Ends a session; one that has ended stays as it is.
pub async fn end(tx: &mut Tx, now: Timestamp, actor: Actor, session: &Session, why: Ending) -> sqlx::Result<()> {
    let ended = on_db!(&mut *tx, conn => {
        sqlx::query(END).bind(now).bind(why).bind(session.id).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if ended > 0 {
        let detail = json!({ "user": session.user_uid, "as": why.code() });
        audit::record(tx, now, actor, "session.ended", session.uid, detail).await?;
    }
    Ok(())
}

/// Ends all sessions of a user; returns how many there were.
pub async fn end_all(
    tx: &mut Tx,
    now: Timestamp,
    actor: Actor,
    (user_id, user): (i64, UserId),
    why: Ending,
) -> sqlx::Result<u64> {
    let ended = on_db!(&mut *tx, conn => {
        sqlx::query(END_ALL).bind(now).bind(why).bind(user_id).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if ended > 0 {
        let detail = json!({ "sessions": ended, "as": why.code() });
        audit::record(tx, now, actor, "user.sessions_ended", user, detail).await?;
    }
    Ok(ended)
}

/// Sessions forgotten in one transaction.
const FORGOTTEN_MAX: i64 = 500;

/// Forgets sessions that ended long ago; returns how many. Called again while there are more.
pub async fn forget(tx: &mut Tx, now: Timestamp) -> sqlx::Result<u64> {
    let before = now.plus_ms(-KEPT_DAYS * DAY_MS);
    on_db!(&mut *tx, conn => {
        sqlx::query(DELETE_TOKENS).bind(before).bind(FORGOTTEN_MAX).execute(conn).await.map(|_| ())
    })?;
    on_db!(&mut *tx, conn => {
        sqlx::query(DELETE).bind(before).bind(FORGOTTEN_MAX).execute(conn).await.map(|done| done.rows_affected())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_spent_once_and_its_answer_may_be_lost_for_a_while() {
        let now = Timestamp::from_millis(10_000_000);
        let spent = |ms_ago: i64, successor_unused| Standing { spent_at: Some(now.plus_ms(-ms_ago)), successor_unused };
        let cases = [
            (Standing { spent_at: None, successor_unused: false }, Verdict::Spend),
            (spent(0, true), Verdict::Again),
            (spent(GRACE_MS, true), Verdict::Again),
            (spent(GRACE_MS + 1, true), Verdict::Reused),
            (spent(0, false), Verdict::Reused),
            (spent(GRACE_MS + 1, false), Verdict::Reused),
        ];
        for (standing, verdict) in cases {
            assert_eq!(judge(standing, now), verdict, "{standing:?}");
        }
    }

    #[test]
    fn a_token_reads_back_and_garbage_is_none() {
        let token = RefreshToken([9; 32]);
        assert_eq!(RefreshToken::parse(&token.text()), Some(token.clone()));
        for text in ["", "dbr_", "dbr_AAAA", "x", &token.text()[4..], &format!("{}A", token.text())] {
            assert_eq!(RefreshToken::parse(text), None, "{text}");
        }
        assert_eq!(format!("{token:?}"), "RefreshToken");
        assert_ne!(token.successor(&Hash([1; 32])), token.successor(&Hash([2; 32])));
    }

    #[test]
    fn what_a_client_says_it_is_is_shown_plainly() {
        assert_eq!(plain("  curl/8.5 \u{202e}\n<b>"), "curl/8.5 <b>");
        assert_eq!(plain(&"x".repeat(500)).len(), AGENT_MAX);
    }
}
