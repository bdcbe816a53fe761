//! Whose journey a request is about: a customer's own, or that of one customer for whom a member of staff
//! acts, whom he names in `Acting-For`.
//!
//! The guard finds it before the handler runs, so a handler has a [`Party`] or is not called. Staff act for
//! customers of the units they reach: those with an account there, and those whom a shop there serves. Who
//! came by himself is served by nobody until he bought something or a shop took him on.

use std::str::FromStr as _;

use axum::http::{HeaderMap, HeaderName, Method};
use daybook_shared::ids::CustomerId;
use daybook_shared::time::Timestamp;
use serde_json::{Value, json};

use super::roles::Permission;
use super::users::User;
use crate::audit;
use crate::db::Tx;
use crate::http::problem::{Code, Problem};
use crate::{on_db, visible_units};

/// Names the customer for whom a member of staff acts.
pub const ACTING_FOR: HeaderName = HeaderName::from_static("acting-for");

/// Who asks, and about whom.
#[derive(Debug, Clone)]
pub struct Party {
    /// Who asks: the customer's own login, or a member of staff.
    pub user: User,
    /// The customer.
    pub customer: Customer,
}

/// A customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Customer {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: CustomerId,
}

const SELECT_SERVED: &str = concat!(
    visible_units!(),
    "select c.id, c.uid from customer c where c.uid = $3 and c.erased_at is null and (c.unit_id in (select id from visible)
       or exists (select 1 from account a join visible v on v.id = a.unit_id where a.customer_id = c.id))"
);

/// The customer that a user's request is about.
pub async fn find(tx: &mut Tx, user: &User, method: &Method, headers: &HeaderMap) -> Result<Party, Problem> {
    let named = named(headers)?;
    let customer: Option<Customer> = match (user.customer_id, named) {
        (Some(id), named) => {
            let own = user.customer.map(|uid| Customer { id, uid });
            own.filter(|own| named.is_none_or(|named| named == own.uid))
        }
        (None, Some(named)) => {
            let permission = if method.is_safe() { Permission::ReadJourney } else { Permission::WriteJourney };
            on_db!(tx, conn => {
                sqlx::query_as(SELECT_SERVED)
                    .bind(user.id)
                    .bind(permission.role_list())
                    .bind(named)
                    .fetch_optional(conn)
                    .await
            })?
        }
        (None, None) => {
            let detail = "Name the customer for whom you act in the header Acting-For.";
            return Err(Problem::new(Code::MalformedRequest, detail));
        }
    };
    Ok(Party { user: user.clone(), customer: customer.ok_or_else(Problem::not_found)? })
}

fn named(headers: &HeaderMap) -> Result<Option<CustomerId>, Problem> {
    let Some(value) = headers.get(ACTING_FOR) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| CustomerId::from_str(text).ok());
    id.map(Some).ok_or_else(|| Problem::new(Code::MalformedRequest, "Acting-For names a customer by his id."))
}

impl Party {
    /// Whether somebody else acts in the customer's name.
    pub fn is_acting(&self) -> bool {
        self.user.customer_id.is_none()
    }

    /// Writes what the party did into the audit trail, with whom it was done for.
    pub async fn audit(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        action: &str,
        subject: impl std::fmt::Display,
        mut detail: Value,
    ) -> sqlx::Result<()> {
        if self.is_acting() {
            detail["acting_for"] = json!(self.customer.uid);
        }
        audit::record(tx, now, self.user.actor(), action, subject, detail).await
    }
}
