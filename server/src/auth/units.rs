//! Units: the organisation's tree. A role is held at a unit and reaches what is below it.

use daybook_shared::ids::UnitId;
use daybook_shared::time::Timestamp;
use serde_json::json;

use super::roles::Permission;
use super::users::User;
use crate::app::SharedRng;
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::http::problem::Problem;
use crate::on_db;
use crate::spelled::spelled;

spelled! {
    /// What a unit is.
    UnitKind {
        /// The lender.
        Company = "company",
        /// A zone.
        Zone = "zone",
        /// A region.
        Region = "region",
        /// A city.
        City = "city",
        /// An area.
        Area = "area",
        /// A branch.
        Branch = "branch",
        /// An aggregator.
        Aggregator = "aggregator",
        /// An agent.
        Agent = "agent",
    }
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Unit {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: UnitId,
    /// The unit above it.
    pub parent: Option<UnitId>,
    /// What it is.
    pub kind: UnitKind,
    /// Its name.
    pub name: String,
}

/// The units a user reaches with a permission, as the common table expression `visible`: starts a
/// statement, `$1` is the user's key and `$2` the [`Permission::role_list`].
#[macro_export]
macro_rules! visible_units {
    () => {
        "with recursive visible(id) as (
            select unit_id from user_role
            where user_id = $1 and ended_at is null and $2 like '%,' || role || ',%'
            union select unit.id from unit join visible on unit.parent_id = visible.id) "
    };
}

const VISIBLE: &str = concat!(visible_units!(), "select id from visible order by id");
const PAGE: &str = concat!(
    visible_units!(),
    "select u.id, u.uid, p.uid as parent, u.kind, u.name
     from unit u left join unit p on p.id = u.parent_id
     where u.id in (select id from visible) and u.id > coalesce((select id from unit where uid = $3), 0)
     order by u.id limit $4"
);
const ONE_VISIBLE: &str = concat!(
    visible_units!(),
    "select u.id, u.uid, p.uid as parent, u.kind, u.name
     from unit u left join unit p on p.id = u.parent_id
     where u.uid = $3 and u.id in (select id from visible)"
);
const ROOT: &str = "select r.id, r.uid, p.uid as parent, r.kind, r.name
     from unit r left join unit p on p.id = r.parent_id where r.parent_id is null order by r.id limit 1";
const INSERT: &str =
    "insert into unit (uid, parent_id, kind, name, created_at) values ($1, $2, $3, $4, $5) returning id";

impl Permission {
    /// The roles that have it, as [`visible_units!`] takes them: `,supervisor,auditor,`.
    pub fn role_list(self) -> String {
        self.roles().iter().fold(",".to_owned(), |list, role| list + role.code() + ",")
    }
}

/// Keys of the units this user reaches with this permission, in order.
pub async fn visible_units(tx: &mut Tx, user: &User, permission: Permission) -> sqlx::Result<Vec<i64>> {
    on_db!(tx, conn => sqlx::query_scalar(VISIBLE).bind(user.id).bind(permission.role_list()).fetch_all(conn).await)
}

/// Refuses who has this permission at a branch only, for what concerns the whole lender.
pub async fn must_reach_all(tx: &mut Tx, user: &User, permission: Permission) -> Result<(), Problem> {
    let root = root(tx).await?.map(|root| root.id);
    let reached = visible_units(tx, user, permission).await?;
    if root.is_some_and(|root| reached.contains(&root)) { Ok(()) } else { Err(Problem::forbidden()) }
}

/// Units this user reaches with this permission, after one of them, in the order they were added.
pub async fn page(
    tx: &mut Tx,
    user: &User,
    permission: Permission,
    (after, limit): (Option<UnitId>, i64),
) -> sqlx::Result<Vec<Unit>> {
    on_db!(tx, conn => {
        sqlx::query_as(PAGE).bind(user.id).bind(permission.role_list()).bind(after).bind(limit).fetch_all(conn).await
    })
}

/// A unit, if this user reaches it with this permission.
pub async fn find(tx: &mut Tx, user: &User, permission: Permission, unit: UnitId) -> sqlx::Result<Option<Unit>> {
    on_db!(tx, conn => {
        sqlx::query_as(ONE_VISIBLE).bind(user.id).bind(permission.role_list()).bind(unit).fetch_optional(conn).await
    })
}

/// The lender's own unit, above all others; none in a new database.
pub async fn root(tx: &mut Tx) -> sqlx::Result<Option<Unit>> {
    on_db!(tx, conn => sqlx::query_as(ROOT).fetch_optional(conn).await)
}

/// Adds a unit below `parent`, or the lender's own.
pub async fn create(
    tx: &mut Tx,
    (now, rng): (Timestamp, &SharedRng),
    actor: Actor,
    parent: Option<&Unit>,
    (kind, name): (UnitKind, &str),
) -> sqlx::Result<Unit> {
    let uid = rng.with(|rng| UnitId::new(now, rng));
    let parent_id = parent.map(|unit| unit.id);
    let id = on_db!(tx, conn => {
        sqlx::query_scalar(INSERT).bind(uid).bind(parent_id).bind(kind).bind(name).bind(now).fetch_one(conn).await
    })?;
    let parent = parent.map(|unit| unit.uid);
    audit::record(tx, now, actor, "unit.created", uid, json!({ "kind": kind.code(), "parent": parent })).await?;
    Ok(Unit { id, uid, parent, kind, name: name.to_owned() })
}

const NAMED: &str = "
    select u.id, u.uid, p.uid as parent, u.kind, u.name from unit u left join unit p on p.id = u.parent_id
    where u.name = $1 or u.uid = $2 order by u.id";

/// Units by name, or the one with this id, for the operator at the machine.
pub async fn named(tx: &mut Tx, named: &str) -> sqlx::Result<Vec<Unit>> {
    let uid = named.parse::<UnitId>().ok();
    on_db!(tx, conn => sqlx::query_as(NAMED).bind(named).bind(uid).fetch_all(conn).await)
}
