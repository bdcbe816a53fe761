//! One-time codes by message: who reads one out has the phone it went to.
//!
//! A number has one row: its newest code, which counts alone, and how many codes went to it. What is kept are
//! keyed hashes, of the number too. Whoever asks for a code learns nothing: whether one goes out depends on what
//! was sent before, never on whose the number is. A code is good for some minutes, five tries and one use; a try
//! is counted, and committed, before it is looked at.

use std::time::Duration;

use daybook_shared::ids::Hash;
use daybook_shared::messages::{Language, Param};
use daybook_shared::time::{DAY_MS, Timestamp};
use rand::RngExt as _;

use crate::app::App;
use crate::db::Tx;
use crate::import::cell;
use crate::messages::{self, NewMessage, Template, To, outbox};
use crate::on_db;

/// Tries at one code.
pub const TRIES_MAX: i64 = 5;
/// How long the next code for a number has to be waited for.
pub const RESEND_S: i64 = 60;
/// Codes that one address asks for in a minute. A mobile network's customers may share one.
pub const ASKED_A_MINUTE_MAX: u32 = 20;
/// How often codes are forgotten.
pub const FORGET_EVERY: Duration = Duration::from_hours(1);
const DIGITS: usize = 6;
const HOUR_MS: i64 = 3_600_000;
/// Rows forgotten in one transaction.
const FORGOTTEN_MAX: i64 = 500;

/// A phone number in international form.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phone")
    }
}

/// The longest text that is read as a number.
const PHONE_CHARS_MAX: usize = 40;

impl Phone {
    /// The number a person wrote, as imports normalise it.
    pub fn parse(app: &App, text: &str) -> Option<Self> {
        let country = Some(app.settings.phone_country_code.as_str()).filter(|code| !code.is_empty());
        let fits = text.chars().count() <= PHONE_CHARS_MAX;
        fits.then(|| cell::phone(&latin_digits(text), country).ok()).flatten().map(Self)
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Digits as most write them; a keyboard may be Arabic or Persian.
fn latin_digits(text: &str) -> String {
    let digit = |c: char, zero: char| char::from_digit(u32::from(c) - u32::from(zero), 10).unwrap_or(c);
    let latin = |c: char| match c {
        '\u{660}'..='\u{669}' => digit(c, '\u{660}'),
        '\u{6f0}'..='\u{6f9}' => digit(c, '\u{6f0}'),
        c => c,
    };
    text.chars().map(latin).collect()
}

/// The digits of a code a person typed.
fn typed(code: &str) -> Option<String> {
    let code: String = latin_digits(code).chars().filter(|c| !c.is_whitespace()).take(DIGITS + 1).collect();
    (code.len() == DIGITS && code.bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
}

/// What went to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
struct Standing {
    sent_at: Option<Timestamp>,
    day_began_at: Timestamp,
    day_codes: i64,
}

impl Standing {
    /// What there is to be after one more code now; none when it must wait.
    fn with_one_more(self, now: Timestamp, day_max: i64) -> Option<Self> {
        if self.sent_at.is_some_and(|sent_at| now.ms_since(sent_at) < RESEND_S * 1000) {
            return None;
        }
        let (day_began_at, day_codes) =
            if now.ms_since(self.day_began_at) >= DAY_MS { (now, 0) } else { (self.day_began_at, self.day_codes) };
        (day_codes < day_max).then_some(Self { sent_at: Some(now), day_began_at, day_codes: day_codes + 1 })
    }
}

const LOCK: &str = "
    insert into phone_code (number, tries, day_began_at, day_codes, touched_at) values ($1, 0, $2, 0, $2)
    on conflict (number) do update set touched_at = excluded.touched_at
    returning sent_at, day_began_at, day_codes";
const SEND: &str = "
    update phone_code set hash = $2, sent_at = $3, expires_at = $4, tries = 0, day_began_at = $5, day_codes = $6
    where number = $1";

/// Whoever makes or names a customer by a number does it alone until the transaction ends: two at once would
/// make two customers.
pub async fn lock(tx: &mut Tx, app: &App, phone: &Phone) -> sqlx::Result<()> {
    lock_number(tx, app.now(), &app.keys.rest.number(&phone.0)).await.map(|_| ())
}

async fn lock_number(tx: &mut Tx, now: Timestamp, number: &Hash) -> sqlx::Result<Standing> {
    on_db!(tx, conn => sqlx::query_as(LOCK).bind(*number).bind(now).fetch_one(conn).await)
}

/// A code for a number, if one may go out: the key of the message that carries it.
pub async fn ask(tx: &mut Tx, app: &App, phone: &Phone, language: Language) -> sqlx::Result<Option<i64>> {
    let (now, number) = (app.now(), app.keys.rest.number(&phone.0));
    let standing = lock_number(tx, now, &number).await?;
    let Some(next) = standing.with_one_more(now, app.settings.sign_in_codes_day) else { return Ok(None) };
    let in_all = outbox::count_since(tx, Template::SignInCode, now.plus_ms(-HOUR_MS)).await?;
    if in_all >= app.settings.sign_in_codes_hour {
        tracing::error!(in_all, "no more one-time codes go out in this hour: sign_in_codes_hour");
        return Ok(None);
    }
    let code = app.rng.with(|rng| format!("{:06}", rng.random_range(0..1_000_000_u32)));
    let minutes = app.settings.sign_in_code_minutes;
    let expires_at = now.plus_ms(minutes * 60_000);
    on_db!(&mut *tx, conn => {
        sqlx::query(SEND)
            .bind(number)
            .bind(app.keys.rest.code(&number, &code))
            .bind(now)
            .bind(expires_at)
            .bind(next.day_began_at)
            .bind(next.day_codes)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    let minutes = Param::Count(u32::try_from(minutes).unwrap_or_default());
    let params = [("code", Param::Text(code.as_str())), ("minutes", minutes)];
    let (to, template) = (To::Number(&phone.0), Template::SignInCode);
    messages::enqueue(tx, app, NewMessage { to, template, language, params: &params, expires_at }).await.map(Some)
}

const TRY: &str = "
    update phone_code set tries = tries + 1
    where number = $1 and hash is not null and expires_at > $2 and tries < $3 returning hash";
const SPEND: &str = "update phone_code set hash = null where number = $1 and hash = $2";

/// Somebody has read out the newest code of a number.
#[derive(Debug)]
pub struct Proof {
    number: Hash,
    hash: Hash,
}

/// Looks at a code, in a transaction of its own: a wrong try counts, whatever becomes of the request.
pub async fn prove(app: &App, phone: &Phone, code: &str) -> sqlx::Result<Option<Proof>> {
    let Some(code) = typed(code) else { return Ok(None) };
    let number = app.keys.rest.number(&phone.0);
    let mut tx = app.db.write().await?;
    let kept: Option<Hash> = on_db!(&mut tx, conn => {
        sqlx::query_scalar(TRY).bind(number).bind(app.now()).bind(TRIES_MAX).fetch_optional(conn).await
    })?;
    tx.commit().await?;
    Ok(kept.filter(|kept| app.keys.rest.code_fits(&number, &code, kept)).map(|hash| Proof { number, hash }))
}

/// Uses a code up, in the transaction of what it allows, and locks its number ([`lock`]). False when somebody
/// else has used it since.
pub async fn spend(tx: &mut Tx, proof: &Proof) -> sqlx::Result<bool> {
    on_db!(tx, conn => {
        let query = sqlx::query(SPEND).bind(proof.number).bind(proof.hash);
        query.execute(conn).await.map(|done| done.rows_affected() == 1)
    })
}

const FORGET: &str = "delete from phone_code where number in
     (select o.number from phone_code o where o.touched_at < $1 order by o.touched_at limit $2)";

/// Forgets numbers that were not heard of for a day; returns how many.
pub async fn forget(app: &App) -> sqlx::Result<u64> {
    let before = app.now().plus_ms(-DAY_MS);
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

const ERASE: &str = "delete from phone_code where number = $1";

/// What there is of the number of a customer who is erased.
pub async fn erase(tx: &mut Tx, app: &App, phone: &str) -> sqlx::Result<()> {
    let number = app.keys.rest.number(phone);
    on_db!(tx, conn => sqlx::query(ERASE).bind(number).execute(conn).await.map(|_| ()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode, header};

    use super::*;
    use crate::http::peer::Remote;
    use crate::testing::for_each_engine_with;
    use crate::testing::gateway::StubGateway;

    /// Each from another number, so that only the address is what they have in common.
    #[tokio::test]
    async fn one_address_asks_for_so_many_codes_a_minute() {
        let gateway = StubGateway::start();
        let settings = [("message_gateway", "http"), ("sms_url", gateway.url.as_str())];
        for_each_engine_with(&settings, async |server| {
            let ask = async |n: u32, from: &str| {
                let body = format!("{{\"phone\":\"+2547000{n:05}\"}}");
                let request = Request::post("/v1/sessions/codes").header(header::CONTENT_TYPE, "application/json");
                let mut request = request.body(Body::from(body)).unwrap();
                request.extensions_mut().insert(Remote(format!("{from}:1").parse().unwrap()));
                server.send(request).await
            };
            for n in 0..ASKED_A_MINUTE_MAX {
                assert_eq!(ask(n, "7.7.7.7").await.status, StatusCode::ACCEPTED);
            }
            let more = ask(99, "7.7.7.7").await;
            assert_eq!((more.status, more.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"));
            assert!(more.headers.contains_key(header::RETRY_AFTER));
            assert_eq!(ask(99, "8.8.8.8").await.status, StatusCode::ACCEPTED);
            server.clock.advance_ms(60_000);
            assert_eq!(ask(98, "7.7.7.7").await.status, StatusCode::ACCEPTED);
        })
        .await;
    }

    #[test]
    fn a_code_goes_out_once_a_minute_and_so_often_a_day() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let ago = |s: i64| now.plus_ms(-s * 1000);
        let new = Standing { sent_at: None, day_began_at: now, day_codes: 0 };
        let cases = [
            (new, Some((now, 1))),
            (Standing { sent_at: Some(ago(0)), day_began_at: now, day_codes: 1 }, None),
            (Standing { sent_at: Some(ago(59)), day_began_at: ago(59), day_codes: 1 }, None),
            (Standing { sent_at: Some(ago(60)), day_began_at: ago(60), day_codes: 1 }, Some((ago(60), 2))),
            (Standing { sent_at: Some(ago(60)), day_began_at: ago(3_600), day_codes: 3 }, None),
            (Standing { sent_at: Some(ago(60)), day_began_at: ago(86_399), day_codes: 3 }, None),
            (Standing { sent_at: Some(ago(60)), day_began_at: ago(86_400), day_codes: 3 }, Some((now, 1))),
            (Standing { sent_at: Some(ago(59)), day_began_at: ago(86_400), day_codes: 3 }, None),
            // A clock that was set back sends nothing more.
            (Standing { sent_at: Some(ago(-600)), day_began_at: ago(-600), day_codes: 1 }, None),
        ];
        for (standing, expected) in cases {
            let next = standing.with_one_more(now, 3);
            assert_eq!(next.map(|next| (next.day_began_at, next.day_codes)), expected, "{standing:?}");
            assert!(next.is_none_or(|next| next.sent_at == Some(now)));
        }
    }

    #[test]
    fn digits_are_read_from_any_keyboard() {
        for (code, expected) in [
            ("012345", Some("012345")),
            (" 012 345 ", Some("012345")),
            ("\u{660}\u{661}\u{662}\u{663}\u{664}\u{665}", Some("012345")),
            ("\u{6f0}\u{6f1}\u{6f2}\u{6f3}\u{6f4}\u{6f5}", Some("012345")),
            ("12345", None),
            ("1234567", None),
            ("12345a", None),
            ("", None),
            ("\u{ff11}23456", None),
        ] {
            assert_eq!(typed(code).as_deref(), expected, "{code}");
        }
    }
}
