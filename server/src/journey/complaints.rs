//! Complaints: what a customer objects to about a plan, what was said about it, and what came of it. (What officers
//! record of complaints in the field are records of their dossiers; a chargeback is a provider's.)
//!
//! We owe an answer within `complaint_answer_days`. What is not answered by then rises a level, up to the third, and
//! has the same time again; who looks at a level first is seen by who is asked to.

use std::time::Duration;

use daybook_shared::ids::{AccountId, ComplaintId, CustomerId};
use daybook_shared::time::{DAY_MS, Timestamp};
use uuid::Uuid;

use crate::app::App;
use crate::db::Tx;
use crate::jobs::Outcome;
use crate::spelled::spelled;
use crate::{on_db, visible_units};

/// How often it is looked what was not answered.
pub const EVERY: Duration = Duration::from_mins(10);
/// The highest level.
const LEVEL_MAX: i64 = 3;
/// Messages of one complaint.
pub const MESSAGES_MAX: i64 = 200;

spelled! {
    /// What a complaint is about.
    About {
        /// What was bought.
        Goods = "goods",
        /// Whether and when it came.
        Delivery = "delivery",
        /// What is owed, paid or charged.
        Charge = "charge",
        /// How somebody behaved.
        Conduct = "conduct",
        /// Who bought it.
        Identity = "identity",
        /// Something else.
        Other = "other",
    }

    /// How far a complaint is.
    ComplaintState {
        /// We owe an answer.
        Opened = "opened",
        /// It was answered.
        Answered = "answered",
        /// The customer is right.
        Upheld = "upheld",
        /// He is not.
        Rejected = "rejected",
        /// He took it back.
        Withdrawn = "withdrawn",
    }
}

impl ComplaintState {
    /// Whether it goes on.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Opened | Self::Answered)
    }
}

/// A complaint.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Complaint {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: ComplaintId,
    /// Key of the account.
    pub account_id: i64,
    /// The account.
    pub account: AccountId,
    /// Key of the customer.
    pub customer_id: i64,
    /// The customer.
    pub customer: CustomerId,
    /// What it is about.
    pub about: About,
    /// How far it is.
    pub state: ComplaintState,
    /// 1 to 3.
    pub level: i64,
    /// Until when we owe an answer.
    pub respond_by: Timestamp,
    /// Its version.
    pub row_version: i64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Said {
    /// Id.
    pub uid: Uuid,
    /// When.
    pub at: Timestamp,
    /// Whether the lender said it.
    pub by_lender: bool,
    /// The words; none when they were erased.
    pub words: Option<String>,
}

macro_rules! columns {
    () => {
        "select c.id, c.uid, c.account_id, a.uid as account, a.customer_id, k.uid as customer, c.about, c.state, c.level,
           c.due_at as respond_by, c.row_version, c.opened_at, c.ended_at
         from plan_complaint c join account a on a.id = c.account_id join customer k on k.id = a.customer_id "
    };
}
const SELECT: &str = concat!(columns!(), "where c.uid = $1");
const REACHED: &str =
    concat!(visible_units!(), columns!(), "where c.uid = $3 and a.unit_id in (select id from visible)");
const PAGE_OPEN: &str = concat!(
    visible_units!(),
    columns!(),
    "where c.ended_at is null and a.unit_id in (select id from visible)
       and c.id > coalesce((select id from plan_complaint where uid = $3), 0) order by c.id limit $4"
);
const MESSAGES: &str =
    "select uid, at, by_lender, words from plan_complaint_message where complaint_id = $1 order by id";
const INSERT: &str = "insert into plan_complaint (uid, account_id, about, state, level, due_at, row_version,
       opened_at, opened_by)
     values ($1, $2, $3, 'opened', 1, $4, 1, $5, $6) on conflict (uid) do nothing returning id";
const INSERT_MESSAGE: &str = "insert into plan_complaint_message (uid, complaint_id, at, by_user, by_lender, words)
     select $1, c.id, $3, $4, $5, $6 from plan_complaint c where c.id = $2
       and (select count(*) from plan_complaint_message m where m.complaint_id = c.id) < $7
     on conflict (uid) do nothing";
const SELECT_MESSAGE: &str = "select complaint_id, words from plan_complaint_message where uid = $1";

/// The complaint with this id, whoever's.
pub async fn find(tx: &mut Tx, id: ComplaintId) -> sqlx::Result<Option<Complaint>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(id).fetch_optional(conn).await)
}

/// The complaint with this id, if these roles reach it.
pub async fn reached(tx: &mut Tx, (by, roles): (i64, String), id: ComplaintId) -> sqlx::Result<Option<Complaint>> {
    on_db!(tx, conn => sqlx::query_as(REACHED).bind(by).bind(roles).bind(id).fetch_optional(conn).await)
}

/// Complaints that go on and that these roles reach, the oldest first.
pub async fn page_open(
    tx: &mut Tx,
    (by, roles): (i64, String),
    (after, limit): (Option<ComplaintId>, i64),
) -> sqlx::Result<Vec<Complaint>> {
    on_db!(tx, conn => {
        sqlx::query_as(PAGE_OPEN).bind(by).bind(roles).bind(after).bind(limit).fetch_all(conn).await
    })
}

/// What was said about a complaint, in time's order; at most [`MESSAGES_MAX`].
pub async fn messages(tx: &mut Tx, complaint_id: i64) -> sqlx::Result<Vec<Said>> {
    on_db!(tx, conn => sqlx::query_as(MESSAGES).bind(complaint_id).fetch_all(conn).await)
}

/// A complaint to be opened.
#[derive(Debug, Clone, Copy)]
pub struct NewComplaint {
    /// Id, which its maker chose; its first message has it too.
    pub uid: ComplaintId,
    /// Key of the account.
    pub account_id: i64,
    /// What it is about.
    pub about: About,
    /// Until when we owe an answer.
    pub respond_by: Timestamp,
    /// Key of who opens it.
    pub by_user: i64,
}

/// Opens a complaint; its key, or none when its id came to be in use meanwhile.
pub async fn open(tx: &mut Tx, now: Timestamp, new: &NewComplaint) -> sqlx::Result<Option<i64>> {
    on_db!(tx, conn => {
        sqlx::query_scalar(INSERT)
            .bind(new.uid)
            .bind(new.account_id)
            .bind(new.about)
            .bind(new.respond_by)
            .bind(now)
            .bind(new.by_user)
            .fetch_optional(conn)
            .await
    })
}

/// Something to be said.
#[derive(Debug, Clone, Copy)]
pub struct NewMessage<'a> {
    /// Id, which its maker chose.
    pub uid: Uuid,
    /// Key of the complaint.
    pub complaint_id: i64,
    /// Key of who says it.
    pub by_user: i64,
    /// Whether for the lender.
    pub by_lender: bool,
    /// The words.
    pub words: &'a str,
}

/// Adds something that was said; false when there are too many already, or its id is in use.
pub async fn say(tx: &mut Tx, now: Timestamp, new: NewMessage<'_>) -> sqlx::Result<bool> {
    on_db!(tx, conn => {
        sqlx::query(INSERT_MESSAGE)
            .bind(new.uid)
            .bind(new.complaint_id)
            .bind(now)
            .bind(new.by_user)
            .bind(new.by_lender)
            .bind(new.words)
            .bind(MESSAGES_MAX)
            .execute(conn)
            .await
            .map(|done| done.rows_affected() == 1)
    })
}

/// The message with this id: its complaint's key, and its words.
pub async fn message(tx: &mut Tx, uid: Uuid) -> sqlx::Result<Option<(i64, Option<String>)>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_MESSAGE).bind(uid).fetch_optional(conn).await)
}

const MOVE: &str = "update plan_complaint set state = $2, due_at = $3, ended_at = $4, ended_by = $5,
       row_version = row_version + 1 where id = $1 and row_version = $6";

/// Moves a complaint on; false when somebody was before.
pub async fn advance(
    tx: &mut Tx,
    known: &Complaint,
    (state, respond_by): (ComplaintState, Timestamp),
    (by, now): (i64, Timestamp),
) -> sqlx::Result<bool> {
    let ended = !state.is_open();
    on_db!(tx, conn => {
        sqlx::query(MOVE)
            .bind(known.id)
            .bind(state)
            .bind(respond_by)
            .bind(ended.then_some(now))
            .bind(ended.then_some(by))
            .bind(known.row_version)
            .execute(conn)
            .await
            .map(|done| done.rows_affected() == 1)
    })
}

/// Until when an answer is owed to what is said now.
pub fn respond_by(app: &App) -> Timestamp {
    app.now().plus_ms(app.settings.complaint_answer_days * DAY_MS)
}

const ESCALATE: &str = "update plan_complaint set level = level + 1, due_at = $2, row_version = row_version + 1
     where state = 'opened' and due_at < $1 and level < $3";

/// What was not answered in time rises a level; how many did.
pub async fn escalate(app: &App) -> Outcome {
    let mut tx = app.db.write().await?;
    let risen = on_db!(&mut tx, conn => {
        let escalate = sqlx::query(ESCALATE).bind(app.now()).bind(respond_by(app)).bind(LEVEL_MAX);
        escalate.execute(conn).await.map(|done| done.rows_affected())
    })?;
    tx.commit().await?;
    Ok(risen)
}
