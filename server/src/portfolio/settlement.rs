//! Early settlement: what a customer agreed to pay, and what happens when he has paid it.
//!
//! An agreement is a figure and the last day on which it counts. [`follow`] looks, after anything was posted or taken
//! back on the account by whatever channel, whether what was paid by that day reaches it. If so the rebate is booked
//! (line 9) and the account closes as early_settled; if it no longer does, because a payment was taken back, the
//! schedule before the rebate is put back and the rebate's journal is mirrored. So it is a function of the agreement
//! and the payments, and of their value dates, not of the order in which they came.
//!
//! The rebate goes off the profit of the last instalments first: which of them it goes off makes no difference to
//! anybody once all is paid. What is left unearned then is earned, as nothing is left to fall due.

use daybook_shared::ids::{Hash, SettlementId};
use daybook_shared::money::Currency;
use daybook_shared::quote::terms::EarlySettlement;
use daybook_shared::schedule::{Instalment, outstanding};
use daybook_shared::time::{Date, Timestamp};
use uuid::Uuid;

use super::account::{self, AccountStatus, ClosedAs};
use super::allocation::{self, Payment};
use super::versions::{self, Earned, Planned};
use crate::db::Tx;
use crate::ledger::after_sale::{self, event_id};
use crate::ledger::journal;
use crate::ledger::posting::{self, Event, GlAccount, Journal, JournalKind};
use crate::on_db;
use crate::sync::effects::Effects;
use crate::sync::money::{self, PayError};
use crate::sync::world::{Account, World};

/// What a customer agreed to.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Agreement {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: SettlementId,
    /// Key of the account.
    pub account_id: i64,
    /// The day it was worked out for.
    pub agreed_on: Date,
    /// The last day on which a payment counts.
    pub valid_until: Date,
    /// What was left to pay.
    pub gross_minor: i64,
    /// What of it is given up.
    pub rebate_minor: i64,
    /// What is to be paid.
    pub figure_minor: i64,
    /// The currency.
    pub currency: Currency,
    /// Of what he was shown.
    pub hash: Hash,
    /// The version of the schedule it is of.
    pub schedule_version: i64,
    /// The version before the rebate, while it is paid.
    pub settled_version: Option<i64>,
    /// When he agreed.
    pub agreed_at: Timestamp,
}

macro_rules! columns {
    () => {
        "select s.id, s.uid, s.account_id, s.agreed_on, s.valid_until, s.gross_minor, s.rebate_minor, s.figure_minor,
           s.currency, s.hash, s.schedule_version, s.settled_version, s.agreed_at from settlement s "
    };
}
const SELECT: &str = concat!(columns!(), "where s.uid = $1");
const SELECT_CURRENT: &str = concat!(columns!(), "where s.id = $1");
const INSERT: &str = "insert into settlement (uid, account_id, agreed_on, valid_until, rule, gross_minor, rebate_minor,
       figure_minor, currency, hash, schedule_version, agreed_at, by_user)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict (uid) do nothing returning id";
const SET_CURRENT: &str = "update account set settlement_id = $2 where id = $1";
const SET_SETTLED: &str = "update settlement set settled_version = $2, schedule_version = $3 where id = $1";

/// The agreement with this id, whoever's.
pub async fn find(tx: &mut Tx, id: SettlementId) -> sqlx::Result<Option<Agreement>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(id).fetch_optional(conn).await)
}

/// The agreement that an account's row names.
pub async fn current(tx: &mut Tx, key: i64) -> sqlx::Result<Agreement> {
    on_db!(tx, conn => sqlx::query_as(SELECT_CURRENT).bind(key).fetch_one(conn).await)
}

/// Writes an agreement down in place of the one before; false when its id came to be in use meanwhile.
pub async fn insert(tx: &mut Tx, new: &Agreement, rule: EarlySettlement, by_user: i64) -> sqlx::Result<bool> {
    let id: Option<i64> = on_db!(&mut *tx, conn => {
        sqlx::query_scalar(INSERT)
            .bind(new.uid)
            .bind(new.account_id)
            .bind(new.agreed_on)
            .bind(new.valid_until)
            .bind(rule.code())
            .bind(new.gross_minor)
            .bind(new.rebate_minor)
            .bind(new.figure_minor)
            .bind(new.currency)
            .bind(new.hash)
            .bind(new.schedule_version)
            .bind(new.agreed_at)
            .bind(by_user)
            .fetch_optional(conn)
            .await
    })?;
    let Some(id) = id else { return Ok(false) };
    set_current(tx, new.account_id, Some(id)).await?;
    Ok(true)
}

/// Says which agreement an account has, or that it has none any more.
pub async fn set_current(tx: &mut Tx, account_id: i64, id: Option<i64>) -> sqlx::Result<()> {
    on_db!(tx, conn => sqlx::query(SET_CURRENT).bind(account_id).bind(id).execute(conn).await.map(|_| ()))
}

/// Settles accounts whose agreement is paid, and opens those again whose agreement no longer is. Payments are
/// written, journals and accounts are not: that is what follows.
pub async fn follow(tx: &mut Tx, world: &mut World, effects: &mut Effects) -> sqlx::Result<()> {
    let agreed = world.accounts.values().filter(|account| account.dirty && may_follow(account));
    let agreed: Vec<_> = agreed.filter_map(|account| Some((account.row.id, account.row.settlement_id?))).collect();
    for (account_id, key) in agreed {
        let agreement = current(tx, key).await?;
        let account = world.accounts.get_mut(&account_id).ok_or(sqlx::Error::RowNotFound)?;
        // Whoever changed the schedule since ended the agreement, paid or not.
        if agreement.schedule_version != account.row.schedule_version {
            continue;
        }
        // A change without a posting changes nothing here.
        let Some(booked_on) = posted_on(effects, account_id) else { continue };
        let event = |version: i64| Event {
            id: settled_by(&agreement, version),
            correlation: agreement.uid.0,
            booked_on,
            currency: agreement.currency,
        };
        let payments = account::load_payments(tx, &[account_id]).await?.remove(&account_id).unwrap_or_default();
        account.payments = Some(payments);
        let now = State::load(tx, account, &agreement).await?;
        let journals = match (agreement.settled_version, reached(account, &agreement, &now)?) {
            (None, true) => settle(account, &agreement, &now, event).map_err(failed)?,
            (Some(_), false) => {
                let id = settled_by(&agreement, account.row.schedule_version);
                let booked = journal::read(tx, id).await?;
                reopen(account, &now, &booked, event).map_err(failed)?
            }
            _ => continue,
        };
        let version = account.row.schedule_version;
        let is_settled = agreement.settled_version.is_none();
        let settled = is_settled.then_some(agreement.schedule_version);
        on_db!(&mut *tx, conn => {
            sqlx::query(SET_SETTLED).bind(key).bind(settled).bind(version).execute(conn).await.map(|_| ())
        })?;
        effects.journals.extend(journals);
        world.tell_schedule(account_id);
    }
    Ok(())
}

fn failed(error: PayError) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn may_follow(account: &Account) -> bool {
    let paid = account.rescheduled.is_none()
        && matches!(account.row.closed_as, None | Some(ClosedAs::Paid | ClosedAs::EarlySettled));
    paid && account.row.status != AccountStatus::Pending
}

/// The event that books an agreement's rebate in a version of the schedule.
fn settled_by(agreement: &Agreement, version: i64) -> Uuid {
    event_id("early_settlement", &[agreement.uid.as_bytes(), &version.to_be_bytes()])
}

/// The day on which what is posted now is booked.
fn posted_on(effects: &Effects, account_id: i64) -> Option<Date> {
    let of_account =
        |journal: &&Journal| journal.lines().iter().any(|line| line.account == GlAccount::plan_recv(account_id));
    effects.journals.iter().filter(of_account).map(|journal| journal.event().booked_on).max()
}

/// The schedule without the rebate, and the one in force.
struct State {
    /// Without it.
    agreed: Vec<Instalment>,
    /// What is earned of that.
    agreed_earned: Earned,
    /// What is earned of the schedule in force.
    earned: Earned,
}

impl State {
    async fn load(tx: &mut Tx, account: &Account, agreement: &Agreement) -> sqlx::Result<Self> {
        let id = account.row.id;
        // A version that is about to be written is not there yet; nothing else writes one beside a posting.
        let in_force = (id, account.row.schedule_version);
        let earned = versions::load_earned(tx, &[in_force]).await?.remove(&id).unwrap_or_default();
        let Some(version) = agreement.settled_version else {
            return Ok(Self { agreed: account.instalments.clone(), agreed_earned: earned.clone(), earned });
        };
        let agreed = account::load_instalments(tx, &[(id, version)]).await?.remove(&id).unwrap_or_default();
        let agreed_earned = versions::load_earned(tx, &[(id, version)]).await?.remove(&id).unwrap_or_default();
        Ok(Self { agreed, agreed_earned, earned })
    }
}

/// Whether what was paid in time reaches the figure: no more is left to pay than is given up.
fn reached(account: &Account, agreement: &Agreement, state: &State) -> sqlx::Result<bool> {
    let payments = account.payments.iter().flatten();
    let in_time: Vec<Payment> =
        payments.filter(|payment| payment.value_date <= agreement.valid_until).copied().collect();
    let replayed = allocation::replay(&state.agreed, &in_time, account.row.waterfall);
    let replayed = replayed.map_err(|error| failed(error.into()))?;
    let left =
        outstanding(&replayed.instalments).and_then(|left| left.total()).map_err(|error| failed(error.into()))?;
    Ok(left <= agreement.rebate_minor)
}

fn settle(
    account: &mut Account,
    agreement: &Agreement,
    state: &State,
    event: impl Fn(i64) -> Event,
) -> Result<Vec<Journal>, PayError> {
    let mut planned = versions::plan_of(&account.instalments, &state.earned);
    give_up(&mut planned, agreement);
    let moved = money::reschedule(account, &state.earned, &planned)?;
    (account.row.status, account.row.closed_as) = (AccountStatus::Closed, Some(ClosedAs::EarlySettled));
    let ids = (account.row.id, account.row.customer_id);
    let event = event(account.row.schedule_version);
    Ok(after_sale::changed(JournalKind::EarlySettlement, event, ids, moved, Vec::new())?)
}

/// Takes the rebate off the profit that falls due after the day, the last first, and earns what is left.
fn give_up(planned: &mut [Planned], agreement: &Agreement) {
    planned.sort_unstable_by_key(|one| (one.line.due_date, one.line.n));
    let mut left = agreement.rebate_minor;
    for one in planned.iter_mut().rev() {
        if one.line.due_date > agreement.agreed_on {
            let off = one.line.interest.min(left);
            one.line.interest -= off;
            left -= off;
        }
        one.earned_minor = one.line.interest;
    }
}

fn reopen(
    account: &mut Account,
    state: &State,
    booked: &[Journal],
    event: impl Fn(i64) -> Event,
) -> Result<Vec<Journal>, PayError> {
    (account.row.status, account.row.closed_as) = (AccountStatus::Active, None);
    let planned = versions::plan_of(&state.agreed, &state.agreed_earned);
    let moved = money::reschedule(account, &state.earned, &planned)?;
    let event = event(account.row.schedule_version);
    let ids = (account.row.id, account.row.customer_id);
    let mut journals = Vec::new();
    for journal in booked.iter().filter(|journal| journal.kind() == JournalKind::EarlySettlement) {
        journals.push(posting::reversal(journal, event.id, event.booked_on)?);
    }
    journals.extend(after_sale::credit_moved(event, ids, moved.credit_minor)?);
    Ok(journals)
}
