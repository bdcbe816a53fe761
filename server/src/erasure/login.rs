//! How a customer who is erased came in: his login, which nobody can use any more, his sessions, whom a provider
//! means by him, answers that are kept for him, messages, codes, and which texts he consented to.
//!
//! That he consented, to what, when and before whom stays: the lender has to show it, and it names nobody.

use daybook_shared::ids::UserId;

use crate::app::App;
use crate::audit::Actor;
use crate::auth::oidc::link;
use crate::auth::one_time;
use crate::auth::users::{self, UserRow};
use crate::db::Tx;
use crate::messages::outbox;
use crate::on_db;

// Locks the row: what is written for the customer meanwhile is there to be forgotten, or is not written.
const LOCK: &str = "update customer set name = name where id = $1 returning phone";
const SELECT_LOGIN: &str = "select id, uid, login, name, active from app_user where customer_id = $1";
const FORGET_ANSWERS: &str = "delete from idempotency where subject = $1";
const FORGET_CLIENTS: &str = "update session set agent = null where user_id = $1";
const FORGET_TEXTS: &str = "update consent set text_version = '' where customer_id = $1";

/// Forgets it, while the customer still has his number.
pub async fn forget(tx: &mut Tx, app: &App, customer_id: i64) -> sqlx::Result<()> {
    let phone: Option<String> =
        on_db!(&mut *tx, conn => sqlx::query_scalar(LOCK).bind(customer_id).fetch_one(conn).await)?;
    if let Some(phone) = phone {
        one_time::erase(tx, app, &phone).await?;
    }
    outbox::erase(tx, customer_id).await?;
    on_db!(&mut *tx, conn => sqlx::query(FORGET_TEXTS).bind(customer_id).execute(conn).await.map(|_| ()))?;
    let login: Option<UserRow> =
        on_db!(&mut *tx, conn => sqlx::query_as(SELECT_LOGIN).bind(customer_id).fetch_optional(conn).await)?;
    let Some(user) = login else { return Ok(()) };
    users::deactivate(tx, app.now(), Actor::OPERATOR, &user).await?;
    link::clear(tx, app.now(), Actor::OPERATOR, (user.id, user.uid)).await?;
    on_db!(&mut *tx, conn => sqlx::query(FORGET_CLIENTS).bind(user.id).execute(conn).await.map(|_| ()))?;
    forget_answers(tx, user.uid).await
}

async fn forget_answers(tx: &mut Tx, user: UserId) -> sqlx::Result<()> {
    on_db!(tx, conn => sqlx::query(FORGET_ANSWERS).bind(user).execute(conn).await.map(|_| ()))
}
