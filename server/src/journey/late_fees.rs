//! Late fees: what an offer says that being late costs, charged and taken back by a dated job.
//!
//! Which instalments cost a fee follows from the schedule and the payments' value dates
//! ([`crate::portfolio::lateness`]); the job makes the rows say so. A fee is a line of the account's schedule, so
//! phones, waterfall and ageing know it like anything else that is owed; where a line comes or goes there is a new
//! version. While an early settlement may still be paid no fee is charged: its figure was promised.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_shared::ids::{AccountId, DossierId};
use daybook_shared::quote::terms::{LateFee, LateFeeTo};
use daybook_shared::schedule::{DueLine, Instalment};
use daybook_shared::time::{DAY_MS, Date, Timestamp};

use super::offers;
use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::jobs::Outcome;
use crate::ledger::after_sale::{self, Moved, event_id};
use crate::ledger::posting::{self, Event, GlAccount, Journal, JournalKind, Line};
use crate::on_db;
use crate::portfolio::account::{self, AccountRow, Lock};
use crate::portfolio::allocation::Payment;
use crate::portfolio::lateness::late;
use crate::portfolio::settlement;
use crate::portfolio::versions::{self, Planned};
use crate::sync::effects::Effects;
use crate::sync::load::{self, Needs};
use crate::sync::{judge, money, persist};

/// How often it is looked.
pub const EVERY: Duration = Duration::from_hours(1);
/// Accounts that are looked at together.
const LOT: i64 = 200;
/// For how many days after it was charged a fee may turn out to be wrong: what phones hand in later than that is for
/// people to look at.
const DOUBT_DAYS: i64 = 60;

/// Where late fees go.
pub fn goes_to(to: LateFeeTo) -> GlAccount {
    match to {
        LateFeeTo::Income => GlAccount::FEES,
        LateFeeTo::Charity => GlAccount::CHARITY,
    }
}

/// Charges and takes back what is to be; how many fees it was.
pub async fn turn(app: &App) -> Outcome {
    let (mut after, mut done) = (0, 0);
    let mut fees: BTreeMap<i64, Option<LateFee>> = BTreeMap::new();
    loop {
        let mut tx = app.db.read().await?;
        let lot = candidates(&mut tx, app, after).await?;
        let Some((last, _)) = lot.last() else { return Ok(done) };
        after = *last;
        let mut doubtful = Vec::new();
        for (account_id, offer_id) in lot {
            if let Some(fee) = fee_of(&mut tx, &mut fees, offer_id).await?
                && let Some(account) = account::load_accounts(&mut tx, &[account_id], Lock::No).await?.pop()
            {
                let due = Due::load(&mut tx, app, account, fee).await?;
                doubtful.extend(due.changes().then_some((due.account.uid, fee)));
            }
        }
        drop(tx);
        for (account, fee) in doubtful {
            done += apply(app, account, fee).await?;
        }
    }
}

const SELECT_LATE: &str = "select a.id, o.offer_id from account_origin o join account a on a.id = o.account_id
     where a.id > $1 and a.status <> 'pending' and (a.closed_as is null or a.closed_as = 'paid')
       and (a.oldest_unmet_due < $2 or exists (select 1 from late_fee f
              where f.account_id = a.id and f.waived_at is null and f.charged_at > $3))
     order by a.id limit $4";

/// Accounts that are late, and those of which a fee is in doubt, with their offers.
async fn candidates(tx: &mut Tx, app: &App, after: i64) -> sqlx::Result<Vec<(i64, i64)>> {
    let now = app.now();
    let (today, since) = (app.settings.zone.date_of(now), now.plus_ms(-DOUBT_DAYS * DAY_MS));
    on_db!(tx, conn => {
        sqlx::query_as(SELECT_LATE).bind(after).bind(today).bind(since).bind(LOT).fetch_all(conn).await
    })
}

async fn fee_of(
    tx: &mut Tx,
    known: &mut BTreeMap<i64, Option<LateFee>>,
    offer_id: i64,
) -> sqlx::Result<Option<LateFee>> {
    if let Some(fee) = known.get(&offer_id) {
        return Ok(*fee);
    }
    let fee = offers::by_key(tx, offer_id).await?.terms.late_fee;
    known.insert(offer_id, fee);
    Ok(fee)
}

/// A fee that was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
struct FeeRow {
    line_n: i64,
    n: i64,
    amount_minor: i64,
    is_waived: bool,
}

const SELECT_FEES: &str = "select line_n, n, amount_minor, waived_at is not null as is_waived from late_fee
     where account_id = $1 order by line_n";

/// What an account's fees are and should be.
struct Due {
    account: AccountRow,
    fees: Vec<FeeRow>,
    /// The instalments that cost a fee, and since when.
    late: BTreeMap<u16, Date>,
}

impl Due {
    async fn load(tx: &mut Tx, app: &App, account: AccountRow, fee: LateFee) -> sqlx::Result<Self> {
        let id = account.id;
        let version = (id, account.schedule_version);
        let instalments = account::load_instalments(tx, &[version]).await?.remove(&id).unwrap_or_default();
        let payments = account::load_payments(tx, &[id]).await?.remove(&id).unwrap_or_default();
        Self::of(tx, app, (account, &instalments, &payments), fee).await
    }

    async fn of(
        tx: &mut Tx,
        app: &App,
        (account, instalments, payments): (AccountRow, &[Instalment], &[Payment]),
        fee: LateFee,
    ) -> sqlx::Result<Self> {
        let fees: Vec<FeeRow> = on_db!(&mut *tx, conn => {
            sqlx::query_as(SELECT_FEES).bind(account.id).fetch_all(conn).await
        })?;
        let today = app.settings.zone.date_of(app.now());
        let lines: Vec<DueLine> = instalments.iter().map(Instalment::due_line).collect();
        let late = late(&lines, payments, account.waterfall, &fee, today);
        let mut late = late.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        if is_promised(tx, app, &account, today).await? {
            let charged: Vec<_> = fees.iter().filter(|fee| !fee.is_waived).map(|fee| fee.n).collect();
            late.retain(|n, _| charged.contains(&i64::from(*n)));
        }
        Ok(Self { account, fees, late })
    }

    /// What is to be charged: instalments and since when.
    fn missing(&self) -> Vec<(u16, Date)> {
        let charged = |n: u16| self.fees.iter().any(|fee| !fee.is_waived && fee.n == i64::from(n));
        self.late.iter().filter(|(n, _)| !charged(**n)).map(|(n, on)| (*n, *on)).collect()
    }

    /// What is to be taken back.
    fn wrong(&self) -> Vec<FeeRow> {
        let is_late = |fee: &&FeeRow| self.late.keys().any(|n| i64::from(*n) == fee.n);
        self.fees.iter().filter(|fee| !fee.is_waived && !is_late(fee)).copied().collect()
    }

    fn changes(&self) -> bool {
        !self.missing().is_empty() || !self.wrong().is_empty()
    }
}

/// Whether a settlement's figure still counts, or a phone may bring what was paid of it in time.
async fn is_promised(tx: &mut Tx, app: &App, account: &AccountRow, today: Date) -> sqlx::Result<bool> {
    let Some(key) = account.settlement_id else { return Ok(false) };
    let agreement = settlement::current(tx, key).await?;
    let of_version = agreement.schedule_version == account.schedule_version;
    Ok(of_version && today <= agreement.valid_until.plus_days(app.settings.backdated_days_max))
}

batch_row! {
    struct NewFee {
        account_id: i64 => "int8",
        line_n: i64 => "int8",
        n: i64 => "int8",
        due_date: Date => "date",
        amount_minor: i64 => "int8",
        goes_to: String => "text",
        charged_at: Timestamp => "timestamptz",
    }
}
batch_row! {
    struct Waived { account_id: i64 => "int8", line_n: i64 => "int8", at: Timestamp => "timestamptz" }
}

const INSERT_FEES: &str = "insert into late_fee (account_id, line_n, n, due_date, amount_minor, goes_to, charged_at)
     select account_id, line_n, n, due_date, amount_minor, goes_to, charged_at from v where true";
const WAIVE: &str = "update late_fee set waived_at = v.at
     from v where late_fee.account_id = v.account_id and late_fee.line_n = v.line_n";

/// Makes one account's fees what they should be, as its rows say once they are locked.
async fn apply(app: &App, uid: AccountId, fee: LateFee) -> Outcome {
    let now = app.now();
    let mut tx = app.db.write().await?;
    let mut needs = Needs::default();
    needs.dossier(DossierId::case(uid));
    let mut world = load::world(&mut tx, &needs).await?;
    let Some((&id, account)) = world.accounts.iter_mut().next() else { return Ok(0) };
    account.payments = Some(account::load_payments(&mut tx, &[id]).await?.remove(&id).unwrap_or_default());
    let payments = account.payments.clone().unwrap_or_default();
    let due = Due::of(&mut tx, app, (account.row.clone(), &account.instalments, &payments), fee).await?;
    if !due.changes() {
        return Ok(0);
    }
    let version = (id, account.row.schedule_version);
    let earned = versions::load_earned(&mut tx, &[version]).await?.remove(&id).unwrap_or_default();
    let mut planned = versions::plan_of(&account.instalments, &earned);
    let mut books = Books { app, uid, ids: (id, account.row.customer_id), fee, now, journals: Vec::new() };
    let wrong = books.take_back(&mut planned, &due.wrong(), account.row.currency)?;
    let new = books.charge(&mut planned, &due, &account.instalments)?;
    let moved = money::reschedule(account, &earned, &planned).map_err(broken)?;
    let event = books.event("late_fee_credit", account.row.schedule_version, now_on(app), account.row.currency);
    let credit = after_sale::credit_moved(event, books.ids, moved.credit_minor).map_err(broken)?;
    let mut effects = Effects { journals: books.journals, ..Effects::default() };
    effects.journals.extend(credit);
    batch::execute(&mut tx, &new, INSERT_FEES).await?;
    batch::execute(&mut tx, &wrong, WAIVE).await?;
    world.tell_schedule(id);
    persist::persist(&mut tx, &mut world, effects, now).await?;
    tx.commit().await?;
    Ok((new.len() + wrong.len()) as u64)
}

fn now_on(app: &App) -> Date {
    app.settings.zone.date_of(app.now())
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// What goes into the books about one account's fees.
struct Books<'a> {
    app: &'a App,
    uid: AccountId,
    ids: (i64, i64),
    fee: LateFee,
    now: Timestamp,
    journals: Vec<Journal>,
}

impl Books<'_> {
    fn event(&self, what: &str, n: i64, on: Date, currency: daybook_shared::money::Currency) -> Event {
        let id = event_id(what, &[self.uid.as_bytes(), &n.to_be_bytes()]);
        Event { id, correlation: self.uid.0, booked_on: judge::booked_on(&self.app.settings, on), currency }
    }

    /// Line 8 as it was or is booked for a line of the schedule.
    fn booked(&self, line_n: i64, amount_minor: i64, event: Event) -> sqlx::Result<Journal> {
        let moved = Moved { owed_minor: amount_minor, ..Moved::default() };
        let to = vec![Line { account: goes_to(self.fee.goes_to), minor: -amount_minor }];
        let journals = after_sale::changed(JournalKind::LateFee, event, self.ids, moved, to).map_err(broken)?;
        journals.into_iter().next().ok_or_else(|| sqlx::Error::Decode(format!("late fee {line_n} of nothing").into()))
    }

    fn take_back(
        &mut self,
        planned: &mut Vec<Planned>,
        wrong: &[FeeRow],
        currency: daybook_shared::money::Currency,
    ) -> sqlx::Result<Vec<Waived>> {
        let today = now_on(self.app);
        for fee in wrong {
            planned.retain(|one| i64::from(one.line.n) != fee.line_n);
            let booked =
                self.booked(fee.line_n, fee.amount_minor, self.event("late_fee", fee.line_n, today, currency))?;
            let back = self.event("late_fee_waived", fee.line_n, today, currency);
            self.journals.push(posting::reversal(&booked, back.id, back.booked_on).map_err(broken)?);
        }
        Ok(wrong.iter().map(|fee| Waived { account_id: self.ids.0, line_n: fee.line_n, at: self.now }).collect())
    }

    fn charge(
        &mut self,
        planned: &mut Vec<Planned>,
        due: &Due,
        instalments: &[Instalment],
    ) -> sqlx::Result<Vec<NewFee>> {
        // The number of a line that went is not used again: its row is still there.
        let numbers = instalments.iter().map(|line| i64::from(line.n)).chain(due.fees.iter().map(|fee| fee.line_n));
        let mut line_n = numbers.max().unwrap_or(0);
        let mut new = Vec::new();
        for (n, on) in due.missing() {
            line_n += 1;
            let number = u16::try_from(line_n).map_err(broken)?;
            let amount_minor = self.fee.amount_minor;
            let line = DueLine { n: number, due_date: on, principal: 0, interest: 0, fee: 0, penalty: amount_minor };
            planned.push(Planned { line, earned_minor: 0 });
            let event = self.event("late_fee", line_n, on, due.account.currency);
            self.journals.push(self.booked(line_n, amount_minor, event)?);
            new.push(NewFee {
                account_id: self.ids.0,
                line_n,
                n: n.into(),
                due_date: on,
                amount_minor,
                goes_to: self.fee.goes_to.code().to_owned(),
                charged_at: self.now,
            });
        }
        Ok(new)
    }
}
