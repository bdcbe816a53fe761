//! Consents: append-only. The newest word of a kind counts; none said is none given.

use daybook_shared::ids::{ConsentId, UserId};
use daybook_shared::time::Timestamp;
use serde::Deserialize;

use crate::auth::customers;
use crate::db::Tx;
use crate::on_db;
use crate::spelled::spelled;

spelled! {
    /// What may be done with what is known of a customer.
    ConsentKind {
        /// Ask a credit bureau about him.
        CreditCheck = "credit_check",
        /// Keep and use what an application needs.
        DataProcessing = "data_processing",
        /// Tell him of offers.
        Marketing = "marketing",
        /// Ask the next provider when one declines.
        Cascade = "cascade",
    }
}

/// A consent, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000012", "kind": "data_processing", "text_version": "2026-03",
    "given": true, "recorded_by": "019cad21-cf00-7000-8000-000000000003", "at": "2026-03-02T05:50:00Z",
}))]
pub struct ConsentView {
    /// Its id, which its maker chose.
    pub id: ConsentId,
    /// credit_check, data_processing, marketing or cascade.
    pub kind: String,
    /// Which text was read.
    pub text_version: String,
    /// Given, or taken back.
    pub given: bool,
    /// Who recorded it: the customer himself, or who acted for him.
    pub recorded_by: UserId,
    /// When.
    pub at: Timestamp,
}

/// What a customer says.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000012", "kind": "data_processing", "text_version": "2026-03",
    "given": true,
}))]
pub struct ConsentRequest {
    /// Its id, which its maker chose.
    pub id: ConsentId,
    /// credit_check, data_processing, marketing or cascade.
    #[schema(example = "data_processing")]
    pub kind: String,
    /// Which text he read: up to 40 letters, digits, dots, dashes and underscores.
    #[schema(example = "2026-03")]
    pub text_version: String,
    /// Given, or taken back.
    pub given: bool,
}

const INSERT: &str = "
    insert into consent (uid, customer_id, kind, text_version, given, recorded_by, at)
    values ($1, $2, $3, $4, $5, $6, $7) on conflict (uid) do nothing";
const SELECT: &str = "
    select c.uid as id, c.kind, c.text_version, c.given, u.uid as recorded_by, c.at, c.customer_id
    from consent c join app_user u on u.id = c.recorded_by where c.uid = $1";
const PAGE: &str = "
    select c.uid as id, c.kind, c.text_version, c.given, u.uid as recorded_by, c.at
    from consent c join app_user u on u.id = c.recorded_by where c.customer_id = $1
      and c.id < coalesce((select id from consent where uid = $2 and customer_id = $1), 9223372036854775807)
    order by c.id desc limit $3";
const NEWEST: &str = "select given from consent where customer_id = $1 and kind = $2 order by id desc limit 1";

/// Whether the customer agrees to something now.
pub async fn holds(tx: &mut Tx, customer_id: i64, kind: ConsentKind) -> sqlx::Result<bool> {
    let newest: Option<bool> = on_db!(tx, conn => {
        sqlx::query_scalar(NEWEST).bind(customer_id).bind(kind).fetch_optional(conn).await
    })?;
    Ok(newest == Some(true))
}

/// A customer's consents, the newest first.
pub async fn page(
    tx: &mut Tx,
    customer_id: i64,
    (after, limit): (Option<ConsentId>, i64),
) -> sqlx::Result<Vec<ConsentView>> {
    on_db!(tx, conn => sqlx::query_as(PAGE).bind(customer_id).bind(after).bind(limit).fetch_all(conn).await)
}

/// What became of a consent that was to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is new.
    New(ConsentView),
    /// It was recorded before, as it is.
    Before(ConsentView),
    /// Its id is another's.
    Taken,
    /// The customer is erased.
    Gone,
}

/// A consent to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct NewConsent<'a> {
    /// Its id.
    pub id: ConsentId,
    /// To what.
    pub kind: ConsentKind,
    /// Which text was read.
    pub text_version: &'a str,
    /// Given, or taken back.
    pub given: bool,
}

#[derive(sqlx::FromRow)]
struct Known {
    customer_id: i64,
    #[sqlx(flatten)]
    view: ConsentView,
}

/// Records a consent.
pub async fn record(
    tx: &mut Tx,
    now: Timestamp,
    (customer_id, recorded_by): (i64, i64),
    new: NewConsent<'_>,
) -> sqlx::Result<Recorded> {
    if !customers::lock(tx, customer_id).await? {
        return Ok(Recorded::Gone);
    }
    let inserted = on_db!(&mut *tx, conn => {
        sqlx::query(INSERT)
            .bind(new.id)
            .bind(customer_id)
            .bind(new.kind)
            .bind(new.text_version)
            .bind(new.given)
            .bind(recorded_by)
            .bind(now)
            .execute(conn)
            .await
            .map(|done| done.rows_affected() == 1)
    })?;
    let Known { customer_id: whose, view } =
        on_db!(tx, conn => sqlx::query_as(SELECT).bind(new.id).fetch_one(conn).await)?;
    let same = whose == customer_id
        && (view.kind.as_str(), view.text_version.as_str(), view.given)
            == (new.kind.code(), new.text_version, new.given);
    Ok(match (inserted, same) {
        (true, _) => Recorded::New(view),
        (false, true) => Recorded::Before(view),
        (false, false) => Recorded::Taken,
    })
}
