//! The rows of messages. A message is claimed before its gateway is asked, by an update that one of all
//! replicas wins; a claim that nobody ended is one of which nobody knows what came of it.

use std::collections::BTreeMap;

use daybook_shared::ids::MessageId;
use daybook_shared::messages::{Language, Param};
use daybook_shared::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Template;
use super::after::After;
use super::gateway::SendError;
use crate::app::App;
use crate::db::Tx;
use crate::on_db;

/// How long a claim is somebody's: longer than any gateway may take.
const CLAIM_MS: i64 = 60_000;
/// How long it is remembered that a message was sent.
const KEPT_DAYS: i64 = 90;
/// Rows forgotten in one transaction.
const FORGOTTEN_MAX: i64 = 500;
/// Characters of a failure that are kept.
const FAILURE_CHARS_MAX: usize = 200;

/// Whom a message is for.
#[derive(Debug, Clone, Copy)]
pub enum To<'a> {
    /// A number, whoever has it.
    Number(&'a str),
    /// A customer, at the number he has when it leaves.
    Customer(i64),
    /// A customer, at a number that he perhaps has no more.
    CustomerAt(i64, &'a str),
}

/// A message to be sent.
#[derive(Debug, Clone, Copy)]
pub struct NewMessage<'a> {
    /// Whom it is for.
    pub to: To<'a>,
    /// What it says.
    pub template: Template,
    /// In which language.
    pub language: Language,
    /// What it is said with, beside `lender`.
    pub params: &'a [(&'a str, Param<'a>)],
    /// When it is of no use any more.
    pub expires_at: Timestamp,
}

/// What is sealed of a message.
#[derive(Serialize, Deserialize)]
struct Content {
    /// The number; none where it is the customer's.
    to: Option<String>,
    /// Texts and counts by name.
    params: BTreeMap<String, Value>,
}

const INSERT: &str = "
    insert into message (uid, customer_id, template, language, sealed, may_repeat, state, tries, created_at, next_at,
      expires_at) values ($1, $2, $3, $4, $5, $6, 'waiting', 0, $7, $7, $8) returning id";

/// Writes a message down, in the transaction of what it tells of; returns its key, for
/// [`super::send::send_now`] after the commit.
pub async fn enqueue(tx: &mut Tx, app: &App, new: NewMessage<'_>) -> sqlx::Result<i64> {
    let NewMessage { to, template, language, params, expires_at } = new;
    let (customer_id, number) = match to {
        To::Number(number) => (None, Some(number)),
        To::Customer(customer) => (Some(customer), None),
        To::CustomerAt(customer, number) => (Some(customer), Some(number)),
    };
    let value = |param: &Param<'_>| match param {
        Param::Text(text) => Value::from(*text),
        Param::Count(count) => Value::from(*count),
    };
    let params = params.iter().map(|(name, param)| ((*name).to_owned(), value(param))).collect();
    let content = Content { to: number.map(str::to_owned), params };
    let content = serde_json::to_vec(&content).expect("texts and counts are JSON");
    let now = app.now();
    let (uid, sealed) = app.rng.with(|rng| {
        let uid = MessageId::new(now, rng);
        (uid, app.keys.rest.seal(&about(uid), &content, rng))
    });
    on_db!(tx, conn => {
        sqlx::query_scalar(INSERT)
            .bind(uid)
            .bind(customer_id)
            .bind(template)
            .bind(language.tag())
            .bind(sealed)
            .bind(template.may_repeat())
            .bind(now)
            .bind(expires_at)
            .fetch_one(conn)
            .await
    })
}

/// What a message's content is sealed about.
fn about(uid: MessageId) -> Vec<u8> {
    [b"daybook/message/1".as_slice(), uid.as_bytes()].concat()
}

/// A message that is being sent by who has this.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Claimed {
    pub id: i64,
    pub uid: MessageId,
    pub customer_id: Option<i64>,
    pub template: Template,
    language: String,
    sealed: Vec<u8>,
    pub may_repeat: bool,
    pub tries: i64,
    pub expires_at: Timestamp,
}

/// Number and parameters, opened.
pub(super) struct Opened {
    pub to: Option<String>,
    params: BTreeMap<String, Value>,
}

impl Claimed {
    pub fn language(&self) -> Language {
        Language::from_tag(&self.language).unwrap_or_default()
    }

    /// What was sealed; none when the key for it is gone.
    pub fn open(&self, app: &App) -> Option<Opened> {
        let content = app.keys.rest.open(&about(self.uid), &self.sealed)?;
        let Content { to, params } = serde_json::from_slice(&content).ok()?;
        Some(Opened { to, params })
    }
}

impl Opened {
    /// The parameters, as the catalogue takes them.
    pub fn params(&self) -> impl Iterator<Item = (&str, Param<'_>)> {
        self.params.iter().map(|(name, value)| {
            let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
            (name.as_str(), count.map_or_else(|| Param::Text(value.as_str().unwrap_or_default()), Param::Count))
        })
    }
}

const DUE: &str = "select id from message where done_at is null and next_at <= $1 and (state = 'waiting' or may_repeat)
     order by next_at, id limit $2";
const CLAIM: &str = "update message set state = 'sending', tries = tries + 1, next_at = $2
     where id = $1 and done_at is null and next_at <= $3 and expires_at > $3 and (state = 'waiting' or may_repeat)
     returning id, uid, customer_id, template, language, sealed, may_repeat, tries, expires_at";
const NUMBER_OF: &str = "select phone from customer where id = $1";

/// Keys of messages whose time has come, the oldest first.
pub(super) async fn due(tx: &mut Tx, now: Timestamp, limit: i64) -> sqlx::Result<Vec<i64>> {
    on_db!(tx, conn => sqlx::query_scalar(DUE).bind(now).bind(limit).fetch_all(conn).await)
}

/// Claims a message whose time has come; none when another has it, or it is over.
pub(super) async fn claim(tx: &mut Tx, now: Timestamp, id: i64) -> sqlx::Result<Option<Claimed>> {
    on_db!(tx, conn => {
        sqlx::query_as(CLAIM).bind(id).bind(now.plus_ms(CLAIM_MS)).bind(now).fetch_optional(conn).await
    })
}

/// The number a customer has now.
pub(super) async fn number_of(tx: &mut Tx, customer_id: i64) -> sqlx::Result<Option<String>> {
    on_db!(tx, conn => sqlx::query_scalar(NUMBER_OF).bind(customer_id).fetch_one(conn).await)
}

const AGAIN: &str = "update message set state = 'waiting', next_at = $3, failure = $4
     where id = $1 and tries = $2 and state = 'sending'";
const OVER: &str = "update message set state = $3, done_at = $4, failure = $5, sealed = null
     where id = $1 and tries = $2 and state = 'sending'";

/// Notes what becomes of a message that was tried. One that another has claimed meanwhile is his to note.
pub(super) async fn note(
    tx: &mut Tx,
    now: Timestamp,
    claimed: &Claimed,
    (after, outcome): (After, &Result<(), SendError>),
) -> sqlx::Result<()> {
    let cut = |error: &SendError| error.to_string().chars().take(FAILURE_CHARS_MAX).collect::<String>();
    let failure = outcome.as_ref().err().map(cut);
    on_db!(tx, conn => match after {
        After::Again(at) => {
            sqlx::query(AGAIN).bind(claimed.id).bind(claimed.tries).bind(at).bind(failure).execute(conn).await.map(|_| ())
        }
        After::Over(state) => {
            let query = sqlx::query(OVER).bind(claimed.id).bind(claimed.tries).bind(state).bind(now);
            query.bind(failure).execute(conn).await.map(|_| ())
        }
    })
}

const LOST: &str = "update message set state = 'unknown', done_at = $1, sealed = null
     where done_at is null and state = 'sending' and next_at <= $1 and not may_repeat";
const EXPIRED: &str = "update message set state = 'given_up', done_at = $1, sealed = null
     where done_at is null and expires_at <= $1 and (state = 'waiting' or next_at <= $1)";

/// Ends messages whose sender ended in the middle, where they are not sent twice, and those whose time is over.
pub(super) async fn end_stale(tx: &mut Tx, now: Timestamp) -> sqlx::Result<u64> {
    let mut ended = 0;
    for sql in [LOST, EXPIRED] {
        ended += on_db!(&mut *tx, conn => {
            sqlx::query(sql).bind(now).execute(conn).await.map(|done| done.rows_affected())
        })?;
    }
    Ok(ended)
}

const COUNT_SINCE: &str = "select cast(count(*) as bigint) from message where template = $1 and created_at > $2";

/// How many messages of this kind were written down since then.
pub async fn count_since(tx: &mut Tx, template: Template, since: Timestamp) -> sqlx::Result<i64> {
    on_db!(tx, conn => sqlx::query_scalar(COUNT_SINCE).bind(template).bind(since).fetch_one(conn).await)
}

const FORGET: &str = "delete from message where id in
     (select o.id from message o where o.done_at is not null and o.done_at < $1 order by o.done_at limit $2)";

/// Forgets messages that were sent or given up long ago; returns how many.
pub async fn forget(app: &App) -> sqlx::Result<u64> {
    let before = app.now().plus_ms(-KEPT_DAYS * DAY_MS);
    let mut gone = 0;
    loop {
        let mut tx = app.db.write().await?;
        let deleted = on_db!(&mut tx, conn => {
            sqlx::query(FORGET).bind(before).bind(FORGOTTEN_MAX).execute(conn).await.map(|done| done.rows_affected())
        })?;
        tx.commit().await?;
        gone += deleted;
        if deleted < FORGOTTEN_MAX.unsigned_abs() {
            return Ok(gone);
        }
    }
}

const ERASE: &str = "delete from message where customer_id = $1";

/// What was ever sent, or is to be sent, to a customer who is erased.
pub async fn erase(tx: &mut Tx, customer_id: i64) -> sqlx::Result<()> {
    on_db!(tx, conn => sqlx::query(ERASE).bind(customer_id).execute(conn).await.map(|_| ()))
}
