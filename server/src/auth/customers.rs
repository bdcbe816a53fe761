//! Customers who sign in. A customer's login is a row of `app_user` like any other, so that sessions, tokens,
//! kept answers and the audit trail are the same for all; it has no password and no role, and its name says
//! nothing of who he is.

use daybook_shared::ids::{CustomerId, UserId};
use daybook_shared::time::Timestamp;

use super::party::Customer;
use super::users::UserRow;
use crate::app::SharedRng;
use crate::db::Tx;
use crate::on_db;

const INSERT_CUSTOMER: &str =
    "insert into customer (uid, name, phone, unit_id) values ($1, $2, $3, $4) returning id, uid";

/// A customer to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewCustomer<'a> {
    /// Id, which its maker chose.
    pub uid: CustomerId,
    /// Name; empty until he says it.
    pub name: &'a str,
    /// Phone number, international form.
    pub phone: Option<&'a str>,
    /// Key of the unit that serves him.
    pub unit_id: Option<i64>,
}

/// Makes a customer.
pub async fn create(tx: &mut Tx, new: NewCustomer<'_>) -> sqlx::Result<Customer> {
    let NewCustomer { uid, name, phone, unit_id } = new;
    on_db!(tx, conn => {
        sqlx::query_as(INSERT_CUSTOMER).bind(uid).bind(name).bind(phone).bind(unit_id).fetch_one(conn).await
    })
}

const LOCK: &str = "update customer set name = name where id = $1 and erased_at is null";

/// Locks a customer's row until the transaction ends, against his erasure; false when he is erased.
pub async fn lock(tx: &mut Tx, customer_id: i64) -> sqlx::Result<bool> {
    on_db!(tx, conn => sqlx::query(LOCK).bind(customer_id).execute(conn).await.map(|done| done.rows_affected() == 1))
}

// Nobody knows a password for what is not a hash.
const INSERT_LOGIN: &str = "
    insert into app_user (uid, login, name, password_hash, active, created_at, customer_id)
    values ($1, $2, '', 'none', true, $3, $4)
    on conflict (login) do update set login = app_user.login returning id, uid, login, name, active";

/// The login of a customer, made if it is missing.
pub async fn login(tx: &mut Tx, (now, rng): (Timestamp, &SharedRng), customer: Customer) -> sqlx::Result<UserRow> {
    let uid = rng.with(|rng| UserId::new(now, rng));
    // No login of staff has a colon.
    let name = format!("customer:{}", customer.uid);
    on_db!(tx, conn => {
        sqlx::query_as(INSERT_LOGIN).bind(uid).bind(name).bind(now).bind(customer.id).fetch_one(conn).await
    })
}
