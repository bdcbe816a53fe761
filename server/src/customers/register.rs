//! Customers whom staff make or find: people without the app.

use daybook_shared::ids::{CustomerId, UnitId};

use crate::auth::one_time::Phone;
use crate::auth::units::Unit;
use crate::auth::{Permission, User, units};
use crate::db::Tx;
use crate::{on_db, visible_units};

/// Customers of one number that are shown.
const FOUND_MAX: i64 = 20;

/// A customer whom somebody looked for.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow, serde::Serialize, utoipa::ToSchema)]
pub struct FoundCustomer {
    /// The customer, as `Acting-For` names him.
    pub id: CustomerId,
    /// Empty until he says it.
    pub name: String,
    /// The unit that serves him; null where none does.
    pub unit: Option<UnitId>,
}

const SELECT_BY_PHONE: &str = concat!(
    visible_units!(),
    "select c.uid as id, c.name, u.uid as unit from customer c left join unit u on u.id = c.unit_id
     where c.phone = $3 and c.erased_at is null and (c.unit_id in (select id from visible)
       or exists (select 1 from account a join visible v on v.id = a.unit_id where a.customer_id = c.id))
     order by c.id limit $4"
);

/// Customers with exactly this number whom the user may act for.
pub async fn with_number(tx: &mut Tx, by: &User, phone: &Phone) -> sqlx::Result<Vec<FoundCustomer>> {
    on_db!(tx, conn => {
        sqlx::query_as(SELECT_BY_PHONE)
            .bind(by.id)
            .bind(Permission::FindCustomers.role_list())
            .bind(phone.as_str())
            .bind(FOUND_MAX)
            .fetch_all(conn)
            .await
    })
}

/// A customer who is there already.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Known {
    /// His number.
    pub phone: Option<String>,
    /// Key of the unit that serves him.
    pub unit_id: Option<i64>,
}

const SELECT_KNOWN: &str = "select phone, unit_id from customer where uid = $1";

/// The customer with this id, whoever made him.
pub async fn known(tx: &mut Tx, id: CustomerId) -> sqlx::Result<Option<Known>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_KNOWN).bind(id).fetch_optional(conn).await)
}

const SELECT_OWN_UNITS: &str = "
    select distinct n.id, n.uid, p.uid as parent, n.kind, n.name
    from user_role r join unit n on n.id = r.unit_id left join unit p on p.id = n.parent_id
    where r.user_id = $1 and r.ended_at is null and $2 like '%,' || r.role || ',%' order by n.id limit 2";

/// The unit that is to serve a new customer: the one that is named, if the user reaches it; else the one where he
/// may register customers himself, if it is only one.
pub async fn serving_unit(tx: &mut Tx, by: &User, named: Option<UnitId>) -> sqlx::Result<Option<Unit>> {
    let permission = Permission::RegisterCustomers;
    if let Some(named) = named {
        return units::find(tx, by, permission, named).await;
    }
    let mut own: Vec<Unit> = on_db!(tx, conn => {
        sqlx::query_as(SELECT_OWN_UNITS).bind(by.id).bind(permission.role_list()).fetch_all(conn).await
    })?;
    Ok(if own.len() == 1 { own.pop() } else { None })
}
