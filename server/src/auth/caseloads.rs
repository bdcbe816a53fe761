//! Caseloads and who holds them. What is in one is the portfolio's affair.

use daybook_shared::ids::{CaseloadId, UnitId, UserId};
use daybook_shared::time::Timestamp;
use serde_json::json;

use super::roles::Permission;
use super::units::Unit;
use super::users::{User, UserRow};
use crate::app::SharedRng;
use crate::audit::{self, Actor};
use crate::db::{Tx, batch};
use crate::spelled::spelled;
use crate::{batch_row, on_db, visible_units};

spelled! {
    /// What the facts of a caseload show, by who reads it.
    CaseloadAudience {
        /// A field officer.
        Officer = "officer",
        /// A call officer.
        CallOfficer = "call_officer",
        /// A supervisor in the field.
        Supervisor = "supervisor",
    }
}

/// A caseload.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Caseload {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: CaseloadId,
    /// Its name.
    pub name: String,
    /// What its facts show.
    pub audience: CaseloadAudience,
    /// The unit it belongs to.
    pub unit: UnitId,
}

/// A user who holds a caseload.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Member {
    /// Key of the caseload.
    pub caseload_id: i64,
    /// The user.
    #[sqlx(rename = "member_uid")]
    pub user: UserId,
}

const PAGE: &str = concat!(
    visible_units!(),
    "select c.id, c.uid, c.name, c.audience, n.uid as unit from caseload c join unit n on n.id = c.unit_id
     where c.unit_id in (select id from visible)
       and c.id > coalesce((select id from caseload where uid = $3), 0)
     order by c.id limit $4"
);
const ONE: &str = concat!(
    visible_units!(),
    "select c.id, c.uid, c.name, c.audience, n.uid as unit from caseload c join unit n on n.id = c.unit_id
     where c.unit_id in (select id from visible) and c.uid = $3"
);
const INSERT: &str = "
    insert into caseload (uid, name, audience, unit_id, seq, pruned_to) values ($1, $2, $3, $4, 0, 0) returning id";
const LOCK: &str = "update caseload set seq = seq where id = $1";
const NEWEST: &str = "
    select at, member from caseload_member where user_id = $1 and caseload_id = $2 order by at desc limit 1";
const INSERT_MEMBER: &str = "insert into caseload_member (caseload_id, user_id, at, member) values ($1, $2, $3, $4)";
const MEMBERS: &str = "
    select m.caseload_id, u.uid as member_uid from v join caseload_member m on m.caseload_id = v.caseload_id
    join app_user u on u.id = m.user_id
    where m.member and m.at = (select max(x.at) from caseload_member x
                               where x.user_id = m.user_id and x.caseload_id = m.caseload_id)";

batch_row! {
    struct Key { caseload_id: i64 => "int8" }
}

/// Caseloads that `by` reaches with this permission, after one of them, with their members.
pub async fn page(
    tx: &mut Tx,
    by: &User,
    permission: Permission,
    (after, limit): (Option<CaseloadId>, i64),
) -> sqlx::Result<Vec<(Caseload, Vec<UserId>)>> {
    let rows: Vec<Caseload> = on_db!(&mut *tx, conn => {
        sqlx::query_as(PAGE).bind(by.id).bind(permission.role_list()).bind(after).bind(limit).fetch_all(conn).await
    })?;
    let keys: Vec<_> = rows.iter().map(|row| Key { caseload_id: row.id }).collect();
    let mut members: Vec<Member> = batch::fetch(tx, &keys, MEMBERS).await?;
    members.sort_by_key(|member| member.user);
    let of = |row: &Caseload| members.iter().filter(|m| m.caseload_id == row.id).map(|m| m.user).collect();
    Ok(rows.into_iter().map(|row| (row.clone(), of(&row))).collect())
}

/// A caseload, if `by` reaches it with this permission.
pub async fn find(
    tx: &mut Tx,
    by: &User,
    permission: Permission,
    caseload: CaseloadId,
) -> sqlx::Result<Option<Caseload>> {
    on_db!(tx, conn => {
        sqlx::query_as(ONE).bind(by.id).bind(permission.role_list()).bind(caseload).fetch_optional(conn).await
    })
}

/// Makes a caseload, empty and held by nobody.
pub async fn create(
    tx: &mut Tx,
    (now, rng): (Timestamp, &SharedRng),
    actor: Actor,
    unit: &Unit,
    (name, audience): (&str, CaseloadAudience),
) -> sqlx::Result<Caseload> {
    let uid = rng.with(|rng| CaseloadId::new(now, rng));
    let id = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(INSERT).bind(uid).bind(name).bind(audience).bind(unit.id).fetch_one(conn).await
    })?;
    let detail = json!({ "audience": audience.code(), "unit": unit.uid });
    audit::record(tx, now, actor, "caseload.created", uid, detail).await?;
    Ok(Caseload { id, uid, name: name.to_owned(), audience, unit: unit.uid })
}

/// Whether a user is to hold a caseload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// From now on he holds it.
    Member,
    /// From now on he does not.
    Gone,
}

/// Gives a caseload to a user or takes it away, at the server's time; what is so already stays.
pub async fn set_member(
    tx: &mut Tx,
    now: Timestamp,
    actor: Actor,
    caseload: &Caseload,
    (user, membership): (&UserRow, Membership),
) -> sqlx::Result<()> {
    let member = membership == Membership::Member;
    on_db!(&mut *tx, conn => sqlx::query(LOCK).bind(caseload.id).execute(conn).await.map(|_| ()))?;
    let newest: Option<(Timestamp, bool)> = on_db!(&mut *tx, conn => {
        sqlx::query_as(NEWEST).bind(user.id).bind(caseload.id).fetch_optional(conn).await
    })?;
    if newest.is_some_and(|(_, is)| is) == member {
        return Ok(());
    }
    // Two rows never share an instant, even on a clock that stands.
    let at = newest.map_or(now, |(at, _)| now.max(Timestamp::from_micros(at.micros() + 1)));
    on_db!(&mut *tx, conn => {
        let query = sqlx::query(INSERT_MEMBER).bind(caseload.id).bind(user.id).bind(at).bind(member);
        query.execute(conn).await.map(|_| ())
    })?;
    let detail = json!({ "user": user.uid, "member": member });
    audit::record(tx, now, actor, "caseload.member_changed", caseload.uid, detail).await
}
