//! Users and the roles they hold.

use daybook_shared::ids::{CustomerId, UnitId, UserId};
use daybook_shared::time::Timestamp;
use serde_json::json;

use super::roles::{Permission, Role};
use super::session::{self, Ending};
use super::token::Bearer;
use crate::app::SharedRng;
use crate::audit::{self, Actor};
use crate::db::{Tx, batch};
use crate::{batch_row, on_db, visible_units};

/// Who makes a request: an active user with the roles he holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: UserId,
    /// The name colleagues see.
    pub name: String,
    /// Roles, each with the key of the unit it is held at.
    pub roles: Vec<(Role, i64)>,
    /// Key of the customer whose login it is; none for staff.
    pub customer_id: Option<i64>,
    /// That customer's id, unless he is erased.
    pub customer: Option<CustomerId>,
}

impl User {
    /// Whether any of his roles has this permission. Where, is [`super::units::visible_units`]; a customer's
    /// reaches no unit, only what is his own.
    pub fn may(&self, permission: Permission) -> bool {
        let is_customers = self.customer_id.is_some() && Role::Customer.may(permission);
        is_customers || self.roles.iter().any(|(role, _)| role.may(permission))
    }

    /// As an actor of the audit trail.
    pub fn actor(&self) -> Actor {
        Actor::user(self.id)
    }
}

/// A user's row.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct UserRow {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: UserId,
    /// What he signs in with.
    pub login: String,
    /// The name colleagues see.
    pub name: String,
    /// Whether he may sign in.
    pub active: bool,
}

/// A role of a user, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct HeldRole {
    /// Key of the user.
    pub user_id: i64,
    /// The role.
    pub role: Role,
    /// The unit.
    pub unit: UnitId,
}

/// What a login is checked against.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Credentials {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: UserId,
    /// The hash of the password.
    pub password_hash: String,
    /// Whether he may sign in.
    pub active: bool,
}

/// Why a user cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Another has it.
    #[error("the login {0:?} is in use")]
    LoginTaken(String),
    /// Empty, too long, or of strange characters.
    #[error("a login is 2 to 64 of a-z, 0-9, dot, dash, underscore and @; a name is 1 to 100 characters")]
    Shape,
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

const SELECT_ACTIVE: &str = "
    select u.id, u.uid, u.name, u.customer_id, c.uid as customer from app_user u
    left join customer c on c.id = u.customer_id and c.erased_at is null
    where u.uid = $1 and u.active";
const SELECT_SIGNED_IN: &str = "
    select u.id, u.uid, u.name, u.customer_id, c.uid as customer from app_user u
    join session s on s.user_id = u.id and s.uid = $2 and s.ended_at is null and s.expires_at > $3
    left join customer c on c.id = u.customer_id and c.erased_at is null
    where u.uid = $1 and u.active";
const SELECT_ROLES: &str = "select role, unit_id from user_role where user_id = $1 and ended_at is null";
const SELECT_CREDENTIALS: &str = "select id, uid, password_hash, active from app_user where login = $1";
const SELECT_CREDENTIALS_OF: &str = "select login, password_hash from app_user where id = $1";
const SELECT_BY_LOGIN: &str = "select id, uid, login, name, active from app_user where login = $1";
const INSERT: &str = "
    insert into app_user (uid, login, name, password_hash, active, created_at)
    values ($1, $2, $3, $4, true, $5) on conflict (login) do nothing returning id";
const SET_PASSWORD: &str = "update app_user set password_hash = $1 where id = $2";
const MEND_PASSWORD: &str = "update app_user set password_hash = $1 where id = $2 and password_hash = $3";
const DEACTIVATE: &str = "update app_user set active = false, deactivated_at = $1 where id = $2 and active";
const LOCK: &str = "update app_user set name = name where id = $1";
const LAST_GRANT: &str = "select max(granted_at) from user_role where user_id = $1 and role = $2 and unit_id = $3";
const GRANT: &str = "
    insert into user_role (user_id, role, unit_id, granted_at)
    select $1, $2, $3, $4 where not exists
        (select 1 from user_role where user_id = $1 and role = $2 and unit_id = $3 and ended_at is null)";
const END: &str = "
    update user_role set ended_at = $4 where user_id = $1 and role = $2 and unit_id = $3 and ended_at is null";

/// What a user must have for another to see him: a role at a visible unit, or no role at all when
/// the other's permission reaches the whole lender. Logins of customers are not users to be managed.
macro_rules! seen {
    () => {
        "u.customer_id is null and (exists (select 1 from user_role r join visible v on v.id = r.unit_id
                  where r.user_id = u.id and r.ended_at is null)
          or (not exists (select 1 from user_role r where r.user_id = u.id and r.ended_at is null)
              and exists (select 1 from visible v join unit n on n.id = v.id where n.parent_id is null)))"
    };
}
const ONE_SEEN: &str = concat!(
    visible_units!(),
    "select u.id, u.uid, u.login, u.name, u.active from app_user u where u.uid = $3 and ",
    seen!()
);
const ONE_WHOLLY_SEEN: &str = concat!(
    visible_units!(),
    "select u.id, u.uid, u.login, u.name, u.active from app_user u where u.uid = $3 and ",
    seen!(),
    " and not exists (select 1 from user_role r where r.user_id = u.id and r.ended_at is null
                      and r.unit_id not in (select id from visible))"
);
const PAGE_SEEN: &str = concat!(
    visible_units!(),
    "select u.id, u.uid, u.login, u.name, u.active from app_user u
     where u.id > coalesce((select id from app_user where uid = $3), 0) and ",
    seen!(),
    " order by u.id limit $4"
);
const ROLES_OF: &str = "
    select r.user_id, r.role, n.uid as unit from v join user_role r on r.user_id = v.user_id
    join unit n on n.id = r.unit_id where r.ended_at is null";

batch_row! {
    struct UserKey { user_id: i64 => "int8" }
}

#[derive(sqlx::FromRow)]
struct ActiveRow {
    id: i64,
    uid: UserId,
    name: String,
    customer_id: Option<i64>,
    customer: Option<CustomerId>,
}

/// The active user whose token this is, and his roles; none once the session it came from is over.
pub async fn signed_in(tx: &mut Tx, now: Timestamp, bearer: Bearer) -> sqlx::Result<Option<User>> {
    let Bearer { user, session } = bearer;
    let row: Option<ActiveRow> = on_db!(tx, conn => match session {
        Some(session) => {
            sqlx::query_as(SELECT_SIGNED_IN).bind(user).bind(session).bind(now).fetch_optional(conn).await
        }
        None => sqlx::query_as(SELECT_ACTIVE).bind(user).fetch_optional(conn).await,
    })?;
    let Some(ActiveRow { id, uid, name, customer_id, customer }) = row else { return Ok(None) };
    // A customer's login holds no roles: they are for staff.
    let roles = match customer_id {
        Some(_) => Vec::new(),
        None => on_db!(tx, conn => sqlx::query_as(SELECT_ROLES).bind(id).fetch_all(conn).await)?,
    };
    Ok(Some(User { id, uid, name, roles, customer_id, customer }))
}

/// What this login is checked against.
pub async fn credentials(tx: &mut Tx, login: &str) -> sqlx::Result<Option<Credentials>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_CREDENTIALS).bind(login).fetch_optional(conn).await)
}

/// The login of a user and the hash of his password.
pub async fn credentials_of(tx: &mut Tx, user_id: i64) -> sqlx::Result<Option<(String, String)>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_CREDENTIALS_OF).bind(user_id).fetch_optional(conn).await)
}

/// The user with this login.
pub async fn by_login(tx: &mut Tx, login: &str) -> sqlx::Result<Option<UserRow>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_BY_LOGIN).bind(login).fetch_optional(conn).await)
}

/// How much of a user's place another must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One of his units: enough to read.
    Some,
    /// All of them: needed to act on him.
    Whole,
}

/// A user, if `by` reaches him with this permission.
pub async fn find(
    tx: &mut Tx,
    by: &User,
    (permission, reach): (Permission, Reach),
    user: UserId,
) -> sqlx::Result<Option<UserRow>> {
    let sql = match reach {
        Reach::Some => ONE_SEEN,
        Reach::Whole => ONE_WHOLLY_SEEN,
    };
    on_db!(tx, conn => {
        sqlx::query_as(sql).bind(by.id).bind(permission.role_list()).bind(user).fetch_optional(conn).await
    })
}

/// Users that `by` reaches with this permission, after one of them, in order of creation.
pub async fn page(
    tx: &mut Tx,
    by: &User,
    permission: Permission,
    (after, limit): (Option<UserId>, i64),
) -> sqlx::Result<Vec<(UserRow, Vec<HeldRole>)>> {
    let rows: Vec<UserRow> = on_db!(&mut *tx, conn => {
        sqlx::query_as(PAGE_SEEN)
            .bind(by.id)
            .bind(permission.role_list())
            .bind(after)
            .bind(limit)
            .fetch_all(conn)
            .await
    })?;
    let keys: Vec<_> = rows.iter().map(|row| UserKey { user_id: row.id }).collect();
    let mut roles: Vec<HeldRole> = batch::fetch(tx, &keys, ROLES_OF).await?;
    roles.sort_by_key(|held| (held.role, held.unit));
    let of = |row: &UserRow| roles.iter().filter(|held| held.user_id == row.id).cloned().collect();
    Ok(rows.into_iter().map(|row| (row.clone(), of(&row))).collect())
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    /// What he signs in with.
    pub login: &'a str,
    /// The name colleagues see.
    pub name: &'a str,
    /// The password's hash, see [`super::password::hash`].
    pub password_hash: String,
}

/// Makes a user, without roles.
pub async fn create(
    tx: &mut Tx,
    (now, rng): (Timestamp, &SharedRng),
    actor: Actor,
    new: NewUser<'_>,
) -> Result<UserRow, UserError> {
    let NewUser { login, name, password_hash } = new;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_@".contains(&b);
    let name_length = name.chars().count();
    if !(2..=64).contains(&login.len()) || !login.bytes().all(plain) || !(1..=100).contains(&name_length) {
        return Err(UserError::Shape);
    }
    let uid = rng.with(|rng| UserId::new(now, rng));
    let id: Option<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(INSERT)
            .bind(uid)
            .bind(login)
            .bind(name)
            .bind(password_hash)
            .bind(now)
            .fetch_optional(conn)
            .await
    })?;
    let id = id.ok_or_else(|| UserError::LoginTaken(login.to_owned()))?;
    audit::record(tx, now, actor, "user.created", uid, json!({})).await?;
    Ok(UserRow { id, uid, login: login.to_owned(), name: name.to_owned(), active: true })
}

/// Whether a role is to be held or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// From now on he holds it.
    Held,
    /// From now on he does not.
    Ended,
}

/// Gives or ends a role of a user at a unit; what is so already stays as it is. Who loses one has to sign
/// in again.
pub async fn set_role(
    tx: &mut Tx,
    now: Timestamp,
    actor: Actor,
    user: &UserRow,
    (role, unit, holding): (Role, &super::units::Unit, Holding),
) -> sqlx::Result<()> {
    on_db!(&mut *tx, conn => sqlx::query(LOCK).bind(user.id).execute(conn).await.map(|_| ()))?;
    let sql = match holding {
        Holding::Held => GRANT,
        Holding::Ended => END,
    };
    // Two grants of one role never share an instant, even on a clock that stands.
    let last: Option<Timestamp> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(LAST_GRANT).bind(user.id).bind(role).bind(unit.id).fetch_one(conn).await
    })?;
    let at = last.map_or(now, |last| now.max(Timestamp::from_micros(last.micros() + 1)));
    let changed = on_db!(&mut *tx, conn => {
        let query = sqlx::query(sql).bind(user.id).bind(role).bind(unit.id).bind(at);
        query.execute(conn).await.map(|done| done.rows_affected())
    })?;
    if changed > 0 {
        let action = match holding {
            Holding::Held => "user.role_given",
            Holding::Ended => "user.role_ended",
        };
        audit::record(tx, now, actor, action, user.uid, json!({ "role": role.code(), "unit": unit.uid })).await?;
        if holding == Holding::Ended {
            session::end_all(tx, now, actor, (user.id, user.uid), Ending::Role).await?;
        }
    }
    Ok(())
}

/// Gives a user another password and ends his sessions.
pub async fn set_password(
    tx: &mut Tx,
    now: Timestamp,
    actor: Actor,
    (user_id, user): (i64, UserId),
    password_hash: &str,
) -> sqlx::Result<()> {
    on_db!(&mut *tx, conn => sqlx::query(SET_PASSWORD).bind(password_hash).bind(user_id).execute(conn).await.map(|_| ()))?;
    audit::record(tx, now, actor, "user.password_changed", user, json!({})).await?;
    session::end_all(tx, now, actor, (user_id, user), Ending::Password).await?;
    Ok(())
}

/// Replaces the hash of a password by a costlier one of the same, unless it changed meanwhile.
pub async fn mend_password(tx: &mut Tx, user_id: i64, (old, new): (&str, &str)) -> sqlx::Result<()> {
    on_db!(tx, conn => {
        sqlx::query(MEND_PASSWORD).bind(new).bind(user_id).bind(old).execute(conn).await.map(|_| ())
    })
}

/// Ends a user's access, at once: his sessions and tokens, his leases, what his devices capture from now on.
pub async fn deactivate(tx: &mut Tx, now: Timestamp, actor: Actor, user: &UserRow) -> sqlx::Result<()> {
    let changed = on_db!(&mut *tx, conn => {
        sqlx::query(DEACTIVATE).bind(now).bind(user.id).execute(conn).await.map(|done| done.rows_affected())
    })?;
    if changed > 0 {
        audit::record(tx, now, actor, "user.deactivated", user.uid, json!({})).await?;
        session::end_all(tx, now, actor, (user.id, user.uid), Ending::Deactivated).await?;
    }
    Ok(())
}

/// Somebody who may sign in, for the operator at the machine.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Roster {
    /// The user.
    #[sqlx(flatten)]
    pub user: UserRow,
    /// A role of his.
    pub role: Role,
    /// The name of the unit it is held at.
    pub unit_name: String,
}

const ROSTER: &str = "
    select u.id, u.uid, u.login, u.name, u.active, r.role, n.name as unit_name
    from app_user u join user_role r on r.user_id = u.id and r.ended_at is null join unit n on n.id = r.unit_id
    where u.active order by u.id, r.role limit $1";

/// The first users and their roles, a line each.
pub async fn roster(tx: &mut Tx, limit: i64) -> sqlx::Result<Vec<Roster>> {
    on_db!(tx, conn => sqlx::query_as(ROSTER).bind(limit).fetch_all(conn).await)
}
